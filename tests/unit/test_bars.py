"""`Bars`: what it refuses, how it cuts, joins and converts, and the files it is read from."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.data.aggregate import ExactColumn
from gridlab.data.bars import Bars, infer_interval, read_bars
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, NotFound

MINUTE = 60_000
START = 1_772_323_200_000  # 2026-03-01 00:00 UTC

# The first minutes of the exchange's spot dump of 2026-03-01: no header, stamps in us.
SPOT_LINES = """\
1772323200000000,66973.26000000,67029.25000000,66967.18000000,66998.58000000,9.19306000,1772323259999999,615904.38407240,5610,4.61069000,308907.14390290,0
1772323260000000,66998.58000000,67006.78000000,66963.97000000,66967.55000000,29.24509000,1772323319999999,1959180.15329350,4867,22.59109000,1513420.66590000,0
1772323320000000,66967.55000000,67007.68000000,66953.63000000,66976.01000000,26.48690000,1772323379999999,1774238.61498790,5612,19.79945000,1326261.45017300,0
"""
# The first hours of the futures dump of 2024-10-28: with header, stamps in ms.
FUTURES_LINES = """\
open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore
1730073600000,67992.70,68094.60,67804.70,67835.20,5179.117,1730077199999,351923638.03910,85022,2415.052,164090858.68940,0
1730077200000,67835.20,67886.40,67711.00,67720.00,4148.330,1730080799999,281179776.72190,63878,2028.077,137472276.90760,0
"""


def make(minutes: list[int], **columns: Any) -> Bars:
    """Bars at START + minutes whose bar n goes from 100 + n to 101 + n, volume 0.1, one trade."""
    n = np.arange(len(minutes), dtype=np.float64)
    values: dict[str, Any] = {
        "open_time_ms": np.array(minutes, np.int64) * MINUTE + START,
        "open": 100 + n,
        "high": 102 + n,
        "low": 99 + n,
        "close": 101 + n,
        "volume": np.full(len(n), 0.1),
        "quote_volume": np.full(len(n), 10.5),
        "trades": np.ones(len(n), np.int64),
    }
    values |= columns
    return Bars("BTCUSDT", Market.SPOT, Interval.M1, **values)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"open": [100, np.nan, 102]}, "bar 1 .2026-03-01T00:01:00Z.: open is nan, not a finite"),
        ({"low": [99, 100, 0]}, "bar 2 .*low is 0.0, not a finite price above zero"),
        ({"high": [102, 101.5, 104]}, "bar 1 .*high is 101.5, below its open or close"),
        ({"low": [99, 100, 102.5]}, "bar 2 .*low is 102.5, above its open or close"),
        ({"close": [101, np.inf, 103], "high": [102, np.inf, 104]}, "bar 1 .*is inf"),
        ({"volume": [0.1, 0.1, -1]}, "bar 2 .*volume is -1.0"),
        ({"volume": [0.1, np.nan, 1]}, "bar 1 .*volume is nan"),
        ({"quote_volume": [1, -2, 3]}, "bar 1 .*quote_volume is -2.0"),
        ({"trades": [1, -2, 3]}, "bar 1 .*trades is -2"),
        ({"volume": [0.1, 0.1]}, "volume has shape .2,.; .3,. is needed"),
        ({"open_time_ms": [START, START, START + MINUTE]}, "bar 1 .*does not come after"),
        ({"open_time_ms": [START, START + 1, START + MINUTE]}, "bar 1 .*off the grid of 1m"),
    ],
)
def test_refuses_the_first_bar_that_breaks_a_rule(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make([0, 1, 2], **columns)


def test_arrays_cannot_be_changed_and_the_callers_own_stay_writable() -> None:
    mine = np.array([0.5, 0.5])
    bars = make([0, 1], volume=mine)
    with pytest.raises(ValueError, match="read-only"):
        bars.volume[0] = 1
    mine[0] = 0.5
    assert mine.flags.writeable


def test_equality_and_repr() -> None:
    lacking = {"quote_volume": [np.nan, np.nan], "trades": [-1, -1]}
    assert make([0, 1], **lacking) == make([0, 1], **lacking)
    assert make([0, 1], **lacking) != make([0, 1])
    assert make([0, 1]) != make([0, 2])
    assert repr(make([0, 1])) == (
        "Bars(spot BTCUSDT 1m, 2 bars, 2026-03-01T00:00:00Z to 2026-03-01T00:01:00Z)"
    )
    assert repr(make([])) == "Bars(spot BTCUSDT 1m, 0 bars)"


def test_kline_gives_back_the_digits_and_none_for_what_is_missing() -> None:
    bars = make([0, 1], quote_volume=[np.nan, 10.5], trades=[-1, 7], volume=[1e-5, 0.1])
    first, last = bars.kline(0), bars.kline(-1)
    assert (first.quote_volume, first.trades) == (None, None)
    assert first.volume == Decimal("0.00001")
    assert (last.quote_volume, last.trades) == (Decimal("10.5"), 7)
    assert last.close_time_ms == START + 2 * MINUTE - 1


def test_slice_excludes_its_end_and_index_at_finds_the_open_bar() -> None:
    bars = make([0, 1, 3])
    assert bars.slice(START + 1, START + 3 * MINUTE) == make(
        [1], open=[101], high=[103], low=[100], close=[102]
    )
    assert len(bars.slice()) == 3
    assert len(bars.slice(START + 9 * MINUTE)) == 0
    at = {
        START - 1: -1,
        START: 0,
        START + MINUTE - 1: 0,
        START + 2 * MINUTE: 1,
        START + 9 * MINUTE: 2,
    }
    assert {time: bars.index_at(time) for time in at} == at
    assert make([]).index_at(START) == -1


def test_gaps_name_the_first_and_last_missing_bar() -> None:
    assert make([0, 1, 3, 7]).gaps() == [
        (START + 2 * MINUTE, START + 2 * MINUTE),
        (START + 4 * MINUTE, START + 6 * MINUTE),
    ]
    assert make([0, 1]).gaps() == [] and make([]).gaps() == []


def test_resample_aligns_to_utc_and_keeps_partial_candles() -> None:
    # Minutes 3, 4 | 5, 6 (a hole at 7), 8, 9 | 10: two partial ends around a candle with a hole.
    bars = make([3, 4, 5, 6, 8, 9, 10], quote_volume=[1, 2, 3, 4, 5, 6, np.nan])
    wide = bars.resample(Interval.M5)
    assert wide.interval is Interval.M5
    assert wide.open_time_ms.tolist() == [START, START + 5 * MINUTE, START + 10 * MINUTE]
    assert wide.open.tolist() == [100, 102, 106]
    assert wide.high.tolist() == [103, 107, 108]
    assert wide.low.tolist() == [99, 101, 105]
    assert wide.close.tolist() == [102, 106, 107]
    assert wide.volume.tolist() == [0.2, 0.4, 0.1]
    assert wide.quote_volume[:2].tolist() == [3, 18] and np.isnan(wide.quote_volume[2])
    assert wide.trades.tolist() == [2, 4, 1]
    # Added in binary, 0.1 + 0.1 + 0.1 is 0.30000000000000004.
    assert make([0, 1, 2]).resample(Interval.M3).volume.tolist() == [0.3]


def test_resample_loses_the_trade_count_where_a_part_lacks_it() -> None:
    assert make([0, 1, 5], trades=[4, -1, 9]).resample(Interval.M5).trades.tolist() == [-1, 9]


def test_resample_refuses_what_does_not_divide() -> None:
    five = make([0, 5], open_time_ms=[START, START + 5 * MINUTE]).resample(Interval.M5)
    with pytest.raises(InvalidInput, match="bars of 5m cannot be joined to 1m"):
        five.resample(Interval.M1)
    assert five.resample(Interval.M5) == five
    assert len(make([]).resample(Interval.D1)) == 0


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40), st.integers(0, 8))
def test_sums_are_those_of_the_written_digits(counts: list[int], decimals: int) -> None:
    written = [Decimal(count).scaleb(-decimals) for count in counts]
    column = ExactColumn.of(np.array([float(number) for number in written]))
    middle = len(counts) // 2
    starts = np.array([0, middle] if middle else [0], np.int64)
    expected = [sum(written[:middle]), sum(written[middle:])] if middle else [sum(written)]
    assert column.sums(starts, len(counts)) == expected


def test_amounts_with_too_many_digits_are_summed_exactly_too() -> None:
    column = ExactColumn.of(np.array([0.1, 1 / 3, 0.2, 1 / 3, np.nan, 0.5]))
    assert column.odd.tolist() == [1, 3]
    starts = np.array([1, 3, 5], np.int64)
    third = Decimal("0.3333333333333333")
    assert column.sums(starts, 6) == [third + Decimal("0.2"), None, Decimal("0.5")]
    assert np.array_equal(
        column.float_sums(starts, 6), [float(third + Decimal("0.2")), np.nan, 0.5], equal_nan=True
    )
    assert column.sums(starts[:1], 3) == [third + Decimal("0.2")]


def test_frame_round_trip_keeps_every_bit() -> None:
    bars = make([0, 1, 3])
    frame = bars.to_frame()
    assert str(frame.index.dtype) == "datetime64[ms, UTC]" and frame.index.name == "open_time"
    assert frame.index[0] == pd.Timestamp("2026-03-01", tz="UTC")
    assert list(frame.columns)[:5] == ["open", "high", "low", "close", "volume"]
    assert set(frame.dtypes[:6].astype(str)) == {"float64"}
    assert Bars.from_frame(frame, symbol="BTCUSDT") == bars
    assert Bars.from_frame(frame.reset_index(), symbol="BTCUSDT") == bars


def test_frame_leaves_out_what_was_not_recorded() -> None:
    frame = make([0, 1], quote_volume=[np.nan] * 2, trades=[-1, -1]).to_frame()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    again = Bars.from_frame(frame, symbol="BTCUSDT")
    assert not again.has_quote_volume and not again.has_trades


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_frames_of_any_time_unit_zone_and_spelling(unit: str) -> None:
    frame = make([0, 1]).to_frame()
    frame.index = frame.index.as_unit(unit).tz_convert("America/Sao_Paulo").rename("whenever")
    frame.columns = [name.title() for name in frame.columns]
    assert Bars.from_frame(frame, symbol="BTCUSDT").open_time_ms.tolist() == [START, START + MINUTE]


def test_frames_without_zone_or_columns_are_refused_with_the_remedy() -> None:
    frame = make([0, 1]).to_frame()
    with pytest.raises(InvalidInput, match=r"tz_localize\('UTC'\)"):
        Bars.from_frame(frame.tz_localize(None), symbol="X")
    with pytest.raises(InvalidInput, match="no column low; it has open_time, open, high, close"):
        Bars.from_frame(frame.drop(columns="low"), symbol="X")
    stamped = frame.reset_index()
    stamped["open_time"] = [START, START + MINUTE]
    assert Bars.from_frame(stamped, symbol="BTCUSDT") == make([0, 1])


def check_spot(bars: Bars) -> None:
    assert len(bars) == 3 and bars.interval is Interval.M1
    assert bars.open_time_ms.tolist() == [START, START + MINUTE, START + 2 * MINUTE]
    first = bars.kline(0)
    assert first.path == tuple(
        map(Decimal, ("66973.26000000", "66967.18000000", "67029.25000000", "66998.58000000"))
    )
    assert first.volume == Decimal("9.19306000")
    assert (first.quote_volume, first.trades) == (Decimal("615904.38407240"), 5610)


def test_reads_the_exchanges_own_dumps(tmp_path: Path) -> None:
    plain, packed, futures = tmp_path / "a.csv", tmp_path / "a.zip", tmp_path / "f.csv"
    plain.write_text(SPOT_LINES)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("BTCUSDT-1m-2026-03.csv", SPOT_LINES)
    futures.write_text(FUTURES_LINES)
    for path in (plain, packed):
        check_spot(read_bars(path, symbol="BTCUSDT"))
    hours = read_bars(str(futures), symbol="BTCUSDT", market=Market.FUTURES)
    assert (hours.interval, hours.market) == (Interval.H1, Market.FUTURES)
    assert hours.trades.tolist() == [85022, 63878]
    assert hours.kline(1).quote_volume == Decimal("281179776.72190")


def test_reads_dumps_that_change_from_ms_to_us(tmp_path: Path) -> None:
    path = tmp_path / "joined.csv"
    first = SPOT_LINES.replace("1772323200000000", "1772323200000", 1)
    path.write_text(first)
    check_spot(read_bars(path, symbol="BTCUSDT"))


@pytest.mark.parametrize(
    ("header", "stamps"),
    [
        ("timestamp,open,high,low,close,volume", ["1772323200000", "1772323260000"]),
        ("Open time, Open, High, Low, Close, Volume", ["1772323200", "1772323260"]),
        ("date,open,high,low,close,volume", ["2026-03-01 00:00:00", "2026-03-01 00:01:00"]),
        ("\ufeffdate,open,high,low,close,volume", ["2026-03-01T00:00:00Z", "2026-03-01T00:01:00Z"]),
        (
            "date,open,high,low,close,volume",
            ["2026-03-01 00:00:00+00:00", "2026-03-01 00:01+00:00"],
        ),
    ],
)
def test_reads_csv_with_named_columns(tmp_path: Path, header: str, stamps: list[str]) -> None:
    path = tmp_path / "named.csv"
    rows = [f"{stamp},100,102,99,101,0.1" for stamp in stamps]
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    bars = read_bars(path, symbol="X")
    assert bars.open_time_ms.tolist() == [START, START + MINUTE]
    assert bars.volume.tolist() == [0.1, 0.1]
    assert not bars.has_quote_volume and not bars.has_trades


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ns", "UTC"), pa.timestamp("us")])
def test_reads_parquet_with_any_time_column(tmp_path: Path, kind: pa.DataType) -> None:
    bars, path = make([0, 1, 2]), tmp_path / "bars.parquet"
    times = pa.array(bars.open_time_ms)
    if kind != pa.int64():
        times = times.cast(pa.timestamp("ms", kind.tz)).cast(kind)
    columns = {n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")}
    extra = {"quote_volume": bars.quote_volume, "trades": bars.trades, "more": bars.trades}
    parquet.write_table(pa.table({"date": times} | columns | extra), path)
    assert read_bars(path, symbol="BTCUSDT") == bars


def test_missing_cells_are_missing_amounts_but_no_missing_prices(tmp_path: Path) -> None:
    path = tmp_path / "holes.csv"
    head = "time,open,high,low,close,volume,quote_volume,trades\n"
    path.write_text(head + f"{START},1,1,1,1,1,,\n{START + MINUTE},1,1,1,1,1,5,6\n")
    bars = read_bars(path, symbol="X")
    assert np.isnan(bars.quote_volume[0]) and bars.trades.tolist() == [-1, 6]
    path.write_text(head + f"{START},1,1,1,,1,,\n{START + MINUTE},1,1,1,1,1,5,6\n")
    with pytest.raises(InvalidInput, match="bar 0 .*close is nan"):
        read_bars(path, symbol="X")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "no column open_time"),
        ("a.csv", "time,open,high,low,close\n1,2,3,4,5\n", "no column volume"),
        ("a.csv", "1,2,3,4,5,6\n", "has no header and 6 columns"),
        ("a.csv", SPOT_LINES.replace("66998.58000000", "abc", 1), "a.csv: .*abc"),
        ("a.csv", SPOT_LINES[:-3] + "\n", "Expected 12 columns, got 11"),
        ("a.csv", SPOT_LINES.split("\n", 1)[0] + "\n", "1 rows do not tell an interval"),
        ("a.csv", SPOT_LINES.replace("1772323260000000", "1772323260000001"), "no whole milli"),
        ("a.csv", SPOT_LINES.replace("1772323260000000", "1772323200000000"), "0 ms apart"),
        ("a.csv", "date,open,high,low,close,volume\nnoon,1,1,1,1,1\n", "such as 'noon'"),
        ("a.json", "{}", "unknown kind of file '.json'; known are .parquet"),
        ("a.parquet", "not Parquet", "a.parquet: "),
        ("a.zip", "not a zip", "not a zip"),
    ],
)
def test_unusable_files_are_refused_in_words(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_bars(path, symbol="X")


def test_a_missing_file_is_not_found_and_a_zip_holds_one_csv(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read_bars(tmp_path / "none.csv", symbol="X")
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", SPOT_LINES)
        archive.writestr("b.csv", SPOT_LINES)
    with pytest.raises(InvalidInput, match="holds 2 CSV files"):
        read_bars(path, symbol="X")


def test_interval_is_the_smallest_distance() -> None:
    def stamps(*minutes: int) -> Any:
        return np.array(minutes, np.int64) * MINUTE

    assert infer_interval(stamps(0, 15, 45, 60)) is Interval.M15
    with pytest.raises(InvalidInput, match="rows 0 and 1 are 420000 ms apart"):
        infer_interval(stamps(0, 7))
    with pytest.raises(InvalidInput, match="rows 1 and 2 are -60000 ms apart"):
        infer_interval(stamps(0, 2, 1))
