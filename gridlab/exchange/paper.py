"""`PaperExchange`: the simulated venue behind the `Exchange` protocol, with durable books.

Every change is committed before anybody hears of it: book, disk, events, then the answer. No method
suspends, so a replay is the same in every run. Knows no bot and no journal: what it stores is the
venue's own memory, which recovery compares with the bot's.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, Trade
from gridlab.errors import BugError, StorageError
from gridlab.exchange.base import Outcome, Sink
from gridlab.exchange.paper_book import PaperBook
from gridlab.exchange.paper_queue import FillRule
from gridlab.exchange.paper_records import Record, Records

__all__ = ["FillRule", "PaperBook", "PaperExchange", "Record", "Records"]


class PaperExchange:
    """A `PaperBook` as a venue; satisfies `exchange.base.Exchange`.

    For a futures book use `paper_futures.PaperFutures`.

    Args:
        book: the account; for a durable venue from `PaperBook.restore(records.load(), ...)`.
        clock: the venue's time for orders and cancels.
        records: where the books are kept; None keeps them in memory only.
        cursor: further records for each transaction, such as the replay's position: what the venue
            has seen and where the recording stood are then one fact on disk.
    """

    market: Market = Market.SPOT
    unseen_horizon_ms: int = 0

    def __init__(
        self,
        book: PaperBook,
        clock: Clock,
        records: Records | None = None,
        *,
        cursor: Callable[[], list[Record]] | None = None,
    ) -> None:
        if book.market is not self.market:
            raise BugError(
                f"{type(self).__name__} is a venue of {self.market} and the book trades "
                f"{book.market}; PaperExchange takes a PaperBook, PaperFutures a FuturesBook"
            )
        if records is not None and not book.is_tracking:
            raise BugError(
                "a durable paper venue needs a book that tracks changes; restore() makes one"
            )
        self.book = book
        self._clock = clock
        self._records = records
        self._cursor = cursor
        self._sink: Sink | None = None
        self._has_failed = False

    def subscribe(self, sink: Sink) -> None:
        """Push every later event into `sink`, and no longer into the one before: one owner only."""
        self._sink = sink

    async def place(self, request: OrderRequest) -> Outcome:
        """Send one order.

        Raises:
            StorageError: the books could not be saved; nothing was told to anybody, and this
                object answers nothing any more.
        """
        self._check_usable()
        outcome = self.book.place(request, self._clock.now_ms())
        self._publish()
        return outcome

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        """End one order; raises `StorageError` as `place` does."""
        self._check_usable()
        outcome = self.book.cancel(symbol, client_id, self._clock.now_ms())
        self._publish()
        return outcome

    def expire(self, symbol: str, client_id: str) -> Outcome:
        """End one order of the venue's own accord; raises `StorageError` as `place` does."""
        self._check_usable()
        outcome = self.book.expire(symbol, client_id, self._clock.now_ms())
        self._publish()
        return outcome

    def amend(
        self,
        symbol: str,
        client_id: str,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        new_client_id: str | None = None,
    ) -> Outcome:
        """Change an open order as `PaperBook.amend` does; raises `StorageError` as `place` does."""
        self._check_usable()
        outcome = self.book.amend(
            symbol,
            client_id,
            self._clock.now_ms(),
            price=price,
            quantity=quantity,
            new_client_id=new_client_id,
        )
        self._publish()
        return outcome

    def fill_part(self, symbol: str, client_id: str, quantity: Decimal) -> Outcome:
        """Fill part of an open order at its own price; raises `StorageError` as `place` does."""
        self._check_usable()
        outcome = self.book.fill_part(symbol, client_id, quantity, self._clock.now_ms())
        self._publish()
        return outcome

    def transfer(self, asset: str, amount: Decimal) -> None:
        """Pay in, or out when negative.

        Raises:
            Conflict: more than is free is asked for.
            StorageError: as `place`.
        """
        self._check_usable()
        self.book.transfer(asset, amount, self._clock.now_ms())
        self._publish()

    def advance(
        self, symbol: str, to_price: Decimal, time_ms: int, volume: Decimal | None = None
    ) -> None:
        """Move the market as `PaperBook.walk` does; saved only if something was filled.

        Raises:
            StorageError: as `place`.
        """
        self._check_usable()
        self.book.walk(symbol, to_price, time_ms, volume)
        if self.book.has_changes:
            self._publish()
        else:
            self._push()

    def save(self) -> None:
        """Save the prices and the cursor although nothing happened; raises as `place`."""
        self._check_usable()
        self._publish()

    def print_trade(self, symbol: str, price: Decimal, quantity: Decimal, time_ms: int) -> None:
        """Match one trade of the market, as `PaperBook.print_trade` does."""
        self.advance(symbol, price, time_ms, quantity)

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        self._check_usable()
        return self.book.query(symbol, client_id)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        self._check_usable()
        return self.book.open_orders(symbol)

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        self._check_usable()
        return self.book.trades(symbol, after_id)

    async def balances(self) -> tuple[Balance, ...]:
        self._check_usable()
        return self.book.balances()

    async def instrument(self, symbol: str) -> Instrument:
        return self.book.instrument(symbol)

    def _publish(self) -> None:
        """Save, then tell.

        Refusals are saved too: the cursor and the last price go with them, so that a replay that
        starts again does not judge the same request at an earlier price.
        """
        if self._records is not None:
            records = self.book.take_changes()
            if self._cursor is not None:
                records += self._cursor()
            try:
                self._records.commit(records)
            except BaseException:
                # The book in memory is now ahead of the disk: nobody may see it.
                self._has_failed = True
                raise
        self._push()

    def _push(self) -> None:
        events = self.book.take_events()
        if self._sink is not None:
            for event in events:
                self._sink(event)

    def _check_usable(self) -> None:
        if self._has_failed:
            raise StorageError(
                "the paper venue could not save its books and answers nothing more; make room on "
                "the disk and start again"
            )
