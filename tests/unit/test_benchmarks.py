"""The parts of the research benchmark: equal work for all, verdicts that can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import research_goals
import standard_grid
import yardstick
from peers import bars, venvs, work
from research_alone import unequal

from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of synthetic minutes in a file."""
    path = tmp_path_factory.mktemp("bench") / "bars.npz"
    np.savez(path, **bars.synthetic(14_400))
    return path


def test_synthetic_minutes_are_candles_and_always_the_same(minutes: Path) -> None:
    made = standard_grid.load_bars(str(minutes))  # `Bars` checks them
    again = bars.synthetic(14_400)
    assert np.array_equal(made.close, again["c"])
    assert 3e-4 < np.diff(np.log(made.close)).std() < 2e-3
    assert np.array_equal(made.open[1:], made.close[:-1])


def test_an_autoregression_is_that_of_its_definition() -> None:
    shocks = np.random.default_rng(2).standard_normal(9000)
    value, slow = 0.0, []
    for shock in shocks:
        value = 0.9 * value + shock
        slow.append(value)
    assert np.allclose(bars.autoregressive(shocks, 0.9)[:100], slow[:100])
    keep = 0.5 ** (1 / 720)
    value = 0.0
    for shock in shocks:
        value = keep * value + shock
    assert bars.autoregressive(shocks, keep)[-1] == pytest.approx(value, rel=1e-9)


def test_all_contenders_get_the_same_grids() -> None:
    first = 60_123.45
    shapes, market = work.variants(40), standard_grid.rules()
    specs = standard_grid.variants(first, 40)
    for shape, spec in zip(shapes, specs, strict=True):
        bare, plan = work.lay(first, *shape), plan_grid(spec, market, from_float(first))
        assert plan.ok and plan.empty_line == bare.gap
        assert [float(line) for line in plan.lines] == bare.lines.tolist()
        assert float(plan.quantity) == pytest.approx(bare.quantity, rel=1e-9)


def test_the_bare_kernel_and_gridlab_agree(minutes: Path) -> None:
    series = standard_grid.load_bars(str(minutes))
    wrong, words = unequal(series, 6)
    assert wrong == 0 and "14,400 bars" in words


def test_the_bare_sweep_is_its_scans(minutes: Path) -> None:
    data = work.load(str(minutes))
    columns = tuple(data[name] for name in "ohlc")
    grids = [work.lay(data["o"][0], *shape) for shape in work.variants(5)]
    assert yardstick.sweep(columns, grids, 2) == [yardstick.scan(columns, g) for g in grids]
    one = yardstick.record(columns, grids[0])
    assert one == yardstick.scan(columns, grids[0]) and one.buys > 0


def test_a_goal_is_missed_met_or_exceeded() -> None:
    figures = {"P1": 25.0, "P1d": 3.0, "P2": 1.5}
    lines = {line[:20].strip(): line for line in research_goals.lines_of(figures, {})}
    assert " must " in lines["P1"] and " stretch " in lines["P1d"] and "MISSED" in lines["P2"]
    assert "NOT MEASURED" in lines["P6"]
    assert research_goals.missed(figures) == ["P2"]


def test_absent_peers_are_said_to_be_absent(tmp_path: Path) -> None:
    absent = venvs.absent(tmp_path, is_installing=False)
    assert {peer.name for peer in venvs.PEERS} < set(absent)
    lines = research_goals.lines_of({}, absent)
    assert any("P1b" in line and "run with --peers" in line for line in lines)
