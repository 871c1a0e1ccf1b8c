"""The end of a grid: every order is cancelled and proved ended, then what is held may be sold."""

from __future__ import annotations

from gridlab.domain.events import StopPolicy, StopRequested
from gridlab.domain.orders import FINAL_SELL, Side
from gridlab.grid import errand
from gridlab.grid.state import Errand, Phase, State


def stop(grid: State, event: StopRequested) -> None:
    """Cancel everything; the grid is over when nothing more can come of any order."""
    if grid.phase in (Phase.STOPPING, Phase.EMPTYING, Phase.STOPPED, Phase.FAILED):
        return
    grid.phase, grid.reason, grid.policy = Phase.STOPPING, event.reason, event.policy
    grid.window = None
    cancel_live(grid)
    try_finish(grid, event.time_ms)


def cancel_live(grid: State) -> None:
    """Ask for the end of every order that may rest at the venue."""
    for order in grid.live_orders():
        grid.cancel(order)


def try_finish(grid: State, time_ms: int) -> None:
    """If no order is left, sell what is held where that was asked for, or be over."""
    if any(True for _ in grid.live_orders()):
        return
    grid.errand = None
    for slot in grid.slots:
        slot.vacancy = "the grid is stopped"
    held = grid.ledger.base_held
    if grid.policy is StopPolicy.SELL and errand.is_worth_an_order(grid, Side.SELL, held):
        grid.phase = Phase.EMPTYING
        for slot in grid.slots:
            grid.ledger.bring_back(slot.dust, slot.lots)
            grid.pool.absorb(slot.lots)
        grid.errand = Errand(FINAL_SELL, Side.SELL, held)
        errand.send(grid, time_ms)
    else:
        grid.phase = Phase.STOPPED
