"""The kernel on futures against the core: every fill, payment and figure, or it declines.

Random contracts, leverages, margin types, wallets and funding on random bars; grids over the
recorded perpetuals with their recorded rates. The core is the truth. `GRIDLAB_KERNEL_CASES` says
how many random cases are tried (300 when it is not set).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kernel_differential import ARE_USUAL, CASES, random_bars

from gridlab.data.bars import Bars
from gridlab.data.catalog import funding, load
from gridlab.data.funding import Funding
from gridlab.domain.account import MarginType
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.research.backtest import backtest, core_story
from gridlab.research.flows import Flows
from gridlab.research.futures_run import FuturesSide
from gridlab.research.kernel_futures import FuturesRun, try_futures
from gridlab.research.venue import account_for
from gridlab.testing import strategies as gl

#: What became of the random cases, so that a test of nothing is noticed.
SEEN: Counter[str] = Counter()


def random_rates(bars: Bars, seed: int) -> Funding | None:
    """Payments at random milliseconds, half of them where a bar opens or closes."""
    random = np.random.default_rng(seed)
    if random.random() < 0.1:
        return None
    start, end = int(bars.open_time_ms[0]) - 5, bars.end_ms + 5
    times = random.integers(start, end, random.integers(1, 12))
    snapped = times // 60_000 * 60_000 + random.choice([0, -1, 20_000, 40_000], len(times))
    times = np.unique(np.where(random.random(len(times)) < 0.5, snapped, times))
    rates = tuple(Decimal(int(rate)).scaleb(-8) for rate in random.integers(-3e5, 4e5, len(times)))
    return Funding(bars.symbol, times, rates)


def assert_equal_to_core(
    plan: GridPlan,
    bars: Bars,
    account: dict[str, Decimal],
    rule: FillRule,
    side: FuturesSide,
) -> FuturesRun | str:
    """Run both; the kernel may decline, and if it does not it must be right in everything."""
    found = try_futures(plan, bars, account, rule, side)
    if isinstance(found, str):
        return found
    story = core_story(plan, bars, account, rule, side)
    truth = Flows.of(story.trades, bars, plan.instrument, story.payments)
    assert not found.flows(bars).difference(truth), found.flows(bars).difference(truth)
    assert found.paid == tuple(paid.amount for paid in story.payments)
    assert found.books.money == story.money
    assert found.books.lines == story.ledger_lines
    assert found.walked == story.bars_walked
    assert not story.vacancies and story.liquidation is None
    return found


@settings(
    max_examples=CASES,
    derandomize=ARE_USUAL,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    gl.settings_that_start(market=Market.FUTURES),
    st.integers(0, 2**32 - 1),
    st.sampled_from(FillRule),
    st.sampled_from(MarginType),
    st.integers(1, 12),
    st.sampled_from(["1.001", "1.2", "2", "20"]),
)
def test_random_grids_on_random_bars(
    setting: gl.Setting,
    seed: int,
    rule: FillRule,
    margin: MarginType,
    leverage: int,
    wallet: str,
) -> None:
    spec = replace(setting.spec, leverage=leverage if seed % 3 else setting.spec.leverage)
    spec = replace(spec, liquidation_buffer=Decimal(seed % 4) / 20)
    plan = plan_grid(spec, setting.instrument, setting.price)
    spot = random_bars(plan, seed, 10 + seed % 190)
    bars = replace(spot, market=Market.FUTURES)
    account = {plan.instrument.quote: plan.margin_needed * Decimal(wallet)}
    side = FuturesSide(random_rates(bars, seed), margin)
    found = assert_equal_to_core(plan, bars, account, rule, side)
    if isinstance(found, str):
        SEEN[f"declined: {found.split(' of ')[0][:60]}"] += 1
        return
    SEEN["kernel"] += 1
    SEEN["fills"] += len(found.fills.slots)
    SEEN["paid"] += len(found.paid)
    SEEN[f"margin {margin}"] += 1
    SEEN["levered"] += spec.leverage > 1


def test_the_random_cases_were_worth_it() -> None:
    """A good part of them within the kernel's domain, levered ones and payments among them."""
    if not SEEN:
        pytest.skip("the random cases did not run in this process")
    assert SEEN["kernel"] >= 0.25 * CASES, SEEN
    assert SEEN["fills"] >= 10 * CASES, SEEN
    assert SEEN["paid"] >= 0.5 * CASES, SEEN
    assert SEEN["levered"] >= 0.05 * CASES, SEEN
    for margin in MarginType:
        assert SEEN[f"margin {margin}"] >= 0.05 * CASES, SEEN


