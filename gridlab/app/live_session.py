"""What every session over a live market does: follow it, recover, run; where orders go is open.

`shadow_session` sends them to paper venues, `exchange_session` to a real one. Knows no key.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from gridlab.agents.live import LiveDriver
from gridlab.agents.trader import Trader
from gridlab.app.account_lease import bind_books
from gridlab.app.live_parts import configured_symbols, listed, public_parts, traded_rules
from gridlab.app.session import Account, Probe
from gridlab.app.settings import Settings
from gridlab.clock import Clock
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.market import Instrument, Market
from gridlab.domain.snapshot import Mode, VenueHealth
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidSpec, NotFound
from gridlab.exchange.base import Exchange, FuturesExchange, StreamHealth
from gridlab.exchange.binance.mapping import RateLimit
from gridlab.exchange.binance.public import Ping
from gridlab.exchange.budgets import Budgets
from gridlab.store.journal import Journal

log = logging.getLogger(__name__)

#: A grid starts at a price that is at most so old.
FRESH_PRICE_MS = 30_000
SETTLE_WITHIN_MS = 30_000
#: How often symbols that nobody needs any more are let go.
LET_GO_EVERY_MS = 60_000
#: Letters of a live journal's own name; no digit, so that the number of a run can follow it.
IDENTITY_LETTERS = 6


class LiveSession(ABC):
    """What both kinds share; satisfies `session.Session`. Venues are there once it is open."""

    is_recorded = False
    speed = 1.0
    progress = None
    ghost_remedy = ""

    def __init__(
        self,
        settings: Settings,
        wall: Clock,
        budgets: Budgets,
        cache: IntelligentCache,
        on_step: Callable[[], None],
    ) -> None:
        """Open the books; nothing is connected yet.

        Raises:
            JournalCorrupt, StorageError: the books do not verify, or are another account's.
        """
        assert settings.access.endpoints is not None, "a live mode has addresses"
        self.mode: Mode = settings.mode
        self.clock = wall
        self._settings = settings
        self._endpoints = settings.access.endpoints
        self._on_step = on_step
        bind_books(settings)
        self.journal = Journal.open(settings.journal_path, _identity)
        self._budgets = budgets
        self._parts = public_parts(settings.config, self._endpoints, wall, budgets, cache)
        self.market = self._parts.market
        self.agents = self._parts.agents
        self._symbols: dict[Market, tuple[str, ...]] = {}
        self._traded = traded_rules(self.journal)

    # --- what each kind adds ----------------------------------------------------------------------

    trader: Trader
    account: Account
    _driver: LiveDriver

    @abstractmethod
    async def _venues(self) -> Mapping[Market, Exchange]:
        """The venues, made and not yet connected."""

    @abstractmethod
    def _account(self) -> Account:
        """The account on those venues, when the trader is there."""

    @abstractmethod
    async def prime(self) -> None: ...

    @abstractmethod
    def save(self) -> None: ...

    def _tasks(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What else runs while the session does."""
        return ()

    def _wanted(self, market: Market) -> tuple[str, ...]:
        """The symbols to follow from the start: configured ones, and those that grids traded."""
        configured = configured_symbols(self._settings.config, market)
        return tuple(dict.fromkeys((*configured, *self._traded[market])))

    async def _rules(self, market: Market, symbol: str) -> Instrument:
        """The rules that a grid on `symbol` would have; raises `NotFound`."""
        return await self.trader.exchanges[market].instrument(symbol)

    # --- life -------------------------------------------------------------------------------------

    async def open(self) -> None:
        for market, source in self._parts.sources.items():
            there = [rules.symbol for rules in await source.instruments()]
            wanted = self._wanted(market)
            self._symbols[market] = listed(wanted, there)
            if missing := sorted(set(wanted) - set(self._symbols[market])):
                log.warning("%s does not list %s", market, ", ".join(missing))
        venues = await self._venues()
        self.trader = Trader(venues, self.journal, self.clock)
        self.account = self._account()
        self._driver = LiveDriver(
            self.trader,
            self.market,
            self.clock,
            replan_ms=self._settings.config.trading.cycle_interval_seconds * 1000,
            on_step=self._on_step,
        )
        await self.market.open(self._symbols)
        await self._driver.open()

    async def settled(self) -> None:
        await self._driver.ready(SETTLE_WITHIN_MS)

    async def run(self) -> None:
        tasks = [
            asyncio.create_task(work)
            for work in (
                *(self._driver.run(), self.market.run(), self._let_go_of_idle()),
                *self._tasks(),
            )
        ]
        # Any agent's run renews the whole cache that they share.
        tasks.append(asyncio.create_task(self._parts.agents[self._parts.markets[0]].run()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        if hasattr(self, "_driver"):
            await self._driver.close()
        await self._parts.close()
        self.journal.close()

    @property
    def beat_ms(self) -> int:
        return self._driver.beat_ms

    @property
    def step_seconds(self) -> Sequence[float]:
        return self._driver.step_seconds

    # --- reads ------------------------------------------------------------------------------------

    def prices(self) -> Mapping[tuple[Market, str], Decimal]:
        return {
            (market, symbol): self.market.price(market, symbol).value
            for market in self._parts.markets
            for symbol in self.market.symbols(market)
        }

    async def quote(self, market: Market, symbol: str) -> tuple[Instrument, Decimal]:
        if market not in self.trader.exchanges:
            raise InvalidSpec(
                f"market_type is {market}; this engine has an account on "
                f"{', '.join(self.trader.exchanges)} only (exchange.supported_markets)"
            )
        rules = await self._rules(market, symbol)
        price = await self.market.quote(market, symbol)
        age_ms = self.clock.now_ms() - price.time_ms
        if age_ms > FRESH_PRICE_MS:
            raise Conflict(
                f"the price of {symbol} on {market} is {age_ms // 1000} s old, and a grid starts "
                f"at one of at most {FRESH_PRICE_MS // 1000} s; try again when the market's stream "
                "is back"
            )
        return rules, price.value

    async def prepare(self, spec: GridSpec) -> None:
        venue = self.trader.exchanges[spec.market]
        if isinstance(venue, FuturesExchange):
            await venue.prepare(spec.symbol)
        await self.market.watch(spec.market, spec.symbol)

    async def _let_go_of_idle(self) -> None:
        """Watch no longer than needed, until cancelled."""
        while True:
            await self.clock.sleep_until(self.clock.now_ms() + LET_GO_EVERY_MS)
            for market in self._parts.markets:
                for symbol in self.market.symbols(market):
                    if symbol not in self._needed(market):
                        await self.market.unwatch(market, symbol)

    def _needed(self, market: Market) -> set[str]:
        """The configured symbols, and those of grids that run or hold what could be sold."""
        held = {
            bot.symbol
            for bot in self.trader.bots.values()
            if bot.market is market
            and (not bot.is_over or bot.grid.ledger.base_held >= bot.grid.instrument.lot_size)
        }
        return held.union(configured_symbols(self._settings.config, market))

    def _health(
        self, venue: StreamHealth, market: Market, account_ms: int, foreign: int
    ) -> VenueHealth:
        """The venue's health, or that of its prices where they are the worse."""
        prices = self.market.health(market)
        shown, words = venue, venue.reason
        if venue.is_ready and not prices.is_ready:
            shown, words = prices, f"market prices: {prices.reason}"
        return VenueHealth(
            state=shown.state.value,
            reason="" if shown.is_ready else words,
            last_message_ms=min(venue.last_message_ms, prices.last_message_ms),
            account_ms=account_ms,
            foreign_orders=foreign,
        )


class Asked(Protocol):
    """One market's venue, asked for signs of life."""

    async def ping(self) -> Ping: ...

    async def limits(self) -> tuple[RateLimit, ...]: ...


async def probe_of(requests: Asked) -> Probe:
    """One question for the time and one for the limits; a silence is an answer too."""
    try:
        ping = await requests.ping()
        limits = await requests.limits()
    except (ExchangeUnavailable, NotFound) as error:
        return Probe(problem=str(error))
    orders = {limit.interval_ms: limit.limit for limit in limits if limit.kind == "ORDERS"}
    return Probe(
        round_trip_ms=ping.round_trip_ms,
        server_time_ms=ping.server_time_ms,
        orders_per_10s=orders.get(10_000),
        orders_per_minute=orders.get(60_000),
        orders_per_day=orders.get(86_400_000),
    )


def _identity() -> str:
    """A short name that no other journal of the account has."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(IDENTITY_LETTERS))
