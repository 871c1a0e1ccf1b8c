"""`PaperFutures`: the simulated USD-M venue behind the `FuturesExchange` protocol.

What `PaperExchange` does for a book, with positions, their settings and funding. Every change is
committed before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from gridlab.clock import Clock
from gridlab.domain.account import MarginType, Position, PositionMode
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Market
from gridlab.errors import Conflict
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.paper_figures import PositionChange
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.exchange.paper_margin import Bracket
from gridlab.exchange.paper_records import Record, Records

__all__ = ["Bracket", "FuturesBook", "PaperFutures", "PositionSink"]

PositionSink: TypeAlias = Callable[[PositionChange], None]


class PaperFutures(PaperExchange):
    """A `FuturesBook` as a venue; satisfies `exchange.base.FuturesExchange`.

    Args: as `PaperExchange`. What grids assume of the account is `book.settings`.
    """

    market = Market.FUTURES
    book: FuturesBook

    def __init__(
        self,
        book: FuturesBook,
        clock: Clock,
        records: Records | None = None,
        *,
        cursor: Callable[[], list[Record]] | None = None,
    ) -> None:
        super().__init__(book, clock, records, cursor=cursor)
        self._position_sink: PositionSink | None = None

    def subscribe_positions(self, sink: PositionSink) -> None:
        """Push every later change of a position or wallet into `sink`, after the order events."""
        self._position_sink = sink

    # -- as every futures venue -----------------------------------------------------------------

    async def prepare(self, symbol: str) -> None:
        """Give `symbol` the leverage and margin type that grids assume.

        Raises:
            Conflict: the account is in hedge mode, or a setting cannot be changed now.
            StorageError: as `place`.
        """
        self._check_usable()
        settings, now_ms = self.book.settings, self._clock.now_ms()
        if self.book.position_mode is not settings.position_mode:
            raise Conflict(
                f"the account is in {self.book.position_mode} mode and grids trade in "
                f"{settings.position_mode} mode; switch it, with no order and no position open"
            )
        self.book.set_margin_type(symbol, settings.margin_type, now_ms)
        self.book.set_leverage(symbol, settings.leverage, now_ms)
        self._publish()

    async def mismatch(self, symbol: str) -> str:
        """How the account's settings differ from those assumed, in words; empty when they agree."""
        self._check_usable()
        settings, here = self.book.settings, self.book.position(symbol)
        pairs = (
            ("leverage", here.leverage, settings.leverage),
            ("margin type", here.margin_type, settings.margin_type),
            ("position mode", self.book.position_mode, settings.position_mode),
        )
        return "; ".join(
            f"{name} of {symbol} is {found} and {assumed} is assumed"
            for name, found, assumed in pairs
            if found != assumed
        )

    async def position(self, symbol: str) -> Position:
        self._check_usable()
        return self.book.position(symbol)

    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        self._check_usable()
        return self.book.funding(symbol, after_ms)

    # -- what only a simulated venue can be told --------------------------------------------------

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """As `FuturesBook.set_leverage`, saved; raises `StorageError` as `place`."""
        self._check_usable()
        self.book.set_leverage(symbol, leverage, self._clock.now_ms())
        self._publish()

    def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        """As `FuturesBook.set_margin_type`, saved; raises `StorageError` as `place`."""
        self._check_usable()
        self.book.set_margin_type(symbol, margin_type, self._clock.now_ms())
        self._publish()

    def set_position_mode(self, mode: PositionMode) -> None:
        """As `FuturesBook.set_position_mode`, saved; raises `StorageError` as `place`."""
        self._check_usable()
        self.book.set_position_mode(mode)
        self._publish()

    def move_margin(self, symbol: str, amount: Decimal) -> None:
        """As `FuturesBook.move_margin`, saved; raises `StorageError` as `place`."""
        self._check_usable()
        self.book.move_margin(symbol, amount, self._clock.now_ms())
        self._publish()

    def set_mark_price(self, symbol: str, price: Decimal | None) -> None:
        """As `FuturesBook.set_mark_price`, saved; raises `StorageError` as `place`."""
        self._check_usable()
        self.book.set_mark_price(symbol, price, self._clock.now_ms())
        self._publish()

    def pay_funding(
        self, symbol: str, rate: Decimal, funding_id: str, time_ms: int | None = None
    ) -> FundingPaid | None:
        """As `FuturesBook.pay_funding`, saved; raises `StorageError` as `place`.

        Args:
            time_ms: when it is booked; None for now.
        """
        self._check_usable()
        at_ms = self._clock.now_ms() if time_ms is None else time_ms
        paid = self.book.pay_funding(symbol, rate, at_ms, funding_id)
        self._publish()
        return paid

    def _push(self) -> None:
        super()._push()
        for change in self.book.take_position_changes():
            if self._position_sink is not None:
                self._position_sink(change)
