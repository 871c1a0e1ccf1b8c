"""`research.brackets`: real runs under every assumption, a verdict in words, and its views."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import BarPath, FeeMode, FeeSchedule, Interval, Kline, Market
from gridlab.domain.orders import Side
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.bracket_runs import NAMES, Assumptions
from gridlab.research.brackets import Bracket

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01


def march(first_day: int, days: int) -> Bars:
    start = START_MS + (first_day - 1) * DAY_MS
    return load("BTCUSDT", start_ms=start, end_ms=start + days * DAY_MS)


def run(
    spacing: str = "0.0025", days: int = 2, first_day: int = 4, **settings: Any
) -> BacktestResult:
    spec = GridSpec(
        "BTCUSDT",
        16,
        spacing=Decimal(spacing),
        investment=Decimal(2000),
        allow_unprofitable=True,
    )
    return backtest(spec, march(first_day, days), **settings)


@pytest.fixture(scope="module")
def bracket() -> Bracket:
    return run().bracket()


def bars_of(candles: list[tuple[float, float, float, float]], volume: float = 1e6) -> Bars:
    """Candles (open, high, low, close) of a minute each."""
    o, h, lo, c = np.array(candles, np.float64).T
    count = len(candles)
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        START_MS + 60_000 * np.arange(count, dtype=np.int64),
        *(o, h, lo, c),
        np.full(count, volume),
        np.full(count, np.nan),
        np.full(count, -1, np.int64),
    )


# --- the assumptions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "rising", "falling"),
    [("stated", "lh", "hl"), ("low_first", "lh", "lh"), ("high_first", "hl", "hl")]
    + [("contrary", "hl", "lh")],
)
def test_a_path_is_an_order_of_the_extremes(path: str, rising: str, falling: str) -> None:
    prices = {"l": Decimal(8), "h": Decimal(12)}
    for close, order in ((11, rising), (10, rising), (9, falling)):
        kline = Kline(0, Decimal(10), Decimal(12), Decimal(8), Decimal(close), Decimal(1), 59_999)
        expected = (Decimal(10), *(prices[letter] for letter in order), Decimal(close))
        assert kline.along(BarPath(path)) == expected
    assert kline.path == kline.along(BarPath.STATED)


SPEC = GridSpec(
    "BTCUSDT",
    4,
    spacing=Decimal("0.01"),
    quantity=Decimal(1),
    fees=FeeSchedule(mode=FeeMode.QUOTE),
)


def sides(candles: list[tuple[float, float, float, float]], **settings: Any) -> str:
    """B and S for each fill of a grid with lines at 98.03, 99.01, 100, 101, 102.01."""
    result = backtest(SPEC, bars_of(candles), **settings)
    return "".join("B" if t.side is Side.BUY else "S" for t in result.trades[1:])


def test_the_path_decides_what_one_bar_fills() -> None:
    candles = [(100, 100, 100, 100), (100, 101, 99, 100.5)]
    assert sides(candles) == "BSS"  # down to 99, up through 100 and 101; the close is above 100
    assert sides(candles, path="contrary") == "SBBS"
    assert sides(candles, path="high_first") == "SBBS"
    assert sides(candles, path="low_first") == "BSS"


def test_an_order_on_its_way_misses_the_rest_of_the_bar() -> None:
    """Down to 99 and up to 101: the sale at 101 was there, the answer at 100 was not."""
    candles = [(100, 100, 100, 100), (100, 101, 99, 99.5), (99.5, 100, 99.5, 99.8)]
    assert sides(candles, path="low_first") == "BSSB"
    # the bar's end lets three answers arrive; the next bar's high fills the sale at 100
    late = backtest(SPEC, bars_of(candles), path="low_first", latency_ms=1)
    assert [(t.side, t.is_maker) for t in late.trades[1:]] == [
        (Side.BUY, True),
        (Side.SELL, True),
        (Side.BUY, False),
        (Side.SELL, True),
    ]
    assert late.trades[3].price == Decimal("99.5"), "the answer to the sale takes at the close"
    assert late.trades[3].time_ms == START_MS + 2 * 60_000 - 1


def test_a_latency_of_bars_keeps_orders_away_for_bars() -> None:
    candles = [(100, 100, 100, 100), (100, 100, 99, 99.5)]
    candles += [(99.5, 100.5, 99.5, 99.6)] * 3
    times = [
        [t.time_ms for t in backtest(SPEC, bars_of(candles), latency_ms=ms).trades[2:]]
        for ms in (0, 30_000, 60_000, 120_000)
    ]
    minute, start = 60_000, START_MS
    assert times[0][0] == times[1][0] == start + 2 * minute + 40_000, "30 s end within the bar"
    assert times[2][0] == start + 3 * minute + 40_000, "a minute misses the whole next bar"
    assert times[3][0] == start + 4 * minute + 40_000


def test_the_grid_is_laid_before_the_first_bar_whatever_the_latency() -> None:
    assert sides([(100, 101, 99, 100)], latency_ms=10**9) == "BS"


@pytest.mark.parametrize("latency", [-1, True, 0.5])
def test_a_latency_that_is_none_is_refused(latency: Any) -> None:
    with pytest.raises(InvalidInput, match="latency_ms"):
        backtest(SPEC, bars_of([(100, 101, 99, 100)]), latency_ms=latency)
    with pytest.raises(InvalidInput, match="choose one of stated, low_first"):
        backtest(SPEC, bars_of([(100, 101, 99, 100)]), path="nearest")


def test_the_kernel_declines_a_latency() -> None:
    with pytest.raises(InvalidInput, match="250 ms on their way"):
        run(latency_ms=250, engine="kernel")


# --- the bracket ----------------------------------------------------------------------------------


def test_every_member_is_the_backtest_that_it_says(bracket: Bracket) -> None:
    assert len(bracket.members) == 16
    assert len({member.assumptions for member in bracket.members}) == 16
    for member in bracket.members:
        found = member.assumptions
        alone = run(
            fill_rule=found.fill_rule,
            path=found.path,
            participation=Decimal(1) - found.queue_share if found.queue_share else None,
            latency_ms=found.latency_ms,
            engine="core",
        )
        assert member.total == alone.money.total
        assert (member.buys, member.sells) == tuple(alone.fills)
        assert member.fees == alone.money.fees and member.max_drawdown == alone.max_drawdown


def test_the_ends_are_the_least_and_the_most_of_all_runs(bracket: Bracket) -> None:
    totals = [member.total for member in bracket.members]
    assert bracket.expected.total == bracket.result.money.total == totals[0]
    assert bracket.pessimistic.total == min(totals) < max(totals) == bracket.optimistic.total


def test_the_driver_moves_the_result_most_all_else_equal(bracket: Bracket) -> None:
    assert set(bracket.swings) == set(NAMES)
    by_hand = {}
    for name in NAMES:
        others = [other for other in NAMES if other != name]
        by_hand[name] = max(
            abs(a.total - b.total)
            for a in bracket.members
            for b in bracket.members
            if all(getattr(a.assumptions, o) == getattr(b.assumptions, o) for o in others)
        )
    assert bracket.swings == by_hand
    assert bracket.driver == max(by_hand, key=lambda name: by_hand[name])
    assert NAMES[bracket.driver] in bracket.verdict


def test_a_grid_that_lives_on_its_rounds_is_undecided_in_words() -> None:
    """Lines closer than the fees, in a market that swings: the path turns the sign."""
    found = run("0.0018", first_day=1).bracket()
    assert not found.is_decided
    assert found.pessimistic.total < 0 < found.optimistic.total
    assert found.verdict.startswith("These bars do not decide whether this grid earns:")
    assert "backtest_trades" in found.verdict and "lines farther apart" in found.verdict


def test_adverse_assumptions_are_not_the_worst_where_rounds_lose() -> None:
    """A spacing below the fees: who misses rounds loses less. So the ends must be searched."""
    found = run("0.0012").bracket()
    assert found.optimistic.total < 0 and found.is_decided
    assert not found.adverse_is_least
    assert found.pessimistic.assumptions.path is BarPath.CONTRARY
    assert "earns nothing on these bars" in found.verdict
    assert "is not the least" in repr(found)


def test_wide_lines_are_decided() -> None:
    found = run("0.02", days=6).bracket()
    assert found.is_decided and found.bar_height < 0.1
    if not found.driver:
        assert "No assumption moves the result." in found.verdict


def test_a_queue_that_binds_moves_the_result() -> None:
    """Bars of little volume: what is ahead of the orders decides how much of them fills."""
    candles = [(100, 100, 100, 100), (100, 100, 99, 99.5), (99.5, 101, 99.5, 100.5)]
    result = backtest(SPEC, bars_of(candles * 5, volume=9.0))
    found = result.bracket(queue_share="0.9", latency_ms=0)
    assert found.swings["queue_share"] > 0 and found.swings["latency_ms"] == 0
    assert len(found.members) == 12


def test_leaving_an_assumption_out_leaves_its_runs_out() -> None:
    result = run(days=1)
    assert len(result.bracket(queue_share=0, latency_ms=0).members) == 8
    with pytest.raises(InvalidInput, match="from 0 to below 1"):
        result.bracket(queue_share=1)


def test_the_backtests_own_assumptions_are_the_expected_ones() -> None:
    result = run(days=1, fill_rule="through", path="low_first", participation="0.25")
    found = result.bracket(latency_ms=0)
    assert found.expected.assumptions == Assumptions(
        FillRule.THROUGH, BarPath.LOW_FIRST, Decimal("0.75"), 0
    )
    assert found.expected.total == result.money.total
    assert any(m.assumptions.queue_share == 0 for m in found.members)


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    run(days=1).bracket(progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and told[0] > 0


# --- its views ------------------------------------------------------------------------------------


def test_the_frame_has_a_row_for_each_run_the_least_first(bracket: Bracket) -> None:
    frame = bracket.to_frame()
    assert len(frame) == 16 and frame.total.is_monotonic_increasing
    assert {"expected", "optimistic"} <= set(frame.role)
    assert frame.total.iloc[0] == float(bracket.pessimistic.total)
    parts = frame.grid_profit + frame.floating + frame.fees
    assert parts.to_numpy() == pytest.approx(frame.total.to_numpy())


def test_the_dict_is_json_with_every_digit(bracket: Bracket) -> None:
    back = json.loads(json.dumps(bracket.to_dict()))
    assert Decimal(back["expected"]["total"]) == bracket.expected.total
    assert back["is_decided"] is bracket.is_decided and len(back["members"]) == 16


def test_card_text_and_picture_show_the_verdict(bracket: Bracket) -> None:
    card, shown = bracket._repr_html_(), repr(bracket)
    assert "gl-card" in card and "<script" not in card
    for name in ("pessimistic", "expected", "optimistic"):
        assert name in card and name in shown
    assert bracket.verdict in shown and "not bounds" in shown
    figure = bracket.plot()
    bar = figure.data[0]
    ends = [(base, base + width) for base, width in zip(bar.base, bar.x, strict=True)]
    assert ends[0] == pytest.approx(
        (float(bracket.pessimistic.total), float(bracket.optimistic.total))
    )
    assert list(bar.y) == ["all together", *(NAMES[name] for name in bracket.swings)]


# --- do four paths stand for all? -----------------------------------------------------------------


def best_of_all_paths(result: BacktestResult, sign: int) -> float:
    """The most (sign 1) or least (-1) profit over every choice of low or high first, bar by bar.

    A dynamic programme: a grid's whole state is its line without an order, so of all choices that
    lead to the same line at a bar's end only the best can be part of the best. Floats; for fees in
    quote.
    """
    lines, last = [float(line) for line in result.lines], len(result.lines) - 1
    quantity, fee = float(result.plan.quantity), float(result.spec.fees.maker)

    def walk(empty: int, cash: float, points: tuple[float, ...]) -> tuple[int, float]:
        for price in points:
            while empty > 0 and price <= lines[empty - 1]:
                empty -= 1
                cash -= quantity * lines[empty] * (1 + fee)
            while empty < last and price >= lines[empty + 1]:
                empty += 1
                cash += quantity * lines[empty] * (1 - fee)
        return empty, cash

    first = float(result.plan.initial_quantity * result.first_price)
    states = {result.plan.empty_line: -first * (1 + fee)}
    bars = result.bars
    columns = (bars.open, bars.high, bars.low, bars.close)
    for bar, (o, h, lo, c) in enumerate(zip(*(x.tolist() for x in columns), strict=True)):
        reached: dict[int, float] = {}
        for empty, cash in states.items():
            for points in ((o, lo, h, c), (o, h, lo, c)):
                place, value = walk(empty, cash, points if bar else points[1:])
                reached[place] = max(reached.get(place, value), value, key=lambda v: sign * v)
        states = reached
    close = float(bars.close[-1])
    worth = [cash + quantity * (last - empty) * close for empty, cash in states.items()]
    return max(worth, key=lambda value: sign * value)


@pytest.mark.parametrize("spacing", ["0.0015", "0.0025", "0.005"])
def test_the_paths_stand_for_every_choice_of_low_or_high_first(spacing: str) -> None:
    """2^n ways through n bars: their least and most are those of the paths, within 3 % of the
    range and a rounding of fees."""
    spec = GridSpec(
        "BTCUSDT",
        40,
        spacing=Decimal(spacing),
        investment=Decimal(5000),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
        allow_unprofitable=True,
    )
    found = backtest(spec, march(1, 10)).bracket(queue_share=0, latency_ms=0)
    least, most = (best_of_all_paths(found.result, sign) for sign in (-1, 1))
    low, high = float(found.pessimistic.total), float(found.optimistic.total)
    near = 0.03 * (most - least) + 1e-4
    assert least - 1e-4 <= low <= least + near and most - near <= high <= most + 1e-4
    assert most - least > 1
