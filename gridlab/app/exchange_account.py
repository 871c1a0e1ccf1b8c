"""The account at a real exchange: read on a timer, so that everybody sees it without a request.

Balances and positions are the venue's figures, with the moment at which they were read. Our orders
are told from the journal, other people's open ones from the last reconciliation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from gridlab.agents.trader import Trader
from gridlab.app.order_pages import OrderPage, OrderQuery, Placed, page_of
from gridlab.app.own_orders import OwnOrders
from gridlab.clock import Clock
from gridlab.domain.account import Position
from gridlab.domain.market import Balance, Market
from gridlab.domain.orders import ClientId, OrderReport, Trade
from gridlab.domain.pages import OrderCursor
from gridlab.errors import ExchangeUnavailable, NotFound
from gridlab.exchange.base import FuturesExchange

log = logging.getLogger(__name__)

#: The account is read so often, and this soon after a change of ours; never more often than that.
READ_EVERY_MS = 5_000
READ_AFTER_MS = 2_000
#: Between two looks for orders that nobody holds.
LOOK_AGAIN_MS = 500


class Requests(Protocol):
    """What is asked of one market's account."""

    async def balances(self) -> tuple[Balance, ...]: ...

    async def all_open_orders(self) -> tuple[OrderReport, ...]: ...


class ExchangeAccount:
    """One account on the markets of an exchange; satisfies `session.Account`."""

    def __init__(
        self,
        requests: Mapping[Market, Requests],
        trader: Trader,
        journal_path: Path,
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._trader = trader
        self._clock = clock
        self._own = OwnOrders(journal_path)
        # The journal is read beside the loop, which trades meanwhile.
        self._reading = asyncio.Lock()
        self._arrivals: dict[Market, dict[tuple[str, str], Placed]] = {}
        self._seen_ms = 0
        self._balances: dict[Market, tuple[Balance, ...]] = {}
        self._balances_ms: dict[Market, int] = {}
        self._positions: dict[str, Position] = {}
        # When each position was last read; before its first answer, when it was first asked for.
        self._positions_ms: dict[str, int] = {}
        self._changed = asyncio.Event()

    # --- what everybody sees ----------------------------------------------------------------------

    def balances(self, market: Market) -> tuple[Balance, ...]:
        return self._balances.get(market, ())

    def positions(self) -> tuple[Position, ...]:
        return tuple(position for _, position in sorted(self._positions.items()))

    def read_ms(self, market: Market) -> int:
        """When `market` was read, by the machine's clock, of what was read longest ago; 0: never.

        A symbol whose position the venue refuses to tell makes the whole old: what is shown of it
        was true then.
        """
        read = [self._balances_ms.get(market, 0)]
        if market is Market.FUTURES:
            read += self._positions_ms.values()
        return min(read)

    def foreign(self, market: Market) -> tuple[OrderReport, ...]:
        """Other people's open orders on the symbols that we trade."""
        seen = self._trader.foreign.items()
        return tuple(order for (where, _), found in seen if where is market for order in found)

    async def available(self, market: Market) -> Mapping[str, Decimal]:
        await self._read_balances(market)
        return {balance.asset: balance.free for balance in self.balances(market)}

    async def orders(self, query: OrderQuery) -> OrderPage:
        async with self._reading:
            own = await asyncio.to_thread(self._own.orders, query.market)
            others = self._arrived(query.market)
        seen = sorted((*own, *others), key=itemgetter(0))
        return page_of(seen, query, is_all=True)

    def _arrived(self, market: Market) -> list[Placed]:
        """Other people's orders, each at the place where it was first seen: after all of ours."""
        known = self._arrivals.get(market, {})
        found: dict[tuple[str, str], Placed] = {}
        for order in self.foreign(market):
            name = order.symbol, order.order_id
            if name in known:
                found[name] = known[name][0], order
            else:
                self._seen_ms = max(self._seen_ms + 1, self._clock.now_ms())
                found[name] = OrderCursor(self._own.seq, self._seen_ms), order
        self._arrivals[market] = found
        return list(found.values())

    async def trades(self, market: Market, symbol: str) -> Sequence[Trade]:
        async with self._reading:
            return await asyncio.to_thread(self._own.trades, market, symbol)

    async def ghosts(self) -> Sequence[OrderReport]:
        """Looked for twice, because recovery places orders while the first answer is on its way."""
        found = await self._unheld()
        if not found:
            return ()
        await self._clock.sleep_until(self._clock.now_ms() + LOOK_AGAIN_MS)
        return [report for order_id, report in (await self._unheld()).items() if order_id in found]

    async def _unheld(self) -> dict[str, OrderReport]:
        """Open orders with our prefix that no grid holds at the moment of the answer."""
        found: dict[str, OrderReport] = {}
        for market, requests in self._requests.items():
            reports = await requests.all_open_orders()
            held = {order.client_id for bot in self._trader.bots.values() for order in bot.live()}
            ours = [report for report in reports if ClientId.parse(report.client_id) is not None]
            found |= {one.client_id: one for one in ours if one.client_id not in held}
            if others := len(reports) - len(ours):
                log.warning(
                    "%s holds %d open orders that are not ours; they are left alone", market, others
                )
        return found

    # --- reading ----------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read every market now; one that does not answer leaves the others their new figures.

        Raises:
            ExchangeUnavailable: one could not be read.
        """
        reads = [self._read_balances(market) for market in self._requests]
        outcomes = await asyncio.gather(*reads, self._read_positions(), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def touch(self) -> None:
        """Something of ours happened, so that the account is not what it was."""
        self._changed.set()

    async def run(self) -> None:
        """Read again and again until cancelled; what cannot be read grows old and shows its age."""
        while True:
            read_ms = self._clock.now_ms()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READ_EVERY_MS / 1000):
                    await self._changed.wait()
            await self._clock.sleep_until(read_ms + READ_AFTER_MS)
            self._changed.clear()
            await self.try_to_refresh()

    async def try_to_refresh(self) -> None:
        """Read every market now; a silence is logged, and what was known grows older."""
        try:
            await self.refresh()
        except ExchangeUnavailable as error:
            log.warning("the account could not be read: %s", error)

    async def _read_balances(self, market: Market) -> None:
        found = await self._requests[market].balances()
        self._balances[market] = tuple(balance for balance in found if balance.total)
        self._balances_ms[market] = self._clock.now_ms()

    async def _read_positions(self) -> None:
        """Positions on every symbol that a grid of ours trades; one refused leaves the others.

        Raises:
            ExchangeUnavailable: one could not be read.
        """
        venue = self._trader.exchanges.get(Market.FUTURES)
        if not isinstance(venue, FuturesExchange):
            return
        symbols = {
            bot.symbol
            for bot in self._trader.bots.values()
            if bot.market is Market.FUTURES and bot.started
        }
        now_ms = self._clock.now_ms()
        self._positions = {s: p for s, p in self._positions.items() if s in symbols}
        self._positions_ms = {s: self._positions_ms.get(s, now_ms) for s in symbols}
        reads = [self._read_position(venue, symbol) for symbol in sorted(symbols)]
        for outcome in await asyncio.gather(*reads, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _read_position(self, venue: FuturesExchange, symbol: str) -> None:
        try:
            found = await venue.position(symbol)
        except NotFound:  # the venue does not list it any more, so nothing is held of it
            found = None
        if found is not None and found.quantity:
            self._positions[symbol] = found
        else:
            self._positions.pop(symbol, None)
        self._positions_ms[symbol] = self._clock.now_ms()
