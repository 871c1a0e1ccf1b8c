"""Our orders and trades as the journal tells them, for venues whose own books cost a request.

Folded from the journal as it grows. What is open is kept, of what has ended the latest; older ones
are in the journal's pages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from gridlab.app.order_pages import Placed
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import (
    GridStarted,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
)
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, OrderRequest, Trade, VenueStatus
from gridlab.domain.pages import OrderCursor
from gridlab.money import ZERO
from gridlab.store.journal import Entry, read_entries

#: Ended orders, and trades, that are kept of each market.
MOST_KEPT = 5_000


@dataclass(slots=True)
class _Pages:
    """One market: orders by client id, which of them have ended in their order, and trades.

    `places` has the entry in which each order got the venue's id, ascending.
    """

    orders: dict[str, OrderReport] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    ended: deque[str] = field(default_factory=deque)
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))


class OwnOrders:
    """What the journal at `path` says of our orders; used by one thread at a time.

    Attributes:
        seq: the last entry that was read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seq = 0
        self._markets: dict[str, Market] = {}
        self._pages = {market: _Pages() for market in Market}

    def orders(self, market: Market) -> list[Placed]:
        """Open and ended orders, in the order in which the venue's answers came."""
        self._read()
        pages = self._pages[market]
        return [(OrderCursor(seq), pages.orders[one]) for one, seq in pages.places.items()]

    def trades(self, market: Market, symbol: str) -> list[Trade]:
        """Our trades on `symbol`, oldest first."""
        self._read()
        return [trade for trade in self._pages[market].trades if trade.symbol == symbol]

    def _read(self) -> None:
        for seq, entry in read_entries(self._path, None, self.seq):
            self._take(seq, entry)
            self.seq = seq

    def _take(self, seq: int, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, GridStarted):
            self._markets[entry.stream] = event.spec.market
        pages = self._pages[self._markets[entry.stream]]
        match event:
            case OrderAccepted(time_ms, client_id, order_id):
                if client_id in pages.orders:
                    found = pages.orders[client_id]
                    pages.orders[client_id] = replace(
                        found, order_id=order_id, created_ms=time_ms, updated_ms=time_ms
                    )
                    if order_id:
                        pages.places.setdefault(client_id, seq)
            case OrderFilled(_, trade):
                _fill(pages, trade, seq)
            case OrderEnded(time_ms, client_id, status, executed):
                _end(pages, client_id, time_ms, status, executed)
            case OrderRejected(_, client_id) | OrderAbsent(_, client_id):
                _forget(pages, client_id)
            case _:
                pass
        for command in entry.commands:
            if isinstance(command, PlaceOrder):
                pages.orders[command.client_id] = _sent(command.request, event.time_ms)


def _sent(request: OrderRequest, time_ms: int) -> OrderReport:
    return OrderReport(
        order_id="",
        client_id=request.client_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        quantity=request.quantity,
        executed=ZERO,
        status=VenueStatus.NEW,
        created_ms=time_ms,
        updated_ms=time_ms,
        price=request.price,
    )


def _fill(pages: _Pages, trade: Trade, seq: int) -> None:
    """Note a trade. The last one ends its order: grids need no event for that, so none is kept."""
    pages.trades.append(trade)
    found = pages.orders.get(trade.client_id)
    if found is None:
        return
    pages.places.setdefault(trade.client_id, seq)
    executed, status = min(found.executed + trade.quantity, found.quantity), found.status
    if status.is_open:
        is_done = executed == found.quantity
        status = VenueStatus.FILLED if is_done else VenueStatus.PARTIALLY_FILLED
    _put(
        pages,
        replace(
            found,
            order_id=trade.order_id,
            executed=executed,
            status=status,
            updated_ms=trade.time_ms,
        ),
    )


def _end(
    pages: _Pages, client_id: str, time_ms: int, status: VenueStatus, executed: Decimal
) -> None:
    found = pages.orders.get(client_id)
    if found is not None:
        _put(pages, replace(found, status=status, executed=executed, updated_ms=time_ms))


def _put(pages: _Pages, order: OrderReport) -> None:
    """Keep the order as it is now; the oldest ended one beyond the limit is forgotten."""
    before = pages.orders.get(order.client_id)
    pages.orders[order.client_id] = order
    if before is not None and before.status.is_open and not order.status.is_open:
        pages.ended.append(order.client_id)
        while len(pages.ended) > MOST_KEPT:
            _forget(pages, pages.ended.popleft())


def _forget(pages: _Pages, client_id: str) -> None:
    pages.orders.pop(client_id, None)
    pages.places.pop(client_id, None)
