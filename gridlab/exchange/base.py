"""The `Exchange` protocol: what the trader may ask of any venue, and the three answers it gets.

A request that changes something is ACCEPTED, REJECTED or UNKNOWN (law 2); it never raises for what
a venue or a network does. A read either answers or raises `ExchangeUnavailable`, having changed
nothing. Venue events (acknowledgements, fills, ends) are pushed into the sink that the trader
subscribed; a sink only queues, so a venue may call it from anywhere in its own work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from gridlab.domain.account import Position
from gridlab.domain.events import FundingPaid, OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, Instrument, Interval, Kline, Market, Ticker
from gridlab.domain.orders import OrderReport, OrderRequest, Trade

T = TypeVar("T")


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
    INVALID_SYMBOL = "invalid_symbol"
    MARGIN = "insufficient_margin"
    REDUCE_ONLY = "reduce_only"
    TOO_MANY_ORDERS = "too_many_orders"
    CLOCK = "outside_recv_window"
    PERMISSION = "permission"
    POSITION_MODE = "position_mode"
    LIQUIDATION = "in_liquidation"
    NOT_SENT = "not_sent"  # by ourselves; it never left this machine


VenueEvent: TypeAlias = OrderAccepted | OrderFilled | OrderEnded
Sink: TypeAlias = Callable[[VenueEvent], None]


class Exchange(Protocol):
    """One account on one market of one venue.

    Whatever is read raises `ExchangeUnavailable` when the venue gives no usable answer, as its
    kind `VenueAway` when that holds for every question, and `NotFound` when it is about a symbol
    that the venue does not list, or no longer.

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
        """What the venue knows of this id; None when it never saw it, or has forgotten it."""
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


@runtime_checkable
class FuturesExchange(Exchange, Protocol):
    """An `Exchange` on a futures market: positions, their settings, and funding."""

    async def prepare(self, symbol: str) -> None:
        """Make the account trade `symbol` under the settings that grids assume.

        Sets leverage and margin type; to be asked before the first order of a grid.

        Raises:
            Conflict: the account is in hedge mode, or the venue refuses a setting; with the remedy.
            ExchangeUnavailable: the venue could not be asked.
        """
        ...

    async def mismatch(self, symbol: str) -> str:
        """How the account's settings differ from those assumed, in words; empty when they agree."""
        ...

    async def position(self, symbol: str) -> Position:
        """The net position, its quantity zero when there is none."""
        ...

    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        """Funding booked on `symbol` after that moment, oldest first."""
        ...


class StreamState(StrEnum):
    """How much a live venue's event stream can be trusted."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"  # events flow again; what was missed is not read yet
    READY = "ready"
    STALE = "stale"  # silent for too long
    BANNED = "banned"  # the venue refuses every request until a stated time
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """A stream's state, why it is in it, and when it last said anything."""

    state: StreamState
    reason: str
    last_message_ms: int

    @property
    def is_ready(self) -> bool:
        return self.state is StreamState.READY


@runtime_checkable
class LiveExchange(Exchange, Protocol):
    """An `Exchange` whose events come over a network and can be missed."""

    @property
    def health(self) -> StreamHealth: ...

    async def open(self, on_gap: Callable[[str], None]) -> None:
        """Connect and keep connected; returns when events flow.

        `on_gap(reason)` is called whenever events may have been missed, the first connection
        included. The stream is READY only after `caught_up`.

        Raises:
            ExchangeUnavailable: no connection, or the keys are refused.
        """
        ...

    def caught_up(self) -> None:
        """The owner has read everything since the last gap from the venue."""
        ...

    async def close(self) -> None:
        """End every connection; open orders stay at the venue."""
        ...


@dataclass(frozen=True, slots=True)
class Price:
    """A last price and when it was true."""

    value: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """A value, and how far it speaks of now.

    Args:
        age_ms: how long ago its request left; 0 for what a recording shows at its own present.
        is_stale: it is older than its kind may be, and may be shown only with that label.
    """

    value: T
    age_ms: int
    is_stale: bool


def joined(parts: Sequence[Dated[T]]) -> Dated[tuple[T, ...]]:
    """Several values as one: as old as the oldest of them, stale if any of them is.

    >>> joined([Dated("a", 5, False), Dated("b", 70, True)])
    Dated(value=('a', 'b'), age_ms=70, is_stale=True)
    """
    return Dated(
        tuple(part.value for part in parts),
        max((part.age_ms for part in parts), default=0),
        any(part.is_stale for part in parts),
    )


class MarketData(Protocol):
    """Prices, from a recording or from a venue. Synchronous: readers see what is already here.

    The `dated_*` forms are for whoever passes a value on with a label; the plain ones are the same
    values without it.
    """

    def symbols(self, market: Market) -> tuple[str, ...]:
        """Symbols that have a price now, sorted."""
        ...

    def price(self, market: Market, symbol: str) -> Price:
        """The last price and its time; raises `NotFound`."""
        ...

    def dated_price(self, market: Market, symbol: str) -> Dated[Decimal]:
        """`price` with its age; raises `NotFound`."""
        ...

    def ticker(self, market: Market, symbol: str) -> Ticker:
        """The rolling 24 h window that ends now; raises `NotFound`."""
        ...

    def klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> tuple[Kline, ...]:
        """The last `limit` candles or fewer, oldest first, the open one included."""
        ...

    def dated_tickers(self, market: Market, symbols: Sequence[str]) -> Dated[tuple[Ticker, ...]]:
        """The 24 h windows in the order asked, as old as the oldest; raises `NotFound`."""
        ...

    def dated_klines(
        self, market: Market, symbol: str, interval: Interval, limit: int
    ) -> Dated[tuple[Kline, ...]]:
        """`klines` with their age."""
        ...

    def instrument(self, market: Market, symbol: str) -> Instrument:
        """The rules of `symbol`; raises `NotFound`."""
        ...
