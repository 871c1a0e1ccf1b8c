"""A market order that belongs to no slot: the purchase at a grid's start, the sale at its end."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridlab.domain.orders import Side
from gridlab.grid.lifecycle import Order


@dataclass(slots=True)
class Errand:
    """What is still to be bought or sold at the market.

    Args:
        slot: `INITIAL_BUY` or `FINAL_SELL`, the slot number in its client ids.
        missing: base units not yet traded by settled orders.
    """

    slot: int
    side: Side
    missing: Decimal
    attempt: int = 0
    order: Order | None = None
