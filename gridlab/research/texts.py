"""A backtest and a plan in plain text and in plain values, for terminals and for JSON."""

from __future__ import annotations

from typing import Any

from gridlab.clock import iso
from gridlab.domain.plan import GridPlan
from gridlab.domain.snapshot import Money
from gridlab.grid.view import spacing_of
from gridlab.money import rounding, text
from gridlab.research.outcome import Outcome
from gridlab.research.words import (
    amount,
    percent,
    plain,
    signed,
    signed_percent,
    span,
    when,
)


def result_dict(result: Outcome) -> dict[str, Any]:
    """The figures as plain JSON values; exact amounts are strings of all their digits.

    `max_drawdown`, `hold_return`, `total_return` and `out_of_range` are fractions; `spacing_perc`
    is the mean distance between lines in percent.
    """
    fall = result.drawdown
    with rounding():
        spacing_perc = spacing_of(result.lines) * 100
    return {
        "symbol": result.symbol,
        "bars": len(result.bars),
        "interval": str(result.bars.interval),
        "from": iso(int(result.bars.open_time_ms[0])),
        "to": iso(result.bars.end_ms),
        "levels": result.spec.levels,
        "spacing_perc": text(spacing_perc),
        "lines": [text(line) for line in result.lines],
        "quantity": text(result.plan.quantity),
        "fill_rule": result.fill_rule,
        "fills": {"buys": result.fills.buys, "sells": result.fills.sells},
        "money": _money_dict(result.money),
        "equity": text(result.equity),
        "total_return": result.total_return,
        "hold_return": result.hold_return,
        "max_drawdown": fall.fraction,
        "max_drawdown_from": iso(result.close_time_ms(fall.peak)),
        "max_drawdown_to": iso(result.close_time_ms(fall.trough)),
        "out_of_range": result.out_of_range,
        "rules": result.rules,
        **_futures_dict(result),
    }


def _futures_dict(result: Outcome) -> dict[str, Any]:
    """What only a futures grid has; empty on spot."""
    if not result.funding_words:
        return {}
    end = result.liquidation
    return {
        "leverage": result.spec.leverage,
        "margin": result.margin,
        "margin_needed": text(result.plan.margin_needed),
        "return_on_margin": result.return_on_margin,
        "funding": result.funding_words,
        "warnings": list(result.warnings),
        "liquidation": None
        if end is None
        else {
            "time": iso(end.time_ms),
            "price": text(end.price),
            "quantity": text(end.quantity),
            "fee": text(end.fee),
        },
    }


def result_text(result: Outcome) -> str:
    """The figures as an aligned table of plain text."""
    money, quote, fall = result.money, result.quote, result.drawdown
    first = int(result.bars.open_time_ms[0])
    low, high = plain(result.lines[0]), plain(result.lines[-1])
    rows = [
        (
            "bars",
            f"{len(result.bars):,} of {result.bars.interval}, {when(first)} to "
            f"{when(result.bars.end_ms)} UTC ({span(result.duration_ms)})",
        ),
        (
            "grid",
            f"{result.spec.levels} {result.spec.mode}, {low} to {high}, "
            f"{percent(spacing_of(result.lines), 3)} apart",
        ),
        ("each order", f"{plain(result.plan.quantity)} {result.instrument.base}"),
        (
            "fills",
            f"{result.fills.buys:,} buys, {result.fills.sells:,} sells (by {result.fill_rule})",
        ),
        ("invested", f"{amount(money.investment)} {quote}"),
        ("equity", f"{amount(result.equity)} {quote}  {signed_percent(result.total_return)}"),
        ("holding instead", signed_percent(result.hold_return)),
        ("grid profit", f"{signed(money.grid_profit)} {quote}"),
        ("floating", f"{signed(money.floating)} {quote}"),
        ("fees", f"{signed(money.fees)} {quote}"),
        ("held", f"{plain(money.base_held)} {result.instrument.base}"),
        (
            "max drawdown",
            f"{percent(fall.fraction)} at {when(result.close_time_ms(fall.trough))}"
            if fall.fraction
            else "none",
        ),
        ("out of range", f"{percent(result.out_of_range, 1)} of the bars"),
        ("rules", result.rules),
    ]
    if result.funding_words:
        rows.insert(9, ("funding", f"{signed(money.funding)} {quote}: {result.funding_words}"))
        rows.insert(
            10, ("margin", f"{signed_percent(result.return_on_margin)} on what the start needed")
        )
    if result.liquidation is not None:
        rows.insert(8, ("forced closing", f"{signed(money.liquidation)} {quote}"))
    else:
        rows += [(f"slot {slot}", f"stands empty: {why}") for slot, why in result.vacancies]
    head = [f"Backtest of {result.symbol}", *(f"  {words}" for words in result.warnings)]
    return "\n".join([*head, *(f"  {k:<18}{v}" for k, v in rows)])


def plan_text(plan: GridPlan) -> str:
    """A plan as plain text: what it needs, what forbids it, its orders from the highest down."""
    rules, spec = plan.instrument, plan.spec
    rows = [
        (
            "range",
            f"{plain(plan.lines[0])} to {plain(plan.lines[-1])} {rules.quote}, "
            f"{percent(spacing_of(plan.lines), 3)} apart",
        ),
        ("price", plain(plan.reference_price)),
        ("capital needed", f"{amount(plan.capital_needed)} {rules.quote}"),
        ("bought at once", f"{plain(plan.initial_quantity)} {rules.base}"),
        ("a round earns", f"{percent(plan.profit_min, 3)} to {percent(plan.profit_max, 3)}"),
        ("pre-flight", "ready" if plan.ok else "refused"),
    ]
    rows += [(f"{finding.severity}", finding.message) for finding in plan.findings]
    orders = sorted(plan.orders, key=lambda order: order.slot, reverse=True)
    return "\n".join(
        [
            f"Plan of {spec.levels} {spec.mode} grids on {spec.symbol}",
            *(f"  {name:<18}{value}" for name, value in rows),
            *(f"  {o.side:<5}{plain(o.price):>16}  {plain(o.quantity)}" for o in orders),
        ]
    )


def _money_dict(money: Money) -> dict[str, Any]:
    names = (
        *("investment", "grid_profit", "floating", "fees", "funding", "liquidation"),
        *("total", "base_held"),
    )
    exact_amounts: dict[str, Any] = {name: text(getattr(money, name)) for name in names}
    return exact_amounts | {"fees_by_asset": {a: text(v) for a, v in money.fees_by_asset}}
