"""The kernel with partial fills against the core: every part of every order, every figure.

Random grids, fee modes and rebates on random bars with random volumes, from none at all to more
than enough; recorded minutes with their recorded volumes. The core is the truth.
`GRIDLAB_KERNEL_CASES` says how many random cases are tried (300 when it is not set).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_kernel_differential import ARE_USUAL, CASES, random_bars

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.orders import Side
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.money import floor_to, from_float, rounding
from gridlab.research.backtest import backtest, core_story
from gridlab.research.flows import Flows
from gridlab.research.kernel_partial import PartialRun, lots_of_volume, try_partial
from gridlab.research.venue import account_for
from gridlab.testing import strategies as gl

#: What became of the random cases, so that a test of nothing is noticed.
SEEN: Counter[str] = Counter()


def with_volumes(bars: Bars, plan: GridPlan, seed: int) -> Bars:
    """Volumes around the size of an order, with few digits; some bars trade nothing."""
    random = np.random.default_rng(seed)
    order = float(plan.quantity)
    size = random.choice([0.3, 2.0, 20.0])
    volumes = order * size * random.exponential(1.0, len(bars))
    volumes[random.random(len(bars)) < 0.1] = 0.0
    whole = random.random(len(bars)) < 0.3  # thirds of these are whole orders
    volumes[whole] = order * 3 * random.integers(1, 4, int(whole.sum()))
    decimals = int(random.integers(0, 9))
    return replace(bars, volume=np.round(volumes, decimals))


def assert_equal_to_core(
    plan: GridPlan, bars: Bars, account: dict[str, Decimal], rule: FillRule, share: Decimal
) -> PartialRun | str:
    """Run both; the kernel may decline, and if it does not it must be right in everything."""
    found = try_partial(plan, bars, account, rule, share)
    if isinstance(found, str):
        return found
    story = core_story(plan, bars, account, rule, share=share)
    mine, truth = found.flows(bars), Flows.of(story.trades, bars, plan.instrument)
    assert not mine.difference(truth), mine.difference(truth)
    assert found.books.money == story.money
    assert found.books.lines == story.ledger_lines
    assert found.walked == story.bars_walked
    assert not story.vacancies
    rules = plan.instrument
    step = Decimal(1).scaleb(-rules.commission_precision)
    makers = [trade for trade in story.trades if trade.is_maker]
    for (_, _, slot, side, lots, fee), trade in zip(found.fills.tolist(), makers, strict=True):
        assert (side > 0) == (trade.side is Side.BUY)
        assert trade.price == found.ladder.lines[slot + (side < 0)] * rules.tick_size
        assert trade.quantity == lots * rules.lot_size and trade.fee == fee * step
    orders = {trade.order_id for trade in makers}
    SEEN["parts"] += len(makers) - len(orders)
    return found


@settings(
    max_examples=CASES,
    derandomize=ARE_USUAL,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    gl.settings_that_start(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(FillRule),
    st.sampled_from(["1", "0.5", "0.1", "0.037", "0.333333"]),
    st.booleans(),
)
def test_random_grids_on_random_bars(
    setting: gl.Setting, seed: int, rule: FillRule, share: str, is_tight: bool
) -> None:
    plan = setting.plan
    bars = with_volumes(random_bars(plan, seed, 10 + seed % 190), plan, seed)
    account = account_for(plan)
    if is_tight:
        account[plan.instrument.quote] = plan.capital_needed
    found = assert_equal_to_core(plan, bars, account, rule, Decimal(share))
    if isinstance(found, str):
        SEEN[f"declined: {found[:40]}"] += 1
        return
    SEEN["kernel"] += 1
    SEEN["fills"] += len(found.fills)
    SEEN[f"fees {plan.spec.fees.mode}"] += 1


def test_the_random_cases_were_worth_it() -> None:
    """Most of them within the kernel's domain, in each fee mode, with many parts of orders."""
    if not SEEN:
        pytest.skip("the random cases did not run in this process")
    assert SEEN["kernel"] >= 0.25 * CASES, SEEN
    assert SEEN["fills"] >= 10 * CASES, SEEN
    assert SEEN["parts"] >= 3 * CASES, SEEN
    for mode in FeeMode:
        assert SEEN[f"fees {mode}"] >= 0.02 * CASES, SEEN


