"""`RecordedMarket`: equal to a naive reading of the recording, and blind to what comes after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridlab.clock import ManualClock
from gridlab.data import catalog
from gridlab.data.bars import Bars
from gridlab.data.recorded import DAY_MS, RecordedMarket
from gridlab.domain.market import Instrument, Interval, Kline, Market, path_times_ms
from gridlab.errors import InvalidInput, NotFound
from gridlab.exchange.base import Dated
from gridlab.money import from_float

MINUTE = 60_000
START = 1_772_323_200_000  # 2026-03-01 00:00 UTC
KEY = (Market.SPOT, "BTCUSDT")
INSTRUMENT = catalog.instrument("BTCUSDT")
WIDTHS = (Interval.M1, Interval.M3, Interval.M15, Interval.H1, Interval.D1)


def market_of(bars: Bars, now_ms: int) -> RecordedMarket:
    return RecordedMarket({KEY: bars}, {KEY: INSTRUMENT}, ManualClock(now_ms))


def random_bars(seed: int, count: int, with_amounts: bool) -> Bars:
    """A recording with holes, flat bars and both directions, prices in cents."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(count) < 0.03, rng.integers(2, 400, count), 1)
    corners = np.sort(rng.integers(9_000, 9_000 + rng.integers(2, 60), (count, 4)), axis=1) / 100
    rises = rng.random(count) < 0.5
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        open_time_ms=START + (np.cumsum(steps) + int(rng.integers(0, 1440))) * MINUTE,
        open=np.where(rises, corners[:, 1], corners[:, 2]),
        high=corners[:, 3],
        low=corners[:, 0],
        close=np.where(rises, corners[:, 2], corners[:, 1]),
        volume=rng.integers(0, 10**7, count) / 1e5,
        quote_volume=rng.integers(0, 10**9, count) / 1e4
        if with_amounts
        else np.full(count, np.nan),
        trades=rng.integers(0, 900, count) if with_amounts else np.full(count, -1),
    )


@st.composite
def moments(draw: st.DrawFn) -> tuple[Bars, int]:
    """A recording and a time in it, often exactly at a point of a bar's path or beside it."""
    bars = random_bars(draw(st.integers(0, 10**6)), draw(st.integers(1, 300)), draw(st.booleans()))
    bar = draw(st.integers(0, len(bars) - 1))
    times = path_times_ms(int(bars.open_time_ms[bar]), MINUTE)
    now_ms = draw(
        st.one_of(
            st.sampled_from(times),
            st.sampled_from([time - 1 for time in times[1:]]),
            st.integers(times[0], times[0] + 3 * MINUTE),
            st.integers(bars.end_ms, bars.end_ms + 2 * DAY_MS),
        )
    )
    return bars, now_ms


def visible(bars: Bars, now_ms: int) -> list[tuple[Kline, tuple[Decimal, ...]]]:
    """Each bar that has opened, with the points of its path that were passed; the naive way."""
    seen = []
    for i in range(len(bars)):
        kline = bars.kline(i)
        times = path_times_ms(kline.open_time_ms, MINUTE)
        points = tuple(p for p, t in zip(kline.path, times, strict=True) if t <= now_ms)
        if points:
            seen.append((kline, points))
    return seen


def total(values: Iterable[Any]) -> Any:
    """The sum, or None where a part is missing."""
    known = list(values)
    return None if None in known else sum(known)


def naive_klines(bars: Bars, now_ms: int, interval: Interval, limit: int) -> tuple[Kline, ...]:
    buckets: dict[int, list[tuple[Kline, tuple[Decimal, ...]]]] = {}
    for kline, points in visible(bars, now_ms):
        opened = kline.open_time_ms - kline.open_time_ms % interval.ms
        buckets.setdefault(opened, []).append((kline, points))
    has_amounts = bars.has_quote_volume
    candles = []
    for opened, members in buckets.items():
        path = [point for _, points in members for point in points]
        done = [kline for kline, points in members if len(points) == 4]
        candles.append(
            Kline(
                opened,
                path[0],
                max(path),
                min(path),
                path[-1],
                total(kline.volume for kline in done),
                opened + interval.ms - 1,
                total(kline.quote_volume for kline in done) if has_amounts else None,
                total(kline.trades for kline in done) if has_amounts else None,
            )
        )
    return tuple(candles[-limit:])


@given(moments(), st.sampled_from(WIDTHS), st.integers(1, 40))
@settings(max_examples=60)
def test_klines_equal_a_naive_reading(
    moment: tuple[Bars, int], interval: Interval, limit: int
) -> None:
    bars, now_ms = moment
    found = market_of(bars, now_ms).klines(*KEY, interval, limit)
    assert found == naive_klines(bars, now_ms, interval, limit)


