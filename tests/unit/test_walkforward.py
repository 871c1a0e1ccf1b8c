"""Walk-forward: nothing of a trial reaches its choice, and every figure can be had another way."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridlab as gl
from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.research import walkforward
from gridlab.research.backtest import backtest
from gridlab.research.metrics import max_drawdown
from gridlab.research.overfitting import overfitting
from gridlab.research.sampling import ends_of
from gridlab.research.significance import Moments, deflated_sharpe
from gridlab.research.space import Space, space
from gridlab.research.stability import spearman
from gridlab.research.walk_outcome import ATR, CASH, HOLD, RANDOM
from gridlab.research.walk_result import WalkForward

pytestmark = pytest.mark.slow  # seconds each: left out of make check

DAY = 86_400_000
FIRST = 1_772_323_200_000
BARS = load("BTCUSDT").slice(FIRST, FIRST + 13 * DAY)
EXAMPLE = Path(__file__).parents[2] / "examples" / "walk_forward_in_ten_lines.py"
SPACE = space("BTCUSDT", levels=[6, 12, 30], spacing=["0.3%", "0.6%", "1.2%"], investment=5000)
LENGTHS = {"train": "4d", "test": "2d", "purge": "1d", "progress": False, "draws": 2000}


def walked(bars: Any = BARS, rows: Space = SPACE, **more: Any) -> WalkForward:
    return gl.walk_forward(rows, bars, **(LENGTHS | more))


@pytest.fixture(scope="module")
def result() -> WalkForward:
    return walked()


def market(price: Any, days: int) -> Bars:
    """Minutes of a price that is a function of time in days, on the tick."""
    points = np.round(price(np.arange(days * 1440 + 1) / 1440), 2)
    opened, close = points[:-1], points[1:]
    times = FIRST + 60_000 * np.arange(len(close))
    none, trades = np.full(len(close), np.nan), np.full(len(close), -1)
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    columns = (times, opened, high, low, close, np.ones(len(close)), none, trades)
    return Bars("BTCUSDT", Market.SPOT, Interval.M1, *columns)


def changed(bars: Bars, from_ms: int, factor: float) -> Bars:
    """The same bars with other prices from a moment on."""
    scale = np.where(bars.open_time_ms >= from_ms, factor, 1.0)
    prices = [np.round(getattr(bars, name) * scale, 2) for name in ("open", "high", "low", "close")]
    rest = (bars.volume, bars.quote_volume, bars.trades)
    return Bars(bars.symbol, bars.market, bars.interval, bars.open_time_ms, *prices, *rest)


class TestNothingLeaks:
    def test_a_choice_depends_on_its_training_alone(self, result: WalkForward) -> None:
        """Prices are changed from the purge of the second window on: its choice stays."""
        window = result.runs[1].window
        other = walked(changed(BARS, window.train_to_ms, 1.03)).runs[1]
        assert np.array_equal(other.scores, result.runs[1].scores)
        assert other.chosen == result.runs[1].chosen
        assert other.plan.reference_price != result.runs[1].plan.reference_price

    def test_and_on_all_of_it(self, result: WalkForward) -> None:
        last = result.runs[1].window.train_to_ms - 60_000
        other = walked(changed(BARS, last, 1.03)).runs[1]
        assert not np.array_equal(other.scores, result.runs[1].scores)

    def test_the_choice_is_the_best_in_training(self, result: WalkForward) -> None:
        for run in result.runs:
            training = run.window.training(BARS)
            returns = [
                backtest(SPACE.spec(row, walkforward.from_float(training.open[0])), training)
                for row in range(len(SPACE))
            ]
            assert run.scores == pytest.approx([r.total_return for r in returns])
            assert run.chosen == int(np.argmax(run.scores))
            best = returns[run.chosen]
            closing = 0.001 * float(best.money.base_held) * training.close[-1]
            assert run.in_sample == pytest.approx(best.total_return - closing / 5000)


class TestTrials:
    def test_each_is_a_backtest_sold_out_at_the_end(self, result: WalkForward) -> None:
        for run in result.runs:
            trial = run.window.trial(BARS)
            for row in range(len(SPACE)):
                spec = SPACE.spec(row, walkforward.from_float(trial.open[0]))
                one = backtest(spec, trial)
                closing = 0.001 * float(one.money.base_held) * trial.close[-1]
                expected = one.total_return - closing / 5000
                assert run.tested[row] == pytest.approx(expected)
                if row == run.chosen:
                    assert run.out_of_sample == pytest.approx(expected)
                    assert (run.grid.buys, run.grid.sells) == one.fills

    def test_end_to_end_they_compound(self, result: WalkForward) -> None:
        trials = [run.out_of_sample for run in result.runs]
        assert len(trials) == 4
        assert result.total_return == pytest.approx(np.prod(1 + np.array(trials)) - 1)
        curve = result.equity_frame()
        assert len(curve) == 4 * 2 * 1440 and curve.index.is_monotonic_increasing
        assert curve.grid.iloc[-1] - 1 == pytest.approx(result.total_return)
        deepest = max_drawdown(np.append(1.0, curve.grid.to_numpy())).fraction
        assert result.max_drawdown == pytest.approx(deepest)

    def test_or_each_starts_with_the_same_money(self, result: WalkForward) -> None:
        apart = walked(compound=False)
        assert apart.total_return == pytest.approx(sum(r.out_of_sample for r in result.runs))
        assert apart.hold_return == pytest.approx(result.hold_return), "one stretch, held through"

    def test_holding_is_bought_and_sold_once(self, result: WalkForward) -> None:
        span = BARS.slice(result.runs[0].window.test_from_ms, result.runs[-1].window.test_to_ms)
        expected = span.close[-1] * 0.999 / (span.open[0] * 1.001) - 1
        assert result.hold_return == pytest.approx(expected)
        held = result.to_frame().hold
        assert np.prod(1 + held) - 1 == pytest.approx(expected)

    def test_holding_pauses_with_the_trials(self) -> None:
        paused = walked(step="4d")
        assert [run.window.stretch for run in paused.runs] == [0, 1]
        growth = 1.0
        for run in paused.runs:
            span = run.window.trial(BARS)
            growth *= span.close[-1] * 0.999 / (span.open[0] * 1.001)
        assert paused.hold_return == pytest.approx(growth - 1)

    def test_the_atr_rule_runs_in_the_same_windows(self, result: WalkForward) -> None:
        growth = 1.0
        for run in result.runs:
            plan, trial = run.atr_plan, run.window.trial(BARS)
            assert not isinstance(plan, str) and run.atr is not None
            one = backtest(plan.spec, trial)
            growth *= (
                1 + one.total_return - 0.001 * float(one.money.base_held) * trial.close[-1] / 5000
            )
        assert result.atr_return == pytest.approx(growth - 1)


class TestStatistics:
    def test_random_choices_are_of_the_same_trials(self, result: WalkForward) -> None:
        draws = np.array(np.meshgrid(*(1 + result.tested), indexing="ij")).prod(axis=0) - 1
        assert len(draws.ravel()) == 9**4
        assert result.random_return == pytest.approx(np.median(draws), abs=0.002)
        assert result.random_beaten == pytest.approx(np.mean(draws < result.total_return), abs=0.03)

    def test_ranks_before_and_after(self, result: WalkForward) -> None:
        expected = [spearman(run.scores, run.tested) for run in result.runs]
        assert result.rank_correlations == pytest.approx(expected)
        assert result.rank_correlation == pytest.approx(np.mean(expected))

    def test_sharpe_of_hourly_returns(self, result: WalkForward) -> None:
        parts = []
        for run in result.runs:
            trial = run.window.trial(BARS)
            equity = run.grid.equity[ends_of(trial, 3_600_000)]
            parts.append(np.diff(equity, prepend=1.0) / np.append(1.0, equity[:-1]))
        assert result.moments == Moments.of(np.concatenate(parts))
        assert result.moments.count == 4 * 48
        assert walked(sample="1d").moments.count == 8

    def test_holding_is_measured_over_the_same_samples(self, result: WalkForward) -> None:
        span = BARS.slice(result.runs[0].window.test_from_ms, result.runs[-1].window.test_to_ms)
        closes = span.close[59::60].copy()
        closes[-1] *= 0.999
        expected = np.diff(closes, prepend=0) / np.append(1, closes[:-1])
        expected[0] = closes[0] / (span.open[0] * 1.001) - 1
        assert result.hold_moments.sharpe == pytest.approx(Moments.of(expected).sharpe)
        curve = span.close / (span.open[0] * 1.001)
        assert result.hold_drawdown == pytest.approx(
            max_drawdown(np.append(1.0, curve)).fraction, abs=1e-3
        )

    def test_overfitting_and_hindsight_over_whole_records(self, result: WalkForward) -> None:
        panel = np.concatenate([run.returns for run in result.runs])
        found, best = result.overfitting, result.deflated
        assert found is not None and best is not None
        again = overfitting(panel, edges=[0, 48, 96, 144, 192])
        assert (found.probability, found.slices) == (again.probability, 4)
        once_more = deflated_sharpe(panel)
        assert (best.column, best.trials) == (once_more.column, 9) == (result.hindsight, 9)
        assert best.probability == pytest.approx(once_more.probability)

    def test_efficiency_is_growth_a_day_over_growth_a_day(self, result: WalkForward) -> None:
        inside = sum(math.log(1 + run.in_sample) for run in result.runs) / (4 * 4)
        outside = sum(math.log(1 + run.out_of_sample) for run in result.runs) / (4 * 2)
        if inside > 0:
            assert result.efficiency == pytest.approx(outside / inside)
        else:
            assert math.isnan(result.efficiency)

    def test_one_window_has_no_overfitting_and_says_so(self) -> None:
        single = walked(BARS.slice(None, FIRST + 7 * DAY))
        assert len(single) == 1 and single.overfitting is None
        assert "overfitting: undefined" in single.report()
        assert single.to_dict()["overfitting"] is None


class TestVerdict:
    def test_where_the_price_swings_the_grid_beats_all_and_says_so(self) -> None:
        swings = market(lambda day: 60_000 * (1 + 0.02 * np.sin(8 * np.pi * day)), 13)
        rows = space("BTCUSDT", levels=[10], spacing=["0.25%", "0.5%", "6%"], investment=5000)
        found = walked(swings, rows)
        assert found.beats == dict.fromkeys((HOLD, RANDOM, ATR, CASH), True)
        assert found.headline.startswith(
            "Out of sample the grid beat holding, the median random grid, the ATR rule and cash: +"
        )
        assert found.total_return > 0.05 > found.random_return > found.hold_return

    def test_where_the_price_climbs_it_says_that_holding_was_better(self) -> None:
        climb = market(lambda day: 60_000 * 1.01**day, 13)
        found = walked(climb)
        assert not found.beats[HOLD] and found.beats[CASH]
        assert "did NOT beat" in found.headline and "holding" in found.headline.split(":")[0]
        assert found.hold_return == pytest.approx(1.01**8 * 0.999 / 1.001 - 1, abs=1e-4)

    def test_where_the_price_falls_it_beats_neither_cash_nor_says_it_does(self) -> None:
        fall = market(lambda day: 60_000 * 0.98**day, 13)
        found = walked(fall)
        assert found.beats[HOLD] and not found.beats[CASH] and found.total_return < 0

    def test_the_first_line_is_the_verdict(self, result: WalkForward) -> None:
        assert result.report().splitlines()[0] == result.headline == repr(result).splitlines()[0]
        assert result.to_dict()["headline"] == result.headline
        for name, won in result.beats.items():
            beaten = result.headline.split(" against ")[0].split("did NOT beat")[0]
            assert (name in beaten and "beat none" not in beaten) == won


class TestSameEverywhere:
    def test_threads_and_parts_change_nothing(
        self, result: WalkForward, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(walkforward, "AT_ONCE", 4)
        assert walked(threads=3).to_dict() == result.to_dict()

    def test_dask_gives_the_same(self, result: WalkForward) -> None:
        pytest.importorskip("distributed")
        assert walked(client="local", threads=1).to_dict() == result.to_dict()

    def test_frames_and_bars_are_the_same_data(self, result: WalkForward) -> None:
        assert walked(BARS.to_frame()).to_dict() == result.to_dict()

    def test_the_seed_moves_only_the_draws(self, result: WalkForward) -> None:
        other = walked(seed=1)
        assert other.total_return == result.total_return
        assert not np.array_equal(other.luck.totals, result.luck.totals)

    def test_progress_is_told(self) -> None:
        told: list[float] = []
        walked(progress=told.append)
        assert told == [0.25, 0.5, 0.75, 1.0]


class TestLargeAndRefused:
    def test_of_a_large_space_a_draw_runs_on_the_trials(
        self, result: WalkForward, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(walkforward, "MOST_TESTED", 4)
        drawn = walked(seed=3)
        assert len(drawn.rows) == 4 and drawn.tested.shape == (4, 4)
        assert drawn.total_return == result.total_return, "all rows were trained"
        assert np.array_equal(drawn.tested, result.tested[:, drawn.rows])
        assert "4 settings, drawn at random, ran on the trials" in drawn.report()
        assert "all 9 were trained" in drawn.report()

    def test_settings_that_may_not_start_are_left_out_and_counted(self) -> None:
        rows = space("BTCUSDT", levels=[6], spacing=["0.05%", "0.6%", "1%"], investment=5000)
        found = walked(rows=rows)
        assert np.isnan(found.tested[:, 0]).all() and found.judged == 2
        assert all(run.chosen > 0 and np.isnan(run.scores[0]) for run in found.runs)
        assert "1 settings could not start in every trial" in found.report()

    def test_none_that_may_start_is_refused_with_the_reason(self) -> None:
        rows = space("BTCUSDT", levels=[6, 8], spacing="0.05%", investment=5000)
        with pytest.raises(InvalidSpec, match=r"none of 2 settings may start.*fee"):
            walked(rows=rows)

    def test_a_choice_that_may_not_start_at_the_new_price_gives_way_to_the_next(self) -> None:
        """Orders that were worth 6 USDT are worth 4 after a fall, under the venue's least value."""
        fall = market(
            lambda day: np.where(day < 4.5, 60_000, 40_000) * (1 + 0.01 * np.sin(20 * day)), 7
        )
        rows = space("BTCUSDT", levels=8, spacing="0.6%", quantity=["0.0001", "0.0003"])
        run = walked(fall, rows, select=lambda batch: -batch.investment).runs[0]
        assert run.scores[0] > run.scores[1] and run.chosen == 1 and np.isnan(run.tested[0])

    @pytest.mark.parametrize(
        ("words", "more"),
        [
            ("test is '2 days'", {"test": "2 days"}),
            ("select is 'sharp'", {"select": "sharp"}),
            ("the space has 1 settings", {"rows": space("BTCUSDT", levels=8)}),
            ("draws is 0", {"draws": 0}),
            ("space is of type GridSpec", {"rows": gl.make_grid("BTCUSDT")}),
            ("the space is for ETHUSDT", {"rows": space("ETHUSDT", levels=[8, 9])}),
            ("sampling every 1000 ms", {"sample": walkforward.timedelta(seconds=1)}),
            ("need 51.0 days", {"train": "48d"}),
        ],
    )
    def test_refusals(self, words: str, more: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match=words):
            walked(**more)

    def test_futures_are_refused(self) -> None:
        rows = space("BTCUSDT", levels=[8, 9], market="futures")
        with pytest.raises(InvalidInput, match="market is futures; trials are sold out"):
            walked(load("BTCUSDT", Market.FUTURES), rows)


