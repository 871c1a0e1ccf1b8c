"""Self-trade prevention: which of the account's own orders an order would meet, and what that ends.

The market is one last price of endless depth, so an order meets what rests on the other side at
that price or at a better one: the rest of an order that the market filled in part, or one that two
grids placed against each other. The mode of the order that comes decides; with NONE nothing is
prevented, and both trade with the market. An order that is changed in place is not looked at again.

Source: Binance's spot page "Self Trade Prevention (STP) FAQ"; USD-M "New Order", where the mode
acts for GTC, IOC and GTD alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, OrderRequest, Side, VenueStatus
from gridlab.errors import BugError
from gridlab.exchange.paper import PaperBook
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.twin.news import OrderExtras, VenueOrder

NONE, EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH = STP_MODES = (
    "NONE",
    "EXPIRE_TAKER",
    "EXPIRE_MAKER",
    "EXPIRE_BOTH",
)
#: Modes that end the order that comes, and modes that end the one that rests.
ENDS_TAKER = frozenset((EXPIRE_TAKER, EXPIRE_BOTH))
ENDS_MAKER = frozenset((EXPIRE_MAKER, EXPIRE_BOTH))


def met(
    request: OrderRequest, extras: OrderExtras, own: Iterable[VenueOrder], last: Decimal
) -> list[VenueOrder]:
    """The account's open orders that `request` would trade with, in the order of their turn.

    Args:
        own: open orders of the symbol.
        last: the last price, at which the market takes whatever there is.
    """
    if extras.stp_mode == NONE:
        return []
    if request.market is Market.FUTURES and extras.time_in_force == "FOK":
        return []
    buys = request.side is Side.BUY
    limit = last if request.price is None else request.price
    reach = min(limit, last) if buys else max(limit, last)
    found = [order for order in own if _is_reached(order.report, request.side, reach)]
    return sorted(found, key=lambda order: _price(order.report) * (1 if buys else -1))


def _is_reached(report: OrderReport, side: Side, reach: Decimal) -> bool:
    if report.price is None or report.side is side:
        return False
    return report.price <= reach if side is Side.BUY else report.price >= reach


def _price(report: OrderReport) -> Decimal:
    assert report.price is not None, "only orders with a price rest"
    return report.price


class PreventingBook(PaperBook):
    """A spot book that can be told to let an order take nothing: it expires in place of a fill."""

    takes_nothing = False

    def _take(self, market: SymbolBook, order: PaperOrder, now_ms: int) -> None:
        if self.takes_nothing:
            self._finish(market, order, VenueStatus.EXPIRED, now_ms)
        else:
            super()._take(market, order, now_ms)


class PreventingFuturesBook(PreventingBook, FuturesBook):
    """The same of a USD-M account."""


@contextmanager
def taking_nothing(book: PaperBook, is_so: bool) -> Iterator[None]:
    """What is placed meanwhile takes nothing, if `is_so`."""
    if not isinstance(book, PreventingBook):
        raise BugError(f"a {type(book).__name__} prevents no self-trade; give a PreventingBook")
    book.takes_nothing = is_so
    try:
        yield
    finally:
        book.takes_nothing = False
