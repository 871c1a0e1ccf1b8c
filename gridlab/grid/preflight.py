"""A grid laid out at one price: the exact orders, what they need, what forbids them.

`plan_grid` is pure and is the only place that turns a spec into orders: the pre-flight shows its
answer to the user and the engine starts from the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.domain.plan import GridPlan, PlannedOrder
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec
from gridlab.grid.findings import findings_of
from gridlab.grid.levels import lay_lines, nearest_line
from gridlab.grid.sizing import initial_quantity, needed, quantity_for, round_profit
from gridlab.money import ONE, exact, floor_to, rounding, text

__all__ = ["checked", "plan_grid", "round_profit"]


def plan_grid(
    spec: GridSpec,
    instrument: Instrument,
    reference_price: Decimal,
    available: Mapping[str, Decimal] | None = None,
) -> GridPlan:
    """The plan of `spec` at `reference_price`, with every rule that it breaks.

    Args:
        reference_price: the last price, quote units.
        available: free balances by asset; when given, a plan that they cannot pay fails.

    Raises:
        InvalidSpec: no plan can be drawn at all (lines collide, or fall to zero).
    """
    if reference_price <= 0:
        raise InvalidSpec(f"the price of {spec.symbol} is {text(reference_price)}; no grid fits it")
    lines = lay_lines(spec, instrument.tick_size, reference_price)
    empty = nearest_line(lines, reference_price, spec.mode)
    quantity = spec.quantity
    if quantity is None:
        with exact():
            quantity = quantity_for(spec, instrument, reference_price, lines, empty)
    else:
        quantity = floor_to(quantity, instrument.lot_size)
    with exact():
        initial = initial_quantity(spec, instrument, quantity, len(lines) - 1 - empty)
        orders = _orders(spec, instrument, lines, empty, quantity)
        need = needed(spec, instrument, reference_price, lines[:empty], quantity, initial)
        capital, margin = need.capital, need.margin(spec, instrument)
    returns = _returns(spec, lines, quantity)
    plan = GridPlan(
        spec=spec,
        instrument=instrument,
        reference_price=reference_price,
        lines=lines,
        empty_line=empty,
        quantity=quantity,
        initial_quantity=initial,
        capital_needed=capital,
        margin_needed=margin,
        orders=orders,
        profit_min=min(returns),
        profit_max=max(returns),
    )
    return checked(plan, available)


def checked(plan: GridPlan, available: Mapping[str, Decimal] | None = None) -> GridPlan:
    """The same plan with the findings that it has where these free balances pay for it."""
    return replace(plan, findings=findings_of(plan, available))


def _orders(
    spec: GridSpec,
    instrument: Instrument,
    lines: tuple[Decimal, ...],
    empty: int,
    quantity: Decimal,
) -> tuple[PlannedOrder, ...]:
    return tuple(
        PlannedOrder(
            slot=slot,
            side=Side.BUY if slot < empty else Side.SELL,
            price=lines[slot] if slot < empty else lines[slot + 1],
            quantity=quantity,
            net_profit=round_profit(spec, lines[slot], lines[slot + 1], quantity),
        )
        for slot in range(len(lines) - 1)
    )


def _returns(spec: GridSpec, lines: tuple[Decimal, ...], quantity: Decimal) -> list[Decimal]:
    size = quantity or ONE
    with rounding():
        return [
            round_profit(spec, lines[i], lines[i + 1], size) / (lines[i] * size)
            for i in range(len(lines) - 1)
        ]
