"""What a banned client sends is counted, whatever it is: requests and handshakes of every kind."""

from __future__ import annotations

import aiohttp
import httpx
import pytest
from socket_stage import Stage, on_stage
from spot_client import SpotClient

from gridlab.domain.market import Market
from gridlab.testing.twin import running_twin
from gridlab.twin.limits import UNDER_WAY_MS

SPOT, FUTURES = Market.SPOT, Market.FUTURES
PEER = "127.0.0.1"


def ban(stage: Stage, market: Market, *, told_ms_ago: int = 0) -> None:
    """Ban this machine on one market, as if it had been told so long ago."""
    stage.desks[market].limits.ban(PEER, 60_000, stage.world.wall_ms() - told_ms_ago)


@pytest.mark.parametrize(
    ("market", "path"),
    [
        (SPOT, "/ws/btcusdt@trade"),
        (SPOT, "/stream?streams=btcusdt@trade"),
        (FUTURES, "/market/stream?streams=btcusdt@aggTrade"),
        (FUTURES, "/public/ws/btcusdt@bookTicker"),
        (FUTURES, "/private/ws?listenKey=any"),
        (FUTURES, "/ws"),
    ],
)
def test_a_stream_that_is_opened_in_a_ban_is_counted(market: Market, path: str) -> None:
    async def play(stage: Stage) -> None:
        counters = stage.world.counters
        async with stage.connect(market, path):
            assert (counters["connections"], counters["connections_in_ban"]) == (1, 0)
        ban(stage, market, told_ms_ago=UNDER_WAY_MS)
        async with stage.connect(market, path):
            pass
        assert counters["connections"] == 2
        assert counters["connections_in_ban"] == counters["connections_despite_ban"] == 1

    on_stage(play)


def test_a_handshake_under_way_when_the_ban_began_was_not_despite_it() -> None:
    async def play(stage: Stage) -> None:
        ban(stage, SPOT)
        async with stage.connect(SPOT, "/ws"):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with stage.api(SPOT):
                pass
        counters = stage.world.counters
        assert (counters["connections_in_ban"], counters["connections_despite_ban"]) == (2, 0)

    on_stage(play)


def test_a_ban_on_one_market_is_none_on_the_other() -> None:
    async def play(stage: Stage) -> None:
        ban(stage, SPOT, told_ms_ago=UNDER_WAY_MS)
        async with stage.connect(FUTURES, "/public/ws"):
            pass
        assert stage.world.counters["connections_in_ban"] == 0

    on_stage(play)


def test_what_an_open_socket_sends_in_a_ban_is_counted() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            ban(stage, SPOT, told_ms_ago=UNDER_WAY_MS)
            assert (await client.ask("ping"))["status"] == 418
            await client.socket.send_str("no JSON at all")
            assert (await client.receive())["status"] == 400
        assert stage.world.counters["requests_despite_ban"] == 2

    on_stage(play)


def test_requests_that_no_desk_carries_out_are_counted_too() -> None:
    with running_twin(symbols=("BTCUSDT",)) as twin:
        spot, world = SpotClient(twin), twin.world
        world.faults.inject("banned", ms=60_000)
        assert spot.public("/api/v3/ping").status == 418
        twin.do(world.clock.sleep_until(world.wall_ms() + UNDER_WAY_MS))
        world.faults.inject("lost_request")
        with pytest.raises(httpx.TransportError):
            spot.public("/api/v3/ping")
        assert spot.public("/api/v3/no-such-path").status == 404
        assert spot.raw("GET", "/api/v3/ping?symbol=A&symbol=B").status == 400
        account = twin.account()
        spot.http.close()
    assert (account["requests"], account["requests_despite_ban"]) == (4, 3)
    assert account["connections"] == account["connections_in_ban"] == 0
