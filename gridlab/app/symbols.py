"""Whether a symbol suits a grid, judged by a pre-flight and not by a feeling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from gridlab.domain.market import Instrument, Market, Ticker
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec, NotFound
from gridlab.exchange.base import MarketData
from gridlab.grid.guards import smallest_quantity
from gridlab.grid.preflight import plan_grid


@dataclass(frozen=True, slots=True)
class SymbolReport:
    """What is known of one symbol.

    Args:
        recommended: the smallest grid of the configured shape that the venue takes; None when no
            grid of that shape can be started. Its `capital_needed` is the least capital.
        suitable: whether such a grid exists and earns more than its fees.
        reasons: what speaks against it; empty when nothing does.
        age_ms, is_stale: of the ticker, and so of the price where nobody watches it.
    """

    symbol: str
    market: Market
    instrument: Instrument
    price: Decimal
    ticker: Ticker
    recommended: GridPlan | None
    suitable: bool
    reasons: tuple[str, ...]
    age_ms: int
    is_stale: bool


def report_on(data: MarketData, spec: GridSpec) -> SymbolReport:
    """The report on `spec.symbol`, for grids of the shape of `spec`; raises `NotFound`."""
    rules = data.instrument(spec.market, spec.symbol)
    found = data.dated_tickers(spec.market, [spec.symbol])
    (ticker,) = found.value
    try:
        price = data.price(spec.market, spec.symbol).value
    except NotFound:  # it exists, and nobody watches it
        price = ticker.price
    plan, reasons = _smallest(spec, rules, price)
    if rules.status != "TRADING":
        reasons.append(f"{spec.symbol} is {rules.status} at the venue")
    return SymbolReport(
        symbol=spec.symbol,
        market=spec.market,
        instrument=rules,
        price=price,
        ticker=ticker,
        recommended=plan,
        suitable=plan is not None and not reasons,
        reasons=tuple(reasons),
        age_ms=found.age_ms,
        is_stale=found.is_stale,
    )


def _smallest(
    spec: GridSpec, rules: Instrument, price: Decimal
) -> tuple[GridPlan | None, list[str]]:
    """The smallest plan whose orders pass, growing the order by a lot at a time."""
    quantity = smallest_quantity(rules, price)
    for _ in range(100):
        try:
            plan = plan_grid(replace(spec, investment=None, quantity=quantity), rules, price)
        except InvalidSpec as error:
            return None, list(error.problems)
        failures = [f for f in plan.findings if f.severity is Severity.FAIL]
        if all(f.rule != "min_notional" for f in failures):
            return (plan if not failures else None), [f.message for f in failures]
        quantity += max(rules.lot_size, quantity / 50 // rules.lot_size * rules.lot_size)
    return None, [f"no order size for {spec.symbol} passes the venue's rules at {price}"]
