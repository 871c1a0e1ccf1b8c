"""A Binance account with its events: requests and user stream joined into a `LiveExchange`.

An event goes from the socket through the mapping into the owner's sink in one go. How far the
stream may be trusted is judged here: by its connection, and by what it should have said
(`missing`). When it fails either way, the connection is replaced and the owner told to catch up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from gridlab.clock import Clock, iso
from gridlab.domain.account import Position
from gridlab.domain.events import FundingPaid, OrderAccepted, OrderFilled
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, Trade
from gridlab.errors import BugError
from gridlab.exchange.base import (
    Accepted,
    Exchange,
    FuturesExchange,
    Outcome,
    Sink,
    StreamHealth,
    StreamState,
)
from gridlab.exchange.binance.events import venue_events
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.missing import Missing
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.binance.user_stream import FuturesUserStream, SpotUserStream, UserStream

log = logging.getLogger(__name__)

CHECK_EVERY_MS = 1_000
#: Account events after which the settings may not be those assumed, or the position is in danger.
_ALARMS = {
    "ACCOUNT_CONFIG_UPDATE": "the account's settings were changed",
    "MARGIN_CALL": "the venue calls for margin",
}

OnEvent: TypeAlias = Callable[[dict[str, Any]], None]
OnGap: TypeAlias = Callable[[str], None]
#: Makes the account's user stream, given who takes its events and its gaps.
MakeStream: TypeAlias = Callable[[OnEvent, OnGap], UserStream]


class Requests(Exchange, Protocol):
    """What is asked of the requests' side beside the protocol."""

    def learn(self, symbol: str, order_id: str, client_id: str) -> None: ...

    async def trade_floor(self, symbol: str, since_ms: int) -> int: ...


class FuturesRequests(Requests, FuturesExchange, Protocol):
    """The same on a futures market."""


