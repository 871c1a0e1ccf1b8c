"""Sharpe statistics against published numbers, another implementation and simulated luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gridlab.errors import InvalidInput
from gridlab.research.significance import (
    Moments,
    annualised,
    deflated_sharpe,
    effective_trials,
    expected_best_sharpe,
    min_track_record,
    probabilistic_sharpe,
    sharpe_ratios,
)


def yearly(sharpe: float, per_year: int, count: int, skew: float = 0, kurtosis: float = 3):
    return Moments(count, sharpe / math.sqrt(per_year), skew, kurtosis)


class TestPublishedNumbers:
    """Bailey and Lopez de Prado's own worked examples, 250 days a year as they count."""

    #: 2014: a yearly ratio of 2.5 over five years, the best of many whose ratios vary by 1/2.
    FOUND = yearly(2.5, 250, 1250, skew=-3, kurtosis=10)
    VARIANCE = 0.5 / 250

    def test_the_best_of_a_hundred(self) -> None:
        benchmark = expected_best_sharpe(100, self.VARIANCE)
        assert benchmark == pytest.approx(0.1132, abs=5e-5)
        assert probabilistic_sharpe(self.FOUND, benchmark) == pytest.approx(0.9004, abs=5e-5)

    def test_the_best_of_forty_six_passes(self) -> None:
        benchmark = expected_best_sharpe(46, self.VARIANCE)
        assert probabilistic_sharpe(self.FOUND, benchmark) == pytest.approx(0.9505, abs=5e-5)

    def test_normal_returns_would_pass_with_eighty_eight(self) -> None:
        benchmark = expected_best_sharpe(88, self.VARIANCE)
        found = probabilistic_sharpe(yearly(2.5, 250, 1250), benchmark)
        assert found == pytest.approx(0.9505, abs=5e-5)

    @pytest.mark.parametrize(("per_year", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
    def test_the_record_that_a_ratio_of_two_needs(self, per_year: int, years: float) -> None:
        """2012: to be shown above 1 at 95 %, from daily, weekly and monthly returns."""
        record = min_track_record(yearly(2, per_year, 9), 1 / math.sqrt(per_year))
        assert record / per_year == pytest.approx(years, abs=0.005)


class TestMoments:
    def test_as_scipy_has_them(self) -> None:
        stats = pytest.importorskip("scipy.stats")
        returns = np.random.default_rng(3).standard_t(5, 400) / 100 + 0.001
        found = Moments.of(returns)
        assert found.count == 400
        assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
        assert found.skew == pytest.approx(stats.skew(returns))
        assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))

    @pytest.mark.parametrize("returns", [[], [0.1], [0.0] * 9, [0.1] * 9])
    def test_undefined_is_nan(self, returns: list[float]) -> None:
        found = Moments.of(returns)
        assert math.isnan(found.sharpe) and math.isnan(probabilistic_sharpe(found))
        assert math.isnan(min_track_record(found))

    def test_nan_is_refused_with_its_place(self) -> None:
        with pytest.raises(InvalidInput, match=r"return at \[2\] is nan"):
            Moments.of([0.1, 0.2, math.nan])
        with pytest.raises(InvalidInput, match=r"return at \[0, 1\] is inf"):
            deflated_sharpe([[0.1, math.inf], [0.2, 0.1]])
        with pytest.raises(InvalidInput, match="dimensions"):
            Moments.of([[0.1], [0.2]])

    def test_the_error_covers_the_truth_as_often_as_it_says(self) -> None:
        """A thousand records of skewed returns of a known ratio: 95 % bounds miss one in twenty."""
        rng = np.random.default_rng(5)
        truth = 0.2
        draws = rng.exponential(size=(1000, 600)) * -1 + 1 + truth  # skew -2, kurtosis 9, sd 1
        below = [probabilistic_sharpe(Moments.of(row), truth) for row in draws]
        assert np.mean(np.array(below) > 0.95) == pytest.approx(0.05, abs=0.02)
        assert np.mean(np.array(below) < 0.05) == pytest.approx(0.05, abs=0.025)


class TestRecordLength:
    def test_is_where_the_probability_reaches_the_confidence(self) -> None:
        found = yearly(1.5, 365, 100, skew=-1, kurtosis=8)
        needed = min_track_record(found, confidence=0.9)
        at = Moments(math.ceil(needed), found.sharpe, found.skew, found.kurtosis)
        before = Moments(math.ceil(needed) - 1, found.sharpe, found.skew, found.kurtosis)
        assert probabilistic_sharpe(before) < 0.9 <= probabilistic_sharpe(at)

    def test_no_length_shows_what_is_not_there(self) -> None:
        assert min_track_record(yearly(-1, 365, 100)) == math.inf
        with pytest.raises(InvalidInput, match="confidence is 1"):
            min_track_record(yearly(1, 365, 100), confidence=1)


