"""The compiled walk of a refilling grid whose fills a bar's volume limits; see `kernel_partial`.

Best price first, so the grid's book is still one integer, the line without an order; beside it each
slot has what is left of its order. What a slot holds is counted in base units by what it cost: the
price of the start, which is always sold first, or the slot's own lower line.

What `walk` takes:
    o, h, low, c, lines, lowest, highest, past, gap: as `kernel.record` does.
    budget: int64, lots that may fill on each leg of a bar's path; its open takes any.
    lots: of a buy; lot_units: base units of a lot; dust: units beside the start's stock, of the
        highest slot.
    least, most: lots of a sale that the venue takes, by slot and of all.
    in_base: whether a buy's fee is kept in base; base_rate: (fee steps, of so many lots, base units
        of a step); fee_rate: (fee steps, of so much value in ticks x lots).
    worth: quote of a lot at each line; reserve: fee of a buy's lock as a fraction; fee_worth: quote
        of a fee step; free: quote that is free once the first orders rest. Floats: they only tell
        whether an order could have been refused.
What it gives:
    fills: int64 [n, 6]: bar, point, slot, side, lots, fee in steps.
    totals: int64 [slots, 9]: lots bought; base units sold of the start's price and of the line's;
        fees in base and others, in steps; units held and dust, by price.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: As in `kernel`; and a purchase that left so little, or so much, that no sale of it is taken.
OK, OUT_OF_BAND, ODD_SALE = 0, 1, 2
#: Bars that are passed over at once, as in `kernel`.
STRIDE = 32
#: Columns of the totals by slot; see `walk`.
BOUGHT, SOLD_REF, SOLD, BASE_FEE, FEE, HELD_REF, HELD, DUST_REF, DUST = range(9)


# The two below are those of `kernel`, written again: a cached function is compiled anew only when
# its own file changes, and would go on with what another file held before.


@njit(cache=True, nogil=True)
def _next_touch(low, high, dn, up, start, stop):  # type: ignore[no-untyped-def]
    """The first bar in [start, stop) with low <= dn or high >= up; `stop` if there is none."""
    i = start
    while i + STRIDE <= stop:
        base, hit = np.uint64(i), np.int32(0)
        for j in range(STRIDE):
            at = base + np.uint64(j)
            hit |= np.int32(low[at] <= dn) | np.int32(high[at] >= up)
        if hit:
            break
        i += STRIDE
    while i < stop and low[np.uint64(i)] > dn and high[np.uint64(i)] < up:
        i += 1
    return i


@njit(cache=True, nogil=True, inline="always")
def _point(o, h, lo, c, point):  # type: ignore[no-untyped-def]
    """The stated path: open, low, high, close when the bar rose or stood, else high first."""
    if point == 0:
        return o
    if point == 3:
        return c
    return lo if (point == 1) == (c >= o) else h


@njit(cache=True, nogil=True, inline="always")
def _half_even(number, divisor):  # type: ignore[no-untyped-def]
    """number / divisor to the nearest integer, a tie to the even one; divisor above zero."""
    whole, rest = number // divisor, number % divisor
    if 2 * rest > divisor or (2 * rest == divisor and whole % 2 != 0):
        whole += 1
    return whole


@njit(cache=True, nogil=True, inline="always")
def _book(row, falls, size, line, lot_units, in_base, base_rate, fee_rate):  # type: ignore[no-untyped-def]
    """Take a fill of `size` lots into a slot's row; returns its fee in steps.

    A fee in base is counted in steps of a base unit's size, so what comes is what is left of it.
    """
    if falls:
        row[BOUGHT] += size
        if in_base:
            fee = _half_even(base_rate[0] * size, base_rate[1])
            row[HELD] += size * lot_units - fee * base_rate[2]
            return fee
        row[HELD] += size * lot_units
    else:
        sold = min(row[HELD_REF], size * lot_units)
        row[HELD_REF] -= sold
        row[SOLD_REF] += sold
        row[HELD] -= size * lot_units - sold
        row[SOLD] += size * lot_units - sold
    return _half_even(fee_rate[0] * line * size, fee_rate[1])


@njit(cache=True, nogil=True, inline="always")
def _bring_back(row):  # type: ignore[no-untyped-def]
    """A purchase is done: what was put aside is sold first. Returns the units that are held."""
    row[HELD_REF] += row[DUST_REF]
    row[HELD] += row[DUST]
    row[DUST_REF], row[DUST] = 0, 0
    return row[HELD_REF] + row[HELD]


@njit(cache=True, nogil=True, inline="always")
def _set_aside(row):  # type: ignore[no-untyped-def]
    """A sale is done: what is no lot any more waits for the next one."""
    row[DUST_REF] += row[HELD_REF]
    row[DUST] += row[HELD]
    row[HELD_REF], row[HELD] = 0, 0


@njit(cache=True, nogil=True)
def _note(fills, count, bar, point, slot, side, size, fee):  # type: ignore[no-untyped-def]
    """Write a fill into row `count`; returns the table, a larger one if it was full."""
    if count == len(fills):
        table = np.empty((2 * count, fills.shape[1]), fills.dtype)
        table[:count] = fills
        fills = table
    fills[count, 0], fills[count, 1], fills[count, 2] = bar, point, slot
    fills[count, 3], fills[count, 4], fills[count, 5] = side, size, fee
    return fills


@njit(cache=True, nogil=True)
def walk(  # type: ignore[no-untyped-def]
    o, h, low, c, budget, lines, lowest, highest, past, gap,
    lots, lot_units, dust, least, most, in_base, base_rate, fee_rate,
    worth, reserve, fee_worth, free,
):  # fmt: skip
    """(fills, totals, gap, bars walked, status, least free quote); see the module's docstring."""
    count, slots = 0, len(lines) - 3
    fills, totals = np.empty((1024, 6), np.int64), np.zeros((slots, 9), np.int64)
    left = np.full(slots, lots)
    totals[gap:, HELD_REF] = lots * lot_units
    totals[slots - 1, DUST_REF] = dust
    walked, status, bar, first, slack = 0, OK, 0, 1, free
    while bar < len(o):
        walked += 1
        for point in range(first, 4):
            price = _point(o[bar], h[bar], low[bar], c[bar], point)
            before, volume = gap, budget[bar]
            while True:
                falls = price <= np.int64(lines[gap]) - past
                if not falls and price < np.int64(lines[gap + 2]) + past:
                    break
                slot = gap - 1 if falls else gap
                size = left[slot] if point == 0 else min(left[slot], volume)
                if size <= 0:
                    break
                volume -= size
                left[slot] -= size
                line = np.int64(lines[slot + 1] if falls else lines[slot + 2])
                row = totals[slot]
                fee = _book(row, falls, size, line, lot_units, in_base, base_rate, fee_rate)
                row[BASE_FEE if falls and in_base else FEE] += fee
                if not (falls and in_base):
                    free -= fee * fee_worth
                free += size * (worth[slot] * reserve if falls else worth[slot + 1])
                fills = _note(fills, count, bar, point, slot, 1 if falls else -1, size, fee)
                count += 1
                slack = min(slack, free)
                if left[slot] > 0:
                    continue
                if falls:
                    if (row[HELD_REF] + row[HELD]) // lot_units < least[slot]:
                        status = ODD_SALE
                    left[slot] = _bring_back(row) // lot_units
                    if left[slot] > most:
                        status = ODD_SALE
                    gap -= 1
                else:
                    _set_aside(row)
                    left[slot] = lots
                    free -= lots * worth[slot] * (1.0 + reserve)
                    slack = min(slack, free)
                    gap += 1
            if gap < before and price < lowest[before] or gap > before and price > highest[before]:
                status = OUT_OF_BAND
            if status != OK:
                return fills[:count], totals, gap, walked, status, slack
        first = 0
        bar = _next_touch(low, h, lines[gap], lines[gap + 2], bar + 1, len(o))
    return fills[:count], totals, gap, walked, status, slack
