"""Several paper books in one store: whatever one of them saves, all of them save.

Spot and futures are two books, and a replay has one position in each recording. Only when all of
that is one transaction does a killed replay go on exactly where it was: a book that was saved
later than the other would meet prices that the other has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gridlab.domain.market import Market
from gridlab.exchange.paper import PaperBook, Record, Records
from gridlab.exchange.paper_records import PRICE

#: What stands before a record's kind; spot has nothing, as in stores that hold spot alone.
_PREFIX = {Market.SPOT: "", Market.FUTURES: "futures."}


@dataclass(frozen=True, slots=True)
class _Member:
    book: PaperBook
    cursor: Callable[[], list[Record]]


class SharedBooks:
    """One store for the books of several markets.

    Args:
        records: where everything lies.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._stored = list(records.load())
        self._members: dict[Market, _Member] = {}

    def stored(self, market: Market) -> list[Record]:
        """The records of one market, as its book wrote them."""
        prefix, others = _PREFIX[market], [p for p in _PREFIX.values() if p]
        return [
            (kind.removeprefix(prefix), key, payload)
            for kind, key, payload in self._stored
            if (kind.startswith(prefix) if prefix else not kind.startswith(tuple(others)))
        ]

    def symbols(self, market: Market) -> tuple[str, ...]:
        """The symbols of which one market's records speak; each has a price there first."""
        return tuple(key for kind, key, _ in self.stored(market) if kind == PRICE)

    def join(self, market: Market, book: PaperBook, cursor: Callable[[], list[Record]]) -> None:
        """Save `book` and what `cursor` gives with every transaction from now on."""
        self._members[market] = _Member(book, cursor)

    def of(self, market: Market) -> _Share:
        """The store as one market's venue sees it."""
        return _Share(self, market)

    def commit(self, market: Market, records: Iterable[Record]) -> None:
        """One transaction of `records` of `market` and everything that the others have changed.

        Raises:
            StorageError: nothing was written, and no member may go on.
        """
        batch = _named(market, records)
        for where, member in self._members.items():
            if where is not market:
                batch += _named(where, member.book.take_changes())
            batch += _named(where, member.cursor())
        self._records.commit(batch)


class _Share:
    """One market's part of the store; satisfies `exchange.paper_records.Records`."""

    def __init__(self, books: SharedBooks, market: Market) -> None:
        self._books = books
        self._market = market

    def load(self) -> Iterable[Record]:
        return self._books.stored(self._market)

    def commit(self, records: Iterable[Record]) -> None:
        self._books.commit(self._market, records)


def _named(market: Market, records: Iterable[Record]) -> list[Record]:
    prefix = _PREFIX[market]
    return [(prefix + kind, key, payload) for kind, key, payload in records]
