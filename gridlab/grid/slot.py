"""One slot: an interval between neighbouring lines, with at most one possibly-live order.

A slot that holds quote buys at its lower line; a slot that holds base sells at its upper line. What
to place next is a pure function of the slot, the plan and the venue's rules.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.grid.guards import smallest_quantity
from gridlab.grid.ledger import Lots
from gridlab.grid.lifecycle import Order
from gridlab.money import ZERO, ceil_to, floor_to


class Slot:
    """Interval `index` of a grid.

    Attributes:
        side: what the slot wants next: BUY at `lower`, or SELL at `upper`.
        cycle: rises when the side flips; with `attempt` it makes client ids unique.
        bought: base units that the present buy cycle has already brought in.
        lots: base that the slot may sell; `dust`: base too small to sell, kept for the next sale.
        vacancy: why the slot has no order; empty while it has one.
    """

    __slots__ = (
        "attempt",
        "bought",
        "cycle",
        "dust",
        "index",
        "lots",
        "lower",
        "order",
        "side",
        "upper",
        "vacancy",
    )

    def __init__(self, index: int, lower: Decimal, upper: Decimal, side: Side) -> None:
        self.index = index
        self.lower = lower
        self.upper = upper
        self.side = side
        self.cycle = 0
        self.attempt = 0
        self.bought = ZERO
        self.order: Order | None = None
        self.lots = Lots()
        self.dust = Lots()
        self.vacancy = "waiting for the initial purchase"

    def price(self, instrument: Instrument) -> Decimal:
        """The line this slot's next order rests on, on today's tick, never closer to the market."""
        if self.side is Side.BUY:
            return floor_to(self.lower, instrument.tick_size)
        return ceil_to(self.upper, instrument.tick_size)

    def next_quantity(self, target: Decimal, instrument: Instrument) -> Decimal:
        """Base units of the next order; zero when the slot has nothing that can be sold.

        A buy asks for what is missing from `target`, but at least for the venue's minimum: what an
        early end of an order left over can then still be used. A sale offers whatever is held.
        """
        if self.side is Side.SELL:
            return floor_to(self.lots.quantity, instrument.lot_size)
        missing = floor_to(target - self.bought, instrument.lot_size)
        return max(missing, smallest_quantity(instrument, self.price(instrument)))

    def is_bought(self, target: Decimal, instrument: Instrument) -> bool:
        """Whether the buy cycle is over: what is missing is below the venue's minimum, and what is
        held can be sold. A slot that turned with less would wait to sell for ever."""
        missing = floor_to(target - self.bought, instrument.lot_size)
        too_small = missing < smallest_quantity(instrument, self.price(instrument))
        return too_small and self.can_sell(instrument)

    def can_sell(self, instrument: Instrument) -> bool:
        """Whether what is held makes an order that the venue takes at the upper line."""
        sellable = floor_to(self.lots.quantity, instrument.lot_size)
        return sellable >= smallest_quantity(instrument, self.upper)

    def flip(self) -> None:
        """Turn to the other side: the next order is the mirror of the one that completed."""
        self.side = self.side.opposite
        self.cycle += 1
        self.attempt = 0
        self.bought = ZERO

    def gave(self, cycle: int, attempt: int) -> bool:
        """Whether the slot can have placed an order of this cycle and attempt."""
        return (cycle, attempt) <= (self.cycle, self.attempt)
