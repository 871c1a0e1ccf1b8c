"""Facts from candles and pictures: real recordings, the house's own indicators."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridlab.agents.ai_facts import grid_facts, market_facts
from gridlab.app.config import load_config
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Kline
from gridlab.errors import InvalidInput
from gridlab.exchange.base import Dated
from gridlab.llm.tasks.grid import by_rule
from gridlab.llm.tasks.market import Roughness, Trend
from gridlab.research.indicators import compute

BARS = load("BTCUSDT").resample(Interval.H1)
CANDLES = [BARS.kline(i) for i in range(min(400, len(BARS)))]
END = CANDLES[-1].close_time_ms


def of_now(candles: list[Kline]) -> Dated[tuple[Kline, ...]]:
    return Dated(tuple(candles), 0, False)


def test_figures_are_those_of_the_candles() -> None:
    facts = market_facts("BTCUSDT", "USDT", of_now(CANDLES), END)
    window = CANDLES[-facts.hours :]
    assert (facts.hours, facts.price) == (min(168, len(CANDLES)), CANDLES[-1].close)
    assert facts.high == max(c.high for c in window) and facts.low == min(c.low for c in window)
    assert abs(float(facts.change) - float(window[-1].close / window[0].open - 1)) < 1e-6
    for name, line, value in (
        ("RSI", "value", facts.rsi),
        ("ADX", "adx", facts.adx),
        ("ADX", "plus_di", facts.plus_di),
    ):
        assert value is not None
        assert float(value) == pytest.approx(compute(name, CANDLES).lines[line][-1], rel=1e-12)
    atr = compute("ATR", CANDLES).lines["value"][-1] / float(facts.price)
    assert facts.volatility is not None and float(facts.volatility) == pytest.approx(atr, abs=1e-6)
    assert facts.trend in Trend and facts.trend is not Trend.UNKNOWN
    assert facts.roughness is not Roughness.UNKNOWN


def test_nothing_is_guessed_from_few_candles() -> None:
    facts = market_facts("BTCUSDT", "USDT", of_now(CANDLES[:5]), END)
    assert facts.rsi is facts.adx is facts.volatility is None
    assert (facts.trend, facts.roughness, facts.caution) == (Trend.UNKNOWN, Roughness.UNKNOWN, 0)
    with pytest.raises(InvalidInput, match="no candle"):
        market_facts("BTCUSDT", "USDT", of_now([]), END)


def test_a_proposal_by_rule_fits_the_market() -> None:
    spec = load_config(None).spec_for("BTCUSDT")
    facts = grid_facts(market_facts("BTCUSDT", "USDT", of_now(CANDLES), END), spec, None)
    assert facts.present.levels == spec.levels and not facts.is_running
    shape = by_rule(facts)
    assert shape.spacing >= 3 * facts.round_fee == 6 * spec.fees.maker
    width = (1 + shape.spacing) ** shape.levels
    assert width <= Decimal(facts.high / facts.low) * (1 + shape.spacing) or shape.levels == 4


def test_facts_are_as_old_as_the_candles() -> None:
    fresh = market_facts("BTCUSDT", "USDT", of_now(CANDLES), END)
    assert (fresh.age_ms, fresh.is_stale) == (0, False)
    asked = market_facts("BTCUSDT", "USDT", Dated(tuple(CANDLES), 20_000, True), END)
    assert (asked.age_ms, asked.is_stale) == (20_000, True)
    proposal = grid_facts(asked, load_config(None).spec_for("BTCUSDT"), None)
    assert (proposal.age_ms, proposal.is_stale) == (20_000, True)


def test_a_missing_candle_makes_the_last_price_old() -> None:
    """A hole of a recording: nothing was asked long ago, and yet the price is not of now."""
    late = market_facts("BTCUSDT", "USDT", of_now(CANDLES), END + 3 * Interval.H1.ms)
    assert (late.age_ms, late.is_stale) == (3 * Interval.H1.ms, True)
    soon = market_facts("BTCUSDT", "USDT", of_now(CANDLES), END + 1_000)
    assert (soon.age_ms, soon.is_stale) == (1_000, False)
