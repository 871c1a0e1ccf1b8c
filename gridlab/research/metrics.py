"""Figures of an equity curve: how deep it fell, when, for how long. Pure numpy; knows no grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

#: Values that `running_max` looks at together: a block without a new height costs one comparison.
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall of a curve from a height that it had reached before.

    Args:
        fraction: size of the fall, 0 to 1, of the height it began at.
        peak, trough: positions of that height and of the lowest point after it.
        recovered: position at which the height was reached again; None if it never was.
    """

    fraction: float
    peak: int
    trough: int
    recovered: int | None


def running_max(values: FloatArray) -> FloatArray:
    """The highest value so far, at every position; what `np.maximum.accumulate` gives, sooner.

    Most of a long curve lies below an earlier height, so most blocks are filled and not walked.
    """
    blocks = len(values) // BLOCK
    if blocks < 2:
        return np.maximum.accumulate(values)
    whole = values[: blocks * BLOCK].reshape(blocks, BLOCK)
    tops = whole.max(axis=1)
    before = np.concatenate(([-np.inf], np.maximum.accumulate(tops)))
    result = np.empty(len(values))
    body = result[: blocks * BLOCK].reshape(blocks, BLOCK)
    body[:] = before[:-1, np.newaxis]
    for block in np.flatnonzero(tops > before[:-1]).tolist():
        row = body[block]
        np.maximum.accumulate(whole[block], out=row)
        np.maximum(row, before[block], out=row)
    rest = np.maximum.accumulate(values[blocks * BLOCK :])
    np.maximum(rest, before[-1], out=result[blocks * BLOCK :])
    return result


def heights(values: FloatArray) -> IntArray:
    """Positions of the values that no value before them exceeds, ascending; the first is one.

    Blocks whose highest value lies below an earlier one have none, and are not looked into.
    """
    blocks = len(values) // BLOCK
    whole, rest = values[: blocks * BLOCK].reshape(blocks, BLOCK), values[blocks * BLOCK :]
    tops = whole.max(axis=1)
    before = np.concatenate(([-np.inf], np.maximum.accumulate(tops)))
    hot = np.flatnonzero(tops >= before[:-1])
    rows = whole[hot]
    highest = np.maximum(np.maximum.accumulate(rows, axis=1), before[hot, np.newaxis])
    row, column = np.nonzero(rows >= highest)
    last = np.flatnonzero(rest >= np.maximum(np.maximum.accumulate(rest), before[-1]))
    return np.concatenate((hot[row] * BLOCK + column, blocks * BLOCK + last)).astype(np.int64)


def longest_wait(values: FloatArray, first: float, moment: Callable[[IntArray], IntArray]) -> int:
    """The longest time below a height: until it was reached again, or until the last value.

    Args:
        first: the value before all others; it counts as reached.
        moment: the times of positions, where 0 is `first` and i + 1 is `values[i]`.
    """
    top = heights(values)
    top = top[values[top] >= first] + 1
    ends = np.concatenate(([0], top, [len(values)]))
    # The last stretch ends without a height, so one value of it is below already.
    is_wait = np.diff(ends) > 1
    is_wait[-1] = ends[-1] > ends[-2]
    waits = np.diff(moment(ends))[is_wait]
    return int(waits.max()) if len(waits) else 0


def underwater(equity: FloatArray) -> FloatArray:
    """How far each value lies below the highest so far: equity / running maximum - 1, at most 0."""
    return equity / running_max(equity) - 1.0


def max_drawdown(equity: FloatArray) -> Drawdown:
    """The deepest fall of `equity`; of equally deep ones the first. Zero if it only rises.

    >>> max_drawdown(np.array([100.0, 120.0, 90.0, 130.0]))
    Drawdown(fraction=0.25, peak=1, trough=2, recovered=3)
    """
    trough = _deepest(equity)
    peak = int(np.argmax(equity[: trough + 1]))
    fall = equity[trough] / equity[peak] - 1.0
    is_back = equity[trough:] >= equity[peak]
    back = int(np.argmax(is_back))
    return Drawdown(float(-fall) or 0.0, peak, trough, trough + back if is_back[back] else None)


def _deepest(equity: FloatArray) -> int:
    """Position of the least `underwater`, the first of equals, without making that curve.

    In a block, the lowest value against the height before it is a fall that happened, and against
    the block's own height as well a fall that none in it exceeds. Only blocks where the latter
    could beat all of the former are looked at.
    """
    blocks = len(equity) // BLOCK
    if blocks < 2:
        return int(np.argmin(underwater(equity)))
    starts = np.arange(blocks, dtype=np.int64) * BLOCK
    lows = np.minimum.reduceat(equity, starts)
    tops = np.maximum.accumulate(np.maximum.reduceat(equity, starts))
    before = np.concatenate((equity[:1], tops[:-1]))
    surest = float((lows / before).min()) - 1.0
    found, deepest = 0, 0.0
    for block in np.flatnonzero(lows / tops - 1.0 <= surest).tolist():
        start = block * BLOCK
        part = equity[start : start + BLOCK if block < blocks - 1 else None]
        below = part / np.maximum(np.maximum.accumulate(part), before[block]) - 1.0
        place = int(np.argmin(below))
        if below[place] < deepest:
            found, deepest = start + place, float(below[place])
    return found


def worst_drawdowns(equity: FloatArray, most: int = 5) -> list[Drawdown]:
    """The deepest falls that do not overlap, deepest first: one for each stay below a height.

    A fall begins at the last position of the height it falls from and ends where that height is
    reached again; inside it, smaller ups and downs are not counted as falls of their own.
    """
    below = underwater(equity)
    is_below = np.concatenate(([False], below < 0, [False]))
    edges = np.flatnonzero(is_below[1:] != is_below[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return []
    depths = np.minimum.reduceat(np.append(below, 0.0), np.ravel(np.column_stack((starts, ends))))
    deepest = np.argsort(depths[::2], kind="stable")[:most]
    found = []
    for start, end in zip(starts[deepest].tolist(), ends[deepest].tolist(), strict=True):
        trough = start + int(np.argmin(below[start:end]))
        back = end if end < len(equity) else None
        found.append(Drawdown(float(-below[trough]), start - 1, trough, back))
    return found


def fraction_outside(prices: FloatArray, low: float, high: float) -> float:
    """The fraction of `prices` below `low` or above `high`, 0 to 1."""
    return float(np.count_nonzero((prices < low) | (prices > high)) / len(prices))
