"""Live prices for every thread, and Shadow's prints: each market trade once, in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from gridlab.agents import shadow as shadow_module
from gridlab.agents.live import FRESH_PRICE_MS
from gridlab.agents.live_market import LiveMarket
from gridlab.agents.shadow import Shadow
from gridlab.clock import ManualClock
from gridlab.domain.market import FeeSchedule, Instrument, Market, Ticker
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.errors import BugError, ExchangeUnavailable, NotFound
from gridlab.exchange.base import Dated, MarketData, Price, StreamHealth, StreamState
from gridlab.exchange.paper import PaperBook, PaperExchange

START_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Print:
    trade_id: int
    price: Decimal
    symbol: str = "AUSDT"
    quantity: Decimal = Decimal(1)
    time_ms: int = START_MS


class Prices:
    """A price stream that says what the test says."""

    market = Market.SPOT

    def __init__(self) -> None:
        self.told: dict[str, Price] = {}
        self.names: list[str] = []
        self.health = StreamHealth(StreamState.READY, "by the test", START_MS)

    def price(self, symbol: str) -> Price | None:
        return self.told.get(symbol)

    async def open(self, symbols: Iterable[str] = ()) -> None:
        self.names += symbols

    async def subscribe(self, symbols: Iterable[str]) -> None:
        self.names += symbols

    async def unsubscribe(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            self.names.remove(symbol)

    async def close(self) -> None:
        return None


class Tickers:
    """A source of tickers that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.price = Decimal(100)
        self.is_away = False

    async def ticker(self, symbol: str) -> Ticker:
        self.asked.append(symbol)
        if self.is_away:
            raise ExchangeUnavailable("away")
        if symbol == "NONE":
            raise NotFound("NONE is not listed")
        zero = Decimal(0)
        return Ticker(
            symbol, Market.SPOT, self.price, zero, None, zero, zero, zero, START_MS, 86_400_000
        )


