"""`grid` and `plan`: what a user may type, what is answered to a slip, how a plan looks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import FeeSchedule, Interval, Market
from gridlab.domain.spec import Spacing
from gridlab.errors import InvalidInput, InvalidNumber, InvalidSpec, NotFound
from gridlab.research import venue
from gridlab.research.backtest import backtest
from gridlab.research.grids import make_grid, plan

START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def bars() -> Bars:
    return load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + DAY_MS)


def test_defaults_make_a_grid_that_can_start(bars: Bars) -> None:
    spec = make_grid("BTCUSDT")
    assert (spec.levels, spec.spacing, spec.investment) == (10, Decimal("0.005"), Decimal(1000))
    assert plan(spec, bars).ok


@pytest.mark.parametrize("spacing", ["0.005", "0.5%", "0.5 %", Decimal("0.005")])
def test_spacings_may_be_written_in_several_ways(spacing: Any) -> None:
    assert make_grid("BTCUSDT", spacing=spacing).spacing == Decimal("0.005")


def test_every_setting_arrives() -> None:
    spec = make_grid(
        "BTCUSDT",
        np.int64(8),
        lower=60_000,
        upper="70000.5",
        quantity=Decimal("0.001"),
        mode="arithmetic",
        fees="0.00075",
        allow_unprofitable=True,
    )
    assert (spec.levels, spec.lower, spec.upper) == (8, Decimal(60_000), Decimal("70000.5"))
    assert (spec.quantity, spec.investment, spec.spacing) == (Decimal("0.001"), None, None)
    assert (spec.mode, spec.allow_unprofitable) == (Spacing.ARITHMETIC, True)
    assert spec.fees == FeeSchedule(maker=Decimal("0.00075"), taker=Decimal("0.00075"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spacing": 0.005}, r"spacing is the float 0\.005.*type spacing='0\.005'"),
        ({"investment": 1e3}, r"type investment='1000\.0'"),
        ({"fees": 0.001}, r"type fees='0\.001'"),
        ({"lower": np.float64(6.5), "upper": 7}, r"type lower='6\.5'"),
        ({"spacing": "half"}, "spacing is 'half', which is not a number"),
        ({"investment": True}, "bool"),
    ],
)
def test_inexact_numbers_are_refused_with_the_remedy(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidNumber, match=words):
        make_grid("BTCUSDT", **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spaceing": "0.01"}, "did you mean spacing"),
        ({"invesment": 100}, "did you mean investment"),
        ({"colour": "red"}, "there are symbol, levels, spacing"),
        ({"mode": "geometrical"}, "did you mean geometric"),
        ({"market": "margin"}, "choose one of spot, futures"),
    ],
)
def test_slips_are_answered_with_the_nearest_word(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        make_grid("BTCUSDT", **settings)


def test_a_grid_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="either quantity"):
        make_grid("BTCUSDT", quantity="1", investment=5)
    with pytest.raises(InvalidSpec, match="levels is 1"):
        make_grid("BTCUSDT", levels=1)


def test_a_plan_over_bars_is_what_their_backtest_starts_with(bars: Bars) -> None:
    spec = make_grid("BTCUSDT", levels=14)
    view, result = plan(spec, bars), backtest(spec, bars)
    assert view.lines == result.lines and view.quantity == result.plan.quantity
    assert view.orders == result.plan.orders


def test_a_plan_at_a_price_and_with_balances() -> None:
    spec = make_grid("BTCUSDT")
    assert plan(spec, "65000").ok
    poor = plan(spec, 65_000, balances={"USDT": 10})
    assert not poor.ok
    assert [finding.rule for finding in poor.findings] == ["balance"]
    with pytest.raises(InvalidNumber, match="price='65000.0'"):
        plan(spec, 65_000.0)  # type: ignore[arg-type]


def test_a_plan_needs_bars_of_its_symbol(bars: Bars) -> None:
    with pytest.raises(InvalidInput, match="the grid is for ETHUSDT"):
        plan(make_grid("ETHUSDT"), bars)
    with pytest.raises(NotFound, match="not bundled"):
        plan(make_grid("FOOUSDT"), 5)


def test_plan_frame_lists_the_orders_highest_first(bars: Bars) -> None:
    view = plan(make_grid("BTCUSDT"), bars)
    frame = view.to_frame()
    assert list(frame.columns) == ["side", "price", "quantity", "value", "net_profit"]
    assert frame.index.tolist() == list(range(9, -1, -1))
    assert list(frame.price) == sorted(frame.price, reverse=True)
    assert isinstance(frame.price.iloc[0], Decimal)


def test_plan_card_shows_orders_and_findings(bars: Bars) -> None:
    good, bad = plan(make_grid("BTCUSDT"), bars), plan(make_grid("BTCUSDT", investment=20), bars)
    assert "ready" in good._repr_html_() and good._repr_html_().count("<tr") == 12
    card = bad._repr_html_()
    assert "refused" in card and "min_notional" in card and "<script" not in card
    assert "refused" in repr(bad)


def test_a_long_plan_shows_the_orders_nearest_the_price(bars: Bars) -> None:
    card = plan(
        make_grid("BTCUSDT", levels=80, spacing="0.003", investment=20_000), bars
    )._repr_html_()
    assert "of 80." in card and card.count("<tr") == 26


@pytest.mark.parametrize("with_bars", [True, False])
def test_plan_figure_draws_every_line(bars: Bars, with_bars: bool) -> None:
    view = plan(make_grid("BTCUSDT"), bars)
    figure = view.plot(bars if with_bars else None)
    assert len(figure.layout.shapes) == len(view.lines)
    assert any(trace.name == "start price" for trace in figure.data)


def test_rules_of_an_unknown_symbol_are_read_off_the_data() -> None:
    prices = np.array([0.1234, 0.1250, 0.12])
    unknown = Bars(
        "FOOUSDC",
        Market.SPOT,
        Interval.M1,
        START_MS + 60_000 * np.arange(3),
        prices,
        prices,
        prices,
        prices,
        np.array([10.0, 12.5, 3.0]),
        np.full(3, np.nan),
        np.full(3, -1),
    )
    rules = venue.rules_for(unknown)
    assert (rules.instrument.tick_size, rules.instrument.lot_size) == (
        Decimal("0.0001"),
        Decimal("0.1"),
    )
    assert (rules.instrument.base, rules.instrument.quote) == ("FOO", "USDC")
    assert "no bundled rules" in rules.source


def test_a_symbol_without_a_known_quote_is_refused() -> None:
    with pytest.raises(InvalidInput, match="hand in an Instrument"):
        venue.split_symbol("FOOXYZ")
    with pytest.raises(InvalidInput):
        venue.split_symbol("USDT")
