"""Names of market streams: what a name asks for, how often, and on which route it is served.

Pure text work; knows no socket and no price. A name that is not understood is None, and the venue
stays silent on it.

Source: Binance's WebSocket market stream pages; the futures routes of 2026-04-23.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gridlab.domain.market import Market
from gridlab.twin.widths import WIDTHS


class Route(StrEnum):
    """Where a stream is served. Spot has one place for all; futures has three."""

    ALL = ""
    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"


class Kind(StrEnum):
    """What a stream carries."""

    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    BOOK_TICKER = "bookTicker"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    AVG_PRICE = "avgPrice"
    MARK_PRICE = "markPrice"


_ROUTES = {
    Kind.TRADE: Route.PUBLIC,
    Kind.BOOK_TICKER: Route.PUBLIC,
    Kind.DEPTH: Route.PUBLIC,
    Kind.PARTIAL_DEPTH: Route.PUBLIC,
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    Args:
        symbol: upper case; empty for a stream over all symbols.
        every_ms: its pace; 0 for a stream that speaks whenever something happens.
        interval: width of the candles, such as 1m or 1w; empty for other streams.
        levels: of a partial book; 0 otherwise.
    """

    name: str
    kind: Kind
    symbol: str
    every_ms: int = 0
    interval: str = ""
    levels: int = 0

    @property
    def is_over_all(self) -> bool:
        return not self.symbol

    def route(self, market: Market) -> Route:
        """Where it is served on `market`."""
        return Route.ALL if market is Market.SPOT else _ROUTES.get(self.kind, Route.MARKET)


_WIDTHS = "|".join(WIDTHS)
_SYMBOL = r"(?P<symbol>[^A-Z@!/]+)"
_PLAIN = {
    Market.SPOT: {
        "trade": (Kind.TRADE, 0),
        "aggTrade": (Kind.AGG_TRADE, 0),
        "bookTicker": (Kind.BOOK_TICKER, 0),
        "ticker": (Kind.TICKER, 1_000),
        "miniTicker": (Kind.MINI_TICKER, 1_000),
        "avgPrice": (Kind.AVG_PRICE, 1_000),
    },
    Market.FUTURES: {
        "trade": (Kind.TRADE, 0),
        "aggTrade": (Kind.AGG_TRADE, 0),
        "bookTicker": (Kind.BOOK_TICKER, 0),
        "ticker": (Kind.TICKER, 1_000),
        "miniTicker": (Kind.MINI_TICKER, 1_000),
        "markPrice": (Kind.MARK_PRICE, 3_000),
        "markPrice@1s": (Kind.MARK_PRICE, 1_000),
    },
}
_OVER_ALL = {
    Market.SPOT: {
        "!miniTicker@arr": (Kind.MINI_TICKER, 1_000),
        # Not in the documents, yet served, and what python-binance's miniticker_socket asks for.
        "!miniTicker@arr@1000ms": (Kind.MINI_TICKER, 1_000),
        "!miniTicker@arr@3000ms": (Kind.MINI_TICKER, 3_000),
    },
    Market.FUTURES: {
        "!miniTicker@arr": (Kind.MINI_TICKER, 1_000),
        "!ticker@arr": (Kind.TICKER, 1_000),
        "!bookTicker": (Kind.BOOK_TICKER, 0),
        "!markPrice@arr": (Kind.MARK_PRICE, 3_000),
        "!markPrice@arr@1s": (Kind.MARK_PRICE, 1_000),
    },
}
_DEPTH_MS = {Market.SPOT: (1_000, (100, 1_000)), Market.FUTURES: (250, (100, 250, 500))}
_KLINE_MS = {Market.SPOT: 2_000, Market.FUTURES: 250}
_NAMED = re.compile(rf"{_SYMBOL}@(?P<rest>.+)")
_KLINE = re.compile(rf"kline_(?P<width>{_WIDTHS})")
_CONTINUOUS = re.compile(rf"continuousKline_(?P<width>{_WIDTHS})")
_DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<speed>\d+)ms)?")


def parse(market: Market, name: str) -> Stream | None:
    """The stream that `name` asks for on `market`, or None when there is none of that name.

    >>> parse(Market.SPOT, "btcusdt@depth5@100ms").levels
    5
    >>> parse(Market.SPOT, "BTCUSDT@trade") is None
    True
    """
    over_all = _OVER_ALL[market].get(name)
    if over_all is not None:
        return Stream(name, over_all[0], "", over_all[1])
    found = _NAMED.fullmatch(name)
    if found is None:
        return None
    symbol, rest = found["symbol"].upper(), found["rest"]
    plain = _PLAIN[market].get(rest)
    if plain is not None:
        return Stream(name, plain[0], symbol, plain[1])
    return _kline(market, name, symbol, rest) or _depth(market, name, symbol, rest)


def _kline(market: Market, name: str, symbol: str, rest: str) -> Stream | None:
    pace = _KLINE_MS[market]
    found = _KLINE.fullmatch(rest)
    if found is not None:
        return Stream(name, Kind.KLINE, symbol, pace, found["width"])
    found = _CONTINUOUS.fullmatch(rest)
    pair, _, contract = symbol.partition("_")
    if market is Market.SPOT or found is None or contract != "PERPETUAL":
        return None
    return Stream(name, Kind.CONTINUOUS_KLINE, pair, pace, found["width"])


def _depth(market: Market, name: str, symbol: str, rest: str) -> Stream | None:
    found = _DEPTH.fullmatch(rest)
    if found is None:
        return None
    usual_ms, allowed = _DEPTH_MS[market]
    speed_ms = usual_ms if found["speed"] is None else int(found["speed"])
    if speed_ms not in allowed:
        return None
    levels = int(found["levels"] or 0)
    kind = Kind.PARTIAL_DEPTH if levels else Kind.DEPTH
    return Stream(name, kind, symbol, speed_ms, levels=levels)
