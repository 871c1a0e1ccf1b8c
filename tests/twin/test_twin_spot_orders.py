"""Spot orders over HTTP: what is placed, filled, cancelled, asked; each refusal with its text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from spot_client import SpotClient

ORDER_KEYS = [
    *("symbol", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty"),
    *("cummulativeQuoteQty", "status", "timeInForce", "type", "side", "stopPrice", "icebergQty"),
    *("time", "updateTime", "isWorking", "workingTime", "origQuoteOrderQty"),
    "selfTradePreventionMode",
]
PLACED_KEYS = [
    *("symbol", "orderId", "orderListId", "clientOrderId", "transactTime", "price", "origQty"),
    *("executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce", "type"),
    *("side", "workingTime", "selfTradePreventionMode"),
]


class TestPlacing:
    def test_a_resting_order_fills_at_its_own_price_when_the_market_comes(
        self, spot: SpotClient
    ) -> None:
        placed = spot.limit("BUY", "59000", newClientOrderId="rests")
        assert placed.status == 200
        assert list(placed.body) == [*PLACED_KEYS, "fills"]
        assert (placed.body["status"], placed.body["fills"]) == ("NEW", [])
        assert placed.body["price"] == "59000.00000000"
        before = spot.balance("USDT")
        spot.twin.price("BTCUSDT", "58000")
        order = spot.order(orderId=placed.body["orderId"]).body
        assert list(order) == ORDER_KEYS
        assert (order["status"], order["executedQty"]) == ("FILLED", "0.01000000")
        assert order["cummulativeQuoteQty"] == "590.00000000"
        trades = spot.signed(
            "GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=order["orderId"]
        ).body
        assert [(t["price"], t["isMaker"], t["isBuyer"]) for t in trades] == [
            ("59000.00000000", True, True)
        ]
        # The commission comes out of what was received.
        assert (trades[0]["commission"], trades[0]["commissionAsset"]) == ("0.00001000", "BTC")
        free, locked = spot.balance("USDT")
        assert (free, Decimal(before[1]) - Decimal(locked)) == (before[0], Decimal(590))

    def test_a_taker_fills_at_the_market_and_gets_the_rest_back(self, spot: SpotClient) -> None:
        free_before = Decimal(spot.balance("USDT")[0])
        order = spot.limit("BUY", "61000").body
        assert (order["status"], order["price"]) == ("FILLED", "61000.00000000")
        fill = order["fills"][0]
        assert (fill["price"], fill["qty"]) == ("60000.00000000", "0.01000000")
        assert free_before - Decimal(spot.balance("USDT")[0]) == 600

    @pytest.mark.parametrize("tif", ["IOC", "FOK"])
    def test_what_cannot_fill_at_once_expires(self, spot: SpotClient, tif: str) -> None:
        order = spot.limit("BUY", "59000", timeInForce=tif).body
        assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.00000000")
        found = spot.order(orderId=order["orderId"]).body
        reason = "IOC_QUANTITY" if tif == "IOC" else "FOK_ORDER"
        assert found["expiryReason"] == f"UNFILLED_{reason}_EXPIRED"
        assert spot.balance("USDT")[1] == "0.00000000"
        assert spot.limit("BUY", "60000", timeInForce=tif).body["status"] == "FILLED"

    def test_answers_by_type_and_by_wish(self, spot: SpotClient) -> None:
        maker: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER"}
        maker |= {"price": "59000", "quantity": "0.01"}
        ack = spot.signed("POST", "/api/v3/order", **maker).body
        keys = ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
        assert list(ack) == keys
        result = spot.signed("POST", "/api/v3/order", newOrderRespType="RESULT", **maker).body
        assert list(result) == PLACED_KEYS
        assert "fills" in spot.market("BUY", quantity="0.01").body
        assert list(spot.market("SELL", quantity="0.01", newOrderRespType="ACK").body) == keys

    def test_a_market_order_of_so_much_quote(self, spot: SpotClient) -> None:
        order = spot.market("BUY", quoteOrderQty="1000").body
        assert (order["executedQty"], order["origQuoteOrderQty"]) == ("0.01666000", "1000.00000000")
        assert order["cummulativeQuoteQty"] == "999.60000000"

    def test_a_test_places_nothing(self, spot: SpotClient) -> None:
        given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert spot.signed("POST", "/api/v3/order/test", **given).body == {}
        rates = spot.signed("POST", "/api/v3/order/test", computeCommissionRates="true", **given)
        assert rates.body["standardCommissionForOrder"]["taker"] == "0.00100000"
        # More than anybody owns passes: no funds are looked at.
        assert spot.signed("POST", "/api/v3/order/test", **(given | {"quantity": "5"})).body == {}
        assert spot.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").body == []

    def test_client_ids_are_unique_among_open_orders_only(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="twice")
        again = spot.limit("BUY", "59000", newClientOrderId="twice")
        assert (again.status, again.refusal) == (400, (-2010, "Duplicate order sent."))
        spot.cancel(origClientOrderId="twice")
        second = spot.limit("BUY", "58500", newClientOrderId="twice").body
        assert spot.order(origClientOrderId="twice").body["orderId"] == second["orderId"]
        assert "twice" in spot.twin.account()["spot"]["repeated_client_ids"]

    def test_strategy_numbers_come_back(self, spot: SpotClient) -> None:
        placed = spot.limit("BUY", "59000", strategyId="7", strategyType="1000001").body
        assert (placed["strategyId"], placed["strategyType"]) == (7, 1000001)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
    ({"symbol": "btcusdt"}, -1100, "Illegal characters found in parameter 'symbol'"),
    ({"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent"),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "GUESS"}, -1116, "Invalid orderType."),
    ({"type": "STOP_LOSS"}, -1013, "Stop loss orders are not supported for this symbol."),
    ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent"),
    ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    ({"price": None}, -1102, "Mandatory parameter 'price' was not sent"),
    ({"price": ""}, -1102, "Mandatory parameter 'price' was not sent"),
    ({"price": "1e4"}, -1100, "Illegal characters found in parameter 'price'; legal range is '^"),
    ({"price": "-5"}, -1100, "Illegal characters found in parameter 'price'"),
    ({"price": "0"}, -1013, "Invalid price."),
    ({"quantity": "0"}, -1013, "Invalid quantity."),
    ({"quantity": "0.0000000001"}, -1111, "Parameter 'quantity' has too much precision."),
    ({"quoteOrderQty": "100"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
    ({"stopPrice": "100"}, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"newClientOrderId": "with space"}, -1100, "legal range is '^[a-zA-Z0-9-_]{1,36}$'."),
    ({"newClientOrderId": "x" * 37}, -1100, "Illegal characters found in parameter"),
    ({"selfTradePreventionMode": "ODD"}, -1013, "does not allow the specified self-trade"),
    ({"newOrderRespType": "ALL"}, -1136, "Invalid newOrderRespType."),
    ({"price": "59000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "29999.99"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"price": "72000.01"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"side": "SELL", "price": "47999.99"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"side": "SELL", "price": "120000.01"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"quantity": "0.000011"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0.00008"}, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "200"}, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "5"}, -2010, "Account has insufficient balance for requested action."),
    ({"side": "SELL", "quantity": "50"}, -2010, "Account has insufficient balance for requested"),
]


@pytest.mark.parametrize(("change", "code", "text"), REFUSED)
def test_refusals_of_a_limit_order(
    spot: SpotClient, change: dict[str, Any], code: int, text: str
) -> None:
    given: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT"}
    given |= {"timeInForce": "GTC", "quantity": "0.01", "price": "59000"}
    reply = spot.signed("POST", "/api/v3/order", **(given | change))
    assert reply.status == 400
    assert reply.refusal[0] == code and text in reply.refusal[1]
    assert spot.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").body == []


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"price": "60000"}, -1106, "Parameter 'price' sent when not required."),
        ({"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"quantity": None}, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both"),
        ({"quoteOrderQty": "100"}, -1128, "Combination of optional parameters invalid."),
        ({"quantity": "0.00005"}, -1013, "Filter failure: NOTIONAL"),
        ({"quantity": "901"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
    ],
)
def test_refusals_of_a_market_order(
    spot: SpotClient, change: dict[str, Any], code: int, text: str
) -> None:
    reply = spot.market("BUY", **({"quantity": "0.01"} | change))
    assert reply.refusal[0] == code and text in reply.refusal[1]


def test_post_only_refuses_to_take(spot: SpotClient) -> None:
    given = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT_MAKER", "quantity": "0.01"}
    refused = spot.signed("POST", "/api/v3/order", price="59000", **given)
    assert refused.refusal == (-2010, "Order would immediately match and take.")
    with_time = spot.signed("POST", "/api/v3/order", price="61000", timeInForce="GTC", **given)
    assert with_time.refusal == (-1106, "Parameter 'timeInForce' sent when not required.")
    # At the best price of its own side it rests.
    best = spot.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT").body["askPrice"]
    assert spot.signed("POST", "/api/v3/order", price=best, **given).status == 200


def test_bounds_of_the_price_band_are_inside_it(spot: SpotClient) -> None:
    for side, price in (("BUY", "30000"), ("BUY", "72000"), ("SELL", "48000"), ("SELL", "120000")):
        assert spot.limit(side, price).status == 200, (side, price)


def test_too_many_open_orders(spot: SpotClient) -> None:
    place = {"venue": "spot", "symbol": "BTCUSDT"}
    spot.twin.control("/instrument", place | {"max_num_orders": 2})
    try:
        assert [spot.limit("BUY", "59000").status for _ in range(2)] == [200, 200]
        refused = spot.limit("BUY", "59000")
        assert refused.refusal == (-2010, "Filter failure: MAX_NUM_ORDERS")
        assert spot.market("BUY", quantity="0.01").status == 200
    finally:
        spot.twin.control("/instrument", place | {"max_num_orders": 200})


def test_a_halted_symbol_takes_cancels_only(spot: SpotClient) -> None:
    spot.limit("BUY", "59000", newClientOrderId="before")
    place = {"venue": "spot", "symbol": "BTCUSDT"}
    spot.twin.control("/instrument", place | {"status": "CANCEL_ONLY"})
    try:
        assert spot.limit("BUY", "59000").refusal == (-2010, "Market is closed.")
        assert spot.cancel(origClientOrderId="before").status == 200
    finally:
        spot.twin.control("/instrument", place | {"status": "TRADING"})


class TestCancelling:
    def test_the_cancel_has_a_name_of_its_own(self, spot: SpotClient) -> None:
        placed = spot.limit("BUY", "59000", newClientOrderId="mine").body
        ended = spot.cancel(orderId=placed["orderId"], newClientOrderId="the-cancel").body
        assert (ended["origClientOrderId"], ended["clientOrderId"]) == ("mine", "the-cancel")
        assert ended["status"] == "CANCELED"
        assert spot.order(origClientOrderId="mine").body["status"] == "CANCELED"
        assert spot.order(origClientOrderId="the-cancel").refusal[0] == -2013

    def test_unknown_filled_and_cancelled_orders_are_unknown(self, spot: SpotClient) -> None:
        filled = spot.market("BUY", quantity="0.01").body
        for which in ({"orderId": filled["orderId"]}, {"origClientOrderId": "never"}):
            assert spot.cancel(**which).refusal == (-2011, "Unknown order sent.")
        assert spot.cancel().refusal[0] == -1102
        assert spot.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").refusal == (
            -2011,
            "Unknown order sent.",
        )

    def test_an_empty_number_beside_the_name_counts_as_absent(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="named")
        assert spot.cancel(orderId="", origClientOrderId="named").status == 200

    def test_number_and_name_must_agree(self, spot: SpotClient) -> None:
        placed = spot.limit("BUY", "59000", newClientOrderId="right").body
        wrong = spot.cancel(orderId=placed["orderId"], origClientOrderId="wrong")
        assert wrong.refusal == (-2011, "Unknown order sent.")

    def test_restrictions(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="fresh")
        partly = {"cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
        refused = spot.cancel(origClientOrderId="fresh", **partly)
        assert refused.refusal == (-2011, "Order was not canceled due to cancel restrictions.")
        assert spot.cancel(origClientOrderId="fresh", cancelRestrictions="ONLY_NEW").status == 200

    def test_all_of_a_symbol(self, spot: SpotClient) -> None:
        names = [spot.limit("BUY", price).body["clientOrderId"] for price in ("59000", "58000")]
        rows = spot.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT").body
        assert [row["origClientOrderId"] for row in rows] == names
        assert spot.balance("USDT")[1] == "0.00000000"

    def test_the_exchange_cancels_too(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="gone")
        which = {"venue": "spot", "symbol": "BTCUSDT", "client_id": "gone"}
        assert spot.twin.control("/order/cancel", which)["status"] == "expired"
        order = spot.order(origClientOrderId="gone").body
        assert (order["status"], order["expiryReason"]) == ("EXPIRED", "EXCHANGE_CANCELED")


class TestReplacing:
    PATH = "/api/v3/order/cancelReplace"

    def replace(self, spot: SpotClient, **more: Any) -> Any:
        given: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT"}
        given |= {"timeInForce": "GTC", "quantity": "0.01", "price": "58000"}
        given |= {"cancelReplaceMode": "STOP_ON_FAILURE"}
        return spot.signed("POST", self.PATH, **(given | more))

    def test_both_halves(self, spot: SpotClient) -> None:
        old = spot.limit("BUY", "59000").body
        reply = self.replace(spot, cancelOrderId=old["orderId"], newClientOrderId="new")
        assert reply.status == 200
        assert (reply.body["cancelResult"], reply.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
        assert reply.body["cancelResponse"]["orderId"] == old["orderId"]
        assert reply.body["newOrderResponse"]["clientOrderId"] == "new"

    def test_a_cancel_that_fails_stops_the_rest(self, spot: SpotClient) -> None:
        reply = self.replace(spot, cancelOrigClientOrderId="never")
        assert (reply.status, reply.refusal) == (400, (-2022, "Order cancel-replace failed."))
        assert reply.body["data"] == {
            "cancelResult": "FAILURE",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
            "newOrderResponse": None,
        }

    def test_unless_failure_is_allowed(self, spot: SpotClient) -> None:
        reply = self.replace(
            spot, cancelOrigClientOrderId="never", cancelReplaceMode="ALLOW_FAILURE"
        )
        assert (reply.status, reply.refusal[0]) == (409, -2021)
        assert reply.body["msg"] == "Order cancel-replace partially failed."
        data = reply.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "SUCCESS")
        assert data["newOrderResponse"]["status"] == "NEW"

    def test_a_new_order_that_the_engine_refuses(self, spot: SpotClient) -> None:
        old = spot.limit("BUY", "59000").body
        reply = self.replace(spot, cancelOrderId=old["orderId"], quantity="9")
        assert (reply.status, reply.refusal[0]) == (409, -2021)
        data = reply.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
        assert data["newOrderResponse"]["code"] == -2010
        assert spot.order(orderId=old["orderId"]).body["status"] == "CANCELED"

    def test_filters_are_judged_before_anything_is_cancelled(self, spot: SpotClient) -> None:
        old = spot.limit("BUY", "59000").body
        place = {"venue": "spot", "symbol": "BTCUSDT"}
        spot.twin.control("/instrument", place | {"max_num_orders": 1})
        try:
            reply = self.replace(spot, cancelOrderId=old["orderId"])
        finally:
            spot.twin.control("/instrument", place | {"max_num_orders": 200})
        assert (reply.status, reply.refusal[0]) == (400, -2022)
        data = reply.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "FAILURE")
        assert data["newOrderResponse"]["msg"] == "Filter failure: MAX_NUM_ORDERS"
        assert spot.order(orderId=old["orderId"]).body["status"] == "NEW"

    def test_parameters_are_refused_plainly(self, spot: SpotClient) -> None:
        assert self.replace(spot).refusal[0] == -1102
        assert self.replace(spot, cancelOrderId="1", price="x").refusal[0] == -1100


class TestAsking:
    def test_an_unknown_order(self, spot: SpotClient) -> None:
        assert spot.order(orderId=999999).refusal == (-2013, "Order does not exist.")
        assert spot.order(origClientOrderId="never").refusal == (-2013, "Order does not exist.")
        text = "Param 'orderId' or 'origClientOrderId' must be sent, but both were empty/null!"
        assert spot.order().refusal == (-1102, text)

    def test_open_orders_of_one_symbol_and_of_all(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000")
        spot.limit("BUY", "1800", "0.1", symbol="ETHUSDT")
        both = spot.signed("GET", "/api/v3/openOrders").body
        assert [row["symbol"] for row in both] == ["BTCUSDT", "ETHUSDT"]
        one = spot.signed("GET", "/api/v3/openOrders", symbol="ETHUSDT").body
        assert [row["symbol"] for row in one] == ["ETHUSDT"]
        spot.signed("DELETE", "/api/v3/openOrders", symbol="ETHUSDT")

    def test_all_orders_by_number_time_and_newest(self, spot: SpotClient) -> None:
        path, symbol = "/api/v3/allOrders", "ETHUSDT"
        numbers = [
            spot.limit("BUY", "1800", "0.1", symbol=symbol).body["orderId"] for _ in range(5)
        ]
        newest = spot.signed("GET", path, symbol=symbol, limit=2).body
        assert [row["orderId"] for row in newest] == numbers[-2:]
        onward = spot.signed("GET", path, symbol=symbol, orderId=numbers[1], limit=2).body
        assert [row["orderId"] for row in onward] == numbers[1:3]
        placed_ms = spot.signed("GET", path, symbol=symbol, orderId=numbers[0]).body[0]["time"]
        early = spot.signed("GET", path, symbol=symbol, endTime=placed_ms - 1).body
        assert numbers[0] not in [row["orderId"] for row in early]
        since = spot.signed("GET", path, symbol=symbol, startTime=placed_ms, limit=1).body
        assert [row["orderId"] for row in since] == numbers[:1]
        refused = spot.signed("GET", path, symbol=symbol, startTime=1, endTime=86_400_002)
        assert refused.refusal == (-1127, "More than 24 hours between startTime and endTime.")
        spot.signed("DELETE", "/api/v3/openOrders", symbol=symbol)
