"""`result.to_html()`: whole, escaped, silent, repeatable, small; its pictures; what it rests on."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridlab import __version__
from gridlab.data.bars import Bars
from gridlab.data.catalog import funding, load
from gridlab.domain.market import FeeMode, FeeSchedule, Interval, Market
from gridlab.domain.spec import GridSpec
from gridlab.research import pictures, svg, words
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.page import POLICY
from gridlab.research.parts import parts_curve
from gridlab.research.provenance import bars_sha256
from gridlab.research.summary import summary
from gridlab.research.thinning import distinct_fills, joined, with_breaks

pytestmark = pytest.mark.slow  # seconds each: left out of make check

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
JUNE_MS = 1_749_513_600_000  # 2025-06-10 00:00 UTC
#: Elements that have no end tag in HTML; those of SVG close themselves.
VOID = frozenset({"meta", "br"})


def spec_of(**settings: Any) -> GridSpec:
    named = {"levels": 16, "spacing": Decimal("0.01"), "investment": Decimal(10_000)} | settings
    return GridSpec("BTCUSDT", **named)


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    return backtest(spec_of(), load("BTCUSDT"))


@pytest.fixture(scope="module")
def page(result: BacktestResult) -> str:
    return result.to_html()


class Page(HTMLParser):
    """Tags, attributes and text of a page, and whether all that opens also closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.words = " ".join(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data.strip())


def test_it_is_sound_and_asks_nobody_for_anything(page: str) -> None:
    found = Page(page)
    assert found.open == []
    assert not set(found.tags) & {"script", "iframe", "link", "img", "object", "a", "form", "base"}
    names = {name for name, _ in found.attributes}
    assert not names & {"href", "src", "style", "xlink:href", "action"}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import|javascript:", page)
    assert ("content", POLICY) in found.attributes and POLICY.startswith("default-src 'none'")
    assert "prefers-color-scheme:dark" in page


def test_it_tells_every_part(result: BacktestResult, page: str) -> None:
    found = Page(page)
    for title in (
        *("Summary", "Where the money came from", "Price, lines and fills", "Equity", "Figures"),
        *("Fills by level", "Worst drawdowns", "Beside theory", "What this rests on", "Ledger"),
    ):
        assert title in found.text
    assert found.tags["svg"] == 5
    assert words.amount(result.equity) in found.words
    for figure in result.metrics.rows():
        assert figure.name in found.text and figure.shown in found.text
        assert not figure.why or figure.why in found.text
    busy = [level for level in result.metrics.levels if level.buys + level.sells]
    for level in busy:
        assert words.plain(level.lower) in found.text
    assert f"{16 - len(busy)} of 16 slots never traded." in found.text
    for _, _, value in result.ledger_lines:
        assert words.plain(value) in found.text
    for told in (
        bars_sha256(result.bars),
        __version__,
        "when the price touches it",
        "maker 0.100 %",
    ):
        assert told in found.words


def test_parts_of_profit_are_the_books(result: BacktestResult, page: str) -> None:
    money = result.money
    for value in (money.grid_profit, money.floating, money.fees, money.total):
        assert f">{words.signed(value)}<" in page
    assert page.count(">funding<") == 1  # a row of the ledger; spot has none to tell of


