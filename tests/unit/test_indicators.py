"""Indicators: against textbook formulas written out here, their bounds, traps and refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.domain.market import Interval, Kline, Market
from gridlab.errors import Conflict, InvalidInput
from gridlab.research.indicator_lines import FIBONACCI_RATIOS, INDICATORS
from gridlab.research.indicators import MAX_PERIOD, compute, lead_bars

HOUR = Interval.H1.ms
DAY = Interval.D1.ms
START = 1_772_323_200_000  # 2026-03-01 00:00 UTC
DOCUMENTED = {
    *("RSI", "SMA", "EMA", "MACD", "ATR", "ADX"),
    *("BBANDS", "STOCH", "VWAP", "OBV", "FIBONACCI"),
}


@pytest.fixture(scope="module")
def hours() -> Bars:
    """A month of recorded BTCUSDT in hours."""
    return load("BTCUSDT").resample(Interval.H1)


def bars_of(
    closes: Sequence[float], volumes: Sequence[float] | None = None, start_ms: int = START
) -> Bars:
    """Hourly bars that stand at their close all hour."""
    close = np.array(closes, float)
    volume = np.ones(len(close)) if volumes is None else np.array(volumes, float)
    times = start_ms + HOUR * np.arange(len(close), dtype=np.int64)
    unknown, uncounted = np.full(len(close), np.nan), np.full(len(close), -1, np.int64)
    return Bars(
        "AAAUSDT",
        Market.SPOT,
        Interval.H1,
        times,
        *(close, close, close, close, volume, unknown, uncounted),
    )


def line(bars: Bars, name: str, period: int | None = None, of: str = "value") -> list[float]:
    return compute(name, bars, period).lines[of].tolist()


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def assert_same(made: Sequence[float], wanted: Sequence[float], rel: float = 1e-9) -> None:
    """Equal within `rel`, NaN where NaN; compared as whole lists so that a shift fails."""
    assert len(made) == len(wanted)
    np.testing.assert_allclose(made, wanted, rtol=rel, atol=1e-9, equal_nan=True)


def naive_sma(values: Sequence[float], n: int) -> list[float]:
    return [mean(values[i - n + 1 : i + 1]) if i >= n - 1 else math.nan for i in range(len(values))]


def naive_ema(values: Sequence[float], n: int, begin: int = 0) -> list[float]:
    """Seeded with the mean of the first n values from `begin` on."""
    out = [math.nan] * len(values)
    held = mean(values[begin : begin + n])
    out[begin + n - 1] = held
    for i in range(begin + n, len(values)):
        held += (values[i] - held) * 2 / (n + 1)
        out[i] = held
    return out


def wilder(values: Sequence[float], n: int) -> list[float]:
    """Wilder's smoothed mean of `values`; its first is the mean of the first n."""
    out = [math.nan] * len(values)
    held = mean(values[:n])
    out[n - 1] = held
    for i in range(n, len(values)):
        held = (held * (n - 1) + values[i]) / n
        out[i] = held
    return out


def true_ranges(bars: Bars) -> list[float]:
    high, low, close = bars.high.tolist(), bars.low.tolist(), bars.close.tolist()
    return [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(1, len(close))]


@pytest.mark.parametrize("period", [2, 14, 50])
def test_rsi_is_wilders(hours: Bars, period: int) -> None:
    closes = hours.close.tolist()
    changes = [b - a for a, b in zip(closes, closes[1:], strict=False)]
    gains = wilder([max(c, 0.0) for c in changes], period)
    losses = wilder([max(-c, 0.0) for c in changes], period)
    wanted = [100 * g / (g + l) for g, l in zip(gains, losses, strict=True)]  # noqa: E741
    assert_same(line(hours, "RSI", period), [math.nan, *wanted])


@pytest.mark.parametrize("period", [2, 14, 200])
def test_moving_averages(hours: Bars, period: int) -> None:
    closes = hours.close.tolist()
    assert_same(line(hours, "SMA", period), naive_sma(closes, period))
    assert_same(line(hours, "EMA", period), naive_ema(closes, period))


