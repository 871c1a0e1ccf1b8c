"""Pages of orders, fills and events.

`next_cursor` is where the next page begins, also when nothing more is there yet: asking again with
it later gives what has come since. `has_more` says whether to ask again at once. One request looks
at a bounded number of records, so a page can be short, or empty, and yet have more after it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from gridlab.api.schemas.base import Shape, Stamp
from gridlab.api.schemas.bots import TradeShape
from gridlab.clock import iso
from gridlab.domain import codec
from gridlab.domain.commands import Command
from gridlab.domain.events import Event
from gridlab.domain.orders import ClientId, OrderReport, OrderType, Trade, VenueStatus

OrderStatus = Literal["new", "filled", "cancelled"]
_STATUS: dict[VenueStatus, OrderStatus] = {
    VenueStatus.NEW: "new",
    VenueStatus.PARTIALLY_FILLED: "new",
    VenueStatus.FILLED: "filled",
    VenueStatus.CANCELED: "cancelled",
    VenueStatus.EXPIRED: "cancelled",
    VenueStatus.FORGOTTEN: "cancelled",
}


class OrderRecord(Shape):
    """One order of the account: `status` is the documented word, `state` the venue's exact one.

    `price` is null for a market order; `run` and `slot` are null for an order that is not ours.
    """

    order_id: str
    type: Literal["limit", "market"]
    side: str
    price: float | None
    quantity: float
    status: OrderStatus
    timestamp: int
    symbol: str
    client_order_id: str
    executed_quantity: float
    state: str
    updated: int
    time: str
    run: str | None
    slot: int | None

    @classmethod
    def of(cls, order: OrderReport) -> OrderRecord:
        ours = ClientId.parse(order.client_id)
        return cls(
            order_id=order.order_id,
            type="market" if order.type is OrderType.MARKET else "limit",
            side=order.side.value,
            price=None if order.price is None else float(order.price),
            quantity=float(order.quantity),
            status=_STATUS[order.status],
            timestamp=order.created_ms,
            symbol=order.symbol,
            client_order_id=order.client_id,
            executed_quantity=float(order.executed),
            state=order.status.value,
            updated=order.updated_ms,
            time=iso(order.created_ms),
            run=None if ours is None else ours.run,
            slot=None if ours is None else ours.slot,
        )


class FillRecord(TradeShape):
    """One booked fill; `cursor` is its entry in the journal."""

    cursor: int

    @classmethod
    def of_fill(cls, cursor: int, trade: Trade) -> FillRecord:
        return cls(cursor=cursor, **TradeShape.of(trade).parts)


class AnyEntry(Protocol):
    """What an answer needs of a journal entry."""

    @property
    def stream(self) -> str: ...
    @property
    def event(self) -> Event: ...
    @property
    def commands(self) -> Sequence[Command]: ...


class EventRecord(Shape):
    """One journal entry: what happened, and what the grid decided; numbers are exact texts.

    In `event` and `commands` the name of each value's type stands under `_`.
    """

    sequence: int
    run: str
    type: str
    timestamp: int
    time: str
    event: dict[str, Any]
    commands: list[dict[str, Any]]

    @classmethod
    def of(cls, sequence: int, entry: AnyEntry) -> EventRecord:
        return cls(
            sequence=sequence,
            run=entry.stream,
            type=type(entry.event).__name__,
            timestamp=entry.event.time_ms,
            time=iso(entry.event.time_ms),
            event=json.loads(codec.encode(entry.event)),
            commands=json.loads(codec.encode(list(entry.commands))),
        )


class Page(Stamp):
    has_more: bool


class OrdersPage(Page):
    """`/api/orders`, oldest first, ended ones included.

    Go on with `next_cursor` while `has_more`, also after a short or an empty page. New orders come
    after every cursor that was given; other people's open ones come once more after a restart. The
    text of a cursor has no meaning, and no cursor fits another market or mode.
    """

    orders: list[OrderRecord]
    next_cursor: str


class FillsPage(Page):
    """`/api/fills`, oldest first.

    Go on with `next_cursor` while `has_more`, also after a short or an empty page: one request
    looks at a bounded part of the journal.
    """

    fills: list[FillRecord]
    next_cursor: int


class EventsPage(Page):
    """`/api/events`, oldest first."""

    events: list[EventRecord]
    next_cursor: int
