"""Self-trade prevention: an order that would meet the account's own ends one of them, or both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from futures_client import FuturesClient
from live_desk import Desk, over
from socket_stage import Stage, on_stage
from spot_client import SpotClient

from gridlab.domain.market import Market
from gridlab.testing.twin import RunningTwin, running_twin

IN_MATCH = "EXPIRED_IN_MATCH"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningTwin]:
    with running_twin(symbols=("BTCUSDT",), has_limits=False) as twin:
        yield twin


@pytest.fixture
def spot(running: RunningTwin) -> Iterator[SpotClient]:
    """With half of a buy of 0.02 at 59000 filled, the market standing there."""
    client = SpotClient(running)
    client.clear()
    running.price("BTCUSDT", "60000")
    client.limit("BUY", "59000", "0.02", newClientOrderId="resting")
    running.control("/faults", {"inject": "partial_fill", "fraction": "0.5"})
    running.price("BTCUSDT", "59000")
    yield client
    client.http.close()


def resting(spot: SpotClient) -> dict[str, Any]:
    body: dict[str, Any] = spot.order(origClientOrderId="resting").body
    return body


class TestSpot:
    def test_the_one_that_rests_expires(self, spot: SpotClient) -> None:
        taken = spot.market("SELL", quantity="0.03", newClientOrderId="coming").body
        assert (taken["status"], taken["executedQty"]) == ("FILLED", "0.03000000")
        assert "preventedMatchId" not in taken
        maker = resting(spot)
        assert (maker["status"], maker["executedQty"]) == (IN_MATCH, "0.01000000")
        assert maker["preventedQuantity"] == "0.01000000"
        assert isinstance(maker["preventedMatchId"], int)
        assert "expiryReason" not in maker
        assert spot.balance("USDT")[1] == "0.00000000"

    @pytest.mark.parametrize("kind", ["MARKET", "LIMIT"])
    def test_the_one_that_comes_expires(self, spot: SpotClient, kind: str) -> None:
        terms = {"selfTradePreventionMode": "EXPIRE_TAKER", "newClientOrderId": "coming"}
        if kind == "MARKET":
            taken = spot.market("SELL", quantity="0.03", **terms).body
        else:
            taken = spot.limit("SELL", "58000", "0.03", **terms).body
        assert (taken["status"], taken["executedQty"], taken["fills"]) == (
            IN_MATCH,
            "0.00000000",
            [],
        )
        assert taken["preventedQuantity"] == "0.03000000"
        assert resting(spot)["status"] == "PARTIALLY_FILLED"
        assert spot.balance("BTC")[1] == "0.00000000"

    def test_both_expire(self, spot: SpotClient) -> None:
        taken = spot.market("SELL", quantity="0.01", selfTradePreventionMode="EXPIRE_BOTH").body
        maker = resting(spot)
        assert taken["status"] == maker["status"] == IN_MATCH
        assert taken["preventedMatchId"] == maker["preventedMatchId"]

    def test_nothing_is_prevented_on_demand(self, spot: SpotClient) -> None:
        taken = spot.market("SELL", quantity="0.01", selfTradePreventionMode="NONE").body
        assert taken["status"] == "FILLED"
        assert resting(spot)["status"] == "PARTIALLY_FILLED"

    def test_an_order_at_the_same_price_meets_it_though_the_market_went_below(
        self, spot: SpotClient
    ) -> None:
        spot.twin.control("/faults", {"inject": "partial_fill", "fraction": "0.5"})
        spot.twin.price("BTCUSDT", "58990")
        placed = spot.limit("SELL", "59000", "0.01", newClientOrderId="coming").body
        assert placed["status"] == "NEW"
        assert resting(spot)["status"] == IN_MATCH

    def test_one_beyond_it_does_not(self, spot: SpotClient) -> None:
        assert spot.limit("SELL", "59000.01").body["status"] == "NEW"
        assert spot.limit("BUY", "58000").body["status"] == "NEW"
        assert resting(spot)["status"] == "PARTIALLY_FILLED"

    def test_a_post_only_one_is_refused(self, spot: SpotClient) -> None:
        reply = spot.signed(
            "POST",
            "/api/v3/order",
            symbol="BTCUSDT",
            side="SELL",
            type="LIMIT_MAKER",
            price="59000",
            quantity="0.01",
        )
        assert reply.refusal == (-2010, "Order would immediately match and take.")
        assert resting(spot)["status"] == "PARTIALLY_FILLED"

    def test_one_that_is_refused_ends_nothing(self, spot: SpotClient) -> None:
        assert spot.market("SELL", quantity="100").refusal[0] == -2010
        assert spot.market("SELL", quantity="0.01", newClientOrderId="resting").refusal == (
            -2010,
            "Duplicate order sent.",
        )
        assert resting(spot)["status"] == "PARTIALLY_FILLED"

    def test_a_mode_that_the_symbol_does_not_list(self, spot: SpotClient) -> None:
        reply = spot.market("SELL", quantity="0.01", selfTradePreventionMode="TRANSFER")
        assert reply.refusal == (
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        )


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        (None, "FILLED", IN_MATCH),
        ("EXPIRE_TAKER", IN_MATCH, "PARTIALLY_FILLED"),
        ("EXPIRE_BOTH", IN_MATCH, IN_MATCH),
        ("NONE", "FILLED", "PARTIALLY_FILLED"),
    ],
)
def test_futures(running: RunningTwin, mode: str | None, taker: str, maker: str) -> None:
    venue = FuturesClient(running.ready, running.control)
    venue.delete("allOpenOrders", symbol="BTCUSDT")
    venue.price("60000")
    venue.order("BUY", "0.02", "59000", newClientOrderId="resting")
    running.control("/faults", {"inject": "partial_fill", "fraction": "0.5"})
    venue.price("59000")
    taken = venue.order("SELL", "0.03", selfTradePreventionMode=mode).body
    assert taken["status"] == taker
    found = venue.get("order", symbol="BTCUSDT", origClientOrderId="resting").body
    assert (found["status"], found["executedQty"]) == (maker, "0.010")


def test_events_tell_the_newcomer_then_what_was_prevented_then_its_fill() -> None:
    async def play(stage: Stage) -> None:
        spot = stage.world.venue(Market.SPOT)
        stage.trade(Market.SPOT, 60_000)
        await stage.buy(Market.SPOT, "resting", "59000", "0.02")
        spot.market_trade("BTCUSDT", Decimal(59_000), volume=Decimal("0.01"))
        async with stage.api(Market.SPOT) as client:
            await client.ask("userDataStream.subscribe.signature", signed=True)
            terms = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.03"}
            await client.socket.send_str(stage.request("order.place", terms))
            new, prevented, trade = [await client.event("executionReport") for _ in range(3)]
        assert [event["x"] for event in (new, prevented, trade)] == [
            "NEW",
            "TRADE_PREVENTION",
            "TRADE",
        ]
        assert (prevented["c"], prevented["X"], prevented["z"]) == (
            "resting",
            IN_MATCH,
            "0.01000000",
        )
        assert (prevented["v"], prevented["A"], prevented["U"]) == (1, "0.01000000", new["i"])
        assert (prevented["t"], prevented["l"], prevented["pL"]) == (
            -1,
            "0.00000000",
            "59000.00000000",
        )
        assert "eR" not in prevented
        assert "v" not in new and "v" not in trade

    on_stage(play)


@pytest.mark.parametrize("market", list(Market))
def test_a_grid_whose_order_expired_in_a_match_books_its_fill_and_places_anew(
    tmp_path: Path, market: Market
) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(market)
        account = desk.twin.account()[market.value]
        buy = max(
            (row for row in account["open_orders"] if row["side"] == "buy"),
            key=lambda row: Decimal(row["price"]),
        )
        await desk.fault("partial_fill", fraction="0.5")
        await asyncio.to_thread(desk.twin.price, "BTCUSDT", buy["price"], market)
        sold = await asyncio.to_thread(_sell, desk.twin, market)
        assert sold["status"] == "FILLED"
        await desk.agree()
        rows = desk.twin.account()[market.value]["orders"]
        ended = next(row for row in rows if row["client_id"] == buy["client_id"])
        assert (ended["status"], ended["executed"] > "0") == ("expired", True)
        await desk.until(lambda: all(slot.order for slot in bot.grid.slots))
        await desk.agree()

    with running_twin(symbols=("BTCUSDT",)) as twin:
        over(twin, tmp_path, story)


def _sell(twin: RunningTwin, market: Market) -> Any:
    """Somebody else with the same account sells at the market."""
    if market is Market.FUTURES:
        return FuturesClient(twin.ready, twin.control).order("SELL", "0.005").body
    client = SpotClient(twin)
    sold = client.market("SELL", quantity="0.005").body
    client.http.close()
    return sold
