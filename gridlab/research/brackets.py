"""`Bracket`: one backtest under every assumption that its bars leave open, each a real run.

What the assumptions mean is said in `bracket_runs`, how it looks in `bracket_views`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

from gridlab.domain.market import BarPath
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.money import ONE, ZERO, Number, exact, parse, text
from gridlab.research.bracket_runs import Assumptions, Member, Runs, own_assumptions
from gridlab.research.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

DEFAULT_QUEUE_SHARE = "0.9"
DEFAULT_LATENCY_MS = 250
#: From so many bars on it pays to load the compiler for the runs that it can make.
WORTH_COMPILING = 10_000


class Bracket(Runs):
    """The least and the most that a grid earned on its bars; see `Runs` for its values."""

    @property
    def verdict(self) -> str:
        """In words: whether these bars decide that the grid earns, and if not, what would."""
        from gridlab.research.bracket_views import verdict

        return verdict(self)

    def to_frame(self) -> pd.DataFrame:
        """One row for each run, the least profit first; float64, int64 and names."""
        from gridlab.research.bracket_views import bracket_frame

        return bracket_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """The bracket as plain JSON values; amounts of money are strings of all their digits."""
        from gridlab.research.bracket_views import bracket_dict

        return bracket_dict(self)

    def plot(self, height: int = 320) -> go.Figure:
        """The range of all runs, and of each assumption alone, as bars over profit."""
        from gridlab.research.bracket_views import bracket_figure

        return bracket_figure(self, height)

    def __repr__(self) -> str:
        from gridlab.research.bracket_views import bracket_text

        return bracket_text(self)

    def _repr_html_(self) -> str:
        from gridlab.research.bracket_views import bracket_card

        return bracket_card(self)


def make_bracket(
    result: Outcome,
    *,
    queue_share: Number = DEFAULT_QUEUE_SHARE,
    latency_ms: int = DEFAULT_LATENCY_MS,
    progress: Callable[[float], None] | None = None,
) -> Bracket:
    """The bracket of a backtest: its grid on its bars under every combination of assumptions.

    All four paths are run where neither queue nor latency limits the fills, the shortest and the
    longest where a queue does, one where a latency does: an order that waits for the bar's end
    makes the order of the extremes indifferent. Runs with a latency are the core's and take
    their time on a long series; what the kernel takes costs milliseconds.

    Args:
        queue_share: the part of the volume that is ahead of the grid's orders, 0 to below 1; 0
            leaves the queue out.
        latency_ms: how long an order is on its way; 0 leaves it out.
        progress: called with the fraction of the runs that is done, 0 to 1.

    Raises:
        InvalidInput: a setting out of range, or a result that does not know how it was made.
    """
    share = parse(queue_share, "queue_share")
    if not ZERO <= share < ONE:
        raise InvalidInput(
            f"queue_share is {text(share)}; it is the fraction of the volume that is ahead of the "
            "grid's orders, from 0 to below 1"
        )
    if result.again is None:
        raise InvalidInput("this result cannot be run again; make it with gridlab.backtest")
    if len(result.bars) >= WORTH_COMPILING and find_spec("numba") is not None:
        from gridlab.research import kernel  # noqa: F401  (its presence makes `auto` take it)
    own = own_assumptions(result)
    wanted = list(_combinations(own, share, latency_ms))
    members = [Member.of(own, result)]
    for done, assumptions in enumerate(wanted, start=1):
        if progress is not None:
            progress(done / (len(wanted) + 1))
        members.append(Member.of(assumptions, _run_again(result, assumptions)))
    if progress is not None:
        progress(1.0)
    return Bracket(result, tuple(members))


def _combinations(own: Assumptions, share: Decimal, latency_ms: int) -> Iterator[Assumptions]:
    """Every combination but the backtest's own, in a fixed order."""
    shares = dict.fromkeys((own.queue_share, ZERO, share))
    latencies = dict.fromkeys((own.latency_ms, 0, latency_ms))
    for queue, latency in product(shares, latencies):
        paths: tuple[BarPath, ...] = tuple(BarPath)
        if queue:
            paths = (BarPath.STATED, BarPath.CONTRARY)
        if latency:
            paths = (own.path,)
        for rule, path in product(FillRule, dict.fromkeys((own.path, *paths))):
            found = Assumptions(rule, path, queue, latency)
            if found != own:
                yield found


def _run_again(result: Outcome, assumptions: Assumptions) -> Outcome:
    assert result.again is not None
    with exact():
        participation = ONE - assumptions.queue_share if assumptions.queue_share else None
    return result.again(
        fill_rule=assumptions.fill_rule,
        path=assumptions.path,
        participation=participation,
        latency_ms=assumptions.latency_ms,
    )