class Answers:
    """A data agent that answers in the loop it belongs to."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.found: Dated[object] | None = None

    async def ticker(self, symbol: str) -> object:
        self.threads.append(threading.get_ident())
        return self.found or Dated(f"ticker of {symbol}", 0, False)


def make() -> tuple[LiveMarket, Prices, Tickers, Answers, ManualClock]:
    prices, tickers, answers, clock = Prices(), Tickers(), Answers(), ManualClock(START_MS)
    market = LiveMarket(
        {Market.SPOT: prices},
        {Market.SPOT: answers},  # type: ignore[dict-item]
        {Market.SPOT: tickers},
        clock,
    )
    return market, prices, tickers, answers, clock


def test_a_price_is_the_latest_of_what_was_told_and_what_was_asked() -> None:
    async def story() -> None:
        market, prices, _, _, _ = make()
        data: MarketData = market
        await market.open({Market.SPOT: ["AUSDT"]})
        assert data.price(Market.SPOT, "AUSDT") == Price(Decimal(100), START_MS)
        prices.told["AUSDT"] = Price(Decimal(101), START_MS + 5)
        assert data.price(Market.SPOT, "AUSDT").value == 101
        assert data.symbols(Market.SPOT) == ("AUSDT",) and data.symbols(Market.FUTURES) == ()
        with pytest.raises(NotFound, match="BUSDT"):
            data.price(Market.SPOT, "BUSDT")

    asyncio.run(story())


def test_a_price_has_an_age_and_past_its_bound_it_is_stale() -> None:
    async def story() -> None:
        market, prices, _, _, clock = make()
        await market.open({Market.SPOT: ["AUSDT"]})
        assert market.dated_price(Market.SPOT, "AUSDT") == Dated(Decimal(100), 0, False)
        clock.advance_to(START_MS + FRESH_PRICE_MS)
        assert market.dated_price(Market.SPOT, "AUSDT") == Dated(Decimal(100), 30_000, False)
        clock.advance_to(START_MS + FRESH_PRICE_MS + 1)
        assert market.dated_price(Market.SPOT, "AUSDT") == Dated(Decimal(100), 30_001, True)
        # A venue's clock may be ahead of the machine's; an age is never below zero.
        prices.told["AUSDT"] = Price(Decimal(101), clock.now_ms() + 700)
        assert market.dated_price(Market.SPOT, "AUSDT") == Dated(Decimal(101), 0, False)
        with pytest.raises(NotFound, match="BUSDT"):
            market.dated_price(Market.SPOT, "BUSDT")

    asyncio.run(story())


def test_a_symbol_can_be_watched_later_and_a_wrong_one_is_refused() -> None:
    async def story() -> None:
        market, prices, _, _, _ = make()
        await market.open({})
        await market.watch(Market.SPOT, "BUSDT")
        await market.watch(Market.SPOT, "BUSDT")
        assert prices.names == ["BUSDT"] and market.price(Market.SPOT, "BUSDT").value == 100
        with pytest.raises(NotFound, match="not listed"):
            await market.watch(Market.SPOT, "NONE")
        with pytest.raises(NotFound, match="no futures market"):
            await market.watch(Market.FUTURES, "BUSDT")
        assert market.symbols(Market.SPOT) == ("BUSDT",)

    asyncio.run(story())


def test_a_symbol_that_is_let_go_has_no_price_and_is_not_asked_for() -> None:
    async def story() -> None:
        market, prices, tickers, _, clock = make()
        await market.open({Market.SPOT: ["AUSDT", "BUSDT"]})
        prices.told["BUSDT"] = Price(Decimal(101), START_MS)
        await market.unwatch(Market.SPOT, "BUSDT")
        assert prices.names == ["AUSDT"] and market.symbols(Market.SPOT) == ("AUSDT",)
        with pytest.raises(NotFound, match="not watched"):
            market.price(Market.SPOT, "BUSDT")
        running = asyncio.create_task(market.run())
        tickers.asked.clear()
        for second in range(1, 31):
            clock.advance_to(START_MS + second * 1_000)
            for _ in range(5):
                await asyncio.sleep(0)
        assert set(tickers.asked) == {"AUSDT"}
        running.cancel()

    asyncio.run(story())


def test_a_question_about_a_price_watches_nothing() -> None:
    async def story() -> None:
        market, prices, tickers, answers, _ = make()
        await market.open({Market.SPOT: ["AUSDT"]})
        answers.found = Dated(await tickers.ticker("BUSDT"), 3_000, False)
        assert await market.quote(Market.SPOT, "AUSDT") == Price(Decimal(100), START_MS)
        assert await market.quote(Market.SPOT, "BUSDT") == Price(Decimal(100), START_MS - 3_000)
        assert prices.names == ["AUSDT"] and market.symbols(Market.SPOT) == ("AUSDT",)
        with pytest.raises(NotFound, match="no futures market"):
            await market.quote(Market.FUTURES, "AUSDT")

    asyncio.run(story())


def test_a_quiet_symbols_price_is_asked_for_and_an_active_ones_is_not() -> None:
    async def story() -> None:
        market, prices, tickers, _, clock = make()
        await market.open({Market.SPOT: ["AUSDT", "BUSDT"]})
        running = asyncio.create_task(market.run())
        tickers.asked.clear()
        for second in range(1, 61):
            prices.told["BUSDT"] = Price(Decimal(7), START_MS + second * 1_000)
            clock.advance_to(START_MS + second * 1_000)
            for _ in range(5):
                await asyncio.sleep(0)
        assert 3 <= tickers.asked.count("AUSDT") <= 6 and "BUSDT" not in tickers.asked
        assert clock.now_ms() - market.price(Market.SPOT, "AUSDT").time_ms <= 15_000
        tickers.is_away = True
        clock.advance_to(START_MS + 120_000)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not running.done(), "a source that is away is asked again"
        running.cancel()

    asyncio.run(story())


def test_other_threads_wait_and_the_loop_itself_may_not() -> None:
    async def story() -> None:
        market, _, _, answers, _ = make()
        with pytest.raises(ExchangeUnavailable, match="not open"):
            await asyncio.to_thread(market.ticker, Market.SPOT, "AUSDT")
        await market.open({})
        found = await asyncio.to_thread(market.ticker, Market.SPOT, "AUSDT")
        assert found == "ticker of AUSDT" and answers.threads == [threading.get_ident()]
        with pytest.raises(BugError, match="may not wait for itself"):
            market.ticker(Market.SPOT, "AUSDT")
        with pytest.raises(NotFound, match="no futures market"):
            market.ticker(Market.FUTURES, "AUSDT")

    asyncio.run(story())


# --- shadow ---------------------------------------------------------------------------------------


class Trades:
    """The market: every trade it ever had, and a stream that a test may make forgetful."""

    def __init__(self) -> None:
        self.all: list[Print] = []
        self.is_away = False
        self.asked: list[int] = []
        self.on_tick: Callable[[Print], None]
        self.on_gap: Callable[[str], None]

    def listen(
        self, on_tick: Callable[[Print], None], on_gap: Callable[[str], None] | None = None
    ) -> None:
        assert on_gap is not None
        self.on_tick, self.on_gap = on_tick, on_gap

    def trade(self, price: str, *, told: bool = True) -> Print:
        trade = Print(len(self.all) + 100, Decimal(price))
        self.all.append(trade)
        if told:
            self.on_tick(trade)
        return trade

    async def agg_trades(self, symbol: str, from_id: int, limit: int) -> Sequence[Print]:
        self.asked.append(from_id)
        await asyncio.sleep(0)
        if self.is_away:
            raise ExchangeUnavailable("away")
        return [trade for trade in self.all if trade.trade_id >= from_id][:limit]


class Paper:
    """Notes what was printed."""

    def __init__(self) -> None:
        self.printed: list[Decimal] = []

    def print_trade(self, symbol: str, price: Decimal, quantity: Decimal, time_ms: int) -> None:
        self.printed.append(price)


def play_shadow(story: Callable[[Trades, Paper, Shadow, ManualClock], Awaitable[None]]) -> None:
    async def run() -> None:
        trades, paper, clock = Trades(), Paper(), ManualClock(START_MS)
        shadow = Shadow(Market.SPOT, trades, trades, paper, clock)  # type: ignore[arg-type]
        running = asyncio.create_task(shadow.run())
        await story(trades, paper, shadow, clock)
        assert not running.done()
        running.cancel()

    asyncio.run(run())


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def test_trades_are_printed_as_they_come_and_repeats_are_not() -> None:
    async def story(trades: Trades, paper: Paper, shadow: Shadow, clock: ManualClock) -> None:
        first = trades.trade("1")
        trades.trade("2")
        trades.on_tick(first)
        trades.trade("3")
        assert paper.printed == [1, 2, 3] and shadow.printed == 3 and not trades.asked

    play_shadow(story)


def test_missed_trades_are_read_and_printed_in_their_place() -> None:
    async def story(trades: Trades, paper: Paper, shadow: Shadow, clock: ManualClock) -> None:
        trades.trade("1")
        for price in range(2, 2_500):
            trades.trade(str(price), told=False)
        trades.trade("2500")
        trades.trade("2501")  # comes while the others are being read
        await settle()
        assert paper.printed == list(range(1, 2_502))
        assert shadow.recovered == 2_498 and shadow.skipped == 0 and len(trades.asked) == 3
        trades.trade("9")
        assert paper.printed[-1] == 9, "afterwards trades are printed at once again"

    play_shadow(story)


def test_a_source_that_is_away_is_asked_again_and_nothing_overtakes() -> None:
    async def story(trades: Trades, paper: Paper, shadow: Shadow, clock: ManualClock) -> None:
        trades.trade("1")
        trades.trade("2", told=False)
        trades.is_away = True
        trades.trade("3")
        await settle()
        trades.trade("4")
        assert paper.printed == [1]
        trades.is_away = False
        clock.advance_to(START_MS + shadow_module.PAUSE_MS)
        await settle()
        assert paper.printed == [1, 2, 3, 4]

    play_shadow(story)


def test_a_gap_too_long_to_read_is_crossed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_module, "LONGEST_GAP", 10)

    async def story(trades: Trades, paper: Paper, shadow: Shadow, clock: ManualClock) -> None:
        trades.trade("1")
        for price in range(2, 52):
            trades.trade(str(price), told=False)
        trades.trade("52")
        await settle()
        assert paper.printed == [1, 52] and shadow.skipped == 50

    play_shadow(story)


def test_a_venue_that_counts_anew_after_a_reconnection_is_followed() -> None:
    async def story(trades: Trades, paper: Paper, shadow: Shadow, clock: ManualClock) -> None:
        for price in ("1", "2", "3", "4"):
            trades.trade(price)
        trades.on_gap("reconnected")
        trades.on_tick(Print(1, Decimal(50)))
        trades.on_tick(Print(2, Decimal(51)))
        assert paper.printed == [1, 2, 3, 4, 50, 51]

    play_shadow(story)


def test_shadow_orders_fill_at_what_really_traded_and_no_more() -> None:
    async def run() -> None:
        clock = ManualClock(START_MS)
        step = Decimal("0.01")
        rules = Instrument(
            *("AUSDT", Market.SPOT, "A", "USDT", step, step, Decimal(5), step),
            *(Decimal(1000), step, Decimal(10_000)),
        )
        book = PaperBook({"AUSDT": rules}, {"USDT": Decimal(1000)}, fees=FeeSchedule())
        venue = PaperExchange(book, clock)
        trades = Trades()
        Shadow(Market.SPOT, trades, trades, venue, clock)  # type: ignore[arg-type]
        trades.trade("100")
        order = OrderRequest(
            *("gl-x-0-0-0", "AUSDT", Market.SPOT, Side.BUY, OrderType.LIMIT),
            *(Decimal("2.5"), Decimal(99)),
        )
        await venue.place(order)
        trades.trade("99")  # one unit traded there
        found = await venue.query("AUSDT", "gl-x-0-0-0")
        assert found is not None and found.executed == 1

    asyncio.run(run())
