"""A running grid: from the bought base to the resting orders, and from each end to the next order.

Every slot whose order completes turns round and places the mirror. An order that somebody else
ended waits for the next cycle, so that a venue which keeps cancelling is not answered with a storm
of orders; one that never arrived goes again at once.
"""

from __future__ import annotations

from gridlab.domain.orders import Side
from gridlab.grid import shifting
from gridlab.grid.lifecycle import Order, OrderState
from gridlab.grid.placing import place
from gridlab.grid.slot import Slot
from gridlab.grid.state import Phase, State


def open_for_business(grid: State, time_ms: int) -> None:
    """Hand the bought base to the sells, nearest the price first, and place every order."""
    grid.phase = Phase.RUNNING
    for slot in grid.slots:
        if slot.side is Side.SELL:
            share = min(grid.plan.quantity, grid.pool.quantity)
            slot.lots.absorb(grid.pool.take(share))
    # The purchase's remainder is dust of the highest slot, sold with it.
    grid.ledger.set_aside(grid.pool, grid.slots[-1].dust)
    if grid.window is None:
        for slot in grid.slots:
            place(grid, slot, time_ms)
        return
    for slot in grid.slots:
        slot.vacancy = shifting.beyond(grid)
    shifting.shift(grid, grid.window, time_ms)


def slot_settled(grid: State, slot: Slot, order: Order, time_ms: int) -> None:
    """Turn the slot if its order completed, and place what may be placed at once."""
    if grid.phase is not Phase.RUNNING:
        slot.vacancy = f"the grid is {grid.phase}"
        return
    has_turned = False
    if order.state is OrderState.REJECTED:
        slot.vacancy = f"refused, {order.reason}; tried again at the next cycle"
    else:
        ending = order.reason or "bought less than can be sold"
        slot.vacancy = f"{ending}; placed again at the next cycle"
        has_turned = _turn(grid, slot)
    is_ready = has_turned or order.state is OrderState.ABSENT
    if grid.window is not None:
        shifting.after_settling(
            grid, grid.window, slot, time_ms, is_ready=is_ready, has_turned=has_turned
        )
    elif is_ready:
        place(grid, slot, time_ms)


def _turn(grid: State, slot: Slot) -> bool:
    """Turn the slot to its other side if what it wanted is done."""
    if slot.side is Side.BUY:
        if slot.is_bought(grid.plan.quantity, grid.instrument):
            slot.flip()
            grid.ledger.bring_back(slot.dust, slot.lots)
            return True
    elif not slot.can_sell(grid.instrument):
        grid.ledger.set_aside(slot.lots, slot.dust)
        slot.flip()
        return True
    return False


def retry(grid: State, time_ms: int) -> None:
    """Try vacant slots again: one cycle has passed."""
    if grid.window is not None:
        shifting.retry(grid, grid.window, time_ms)
        return
    for slot in grid.slots:
        if slot.order is None:
            place(grid, slot, time_ms)


def wants_retry(grid: State) -> bool:
    """Whether `retry` would do anything."""
    if grid.window is not None:
        return shifting.wants_retry(grid, grid.window)
    sides = grid.open_sides
    return any(slot.order is None and slot.side in sides for slot in grid.slots)
