"""`backtest_trades`: one grid over the market's own trades, through the core that trades live.

The same `Grid`, the same `PaperBook`, the same turns as a backtest over bars; but every trade is a
point of the price, with its own time and its own quantity. So no path has to be assumed, and a
latency is what it is: an order that was decided at t arrives at t + latency, before any later
trade, at the price of the last earlier one. What stays open is the queue: `touch` stands at its
head, `through` at its end; a participation lets each trade fill only a part of its own quantity.

The trades are those of a market without us: that our orders would have moved it is not in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np

from gridlab.data.bars import Bars
from gridlab.data.trades import Trades
from gridlab.domain.events import Replan
from gridlab.domain.market import Instrument, Interval, Market
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule, PaperBook
from gridlab.grid.invariants import check
from gridlab.money import Number, exact, from_float, rounding
from gridlab.research.backtest import Engine, fill_rule_of, laid, latency_of, share_of
from gridlab.research.core_run import FIRST_CHUNK, LARGEST_CHUNK, PROGRESS_STEPS, CoreRun
from gridlab.research.flows import Flows
from gridlab.research.result import BacktestResult

#: How often slots that stand vacant are tried again, as the live cycle does.
REPLAN_MS = 60_000


def backtest_trades(
    spec: GridSpec,
    trades: Trades,
    *,
    instrument: Instrument | None = None,
    fill_rule: FillRule | str = FillRule.TOUCH,
    balances: Mapping[str, Number] | None = None,
    participation: Number | None = None,
    latency_ms: int = 0,
    by_side: bool = False,
    interval: Interval | str = Interval.M1,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """What `spec` would have done among `trades`, started at the first one's price.

    Args:
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        fill_rule: `touch`: a trade at an order's price or beyond it fills the order; `through`:
            only a trade at least one tick beyond.
        balances: what the account holds, by asset; by default more than the grid needs.
        participation: the fraction of each trade's quantity that may fill the grid's orders; None
            fills without limit.
        latency_ms: how long an order is on its way after the fill that caused it.
        by_side: with `through`, a trade at an order's price fills it too when it was set off from
            the order's own side: a buyer who takes at 99 found the best offer there, and while a
            bid rests at 99 none can stand. The surest end of the queue that trades can tell.
        interval: of the bars, made of the same trades, over which the result shows its curves.
        progress: called now and then with the fraction of the trades that is done, 0 to 1.

    Returns:
        a result like any other; its `bars_walked` counts trades that reached an order.

    Raises:
        InvalidSpec: the grid cannot start at this price; every rule that forbids it is named.
        InvalidInput: trades of another symbol or market, none at all, or a setting out of range.
    """
    _check(spec, trades)
    bars = trades.to_bars(interval)
    # The first bar opens at the first trade's price.
    rules, plan, account = laid(spec, bars, instrument, balances)
    rule, share = fill_rule_of(fill_rule), share_of(participation)
    if by_side and (rule is not FillRule.THROUGH or not trades.has_sides):
        raise InvalidInput(
            "by_side is for fill_rule='through' and for trades that tell who set them off; leave "
            "it out here"
        )
    book = PaperBook({spec.symbol: rules.instrument}, account, fees=spec.fees, fill_rule=rule)
    run = _TapeRun(plan, bars, trades, book, share, latency_of(latency_ms))
    run.by_side = by_side
    run.play(progress)
    story = run.story()
    return BacktestResult(
        plan=plan,
        bars=bars,
        rules=rules.source,
        fill_rule=str(rule),
        engine=str(Engine.CORE),
        flows=Flows.of(story.trades, bars, rules.instrument),
        money=story.money,
        ledger_lines=story.ledger_lines,
        bars_walked=story.bars_walked,
        tell=lambda: story,
        participation=share,
        latency_ms=latency_ms,
    )


def _check(spec: GridSpec, trades: Trades) -> None:
    if spec.market is not Market.SPOT:
        raise InvalidSpec(f"market is {spec.market}; trades are replayed on spot, choose spot")
    if (trades.symbol, trades.market) != (spec.symbol, spec.market):
        raise InvalidInput(
            f"the grid is for {spec.symbol} ({spec.market}) and the trades are of {trades.symbol} "
            f"({trades.market}); load the trades of the same symbol and market"
        )
    if not len(trades):
        raise InvalidInput(f"there is no trade of {trades.symbol} to run over; widen the span")


class _TapeRun(CoreRun):
    """One grid on one paper account, and where in the trades it stands."""

    def __init__(
        self,
        plan: GridPlan,
        bars: Bars,
        trades: Trades,
        book: PaperBook,
        participation: Decimal | None,
        latency_ms: int,
    ) -> None:
        super().__init__(plan, bars, book, participation, latency_ms=latency_ms)
        self._tape = trades
        self.by_side = False
        self.time_ms = int(trades.time_ms[0])
        self._replan_ms = self.time_ms + REPLAN_MS

    def play(self, progress: Callable[[float], None] | None) -> None:
        """Start at the first trade's price, go to the last trade, then check the books."""
        self._begin()
        at, count, told = 1, len(self._tape), 0
        while at < count:
            at = self._play_from(at)
            if progress is not None and (at - told) * PROGRESS_STEPS >= count:
                progress(at / count)
                told = at
        with exact():
            check(self.grid)

    def _play_from(self, at: int) -> int:
        """Play to the next trade that reaches an order, or to the next moment at which the grid
        acts of itself; return the first trade that is not played."""
        moment = self._next_moment()
        stop = len(self._tape)
        if moment is not None:
            stop = max(at, int(np.searchsorted(self._tape.time_ms, moment)))
        touched = self._next_reach(at, stop)
        if touched > at:
            self.book.set_price(self.symbol, from_float(self._tape.price[touched - 1]))
            self.time_ms = int(self._tape.time_ms[touched - 1])
        if touched < stop:
            self._print(touched)
            return touched + 1
        if moment is not None and stop < len(self._tape):
            self.time_ms = max(self.time_ms, moment)
            self._act()
        return stop

    def _next_moment(self) -> int | None:
        """When the next order arrives or vacant slots are tried again; None for never."""
        moments = [self._on_the_way[0][0]] if self._on_the_way else []
        if self.grid.wants_replan:
            self._replan_ms = max(self._replan_ms, self.time_ms + 1)
            moments.append(self._replan_ms)
        return min(moments, default=None)

    def _act(self) -> None:
        """Let arrive what is due, and try vacant slots again when it is time."""
        self._deliver()
        if self.grid.wants_replan and self.time_ms >= self._replan_ms:
            self._inbox.append(Replan(self.time_ms, self._price))
            self._settle()
            self._replan_ms = self.time_ms + REPLAN_MS

    def _next_reach(self, start: int, stop: int) -> int:
        """The first trade in [start, stop) that reaches a resting order; `stop` if none does.

        Doubles decide as they do for bars: they miss nothing.
        """
        buy, sell = self.book.bounds(self.symbol)
        floor = -np.inf if buy is None else float(buy)
        ceiling = np.inf if sell is None else float(sell)
        price, size = self._tape.price, FIRST_CHUNK
        while start < stop:
            end = min(start + size, stop)
            reaches = (price[start:end] <= floor) | (price[start:end] >= ceiling)
            first = int(reaches.argmax())
            if reaches[first]:
                return start + first
            start, size = end, min(4 * size, LARGEST_CHUNK)
        return stop

    def _print(self, at: int) -> None:
        """Let one trade happen, and let the grid answer."""
        self.bars_walked += 1
        self.time_ms = int(self._tape.time_ms[at])
        volume = None
        if self._participation is not None:
            with rounding():
                volume = from_float(self._tape.quantity[at]) * self._participation
        price = from_float(self._tape.price[at])
        if self.by_side:
            tick = self.plan.instrument.tick_size
            beyond = price + tick if self._tape.is_buyer_maker[at] else price - tick
            # Fills what rests at the very price on the side that set the trade off.
            self.book.walk(self.symbol, max(beyond, tick), self.time_ms, volume)
        self.book.walk(self.symbol, price, self.time_ms, volume)
        self._settle()