def test_macd_is_the_difference_of_two_averages_and_its_average(hours: Bars) -> None:
    closes = hours.close.tolist()
    fast, slow = naive_ema(closes, 12, begin=14), naive_ema(closes, 26)
    macd = [a - b for a, b in zip(fast, slow, strict=True)]
    signal = naive_ema(macd, 9, begin=25)
    first = 33  # the row at which all three lines exist
    for name, wanted in (
        ("macd", macd),
        ("signal", signal),
        ("histogram", [a - b for a, b in zip(macd, signal, strict=True)]),
    ):
        assert_same(line(hours, "MACD", of=name)[first:], wanted[first:], rel=1e-6)


@pytest.mark.parametrize("period", [1, 14])
def test_atr_is_wilders(hours: Bars, period: int) -> None:
    assert_same(line(hours, "ATR", period), [math.nan, *wilder(true_ranges(hours), period)])


def test_adx_is_wilders_once_its_seed_has_faded(hours: Bars) -> None:
    """The seeds differ: TA-Lib starts its sums one bar short. They agree after 400 hours."""
    high, low, n = hours.high.tolist(), hours.low.tolist(), 14
    plus, minus = [], []
    for i in range(1, len(high)):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    ranges = wilder(true_ranges(hours), n)
    plus_di = [100 * a / r for a, r in zip(wilder(plus, n), ranges, strict=True)]
    minus_di = [100 * a / r for a, r in zip(wilder(minus, n), ranges, strict=True)]
    dx = [100 * abs(a - b) / (a + b) for a, b in zip(plus_di, minus_di, strict=True)][n - 1 :]
    adx = wilder(dx, n)
    for name, wanted in (("adx", adx), ("plus_di", plus_di), ("minus_di", minus_di)):
        assert_same(line(hours, "ADX", n, name)[-300:], wanted[-300:], rel=1e-8)


def test_bollinger_bands_are_two_deviations_wide(hours: Bars) -> None:
    closes, n = hours.close.tolist(), 20
    middle = naive_sma(closes, n)
    width = [
        2 * math.sqrt(mean([(c - middle[i]) ** 2 for c in closes[i - n + 1 : i + 1]]))
        if i >= n - 1
        else math.nan
        for i in range(len(closes))
    ]
    assert_same(line(hours, "BBANDS", n, "middle"), middle)
    assert_same(
        line(hours, "BBANDS", n, "upper"), [m + w for m, w in zip(middle, width, strict=True)]
    )
    assert_same(
        line(hours, "BBANDS", n, "lower"), [m - w for m, w in zip(middle, width, strict=True)]
    )


@pytest.mark.parametrize("period", [1, 14])
def test_stochastic(hours: Bars, period: int) -> None:
    high, low, close = hours.high.tolist(), hours.low.tolist(), hours.close.tolist()
    fast = []
    for i in range(period - 1, len(close)):
        top, bottom = max(high[i - period + 1 : i + 1]), min(low[i - period + 1 : i + 1])
        fast.append(100 * (close[i] - bottom) / (top - bottom))
    k = naive_sma(fast, 3)
    d = [math.nan, math.nan, *naive_sma(k[2:], 3)]
    first = period + 3
    assert_same(line(hours, "STOCH", period, "k")[first:], k[first - period + 1 :])
    assert_same(line(hours, "STOCH", period, "d")[first:], d[first - period + 1 :])


def test_on_balance_volume_counts_from_the_first_candle(hours: Bars) -> None:
    closes, volumes = hours.close.tolist(), hours.volume.tolist()
    held, wanted = volumes[0], [volumes[0]]
    for i in range(1, len(closes)):
        held += volumes[i] * ((closes[i] > closes[i - 1]) - (closes[i] < closes[i - 1]))
        wanted.append(held)
    assert_same(line(hours, "OBV"), wanted)


