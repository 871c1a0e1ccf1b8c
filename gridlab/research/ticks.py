"""`TickBars`: the prices of a series as whole ticks, for a kernel that compares integers.

A recorded double is the nearest one to a number of few decimals, so its ticks can be told exactly;
where they cannot, the series says why and nobody computes with it. Knows no grid.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.money import from_float, text

TickArray: TypeAlias = npt.NDArray[np.int32]

#: Every decimal number of up to 15 digits has a double of its own.
_MAX_COUNT = 10**15
#: Prices above this many ticks are left to exact decimals; half of what int32 holds, so that a line
#: moved by a tick still fits.
MAX_TICKS = 2**30
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, eq=False)
class TickBars:
    """One series in ticks, C-contiguous int32; the arrays are empty when there is a `problem`.

    Args:
        tick_size: quote units of one tick.
        problem: why the series cannot be told in ticks; empty when it can.
    """

    tick_size: Decimal
    open: TickArray
    high: TickArray
    low: TickArray
    close: TickArray
    problem: str = ""

    def __len__(self) -> int:
        return len(self.open)

    @cached_property
    def _ordered_closes(self) -> TickArray:
        return np.sort(self.close)

    def fraction_outside(
        self, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """By range, the fraction of closes below `low` or above `high`, in ticks."""
        ordered = self._ordered_closes
        below = np.searchsorted(ordered, low.astype(np.int32), side="left")
        above = len(ordered) - np.searchsorted(ordered, high.astype(np.int32), side="right")
        return (below + above) / len(ordered)

    @classmethod
    def of(cls, bars: Bars, tick_size: Decimal) -> TickBars:
        """The ticks of `bars`; the second call for the same arrays costs nothing."""
        return _remembered(bars, tick_size, lambda: cls._make(bars, tick_size))

    @classmethod
    def _make(cls, bars: Bars, tick_size: Decimal) -> TickBars:
        columns: list[TickArray] = []
        for name in _PRICES:
            ticks, problem = _ticks_of(getattr(bars, name), tick_size)
            if ticks is None:
                none = np.empty(0, np.int32)
                return cls(tick_size, none, none, none, none, f"{name} {problem}")
            columns.append(ticks)
        opened, high, low, close = columns
        return cls(tick_size, opened, high, low, close)


def _ticks_of(values: npt.NDArray[np.float64], tick_size: Decimal) -> tuple[TickArray | None, str]:
    """(ticks, "") or (None, why not): 10**k-ths of a unit are counted first, then divided.

    n / 10**k is correctly rounded, both being exact doubles: it is the double that a parser makes
    of the written number, so equality proves the digits.
    """
    if not len(values):
        return np.empty(0, np.int32), ""
    exponent = tick_size.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a tick size is finite"
    decimals = max(0, -exponent)
    step = int(tick_size.scaleb(decimals))
    scale = 10.0**decimals
    counts = np.rint(values * scale)
    odd = counts / scale != values
    off = counts % step != 0 if step != 1 else np.zeros(0, np.bool_)
    if odd.any() or off.any():
        bar = int(np.argmax(odd if odd.any() else off))
        price = text(from_float(values[bar]))
        return None, f"of bar {bar} is {price}, off the tick size {text(tick_size)}"
    largest = int(counts.max())
    if largest >= _MAX_COUNT or largest // step > MAX_TICKS:
        return None, f"reaches {largest // step} ticks of {text(tick_size)}; {MAX_TICKS} fit"
    ticks = counts if step == 1 else counts / step
    return ticks.astype(np.int32), ""


# --- remembered results ---------------------------------------------------------------------------

#: By the identity of a column and the tick; an entry goes when its column is collected.
_known: dict[tuple[int, Decimal], tuple[weakref.ref[Any], TickBars]] = {}


def _remembered(bars: Bars, tick_size: Decimal, make: Callable[[], TickBars]) -> TickBars:
    """Ticks kept for as long as the series itself: its arrays are read-only, so they stay right."""
    column = bars.open
    key = (id(column), tick_size)
    entry = _known.get(key)
    if entry is not None and entry[0]() is column:
        return entry[1]
    made = make()
    _known[key] = (weakref.ref(column, lambda _: _known.pop(key, None)), made)
    return made
