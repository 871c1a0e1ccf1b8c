"""`backtest`: one grid over recorded candles, through the very core that trades live.

The loop below is the replay without its event loop: the same `Grid`, the same `PaperBook`, the same
turns (everything that happened is handled, then everything that was decided is sent), the same
moments for vacant slots. A test holds the two equal, command by command. What makes it fast is
only what it leaves out: candles that touch no resting order are passed over by a scan.
Knows no clock: the time of a backtest is the recording's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import Event, GridStarted, OrderFilled, OrderRejected, Replan
from gridlab.domain.market import Instrument, Market, path_times_ms
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.base import Rejected
from gridlab.exchange.paper import FillRule, PaperBook
from gridlab.grid.engine import Grid
from gridlab.grid.invariants import check
from gridlab.grid.preflight import plan_grid
from gridlab.grid.view import money_at
from gridlab.money import ZERO, Number, exact, from_float, parse, rounding, text
from gridlab.research.result import BacktestResult
from gridlab.research.venue import Rules, account_for, rules_for

__all__ = ["BacktestResult", "FillRule", "backtest"]

#: The first run of a new replay has this name too, so the commands of both are the same bytes.
RUN = "r1"
#: Bars that the scan compares at once: few at first, because the next touch is often near.
FIRST_CHUNK = 128
LARGEST_CHUNK = 16_384
#: Legs of a candle's path over which its volume is spread.
LEGS = 3


def backtest(
    spec: GridSpec,
    bars: Bars,
    *,
    instrument: Instrument | None = None,
    fill_rule: FillRule | str = FillRule.TOUCH,
    balances: Mapping[str, Number] | None = None,
    participation: Number | None = None,
    progress: Callable[[float], None] | None = None,
) -> BacktestResult:
    """What `spec` would have done on `bars`, started at the first bar's open.

    Args:
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        fill_rule: `touch`, or `through`: the price must go one tick beyond an order to fill it.
        balances: what the account holds, by asset; by default more than the grid needs.
        participation: the fraction of a bar's volume that may fill the grid's orders; None fills
            without limit.
        progress: called now and then with the fraction of the bars that is done, 0 to 1.

    Raises:
        InvalidSpec: the grid cannot start at this price; every rule that forbids it is named.
        InvalidInput: bars of another symbol or market, no bars, or a setting out of range.
    """
    _check_bars(spec, bars)
    rules = Rules(instrument, "the instrument handed in") if instrument else rules_for(bars)
    plan = plan_grid(spec, rules.instrument, from_float(bars.open[0]))
    account = account_for(plan, balances)
    plan = plan_grid(spec, rules.instrument, plan.reference_price, account)
    failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    if failures:
        raise InvalidSpec(*failures)
    book = PaperBook(
        {spec.symbol: rules.instrument}, account, fees=spec.fees, fill_rule=_rule_of(fill_rule)
    )
    run = _Run(plan, bars, book, _share_of(participation))
    run.play(progress)
    return run.result(rules, account)


def _check_bars(spec: GridSpec, bars: Bars) -> None:
    if spec.market is not Market.SPOT:
        raise InvalidSpec(f"market is {spec.market}; backtests trade a spot account, choose spot")
    if (bars.symbol, bars.market) != (spec.symbol, spec.market):
        raise InvalidInput(
            f"the grid is for {spec.symbol} ({spec.market}) and the bars are of {bars.symbol} "
            f"({bars.market}); load the bars of the same symbol and market"
        )
    if not len(bars):
        raise InvalidInput(f"there is no bar of {bars.symbol} to run over; widen the span")


def _rule_of(fill_rule: FillRule | str) -> FillRule:
    try:
        return FillRule(fill_rule)
    except ValueError:
        known = ", ".join(FillRule)
        raise InvalidInput(f"fill_rule is {fill_rule!r}; choose one of {known}") from None


def _share_of(participation: Number | None) -> Decimal | None:
    if participation is None:
        return None
    share = parse(participation, "participation")
    if not ZERO < share <= 1:
        raise InvalidInput(
            f"participation is {text(share)}; it is a fraction of the volume above 0 and at most 1"
        )
    return share


class _Run:
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
        self._participation = participation
        self._inbox: deque[Event] = deque()

    # --- over the bars ----------------------------------------------------------------------------

    def play(self, progress: Callable[[float], None] | None) -> None:
        """Start at the first open, go to the last close, then check the books."""
        self._begin()
        bar, count = 0, len(self.bars)
        self._walk(bar, first_point=1)
        while (bar := bar + 1) < count:
            if self.grid.wants_replan:
                self._replan()
            touched = self._next_touch(bar, bar + 1 if self.grid.wants_replan else count)
            if touched > bar:
                self._jump_over(touched - 1)
            bar = touched
            if bar < count and not self.grid.wants_replan or self._is_touched(bar):
                self._walk(bar)
            if progress is not None:
                progress(min(bar + 1, count) / count)
        with exact():
            check(self.grid)
