"""USD-M order endpoints over real HTTP: every rule with its code and text, every answer's shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from futures_client import FuturesClient

from gridlab.testing.twin import running_twin

START = Decimal("100000")
PLACED = {
    "orderId": int,
    "symbol": str,
    "status": str,
    "clientOrderId": str,
    "price": str,
    "origQty": str,
    "executedQty": str,
    "cumQty": str,
    "timeInForce": str,
    "type": str,
    "reduceOnly": bool,
    "closePosition": bool,
    "side": str,
    "positionSide": str,
    "stopPrice": str,
    "workingType": str,
    "priceProtect": bool,
    "origType": str,
    "priceMatch": str,
    "selfTradePreventionMode": str,
    "goodTillDate": int,
    "updateTime": int,
}
QUERIED = {k: v for k, v in PLACED.items() if k != "cumQty"} | {
    "avgPrice": str,
    "cumQuote": str,
    "time": int,
}


@pytest.fixture(scope="module")
def running() -> Iterator[FuturesClient]:
    with running_twin(speed=0, pulse_ms=0, has_limits=False) as twin:
        yield FuturesClient(twin.ready, twin.control)


@pytest.fixture
def venue(running: FuturesClient) -> FuturesClient:
    running.clear()
    running.price(str(START))
    return running


def types_of(row: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in row.items()}


class TestPlacing:
    def test_an_acknowledgement_says_new_and_has_no_average(self, venue):
        reply = venue.order("BUY", "0.010", "99000.0", newClientOrderId="one")
        assert reply.status == 200
        assert types_of(reply.body) == PLACED
        assert reply.body["status"] == "NEW"
        assert reply.body["clientOrderId"] == "one"
        assert (reply.body["price"], reply.body["origQty"]) == ("99000.00", "0.010")

    def test_a_market_order_acknowledged_is_new_and_its_result_is_filled(self, venue):
        first = venue.order("BUY", "0.010", newOrderRespType="ACK").body
        assert (first["status"], first["executedQty"]) == ("NEW", "0.000")
        assert venue.get("order", symbol="BTCUSDT", orderId=first["orderId"]).body["status"] == (
            "FILLED"
        )
        second = venue.order("SELL", "0.010").body
        assert (second["status"], second["executedQty"]) == ("FILLED", "0.010")
        assert "avgPrice" not in second and "cumQuote" not in second

    def test_a_query_has_average_and_value(self, venue):
        number = venue.order("BUY", "0.010").body["orderId"]
        row = venue.get("order", symbol="BTCUSDT", orderId=number).body
        assert types_of(row) == QUERIED
        assert Decimal(row["avgPrice"]) == START
        assert Decimal(row["cumQuote"]) == START * Decimal("0.010")

    def test_parameter_names_are_case_blind_and_bodies_count(self, venue):
        terms = {
            "SYMBOL": "BTCUSDT",
            "Side": "BUY",
            "TYPE": "LIMIT",
            "timeinforce": "GTC",
            "QUANTITY": "0.010",
            "price": "99000",
            "newclientorderid": "blind",
            "orderId": "",
        }
        reply = venue.signed("POST", "/fapi/v1/order", in_body=True, **terms)
        assert reply.body["clientOrderId"] == "blind"

    def test_order_counts_are_told_after_a_placement_only(self, venue):
        headers = venue.order("BUY", "0.010", "99000").headers
        assert int(headers["x-mbx-order-count-10s"]) >= 1
        assert int(headers["x-mbx-order-count-1m"]) >= 1
        assert "x-mbx-order-count-10s" not in venue.get("openOrders").headers

    def test_a_test_places_nothing(self, venue):
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        assert venue.post("order/test", **terms).body == {}
        assert venue.post("order/test", **terms | {"quantity": "0"}).refusal[0] == -4003
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []

    def test_a_venue_names_orders_without_a_name(self, venue):
        names = {venue.order("BUY", "0.010", "99000").body["clientOrderId"] for _ in range(3)}
        assert len(names) == 3 and all(len(name) == 22 for name in names)


class TestRefusals:
    @pytest.mark.parametrize(
        ("terms", "code", "message"),
        [
            ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
            ({"side": "HOLD"}, -1117, "Invalid side."),
            ({"type": "LIMIT_MAKER"}, -1116, "Invalid orderType."),
            ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
            ({"newOrderRespType": "FULL"}, -1136, "Invalid newOrderRespType."),
            ({"selfTradePreventionMode": "MAYBE"}, -5039, "Invalid self trade prevention mode"),
            (
                {"price": None},
                -1102,
                "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
            ),
            (
                {"timeInForce": None},
                -1102,
                "Mandatory parameter 'timeinforce' was not sent, was empty/null, or malformed.",
            ),
            (
                {"type": "MARKET"},
                -1106,
                "Parameter 'timeinforce' sent when not required.",
            ),
            (
                {"price": "1e5"},
                -1100,
                "Illegal characters found in parameter 'price'; legal range is "
                "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
            ),
            ({"price": "0"}, -4001, "Price less than 0."),
            ({"price": "810000"}, -4002, "Price greater than max price."),
            ({"price": "261"}, -4013, "Price less than min price."),
            ({"price": "99000.05"}, -4014, "Price not increased by tick size."),
            (
                {"price": "99000.001"},
                -1111,
                "Precision is over the maximum defined for this asset.",
            ),
            ({"quantity": "0"}, -4003, "Quantity less than zero."),
            (
                {"quantity": "0.0005"},
                -1111,
                "Precision is over the maximum defined for this asset.",
            ),
            ({"quantity": "1001"}, -4005, "Quantity greater than max quantity."),
            ({"price": "150000.1"}, -4016, "Limit price can't be higher than 150000."),
            (
                {"side": "SELL", "price": "49999.9"},
                -4024,
                "Limit price can't be lower than 50000.",
            ),
            (
                {"quantity": "0.001"},
                -4164,
                "Order's notional must be no smaller than 100 (unless you choose reduce only).",
            ),
            ({"quantity": "900"}, -2019, "Margin is insufficient."),
            (
                {"newClientOrderId": "x" * 37},
                -4015,
                "Client order id length should not be more than 36 chars",
            ),
            (
                {"newClientOrderId": "not ours"},
                -1100,
                "Illegal characters found in parameter 'newclientorderid'; legal range is "
                "'^[\\.A-Z\\:/a-z0-9_-]{1,36}$'.",
            ),
            (
                {"positionSide": "LONG"},
                -4061,
                "Order's position side does not match user's setting.",
            ),
            ({"positionSide": "UP"}, -4060, "Invalid position side."),
            ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
            (
                {"timeInForce": "GTX", "price": "100000"},
                -5022,
                "Due to the order could not be executed as maker, the Post Only order will be "
                "rejected.",
            ),
            (
                {"timeInForce": "FOK", "price": "99999.9"},
                -5021,
                "Due to the order could not be filled immediately, the FOK order has been "
                "rejected.",
            ),
            (
                {"timeInForce": "GTD", "goodTillDate": "1700000000000"},
                -5040,
                "The goodTillDate timestamp must be greater than the current time plus 600 "
                "seconds and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
            ),
        ],
    )
    def test_each_with_its_code_and_text(self, venue, terms, code, message):
        usual = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "type": "LIMIT"}
        usual |= {"timeInForce": "GTC", "price": "50000", "newClientOrderId": "refused"}
        if terms.get("type") == "MARKET":
            usual["price"] = None
        reply = venue.post("order", **usual | terms)
        assert (reply.status, reply.refusal) == (400, (code, message))
        query = venue.get("order", symbol="BTCUSDT", origClientOrderId="refused")
        assert query.refusal[0] in (-2013, -1100, -4015)
        assert venue.get("openOrders").body == []

    @pytest.mark.parametrize(
        "kind",
        ["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
    )
    def test_conditional_types_have_an_endpoint_of_their_own(self, venue, kind):
        reply = venue.order("SELL", "0.010", "99000", type=kind, stopPrice="99000")
        assert reply.refusal == (
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API "
            "endpoints instead.",
        )

    def test_a_name_that_is_open_is_refused_and_one_that_ended_is_not(self, venue):
        assert venue.order("BUY", "0.010", "99000", newClientOrderId="twice").status == 200
        again = venue.order("BUY", "0.010", "98000", newClientOrderId="twice")
        assert again.refusal == (-4116, "ClientOrderId is duplicated.")
        venue.delete("order", symbol="BTCUSDT", origClientOrderId="twice")
        assert venue.order("BUY", "0.010", "98000", newClientOrderId="twice").status == 200

    def test_a_buy_far_below_and_a_sell_far_above_the_mark_are_legal(self, venue):
        assert venue.order("BUY", "0.400", "261.1").status == 200
        assert venue.order("SELL", "0.001", "800000").status == 200

    def test_a_post_only_order_that_would_take_leaves_no_trace(self, venue):
        reply = venue.order("BUY", "0.010", "100000", timeInForce="GTX", newClientOrderId="taker")
        assert reply.refusal[0] == -5022
        query = venue.get("order", symbol="BTCUSDT", origClientOrderId="taker")
        assert (query.status, query.refusal) == (400, (-2013, "Order does not exist."))
        ids = [row["clientOrderId"] for row in venue.get("allOrders", symbol="BTCUSDT").body]
        assert "taker" not in ids

    def test_too_many_open_orders(self, venue):
        for step in range(200):
            assert venue.order("BUY", "0.002", str(60_000 + step)).status == 200
        reply = venue.order("BUY", "0.002", "59000")
        assert reply.refusal == (-2025, "Reach max open order limit.")
        assert venue.order("BUY", "0.010").status == 200  # a market order takes no place

    def test_hedge_mode_takes_no_order(self, venue):
        venue.post("positionSide/dual", dualSidePosition="true")
        assert venue.order("BUY", "0.010", "99000").refusal[0] == -4061
        hedged = venue.order("BUY", "0.010", "99000", positionSide="LONG", reduceOnly="true")
        assert hedged.refusal == (-1106, "Parameter 'reduceonly' sent when not required.")
        assert venue.order("BUY", "0.010", "99000", positionSide="LONG").refusal[0] == -4088


class TestReduceOnly:
    def test_it_closes_and_never_turns(self, venue):
        venue.order("BUY", "0.010")
        reply = venue.order("SELL", "0.030", reduceOnly="true")
        assert reply.status == 200 and reply.body["reduceOnly"] is True
        assert reply.body["executedQty"] == "0.010"
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []

    def test_the_wrong_side_has_nothing_to_reduce(self, venue):
        venue.order("BUY", "0.010")
        reply = venue.order("BUY", "0.010", "99000", reduceOnly="true")
        assert reply.refusal == (-2022, "ReduceOnly Order is rejected.")

    def test_a_small_one_is_exempt_from_the_least_notional(self, venue):
        venue.order("BUY", "0.010")
        assert venue.order("SELL", "0.001", "90000", reduceOnly="true").status == 200

    def test_what_rests_ends_with_its_position(self, venue):
        venue.order("BUY", "0.010")
        venue.order("SELL", "0.010", "110000", reduceOnly="true", newClientOrderId="rest")
        venue.order("SELL", "0.010")
        row = venue.get("order", symbol="BTCUSDT", origClientOrderId="rest").body
        assert (row["status"], row["executedQty"]) == ("EXPIRED", "0.000")


class TestTimeInForce:
    def test_ioc_that_can_not_fill_expires(self, venue):
        reply = venue.order("BUY", "0.010", "99000", timeInForce="IOC", newOrderRespType="RESULT")
        assert reply.body["status"] == "EXPIRED"
        filled = venue.order(
            "BUY", "0.010", "100100", timeInForce="IOC", newOrderRespType="RESULT"
        ).body
        assert filled["status"] == "FILLED"
        row = venue.get("order", symbol="BTCUSDT", orderId=filled["orderId"]).body
        assert Decimal(row["avgPrice"]) == START  # the book's price, not the limit

    def test_post_only_rests_and_fills_as_maker(self, venue):
        venue.order("BUY", "0.010", "99000", timeInForce="GTX", newClientOrderId="maker")
        venue.price("98990")
        row = venue.get("order", symbol="BTCUSDT", origClientOrderId="maker").body
        assert (row["status"], row["type"], row["timeInForce"]) == ("FILLED", "LIMIT", "GTX")
        trade = venue.get("userTrades", symbol="BTCUSDT", orderId=row["orderId"]).body[0]
        assert trade["maker"] is True and Decimal(trade["price"]) == 99_000

    def test_good_till_date_is_kept(self, venue):
        end_ms = venue.public("/fapi/v1/time").body["serverTime"] + 700_000
        reply = venue.order("BUY", "0.010", "99000", timeInForce="GTD", goodTillDate=end_ms)
        assert (reply.body["timeInForce"], reply.body["goodTillDate"]) == ("GTD", end_ms)


class TestCancelling:
    def test_by_number_and_by_name(self, venue):
        first = venue.order("BUY", "0.010", "99000").body
        venue.order("BUY", "0.010", "98000", newClientOrderId="named")
        by_number = venue.delete("order", symbol="BTCUSDT", orderId=first["orderId"]).body
        assert types_of(by_number) == PLACED
        assert (by_number["status"], by_number["clientOrderId"]) == (
            "CANCELED",
            first["clientOrderId"],
        )
        by_name = venue.delete("order", symbol="BTCUSDT", origClientOrderId="named").body
        assert by_name["status"] == "CANCELED"

    def test_what_is_not_open_is_unknown(self, venue):
        unknown = (400, (-2011, "Unknown order sent."))
        reply = venue.delete("order", symbol="BTCUSDT", origClientOrderId="never")
        assert (reply.status, reply.refusal) == unknown
        filled = venue.order("BUY", "0.010").body
        reply = venue.delete("order", symbol="BTCUSDT", orderId=filled["orderId"])
        assert (reply.status, reply.refusal) == unknown
        wrong = venue.order("BUY", "0.010", "99000").body
        reply = venue.delete("order", symbol="ETHUSDT", orderId=wrong["orderId"])
        assert (reply.status, reply.refusal) == unknown

    def test_an_order_must_be_named(self, venue):
        for send in (venue.delete, venue.get):
            assert send("order", symbol="BTCUSDT").refusal == (
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            )

    def test_all_of_a_symbol_even_when_there_is_none(self, venue):
        for price in ("99000", "98000"):
            venue.order("BUY", "0.010", price)
        venue.order("BUY", "1", "2000", symbol="ETHUSDT")
        done = {"code": 200, "msg": "The operation of cancel all open order is done."}
        assert venue.delete("allOpenOrders", symbol="BTCUSDT").body == done
        assert [row["symbol"] for row in venue.get("openOrders").body] == ["ETHUSDT"]
        assert venue.delete("allOpenOrders", symbol="BTCUSDT").body == done

    def test_the_dead_mans_switch(self, venue):
        venue.order("BUY", "0.010", "99000", newClientOrderId="dead")
        reply = venue.post("countdownCancelAll", symbol="BTCUSDT", countdownTime=60_000)
        assert reply.body == {"symbol": "BTCUSDT", "countdownTime": "60000"}
        venue.post("countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
        assert len(venue.get("openOrders").body) == 1
        venue.post("countdownCancelAll", symbol="BTCUSDT", countdownTime=1)
        for _ in range(200):
            if not venue.get("openOrders").body:
                break
        row = venue.get("order", symbol="BTCUSDT", origClientOrderId="dead").body
        assert row["status"] == "CANCELED"


class TestChanging:
    def test_price_and_quantity_in_place(self, venue):
        before = venue.order("BUY", "0.010", "99000", newClientOrderId="moved").body
        terms = {"symbol": "BTCUSDT", "origClientOrderId": "moved", "side": "BUY"}
        after = venue.put("order", **terms, price="98500", quantity="0.020").body
        assert types_of(after) == PLACED
        assert after["orderId"] == before["orderId"]
        assert (after["price"], after["origQty"], after["status"]) == ("98500.00", "0.020", "NEW")
        venue.price("98500")
        row = venue.get("order", symbol="BTCUSDT", origClientOrderId="moved").body
        assert (row["status"], row["executedQty"]) == ("FILLED", "0.020")

    def test_what_can_not_be_changed(self, venue):
        venue.order("BUY", "0.010", "99000", newClientOrderId="fixed")
        terms = {"symbol": "BTCUSDT", "origClientOrderId": "fixed", "side": "BUY"}
        same = venue.put("order", **terms, price="99000", quantity="0.010")
        assert same.refusal == (-5027, "No need to modify the order.")
        assert venue.put("order", **terms, price="99000.05", quantity="0.010").refusal[0] == -4014
        assert venue.put("order", **terms, quantity="0.010").refusal[0] == -1102
        poor = venue.put("order", **terms, price="99000", quantity="500")
        assert poor.refusal[0] == -2019
        other = terms | {"side": "SELL"}
        assert venue.put("order", **other, price="99000", quantity="0.020").refusal[0] == -1117
        gone = terms | {"origClientOrderId": "never"}
        assert venue.put("order", **gone, price="99000", quantity="0.020").refusal[0] == -2013
        row = venue.get("openOrder", symbol="BTCUSDT", origClientOrderId="fixed").body
        assert (row["price"], row["origQty"]) == ("99000.00", "0.010")

    def test_a_post_only_order_that_would_take_is_cancelled(self, venue):
        venue.order("BUY", "0.010", "99000", timeInForce="GTX", newClientOrderId="gtx")
        terms = {"symbol": "BTCUSDT", "origClientOrderId": "gtx", "side": "BUY"}
        reply = venue.put("order", **terms, price="100000", quantity="0.010")
        assert reply.body["status"] == "CANCELED"


class TestBatches:
    def test_each_order_has_its_own_answer(self, venue):
        usual = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        orders = [
            usual | {"quantity": "0.010", "price": "99000"},
            usual | {"quantity": "0.010", "price": "99000.05"},
            usual | {"quantity": 0.01, "price": 98000, "reduceOnly": False},
        ]
        body = venue.post("batchOrders", batchOrders=json.dumps(orders)).body
        assert [row.get("status", row.get("code")) for row in body] == ["NEW", -4014, "NEW"]
        numbers = [body[0]["orderId"], body[2]["orderId"], 999_999]
        ended = venue.delete("batchOrders", symbol="BTCUSDT", orderIdList=json.dumps(numbers)).body
        assert [row.get("status", row.get("code")) for row in ended] == [
            "CANCELED",
            "CANCELED",
            -2011,
        ]

    def test_changes_and_cancels_by_name(self, venue):
        for name in ("a", "b"):
            venue.order("BUY", "0.010", "99000", newClientOrderId=name)
        usual = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
        changes = [usual | {"origClientOrderId": name, "price": "97000"} for name in ("a", "b")]
        body = venue.put("batchOrders", batchOrders=json.dumps(changes)).body
        assert [row["price"] for row in body] == ["97000.00", "97000.00"]
        names = json.dumps(["a", "b"])
        ended = venue.delete("batchOrders", symbol="BTCUSDT", origClientOrderIdList=names).body
        assert [row["status"] for row in ended] == ["CANCELED", "CANCELED"]

    @pytest.mark.parametrize("text", ["nonsense", "{}", "[1]", '"x"'])
    def test_what_is_no_list_of_orders(self, venue, text):
        reply = venue.post("batchOrders", batchOrders=text)
        assert reply.refusal == (-1130, "Data sent for parameter 'batchorders' is not valid.")

    def test_too_many_at_once(self, venue):
        order = {"symbol": "BTCUSDT"}
        reply = venue.post("batchOrders", batchOrders=json.dumps([order] * 6))
        assert reply.refusal == (-4082, "Invalid number of batch place orders.")
        assert venue.post("batchOrders", batchOrders="[]").refusal[0] == -4082
        numbers = json.dumps(list(range(11)))
        reply = venue.delete("batchOrders", symbol="BTCUSDT", orderIdList=numbers)
        assert reply.refusal[0] == -4032

    def test_a_batch_counts_as_its_orders(self, venue):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        before = int(venue.order("BUY", "0.010", "99000").headers["x-mbx-order-count-1m"])
        reply = venue.post("batchOrders", batchOrders=json.dumps([order] * 3))
        after = int(reply.headers["x-mbx-order-count-1m"])
        assert after == before + 3 or after <= 3


class TestQueries:
    def test_open_ones(self, venue):
        venue.order("BUY", "0.010", "99000", newClientOrderId="open")
        row = venue.get("openOrder", symbol="BTCUSDT", origClientOrderId="open").body
        assert types_of(row) == QUERIED
        assert venue.get("openOrders", symbol="BTCUSDT").body == [row]
        venue.delete("order", symbol="BTCUSDT", origClientOrderId="open")
        gone = venue.get("openOrder", symbol="BTCUSDT", origClientOrderId="open")
        assert gone.refusal == (-2013, "Order does not exist.")

    def test_history_is_inclusive_and_ascending(self, venue):
        numbers = [venue.order("BUY", "0.010", "99000").body["orderId"] for _ in range(4)]
        rows = venue.get("allOrders", symbol="BTCUSDT", orderId=numbers[1], limit=2).body
        assert [row["orderId"] for row in rows] == numbers[1:3]
        newest = venue.get("allOrders", symbol="BTCUSDT", limit=2).body
        assert [row["orderId"] for row in newest] == numbers[2:]

    def test_more_than_seven_days_are_refused(self, venue):
        week_ms = 7 * 86_400_000
        terms = {"symbol": "BTCUSDT", "startTime": 1, "endTime": 2 + week_ms}
        for name in ("allOrders", "userTrades"):
            assert venue.get(name, **terms).refusal == (-4165, "Maximum time interval is 7 days")

    def test_trades_without_times_are_the_oldest(self, venue):
        for _ in range(3):
            venue.order("BUY", "0.010")
        rows = venue.get("userTrades", symbol="BTCUSDT").body
        assert [row["id"] for row in venue.get("userTrades", symbol="BTCUSDT", limit=2).body] == [
            row["id"] for row in rows[:2]
        ]
        since = venue.get("userTrades", symbol="BTCUSDT", fromId=rows[-1]["id"]).body
        assert [row["id"] for row in since] == [rows[-1]["id"]]
        both = {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}
        assert venue.get("userTrades", **both).refusal[0] == -1128

    def test_a_trade_tells_profit_and_fee(self, venue):
        venue.order("BUY", "0.100")
        venue.price("100500")
        number = venue.order("SELL", "0.100").body["orderId"]
        (row,) = venue.get("userTrades", symbol="BTCUSDT", orderId=number).body
        assert set(row) == {
            *("symbol", "id", "orderId", "side", "price", "qty", "realizedPnl", "quoteQty"),
            *("commission", "commissionAsset", "time", "positionSide", "buyer", "maker"),
        }
        assert Decimal(row["realizedPnl"]) == 50
        assert Decimal(row["commission"]) == Decimal("100500") * Decimal("0.1") * Decimal("0.0005")
        assert (row["buyer"], row["maker"], row["commissionAsset"]) == (False, False, "USDT")


class TestSecurity:
    def test_key_signature_and_time_in_that_order(self, venue):
        bare = venue.http.get(f"{venue.base}/fapi/v1/openOrders")
        assert (bare.status_code, bare.json()["code"]) == (401, -2014)
        headers = {"X-MBX-APIKEY": "x" * 64}
        wrong = venue.http.get(f"{venue.base}/fapi/v1/openOrders", headers=headers)
        assert (wrong.status_code, wrong.json()["code"]) == (401, -2015)
        headers = {"X-MBX-APIKEY": venue.key}
        unsigned = venue.http.get(f"{venue.base}/fapi/v1/openOrders", headers=headers)
        assert unsigned.json()["code"] == -1102
        forged = f"{venue.base}/fapi/v1/openOrders?timestamp=1&signature={'0' * 64}"
        assert venue.http.get(forged, headers=headers).json() == {
            "code": -1022,
            "msg": "Signature for this request is not valid.",
        }
        now_ms = venue.public("/fapi/v1/time").body["serverTime"]
        late = venue.get("openOrders", timestamp=now_ms - 6_000)
        assert late.refusal == (-1021, "Timestamp for this request is outside of the recvWindow.")
        early = venue.get("openOrders", timestamp=now_ms + 60_000)
        assert early.refusal == (
            -1021,
            "Timestamp for this request was 1000ms ahead of the server's time.",
        )
        assert venue.get("openOrders", timestamp=now_ms - 6_000, recvWindow=9_000).status == 200