@pytest.mark.parametrize("seed", range(max(9, CASES // 40)))
def test_random_grids_on_recorded_minutes(seed: int) -> None:
    """Real prices, volumes and rules; whole results compared, curves included."""
    random = np.random.default_rng(seed)
    symbol = ("BTCUSDT", "ETHUSDT", "SOLUSDT")[seed % 3]
    whole = load(symbol)
    first = int(random.integers(0, len(whole) - 4000))
    start = int(whole.open_time_ms[first])
    bars = whole.slice(start, start + 60_000 * int(random.integers(500, 4000)))
    mode = (FeeMode.RECEIVED, FeeMode.QUOTE, FeeMode.THIRD)[seed // 3 % 3]
    token = {"third_asset": "TOKEN", "third_price": Decimal(600)} if mode is FeeMode.THIRD else {}
    spec = GridSpec(
        symbol,
        int(random.integers(4, 40)),
        spacing=Decimal(int(random.integers(8, 50))).scaleb(-4),
        investment=Decimal(int(random.integers(20_000, 400_000))),
        mode=list(Spacing)[seed // 2 % 2],
        fees=FeeSchedule(mode=mode, **token),
        allow_unprofitable=True,
    )
    rule, share = list(FillRule)[seed % 2], ("0.05", "0.002", "0.0004")[seed % 3]
    try:
        core = backtest(spec, bars, engine="core", fill_rule=rule, participation=share)
    except InvalidSpec:
        pytest.skip("this grid may not start")
    found = try_partial(core.plan, bars, account_for(core.plan), rule, Decimal(share))
    if isinstance(found, str):
        assert backtest(spec, bars, fill_rule=rule, participation=share).engine == "core"
        return
    mine = backtest(spec, bars, engine="kernel", fill_rule=rule, participation=share)
    assert mine.trades == core.trades and mine.money == core.money
    assert mine.ledger_lines == core.ledger_lines and mine.fills == core.fills
    assert mine.equity == core.equity and mine.drawdown == core.drawdown
    for ours, its in zip(mine.curve, core.curve, strict=True):
        assert np.array_equal(ours, its)


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=40),
    st.integers(0, 8),
    st.sampled_from(["1", "0.5", "0.3", "0.1", "0.037", "0.000003"]),
    st.integers(-1, 8),
)
def test_a_legs_volume_is_what_the_venue_makes_of_it(
    counts: list[int], decimals: int, share: str, lot_decimals: int
) -> None:
    volumes = np.array([float(Decimal(count).scaleb(-decimals)) for count in counts])
    lot = Decimal(1).scaleb(-lot_decimals)
    found = lots_of_volume(volumes, Decimal(share), lot)
    for volume, lots in zip(volumes, found.tolist(), strict=True):
        with rounding():
            leg = from_float(volume) * Decimal(share) / 3
        assert lots * lot == floor_to(leg, lot)
        assert lots == Fraction(from_float(volume)) * Fraction(share) / 3 // Fraction(lot)


def test_engine_kernel_takes_partial_fills_on_spot_and_declines_them_on_futures() -> None:
    bars = load("BTCUSDT").slice(end_ms=1_772_323_200_000 + 86_400_000)
    spec = GridSpec("BTCUSDT", 10, spacing=Decimal("0.003"), investment=Decimal(50_000))
    assert backtest(spec, bars, engine="kernel", participation="0.01").engine == "kernel"
    with pytest.raises(InvalidInput, match="above 0"):
        backtest(spec, bars, participation="0")
    fees = FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE)
    perpetual = replace(spec, market=Market.FUTURES, fees=fees)
    minutes = load("BTCUSDT", Market.FUTURES).slice(end_ms=1_749_513_600_000 + 86_400_000)
    with pytest.raises(InvalidInput, match="market is futures"):
        backtest(perpetual, minutes, engine="kernel", participation="0.01")
    assert backtest(perpetual, minutes, participation="0.01").engine == "core"
