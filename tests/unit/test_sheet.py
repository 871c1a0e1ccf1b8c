"""`Sheet`: rankings, the Pareto front, pictures and cards of a sweep, in figures that are known."""

from __future__ import annotations

import runpy
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.errors import InvalidInput
from gridlab.research.sheet import _column, pareto_front
from gridlab.research.sheet_views import cell
from gridlab.research.space import space
from gridlab.research.study import study
from gridlab.research.sweep import SweepResult, sweep

EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep_in_ten_lines.py"
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
BARS = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 86_400_000)


@pytest.fixture(scope="module")
def found() -> SweepResult:
    many = space(
        "BTCUSDT",
        levels=[4, 10, 25],
        width="1%:4%:1%",
        mode=["geometric", "arithmetic"],
        investment=3000,
    )
    return sweep(many, BARS, progress=False)


def test_the_best_come_first_and_refusals_never(found: SweepResult) -> None:
    best = found.best(n=5)
    assert len(best) == 5 and best["total_return"].is_monotonic_decreasing
    assert best["total_return"].iloc[0] == np.nanmax(found.figure("total_return"))
    calm = found.best("max_drawdown", n=99)
    assert len(calm) == found.ran.sum() < len(found)
    assert calm["max_drawdown"].is_monotonic_increasing
    assert found.best("max_drawdown", n=1, ascending=False)["max_drawdown"].iloc[0] == max(
        calm["max_drawdown"]
    )
    i = int(best.index[0])
    assert found.backtest(i).total_return == pytest.approx(best["total_return"].iloc[0], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "words"),
    [("total_retrun", "did you mean total_return"), ("engine", "no figure 'engine'")],
)
def test_what_is_no_figure_is_said(found: SweepResult, name: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        found.best(name)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    profit = np.array([p for p, _ in points], float)
    risk = np.array([r for _, r in points], float)
    front = pareto_front(profit, risk).tolist()
    for place, (gain, danger) in enumerate(points):
        beaten = any(
            (g >= gain and d <= danger) and ((g, d) != (gain, danger) or other < place)
            for other, (g, d) in enumerate(points)
            if other != place
        )
        assert (place in front) == (not beaten)
    assert list(risk[front]) == sorted(risk[front])


def test_columns_of_settings_are_numbers_where_they_can_be() -> None:
    assert _column([3, 4]).dtype == np.int64
    assert _column([Decimal("0.1"), 2]).tolist() == [0.1, 2.0]
    assert _column([True, False]).tolist() == ["True", "False"]
    equal = FeeSchedule(Decimal("0.0005"), Decimal("0.0005"))
    assert _column([equal, FeeSchedule()]).tolist() == [0.0005, 0.001]
    quote = FeeSchedule(mode=FeeMode.QUOTE)
    assert _column([FeeSchedule(), quote]).tolist() == [
        "0.001/0.001 received",
        "0.001/0.001 quote",
    ]


# --- pictures -------------------------------------------------------------------------------------


def test_a_heat_map_joins_rows_as_its_title_says(found: SweepResult) -> None:
    frame = found.to_frame()[found.ran]
    groups = frame.groupby(["levels", "width"])["max_drawdown"]
    for how, truth in (
        ("best", groups.min()),
        ("worst", groups.max()),
        ("median", groups.median()),
        ("mean", groups.mean()),
    ):
        figure = found.heatmap("width", "levels", "max_drawdown", how)
        assert f"the {how} of the other settings (in-sample)" in figure.layout.title.text
        cells = np.asarray(figure.data[0].z, float)
        assert cells.shape == (3, 4) and np.isnan(cells).sum() == 12 - len(truth) > 0
        for (levels, width), value in truth.items():
            at = [4, 10, 25].index(levels), [0.01, 0.02, 0.03, 0.04].index(width)
            assert cells[at] == pytest.approx(value, abs=1e-15)
    assert figure.data[0].x == ("1.00 %", "2.00 %", "3.00 %", "4.00 %")


def test_a_heat_map_of_all_axes_joins_nothing(found: SweepResult) -> None:
    flat = sweep(space("BTCUSDT", levels=[4, 10], width="2%:4%:1%"), BARS, progress=False)
    figure = flat.plot()
    assert figure.data[0].type == "heatmap" and "of the other" not in figure.layout.title.text
    assert len(found.plot().data) == 1 and found.plot().data[0].type == "parcoords"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("width", "widht"), "'widht' is no setting that varies; those that do are levels, width"),
        (("width", "width"), "choose two settings"),
        (("width", "investment"), "no setting that varies"),
    ],
)
def test_what_a_heat_map_cannot_show_is_said(
    found: SweepResult, names: tuple[str, str], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        found.heatmap(*names)
    with pytest.raises(InvalidInput, match="choose one of best, median"):
        found.heatmap("width", "levels", how="sum")


def test_pictures_show_the_rows_that_ran(found: SweepResult) -> None:
    count = int(found.ran.sum())
    lines = found.parallel("fees").data[0]
    assert [d.label for d in lines.dimensions] == ["levels", "width", "mode", "fees"]
    assert all(len(dimension["values"]) == count for dimension in lines.dimensions)
    assert list(lines.dimensions[2].ticktext) == ["arithmetic", "geometric"]
    slices = found.slices()
    assert len([trace for trace in slices.data if trace.mode == "markers"]) == 3
    assert any(trace.name == "median" for trace in slices.data)
    crowd, front = found.plot_pareto().data
    assert len(crowd.x) == count and list(front.customdata) == list(found.pareto().index)
    assert "(in-sample)" in found.plot_pareto().layout.title.text


def test_a_study_has_the_same_pictures() -> None:
    ranges = {"levels": (4, 12), "spacing": "0.3%..1% log", "investment": 2000}
    found = study(ranges, BARS, trials=16, progress=False)
    assert found.plot().data[0].type == "scattergl"
    assert len(found.plot_pareto("equity").data[0].x) == found.ran.sum()
    assert found.heatmap("levels", "spacing").data[0].type == "heatmap"
    assert "Study of BTCUSDT · 16 trials" in repr(found)


# --- words ----------------------------------------------------------------------------------------


def test_card_and_text_say_that_it_is_in_sample(found: SweepResult) -> None:
    count = int(found.ran.sum())
    top = found.best(n=1)
    for words in (repr(found), found._repr_html_()):
        assert "Sweep of BTCUSDT · 24 settings" in words
        assert f"In-sample: the best of {count}" in words
        assert "partly luck" in words and f"{24 - count} could not start" in words
        assert cell("total_return", top["total_return"].iloc[0]) in words
    assert "<script" not in found._repr_html_()
    assert repr(found.row(int(top.index[0]))).startswith(f"Row {top.index[0]}: investment 3000")
    refused = int(np.flatnonzero(~found.ran)[0])
    assert "cannot start: the tightest grid" in repr(found.row(refused))


def test_reasons_are_escaped_in_the_card(found: SweepResult) -> None:
    odd = SweepResult(found.space, found.ground, found._table.copy())
    odd._table.loc[~odd.ran, "reason"] = "<b>loud</b>"
    assert "&lt;b&gt;loud" in odd._repr_html_() and "<b>loud" not in odd._repr_html_()


def test_a_space_of_one_row_is_a_sheet_too() -> None:
    found = sweep(space("BTCUSDT", levels=6, spacing="1%"), BARS, progress=False)
    assert len(found.axes.columns) == 0 and len(found.best()) == len(found.pareto()) == 1
    assert "best of 1 " in repr(found) and found.plot().data[0].type == "scattergl"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    told = capsys.readouterr().out
    assert "Sweep of BTCUSDT · 78 settings" in told and "Backtest of BTCUSDT" in told
