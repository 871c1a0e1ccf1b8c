"""What a user stream has told, and what it still owes.

A stream can be up, answer pings and tell nothing. What REST answers shows it: an order that was
accepted, a cancel that was done, a trade that stands in the account's history must come by the
stream too. What does not come in time is overdue. Knows no socket and no order logic.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeAlias

from gridlab.clock import Clock
from gridlab.domain.events import OrderEnded, OrderFilled
from gridlab.domain.orders import Trade
from gridlab.exchange.base import VenueEvent

#: How long the stream may lag behind an answer before it counts as missing it.
MISSING_AFTER_MS = 5_000
#: Things told that are remembered: an event may come before the answer that makes it owed.
REMEMBERED = 10_000
#: Clocks of venue and machine agree to a second; trades so near to the beginning prove nothing.
MARGIN_MS = 2_000

_Key: TypeAlias = tuple[str, str]


class Missing:
    """Compares what was answered with what was told."""

    def __init__(self, clock: Clock, *, after_ms: int = MISSING_AFTER_MS) -> None:
        self._clock = clock
        self._after_ms = after_ms
        self._told: OrderedDict[_Key, None] = OrderedDict()
        self._due_ms: dict[_Key, int] = {}

    def told(self, event: VenueEvent) -> None:
        """The stream told `event`."""
        if isinstance(event, OrderFilled):
            self._note(("trade", f"{event.trade.symbol}:{event.trade.trade_id}"))
            self._note(("order", event.trade.client_id))
            return
        self._note(("order", event.client_id))
        if isinstance(event, OrderEnded):
            self._note(("end of order", event.client_id))

    def owes_order(self, client_id: str) -> None:
        """The venue answered that it has accepted this order."""
        self._owes(("order", client_id))

    def owes_end(self, client_id: str) -> None:
        """The venue answered that it has cancelled this order."""
        self._owes(("end of order", client_id))

    def owes_trades(self, trades: Iterable[Trade], since_ms: int) -> None:
        """The account's history has these trades; those after `since_ms` were to be told."""
        for trade in trades:
            if trade.time_ms > since_ms + MARGIN_MS:
                self._owes(("trade", f"{trade.symbol}:{trade.trade_id}"))

    def overdue(self) -> str:
        """What should have been told long ago, in words; empty when nothing is."""
        now_ms = self._clock.now_ms()
        late = [key for key, due_ms in self._due_ms.items() if due_ms <= now_ms]
        if not late:
            return ""
        kind, name = late[0]
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        return f"no event of {kind} {name}{more} within {self._after_ms // 1000} s of its answer"

    def forgive(self) -> None:
        """Begin anew, after a gap: what was owed has been read by REST, or will be."""
        self._due_ms.clear()

    def _note(self, key: _Key) -> None:
        self._due_ms.pop(key, None)
        self._told[key] = None
        self._told.move_to_end(key)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _owes(self, key: _Key) -> None:
        if key not in self._told:
            self._due_ms.setdefault(key, self._clock.now_ms() + self._after_ms)
