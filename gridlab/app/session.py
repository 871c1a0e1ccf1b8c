"""What the engine needs of whatever it runs: one life between two starts, in any mode.

The engine recovers, runs, publishes and answers; a session knows where prices come from and where
orders go. Knows no concrete venue: `replay_session`, `live_session` and `build` do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from gridlab.agents.data import DataAgent
from gridlab.agents.trader import Trader
from gridlab.clock import Clock
from gridlab.domain.account import Position
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import OrderReport, Trade
from gridlab.domain.snapshot import Mode, VenueHealth
from gridlab.domain.spec import GridSpec
from gridlab.exchange.base import MarketData
from gridlab.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Probe:
    """What one market's venue answered just now.

    Args:
        round_trip_ms, server_time_ms: None when it did not answer.
        orders_per_10s, orders_per_minute, orders_per_day: the account's limits; None is no such.
        problem: why it did not answer, in words; empty when it did.
    """

    round_trip_ms: float | None = None
    server_time_ms: int | None = None
    orders_per_10s: int | None = None
    orders_per_minute: int | None = None
    orders_per_day: int | None = None
    problem: str = ""


class Account(Protocol):
    """What is on the venues' books, of every market that the session trades."""

    def balances(self, market: Market) -> tuple[Balance, ...]:
        """The balances as last read; never waits."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """The futures positions that are not empty, as last read; never waits."""
        ...

    async def available(self, market: Market) -> Mapping[str, Decimal]:
        """What is free for new orders now, by asset.

        Raises:
            ExchangeUnavailable: the venue could not be read.
        """
        ...

    async def orders(self, market: Market, after: int, limit: int) -> Sequence[OrderReport]:
        """Orders of one market with an id above `after`, ascending, other people's too."""
        ...

    async def trades(self, market: Market, symbol: str) -> Sequence[Trade]:
        """Our trades on `symbol`, oldest first."""
        ...

    async def ghosts(self) -> Sequence[OrderReport]:
        """Open orders with our prefix that no run of the journal gave."""
        ...


class Session(Protocol):
    """One life between two starts: everything that is thrown away when something breaks.

    Attributes:
        clock: market time: the recording's in Replay, the venue's otherwise.
        speed: market seconds for each second of real time; 0 is as fast as it can.
        is_recorded: whether the market has an end, and begins only when `prime` plays it.
        ghost_remedy: what a user can do about an open order that the journal does not know.
    """

    @property
    def mode(self) -> Mode: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def market(self) -> MarketData: ...
    @property
    def agents(self) -> Mapping[Market, DataAgent]:
        """Who asks each market's venue for public data; empty where none is asked."""
        ...

    @property
    def journal(self) -> Journal: ...
    @property
    def trader(self) -> Trader: ...
    @property
    def account(self) -> Account: ...
    @property
    def speed(self) -> float: ...
    @property
    def is_recorded(self) -> bool: ...
    @property
    def ghost_remedy(self) -> str: ...

    @property
    def progress(self) -> float | None:
        """The part of the recording that was played, 0 to 1; None without one."""
        ...

    @property
    def beat_ms(self) -> int:
        """The last sign of life, by the machine's clock."""
        ...

    @property
    def step_seconds(self) -> Sequence[float]:
        """How long the latest steps took."""
        ...

    def prices(self) -> Mapping[tuple[Market, str], Decimal]:
        """The last price of everything that has one; never waits."""
        ...

    def health(self) -> Mapping[Market, VenueHealth]:
        """How each market's venue does; never waits."""
        ...

    async def open(self) -> None:
        """Connect, so that recovery can read the venues; simulated ones are here already.

        Raises:
            ExchangeUnavailable, Conflict, LeaseHeld: it cannot be done, with the remedy.
        """
        ...

    async def prime(self) -> None:
        """Give a market that has never moved its first prices."""
        ...

    async def quote(self, market: Market, symbol: str) -> tuple[Instrument, Decimal]:
        """The rules and the last price that a grid on `symbol` would start with.

        Raises:
            NotFound: the venue has no such symbol, or no price of it.
            InvalidSpec: this engine has no account on that market.
            ExchangeUnavailable: the venue could not be asked.
        """
        ...

    async def fitted(self, spec: GridSpec) -> GridSpec:
        """`spec` with the fees and the leverage that this account really has.

        Raises:
            ExchangeUnavailable: the venue could not be asked.
        """
        ...

    async def prepare(self, spec: GridSpec) -> None:
        """Make the account trade `spec` under the settings that grids assume.

        Raises:
            Conflict: a setting is refused; with the remedy.
            ExchangeUnavailable: the venue could not be asked.
        """
        ...

    async def probe(self) -> Mapping[Market, Probe]:
        """Ask every market's venue for a sign of life; empty where none is asked."""
        ...

    async def settled(self) -> None:
        """Return when new orders may be made; `run` is running meanwhile.

        Raises:
            ExchangeUnavailable: a venue's streams do not become whole.
        """
        ...

    async def run(self) -> None:
        """Move the market, or follow it; returns only at a recording's end."""
        ...

    def save(self) -> None:
        """Keep the position of a recording that is interrupted."""
        ...

    async def close(self) -> None:
        """Let go of books and connections; everything in them is already durable."""
        ...
