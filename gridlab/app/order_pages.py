"""Which orders a reader wants, and the page of them that one pass over what there is gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport
from gridlab.domain.pages import BEGINNING, OrderCursor, Page
from gridlab.errors import InvalidInput

Placed: TypeAlias = tuple[OrderCursor, OrderReport]
OrderPage: TypeAlias = Page[OrderCursor, OrderReport]


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """At most `limit` orders of one market after a cursor; of all symbols where none is named."""

    market: Market = Market.SPOT
    symbol: str | None = None
    open_only: bool = False
    after: OrderCursor = BEGINNING
    limit: int = 100

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise InvalidInput(f"limit is {self.limit}; a page has at least 1 order")

    def wants(self, order: OrderReport) -> bool:
        """Whether the order passes the filters."""
        return self.symbol in (None, order.symbol) and (order.status.is_open or not self.open_only)


def page_of(seen: Sequence[Placed], query: OrderQuery, *, is_all: bool) -> OrderPage:
    """The page that answers `query` out of `seen`, which ascends.

    Args:
        is_all: whether nothing comes after the last of `seen`.
    """
    after = query.after
    wanted = tuple(one for one in seen if one[0] > after and query.wants(one[1]))
    end = max(after, seen[-1][0]) if seen else after
    return Page(wanted, end, has_more=not is_all).first(query.limit)
