"""`research.trades_replay` and `research.bar_check`: grids among the market's own trades.

Oracles: a tape of the points of bars must give the very commands of the backtest over these bars;
a naive grid of one integer must give the same fills over recorded trades.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tapes import part, trades_of

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.data.trades import Trades
from gridlab.domain import codec
from gridlab.domain.market import BarPath, FeeMode, FeeSchedule, Market, path_times_ms
from gridlab.domain.orders import Side
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.research.backtest import backtest
from gridlab.research.bar_check import check_bars, spacings_frame
from gridlab.research.trades_replay import backtest_trades

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000 + 3 * DAY_MS  # 2026-03-04


def pepe(spacing: str = "0.0023", **more: Any) -> GridSpec:
    named = {"levels": 16, "investment": Decimal(1000), "allow_unprofitable": True} | more
    return GridSpec("PEPEUSDT", spacing=Decimal(spacing), **named)


def digest(commands: Any) -> str:
    return hashlib.sha256("\n".join(map(codec.encode, commands)).encode()).hexdigest()


def tape_of(bars: Bars, path: BarPath) -> Trades:
    """Every point of every bar's path as one trade, at its time."""
    rows = []
    for bar in range(len(bars)):
        kline = bars.kline(bar)
        times = path_times_ms(kline.open_time_ms, bars.interval.ms)
        rows += [(t, float(p), 1.0) for t, p in zip(times, kline.along(path), strict=True)]
    return trades_of(rows)


@pytest.mark.parametrize("path", list(BarPath))
@pytest.mark.parametrize("rule", list(FillRule))
def test_a_tape_of_a_bars_points_is_the_backtest_over_bars(path: BarPath, rule: FillRule) -> None:
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + DAY_MS // 2)
    spec = GridSpec("BTCUSDT", 12, spacing=Decimal("0.003"), investment=Decimal(1000))
    mine = backtest_trades(spec, tape_of(bars, path), fill_rule=rule)
    other = backtest(spec, bars, fill_rule=rule, path=path, engine="core")
    assert len(other.trades) > 10
    assert digest(mine.commands) == digest(other.commands)
    assert mine.trades == other.trades and mine.money == other.money
    assert mine.ledger_lines == other.ledger_lines


def naive(trades: Trades, lines: list[float], empty: int) -> tuple[int, int]:
    """(buys, sells) of a grid that is one integer, over touched prices."""
    buys = sells = 0
    for price in trades.price[1:].tolist():
        while empty > 0 and price <= lines[empty - 1]:
            empty, buys = empty - 1, buys + 1
        while empty < len(lines) - 1 and price >= lines[empty + 1]:
            empty, sells = empty + 1, sells + 1
    return buys, sells


@pytest.mark.parametrize("spacing", ["0.0023", "0.0034", "0.0045"])
def test_fills_are_those_of_a_naive_grid(spacing: str) -> None:
    result = backtest_trades(pepe(spacing), part())
    lines = [float(line) for line in result.lines]
    assert tuple(result.fills) == naive(part(), lines, result.plan.empty_line)
    assert sum(result.fills) > 4 and result.bars_walked >= len(set(result.fill_times_ms)) - 1


def test_through_fills_only_what_the_price_passes() -> None:
    rows = [(1, 100.0, 9.0), (2, 99.0, 9.0), (3, 98.99, 9.0)]
    spec = GridSpec(
        "BTCUSDT", 4, spacing=Decimal("0.01"), quantity=Decimal(1), mode=Spacing.ARITHMETIC
    )
    for rule, time_ms in ((FillRule.TOUCH, 2), (FillRule.THROUGH, 3)):
        result = backtest_trades(spec, trades_of(rows), fill_rule=rule)
        assert [t.time_ms for t in result.trades[1:]] == [time_ms]


def test_who_took_at_a_price_tells_that_the_other_side_is_gone() -> None:
    """A bid at 99 and an offer at 101: a buyer who takes at 99 found an offer there, so the bid is
    gone; a seller who gives at 99 only met the bids, of which ours may be the last."""
    spec = GridSpec(
        "BTCUSDT", 4, spacing=Decimal("0.01"), quantity=Decimal(1), mode=Spacing.ARITHMETIC
    )

    def fills(price: float, *, is_buyer_maker: bool) -> list[tuple[Side, Decimal]]:
        rows = [(1, 100.0, 9.0), (2, 100.0, 9.0), (3, price, 9.0)]
        makers = np.array([True, False, is_buyer_maker])
        tape = trades_of(rows, is_buyer_maker=makers)
        result = backtest_trades(spec, tape, fill_rule="through", by_side=True)
        return [(t.side, t.price) for t in result.trades[1:]]

    assert fills(99.0, is_buyer_maker=False) == [(Side.BUY, Decimal(99))]
    assert fills(99.0, is_buyer_maker=True) == []
    assert fills(98.99, is_buyer_maker=True) == [(Side.BUY, Decimal(99))]
    assert fills(101.0, is_buyer_maker=True) == [(Side.SELL, Decimal(101))]
    assert fills(101.0, is_buyer_maker=False) == []
    with pytest.raises(InvalidInput, match="by_side is for"):
        backtest_trades(pepe(), part(), by_side=True)
    with pytest.raises(InvalidInput, match="by_side is for"):
        backtest_trades(spec, trades_of([(1, 100.0, 9.0)]), fill_rule="through", by_side=True)


