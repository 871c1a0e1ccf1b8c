"""Candles become the bars that they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridlab.data.candles import bars_of
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput


def test_bars_to_candles_and_back() -> None:
    bars = load("BTCUSDT").slice(None, None)
    part = bars.slice(int(bars.open_time_ms[0]), int(bars.open_time_ms[300]))
    candles = [part.kline(i) for i in range(len(part))]
    assert bars_of("BTCUSDT", Market.SPOT, part.interval, candles) == part


def test_what_is_unknown_stays_unknown() -> None:
    candle = replace(load("BTCUSDT").kline(0), quote_volume=None, trades=None)
    made = bars_of("BTCUSDT", Market.SPOT, Interval.M1, [candle])
    assert np.isnan(made.quote_volume[0]) and made.trades[0] == -1
    with pytest.raises(InvalidInput):
        bars_of("BTCUSDT", Market.SPOT, Interval.M1, [candle, candle])
