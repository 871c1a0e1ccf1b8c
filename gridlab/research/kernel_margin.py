"""The compiled loop over the margin of a futures grid whose fills are known; see `kernel_futures`.

Floats, not books: they decide only whether anything that margin could bend comes near. A position
is n equal purchases, so that a sale takes an n-th part of its cost and of its isolated margin.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _liquidation(held, cost, backing, maintenance):  # type: ignore[no-untyped-def]
    """Worth of one purchase at the price of liquidation; below zero when no price does it."""
    if held == 0:
        return -1.0
    return (cost - backing) / (held * (1.0 - maintenance))


@njit(cache=True, nogil=True)
def follow(  # type: ignore[no-untyped-def]
    slots, sides, gap, worth, buy_fees, sale_fees, paid_after, paid,
    wallet, first, first_fee, leverage, is_isolated, maintenance, maker,
):  # fmt: skip
    """(worth of one purchase at liquidation after each number of fills, least slack of the wallet).

    Args:
        slots, sides, gap: as `kernel.record` gives them, gap at the start.
        worth: quote units of one purchase at each line; buy_fees, sale_fees: by slot.
        paid_after, paid: funding, after how many fills each, ascending.
        wallet: before the start; first, first_fee: the purchase at the start.

    Returns:
        of a state that funding changed the greatest worth in it; slack: what backs new orders, and
        what is beside isolated margin, whichever was least, quote units.
    """
    below = np.concatenate((np.zeros(1), np.cumsum(worth)))
    held, cost = len(worth) - 1 - gap, first
    wallet -= first_fee
    isolated = first / leverage if is_isolated else 0.0
    slack = wallet - isolated - below[gap] * (1.0 / leverage + maker)
    if not is_isolated:
        slack -= first / leverage
    found, k = np.empty(len(slots) + 1), 0
    for s in range(len(slots) + 1):
        if s > 0:
            slot = slots[s - 1]
            if sides[s - 1] > 0:
                held, cost, gap = held + 1, cost + worth[slot], gap - 1
                wallet -= buy_fees[slot]
                if is_isolated:
                    isolated += worth[slot] / leverage
            else:
                part = cost / held
                wallet += worth[slot + 1] - part - sale_fees[slot]
                isolated -= isolated / held
                held, cost, gap = held - 1, cost - part, gap + 1
                free = wallet - isolated - below[gap] * (1.0 / leverage + maker)
                if not is_isolated:
                    free += held * worth[slot + 1] * (1.0 - 1.0 / leverage) - cost
                slack = min(slack, free)
        found[s] = _liquidation(held, cost, isolated if is_isolated else wallet, maintenance)
        while k < len(paid) and paid_after[k] == s:
            wallet += paid[k]
            if is_isolated:
                isolated += paid[k]
            again = _liquidation(held, cost, isolated if is_isolated else wallet, maintenance)
            found[s] = max(found[s], again)
            k += 1
        slack = min(slack, wallet - isolated)
    return found, slack
