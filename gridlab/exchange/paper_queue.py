"""One symbol of the paper venue: its orders, which it refuses, and who is filled first.

Price-time priority in two sorted lists, the best order last. Knows no balance, no fee, no event.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, Trade, VenueStatus
from gridlab.exchange import filters
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.money import ZERO

_NEVER_FALLS_TO = Decimal("-Infinity")
_NEVER_RISES_TO = Decimal("Infinity")
#: Ranks between an order and the next: room for those that amendments put behind it.
RANKS = 1 << 32


class FillRule(StrEnum):
    """When a price that moves fills an order that rests."""

    TOUCH = "touch"  # it reaches the order's price
    THROUGH = "through"  # it goes at least one tick beyond, so that the queue ahead was served


class PaperOrder:
    """An order of the paper venue; changed only by `PaperBook`.

    Attributes:
        number: rises by one with each order; its text is the order id.
        rank: time priority, the smaller the better; an amended order may have lost its own.
        locked: what the order still holds of quote (buy) or base (sell); spot only.
    """

    __slots__ = (
        "client_id",
        "created_ms",
        "executed",
        "locked",
        "number",
        "price",
        "quantity",
        "rank",
        "reduce_only",
        "side",
        "status",
        "symbol",
        "type",
        "updated_ms",
    )

    def __init__(self, number: int, request: OrderRequest, now_ms: int) -> None:
        self.number = number
        self.rank = number * RANKS
        self.client_id = request.client_id
        self.symbol = request.symbol
        self.side = request.side
        self.type = request.type
        self.quantity = request.quantity
        self.price = request.price
        self.reduce_only = request.reduce_only
        self.executed = ZERO
        self.status = VenueStatus.NEW
        self.created_ms = now_ms
        self.updated_ms = now_ms
        self.locked = ZERO

    @classmethod
    def of(cls, report: OrderReport) -> PaperOrder:
        """The order that `report` shows; what a report does not show is for the caller to set."""
        order = cls.__new__(cls)
        order.number = int(report.order_id)
        for name in cls.__slots__:
            if name not in ("number", "rank", "locked", "reduce_only"):
                setattr(order, name, getattr(report, name))
        order.rank = order.number * RANKS
        order.locked = ZERO
        order.reduce_only = False
        return order

    @property
    def order_id(self) -> str:
        return str(self.number)

    @property
    def was_moved(self) -> bool:
        """Whether it lost the time priority that it was born with."""
        return self.rank != self.number * RANKS

    def request_for_rest(
        self, client_id: str, market: Market, quantity: Decimal, price: Decimal | None
    ) -> OrderRequest:
        """What a new order for the unexecuted part of this one would ask, if amended so."""
        return OrderRequest(
            client_id=client_id,
            symbol=self.symbol,
            market=market,
            side=self.side,
            type=self.type,
            quantity=quantity - self.executed,
            price=price,
            reduce_only=self.reduce_only,
        )

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
        open: open orders by client id.
        latest: the newest order of each client id; an older one may be open under it, if amended.
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
        newest = self.latest.get(order.client_id)
        if newest is None or newest.number <= order.number:
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

    def find(self, client_id: str) -> PaperOrder | None:
        """The open order of this id, else the newest that ended."""
        return self.open.get(client_id) or self.latest.get(client_id)

    def by_age(self) -> list[PaperOrder]:
        """Open orders, oldest first."""
        return sorted(self.open.values(), key=lambda order: order.number)

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
        problem = filters.refusal(request, instrument, self.price)
        if problem is not None:
            return Rejected(RejectCode.FILTER, problem)
        # The id comes before room and funds: a second copy of a request must learn that it is one,
        # and not that its first copy has used up what it asks for.
        if request.client_id in self.open:
            return _duplicate(request.client_id)
        problem = filters.count_refusal(request, instrument, len(self.open))
        if problem is not None:
            return Rejected(RejectCode.TOO_MANY_ORDERS, problem)
        if request.type is OrderType.LIMIT_MAKER and self.would_take(request):
            return self._would_take_refusal(request)
        return None

    def _would_take_refusal(self, request: OrderRequest) -> Rejected:
        return Rejected(
            RejectCode.WOULD_TAKE,
            f"Order would immediately match and take: {request.side} at {request.price} while "
            f"the last price is {self.price}",
        )

    def amendment_refusal(self, order: PaperOrder, request: OrderRequest) -> Rejected | None:
        """Why an open order cannot become what `request` asks, funds aside."""
        if request.client_id != order.client_id and request.client_id in self.open:
            return _duplicate(request.client_id)
        if request.type is OrderType.LIMIT_MAKER and self.would_take_amended(order, request):
            return self._would_take_refusal(request)
        return None

    def would_take_amended(self, order: PaperOrder, request: OrderRequest) -> bool:
        """Whether an open order takes once it is what `request` asks.

        Without another price it does not: an order that a walk's volume filled in part stands at
        the last price and waits for the next walk.
        """
        return request.price != order.price and self.would_take(request)

    def forget(self, order: PaperOrder, orders: Iterable[PaperOrder]) -> None:
        """Let an order's id name the newest other one of `orders` that had it, or nothing."""
        self.latest.pop(order.client_id, None)
        for other in orders:
            same_name = (other.symbol, other.client_id) == (order.symbol, order.client_id)
            if same_name and other is not order:
                self.latest[other.client_id] = other

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


def _duplicate(client_id: str) -> Rejected:
    return Rejected(RejectCode.DUPLICATE, f"Duplicate order sent: {client_id} is open already")


def _entry(order: PaperOrder) -> _Entry:
    price = order.price
    assert price is not None, "only orders with a price rest"
    # copy_negate, because unary minus would round to the context's precision.
    key = price if order.side is Side.BUY else price.copy_negate()
    return (key, -order.rank, order)
