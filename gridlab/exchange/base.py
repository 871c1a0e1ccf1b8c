"""The `Exchange` protocol: what the trader may ask of any venue, and the three answers it gets.

A request that changes something is ACCEPTED, REJECTED or UNKNOWN (law 2); it never raises for what
a venue or a network does. A read either answers or raises `ExchangeUnavailable`, having changed
nothing. Venue events (acknowledgements, fills, ends) are pushed into the sink that the trader
subscribed; a sink only queues, so a venue may call it from anywhere in its own work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, Instrument, Interval, Kline, Market, Ticker
from gridlab.domain.orders import OrderReport, OrderRequest, Trade


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue did it. For an order that traded at once, `report` already shows that."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused, for good. `code` is one of `RejectCode`'s values or the venue's own."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer that decides. The request may have been carried out, may yet be, or never was."""

    reason: str


Outcome: TypeAlias = Accepted | Rejected | Unknown


class RejectCode:
    """Stable names for the refusals that the core or the trader react to."""

    INSUFFICIENT_BALANCE = "insufficient_balance"
    WOULD_TAKE = "would_take"
    DUPLICATE = "duplicate_client_id"
    FILTER = "filter"
    NOT_OPEN = "not_open"
    MARKET_CLOSED = "market_closed"


VenueEvent: TypeAlias = OrderAccepted | OrderFilled | OrderEnded
Sink: TypeAlias = Callable[[VenueEvent], None]


class Exchange(Protocol):
    """One account on one market of one venue.

    Attributes:
        unseen_horizon_ms: how long after sending an unseen request can still take effect. Zero
            for a venue inside this process; `recvWindow + 10 s` for Binance.
    """

    market: Market
    unseen_horizon_ms: int

    def subscribe(self, sink: Sink) -> None:
        """Push every later event of this account into `sink`."""
        ...

    async def place(self, request: OrderRequest) -> Outcome:
        """Send one order."""
        ...

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        """End one order; `NOT_OPEN` when the venue holds no such open order."""
        ...

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        """What the venue knows of this id; None when it says that it never saw it."""
        ...

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Every open order of the account on `symbol`, other people's included, oldest first."""
        ...

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        """The account's trades on `symbol` with `trade_id > after_id`, oldest first."""
        ...

    async def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name."""
        ...

    async def instrument(self, symbol: str) -> Instrument:
        """The rules of `symbol` as they are now; raises `NotFound` when the venue has none."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """A last price and when it was true."""

    value: Decimal
    time_ms: int


class MarketData(Protocol):
    """Prices, from a recording or from a venue. Synchronous: readers see what is already here."""

    def symbols(self, market: Market) -> tuple[str, ...]:
        """Symbols that have a price now, sorted."""
        ...

    def price(self, market: Market, symbol: str) -> Price:
        """The last price and its time; raises `NotFound`."""
        ...

    def ticker(self, market: Market, symbol: str) -> Ticker:
        """The rolling 24 h window that ends now; raises `NotFound`."""
        ...

    def klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> tuple[Kline, ...]:
        """The last `limit` candles or fewer, oldest first, the open one included."""
        ...

    def instrument(self, market: Market, symbol: str) -> Instrument:
        """The rules of `symbol`; raises `NotFound`."""
        ...
