"""What a USD-M symbol has beside an `Instrument`: precisions, the price band, brackets, dates.

Data and small arithmetic. Source of the numbers: `exchangeInfo` of the USD-M test network of
2025-01-09 for BTCUSDT and ETHUSDT; the defaults are those of the main exchange's smaller contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from gridlab.domain.market import Instrument
from gridlab.money import rounding


@dataclass(frozen=True, slots=True)
class FuturesRules:
    """A contract's rules that `Instrument` does not hold.

    Args:
        price_precision, quantity_precision: decimals that a request may carry; not tick and step.
        multiplier_up, multiplier_down: a buy may cost at most mark x up, a sell at least mark x
            down; the other sides are free.
        onboard_ms: when the contract was listed.
    """

    price_precision: int
    quantity_precision: int
    multiplier_up: Decimal = Decimal("1.1500")
    multiplier_down: Decimal = Decimal("0.8500")
    onboard_ms: int = 1_569_398_400_000
    delivery_ms: int = 4_133_404_800_000
    liquidation_fee: str = "0.012500"
    market_take_bound: str = "0.10"
    trigger_protect: str = "0.0500"


_BANDS = {
    "BTCUSDT": (Decimal("1.5000"), Decimal("0.5000")),
    "ETHUSDT": (Decimal("1.1000"), Decimal("0.9000")),
}


def rules_of(instrument: Instrument) -> FuturesRules:
    """The rules of a contract; those of an unknown one are derived from its tick and lot."""
    up, down = _BANDS.get(instrument.symbol, (Decimal("1.1500"), Decimal("0.8500")))
    return FuturesRules(
        # The venue quotes two decimals even where its tick is a tenth.
        price_precision=max(2, decimals_of(instrument.tick_size)),
        quantity_precision=decimals_of(instrument.lot_size),
        multiplier_up=up,
        multiplier_down=down,
    )


def decimals_of(value: Decimal) -> int:
    """Digits after the point that `value` needs.

    >>> decimals_of(Decimal("0.10")), decimals_of(Decimal("5")), decimals_of(Decimal("1E+2"))
    (1, 0, 0)
    """
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a venue's number is finite"
    return max(0, -exponent)


def fixed(value: Decimal, places: int) -> str:
    """`value` with exactly `places` decimals; what does not fit is rounded half to even."""
    with rounding():
        return format(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN), "f")


def whole(value: Decimal, places: int) -> str:
    """`value` with at least so many decimals and never a digit less than it has.

    What was ordered or traded is told exactly, also when the tick has become coarser since.
    """
    return fixed(value, max(places, decimals_of(value)))
