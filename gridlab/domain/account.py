"""What an account holds on a futures market, and under which settings.

Values only. A position's quantity is signed: above zero is long, below zero is short. Amounts are
in the quote (margin) asset, prices in quote units, times in UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridlab.money import ZERO


class MarginType(StrEnum):
    """What stands behind a position: the whole wallet, or only what was set aside for it."""

    CROSSED = "crossed"
    ISOLATED = "isolated"


class PositionMode(StrEnum):
    """One net position a symbol, or a long and a short one side by side. Grids use one-way."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


@dataclass(frozen=True, slots=True)
class Position:
    """One symbol's net position, as the venue reports it.

    Args:
        quantity: signed base units; zero when there is none.
        entry_price: average price of what is held; zero when nothing is.
        mark_price: the venue's price for profit and liquidation, not the last trade's.
        liquidation_price: where the venue closes the position by force; None when it never would.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal | None
    leverage: int
    margin_type: MarginType
    updated_ms: int

    @property
    def unrealized(self) -> Decimal:
        """Profit or loss that closing at the mark would realise, quote units."""
        return (self.mark_price - self.entry_price) * self.quantity

    @property
    def liquidation_distance(self) -> Decimal | None:
        """|mark - liquidation| as a fraction of the mark; None without a liquidation price."""
        if self.liquidation_price is None or self.mark_price <= ZERO:
            return None
        return abs(self.mark_price - self.liquidation_price) / self.mark_price


@dataclass(frozen=True, slots=True)
class FuturesSettings:
    """What a grid assumes of a symbol's account settings; asserted at start and ever after."""

    leverage: int = 1
    margin_type: MarginType = MarginType.ISOLATED
    position_mode: PositionMode = PositionMode.ONE_WAY
