"""The road of a request to Binance: signed right, sent once, understood, paced, never leaked."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from scripted_venue import (
    CANCEL,
    PLACE,
    QUERY,
    SECRET,
    TESTNET_RIGHT,
    ScriptedVenue,
    Told,
    order_answer,
    request,
    run,
    signed,
)
from waiting import wait_for_room

from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderType, Side, VenueStatus
from gridlab.errors import ExchangeUnavailable, NotFound, VenueAway
from gridlab.exchange.base import Accepted, RejectCode, Rejected, Unknown
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.public import BinancePublic
from gridlab.exchange.binance.signing import sign_ws
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import PublicTransport, SignedTransport
from gridlab.exchange.budgets import Budgets

D = Decimal


# -- what leaves ---------------------------------------------------------------------------------


def test_an_order_is_signed_as_it_travels_and_asks_for_what_it_traded() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0", executedQty="0.25")))
        outcome = await spot.place(request(quantity=D("1E-5"), price="100.500"))
        assert isinstance(outcome, Accepted)
        assert outcome.report.executed == D("0.25")
        (asked,) = venue.of(PLACE)
        assert asked.error == ""
        assert asked.params["quantity"] == "0.00001"
        assert asked.params["price"] == "100.5"
        assert asked.params["type"] == "LIMIT_MAKER"
        assert "timeInForce" not in asked.params
        assert asked.params["newOrderRespType"] == "RESULT"
        assert asked.params["newClientOrderId"] == "gl-a1-0-1-0"
        assert int(asked.params["recvWindow"]) <= 5000
        assert asked.params.keys() & {"selfTradePreventionMode"} == set()

    run(work)


def test_each_kind_of_order_in_the_words_of_its_market() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, Told(order_answer("x")))
        venue.tell("POST /fapi/v1/order", Told(order_answer("x", updateTime=5)))
        futures = BinanceFutures(spot.transport)
        await spot.place(request(type=OrderType.LIMIT))
        await spot.place(request(price=None))
        here = {"market": Market.FUTURES}
        await futures.place(request(**here))
        await futures.place(request(type=OrderType.LIMIT, reduce_only=True, side=Side.SELL, **here))
        await futures.place(request(price=None, **here))
        kinds = ("type", "timeInForce", "price", "reduceOnly", "side")
        sent = [tuple(a.params.get(k) for k in kinds) for a in venue.asked if a.method == "POST"]
        assert sent == [
            ("LIMIT", "GTC", "100", None, "BUY"),
            ("MARKET", None, None, None, "BUY"),
            ("LIMIT", "GTX", "100", None, "BUY"),
            ("LIMIT", "GTC", "100", "true", "SELL"),
            ("MARKET", None, None, None, "BUY"),
        ]
        assert {asked.error for asked in venue.asked if asked.method == "POST"} == {""}

    run(work)


def test_construction_connects_nothing_and_two_venues_do_not_disturb_each_other() -> None:
    async def all_of_it() -> None:
        async with ScriptedVenue() as one, ScriptedVenue() as two:
            first, second = BinanceSpot(signed(one)), BinanceSpot(signed(two))
            third = PublicTransport(one.endpoints, clock=SystemClock())
            await asyncio.sleep(0)
            assert not one.asked and not two.asked
            for venue in (one, two):
                venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0")))
                venue.tell("GET /api/v3/ticker/price", Told({"symbol": "B", "price": "5"}))
            await asyncio.gather(*(spot.place(request()) for spot in (first, second, second)))
            assert (len(one.of(PLACE)), len(two.of(PLACE))) == (1, 1), "one of two was refused here"
            await BinancePublic(third, Market.SPOT).last_price("BTCUSDT")
            assert len(one.of("GET /api/v3/ticker/price")) == 1
            for transport in (first.transport, second.transport, third):
                await transport.close()

    asyncio.run(all_of_it())


def test_symbols_beyond_ascii_are_signed_as_they_are_sent() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        symbol = "１２３４５６USDT"
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0", symbol=symbol)))
        venue.tell(QUERY, Told(order_answer("gl-a1-0-1-0", symbol=symbol)))
        assert isinstance(await spot.place(request(symbol=symbol)), Accepted)
        assert await spot.query(symbol, "gl-a1-0-1-0") is not None
        assert {a.error for a in venue.of(PLACE) + venue.of(QUERY)} == {""}
        assert venue.of(PLACE)[0].params["symbol"] == symbol

    run(work)


def test_a_value_that_would_be_signed_otherwise_than_sent_is_refused_before() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        for outcome in (await spot.place(request("a:b/c")), await spot.cancel("BTCUSDT", "a:b/c")):
            assert isinstance(outcome, Rejected)
            assert outcome.code == RejectCode.NOT_SENT
            assert "percent-encoding" in outcome.reason
        assert venue.of(PLACE) == venue.of(CANCEL) == []

    run(work)


def test_the_websocket_rule_signs_sorted_raw_text() -> None:
    """The golden vector of the REST documents in the order that the WebSocket rule gives it."""
    params = {"timestamp": "1499827319559", "symbol": "１２３", "apiKey": "k"}
    import hashlib
    import hmac

    payload = "apiKey=k&symbol=１２３&timestamp=1499827319559"
    assert sign_ws(params, "s") == hmac.new(b"s", payload.encode(), hashlib.sha256).hexdigest()


def test_websocket_params_carry_the_venues_time() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.clock_ahead_ms = 90_000
        found = await spot.transport.signed_ws_params(Market.SPOT, {})
        assert abs(found["timestamp"] - SystemClock().now_ms() - 90_000) < 2_000
        texts = {name: str(value) for name, value in found.items() if name != "signature"}
        assert found["signature"] == sign_ws(texts, SECRET)

    run(work)


# -- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        Told(status=0),
        Told(body=b"<html>busy</html>", status=200),
        Told(body=b'{"symbol":', status=200),
        Told(body=b"<html>bad gateway</html>", status=502),
        Told({"code": -1006, "msg": "An unexpected response was received."}, 500),
        Told({"code": -1007, "msg": "Timeout waiting for response from backend server."}, 504),
        Told({"code": -1000, "msg": "An unknown error occurred."}, 400),
        Told({"code": -999_123, "msg": "News of next year."}, 400),
        Told(order_answer("somebody-else")),
        Told({"orderId": 5}),
        Told({}, 302, {"Location": "http://127.0.0.1:1/"}),
        Told({"code": -1015, "msg": "x"}, headers={"Content-Length": "500"}),
    ],
)
def test_what_decides_nothing_is_unknown_and_sent_once(told: Told) -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, told)
        venue.tell(CANCEL, told)
        assert isinstance(await spot.place(request()), Unknown)
        assert len(venue.of(PLACE)) == 1
        assert isinstance(await spot.cancel("BTCUSDT", "gl-a1-0-1-0"), Unknown)

    run(work, timeout_s=1.5)


def test_a_redirect_carries_nothing_to_another_host() -> None:
    async def all_of_it() -> None:
        async with ScriptedVenue() as venue, ScriptedVenue() as thief:
            spot = BinanceSpot(signed(venue))
            for name, status in ((PLACE, 307), (QUERY, 302)):
                path = name.split()[1]
                away = {"Location": f"{thief.endpoints.rest_spot}{path}"}
                venue.tell(name, Told({}, status, away))
            assert isinstance(await spot.place(request()), Unknown)
            with pytest.raises(ExchangeUnavailable):
                await spot.query("BTCUSDT", "gl-a1-0-1-0")
            assert thief.asked == []
            await spot.transport.close()

    asyncio.run(all_of_it())


def test_no_answer_in_time_is_unknown() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0"), delay_s=5))
        outcome = await spot.place(request())
        assert isinstance(outcome, Unknown)
        assert "within 1 s" in outcome.reason

    run(work, timeout_s=1.0)


def test_nobody_there_is_unknown_for_changes_and_unavailable_for_reads() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        await spot.transport.sync_clock(Market.SPOT)
        await venue.__aexit__(None, None, None)
        assert isinstance(await spot.place(request()), Unknown)
        with pytest.raises(ExchangeUnavailable, match="connection failed"):
            await spot.query("BTCUSDT", "gl-a1-0-1-0")

    run(work)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Told({"code": -2010, "msg": "Duplicate order sent."}, 400), RejectCode.DUPLICATE),
        (
            Told({"code": -2010, "msg": "Order would immediately match and take."}, 400),
            RejectCode.WOULD_TAKE,
        ),
        (Told({"code": -1013, "msg": "Filter failure: LOT_SIZE"}, 400), RejectCode.FILTER),
        (Told({"code": -1003, "msg": "Too much."}, 429, {"Retry-After": "1"}), "-1003"),
        (Told({"code": -1008, "msg": "Overloaded."}, 503), "-1008"),
        (Told(body=b"<html>no</html>", status=403), "403"),
    ],
)
def test_refusals_have_their_names_and_reasons(told: Told, code: str) -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, told)
        outcome = await spot.place(request())
        assert isinstance(outcome, Rejected)
        assert outcome.code == code
        assert outcome.reason

    run(work)


def test_a_cancel_of_what_is_not_open() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(CANCEL, Told({"code": -2011, "msg": "Unknown order sent."}, 400))
        outcome = await spot.cancel("BTCUSDT", "x")
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.NOT_OPEN
        done = order_answer("cancel-id", origClientOrderId="x", status="CANCELED")
        venue.tell(CANCEL, Told(done))
        outcome = await spot.cancel("BTCUSDT", "x")
        assert isinstance(outcome, Accepted)
        assert (outcome.report.client_id, outcome.report.status) == ("x", VenueStatus.CANCELED)

    run(work)


def test_reads_are_asked_again_and_never_seen_is_none() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(QUERY, Told(status=0), Told({"code": -1001, "msg": "x"}, 500),
                   Told({"code": -2013, "msg": "Order does not exist."}, 400))  # fmt: skip
        assert await spot.query("BTCUSDT", "x") is None
        # A read on a dead keep-alive connection is repeated by aiohttp itself too.
        assert len(venue.of(QUERY)) >= 3
        venue.tell("GET /api/v3/openOrders", Told({"code": -1000, "msg": "x"}, 500))
        with pytest.raises(ExchangeUnavailable, match="try again later"):
            await spot.open_orders("BTCUSDT")
        venue.tell("GET /api/v3/exchangeInfo", Told({"code": -1121, "msg": "Invalid symbol."}, 400))
        with pytest.raises(NotFound, match="NOPE"):
            await spot.instrument("NOPE")

    run(work)


@pytest.mark.parametrize(
    ("told", "is_away"),
    [
        (Told(status=0), True),
        (Told(body=b"<html>bad gateway</html>", status=502), True),
        (Told({"code": -1016, "msg": "This service is no longer available."}, 503), True),
        (Told({"code": -1003, "msg": "Too much."}, 429, {"Retry-After": "60"}), True),
        (
            Told({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401),
            True,
        ),
        (Told({"code": -1022, "msg": "Signature for this request is not valid."}, 400), True),
        (Told({"code": -1000, "msg": "x"}, 500), False),
        (Told({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400), False),
        (Told([{"symbol": "BTCUSDT"}]), False),
    ],
)
def test_a_read_that_failed_says_whether_others_would_be_answered(
    told: Told, is_away: bool
) -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell("GET /api/v3/openOrders", told)
        with pytest.raises(ExchangeUnavailable) as caught:
            await spot.open_orders("BTCUSDT")
        assert isinstance(caught.value, VenueAway) is is_away

    run(work)


def test_floats_in_an_answer_stay_exact() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        body = b'{"symbol":"BTCUSDT","price":0.1234567890123456789012345}'
        venue.tell("GET /api/v3/ticker/price", Told(body=body))
        price = await spot.public.last_price("BTCUSDT")
        assert price.value == D("0.1234567890123456789012345")

    run(work)


# -- the clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_ms", [-86_400_000, -3_000, 0, 3_000, 86_400_000])
def test_orders_carry_the_venues_time_whatever_ours_is(ahead_ms: int) -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.clock_ahead_ms = ahead_ms
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0")))
        assert isinstance(await spot.place(request()), Accepted)
        assert venue.of(PLACE)[0].error == ""
        assert abs(spot.clock_offset_ms - ahead_ms) < 200
        assert len(venue.of("GET /api/v3/time")) == 3

    run(work)


def test_a_refusal_for_time_measures_anew_and_sends_once_more() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        late = Told({"code": -1021, "msg": "outside of the recvWindow."}, 400)
        venue.tell(PLACE, late, Told(order_answer("gl-a1-0-1-0")))
        assert isinstance(await spot.place(request()), Accepted)
        assert len(venue.of(PLACE)) == 2
        assert len(venue.of("GET /api/v3/time")) == 6
        venue.tell(PLACE, late)
        outcome = await spot.place(request())
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.CLOCK
        assert len(venue.of(PLACE)) == 4

    run(work)


def test_without_a_sure_time_nothing_signed_leaves() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell("GET /api/v3/time", Told({"code": -1000, "msg": "x"}, 500))
        outcome = await spot.place(request())
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.NOT_SENT
        with pytest.raises(ExchangeUnavailable):
            await spot.balances()
        assert all(asked.path.endswith("/time") for asked in venue.asked)

    run(work)


# -- limits --------------------------------------------------------------------------------------


def test_a_ban_silences_everything_on_the_address() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        await spot.transport.sync_clock(Market.SPOT)
        until = SystemClock().now_ms() + 120_000
        told = Told({"code": -1003, "msg": f"Way too much; IP banned until {until}."}, 418)
        venue.tell(QUERY, told)
        with pytest.raises(ExchangeUnavailable):
            await spot.query("BTCUSDT", "x")
        assert abs(spot.banned_until_ms - until) < 500
        count = len(venue.asked)
        outcome = await spot.place(request())
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.NOT_SENT
        assert "silence" in outcome.reason
        assert isinstance(await spot.cancel("BTCUSDT", "x"), Rejected)
        futures = BinanceFutures(spot.transport)
        for read in (spot.balances, spot.ping, futures.balances, spot.limits):
            with pytest.raises(ExchangeUnavailable, match="silence"):
                await read()
        assert len(venue.asked) == count

    run(work)


def test_objects_with_the_same_budgets_keep_the_same_silence() -> None:
    async def all_of_it() -> None:
        async with ScriptedVenue() as venue:
            budgets = Budgets(SystemClock())
            public = PublicTransport(venue.endpoints, clock=SystemClock(), budgets=budgets)
            transport = signed(venue, budgets=budgets)
            venue.tell("GET /api/v3/ticker/price", Told({}, 418, {"Retry-After": "60"}))
            with pytest.raises(ExchangeUnavailable):
                await BinancePublic(public, Market.SPOT).last_price("BTCUSDT")
            assert isinstance(await BinanceSpot(transport).place(request()), Rejected)
            assert len(venue.asked) == 1
            await public.close()
            await transport.close()

    asyncio.run(all_of_it())


def test_a_short_pause_is_waited_for() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        slow = Told({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": "1"})
        price = Told({"symbol": "BTCUSDT", "price": "5"})
        venue.tell("GET /api/v3/ticker/price", slow, price)
        assert (await spot.public.last_price("BTCUSDT")).value == 5
        first, second = venue.of("GET /api/v3/ticker/price")
        assert second.at_ms - first.at_ms >= 1000

    run(work)


def test_counts_of_the_headers_are_taken_over() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        headers = {"x-mbx-used-weight-1m": "4700", "X-MBX-ORDER-COUNT-10S": "79",
                   "X-MBX-ORDER-COUNT-1D": "12"}  # fmt: skip
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0"), headers=headers))
        wait_for_room(60, 5)
        await spot.place(request())
        weight = spot.transport.weight(Market.SPOT)
        assert 4700 <= weight.used <= 4710
        # 80 of 100 are planned: one more fits, the next waits for the venue's next window.
        begun_ms = SystemClock().now_ms()
        await spot.place(request())
        taken_ms = SystemClock().now_ms() - begun_ms
        window_ms = 10_000 - begun_ms % 10_000
        assert taken_ms < 2_000 or taken_ms <= window_ms + 3_000

    run(work)


def test_limits_are_those_that_the_venue_states() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        limits = [("REQUEST_WEIGHT", "MINUTE", 1, 1234), ("ORDERS", "SECOND", 10, 50),
                  ("ORDERS", "DAY", 1, 160_000), ("RAW_REQUESTS", "MINUTE", 5, 61_000)]  # fmt: skip
        names = ("rateLimitType", "interval", "intervalNum", "limit")
        told = [dict(zip(names, row, strict=True)) for row in limits]
        venue.tell("GET /api/v3/exchangeInfo", Told({"rateLimits": told, "symbols": []}))
        found = await spot.limits()
        assert [(limit.kind, limit.interval_ms, limit.limit) for limit in found][1:3] == [
            ("ORDERS", 10_000, 50), ("ORDERS", 86_400_000, 160_000),
        ]  # fmt: skip
        assert spot.transport.weight(Market.SPOT).limit == 1234
        queue = spot.transport.orders(Market.SPOT)
        assert {(limit.window_ms, limit.limit) for limit in queue.limits} == {
            (10_000, 50), (86_400_000, 160_000),
        }  # fmt: skip

    run(work)


def test_refused_keys_stop_all_orders_and_not_the_reads() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        refused = Told({"code": -2015, "msg": "Invalid API-key, IP, or permissions."}, 401)
        venue.tell(PLACE, refused)
        venue.tell(QUERY, Told(order_answer("x")))
        codes = []
        for _ in range(5):
            outcome = await spot.place(request())
            assert isinstance(outcome, Rejected)
            codes.append(outcome.code)
        assert codes == [RejectCode.PERMISSION, *[RejectCode.NOT_SENT] * 4]
        assert len(venue.of(PLACE)) == 1
        assert await spot.query("BTCUSDT", "x") is not None
        venue.tell(PLACE, Told(order_answer("gl-a1-x-0-1", status="FILLED")))
        sale = request("gl-a1-x-0-1", None, side=Side.SELL)
        assert isinstance(await spot.place(sale), Accepted), "a grid's last sale is tried"
        assert not spot.transport.keys_refused(Market.SPOT)

    run(work)


def test_a_cancel_that_is_taken_shows_that_the_keys_are_good() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, Told({"code": -2015, "msg": "Invalid API-key."}, 401))
        assert isinstance(await spot.place(request()), Rejected)
        assert spot.transport.keys_refused(Market.SPOT)
        venue.tell(CANCEL, Told(order_answer("gl-a1-0-1-0", status="CANCELED")))
        assert isinstance(await spot.cancel("BTCUSDT", "gl-a1-0-1-0"), Accepted)
        assert not spot.transport.keys_refused(Market.SPOT)

    run(work)


class LaterClock(SystemClock):
    """The machine's clock, some time later."""

    later_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.later_ms


