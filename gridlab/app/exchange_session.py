"""Testnet and Production: orders that reach a venue, built only from a `LiveRight` (law 9)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridlab.app.account_lease import hold_account
from gridlab.app.exchange_account import ExchangeAccount
from gridlab.app.live_session import LiveSession, probe_of
from gridlab.app.paper_account import at_account_leverage
from gridlab.app.session import Account, Probe
from gridlab.app.settings import Settings
from gridlab.clock import Clock
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.market import Market
from gridlab.domain.snapshot import VenueHealth
from gridlab.domain.spec import GridSpec
from gridlab.exchange.base import Exchange, LiveExchange
from gridlab.exchange.binance.events import Tick
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.live import futures_venue, spot_venue
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.budgets import Budgets
from gridlab.store.lease import Lease


class ExchangeSession(LiveSession):
    """Orders that reach a venue: Testnet and Production."""

    ghost_remedy = (
        "Restore the newer journal, or cancel those orders at the exchange; if another GridLab "
        "trades on this account, stop it first"
    )

    def __init__(
        self,
        settings: Settings,
        wall: Clock,
        budgets: Budgets,
        cache: IntelligentCache,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(settings, wall, budgets, cache, self._stepped)
        self._tell = on_step
        self._seen = 0
        access = self._settings.access
        assert access.credentials is not None, "a right comes with keys"
        self._transport = SignedTransport(
            access.right(self.mode),
            access.credentials,
            self._endpoints,
            clock=self.clock,
            budgets=self._budgets,
        )
        self._spot = BinanceSpot(self._transport)
        self._futures = BinanceFutures(self._transport, self._settings.config.grid.futures.settings)
        self._lease: Lease | None = None
        self._read: ExchangeAccount | None = None

    async def prime(self) -> None:
        """A real market moves by itself."""

    def save(self) -> None:
        """The books are the journal's and the venue's, and both are kept already."""

    async def open(self) -> None:
        self._lease = hold_account(self._settings.access, self._settings.data_dir)
        await super().open()
        await self._exchange_account.refresh()

    async def settled(self) -> None:
        await super().settled()
        # Read at `open` before recovery: without the positions, whose grids nobody knew then, and
        # without what recovery did.
        await self._exchange_account.try_to_refresh()

    async def _venues(self) -> Mapping[Market, Exchange]:
        venues: dict[Market, Exchange] = {}
        for market in self._parts.markets:
            requests: BinanceSpot | BinanceFutures
            if market is Market.SPOT:
                requests = self._spot
                venues[market] = spot_venue(self._spot, self._transport, self.clock)
            else:
                requests = self._futures
                venues[market] = futures_venue(self._futures, self._transport, self.clock)
            self._parts.streams[market].listen(_teller(requests))
        return venues

    def _account(self) -> Account:
        both = {Market.SPOT: self._spot, Market.FUTURES: self._futures}
        self._read = ExchangeAccount(
            {market: both[market] for market in self._parts.markets},
            self.trader,
            self._settings.journal_path,
            self.clock,
        )
        return self._read

    @property
    def _exchange_account(self) -> ExchangeAccount:
        assert self._read is not None, "it is there once the session is open"
        return self._read

    def _stepped(self) -> None:
        """Something may have happened: have the account read again when something did."""
        if self.journal.length != self._seen:
            self._seen = self.journal.length
            self._exchange_account.touch()
        self._tell()

    def _tasks(self) -> Sequence[Coroutine[Any, Any, None]]:
        return [self._exchange_account.run()]

    def health(self) -> Mapping[Market, VenueHealth]:
        account = self._exchange_account
        return {
            market: self._health(
                venue.health,
                market,
                account.read_ms(market),
                len(account.foreign(market)),
            )
            for market, venue in self.trader.exchanges.items()
            if isinstance(venue, LiveExchange)
        }

    async def fitted(self, spec: GridSpec) -> GridSpec:
        """`spec` with the rates that this account pays, at its leverage."""
        requests = self._spot if spec.market is Market.SPOT else self._futures
        fees = await requests.fees(spec.symbol)
        return at_account_leverage(replace(spec, fees=fees), self._settings.config)

    async def probe(self) -> Mapping[Market, Probe]:
        both = {Market.SPOT: self._spot, Market.FUTURES: self._futures}
        return {market: await probe_of(both[market]) for market in self._parts.markets}

    async def close(self) -> None:
        try:
            await super().close()
            await self._transport.close()
        finally:
            if self._lease is not None:
                self._lease.release()


def _teller(requests: BinanceSpot | BinanceFutures) -> Callable[[Tick], None]:
    """Tells the queue of new orders the last price, so that the nearest go first."""

    def tell(tick: Tick) -> None:
        requests.note_price(tick.symbol, tick.price)

    return tell
