"""Routes that page through what is on the books: orders, fills, journal entries.

One request looks at a bounded number of records, and a page is also cut where its answer would grow
too large; either way there is more.
"""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.requests_tools import EventsQuery, FillsQuery, OrdersQuery
from gridlab.api.schemas.records import (
    EventRecord,
    EventsPage,
    FillRecord,
    FillsPage,
    OrderRecord,
    OrdersPage,
)
from gridlab.api.wire import answer, find_instrument, fitting, read_query, stamp_of, venue_stamp
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.pages import OrderCursor


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the record routes on `blueprint`."""

    @blueprint.get("/api/orders")
    def orders() -> Response:
        return answer(_orders(lab, read_query(OrdersQuery)))

    @blueprint.get("/api/fills")
    def fills() -> Response:
        return answer(_fills(lab, read_query(FillsQuery)))

    @blueprint.get("/api/events")
    def events() -> Response:
        return answer(_events(lab, read_query(EventsQuery)))


def _orders(lab: GridLab, query: OrdersQuery) -> OrdersPage:
    _check_symbol(lab, query.symbol, query.market_type)
    page = lab.order_page(
        query.symbol,
        after=OrderCursor.parse(query.cursor),
        limit=query.limit,
        open_only=query.open_only,
        market=query.market_type,
    )
    shown = fitting(OrderRecord.of(order) for _, order in page.items)
    page = page.first(len(shown))
    return OrdersPage(
        orders=shown,
        has_more=page.has_more,
        next_cursor=str(page.next_cursor),
        **venue_stamp(lab.snapshot, [query.market_type]).parts,
    )


def _fills(lab: GridLab, query: FillsQuery) -> FillsPage:
    _check_symbol(lab, query.symbol)
    page = lab.fill_page(query.symbol, after=query.cursor, limit=query.limit)
    shown = fitting(FillRecord.of_fill(at, trade) for at, trade in page.items)
    page = page.first(len(shown))
    return FillsPage(
        fills=shown,
        has_more=page.has_more,
        next_cursor=page.next_cursor,
        **stamp_of(lab.snapshot).parts,
    )


def _events(lab: GridLab, query: EventsQuery) -> EventsPage:
    """Read with one entry too many, which says whether there is more."""
    found = lab.events(query.run, after=query.cursor, limit=query.limit + 1)
    shown = fitting(EventRecord.of(at, entry) for at, entry in found[: query.limit])
    return EventsPage(
        events=shown,
        has_more=len(shown) < len(found),
        next_cursor=shown[-1].sequence if shown else query.cursor,
        **stamp_of(lab.snapshot).parts,
    )


def _check_symbol(lab: GridLab, symbol: str | None, market: Market | None = None) -> None:
    """A symbol of which records can be: one with a bot, though the venue has removed it, or one
    that `market` lists, by default spot."""
    if symbol is None:
        return
    bot = lab.snapshot.bots.get(symbol)
    if bot is None or market not in (None, bot.market):
        find_instrument(lab, symbol, market or Market.SPOT)
