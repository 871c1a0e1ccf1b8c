"""Routes that page through what is on the books: orders, fills, journal entries.

Every page is read with one item too many, which says whether there is more; a page is also cut
where its answer would grow too large, and then there is more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from flask import Blueprint, Response
from pydantic import BaseModel

from gridlab.api.requests_tools import EventsQuery, FillsQuery, OrdersQuery
from gridlab.api.schemas.records import (
    EventRecord,
    EventsPage,
    FillRecord,
    FillsPage,
    OrderRecord,
    OrdersPage,
)
from gridlab.api.wire import answer, find_instrument, fitting, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market

Item = TypeVar("Item", bound=BaseModel)


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
    if query.symbol is not None:
        find_instrument(lab, query.symbol, query.market_type)
    found = lab.orders(
        query.symbol,
        after=query.cursor,
        limit=query.limit + 1,
        open_only=query.open_only,
        market=query.market_type,
    )
    page, has_more = _page([OrderRecord.of(order) for order in found], query.limit)
    return OrdersPage(
        orders=page,
        has_more=has_more,
        next_cursor=int(page[-1].order_id) if page else query.cursor,
        **stamp_of(lab.snapshot).parts,
    )


def _fills(lab: GridLab, query: FillsQuery) -> FillsPage:
    _check_symbol(lab, query.symbol)
    found = lab.fills(query.symbol, after=query.cursor, limit=query.limit + 1)
    page, has_more = _page([FillRecord.of_fill(at, trade) for at, trade in found], query.limit)
    return FillsPage(
        fills=page,
        has_more=has_more,
        next_cursor=page[-1].cursor if page else query.cursor,
        **stamp_of(lab.snapshot).parts,
    )


def _events(lab: GridLab, query: EventsQuery) -> EventsPage:
    found = lab.events(query.run, after=query.cursor, limit=query.limit + 1)
    page, has_more = _page([EventRecord.of(at, entry) for at, entry in found], query.limit)
    return EventsPage(
        events=page,
        has_more=has_more,
        next_cursor=page[-1].sequence if page else query.cursor,
        **stamp_of(lab.snapshot).parts,
    )


def _check_symbol(lab: GridLab, symbol: str | None) -> None:
    """A symbol on which fills can be: one with a bot, or one that the spot market lists."""
    if symbol is not None and symbol not in lab.snapshot.bots:
        find_instrument(lab, symbol, Market.SPOT)


def _page(items: Sequence[Item], limit: int) -> tuple[list[Item], bool]:
    """The items of one page, and whether there are more after them."""
    page = fitting(items[:limit])
    return page, len(page) < len(items)
