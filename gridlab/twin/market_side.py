"""The public side of one market of the twin: its rules, prices, tape and book.

Reads only, but for what the venue notes here when something changed; also what streams are made
from (`stream_hub.MarketSource`). Knows no request and no socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import Side
from gridlab.errors import NotFound
from gridlab.exchange.paper import PaperExchange
from gridlab.twin import depth
from gridlab.twin.depth import Levels
from gridlab.twin.orders_log import OrdersLog
from gridlab.twin.stream_payloads import Bar, Day, Mark, Printed, Top
from gridlab.twin.tape import Tape
from gridlab.twin.widths import WIDTHS


class MarketSide:
    """What anybody may know of one market.

    Args:
        paper: the account and its matching engine, which knows prices and rules.
        tapes: the trades and candles of every symbol.
        clock: the venue's time.

    Attributes:
        mark_source: a futures symbol's mark price and funding; None on spot.
    """

    def __init__(self, paper: PaperExchange, tapes: Mapping[str, Tape], clock: Clock) -> None:
        self.paper = paper
        self.market: Market = paper.market
        self.mark_source: Callable[[str], Mark | None] | None = None
        self._tapes = dict(tapes)
        self._delisted: set[str] = set()
        self._clock = clock
        self._log = OrdersLog()
        self._book_ids = dict.fromkeys(tapes, 1)
        self._shown: dict[str, tuple[int, Levels, Levels]] = {}
        self._finest = {symbol: paper.book.instrument(symbol) for symbol in tapes}

    def now_ms(self) -> int:
        """The venue's time."""
        return self._clock.now_ms()

    def tape(self, symbol: str) -> Tape:
        """The public side of `symbol`; raises `NotFound`."""
        found = self._tapes.get(symbol)
        if found is None:
            raise NotFound(
                f"{symbol} is not listed on {self.market}; listed are {', '.join(self._tapes)}"
            )
        return found

    def price(self, symbol: str) -> Decimal:
        """The last price; raises `NotFound`."""
        price = self.paper.book.price(symbol)
        assert price is not None, "every symbol of the twin trades once when it opens"
        return price

    def trades(self, symbol: str) -> deque[Printed]:
        """The market's trades that are kept, oldest first."""
        return self.tape(symbol).trades

    # -- what streams are made from -------------------------------------------------------------

    def symbols(self) -> Iterable[str]:
        return tuple(symbol for symbol in self._tapes if self.has(symbol))

    def has(self, symbol: str) -> bool:
        return symbol in self._tapes and symbol not in self._delisted

    def instrument(self, symbol: str) -> Instrument:
        return self.paper.book.instrument(symbol)

    def finest(self, symbol: str) -> Instrument:
        """The rules with the finest steps there ever were: what numbers are written with.

        An order that rests since a finer tick fills at its own price, and is told exactly.
        """
        self.tape(symbol)
        return self._finest[symbol]

    def top(self, symbol: str) -> Top:
        """The best level of each side, made without the rest of the book."""
        instrument, last = self.instrument(symbol), self.price(symbol)
        orders = [order.report for order in self._log.open_orders(symbol)]
        bid = depth.top(instrument, last, Side.BUY, orders)
        ask = depth.top(instrument, last, Side.SELL, orders)
        return Top(self._book_ids[symbol], *bid, *ask)

    def book(self, symbol: str, count: int | None = None) -> tuple[int, Levels, Levels]:
        """(last update id, bids from the best down, asks from the best up).

        The lists stay the same objects while the id does, unless `count` cuts them; they are not
        to be changed.
        """
        number = self._book_ids[symbol]
        shown = self._shown.get(symbol)
        if shown is None or shown[0] != number:
            instrument, last = self.instrument(symbol), self.price(symbol)
            orders = [order.report for order in self._log.open_orders(symbol)]
            bids = depth.levels(instrument, last, Side.BUY, orders)
            asks = depth.levels(instrument, last, Side.SELL, orders)
            shown = self._shown[symbol] = (number, bids, asks)
        return shown if count is None else (number, shown[1][:count], shown[2][:count])

    def day(self, symbol: str) -> Day:
        return self.tape(symbol).day(self.now_ms())

    def bars(self, symbol: str, width: str, limit: int) -> Sequence[Bar]:
        """The last candles of a width such as 1m or 1w, the open one included."""
        return self.tape(symbol).bars(WIDTHS[width], self.now_ms(), limit)

    def average(self, symbol: str) -> tuple[Decimal, int]:
        return self.tape(symbol).average(self.now_ms())

    def mark(self, symbol: str) -> Mark | None:
        return None if self.mark_source is None else self.mark_source(symbol)

    def _note_rules(self, instrument: Instrument) -> None:
        """A symbol has other rules now."""
        before = self._finest[instrument.symbol]
        self._finest[instrument.symbol] = replace(
            instrument,
            tick_size=min(before.tick_size, instrument.tick_size),
            lot_size=min(before.lot_size, instrument.lot_size),
        )
        self._book_ids[instrument.symbol] += 1