def test_vwap_begins_anew_each_utc_day(hours: Bars) -> None:
    part = hours.slice(START + 5 * HOUR)  # the first day is cut: it has no VWAP
    typical = ((part.high + part.low + part.close) / 3).tolist()
    volumes, times = part.volume.tolist(), part.open_time_ms.tolist()
    wanted = []
    for i, now in enumerate(times):
        day = [j for j in range(max(0, i - 24), i + 1) if times[j] // DAY == now // DAY]
        traded = math.fsum(volumes[j] for j in day)
        wanted.append(math.fsum(typical[j] * volumes[j] for j in day) / traded)
    result = compute("VWAP", part)
    assert result.warmup == 19 and result.period is None
    assert result.rows()[0][0] == START + DAY
    assert_same(result.lines["value"].tolist(), [math.nan] * 19 + wanted[19:])


def test_rolling_vwap_weighs_the_window(hours: Bars) -> None:
    typical = ((hours.high + hours.low + hours.close) / 3).tolist()
    volumes, n = hours.volume.tolist(), 14
    wanted = [math.nan] * (n - 1) + [
        math.fsum(a * b for a, b in zip(typical[i : i + n], volumes[i : i + n], strict=True))
        / math.fsum(volumes[i : i + n])
        for i in range(len(volumes) - n + 1)
    ]
    assert_same(line(hours, "VWAP_ROLLING"), wanted)


def test_fibonacci_levels_lie_between_the_windows_high_and_low(hours: Bars) -> None:
    result, n = compute("FIBONACCI", hours, 20), 20
    top, bottom = max(hours.high[-n:].tolist()), min(hours.low[-n:].tolist())
    time_ms, levels = result.rows()[-1]
    assert time_ms == hours.open_time_ms[-1]
    assert levels["0"] == top and levels["1"] == pytest.approx(bottom, rel=1e-15)
    assert levels["0.618"] == pytest.approx(top - 0.618 * (top - bottom))
    assert tuple(levels) == FIBONACCI_RATIOS


def test_every_documented_indicator_is_there() -> None:
    assert set(INDICATORS) - DOCUMENTED == {"VWAP_ROLLING"}
    assert set(INDICATORS) > DOCUMENTED


@pytest.mark.parametrize("name", INDICATORS)
def test_the_warm_up_is_what_the_table_says(hours: Bars, name: str) -> None:
    """NaN before it, numbers from its end on, for every least and some greater period."""
    least = INDICATORS[name].least_period
    for period in (None, least, 30) if least else (None,):
        result = compute(name, hours, period)
        missing = np.any([np.isnan(values) for values in result.lines.values()], axis=0)
        assert np.flatnonzero(~missing)[0] == result.warmup
        assert not missing[result.warmup :].any()
        rows = result.rows()
        assert len(rows) == len(result) == len(hours) - result.warmup
        assert rows[0][0] == hours.open_time_ms[result.warmup]
        assert all(list(values) == list(INDICATORS[name].lines) for _, values in rows)
        assert result.warmup <= lead_bars(name, Interval.H1, period)


@pytest.mark.parametrize("name", INDICATORS)
def test_too_few_candles_give_no_row(hours: Bars, name: str) -> None:
    warm_up = compute(name, hours).warmup
    for count in {0, 1, warm_up} - {0 if warm_up else 1}:
        result = compute(name, hours.slice(None, START + count * HOUR))
        assert len(result.times_ms) == count
        assert len(result) == len(result.rows()) == max(0, count - warm_up)
        assert repr(result).startswith(f"IndicatorResult({name}")


def test_defaults_are_the_documented_ones(hours: Bars) -> None:
    assert compute("rsi", hours).period == 14
    bands = compute("BBANDS", hours)
    assert dict(bands.parameters) == {"period": 14, "deviations": 2}
    macd = compute("MACD", hours, 14)
    assert macd.period is None
    assert dict(macd.parameters) == {"fast": 12, "slow": 26, "signal": 9}
    np.testing.assert_array_equal(macd.lines["macd"], compute("MACD", hours).lines["macd"])


@pytest.mark.parametrize("period", [0, -1, 1001, 14.0, "14", True])
def test_a_period_out_of_bounds_is_refused_in_words(hours: Bars, period: object) -> None:
    with pytest.raises(InvalidInput, match="whole number of bars from 2 to 1000"):
        compute("RSI", hours, period)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="period is"):
        compute("OBV", hours, period)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [n for n, row in INDICATORS.items() if row.takes_period])
