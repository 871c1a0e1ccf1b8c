"""Every order of one market with its fills, folded from the engine's events, one step at a time.

The engine tells what happened after all of it has happened; here each step can be seen by itself:
an order that filled at once was NEW first. Pure; knows no engine and no listener.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from gridlab.domain.orders import OrderReport, Trade, VenueStatus
from gridlab.errors import BugError
from gridlab.money import ZERO, exact
from gridlab.twin.news import Ending, OrderExtras, VenueOrder


class OrdersLog:
    """Orders by number, by client id, and those that are open."""

    def __init__(self) -> None:
        self._orders: dict[int, VenueOrder] = {}
        self._by_symbol: dict[str, list[int]] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._open: dict[str, dict[str, int]] = {}
        self._accepted: Counter[tuple[str, str]] = Counter()

    # -- steps ----------------------------------------------------------------------------------

    def open(self, report: OrderReport, extras: OrderExtras) -> VenueOrder:
        """A new order, as it was before anything else happened to it."""
        fresh = replace(report, executed=ZERO, status=VenueStatus.NEW, updated_ms=report.created_ms)
        order = VenueOrder(fresh, extras)
        number, name = order.order_id, (order.symbol, order.client_id)
        self._orders[number] = order
        self._by_symbol.setdefault(order.symbol, []).append(number)
        self._newest[name] = number
        self._accepted[name] += 1
        self._open.setdefault(order.symbol, {})[order.client_id] = number
        return order

    def fill(self, trade: Trade) -> VenueOrder:
        """One more fill."""
        order = self._orders[int(trade.order_id)]
        report = order.report
        with exact():
            executed = report.executed + trade.quantity
            quote = order.quote_executed + trade.price * trade.quantity
        is_filled = executed == report.quantity
        status = VenueStatus.FILLED if is_filled else VenueStatus.PARTIALLY_FILLED
        return self._store(
            replace(
                order,
                report=replace(report, executed=executed, status=status, updated_ms=trade.time_ms),
                quote_executed=quote,
                fills=(*order.fills, trade),
            )
        )

    def end(
        self,
        client_id: str,
        status: VenueStatus,
        time_ms: int,
        is_open: Callable[[int], bool],
        ending: Ending,
    ) -> VenueOrder:
        """An open order ended without being filled.

        Args:
            is_open: whether the engine holds an order number open; two symbols may know the same
                client id, and the engine names only that.
        """
        for orders in self._open.values():
            number = orders.get(client_id)
            if number is not None and not is_open(number):
                order = self._orders[number]
                report = replace(order.report, status=status, updated_ms=time_ms)
                return self._store(replace(order, report=report, ending=ending))
        raise BugError(f"the engine ended {client_id}, which no symbol holds open")

    def change(self, number: int, report: OrderReport) -> VenueOrder:
        """An open order changed in place; its client id may be another now."""
        order = self._orders[number]
        del self._open[order.symbol][order.client_id]
        changed = replace(order, report=report)
        self._newest[(changed.symbol, changed.client_id)] = number
        self._open[order.symbol][changed.client_id] = number
        return self._store(changed)

    # -- reads ----------------------------------------------------------------------------------

    def order(self, number: int) -> VenueOrder:
        return self._orders[number]

    def find(self, symbol: str, number: int | None, client_id: str | None) -> VenueOrder | None:
        """By number, or the newest of a client id; None when there is none on this symbol."""
        if number is None:
            number = self._newest.get((symbol, client_id or ""))
        order = None if number is None else self._orders.get(number)
        return order if order is not None and order.symbol == symbol else None

    def open_order(self, symbol: str, client_id: str) -> VenueOrder | None:
        number = self._open.get(symbol, {}).get(client_id)
        return None if number is None else self._orders[number]

    def open_orders(self, symbol: str | None) -> list[VenueOrder]:
        """Oldest first."""
        if symbol is not None:
            return [self._orders[number] for number in self._open.get(symbol, {}).values()]
        numbers = [number for orders in self._open.values() for number in orders.values()]
        return [self._orders[number] for number in sorted(numbers)]

    def open_count(self, symbol: str) -> int:
        return len(self._open.get(symbol, {}))

    def orders(self, symbol: str) -> list[VenueOrder]:
        return [self._orders[number] for number in self._by_symbol.get(symbol, ())]

    def repeated_ids(self) -> list[str]:
        """Client ids under which more than one order was accepted on one symbol."""
        return sorted({client_id for (_, client_id), n in self._accepted.items() if n > 1})

    def _store(self, order: VenueOrder) -> VenueOrder:
        self._orders[order.order_id] = order
        if not order.is_open:
            self._open[order.symbol].pop(order.client_id, None)
        return order
