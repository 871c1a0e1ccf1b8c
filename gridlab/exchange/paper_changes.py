"""What changed in a paper book since it was last stored, and the whole of it, as records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.orders import Trade
from gridlab.exchange import paper_records
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record


class BookChanges:
    """Orders, trades and prices that are not stored yet.

    Args:
        is_tracking: whether to remember anything; costs nothing when off.
    """

    def __init__(self, is_tracking: bool) -> None:
        self.is_tracking = is_tracking
        self._orders: dict[int, PaperOrder] = {}
        self._trades: list[Trade] = []
        self._stored_prices: dict[str, Decimal] = {}

    def __bool__(self) -> bool:
        """Whether an order changed; a price alone is worth no transaction."""
        return bool(self._orders)

    def note(self, order: PaperOrder, trade: Trade | None = None) -> None:
        """Remember that an order changed, and the trade that changed it."""
        if self.is_tracking:
            self._orders[order.number] = order
            if trade is not None:
                self._trades.append(trade)

    def take(self, markets: Mapping[str, SymbolBook], of_account: list[Record]) -> list[Record]:
        """The records of what changed since the last call, the account's among them."""
        records = [paper_records.order_record(order.report()) for order in self._orders.values()]
        records += _ranks(self._orders.values())
        records += [paper_records.trade_record(trade) for trade in self._trades]
        records += of_account
        for symbol, market in markets.items():
            price = market.price
            if price is not None and self._stored_prices.get(symbol) != price:
                records.append(paper_records.price_record(symbol, price))
                self._stored_prices[symbol] = price
        self._orders.clear()
        self._trades.clear()
        return records

    def remember_stored(self, prices: Mapping[str, Decimal]) -> None:
        """These prices are on disk."""
        self._stored_prices = dict(prices)


def dump(
    orders: Iterable[PaperOrder], markets: Mapping[str, SymbolBook], of_account: list[Record]
) -> list[Record]:
    """The whole book as records, in a fixed order: equal books give equal dumps."""
    orders = list(orders)
    records = [paper_records.order_record(order.report()) for order in orders]
    records += _ranks(orders)
    for symbol in sorted(markets):
        market = markets[symbol]
        records += [paper_records.trade_record(trade) for trade in market.trades]
        if market.price is not None:
            records.append(paper_records.price_record(symbol, market.price))
    return records + of_account


def _ranks(orders: Iterable[PaperOrder]) -> list[Record]:
    return [
        paper_records.rank_record(order.order_id, order.rank) for order in orders if order.was_moved
    ]
