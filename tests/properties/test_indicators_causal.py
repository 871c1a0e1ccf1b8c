"""No indicator sees the future: what it says at t is said on data cut at t, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput
from gridlab.research.indicator_lines import INDICATORS
from gridlab.research.indicators import compute

START = 1_772_323_200_000
STEP = Interval.H1.ms


@st.composite
def walks(draw: st.DrawFn) -> Bars:
    """Hourly bars of any height: flat stretches, jumps, holes in time, hours without a trade."""
    count = draw(st.integers(2, 90))
    moves = draw(
        st.lists(st.sampled_from([0, 0, 1, -1, 3, -4, 40]), min_size=count, max_size=count)
    )
    scale = draw(st.sampled_from([1e-8, 0.013, 1.0, 71_234.5]))
    skips = draw(st.lists(st.sampled_from([1, 1, 1, 1, 5]), min_size=count, max_size=count))
    volume = draw(st.lists(st.sampled_from([0.0, 1.5, 2e6]), min_size=count, max_size=count))
    first = draw(st.integers(0, 23))
    close = scale * np.exp(np.cumsum(moves) / 100)
    opened = np.concatenate((close[:1], close[:-1]))
    width = draw(st.sampled_from([0.0, 0.003]))
    return Bars(
        "AAAUSDT",
        Market.SPOT,
        Interval.H1,
        START + STEP * (first + np.cumsum(skips)),
        opened,
        np.maximum(opened, close) * (1 + width),
        np.minimum(opened, close) * (1 - width),
        close,
        np.array(volume),
        np.full(count, np.nan),
        np.full(count, -1, np.int64),
    )


def check_prefix(bars: Bars, name: str, period: int | None, cut: int) -> None:
    whole = compute(name, bars, period)
    try:
        part = compute(name, bars.slice(None, int(bars.open_time_ms[cut])), period)
    except InvalidInput as error:
        assert "made of volume" in str(error) and not bars.volume[:cut].any()
        return
    assert part.warmup == min(whole.warmup, cut)
    for key, values in part.lines.items():
        np.testing.assert_array_equal(values, whole.lines[key][:cut], err_msg=f"{name} {key}")


@pytest.mark.parametrize("name", INDICATORS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_prefix_of_the_data_gives_a_prefix_of_the_lines(name: str, data: st.DataObject) -> None:
    bars = data.draw(walks())
    if not bars.volume.any() and "volume" in INDICATORS[name].inputs:
        return
    least = INDICATORS[name].least_period or 1
    period = data.draw(st.none() | st.integers(least, 20))
    check_prefix(bars, name, period, data.draw(st.integers(1, len(bars) - 1)))


@pytest.mark.parametrize("name", INDICATORS)
def test_recorded_hours_cut_anywhere(name: str) -> None:
    hours = load("BTCUSDT").resample(Interval.H1)
    for cut in range(1, len(hours), 37):
        check_prefix(hours, name, None, cut)


@pytest.mark.parametrize("name", INDICATORS)
def test_a_changed_future_changes_no_past(name: str) -> None:
    hours = load("BTCUSDT").resample(Interval.H1).slice(None, START + 200 * STEP)
    later = np.arange(len(hours)) >= 150
    changed = Bars(
        hours.symbol,
        hours.market,
        hours.interval,
        hours.open_time_ms,
        *(
            np.where(later, getattr(hours, column) * 1.5, getattr(hours, column))
            for column in ("open", "high", "low", "close", "volume")
        ),
        hours.quote_volume,
        hours.trades,
    )
    before, after = compute(name, hours), compute(name, changed)
    for key, values in before.lines.items():
        np.testing.assert_array_equal(values[:150], after.lines[key][:150])
    assert any(
        not np.array_equal(values[150:], after.lines[key][150:], equal_nan=True)
        for key, values in before.lines.items()
    ), "the change was not seen at all, so the test shows nothing"