class TestExpectedBest:
    @pytest.mark.parametrize(("trials", "off"), [(10, 0.05), (100, 0.02), (1000, 0.02)])
    def test_as_simulated(self, trials: int, off: float) -> None:
        rng = np.random.default_rng(7)
        best = rng.normal(scale=0.3, size=(4000, trials)).max(axis=1).mean()
        assert expected_best_sharpe(trials, 0.09) == pytest.approx(best, rel=off)

    def test_of_one_nothing(self) -> None:
        assert expected_best_sharpe(1, 0.5) == 0 and expected_best_sharpe(50, 0) == 0
        with pytest.raises(InvalidInput, match="trials is 0"):
            expected_best_sharpe(0, 0.5)


class TestEffectiveTrials:
    def test_independent_all_alike_and_between(self) -> None:
        rng = np.random.default_rng(11)
        own, common = rng.normal(size=(5000, 40)), rng.normal(size=(5000, 1))
        assert effective_trials(own) == pytest.approx(40, rel=0.02)
        assert effective_trials(np.repeat(common, 40, axis=1)) == pytest.approx(1)
        half = math.sqrt(0.5) * common + math.sqrt(0.5) * own
        assert effective_trials(half) == pytest.approx(0.5 + 0.5 * 40, rel=0.05)

    def test_equals_the_mean_of_the_correlation_matrix(self) -> None:
        returns = np.random.default_rng(13).normal(size=(60, 7)).cumsum(axis=1)
        matrix = np.corrcoef(returns.T)
        mean = matrix[np.triu_indices(7, 1)].mean()
        assert effective_trials(returns) == pytest.approx(mean + (1 - mean) * 7)

    def test_what_never_moves_does_not_count(self) -> None:
        assert math.isnan(effective_trials(np.zeros((9, 3))))
        returns = np.zeros((9, 2))
        returns[::2, 1] = 1
        assert effective_trials(returns) == 1


class TestDeflated:
    """The best of trials without skill, many times over."""

    @staticmethod
    def best_of_noise(correlation: float, seed: int) -> list[tuple[float, float, float]]:
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(300):
            common, own = rng.normal(size=(250, 1)), rng.normal(size=(250, 60))
            returns = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
            judged = deflated_sharpe(returns)
            plain = probabilistic_sharpe(Moments.of(returns[:, judged.column]))
            found.append((judged.probability, judged.probability_effective, plain))
        return found

    def test_luck_lands_in_the_middle_and_seldom_passes(self) -> None:
        deflated, _, plain = np.array(self.best_of_noise(0.0, 17)).T
        assert np.mean(deflated) == pytest.approx(0.5, abs=0.06)
        assert np.mean(deflated > 0.95) <= 0.05
        assert np.mean(plain > 0.95) > 0.9, "undeflated, the best of sixty passes nearly always"

    def test_alike_trials_are_deflated_once_not_twice(self) -> None:
        """With correlation 0.8 all columns count; only the effective ones would be too kind."""
        deflated, kinder, _ = np.array(self.best_of_noise(0.8, 19)).T
        assert np.mean(deflated) == pytest.approx(0.5, abs=0.07)
        assert np.mean(deflated > 0.95) <= 0.07
        assert np.mean(kinder) > np.mean(deflated) + 0.05

    def test_skill_passes(self) -> None:
        rng = np.random.default_rng(23)
        returns = rng.normal(size=(1000, 60))
        returns[:, 41] += 0.3
        found = deflated_sharpe(returns)
        assert found.column == 41 and found.trials == 60 and found.probability > 0.999

    def test_the_chosen_need_not_be_the_best(self) -> None:
        returns = np.random.default_rng(29).normal(size=(100, 5))
        best, other = deflated_sharpe(returns), deflated_sharpe(returns, 2)
        assert other.column == 2 and other.benchmark == best.benchmark
        assert other.sharpe == pytest.approx(sharpe_ratios(returns)[2])
        with pytest.raises(InvalidInput, match="column is 5"):
            deflated_sharpe(returns, 5)
        with pytest.raises(InvalidInput, match="1 trial"):
            deflated_sharpe(returns[:, :1])


def test_annualised_by_the_calendar() -> None:
    assert annualised(0.1, 86_400_000) == pytest.approx(0.1 * math.sqrt(365))
    assert annualised(0.1, 3_600_000) == pytest.approx(0.1 * math.sqrt(8760))


def test_a_column_that_never_moves_has_no_ratio() -> None:
    ratios = sharpe_ratios([[0.0, 0.1], [0.0, 0.3]])
    assert math.isnan(ratios[0]) and ratios[1] == pytest.approx(math.sqrt(2))
    assert np.isnan(sharpe_ratios([[0.1, 0.2]])).all()
