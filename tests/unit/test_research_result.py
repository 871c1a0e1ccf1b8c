"""`BacktestResult`: curves, frames, cards and pictures agree with the books and with each other."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.data.catalog import load
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvariantError
from gridlab.research import metrics, thinning, words
from gridlab.research.backtest import BacktestResult, backtest

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC


@pytest.fixture(scope="module", params=list(FeeMode))
def result(request: pytest.FixtureRequest) -> BacktestResult:
    """Three lively days, once for each way of taking fees."""
    third = {"third_asset": "BNB", "third_price": Decimal(600)}
    fees = FeeSchedule(mode=request.param, **(third if request.param is FeeMode.THIRD else {}))
    spec = GridSpec("BTCUSDT", 20, spacing=Decimal("0.004"), investment=Decimal(5000), fees=fees)
    return backtest(spec, load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 3 * DAY_MS))


def test_curve_ends_where_the_books_do(result: BacktestResult) -> None:
    curve = result.curve
    assert len(curve.equity) == len(result.bars)
    assert curve.equity[-1] == pytest.approx(float(result.equity), abs=1e-6)
    assert curve.base[-1] == pytest.approx(float(result.money.base_held), abs=1e-10)
    assert result.equity - result.money.investment == result.money.total


def test_equity_at_a_bar_equals_a_backtest_that_ends_there(result: BacktestResult) -> None:
    bar = len(result.bars) // 2
    half = backtest(result.spec, result.bars.slice(end_ms=int(result.bars.open_time_ms[bar])))
    assert result.curve.equity[bar - 1] == pytest.approx(float(half.equity), abs=1e-6)
    assert half.trades == result.trades[: len(half.trades)]


def test_fills_count_all_but_the_purchase(result: BacktestResult) -> None:
    assert sum(result.fills) == len(result.trades) - 1
    assert len(result.profits) == len(result.trades)
    assert sum(result.profits, Decimal(0)) == result.money.grid_profit


def test_books_that_do_not_agree_are_noticed(result: BacktestResult) -> None:
    from dataclasses import replace

    wrong = tuple(
        (part, asset, amount + (part == "wallet")) for part, asset, amount in result.ledger_lines
    )
    with pytest.raises(InvariantError, match="wallet"):
        replace(result, ledger_lines=wrong)


def test_drawdown_is_that_of_the_closes_and_the_investment(result: BacktestResult) -> None:
    equity = [float(result.money.investment), *result.curve.equity.tolist()]
    deepest = max(1 - value / max(equity[: i + 1]) for i, value in enumerate(equity))
    assert result.max_drawdown == pytest.approx(deepest, abs=1e-12)
    assert result.drawdown.peak <= result.drawdown.trough


def test_holding_pays_one_taker_fee(result: BacktestResult) -> None:
    ratio = float(result.last_price) / float(result.first_price)
    assert result.hold_return == pytest.approx(ratio / 1.001 - 1)


def test_trades_frame(result: BacktestResult) -> None:
    frame = result.trades_frame()
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert str(frame.index.tz) == "UTC" and frame.index.name == "time"
    assert len(frame) == len(result.trades)
    assert frame.kind.tolist().count("initial") == 1
    assert (frame.kind == "grid").sum() == sum(result.fills)
    assert frame.profit.sum() == pytest.approx(float(result.money.grid_profit))
    assert frame.price.dtype == np.float64
    first = frame.iloc[0]
    assert (first.side, first.slot, first.price) == ("buy", -1, float(result.first_price))


def test_ledger_frame_closes_in_every_column(result: BacktestResult) -> None:
    frame = result.ledger_frame()
    for column in frame.columns:
        wallet, parts = frame.loc["wallet", column], frame.drop("wallet")[column]
        assert wallet == sum(parts, Decimal(0))
    assert frame.loc["wallet", "worth_USDT"] == result.money.total


def test_equity_frame(result: BacktestResult) -> None:
    closes, fills = result.equity_frame(), result.equity_frame(at="fill")
    assert len(closes) == len(result.bars) and len(fills) == len(result.trades)
    assert str(closes.index.tz) == "UTC"
    assert closes.drawdown.max() <= 0
    assert closes.equity.iloc[-1] == pytest.approx(float(result.equity), abs=1e-6)
    with pytest.raises(InvalidInput, match="'close' or 'fill'"):
        result.equity_frame(at="open")


def test_figure_holds_every_fill_and_stays_light(result: BacktestResult) -> None:
    figure = result.plot()
    named = {trace.name: trace for trace in figure.data}
    assert len(named["buy fills"].x) == result.fills.buys
    assert len(named["sell fills"].x) == result.fills.sells
    assert min(named["drawdown"].y) == pytest.approx(
        100 * float(metrics.underwater(result.curve.equity).min())
    )
    assert figure.layout.template.layout.hovermode == "x unified"
    assert len(figure.layout.shapes) == len(result.lines)
    assert len(figure.to_json()) < 600_000


def test_to_dict_is_json_with_exact_amounts(result: BacktestResult) -> None:
    told = json.loads(json.dumps(result.to_dict()))
    assert Decimal(told["equity"]) == result.equity
    assert Decimal(told["money"]["total"]) == result.money.total
    assert [Decimal(line) for line in told["lines"]] == list(result.lines)
    assert told["fills"] == {"buys": result.fills.buys, "sells": result.fills.sells}
    assert told["from"] == "2026-03-01T00:00:00Z" and told["to"] == "2026-03-04T00:00:00Z"


class Tags(HTMLParser):
    """Every tag, and whether all that open also close."""

    VOID = frozenset({"br", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def assert_sound(card: str) -> None:
    tags = Tags(card)
    assert tags.open == []
    assert not tags.seen & {"script", "iframe", "link", "img"}
    assert not re.search(r"https?://", card)
    assert "var(--jp-" in card


def test_card_is_sound_html_and_says_the_figures(result: BacktestResult) -> None:
    card = result._repr_html_()
    assert_sound(card)
    assert f"{result.fills.buys:,} / {result.fills.sells:,}" in card
    assert words.amount(result.equity) in card


def test_card_escapes_what_it_is_told(result: BacktestResult) -> None:
    from dataclasses import replace

    card = replace(result, rules="<script>alert(1)</script>")._repr_html_()
    assert_sound(card)
    assert "&lt;script&gt;" in card


def test_text_says_the_figures(result: BacktestResult) -> None:
    shown = repr(result)
    assert "Backtest of BTCUSDT" in shown
    assert f"{result.fills.buys:,} buys, {result.fills.sells:,} sells" in shown
    assert len(shown.splitlines()) < 25


def test_thinning_keeps_ends_and_extremes() -> None:
    values = np.sin(np.arange(50_000) / 300) * np.linspace(1, 3, 50_000)
    kept = thinning.thinned(values, 1_000)
    assert len(kept) <= 1_002
    assert kept[0] == 0 and kept[-1] == len(values) - 1
    assert values[kept].min() == values.min() and values[kept].max() == values.max()
    assert np.all(np.diff(kept) > 0)


def test_short_series_are_not_thinned() -> None:
    assert thinning.thinned(np.ones(7), 10).tolist() == list(range(7))


@pytest.mark.parametrize(("days", "interval"), [(0.2, "1m"), (2, "5m"), (14, "30m"), (31, "2h")])
def test_candles_are_joined_to_fit(days: float, interval: str) -> None:
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + int(days * DAY_MS))
    joined = thinning.joined(bars)
    assert joined.interval == interval
    assert len(joined) <= thinning.MOST_CANDLES
    assert joined.high.max() == bars.high.max() and joined.low.min() == bars.low.min()


def test_drawdown_of_simple_curves() -> None:
    rising = metrics.max_drawdown(np.array([1.0, 2.0, 3.0]))
    assert (rising.fraction, rising.trough) == (0.0, 0)
    never_back = metrics.max_drawdown(np.array([10.0, 8.0, 9.0, 5.0]))
    assert never_back == metrics.Drawdown(0.5, 0, 3, None)


def test_words_group_digits_and_keep_small_ones() -> None:
    assert words.plain(Decimal("-1234567.8900")) == "-1,234,567.89"
    assert words.plain(Decimal("1E-8")) == "0.00000001"
    assert words.signed(Decimal("0.001")) == "0.00"
    assert words.signed_percent(0.0586) == "+5.86 %"
    assert words.percent(Decimal("-0.0123")) == "-1.23 %"
