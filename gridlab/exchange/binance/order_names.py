"""`OrderNames`: which client id an order id belongs to, for one account on one market.

Binance's trade lists name orders by the venue's number only, and the house attributes trades by the
client id. What was learnt from answers and events is kept; the rest is looked up, one order at a
time or, when there are many, by pages of the account's history.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from gridlab.domain.orders import OrderReport
from gridlab.errors import ExchangeUnavailable

#: Names that are kept; the oldest go first.
KEPT = 50_000
#: More unknown orders than this are looked up in the history, a thousand at a time.
FEW = 3
HISTORY_PAGES = 5

#: (symbol, order id) -> its report, None when the venue does not know it.
FindOrder: TypeAlias = Callable[[str, str], Awaitable[OrderReport | None]]
#: (symbol, first order id) -> a page of orders from there on, ascending by number.
ReadHistory: TypeAlias = Callable[[str, str], Awaitable[tuple[OrderReport, ...]]]


class OrderNames:
    """A bounded memory of names with a way to ask for those that are missing."""

    def __init__(self, find: FindOrder, history: ReadHistory) -> None:
        self._find = find
        self._history = history
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()

    def learn(self, symbol: str, order_id: str, client_id: str) -> None:
        """Remember one order's name."""
        key = (symbol, order_id)
        self._names[key] = client_id
        self._names.move_to_end(key)
        if len(self._names) > KEPT:
            self._names.popitem(last=False)

    async def of(self, symbol: str, orders: Iterable[tuple[str, bool]]) -> dict[str, str]:
        """The client ids of these orders, by order id.

        Args:
            orders: (order id, whether it is recent). An old order that the venue has forgotten is
                named by an empty text, which is nobody's of ours.

        Raises:
            ExchangeUnavailable: the venue cannot be read, or does not know a recent order yet
                although it traded: its books lag behind each other.
        """
        recent = dict(orders)
        missing = [order_id for order_id in recent if (symbol, order_id) not in self._names]
        if len(missing) > FEW:
            await self._read_history(symbol, missing)
        found: dict[str, str] = {}
        for order_id, is_recent in recent.items():
            name = self._names.get((symbol, order_id))
            if name is None:
                name = await self._ask(symbol, order_id, is_recent=is_recent)
            found[order_id] = name
        return found

    async def _read_history(self, symbol: str, missing: list[str]) -> None:
        first, last = min(missing, key=int), max(missing, key=int)
        for _ in range(HISTORY_PAGES):
            page = await self._history(symbol, first)
            for report in page:
                self.learn(symbol, report.order_id, report.client_id)
            newest = max((int(report.order_id) for report in page), default=int(last))
            if newest >= int(last) or newest < int(first):
                return
            first = str(newest + 1)

    async def _ask(self, symbol: str, order_id: str, *, is_recent: bool) -> str:
        report = await self._find(symbol, order_id)
        if report is None and is_recent:
            raise ExchangeUnavailable(
                f"the exchange tells a trade of order {order_id} on {symbol} and does not know the "
                "order yet; nothing was changed, ask again"
            )
        name = "" if report is None else report.client_id
        self.learn(symbol, order_id, name)
        return name
