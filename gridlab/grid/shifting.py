"""How the order window moves: far orders are cancelled, near ones placed when there is room.

Room is what a provably ended order leaves behind, never what a cancel promises: the venue counts an
order until it has ended, and an order that is being cancelled may still fill. When it does, its
slot turns as ever, and is then near. Which slots are near is the window's business; see `window`.
"""

from __future__ import annotations

from gridlab.grid.lifecycle import OrderState
from gridlab.grid.placing import place
from gridlab.grid.slot import Slot
from gridlab.grid.state import State
from gridlab.grid.window import Place, Window, cap_of, fits_whole, mark_position


def open_window(grid: State, place: Place = Place.OUTSIDE) -> None:
    """Give the grid a window if the venue takes no order for each of its slots, else none."""
    grid.window = None
    if not fits_whole(len(grid.slots), grid.instrument):
        sides = [slot.side for slot in grid.slots]
        grid.window = Window(cap_of(grid.instrument), sides, place)


def shift(grid: State, window: Window, time_ms: int) -> None:
    """Divide the cap anew, let go of what has become far, and place what there is room for."""
    window.rebalance(mark_position(grid.plan.lines, grid.mark))
    swap(grid, window, time_ms)


def swap(grid: State, window: Window, time_ms: int) -> None:
    """Let go of what the quotas no longer want; place what they want, as far as there is room."""
    position = mark_position(grid.plan.lines, grid.mark)

    def can_leave(index: int) -> bool:
        # A cancel may overtake the request that it is to end, so nothing on its way is cancelled.
        order = grid.slots[index].order
        return order is None or order.state is OrderState.OPEN

    for index in window.surplus(position, can_leave):
        slot = grid.slots[index]
        window.dismiss(index, has_order=slot.order is not None)
        if slot.order is None:
            slot.vacancy = beyond(grid)
        else:
            grid.cancel(slot.order)
    while window.room > 0 and (found := window.next_in(position)) is not None:
        window.take(found)
        place(grid, grid.slots[found], time_ms)


def go_on(grid: State, window: Window, time_ms: int) -> None:
    """Finish a shift that had to wait for an order to arrive."""
    if window.is_due:
        shift(grid, window, time_ms)


def after_settling(
    grid: State, window: Window, slot: Slot, time_ms: int, *, is_ready: bool, has_turned: bool
) -> None:
    """Go on after an order of `slot` has settled.

    Args:
        is_ready: the slot may have its next order at once.
        has_turned: its order completed, so that the price has been there.
    """
    if has_turned:
        window.turn(slot.index, slot.side)
    if window.place_of(slot.index) is Place.LEAVING or window.room < 0:
        window.release(slot.index)
        slot.vacancy = beyond(grid)
    elif is_ready:
        place(grid, slot, time_ms)
    shift(grid, window, time_ms)


def retry(grid: State, window: Window, time_ms: int) -> None:
    """One cycle: repeat cancels that may have been lost, and try what is vacant or missing.

    The price of the moment moves nothing by itself: as long as no order has filled, it lies between
    the nearest ones.
    """
    for index in window.leaving:
        order = grid.slots[index].order
        assert order is not None
        grid.cancel(order)
    go_on(grid, window, time_ms)
    if window.room >= 0:
        for index in tuple(window.chosen()):
            slot = grid.slots[index]
            if slot.order is None:
                place(grid, slot, time_ms)
    swap(grid, window, time_ms)


def wants_retry(grid: State, window: Window) -> bool:
    """Whether `retry` would do anything."""
    if window.is_due or window.leaving or (window.room > 0 and window.has_next()):
        return True
    sides, slots = grid.open_sides, grid.slots
    return any(slots[i].order is None and slots[i].side in sides for i in window.chosen())


def refit(grid: State, time_ms: int) -> None:
    """Follow a changed limit of the venue."""
    if fits_whole(len(grid.slots), grid.instrument):
        if grid.window is not None:
            grid.window = None
            for slot in grid.slots:
                if slot.order is None:
                    slot.vacancy = "the venue takes more orders now; placed at the next cycle"
        return
    if grid.window is None:
        open_window(grid, Place.CHOSEN)
    window = grid.window
    assert window is not None
    if window.cap != cap_of(grid.instrument) or window.excess:
        window.set_cap(cap_of(grid.instrument))
        shift(grid, window, time_ms)


def beyond(grid: State) -> str:
    """Why a slot outside the window has no order."""
    return (
        f"beyond the venue's cap of {grid.instrument.max_num_orders} open orders; placed when the "
        "price comes nearer"
    )