def test_keys_that_stay_refused_are_tried_after_pauses_that_grow() -> None:
    async def all_of_it() -> None:
        clock = LaterClock()
        async with ScriptedVenue() as venue:
            refused = Told({"code": -2015, "msg": "Invalid API-key, IP, or permissions."}, 401)
            venue.tell(PLACE, refused)
            transport = SignedTransport(
                TESTNET_RIGHT, venue.credentials, venue.endpoints, clock=clock
            )
            spot, minutes = BinanceSpot(transport), []
            for minute in range(300):
                clock.later_ms = minute * 60_000 + 100 * minute
                before = len(venue.of(PLACE))
                await spot.place(request())
                if len(venue.of(PLACE)) > before:
                    minutes.append(minute)
            assert minutes == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
            venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0")), refused)
            clock.later_ms += 3_600_000
            assert isinstance(await spot.place(request()), Accepted)
            assert isinstance(await spot.place(request()), Rejected)
            clock.later_ms += 61_000
            assert not transport.keys_refused(Market.SPOT), "a success makes the next a first"
            await transport.close()

    asyncio.run(all_of_it())


# -- waiting orders ------------------------------------------------------------------------------


def test_the_nearest_orders_leave_first_and_few_at_once() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        gate = asyncio.Event()
        venue.tell(PLACE, Told(order_answer("x"), hold=gate))
        spot.note_price("BTCUSDT", D("100"))
        away = [30, 5, 25, 1, 40, 10, 2, 35, 15, 20, 3, 45, 50, 55, 60, 65, 70, 75, 80, 85]
        tasks = [
            asyncio.create_task(spot.place(request(f"gl-a1-{i}-1-0", str(100 - d))))
            for i, d in enumerate(away)
        ]
        tasks.append(asyncio.create_task(spot.place(request("gl-a1-i-1-0", None))))
        while len(venue.of(PLACE)) < 16:
            await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*tasks)
        sent = [asked.params.get("price") for asked in venue.of(PLACE)]
        # The first sixteen had their turn when they came; of those that waited, the purchase at
        # the market goes first, then the nearest.
        assert sent[16:] == [None, "30", "25", "20", "15"]
        assert venue.most_at_once <= 16

    run(work)