@given(moments())
@settings(max_examples=60)
def test_price_and_ticker_equal_a_naive_reading(moment: tuple[Bars, int]) -> None:
    bars, now_ms = moment
    market, seen = market_of(bars, now_ms), visible(bars, now_ms)
    last_bar, last_points = seen[-1]
    price, ticker = market.price(*KEY), market.ticker(*KEY)
    assert price.value == last_points[-1] == ticker.price
    passed_at = path_times_ms(last_bar.open_time_ms, MINUTE)[len(last_points) - 1]
    assert price.time_ms == passed_at == ticker.time_ms

    begins = now_ms - DAY_MS + 1
    window = [(k, points) for k, points in seen if k.close_time_ms >= begins]
    covered = sum(min(k.close_time_ms, now_ms) - max(k.open_time_ms, begins) + 1 for k, _ in window)
    assert ticker.window_ms == covered <= DAY_MS
    path = [p for _, points in window for p in points] or [price.value]
    assert (ticker.high, ticker.low) == (max(path), min(path))
    done = [k for k, points in window if len(points) == 4]
    assert ticker.volume == sum(k.volume for k in done)
    quotes = total(k.quote_volume for k in done) if bars.has_quote_volume else None
    assert ticker.quote_volume == quotes
    change = price.value / path[0] - 1
    assert abs(ticker.change_fraction - change) <= Decimal("1E-10")


def with_another_future(bars: Bars, now_ms: int) -> Bars:
    """`bars` with everything that lies after `now_ms` made different.

    Bars that have not opened get other prices. The open bar keeps the points it has passed, and the
    direction of its path once an extreme has been passed: the path itself tells that.
    """
    columns = {f.name: getattr(bars, f.name).copy() for f in fields(bars)[3:]}
    last = bars.index_at(now_ms)
    for name in ("open", "high", "low", "close"):
        columns[name][last + 1 :] *= 7
    times = path_times_ms(int(bars.open_time_ms[last]), MINUTE)
    passed = sum(time <= now_ms for time in times)
    if passed < 4:
        for name in ("volume", "quote_volume"):
            columns[name][last:] += 3
        columns["trades"][last:] += columns["trades"][last:] >= 0
        rising = bars.close[last] >= bars.open[last]
        high, low = columns["high"], columns["low"]
        if passed == 1:
            rising = not rising
        if passed == 1 or (passed == 2 and rising):
            high[last] *= 2
        if passed == 1 or (passed == 2 and not rising):
            low[last] /= 2
        columns["close"][last] = high[last] if rising else low[last]
    return replace(bars, **columns)


def answers(market: RecordedMarket) -> list[Any]:
    """Everything that a market can be asked about a symbol."""
    candles = [market.klines(*KEY, interval, limit) for interval in WIDTHS for limit in (1, 2, 500)]
    return [market.price(*KEY), market.ticker(*KEY), market.symbols(Market.SPOT), *candles]


@given(moments())
@settings(max_examples=60)
def test_nothing_after_now_is_visible(moment: tuple[Bars, int]) -> None:
    bars, now_ms = moment
    expected = answers(market_of(bars, now_ms))
    assert answers(market_of(with_another_future(bars, now_ms), now_ms)) == expected
    assert answers(market_of(bars.slice(None, now_ms + 1), now_ms)) == expected


def one_bar(rises: bool) -> Bars:
    closes = [102.0, 103.0] if rises else [99.0, 103.0]
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        open_time_ms=np.array([START, START + MINUTE]),
        open=np.array([100.0, closes[0]]),
        high=np.array([105.0, 105.0]),
        low=np.array([98.0, 98.0]),
        close=np.array(closes),
        volume=np.array([2.5, 4.0]),
        quote_volume=np.array([250.0, 400.0]),
        trades=np.array([7, 8]),
    )


@pytest.mark.parametrize(
    ("rises", "after_ms", "ohlcv"),
    [
        (True, 0, "100 100 100 100 0"),
        (True, 19_999, "100 100 100 100 0"),
        (True, 20_000, "100 100 98 98 0"),
        (True, 40_000, "100 105 98 105 0"),
        (True, 59_998, "100 105 98 105 0"),
        (True, 59_999, "100 105 98 102 2.5"),
        (False, 20_000, "100 105 100 105 0"),
        (False, 40_000, "100 105 98 98 0"),
        (False, 59_999, "100 105 98 99 2.5"),
    ],
)
def test_a_candle_grows_along_its_path(rises: bool, after_ms: int, ohlcv: str) -> None:
    (candle,) = market_of(one_bar(rises), START + after_ms).klines(*KEY, Interval.M1, 10)
    shown = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    assert shown == tuple(map(Decimal, ohlcv.split()))
    done = after_ms == 59_999
    assert (candle.quote_volume, candle.trades) == ((250, 7) if done else (0, 0))


def test_an_open_wide_candle_counts_volume_of_finished_minutes_only() -> None:
    market = market_of(one_bar(True), START + MINUTE + 40_000)
    (hour,) = market.klines(*KEY, Interval.H1, 5)
    assert (hour.open, hour.high, hour.low, hour.close) == (100, 105, 98, 105)
    assert (hour.volume, hour.quote_volume, hour.trades) == (Decimal("2.5"), 250, 7)
    assert hour.close_time_ms == START + 3_600_000 - 1


