"""What a recording or a venue tells of a symbol, as the facts that pair selection asks for.

Pure but for `facts_from_market`, which reads a recording. What a venue has to be asked for, and of
which symbols, is known to `pair_scan`. What was not seen stays None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridlab.agents.pair_filters import PairFacts, shown
from gridlab.domain.market import BestQuote, Interval, Kline, Market, OrderBook, Ticker
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import MarketData
from gridlab.money import ZERO, from_float, rounding
from gridlab.research.indicators import DEFAULT_PERIOD, compute

HOUR_MS = Interval.H1.ms
DAY_MS = Interval.D1.ms
HOURS_A_DAY = DAY_MS // HOUR_MS
#: Quote assets that count as dollars; what is quoted in another has no dollar volume here.
DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD"})
#: 14 windows of 24 h, the close before them, and the candle that is still open.
HOURS_ASKED = DEFAULT_PERIOD * HOURS_A_DAY + 2
#: A ticker that covers less than this of its 24 h says too little about the day.
LEAST_WINDOW_MS = DAY_MS - HOUR_MS
#: Candles whose last closed hour ended longer ago do not speak of now.
MOST_LAG_MS = 2 * HOUR_MS
#: The least that an answer needs: one window and the close before it; ADX's warm-up.
ATR_HOURS, ADX_HOURS = HOURS_A_DAY + 1, 2 * DEFAULT_PERIOD
#: ATR and ADX are shown and compared with four decimals.
STEP = Decimal("0.0001")
#: A spread of one tick may be a millionth of the price.
SPREAD_STEP = Decimal("0.000001")
CENT = Decimal("0.01")
#: How far from the middle of the book a level still counts as its depth.
NEAR_FRACTION = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of one symbol, undigested; None was not asked for, or not answered.

    Args:
        base, quote: its assets.
        hours: hourly candles, oldest first.
        contracts: open interest of a futures symbol, base units.
        why_unknown: fact -> why what it needs is None, for people.
        not_looked_at: why the costly ones were not asked for; empty when they were.
        asked_ms: when the oldest of it was asked for, by the clock of the cache; None in a
            recording, whose present is now.
        is_stale: whether some of it is older than its kind may be.
    """

    ticker: Ticker
    base: str
    quote: str
    best: BestQuote | None = None
    hours: tuple[Kline, ...] | None = None
    book: OrderBook | None = None
    contracts: Decimal | None = None
    why_unknown: Mapping[str, str] = field(default_factory=dict)
    not_looked_at: str = ""
    asked_ms: int | None = None
    is_stale: bool = False

    @property
    def symbol(self) -> str:
        return self.ticker.symbol


def facts_from_market(
    market_data: MarketData, market: Market, symbol: str, *, sentiment: Decimal | None = None
) -> PairFacts:
    """The facts that a recording tells of `symbol` now; it knows no book and no open interest.

    Raises:
        NotFound: no such symbol.
    """
    rules = market_data.instrument(market, symbol)
    sight = Sight(market_data.ticker(market, symbol), rules.base, rules.quote)
    try:
        sight = replace(sight, hours=market_data.klines(market, symbol, Interval.H1, HOURS_ASKED))
    except (Conflict, InvalidInput) as error:
        sight = replace(sight, why_unknown=dict.fromkeys(("atr_perc_24h", "adx"), str(error)))
    return facts_of(sight, sentiment)


def facts_of(sight: Sight, sentiment: Decimal | None = None) -> PairFacts:
    """The facts in what was seen, as of the ticker's time.

    - volume: the ticker's quote volume where the quote is a dollar and the window covers 23 hours.
    - ATR %: the average true range of up to 14 windows of 24 h that end with the last closed hour,
      in per cent of the price; one window, 25 closed hours, is the least. Windows of a day, because
      the limit is one for 24 h: an hour's range is some five times smaller.
    - ADX: of 14 closed hours, after all the hours that were to be had, 28 at least.
    - spread: of the best quotes, in per cent of their middle.
    - depth: the bids and asks up to 1 % from the middle; at least so much where the book was not
      read that far; dollars.
    - open interest: the contracts at the ticker's price; dollars.
    """
    ticker, why = sight.ticker, dict(sight.why_unknown)
    atr = adx = None
    if sight.hours is not None:
        closed = closed_run(sight.hours, ticker.time_ms)
        atr, why["atr_perc_24h"] = _known_or(atr_perc(closed, ticker.price), closed, ATR_HOURS)
        adx, why["adx"] = _known_or(hourly_adx(closed), closed, ADX_HOURS)
    depth = interest = None
    at_least = ""
    if sight.quote in DOLLARS:
        if sight.book is not None:
            depth, at_least = _depth(sight.book)
        with rounding():
            interest = None if sight.contracts is None else sight.contracts * ticker.price
    else:
        why["depth_usd"] = why["open_interest_usd"] = f"it is in {sight.quote}, which is no dollar"
    volume, why["volume_usd_24h"] = _volume(ticker, sight.quote)
    spread = None if sight.best is None else spread_perc(sight.best)
    if sight.best is not None and spread is None:
        why["spread_perc"] = f"the best bid is {sight.best.bid} and the best ask {sight.best.ask}"
    return PairFacts(
        sight.symbol,
        ticker.market,
        ticker.time_ms,
        volume,
        atr,
        adx,
        spread,
        depth,
        interest,
        sentiment,
        {fact: reason for fact, reason in why.items() if reason},
        sight.not_looked_at,
        {"depth_usd": at_least} if at_least else {},
    )


