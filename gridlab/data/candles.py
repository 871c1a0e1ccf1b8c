"""Candles as columns: what a venue or a recording shows now, in the form that a backtest takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridlab.data.aggregate import FloatArray
from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Kline, Market


def bars_of(symbol: str, market: Market, interval: Interval, candles: Sequence[Kline]) -> Bars:
    """The bars of `candles`, oldest first; what a candle does not know stays unknown.

    Raises:
        InvalidInput: the candles are not ascending or not of `interval`.
    """

    def column(name: str) -> FloatArray:
        values = (getattr(candle, name) for candle in candles)
        return np.array([np.nan if value is None else float(value) for value in values])

    return Bars(
        symbol=symbol,
        market=market,
        interval=interval,
        open_time_ms=np.array([candle.open_time_ms for candle in candles], dtype=np.int64),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume=column("volume"),
        quote_volume=column("quote_volume"),
        trades=np.array([-1 if c.trades is None else c.trades for c in candles], dtype=np.int64),
    )
