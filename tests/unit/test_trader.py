"""The trader over several venues: whose order goes where, and what it makes of refusals."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.app.picture import picture_of
from gridlab.app.session import Session
from gridlab.clock import ManualClock
from gridlab.domain.events import InstrumentChanged, OrderRejected, StopPolicy
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, Trade
from gridlab.domain.snapshot import BotSnapshot, BotStatus, EngineState, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidSpec, NotFound, VenueAway
from gridlab.exchange.base import Exchange, Outcome, RejectCode, Rejected, Unknown
from gridlab.exchange.paper import PaperBook, PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.store.journal import Entry

START_MS = 1_700_000_000_000
FEES = FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.QUOTE)


def rules(symbol: str, market: Market = Market.SPOT, tick: str = "0.01") -> Instrument:
    return Instrument(
        symbol=symbol,
        market=market,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(5),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(10_000),
        min_price=Decimal("0.01"),
        max_price=Decimal(100_000),
    )


def spec(symbol: str, *, levels: int = 6, market: Market = Market.SPOT) -> GridSpec:
    return GridSpec(
        symbol,
        levels=levels,
        spacing=Decimal("0.01"),
        quantity=Decimal(1),
        fees=FEES,
        market=market,
    )


class Memory:
    """A journal without a disk."""

    identity = "t"

    def __init__(self) -> None:
        self.stored: list[Entry] = []

    def append(self, entries: Sequence[Entry]) -> None:
        self.stored += entries

    def entries(self, stream: str | None = None) -> Iterator[Entry]:
        return iter([entry for entry in self.stored if stream in (None, entry.stream)])

    def streams(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.stream for entry in self.stored))


class Noting(PaperExchange):
    """A paper venue that notes what it is asked, and refuses when told to."""

    def __init__(self, book: PaperBook, clock: ManualClock, symbols: tuple[str, ...]) -> None:
        super().__init__(book, clock)
        self.symbols = symbols
        self.placed: list[OrderRequest] = []
        self.cancelled: list[str] = []
        self.after_ids: list[int] = []
        self.rules_read = 0
        self.new_rules: dict[str, Instrument] = {}
        self.refuse: Callable[[OrderRequest], Outcome | None] = lambda request: None
        self.refuse_cancels = 0

    async def place(self, request: OrderRequest) -> Outcome:
        self.placed.append(request)
        await asyncio.sleep(0)
        return self.refuse(request) or await super().place(request)

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        self.cancelled.append(client_id)
        if self.refuse_cancels:
            self.refuse_cancels -= 1
            return Rejected("banned", "not sent")
        return await super().cancel(symbol, client_id)

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        self.after_ids.append(after_id)
        return await super().trades(symbol, after_id)

    async def instrument(self, symbol: str) -> Instrument:
        self.rules_read += 1
        return self.new_rules.get(symbol) or await super().instrument(symbol)


class Venue(Noting):
    """Spot."""

    def __init__(self, clock: ManualClock, *symbols: str, horizon_ms: int = 0) -> None:
        book = PaperBook({s: rules(s) for s in symbols}, {"USDT": Decimal(100_000)}, fees=FEES)
        super().__init__(book, clock, symbols)
        self.unseen_horizon_ms = horizon_ms


class Futures(Noting, PaperFutures):
    """Futures, whose settings and position a test may falsify."""

    def __init__(self, clock: ManualClock, *symbols: str) -> None:
        listed = {s: rules(s, Market.FUTURES) for s in symbols}
        book = FuturesBook(listed, {"USDT": Decimal(100_000)}, fees=FEES)
        super().__init__(book, clock, symbols)


class Floored(Venue):
    """A venue whose account has a past."""

    async def trade_floor(self, symbol: str, since_ms: int) -> int:
        return 41 if since_ms == START_MS - 86_400_000 else -1


class Desk:
    def __init__(self, *venues: Noting, journal: Memory | None = None) -> None:
        self.venues = venues
        self.clock = ManualClock(START_MS)
        self.journal = journal or Memory()
        exchanges: dict[Market, Exchange] = {venue.market: venue for venue in venues}
        self.trader = Trader(exchanges, self.journal, self.clock)
        for venue in venues:
            venue._clock = self.clock
            for symbol in venue.symbols:
                venue.advance(symbol, Decimal(100), START_MS)

    async def settle(self) -> None:
        for _ in range(80):
            await asyncio.sleep(0)

    async def start(self, *specs: GridSpec) -> None:
        self.loop = asyncio.create_task(self.trader.run())
        await recover(self.trader)
        for each in specs:
            venue = self.trader.exchanges[each.market]
            self.trader.start_grid(each, await venue.instrument(each.symbol), Decimal(100))
        await self.settle()

    async def cycle(self, symbol: str, price: str = "100") -> None:
        self.clock.advance_to(self.clock.now_ms() + 60_000)
        self.trader.replan(symbol, Decimal(price))
        await self.settle()

    async def end(self) -> None:
        self.loop.cancel()
        await asyncio.gather(self.loop, return_exceptions=True)


def play(desk: Desk, specs: Sequence[GridSpec], story: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await desk.start(*specs)
        try:
            await story()
        finally:
            await desk.end()

    asyncio.run(run())


CLOCK = ManualClock(START_MS)


def test_each_bot_trades_at_the_venue_of_its_market() -> None:
    spot, futures = Venue(CLOCK, "AUSDT"), Futures(CLOCK, "BUSDT")
    desk = Desk(spot, futures)

    async def story() -> None:
        assert {request.symbol for request in spot.placed} == {"AUSDT"}
        assert {request.symbol for request in futures.placed} == {"BUSDT"}
        assert desk.trader.venue_of(desk.trader.bot("BUSDT")) is futures
        futures.advance("BUSDT", Decimal("98.5"), START_MS)
        await desk.settle()
        assert desk.trader.bot("BUSDT").grid.trade_count > 1
        assert desk.trader.bot("AUSDT").grid.trade_count == 1

    play(desk, [spec("AUSDT"), spec("BUSDT", market=Market.FUTURES)], story)


def test_one_venue_alone_serves_its_own_market() -> None:
    venue = Venue(CLOCK, "AUSDT")
    trader = Trader(venue, Memory(), CLOCK)
    assert trader.exchanges == {Market.SPOT: venue}
    with pytest.raises(InvalidSpec, match="account on spot only"):
        trader.start_grid(spec("AUSDT", market=Market.FUTURES), rules("AUSDT"), Decimal(100))


def test_one_bot_a_symbol_over_all_markets() -> None:
    desk = Desk(Venue(CLOCK, "AUSDT"), Futures(CLOCK, "AUSDT"))

    async def story() -> None:
        with pytest.raises(Conflict, match="already runs on AUSDT"):
            desk.trader.start_grid(
                spec("AUSDT", market=Market.FUTURES), rules("AUSDT", Market.FUTURES), Decimal(100)
            )

    play(desk, [spec("AUSDT")], story)


def test_a_bot_without_a_venue_is_halted_and_goes_on_when_there_is_one() -> None:
    journal = Memory()
    spot, futures = Venue(CLOCK, "AUSDT"), Futures(CLOCK, "BUSDT")
    both = Desk(spot, futures, journal=journal)

    async def nothing() -> None:
        return None

    play(both, [spec("AUSDT"), spec("BUSDT", market=Market.FUTURES)], nothing)
    alone = Desk(spot, journal=journal)

    async def without() -> None:
        assert "no account on futures" in alone.trader.bot("BUSDT").halted
        with pytest.raises(Conflict, match="halted"):
            alone.trader.stop_grid("BUSDT", "by hand", StopPolicy.KEEP)
        assert alone.trader.bot("AUSDT").is_driven

    play(alone, [], without)
    again = Desk(spot, futures, journal=journal)

    async def with_it() -> None:
        assert again.trader.bot("BUSDT").is_driven

    play(again, [], with_it)


def test_a_filter_change_costs_one_refusal_and_is_told_once() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)
    changed = rules("AUSDT", tick="0.5")

    def refuse(request: OrderRequest) -> Outcome | None:
        if request.price is not None and request.price % changed.tick_size:
            return Rejected(RejectCode.FILTER, "PRICE_FILTER")
        return None

    async def story() -> None:
        venue.refuse = refuse
        venue.new_rules["AUSDT"] = changed
        venue.advance("AUSDT", Decimal("97.5"), START_MS)  # two buys fill, two sells are refused
        await desk.settle()
        refused = [e for e in desk.journal.stored if isinstance(e.event, OrderRejected)]
        told = [e for e in desk.journal.stored if isinstance(e.event, InstrumentChanged)]
        assert len(refused) >= 1 and len(told) == 1
        assert desk.trader.bot("AUSDT").grid.instrument == changed
        for _ in range(3):
            await desk.cycle("AUSDT", "97.5")
        later = [e for e in desk.journal.stored if isinstance(e.event, OrderRejected)]
        assert later == refused, "after the change is told, nothing is refused for it again"
        assert [e for e in desk.journal.stored if isinstance(e.event, InstrumentChanged)] == told

    play(desk, [spec("AUSDT")], story)


def test_a_refusal_by_an_unchanged_filter_changes_nothing() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse = lambda request: Rejected(RejectCode.FILTER, "PERCENT_PRICE")
        venue.advance("AUSDT", Decimal("98.5"), START_MS)
        await desk.settle()
        assert venue.rules_read > 1
        assert not [e for e in desk.journal.stored if isinstance(e.event, InstrumentChanged)]

    play(desk, [spec("AUSDT")], story)


@pytest.mark.parametrize("code", [RejectCode.INSUFFICIENT_BALANCE, RejectCode.TOO_MANY_ORDERS])
def test_a_starved_account_is_asked_once_a_cycle(code: str) -> None:
    venue = Venue(CLOCK, "AUSDT", horizon_ms=15_000)
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse = lambda request: (
            Rejected(code, "no") if request.type is OrderType.LIMIT else None
        )
        bot = desk.trader.start_grid(spec("AUSDT", levels=20), rules("AUSDT"), Decimal(100))
        await desk.settle()
        assert sum(1 for _ in bot.live()) == 0
        for _ in range(5):
            before = len(venue.placed)
            await desk.cycle("AUSDT")
            asked = Counter(request.side for request in venue.placed[before:])
            assert all(count == 1 for count in asked.values()), asked
            assert asked[Side.BUY] + asked[Side.SELL] >= 1
        venue.refuse = lambda request: None
        await desk.cycle("AUSDT")
        assert sum(1 for _ in bot.live()) == 20, "when there is room again, all slots are filled"

    play(desk, [], story)


def shown(desk: Desk, symbol: str) -> BotSnapshot:
    """The bot as everybody outside the engine sees it."""
    account = SimpleNamespace(balances=lambda market: (), positions=lambda: ())
    session = SimpleNamespace(
        mode=Mode.TESTNET, clock=desk.clock, speed=1.0, progress=None, account=account,
        trader=desk.trader, prices=dict, health=dict, agents={},
    )  # fmt: skip
    frame = Snapshot(0, Mode.TESTNET, EngineState.READY, 0, 0, 0, 1.0, None)
    return picture_of(cast(Session, session), frame).bots[symbol]


def test_what_waits_for_anothers_answer_does_not_leave_after_a_stop() -> None:
    """The first order asks whether there are funds again; the user stops while it asks."""
    venue = Venue(CLOCK, "AUSDT", horizon_ms=15_000)
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse = lambda request: (
            Rejected(RejectCode.INSUFFICIENT_BALANCE, "no") if request.price else None
        )
        bot = desk.trader.start_grid(spec("AUSDT", levels=20), rules("AUSDT"), Decimal(100))
        await desk.settle()
        venue.refuse = lambda request: None
        before = len(venue.placed)
        desk.clock.advance_to(desk.clock.now_ms() + 60_000)
        desk.trader.replan("AUSDT", Decimal(100))
        while len(venue.placed) == before:
            await asyncio.sleep(0)
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        desk.trader.turn()
        await desk.settle()
        asked = Counter(request.side for request in venue.placed[before:])
        assert all(count == 1 for count in asked.values()), asked
        assert bot.is_over
        assert await venue.open_orders("AUSDT") == ()

    play(desk, [], story)


def test_a_closed_market_is_left_alone_for_hours_and_the_bot_says_so() -> None:
    venue = Venue(CLOCK, "AUSDT", horizon_ms=15_000)
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse = lambda request: (
            Rejected(RejectCode.MARKET_CLOSED, "Market is closed.")
            if request.type is OrderType.LIMIT
            else None
        )
        bot = desk.trader.start_grid(spec("AUSDT", levels=20), rules("AUSDT"), Decimal(100))
        await desk.settle()
        before = len(venue.placed)
        for _ in range(120):
            await desk.cycle("AUSDT")
        assert len(venue.placed) - before <= 2 * 12, "two hours, one request a side and pause"
        now = shown(desk, "AUSDT")
        assert now.status is BotStatus.RUNNING
        assert "held back until" in now.reason and "Market is closed." in now.reason
        venue.refuse = lambda request: None
        for _ in range(16):
            await desk.cycle("AUSDT")
        assert sum(1 for _ in bot.live()) == 20, "when it is open again, all slots are filled"
        assert shown(desk, "AUSDT").reason == ""

    play(desk, [], story)


def test_a_venue_in_this_process_is_asked_for_every_slot() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse = lambda request: (
            Rejected(RejectCode.INSUFFICIENT_BALANCE, "no") if request.price else None
        )
        desk.trader.start_grid(spec("AUSDT", levels=20), rules("AUSDT"), Decimal(100))
        await desk.settle()
        before = len(venue.placed)
        await desk.cycle("AUSDT")
        assert len(venue.placed) - before == 20

    play(desk, [], story)


def test_an_order_sent_after_a_wait_is_not_believed_absent_too_early() -> None:
    venue = Venue(CLOCK, "AUSDT", horizon_ms=15_000)
    desk = Desk(venue)
    lost: list[OrderRequest] = []

    def lose(request: OrderRequest) -> Outcome | None:
        if request.type is OrderType.MARKET:
            return None
        if lost:
            return None
        lost.append(request)
        desk.clock.advance_to(desk.clock.now_ms() + 100_000)  # it waited its turn so long
        return Unknown("no answer")

    async def story() -> None:
        venue.refuse = lose
        bot = desk.trader.start_grid(spec("AUSDT"), rules("AUSDT"), Decimal(100))
        await desk.settle()
        left_ms = desk.clock.now_ms()
        order = bot.grid.find(lost[0].client_id)
        while bot.grid.find(lost[0].client_id) is order:
            wake = desk.clock.next_wake_ms
            assert wake is not None
            desk.clock.advance_to(wake)
            await desk.settle()
        assert desk.clock.now_ms() >= left_ms + 15_000

    play(desk, [], story)


def test_absence_is_proved_soon_after_it_can_be() -> None:
    venue = Venue(CLOCK, "AUSDT", horizon_ms=16_000)
    desk = Desk(venue)
    lost: list[OrderRequest] = []

    def lose(request: OrderRequest) -> Outcome | None:
        if request.type is OrderType.MARKET or lost:
            return None
        lost.append(request)
        return Unknown("no answer")

    async def story() -> None:
        venue.refuse = lose
        bot = desk.trader.start_grid(spec("AUSDT"), rules("AUSDT"), Decimal(100))
        await desk.settle()
        sent_ms = desk.clock.now_ms()
        while bot.grid.find(lost[0].client_id) is not None:
            wake = desk.clock.next_wake_ms
            assert wake is not None
            desk.clock.advance_to(wake)
            await desk.settle()
        assert 16_000 <= desk.clock.now_ms() - sent_ms <= 18_000

    play(desk, [], story)


def test_cancels_that_came_to_nothing_are_asked_again() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        venue.refuse_cancels = 4
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        assert not desk.trader.bot("AUSDT").is_over
        await desk.trader.reconcile()
        await desk.settle()
        assert desk.trader.bot("AUSDT").is_over
        assert max(Counter(venue.cancelled).values()) == 2

    play(desk, [spec("AUSDT")], story)


def test_an_accounts_past_before_the_run_is_not_read() -> None:
    venue = Floored(CLOCK, "AUSDT", horizon_ms=15_000)
    desk = Desk(venue)

    async def story() -> None:
        venue.after_ids.clear()
        await desk.trader.reconcile()
        assert venue.after_ids and min(venue.after_ids) >= 41

    play(desk, [spec("AUSDT")], story)


def test_a_bot_that_is_over_is_read_once_more_and_then_left() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        desk.trader.stop_grid("AUSDT", "by hand", StopPolicy.KEEP)
        await desk.settle()
        desk.clock.advance_to(desk.clock.now_ms() + 120_000)
        venue.after_ids.clear()
        for _ in range(5):
            await desk.trader.reconcile()
        assert len(venue.after_ids) == 1

    play(desk, [spec("AUSDT")], story)


def test_a_delisted_symbol_halts_its_bot_and_no_other() -> None:
    venue = Venue(CLOCK, "AUSDT", "BUSDT")
    desk = Desk(venue)
    original = venue.open_orders

    async def gone(symbol: str) -> object:
        if symbol == "AUSDT":
            raise NotFound("AUSDT is not listed any more")
        return await original(symbol)

    async def story() -> None:
        venue.open_orders = gone  # type: ignore[method-assign,assignment]
        await desk.trader.reconcile()
        assert "not listed" in desk.trader.bot("AUSDT").halted
        assert desk.trader.bot("BUSDT").is_driven

    play(desk, [spec("AUSDT"), spec("BUSDT")], story)


def test_a_symbol_that_is_refused_leaves_the_other_bots_their_comparison() -> None:
    venue = Venue(CLOCK, "AUSDT", "BUSDT")
    desk = Desk(venue)
    original, error = venue.trades, ExchangeUnavailable("AUSDT: it answered 400 (-1000)")

    async def refused(symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        if symbol == "AUSDT":
            raise error
        return await original(symbol, after_id)

    async def story() -> None:
        nonlocal error
        first, second = desk.trader.bot("AUSDT"), desk.trader.bot("BUSDT")
        venue.trades = refused  # type: ignore[method-assign]
        venue.subscribe(lambda event: None)  # nothing is told: only a comparison finds it
        venue.advance("AUSDT", Decimal("98.5"), START_MS)
        venue.advance("BUSDT", Decimal("98.5"), START_MS)
        await desk.trader.reconcile()
        await desk.settle()
        assert (first.grid.trade_count, second.grid.trade_count) == (1, 2)
        assert desk.trader.unread(Market.SPOT) == [first] and "-1000" in first.unread
        assert "-1000" in shown(desk, "AUSDT").reason
        error = VenueAway("no answer")
        with pytest.raises(VenueAway):
            await desk.trader.reconcile()
        venue.trades = original  # type: ignore[method-assign]
        await desk.trader.reconcile()
        await desk.settle()
        assert first.grid.trade_count == 2 and not desk.trader.unread(Market.SPOT)

    play(desk, [spec("AUSDT"), spec("BUSDT")], story)


def test_after_a_start_a_bot_that_cannot_be_read_gives_no_order_and_the_others_do() -> None:
    venue, journal = Venue(CLOCK, "AUSDT", "BUSDT", horizon_ms=15_000), Memory()
    first = Desk(venue, journal=journal)

    async def nothing() -> None:
        return None

    play(first, [spec("AUSDT"), spec("BUSDT")], nothing)
    second, original = Desk(venue, journal=journal), venue.open_orders

    async def refused(symbol: str) -> object:
        if symbol == "AUSDT":
            raise ExchangeUnavailable("AUSDT: it answered 400 (-1000)")
        return await original(symbol)

    async def story() -> None:
        venue.placed.clear()
        for symbol in ("AUSDT", "BUSDT"):
            venue.advance(symbol, Decimal("98.5"), START_MS)
        await second.settle()
        assert {request.symbol for request in venue.placed} == {"BUSDT"}
        bot = second.trader.bot("AUSDT")
        assert bot.is_driven and bot.grid.trade_count == 2, "what is told is booked"
        venue.open_orders = original  # type: ignore[method-assign]
        await second.trader.reconcile()
        await second.cycle("AUSDT", "98.5")
        assert [request.symbol for request in venue.placed].count("AUSDT") == 1

    venue.open_orders = refused  # type: ignore[method-assign,assignment]
    play(second, [], story)


def test_a_halted_bot_books_and_sends_nothing() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        bot = desk.trader.bot("AUSDT")
        bot.halt("leverage is 5 and 1 was assumed")
        bot.halt("another reason comes too late")
        stored, placed = len(desk.journal.stored), len(venue.placed)
        venue.advance("AUSDT", Decimal("97.5"), START_MS)
        await desk.cycle("AUSDT", "97.5")
        await desk.trader.reconcile()
        assert (len(desk.journal.stored), len(venue.placed)) == (stored, placed)
        assert bot.halted == "leverage is 5 and 1 was assumed"

    play(desk, [spec("AUSDT")], story)


def test_a_ghost_is_called_out_when_two_readings_show_it(caplog: pytest.LogCaptureFixture) -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)

    async def story() -> None:
        ours = next(request for request in venue.placed if request.side is Side.BUY)
        ghost = replace(ours, client_id="gl-t1-0-9-9", price=Decimal(90), type=OrderType.LIMIT)
        await PaperExchange.place(venue, ghost)
        await desk.trader.reconcile()
        assert "gl-t1-0-9-9" not in caplog.text
        await desk.trader.reconcile()
        assert "gl-t1-0-9-9" in caplog.text
        assert (await venue.query("AUSDT", "gl-t1-0-9-9")).status.is_open  # type: ignore[union-attr]

    play(desk, [spec("AUSDT")], story)


def test_slots_are_tried_again_after_a_start_with_a_clock_that_was_set_back() -> None:
    venue, journal = Venue(CLOCK, "AUSDT", horizon_ms=15_000), Memory()
    first = Desk(venue, journal=journal)
    venue.refuse = lambda request: (
        Rejected("banned", "not sent") if request.type is not OrderType.MARKET else None
    )

    async def refused() -> None:
        await first.cycle("AUSDT")
        assert not await venue.open_orders("AUSDT")

    play(first, [spec("AUSDT")], refused)
    again = Desk(venue, journal=journal)
    assert again.clock.now_ms() < first.clock.now_ms()
    venue.refuse = lambda request: None

    async def placed() -> None:
        again.trader.replan("AUSDT", Decimal(100))
        await again.settle()
        assert len(await venue.open_orders("AUSDT")) == 6

    play(again, [], placed)


def test_turns_are_timed_and_told_of() -> None:
    venue = Venue(CLOCK, "AUSDT")
    desk = Desk(venue)
    turns: list[int] = []
    desk.trader.on_turn = lambda: turns.append(len(venue.placed))

    async def story() -> None:
        assert len(turns) == len(desk.trader.turn_seconds) > 0
        assert turns[0] == 0, "told before its commands leave"

    play(desk, [spec("AUSDT")], story)
