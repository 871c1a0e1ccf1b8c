"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

The record of all trials is cut into an even number of slices of time. Every way of taking half of
them is one experiment: on that half the best trial is chosen, on the other half its rank is looked
up. If the choice is worth something, it ranks high there; if it was luck, anywhere.
Pure numpy; knows no grid.

Source:
    D. H. Bailey, J. M. Borwein, M. Lopez de Prado, Q. J. Zhu, "The Probability of Backtest
    Overfitting", Journal of Computational Finance 20(4), 2017 (first circulated in 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from gridlab.errors import InvalidInput
from gridlab.research.metrics import FloatArray
from gridlab.research.significance import STILL, finite

#: Slices when nothing else is asked for: 12,870 experiments, the paper's own choice.
SLICES = 16
#: More slices than this make more than 184,756 experiments.
MOST_SLICES = 20
#: Numbers that one step of the work holds at once, about 32 MB.
_AT_ONCE = 1_000_000
#: By what a trial may be judged in a half.
SHARPE, MEAN = "sharpe", "mean"


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What became of the best trial of one half of the record in the other half.

    Args:
        probability: of backtest overfitting: how often the best trial in sample was no better than
            the median out of sample; 0 to 1.
        loss_probability: how often it lost out of sample.
        slope: of its figure out of sample on its figure in sample, by least squares. It falls below
            zero partly by construction: the halves divide one record, so trials that are alike have
            in one what they lack in the other. NaN when all figures are alike.
        trials, slices: what was judged, and how often the record was cut.
        metric: `sharpe` or `mean`, per observation.
        in_sample, out_of_sample: that figure of the chosen trial, by experiment.
        rank: its relative rank out of sample, by experiment: 0 to 1 excluded, 1 the best.
        chosen: which trial it was, by experiment.
    """

    probability: float
    loss_probability: float
    slope: float
    trials: int
    slices: int
    metric: str
    in_sample: FloatArray = field(repr=False)
    out_of_sample: FloatArray = field(repr=False)
    rank: FloatArray = field(repr=False)
    chosen: npt.NDArray[np.int64] = field(repr=False)

    @property
    def experiments(self) -> int:
        """How many ways of halving the record there were."""
        return len(self.rank)

    @property
    def logits(self) -> FloatArray:
        """ln(rank / (1 - rank)) by experiment: zero is the median, below it is overfitting."""
        logits: FloatArray = np.log(self.rank / (1 - self.rank))
        return logits


def overfitting(
    returns: Any,
    slices: int = SLICES,
    *,
    metric: str = SHARPE,
    edges: Sequence[int] | None = None,
) -> Overfitting:
    """The probability that choosing the best column of `returns` is overfitting.

    Args:
        returns: simple returns, [observations, trials], in the order of time; every trial that was
            made, finite.
        slices: an even number, 2 to 20; consecutive and as equal as the record allows.
        metric: `sharpe` (a column that never moves has zero) or `mean`.
        edges: where slices begin and the last one ends, when time has borders of its own, such as
            the windows in which grids were laid anew; instead of `slices`.

    Raises:
        InvalidInput: fewer than two trials, slices that are odd, too many or too short, or a NaN.
    """
    values = finite(returns, 2)
    bounds = _bounds(values, slices, edges)
    if metric not in (SHARPE, MEAN):
        raise InvalidInput(f"metric is {metric!r}; choose {SHARPE!r} or {MEAN!r}")
    count = len(bounds) - 1
    halves = np.zeros((math.comb(count, count // 2), count))
    for row, half in enumerate(combinations(range(count), count // 2)):
        halves[row, half] = 1.0
    figures = _figures(values, bounds, metric)
    columns: list[tuple[Any, ...]] = []
    step = max(1, _AT_ONCE // values.shape[1])
    for start in range(0, len(halves), step):
        columns.append(_experiments(halves[start : start + step], figures))
    found = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    chosen, inside, outside, rank = found
    return Overfitting(
        probability=float(np.mean(rank <= 0.5)),
        loss_probability=float(np.mean(outside < 0)),
        slope=_slope(inside, outside),
        trials=values.shape[1],
        slices=count,
        metric=metric,
        in_sample=inside,
        out_of_sample=outside,
        rank=rank,
        chosen=chosen,
    )


def _bounds(values: FloatArray, slices: int, edges: Sequence[int] | None) -> npt.NDArray[np.int64]:
    """Where slices begin and the last one ends, checked."""
    total, trials = values.shape
    if trials < 2:
        raise InvalidInput(f"there is {trials} trial; choosing needs at least two")
    if edges is None:
        if slices < 2 or slices % 2 or slices > MOST_SLICES:
            raise InvalidInput(f"slices is {slices}; an even number from 2 to {MOST_SLICES}")
        bounds = np.linspace(0, total, slices + 1).astype(np.int64)
    else:
        bounds = np.asarray(edges, np.int64)
        if len(bounds) % 2 == 0 or not 3 <= len(bounds) <= MOST_SLICES + 1:
            raise InvalidInput(
                f"edges bound {len(bounds) - 1} slices; an even number from 2 to {MOST_SLICES}"
            )
        if bounds[0] != 0 or bounds[-1] != total:
            raise InvalidInput(f"edges go from {bounds[0]} to {bounds[-1]}; 0 to {total} is meant")
    shortest = int(np.diff(bounds).min())
    if shortest < 2:
        raise InvalidInput(
            f"{total} returns in {len(bounds) - 1} slices leave {shortest} in the shortest, and 2 "
            "are needed; use fewer slices or sample more often"
        )
    return bounds


def _figures(
    values: FloatArray, bounds: npt.NDArray[np.int64], metric: str
) -> Callable[[FloatArray], FloatArray]:
    """A function from halves [n, slices] to the figure of every trial in them, [n, trials].

    Sums by slice are all that is needed; the means are taken out first, so that the squares keep
    their digits.
    """
    middle = values.mean(axis=0)
    away = values - middle
    lengths = np.diff(bounds).astype(np.float64)
    sums = np.add.reduceat(away, bounds[:-1], axis=0)
    squares = np.add.reduceat(away**2, bounds[:-1], axis=0)
    least = STILL * np.abs(values).max(axis=0)

    def figures(halves: FloatArray) -> FloatArray:
        count = (halves @ lengths)[:, None]
        shift = halves @ sums / count
        mean: FloatArray = middle + shift
        if metric == MEAN:
            return mean
        variance = np.maximum(halves @ squares - count * shift**2, 0.0) / (count - 1)
        spread = np.sqrt(variance)
        ratio: FloatArray = np.zeros_like(mean)
        np.divide(mean, spread, out=ratio, where=spread > least)
        return ratio

    return figures


def _experiments(
    halves: FloatArray, figures: Callable[[FloatArray], FloatArray]
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray, FloatArray]:
    """(chosen, its figure in sample, out of sample, its relative rank there) of some halves."""
    inside, outside = figures(halves), figures(1 - halves)
    rows = np.arange(len(halves))
    chosen = np.argmax(inside, axis=1).astype(np.int64)
    its = outside[rows, chosen]
    below = np.count_nonzero(outside < its[:, None], axis=1)
    equal = np.count_nonzero(outside == its[:, None], axis=1)
    # Ties share their mean rank; the rank of N runs from 1 / (N + 1) to N / (N + 1).
    rank = (below + (equal + 1) / 2) / (outside.shape[1] + 1)
    return chosen, inside[rows, chosen], its, rank


def _slope(inside: FloatArray, outside: FloatArray) -> float:
    away = inside - inside.mean()
    size = float(away @ away)
    return float(away @ outside) / size if size > 0 else math.nan
