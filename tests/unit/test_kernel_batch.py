"""`run_many` against single backtests: same figures, same order, on any number of threads."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec
from gridlab.errors import BugError, InvalidInput, InvalidSpec
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import FillRule, backtest
from gridlab.research.batch import CHUNK, run_many
from gridlab.research.kernel_run import try_kernel
from gridlab.research.ladder import why_not
from gridlab.research.ticks import TickBars
from gridlab.research.venue import account_for, rules_for

pytestmark = pytest.mark.slow  # seconds each: left out of make check

BARS = load("BTCUSDT").slice(1_772_323_200_000, 1_772_323_200_000 + 3 * 86_400_000)


def plan_of(bars: Bars = BARS, **settings: Any) -> GridPlan:
    named = {"levels": 12, "spacing": Decimal("0.003"), "investment": Decimal(2000)} | settings
    spec = GridSpec(bars.symbol, **named)
    return plan_grid(spec, rules_for(bars).instrument, from_float(bars.open[0]))


def mixed_plans() -> list[GridPlan]:
    """All fee modes, several shapes, one that needs the core (more levels than orders)."""
    third = FeeSchedule(mode=FeeMode.THIRD, third_asset="TOKEN", third_price=Decimal(600))
    schedules = (FeeSchedule(), FeeSchedule(mode=FeeMode.QUOTE), third)
    plans = [
        plan_of(levels=levels, spacing=Decimal(spacing), fees=fees)
        for fees in schedules
        for levels in (4, 9, 30)
        for spacing in ("0.0025", "0.004", "0.008")
    ]
    return [*plans, plan_of(levels=204, spacing=Decimal("0.0025"), investment=Decimal(90_000))]


@pytest.mark.parametrize("rule", ["touch", "through"])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_row_is_the_backtest_of_its_plan(rule: str, threads: int) -> None:
    plans = [plan for plan in mixed_plans() if plan.ok]
    batch = run_many(plans, BARS, fill_rule=rule, threads=threads)
    assert set(batch.engines) == {"kernel", "core"} and len(batch) == len(plans) > 20
    for row, plan in enumerate(plans):
        one = backtest(plan.spec, BARS, engine="core", fill_rule=rule)
        assert (batch.buys[row], batch.sells[row]) == one.fills
        assert batch.money(row) == one.money
        assert batch.equity[row] == float(one.equity)
        assert batch.fees[row] == float(one.money.fees)
        assert batch.total_return[row] == pytest.approx(one.total_return, abs=1e-12)
        assert batch.max_drawdown[row] == pytest.approx(one.max_drawdown, abs=1e-11)
        assert batch.out_of_range[row] == one.out_of_range
    assert batch.buys.sum() > 500


def test_order_and_rows_survive_chunks() -> None:
    few = [plan_of(levels=levels) for levels in (4, 7, 11)]
    many = run_many([few[k % 3] for k in range(CHUNK + 5)], BARS, threads=2)
    alone = run_many(few, BARS, threads=1)
    for k in range(len(many)):
        assert many.equity[k] == alone.equity[k % 3]
        assert many.max_drawdown[k] == alone.max_drawdown[k % 3]
    frame = many.to_frame()
    assert len(frame) == CHUNK + 5 and list(frame["levels"][:3]) == [4, 7, 11]


def test_no_plan_gives_no_row() -> None:
    assert len(run_many([], BARS)) == 0


def test_plans_that_cannot_run_here_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="plan 1: "):
        run_many([plan_of(), plan_of(investment=Decimal(20))], BARS)
    later = BARS.slice(int(BARS.open_time_ms[500]))
    with pytest.raises(InvalidInput, match="first open"):
        run_many([plan_of()], later)
    with pytest.raises(InvalidInput, match="no bar"):
        run_many([plan_of()], BARS.slice(end_ms=0))
    with pytest.raises(InvalidInput, match="choose one of"):
        run_many([plan_of()], BARS, fill_rule="nearly")


# --- what the kernel declines ---------------------------------------------------------------------


def test_engine_kernel_says_why_it_declines() -> None:
    spec = plan_of().spec
    assert backtest(spec, BARS, engine="kernel", participation="0.1").engine == "kernel"
    with pytest.raises(InvalidInput, match="order window"):
        backtest(plan_of(levels=204, investment=Decimal(90_000)).spec, BARS, engine="kernel")
    with pytest.raises(InvalidInput, match="choose one of auto, kernel, core"):
        backtest(spec, BARS, engine="quick")


def test_prices_off_the_tick_go_through_the_core() -> None:
    odd = replace(BARS, close=np.where(np.arange(len(BARS)) == 7, BARS.low + 0.001, BARS.close))
    odd = replace(odd, high=np.maximum(odd.high, odd.close))
    ticks = TickBars.of(odd, Decimal("0.01"))
    assert "close of bar 7" in ticks.problem and not len(ticks)
    assert backtest(plan_of().spec, odd).engine == "core"
    assert run_many([plan_of(odd)], odd).engines == ("core",)


def test_ticks_are_told_exactly_and_once() -> None:
    ticks = TickBars.of(BARS, Decimal("0.01"))
    assert TickBars.of(BARS, Decimal("0.01")) is ticks
    for bar in range(0, len(BARS), 97):
        assert int(ticks.low[bar]) * Decimal("0.01") == from_float(BARS.low[bar])
    assert "off the tick size 0.5" in TickBars.of(BARS, Decimal("0.5")).problem


def test_a_drained_account_is_noticed() -> None:
    plan = plan_of(levels=40, spacing=Decimal("0.0005"), allow_unprofitable=True)
    account = {"USDT": plan.capital_needed + Decimal("0.5")}
    assert not why_not(plan, account)
    found = try_kernel(plan, BARS, account, FillRule.TOUCH)
    assert isinstance(found, str) and "drain" in found


def test_a_price_that_leaves_the_band_goes_through_the_core() -> None:
    """A band so tight that, once the price has risen, a buy near the bottom would be refused."""
    plan = plan_of(levels=20, spacing=Decimal("0.003"))
    band = plan.instrument.percent_price
    assert band is not None
    rules = replace(
        plan.instrument, percent_price=replace(band, bid_down=plan.lines[0] / plan.lines[10])
    )
    tight = plan_grid(plan.spec, rules, plan.reference_price)
    assert tight.ok
    found = try_kernel(tight, jumping(BARS, tight), account_for(tight), FillRule.TOUCH)
    assert isinstance(found, str) and "percent-price" in found
    batch = run_many([tight], jumping(BARS, tight))
    core = backtest(tight.spec, jumping(BARS, tight), instrument=rules, engine="core")
    assert batch.engines == ("core",) and batch.equity[0] == float(core.equity)


def jumping(bars: Bars, plan: GridPlan) -> Bars:
    """The bars, with one that falls to the second line and, after it, one that jumps to the top."""
    low, high = float(plan.lines[1]), float(plan.lines[-1])
    columns = {name: getattr(bars, name)[:40].copy() for name in ("open", "high", "low", "close")}
    for column in columns.values():
        column[20], column[21:] = low, high
    rest = ("open_time_ms", "volume", "quote_volume", "trades")
    return replace(bars, **columns, **{name: getattr(bars, name)[:40] for name in rest})


def test_a_difference_between_the_two_is_a_bug() -> None:
    result = backtest(plan_of().spec, BARS, engine="kernel")
    assert result.engine == "kernel" and len(result.trades) == len(result.fill_prices)
    flows = replace(result.flows, price=result.flows.price + 0.01)
    with pytest.raises(BugError, match="trade 1: price"):
        _ = replace(result, flows=flows).trades
    with pytest.raises(BugError, match="bars_walked"):
        _ = replace(result, bars_walked=result.bars_walked + 1).commands
