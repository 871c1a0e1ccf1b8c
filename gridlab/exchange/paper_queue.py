"""One symbol of the paper venue: its orders, which it refuses, and who is filled first.

Price-time priority in two sorted lists, the best order last. Knows no balance, no fee, no event.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from gridlab.domain.market import Instrument
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, Trade, VenueStatus
from gridlab.exchange import filters
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.money import ZERO

_NEVER_FALLS_TO = Decimal("-Infinity")
_NEVER_RISES_TO = Decimal("Infinity")


class FillRule(StrEnum):
    """When a price that moves fills an order that rests."""

    TOUCH = "touch"  # it reaches the order's price
    THROUGH = "through"  # it goes at least one tick beyond, so that the queue ahead was served


class PaperOrder:
    """An order of the paper venue; changed only by `PaperBook`.

    Attributes:
        number: rises by one with each order; its text is the order id, its size the time priority.
        locked: what the order still holds of quote (buy) or base (sell).
    """

    __slots__ = (
        "client_id",
        "created_ms",
        "executed",
        "locked",
        "number",
        "price",
        "quantity",
        "side",
        "status",
        "symbol",
        "type",
        "updated_ms",
    )

    def __init__(self, number: int, request: OrderRequest, now_ms: int) -> None:
        self.number = number
        self.client_id = request.client_id
        self.symbol = request.symbol
        self.side = request.side
        self.type = request.type
        self.quantity = request.quantity
        self.price = request.price
        self.executed = ZERO
        self.status = VenueStatus.NEW
        self.created_ms = now_ms
        self.updated_ms = now_ms
        self.locked = ZERO

    @classmethod
    def of(cls, report: OrderReport) -> PaperOrder:
        """The order that `report` shows; its lock is for the caller to fill in."""
        order = cls.__new__(cls)
        order.number = int(report.order_id)
        for name in cls.__slots__:
            if name not in ("number", "locked"):
                setattr(order, name, getattr(report, name))
        order.locked = ZERO
        return order

    @property
    def order_id(self) -> str:
        return str(self.number)

    def report(self) -> OrderReport:
        """What the venue says of it now."""
        return OrderReport(
            order_id=self.order_id,
            client_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            executed=self.executed,
            status=self.status,
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
            price=self.price,
        )


#: Sorts worst first: far from the market before near, then new before old; the best comes last.
_Entry: TypeAlias = tuple[Decimal, int, PaperOrder]


class SymbolBook:
    """Every order and trade of one symbol.

    Attributes:
        price: the last price; None before the first.
        open: open orders by client id, oldest first.
        latest: the newest order of each client id, open or ended.
        trades: all trades; trade number n is at index n - 1.
        falls_to, rises_to: a price strictly between the two fills nothing.
    """

    def __init__(self, instrument: Instrument, fill_rule: FillRule) -> None:
        self.instrument = instrument
        self.price: Decimal | None = None
        self.open: dict[str, PaperOrder] = {}
        self.latest: dict[str, PaperOrder] = {}
        self.trades: list[Trade] = []
        self.falls_to = _NEVER_FALLS_TO
        self.rises_to = _NEVER_RISES_TO
        self._fill_rule = fill_rule
        self._buys: list[_Entry] = []
        self._sells: list[_Entry] = []

    def add(self, order: PaperOrder) -> None:
        """Remember an order, and queue it if it is open and has a price."""
        self.latest[order.client_id] = order
        if order.status.is_open and order.price is not None:
            self.open[order.client_id] = order
            insort(self._side(order.side), _entry(order))
            self.refresh()

    def remove(self, order: PaperOrder) -> None:
        """Take an order out of the queue, if it is there."""
        if self.open.pop(order.client_id, None) is None:
            return
        entries = self._side(order.side)
        del entries[bisect_left(entries, _entry(order))]
        self.refresh()

    def would_take(self, request: OrderRequest) -> bool:
        """Whether the order trades at once at the last price."""
        if self.price is None or request.price is None:
            return request.type is OrderType.MARKET
        if request.side is Side.BUY:
            return request.price >= self.price
        return request.price <= self.price

    def refusal(self, request: OrderRequest) -> Rejected | None:
        """Why the venue refuses the order, funds aside; None when it does not."""
        instrument = self.instrument
        if instrument.status != "TRADING":
            return Rejected(
                RejectCode.MARKET_CLOSED,
                f"Market is closed: {instrument.symbol} has status {instrument.status}",
            )
        if request.type is OrderType.MARKET and self.price is None:
            return Rejected(
                RejectCode.MARKET_CLOSED, f"Market is closed: {instrument.symbol} has no price yet"
            )
        problem = filters.refusal(request, instrument, self.price, len(self.open))
        if problem is not None:
            return Rejected(RejectCode.FILTER, problem)
        if request.client_id in self.open:
            return Rejected(
                RejectCode.DUPLICATE, f"Duplicate order sent: {request.client_id} is open already"
            )
        if request.type is OrderType.LIMIT_MAKER and self.would_take(request):
            return Rejected(
                RejectCode.WOULD_TAKE,
                f"Order would immediately match and take: {request.side} at {request.price} while "
                f"the last price is {self.price}",
            )
        return None

    def locked_asset(self, side: Side) -> str:
        """The asset that an order of this side locks."""
        return self.instrument.quote if side is Side.BUY else self.instrument.base

    def next_filled(self, price: Decimal) -> PaperOrder | None:
        """The order that the market at `price` fills first: buys, then sells; best, then oldest."""
        if price <= self.falls_to:
            return self._buys[-1][2]
        if price >= self.rises_to:
            return self._sells[-1][2]
        return None

    def best(self, side: Side) -> Decimal | None:
        """The best resting price of one side."""
        entries = self._side(side)
        return entries[-1][2].price if entries else None

    def refresh(self) -> None:
        """Compute again what fills: after a change of the queue or of the tick."""
        past = self.instrument.tick_size if self._fill_rule is FillRule.THROUGH else ZERO
        buy, sell = self.best(Side.BUY), self.best(Side.SELL)
        self.falls_to = _NEVER_FALLS_TO if buy is None else buy - past
        self.rises_to = _NEVER_RISES_TO if sell is None else sell + past

    def _side(self, side: Side) -> list[_Entry]:
        return self._buys if side is Side.BUY else self._sells


def _entry(order: PaperOrder) -> _Entry:
    price = order.price
    assert price is not None, "only orders with a price rest"
    # copy_negate, because unary minus would round to the context's precision.
    key = price if order.side is Side.BUY else price.copy_negate()
    return (key, -order.number, order)
