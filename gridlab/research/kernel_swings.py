"""The compiled loops over a price path that was thinned to its swings; see `swings` for the path.

From one turn of the path to the next the price never goes back by as much as the path's `delta`. A
grid whose lines are at least that far apart can't fill a line on the way back, so its fills from
turn to turn are those of the whole path, in the same order. What the thin path lacks is where each
close lies. The fall of equity at closes is found by bounds: of each leg the equity at its greatest
and its least close is exact, that of the others lies between bounds, and only legs whose bounds
could deepen the fall are walked point by point.
Functions of arrays only. Bounds need fees that are not negative and a position that is not short.
"""

from __future__ import annotations

import numpy as np

from gridlab.research.compiling import compiled
from gridlab.research.kernel import OK, OUT_OF_BAND, _point

#: Facts of a leg: its least close, its greatest, how far the path had got by each, and whether the
#: least came first.
LEAST, LEAST_AT, MOST, MOST_AT, IS_LEAST_FIRST = 0, 1, 2, 3, 4


@compiled
def path(o, h, low, c):  # type: ignore[no-untyped-def]
    """Every point of the path, four a bar, and its place, from the first open on."""
    count = 4 * len(o)
    prices, places = np.empty(count, np.int32), np.empty(count, np.int32)
    for bar in range(len(o)):
        for point in range(4):
            prices[4 * bar + point] = _point(o[bar], h[bar], low[bar], c[bar], point)
            places[4 * bar + point] = 4 * bar + point
    return prices, places


@compiled
def thin(prices, places, delta):  # type: ignore[no-untyped-def]
    """(prices, places) of the turns: swings of at least `delta`; all points before the first turn.

    The last turn is the last extreme. What comes after it is closer to it than `delta`, so that it
    fills nothing; its closes belong to one leg more, which ends where the path ends.
    """
    out, kept, count = np.empty_like(prices), np.empty_like(places), 0
    least, most, i = prices[0], prices[0], 0
    while i < len(prices) and most - least < delta:
        out[count], kept[count] = prices[i], places[i]
        count, least, most = count + 1, min(least, prices[i]), max(most, prices[i])
        i += 1
    if i == len(prices) and most - least < delta:
        return out[:count].copy(), kept[:count].copy()
    # The last point made the swing, so it is the extreme in whose direction the path goes.
    rises, best = prices[i - 1] == most, i - 1
    count -= 1
    for j in range(i, len(prices)):
        if (prices[j] > prices[best]) == rises and prices[j] != prices[best]:
            best = j
        elif abs(np.int64(prices[j]) - prices[best]) >= delta:
            out[count], kept[count] = prices[best], places[best]
            count, rises, best = count + 1, not rises, j
    out[count], kept[count] = prices[best], places[best]
    last = len(prices) - 1
    if best < last:
        out[count + 1], kept[count + 1] = prices[last], places[last]
        count += 1
    return out[: count + 1].copy(), kept[: count + 1].copy()


@compiled
def facts_of(prices, turns, places):  # type: ignore[no-untyped-def]
    """int32 [legs, 5]: see `LEAST`; a leg without a close has a least above its greatest.

    A close belongs to the leg within which or at whose end it is.
    """
    found = np.empty((len(turns) - 1, 5), np.int32)
    for k in range(len(turns) - 1):
        falls, reach = turns[k + 1] < turns[k], turns[k]
        least, most = np.int32(2**31 - 1), np.int32(-(2**31))
        least_at, most_at = turns[k + 1], turns[k + 1]
        is_least_first = 0
        for place in range(places[k] + 1, places[k + 1] + 1):
            price = prices[place]
            reach = min(reach, price) if falls else max(reach, price)
            if place % 4 == 3:
                if price < least:
                    least, least_at, is_least_first = price, reach, 0
                if price > most:
                    most, most_at, is_least_first = price, reach, 1
        found[k, LEAST], found[k, LEAST_AT], found[k, MOST] = least, least_at, most
        found[k, MOST_AT], found[k, IS_LEAST_FIRST] = most_at, is_least_first
    return found


