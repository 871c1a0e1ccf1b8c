"""`History`: what the venue would have answered a little while ago, for reads that are stale.

It listens to a venue and keeps the last minutes of every change. A stale read is one that a replica
answers which lags behind: an order placed meanwhile does not exist in it, a fill has not happened.
Times are the machine's, so that a fault of the venue's clock can't lengthen the lag.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from gridlab.domain.orders import Trade
from gridlab.twin.news import BookNews, MarketNews, OrderNews, RulesNews, VenueNews, VenueOrder

#: How long changes are kept; no read may be staler.
KEPT_MS = 600_000

Account = TypeVar("Account")


class Source(Protocol):
    """What of a venue is read."""

    def subscribe(self, listener: Callable[[VenueNews], None]) -> Callable[[], None]: ...

    def find(
        self, symbol: str, order_id: int | None, client_id: str | None
    ) -> VenueOrder | None: ...

    def open_orders(self, symbol: str | None) -> list[VenueOrder]: ...

    def orders(self, symbol: str) -> list[VenueOrder]: ...

    def account_trades(self, symbol: str) -> list[Trade]: ...


class History(Generic[Account]):
    """The last minutes of one venue.

    Args:
        venue: what to remember.
        wall_ms: the machine's time.
        account: what balances and positions are now; remembered at every change of the account.
    """

    def __init__(
        self, venue: Source, wall_ms: Callable[[], int], account: Callable[[], Account]
    ) -> None:
        self._venue = venue
        self._wall_ms = wall_ms
        self._account = account
        self._revisions: dict[int, list[tuple[int, VenueOrder]]] = {}
        self._changed: deque[tuple[int, int]] = deque()
        self._trades: deque[tuple[int, str, int]] = deque()
        self._accounts: deque[tuple[int, Account]] = deque([(0, account())])
        venue.subscribe(self._on_news)

    def order(
        self, symbol: str, order_id: int | None, client_id: str | None, stale_ms: int
    ) -> VenueOrder | None:
        """The order of that number, or the newest of that client id; None when there was none."""
        if not stale_ms:
            return self._venue.find(symbol, order_id, client_id)
        for order in reversed(self.orders(symbol, stale_ms)):
            if order_id == order.order_id or (order_id is None and client_id == order.client_id):
                return order
        return None

    def open_orders(self, symbol: str | None, stale_ms: int) -> list[VenueOrder]:
        """Orders that were open, oldest first."""
        if not stale_ms:
            return self._venue.open_orders(symbol)
        now_open = {order.order_id: order for order in self._venue.open_orders(symbol)}
        for revisions in self._revisions.values():
            order = revisions[-1][1]
            if symbol in (None, order.symbol):
                now_open.setdefault(order.order_id, order)
        then = self._as_of(now_open.values(), stale_ms)
        return sorted((order for order in then if order.is_open), key=lambda order: order.order_id)

    def orders(self, symbol: str, stale_ms: int) -> list[VenueOrder]:
        """Every order that there was, ascending."""
        orders = self._venue.orders(symbol)
        return self._as_of(orders, stale_ms) if stale_ms else orders

    def trades(self, symbol: str, stale_ms: int) -> list[Trade]:
        """The account's trades that had happened, ascending."""
        trades = self._venue.account_trades(symbol)
        if not stale_ms:
            return trades
        as_of_ms = self._wall_ms() - stale_ms
        hidden = {number for at, of, number in self._trades if at > as_of_ms and of == symbol}
        return [trade for trade in trades if trade.trade_id not in hidden]

    def account(self, stale_ms: int) -> Account:
        """Balances and positions as they were."""
        if not stale_ms:
            return self._account()
        as_of_ms = self._wall_ms() - stale_ms
        then = self._accounts[0][1]
        for at_ms, account in self._accounts:
            if at_ms <= as_of_ms:
                then = account
        return then

    def _as_of(self, orders: Iterable[VenueOrder], stale_ms: int) -> list[VenueOrder]:
        as_of_ms = self._wall_ms() - stale_ms
        found = []
        for order in orders:
            revisions = self._revisions.get(order.order_id)
            if revisions is None:
                found.append(order)  # unchanged for longer than any read may be stale
                continue
            index = bisect_right(revisions, as_of_ms, key=lambda entry: entry[0])
            if index:
                found.append(revisions[index - 1][1])
        return found

    def _on_news(self, news: VenueNews) -> None:
        if isinstance(news, (MarketNews, BookNews, RulesNews)):
            return
        now_ms = self._wall_ms()
        if isinstance(news, OrderNews):
            revisions = self._revisions.setdefault(news.order.order_id, [])
            # A clock that goes back a little must not break the order of the revisions.
            at_ms = max(now_ms, revisions[-1][0]) if revisions else now_ms
            revisions.append((at_ms, news.order))
            self._changed.append((at_ms, news.order.order_id))
            if news.trade is not None:
                self._trades.append((now_ms, news.order.symbol, news.trade.trade_id))
        self._accounts.append((now_ms, self._account()))
        self._forget(now_ms - KEPT_MS)

    def _forget(self, before_ms: int) -> None:
        """Drop what no stale read can need: all but the last state before the kept minutes."""
        while self._changed and self._changed[0][0] < before_ms:
            _, order_id = self._changed.popleft()
            revisions = self._revisions.get(order_id, [])
            while len(revisions) > 1 and revisions[1][0] < before_ms:
                del revisions[0]
            if len(revisions) == 1 and revisions[0][0] < before_ms:
                del self._revisions[order_id]
        while self._trades and self._trades[0][0] < before_ms:
            self._trades.popleft()
        while len(self._accounts) > 1 and self._accounts[1][0] < before_ms:
            self._accounts.popleft()