@pytest.mark.parametrize("seed", range(max(8, CASES // 40)))
def test_random_grids_on_recorded_perpetuals(seed: int) -> None:
    """Real prices, rules and rates; whole results compared, curves included."""
    random = np.random.default_rng(seed)
    symbol = ("BTCUSDT", "ETHUSDT")[seed % 2]
    whole = load(symbol, Market.FUTURES)
    first = int(random.integers(0, len(whole) - 9000))
    start = int(whole.open_time_ms[first])
    bars = whole.slice(start, start + 60_000 * int(random.integers(1500, 9000)))
    spec = GridSpec(
        symbol,
        int(random.integers(4, 40)),
        spacing=Decimal(int(random.integers(8, 60))).scaleb(-4),
        investment=Decimal(int(random.integers(30_000, 200_000))),
        mode=(Spacing.GEOMETRIC, Spacing.ARITHMETIC)[seed // 4 % 2],
        market=Market.FUTURES,
        fees=FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
        allow_unprofitable=True,
        leverage=int(random.integers(1, 7)),
    )
    options = {
        "fill_rule": list(FillRule)[seed // 2 % 2],
        "margin": list(MarginType)[seed // 3 % 2],
        "funding": funding(symbol),
    }
    try:
        core = backtest(spec, bars, engine="core", **options)
    except InvalidSpec:
        pytest.skip("this grid may not start")
    side = FuturesSide(options["funding"], options["margin"])
    rule = options["fill_rule"]
    if isinstance(try_futures(core.plan, bars, account_for(core.plan), rule, side), str):
        assert backtest(spec, bars, **options).engine == "core"
        return
    mine = backtest(spec, bars, engine="kernel", **options)
    assert mine.trades == core.trades and mine.payments == core.payments
    assert mine.money == core.money and mine.ledger_lines == core.ledger_lines
    assert mine.bars_walked == core.bars_walked and mine.equity == core.equity
    for ours, its in zip(mine.curve, core.curve, strict=True):
        assert np.array_equal(ours, its)
    assert np.array_equal(mine.equity_at_fills, core.equity_at_fills)
    assert mine.drawdown == core.drawdown


@pytest.mark.parametrize("margin", list(MarginType))
@pytest.mark.parametrize("is_paid", [True, False])
def test_funding_alone_can_bring_liquidation(margin: MarginType, is_paid: bool) -> None:
    """A price that stands still, and payments that eat the margin: the kernel sees it coming."""
    quiet = load("BTCUSDT", Market.FUTURES).slice(end_ms=1_749_513_600_000 + 7_200_000)
    price = float(quiet.open[0])
    still = {name: np.full(len(quiet), price) for name in ("open", "high", "low", "close")}
    bars = replace(quiet, **still)
    spec = GridSpec(
        "BTCUSDT",
        8,
        spacing=Decimal("0.01"),
        investment=Decimal(30_000),
        market=Market.FUTURES,
        fees=FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
        leverage=4,
        liquidation_buffer=Decimal(0),
    )
    # Six times 9 % of the position is more than stands behind it; a hundredth of that is not.
    rate = Decimal("0.09") if is_paid else Decimal("0.0009")
    start = int(bars.open_time_ms[0])
    rates = Funding("BTCUSDT", np.array([start + k * 600_000 for k in range(1, 7)]), (rate,) * 6)
    probe = backtest(spec, bars, engine="core")
    # What is beside isolated margin does not help it.
    plenty = Decimal(20) if margin is MarginType.ISOLATED else Decimal("1.02")
    account = {"USDT": probe.plan.margin_needed * plenty}
    side = FuturesSide(rates, margin)
    found = assert_equal_to_core(probe.plan, bars, account, FillRule.TOUCH, side)
    story = core_story(probe.plan, bars, account, FillRule.TOUCH, side)
    assert isinstance(found, str) is is_paid
    assert (story.liquidation is not None) is is_paid
