"""Shadow: the real market's trades, printed one by one into paper venues.

What our simulated orders meet is what really traded. Trades carry ids that rise by one for each
symbol; where ids are missing (a reconnection, a slow moment), the missing trades are read by
request and printed in their place, so that no print is lost and none comes twice. What happened
while the process was down is not read: the first trade after it moves the paper market in one go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable

log = logging.getLogger(__name__)

#: Trades that are read back at most; a longer gap is crossed in one move and said in the log.
LONGEST_GAP = 50_000
PAGE = 1_000
PAUSE_MS = 2_000


class MarketTrade(Protocol):
    """One trade of the market."""

    @property
    def symbol(self) -> str: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def time_ms(self) -> int: ...
    @property
    def trade_id(self) -> int: ...


class TradeStream(Protocol):
    """Who tells of trades; `exchange.binance.market_stream.MarketStream` is one."""

    def listen(
        self,
        on_tick: Callable[[MarketTrade], None],
        on_gap: Callable[[str], None] | None = None,
    ) -> None: ...


class TradeHistory(Protocol):
    """Who can be asked for trades that were missed."""

    async def agg_trades(self, symbol: str, from_id: int, limit: int) -> Sequence[MarketTrade]:
        """Trades with an id of at least `from_id`, oldest first; raises `ExchangeUnavailable`."""
        ...


class PaperVenue(Protocol):
    """Where trades are printed; `exchange.paper.PaperExchange` is one."""

    def print_trade(self, symbol: str, price: Decimal, quantity: Decimal, time_ms: int) -> None: ...


class Shadow:
    """Prints one market's trades into its paper venue.

    Attributes:
        printed: trades printed so far.
        recovered: those of them that had to be read back.
        skipped: trades that a gap too long to be read has swallowed.
    """

    def __init__(
        self,
        market: Market,
        stream: TradeStream,
        history: TradeHistory,
        venue: PaperVenue,
        clock: Clock,
    ) -> None:
        self.market = market
        self.printed = 0
        self.recovered = 0
        self.skipped = 0
        self._history = history
        self._venue = venue
        self._clock = clock
        self._next_ids: dict[str, int] = {}
        self._waiting: dict[str, deque[MarketTrade]] = {}
        self._reconnected: set[str] = set()
        self._wake = asyncio.Event()
        stream.listen(self.on_trade, self._on_gap)

    def on_trade(self, trade: MarketTrade) -> None:
        """Print a trade, or keep it until those before it are here; repeats are passed over."""
        waiting = self._waiting.get(trade.symbol)
        if waiting is not None:
            waiting.append(trade)
            return
        expected = self._next_ids.get(trade.symbol, trade.trade_id)
        if trade.symbol in self._reconnected:
            self._reconnected.discard(trade.symbol)
            if trade.trade_id < expected - 1:
                log.warning("%s: the venue counts its trades anew", trade.symbol)
                expected = self._next_ids[trade.symbol] = trade.trade_id
        if trade.trade_id <= expected:
            if trade.trade_id == expected:
                self._print(trade)
            return
        # What falls out of a full queue is read by request like the rest of the gap.
        self._waiting[trade.symbol] = deque([trade], maxlen=LONGEST_GAP)
        self._wake.set()

    def forget(self, symbol: str) -> None:
        """Take the next trade of `symbol` for the first: what came before it is not wanted."""
        self._next_ids.pop(symbol, None)
        self._waiting.pop(symbol, None)
        self._reconnected.discard(symbol)

    def _on_gap(self, reason: str) -> None:
        """After a reconnection a lower id is no repeat: a test venue may have begun anew."""
        self._reconnected.update(self._next_ids)

    async def run(self) -> None:
        """Close gaps until cancelled; raises what the venue raises when it cannot save."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for symbol in tuple(self._waiting):
                try:
                    await self._close_gap(symbol)
                except ExchangeUnavailable as error:
                    log.warning("missed trades of %s are asked for again: %s", symbol, error)
                    await self._clock.sleep_until(self._clock.now_ms() + PAUSE_MS)
                    self._wake.set()

    async def _close_gap(self, symbol: str) -> None:
        """Read and print what is missing before the first waiting trade, then what waited."""
        waiting = self._waiting.get(symbol)
        while waiting and self._waiting.get(symbol) is waiting:
            first_id, expected = waiting[0].trade_id, self._next_ids[symbol]
            if first_id <= expected:
                trade = waiting.popleft()
                if first_id == expected:
                    self._print(trade)
                continue
            if first_id - expected > LONGEST_GAP:
                log.error("%s: %s trades were missed and are skipped", symbol, first_id - expected)
                self.skipped += first_id - expected
                self._next_ids[symbol] = first_id
                continue
            page = await self._history.agg_trades(symbol, expected, PAGE)
            if self._waiting.get(symbol) is waiting:  # it was not forgotten meanwhile
                self._print_page(symbol, page, first_id)
        if not self._waiting.get(symbol):
            self._waiting.pop(symbol, None)

    def _print_page(self, symbol: str, page: Sequence[MarketTrade], before_id: int) -> None:
        """Print the missing trades of one answer; ids that the venue never gave are stepped over.

        Raises:
            ExchangeUnavailable: the answer holds nothing that is missing.
        """
        expected = self._next_ids[symbol]
        missing = [trade for trade in page if expected <= trade.trade_id < before_id]
        if not missing:
            if page and page[0].trade_id >= before_id:
                self._next_ids[symbol] = before_id
                return
            raise ExchangeUnavailable(f"{symbol}: trades from id {expected} are not to be had yet")
        for trade in missing:
            self._next_ids[symbol] = trade.trade_id
            self._print(trade)
        self.recovered += len(missing)

    def _print(self, trade: MarketTrade) -> None:
        self._venue.print_trade(trade.symbol, trade.price, trade.quantity, trade.time_ms)
        self._next_ids[trade.symbol] = trade.trade_id + 1
        self.printed += 1
