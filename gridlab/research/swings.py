"""`Swings`: the path of a series thinned to its turns, once for each series, for sweeps.

A grid passes over every swing that is smaller than the distance of its lines. So its fills are
those of the path's greater swings alone, of which there are a hundred or a thousand times fewer.
Paths of several widths are kept, and each grid takes the widest that is exact for it. Knows no
grid.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridlab.research.ticks import TickBars

#: A swing of a path is this much wider than one of the next, which has its square as many points.
RATIO = 2**0.25
#: From so many bars on; places are int32, four to a bar.
MOST_BARS = 2**29 - 1


@dataclass(frozen=True, eq=False)
class Swings:
    """One thinned path; see `kernel_swings.thin` and `kernel_swings.facts_of` for the arrays.

    Args:
        delta: ticks; the path never goes back by so many between two turns.
    """

    delta: int
    turns: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    facts: npt.NDArray[np.int32]


def width_of(distance: int) -> int:
    """The widest kept delta, in ticks, that is exact for lines at least `distance` apart.

    >>> [width_of(distance) for distance in (1, 2, 3, 5, 100)]
    [1, 2, 2, 4, 90]
    """
    step = int(np.log(distance) / np.log(RATIO) + 1e-9)
    return max(1, int(RATIO**step + 1e-9))


def swings_of(ticks: TickBars, widths: Iterable[int]) -> dict[int, Swings]:
    """The paths of these widths, made where they are not yet there; finer ones make wider ones."""
    known = _known.setdefault(ticks, {})
    wanted = sorted({width for width in widths if width not in known})
    if wanted:
        from gridlab.research import kernel_swings as kernel

        columns = (ticks.open, ticks.high, ticks.low, ticks.close)
        prices, places = kernel.path(*columns)
        turns, kept = prices, places
        for width in wanted:
            turns, kept = kernel.thin(turns, kept, width)
            known[width] = Swings(width, turns, kept, kernel.facts_of(prices, turns, kept))
    return known


#: Kept as long as the ticks, which are kept as long as the bars.
_known: weakref.WeakKeyDictionary[TickBars, dict[int, Swings]] = weakref.WeakKeyDictionary()