@compiled
def _fall_to(  # type: ignore[no-untyped-def]
    price, state, cash, worth, upper, most, delta,
    lines, past, buys, coming, over, left, lot, buy_cash, buy_worth,
):  # fmt: skip
    """Buy whatever lies down to `price`; `upper` bounds what closes up to `most` come to."""
    gap = state
    while price <= np.int64(lines[gap]) - past:
        gap -= 1
        buys[gap] += 1
        cash += buy_cash[gap]
        worth += buy_worth
        over[gap] += left
        coming[gap] = 0
        if over[gap] >= lot:
            over[gap] -= lot
            coming[gap] = 1
        upper = max(upper, cash + worth * min(most, np.int64(lines[gap + 1]) + delta))
    return gap, cash, worth, upper


@compiled
def _rise_to(  # type: ignore[no-untyped-def]
    price, state, cash, worth, lower, upper, least, most, delta,
    lines, past, coming, sale_cash, sale_worth,
):  # fmt: skip
    """Sell whatever lies up to `price`; `lower` and `upper` bound what closes come to."""
    gap = state
    while price >= np.int64(lines[gap + 2]) + past:
        line, kind = np.int64(lines[gap + 2]), coming[gap]
        upper = max(upper, cash + worth * min(most, line + past))
        cash += sale_cash[kind, gap]
        worth -= sale_worth[kind]
        lower = min(lower, cash + worth * max(least, line - delta))
        gap += 1
    return gap, cash, worth, lower, upper


@compiled
def _value_at(  # type: ignore[no-untyped-def]
    close, reach, gap, cash, worth, lines, past, coming, buy_cash, buy_worth, sale_cash, sale_worth,
):  # fmt: skip
    """Equity at a close, by when the path had got to `reach` from where a leg begins."""
    while reach <= np.int64(lines[gap]) - past:
        gap -= 1
        cash += buy_cash[gap]
        worth += buy_worth
    while reach >= np.int64(lines[gap + 2]) + past:
        kind = coming[gap]
        cash += sale_cash[kind, gap]
        worth -= sale_worth[kind]
        gap += 1
    return cash + worth * close


@compiled
def _bounds(  # type: ignore[no-untyped-def]
    turns, facts, delta, gap, cash, worth, height, lines, lowest, highest, past,
    buys, coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth, lowers, uppers,
):  # fmt: skip
    """All fills; bounds of equity at closes by leg; (gap, status, cash, worth, fall, deepest).

    The fall is one that happened: between greatest and least closes of legs, whose equity is made
    where the leg's bounds say that it may count. A leg does not change what its own fills move.
    None is deeper than `deepest`, the same from the bounds alone.
    """
    top, fall, status = height, 0.0, OK
    peak, deepest = height, 0.0
    for k in range(len(facts)):
        end, gap0, cash0, worth0 = turns[k + 1], gap, cash, worth
        least, most = facts[k, LEAST], facts[k, MOST]
        if end < turns[k]:
            upper = cash + worth * most
            gap, cash, worth, upper = _fall_to(
                end, gap, cash, worth, upper, most, delta,
                lines, past, buys, coming, over, left, lot, buy_cash, buy_worth,
            )  # fmt: skip
            reached = least if gap == gap0 else min(least, np.int64(lines[gap + 1]) - past)
            lower = cash + worth * reached
            if gap < gap0 and end < lowest[gap0]:
                status = OUT_OF_BAND
        else:
            upper, lower = -np.inf, cash + worth * least
            gap, cash, worth, lower, upper = _rise_to(
                end, gap, cash, worth, lower, upper, least, most, delta,
                lines, past, coming, sale_cash, sale_worth,
            )  # fmt: skip
            upper = max(upper, cash + worth * most)
            if gap > gap0 and end > highest[gap0]:
                status = OUT_OF_BAND
        if least > most:
            lowers[k], uppers[k] = np.inf, -np.inf
            continue
        lowers[k], uppers[k] = lower, upper
        peak = max(peak, upper)
        if lower < peak * (1.0 - deepest):
            deepest = 1.0 - lower / peak
        if upper <= top and lower >= top * (1.0 - fall):
            continue
        for j in range(2):
            is_least = (j == 0) == (facts[k, IS_LEAST_FIRST] == 1)
            value = _value_at(
                least if is_least else most, facts[k, LEAST_AT if is_least else MOST_AT],
                gap0, cash0, worth0, lines, past,
                coming, buy_cash, buy_worth, sale_cash, sale_worth,
            )  # fmt: skip
            if value > top:
                top = value
            elif value < top * (1.0 - fall):
                fall = 1.0 - value / top
    return gap, status, cash, worth, fall, deepest