def test_it_is_written_and_the_same_bytes_each_time(
    result: BacktestResult, page: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    assert result.to_html(path) == page
    assert path.read_text(encoding="utf-8") == page
    again = backtest(result.spec, load("BTCUSDT"), engine="kernel")
    # Another engine, the same figures: only the name of the engine differs.
    assert page.replace("the core; kernel", "the kernel; kernel") == again.to_html()
    assert len(page) < 400_000


def test_everything_is_escaped(result: BacktestResult) -> None:
    odd = replace(result, rules="<script>alert('x')</script> & \"more\"")
    found = Page(odd.to_html())
    assert "script" not in found.tags
    assert "<script>alert('x')</script> & \"more\"" in found.text


def test_a_bracket_is_told_when_there_is_one(result: BacktestResult) -> None:
    short = backtest(
        spec_of(spacing=Decimal("0.0025")), load("BTCUSDT", end_ms=START_MS + DAY_MS // 4)
    )
    bracket = short.bracket()
    found = Page(short.to_html(bracket=bracket))
    assert "What the bars leave open" in found.text and bracket.verdict in found.text
    assert words.signed(bracket.pessimistic.total) in found.text
    assert "ask for the bracket" not in found.words
    assert "What the bars leave open" not in Page(result.to_html()).text


def test_a_year_of_minutes_is_a_small_page() -> None:
    """Half a million bars and thousands of fills, thinned for the eye."""
    random = np.random.default_rng(3)
    close = np.round(60_000 * np.exp(0.02 * np.sin(np.arange(525_600) / 300)), 2)
    close = np.round(close * (1 + random.normal(0, 2e-4, len(close))), 2)
    opened = np.concatenate((close[:1], close[:-1]))
    times = START_MS + 60_000 * np.arange(len(close), dtype=np.int64)
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    ones = np.ones(len(close))
    bars = Bars(
        *("BTCUSDT", Market.SPOT, Interval.M1, times, opened, high, low, close, ones),
        *(np.nan * ones, np.full(len(close), -1)),
    )
    busy = backtest(spec_of(levels=40, spacing=Decimal("0.003")), bars, engine="kernel")
    assert sum(busy.fills) > 5_000
    assert len(busy.to_html()) < 1_000_000
    for what in ("overview", "levels", "parts"):
        figure = busy.plot(what)
        assert len(figure.to_json()) < 2_000_000
        if what != "parts":
            notes = [note.text for note in figure.layout.annotations]
            assert any("525,600 of 1m" in note and "marks for" in note for note in notes)
    kept, count = distinct_fills(busy)
    assert count == sum(busy.fills) and len(kept) <= 4_000


# --- words ----------------------------------------------------------------------------------------


def test_the_summary_says_what_matters(result: BacktestResult) -> None:
    told = " ".join(summary(result, result.metrics))
    assert words.signed_percent(result.total_return) in told
    assert "percentage points more" in told
    assert f"96 of {result.metrics.buys} purchases were sold again" in told
    assert "this span cannot tell it from zero" in told
    assert "ask for the bracket" not in told


def test_the_summary_doubts_what_should_be_doubted() -> None:
    dense = spec_of(spacing=Decimal("0.0025"), allow_unprofitable=True)
    bars = load("BTCUSDT", end_ms=START_MS + 2 * DAY_MS)
    late = bars.slice(start_ms=START_MS + DAY_MS)
    early = bars.slice(end_ms=START_MS + DAY_MS // 2)
    columns = [
        np.concatenate([getattr(part, name) for part in (early, late)])
        for name in ("open_time_ms", "open", "high", "low", "close", "volume", "quote_volume")
    ]
    holed = Bars(
        *("BTCUSDT", Market.SPOT, Interval.M1, *columns),
        np.concatenate((early.trades, late.trades)),
    )
    result = backtest(dense, holed)
    told = " ".join(summary(result, result.metrics))
    assert "ask for the bracket" in told
    assert "lacks 12.0 hours of it, in 1 holes" in told
    assert "say little of any other" in told
    found = Page(result.to_html())
    assert "1, 720 bars in all: 2026-03-01 12:00 for 12.0 hours" in found.text
    assert found.tags["svg"] == 5


def test_a_forced_closing_is_told_first_and_is_a_part_of_its_own() -> None:
    """Leverage 5, no guard, and a price that falls by a third within an hour."""
    minutes = 120
    close = np.round(100_000 * np.linspace(1, 0.66, minutes), 1)
    opened = np.concatenate((close[:1], close[:-1]))
    times = JUNE_MS + 60_000 * np.arange(minutes, dtype=np.int64)
    bars = Bars(
        *("BTCUSDT", Market.FUTURES, Interval.M1, times, opened, opened, close, close),
        *(np.full(minutes, 10.0), np.full(minutes, np.nan), np.full(minutes, -1)),
    )
    spec = futures_spec(leverage=5, spacing=Decimal("0.01"), liquidation_buffer=Decimal(0))
    result = backtest(spec, bars)
    assert result.liquidation is not None
    found = Page(result.to_html())
    assert found.text.index(result.warnings[0]) < found.text.index(summary_of(result)[0])
    assert "forced sale" in found.text and "nothing is held any more" in found.words
    curve, money = parts_curve(result), result.money
    assert curve.liquidation[-1] == float(money.liquidation) < 0
    assert curve.inventory[-1] == pytest.approx(0, abs=0.01)
    total = sum(column[-1] for column in curve[1:])
    assert total == pytest.approx(float(money.total))


def test_funding_is_a_part_of_its_own() -> None:
    bars = load("BTCUSDT", Market.FUTURES, end_ms=JUNE_MS + 5 * DAY_MS)
    result = backtest(futures_spec(leverage=2), bars, funding=funding("BTCUSDT"))
    parts, curve = result.metrics.parts, parts_curve(result)
    assert parts.funding != 0
    assert curve.funding[-1] == pytest.approx(float(parts.funding))
    assert curve.grid_profit[-1] == pytest.approx(float(parts.grid_profit))
    steps = np.flatnonzero(np.diff(curve.funding))
    assert len(steps) == len(result.payments)
    found = Page(result.to_html())
    assert found.text.count("funding") >= 3 and words.signed(parts.funding) in found.text
    assert "isolated, leverage 2" in found.text and result.funding_words in found.text
    assert "of isolated margin, on which the grid returned" in found.words
    names = {trace.name for trace in result.plot("parts").data}
    assert "funding" in names and "forced sale" not in names


def futures_spec(**settings: Any) -> GridSpec:
    named = {"levels": 12, "spacing": Decimal("0.003"), "investment": Decimal(30_000)}
    fees = FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE)
    return GridSpec("BTCUSDT", market=Market.FUTURES, fees=fees, **(named | settings))


def summary_of(result: BacktestResult) -> list[str]:
    return summary(result, result.metrics)


def test_a_price_that_touches_nothing_makes_a_page_too() -> None:
    bars = load("BTCUSDT", end_ms=START_MS + 10 * 60_000)
    result = backtest(spec_of(spacing=Decimal("0.05")), bars)
    assert sum(result.fills) == 0
    found = Page(result.to_html())
    assert found.open == [] and "No resting order was filled." in found.text


def test_the_hash_is_of_the_values_and_of_the_name(result: BacktestResult) -> None:
    bars = result.bars
    assert bars_sha256(bars) == bars_sha256(Bars.from_frame(bars.to_frame(), symbol="BTCUSDT"))
    assert bars_sha256(bars) != bars_sha256(bars.slice(int(bars.open_time_ms[1])))
    assert bars_sha256(bars) != bars_sha256(replace(bars, symbol="ETHUSDT"))


# --- charts ---------------------------------------------------------------------------------------


def numbers(path: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", path)]


def test_a_curve_lies_where_its_values_are() -> None:
    panel = svg.Panel(left=10, top=20, width=100, height=50, x0=0, x1=10, y0=0, y1=5)
    drawn = svg.curve(panel, [0, 5, 10], np.array([0.0, 5.0, np.nan]), "grid")
    assert drawn == '<path class="line grid" d="M10.0 70.0L60.0 20.0"/>'
    broken = svg.curve(panel, [0, 1, 2, 3], np.array([1.0, np.nan, 1.0, 2.0]), "x")
    assert broken.count("M") == 2
    bar = svg.bar(panel, 0, 5, 1, 2, "buy")
    assert 'x="10.0"' in bar and 'width="50.0"' in bar and 'height="8.0"' in bar


def test_areas_have_holes_and_marks_point_their_way() -> None:
    panel = svg.Panel(0, 0, 10, 10, 0, 10, 0, 10)
    low, high = np.zeros(5), np.array([1.0, 1.0, np.nan, 2.0, 2.0])
    assert svg.area(panel, np.arange(5), low, high, "x").count("Z") == 2
    up, down = (svg.marks(panel, [5], np.array([5.0]), side) for side in ("buy", "sell"))
    assert numbers(up)[1] < 5 < numbers(down)[1]


@pytest.mark.parametrize(
    ("first", "days", "label"),
    [
        ("2026-03-01", 0.2, "1 Mar 00:00"),
        ("2026-03-01", 5, "1 Mar"),
        ("2026-03-01", 31, "5 Mar"),
        ("2025-01-01", 455, "Jan 2025"),
        ("2017-08-17", 3200, "2018"),
    ],
)
def test_ticks_of_time_are_round_and_few(first: str, days: float, label: str) -> None:
    start = int(np.datetime64(first, "ms").astype(np.int64))
    end = start + int(days * DAY_MS)
    ticks = svg.time_ticks(start, end)
    assert 2 <= len(ticks) <= 9
    assert ticks[0][1] == label
    assert all(start <= time_ms <= end for time_ms, _ in ticks)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (59_871, 76_012), (-0.0312, 0), (-3e4, 9e5)])
def test_ticks_of_values_are_round_and_inside(low: float, high: float) -> None:
    ticks = svg.value_ticks(low, high)
    assert 3 <= len(ticks) <= 8
    assert low <= ticks[0] and ticks[-1] <= high + 1e-9
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)


