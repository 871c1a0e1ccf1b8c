"""Prices: tickers, whose numbers are text, and candles, whose numbers are numbers."""

from __future__ import annotations

from decimal import Decimal

from gridlab.api.schemas.base import Shape, Stamp, at_step, percent
from gridlab.clock import iso
from gridlab.domain.market import Interval, Kline, Market, Ticker
from gridlab.domain.snapshot import Mode
from gridlab.money import text


class TickerShape(Shape):
    """One entry of `/api/market_data`; every number is text, `change_24h` is a percentage."""

    symbol: str
    price: str
    volume: str
    change_24h: str
    high_24h: str
    low_24h: str
    quote_volume: str | None
    market_type: str
    window_ms: int
    as_of: str
    mode: str

    @classmethod
    def of(cls, ticker: Ticker, tick_size: Decimal, mode: Mode) -> TickerShape:
        return cls(
            symbol=ticker.symbol,
            price=at_step(ticker.price, tick_size),
            volume=text(ticker.volume),
            change_24h=f"{percent(ticker.change_fraction):.2f}",
            high_24h=at_step(ticker.high, tick_size),
            low_24h=at_step(ticker.low, tick_size),
            quote_volume=None if ticker.quote_volume is None else text(ticker.quote_volume),
            market_type=ticker.market.value,
            window_ms=ticker.window_ms,
            as_of=iso(ticker.time_ms),
            mode=mode.value,
        )


class Candle(Shape):
    """One candle; `quote_volume` and `trades` are null where the recording lacks them."""

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_time: int
    quote_volume: float | None
    trades: int | None

    @classmethod
    def of(cls, kline: Kline) -> Candle:
        return cls(
            timestamp=kline.open_time_ms,
            open=float(kline.open),
            high=float(kline.high),
            low=float(kline.low),
            close=float(kline.close),
            volume=float(kline.volume),
            close_time=kline.close_time_ms,
            quote_volume=None if kline.quote_volume is None else float(kline.quote_volume),
            trades=kline.trades,
        )


class Candles(Stamp):
    """`/api/klines`; the last candle is still open when `close_time` lies after `as_of_ms`."""

    symbol: str
    interval: Interval
    data: list[Candle]
    market_type: Market
