"""What a grid has to beat: holding, luck and the ATR rule, each by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from gridlab.data.catalog import load
from gridlab.domain.market import FeeSchedule, Interval
from gridlab.research.backtest import backtest
from gridlab.research.baselines import (
    atr_fraction,
    atr_spec,
    hold_growth,
    random_choices,
    share_beaten,
)
from gridlab.research.grids import make_grid

DAY = 86_400_000
FIRST = 1_772_323_200_000
BARS = load("BTCUSDT").slice(FIRST, FIRST + 6 * DAY)


class TestHolding:
    def test_equals_the_backtest_s_benchmark_up_to_the_sale_at_the_end(self) -> None:
        growth = hold_growth([BARS], 0.001)[0]
        whole = backtest(make_grid("BTCUSDT"), BARS)
        assert growth[-1] / (1 - 0.001) - 1 == pytest.approx(whole.hold_return)
        assert growth[:-1] == pytest.approx((whole.curve.hold / 1000)[:-1])

    def test_two_spans_pay_one_entry_and_one_exit(self) -> None:
        first, second = BARS.slice(None, FIRST + 3 * DAY), BARS.slice(FIRST + 3 * DAY)
        parts, whole = hold_growth([first, second], 0.002), hold_growth([BARS], 0.002)[0]
        assert np.concatenate(parts) == pytest.approx(whole)


class TestLuck:
    TESTED = (np.array([0.1, -0.1, np.nan]), np.array([0.2, np.nan, 0.0]))

    def test_draws_only_what_could_start_each_as_likely(self) -> None:
        luck = random_choices(self.TESTED, 40_000, seed=1, compound=True)
        values, counts = np.unique(luck.totals.round(9), return_counts=True)
        assert values == pytest.approx([-0.1, 0.08, 0.1, 0.32])
        assert counts / 40_000 == pytest.approx(0.25, abs=0.01)

    def test_without_compounding_windows_add(self) -> None:
        luck = random_choices(self.TESTED, 1000, seed=1, compound=False)
        assert np.unique(luck.totals.round(9)) == pytest.approx([-0.1, 0.1, 0.3])

    def test_the_seed_decides(self) -> None:
        rng = np.random.default_rng(5)
        tested = [rng.normal(0, 0.05, 50) for _ in range(9)]
        first, again = (random_choices(tested, 500, 7, True) for _ in range(2))
        assert np.array_equal(first.totals, again.totals)
        assert not np.array_equal(first.totals, random_choices(tested, 500, 8, True).totals)
        assert first.band.shape == (9, 3) and (np.diff(first.band) >= 0).all()
        assert first.band[-1] == pytest.approx(np.quantile(first.totals, (0.05, 0.5, 0.95)))

    def test_a_window_in_which_none_could_start_is_spent_in_cash(self) -> None:
        luck = random_choices([np.full(3, np.nan), np.array([0.5])], 10, 0, True)
        assert luck.totals == pytest.approx(0.5)


class TestAtr:
    def test_mean_true_range_by_hand(self) -> None:
        hours = BARS.resample(Interval.H1)
        ranges = [hours.high[0] - hours.low[0]]
        for k in range(1, len(hours)):
            before = hours.close[k - 1]
            ranges.append(
                max(
                    hours.high[k] - hours.low[k],
                    abs(hours.high[k] - before),
                    abs(hours.low[k] - before),
                )
            )
        assert atr_fraction(BARS) == pytest.approx(np.mean(ranges) / BARS.close[-1])
        assert atr_fraction(hours) == pytest.approx(atr_fraction(BARS))

    def test_wider_candles_count_by_the_root_of_time(self) -> None:
        wide = BARS.resample(Interval.H4)
        ranges = np.maximum(wide.high[1:], wide.close[:-1]) - np.minimum(
            wide.low[1:], wide.close[:-1]
        )
        mean = (ranges.sum() + wide.high[0] - wide.low[0]) / len(wide)
        assert atr_fraction(wide) == pytest.approx(mean / wide.close[-1] / 2)

    def test_the_rule_keeps_the_money_and_sets_the_shape(self) -> None:
        like = make_grid("BTCUSDT", lower=50_000, upper=90_000, levels=7, investment=777)
        spec, atr = atr_spec(like, BARS, 2 * DAY), atr_fraction(BARS)
        assert 0.006 < atr < 0.02, "an hour of these days moves about a percent"
        assert (spec.investment, spec.fees, spec.mode) == (777, like.fees, like.mode)
        assert (spec.lower, spec.upper) == (None, None)
        assert float(spec.spacing or 0) == pytest.approx(atr, abs=1e-6)
        reach = (1 + float(spec.spacing or 0)) ** (spec.levels / 2) - 1
        assert spec.levels % 2 == 0 and reach >= atr * 48**0.5
        assert (1 + atr) ** (spec.levels / 2 - 1) - 1 < atr * 48**0.5, "no more than is needed"

    def test_dear_fees_widen_it(self) -> None:
        like = make_grid("BTCUSDT", spacing="10%", fees=FeeSchedule(maker=Decimal("0.01")))
        assert atr_spec(like, BARS, DAY).spacing == Decimal("0.06")


@pytest.mark.parametrize(("value", "share"), [(0, 0), (1, 0.125), (2, 0.5), (3, 0.75), (9, 1)])
def test_share_beaten_counts_draws_half(value: float, share: float) -> None:
    assert share_beaten(value, np.array([1.0, 2.0, 2.0, 4.0])) == share