def test_a_waiting_order_can_be_taken_back_and_never_leaves() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        gate = asyncio.Event()
        venue.tell(PLACE, Told(order_answer("x"), hold=gate))
        spot.note_price("BTCUSDT", D("100"))
        names = [f"gl-a1-{i}-1-0" for i in range(20)]
        tasks = {n: asyncio.create_task(spot.place(request(n))) for n in names}
        while len(venue.of(PLACE)) < 16:
            await asyncio.sleep(0.01)
        outcome = await spot.cancel("BTCUSDT", names[-1])
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.NOT_OPEN
        gate.set()
        results = dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
        withdrawn = results[names[-1]]
        assert isinstance(withdrawn, Rejected)
        assert withdrawn.code == RejectCode.NOT_SENT
        sent = {asked.params["newClientOrderId"] for asked in venue.of(PLACE)}
        assert sent == set(names[:-1])
        assert venue.of(CANCEL) == []

    run(work)


def test_a_cancel_waits_for_its_order_to_be_answered() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        gate = asyncio.Event()
        venue.tell(PLACE, Told(order_answer("x"), hold=gate))
        venue.tell(CANCEL, Told(order_answer("c", origClientOrderId="gl-a1-0-1-0")))
        placing = asyncio.create_task(spot.place(request()))
        while not venue.of(PLACE):
            await asyncio.sleep(0.01)
        cancelling = asyncio.create_task(spot.cancel("BTCUSDT", "gl-a1-0-1-0"))
        await asyncio.sleep(0.05)
        assert venue.of(CANCEL) == []
        gate.set()
        await placing
        assert isinstance(await cancelling, Accepted)

    run(work)


