"""The verbs of `GridLab` that read what is on record: orders, fills, journal entries."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gridlab.app.order_pages import OrderPage, OrderQuery
from gridlab.domain.events import OrderFilled
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, Trade
from gridlab.domain.pages import BEGINNING, OrderCursor, Page
from gridlab.domain.snapshot import Mode
from gridlab.store.journal import Entry, read_entries

if TYPE_CHECKING:
    from gridlab.app.engine import Engine
    from gridlab.app.settings import Settings

T = TypeVar("T")

#: Journal entries that are looked at for one page of fills.
MOST_ENTRIES = 5_000


class RecordVerbs:
    """What `GridLab` reads from books and journal; a part of it."""

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...
        def _running(self) -> Engine: ...
        def _call(self, work: Coroutine[Any, Any, T]) -> T: ...

    def orders(
        self,
        symbol: str | None = None,
        *,
        limit: int = 100,
        open_only: bool = False,
        market: Market = Market.SPOT,
    ) -> tuple[OrderReport, ...]:
        """The first `limit` orders of one market, oldest first; other people's included."""
        found: list[OrderReport] = []
        page: OrderPage = Page((), BEGINNING, has_more=True)
        while page.has_more and len(found) < limit:
            page = self.order_page(
                symbol,
                after=page.next_cursor,
                limit=limit - len(found),
                open_only=open_only,
                market=market,
            )
            found += [order for _, order in page.items]
        return tuple(found)

    def order_page(
        self,
        symbol: str | None = None,
        *,
        after: OrderCursor = BEGINNING,
        limit: int = 100,
        open_only: bool = False,
        market: Market = Market.SPOT,
    ) -> OrderPage:
        """At most `limit` orders of one market after a cursor; other people's included.

        New orders only ever come after every cursor that was given. After a restart, other people's
        open orders are told once more.
        """
        query = OrderQuery(market, symbol, open_only, after, limit)
        return self._call(self._running().orders(query))

    def events(
        self, run: str | None = None, *, after: int = 0, limit: int = 100, mode: Mode | None = None
    ) -> tuple[tuple[int, Entry], ...]:
        """(seq, entry) of the journal of `mode`, by default the present one's, above `after`."""
        entries = read_entries(self._journal_path(mode), run, after)
        return tuple(itertools.islice(entries, limit))

    def fills(
        self,
        symbol: str | None = None,
        *,
        after: int = 0,
        limit: int = 100,
        mode: Mode | None = None,
    ) -> tuple[tuple[int, Trade], ...]:
        """(journal seq, trade) of the first `limit` booked fills above `after`, ascending.

        Of the journal of `mode`, by default the present one's, as much as it takes is read;
        `fill_page` looks at no more than MOST_ENTRIES.
        """
        found: list[tuple[int, Trade]] = []
        page: Page[int, Trade] = Page((), after, has_more=True)
        while page.has_more and len(found) < limit:
            page = self.fill_page(
                symbol, after=page.next_cursor, limit=limit - len(found), mode=mode
            )
            found += page.items
        return tuple(found)

    def fill_page(
        self,
        symbol: str | None = None,
        *,
        after: int = 0,
        limit: int = 100,
        mode: Mode | None = None,
    ) -> Page[int, Trade]:
        """At most `limit` booked fills after a seq of the journal, of at most MOST_ENTRIES entries.

        Each fill's cursor is the seq of its entry.
        """
        return fills_in(self._journal_path(mode), symbol, after, limit)

    def _journal_path(self, mode: Mode | None) -> Path:
        settings = self.settings
        return (settings if mode is None else settings.in_mode(mode)).journal_path


def fills_in(
    journal: Path, symbol: str | None = None, after: int = 0, limit: int = 100
) -> Page[int, Trade]:
    """A page of the fills in the journal at this path; see `RecordVerbs.fill_page`."""
    found: list[tuple[int, Trade]] = []
    end = after
    for looked_at, (seq, entry) in enumerate(read_entries(journal, None, after)):
        trade = _fill_on(symbol, entry)
        if looked_at == MOST_ENTRIES or (trade is not None and len(found) == limit):
            return Page(tuple(found), end, has_more=True)
        if trade is not None:
            found.append((seq, trade))
        end = seq
    return Page(tuple(found), end, has_more=False)


def _fill_on(symbol: str | None, entry: Entry) -> Trade | None:
    if isinstance(entry.event, OrderFilled) and symbol in (None, entry.event.trade.symbol):
        return entry.event.trade
    return None
