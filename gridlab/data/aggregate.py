"""Buckets and sums over columns of candles, exact in the recorded digits.

Binary sums of decimal amounts drift in their last digits. A recorded amount has few decimals, so
it is counted in whole units of its last decimal and summed as integers. Knows numpy only: no
candle, no market.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gridlab.money import exact, from_float

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

#: Binance writes no amount with more decimals.
MAX_DECIMALS = 8
#: Every decimal number of up to 15 digits has a double of its own, so its digits can be told.
_MAX_COUNT = 10.0**15


def bucket_starts(open_time_ms: IntArray, width_ms: int) -> IntArray:
    """Index of the first bar of each bucket of `width_ms` aligned to the UTC epoch; ascending."""
    if not len(open_time_ms):
        return np.empty(0, np.int64)
    buckets = open_time_ms // width_ms
    return np.concatenate(([0], np.flatnonzero(buckets[1:] != buckets[:-1]) + 1)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class ExactColumn:
    """Recorded amounts, NaN where the recording lacks one, whose sums keep every digit.

    Whether a sum is exact never depends on values outside it: what cannot be counted in units is
    added as a Decimal. A sum may span some 9,000 of the largest amounts before int64 overflows; a
    day of minutes has 1,440.

    Args:
        values: the amounts.
        counts: the amounts in units of 10**-decimals; 0 for missing and for odd ones.
        odd: indices of the amounts that are no whole number of those units; ascending.
    """

    values: FloatArray
    counts: IntArray
    decimals: int
    odd: IntArray

    @classmethod
    def of(cls, values: FloatArray) -> ExactColumn:
        """The column of `values`, with the number of decimals that leaves the fewest odd."""
        known = np.where(np.isnan(values), 0.0, values)
        best: ExactColumn | None = None
        for decimals in range(MAX_DECIMALS + 1):
            scale = 10.0**decimals
            counts = np.rint(known * scale)
            # n / 10**k is correctly rounded, both being exact doubles: the nearest double to the
            # written number, which is what a parser made of its text.
            whole = (np.abs(counts) < _MAX_COUNT) & (counts / scale == known)
            odd = np.flatnonzero(~whole)
            if best is None or len(odd) < len(best.odd):
                kept = np.where(whole, counts, 0.0).astype(np.int64)
                best = cls(values, kept, decimals, odd)
            if not len(odd):
                break
        assert best is not None
        return best

    def float_sums(self, starts: IntArray, stop: int) -> FloatArray:
        """Sums of [starts[0], starts[1]), ..., [starts[-1], stop); NaN where a part is missing."""
        if not len(starts):
            return np.empty(0, np.float64)
        if len(self.odd):
            floats = [np.nan if s is None else float(s) for s in self.sums(starts, stop)]
            return np.array(floats, np.float64)
        totals = np.add.reduceat(self.counts[:stop], starts) / 10.0**self.decimals
        return np.where(self._lacks(starts, stop), np.nan, totals)

    def sums(self, starts: IntArray, stop: int) -> list[Decimal | None]:
        """The same sums as Decimals of the recorded digits; None where a part is missing."""
        if not len(starts):
            return []
        first, last = np.searchsorted(self.odd, (starts[0], stop))
        odd = self.odd[first:last]
        with exact():
            totals = [
                Decimal(count).scaleb(-self.decimals)
                for count in np.add.reduceat(self.counts[:stop], starts).tolist()
            ]
            for part, value in zip(
                np.searchsorted(starts, odd, side="right") - 1, self.values[odd], strict=True
            ):
                totals[part] += from_float(value)
        lacks = self._lacks(starts, stop).tolist()
        return [None if gone else total for gone, total in zip(lacks, totals, strict=True)]

    def _lacks(self, starts: IntArray, stop: int) -> npt.NDArray[np.bool_]:
        """Whether each part holds a missing amount."""
        first = starts[0]
        return np.logical_or.reduceat(np.isnan(self.values[first:stop]), starts - first)


def trade_sums(trades: IntArray, starts: IntArray, stop: int) -> IntArray:
    """Sums of trade counts over the same parts; -1 where a part lacks its count."""
    if not len(starts):
        return np.empty(0, np.int64)
    totals = np.add.reduceat(trades[:stop], starts)
    return np.where(np.minimum.reduceat(trades[:stop], starts) < 0, -1, totals)
