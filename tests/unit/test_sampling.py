"""Sampled walks against whole backtests: the same equity at closes, sold out at the end."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule, Interval
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import backtest
from gridlab.research.grids import make_grid
from gridlab.research.sampling import Walk, ends_of, walk, walk_many
from gridlab.research.venue import rules_for

DAY, HOUR = 86_400_000, 3_600_000
BARS = load("BTCUSDT").slice(1_772_323_200_000, 1_772_323_200_000 + 3 * DAY)


def plan_of(levels: int = 12, spacing: str = "0.4%", **more: object) -> GridPlan:
    spec = make_grid("BTCUSDT", levels, spacing, investment=more.pop("investment", 5000), **more)
    return plan_grid(spec, rules_for(BARS).instrument, from_float(BARS.open[0]))


PLANS = {
    "received": plan_of(),
    "quote": plan_of(fees=FeeSchedule(mode=FeeMode.QUOTE)),
    "third": plan_of(
        fees=FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=Decimal(600))
    ),
    "core": plan_of(levels=204, spacing="0.25%", investment=90_000),
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("rule", list(FillRule))
def test_equals_the_backtest_up_to_the_sale_at_the_end(name: str, rule: FillRule) -> None:
    plan, at = PLANS[name], ends_of(BARS, HOUR)
    found, whole = walk(plan, BARS, at, rule), backtest(plan.spec, BARS, fill_rule=rule)
    investment = float(whole.money.investment)
    assert found.equity[:-1] * investment == pytest.approx(whole.equity_curve[at][:-1])
    sold = float(whole.money.base_held) * BARS.close[-1]
    assert found.equity[-1] * investment == pytest.approx(float(whole.equity) - 0.001 * sold)
    assert (found.buys, found.sells) == whole.fills
    assert whole.engine == ("core" if name == "core" else "kernel")


def test_returns_multiply_to_the_total() -> None:
    found = walk(PLANS["received"], BARS, ends_of(BARS, HOUR), FillRule.TOUCH)
    assert len(found.returns) == 72
    assert np.prod(1 + found.returns) - 1 == pytest.approx(found.total_return)


def test_a_ruined_walk_stays_ruined() -> None:
    assert Walk(np.array([0.5, 0.0, 0.0]), 0, 0).returns.tolist() == [-0.5, -1.0, 0.0]


def test_many_are_each_in_their_order_on_any_number_of_threads() -> None:
    plans, at = [*PLANS.values()], ends_of(BARS, DAY)
    alone = [walk(plan, BARS, at, FillRule.TOUCH) for plan in plans]
    for threads in (1, 3):
        together = walk_many(plans, BARS, at, threads=threads)
        assert [w.equity.tolist() for w in together] == [w.equity.tolist() for w in alone]
    assert walk_many([], BARS, at) == []


def test_periods_end_with_their_last_recorded_bar() -> None:
    assert ends_of(BARS, HOUR).tolist() == list(range(59, 3 * 1440, 60))
    assert ends_of(BARS, 2 * DAY).tolist() == [2 * 1440 - 1, 3 * 1440 - 1], "the last cut short"
    kept = np.r_[0:90, 200:300]
    names = ("open_time_ms", *Bars.__dataclass_fields__)
    columns = [getattr(BARS, name)[kept] for name in names[4:]]
    halted = Bars(BARS.symbol, BARS.market, BARS.interval, *columns)
    assert ends_of(halted, HOUR).tolist() == [59, 89, 89, 129, 189]


def test_finer_than_a_bar_is_refused() -> None:
    with pytest.raises(InvalidInput, match="every 60000 ms is finer than bars of 1h"):
        ends_of(BARS.resample(Interval.H1), 60_000)