@compiled
def _doubtful(lowers, uppers, height, fall, doubts):  # type: ignore[no-untyped-def]
    """Mark legs that could hold the peak or the trough of a deeper fall; the last one, or -1."""
    top, last = height, -1
    for k in range(len(lowers)):
        top = max(top, uppers[k])
        doubts[k] = lowers[k] < top * (1.0 - fall)
    ahead = np.inf
    for k in range(len(lowers) - 1, -1, -1):
        ahead = min(ahead, lowers[k])
        if ahead < uppers[k] * (1.0 - fall):
            doubts[k] = True
        if doubts[k] and last < 0:
            last = k
    return last


@compiled
def _look_closer(  # type: ignore[no-untyped-def]
    o, h, low, c, turns, places, doubts, last, fall, gap, cash, worth, height, lines, past,
    coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth,
):  # fmt: skip
    """The deepest fall, of those legs that are in doubt walked point by point."""
    top, buys = height, np.zeros(len(coming), np.int64)
    for k in range(last + 1):
        place = places[k] + 1 if doubts[k] else places[k + 1]
        while place <= places[k + 1]:
            bar, point = place // 4, place % 4
            price = _point(o[bar], h[bar], low[bar], c[bar], point)
            before = gap
            gap, cash, worth, _ = _fall_to(
                price, gap, cash, worth, 0.0, price, 0,
                lines, past, buys, coming, over, left, lot, buy_cash, buy_worth,
            )  # fmt: skip
            if gap == before:
                gap, cash, worth, _, _ = _rise_to(
                    price, gap, cash, worth, 0.0, 0.0, price, price, 0,
                    lines, past, coming, sale_cash, sale_worth,
                )  # fmt: skip
            if point == 3 and doubts[k]:
                value = cash + worth * price
                if value > top:
                    top = value
                elif value < top * (1.0 - fall):
                    fall = 1.0 - value / top
            place += 1
    return fall


@compiled
def _walk(  # type: ignore[no-untyped-def]
    o, h, low, c, turns, places, facts, delta, lines, lowest, highest, past, ints, floats,
    buys, coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth,
):  # fmt: skip
    count = len(facts)
    lowers, uppers = np.empty(count), np.empty(count)
    coming0, over0 = coming.copy(), over.copy()
    gap0, cash0, worth0, height = ints[0], floats[0], floats[1], floats[2]
    gap, status, cash, worth, fall, deepest = _bounds(
        turns, facts, delta, gap0, cash0, worth0, height, lines, lowest, highest, past,
        buys, coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth, lowers, uppers,
    )  # fmt: skip
    if deepest > fall:
        doubts = np.empty(count, np.bool_)
        last = _doubtful(lowers, uppers, height, fall, doubts)
        fall = _look_closer(
            o, h, low, c, turns, places, doubts, last, fall, gap0, cash0, worth0, height,
            lines, past, coming0, over0, left, lot, buy_cash, buy_worth, sale_cash, sale_worth,
        )  # fmt: skip
    ints[0], ints[1] = gap, status
    floats[0], floats[1], floats[3] = cash, worth, fall


@compiled
def walk_some(  # type: ignore[no-untyped-def]
    o, h, low, c, turns, places, facts, delta, which, at, lines, lowest, highest, past,
    ints, floats, buys, coming, over, left, lot, buy_cash, buy_worth, sale_cash, sale_worth,
):  # fmt: skip
    """Walk the configs `which` over a thin path; the other arguments are those of `kernel.sweep`.

    `delta` may be at most the least distance of two lines. Peaks are not told, and a config whose
    status is not `OK` left its price band perhaps: only the whole path says whether.
    """
    for k in which:
        a, b = at[k], at[k + 1]
        _walk(
            o, h, low, c, turns, places, facts, delta, lines[a + 3 * k : b + 3 * k + 3],
            lowest[a + k : b + k + 1], highest[a + k : b + k + 1], past, ints[k], floats[k],
            buys[a:b], coming[a:b], over[a:b], left[k], lot[k], buy_cash[a:b], buy_worth[k],
            sale_cash[:, a:b], sale_worth[:, k],
        )  # fmt: skip
