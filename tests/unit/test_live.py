"""The live driver: gaps are read up before a venue is ready, timers keep the books right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from gridlab.agents.live import LiveDriver
from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.clock import ManualClock
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, Side, Trade
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, NotFound, VenueAway
from gridlab.exchange.base import (
    LiveExchange,
    Outcome,
    Price,
    RejectCode,
    Rejected,
    StreamHealth,
    StreamState,
)
from gridlab.exchange.paper import PaperBook, PaperExchange
from gridlab.store.journal import Entry

START_MS = 1_700_000_000_000
RULES = Instrument(
    symbol="COINUSDT",
    market=Market.SPOT,
    base="COIN",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(5),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal(10_000),
    min_price=Decimal("0.01"),
    max_price=Decimal(100_000),
)
FEES = FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.QUOTE)
SPEC = GridSpec("COINUSDT", levels=6, spacing=Decimal("0.01"), quantity=Decimal(1), fees=FEES)


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


class Wire(PaperExchange):
    """A paper venue at the far end of a wire that can be cut; what happens meanwhile is untold."""

    unseen_horizon_ms = 15_000

    def __init__(self, clock: ManualClock, usdt: int = 10_000) -> None:
        book = PaperBook({"COINUSDT": RULES}, {"USDT": Decimal(usdt)}, fees=FEES)
        super().__init__(book, clock)
        self.clock = clock
        self.state = StreamState.CLOSED
        self.is_readable = True
        self.refused = ""
        self.reads: list[tuple[int, str]] = []
        self.placed: list[OrderRequest] = []
        self.refusal: Rejected | None = None
        self.rules = RULES
        self._on_gap: Callable[[str], None] = lambda reason: None

    @property
    def health(self) -> StreamHealth:
        return StreamHealth(self.state, "by the test", self.clock.now_ms())

    async def open(self, on_gap: Callable[[str], None]) -> None:
        self._on_gap = on_gap
        self.mend("first connection")

    def caught_up(self) -> None:
        if self.state is StreamState.CATCHING_UP:
            self.state = StreamState.READY

    async def close(self) -> None:
        self.state = StreamState.CLOSED

    def cut(self) -> None:
        self.state = StreamState.CONNECTING

    def mend(self, reason: str) -> None:
        self.state = StreamState.CATCHING_UP
        self._on_gap(reason)

    def _push(self) -> None:
        if self.state in (StreamState.CATCHING_UP, StreamState.READY):
            super()._push()
        else:
            self.book.take_events()

    async def place(self, request: OrderRequest) -> Outcome:
        self.placed.append(request)
        if self.refusal is not None:
            return self.refusal
        return await super().place(request)

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        self.reads.append((self.clock.now_ms(), "trades"))
        if not self.is_readable:
            raise VenueAway("trades: away")
        if self.refused:
            raise ExchangeUnavailable(self.refused)
        return await super().trades(symbol, after_id)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        await asyncio.sleep(0)
        return await super().open_orders(symbol)

    async def instrument(self, symbol: str) -> Instrument:
        self.reads.append((self.clock.now_ms(), "instrument"))
        return self.rules


class Prices:
    """The market data that a driver reads: one price and its age."""

    def __init__(self, venue: Wire, clock: ManualClock) -> None:
        self.venue = venue
        self.clock = clock
        self.age_ms = 0

    def price(self, market: Market, symbol: str) -> Price:
        value = self.venue.book.price(symbol)
        if value is None:
            raise NotFound(symbol)
        return Price(value, self.clock.now_ms() - self.age_ms)


class Desk:
    """Trader, driver and venue, and time in the test's hand."""

    def __init__(self, usdt: int = 10_000) -> None:
        self.clock = ManualClock(START_MS)
        self.venue = Wire(self.clock, usdt)
        self.journal = Memory()
        self.trader = Trader(self.venue, self.journal, self.clock)
        self.prices = Prices(self.venue, self.clock)
        self.steps = 0
        self.driver = LiveDriver(
            self.trader,
            self.prices,  # type: ignore[arg-type]
            self.clock,
            on_step=self._step,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def _step(self) -> None:
        self.steps += 1

    async def start(self) -> None:
        self.venue.advance("COINUSDT", Decimal(100), self.clock.now_ms())
        await self.driver.open()
        self.tasks.append(asyncio.create_task(self.trader.run()))
        await recover(self.trader)
        self.tasks.append(asyncio.create_task(self.driver.run()))
        await self.pass_time(1_000)

    async def settle(self) -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    async def pass_time(self, duration_ms: int) -> None:
        until_ms = self.clock.now_ms() + duration_ms
        await self.settle()
        while (wake := self.clock.next_wake_ms) is not None and wake <= until_ms:
            self.clock.advance_to(wake)
            await self.settle()
        self.clock.advance_to(until_ms)
        await self.settle()

    async def grid(self) -> None:
        self.trader.start_grid(SPEC, RULES, Decimal(100))
        await self.pass_time(1_000)

    def move(self, price: str) -> None:
        self.venue.advance("COINUSDT", Decimal(price), self.clock.now_ms())

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.driver.close()

    def check_books(self) -> None:
        bot = self.trader.bot("COINUSDT")
        trades = self.venue.book.trades("COINUSDT")
        assert not bot.halted and bot.grid.trade_count == len(trades)
        live = {order.client_id for order in bot.live()}
        assert live == {report.client_id for report in self.venue.book.open_orders("COINUSDT")}


def play(story: Callable[[Desk], Awaitable[None]], *, usdt: int = 10_000) -> None:
    async def run() -> None:
        desk = Desk(usdt)
        await desk.start()
        try:
            await story(desk)
        finally:
            await desk.end()

    asyncio.run(run())


def test_the_test_venue_is_a_live_exchange() -> None:
    assert isinstance(Wire(ManualClock()), LiveExchange)


def test_a_venue_is_ready_after_its_first_reading_and_fills_flow_by_themselves() -> None:
    async def story(desk: Desk) -> None:
        assert desk.venue.state is StreamState.READY and desk.driver.is_ready(Market.SPOT)
        await desk.grid()
        reads = len(desk.venue.reads)
        desk.move("98.5")
        await desk.settle()
        assert len(desk.venue.reads) == reads, "a fill that is told is not asked for"
        desk.check_books()

    play(story)


def test_fills_during_a_gap_are_found_before_the_venue_is_ready_again() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.cut()
        desk.move("97")
        desk.move("100.5")
        await desk.settle()
        assert desk.trader.bot("COINUSDT").grid.trade_count < len(
            desk.venue.book.trades("COINUSDT")
        )
        desk.venue.mend("reconnected")
        assert not desk.driver.is_ready(Market.SPOT)
        await desk.settle()
        assert desk.driver.is_ready(Market.SPOT)
        desk.check_books()

    play(story)


def test_a_gap_that_comes_while_another_is_read_is_read_too() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.mend("first")
        await asyncio.sleep(0)  # the reading is under way
        await asyncio.sleep(0)
        desk.venue.mend("second")
        before = len(desk.venue.reads)
        await desk.settle()
        assert len(desk.venue.reads) > before and desk.driver.is_ready(Market.SPOT)

    play(story)


def test_while_cut_off_fills_are_found_by_reading_and_nothing_is_called_ready() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.cut()
        await desk.pass_time(31_000)  # the next reading knows that the stream is away
        desk.move("97.5")
        await desk.pass_time(6_000)
        desk.check_books()
        assert desk.venue.state is StreamState.CONNECTING
        with pytest.raises(Conflict, match="connecting"):
            desk.trader.start_grid(replace(SPEC, symbol="OTHER"), RULES, Decimal(1))

    play(story)


def test_a_venue_that_cannot_be_read_is_asked_again_until_it_can() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.cut()
        desk.move("97.5")
        desk.venue.is_readable = False
        desk.venue.mend("reconnected")
        await desk.pass_time(60_000)
        assert not desk.driver.is_ready(Market.SPOT)
        desk.venue.is_readable = True
        await desk.pass_time(31_000)
        assert desk.driver.is_ready(Market.SPOT)
        desk.check_books()

    play(story)


def test_a_market_is_ready_without_the_bot_whose_symbol_is_refused() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        bot = desk.trader.bot("COINUSDT")
        desk.venue.cut()
        desk.move("97.5")
        desk.venue.refused = "GET /api/v3/myTrades: it answered 400 (-1000: no)"
        desk.venue.refusal = Rejected(RejectCode.FILTER, "no")
        desk.venue.mend("reconnected")
        await desk.pass_time(1_000)
        assert desk.driver.is_ready(Market.SPOT)
        assert "-1000" in bot.unread and not bot.halted
        read_from_ms = desk.clock.now_ms()
        desk.venue.placed.clear()
        await desk.pass_time(120_000)
        assert not desk.venue.placed, "a vacant slot waits until the bot was read"
        pauses = len([at for at, what in desk.venue.reads if at > read_from_ms])
        assert 4 <= pauses <= 10, "it is asked again at growing pauses"
        desk.venue.refused, desk.venue.refusal = "", None
        await desk.pass_time(91_000)
        assert not bot.unread
        desk.check_books()

    play(story)


def test_what_the_stream_lost_unnoticed_is_found_on_the_timer() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.state = StreamState.CONNECTING  # swallow the events, tell nobody
        desk.move("97.5")
        desk.venue.state = StreamState.READY
        await desk.pass_time(31_000)
        desk.check_books()

    play(story)


def test_a_machine_that_slept_treats_it_as_a_gap() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        await desk.pass_time(40_000)
        reads = len(desk.venue.reads)
        desk.clock.advance_to(desk.clock.now_ms() + 7 * 86_400_000)
        await desk.settle()
        assert len(desk.venue.reads) > reads and desk.driver.is_ready(Market.SPOT)
        desk.check_books()

    play(story)


def test_vacant_slots_are_tried_only_while_ready_and_with_a_fresh_price() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        desk.venue.refusal = Rejected(RejectCode.WOULD_TAKE, "later")
        desk.move("98.5")
        await desk.pass_time(1_000)
        desk.venue.refusal = None
        count = len(desk.venue.placed)
        desk.prices.age_ms = 31_000
        await desk.pass_time(120_000)
        assert len(desk.venue.placed) == count, "an old price is no price"
        desk.prices.age_ms = 0
        desk.venue.cut()
        await desk.pass_time(120_000)
        assert len(desk.venue.placed) == count, "a venue that is away gets no new orders"
        desk.venue.mend("reconnected")
        await desk.pass_time(61_000)
        assert len(desk.venue.placed) == count + 1
        desk.check_books()

    play(story)


def test_signs_of_life_and_news() -> None:
    async def story(desk: Desk) -> None:
        await desk.pass_time(10_000)
        assert desk.driver.beat_ms >= desk.clock.now_ms() - 1_000 and desk.steps >= 9
        await desk.grid()
        assert desk.driver.step_seconds
        steps = desk.steps
        desk.move("98.5")
        async with asyncio.timeout(30):  # news is told soon, not at the beat: the clock stands
            while desk.steps == steps:
                await asyncio.sleep(0.005)

    play(story)


def test_ready_waits_and_says_what_it_waits_for() -> None:
    async def story(desk: Desk) -> None:
        await desk.driver.ready()
        desk.venue.cut()
        waiting = asyncio.create_task(desk.driver.ready(2_000))
        await desk.pass_time(3_000)
        with pytest.raises(ExchangeUnavailable, match="spot is connecting"):
            await waiting

    play(story)


def test_foreign_orders_are_reported_and_left_alone() -> None:
    async def story(desk: Desk) -> None:
        await desk.grid()
        ours = next(order for order in desk.venue.placed if order.side is Side.BUY and order.price)
        await desk.venue.place(replace(ours, client_id="web_12345", price=Decimal(80)))
        await desk.pass_time(61_000)
        (report,) = desk.trader.foreign[Market.SPOT, "COINUSDT"]
        assert report.client_id == "web_12345" and report.status.is_open

    play(story)