def test_a_trade_fills_at_most_its_part() -> None:
    rows = [(1, 100.0, 9.0), (2, 99.0, 0.5), (3, 99.0, 0.5), (4, 99.0, 4.0)]
    spec = GridSpec("BTCUSDT", 4, spacing=Decimal("0.01"), quantity=Decimal(1))
    result = backtest_trades(spec, trades_of(rows), participation="0.5")
    assert [float(t.quantity) for t in result.trades[1:]] == [0.25, 0.25, 0.5]


def test_an_order_arrives_after_its_latency() -> None:
    """A buy at 99 fills at 1,000 ms; the sale at 100 arrives at 1,250 ms."""
    spec = GridSpec(
        "BTCUSDT",
        4,
        spacing=Decimal("0.01"),
        quantity=Decimal(1),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
    )

    def sales(rows: list[tuple[int, float, float]]) -> list[tuple[int, float, bool]]:
        result = backtest_trades(spec, trades_of(rows), latency_ms=250)
        return [
            (t.time_ms, float(t.price), t.is_maker)
            for t in result.trades[1:]
            if t.side is Side.SELL
        ]

    start = [(0, 100.0, 9.0), (1000, 99.0, 9.0)]
    missed = [*start, (1249, 100.0, 9.0), (1250, 99.5, 9.0)]
    assert sales(missed) == [(1250, 100.0, False)], "it arrives before the trade of its moment"
    assert sales([*start, (1100, 100.0, 9.0), (1200, 99.5, 9.0), (1300, 99.6, 9.0)]) == []
    assert sales([*start, (1260, 100.0, 9.0)]) == [(1260, 100.0, True)]
    late = [*start, (1200, 100.5, 9.0), (1300, 100.0, 9.0)]
    assert sales(late) == [(1250, 100.5, False)], "at the better price that stands when it arrives"


def test_latency_never_makes_a_fill_of_the_past() -> None:
    """Between a fill and the next of its slot lies the latency at least."""
    result = backtest_trades(pepe(), part(), latency_ms=2000)
    last: dict[int, int] = {}
    flows = result.flows
    for slot, time_ms in zip(flows.slot.tolist(), flows.time_ms.tolist(), strict=True):
        assert slot < 0 or time_ms - last.get(slot, -(10**15)) >= 2000
        last[slot] = time_ms
    assert len(last) > 5


def test_vacant_slots_are_tried_again_every_minute() -> None:
    spec = pepe("0.0023", levels=8)
    plan = backtest_trades(spec, part()).plan
    account = {"USDT": plan.capital_needed + Decimal("0.01")}
    result = backtest_trades(spec, part(), balances=account)
    assert result.money.total > -50 and len(result.flows) > 10


def test_curves_and_cards_work_as_over_bars() -> None:
    result = backtest_trades(pepe(), part())
    assert len(result.curve.equity) == len(part().to_bars())
    assert "PEPEUSDT" in repr(result) and "gl-card" in result._repr_html_()
    with pytest.raises(InvalidInput, match="cannot be run again"):
        result.bracket()


def test_progress_rises() -> None:
    told: list[float] = []
    backtest_trades(pepe(), part(), progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0


def test_what_cannot_be_replayed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="trades are of PEPEUSDT"):
        backtest_trades(
            GridSpec("BTCUSDT", 4, spacing=Decimal("0.01"), quantity=Decimal(1)), part()
        )
    with pytest.raises(InvalidInput, match="no trade"):
        backtest_trades(pepe(), part().slice(end_ms=0))
    with pytest.raises(InvalidSpec, match="choose spot"):
        backtest_trades(pepe(market=Market.FUTURES), part())
    with pytest.raises(InvalidInput, match="latency_ms"):
        backtest_trades(pepe(), part(), latency_ms=-1)
    with pytest.raises(InvalidSpec):
        backtest_trades(pepe(investment=Decimal("0.000001")), part())


def test_bars_are_checked_against_their_own_trades() -> None:
    check = check_bars(pepe(), part())
    truth = check.row("trades")
    assert truth.error == 0.0 and truth.found == 1.0 and truth.invented == 0.0
    frame = check.to_frame()
    assert len(frame) == len(check.rows) == 17
    end, sure = check.row("trades", "through"), check.row("trades", "through", by_side=True)
    assert end.fills <= sure.fills <= truth.fills
    stated = check.row("bars", path="stated")
    assert stated.fills == sum(stated.result.fills)
    assert 0 < stated.found <= 1 and 0 <= stated.invented < 1
    assert stated.error == pytest.approx(
        float(stated.result.money.total - truth.result.money.total)
    )
    contrary = check.row("bars", path="contrary")
    assert contrary.fills >= stated.fills and contrary.invented >= stated.invented
    assert "Over trades the grid earns" in check.verdict and "off by" in repr(check)


def test_wide_lines_are_found_exactly_and_narrow_ones_are_not() -> None:
    frame = spacings_frame(pepe(), part(), ["0.0023", "0.0045"], range_fraction="0.04")
    bars = frame[(frame.source == "bars") & (frame.path == "stated") & (frame.latency_ms == 0)]
    touch = bars[bars.fill_rule == "touch"].set_index("spacing")
    assert touch.loc["0.0045", "found"] == 1.0 and touch.loc["0.0045", "error"] == 0.0
    assert touch.loc["0.0023", "found"] < 1.0
    heights = touch.bar_height.tolist()
    assert all(above > below for above, below in pairwise(heights))
    assert np.isfinite(frame.total).all()
