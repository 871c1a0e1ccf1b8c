"""Margin arithmetic of a USD-M contract: what positions and orders need, and where they fail.

Pure functions of numbers. Quantities are signed (long above zero), `cost` is what was paid for the
position, signed as the quantity is, so that its profit at a price is `quantity * price - cost`.
Callers work under `money.exact()`; what must be rounded is, to 8 decimals, never in our favour.

Source of the formulas: Binance's USD-M liquidation formula for one-way positions,
`LP = (WB - TMM + UPNL + cum - side * size * entry) / (size * MMR - side * size)`, where WB is the
wallet behind the position, TMM and UPNL are maintenance margin and profit of the other positions
that share it, and MMR and cum are the rate and the amount of the maintenance bracket.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridlab.errors import InvalidInput
from gridlab.money import ZERO, ceil_to, round_to, rounding

#: The finest amount that a futures wallet books.
STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Bracket:
    """The one maintenance bracket that a contract has here.

    The default is an assumption, not a copy of a live table: the lowest bracket of the exchange's
    biggest contracts, without the steps above it.

    Args:
        maintenance_rate: maintenance margin as a fraction of the position's value.
        maintenance_amount: quote units taken off that product.
        max_leverage: the highest leverage that may be set.
        notional_cap: the largest value of a position, its opening orders included.
    """

    maintenance_rate: Decimal = Decimal("0.004")
    maintenance_amount: Decimal = ZERO
    max_leverage: int = 125
    notional_cap: Decimal = Decimal(100_000_000)

    def __post_init__(self) -> None:
        if not ZERO <= self.maintenance_rate < 1 or self.maintenance_amount < 0:
            raise InvalidInput(
                f"a maintenance rate of {self.maintenance_rate} with amount "
                f"{self.maintenance_amount} is none; a fraction below 1 and an amount from 0 are"
            )
        if self.max_leverage < 1 or self.notional_cap <= 0:
            raise InvalidInput(
                f"leverage up to {self.max_leverage} for at most {self.notional_cap} allows no "
                "position; both must be above zero"
            )

    def maintenance(self, notional: Decimal) -> Decimal:
        """Margin under which a position of this value (unsigned) is closed by force."""
        return max(ZERO, notional * self.maintenance_rate - self.maintenance_amount)


def initial_margin(notional: Decimal, leverage: int) -> Decimal:
    """What a position or an order of this value (unsigned) ties up, rounded up."""
    with rounding():
        exactly = notional / leverage
    return ceil_to(exactly, STEP)


def opening_notional(position: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """By how much open orders can make a position's value grow, in the worse direction.

    Args:
        position: signed value of the position at the mark.
        bids, asks: values of the open buys and sells that may open, each at its own price.
    """
    return max(abs(position + bids), abs(position - asks)) - abs(position)


def entry_price(quantity: Decimal, cost: Decimal) -> Decimal:
    """Average price of a position, rounded to 8 decimals; zero for none."""
    if not quantity:
        return ZERO
    with rounding():
        average = cost / quantity
    return round_to(average, STEP)


def liquidation_price(
    quantity: Decimal, cost: Decimal, backing: Decimal, bracket: Bracket
) -> Decimal | None:
    """The mark at which a position fails; None when no price above zero would do it.

    Rounded away from the market to 8 decimals: at the price that is told, it has failed.

    Args:
        backing: the wallet behind it, with profit less maintenance margin of what shares it.
    """
    per_unit = abs(quantity) * bracket.maintenance_rate - quantity
    if not per_unit:
        return None
    with rounding():
        price = (backing + bracket.maintenance_amount - cost) / per_unit
        price = price.quantize(STEP, ROUND_FLOOR if quantity > 0 else ROUND_CEILING)
    return price if price > 0 else None


def bankruptcy_price(
    quantity: Decimal, cost: Decimal, backing: Decimal, tick_size: Decimal
) -> Decimal:
    """The price at which closing loses all of `backing`, on the tick, rounded so as to lose less.

    Below zero when the position cannot lose that much.
    """
    with rounding():
        exactly = (cost - backing) / quantity / tick_size
        how = ROUND_CEILING if quantity > 0 else ROUND_FLOOR
        return exactly.to_integral_value(how) * tick_size
