"""The life of one order, as a table.

What the bot knows of an order is one of seven states. A *signal* is what an event says about it.
The table below is the whole theory: a pair that is missing from it is a contradiction (the venue
rejected an order that it had accepted; an order proven absent trades), and raises, which halts the
grid.

Two facts shape it. Messages arrive late, twice and in any order, so a fill may precede the
acknowledgement and an end may precede its fills. And UNKNOWN is left only by proof: an answer of
the venue, or `ABSENT` from the resolver (law 2); never by time alone.

An order is *settled* when nothing more can come of it: every trade that the venue says it had has
been booked. Only then may its slot place another one.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from gridlab.domain.orders import OrderRequest, Trade
from gridlab.errors import InvariantError, LifecycleError
from gridlab.money import ZERO, text


class OrderState(StrEnum):
    SUBMITTED = "submitted"  # journalled; the request may or may not have left
    UNKNOWN = "unknown"  # it left, and its fate is being looked up
    OPEN = "open"  # the venue has it
    ENDED = "ended"  # filled, cancelled or expired; trades of it may still be on their way
    REJECTED = "rejected"  # the venue refused it
    ABSENT = "absent"  # it never arrived and no longer can


class Signal(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    LOSE = "lose"
    PROVE_ABSENT = "prove_absent"
    FILL = "fill"
    END = "end"


_S, _G = OrderState, Signal

TRANSITIONS: dict[tuple[OrderState, Signal], OrderState] = {
    (_S.SUBMITTED, _G.ACCEPT): _S.OPEN,
    (_S.SUBMITTED, _G.REJECT): _S.REJECTED,
    (_S.SUBMITTED, _G.LOSE): _S.UNKNOWN,
    (_S.SUBMITTED, _G.FILL): _S.OPEN,
    (_S.SUBMITTED, _G.END): _S.ENDED,
    (_S.UNKNOWN, _G.ACCEPT): _S.OPEN,
    (_S.UNKNOWN, _G.REJECT): _S.REJECTED,
    (_S.UNKNOWN, _G.LOSE): _S.UNKNOWN,
    (_S.UNKNOWN, _G.PROVE_ABSENT): _S.ABSENT,
    (_S.UNKNOWN, _G.FILL): _S.OPEN,
    (_S.UNKNOWN, _G.END): _S.ENDED,
    (_S.OPEN, _G.ACCEPT): _S.OPEN,
    (_S.OPEN, _G.LOSE): _S.OPEN,
    (_S.OPEN, _G.FILL): _S.OPEN,
    (_S.OPEN, _G.END): _S.ENDED,
    (_S.ENDED, _G.ACCEPT): _S.ENDED,
    (_S.ENDED, _G.LOSE): _S.ENDED,
    (_S.ENDED, _G.FILL): _S.ENDED,
    (_S.ENDED, _G.END): _S.ENDED,
    (_S.REJECTED, _G.REJECT): _S.REJECTED,
    (_S.REJECTED, _G.LOSE): _S.REJECTED,
    (_S.ABSENT, _G.PROVE_ABSENT): _S.ABSENT,
    (_S.ABSENT, _G.LOSE): _S.ABSENT,
}


class Order:
    """What the bot knows of one order that it placed.

    Attributes:
        executed: the venue's final traded quantity once the order has ended, else None.
        filled: the sum of the trades booked so far.
    """

    __slots__ = (
        "executed",
        "filled",
        "order_id",
        "reason",
        "request",
        "state",
        "time_ms",
        "trades",
    )

    def __init__(self, request: OrderRequest, time_ms: int) -> None:
        self.request = request
        self.time_ms = time_ms
        self.state = OrderState.SUBMITTED
        self.order_id = ""
        self.reason = ""
        self.filled = ZERO
        self.executed: Decimal | None = None
        self.trades: set[int] = set()

    @property
    def client_id(self) -> str:
        return self.request.client_id

    @property
    def remaining(self) -> Decimal:
        return self.request.quantity - self.filled

    @property
    def is_settled(self) -> bool:
        """Whether nothing more can come of this order."""
        if self.state in (OrderState.REJECTED, OrderState.ABSENT):
            return True
        return self.filled == (self.request.quantity if self.executed is None else self.executed)

    @property
    def may_be_live(self) -> bool:
        """Whether the venue may hold it open, as far as the bot knows."""
        return self.state in (OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.OPEN)

    def signal(self, signal: Signal) -> None:
        """Move along the table.

        Raises:
            LifecycleError: the table has no such step.
        """
        try:
            self.state = TRANSITIONS[self.state, signal]
        except KeyError:
            raise LifecycleError(
                f"order {self.client_id} is {self.state} and was told to {signal}; the venue "
                "contradicts itself, so the grid halts and keeps its journal"
            ) from None

    def book(self, trade: Trade) -> bool:
        """Add a trade; False when it was already booked.

        Raises:
            InvariantError: the trades exceed the order.
        """
        if trade.trade_id in self.trades:
            return False
        self.signal(Signal.FILL)
        self.trades.add(trade.trade_id)
        self.filled += trade.quantity
        self._check_quantity()
        return True

    def end(self, executed: Decimal) -> None:
        """The venue ended the order after `executed` base units in all."""
        self.signal(Signal.END)
        if self.executed is not None and self.executed != executed:
            raise InvariantError(
                f"order {self.client_id} ended with {text(self.executed)} executed, and later with "
                f"{text(executed)}"
            )
        self.executed = executed
        self._check_quantity()

    def _check_quantity(self) -> None:
        limit = self.request.quantity if self.executed is None else self.executed
        if self.filled > limit or limit > self.request.quantity:
            raise InvariantError(
                f"order {self.client_id} of {text(self.request.quantity)} has trades of "
                f"{text(self.filled)} and {text(limit)} executed; no order trades more than it asks"
            )
