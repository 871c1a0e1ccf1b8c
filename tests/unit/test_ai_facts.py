"""Facts from candles and pictures: real recordings, the house's own indicators."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridlab.agents.ai_facts import grid_facts, market_facts
from gridlab.app.config import load_config
from gridlab.data.catalog import load
from gridlab.domain.market import Interval
from gridlab.errors import InvalidInput
from gridlab.llm.tasks.grid import by_rule
from gridlab.llm.tasks.market import Roughness, Trend
from gridlab.research.indicators import compute

BARS = load("BTCUSDT").resample(Interval.H1)
CANDLES = [BARS.kline(i) for i in range(min(400, len(BARS)))]
END = CANDLES[-1].close_time_ms


def test_figures_are_those_of_the_candles() -> None:
    facts = market_facts("BTCUSDT", "USDT", CANDLES, END)
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
    facts = market_facts("BTCUSDT", "USDT", CANDLES[:5], END)
    assert facts.rsi is facts.adx is facts.volatility is None
    assert (facts.trend, facts.roughness, facts.caution) == (Trend.UNKNOWN, Roughness.UNKNOWN, 0)
    with pytest.raises(InvalidInput, match="no candle"):
        market_facts("BTCUSDT", "USDT", [], END)


def test_a_proposal_by_rule_fits_the_market() -> None:
    spec = load_config(None).spec_for("BTCUSDT")
    facts = grid_facts(market_facts("BTCUSDT", "USDT", CANDLES, END), spec, None)
    assert facts.present.levels == spec.levels and not facts.is_running
    shape = by_rule(facts)
    assert shape.spacing >= 3 * facts.round_fee == 6 * spec.fees.maker
    width = (1 + shape.spacing) ** shape.levels
    assert width <= Decimal(facts.high / facts.low) * (1 + shape.spacing) or shape.levels == 4
