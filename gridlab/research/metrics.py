"""Figures of an equity curve: how deep it fell, and when. Pure numpy; knows no grid, no candle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of a curve from a height that it had reached before.

    Args:
        fraction: size of the fall, 0 to 1, of the height it began at.
        peak, trough: positions of that height and of the lowest point after it.
        recovered: position at which the height was reached again; None if it never was.
    """

    fraction: float
    peak: int
    trough: int
    recovered: int | None


def underwater(equity: FloatArray) -> FloatArray:
    """How far each value lies below the highest so far: equity / running maximum - 1, at most 0."""
    return equity / np.maximum.accumulate(equity) - 1.0


def max_drawdown(equity: FloatArray) -> Drawdown:
    """The deepest fall of `equity`; of equally deep ones the first. Zero if it only rises.

    >>> max_drawdown(np.array([100.0, 120.0, 90.0, 130.0]))
    Drawdown(fraction=0.25, peak=1, trough=2, recovered=3)
    """
    below = underwater(equity)
    trough = int(np.argmin(below))
    peak = int(np.argmax(equity[: trough + 1]))
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    recovered = trough + int(back[0]) if len(back) else None
    return Drawdown(float(-below[trough]) or 0.0, peak, trough, recovered)


def fraction_outside(prices: FloatArray, low: float, high: float) -> float:
    """The fraction of `prices` below `low` or above `high`, 0 to 1."""
    return float(np.count_nonzero((prices < low) | (prices > high)) / len(prices))