def test_both_ends_of_the_periods_work(name: str) -> None:
    bars = bars_of([100 + i % 7 for i in range(2 * MAX_PERIOD + 10)])
    least = INDICATORS[name].least_period
    assert least is not None
    for period in (least, MAX_PERIOD):
        assert len(compute(name, bars, period).rows()) > 0
    with pytest.raises(InvalidInput, match=f"from {least} to 1000"):
        compute(name, bars, least - 1)


def test_an_unknown_name_is_answered_with_the_known_ones(hours: Bars) -> None:
    with pytest.raises(InvalidInput, match="no indicator 'RSX'; known are RSI, SMA"):
        compute("RSX", hours)


@pytest.mark.parametrize("name", INDICATORS)
def test_one_missing_value_is_refused_and_never_spreads(hours: Bars, name: str) -> None:
    column = INDICATORS[name].inputs[0]
    columns = {k: getattr(hours, k) for k in ("open_time_ms", "high", "low", "close", "volume")}
    for bad in (math.nan, math.inf, 0.0, -1.0):
        spoilt = columns[column].copy()
        spoilt[40] = bad
        with pytest.raises(InvalidInput, match=f"{column} of candle 40 .2026-03-02 16:00. is"):
            compute(name, SimpleNamespace(**{**columns, column: spoilt}))


def test_candles_out_of_order_are_refused(hours: Bars) -> None:
    klines = [hours.kline(i) for i in (0, 1, 1, 2)]
    with pytest.raises(InvalidInput, match="candle 2 .2026-03-01 01:00. does not come after"):
        compute("SMA", klines, 2)


@pytest.mark.parametrize("name", ["VWAP", "VWAP_ROLLING", "OBV"])
def test_indicators_of_volume_need_volume(name: str) -> None:
    with pytest.raises(InvalidInput, match="made of volume, and all 3 candles have none"):
        compute(name, bars_of([1, 2, 3], [0, 0, 0]))
    with pytest.raises(InvalidInput, match="volume of candle 1"):
        part = bars_of([1, 2, 3])
        columns = {k: getattr(part, k) for k in ("open_time_ms", "high", "low", "close")}
        compute(name, SimpleNamespace(**columns, volume=np.array([1, math.nan, 1])))


def test_klines_and_bars_give_the_same(hours: Bars) -> None:
    part = hours.slice(None, START + 60 * HOUR)
    klines: list[Kline] = [part.kline(i) for i in range(len(part))]
    for name in INDICATORS:
        assert compute(name, klines).rows() == compute(name, part).rows()


def test_rsi_without_a_change_is_undefined_not_oversold() -> None:
    result = compute("RSI", bars_of([5.0] * 20 + [6.0]), 3)
    values = [values["value"] for _, values in result.rows()]
    assert values == [None] * 17 + [100.0]


def test_rsi_stays_while_the_price_stands_still() -> None:
    """With a period of 2 both means halve at each bar, and 0/0 after 1,100 even in doubles."""
    made = line(bars_of([10, 11, 10.5, 12, *[11.5] * 3000, 11.6]), "RSI", 2)
    assert made[4] == made[3003] and 0 < made[4] < 100
    assert made[3004] == pytest.approx(100, abs=1e-6)


def test_stochastic_of_no_range_is_undefined() -> None:
    """Windows 5, 6 and 7 have none; %K averages three of them, %D three of %K."""
    made = compute("STOCH", bars_of([1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9, 8, 9]), 2).lines
    k, d = made["k"].tolist(), made["d"].tolist()
    assert [i for i in range(5, 14) if math.isnan(k[i])] == [5, 6, 7, 8, 9]
    assert [i for i in range(5, 14) if math.isnan(d[i])] == [5, 6, 7, 8, 9, 10, 11]


