"""A stream over a real socket: ends, silence, age, broken messages, and what is told of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import StreamState
from gridlab.exchange.binance import stream as module
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.market_stream import MarketStream
from gridlab.exchange.binance.stream import SocketRefused, Stream, open_socket
from gridlab.exchange.silence import FIRST_BAN_MS, Silence


class Venue:
    """A server that keeps its connections and speaks when told to."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.ever = 0
        self._server: Server

    async def start(self) -> str:
        self._server = await serve(self._serve, "127.0.0.1", 0, ping_interval=None)
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}/"

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self.ever += 1
        try:
            await connection.wait_closed()
        finally:
            self.connections.remove(connection)

    async def say(self, text: str) -> None:
        for connection in list(self.connections):
            await connection.send(text)

    async def cut(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()


class Listener:
    """A stream with its venue, and all that was told."""

    def __init__(self, *, silence_ms: int | None = None, life_ms: int = 10**9) -> None:
        self.clock = ManualClock(1_000_000)
        self.venue = Venue()
        self.heard: list[str] = []
        self.gaps: list[str] = []
        self.silence_ms = silence_ms
        self.life_ms = life_ms
        self.address = ""
        self.stream: Stream

    async def open(self) -> None:
        self.address = await self.venue.start()
        self.stream = Stream(
            "test",
            self.dial,
            self.receive,
            self.gaps.append,
            self.clock,
            silence_ms=self.silence_ms,
            life_ms=self.life_ms,
        )
        await self.stream.open()

    async def dial(self) -> ClientConnection:
        return await open_socket(self.address, Silence(self.clock), self.clock)

    def receive(self, message: str | bytes) -> None:
        if message == "nonsense":
            raise ValueError("cannot be read")
        self.heard.append(str(message))

    async def pass_time(self, duration_ms: int) -> None:
        """Move the clock in seconds; sockets get real moments to work in."""
        until_ms = self.clock.now_ms() + duration_ms
        while self.clock.now_ms() < until_ms:
            self.clock.advance_to(min(until_ms, self.clock.now_ms() + 1_000))
            await asyncio.sleep(0.003)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, letting time pass; fails after what would be five minutes."""
        for _ in range(300):
            if condition():
                return
            await self.pass_time(1_000)
        raise AssertionError(f"it never came: {self.stream.state} {self.stream.reason}")

    async def close(self) -> None:
        await self.stream.close()
        await self.venue.stop()


def scenario(listener: Listener, play: Callable[[Listener], Awaitable[None]]) -> None:
    async def run() -> None:
        await listener.open()
        try:
            await asyncio.wait_for(play(listener), 20)
        finally:
            await listener.close()

    asyncio.run(run())


def test_messages_arrive_in_order_and_the_first_connection_is_a_gap() -> None:
    async def play(it: Listener) -> None:
        for number in range(500):
            await it.venue.say(str(number))
        await it.until(lambda: len(it.heard) == 500)
        assert it.heard == [str(number) for number in range(500)]
        assert it.gaps == ["first connection"] and it.stream.state is StreamState.READY

    scenario(Listener(), play)


def test_a_lost_connection_is_replaced_and_told_once_it_flows_again() -> None:
    async def play(it: Listener) -> None:
        await it.venue.cut()
        await it.until(lambda: len(it.gaps) == 2)
        assert it.venue.ever == 2 and "connection ended" in it.gaps[1]
        await it.venue.say("after")
        await it.until(lambda: it.heard == ["after"])

    scenario(Listener(), play)


def test_a_venue_that_is_away_is_dialled_until_it_is_back() -> None:
    async def play(it: Listener) -> None:
        tries = 0
        original = it.dial

        async def dial() -> ClientConnection:
            nonlocal tries
            tries += 1
            if tries < 5:
                raise ExchangeUnavailable("away")
            return await original()

        it.stream._dial = dial
        await it.venue.cut()
        await it.until(lambda: it.stream.state is not StreamState.READY)
        assert it.gaps == ["first connection"], "a gap is told when it can be closed, not before"
        await it.until(lambda: len(it.gaps) == 2)
        assert tries == 5 and it.stream.is_up

    scenario(Listener(), play)


def test_silence_makes_it_stale_and_dials_again_ever_more_patiently() -> None:
    async def play(it: Listener) -> None:
        await it.pass_time(9_000)
        assert it.stream.state is StreamState.READY
        await it.until(lambda: it.stream.state is StreamState.STALE)
        await it.until(lambda: it.venue.ever == 2)
        dialled_ms = it.clock.now_ms()
        await it.until(lambda: it.venue.ever == 3)
        assert it.clock.now_ms() - dialled_ms >= 19_000
        assert it.stream.state is StreamState.STALE
        await it.venue.say("life")
        await it.until(lambda: it.heard == ["life"])
        assert it.stream.state is StreamState.READY

    scenario(Listener(silence_ms=10_000), play)


def test_a_stream_that_may_be_silent_is_kept_while_pings_are_answered() -> None:
    async def play(it: Listener) -> None:
        await it.pass_time(200_000)
        assert it.venue.ever == 1 and it.stream.state is StreamState.READY
        assert it.stream.heard_ms >= it.clock.now_ms() - 2 * module.PING_EVERY_MS

    scenario(Listener(), play)


def test_a_connection_that_answers_no_ping_is_given_up() -> None:
    async def play(it: Listener) -> None:
        (connection,) = it.venue.connections
        connection.transport.pause_reading()  # a peer that hangs: open, and deaf
        await it.until(lambda: len(it.gaps) == 2)
        assert "ping" in it.gaps[1] and it.venue.ever == 2
        connection.transport.abort()

    scenario(Listener(), play)


def test_an_old_connection_is_replaced_before_it_ends_and_nothing_is_missed() -> None:
    async def play(it: Listener) -> None:
        sent = 0
        while it.venue.ever < 3:
            for connection in list(it.venue.connections):
                await connection.send(str(sent))
            sent += 1
            await it.pass_time(1_000)
        await it.until(lambda: str(sent - 1) in it.heard)
        assert set(it.heard) == {str(number) for number in range(sent)}
        assert it.gaps == ["first connection"], "an overlap is no gap"

    scenario(Listener(life_ms=60_000), play)


def test_an_announced_shutdown_is_answered_before_it_happens() -> None:
    async def play(it: Listener) -> None:
        it.stream.renew("the venue said so")
        await it.until(lambda: it.venue.ever == 2)
        assert it.gaps == ["first connection"] and it.stream.reason == "the venue said so"

    scenario(Listener(), play)


def test_a_renewal_that_fails_leaves_the_old_connection_in_service() -> None:
    async def play(it: Listener) -> None:
        good, it.address = it.address, "ws://127.0.0.1:9/"
        it.stream.renew("the venue said so")
        await it.pass_time(3_000)
        await it.venue.say("still here")
        await it.until(lambda: it.heard == ["still here"])
        it.address = good
        assert it.gaps == ["first connection"] and it.stream.is_up

    scenario(Listener(), play)


def test_a_message_that_cannot_be_used_is_a_gap_and_not_the_end() -> None:
    async def play(it: Listener) -> None:
        await it.venue.say("nonsense")
        await it.venue.say("sense")
        await it.until(lambda: it.heard == ["sense"])
        assert len(it.gaps) == 2 and "cannot be read" in it.gaps[1] and it.venue.ever == 1

    scenario(Listener(), play)


def test_a_first_connection_that_fails_is_told_and_nothing_is_kept_up() -> None:
    async def run() -> None:
        async def dial() -> ClientConnection:
            return await open_socket("ws://127.0.0.1:9/", Silence(clock), clock)

        clock, gaps = ManualClock(), list[str]()
        stream = Stream("test", dial, lambda _: None, gaps.append, clock)
        try:
            await stream.open()
        except ExchangeUnavailable as error:
            assert "127.0.0.1:9" in str(error) and not gaps
        else:
            raise AssertionError("it opened")

    asyncio.run(run())


class Banning:
    """A server that answers every handshake with a ban.

    Attributes:
        asked: how often somebody tried to connect.
    """

    def __init__(self, headers: dict[str, str], body: bytes = b"") -> None:
        self.asked = 0
        self.headers = headers
        self.body = body

    async def start(self) -> str:
        self._server = await serve(self._never, "127.0.0.1", 0, process_request=self._refuse)
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}"

    async def _never(self, connection: ServerConnection) -> None: ...

    def _refuse(self, connection: ServerConnection, request: Request) -> Response:
        self.asked += 1
        length = {"Content-Length": str(len(self.body))}
        return Response(418, "teapot", Headers({**self.headers, **length}), self.body)

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.mark.parametrize(
    ("headers", "body", "length_ms"),
    [
        ({"Retry-After": "7"}, b"", 7_000),
        (
            # Its clock is an hour ahead of ours, and the words name its time.
            {"Date": "Sat, 01 Jan 2000 01:00:00 GMT"},
            b'{"code": -1003, "msg": "IP banned until 0946688430000."}',
            30_000,
        ),
        ({}, b"", FIRST_BAN_MS),
    ],
)
def test_a_ban_that_a_handshake_tells_of_is_kept_and_nobody_dials_during_it(
    headers: dict[str, str], body: bytes, length_ms: int
) -> None:
    async def run() -> None:
        clock = ManualClock(946_684_800_000)  # the first moment of 2000
        venue, silence = Banning(headers, body), Silence(clock)
        address = await venue.start()
        market = MarketStream(
            Endpoints("http://127.0.0.1:9", address, address, "http://127.0.0.1:9", address),
            Market.SPOT,
            clock,
            silence=silence,
        )
        with pytest.raises(SocketRefused):
            await market.open(["BTCUSDT"])
        assert silence.banned_until_ms == clock.now_ms() + length_ms
        assert market.health.state is StreamState.BANNED
        with pytest.raises(ExchangeUnavailable, match="banned this address"):
            await market.open(["BTCUSDT"])
        assert venue.asked == 1
        clock.advance_to(silence.banned_until_ms)
        assert market.health.state is StreamState.CONNECTING
        with pytest.raises(SocketRefused):
            await market.open(["BTCUSDT"])
        assert venue.asked == 2
        await venue.stop()

    asyncio.run(run())


def test_a_closed_stream_leaves_no_task_behind() -> None:
    async def play(it: Listener) -> None:
        await it.venue.cut()
        await it.pass_time(2_000)
        await it.stream.close()
        assert it.stream.state is StreamState.CLOSED
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not [name for name in names if name.startswith("test ")], names

    scenario(Listener(), play)