def spread_perc(best: BestQuote) -> Decimal | None:
    """(ask - bid) / mid in per cent; None where a side is empty or the two are crossed.

    >>> spread_perc(BestQuote("BTCUSDT", Decimal("99.95"), Decimal("100.05")))
    Decimal('0.100000')
    """
    if not 0 < best.bid <= best.ask:
        return None
    with rounding():
        return ((best.ask - best.bid) * 200 / (best.ask + best.bid)).quantize(SPREAD_STEP)


def value_near(book: OrderBook) -> Decimal:
    """Value of the levels up to `NEAR_FRACTION` from the middle, quote units; 0 without a side.

    A lower bound where the book `ends_near`.
    """
    if not book.bids or not book.asks:
        return ZERO
    low, high = _near(book)
    with rounding():
        levels = (*book.bids, *book.asks)
        return sum((at * size for at, size in levels if low <= at <= high), ZERO)


def ends_near(book: OrderBook) -> bool:
    """Whether more levels may lie up to `NEAR_FRACTION` from the middle than were read."""
    if book.limit is None or not book.bids or not book.asks:
        return False
    low, high = _near(book)
    return any(
        len(side) >= book.limit and low <= side[-1][0] <= high for side in (book.bids, book.asks)
    )


def _depth(book: OrderBook) -> tuple[Decimal, str]:
    """The value near the middle, and why it is only a lower bound; empty where it is exact."""
    depth = value_near(book)
    if not ends_near(book):
        return depth, ""
    with rounding():
        least = shown(depth.quantize(CENT))
    return depth, f"at least {least}; the {book.limit} levels read end within 1 % of the middle"


def _near(book: OrderBook) -> tuple[Decimal, Decimal]:
    """The lowest and the highest price that count as near; neither side may be empty."""
    with rounding():
        middle = (book.bids[0][0] + book.asks[0][0]) / 2
        near = middle * NEAR_FRACTION
        return middle - near, middle + near


def closed_run(hours: Sequence[Kline], now_ms: int) -> tuple[Kline, ...]:
    """The hours without a hole between them that end with the last closed one.

    Empty when that one ended more than two hours before `now_ms`: it says nothing about now.
    """
    closed = [kline for kline in hours if kline.close_time_ms <= now_ms]
    if not closed or now_ms - closed[-1].close_time_ms > MOST_LAG_MS:
        return ()
    first = len(closed) - 1
    while first and closed[first].open_time_ms - closed[first - 1].open_time_ms == HOUR_MS:
        first -= 1
    return tuple(closed[first:])


def atr_perc(closed: Sequence[Kline], price: Decimal) -> Decimal | None:
    """Average true range of the last 24 h windows in per cent of `price`; None below 25 hours.

    Args:
        closed: hours without a hole between them, oldest first.
    """
    days = min((len(closed) - 1) // HOURS_A_DAY, DEFAULT_PERIOD)
    if days < 1:
        return None
    first = len(closed) - days * HOURS_A_DAY
    # The hour before gives the close that the first window's true range begins at.
    windows = [closed[first - 1]]
    windows += [
        _joined(closed[start : start + HOURS_A_DAY])
        for start in range(first, len(closed), HOURS_A_DAY)
    ]
    atr = compute("ATR", windows, days).lines["value"][-1]
    with rounding():
        return (from_float(atr) * 100 / price).quantize(STEP)


def hourly_adx(closed: Sequence[Kline]) -> Decimal | None:
    """The last hour's ADX (14); None below 28 hours."""
    rows = compute("ADX", closed).rows()
    value = rows[-1][1]["adx"] if rows else None
    with rounding():
        return None if value is None else from_float(value).quantize(STEP)


def _joined(hours: Sequence[Kline]) -> Kline:
    """One candle of several that follow each other."""
    return Kline(
        hours[0].open_time_ms,
        hours[0].open,
        max(hour.high for hour in hours),
        min(hour.low for hour in hours),
        hours[-1].close,
        sum((hour.volume for hour in hours), ZERO),
        hours[-1].close_time_ms,
    )


def _known_or(
    value: Decimal | None, closed: Sequence[Kline], least: int
) -> tuple[Decimal | None, str]:
    if value is not None:
        return value, ""
    return None, f"{least} closed hours up to now are needed and {len(closed)} are there"


def _volume(ticker: Ticker, quote: str) -> tuple[Decimal | None, str]:
    """The 24 h volume in dollars, or None and why."""
    if quote not in DOLLARS:
        return None, f"its volume is in {quote}, and no rate to the dollar is known"
    if ticker.quote_volume is None:
        return None, "no quote volume was recorded"
    if ticker.window_ms < LEAST_WINDOW_MS:
        return None, f"the 24 h window covers {ticker.window_ms / HOUR_MS:.1f} h"
    return ticker.quote_volume, ""
