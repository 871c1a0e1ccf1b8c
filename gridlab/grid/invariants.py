"""What must hold of a grid between any two events, whatever the venue did.

Assertions in production, oracles in tests: the same function. It reads the grid and changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Protocol

from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import Side
from gridlab.errors import InvariantError
from gridlab.grid.ledger import Ledger, Lots
from gridlab.grid.slot import Slot
from gridlab.grid.window import Place, Window
from gridlab.money import ZERO, text


class Audited(Protocol):
    """The part of a `Grid` that is checked."""

    instrument: Instrument
    slots: list[Slot]
    ledger: Ledger
    pool: Lots
    window: Window | None


def check(grid: Audited) -> None:
    """Return silently when every invariant holds.

    Raises:
        InvariantError: naming every one that does not.
    """
    broken = list(violations(grid))
    if broken:
        raise InvariantError("; ".join(broken))


def violations(grid: Audited) -> Iterator[str]:
    """Each broken invariant as a sentence."""
    if not grid.slots:
        return
    yield from _books(grid)
    for slot in grid.slots:
        yield from _slot(slot, grid)
    if grid.window is not None:
        yield from _window(grid.slots, grid.window)


def _books(grid: Audited) -> Iterator[str]:
    ledger = grid.ledger
    for asset, amount in ledger.residuals().items():
        yield f"the books do not close: {text(amount)} {asset} is unexplained"
    stock = [grid.pool, *(slot.lots for slot in grid.slots)]
    yield from _agree("inventory", grid, stock)
    yield from _agree("dust", grid, [slot.dust for slot in grid.slots])
    # Fees that no lot paid and funding are cash flows in base that never pass through the lots.
    beside = ledger.part("fees", ledger.base) + ledger.part("funding", ledger.base)
    if ledger.wallet[ledger.base] - beside != ledger.base_held:
        yield (
            f"the grid holds {text(ledger.base_held)} {ledger.base} by its lots and "
            f"{text(ledger.wallet[ledger.base] - beside)} by its trades"
        )


def _agree(component: str, grid: Audited, queues: Iterable[Lots]) -> Iterator[str]:
    quantity = cost = ZERO
    for lots in queues:
        quantity += lots.quantity
        cost += lots.cost
    yield from _equal(f"{component} base", grid.ledger.part(component, grid.ledger.base), quantity)
    yield from _equal(f"{component} cost", -grid.ledger.part(component, grid.ledger.quote), cost)


def _equal(what: str, booked: Decimal, held: Decimal) -> Iterator[str]:
    if booked != held:
        yield f"{what} is {text(booked)} in the books and {text(held)} in the lots"


def _slot(slot: Slot, grid: Audited) -> Iterator[str]:
    order = slot.order
    if order is None:
        if not slot.vacancy:
            yield f"slot {slot.index} has no order and no reason"
        return
    if order.is_settled:
        yield f"slot {slot.index} still holds settled order {order.client_id}"
    # Ids are given once and only to an empty slot, so the latest id is the only one that can live.
    latest = f"-{slot.index}-{slot.cycle}-{slot.attempt}"
    if not order.client_id.endswith(latest):
        yield f"slot {slot.index} holds order {order.client_id}, and gave one {latest} after it"
    if order.request.side is not slot.side:
        yield f"slot {slot.index} wants to {slot.side} and holds a {order.request.side}"
    price = order.request.price
    assert price is not None
    if price > slot.lower if slot.side is Side.BUY else price < slot.upper:
        yield f"slot {slot.index} has a {slot.side} at {text(price)}, inside its own interval"
    if slot.side is Side.SELL and order.remaining > slot.lots.quantity:
        yield (
            f"slot {slot.index} sells {text(order.remaining)} and holds {text(slot.lots.quantity)}"
        )
    is_futures = grid.instrument.market is Market.FUTURES
    if order.request.reduce_only is not (is_futures and slot.side is Side.SELL):
        yield f"slot {slot.index}: {order.client_id} could turn the position, or cannot open it"


def _window(slots: list[Slot], window: Window) -> Iterator[str]:
    yield from window.problems([slot.side for slot in slots])
    for slot in slots:
        place = window.place_of(slot.index)
        if place is Place.OUTSIDE and slot.order is not None:
            yield f"slot {slot.index} is outside the window and holds {slot.order.client_id}"
        if place is Place.LEAVING and slot.order is None:
            yield f"slot {slot.index} leaves the window and has no order to wait for"
