"""What the futures endpoints cause on the user stream, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
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
    for name, value in (("leverage", {"leverage": 20}), ("marginType", {"marginType": "CROSSED"})):
        client.post(name, symbol="BTCUSDT", **value)
    return client


def events_of(
    venue: FuturesClient, twin: RunningTwin, act: Callable[[], Any], until: str
) -> list[dict[str, Any]]:
    """Every event from the moment before `act` to the first that `until` names (`e` or `e:X`)."""
    kind, _, status = until.partition(":")

    async def run() -> list[dict[str, Any]]:
        headers = {"X-MBX-APIKEY": venue.key}
        url = f"{venue.base}/fapi/v1/listenKey"
        key = venue.http.post(url, headers=headers).json()["listenKey"]
        found: list[dict[str, Any]] = []
        async with aiohttp.ClientSession() as session:
            address = f"{twin.ready['ws_futures']}/private/ws?listenKey={key}"
            async with session.ws_connect(address) as socket:
                await asyncio.to_thread(act)
                while True:
                    event = await asyncio.wait_for(socket.receive_json(), WAIT_S)
                    found.append(event)
                    if event["e"] == kind and status in ("", event.get("o", {}).get("X")):
                        return found

    return asyncio.run(run())


class TestEvents:
    def test_funding_is_a_balance_and_no_position(self, venue, twin):
        venue.order("BUY", "0.100")
        pay = {"symbol": "BTCUSDT", "rate": "0.0002"}
        (event,) = events_of(
            venue, twin, lambda: venue.control("/funding", pay), until="ACCOUNT_UPDATE"
        )
        account = event["a"]
        assert account["m"] == "FUNDING_FEE" and account["P"] == []
        (row,) = account["B"]
        held = {r["asset"]: r["balance"] for r in venue.signed("GET", "/fapi/v3/balance").body}
        assert Decimal(row["bc"]) == -2 and row["wb"] == held[row["a"]]

    def test_a_leverage_is_told(self, venue, twin):
        change = {"symbol": "BTCUSDT", "leverage": 7}
        (event,) = events_of(
            venue, twin, lambda: venue.post("leverage", **change), until="ACCOUNT_CONFIG_UPDATE"
        )
        assert event["ac"] == {"s": "BTCUSDT", "l": 7}

    def test_margin_moved_is_told_with_the_position(self, venue, twin):
        venue.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        venue.order("BUY", "0.100")
        move = {"symbol": "BTCUSDT", "amount": "100", "type": 1}
        (event,) = events_of(
            venue, twin, lambda: venue.post("positionMargin", **move), until="ACCOUNT_UPDATE"
        )
        assert event["a"]["m"] == "MARGIN_TRANSFER"
        (row,) = event["a"]["P"]
        isolated = venue.signed("GET", "/fapi/v3/positionRisk").body[0]["isolatedWallet"]
        assert Decimal(row["iw"]) == Decimal(isolated)

    def test_a_change_in_place_is_an_amendment(self, venue, twin):
        venue.order("BUY", "0.010", "90000", newClientOrderId="moved")
        terms = {"symbol": "BTCUSDT", "origClientOrderId": "moved", "side": "BUY"}
        change = terms | {"price": "91000", "quantity": "0.020"}
        (event,) = events_of(
            venue, twin, lambda: venue.put("order", **change), until="ORDER_TRADE_UPDATE"
        )
        order = event["o"]
        assert (order["x"], order["X"], order["p"], order["q"]) == (
            "AMENDMENT",
            "NEW",
            "91000.0",
            "0.020",
        )

    def test_a_refused_order_is_no_event(self, venue, twin):
        def act() -> None:
            assert venue.order("BUY", "0.010", "100000", timeInForce="GTX").refusal[0] == -5022
            venue.order("BUY", "0.010", "90000", newClientOrderId="after")

        (event,) = events_of(venue, twin, act, until="ORDER_TRADE_UPDATE")
        assert event["o"]["c"] == "after"

    def test_a_conditional_order_from_new_to_finished(self, venue, twin):
        terms = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL"}
        terms |= {"type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "99000"}

        def act() -> None:
            venue.post("algoOrder", **terms, clientAlgoId="told")
            venue.price("98990")

        events = events_of(venue, twin, act, until="ALGO_UPDATE:FINISHED")
        algo = [event["o"] for event in events if event["e"] == "ALGO_UPDATE"]
        assert [row["X"] for row in algo] == ["NEW", "TRIGGERED", "FINISHED"]
        assert algo[0]["o"] == "STOP_MARKET" and algo[0]["ai"] == ""
        orders = [event["o"] for event in events if event["e"] == "ORDER_TRADE_UPDATE"]
        assert [(row["c"], row["x"], row["ot"]) for row in orders] == [
            ("told", "NEW", "STOP_MARKET"),
            ("told", "TRADE", "STOP_MARKET"),
        ]
        assert algo[-1]["ai"] == str(orders[-1]["i"])

    def test_a_liquidation_has_its_own_name_and_step(self, venue, twin):
        venue.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        venue.order("BUY", "0.100")
        events = events_of(
            venue, twin, lambda: venue.price("94000"), until="ORDER_TRADE_UPDATE:FILLED"
        )
        last = events[-1]["o"]
        assert last["x"] == "CALCULATED" and last["c"].startswith("autoclose-")
        assert last["R"] is True and Decimal(last["rp"]) < 0
        update = [event for event in events if event["e"] == "ACCOUNT_UPDATE"][-1]
        assert [row["pa"] for row in update["a"]["P"]] == ["0"]
