"""The faults that befall sockets and user-data events, seen by a client on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from futures_client import FuturesClient

from gridlab.testing.twin import RunningTwin, running_twin

WAIT_S = 5.0


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(speed=0, has_limits=False) as twin:
        yield twin


@pytest.fixture
def venue(twin: RunningTwin) -> FuturesClient:
    client = FuturesClient(twin.ready, twin.control)
    client.clear()
    client.price("100000")
    return client


class Stream:
    """A user stream: the order events that came, in the order of their coming."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def order(self) -> tuple[str, str]:
        """(client id, execution type) of the next order event."""
        while True:
            event = await asyncio.wait_for(self.socket.receive_json(), WAIT_S)
            if event["e"] == "ORDER_TRADE_UPDATE":
                return event["o"]["c"], event["o"]["x"]

    async def orders(self, count: int) -> list[tuple[str, str]]:
        return [await self.order() for _ in range(count)]


@asynccontextmanager
async def user_stream(venue: FuturesClient, twin: RunningTwin) -> AsyncIterator[Stream]:
    headers = {"X-MBX-APIKEY": venue.key}
    key = venue.http.post(f"{venue.base}/fapi/v1/listenKey", headers=headers).json()["listenKey"]
    url = f"{twin.ready['ws_futures']}/private/ws?listenKey={key}"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            yield Stream(socket)


def seen(venue: FuturesClient, twin: RunningTwin, act: Callable[[Stream], Awaitable[Any]]) -> Any:
    """What `act` returns of a fresh user stream."""

    async def run() -> Any:
        async with user_stream(venue, twin) as stream:
            return await act(stream)

    return asyncio.run(run())


def inject(venue: FuturesClient, kind: str, **terms: Any) -> Any:
    return venue.control("/faults", {"inject": kind} | terms)


async def limit(venue: FuturesClient, client_id: str) -> None:
    reply = await asyncio.to_thread(
        venue.order, "BUY", "0.010", "90000", newClientOrderId=client_id
    )
    assert reply.status == 200


class TestEvents:
    def test_without_faults_each_comes_once_and_in_order(self, venue, twin):
        async def act(stream: Stream) -> Any:
            for name in ("e-1", "e-2", "e-3"):
                await limit(venue, name)
            return await stream.orders(3)

        assert seen(venue, twin, act) == [("e-1", "NEW"), ("e-2", "NEW"), ("e-3", "NEW")]

    def test_a_lost_one_never_comes_and_rest_tells_it(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "lost_event")
            await limit(venue, "l-1")
            await limit(venue, "l-2")
            return await stream.order()

        assert seen(venue, twin, act) == ("l-2", "NEW")
        query = venue.get("order", symbol="BTCUSDT", origClientOrderId="l-1")
        assert query.body["status"] == "NEW"
        assert venue.control("/account")["faults"]["lost_event"] == 1

    def test_a_duplicated_one_comes_twice(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "duplicated_event")
            await limit(venue, "d-1")
            await limit(venue, "d-2")
            return await stream.orders(3)

        assert seen(venue, twin, act) == [("d-1", "NEW"), ("d-1", "NEW"), ("d-2", "NEW")]

    def test_a_late_one_comes_after_those_that_followed(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "late_event", ms=300)
            for name in ("t-1", "t-2", "t-3"):
                await limit(venue, name)
            return await stream.orders(3)

        assert seen(venue, twin, act) == [("t-2", "NEW"), ("t-3", "NEW"), ("t-1", "NEW")]

    def test_a_reordered_one_is_overtaken_by_the_next(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "reordered_event")
            await limit(venue, "r-1")
            await limit(venue, "r-2")
            return await stream.orders(2)

        assert seen(venue, twin, act) == [("r-2", "NEW"), ("r-1", "NEW")]


class TestSockets:
    def test_a_disconnect_is_a_broken_line(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "disconnect")
            message = await asyncio.wait_for(stream.socket.receive(), WAIT_S)
            return message.type, stream.socket.close_code

        kind, code = seen(venue, twin, act)
        assert kind in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert code in (None, 1006)

    def test_a_silent_stream_stays_up_and_says_nothing(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "silent_stream", ms=700)
            await limit(venue, "s-1")
            await stream.socket.ping(b"there?")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.socket.receive(), 0.3)
            while (
                venue.control("/faults", {})["silent_until"] > venue.control("/account")["wall_ms"]
            ):
                await asyncio.sleep(0.05)
            await limit(venue, "s-2")
            return await stream.order(), stream.socket.closed

        assert seen(venue, twin, act) == (("s-2", "NEW"), False)

    def test_a_shutdown_is_announced_before_the_end(self, venue, twin):
        async def act(stream: Stream) -> Any:
            inject(venue, "server_shutdown")
            notice = await asyncio.wait_for(stream.socket.receive_json(), WAIT_S)
            end = await asyncio.wait_for(stream.socket.receive(), WAIT_S)
            return notice["e"], end.type

        notice, end = seen(venue, twin, act)
        assert notice == "serverShutdown"
        assert end in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    def test_a_disconnect_waits_for_somebody_to_be_connected(self, venue, twin):
        async def act() -> Any:
            inject(venue, "disconnect")
            url = f"{twin.ready['ws_spot']}/ws/btcusdt@trade"
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(url) as socket:
                    return (await asyncio.wait_for(socket.receive(), WAIT_S)).type

        while venue.control("/faults", {})["waiting"]:
            venue.control("/faults", {"quiet": True})
        kind = asyncio.run(act())
        assert kind in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
