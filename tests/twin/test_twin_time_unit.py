"""Spot's times in microseconds, for who asks for them: by a header, or in a socket's address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from socket_stage import Stage, on_stage
from spot_client import SpotClient

from gridlab.domain.market import Market
from gridlab.testing.twin import running_twin

FINE, USUAL = 16, 13


@pytest.fixture(scope="module")
def spot() -> Iterator[SpotClient]:
    with running_twin(symbols=("BTCUSDT",)) as twin:
        client = SpotClient(twin)
        client.limit("BUY", "50000", newClientOrderId="mine")
        yield client
        client.http.close()


def asked(spot: SpotClient, path: str, unit: str) -> Any:
    headers = {"X-MBX-TIME-UNIT": unit, "X-MBX-APIKEY": spot.key}
    return spot.raw("GET", path, headers=headers).body


def digits(value: int) -> int:
    return len(str(value))


def test_every_time_of_an_answer(spot: SpotClient) -> None:
    order = asked(
        spot,
        "/api/v3/order?" + spot.query(symbol="BTCUSDT", origClientOrderId="mine"),
        "microsecond",
    )
    assert {digits(order[name]) for name in ("time", "updateTime", "workingTime")} == {FINE}
    assert order["orderId"] == 1
    assert digits(asked(spot, "/api/v3/time", "MICROSECOND")["serverTime"]) == FINE
    (trade,) = asked(spot, "/api/v3/aggTrades?symbol=BTCUSDT&limit=1", "MICROSECOND")
    assert digits(trade["T"]) == FINE


@pytest.mark.parametrize("name", ["klines", "uiKlines"])
def test_a_candle_ends_with_its_last_microsecond(spot: SpotClient, name: str) -> None:
    (row,) = asked(spot, f"/api/v3/{name}?symbol=BTCUSDT&interval=1m&limit=1", "MICROSECOND")
    assert (digits(row[0]), row[6] - row[0]) == (FINE, 59_999_999)


def test_the_usual_unit_and_the_market_that_has_no_other(spot: SpotClient) -> None:
    assert digits(asked(spot, "/api/v3/time", "MILLISECOND")["serverTime"]) == USUAL
    assert digits(asked(spot, "/fapi/v1/time", "MICROSECOND")["serverTime"]) == USUAL


def test_a_unit_that_is_not_known(spot: SpotClient) -> None:
    assert asked(spot, "/api/v3/time", "second") == {
        "code": -1194,
        "msg": "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
    }


def test_the_websocket_api_and_its_events() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(Market.SPOT, "?timeUnit=MICROSECOND") as client:
            assert digits((await client.ask("time"))["result"]["serverTime"]) == FINE
            await client.ask("userDataStream.subscribe.signature", signed=True)
            stage.trade(Market.SPOT, 60_000)
            await stage.buy(Market.SPOT, "mine", "59000")
            event = await client.event("executionReport")
            assert digits(event["T"]) == digits(event["E"]) == FINE
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with stage.api(Market.SPOT, "?timeUnit=second"):
                pass
        assert refused.value.status == 400

    on_stage(play)
