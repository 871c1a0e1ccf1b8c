"""The pre-flight's answer: which orders a grid would place, what it needs, what forbids it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.domain.spec import GridSpec


class Severity(StrEnum):
    FAIL = "fail"  # the grid may not start
    WARN = "warn"  # it may, and the user should know


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that the plan breaks or comes close to; the message has value, limit and remedy.

    Args:
        rule: stable name, such as `min_notional`, `spacing_below_fees`, `max_num_orders`.
    """

    severity: Severity
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One resting order as it will be sent.

    Args:
        slot: number of the grid (interval) it belongs to; 0 is the lowest.
        net_profit: quote units that this slot earns in one buy-sell round, after both fees.
    """

    slot: int
    side: Side
    price: Decimal
    quantity: Decimal
    net_profit: Decimal


@dataclass(frozen=True, slots=True)
class GridPlan:
    """A grid laid out at one price.

    Args:
        lines: price lines, ascending, `levels + 1` of them, on the tick.
        empty_line: index of the line nearest the price; no order rests on it.
        quantity: base units of every order, on the lot.
        initial_quantity: base units to buy at once to stock the sells, fees in base included.
        capital_needed: quote units for the initial purchase, all buys and their fees.
        margin_needed: what of it the account must have: all on spot; on futures the value divided
            by the leverage, and the fees. The venue's own brackets may ask for more.
        profit_min, profit_max: net profit of one round as a fraction of what its buy cost.
    """

    spec: GridSpec
    instrument: Instrument
    reference_price: Decimal
    lines: tuple[Decimal, ...]
    empty_line: int
    quantity: Decimal
    initial_quantity: Decimal
    capital_needed: Decimal
    margin_needed: Decimal
    orders: tuple[PlannedOrder, ...]
    profit_min: Decimal
    profit_max: Decimal
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the grid may start."""
        return not any(f.severity is Severity.FAIL for f in self.findings)
