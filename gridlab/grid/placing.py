"""One empty slot: its next order, or the reason why it cannot have one."""

from __future__ import annotations

from gridlab.domain.orders import ClientId
from gridlab.grid.guards import broken_rules
from gridlab.grid.slot import Slot
from gridlab.grid.state import State


def place(grid: State, slot: Slot, time_ms: int) -> None:
    """Give an empty slot its next order, or the reason why it cannot have one."""
    assert slot.order is None, "a slot has one order at a time"
    if slot.side not in grid.open_sides:
        slot.vacancy = grid.guard.words
        return
    price = slot.price(grid.instrument)
    quantity = slot.next_quantity(grid.plan.quantity, grid.instrument)
    problem = next(
        broken_rules(grid.instrument, slot.side, price, quantity, grid.mark),
        None,
    )
    if problem is not None:
        slot.vacancy = f"{problem[0]}: {problem[1]}"
        return
    slot.attempt += 1
    slot.vacancy = ""
    slot.order = grid.send(
        ClientId(grid.run, slot.index, slot.cycle, slot.attempt),
        slot.side,
        quantity,
        price,
        time_ms,
    )
