"""`backtest(grid, data)`: every form of data that is understood gives the same result."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import load
from gridlab.data.columns import KLINE_COLUMNS
from gridlab.domain.market import Interval, Market
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, NotFound
from gridlab.research.backtest import backtest
from gridlab.research.feed import bars_of
from gridlab.research.grids import make_grid

START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def bars() -> Bars:
    return load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 6 * HOUR_MS)


@pytest.fixture(scope="module")
def spec() -> GridSpec:
    return make_grid("BTCUSDT", levels=8, spacing="0.25%", investment=5_000)


def lines(bars: Bars, factor: int = 1) -> list[str]:
    """The exchange's own twelve columns; `factor` 1000 for stamps in microseconds."""
    rows = []
    for i in range(len(bars)):
        k = bars.kline(i)
        close = (k.close_time_ms + 1) * factor - 1
        rows.append(
            f"{k.open_time_ms * factor},{k.open},{k.high},{k.low},{k.close},{k.volume},"
            f"{close},{k.quote_volume},{k.trades},0,0,0"
        )
    return rows


def files(folder: Path, bars: Bars) -> dict[str, Path]:
    """The same candles as files of every kind."""
    header = ",".join(KLINE_COLUMNS)
    texts = {
        "ms.csv": lines(bars),
        "us.csv": lines(bars, 1000),
        "header-ms.csv": [header, *lines(bars)],
        "header-us.csv": [header, *lines(bars, 1000)],
    }
    for name, rows in texts.items():
        (folder / name).write_text("\n".join(rows) + "\n")
    with zipfile.ZipFile(folder / "dump.zip", "w") as archive:
        archive.write(folder / "us.csv", "BTCUSDT-1m-2026-03-01.csv")
    bars.to_frame().reset_index().to_parquet(folder / "named.parquet")
    return {name: folder / name for name in (*texts, "dump.zip", "named.parquet")}


def test_files_of_every_kind(bars: Bars, spec: GridSpec, tmp_path: Path) -> None:
    expected = backtest(spec, bars)
    assert sum(expected.fills) > 10
    for name, path in files(tmp_path, bars).items():
        for data in (path, str(path)):
            result = backtest(spec, data)
            assert result.bars == bars, name
            assert result.trades == expected.trades and result.equity == expected.equity


def test_frames_of_every_kind(bars: Bars, spec: GridSpec) -> None:
    frame = bars.to_frame()
    rows = [line.split(",") for line in lines(bars)]
    klines = [[int(r[0]), *r[1:6], int(r[6]), r[7], int(r[8]), *r[9:]] for r in rows]
    frames = {
        "indexed": frame,
        "a column of times": frame.reset_index(),
        "other spellings": frame.rename(columns=str.title),
        "another zone": frame.tz_convert("Asia/Tokyo"),
        "whole milliseconds": frame.reset_index().assign(open_time=bars.open_time_ms),
        "numbered, as the API lists them": pd.DataFrame(klines),
        "named, as the API lists them": pd.DataFrame(klines, columns=list(KLINE_COLUMNS)),
    }
    expected = backtest(spec, bars)
    for name, given in frames.items():
        result = backtest(spec, given)
        assert result.bars == bars, name
        assert result.equity == expected.equity


def test_several_files_are_one_series(bars: Bars, spec: GridSpec, tmp_path: Path) -> None:
    cut = START_MS + 2 * HOUR_MS
    parts = []
    for name, part in (("b", bars.slice(cut)), ("a", bars.slice(end_ms=cut))):
        parts.append(tmp_path / f"{name}.csv")
        parts[-1].write_text("\n".join(lines(part)) + "\n")
    assert bars_of(parts, spec) == bars
    with pytest.raises(InvalidInput, match="does not come after"):
        bars_of([*parts, parts[0]], spec)
    wide = tmp_path / "wide.csv"
    wide.write_text("\n".join(lines(bars.resample(Interval.M5))) + "\n")
    with pytest.raises(InvalidInput, match="files of 1m and 5m cannot be one series"):
        bars_of([parts[0], wide], spec)


def test_bars_pass_untouched_and_a_width_can_be_named(bars: Bars, spec: GridSpec) -> None:
    assert bars_of(bars, spec) is bars
    single = bars.to_frame().iloc[:1]
    with pytest.raises(InvalidInput, match="1 rows do not tell an interval"):
        bars_of(single, spec)
    assert len(bars_of(single, spec, interval=Interval.M1)) == 1


def test_the_grid_says_symbol_and_market(bars: Bars) -> None:
    spec = make_grid("BTCUSDT", market="futures")
    assert bars_of(bars.to_frame(), spec).market is Market.FUTURES


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ("BTCUSDT", NotFound, r"is a symbol and no file; .*gridlab\.load\('BTCUSDT'\)"),
        ("nowhere/x.csv", NotFound, "no such file"),
        (Path("README"), NotFound, "no such file"),
        (np.ones((5, 6)), InvalidInput, "the data is a ndarray; give Bars, a pandas DataFrame"),
        (None, InvalidInput, "the data is a NoneType"),
        ([], InvalidInput, "the data is a list"),
        ([1, 2], InvalidInput, "the data is a list"),
    ],
)
def test_anything_else_is_refused_in_words(
    spec: GridSpec, data: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        backtest(spec, data)


def test_frames_that_cannot_be_read_say_why(bars: Bars, spec: GridSpec) -> None:
    frame = bars.to_frame()
    with pytest.raises(InvalidInput, match="no column volume"):
        backtest(spec, frame.drop(columns="volume"))
    with pytest.raises(InvalidInput, match=r"make them tz-aware.*tz_localize"):
        backtest(spec, frame.tz_localize(None))
    with pytest.raises(InvalidInput, match="rows oldest first"):
        backtest(spec, frame.iloc[::-1])
    with pytest.raises(InvalidInput, match="bar 3 .*high is"):
        backtest(spec, frame.assign(high=frame.high.mask(np.arange(len(frame)) == 3, 1.0)))
    with pytest.raises(InvalidInput, match="column open holds no numbers: .*abc"):
        backtest(spec, frame.assign(open="abc"))
