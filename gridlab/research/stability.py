"""Whether what was good stays good: ranks in the training against ranks in the trial.

Functions of tables [windows, settings]; NaN where a setting could not start. Knows no grid.
"""

from __future__ import annotations

import numpy as np

from gridlab.research.metrics import FloatArray


def percentiles(values: FloatArray) -> FloatArray:
    """The place of each value among all of them, 0 the least to 1 the greatest; NaN stays NaN.

    Equal values share their mean place; a value that is alone has 0.5.

    >>> percentiles(np.array([3.0, 1.0, 2.0]))
    array([1. , 0. , 0.5])
    """
    places: FloatArray = np.full(len(values), np.nan)
    known = np.isfinite(values)
    _, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    count = int(counts.sum())
    before = np.cumsum(counts) - counts
    ranks = before + (counts - 1) / 2
    places[known] = ranks[inverse] / (count - 1) if count > 1 else 0.5
    return places


def spearman(first: FloatArray, second: FloatArray) -> float:
    """The correlation of ranks, -1 to 1, over the places that both know; NaN when undefined.

    Undefined: fewer than 3 places, or one side all alike. Source: C. Spearman, 1904; with ties,
    Pearson's correlation of mean ranks.
    """
    both = np.isfinite(first) & np.isfinite(second)
    if np.count_nonzero(both) < 3:
        return float("nan")
    x, y = percentiles(first[both]), percentiles(second[both])
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")


def mean_known(table: FloatArray) -> FloatArray:
    """The mean of each column over the windows that know it; NaN for one that none knows."""
    known = np.isfinite(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    means: FloatArray = np.full(table.shape[1], np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
