"""What market streams carry: values of the market -> the JSON of Binance, key by key.

Pure. Every number that matters is a decimal string, ids and times are integers, flags are booleans.
Spot and USD-M differ in keys and in decimals; both forms stand here side by side.

Source: Binance's WebSocket market stream pages, and payloads recorded from both markets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.domain.market import Instrument, Market
from gridlab.money import rounding

Payload: TypeAlias = dict[str, Any]
Levels: TypeAlias = Sequence[tuple[Decimal, Decimal]]

#: `st` of every USD-M payload since the merge with COIN-M: 1 is USD-M.
USD_M = 1


@dataclass(frozen=True, slots=True)
class Digits:
    """How many decimals a symbol's numbers are written with."""

    price: int
    quantity: int
    quote: int

    @classmethod
    def of(cls, instrument: Instrument) -> Digits:
        """Eight everywhere on spot; on USD-M as many as tick and lot have."""
        if instrument.market is Market.SPOT:
            return cls(8, 8, 8)
        price, quantity = places(instrument.tick_size), places(instrument.lot_size)
        return cls(price, quantity, price + quantity)


def places(step: Decimal) -> int:
    """Decimals that a step needs.

    >>> places(Decimal("0.0100")), places(Decimal("10"))
    (2, 0)
    """
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def fixed(value: Decimal, decimals: int) -> str:
    """`value` with exactly so many decimals, rounded half to even where it has more."""
    return format(value, f".{decimals}f")


def whole(value: Decimal, decimals: int) -> str:
    """`value` with at least so many decimals and never a digit less than it has.

    What was ordered or traded is told exactly, also when the tick has become coarser since.
    """
    return fixed(value, max(decimals, places(value)))


@dataclass(frozen=True, slots=True)
class Printed:
    """One trade of the market."""

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ms: int
    is_buyer_maker: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle as the stream tells it; ids are -1 while nothing has traded in it."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_volume: Decimal
    taker_quote_volume: Decimal
    first_trade_id: int
    last_trade_id: int


@dataclass(frozen=True, slots=True)
class Day:
    """The rolling window of 24 hours that ends now."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    last_quantity: Decimal
    previous_close: Decimal
    volume: Decimal
    quote_volume: Decimal
    weighted_average: Decimal
    open_ms: int
    close_ms: int
    first_trade_id: int
    last_trade_id: int
    trades: int

    @property
    def change(self) -> Decimal:
        return self.last - self.open

    @property
    def change_percent(self) -> Decimal:
        with rounding():
            return self.change / self.open * 100 if self.open else self.open


@dataclass(frozen=True, slots=True)
class Top:
    """The best bid and ask of one state of the book."""

    update_id: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal

    @property
    def prices(self) -> tuple[Decimal, ...]:
        """All but the id: what a listener is told the change of."""
        return (self.bid, self.bid_quantity, self.ask, self.ask_quantity)


@dataclass(frozen=True, slots=True)
class Mark:
    """What USD-M tells of a contract's mark price and funding."""

    price: Decimal
    index_price: Decimal
    settle_price: Decimal
    funding_rate: Decimal
    next_funding_ms: int


def trade(market: Market, event: Printed, digits: Digits, now_ms: int) -> Payload:
    """`<symbol>@trade`."""
    payload: Payload = {
        "e": "trade",
        "E": now_ms,
        "s": event.symbol,
        "t": event.trade_id,
        "p": whole(event.price, digits.price),
        "q": whole(event.quantity, digits.quantity),
        "T": event.time_ms,
        "m": event.is_buyer_maker,
    }
    if market is Market.SPOT:
        return payload | {"M": True}
    return payload | {"X": "MARKET", "st": USD_M}


