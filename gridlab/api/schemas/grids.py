"""Answers to validating, starting and stopping a grid."""

from __future__ import annotations

from typing import Literal

from gridlab.api.schemas.base import Shape, Stamp, percent
from gridlab.api.schemas.bots import GridStatus
from gridlab.domain.plan import Finding, GridPlan
from gridlab.money import text


class FindingShape(Shape):
    severity: str
    rule: str
    message: str


class PlannedOrderShape(Shape):
    slot: int
    side: str
    price: float
    quantity: float
    net_profit: float


class CalculatedParams(Shape):
    """The plan at the present price; `levels_preview` has every price line, ascending."""

    estimated_capital_needed: float
    grid_range: str
    levels_preview: list[float]
    reference_price: float
    quantity: float
    initial_quantity: float
    profit_per_grid_min_perc: float
    profit_per_grid_max_perc: float
    orders: list[PlannedOrderShape]
    findings: list[FindingShape]

    @classmethod
    def of(cls, plan: GridPlan, findings: list[FindingShape]) -> CalculatedParams:
        return cls(
            estimated_capital_needed=float(plan.capital_needed),
            grid_range=f"{text(plan.lines[0])} - {text(plan.lines[-1])}" if plan.lines else "",
            levels_preview=[float(line) for line in plan.lines],
            reference_price=float(plan.reference_price),
            quantity=float(plan.quantity),
            initial_quantity=float(plan.initial_quantity),
            profit_per_grid_min_perc=float(percent(plan.profit_min)),
            profit_per_grid_max_perc=float(percent(plan.profit_max)),
            orders=[
                PlannedOrderShape(
                    slot=order.slot,
                    side=order.side.value,
                    price=float(order.price),
                    quantity=float(order.quantity),
                    net_profit=float(order.net_profit),
                )
                for order in plan.orders
            ],
            findings=findings,
        )


class ConfigAnswer(Stamp):
    """`/api/grid/config` when the grid may start."""

    valid: Literal[True]
    message: str
    calculated_params: CalculatedParams


class GridStarted(Stamp):
    """`/api/grid/start`."""

    status: Literal["started"]
    message: str
    symbol: str
    market_type: str
    run: str
    grid: GridStatus


class GridStopped(Stamp):
    """`/api/grid/stop`."""

    status: Literal["stopped", "stopping"]
    message: str
    symbol: str
    policy: str
    grid: GridStatus


def finding_shape(finding: Finding, message: str) -> FindingShape:
    return FindingShape(severity=finding.severity.value, rule=finding.rule, message=message)
