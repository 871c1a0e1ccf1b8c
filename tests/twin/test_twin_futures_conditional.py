"""USD-M's conditional orders: accepted, triggered, followed by an order, cancelled, refused."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from futures_client import FuturesClient, Reply

from gridlab.domain.orders import Side
from gridlab.testing.twin import running_twin
from gridlab.twin.futures_algo import AlgoOrder, AlgoType

START = "100000"


@pytest.fixture(scope="module")
def running() -> Iterator[FuturesClient]:
    with running_twin(speed=0, has_limits=False) as twin:
        yield FuturesClient(twin.ready, twin.control)


@pytest.fixture
def venue(running: FuturesClient) -> FuturesClient:
    running.clear()
    running.price(START)
    return running


def conditional(venue: FuturesClient, side: str, kind: str, **terms: Any) -> Reply:
    usual = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "quantity": "0.010"}
    return venue.post("algoOrder", **usual | {"side": side, "type": kind} | terms)


def settled(venue: FuturesClient, client_id: str, status: str) -> dict[str, Any]:
    """The order once it has this status: triggers are carried out right after the trade."""
    row: dict[str, Any] = {}
    for _ in range(200):
        row = venue.get("algoOrder", clientAlgoId=client_id).body
        if row["algoStatus"] == status:
            return row
    raise AssertionError(f"{client_id} is {row['algoStatus']} and never became {status}")


class TestLife:
    def test_a_stop_waits_and_then_sells(self, venue):
        venue.order("BUY", "0.010")
        terms = {"triggerPrice": "99000", "reduceOnly": "true", "clientAlgoId": "stop"}
        placed = conditional(venue, "SELL", "STOP_MARKET", **terms).body
        assert placed["algoStatus"] == "NEW" and type(placed["algoId"]) is int
        assert placed["icebergQuantity"] is None and placed["triggerTime"] == 0
        assert venue.get("openOrders").body == []  # it is not in the book
        venue.price("99000.1")
        assert len(venue.get("openAlgoOrders").body) == 1
        venue.price("99000")
        row = settled(venue, "stop", "FINISHED")
        assert Decimal(row["actualPrice"]) == 99_000
        order = venue.get("order", symbol="BTCUSDT", orderId=row["actualOrderId"]).body
        assert (order["type"], order["origType"], order["status"]) == (
            "MARKET",
            "STOP_MARKET",
            "FILLED",
        )
        assert order["clientOrderId"] == "stop"
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []
        assert venue.get("openAlgoOrders").body == []

    def test_a_take_profit_becomes_a_limit_order(self, venue):
        terms = {"triggerPrice": "101000", "price": "102000", "clientAlgoId": "profit"}
        conditional(venue, "SELL", "TAKE_PROFIT", **terms)
        venue.price("101000")
        row = settled(venue, "profit", "TRIGGERED")
        order = venue.get("openOrder", symbol="BTCUSDT", orderId=row["actualOrderId"]).body
        assert (order["type"], order["origType"], order["price"]) == (
            "LIMIT",
            "TAKE_PROFIT",
            "102000.00",
        )
        venue.price("102000")
        assert settled(venue, "profit", "FINISHED")["actualQty"] == "0.010"

    def test_an_order_that_is_cancelled_after_its_trigger_expires(self, venue):
        terms = {"triggerPrice": "101000", "price": "102000", "clientAlgoId": "dropped"}
        conditional(venue, "SELL", "TAKE_PROFIT", **terms)
        venue.price("101000")
        row = settled(venue, "dropped", "TRIGGERED")
        venue.delete("order", symbol="BTCUSDT", orderId=row["actualOrderId"])
        settled(venue, "dropped", "EXPIRED")

    def test_close_position_takes_all_there_is(self, venue):
        venue.order("SELL", "0.030")
        terms = {"triggerPrice": "101000", "closePosition": "true", "quantity": None}
        reply = conditional(venue, "BUY", "STOP_MARKET", clientAlgoId="all", **terms)
        assert reply.body["closePosition"] is True
        venue.price("101500")
        assert settled(venue, "all", "FINISHED")["actualQty"] == "0.030"
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []

    def test_close_position_without_a_position_expires(self, venue):
        terms = {"triggerPrice": "101000", "closePosition": "true", "quantity": None}
        conditional(venue, "BUY", "STOP_MARKET", clientAlgoId="nothing", **terms)
        venue.price("101500")
        settled(venue, "nothing", "EXPIRED")

    def test_what_the_engine_refuses_is_rejected(self, venue):
        terms = {"triggerPrice": "101000", "reduceOnly": "true", "clientAlgoId": "flat"}
        conditional(venue, "BUY", "STOP_MARKET", **terms)
        venue.price("101000")
        settled(venue, "flat", "REJECTED")

    def test_a_trailing_stop_follows_the_price(self, venue):
        venue.order("BUY", "0.010")
        terms = {"callbackRate": "1", "activatePrice": "101000", "clientAlgoId": "trail"}
        placed = conditional(venue, "SELL", "TRAILING_STOP_MARKET", **terms).body
        assert placed["callbackRate"] == "1.0"
        for price in ("99000", "100500", "101000", "103000", "102000"):
            venue.price(price)
        assert venue.get("algoOrder", clientAlgoId="trail").body["algoStatus"] == "NEW"
        venue.price("101970")
        assert Decimal(settled(venue, "trail", "FINISHED")["actualPrice"]) == 101_970


class TestCancelling:
    def test_one_with_the_code_as_a_text(self, venue):
        placed = conditional(venue, "SELL", "STOP_MARKET", triggerPrice="99000").body
        reply = venue.delete("algoOrder", algoId=placed["algoId"])
        assert reply.body == {
            "algoId": placed["algoId"],
            "clientAlgoId": placed["clientAlgoId"],
            "code": "200",
            "msg": "success",
        }
        again = venue.delete("algoOrder", algoId=placed["algoId"])
        assert again.refusal == (-2011, "Unknown order sent.")
        venue.price("99000")
        row = venue.get("algoOrder", algoId=placed["algoId"]).body
        assert (row["algoStatus"], row["actualOrderId"]) == ("CANCELED", "")

    def test_all_of_a_symbol_and_the_history(self, venue):
        numbers = [
            conditional(venue, "SELL", "STOP_MARKET", triggerPrice="99000").body["algoId"]
            for _ in range(3)
        ]
        assert [row["algoId"] for row in venue.get("openAlgoOrders").body] == numbers
        done = venue.delete("algoOpenOrders", symbol="BTCUSDT").body
        assert done["code"] == 200
        assert venue.get("openAlgoOrders", symbol="BTCUSDT").body == []
        rows = venue.get("allAlgoOrders", symbol="BTCUSDT", algoId=numbers[1], limit=2).body
        assert [(row["algoId"], row["algoStatus"]) for row in rows] == [
            (number, "CANCELED") for number in numbers[1:]
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("side", "kind", "terms", "code"),
        [
            ("SELL", "STOP_MARKET", {"triggerPrice": "100000"}, -2021),
            ("BUY", "STOP_MARKET", {"triggerPrice": "99000"}, -2021),
            ("SELL", "TAKE_PROFIT_MARKET", {"triggerPrice": "99000"}, -2021),
            ("BUY", "TAKE_PROFIT_MARKET", {"triggerPrice": "101000"}, -2021),
            ("SELL", "STOP_MARKET", {}, -1102),
            ("SELL", "STOP", {"triggerPrice": "99000"}, -1102),
            ("SELL", "LIMIT", {"triggerPrice": "99000"}, -1116),
            ("SELL", "STOP_MARKET", {"triggerPrice": "99000", "algoType": "VP"}, -1116),
            ("SELL", "STOP_MARKET", {"triggerPrice": "99000.05"}, -4014),
            ("SELL", "STOP_MARKET", {"triggerPrice": "99000", "quantity": "0"}, -4003),
            ("SELL", "STOP_MARKET", {"triggerPrice": "99000", "closePosition": "true"}, -4137),
            ("SELL", "STOP_MARKET", {"triggerPrice": "99000", "positionSide": "LONG"}, -4061),
            ("SELL", "TRAILING_STOP_MARKET", {"callbackRate": "0.05"}, -2007),
            ("SELL", "TRAILING_STOP_MARKET", {"callbackRate": "11"}, -2007),
        ],
    )
    def test_each_with_its_code(self, venue, side, kind, terms, code):
        reply = conditional(venue, side, kind, **terms)
        assert (reply.status, reply.refusal[0]) == (400, code)
        assert venue.get("openAlgoOrders").body == []

    def test_a_name_is_taken_while_it_is_open(self, venue):
        terms = {"triggerPrice": "99000", "clientAlgoId": "once"}
        assert conditional(venue, "SELL", "STOP_MARKET", **terms).status == 200
        assert conditional(venue, "SELL", "STOP_MARKET", **terms).refusal[0] == -4116
        venue.delete("algoOrder", clientAlgoId="once")
        assert conditional(venue, "SELL", "STOP_MARKET", **terms).status == 200

    def test_an_unknown_one(self, venue):
        assert venue.get("algoOrder", clientAlgoId="never").refusal[0] == -2013
        assert venue.get("algoOrder").refusal[0] == -1102


class TestTriggers:
    @pytest.mark.parametrize(
        ("side", "kind", "met", "unmet"),
        [
            (Side.SELL, AlgoType.STOP_MARKET, "99", "101"),
            (Side.BUY, AlgoType.STOP_MARKET, "101", "99"),
            (Side.SELL, AlgoType.TAKE_PROFIT_MARKET, "101", "99"),
            (Side.BUY, AlgoType.TAKE_PROFIT_MARKET, "99", "101"),
        ],
    )
    def test_each_kind_waits_for_its_side(self, side, kind, met, unmet):
        order = AlgoOrder(
            algo_id=1,
            client_id="a",
            symbol="BTCUSDT",
            side=side,
            kind=kind,
            quantity=Decimal(1),
            price=Decimal(0),
            trigger=Decimal(100),
            time_in_force="GTC",
            working_type="CONTRACT_PRICE",
            created_ms=0,
        )
        assert order.is_met(Decimal(met)) and order.is_met(Decimal(100))
        assert not order.is_met(Decimal(unmet))
