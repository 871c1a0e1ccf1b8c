"""A proposed grid beside the present one: the plan of each, and what each would have done.

Both are laid at the same price and played over the same candles, which end before now, under two
fill rules: `touch` is the most that could have been, `through` the least. Nothing is started or
changed here; what is shown is for a person to choose from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gridlab.clock import iso
from gridlab.domain.market import Instrument, Interval, Kline, Market
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec
from gridlab.grid.preflight import plan_grid
from gridlab.llm.tasks.grid import Shape
from gridlab.llm.writing import Written
from gridlab.money import text

RULES = ("through", "touch")
#: Candles that are played, and their width: three and a half days.
WIDTH = Interval.M5
CANDLES = 1_000


@dataclass(frozen=True, slots=True)
class Trial:
    """One backtest; fractions, and the number of fills."""

    fill_rule: str
    total_return: float
    max_drawdown: float
    fills: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One shape: what it needs, what forbids it, and its bracket of backtests.

    Args:
        problems: every rule that forbids it; empty when it could start.
        trials: one for each of RULES; none where it could not start.
    """

    shape: Shape
    problems: tuple[str, ...]
    plan: GridPlan | None
    trials: tuple[Trial, ...]

    @property
    def is_startable(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; amounts are texts, the spacing is in percent."""
        plan = self.plan
        return {
            "levels": self.shape.levels,
            "spacing_perc": text(self.shape.spacing * 100),
            "startable": self.is_startable,
            "problems": list(self.problems),
            "capital_needed": None if plan is None else text(plan.capital_needed),
            "profit_per_round_min": None if plan is None else text(plan.profit_min),
            "profit_per_round_max": None if plan is None else text(plan.profit_max),
            "backtests": [
                {
                    "fill_rule": trial.fill_rule,
                    "total_return": trial.total_return,
                    "max_drawdown": trial.max_drawdown,
                    "fills": trial.fills,
                }
                for trial in self.trials
            ],
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two candidates over the same candles; nothing of it is applied.

    Args:
        is_running: whether `present` is a grid that runs, or the configured one.
        from_ms, to_ms: the span that was played; equal when there were too few candles.
    """

    symbol: str
    market: Market
    is_running: bool
    present: Candidate
    proposed: Candidate
    written: Written
    from_ms: int
    to_ms: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **self.written.to_dict(),
            "symbol": self.symbol,
            "market_type": str(self.market),
            "is_running": self.is_running,
            "present": self.present.to_dict(),
            "proposed": self.proposed.to_dict(),
            "backtest_from": iso(self.from_ms),
            "backtest_to": iso(self.to_ms),
            "applied": False,
        }


class Trials:
    """Lays and plays grids of one pair.

    Args:
        spec: everything of the grid but its shape.
        candles: of WIDTH, oldest first; one that is still open is left out.
        told: called with the part that is done, 0 to 1; what it raises ends the work.
    """

    def __init__(
        self,
        spec: GridSpec,
        rules: Instrument,
        price: Decimal,
        candles: Sequence[Kline],
        now_ms: int,
        told: Callable[[float], None],
    ) -> None:
        self._spec = spec
        self._rules = rules
        self._price = price
        self.candles = [candle for candle in candles if candle.close_time_ms < now_ms]
        self._told = told
        self._done = 0

    def of(self, shape: Shape) -> Candidate:
        """The candidate of `shape`."""
        try:
            spec = replace(
                self._spec, levels=shape.levels, spacing=shape.spacing, lower=None, upper=None
            )
            plan = plan_grid(spec, self._rules, self._price)
        except InvalidSpec as error:
            return Candidate(shape, error.problems, None, ())
        failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
        trials = () if failures or len(self.candles) < 2 else self._played(spec)
        return Candidate(shape, tuple(failures), plan, trials)

    def _played(self, spec: GridSpec) -> tuple[Trial, ...]:
        from gridlab.data.candles import bars_of
        from gridlab.research.backtest import backtest

        bars, found = bars_of(spec.symbol, spec.market, WIDTH, self.candles), []
        for rule in RULES:
            begun = self._done

            def told(done: float, begun: int = begun) -> None:
                self._told((begun + done) / (2 * len(RULES)))

            try:
                result = backtest(
                    spec,
                    bars,
                    instrument=self._rules,
                    fill_rule=rule,
                    progress=told,
                )
            except InvalidSpec:  # it could start now, and not at the first candle's price
                return ()
            self._done += 1
            found.append(
                Trial(
                    rule,
                    result.total_return,
                    result.max_drawdown,
                    result.fills.buys + result.fills.sells,
                )
            )
        return tuple(found)
