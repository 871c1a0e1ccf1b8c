"""Pages of records: what was found, and where the next page begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from gridlab.errors import InvalidInput

Cursor = TypeVar("Cursor")
Item = TypeVar("Item")

#: How an `OrderCursor` is written.
ORDER_CURSOR: Final = r"[0-9]{1,15}(\.[0-9]{1,15})?"


class OrderCursor(NamedTuple):
    """A place in the list of one market's orders, to which new ones are only ever added at the end.

    A venue's own ids give no such order: Binance counts them for each symbol apart, and what was
    created first may be told last.

    Attributes:
        position: the entry of the journal in which the order got the venue's id, or after which it
            was first seen where it is not ours; a paper venue's own order id.
        seen_ms: when an order that is not ours was first seen; 0 for one of ours.
    """

    position: int = 0
    seen_ms: int = 0

    @classmethod
    def parse(cls, written: str) -> OrderCursor:
        """The cursor that `str` wrote.

        Raises:
            InvalidInput: no cursor looks like that.
        """
        if not re.fullmatch(ORDER_CURSOR, written, re.ASCII):
            raise InvalidInput(
                f"cursor is {written!r}; give the next_cursor of an earlier page, or 0 to begin"
            )
        return cls(*map(int, written.split(".")))

    def __str__(self) -> str:
        return f"{self.position}.{self.seen_ms}" if self.seen_ms else str(self.position)


#: Before every order.
BEGINNING: Final = OrderCursor()


@dataclass(frozen=True)
class Page(Generic[Cursor, Item]):
    """Some records in their order, each with its cursor.

    A page may be short or empty although there is more: one request looks at so many records and
    no further, however few of them are wanted.

    Args:
        next_cursor: what the next page begins after, also when there is nothing more yet.
        has_more: whether there may be more now.
    """

    items: tuple[tuple[Cursor, Item], ...]
    next_cursor: Cursor
    has_more: bool

    def first(self, count: int) -> Page[Cursor, Item]:
        """The page cut after `count` items, of which there must be one."""
        if count >= len(self.items):
            return self
        return Page(self.items[:count], self.items[count - 1][0], has_more=True)