def agg_trade(market: Market, event: Printed, digits: Digits, now_ms: int) -> Payload:
    """`<symbol>@aggTrade`; on the twin every trade is an aggregate of one."""
    quantity = whole(event.quantity, digits.quantity)
    payload: Payload = {
        "e": "aggTrade",
        "E": now_ms,
        "s": event.symbol,
        "a": event.trade_id,
        "p": whole(event.price, digits.price),
        "q": quantity,
        "f": event.trade_id,
        "l": event.trade_id,
        "T": event.time_ms,
        "m": event.is_buyer_maker,
    }
    if market is Market.SPOT:
        return payload | {"M": True}
    return payload | {"nq": quantity, "st": USD_M}


def kline(
    market: Market,
    symbol: str,
    interval: str,
    bar: Bar,
    digits: Digits,
    now_ms: int,
    *,
    is_closed: bool,
) -> Payload:
    """`<symbol>@kline_<interval>`."""
    payload: Payload = {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": _candle(symbol, interval, bar, digits, is_closed),
    }
    return payload if market is Market.SPOT else payload | {"st": USD_M}


def continuous_kline(
    pair: str, interval: str, bar: Bar, digits: Digits, now_ms: int, *, is_closed: bool
) -> Payload:
    """`<pair>_perpetual@continuousKline_<interval>`, USD-M only; its candle names no symbol."""
    candle = _candle(pair, interval, bar, digits, is_closed)
    del candle["s"]
    return {
        "e": "continuous_kline",
        "E": now_ms,
        "ps": pair,
        "ct": "PERPETUAL",
        "k": candle,
        "st": USD_M,
    }


def _candle(symbol: str, interval: str, bar: Bar, digits: Digits, is_closed: bool) -> Payload:
    return {
        "t": bar.open_ms,
        "T": bar.close_ms,
        "s": symbol,
        "i": interval,
        "f": bar.first_trade_id,
        "L": bar.last_trade_id,
        "o": fixed(bar.open, digits.price),
        "c": fixed(bar.close, digits.price),
        "h": fixed(bar.high, digits.price),
        "l": fixed(bar.low, digits.price),
        "v": fixed(bar.volume, digits.quantity),
        "n": bar.trades,
        "x": is_closed,
        "q": fixed(bar.quote_volume, digits.quote),
        "V": fixed(bar.taker_volume, digits.quantity),
        "Q": fixed(bar.taker_quote_volume, digits.quote),
        "B": "0",
    }


def book_ticker(market: Market, symbol: str, top: Top, digits: Digits, now_ms: int) -> Payload:
    """`<symbol>@bookTicker`. Spot's names neither its event nor its time."""
    payload: Payload = {
        "u": top.update_id,
        "s": symbol,
        "b": fixed(top.bid, digits.price),
        "B": fixed(top.bid_quantity, digits.quantity),
        "a": fixed(top.ask, digits.price),
        "A": fixed(top.ask_quantity, digits.quantity),
    }
    if market is Market.SPOT:
        return payload
    return {"e": "bookTicker", "E": now_ms, "T": now_ms, "ps": symbol, "st": USD_M} | payload


def levels(side: Levels, digits: Digits) -> list[list[str]]:
    """Price levels as pairs of strings."""
    return [[fixed(price, digits.price), fixed(size, digits.quantity)] for price, size in side]


def depth_update(
    market: Market,
    symbol: str,
    *,
    first_id: int,
    last_id: int,
    previous_id: int,
    bids: Levels,
    asks: Levels,
    digits: Digits,
    now_ms: int,
) -> Payload:
    """`<symbol>@depth`, and USD-M's partial book, which has the same form."""
    payload: Payload = {"e": "depthUpdate", "E": now_ms}
    if market is Market.FUTURES:
        payload |= {"T": now_ms, "ps": symbol, "st": USD_M}
    payload |= {"s": symbol, "U": first_id, "u": last_id}
    if market is Market.FUTURES:
        payload["pu"] = previous_id
    return payload | {"b": levels(bids, digits), "a": levels(asks, digits)}


def partial_depth(last_id: int, bids: Levels, asks: Levels, digits: Digits) -> Payload:
    """Spot's `<symbol>@depth<levels>`, which names no symbol."""
    return {"lastUpdateId": last_id, "bids": levels(bids, digits), "asks": levels(asks, digits)}