class TestShown:
    def test_as_json_without_nan(self, result: WalkForward) -> None:
        found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert found["setup"]["purge_ms"] == DAY and len(found["windows"]) == 4
        assert found["windows"][0]["settings"]["spacing"] in ("0.003", "0.006", "0.012")

    def test_frames(self, result: WalkForward) -> None:
        windows, settings = result.to_frame(), result.stability_frame()
        assert windows.out_of_sample.tolist() == [run.out_of_sample for run in result.runs]
        assert windows.index[0] == result.equity_frame().index[0].floor("min")
        assert windows.place.between(0, 1).all()
        assert len(settings) == 9 and settings.chosen.sum() == 4
        assert settings.mean_return.to_numpy() == pytest.approx(result.tested.mean(axis=0))
        assert ((settings.worst <= settings.out_of_sample) & (settings.won <= 1)).all()

    def test_card_has_the_verdict_first_and_no_script(self, result: WalkForward) -> None:
        card = result._repr_html_()
        assert card.index("Out of sample the grid") < card.index('gl-tiles">')
        assert "<script" not in card and "http" not in card
        assert card.count("<tr>") == 1 + 4

    def test_pictures(self, result: WalkForward) -> None:
        equity, places, ranks = result.plot(), result.plot_stability(), result.plot_ranks()
        named = {trace.name: trace for trace in equity.data}
        final = named["chosen grids"].y[-1]
        assert final == pytest.approx(100 * result.total_return)
        assert len(equity.to_json()) < 600_000
        heat, rings = places.data
        assert np.shape(heat.z) == (3, 3) and sum(int(n) for n in rings.text) == 4
        assert ranks.data[-1].y == pytest.approx(result.rank_correlations)

    def test_pauses_are_left_out_of_the_picture(self) -> None:
        paused = walked(step="4d")
        chosen = next(trace for trace in paused.plot().data if trace.name == "chosen grids")
        assert 0 < chosen.x[0] < 0.01 and chosen.x[-1] == pytest.approx(4, abs=1e-3)
        assert (np.diff(chosen.x) > 0).all()

    def test_picture_of_overfitting(self, result: WalkForward) -> None:
        found = result.overfitting
        assert found is not None
        bars, dots = result.plot_overfitting().data
        assert sum(bars.y) == pytest.approx(100) and len(dots.x) == found.experiments == 6
        below = sum(y for x, y in zip(bars.x, bars.y, strict=True) if x < 0.5)
        assert below == pytest.approx(100 * found.probability)
        with pytest.raises(InvalidInput, match="too few windows"):
            walked(BARS.slice(None, FIRST + 7 * DAY)).plot_overfitting()

    def test_a_space_of_one_axis_has_a_line(self) -> None:
        rows = space("BTCUSDT", levels=[6, 12], spacing="0.6%", investment=5000)
        bars, line = walked(rows=rows).plot_stability().data
        assert sum(bars.y) == pytest.approx(1) and len(line.y) == 2

    def test_the_example_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        runpy.run_path(str(EXAMPLE))
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("Out of sample the grid beat")
        assert sum(line.startswith("2026-03-") for line in lines) == 11
