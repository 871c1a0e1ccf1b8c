"""The simulated venues of Replay and Shadow, and what an account on them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gridlab.agents.trader import Trader
from gridlab.app.config import Config
from gridlab.app.order_pages import OrderPage, OrderQuery, page_of
from gridlab.app.shared_books import SharedBooks
from gridlab.clock import Clock
from gridlab.domain.account import Position
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import ClientId, OrderReport, Trade
from gridlab.domain.pages import OrderCursor
from gridlab.domain.spec import GridSpec
from gridlab.exchange.paper import FillRule, PaperBook, PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook

#: Orders that are looked at for one page.
MOST_ORDERS = 1_000


def at_account_leverage(spec: GridSpec, config: Config) -> GridSpec:
    """`spec` with the leverage that futures accounts are set to, of all symbols alike."""
    if spec.market is Market.SPOT:
        return spec
    return replace(spec, leverage=config.grid.futures.leverage)


def paper_venue(
    config: Config,
    market: Market,
    rules: Mapping[str, Instrument],
    books: SharedBooks,
    clock: Clock,
) -> PaperExchange:
    """The configured paper venue of one market, over what the store holds of it.

    Raises:
        StorageError: the stored books do not agree with themselves, or with `rules`.
    """
    options, stored = config.replay, books.stored(market)
    purse, fees = options.purse(market), options.fees_on(market)
    rule = FillRule(options.fill_rule)
    if market is Market.SPOT:
        book = PaperBook.restore(stored, rules, purse, fees=fees, fill_rule=rule)
        return PaperExchange(book, clock, books.of(market))
    wallet = FuturesBook.restore(
        stored, rules, purse, fees=fees, settings=config.grid.futures.settings, fill_rule=rule
    )
    return PaperFutures(wallet, clock, books.of(market))


class PaperAccount:
    """One paper book for each market; satisfies `session.Account`."""

    def __init__(self, venues: Mapping[Market, PaperExchange], trader: Trader) -> None:
        self._venues = venues
        self._trader = trader

    def balances(self, market: Market) -> tuple[Balance, ...]:
        venue = self._venues.get(market)
        return () if venue is None else venue.book.balances()

    def positions(self) -> tuple[Position, ...]:
        books = (venue.book for venue in self._venues.values())
        return tuple(p for book in books if isinstance(book, FuturesBook) for p in book.positions())

    async def available(self, market: Market) -> dict[str, Decimal]:
        return {balance.asset: balance.free for balance in self.balances(market)}

    async def orders(self, query: OrderQuery) -> OrderPage:
        """The venue numbers the orders of all symbols as they come, so an id is a position."""
        venue, after = self._venues.get(query.market), query.after.position
        found = () if venue is None else venue.book.orders(after, MOST_ORDERS + 1)
        seen = [(OrderCursor(int(order.order_id)), order) for order in found[:MOST_ORDERS]]
        return page_of(seen, query, is_all=len(found) <= MOST_ORDERS)

    async def trades(self, market: Market, symbol: str) -> Sequence[Trade]:
        venue = self._venues.get(market)
        found = () if venue is None else await venue.trades(symbol)
        return [trade for trade in found if ClientId.parse(trade.client_id) is not None]

    async def ghosts(self) -> Sequence[OrderReport]:
        known = {order.client_id for bot in self._trader.bots.values() for order in bot.live()}
        return [
            report
            for venue in self._venues.values()
            for symbol in venue.book.symbols
            for report in await venue.open_orders(symbol)
            if ClientId.parse(report.client_id) and report.client_id not in known
        ]
