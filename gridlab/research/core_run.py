"""`CoreRun`: one grid on one paper account, led over candles without an event loop.

The replay without what a backtest can leave out: the same `Grid`, the same venue's book, the same
turns (everything that happened is handled, then everything that was decided is sent), the same
moments for vacant slots. Candles that touch no resting order are passed over by a scan. What is
special to futures is in `futures_run`. Knows no clock: the time is the recording's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.commands import CancelOrder, Command
from gridlab.domain.events import (
    Event,
    GridStarted,
    OrderFilled,
    OrderRejected,
    Replan,
    StopRequested,
)
from gridlab.domain.market import path_times_ms
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan
from gridlab.exchange.base import Rejected
from gridlab.exchange.paper import PaperBook
from gridlab.exchange.replay import POINTS
from gridlab.grid.engine import Grid
from gridlab.grid.invariants import check
from gridlab.grid.view import money_at
from gridlab.money import ZERO, exact, from_float, rounding
from gridlab.research.futures_run import MarginWatch
from gridlab.research.outcome import Story

#: The first run of a new replay has this name too, so the commands of both are the same bytes.
RUN = "r1"
#: Bars that the scan compares at once: few at first, because the next touch is often near.
FIRST_CHUNK = 128
LARGEST_CHUNK = 16_384
#: How often `progress` is called in a run.
PROGRESS_STEPS = 200


@dataclass(frozen=True, eq=False)
class Shock:
    """Something that the venue does before a bar is played, such as another fee.

    Args:
        strike: is given the venue's book and the time of the bar before.
    """

    bar: int
    strike: Callable[[PaperBook, int], None]


class CoreRun:
    """One grid on one paper account, and where in the bars it stands."""

    def __init__(
        self, plan: GridPlan, bars: Bars, book: PaperBook, participation: Decimal | None
    ) -> None:
        self.plan = plan
        self.bars = bars
        self.book = book
        self.symbol = plan.spec.symbol
        # Books are checked once at the end: they are the same whether or not each event is audited.
        self.grid = Grid(audit=False)
        self.time_ms = int(bars.open_time_ms[0])
        self.commands: list[Command] = []
        self.trades: list[Trade] = []
        self.profits: list[Decimal] = []
        self.bars_walked = 0
        self.margin: MarginWatch | None = None  # on futures
        self.shocks: deque[Shock] = deque()
        self._participation = participation
        self._inbox: deque[Event] = deque()

    # --- over the bars ----------------------------------------------------------------------------

    def play(self, progress: Callable[[float], None] | None) -> None:
        """Start at the first open, go to the last close, then check the books."""
        self._begin()
        self._walk(0, first_point=1)
        bar, count, told = 1, len(self.bars), 0
        while bar < count and not self._is_over:
            bar = self._play_next(bar) + 1
            if progress is not None and (bar - told) * PROGRESS_STEPS >= count:
                progress(bar / count)
                told = bar
        self._end()
        with exact():
            check(self.grid)

    @property
    def _is_over(self) -> bool:
        """Whether the venue has closed the position, after which nothing more is played."""
        return self.margin is not None and self.margin.was_liquidated

    def _begin(self) -> None:
        price = self.plan.reference_price
        self.book.walk(self.symbol, price, self.time_ms)
        spec, rules = self.plan.spec, self.plan.instrument
        self._inbox.append(GridStarted(self.time_ms, RUN, spec, rules, price))
        self._settle()

    def _play_next(self, bar: int) -> int:
        """Play from `bar` to the next one that touches an order, and return the last bar played.

        A grid with vacant slots tries them again between any two bars, so it is led bar by bar.
        """
        last = len(self.bars) - 1
        wants_replan = self.grid.wants_replan
        if self.margin is not None:
            self._inbox.append(self.margin.report(self.time_ms))
        if wants_replan:
            self._inbox.append(Replan(self.time_ms, self._price))
        if self._inbox:
            self._settle()
        if wants_replan or self.grid.wants_replan:  # the guard may have let go
            last = bar
        touched = self._next_touch(bar, last + 1)
        if touched > bar:
            self._jump_over(touched - 1)
        if touched <= last:
            self._walk(touched)
            return touched
        return last

    @property
    def _price(self) -> Decimal:
        price = self.book.price(self.symbol)
        assert price is not None, "the first walk sets it"
        return price

    def _next_touch(self, start: int, stop: int) -> int:
        """The first bar in [start, stop) whose range reaches a resting order; `stop` if none does.

        Comparing doubles misses nothing: a decimal and its nearest double keep their order, so a
        low at or below an order's price has a double at or below that price's double. A bar that
        comes out of it without need is walked in decimals and fills nothing.
        """
        buy, sell = self.book.bounds(self.symbol)
        floor = -np.inf if buy is None else float(buy)
        ceiling = np.inf if sell is None else float(sell)
        low, high, size = self.bars.low, self.bars.high, FIRST_CHUNK
        least_close = -np.inf
        if self.shocks:
            stop = min(stop, max(start, self.shocks[0].bar))
        if self.margin is not None:
            stop = self.margin.stop(start, stop)
            failing, least_close = self.margin.floors(self.grid)
            floor = max(floor, failing)
        close = self.bars.close
        while start < stop:
            end = min(start + size, stop)
            touches = (low[start:end] <= floor) | (high[start:end] >= ceiling)
            if least_close > 0:
                touches |= close[start:end] <= least_close
            first = int(touches.argmax())
            if touches[first]:
                return start + first
            start, size = end, min(4 * size, LARGEST_CHUNK)
        return stop

    def _jump_over(self, bar: int) -> None:
        """Stand at the close of `bar`; nothing between here and there touched an order."""
        self.time_ms = self._times_of(bar)[-1]
        self.book.set_price(self.symbol, from_float(self.bars.close[bar]))

    def _walk(self, bar: int, first_point: int = 0) -> None:
        """Take the price along the candle's path, and let the grid answer at each point.

        The bar's volume, if it limits anything, is spread evenly over the legs of the path.
        """
        kline, times = self.bars.kline(bar), self._times_of(bar)
        self.bars_walked += 1
        while self.shocks and self.shocks[0].bar <= bar:
            self.shocks.popleft().strike(self.book, self.time_ms)
            self._settle()
        for point in range(first_point, len(times)):
            self.time_ms = times[point]
            if self.margin is not None and (paid := self.margin.pay(self.time_ms)):
                self._inbox.extend(paid)
                self._settle()
                if self._is_over:
                    return
            volume = self._volume_share(kline.volume) if point else None
            self.book.walk(self.symbol, kline.path[point], self.time_ms, volume)
            self._settle()
            if self._is_over:
                return

    def _times_of(self, bar: int) -> tuple[int, int, int, int]:
        return path_times_ms(int(self.bars.open_time_ms[bar]), self.bars.interval.ms)

    def _volume_share(self, volume: Decimal) -> Decimal | None:
        if self._participation is None:
            return None
        with rounding():
            return volume * self._participation / (POINTS - 1)

    # --- between grid and book --------------------------------------------------------------------

    def _settle(self) -> None:
        """Handle all that happened, send all that was decided, until nothing more comes of it."""
        self._hear()
        while self._inbox:
            commands: list[Command] = []
            while self._inbox:
                event = self._inbox.popleft()
                if self.grid.is_news(event):
                    commands += self._handle(event)
            for command in commands:
                self._send(command)
            self.commands += commands

    def _hear(self) -> None:
        """Put what the venue says into the inbox."""
        events = self.book.take_events()
        self._inbox.extend(events if self.margin is None else self.margin.own(events))

    def _handle(self, event: Event) -> tuple[Command, ...]:
        if not isinstance(event, OrderFilled):
            return self.grid.handle(event)
        before = self.grid.ledger.grid_profit
        commands = self.grid.handle(event)
        with exact():
            self.profits.append(self.grid.ledger.grid_profit - before)
        self.trades.append(event.trade)
        return commands

    def _send(self, command: Command) -> None:
        if isinstance(command, CancelOrder):  # the order window moves
            self.book.cancel(command.symbol, command.client_id, self.time_ms)
            self._hear()
            return
        request = command.request
        outcome = self.book.place(request, self.time_ms)
        self._hear()
        if isinstance(outcome, Rejected):
            self._inbox.append(
                OrderRejected(self.time_ms, request.client_id, outcome.code, outcome.reason)
            )

    # --- the end ----------------------------------------------------------------------------------

    def _end(self) -> None:
        """After a forced closing: stop the grid, and book what the venue sold."""
        if self.margin is None or not self.margin.was_liquidated:
            return
        self._inbox.append(StopRequested(self.time_ms, "the venue closed the position by force"))
        self._settle()
        self.trades.append(self.margin.book_forced_sale(self.grid))
        self.profits.append(ZERO)

    def story(self) -> Story:
        """Everything that is known at the last close."""
        fees = self.plan.spec.fees
        money = money_at(
            self.grid, from_float(self.bars.close[-1]), {fees.third_asset: fees.third_price}
        )
        return Story(
            trades=tuple(self.trades),
            profits=tuple(self.profits),
            commands=tuple(self.commands),
            vacancies=tuple(
                (slot.index, slot.vacancy) for slot in self.grid.slots if slot.order is None
            ),
            money=money,
            ledger_lines=self.grid.ledger.lines(),
            bars_walked=self.bars_walked,
            payments=() if self.margin is None else tuple(self.margin.payments),
            liquidation=None if self.margin is None else self.margin.liquidation,
        )
