"""By what a grid is chosen from the figures of its training: named criteria, or the user's own.

A criterion gives each setting a score; the highest is chosen. What it sees is a `BatchResult` of
the training span, so it cannot see the trial.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np

from gridlab.errors import InvalidInput
from gridlab.research.batch import BatchResult
from gridlab.research.metrics import FloatArray

Criterion: TypeAlias = Callable[[BatchResult], FloatArray]

#: A drawdown below this counts as this, so that a quiet span does not make a ratio infinite.
LEAST_DRAWDOWN = 0.001


def total_return(batch: BatchResult) -> FloatArray:
    """What it made in all, inventory at the last close included."""
    return batch.total_return


def grid_profit(batch: BatchResult) -> FloatArray:
    """Closed rounds before fees, as a fraction of the investment; blind to fees and inventory."""
    return batch.grid_profit / batch.investment


def net_grid_profit(batch: BatchResult) -> FloatArray:
    """The same with all fees paid; blind to inventory still."""
    return (batch.grid_profit + batch.fees) / batch.investment


def return_to_drawdown(batch: BatchResult) -> FloatArray:
    """Total return over the deepest fall at closes."""
    return batch.total_return / np.maximum(batch.max_drawdown, LEAST_DRAWDOWN)


def max_drawdown(batch: BatchResult) -> FloatArray:
    """The shallowest fall first."""
    return -batch.max_drawdown


CRITERIA: dict[str, Criterion] = {
    "total_return": total_return,
    "return_to_drawdown": return_to_drawdown,
    "grid_profit": grid_profit,
    "net_grid_profit": net_grid_profit,
    "max_drawdown": max_drawdown,
}


def criterion_of(select: str | Criterion) -> tuple[str, Criterion]:
    """(name, function) of a criterion.

    Raises:
        InvalidInput: no criterion has that name.
    """
    if callable(select):
        return getattr(select, "__name__", "a function"), select
    if select not in CRITERIA:
        near = get_close_matches(str(select), CRITERIA, n=1)
        hint = f"did you mean {near[0]!r}" if near else f"choose one of {', '.join(CRITERIA)}"
        raise InvalidInput(
            f"select is {select!r}; {hint}. A function of a BatchResult that returns one score for "
            "each of its rows is taken too"
        )
    return select, CRITERIA[select]


def scores_of(name: str, criterion: Criterion, batch: BatchResult) -> FloatArray:
    """The score of each row, checked; NaN is never chosen.

    Raises:
        InvalidInput: not one number for each row.
    """
    scores = np.asarray(criterion(batch), dtype=np.float64)
    if scores.shape != (len(batch),):
        raise InvalidInput(
            f"select {name!r} gave scores of shape {scores.shape} for {len(batch)} settings; "
            f"({len(batch)},) is needed"
        )
    return scores