def test_the_picture_has_each_level_and_its_words(result: BacktestResult) -> None:
    drawn = pictures.price_picture(result, result.metrics.levels)
    busy = [level for level in result.metrics.levels if level.buys + level.sells]
    assert drawn.count("<title>") == len(busy)
    assert f"{busy[0].buys} buys, {busy[0].sells} sells" in drawn


def test_candles_of_a_picture_keep_the_extremes(result: BacktestResult) -> None:
    for most in (40, 320, 5_000):
        shown = joined(result.bars, most)
        assert len(shown) <= most
        assert shown.high.max() == result.bars.high.max()
        assert shown.low.min() == result.bars.low.min()
        assert (shown.open[0], shown.close[-1]) == (result.bars.open[0], result.bars.close[-1])


def test_nothing_is_drawn_across_a_hole(result: BacktestResult) -> None:
    bars = result.bars
    times, values = bars.open_time_ms, bars.close
    assert with_breaks(times, values, bars) == (times, values)
    keep = np.ones(len(bars), bool)
    keep[5_000:9_000] = False
    columns = [getattr(bars, name)[keep] for name in bars.__slots__[3:]]
    holed = Bars(bars.symbol, bars.market, bars.interval, *columns)
    moved, broken = with_breaks(holed.open_time_ms, holed.close, holed)
    assert np.isnan(broken).sum() == 1 and np.isnan(broken[5_000])
    assert np.all(np.diff(moved) > 0)
