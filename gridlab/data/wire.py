"""Binance's public answers as domain values: candles, tickers, instruments. Pure; knows no HTTP.

Amounts travel as decimal strings and become Decimals of the same digits. An answer of another form
is refused with the field that is wrong: a guess would end up in a price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from gridlab.data.bars import Bars
from gridlab.data.recorded import RATIO_STEP
from gridlab.domain.market import (
    BestQuote,
    Instrument,
    Interval,
    Kline,
    Market,
    OrderBook,
    PercentPrice,
    Ticker,
)
from gridlab.errors import ExchangeUnavailable, InvalidNumber
from gridlab.money import ONE, ZERO, parse, round_to, rounding

#: A limit so high that it never binds, where the venue has no such rule.
NO_LIMIT = Decimal("1000000000")


def klines_of(payload: Any, interval: Interval, where: str) -> tuple[Kline, ...]:
    """The candles of an answer of `klines`, oldest first.

    Raises:
        ExchangeUnavailable: not a list of candles of that interval in ascending order.
    """
    if not isinstance(payload, list):
        raise _odd(where, f"a list of candles was expected, not {_short(payload)}")
    candles = tuple(_kline(row, where) for row in payload)
    for before, after in zip(candles, candles[1:], strict=False):
        if after.open_time_ms <= before.open_time_ms:
            raise _odd(where, f"candle {after.open_time_ms} follows {before.open_time_ms}")
    for candle in candles:
        if candle.open_time_ms % interval.ms:
            raise _odd(where, f"candle {candle.open_time_ms} does not open on a whole {interval}")
    return candles


def bars_of(candles: Sequence[Kline], symbol: str, market: Market, interval: Interval) -> Bars:
    """`candles` as arrays; raises `InvalidInput` for one that breaks a rule of candles."""

    def floats(name: str) -> Any:
        return np.array([float(getattr(candle, name)) for candle in candles], np.float64)

    quote = [np.nan if c.quote_volume is None else float(c.quote_volume) for c in candles]
    trades = [-1 if c.trades is None else c.trades for c in candles]
    return Bars(
        symbol=symbol,
        market=market,
        interval=interval,
        open_time_ms=np.array([candle.open_time_ms for candle in candles], np.int64),
        open=floats("open"),
        high=floats("high"),
        low=floats("low"),
        close=floats("close"),
        volume=floats("volume"),
        quote_volume=np.array(quote, np.float64),
        trades=np.array(trades, np.int64),
    )


def ticker_of(payload: Any, market: Market, where: str) -> Ticker:
    """The ticker in one object of `ticker/24hr`.

    The exchange's own percentage is rounded to three decimals, so the change is computed.
    """
    entry = _object(payload, where)
    price, first = _number(entry, "lastPrice", where), _number(entry, "openPrice", where)
    with rounding():
        change = round_to(price / first - ONE, RATIO_STEP) if first else ZERO
    end_ms = _whole(entry, "closeTime", where)
    return Ticker(
        symbol=_text(entry, "symbol", where),
        market=market,
        price=price,
        volume=_number(entry, "volume", where),
        quote_volume=_number(entry, "quoteVolume", where),
        change_fraction=change,
        high=_number(entry, "highPrice", where),
        low=_number(entry, "lowPrice", where),
        time_ms=end_ms,
        window_ms=end_ms - _whole(entry, "openTime", where),
    )


def tickers_of(payload: Any, market: Market, where: str) -> tuple[Ticker, ...]:
    """The tickers of an answer about several symbols; those that never traded are left out."""
    if not isinstance(payload, list):
        raise _odd(where, f"a list of tickers was expected, not {_short(payload)}")
    found = (ticker_of(entry, market, where) for entry in payload)
    return tuple(ticker for ticker in found if ticker.price > 0)


def quotes_of(payload: Any, where: str) -> tuple[BestQuote, ...]:
    """The best bid and ask of each symbol in an answer of `ticker/bookTicker`."""
    if not isinstance(payload, list):
        raise _odd(where, f"a list of quotes was expected, not {_short(payload)}")
    return tuple(
        BestQuote(
            _text(_object(entry, where), "symbol", where),
            _number(entry, "bidPrice", where),
            _number(entry, "askPrice", where),
        )
        for entry in payload
    )


def book_of(payload: Any, symbol: str, where: str) -> OrderBook:
    """The order book in an answer of `depth`."""
    entry = _object(payload, where)
    return OrderBook(symbol, _levels(entry, "bids", where), _levels(entry, "asks", where))


def open_interest_of(payload: Any, where: str) -> Decimal:
    """The open contracts in an answer of `openInterest`, base units."""
    return _number(_object(payload, where), "openInterest", where)


def weight_limit_of(payload: Any) -> int | None:
    """Request weight a minute that `exchangeInfo` states; None where it does not."""
    for limit in payload.get("rateLimits", ()) if isinstance(payload, dict) else ():
        names = (limit.get("rateLimitType"), limit.get("interval"), limit.get("intervalNum"))
        if names == ("REQUEST_WEIGHT", "MINUTE", 1) and isinstance(limit.get("limit"), int):
            return int(limit["limit"]) if limit["limit"] > 0 else None
    return None


def symbol_entries(payload: Any, where: str) -> dict[str, Mapping[str, Any]]:
    """The entry of each symbol in an answer of `exchangeInfo`, by name."""
    entries = _object(payload, where).get("symbols")
    if not isinstance(entries, list):
        raise _odd(where, f"symbols is {_short(entries)}, not a list")
    return {_text(_object(entry, where), "symbol", where): entry for entry in entries}


def instrument_of(entry: Mapping[str, Any], market: Market, where: str) -> Instrument:
    """The rules in one symbol's entry of `exchangeInfo`.

    Raises:
        ExchangeUnavailable: a rule is missing or unreadable.
        InvalidInput: the exchange has switched a step off (0), so that no order can be built.
    """
    rules = {_text(_object(rule, where), "filterType", where): rule for rule in entry["filters"]}
    prices, lots = _rule(rules, where, "PRICE_FILTER"), _rule(rules, where, "LOT_SIZE")
    notional = _rule(rules, where, "NOTIONAL", "MIN_NOTIONAL")
    least = "notional" if "notional" in notional else "minNotional"
    most = _number(notional, "maxNotional", where) if "maxNotional" in notional else NO_LIMIT
    orders = rules.get("MAX_NUM_ORDERS", {})
    status = entry.get("status") or entry.get("contractStatus")
    return Instrument(
        symbol=_text(entry, "symbol", where),
        market=market,
        base=_text(entry, "baseAsset", where),
        quote=_text(entry, "quoteAsset", where),
        tick_size=_number(prices, "tickSize", where),
        lot_size=_number(lots, "stepSize", where),
        min_notional=_number(notional, least, where),
        min_quantity=_number(lots, "minQty", where),
        max_quantity=_number(lots, "maxQty", where),
        min_price=_number(prices, "minPrice", where),
        max_price=_number(prices, "maxPrice", where),
        max_notional=most,
        max_num_orders=int(orders.get("maxNumOrders", orders.get("limit", 200))),
        percent_price=_percent_price(rules, where),
        commission_precision=int(entry.get("baseCommissionPrecision", 8)),
        status=str(status or "TRADING"),
    )


def _percent_price(rules: Mapping[str, Mapping[str, Any]], where: str) -> PercentPrice | None:
    """The band by side; futures have one that follows the mark price, which candles don't tell."""
    rule = rules.get("PERCENT_PRICE_BY_SIDE")
    if rule is None:
        return None
    return PercentPrice(
        bid_down=_number(rule, "bidMultiplierDown", where),
        bid_up=_number(rule, "bidMultiplierUp", where),
        ask_down=_number(rule, "askMultiplierDown", where),
        ask_up=_number(rule, "askMultiplierUp", where),
    )