class LiveVenue:
    """One market of a Binance account; satisfies `LiveExchange`.

    Args:
        requests: places, cancels and reads.
        make_stream: makes the user stream.
        banned_until_ms: until when the venue refuses every request; zero when it does not.
    """

    def __init__(
        self,
        requests: Requests,
        make_stream: MakeStream,
        banned_until_ms: Callable[[], int],
        clock: Clock,
    ) -> None:
        self.market: Market = requests.market
        self.unseen_horizon_ms: int = requests.unseen_horizon_ms
        self._requests = requests
        self._banned_until_ms = banned_until_ms
        self._clock = clock
        self._user = make_stream(self._on_event, self._on_stream_gap)
        self._missing = Missing(clock)
        self._sink: Sink | None = None
        self._on_gap: OnGap | None = None
        self._is_caught_up = False
        self._gap = "not opened yet"
        self._watcher: asyncio.Task[None] | None = None

    # --- the stream -------------------------------------------------------------------------------

    @property
    def health(self) -> StreamHealth:
        stream = self._user.stream
        banned_until_ms = self._banned_until_ms()
        if stream.state is not StreamState.CLOSED and banned_until_ms > self._clock.now_ms():
            words = f"the venue refuses every request until {iso(banned_until_ms)}"
            return StreamHealth(StreamState.BANNED, words, stream.heard_ms)
        if stream.state is StreamState.READY and not self._is_caught_up:
            return StreamHealth(StreamState.CATCHING_UP, self._gap, stream.heard_ms)
        return StreamHealth(stream.state, stream.reason, stream.heard_ms)

    async def open(self, on_gap: OnGap) -> None:
        """Connect and keep connected; returns when events flow.

        Raises:
            ExchangeUnavailable: no connection, or the keys are refused.
            BugError: it is open already.
        """
        if self._watcher is not None:
            raise BugError(f"the {self.market} venue is opened twice")
        self._on_gap = on_gap
        await self._user.open()
        self._watcher = asyncio.create_task(self._watch(), name=f"{self.market} venue watcher")

    def caught_up(self) -> None:
        """The owner has read everything since the last gap; nothing to say while it is cut off."""
        if self._user.stream.is_up:
            self._is_caught_up = True

    async def close(self) -> None:
        """End every connection; open orders stay at the venue."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._user.close()

    def subscribe(self, sink: Sink) -> None:
        """Push every later event into `sink`, and no longer into the one before."""
        self._sink = sink
        self._requests.subscribe(sink)

    def _on_event(self, payload: dict[str, Any]) -> None:
        """The shortest way: map, hand over; what is only bookkeeping comes after."""
        events = venue_events(payload, self.market)
        if self._sink is not None:
            for event in events:
                self._sink(event)
        for event in events:
            self._missing.told(event)
            if isinstance(event, OrderFilled):
                trade = event.trade
                self._requests.learn(trade.symbol, trade.order_id, trade.client_id)
            elif isinstance(event, OrderAccepted):
                symbol = str(payload["o"]["s"] if self._is_futures else payload["s"])
                self._requests.learn(symbol, event.order_id, event.client_id)
        words = "" if events else _ALARMS.get(str(payload.get("e")), "")
        if words and self._on_gap is not None:
            self._on_gap(words)  # nothing was missed, but the account is to be read again now

    @property
    def _is_futures(self) -> bool:
        return self.market is Market.FUTURES

    def _on_stream_gap(self, reason: str) -> None:
        self._is_caught_up = False
        self._gap = reason
        self._missing.forgive()
        if self._on_gap is not None:
            self._on_gap(reason)

    async def _watch(self) -> None:
        """Give the connection up when it owes events; a new one begins with a catch-up."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + CHECK_EVERY_MS)
            if self._user.stream.is_up and (words := self._missing.overdue()):
                self._missing.forgive()
                self._user.stream.give_up(words)

    # --- requests ---------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Outcome:
        outcome = await self._requests.place(request)
        if isinstance(outcome, Accepted):
            self._missing.owes_order(request.client_id)
        return outcome

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        outcome = await self._requests.cancel(symbol, client_id)
        if isinstance(outcome, Accepted):
            self._missing.owes_end(client_id)
        return outcome

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        return await self._requests.query(symbol, client_id)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        return await self._requests.open_orders(symbol)

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        trades = await self._requests.trades(symbol, after_id)
        if self._user.stream.is_up:
            self._missing.owes_trades(trades, self._user.stream.up_ms)
        return trades

    async def trade_floor(self, symbol: str, since_ms: int) -> int:
        """The id of the account's last trade on `symbol` before `since_ms`; -1 without one."""
        return await self._requests.trade_floor(symbol, since_ms)

    async def balances(self) -> tuple[Balance, ...]:
        return await self._requests.balances()

    async def instrument(self, symbol: str) -> Instrument:
        return await self._requests.instrument(symbol)


class LiveFuturesVenue(LiveVenue):
    """The futures market of a Binance account; satisfies `FuturesExchange` too."""

    def __init__(
        self,
        requests: FuturesRequests,
        make_stream: MakeStream,
        banned_until_ms: Callable[[], int],
        clock: Clock,
    ) -> None:
        super().__init__(requests, make_stream, banned_until_ms, clock)
        self._futures = requests

    async def prepare(self, symbol: str) -> None:
        await self._futures.prepare(symbol)

    async def mismatch(self, symbol: str) -> str:
        return await self._futures.mismatch(symbol)

    async def position(self, symbol: str) -> Position:
        return await self._futures.position(symbol)

    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        return await self._futures.funding(symbol, after_ms)


def spot_venue(requests: BinanceSpot, transport: SignedTransport, clock: Clock) -> LiveVenue:
    """The spot account behind `requests`, with its events."""

    def make(on_event: OnEvent, on_gap: OnGap) -> UserStream:
        return SpotUserStream(transport, on_event, on_gap, clock)

    return LiveVenue(requests, make, lambda: transport.banned_until_ms(Market.SPOT), clock)


def futures_venue(
    requests: BinanceFutures, transport: SignedTransport, clock: Clock
) -> LiveFuturesVenue:
    """The USD-M futures account behind `requests`, with its events."""

    def make(on_event: OnEvent, on_gap: OnGap) -> UserStream:
        return FuturesUserStream(requests, transport.endpoints, on_event, on_gap, clock)

    return LiveFuturesVenue(
        requests, make, lambda: transport.banned_until_ms(Market.FUTURES), clock
    )
