"""The compiled loops: a refilling grid walked over ticks, fill by fill, and its fall at closes.

One integer is the whole book: `gap`, the line without an order. A bar matters only if its low
reaches the line below or its high the line above; all others are passed over by vectors.
Functions of arrays only: what the arrays mean is said by `ladder` and `ticks`, what follows from
the fills by `kernel_books`. Compiled code is cached beside this file, and every function gives up
the interpreter's lock, so that threads share the work.

Arrays are C-contiguous: bars o, h, l, c int32 ticks; `padded` int32, the lines between a line that
no price falls to and one that no price rises to, so that line k is at k + 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gridlab.research.compiling import compiled

#: Bars that are passed over at once. The compiler makes vectors of a loop of 32 and unrolls one of
#: 16 without: measured, 14 times slower. Unsigned positions spare it the check for a negative one.
STRIDE = 32
_MOST, _LEAST = 2**31 - 1, -(2**31)
#: `record` and `sweep` say 1 when an order would have been placed outside the price band.
OK, OUT_OF_BAND = 0, 1


def padded(lines: Any) -> Any:
    """Lines in ticks between the two that no price reaches."""
    return np.array([_LEAST, *lines, _MOST], np.int32)


@compiled
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


@compiled
def _point(o, h, lo, c, point):  # type: ignore[no-untyped-def]
    """The stated path: open, low, high, close when the bar rose or stood, else high first."""
    if point == 0:
        return o
    if point == 3:
        return c
    return lo if (point == 1) == (c >= o) else h


@compiled
def _point_along(o, h, lo, c, point, path):  # type: ignore[no-untyped-def]
    """The same on another path: 0 the stated one, 1 low first, 2 high first, 3 the contrary one."""
    if path == 0 or point == 0 or point == 3:
        return _point(o, h, lo, c, point)
    is_low_first = path == 1 or (path == 3 and c < o)
    return lo if (point == 1) == is_low_first else h


@compiled
def _grown(array):  # type: ignore[no-untyped-def]
    """Twice the array; a loop, because an assignment to a slice takes two seconds to compile."""
    bigger = np.empty(2 * len(array), array.dtype)
    for i in range(len(array)):
        bigger[i] = array[i]
    return bigger


@compiled
def record(o, h, low, c, lines, lowest, highest, past, gap, path):  # type: ignore[no-untyped-def]
    """Every fill of one grid: (bars, points, slots, sides, gap, bars walked, status).

    Args:
        lines: padded.
        lowest, highest: by line; the market prices between which it may be placed.
        past: ticks that the price must go beyond a line to fill it.
        path: how a bar is walked; see `_point_along`.

    Returns:
        arrays of one length, in order: int32 bar, int8 point of its path, int32 slot, int8 side (1
        a buy, -1 a sale); then where the gap is at the end, how many bars reached a resting order,
        and whether the price band was left. The walk begins at the first bar's second point.
    """
    size = 1024
    bars, points = np.empty(size, np.int32), np.empty(size, np.int8)
    slots, sides = np.empty(size, np.int32), np.empty(size, np.int8)
    count, walked, status, bar, first = 0, 0, OK, 0, 1
    while bar < len(o):
        walked += 1
        for point in range(first, 4):
            price = _point_along(o[bar], h[bar], low[bar], c[bar], point, path)
            before = gap
            while price <= np.int64(lines[gap]) - past or price >= np.int64(lines[gap + 2]) + past:
                if count == len(bars):
                    bars, points = _grown(bars), _grown(points)
                    slots, sides = _grown(slots), _grown(sides)
                falls = price <= np.int64(lines[gap]) - past
                gap += -1 if falls else 1
                bars[count], points[count] = bar, point
                slots[count] = gap if falls else gap - 1
                sides[count] = 1 if falls else -1
                count += 1
            # The mirror that is farthest from the price rests where the gap was.
            if gap < before and price < lowest[before] or gap > before and price > highest[before]:
                status = OUT_OF_BAND
        first = 0
        bar = _next_touch(low, h, lines[gap], lines[gap + 2], bar + 1, len(o))
    return bars[:count], points[:count], slots[:count], sides[:count], gap, walked, status


@compiled
def sale_kinds(slots, sides, start, left, lot, dust, highest):  # type: ignore[no-untyped-def]
    """The kind of each sale: 0 what a purchase left, 1 a lot more, 2 stock of the start.

    Args:
        start: the gap at the start; slots from there up were stocked.
        left, lot, dust: base units that a purchase leaves over, of a lot, and of the start.
        highest: the slot that keeps `dust`.
    """
    kinds, coming = np.zeros(len(slots), np.int8), np.zeros(highest + 1, np.int8)
    over = np.zeros(highest + 1, np.int64)
    for slot in range(start, len(coming)):
        coming[slot] = 2
    over[highest] = dust
    for k in range(len(slots)):
        slot = slots[k]
        if sides[k] < 0:
            kinds[k] = coming[slot]
        else:
            over[slot] += left
            coming[slot] = 0
            if over[slot] >= lot:
                over[slot] -= lot
                coming[slot] = 1
    return kinds


@compiled
def closes(close, ends, cash, base, tokens, height, equity):  # type: ignore[no-untyped-def]
    """Write equity at each close; return (deepest fall, its peak, its trough, when recovered).

    The last three are bar numbers. Recovered is one past the last bar if the height was never
    reached again, and 0 if nothing fell.

    Args:
        ends: bar of each trade, ascending; cash, base, tokens: before any trade and after each.
        height: equity before the first bar. A peak there is bar -1.
    """
    fall, peak, trough = 0.0, -1, -1
    top, top_at, lowest, start = height, -1, height, 0
    for k in range(len(ends) + 1):
        stop = len(close)
        if k < len(ends):
            stop = min(stop, ends[k])
        money, units, worth = cash[k], base[k], tokens[k]
        for i in range(start, stop):
            value = money + units * close[np.uint64(i)] + worth
            equity[np.uint64(i)] = value
            if value > top:
                top, top_at, lowest = value, i, value
            elif value < lowest:
                lowest = value
                below = value / top - 1.0
                if below < fall:
                    fall, peak, trough = below, top_at, i
        start = stop
    back = 0
    if fall < 0.0:
        top = height if peak < 0 else equity[peak]
        back = trough
        while back < len(close) and equity[np.uint64(back)] < top:
            back += 1
    return fall, peak, trough, back


@compiled
def _fall_of(close, start, stop, cash, worth, top, fall):  # type: ignore[no-untyped-def]
    """(peak, deepest fall) after the closes of [start, stop), bar by bar."""
    for i in range(start, stop):
        value = cash + worth * close[i]
        if value > top:
            top = value
        elif 1.0 - value / top > fall:
            fall = 1.0 - value / top
    return top, fall


@compiled
def _after_quiet(close, start, stop, cash, worth, least, most, top, fall):  # type: ignore[no-untyped-def]
    """The same from the extremes alone where they decide it, which they nearly always do.

    Without fills equity rises and falls with the close. Below the old peak the least close gives
    the deepest fall; a new peak can only matter if even the greatest fall from it would.
    """
    upper, lower = cash + worth * most, cash + worth * least
    if upper <= top:
        return top, max(fall, 1.0 - lower / top)
    if lower >= upper * (1.0 - fall):
        return upper, fall
    return _fall_of(close, start, stop, cash, worth, top, fall)


@compiled
def _quiet(low, high, close, dn, up, start, stop):  # type: ignore[no-untyped-def]
    """(first bar that touches, least close before it, greatest close before it)."""
    i, least, most = start, np.int32(_MOST), np.int32(_LEAST)
    while i + STRIDE <= stop:
        base, hit = np.uint64(i), np.int32(0)
        lower, upper = np.int32(_MOST), np.int32(_LEAST)
        for j in range(STRIDE):
            at = base + np.uint64(j)
            hit |= np.int32(low[at] <= dn) | np.int32(high[at] >= up)
            value = close[at]
            lower = value if value < lower else lower
            upper = value if value > upper else upper
        if hit:
            break
        least, most = min(least, lower), max(most, upper)
        i += STRIDE
    while i < stop:
        at = np.uint64(i)
        if low[at] <= dn or high[at] >= up:
            break
        least, most = min(least, close[at]), max(most, close[at])
        i += 1
    return i, least, most


@compiled
def sweep(  # type: ignore[no-untyped-def]
    o, h, low, c, block, first, last, at, lines, lowest, highest, past,
    ints, floats, buys, coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth,
):  # fmt: skip
    """Walk configs [first, last) over all bars, a block of bars at a time.

    Configs share each block while it lies in the cache. Of config k everything by slot begins at
    at[k], everything by line at at[k] + k, padded lines at at[k] + 3 k.

    Args:
        ints: int64 [configs, 2]: gap, status; changed.
        floats: float64 [configs, 4]: cash, worth (base x tick size), peak, deepest fall; changed.
        buys: int64 by slot, counted; coming, over: see `sale_kinds`; all changed.
        left, lot: int64 by config; buy_cash: by slot; buy_worth: by config.
        sale_cash: [3, slots]; sale_worth: [3, configs].
    """
    for start in range(0, len(o), block):
        stop = min(start + block, len(o))
        for k in range(first, last):
            slot0, line0, pad0 = at[k], at[k] + k, at[k] + 3 * k
            gap, status = ints[k, 0], ints[k, 1]
            cash, worth, top, fall = floats[k, 0], floats[k, 1], floats[k, 2], floats[k, 3]
            i, point0 = start, 0
            if start == 0:
                point0 = 1
            while True:
                if point0 == 0:
                    begin = i
                    i, least, most = _quiet(
                        low, h, c, lines[pad0 + gap], lines[pad0 + gap + 2], begin, stop
                    )
                    if i > begin:
                        top, fall = _after_quiet(c, begin, i, cash, worth, least, most, top, fall)
                    if i >= stop:
                        break
                for point in range(point0, 4):
                    price = _point(o[i], h[i], low[i], c[i], point)
                    before = gap
                    while price <= np.int64(lines[pad0 + gap]) - past:
                        gap -= 1
                        slot = slot0 + gap
                        buys[slot] += 1
                        cash += buy_cash[slot]
                        worth += buy_worth[k]
                        over[slot] += left[k]
                        coming[slot] = 0
                        if over[slot] >= lot[k]:
                            over[slot] -= lot[k]
                            coming[slot] = 1
                    if gap < before:
                        if price < lowest[line0 + before]:
                            status = OUT_OF_BAND
                        continue
                    while price >= np.int64(lines[pad0 + gap + 2]) + past:
                        kind = coming[slot0 + gap]
                        cash += sale_cash[kind, slot0 + gap]
                        worth -= sale_worth[kind, k]
                        gap += 1
                    if gap > before and price > highest[line0 + before]:
                        status = OUT_OF_BAND
                point0 = 0
                value = cash + worth * c[i]
                if value > top:
                    top = value
                elif value < top * (1.0 - fall):
                    fall = 1.0 - value / top
                i += 1
            ints[k, 0], ints[k, 1] = gap, status
            floats[k, 0], floats[k, 1], floats[k, 2], floats[k, 3] = cash, worth, top, fall
