"""An order made smaller in place."""

from __future__ import annotations

from typing import Any

import pytest
from spot_client import Reply, SpotClient

PATH = "/api/v3/order/amend/keepPriority"


def amend(spot: SpotClient, **more: Any) -> Reply:
    return spot.signed("PUT", PATH, symbol="BTCUSDT", **more)


def test_it_keeps_its_number_and_its_place(spot: SpotClient) -> None:
    first = spot.limit("BUY", "59000", "0.03", newClientOrderId="first").body
    second = spot.limit("BUY", "59000", "0.01").body
    reply = amend(spot, orderId=first["orderId"], newQty="0.02", newClientOrderId="smaller")
    assert reply.status == 200
    order = reply.body["amendedOrder"]
    assert (order["orderId"], order["qty"]) == (first["orderId"], "0.02000000")
    assert (order["origClientOrderId"], order["clientOrderId"]) == ("first", "smaller")
    assert spot.balance("USDT")[1] == "1770.00000000"
    found = spot.order(origClientOrderId="smaller").body
    assert (found["origQty"], found["status"]) == ("0.02000000", "NEW")
    spot.twin.price("BTCUSDT", "58999")
    trades = spot.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", limit=2).body
    assert [row["orderId"] for row in trades] == [first["orderId"], second["orderId"]]
    assert spot.order(orderId=first["orderId"]).body["status"] == "FILLED"


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"newQty": "0.04"}, -2038, "Order amend (quantity increase) is not supported."),
        ({"newQty": "0.03"}, -2038, "The requested action would change no state; rejecting."),
        ({"newQty": "0.0200001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"newQty": "0.00002"}, -1013, "Filter failure: NOTIONAL"),
        ({"newQty": None}, -1102, "Mandatory parameter 'newQty' was not sent"),
        ({"origClientOrderId": "never"}, -2013, "Order does not exist."),
    ],
)
def test_refusals(spot: SpotClient, change: dict[str, Any], code: int, text: str) -> None:
    placed = spot.limit("BUY", "59000", "0.03", newClientOrderId="whole").body
    reply = amend(spot, **({"origClientOrderId": "whole", "newQty": "0.02"} | change))
    assert reply.refusal[0] == code and text in reply.refusal[1]
    found = spot.order(orderId=placed["orderId"]).body
    assert (found["clientOrderId"], found["origQty"]) == ("whole", "0.03000000")


def test_what_is_executed_stays_executed(spot: SpotClient) -> None:
    placed = spot.limit("BUY", "59000", "0.04", newClientOrderId="eaten").body
    spot.twin.control("/faults", {"inject": "partial_fill", "fraction": "0.5"})
    spot.twin.price("BTCUSDT", "59000")
    found = spot.order(orderId=placed["orderId"]).body
    assert (found["status"], found["executedQty"]) == ("PARTIALLY_FILLED", "0.02000000")
    spot.twin.price("BTCUSDT", "59500")
    assert amend(spot, orderId=placed["orderId"], newQty="0.02").refusal[0] == -2038
    order = amend(spot, orderId=placed["orderId"], newQty="0.03").body["amendedOrder"]
    assert (order["qty"], order["executedQty"]) == ("0.03000000", "0.02000000")
    assert order["status"] == "PARTIALLY_FILLED"
