"""The compiled walk of a refilling grid whose fills a bar's volume limits; see `kernel_partial`.

Best price first, so the grid's book is still one integer, the line without an order; beside it each
slot has what is left of its order. What a slot holds is counted in base units by what it cost: the
price of the start, which is always sold first, or the slot's own lower line.

What `walk` takes:
    budget: lots that may fill on each leg of a bar's path; its open takes any.
    lines, lowest, highest, past, gap: as for `kernel.record`.
    lots: of a buy; lot_units: base units of a lot; dust: units beside the start's stock, of
        the highest slot.
    least, most: lots of a sale that the venue takes, by slot and of all.
    in_base: whether a buy's fee is kept in base; base_rate: (fee steps, of so many lots).
    fee_rate: (fee steps, of so much value in ticks x lots); fee_units: base units of a step.
    worth: quote of a lot at each line; reserve: fee of a buy's lock as a fraction; fee_worth:
        quote of a fee step; free: quote that is free once the first orders rest. Floats: they
        only tell whether an order could have been refused.

What it returns beside the gap, the bars walked, a status and the least free quote:
    fills: int64 [n, 6]: bar, point, slot, side, lots, fee in steps.
    totals: int64 [slots, 9]: lots bought; base units sold of the start's price and of the
        line's; fees in base units and in other steps; units held and dust, by price.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: As in `kernel`; and a purchase that left so little, or so much, that no such sale is taken.
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


@njit(cache=True, nogil=True)
def _point(o, h, lo, c, point):  # type: ignore[no-untyped-def]
    """The stated path: open, low, high, close when the bar rose or stood, else high first."""
    if point == 0:
        return o
    if point == 3:
        return c
    return lo if (point == 1) == (c >= o) else h


@njit(cache=True, nogil=True)
def _half_even(number, divisor):  # type: ignore[no-untyped-def]
    """number / divisor to the nearest integer, a tie to the even one; divisor above zero."""
    whole, rest = number // divisor, number % divisor
    if 2 * rest > divisor or (2 * rest == divisor and whole % 2 != 0):
        whole += 1
    return whole


@njit(cache=True, nogil=True)
def _wider(table):  # type: ignore[no-untyped-def]
    bigger = np.empty((2 * len(table), table.shape[1]), table.dtype)
    bigger[: len(table)] = table
    return bigger


@njit(cache=True, nogil=True)
def _bought(row, size, lot_units, kept):  # type: ignore[no-untyped-def]
    """Book a buy of `size` lots of which the venue kept `kept` base units."""
    row[BOUGHT] += size
    row[BASE_FEE] += kept
    row[HELD] += size * lot_units - kept


@njit(cache=True, nogil=True)
def _sold(row, units):  # type: ignore[no-untyped-def]
    """Book a sale of base units: what was bought at the start goes first."""
    of_start = min(row[HELD_REF], units)
    row[HELD_REF] -= of_start
    row[SOLD_REF] += of_start
    row[HELD] -= units - of_start
    row[SOLD] += units - of_start


@njit(cache=True, nogil=True)
def _next_sale(row, lot_units, least, most):  # type: ignore[no-untyped-def]
    """(lots of the sale that a whole purchase leads to, status); what was put aside joins it."""
    status = OK
    if (row[HELD_REF] + row[HELD]) // lot_units < least:
        status = ODD_SALE
    row[HELD_REF] += row[DUST_REF]
    row[HELD] += row[DUST]
    row[DUST_REF], row[DUST] = 0, 0
    lots = (row[HELD_REF] + row[HELD]) // lot_units
    return lots, ODD_SALE if lots > most else status


@njit(cache=True, nogil=True)
def _put_aside(row):  # type: ignore[no-untyped-def]
    """What a whole sale left is no lot: it waits for the slot's next sale."""
    row[DUST_REF] += row[HELD_REF]
    row[DUST] += row[HELD]
    row[HELD_REF], row[HELD] = 0, 0


@njit(cache=True, nogil=True)
def _with_fill(fills, count, bar, point, slot, side, size, fee):  # type: ignore[no-untyped-def]
    """The table with one more fill; a wider one when it was full."""
    if count == len(fills):
        fills = _wider(fills)
    fills[count, 0], fills[count, 1], fills[count, 2] = bar, point, slot
    fills[count, 3], fills[count, 4], fills[count, 5] = side, size, fee
    return fills


@njit(cache=True, nogil=True)
def walk(  # type: ignore[no-untyped-def]
    o, h, low, c, budget, lines, lowest, highest, past, gap,
    lots, lot_units, dust, least, most, in_base, base_rate, fee_rate, fee_units,
    worth, reserve, fee_worth, free,
):  # fmt: skip
    """(fills, totals, gap, bars walked, status, least free quote); see the module."""
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
                row = totals[slot]
                if falls and in_base:
                    fee = _half_even(base_rate[0] * size, base_rate[1])
                else:
                    line = np.int64(lines[slot + 1] if falls else lines[slot + 2])
                    fee = _half_even(fee_rate[0] * line * size, fee_rate[1])
                    row[FEE] += fee
                    free -= fee * fee_worth
                if falls:
                    _bought(row, size, lot_units, fee * fee_units if in_base else 0)
                    free += size * worth[slot] * reserve
                else:
                    _sold(row, size * lot_units)
                    free += size * worth[slot + 1]
                fills = _with_fill(fills, count, bar, point, slot, 1 if falls else -1, size, fee)
                count += 1
                slack = min(slack, free)
                if left[slot] > 0:
                    continue
                if falls:
                    left[slot], odd = _next_sale(row, lot_units, least[slot], most)
                    status = odd if odd != OK else status
                    gap -= 1
                else:
                    _put_aside(row)
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
