"""Each fault of the twin, told over the control port and seen over real HTTP and sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from futures_client import FuturesClient, Reply

from gridlab.clock import SystemClock, monotonic_s
from gridlab.errors import Conflict
from gridlab.testing.twin import running_twin

ORDER = "/fapi/v1/order"
#: For how long the storm's orders are fresh; a busy machine needs a part of it to send them.
WINDOW_MS = 1_000
ABSENT = (-2013, "Order does not exist.")


@pytest.fixture(scope="module")
def running() -> Iterator[FuturesClient]:
    with running_twin(speed=0, has_limits=False) as twin:
        yield FuturesClient(twin.ready, twin.control)


@pytest.fixture
def venue(running: FuturesClient) -> FuturesClient:
    running.clear()
    running.price("100000")
    return running


def inject(venue: FuturesClient, kind: str, **terms: Any) -> Any:
    return venue.control("/faults", {"inject": kind} | terms)


def injected(venue: FuturesClient, kind: str) -> int:
    return venue.control("/account")["faults"].get(kind, 0)


def found(venue: FuturesClient, client_id: str) -> Reply:
    return venue.get("order", symbol="BTCUSDT", origClientOrderId=client_id)


def limit(venue: FuturesClient, client_id: str, **more: Any) -> Reply:
    return venue.order("BUY", "0.010", "90000", newClientOrderId=client_id, **more)


def until(condition: Callable[[], object]) -> None:
    """Ask until it holds; a twin in another thread needs a moment."""
    end_s = monotonic_s() + 30
    while not condition():
        assert monotonic_s() < end_s, "it never came true"


class TestLost:
    def test_a_lost_request_never_happened(self, venue):
        before = injected(venue, "lost_request")
        inject(venue, "lost_request", path=ORDER, method="POST")
        with pytest.raises(httpx.TransportError):
            limit(venue, "lost-1")
        assert found(venue, "lost-1").refusal == ABSENT
        assert injected(venue, "lost_request") == before + 1
        assert limit(venue, "lost-1").status == 200

    def test_a_lost_reply_happened(self, venue):
        inject(venue, "lost_reply", path=ORDER, method="POST")
        with pytest.raises(httpx.TransportError):
            limit(venue, "lost-2")
        assert found(venue, "lost-2").body["status"] == "NEW"

    def test_a_lost_reply_to_a_cancel_cancelled(self, venue):
        limit(venue, "lost-3")
        inject(venue, "lost_reply", path=ORDER, method="DELETE")
        with pytest.raises(httpx.TransportError):
            venue.delete("order", symbol="BTCUSDT", origClientOrderId="lost-3")
        assert found(venue, "lost-3").body["status"] == "CANCELED"

    def test_a_read_can_be_lost_too(self, venue):
        inject(venue, "lost_request", path="/openOrders")
        assert venue.get("allOrders", symbol="BTCUSDT").status == 200
        with pytest.raises(httpx.TransportError):
            venue.get("openOrders")
        assert venue.get("openOrders").status == 200


class TestLate:
    def test_a_request_that_travels_too_long_is_refused(self, venue):
        inject(venue, "late_request", ms=250, path=ORDER, method="POST")
        reply = limit(venue, "late-1", recvWindow=200)
        assert reply.refusal == (-1021, "Timestamp for this request is outside of the recvWindow.")
        assert found(venue, "late-1").refusal == ABSENT

    def test_one_that_travels_shorter_than_its_window_is_carried_out(self, venue):
        inject(venue, "late_request", ms=150, path=ORDER, method="POST")
        start_s = monotonic_s()
        assert limit(venue, "late-2", recvWindow=20_000).status == 200
        assert monotonic_s() - start_s >= 0.15

    def test_a_clock_that_leaps_back_does_not_lengthen_the_window(self, venue):
        inject(venue, "late_request", ms=400, path=ORDER, method="POST")
        replies: list[Reply] = []
        sender = threading.Thread(
            target=lambda: replies.append(limit(venue, "late-3", recvWindow=300))
        )
        sender.start()
        until(lambda: injected(venue, "late_request"))
        inject(venue, "clock_skew", ms=-900)
        sender.join()
        inject(venue, "clock_skew", ms=0)
        assert replies[0].refusal[0] == -1021
        assert found(venue, "late-3").refusal == ABSENT

    def test_a_slow_engine_carries_out_after_the_door(self, venue):
        other = venue.another()
        inject(venue, "slow_engine", ms=1_500, path=ORDER, method="POST")
        sender = threading.Thread(target=lambda: limit(other, "slow-1", recvWindow=20_000))
        sender.start()
        until(lambda: injected(venue, "slow_engine"))
        assert found(venue, "slow-1").refusal == ABSENT
        sender.join()
        assert found(venue, "slow-1").body["status"] == "NEW"

    def test_a_slow_engine_looks_at_the_timestamp_again(self, venue):
        inject(venue, "slow_engine", ms=1_500, path=ORDER, method="POST")
        reply = limit(venue, "slow-3", recvWindow=1_200)
        assert (reply.status, reply.refusal) == (
            400,
            (-5028, "Timestamp for this request is outside of the ME recvWindow."),
        )
        assert found(venue, "slow-3").refusal == ABSENT

    def test_a_late_reply_comes_after_the_order_is_there(self, venue):
        other = venue.another()
        inject(venue, "late_reply", ms=2_000, path=ORDER, method="POST")
        sender = threading.Thread(target=lambda: limit(other, "slow-2"))
        sender.start()
        until(lambda: found(venue, "slow-2").status == 200)
        assert sender.is_alive()
        sender.join()

    def test_the_horizon_can_not_be_broken_by_request(self, venue):
        with pytest.raises(Conflict, match="two fifths of engine_limit_ms"):
            inject(venue, "slow_engine", ms=9_000)


class TestDuplicates:
    def test_the_second_copy_of_an_order_is_known_already(self, venue):
        before = injected(venue, "duplicated_request")
        inject(venue, "duplicated_request", path=ORDER, method="POST")
        reply = limit(venue, "dup-1")
        assert reply.refusal == (-4116, "ClientOrderId is duplicated.")
        assert len(venue.get("openOrders").body) == 1
        assert injected(venue, "duplicated_request") == before + 1

    def test_an_order_that_filled_at_once_is_not_repeated(self, venue):
        before = injected(venue, "duplicated_request")
        inject(venue, "duplicated_request", path=ORDER, method="POST")
        assert venue.order("BUY", "0.010", newClientOrderId="dup-2").status == 200
        (row,) = venue.signed("GET", "/fapi/v3/positionRisk").body
        assert row["positionAmt"] == "0.010"
        assert injected(venue, "duplicated_request") == before

    def test_the_second_copy_of_a_cancel_finds_nothing(self, venue):
        limit(venue, "dup-3")
        inject(venue, "duplicated_request", path=ORDER, method="DELETE")
        reply = venue.delete("order", symbol="BTCUSDT", origClientOrderId="dup-3")
        assert reply.refusal == (-2011, "Unknown order sent.")
        assert found(venue, "dup-3").body["status"] == "CANCELED"


class TestStale:
    def test_a_new_order_is_not_there_yet(self, venue):
        limit(venue, "stale-1")
        inject(venue, "stale_read", ms=4_000, path="/fapi/v1/order", method="GET")
        assert found(venue, "stale-1").refusal == ABSENT
        assert found(venue, "stale-1").body["status"] == "NEW"

    def test_lists_trades_and_wallet_are_as_they_were(self, venue):
        wallet = venue.signed("GET", "/fapi/v3/account").body["totalWalletBalance"]
        limit(venue, "stale-2")
        time.sleep(2.05)  # what follows must not take so long, on no machine
        number = venue.order("BUY", "0.010").body["orderId"]
        venue.delete("order", symbol="BTCUSDT", origClientOrderId="stale-2")
        inject(venue, "stale_read", count=6, ms=2_000)
        assert [row["clientOrderId"] for row in venue.get("openOrders").body] == ["stale-2"]
        assert found(venue, "stale-2").body["status"] == "NEW"
        numbers = [row["orderId"] for row in venue.get("allOrders", symbol="BTCUSDT").body]
        assert number not in numbers
        assert venue.get("userTrades", symbol="BTCUSDT", orderId=number).body == []
        assert venue.signed("GET", "/fapi/v3/account").body["totalWalletBalance"] == wallet
        rows = venue.signed("GET", "/fapi/v3/positionRisk").body
        assert [row["positionAmt"] for row in rows] == ["0.000"]
        assert venue.get("openOrders").body == []
        assert len(venue.get("userTrades", symbol="BTCUSDT", orderId=number).body) == 1

    def test_spot_lags_in_the_same_way(self, venue):
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        terms |= {"quantity": "0.001", "price": "40000", "newClientOrderId": "stale-spot"}
        assert venue.signed("POST", "/api/v3/order", **terms).status == 200
        inject(venue, "stale_read", count=3, ms=4_000, path="/api/v3/")
        name = {"symbol": "BTCUSDT", "origClientOrderId": "stale-spot"}
        assert venue.signed("GET", "/api/v3/order", **name).refusal == ABSENT
        assert venue.signed("GET", "/api/v3/openOrders").body == []
        locked = venue.signed("GET", "/api/v3/account").body["balances"]
        assert all(Decimal(row["locked"]) == 0 for row in locked)
        assert venue.signed("GET", "/api/v3/order", **name).body["status"] == "NEW"
        assert venue.signed("DELETE", "/api/v3/order", **name).status == 200

    def test_what_changed_before_the_lag_is_seen(self, venue):
        limit(venue, "stale-3")
        time.sleep(0.12)
        inject(venue, "stale_read", ms=50, path="/openOrders")
        assert [row["clientOrderId"] for row in venue.get("openOrders").body] == ["stale-3"]


class TestRefusals:
    def test_429_says_when_to_come_back(self, venue):
        inject(venue, "throttled", ms=2_000, path=ORDER)
        reply = limit(venue, "limit-1")
        assert (reply.status, reply.body["code"]) == (429, -1003)
        assert reply.headers["retry-after"] == "2"
        assert found(venue, "limit-1").refusal == ABSENT

    def test_a_ban_refuses_everything_until_it_ends(self, venue):
        counted = venue.control("/account")["requests_in_ban"]
        inject(venue, "banned", ms=2_000, path=ORDER)
        reply = limit(venue, "ban-1")
        assert (reply.status, reply.body["code"]) == (418, -1003)
        assert "IP banned until" in reply.body["msg"]
        assert int(reply.headers["retry-after"]) >= 1
        assert venue.public("/fapi/v1/ping").status == 418
        assert venue.control("/account")["requests_in_ban"] == counted + 1
        until(lambda: venue.public("/fapi/v1/ping").status == 200)
        assert found(venue, "ban-1").refusal == ABSENT

    @pytest.mark.parametrize("executed", [True, False])
    @pytest.mark.parametrize(
        ("kind", "status", "code", "text"),
        [
            ("unknown_503", 503, None, "Unknown error, please check your request or try again"),
            ("unexpected_response", 500, -1006, "Execution status unknown."),
            ("timed_out", 408, -1007, "Send status unknown; execution status unknown."),
        ],
    )
    def test_an_unknown_outcome_may_have_happened(self, venue, kind, status, code, text, executed):
        inject(venue, kind, executed=executed, path=ORDER, method="POST")
        name = f"{kind}-{executed}"
        reply = limit(venue, name)
        assert (reply.status, reply.body.get("code")) == (status, code)
        assert text in reply.body["msg"]
        if executed:
            assert found(venue, name).body["status"] == "NEW"
        else:
            assert found(venue, name).refusal == ABSENT

    def test_spot_has_its_own_answers(self, venue):
        inject(venue, "unknown_503", path="/api/v3/ping")
        reply = venue.public("/api/v3/ping")
        assert (reply.status, reply.body["code"]) == (500, -1000)
        inject(venue, "timed_out", path="/api/v3/ping")
        assert venue.public("/api/v3/ping").status == 504

    def test_unavailable_has_not_happened(self, venue):
        inject(venue, "unavailable_503", path=ORDER, method="POST")
        reply = limit(venue, "gone-1")
        assert (reply.status, reply.body["msg"]) == (503, "Service Unavailable.")
        assert found(venue, "gone-1").refusal == ABSENT

    def test_throttling_spares_reduce_only(self, venue):
        venue.order("BUY", "0.010")
        inject(venue, "throttled_503", path=ORDER, method="POST")
        closing = venue.order("SELL", "0.010", "110000", reduceOnly="true")
        assert closing.status == 200
        reply = limit(venue, "throttle-1")
        assert (reply.status, reply.body["code"]) == (503, -1008)
        assert found(venue, "throttle-1").refusal == ABSENT

    def test_maintenance_refuses_all_and_ends(self, venue):
        inject(venue, "maintenance", ms=2_000)
        assert limit(venue, "works-1").refusal == (-1016, "This service is no longer available.")
        assert venue.public("/fapi/v1/time").status == 503
        assert venue.public("/api/v3/time").status == 503
        until(lambda: venue.public("/fapi/v1/time").status == 200)
        assert found(venue, "works-1").refusal == ABSENT


class TestTheVenuesOwnDoings:
    def test_it_cancels_an_order(self, venue):
        limit(venue, "own-1")
        inject(venue, "venue_cancel", client_id="own-1")
        assert found(venue, "own-1").body["status"] == "CANCELED"

    def test_it_expires_an_order_when_there_is_one(self, venue):
        before = injected(venue, "venue_expire")
        status = inject(venue, "venue_expire", market="futures")
        assert status["waiting"] == {"venue_expire": 1}
        assert injected(venue, "venue_expire") == before
        limit(venue, "own-2")
        until(lambda: found(venue, "own-2").body["status"] == "EXPIRED")
        assert injected(venue, "venue_expire") == before + 1

    def test_it_fills_in_parts(self, venue):
        limit(venue, "own-3")
        inject(venue, "partial_fill", fraction="0.3")
        venue.price("89990")
        row = found(venue, "own-3").body
        assert (row["status"], row["executedQty"]) == ("PARTIALLY_FILLED", "0.003")
        venue.price("89980")
        assert found(venue, "own-3").body["status"] == "FILLED"
        trades = venue.get("userTrades", symbol="BTCUSDT", orderId=row["orderId"]).body
        assert [trade["qty"] for trade in trades] == ["0.003", "0.007"]

    def test_it_changes_its_rules_and_back(self, venue):
        def tick() -> str:
            rows = venue.public("/fapi/v1/exchangeInfo").body["symbols"]
            row = next(each for each in rows if each["symbol"] == "BTCUSDT")
            return row["filters"][0]["tickSize"]

        assert tick() == "0.10"
        inject(venue, "filter_change", symbol="BTCUSDT", market="futures", ms=60_000)
        assert tick() == "1.00"
        reply = venue.order("BUY", "0.010", "90000.5")
        assert reply.refusal == (-4014, "Price not increased by tick size.")
        assert venue.order("BUY", "0.001", "149000").refusal[0] == -4164  # 150 now, 100 before
        venue.control("/faults", {"quiet": True})
        assert tick() == "0.10"

    def test_a_changed_rule_ends_by_itself(self, venue):
        limit_eth = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        terms = limit_eth | {"quantity": "0.100", "price": "2500.01"}
        inject(venue, "filter_change", symbol="ETHUSDT", market="futures", ms=3_000)
        assert venue.post("order", **terms).refusal == (-4014, "Price not increased by tick size.")
        until(lambda: venue.post("order", **terms).status == 200)

    def test_its_clock_leaps_and_drifts(self, venue):
        def offset_ms() -> int:
            return venue.public("/fapi/v1/time").body["serverTime"] - SystemClock().now_ms()

        inject(venue, "clock_skew", ms=7_000)
        before_ms = SystemClock().now_ms()
        assert venue.public("/fapi/v1/time").body["serverTime"] - before_ms - 7_000 >= 0
        assert offset_ms() <= 7_000
        reply = venue.get("openOrders")
        assert reply.refusal[0] == -1021
        now_ms = SystemClock().now_ms() + 7_000
        assert venue.get("openOrders", timestamp=now_ms).status == 200
        inject(venue, "clock_skew", ms=0)
        assert venue.get("openOrders").status == 200


class TestControl:
    def test_a_plan_replaces_another_and_quiet_ends_it(self, venue):
        status = venue.control("/faults", {"plan": {"lost_request": 1}})
        assert status["plan"]["lost_request"] == {"probability": 1.0}
        with pytest.raises(httpx.TransportError):
            venue.public("/fapi/v1/ping")
        status = venue.control("/faults", {"quiet": True})
        assert "lost_request" not in status["plan"]
        assert venue.public("/fapi/v1/ping").status == 200
        loud = venue.control("/faults", {"plan": "storm"})["plan"]
        assert len(loud) > 25
        venue.control("/faults", {"quiet": True})

    def test_asking_changes_nothing(self, venue):
        inject(venue, "lost_reply", count=2, path="/nowhere")
        assert venue.control("/faults", {})["waiting"] == {"lost_reply": 2}

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ({"inject": "lost_replay"}, "'lost_reply' is the nearest"),
            ({"inject": "lost_reply", "cuont": 2}, "'cuont' is not known"),
            ({"inject": "lost_reply", "plan": "calm"}, "give one of inject, plan, quiet"),
            ({"injct": "lost_reply"}, "give one of inject, plan, quiet"),
            ({"plan": "stromy"}, "calm, default, storm"),
            ({"plan": {"lost_reqest": 1}}, "'lost_request' is the nearest"),
            ({"plan": 3}, "the name of one, or a mapping"),
            ({"quiet": "yes"}, "true ends all faults"),
            ({"inject": "venue_cancel", "market": "futs"}, "'futures' is the nearest"),
        ],
    )
    def test_what_can_not_be_is_refused_in_words(self, venue, document, words):
        with pytest.raises(Conflict, match=words):
            venue.control("/faults", document)
        venue.control("/faults", {"quiet": True})


class TestPromise:
    def test_nothing_happens_after_the_horizon_and_reads_show_all_of_it(self, venue):
        """60 orders through a storm of losses, delays and stale reads."""
        rate = {"probability": 0.5, "min_ms": 20, "max_ms": 200}
        plan = {
            "engine_limit_ms": 500,
            "lost_request": 0.2,
            "lost_reply": 0.2,
            "late_request": rate | {"max_ms": 1_600},
            "slow_engine": rate,
            "stale_read": rate,
            "unknown_503": 0.2,
            "duplicated_request": 0.2,
        }
        venue.control("/faults", {"plan": plan})

        def send(number: int) -> None:
            try:
                limit(venue.another(), f"storm-{number}", recvWindow=WINDOW_MS)
            except httpx.TransportError:
                return

        senders = [threading.Thread(target=send, args=(number,)) for number in range(60)]
        for sender in senders:
            sender.start()
        last_ms = SystemClock().now_ms()
        for sender in senders:
            sender.join()
        while SystemClock().now_ms() <= last_ms + WINDOW_MS + 500:
            time.sleep(0.02)
        truth = {row["client_id"] for row in venue.control("/account")["futures"]["open_orders"]}
        assert 0 < len(truth) < 60
        for _ in range(12):
            try:
                seen = venue.get("openOrders")
            except httpx.TransportError:
                continue
            if seen.status == 200:
                assert {row["clientOrderId"] for row in seen.body} == truth
        account = venue.control("/account")
        assert account["futures"]["repeated_client_ids"] == []
        assert {"lost_request", "lost_reply", "slow_engine"} <= set(account["faults"])
        assert Decimal(account["futures"]["balances"]["USDT"]["total"]) > 0