def test_time_moves_the_answers() -> None:
    clock = ManualClock(START)
    market = RecordedMarket({KEY: one_bar(True)}, {KEY: INSTRUMENT}, clock)
    assert (market.price(*KEY).value, market.price(*KEY).time_ms) == (100, START)
    clock.advance_to(START + 45_000)
    assert (market.price(*KEY).value, market.price(*KEY).time_ms) == (105, START + 40_000)
    clock.advance_to(START + 3 * DAY_MS)  # the recording is over: the price stays, with its age
    assert market.price(*KEY).time_ms == START + 2 * MINUTE - 1
    ticker = market.ticker(*KEY)
    assert (ticker.window_ms, ticker.volume, ticker.change_fraction) == (0, 0, 0)
    assert ticker.high == ticker.low == ticker.price == 103


def test_a_price_is_of_now_while_candles_come_and_ages_where_one_is_missing() -> None:
    bars = one_bar(rises=True)
    close_ms, price = bars.end_ms - 1, from_float(float(bars.close[-1]))
    for now_ms in (START + 50_000, close_ms, close_ms + MINUTE):
        found = market_of(bars, now_ms).dated_price(*KEY)
        assert (found.age_ms, found.is_stale) == (0, False)
    late = market_of(bars, close_ms + MINUTE + 1).dated_price(*KEY)
    assert late == Dated(price, MINUTE + 1, True)
    with pytest.raises(NotFound):
        market_of(bars, START - 1).dated_price(*KEY)


def test_unknown_and_not_yet_begun_symbols_are_named_with_those_that_exist() -> None:
    market = market_of(one_bar(True), START - 1)
    assert market.symbols(Market.SPOT) == () == market.symbols(Market.FUTURES)
    for ask in (market.price, market.ticker):
        with pytest.raises(NotFound, match="'XYZ' is not recorded on spot; recorded are BTCUSDT"):
            ask(Market.SPOT, "XYZ")
        with pytest.raises(
            NotFound, match="no price yet on spot: .*begins at 2026-03-01T00:00:00Z"
        ):
            ask(*KEY)
    with pytest.raises(NotFound, match="recorded are none"):
        market.klines(Market.FUTURES, "BTCUSDT", Interval.M1, 1)
    with pytest.raises(NotFound, match="recorded are BTCUSDT"):
        market.instrument(Market.SPOT, "XYZ")
    assert market.instrument(*KEY) == INSTRUMENT


def test_requests_that_the_recording_cannot_answer_are_refused() -> None:
    bars = one_bar(True)
    with pytest.raises(InvalidInput, match="limit is 0"):
        market_of(bars, START).klines(*KEY, Interval.M1, 0)
    with pytest.raises(InvalidInput, match="recorded in 1h candles, which do not make 1m"):
        market_of(bars.resample(Interval.H1), START).klines(*KEY, Interval.M1, 1)


def test_a_market_checks_what_it_is_built_from() -> None:
    bars, clock = one_bar(True), ManualClock(START)
    rules: dict[tuple[Market, str], Instrument] = {KEY: INSTRUMENT}
    with pytest.raises(InvalidInput, match="filed under futures BTCUSDT"):
        RecordedMarket({(Market.FUTURES, "BTCUSDT"): bars}, rules, clock)
    with pytest.raises(InvalidInput, match="no instrument"):
        RecordedMarket({KEY: bars}, {}, clock)
    with pytest.raises(InvalidInput, match="holds no bar"):
        RecordedMarket({KEY: bars.slice(0, 1)}, rules, clock)


def test_the_ticker_covers_a_day_to_the_millisecond() -> None:
    bars = catalog.load("BTCUSDT")
    i = 2_000
    closed = int(bars.open_time_ms[i]) + MINUTE - 1
    at_close = market_of(bars, closed).ticker(*KEY)
    assert at_close.volume == sum(bars.kline(n).volume for n in range(i - 1_439, i + 1))
    # A millisecond earlier the day still reaches into the minute before, which counts in full.
    before = market_of(bars, closed - 1).ticker(*KEY)
    assert before.volume == sum(bars.kline(n).volume for n in range(i - 1_440, i))
    assert at_close.window_ms == before.window_ms == DAY_MS


def test_a_bundled_month_by_the_hour_is_the_month_resampled() -> None:
    bars = catalog.load("BTCUSDT")
    hours = bars.resample(Interval.H1)
    found = market_of(bars, bars.end_ms).klines(*KEY, Interval.H1, 1000)
    assert len(found) == len(hours) == 744
    for i in (0, 100, 743):
        kline = hours.kline(i)
        assert replace(found[i], quote_volume=None) == replace(kline, quote_volume=None)
    assert found[0].open == from_float(bars.open[0])
