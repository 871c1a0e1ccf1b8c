"""Less to draw and the same to see: candles joined, curves and fills thinned for a picture.

No extreme is lost: a joined candle has the highest high and the lowest low, a thinned curve keeps
the lowest and the highest point of each bucket, and of fills that would lie on one spot one is
kept. For eyes only; no figure is ever computed from what comes out of here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridlab.data.aggregate import bucket_starts
from gridlab.data.bars import Bars
from gridlab.domain.market import Interval
from gridlab.research.metrics import FloatArray
from gridlab.research.outcome import Outcome

IntArray = npt.NDArray[np.int64]

#: Candles that a picture shows at most, points of a curve, marks of fills.
MOST_CANDLES = 700
MOST_POINTS = 2_000
MOST_FILLS = 4_000
#: Moments that a picture can tell apart across its width.
MOST_MOMENTS = 1_000


def thinned(values: FloatArray, most: int = MOST_POINTS) -> IntArray:
    """Positions of at most about `most` values that draw the same curve: each bucket's extremes.

    The first and the last position are always among them.
    """
    count = len(values)
    if count <= most:
        return np.arange(count, dtype=np.int64)
    size = -(-2 * count // most)
    starts = np.arange(0, count, size)
    found = [0, count - 1]
    for start in starts.tolist():
        part = values[start : start + size]
        found += [start + int(part.argmin()), start + int(part.argmax())]
    return np.unique(np.array(found, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Prices of candles and nothing else: volumes are summed exactly elsewhere, and that takes."""

    interval: Interval
    open_time_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.open_time_ms)


def joined(bars: Bars, most: int = MOST_CANDLES) -> Candles:
    """The same prices in candles wide enough that at most `most` are left, if one allows."""
    length = bars.end_ms - int(bars.open_time_ms[0])
    fitting = [one for one in Interval if one.ms % bars.interval.ms == 0]
    wide = next((one for one in fitting if length <= most * one.ms), fitting[-1])
    starts, stop = bucket_starts(bars.open_time_ms, wide.ms), len(bars)
    return Candles(
        wide,
        bars.open_time_ms[starts] // wide.ms * wide.ms,
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[np.append(starts[1:], stop) - 1],
    )


def distinct_fills(result: Outcome, most: int = MOST_FILLS) -> tuple[IntArray, int]:
    """Positions of the grid's fills to draw, in order, and how many fills there are.

    All of them up to `most`; beyond, the first of each slot, side and moment, and the moments get
    wider until they fit.
    """
    flows = result.flows
    resting = np.flatnonzero(flows.slot >= 0).astype(np.int64)
    count, moments, kept = len(resting), MOST_MOMENTS, resting
    first, length = int(result.bars.open_time_ms[0]), result.duration_ms
    while len(kept) > most and moments > 1:
        moment = (flows.time_ms[resting] - first) * moments // length
        place = 2 * flows.slot[resting] + (flows.side[resting] > 0)
        spots = moment * (2 * len(result.lines)) + place
        kept = resting[np.sort(np.unique(spots, return_index=True)[1])]
        moments //= 2
    return kept, count


def with_breaks(time_ms: IntArray, values: FloatArray, bars: Bars) -> tuple[IntArray, FloatArray]:
    """A curve with a NaN in each wide hole of the recording.

    So that nobody draws a straight line through time of which nothing is known.
    """
    middle = _wide_holes(bars)
    if not len(middle):
        return time_ms, values
    places = np.searchsorted(time_ms, middle)
    return np.insert(time_ms, places, middle), np.insert(values, places, np.nan)


def pieces(time_ms: IntArray, bars: Bars) -> list[slice]:
    """The stretches of a curve between the wide holes, for areas, which no NaN divides."""
    places = np.searchsorted(time_ms, _wide_holes(bars)).tolist()
    edges = [0, *places, len(time_ms)]
    return [slice(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _wide_holes(bars: Bars, share: float = 0.01) -> IntArray:
    """The middle of each hole that is wider than `share` of the series."""
    least = share * (bars.end_ms - int(bars.open_time_ms[0]))
    holes = [(first + last) // 2 for first, last in bars.gaps() if last - first > least]
    return np.array(holes, np.int64)
