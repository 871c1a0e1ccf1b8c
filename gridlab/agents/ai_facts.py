"""Facts for the language model's tasks, taken from candles and from the engine's picture.

Indicators are the house's own (`gridlab.research.indicators`); a value that too few candles leave
undefined is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from statistics import median

from gridlab.domain.market import Interval, Kline
from gridlab.domain.snapshot import BotSnapshot, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import Dated
from gridlab.llm.tasks.grid import GridFacts, Shape
from gridlab.llm.tasks.market import MarketFacts
from gridlab.llm.tasks.reports import BotFacts, ReportFacts, ReportKind
from gridlab.money import from_float, rounding

#: Candles of the window, and those before it on which the indicators settle.
WINDOW_HOURS = 168
LEAD_HOURS = 200
WIDTH = Interval.H1
#: A candle opens with its first trade, for which a quiet pair may take a while.
LATE_AFTER_MS = 60_000
_SIGNS = Decimal("0.000001")
_OF_NOW = Dated(Decimal(0), 0, False)


def market_facts(
    symbol: str, quote: str, found: Dated[tuple[Kline, ...]], time_ms: int
) -> MarketFacts:
    """The facts of the last WINDOW_HOURS candles; earlier ones only settle the indicators.

    Args:
        found: hourly, oldest first, up to `time_ms`, the open one included.

    Raises:
        InvalidInput: no candle.
    """
    candles = found.value
    window = candles[-WINDOW_HOURS:]
    if not window:
        raise InvalidInput(f"there is no candle of {symbol} yet; try again when there is one")
    price = window[-1].close
    ranges = _line(candles, "ATR", "value")[-len(window) :]
    with rounding():
        change = (price / window[0].open - 1).quantize(_SIGNS)
        shares = [
            (value / candle.close).quantize(_SIGNS)
            for value, candle in zip(ranges, window, strict=True)
            if value is not None
        ]
    # Where the candle of now is missing, the last price is as old as the end of the one before.
    missing_ms = max(0, time_ms - window[-1].close_time_ms)
    last = {name: _last(candles, "ADX", name) for name in ("adx", "plus_di", "minus_di")}
    return MarketFacts(
        symbol=symbol,
        quote=quote,
        time_ms=time_ms,
        hours=len(window),
        price=price,
        change=change,
        high=max(candle.high for candle in window),
        low=min(candle.low for candle in window),
        volatility=shares[-1] if shares else None,
        usual=median(shares) if shares else None,
        rsi=_last(candles, "RSI", "value"),
        age_ms=max(found.age_ms, missing_ms),
        is_stale=found.is_stale or missing_ms > LATE_AFTER_MS,
        **last,
    )


def grid_facts(market: MarketFacts, spec: GridSpec, bot: BotSnapshot | None) -> GridFacts:
    """The facts for a proposal: the pair's, and the grid that runs on it or is configured."""
    present = Shape(spec.levels, spec.spacing or Decimal(0))
    if bot is not None:
        present = Shape(bot.levels, bot.spacing)
    return GridFacts(
        symbol=market.symbol,
        quote=market.quote,
        time_ms=market.time_ms,
        price=market.price,
        high=market.high,
        low=market.low,
        hours=market.hours,
        present=present,
        round_fee=2 * spec.fees.maker,
        volatility=market.volatility,
        is_running=bot is not None,
        age_ms=market.age_ms,
        is_stale=market.is_stale,
    )


def report_facts(
    kind: ReportKind,
    snapshot: Snapshot,
    quotes: Mapping[str, str],
    fills: Mapping[str, int],
    hours: int,
    ages: Mapping[str, Dated[Decimal]],
    market: MarketFacts | None = None,
) -> ReportFacts:
    """The facts of a report on all bots, or on those of `market`'s pair.

    Args:
        quotes: quote asset by symbol.
        fills: booked fills by symbol in the last `hours`.
        ages: by symbol, the price that values its bot; may lack those whose value hangs on none.
    """
    symbol = "" if market is None else market.symbol
    bots = [bot for name, bot in sorted(snapshot.bots.items()) if symbol in ("", name)]
    return ReportFacts(
        kind=kind,
        mode=snapshot.mode.value,
        time_ms=snapshot.time_ms,
        hours=hours,
        bots=tuple(
            _bot(bot, quotes[bot.symbol], fills.get(bot.symbol, 0), ages.get(bot.symbol, _OF_NOW))
            for bot in bots
        ),
        market=market,
        symbol=symbol,
    )


def _bot(bot: BotSnapshot, quote: str, fills: int, price: Dated[Decimal]) -> BotFacts:
    money = bot.money
    return BotFacts(
        symbol=bot.symbol,
        quote=quote,
        status=bot.status.value,
        investment=money.investment,
        total=money.total,
        grid_profit=money.grid_profit,
        floating=money.floating,
        fees=money.fees,
        fills=fills,
        open_orders=len(bot.open_orders),
        vacancies=len(bot.vacancies),
        is_inside=not bot.lines or bot.lines[0] <= bot.price <= bot.lines[-1],
        age_ms=price.age_ms,
        is_stale=price.is_stale,
    )


def _line(candles: Sequence[Kline], name: str, line: str) -> list[Decimal | None]:
    """One line of an indicator, a value a candle; all None where it cannot be computed."""
    from gridlab.research.indicators import compute

    try:
        values = compute(name, candles).lines[line].tolist()
    except (Conflict, InvalidInput):  # TA-Lib is not there, or a price that it cannot take
        return [None] * len(candles)
    return [from_float(value) if value == value else None for value in values]


def _last(candles: Sequence[Kline], name: str, line: str) -> Decimal | None:
    return _line(candles, name, line)[-1]