def _rule(rules: Mapping[str, Mapping[str, Any]], where: str, *names: str) -> Mapping[str, Any]:
    for name in names:
        if name in rules:
            return rules[name]
    raise _odd(where, f"no rule {' or '.join(names)}")


def _kline(row: Any, where: str) -> Kline:
    if not isinstance(row, list) or len(row) < 9:
        raise _odd(where, f"a candle has 12 parts, here is {_short(row)}")
    names = ("open time", "open", "high", "low", "close", "volume", "close time", "quote", "trades")
    parts = dict(zip(names, row, strict=False))
    open_, high, low, close, volume = (_number(parts, name, where) for name in names[1:6])
    return Kline(
        open_time_ms=_whole(parts, "open time", where),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        close_time_ms=_whole(parts, "close time", where),
        quote_volume=_number(parts, "quote", where),
        trades=_whole(parts, "trades", where),
    )


def _levels(entry: Mapping[str, Any], side: str, where: str) -> tuple[tuple[Decimal, Decimal], ...]:
    rows = entry.get(side)
    if not isinstance(rows, list):
        raise _odd(where, f"{side} is {_short(rows)}, not a list")
    return tuple(_level(row, side, where) for row in rows)


def _level(row: Any, side: str, where: str) -> tuple[Decimal, Decimal]:
    if not isinstance(row, list) or len(row) < 2:
        raise _odd(where, f"a level of {side} has a price and a quantity, here is {_short(row)}")
    parts = {"price": row[0], "quantity": row[1]}
    return _number(parts, "price", where), _number(parts, "quantity", where)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _odd(where, f"an object was expected, not {_short(value)}")
    return value


def _number(entry: Mapping[str, Any], name: str, where: str) -> Decimal:
    try:
        return parse(entry.get(name, ""), name)
    except InvalidNumber as error:
        raise _odd(where, str(error)) from None


def _whole(entry: Mapping[str, Any], name: str, where: str) -> int:
    value = entry.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _odd(where, f"{name} is {_short(value)}, not a whole number")
    return value


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise _odd(where, f"{name} is {_short(value)}, not a name")
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _odd(where: str, what: str) -> ExchangeUnavailable:
    return ExchangeUnavailable(
        f"the answer of {where} cannot be used: {what}; nothing was taken from it, check the base "
        "URL or try again"
    )
