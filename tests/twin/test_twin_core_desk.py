"""The desk over HTTP: who is let in, in which order it refuses, what faults do to a request."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from spot_client import SpotClient
from waiting import wait_for_room

from gridlab.clock import SystemClock
from gridlab.testing.twin import RunningTwin, running_twin
from gridlab.twin.signing import hmac_hex

ACCOUNT = "/api/v3/account"


def now_ms() -> int:
    return SystemClock().now_ms()


@pytest.fixture(autouse=True)
def quiet(twin: RunningTwin) -> Iterator[None]:
    yield
    twin.control("/faults", {"quiet": True})


class TestDoor:
    def test_keys(self, spot: SpotClient) -> None:
        target = f"{ACCOUNT}?{spot.query()}"
        for headers, code in (
            ({}, -2014),
            ({"X-MBX-APIKEY": ""}, -2014),
            ({"X-MBX-APIKEY": "no key!"}, -2014),
            ({"X-MBX-APIKEY": "short"}, -2014),
            ({"X-MBX-APIKEY": "x" * 64}, -2015),
        ):
            reply = spot.raw("GET", target, headers=headers)
            assert (reply.status, reply.refusal[0]) == (401, code), headers

    @pytest.mark.parametrize(
        ("query", "code", "text"),
        [
            ("", -1102, "Mandatory parameter 'signature' was not sent"),
            ("signature=ab", -1102, "Mandatory parameter 'timestamp' was not sent"),
            ("timestamp=1&signature=ab", -1022, "Signature for this request is not valid."),
        ],
    )
    def test_signature_before_time(
        self, spot: SpotClient, query: str, code: int, text: str
    ) -> None:
        reply = spot.raw("GET", f"{ACCOUNT}?{query}", headers={"X-MBX-APIKEY": spot.key})
        assert reply.status == 400
        assert reply.refusal[0] == code and text in reply.refusal[1]

    @pytest.mark.parametrize(
        ("age_ms", "window", "code"),
        [
            (0, None, None),
            (2_500, None, None),
            (5_001, None, -1021),
            (5_500, "60000", None),
            (500, "200", -1021),
            (100, "2000.5", None),
            (-500, None, None),
            (-3_500, None, -1021),
            (0, "60001", -1131),
            (0, "soon", -1100),
        ],
    )
    def test_time(
        self, spot: SpotClient, age_ms: int, window: str | None, code: int | None
    ) -> None:
        reply = spot.signed("GET", ACCOUNT, timestamp=now_ms() - age_ms, recvWindow=window)
        assert (None if reply.status == 200 else reply.refusal[0]) == code

    def test_the_two_texts_of_a_wrong_clock(self, spot: SpotClient) -> None:
        late = spot.signed("GET", ACCOUNT, timestamp=now_ms() - 20_000)
        assert late.refusal[1] == "Timestamp for this request is outside of the recvWindow."
        early = spot.signed("GET", ACCOUNT, timestamp=now_ms() + 20_000)
        ahead = "Timestamp for this request was 1000ms ahead of the server's time."
        assert early.refusal[1] == ahead

    def test_microseconds_are_a_timestamp_too(self, spot: SpotClient) -> None:
        assert spot.signed("GET", ACCOUNT, timestamp=now_ms() * 1_000).status == 200

    def test_a_name_twice_is_refused_and_the_query_wins_over_the_body(
        self, spot: SpotClient
    ) -> None:
        twice = spot.public("/api/v3/ticker/price?symbol=BTCUSDT&symbol=ETHUSDT")
        assert twice.refusal == (-1101, "Duplicate values for parameter 'symbol' detected.")
        query = f"symbol=BTCUSDT&orderId=1&timestamp={now_ms()}"
        body = "symbol=ETHUSDT"
        signature = hmac_hex(spot.secret, (query + body).encode())
        form = {"X-MBX-APIKEY": spot.key, "Content-Type": "application/x-www-form-urlencoded"}
        target = f"/api/v3/order?{query}&signature={signature}"
        assert spot.raw("DELETE", target, body, form).refusal[0] == -2011

    def test_what_is_not_there(self, spot: SpotClient) -> None:
        assert spot.public("/api/v1/order").status == 404
        reply = spot.raw("PUT", "/api/v3/order")
        assert (reply.status, reply.refusal[0]) == (405, -5000)

    def test_parameters_nobody_asks_for_are_passed_over(self, spot: SpotClient) -> None:
        assert spot.limit("BUY", "59000", newClientStrategyId="x", clientOrderId="").status == 200


class TestFaults:
    def tell(self, spot: SpotClient, **document: Any) -> None:
        spot.twin.control("/faults", document)

    def test_a_lost_request_never_happened(self, spot: SpotClient) -> None:
        self.tell(spot, inject="lost_request", path="/api/v3/order", method="POST")
        with pytest.raises(httpx.TransportError):
            spot.limit("BUY", "59000", newClientOrderId="lost")
        assert spot.order(origClientOrderId="lost").refusal[0] == -2013

    def test_a_lost_reply_has_happened(self, spot: SpotClient) -> None:
        self.tell(spot, inject="lost_reply", path="/api/v3/order", method="POST")
        with pytest.raises(httpx.TransportError):
            spot.limit("BUY", "59000", newClientOrderId="did")
        assert spot.order(origClientOrderId="did").body["status"] == "NEW"

    @pytest.mark.parametrize("executed", [True, False])
    def test_an_unknown_outcome_is_either(self, spot: SpotClient, executed: bool) -> None:
        name = f"either-{executed}"
        self.tell(spot, inject="timed_out", path="/api/v3/order", executed=executed)
        reply = spot.limit("BUY", "59000", newClientOrderId=name)
        assert (reply.status, reply.refusal[0]) == (504, -1007)
        found = spot.order(origClientOrderId=name)
        assert (found.status == 200) is executed

    def test_a_duplicate_is_refused_by_the_venue_itself(self, spot: SpotClient) -> None:
        self.tell(spot, inject="duplicated_request", path="/api/v3/order")
        reply = spot.limit("BUY", "59000", newClientOrderId="copied")
        assert reply.refusal == (-2010, "Duplicate order sent.")
        rows = spot.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").body
        assert [row["clientOrderId"] for row in rows] == ["copied"]

    def test_a_duplicate_of_what_filled_does_not_trade_twice(self, spot: SpotClient) -> None:
        before = Decimal(spot.balance("BTC")[0])
        self.tell(spot, inject="duplicated_request", path="/api/v3/order")
        assert spot.market("BUY", quantity="0.01").body["status"] == "FILLED"
        assert Decimal(spot.balance("BTC")[0]) - before == Decimal("0.00999")

    def test_a_late_request_is_too_late(self, spot: SpotClient) -> None:
        self.tell(spot, inject="late_request", path="/api/v3/order", ms=300)
        reply = spot.limit("BUY", "59000", newClientOrderId="late", recvWindow="250")
        assert reply.refusal[0] == -1021
        assert spot.order(origClientOrderId="late").refusal[0] == -2013

    def test_a_slow_engine_looks_at_the_timestamp_again(self, spot: SpotClient) -> None:
        self.tell(spot, inject="slow_engine", path="/api/v3/order", ms=1_500, count=2)
        reply = spot.limit("BUY", "59000", newClientOrderId="slow", recvWindow="1200")
        assert (reply.status, reply.refusal[0]) == (400, -1021)
        # A read goes to no engine.
        asked = spot.order(origClientOrderId="slow", recvWindow="1200")
        assert asked.refusal[0] == -2013

    def test_a_stale_read_does_not_know_yet(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="young")
        self.tell(spot, inject="stale_read", path="/api/v3/order", ms=2_000, count=1)
        assert spot.order(origClientOrderId="young").refusal[0] == -2013
        assert spot.order(origClientOrderId="young").body["status"] == "NEW"
        self.tell(spot, inject="stale_read", path="/api/v3/openOrders", ms=2_000)
        shown = spot.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT").body
        assert "young" not in [row["clientOrderId"] for row in shown]

    def test_throttled_and_banned(self, spot: SpotClient) -> None:
        self.tell(spot, inject="throttled", ms=1_500)
        reply = spot.public("/api/v3/ping")
        assert (reply.status, reply.refusal[0]) == (429, -1003)
        assert reply.headers["retry-after"] == "2"
        assert spot.public("/api/v3/ping").status == 200
        refused = spot.twin.account()["requests_in_ban"]
        self.tell(spot, inject="banned", ms=2_000)
        assert [spot.public("/api/v3/ping").status for _ in range(3)] == [418] * 3
        assert spot.twin.account()["requests_in_ban"] == refused + 2
        spot.twin.do(spot.twin.world.clock.sleep_until(now_ms() + 2_050))
        assert spot.public("/api/v3/ping").status == 200

    def test_a_skewed_clock_is_told_by_the_venue(self, spot: SpotClient) -> None:
        world = spot.twin.world
        world.faults.drift_to(2_000, now_ms(), at_once=True)
        try:
            before_ms = now_ms()
            served = spot.public("/api/v3/time").body["serverTime"]
            assert before_ms <= served - 2_000 <= now_ms()
            late = spot.signed("GET", ACCOUNT, recvWindow="1000")
            assert late.refusal[0] == -1021
        finally:
            world.faults.drift_to(0, now_ms(), at_once=True)


class TestLimitsOverHttp:
    def test_weights_orders_and_headers(self) -> None:
        with running_twin(symbols=("BTCUSDT",)) as twin:
            spot = SpotClient(twin)
            twin.price("BTCUSDT", "60000")
            wait_for_room(10, 5)
            first = spot.public("/api/v3/exchangeInfo")
            assert first.headers["x-mbx-used-weight-1m"] == "20"
            placed = spot.limit("BUY", "59000")
            # A placement that succeeds costs no weight and counts as one order.
            assert placed.headers["x-mbx-used-weight-1m"] == "20"
            assert placed.headers["x-mbx-order-count-10s"] == "1"
            assert placed.headers["x-mbx-order-count-1d"] == "1"
            refused = spot.limit("BUY", "59000.001")
            assert "x-mbx-order-count-10s" not in refused.headers
            assert refused.headers["x-mbx-used-weight-1m"] == "21"
            counts = spot.signed("GET", "/api/v3/rateLimit/order").body
            assert [row["count"] for row in counts] == [1, 1]
            spot.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
            spot.http.close()

    def test_the_hundred_and_first_order_of_ten_seconds(self) -> None:
        with running_twin(symbols=("BTCUSDT",)) as twin:
            spot = SpotClient(twin)
            twin.price("BTCUSDT", "60000")
            # One window may end meanwhile, so that only the third hundred must hit the limit.
            replies = [spot.limit("BUY", "59000", "0.0001") for _ in range(202)]
            refused = [reply for reply in replies if reply.status == 429]
            assert refused and refused[0].refusal == (
                -1015,
                "Too many new orders; current limit is 100 orders per 10 SECOND.",
            )
            assert 1 <= int(refused[0].headers["retry-after"]) <= 10
            spot.http.close()
