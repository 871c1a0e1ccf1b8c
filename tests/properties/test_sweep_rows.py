"""A sweep's rows against single backtests by the core, for random spaces over random stretches.

`GRIDLAB_SWEEP_CASES` says how many spaces are tried (40 when it is not set).
"""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.research.backtest import backtest
from gridlab.research.space import Space, space
from gridlab.research.sweep import sweep

CASES = int(os.environ.get("GRIDLAB_SWEEP_CASES", "40"))
#: The usual cases hardly differ from run to run; where more are asked for they are new each time.
ARE_USUAL = "GRIDLAB_SWEEP_CASES" not in os.environ
MONTHS = {symbol: load(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
HOUR = 60
#: What became of the rows, so that a test of nothing is noticed.
SEEN: Counter[str] = Counter()
FEES = (
    FeeSchedule(),
    FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
    FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=Decimal(600)),
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """A few values on two to four axes: some rows start, some do not, some are no grid at all."""

    def several(values: st.SearchStrategy[object], most: int = 3) -> list[object]:
        return draw(st.lists(values, min_size=1, max_size=most, unique=True))

    def thousandths(low: int, high: int) -> st.SearchStrategy[Decimal]:
        return st.integers(low, high).map(lambda n: Decimal(n).scaleb(-4))

    shape = (
        {"spacing": several(thousandths(5, 120))}
        if draw(st.booleans())
        else {"width": several(thousandths(50, 3000))}
    )
    money = (
        {"investment": several(st.integers(50, 50_000), 2)}
        if draw(st.booleans())
        else {"quantity": several(st.sampled_from(["0.0002", "0.003", "0.05"]), 2)}
    )
    drawn = space(
        draw(st.sampled_from(sorted(MONTHS))),
        levels=several(st.integers(2, 60)),
        mode=several(st.sampled_from(["geometric", "arithmetic"]), 2),
        fees=draw(st.sampled_from(FEES)),
        allow_unprofitable=draw(st.booleans()),
        **shape,
        **money,
    )
    count = draw(st.integers(1, 8))
    return drawn.sample(count, draw(st.integers(0, 99)))


#: What luck must not leave out: rows with many fills beside rows that may not start.
DENSE = space(
    "SOLUSDT",
    levels=[30, 60],
    spacing=["0.0012", "0.0019"],
    investment=[50_000, 60],
    allow_unprofitable=True,
)


@settings(
    max_examples=CASES,
    derandomize=ARE_USUAL,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@example(DENSE, 3, 12, FillRule.TOUCH)
@given(spaces(), st.integers(0, 190), st.integers(1, 12), st.sampled_from(FillRule))
def test_rows_are_single_backtests(many: Space, begin: int, hours: int, rule: FillRule) -> None:
    month = MONTHS[many.symbol]
    first = int(month.open_time_ms[begin * HOUR])
    bars = month.slice(first, first + hours * 3_600_000)
    found = sweep(many, bars, fill_rule=rule, progress=False)
    frame, plans = found.to_frame(), many.plans(bars)
    assert len(frame) == len(plans) == len(many)
    for i, plan in enumerate(plans):
        assert found.ran[i] == plan.ok
        SEEN[str(frame["engine"][i])] += 1
        SEEN["fills"] += max(0, frame["buys"][i]) + max(0, frame["sells"][i])
        if not isinstance(plan, GridPlan):
            assert found.row(i).reason == str(plan) and frame["buys"][i] == -1
            with pytest.raises(InvalidSpec):
                found.backtest(i)
            continue
        alone = backtest(plan.spec, bars, fill_rule=rule, engine="core")
        assert (frame["buys"][i], frame["sells"][i]) == alone.fills
        assert frame["equity"][i] == float(alone.equity)
        assert frame["base_held"][i] == float(alone.money.base_held)
        assert frame["fees"][i] == float(alone.money.fees)
        assert frame["out_of_range"][i] == alone.out_of_range
        assert frame["total_return"][i] == pytest.approx(alone.total_return, abs=1e-12)
        assert frame["max_drawdown"][i] == pytest.approx(alone.max_drawdown, abs=1e-11)


def test_the_random_rows_were_worth_it() -> None:
    """Many ran, many fills among them, and some could not start: bounds that no luck reaches."""
    if not SEEN:
        pytest.skip("the random spaces did not run in this process")
    assert SEEN["kernel"] >= CASES / 2 and SEEN[""] >= CASES / 8, SEEN
    assert SEEN["fills"] >= 500 + CASES, SEEN
