"""`Runs`: one backtest under every assumption that its bars leave open, and what came of each.

A bar tells four prices and no order of its extremes, no queue at a price, no time of travel. What
a simulation puts in their place decides its result when lines are close. So the same grid is run
on the same bars with each assumption at its levels, and the bracket is the least and the most of
all these runs. Nothing is scaled: every member is a backtest that could be looked at alone.

What each assumption means, and the direction in which it is usually adverse:

* fill rule: `touch` fills an order that the price reaches, as if nobody were ahead of it; `through`
  only one that the price passes by a tick, as if everybody were.
* path: the order of low and high inside a bar. `stated` is the shortest way from open to close by
  both extremes and as a rule gives the fewest fills, `contrary` the longest; `low_first` and
  `high_first` lie between. A real price may go to and fro more often than any of them.
* queue share: the part of a bar's volume that is ahead of the grid's orders; the rest, spread
  evenly over the three legs of the path, is the most that can fill them.
* latency: an order that answers a fill arrives late. Bars know the price at open and close only,
  so every latency below a third of a bar means: what the bar does after the fill passes the answer
  by. Over trades a latency is exact and costs far less (docs/bars-and-trades.md).

None of these is monotone in profit: a grid whose lines are closer than its fees gains by every
round that it misses, and an order that comes late may be filled at a better price. Therefore
pessimistic and optimistic are found, not assumed; and they are the ends of what was run, not
bounds of what could have happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from gridlab.domain.market import BarPath
from gridlab.exchange.paper import FillRule
from gridlab.money import ONE, ZERO, exact, rounding, text
from gridlab.research.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What one run assumes of all that bars do not tell.

    Args:
        queue_share: 0 to below 1; 0 sets no limit to what a bar may fill.
        latency_ms: 0 places an answer at the very price that caused it.
    """

    fill_rule: FillRule
    path: BarPath
    queue_share: Decimal
    latency_ms: int

    @property
    def adversity(self) -> int:
        """How many of fill rule, queue and latency are against the grid."""
        return sum((self.fill_rule is FillRule.THROUGH, self.queue_share > 0, self.latency_ms > 0))

    def __str__(self) -> str:
        queue = f"queue {text(self.queue_share)}" if self.queue_share else "no queue"
        latency = f"{self.latency_ms} ms" if self.latency_ms else "no latency"
        return f"{self.fill_rule}, {self.path}, {queue}, {latency}"


#: The assumptions by name, and what each is called in a sentence.
NAMES = {
    "fill_rule": "the fill rule",
    "path": "the path inside the bars",
    "queue_share": "the queue share",
    "latency_ms": "the latency",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One run of the bracket: what it assumed and what came of it, in quote units.

    Args:
        total: change of equity at the last close; the five after it are its parts.
        max_drawdown: deepest fall of equity at closes, a fraction.
        engine: `kernel` or `core`.
    """

    assumptions: Assumptions
    total: Decimal
    grid_profit: Decimal
    floating: Decimal
    fees: Decimal
    funding: Decimal
    liquidation: Decimal
    buys: int
    sells: int
    total_return: float
    max_drawdown: float
    engine: str

    @classmethod
    def of(cls, assumptions: Assumptions, result: Outcome) -> Member:
        money = result.money
        return cls(
            assumptions=assumptions,
            total=money.total,
            grid_profit=money.grid_profit,
            floating=money.floating,
            fees=money.fees,
            funding=money.funding,
            liquidation=money.liquidation,
            buys=result.fills.buys,
            sells=result.fills.sells,
            total_return=result.total_return,
            max_drawdown=result.max_drawdown,
            engine=result.engine,
        )


def own_assumptions(result: Outcome) -> Assumptions:
    """What the backtest itself assumed."""
    share = ZERO
    if result.participation is not None:
        with exact():
            share = ONE - result.participation
    return Assumptions(FillRule(result.fill_rule), result.path, share, result.latency_ms)


@dataclass(frozen=True, eq=False)
class Runs:
    """The least and the most that a grid earned on its bars, and what that hangs on.

    Args:
        result: the backtest that was bracketed.
        members: every run; the first is the backtest itself.
    """

    result: Outcome
    members: tuple[Member, ...]

    @property
    def expected(self) -> Member:
        """The backtest itself, under its own assumptions."""
        return self.members[0]

    @cached_property
    def pessimistic(self) -> Member:
        """The run that earned least; of equal ones the one that assumes most against the grid."""
        return min(self.members, key=lambda m: (m.total, -m.assumptions.adversity))

    @cached_property
    def optimistic(self) -> Member:
        """The run that earned most; of equal ones the one that assumes least against the grid."""
        return max(self.members, key=lambda m: (m.total, -m.assumptions.adversity))

    @property
    def is_decided(self) -> bool:
        """Whether all runs agree that the grid earned, or that it did not."""
        return self.pessimistic.total > 0 or self.optimistic.total <= 0

    @cached_property
    def hold_profit(self) -> float:
        """What buying at the first open and holding earned, quote units."""
        return self.result.hold_return * float(self.result.money.investment)

    @cached_property
    def groups(self) -> dict[str, tuple[Member, ...]]:
        """For each assumption, the runs alike in all others in which it moved the result most."""
        return {name: max(self._alike(name), key=_spread) for name in NAMES}

    def _alike(self, name: str) -> list[tuple[Member, ...]]:
        """The members in groups that differ in the assumption `name` only."""
        found: dict[tuple[Any, ...], list[Member]] = {}
        for member in self.members:
            rest = tuple(getattr(member.assumptions, other) for other in NAMES if other != name)
            found.setdefault(rest, []).append(member)
        return [tuple(group) for group in found.values()]

    @cached_property
    def swings(self) -> dict[str, Decimal]:
        """How far each assumption moved the profit at most, all else equal; the largest first."""
        found = {name: _spread(group) for name, group in self.groups.items()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def driver(self) -> str:
        """The assumption that moves the result most; empty when none moves it."""
        name, swing = next(iter(self.swings.items()))
        return name if swing else ""

    @cached_property
    def adverse_is_least(self) -> bool:
        """Whether the run with through fills, a queue and a latency earned least."""
        shares = max(member.assumptions.queue_share for member in self.members)
        latency = max(member.assumptions.latency_ms for member in self.members)
        worst = (FillRule.THROUGH, shares, latency)
        return any(
            member.total == self.pessimistic.total
            for member in self.members
            if (member.assumptions.fill_rule, *_limits(member)) == worst
        )

    @cached_property
    def bar_height(self) -> float:
        """The median bar's range as a fraction of the mean distance between two lines."""
        import numpy as np

        bars, lines = self.result.bars, self.result.lines
        with rounding():
            distance = float((lines[-1] - lines[0]) / (len(lines) - 1))
        return float(np.median(bars.high - bars.low)) / distance


def _limits(member: Member) -> tuple[Decimal, int]:
    return member.assumptions.queue_share, member.assumptions.latency_ms


def _spread(members: Iterable[Member]) -> Decimal:
    totals = [member.total for member in members]
    with exact():
        return max(totals) - min(totals)