def test_an_id_that_is_being_sent_is_not_sent_a_second_time() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell(PLACE, Told(order_answer("gl-a1-0-1-0"), delay_s=0.05))
        first, second = await asyncio.gather(spot.place(request()), spot.place(request()))
        assert isinstance(first, Accepted)
        assert isinstance(second, Rejected)
        assert second.code == RejectCode.DUPLICATE
        assert len(venue.of(PLACE)) == 1

    run(work)


# -- trades --------------------------------------------------------------------------------------


def trade_row(number: int, order_id: int, time_ms: int | None = None) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "id": number, "orderId": order_id, "price": "1", "qty": "1",
        "commission": "0", "commissionAsset": "USDT", "isBuyer": True, "isMaker": True,
        "time": SystemClock().now_ms() if time_ms is None else time_ms,
    }  # fmt: skip


def test_trades_are_read_by_id_until_the_last_page() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        rows = [trade_row(i, 7) for i in range(10, 2210)]
        venue.tell("GET /api/v3/myTrades", Told(rows[:1000]), Told(rows[1000:2000]),
                   Told(rows[2000:]))  # fmt: skip
        spot.learn("BTCUSDT", "7", "gl-a1-0-1-0")
        found = await spot.trades("BTCUSDT", 12)
        assert [trade.trade_id for trade in found] == list(range(13, 2210))
        assert {trade.client_id for trade in found} == {"gl-a1-0-1-0"}
        asked = [a.params["fromId"] for a in venue.of("GET /api/v3/myTrades")]
        assert asked == ["13", "1010", "2010"]
        assert all("startTime" not in a.params for a in venue.asked)

    run(work)