def test_vwap_is_null_until_something_was_traded() -> None:
    volumes = [0, 0, 3, 0, 1]
    result = compute("VWAP", bars_of([10, 11, 12, 13, 16], volumes))
    assert [v["value"] for _, v in result.rows()] == [None, None, 12.0, 12.0, 13.0]
    rolling = compute("VWAP_ROLLING", bars_of([10, 11, 12, 13, 16], [1e9, 0, 0, 0, 1]), 2)
    assert [v["value"] for _, v in rolling.rows()] == [10.0, None, None, 16.0]


@pytest.mark.parametrize("scale", [1e-8, 1e-5, 1.0, 1e5])
def test_the_height_of_the_price_changes_nothing(scale: float) -> None:
    """TA-Lib 0.6 alone gives flat bands below a price of about 0.00001."""
    shape = [1 + 0.002 * math.sin(i) for i in range(60)]
    bands = compute("BBANDS", bars_of([scale * x for x in shape])).rows()[-1][1]
    wanted = compute("BBANDS", bars_of(shape)).rows()[-1][1]
    for name, value in wanted.items():
        assert bands[name] == pytest.approx(value * scale, rel=1e-9)
    assert wanted["upper"] > wanted["middle"] > wanted["lower"]


def test_a_price_that_stands_still_has_no_width() -> None:
    bands = compute("BBANDS", bars_of([97_123.45] * 300)).rows()[-1][1]
    assert bands["upper"] == bands["lower"]


def test_the_lead_settles_what_remembers(hours: Bars) -> None:
    """With `lead_bars(settled=True)` before it, a value no longer tells where the data begin."""
    for name in ("RSI", "EMA", "MACD", "ATR", "ADX"):
        lead = lead_bars(name, Interval.H1, settled=True)
        assert lead > lead_bars(name, Interval.H1)
        whole = compute(name, hours).last(24)
        part = compute(name, hours.slice(hours.end_ms - (24 + lead) * HOUR)).last(24)
        assert len(part) == 24 and part.warmup == 0
        for key, values in whole.lines.items():
            size = np.abs(values).max()
            np.testing.assert_allclose(part.lines[key], values, atol=2e-3 * size, rtol=0)


def test_the_lead_of_vwap_reaches_back_to_midnight() -> None:
    assert lead_bars("VWAP", Interval.M1) == 1439
    assert lead_bars("VWAP", Interval.H1) == 23
    assert lead_bars("VWAP", Interval.D1) == lead_bars("OBV", Interval.D1, settled=True) == 0


def test_last_keeps_the_warm_up_right(hours: Bars) -> None:
    result = compute("RSI", hours.slice(None, START + 20 * HOUR))
    assert result.last(10).warmup == 4 and result.last(10).rows() == result.rows()
    assert result.last(2).rows() == result.rows()[-2:]
    assert result.last(99).rows() == result.rows()


def test_a_frame_has_the_lines_and_utc_times(hours: Bars) -> None:
    frame = compute("MACD", hours).to_frame()
    assert list(frame.columns) == ["macd", "signal", "histogram"]
    assert str(frame.index.dtype) == "datetime64[ms, UTC]" and frame.index.name == "open_time"
    assert len(frame) == len(hours) and frame["signal"].isna().sum() == 33


def test_results_cannot_be_written_to(hours: Bars) -> None:
    result = compute("SMA", hours)
    with pytest.raises(ValueError, match="read-only"):
        result.lines["value"][0] = 1.0
    assert hours.close.flags.owndata or not hours.close.flags.writeable


def test_ta_lib_is_imported_at_the_first_use_only() -> None:
    script = (
        "import sys, gridlab.research.indicators; "
        "print(sorted({'talib', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_without_ta_lib_the_answer_says_what_to_install(
    hours: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "talib", None)
    monkeypatch.setitem(sys.modules, "talib._ta_lib", None)
    with pytest.raises(Conflict, match="pip install 'gridlab.research.'"):
        compute("RSI", hours)
