"""The account's requests against the twin, over sockets and python-binance, in both markets.

What the client reports is compared with the twin's own truth. Every fault that can befall a request
is injected by name, and each time the order is found, or proved absent, without a second sending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from account_desk import (
    ENGINE_MS,
    MARKETS,
    SYMBOL,
    WINDOW_MS,
    Desk,
    accepted,
    new_transport,
    play,
    refused,
)

from gridlab.clock import SystemClock
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.market import FeeMode, Interval, Market
from gridlab.domain.orders import OrderType, Side, VenueStatus
from gridlab.errors import Conflict, ExchangeUnavailable, NotFound
from gridlab.exchange.base import Accepted, Exchange, FuturesExchange, RejectCode, Unknown
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.user_stream import SpotUserStream
from gridlab.testing.twin import RunningTwin, running_twin

D = Decimal


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(symbols=("BTCUSDT", "ETHUSDT")) as running:
        running.control("/faults", {"plan": {"engine_limit_ms": ENGINE_MS, "tick_ms": 50}})
        yield running


# -- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_the_account_is_an_exchange(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        exchange: Exchange = desk.account
        assert exchange.market is market
        assert isinstance(desk.account, FuturesExchange) is (market is Market.FUTURES)
        assert desk.account.unseen_horizon_ms == WINDOW_MS + ENGINE_MS + 1_000

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_is_placed_found_listed_and_cancelled(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        request = desk.request()
        report = accepted(await desk.account.place(request))
        assert (report.status, report.type) == (VenueStatus.NEW, OrderType.LIMIT_MAKER)
        assert (report.price, report.quantity, report.executed) == (D(50000), D("0.01"), D(0))
        assert await desk.account.query(SYMBOL, request.client_id) == report
        assert await desk.account.open_orders(SYMBOL) == (report,)
        assert await desk.account.all_open_orders() == (report,)
        assert await desk.account.open_orders("ETHUSDT") == ()
        assert await desk.account.find_order(SYMBOL, report.order_id) == report
        ended = accepted(await desk.account.cancel(SYMBOL, request.client_id))
        assert (ended.client_id, ended.status) == (request.client_id, VenueStatus.CANCELED)
        assert refused(await desk.account.cancel(SYMBOL, request.client_id)) == RejectCode.NOT_OPEN
        assert refused(await desk.account.cancel(SYMBOL, "gl-x-1-1-1")) == RejectCode.NOT_OPEN
        assert await desk.account.query(SYMBOL, "gl-x-1-1-1") is None
        assert await desk.account.open_orders(SYMBOL) == ()

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_what_traded_at_once_is_in_the_answer_and_in_the_trades(
    twin: RunningTwin, market: Market
) -> None:
    async def work(desk: Desk) -> None:
        floor = await desk.account.last_trade_id(SYMBOL)
        taker = accepted(await desk.account.place(desk.request(0, None)))
        crossing = desk.request(1, "61000", type=OrderType.LIMIT)
        limit = accepted(await desk.account.place(crossing))
        for report in (taker, limit):
            assert (report.status, report.executed) == (VenueStatus.FILLED, D("0.01"))
        resting = desk.request(2, "59000")
        accepted(await desk.account.place(resting))
        desk.twin.price(SYMBOL, "58999", market)
        trades = await desk.account.trades(SYMBOL, floor)
        names = [taker.client_id, limit.client_id, resting.client_id]
        assert [trade.client_id for trade in trades] == names
        assert [t.is_maker for t in trades] == [False, False, True]
        assert trades[2].price == D(59000)
        told = {row["id"]: row for row in desk.truth()["trades"]}
        for trade in trades:
            row = told[trade.trade_id]
            assert (row["client_id"], D(row["commission"])) == (trade.client_id, trade.fee)
            assert (D(row["price"]), D(row["qty"])) == (trade.price, trade.quantity)
        assert await desk.account.trades(SYMBOL, trades[1].trade_id) == trades[2:]
        assert await desk.account.last_trade_id(SYMBOL) == trades[2].trade_id
        since_ms = trades[0].time_ms
        assert floor <= await desk.account.trade_floor(SYMBOL, since_ms) < trades[0].trade_id
        sold = desk.request(3, None, Side.SELL, quantity=D("0.03"))
        accepted(await desk.account.place(sold))

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_names_of_orders_are_found_by_a_client_that_never_saw_them(
    twin: RunningTwin, market: Market
) -> None:
    """After a restart: trades carry no client id, and each must come back to its slot."""

    async def work(desk: Desk) -> None:
        floor = await desk.account.last_trade_id(SYMBOL)
        for slot in range(5):
            accepted(await desk.account.place(desk.request(slot, None)))
        fresh = type(desk.account)(new := new_transport(twin))  # type: ignore[call-arg]
        found = await fresh.trades(SYMBOL, floor)
        assert [trade.client_id for trade in found] == [
            f"gl-{desk.run}-{slot}-1-0" for slot in range(5)
        ]
        everything = await fresh.trades(SYMBOL)
        assert everything[-5:] == found
        assert len(everything) == len(desk.truth()["trades"])
        await new.close()
        accepted(await desk.account.place(desk.request(9, None, Side.SELL, quantity=D("0.05"))))

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_refusals_have_the_names_that_the_core_knows(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        place = desk.account.place
        accepted(await place(desk.request(0)))
        assert refused(await place(desk.request(0, "49000"))) == RejectCode.DUPLICATE
        assert refused(await place(desk.request(1, "61000"))) == RejectCode.WOULD_TAKE
        assert refused(await place(desk.request(2, "50000.001"))) == RejectCode.FILTER
        assert refused(await place(desk.request(3, quantity=D("0.0000001")))) == RejectCode.FILTER
        poor = refused(await place(desk.request(4, quantity=D("100"))))
        assert poor in (RejectCode.INSUFFICIENT_BALANCE, RejectCode.MARGIN)
        nowhere = desk.request(5, symbol="NOPEUSDT")
        assert refused(await place(nowhere)) == RejectCode.INVALID_SYMBOL
        with pytest.raises(NotFound, match="NOPEUSDT"):
            await desk.account.instrument("NOPEUSDT")
        assert len(desk.truth()["open_orders"]) == 1

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_refused_filter_brings_the_new_rules(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        before = await desk.account.instrument(SYMBOL)
        place = {"venue": market.value, "symbol": SYMBOL}
        twin.control("/instrument", place | {"tick_size": "5"})
        try:
            assert await desk.account.instrument(SYMBOL) == before, "the rules are kept a while"
            request = desk.request(0, "50001")
            assert refused(await desk.account.place(request)) == RejectCode.FILTER
            assert (await desk.account.instrument(SYMBOL)).tick_size == 5
        finally:
            twin.control("/instrument", place | {"tick_size": str(before.tick_size)})
        assert (await desk.account.instrument(SYMBOL)).tick_size == 5
        assert await desk.account.instrument(SYMBOL, refresh=True) == before

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_balances_and_rates_are_the_twins(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        accepted(await desk.account.place(desk.request()))
        told = desk.truth()["balances"]
        found = await desk.account.balances()
        assert {b.asset: (b.free, b.locked) for b in found} == {
            asset: (D(row["free"]), D(row["locked"])) for asset, row in told.items()
        }
        fees = await desk.account.fees(SYMBOL)
        mode = FeeMode.RECEIVED if market is Market.SPOT else FeeMode.QUOTE
        assert (fees.mode, fees.maker <= fees.taker) == (mode, True)
        limits = {(x.kind, x.interval_ms): x.limit for x in await desk.account.limits()}
        assert limits["ORDERS", 10_000] == (100 if market is Market.SPOT else 300)
        permissions = await desk.account.permissions()  # type: ignore[attr-defined]
        assert permissions.can_trade
        ping = await desk.account.ping()
        assert abs(ping.server_time_ms - SystemClock().now_ms()) < 1_000

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_public_data(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        public = desk.account.public
        assert (await public.last_price(SYMBOL)).value == D(60000)
        assert (await public.prices())[SYMBOL] == D(60000)
        assert (await public.ticker(SYMBOL)).price == D(60000)
        assert SYMBOL in {ticker.symbol for ticker in await public.tickers()}
        candles = await public.klines(SYMBOL, Interval.M1, 5)
        assert len(candles) == 5
        assert candles[-1].close == D(60000)
        newest = await public.agg_trades(SYMBOL, limit=1)
        desk.twin.price(SYMBOL, "60010", market)
        after = await public.agg_trades(SYMBOL, newest[-1].trade_id + 1)
        assert [tick.price for tick in after] == [D(60010)]
        with pytest.raises(NotFound):
            await public.last_price("NOPEUSDT")

    play(twin, market, work)


# -- futures -------------------------------------------------------------------------------------


def test_settings_are_made_asserted_and_watched(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        account = desk.account
        assert isinstance(account, BinanceFutures)
        assert await account.mismatch(SYMBOL) == ""
        await account.prepare(SYMBOL)
        wanted = FuturesSettings(leverage=5, margin_type=MarginType.CROSSED)
        other = BinanceFutures(account.transport, wanted)
        said = await other.mismatch(SYMBOL)
        assert "isolated margin, crossed is assumed" in said
        assert "leverage 1, 5 is assumed" in said
        await other.prepare(SYMBOL)
        assert await other.mismatch(SYMBOL) == ""
        position = await other.position(SYMBOL)
        assert (position.leverage, position.margin_type) == (5, MarginType.CROSSED)
        accepted(await account.place(desk.request()))
        with pytest.raises(Conflict, match="margin type of BTCUSDT cannot be set to ISOLATED"):
            await account.prepare(SYMBOL)

    play(twin, Market.FUTURES, work)


def test_hedge_mode_is_a_conflict_with_its_remedy(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        account = desk.account
        assert isinstance(account, BinanceFutures)
        client = account.transport._wire().client
        await account.ping()
        await client.futures_change_position_mode(dualSidePosition="true")
        try:
            assert "hedge mode" in await account.mismatch(SYMBOL)
            with pytest.raises(Conflict, match="switch the position mode to one-way"):
                await account.prepare(SYMBOL)
        finally:
            await client.futures_change_position_mode(dualSidePosition="false")
        assert await account.mismatch(SYMBOL) == ""

    play(twin, Market.FUTURES, work)


def test_a_position_and_its_funding(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        account = desk.account
        assert isinstance(account, BinanceFutures)
        account = BinanceFutures(account.transport, FuturesSettings(leverage=10))
        await account.prepare(SYMBOL)
        before_ms = account.venue_now_ms() - 1
        flat = await account.position(SYMBOL)
        assert (flat.quantity, flat.liquidation_price) == (D(0), None)
        assert flat.mark_price > 0
        accepted(await account.place(desk.request(0, None)))
        held = await account.position(SYMBOL)
        assert (held.quantity, held.entry_price, held.leverage) == (D("0.010"), D(60000), 10)
        assert held.liquidation_price is not None
        assert D(50000) < held.liquidation_price < held.mark_price
        (told,) = desk.truth()["positions"]
        assert D(told["positionAmt"]) == held.quantity
        assert D(told["liquidationPrice"]) == held.liquidation_price
        assert [p.symbol for p in await account.positions()] == [SYMBOL]
        desk.twin.control("/funding", {"symbol": SYMBOL, "rate": "0.0001"})
        desk.twin.control("/funding", {"symbol": SYMBOL, "rate": "-0.0001"})
        first, second = await account.funding(SYMBOL, before_ms)
        assert first.amount == -second.amount == D("-0.06")
        assert first.funding_id != second.funding_id
        assert await account.funding(SYMBOL, second.time_ms) == ()
        more = desk.request(1, None, Side.SELL, quantity=D("0.02"), reduce_only=True)
        await account.place(more)
        assert (await account.position(SYMBOL)).quantity == 0, "reduce-only never turns it round"
        nothing = desk.request(2, None, Side.SELL, reduce_only=True)
        assert refused(await account.place(nothing)) == RejectCode.REDUCE_ONLY
        wallet = next(each for each in (await account.funds()).wallets if each.asset == "USDT")
        assert wallet.balance == D(desk.truth()["balances"]["USDT"]["total"])
        assert wallet.margin_balance == wallet.balance

    play(twin, Market.FUTURES, work)


def test_the_listen_key(twin: RunningTwin) -> None:
    async def work(desk: Desk) -> None:
        account = desk.account
        assert isinstance(account, BinanceFutures)
        key = await account.start_listen_key()
        assert await account.start_listen_key() == key
        assert await account.keep_listen_key()
        await account.close_listen_key()
        assert not await account.keep_listen_key()
        await account.close_listen_key()

    play(twin, Market.FUTURES, work)


# -- every fault of a request --------------------------------------------------------------------

#: Faults of a placement after which nobody knows, and whether the order is there.
OPEN_OUTCOMES = [
    ("lost_request", {}, False),
    ("lost_reply", {}, True),
    ("late_reply", {"ms": 2_000}, True),
    ("unknown_503", {"executed": True}, True),
    ("unknown_503", {"executed": False}, False),
    ("unexpected_response", {"executed": True}, True),
    ("unexpected_response", {"executed": False}, False),
    ("timed_out", {"executed": True}, True),
    ("timed_out", {"executed": False}, False),
]


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("kind", "detail", "is_there"), OPEN_OUTCOMES)
def test_an_open_outcome_is_unknown_and_a_query_tells(
    twin: RunningTwin, market: Market, kind: str, detail: dict[str, Any], is_there: bool
) -> None:
    async def work(desk: Desk) -> None:
        await desk.account.ping()
        desk.inject(kind, **detail)
        request = desk.request()
        assert isinstance(await desk.account.place(request), Unknown)
        report = await desk.account.query(SYMBOL, request.client_id)
        assert (report is not None) is is_there is desk.venue_has(request.client_id)
        assert desk.truth()["repeated_client_ids"] == []

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_slow_engine_shows_the_order_within_the_horizon(
    twin: RunningTwin, market: Market
) -> None:
    async def work(desk: Desk) -> None:
        impatient = type(desk.account)(new := new_transport(twin, timeout_s=0.2))  # type: ignore[call-arg]
        while True:  # so impatient that a busy machine may be too slow for it
            with contextlib.suppress(ExchangeUnavailable):
                await new.sync_clock(market)
                break
        desk.inject("slow_engine", ms=400)
        request = desk.request()
        assert isinstance(await impatient.place(request), Unknown)
        report = await desk.found(request.client_id)
        assert report is not None
        assert report.status.is_open
        await new.close()

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_request_that_travelled_too_long_is_measured_and_sent_anew(
    twin: RunningTwin, market: Market
) -> None:
    async def work(desk: Desk) -> None:
        patient = type(desk.account)(new := new_transport(twin, timeout_s=5))  # type: ignore[call-arg]
        desk.inject("late_request", ms=WINDOW_MS + 200)
        request = desk.request()
        assert accepted(await patient.place(request)).status is VenueStatus.NEW
        assert desk.truth()["repeated_client_ids"] == []
        await new.close()

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_duplicated_placement_is_one_order(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        desk.inject("duplicated_request")
        request = desk.request()
        outcome = await desk.account.place(request)
        # The second copy's refusal is what comes back: it proves that the first arrived.
        assert refused(outcome) == RejectCode.DUPLICATE
        assert await desk.account.query(SYMBOL, request.client_id) is not None
        assert len(desk.truth()["open_orders"]) == 1

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_stale_read_is_believed_only_after_the_horizon(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        request = desk.request()
        accepted(await desk.account.place(request))
        desk.inject("stale_read", "GET", ms=300)
        assert await desk.account.query(SYMBOL, request.client_id) is None
        assert await desk.found(request.client_id) is not None

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(
    ("kind", "code"),
    [("unavailable_503", "503"), ("throttled_503", "-1008"), ("throttled", "-1003")],
)
def test_a_refusal_that_did_nothing_pauses_and_the_next_passes(
    twin: RunningTwin, market: Market, kind: str, code: str
) -> None:
    async def work(desk: Desk) -> None:
        await desk.account.ping()
        detail: dict[str, Any] = {"ms": 1_000} if kind == "throttled" else {}
        desk.inject(kind, **detail)
        request = desk.request()
        outcome = await desk.account.place(request)
        if (market, kind) == (Market.SPOT, "unavailable_503"):
            assert isinstance(outcome, Unknown), "only USD-M documents these words as not done"
        else:
            assert refused(outcome) == code
        assert not desk.venue_has(request.client_id)
        begun_ms = SystemClock().now_ms()
        assert accepted(await desk.account.place(desk.request(1))).status is VenueStatus.NEW
        if kind == "throttled":
            assert SystemClock().now_ms() - begun_ms > 500

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_not_one_request_leaves_during_a_ban(market: Market) -> None:
    async def work(desk: Desk) -> None:
        await desk.account.ping()
        desk.inject("banned", ms=20_000)
        assert refused(await desk.account.place(desk.request())) == "-1003"
        until_ms = desk.account.banned_until_ms
        assert 15_000 < until_ms - SystemClock().now_ms() < 22_000
        for slot in range(5):
            assert refused(await desk.account.place(desk.request(slot))) == RejectCode.NOT_SENT
        assert refused(await desk.account.cancel(SYMBOL, "gl-x-1-1-1")) == RejectCode.NOT_SENT
        for read in (desk.account.balances, desk.account.ping):
            with pytest.raises(ExchangeUnavailable, match="silence until"):
                await read()
        assert desk.twin.account()["requests_in_ban"] == 0

    with running_twin(symbols=(SYMBOL,)) as own:
        play(own, market, work)


@pytest.mark.parametrize("where", ["subscription", "handshake"])
def test_a_ban_that_a_socket_tells_of_silences_requests_too(where: str) -> None:
    """Found by the long run: the user stream was refused, and requests went on all the same."""

    async def work(desk: Desk) -> None:
        transport = desk.account.transport
        stream = SpotUserStream(transport, lambda _: None, lambda _: None, SystemClock())
        if where == "subscription":
            desk.inject("banned", "WS", path="userDataStream.subscribe.signature", ms=20_000)
        else:
            await desk.account.ping()
            stranger = new_transport(desk.twin)  # the same address, and nobody told us
            desk.inject("banned", ms=20_000)
            other = Desk(desk.twin, BinanceSpot(stranger), "t0")
            assert refused(await other.account.place(other.request())) == "-1003"
            await stranger.close()
        with pytest.raises(ExchangeUnavailable):
            await stream.open()
        assert 15_000 < desk.account.banned_until_ms - SystemClock().now_ms() < 22_000
        asked = desk.twin.account()["requests_in_ban"]
        assert refused(await desk.account.place(desk.request())) == RejectCode.NOT_SENT
        with pytest.raises(ExchangeUnavailable, match="silence until"):
            await stream.open()
        assert desk.twin.account()["requests_in_ban"] == asked

    with running_twin(symbols=(SYMBOL,)) as own:
        play(own, Market.SPOT, work)


@pytest.mark.parametrize("market", MARKETS)
def test_maintenance_is_waited_out_by_reads_and_decides_no_order(
    twin: RunningTwin, market: Market
) -> None:
    async def work(desk: Desk) -> None:
        request = desk.request()
        await desk.account.transport.sync_clock(market)
        twin.control("/faults", {"inject": "maintenance", "ms": 700})
        assert not isinstance(await desk.account.place(request), Accepted)
        assert await desk.account.query(SYMBOL, request.client_id) is None
        assert not desk.venue_has(request.client_id)

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", ["lost_request", "lost_reply", "unknown_503", "timed_out"])
def test_lost_cancels_are_unknown_and_the_order_tells(
    twin: RunningTwin, market: Market, kind: str
) -> None:
    async def work(desk: Desk) -> None:
        request = desk.request()
        accepted(await desk.account.place(request))
        # The HTTP library repeats a DELETE whose connection died; to cancel twice is harmless.
        desk.inject(kind, "DELETE", count=3)
        outcome = await desk.account.cancel(SYMBOL, request.client_id)
        assert not isinstance(outcome, Accepted)
        twin.control("/faults", {"quiet": True})
        report = await desk.account.query(SYMBOL, request.client_id)
        assert report is not None
        if report.status.is_open:
            accepted(await desk.account.cancel(SYMBOL, request.client_id))

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", ["lost_request", "lost_reply", "unexpected_response", "timed_out"])
def test_reads_survive_what_passes(twin: RunningTwin, market: Market, kind: str) -> None:
    async def work(desk: Desk) -> None:
        request = desk.request()
        accepted(await desk.account.place(request))
        desk.inject(kind, "GET")
        assert await desk.account.query(SYMBOL, request.client_id) is not None

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_clock_that_leaps_is_found_again(twin: RunningTwin, market: Market) -> None:
    async def work(desk: Desk) -> None:
        accepted(await desk.account.place(desk.request(0)))
        for offset_ms in (2_500, -2_500):
            now_ms = SystemClock().now_ms()
            twin.world.faults.drift_to(offset_ms, now_ms, at_once=True)
            try:
                slot = 1 if offset_ms > 0 else 2
                assert accepted(await desk.account.place(desk.request(slot))).status.is_open
                assert abs(desk.account.clock_offset_ms - offset_ms) < 300
            finally:
                twin.world.faults.drift_to(0, SystemClock().now_ms(), at_once=True)

    play(twin, market, work)


@pytest.mark.parametrize("market", MARKETS)
def test_a_thousand_levels_pass_without_one_refusal_for_their_number(market: Market) -> None:
    """Enough for the venue to count: more than its ten seconds allow, nearest first."""
    fits = 80 if market is Market.SPOT else 240

    async def work(desk: Desk) -> None:
        many = {"venue": market.value, "symbol": SYMBOL, "max_num_orders": 1000}
        desk.twin.control("/instrument", many)
        await desk.account.limits()
        desk.account.note_price(SYMBOL, D(60000))
        prices = [str(59_990 - 10 * i) for i in range(fits + 60)]
        quantity = D("0.001") if market is Market.SPOT else D("0.002")
        tasks = [
            asyncio.create_task(desk.account.place(desk.request(i, price, quantity=quantity)))
            for i, price in enumerate(prices)
        ]
        await asyncio.sleep(2)
        for task in tasks[fits:]:
            assert not task.done()
        waiting = [f"gl-{desk.run}-{i}-1-0" for i in range(fits, len(prices))]
        for name in waiting:
            assert refused(await desk.account.cancel(SYMBOL, name)) == RejectCode.NOT_OPEN
        outcomes = await asyncio.gather(*tasks)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes[:fits])
        assert {refused(outcome) for outcome in outcomes[fits:]} == {RejectCode.NOT_SENT}
        placed = [D(row["price"]) for row in desk.truth()["orders"]]
        assert sorted(placed, reverse=True) == [D(price) for price in prices[:fits]]

    with running_twin(symbols=(SYMBOL,), funds={"USDT": "10000000"}) as own:
        play(own, market, work)
