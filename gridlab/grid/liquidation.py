"""The liquidation guard: near the price at which the venue closes a position, nothing is added.

It believes the venue's own figure and computes no liquidation price. What makes the position
smaller is never held back. Knows no order and no slot.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.account import Position
from gridlab.money import ZERO, exact, rounding, text

#: Held-back orders may go again only when the distance is so many times the limit, so that a price
#: that trembles around the limit does not switch the guard on and off.
RELEASE_FACTOR = Decimal("1.2")


class LiquidationGuard:
    """Whether new orders that add to the position are held back.

    Attributes:
        limit: the least distance, as a fraction of the mark price; zero switches the guard off.
    """

    __slots__ = ("_position", "is_on", "limit")

    def __init__(self, limit: Decimal = ZERO) -> None:
        self.limit = limit
        self.is_on = False
        self._position: Position | None = None

    def would_switch(self, position: Position) -> bool:
        """Whether this position would switch the guard on or off."""
        return self._judge(position) is not self.is_on

    def tell(self, position: Position) -> bool:
        """Take note of the position; True when that switched the guard."""
        switched = self.would_switch(position)
        if switched:
            self.is_on = not self.is_on
            self._position = position
        return switched

    def _judge(self, position: Position) -> bool:
        """Whether the guard is to be on, by multiplication only, so that nothing is rounded.

        A mark price of zero is no price, and says nothing.
        """
        if position.quantity and position.mark_price <= ZERO:
            return self.is_on
        if not self.limit or not position.quantity or position.liquidation_price is None:
            return False
        with exact():
            gap = position.mark_price - position.liquidation_price
            gap = gap if position.quantity > 0 else -gap
            allowed = self.limit * position.mark_price
            return gap <= allowed * RELEASE_FACTOR if self.is_on else gap < allowed

    @property
    def words(self) -> str:
        """Why orders are held back: distance, limit, remedy."""
        position = self._position
        assert position is not None and position.liquidation_price is not None
        with rounding():
            distance = abs(position.mark_price - position.liquidation_price) / position.mark_price
            release = self.limit * RELEASE_FACTOR
            return (
                f"liquidation at {text(position.liquidation_price)} is {_percent(distance)} % from "
                f"the mark price {text(position.mark_price)} and the limit is "
                f"{_percent(self.limit)} %; nothing is bought until it is more than "
                f"{_percent(release)} % away, so add margin or let the sales shrink the position"
            )


def _percent(fraction: Decimal) -> str:
    return text((fraction * 100).quantize(Decimal("0.01")))