def test_names_of_orders_are_looked_up_once() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell("GET /api/v3/myTrades", Told([trade_row(1, 5), trade_row(2, 5)]))
        venue.tell(QUERY, Told(order_answer("mine", orderId=5)))
        for _ in range(2):
            found = await spot.trades("BTCUSDT")
            assert [trade.client_id for trade in found] == ["mine", "mine"]
        assert [asked.params["orderId"] for asked in venue.of(QUERY)] == ["5"]

    run(work)


def test_names_of_many_orders_come_from_the_history() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        venue.tell("GET /api/v3/myTrades", Told([trade_row(i, 100 + i) for i in range(9)]))
        history = [order_answer(f"n{i}", orderId=100 + i) for i in range(9)]
        venue.tell("GET /api/v3/allOrders", Told(history))
        found = await spot.trades("BTCUSDT")
        assert [trade.client_id for trade in found] == [f"n{i}" for i in range(9)]
        assert len(venue.of("GET /api/v3/allOrders")) == 1
        assert venue.of(QUERY) == []

    run(work)


def test_a_trade_whose_order_the_venue_does_not_know_yet_is_no_answer() -> None:
    """Its books lag behind each other; a trade of ours must not be taken for a stranger's."""

    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        gone = Told({"code": -2013, "msg": "Order does not exist."}, 400)
        venue.tell("GET /api/v3/myTrades", Told([trade_row(1, 5)]))
        venue.tell(QUERY, gone, Told(order_answer("mine", orderId=5)))
        with pytest.raises(ExchangeUnavailable, match="does not know the order yet"):
            await spot.trades("BTCUSDT")
        assert [trade.client_id for trade in await spot.trades("BTCUSDT")] == ["mine"]
        old_ms = SystemClock().now_ms() - 100 * 86_400_000
        venue.tell("GET /api/v3/myTrades", Told([trade_row(1, 6, old_ms)]))
        venue.tell(QUERY, gone)
        assert [trade.client_id for trade in await spot.trades("BTCUSDT")] == [""]

    run(work)


def test_the_floor_of_a_run_is_found_by_windows() -> None:
    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        now_ms, name = SystemClock().now_ms(), "GET /api/v3/myTrades"
        newest = Told([trade_row(900, 5, now_ms - 1000)])
        venue.tell(name, newest, Told([]), Told([]), Told([trade_row(421, 5)]))
        assert await spot.trade_floor("BTCUSDT", now_ms - 10 * 86_400_000) == 420
        spans = [a.params for a in venue.of(name)[1:]]
        assert all(int(s["endTime"]) - int(s["startTime"]) < 86_400_000 for s in spans)
        assert int(spans[1]["startTime"]) == int(spans[0]["endTime"]) + 1
        venue.tell(name, newest)
        assert await spot.trade_floor("BTCUSDT", now_ms) == 900
        venue.tell(name, Told([]))
        assert await spot.trade_floor("BTCUSDT", now_ms) == -1
        assert await spot.last_trade_id("BTCUSDT") == -1

    run(work)