def ticker(market: Market, symbol: str, day: Day, top: Top, digits: Digits, now_ms: int) -> Payload:
    """`<symbol>@ticker`; USD-M's has no book in it and no close of the day before."""
    payload: Payload = {
        "e": "24hrTicker",
        "E": now_ms,
        "s": symbol,
        "p": fixed(day.change, digits.price),
        "P": fixed(day.change_percent, 3 if market is Market.SPOT else 2),
        "w": fixed(day.weighted_average, digits.price),
    }
    if market is Market.SPOT:
        payload["x"] = fixed(day.previous_close, digits.price)
    payload |= {"c": fixed(day.last, digits.price), "Q": fixed(day.last_quantity, digits.quantity)}
    if market is Market.SPOT:
        payload |= {
            "b": fixed(top.bid, digits.price),
            "B": fixed(top.bid_quantity, digits.quantity),
            "a": fixed(top.ask, digits.price),
            "A": fixed(top.ask_quantity, digits.quantity),
        }
    payload |= _prices_of(day, digits) | {
        "O": day.open_ms,
        "C": day.close_ms,
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": day.trades,
    }
    return payload if market is Market.SPOT else payload | {"st": USD_M}


def mini_ticker(market: Market, symbol: str, day: Day, digits: Digits, now_ms: int) -> Payload:
    """`<symbol>@miniTicker`, and an element of `!miniTicker@arr`."""
    payload: Payload = {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": symbol,
        "c": fixed(day.last, digits.price),
    } | _prices_of(day, digits)
    return payload if market is Market.SPOT else payload | {"st": USD_M}


def _prices_of(day: Day, digits: Digits) -> Payload:
    return {
        "o": fixed(day.open, digits.price),
        "h": fixed(day.high, digits.price),
        "l": fixed(day.low, digits.price),
        "v": fixed(day.volume, digits.quantity),
        "q": fixed(day.quote_volume, digits.quote),
    }


def avg_price(symbol: str, price: Decimal, last_trade_ms: int, now_ms: int) -> Payload:
    """`<symbol>@avgPrice`, spot only."""
    return {
        "e": "avgPrice",
        "E": now_ms,
        "s": symbol,
        "i": "5m",
        "w": fixed(price, 8),
        "T": last_trade_ms,
    }


def mark_price(symbol: str, mark: Mark, now_ms: int) -> Payload:
    """`<symbol>@markPrice`, and an element of `!markPrice@arr`; USD-M only."""
    price = fixed(mark.price, 8)
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": symbol,
        "p": price,
        "ap": price,
        "P": fixed(mark.settle_price, 8),
        "i": fixed(mark.index_price, 8),
        "r": fixed(mark.funding_rate, 8),
        "T": mark.next_funding_ms,
        "st": USD_M,
    }


#: Which keys of an event hold times; `k` is the candle inside a kline event.
_TIMES = {
    "trade": ("E", "T"),
    "aggTrade": ("E", "T"),
    "kline": ("E",),
    "depthUpdate": ("E",),
    "24hrTicker": ("E", "O", "C"),
    "24hrMiniTicker": ("E",),
    "avgPrice": ("E", "T"),
    "serverShutdown": ("E",),
    "executionReport": ("E", "T", "O", "W"),
    "outboundAccountPosition": ("E", "u"),
    "balanceUpdate": ("E", "T"),
    "eventStreamTerminated": ("E",),
}


def in_microseconds(payload: Payload) -> Payload:
    """A spot payload for a client that asked for `timeUnit=MICROSECOND`."""
    finer = dict(payload)
    for key in _TIMES.get(payload.get("e", ""), ()):
        if key in finer:
            finer[key] *= 1_000
    if payload.get("e") == "kline":
        candle = payload["k"]
        # The close is the last microsecond of the bar, not of its last millisecond.
        finer["k"] = candle | {"t": candle["t"] * 1_000, "T": (candle["T"] + 1) * 1_000 - 1}
    return finer
