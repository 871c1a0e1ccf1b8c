"""Shadow: the real market and paper orders; built without a key and without a signature (law 9)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridlab.agents.shadow import Shadow
from gridlab.app.live_session import LiveSession, probe_of
from gridlab.app.paper_account import PaperAccount, at_account_leverage, paper_venue
from gridlab.app.session import Account, Probe
from gridlab.app.settings import Settings
from gridlab.app.shared_books import SharedBooks
from gridlab.clock import Clock
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.market import Instrument, Market
from gridlab.domain.snapshot import VenueHealth
from gridlab.domain.spec import GridSpec
from gridlab.exchange.base import Exchange
from gridlab.exchange.binance.public import BinancePublic
from gridlab.exchange.binance.transport import PublicTransport
from gridlab.exchange.budgets import Budgets
from gridlab.exchange.paper import PaperExchange
from gridlab.store.records import SqliteRecords


class ShadowSession(LiveSession):
    """Real market data, paper orders: each trade of the market is printed into paper venues."""

    ghost_remedy = "Restore the newer journal, or begin anew with --fresh"

    def __init__(
        self,
        settings: Settings,
        wall: Clock,
        budgets: Budgets,
        cache: IntelligentCache,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(settings, wall, budgets, cache, on_step)
        self._records = SqliteRecords.open(self._settings.venue_path)
        self._books = SharedBooks(self._records)
        self._transport = PublicTransport(self._endpoints, clock=self.clock, budgets=self._budgets)
        self._paper: dict[Market, PaperExchange] = {}
        self._shadows: dict[Market, Shadow] = {}
        self._removed: dict[Market, dict[str, Instrument]] = {}

    def _wanted(self, market: Market) -> tuple[str, ...]:
        """Also what the books speak of: a start that was killed leaves a symbol without a grid."""
        return tuple(dict.fromkeys((*super()._wanted(market), *self._books.symbols(market))))

    async def _venues(self) -> Mapping[Market, Exchange]:
        for market in self._parts.markets:
            rules = {symbol: await self._rules(market, symbol) for symbol in self._symbols[market]}
            removed = self._removed[market] = {
                symbol: replace(known, status="BREAK")
                for symbol, known in self._traded[market].items()
                if symbol not in rules
            }
            rules |= removed
            venue = paper_venue(self._settings.config, market, rules, self._books, self.clock)
            self._books.join(market, venue.book, list)
            history = BinancePublic(self._transport, market)
            stream = self._parts.streams[market]
            self._shadows[market] = Shadow(market, stream, history, venue, self.clock)
            self._paper[market] = venue
        return self._paper

    def _account(self) -> Account:
        return PaperAccount(self._paper, self.trader)

    def _tasks(self) -> Sequence[Coroutine[Any, Any, None]]:
        return [shadow.run() for shadow in self._shadows.values()]

    async def _rules(self, market: Market, symbol: str) -> Instrument:
        """The real venue's: a paper venue lists what grids trade, and could list any other."""
        return (await self._parts.agents[market].instrument(symbol)).value

    async def prepare(self, spec: GridSpec) -> None:
        """List the symbol on the paper venue, by the market's rules and at its price.

        Where nothing of ours rests, what traded before is nothing to the new grid.
        """
        book, symbol = self._paper[spec.market].book, spec.symbol
        rules = await self._rules(spec.market, symbol)
        book.add_instrument(rules)
        book.set_instrument(rules)
        is_new = not book.open_orders(symbol)
        if is_new:
            self._shadows[spec.market].forget(symbol)
        await super().prepare(spec)
        if is_new:
            book.set_price(symbol, self.market.price(spec.market, symbol).value)

    async def prime(self) -> None:
        """Give paper books the price that was asked for; the first trade may be seconds away."""
        for market, venue in self._paper.items():
            for symbol in self._symbols[market]:
                if venue.book.price(symbol) is None:
                    venue.book.set_price(symbol, self.market.price(market, symbol).value)

    async def settled(self) -> None:
        self._halt_removed()
        await self.prime()
        await super().settled()

    def _halt_removed(self) -> None:
        """Halt the bots of symbols that the market does not list any more: they have no prices."""
        for bot in self.trader.bots.values():
            if not bot.is_over and bot.symbol in self._removed.get(bot.market, ()):
                bot.halt(
                    f"{bot.symbol} is not listed on {bot.market} any more, so that Shadow has no "
                    "prices of it; should it be listed again, restart GridLab and the bot goes on"
                )

    def health(self) -> Mapping[Market, VenueHealth]:
        now_ms = self.clock.now_ms()
        return {
            market: self._health(self.market.health(market), market, now_ms, 0)
            for market in self._paper
        }

    async def fitted(self, spec: GridSpec) -> GridSpec:
        """`spec` at the account's leverage; whoever asks a paper venue chooses the fees."""
        return at_account_leverage(spec, self._settings.config)

    async def probe(self) -> Mapping[Market, Probe]:
        return {
            market: await probe_of(BinancePublic(self._transport, market))
            for market in self._parts.markets
        }

    def save(self) -> None:
        for venue in self._paper.values():
            venue.save()

    async def close(self) -> None:
        await super().close()
        await self._transport.close()
        self._records.close()
