"""A client's socket against real clients on a loopback: limits, pings, lifetime, slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from socket_stage import until

from gridlab.clock import SystemClock
from gridlab.twin.connection import SPOT_STREAMS, Connection, SocketRules, Sockets

RULES = replace(SPOT_STREAMS, messages_per_second=5)


class Echo:
    """Answers every text with itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_over = False

    async def opened(self) -> None:
        self.connection.send("hello")

    async def heard(self, text: str) -> None:
        self.connection.send(text)

    def closed(self) -> None:
        self.is_over = True


class Server:
    """Echoes on a loopback port."""

    def __init__(self, rules: SocketRules) -> None:
        self.sockets = Sockets(SystemClock(), attempts_per_window=3)
        self.rules = rules
        self.guests: list[Echo] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self.sockets.admits(request.remote or ""):
            return web.Response(status=429)
        connection = Connection(request, self.rules, SystemClock(), lambda: "goodbye")
        self.guests.append(Echo(connection))
        return await self.sockets.serve(connection, self.guests[-1])


def against(
    rules: SocketRules,
    story: Callable[[Server, aiohttp.ClientWebSocketResponse], Awaitable[None]],
) -> Server:
    """Run `story` with a server and a client that has just been greeted."""

    async def play() -> Server:
        server = Server(rules)
        app = web.Application()
        app.add_routes([web.get("/ws", server.handle)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"http://127.0.0.1:{port}/ws"
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(server.url, autoping=False, autoclose=False) as socket,
            ):
                assert (await socket.receive(timeout=5)).data == "hello"
                await story(server, socket)
        finally:
            await runner.cleanup()
        return server

    return asyncio.run(asyncio.wait_for(play(), 20))


async def closing(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """The close code and reason that end this socket, whatever comes before."""
    while True:
        message = await socket.receive(timeout=5)
        if message.type is WSMsgType.CLOSE:
            return message.data, message.extra or ""
        if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            return socket.close_code, ""


def test_so_many_messages_a_second_and_no_more() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        for number in range(5):
            await socket.send_str(str(number))
        for number in range(5):
            assert (await socket.receive(timeout=5)).data == str(number)
        await asyncio.sleep(1.05)
        await socket.send_str("a second later there is room again")
        assert (await socket.receive(timeout=5)).type is WSMsgType.TEXT
        flooding = asyncio.create_task(flood(socket))
        assert await closing(socket) == (1008, "Too many requests")
        flooding.cancel()

    server = against(RULES, story)
    assert server.guests[0].is_over
    assert server.sockets.count == 0


async def flood(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Send not all at once, and still six in some second."""
    while not socket.closed:
        await asyncio.sleep(0.1)
        await socket.send_str("flood")


def test_pings_and_pongs_count_as_messages() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.ping(b"mine")
        message = await socket.receive(timeout=5)
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"mine")
        for _ in range(5):
            await socket.pong(b"")
        assert (await closing(socket))[0] == 1008

    against(RULES, story)


def test_where_texts_do_not_count_pings_still_do() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        for _ in range(30):
            await socket.send_str("x")
        for _ in range(30):
            assert (await socket.receive(timeout=5)).data == "x"
        for _ in range(6):
            await socket.ping()
        assert (await closing(socket))[0] == 1008

    against(replace(RULES, counts_texts=False), story)


@pytest.mark.parametrize("answer", [None, b"something else", b""])
def test_a_ping_that_is_not_answered_with_its_payload_ends_the_connection(
    answer: bytes | None,
) -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive(timeout=5)
            if message.type is WSMsgType.CLOSE:
                assert (message.data, message.extra) == (1008, "Pong timeout")
                return
            assert message.type is WSMsgType.PING
            if answer is not None:
                await socket.pong(answer)

    against(replace(RULES, ping_ms=250, pong_ms=600), story)


def test_answered_pings_keep_the_connection() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        seen: set[bytes] = set()
        for _ in range(9):
            message = await socket.receive(timeout=5)
            assert message.type is WSMsgType.PING
            seen.add(bytes(message.data))
            await socket.pong(bytes(message.data))
        assert len(seen) == 9, "each ping has its own payload"

    # Nine pings last longer than an answer to the first may; and that is long on a busy machine.
    against(replace(RULES, ping_ms=250, pong_ms=1_800), story)


def test_a_connection_lasts_so_long() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        assert await closing(socket) == (1008, "disconnected")

    against(replace(RULES, lifetime_ms=150), story)


def test_a_reader_that_is_too_slow_is_cut_off() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        connection, text = server.guests[0].connection, "x" * 1_000_000
        for _ in range(200):
            connection.send(text)
            await asyncio.sleep(0)  # the writer gets its turn; the reader takes nothing
            if not connection.is_open:
                break
        assert not connection.is_open
        await until(lambda: server.guests[0].is_over)

    against(replace(RULES, queue_messages=20), story)


def test_a_line_can_be_cut_without_a_word() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        await server.sockets.disconnect_all()
        assert (await closing(socket))[0] == 1006

    against(RULES, story)


def test_a_shutdown_is_announced_before_it_happens() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        task = asyncio.ensure_future(server.sockets.announce_shutdown(grace_ms=50))
        assert (await socket.receive(timeout=5)).data == "goodbye"
        assert (await closing(socket))[0] == 1001
        await socket.close()
        await task

    against(RULES, story)


def test_an_address_may_connect_so_often() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.ws_connect(server.url) as other:
                    await other.receive(timeout=5)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(server.url)
            assert refused.value.status == 429

    against(RULES, story)


def test_bytes_are_no_request() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_bytes(b"{}")
        assert (await closing(socket))[0] == 1008

    against(RULES, story)


def test_a_writer_that_breaks_ends_its_connection() -> None:
    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        no_text: Any = 5
        server.guests[0].connection.send(no_text)
        assert (await closing(socket))[0] == 1006

    assert against(RULES, story).guests[0].is_over


def test_a_talker_that_breaks_is_not_passed_over() -> None:
    class Broken(Echo):
        async def heard(self, text: str) -> None:
            raise ValueError(text)

    async def story(server: Server, socket: aiohttp.ClientWebSocketResponse) -> None:
        broken: Any = Broken
        server.guests[0].__class__ = broken
        await socket.send_str("boom")
        assert (await closing(socket))[0] != 1000
        assert server.guests[0].is_over

    against(RULES, story)
