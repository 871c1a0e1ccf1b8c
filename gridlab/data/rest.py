"""`PublicRest`: Binance's public market data over HTTP, within its allowance and its pauses.

Every method is a read: it answers, or raises and has changed nothing. Limits are obeyed before they
bite (`weight`), `Retry-After` to the second, and what fails for a while is asked again after fixed
pauses: with one client a process, random ones would only make failures harder to repeat. No key, no
signature, no order; the address comes from the configuration, never from a request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import TracebackType
from typing import Any

import httpx

from gridlab.clock import Clock
from gridlab.data import weights
from gridlab.data.bars import Bars
from gridlab.data.wire import (
    bars_of,
    book_of,
    instrument_of,
    klines_of,
    open_interest_of,
    quotes_of,
    symbol_entries,
    ticker_of,
    tickers_of,
    weight_limit_of,
)
from gridlab.domain.market import (
    BestQuote,
    Instrument,
    Interval,
    Kline,
    Market,
    OrderBook,
    Ticker,
)
from gridlab.errors import ExchangeUnavailable, GridLabError, InvalidConfig, InvalidInput, NotFound
from gridlab.exchange.budgets import (
    FIRST_BAN_MS,
    MINUTE_MS,
    WeightBudget,
    ahead_by_date_ms,
    stated_end_ms,
)

DEFAULT_URLS = {
    Market.SPOT: "https://data-api.binance.vision",
    Market.FUTURES: "https://fapi.binance.com",
}
#: Candles in one answer; more would weigh twice as much on futures and is refused on spot.
PAGE = 1000
#: Levels of each side of an order book; both markets serve this many at a middling weight.
BOOK_LEVELS = 500
#: Pauses before the second to fifth attempt.
PAUSES_MS = (500, 1000, 2000, 4000)
#: The exchange itself gives up after 10 s.
TIMEOUT_S = 12.0
#: The largest real answer, the rules of all symbols, has about 20 MiB.
MAX_BYTES = 64 << 20
_PREFIX = {Market.SPOT: "/api/v3", Market.FUTURES: "/fapi/v1"}
_UNKNOWN_SYMBOL = (-1121, -1122)


class PublicRest:
    """A client of one market's public data.

    Args:
        base_url: scheme, host and an optional path; None for the exchange's own address.
        http: an httpx client with its own timeouts and proxies; `close` leaves it open.
        weight_budget: shared with the other clients of the same address and market; by default
            this client has its own.

    Raises:
        InvalidConfig: `base_url` is not a plain http or https address.
    """

    def __init__(
        self,
        base_url: str | None,
        market: Market,
        *,
        clock: Clock,
        http: httpx.AsyncClient | None = None,
        weight_budget: WeightBudget | None = None,
    ) -> None:
        self.base_url = checked_url(base_url or DEFAULT_URLS[market])
        self.market = market
        self.budget = weight_budget or WeightBudget.of(market, clock)
        self._clock = clock
        self._owns_http = http is None
        self._http = http or httpx.AsyncClient(
            timeout=TIMEOUT_S, headers={"User-Agent": "gridlab", "Accept": "application/json"}
        )

    async def __aenter__(self) -> PublicRest:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"PublicRest({self.base_url!r}, {self.market.value!r})"

    async def close(self) -> None:
        """Give the sockets back."""
        if self._owns_http:
            await self._http.aclose()

    async def server_time_ms(self) -> int:
        """The exchange's clock; which candle has closed is its decision, not this machine's."""
        answer = await self._get("time", 1, {})
        moment = answer.get("serverTime") if isinstance(answer, dict) else None
        if not isinstance(moment, int):
            raise ExchangeUnavailable(
                f"{self.base_url} answered {answer!r} when asked for its time; check the base URL"
            )
        return moment

    async def klines(
        self,
        symbol: str,
        interval: Interval,
        limit: int = PAGE,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[Kline, ...]:
        """At most `limit` candles with the exchange's own digits, oldest first.

        With `start_ms` the oldest that open from there to before `end_ms`; without, the newest.
        The candle that is still open comes along when it lies in the span.

        Raises:
            NotFound: the exchange does not know the symbol.
            InvalidInput: `limit` is not in 1..1000.
            ExchangeUnavailable: no usable answer.
        """
        if not 1 <= limit <= PAGE:
            raise InvalidInput(f"limit is {limit}; 1 to {PAGE} candles can be asked for at once")
        query = {"symbol": symbol, "interval": interval.value, "limit": str(limit)}
        if start_ms is not None:
            query["startTime"] = str(start_ms)
        if end_ms is not None:
            query["endTime"] = str(end_ms - 1)  # Binance includes its end
        payload = await self._get("klines", weights.candles(self.market, limit), query)
        candles = klines_of(payload, interval, f"{self.base_url} klines {symbol} {interval}")
        first_ms, stop_ms = start_ms or 0, end_ms if end_ms is not None else 1 << 62
        if len(candles) > limit or any(
            not first_ms <= candle.open_time_ms < stop_ms for candle in candles
        ):
            raise ExchangeUnavailable(
                f"{self.base_url} answered with candles of {symbol} {interval} that were not asked "
                "for; check that the base URL is Binance's or a faithful copy"
            )
        return candles

    async def bars(self, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> Bars:
        """The oldest page of candles that open from `start_ms` to before `end_ms`, as arrays."""
        width = -(-(end_ms - start_ms) // interval.ms)
        if width < 1:
            raise InvalidInput(f"the span {start_ms} to {end_ms} ms is empty; end after start")
        limit = min(PAGE, width)
        found = await self.klines(symbol, interval, limit, start_ms=start_ms, end_ms=end_ms)
        try:
            return bars_of(found, symbol, self.market, interval)
        except InvalidInput as error:
            raise ExchangeUnavailable(f"{self.base_url} sent an impossible candle: {error}") from (
                error
            )

    async def ticker(self, symbol: str) -> Ticker:
        """The rolling 24 h window of one symbol.

        Raises:
            NotFound: the exchange does not know the symbol.
            ExchangeUnavailable: no usable answer.
        """
        query = {"symbol": symbol}
        payload = await self._get("ticker/24hr", weights.TICKER[self.market], query)
        return ticker_of(payload, self.market, f"{self.base_url} ticker/24hr {symbol}")

    async def tickers(self) -> tuple[Ticker, ...]:
        """The rolling 24 h window of every symbol that has traded.

        There are thousands, so a thread makes the values while the event loop goes on.
        """
        payload = await self._get("ticker/24hr", weights.ALL_TICKERS[self.market], {})
        source = f"{self.base_url} ticker/24hr"
        return await asyncio.to_thread(tickers_of, payload, self.market, source)

    async def best_quotes(self) -> tuple[BestQuote, ...]:
        """The best bid and ask of every symbol, in one request."""
        weight = weights.BEST_QUOTES[self.market]
        payload = await self._get("ticker/bookTicker", weight, {})
        return quotes_of(payload, f"{self.base_url} ticker/bookTicker")

    async def order_book(self, symbol: str) -> OrderBook:
        """The best 500 levels of each side, or all where there are fewer.

        Raises:
            NotFound: the exchange does not know the symbol.
            ExchangeUnavailable: no usable answer.
        """
        weight = weights.ORDER_BOOK[self.market]
        query = {"symbol": symbol, "limit": str(BOOK_LEVELS)}
        payload = await self._get("depth", weight, query)
        book = book_of(payload, symbol, f"{self.base_url} depth {symbol}")
        return replace(book, limit=BOOK_LEVELS)

    async def open_interest(self, symbol: str) -> Decimal:
        """The open contracts of a futures symbol, base units.

        Raises:
            InvalidInput: this is the spot market, which has no contracts.
            NotFound: the exchange does not know the symbol.
            ExchangeUnavailable: no usable answer.
        """
        if self.market is Market.SPOT:
            raise InvalidInput(f"{symbol} on spot has no open interest; ask the futures market")
        payload = await self._get("openInterest", 1, {"symbol": symbol})
        return open_interest_of(payload, f"{self.base_url} openInterest {symbol}")

    async def instruments(self) -> tuple[Instrument, ...]:
        """The rules of every symbol that can be traded by rules at all; also sets the limit.

        A thread makes them, as in `tickers`.
        """
        entries = await self._exchange_info({})
        return await asyncio.to_thread(_usable, entries.values(), self.market, self.base_url)

    async def instrument(self, symbol: str) -> Instrument:
        """The rules of one symbol; raises `NotFound` when the exchange has none."""
        # Futures ignore the filter and send everything, for the same weight.
        query = {"symbol": symbol} if self.market is Market.SPOT else {}
        entries = await self._exchange_info(query)
        if symbol not in entries:
            raise NotFound(f"{symbol!r} is not listed on {self.market} at {self.base_url}")
        return instrument_of(entries[symbol], self.market, f"{self.base_url} exchangeInfo {symbol}")

    async def _exchange_info(self, query: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
        payload = await self._get("exchangeInfo", weights.EXCHANGE_INFO[self.market], query)
        limit = weight_limit_of(payload)
        if limit is not None:
            self.budget.set_limit(limit)
        return symbol_entries(payload, f"{self.base_url} exchangeInfo")

    async def _get(self, path: str, weight: int, query: Mapping[str, str]) -> Any:
        """The parsed answer; asks again after what passes by itself."""
        asked = " ".join((path, *query.values()))
        trouble, pause_ms = "", 0
        for next_pause_ms in (*PAUSES_MS, 0):
            if pause_ms:
                await self._clock.sleep_until(self._clock.now_ms() + pause_ms)
            answer = await self._send(path, weight, query)
            if isinstance(answer, str):
                trouble, pause_ms = answer, next_pause_ms
            elif answer.status in (418, 429):
                self._fall_silent(answer)
                trouble, pause_ms = f"it answered {answer.status}, too many requests", 0
            elif answer.status >= 500 or answer.status == 408:
                trouble, pause_ms = f"it answered {answer.status}{answer.words}", next_pause_ms
            elif answer.status != 200:
                raise self._refusal(answer, asked)
            elif answer.payload is not None:
                return answer.payload
            else:
                trouble, pause_ms = "its answer is no JSON", next_pause_ms
        raise ExchangeUnavailable(
            f"{self.base_url} gave no answer to {asked}: {trouble}, {len(PAUSES_MS) + 1} times; "
            "nothing was changed, try again later"
        )

    async def _send(self, path: str, weight: int, query: Mapping[str, str]) -> _Answer | str:
        """One attempt: the answer, or in words why there is none."""
        minute = await self.budget.take(weight)
        body, used = bytearray(), None
        try:
            async with self._http.stream(
                "GET",
                f"{self.base_url}{_PREFIX[self.market]}/{path}",
                params=dict(query),
                follow_redirects=False,
            ) as response:
                used = _used_weight(response.headers)
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return f"its answer is longer than {MAX_BYTES >> 20} MiB"
        except httpx.TimeoutException:
            return "it did not answer in time"
        except httpx.RequestError as error:
            return f"the connection failed ({type(error).__name__}: {error})"
        finally:
            self.budget.settle(weight, minute, used)
        return _Answer(response.status_code, response.headers, _parsed(body))

    def _fall_silent(self, answer: _Answer) -> None:
        """Send nothing for as long as the exchange wants; what it does not say is guessed."""
        now_ms = self._clock.now_ms()
        ahead_ms = ahead_by_date_ms(answer.headers, now_ms)
        end_ms = stated_end_ms(answer.headers, answer.words, now_ms, ahead_ms)
        if answer.status == 418:
            self.budget.silence.ban(end_ms)
        else:
            self.budget.keep_silent_until(end_ms or now_ms - now_ms % MINUTE_MS + MINUTE_MS)

    def _refusal(self, answer: _Answer, asked: str) -> GridLabError:
        """What an answer means that asking again would not change."""
        status, words = answer.status, answer.words
        if answer.code in _UNKNOWN_SYMBOL:
            return NotFound(f"{self.base_url} does not know what was asked for: {asked}{words}")
        if 300 <= status < 400:
            return ExchangeUnavailable(
                f"{self.base_url} redirects {asked} elsewhere ({status}), which is not followed; "
                "set the base URL to the final address"
            )
        if status == 451:
            return ExchangeUnavailable(
                f"{self.base_url} does not serve this location (451){words}; another base URL may"
            )
        if status == 403:
            # The firewall in front of the exchange; it bans who goes on.
            self.budget.keep_silent_until(self._clock.now_ms() + FIRST_BAN_MS)
        if status == 400:
            return InvalidInput(f"{self.base_url} refused {asked}{words}; correct the request")
        return ExchangeUnavailable(
            f"{self.base_url} refused {asked} with {status}{words}; check the base URL"
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """A complete answer; `payload` is None where the body is no JSON."""

    status: int
    headers: httpx.Headers
    payload: Any

    @property
    def code(self) -> int | None:
        """The exchange's own error code."""
        code = self.payload.get("code") if isinstance(self.payload, dict) else None
        return code if isinstance(code, int) else None

    @property
    def words(self) -> str:
        """The exchange's own message, ready to be appended; empty when there is none."""
        said = self.payload.get("msg") if isinstance(self.payload, dict) else None
        return f" ({self.code}: {str(said)[:200]})" if said else ""


def checked_url(base_url: str) -> str:
    """`base_url` without its last slash, if it is an address that may be asked.

    Raises:
        InvalidConfig: another scheme, no host, a user name, a query or a fragment.
    """
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidConfig(f"base_url is {base_url!r}, which is no address: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidConfig(f"base_url is {base_url!r}; write https://host, or http://host")
    if url.userinfo or url.query or url.fragment:
        raise InvalidConfig("base_url has a user name, a query or a fragment; leave them out")
    return base_url.rstrip("/")


def _usable(
    entries: Iterable[Mapping[str, Any]], market: Market, source: str
) -> tuple[Instrument, ...]:
    """The rules of those symbols that have all of them."""
    found = []
    for entry in entries:
        try:
            found.append(instrument_of(entry, market, source))
        except GridLabError:
            continue  # old and test symbols lack steps; who asks for one by name is told why
    return tuple(found)


def _used_weight(headers: httpx.Headers) -> int | None:
    """What the exchange says that this address has used in its minute."""
    used = headers.get("X-MBX-USED-WEIGHT-1M", "")
    return int(used) if used.isascii() and used.isdigit() and len(used) < 10 else None


def _parsed(body: bytes | bytearray) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
