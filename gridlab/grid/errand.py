"""Errands: the purchase at a grid's start and the sale at its end, by market orders.

What one order leaves over is asked for again by the next, as long as the venue takes so little.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId, Side
from gridlab.grid.guards import part_for_market, smallest_quantity
from gridlab.grid.lifecycle import Order, OrderState
from gridlab.grid.state import Errand, Phase, State
from gridlab.grid.trading import open_for_business
from gridlab.money import floor_to, text


def send(grid: State, time_ms: int) -> None:
    """Send the errand's next order; a purchase waits while liquidation is near."""
    errand = grid.errand
    assert errand is not None and errand.order is None
    if errand.side not in grid.open_sides:
        grid.reason = f"the initial purchase waits: {grid.guard.words}"
        return
    if errand.side is Side.BUY:
        grid.reason = ""
    errand.attempt += 1
    errand.order = grid.send(
        ClientId(grid.run, errand.slot, 0, errand.attempt),
        errand.side,
        part_for_market(grid.instrument, errand.missing, grid.mark),
        None,
        time_ms,
    )


def settled(grid: State, errand: Errand, order: Order, time_ms: int) -> None:
    """Go on after one of the errand's orders has settled."""
    errand.missing -= order.filled
    is_refused = order.state is OrderState.REJECTED
    if is_refused and grid.phase is Phase.STOCKING:
        if not grid.pool.quantity:
            grid.fail(f"the initial purchase was refused: {order.reason}")
            return
        # Part of it was bought before the refusal: the grid works with what it has, and the
        # slots that got nothing say why they rest.
        grid.reason = f"the initial purchase is short of {text(errand.missing)}: {order.reason}"
    if (
        is_worth_an_order(grid, errand.side, errand.missing)
        and not is_refused
        and grid.phase is not Phase.STOPPING
    ):
        # One that the venue ended untouched waits for the next cycle: a market without
        # liquidity is not answered with a storm of orders.
        if order.filled or order.state is OrderState.ABSENT:
            send(grid, time_ms)
        return
    grid.errand = None
    if grid.phase is Phase.STOCKING:
        open_for_business(grid, time_ms)
    elif grid.phase is Phase.EMPTYING:
        if is_refused:
            grid.reason += f"; the final sale was refused: {order.reason}"
        grid.phase = Phase.STOPPED


def is_worth_an_order(grid: State, side: Side, quantity: Decimal) -> bool:
    """Whether so much base makes a market order that the venue takes.

    Source: Binance's USD-M minimum order value does not hold for reduce-only orders.
    """
    rules = grid.instrument
    on_lot = floor_to(quantity, rules.lot_size)
    if side is Side.SELL and rules.market is Market.FUTURES:
        return on_lot >= rules.min_quantity
    return on_lot >= smallest_quantity(rules, grid.mark)


def waits(grid: State) -> bool:
    """Whether an errand is to be sent at the next cycle."""
    errand = grid.errand
    return errand is not None and errand.order is None and errand.side in grid.open_sides
