"""Brackets of futures backtests: funding, margin and forced closings go into every run."""

from __future__ import annotations

from decimal import Decimal

from test_backtest_futures import crash, june, spec_of

from gridlab.data.catalog import funding, instrument
from gridlab.domain.account import MarginType
from gridlab.domain.market import Market
from gridlab.grid.preflight import plan_grid
from gridlab.research.backtest import backtest


def test_every_run_pays_the_funding_of_the_backtest() -> None:
    spec, bars, rates = spec_of(leverage=3), june(12, 1), funding("BTCUSDT")
    result = backtest(spec, bars, funding=rates, margin=MarginType.CROSSED)
    assert result.money.funding != 0
    found = result.bracket()
    assert len(found.members) == 16 and found.expected.total == result.money.total
    for member in found.members:
        parts = member.grid_profit + member.floating + member.fees + member.funding
        assert member.total == parts and member.funding != 0
    assert found.pessimistic.total <= result.money.total <= found.optimistic.total


def test_a_forced_closing_with_orders_on_their_way_closes_the_books() -> None:
    spec = spec_of(leverage=5, spacing=Decimal("0.01"), liquidation_buffer=Decimal(0))
    plan = plan_grid(spec, instrument("BTCUSDT", Market.FUTURES), Decimal(100_000))
    account = {"USDT": plan.margin_needed + 1}
    for latency_ms in (0, 250, 600_000):
        result = backtest(spec, crash(), balances=account, latency_ms=latency_ms)
        assert result.liquidation is not None and result.money.base_held == 0


def test_theory_counts_a_futures_grid_too() -> None:
    result = backtest(spec_of(leverage=3), june(12, 2), funding=funding("BTCUSDT"))
    found = result.theory()
    money = result.money
    assert found.gain.simulated == float(money.total) - float(money.fees) - float(money.funding)
    assert found.fills.expected > 0
