"""A server on the loopback that speaks Binance's public REST, spot and USD-M, over given bars.

Real sockets, real HTTP: what a test switches on (limits, bans, failures, delays, truncated and
redirected answers) reaches the client as the exchange would send it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from gridlab.clock import Clock
from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument
from gridlab.data.manifest import Span
from gridlab.domain.market import Instrument, Interval, Market
from gridlab.money import from_float, text

PREFIXES = {"/api/v3/": Market.SPOT, "/fapi/v1/": Market.FUTURES}
LARGEST = {Market.SPOT: 1000, Market.FUTURES: 1500}
LIMITS = {Market.SPOT: 6000, Market.FUTURES: 2400}


class SkippingClock:
    """A clock on which waiting takes no time; it tells how long everybody waited."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.pauses_ms: list[int] = []

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, time_ms: int) -> None:
        if time_ms > self._now_ms:
            self.pauses_ms.append(time_ms - self._now_ms)
            self._now_ms = time_ms
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Fault:
    """How one request is answered instead.

    Args:
        status: 0 closes the connection without a word.
        truncated: the answer breaks off in the middle, after a full Content-Length.
        body: instead of the exchange's error object.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int = -1000
    message: str = "An unknown error occurred."
    body: bytes | None = None
    truncated: bool = False
    delay_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    path: str
    query: Mapping[str, str]
    at_ms: int


class Refused(Exception):
    """The exchange's error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class KlinesServer:
    """Use it as a context manager; `url` is its address.

    Args:
        clock: the exchange's: decides which candle is open and which minute counts.
        halts: spans in which the exchange made no candle.
    """

    def __init__(self, bars: Iterable[Bars], *, clock: Clock, halts: Iterable[Span] = ()) -> None:
        self.bars = {(b.market, b.symbol): without(b, halts) for b in bars}
        self.clock = clock
        self.limits = dict(LIMITS)
        self.faults: deque[Fault] = deque()
        self.delay_s = 0.0
        self.ahead_ms = 0
        self.asked: list[Asked] = []
        self.used: dict[tuple[Market, int], int] = {}
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.exchange = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> KlinesServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pages(self) -> list[Asked]:
        """The requests for candles."""
        return [asked for asked in self.asked if asked.path.endswith("/klines")]

    def count(self, market: Market, weight: int) -> int:
        """Book a request and return what its minute has cost so far."""
        minute = (market, self.clock.now_ms() // 60_000)
        with self._lock:
            self.used[minute] = self.used.get(minute, 0) + weight
            return self.used[minute]

    def begin(self, asked: Asked) -> Fault | None:
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.faults.popleft() if self.faults else None

    def end(self) -> None:
        with self._lock:
            self._at_once -= 1

    def answer(self, market: Market, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Weight and payload of one request."""
        if path == "time":
            return 1, {"serverTime": self.clock.now_ms() + self.ahead_ms}
        if path == "klines":
            return self._klines(market, query)
        if path == "ticker/24hr":
            return self._tickers(market, query)
        if path == "exchangeInfo":
            return self._exchange_info(market, query)
        raise Refused(-1000, f"no such path: {path}")

    def _klines(self, market: Market, query: Mapping[str, str]) -> tuple[int, Any]:
        bars, interval = self._bars(market, query), Interval(query["interval"])
        bars = bars if interval is bars.interval else bars.resample(interval)
        limit = min(int(query.get("limit", "500")), LARGEST[market])
        now_ms = self.clock.now_ms()
        start_ms = int(query["startTime"]) if "startTime" in query else None
        stop_ms = min(now_ms, int(query.get("endTime", now_ms))) + 1
        last = int(np.searchsorted(bars.open_time_ms, stop_ms))
        first = max(0, last - limit)
        if start_ms is not None:
            first = int(np.searchsorted(bars.open_time_ms, start_ms))
        rows = [_row(bars, i) for i in range(first, min(last, first + limit))]
        weight = 2 if market is Market.SPOT else _futures_weight(limit)
        return weight, rows

    def _tickers(self, market: Market, query: Mapping[str, str]) -> tuple[int, Any]:
        if "symbol" in query:
            weight = 2 if market is Market.SPOT else 1
            return weight, self._ticker(self._bars(market, query))
        listed = [bars for (where, _), bars in self.bars.items() if where is market]
        return 80 if market is Market.SPOT else 40, [self._ticker(bars) for bars in listed]

    def _ticker(self, bars: Bars) -> dict[str, Any]:
        now_ms = self.clock.now_ms()
        day = bars.slice(now_ms - Interval.D1.ms, now_ms)
        return {
            "symbol": bars.symbol,
            "priceChangePercent": "0.000",
            "openPrice": text(from_float(day.open[0])),
            "lastPrice": text(from_float(day.close[-1])),
            "highPrice": text(from_float(day.high.max())),
            "lowPrice": text(from_float(day.low.min())),
            "volume": text(from_float(round(day.volume.sum(), 5))),
            "quoteVolume": text(from_float(round(np.nansum(day.quote_volume), 2))),
            "openTime": now_ms - Interval.D1.ms,
            "closeTime": now_ms,
            "count": len(day),
        }

    def _exchange_info(self, market: Market, query: Mapping[str, str]) -> tuple[int, Any]:
        names = [name for where, name in self.bars if where is market]
        if market is Market.SPOT and "symbol" in query:
            names = [self._bars(market, query).symbol]
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        listed = [_listed(instrument(name, market)) for name in names]
        return 20 if market is Market.SPOT else 1, {
            "timezone": "UTC",
            "serverTime": self.clock.now_ms(),
            "rateLimits": [{**limit, "limit": self.limits[market]}],
            "symbols": [*listed, _delisted()] if "symbol" not in query else listed,
        }

    def _bars(self, market: Market, query: Mapping[str, str]) -> Bars:
        if "symbol" not in query:
            raise Refused(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null.")
        found = self.bars.get((market, query["symbol"]))
        if found is None:
            raise Refused(-1121, "Invalid symbol.")
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        exchange: KlinesServer = self.server.exchange  # type: ignore[attr-defined]
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        fault = exchange.begin(Asked(url.path, query, exchange.clock.now_ms()))
        try:
            time.sleep(exchange.delay_s + (fault.delay_s if fault else 0.0))
            self._answer(exchange, url.path, query, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client did not wait
        finally:
            exchange.end()

    def _answer(
        self, exchange: KlinesServer, path: str, query: Mapping[str, str], fault: Fault | None
    ) -> None:
        if fault is not None and fault.status == 0:
            self.close_connection = True
            return
        prefix = next((p for p in PREFIXES if path.startswith(p)), None)
        if prefix is None:
            self._send(404, {}, b"<html>not found</html>")
            return
        market = PREFIXES[prefix]
        status, weight, payload = 200, 1, None
        try:
            weight, payload = exchange.answer(market, path.removeprefix(prefix), query)
        except Refused as refused:
            status, payload = 400, {"code": refused.code, "msg": str(refused)}
        used = exchange.count(market, weight)
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        if used > exchange.limits[market]:
            status, payload = 429, {"code": -1003, "msg": "Too much request weight used."}
            headers["Retry-After"] = str(60 - exchange.clock.now_ms() // 1000 % 60)
        body = json.dumps(payload).encode()
        if fault is None:
            self._send(status, headers, body)
            return
        if fault.status != 200:
            body = json.dumps({"code": fault.code, "msg": fault.message}).encode()
        body = body if fault.body is None else fault.body
        self._send(fault.status, {**headers, **fault.headers}, body, fault.truncated)

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes, truncated: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if truncated else body)
        self.close_connection = self.close_connection or truncated

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The moment of an answer, by the exchange's clock."""
        exchange: KlinesServer = self.server.exchange  # type: ignore[attr-defined]
        now_s = (exchange.clock.now_ms() + exchange.ahead_ms) / 1_000
        return super().date_time_string(now_s if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test reads `asked`."""


def without(bars: Bars, spans: Iterable[Span]) -> Bars:
    """`bars` with the candles in `spans` left out."""
    kept = np.ones(len(bars), bool)
    for span in spans:
        kept &= (bars.open_time_ms < span.start_ms) | (bars.open_time_ms >= span.end_ms)
    columns = {
        name: getattr(bars, name)[kept]
        for name in ("open_time_ms", "open", "high", "low", "close", "volume", "quote_volume")
    }
    return Bars(bars.symbol, bars.market, bars.interval, **columns, trades=bars.trades[kept])


#: Rows that were made once, for all servers of a test run: a candle of a recording never changes.
_ROWS: dict[tuple[str, ...], list[Any]] = {}


def _row(bars: Bars, i: int) -> list[Any]:
    name = (bars.market, bars.symbol, bars.interval, str(bars.open_time_ms[i]))
    row = _ROWS.get(name)
    if row is None:
        row = _ROWS[name] = _made_row(bars, i)
    return row


def _made_row(bars: Bars, i: int) -> list[Any]:
    kline = bars.kline(i)
    prices = [text(v) for v in (kline.open, kline.high, kline.low, kline.close, kline.volume)]
    quote = text(kline.quote_volume or kline.close * kline.volume)
    end = [kline.close_time_ms, quote, kline.trades or 0, "0", "0", "0"]
    return [kline.open_time_ms, *prices, *end]


def _futures_weight(limit: int) -> int:
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _listed(rules: Instrument) -> dict[str, Any]:
    """One symbol of exchangeInfo, in the words of its market."""
    is_spot = rules.market is Market.SPOT
    prices = {"minPrice": rules.min_price, "maxPrice": rules.max_price, "tickSize": rules.tick_size}
    lots = {
        "minQty": rules.min_quantity,
        "maxQty": rules.max_quantity,
        "stepSize": rules.lot_size,
    }
    filters: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", **_texts(prices)},
        {"filterType": "LOT_SIZE", **_texts(lots)},
    ]
    if is_spot:
        notional = {"minNotional": rules.min_notional, "maxNotional": rules.max_notional}
        filters.append({"filterType": "NOTIONAL", **_texts(notional)})
        filters.append({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_num_orders})
    else:
        filters.append({"filterType": "MIN_NOTIONAL", "notional": text(rules.min_notional)})
        filters.append({"filterType": "MAX_NUM_ORDERS", "limit": rules.max_num_orders})
    if rules.percent_price is not None:
        band = rules.percent_price
        factors = {
            "bidMultiplierDown": band.bid_down,
            "bidMultiplierUp": band.bid_up,
            "askMultiplierDown": band.ask_down,
            "askMultiplierUp": band.ask_up,
        }
        filters.append({"filterType": "PERCENT_PRICE_BY_SIDE", **_texts(factors)})
    return {
        "symbol": rules.symbol,
        "status": rules.status,
        "baseAsset": rules.base,
        "quoteAsset": rules.quote,
        "baseCommissionPrecision": rules.commission_precision,
        "filters": filters,
    }


def _delisted() -> dict[str, Any]:
    """A symbol as old ones are listed: its steps are switched off."""
    prices = {"minPrice": "0.0", "maxPrice": "0.0", "tickSize": "0.0"}
    lots = {"minQty": "0.0", "maxQty": "0.0", "stepSize": "0.0"}
    return {
        "symbol": "OLDUSDT",
        "status": "BREAK",
        "baseAsset": "OLD",
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", **prices},
            {"filterType": "LOT_SIZE", **lots},
            {"filterType": "MIN_NOTIONAL", "minNotional": "0.0"},
        ],
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: text(value) for name, value in values.items()}
