"""The assumptions of a bracket on random grids: kernel and core agree on every path, books close
under every latency and queue, and orders that wait for a bar's end do not feel its path.
"""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kernel_differential import random_bars

from gridlab.domain.market import BarPath, FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.spec import GridSpec
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.research.backtest import backtest
from gridlab.research.flows import Flows
from gridlab.research.kernel_partial import try_partial
from gridlab.research.kernel_run import try_kernel
from gridlab.research.venue import account_for
from gridlab.testing import strategies as gl

CASES = int(os.environ.get("GRIDLAB_BRACKET_CASES", "60"))
EASY = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@EASY
@given(
    gl.settings_that_start(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(FillRule),
    st.sampled_from(BarPath),
)
def test_the_kernel_walks_every_path_as_the_core_does(
    setting: gl.Setting, seed: int, rule: FillRule, path: BarPath
) -> None:
    plan = setting.plan
    bars = random_bars(plan, seed, 10 + seed % 90)
    found = try_kernel(plan, bars, account_for(plan), rule, path)
    if isinstance(found, str):
        return
    core = backtest(
        plan.spec, bars, instrument=plan.instrument, fill_rule=rule, path=path, engine="core"
    )
    assert not Flows.of(core.trades, bars, plan.instrument).difference(found.flows(bars))
    assert core.money == found.books.money and core.bars_walked == found.walked


@EASY
@given(
    gl.settings_that_start(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(("0.1", "0.9", "1")),
    st.sampled_from(BarPath),
)
def test_the_kernel_of_partial_fills_walks_every_path_too(
    setting: gl.Setting, seed: int, share: str, path: BarPath
) -> None:
    plan = setting.plan
    bars = random_bars(plan, seed, 10 + seed % 90)
    # Some three orders a bar, so that every share is felt and none stops all.
    bars = replace(bars, volume=np.full(len(bars), 3 * float(plan.quantity)))
    found = try_partial(plan, bars, account_for(plan), FillRule.TOUCH, Decimal(share), path)
    if isinstance(found, str):
        return
    core = backtest(
        plan.spec,
        bars,
        instrument=plan.instrument,
        participation=share,
        path=path,
        engine="core",
    )
    assert not Flows.of(core.trades, bars, plan.instrument).difference(found.flows(bars))
    assert core.money == found.books.money


def test_an_account_of_less_than_a_rounded_fee_is_declined() -> None:
    """Found by the random cases: a locked fee of 1e-8 quote is more than all that is there."""
    lot = Decimal("1e-8")
    rules = Instrument(
        symbol=gl.SYMBOL,
        market=Market.SPOT,
        base=gl.BASE,
        quote=gl.QUOTE,
        tick_size=Decimal("0.0001"),
        lot_size=lot,
        min_notional=Decimal(0),
        min_quantity=lot,
        max_quantity=Decimal(10) ** 12,
        min_price=Decimal("0.0001"),
        max_price=Decimal(10) ** 9,
    )
    spec = GridSpec(
        gl.SYMBOL,
        2,
        lower=Decimal("0.05"),
        upper=Decimal("0.0505"),
        quantity=2 * lot,
        fees=FeeSchedule(Decimal("0.0002"), Decimal(0), FeeMode.QUOTE),
        allow_unprofitable=True,
    )
    plan = plan_grid(spec, rules, Decimal("0.05"))
    assert plan.ok
    bars = random_bars(plan, 0, 10)
    bars = replace(bars, volume=np.full(len(bars), 6e-8))
    found = try_partial(plan, bars, account_for(plan), FillRule.TOUCH, Decimal("0.1"))
    assert isinstance(found, str) and "drain the account" in found


@EASY
@given(
    gl.settings_that_start(),
    st.integers(0, 2**32 - 1),
    st.sampled_from((1, 250, 19_000, 60_000, 200_000)),
    st.sampled_from((None, Decimal("0.001"), Decimal(1))),
    st.sampled_from(BarPath),
)
def test_books_close_whatever_is_assumed(
    setting: gl.Setting, seed: int, latency_ms: int, share: Decimal | None, path: BarPath
) -> None:
    """The run audits the grid at its end, and the result its wallet against its books."""
    plan = setting.plan
    bars = random_bars(plan, seed, 10 + seed % 90)
    result = backtest(
        plan.spec,
        bars,
        instrument=plan.instrument,
        latency_ms=latency_ms,
        participation=share,
        path=path,
    )
    ends = {int(t) + bars.interval.ms - 1 for t in bars.open_time_ms} | set(
        bars.open_time_ms.tolist()
    )
    takers = [t for t in result.trades[1:] if not t.is_maker]
    assert all(t.time_ms in ends for t in takers), "an order takes only when it arrives"


@EASY
@given(gl.settings_that_start(), st.integers(0, 2**32 - 1), st.sampled_from(FillRule))
def test_a_latency_makes_the_path_indifferent(
    setting: gl.Setting, seed: int, rule: FillRule
) -> None:
    plan = setting.plan
    bars = random_bars(plan, seed, 10 + seed % 60)
    totals = {
        backtest(
            plan.spec,
            bars,
            instrument=plan.instrument,
            fill_rule=rule,
            path=path,
            latency_ms=250,
        ).money
        for path in BarPath
    }
    assert len(totals) == 1
