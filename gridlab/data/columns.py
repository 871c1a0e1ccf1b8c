"""Files of candles read into columns: Parquet, CSV and CSV in a zip, of Binance and of others.

Two layouts are understood. Binance's own: 12 columns in a fixed order, without a header (spot
dumps) or with one (futures dumps), stamps in ms, or in us in spot dumps since 2025. And any file
whose columns are named (open_time, timestamp or date; open, high, low, close, volume). Checks form,
not sense: what a candle must obey is said in `bars`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from gridlab.data.aggregate import FloatArray, IntArray
from gridlab.errors import InvalidInput, NotFound

#: Binance's order of columns; files without a header are read by it.
KLINE_COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_buy_base",
    "taker_buy_quote",
    "ignore",
)
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
#: What the columns are called elsewhere; compared in lower case, without blanks and underscores.
_ALIASES = {
    "open_time": ("opentime", "opentimems", "timestamp", "time", "date", "datetime"),
    "quote_volume": ("quotevolume", "quoteassetvolume"),
    "trades": ("trades", "count", "numberoftrades", "numtrades", "tradecount"),
    **{name: (name,) for name in PRICE_COLUMNS},
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Candles by column; `quote_volume` is NaN and `trades` -1 where the source has none."""

    open_time_ms: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    quote_volume: FloatArray
    trades: IntArray


def read_columns(path: Path) -> Columns:
    """The candles of one file.

    Raises:
        NotFound: no such file.
        InvalidInput: a format, a column or a value that cannot be read.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no such file; give the path of a Parquet, CSV or zip file")
    readers: dict[str, Callable[[Path], Any]] = {
        ".parquet": _read_parquet,
        ".pq": _read_parquet,
        ".csv": _read_csv_file,
        ".gz": _read_csv_file,
        ".zip": _read_zip,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"{path}: unknown kind of file {path.suffix!r}; known are {', '.join(readers)}"
        )
    import pyarrow as pa

    try:
        return _columns(reader(path), str(path))
    except (pa.ArrowException, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path}: {error}") from error


def match_columns(names: Iterable[str], where: str) -> dict[str, str]:
    """Our column names to those of a file or frame; each of ours at most once.

    Raises:
        InvalidInput: one of open_time, open, high, low, close and volume is not there.
    """
    spelled = {
        name.lower().replace("_", "").replace(" ", "").strip("\ufeff"): name for name in names
    }
    found = {
        ours: next(spelled[alias] for alias in aliases if alias in spelled)
        for ours, aliases in _ALIASES.items()
        if any(alias in spelled for alias in aliases)
    }
    missing = [name for name in ("open_time", *PRICE_COLUMNS) if name not in found]
    if missing:
        raise InvalidInput(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(spelled.values())}"
        )
    return found


def stamps_to_ms(stamps: IntArray, where: str) -> IntArray:
    """Whole-number stamps in seconds, ms, us or ns, told apart by their size, as milliseconds.

    Sizes cannot be confused between 1973 and 5138. Each stamp is judged alone, because concatenated
    dumps change unit at the turn of 2025.
    """
    result = stamps.copy()
    seconds = np.abs(stamps) < 10**11
    result[seconds] *= 1000
    for floor, factor in ((10**17, 10**6), (10**14, 10**3)):
        finer = result >= floor
        odd = finer & (result % factor != 0)
        if odd.any():
            row = int(np.argmax(odd))
            raise InvalidInput(f"{where}: row {row}: stamp {stamps[row]} is no whole millisecond")
        result[finer] //= factor
    return result


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        found = match_columns(file.schema_arrow.names, str(path))
        return file.read(columns=list(found.values()))


def _read_csv_file(path: Path) -> Any:
    import pyarrow as pa

    return _read_csv(lambda: pa.input_stream(str(path), compression="detect"), str(path))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if len(members) != 1:
            raise InvalidInput(f"{path}: holds {len(members)} CSV files; one is meant")
        return _read_csv(lambda: archive.open(members[0]), f"{path}:{members[0]}")


def _read_csv(open_stream: Callable[[], IO[bytes]], where: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    header = _header(open_stream, where)
    found = match_columns(header or KLINE_COLUMNS, where)
    types = {found[name]: pa.float64() for name in PRICE_COLUMNS}
    types |= {found["quote_volume"]: pa.float64()} if "quote_volume" in found else {}
    options = csv.ReadOptions(
        column_names=header or KLINE_COLUMNS, skip_rows=1 if header else 0, block_size=4 << 20
    )
    with open_stream() as stream:
        return csv.read_csv(
            stream,
            read_options=options,
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(found.values())
            ),
        )


def _header(open_stream: Callable[[], IO[bytes]], where: str) -> list[str] | None:
    """The names in the first line, or None when it already holds numbers."""
    with open_stream() as stream:
        first = stream.read(4096).decode("utf-8-sig", "replace").split("\n", 1)[0].strip()
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    if not cells[0].lstrip("-").isdigit():
        return cells
    if len(cells) != len(KLINE_COLUMNS):
        raise InvalidInput(
            f"{where}: has no header and {len(cells)} columns; Binance's klines have "
            f"{len(KLINE_COLUMNS)}, other files need named columns"
        )
    return None


def _columns(table: Any, where: str) -> Columns:
    import pyarrow as pa

    found = match_columns(table.column_names, where)

    def floats(name: str) -> FloatArray:
        if name not in found:
            return np.full(table.num_rows, np.nan)
        column = _filled(table.column(found[name]).cast(pa.float64()), np.nan)
        return np.asarray(_values(column), dtype=np.float64)

    trades = np.full(table.num_rows, -1, np.int64)
    if "trades" in found:
        column = _filled(table.column(found["trades"]).cast(pa.int64()), -1)
        trades = _values(column)
    return Columns(
        open_time_ms=_time_ms(table.column(found["open_time"]), where),
        open=floats("open"),
        high=floats("high"),
        low=floats("low"),
        close=floats("close"),
        volume=floats("volume"),
        quote_volume=floats("quote_volume"),
        trades=trades,
    )


def _filled(column: Any, value: float) -> Any:
    """A column without nulls; where there are none pyarrow is not asked, for it loads pandas."""
    return column.fill_null(value) if column.null_count else column


def _time_ms(column: Any, where: str) -> IntArray:
    """A time column as ms; times without a zone are UTC, as all that the exchange publishes."""
    import pyarrow as pa

    kind = column.type
    if column.null_count:
        raise InvalidInput(f"{where}: {column.null_count} rows have no time; fill or drop them")
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ms", kind.tz))
    elif pa.types.is_date32(kind):
        column = column.cast(pa.timestamp("ms"))
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InvalidInput(
            f"{where}: the time column holds {kind}, such as {column[0].as_py()!r}; write "
            "milliseconds or 2026-03-24 13:00:00"
        )
    else:
        return stamps_to_ms(_values(column.cast(pa.int64())), where)
    return np.asarray(_values(column.cast(pa.int64())), dtype=np.int64)


def _values(column: Any) -> Any:
    """A column without nulls as an array. `to_numpy` would do, but loads pandas to do it."""
    if not len(column):
        return np.asarray(column.to_pylist(), dtype=str(column.type).replace("double", "float64"))
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks if len(chunk)])
