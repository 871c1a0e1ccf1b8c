"""`Trades`: the market's own trades of one symbol in arrays, checked when made, read from files.

Binance's dumps of aggregated trades are read as they come: spot (8 columns, no header), futures (7
columns, with a header or without), zipped or not, stamps in ms or us. Other files and frames need
named columns. Prices and quantities are the recorded doubles. Knows no grid and no venue.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gridlab.clock import iso
from gridlab.data.aggregate import ExactColumn, FloatArray, IntArray, bucket_starts
from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import pandas as pd

#: Binance's order of columns in aggregated trades; spot dumps have one more, which is dropped.
AGGREGATED = ("id", "price", "quantity", "first_id", "last_id", "time", "is_buyer_maker")
_NEEDED = ("time", "price", "quantity")
#: What the columns are called elsewhere: in lower case without blanks and underscores, or the
#: single letters of the venue's streams, whose case counts.
_ALIASES = {
    "id": ("a", "aggtradeid", "id", "tradeid", "aggregatetradeid"),
    "price": ("p", "price"),
    "quantity": ("q", "quantity", "qty", "amount", "size"),
    "first_id": ("f", "firsttradeid", "firstid"),
    "last_id": ("l", "lasttradeid", "lastid"),
    "time": ("T", "time", "timems", "timestamp", "transacttime"),
    "is_buyer_maker": ("m", "isbuyermaker", "wasthebuyermaker"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """The trades of one symbol, oldest first.

    Args:
        time_ms: int64, never falling; trades of one millisecond keep their order.
        price, quantity: float64, above zero; quote and base units.
        is_buyer_maker: whether the buyer rested, so that the seller set the trade off.
        id: int64, rising; -1 in every row where the source has none.
        count: how many of the venue's trades each row joins; 1 where the source does not tell.

    Raises:
        InvalidInput: with the first row that breaks a rule, its value and the rule.
    """

    symbol: str
    market: Market
    time_ms: IntArray
    price: FloatArray
    quantity: FloatArray
    is_buyer_maker: npt.NDArray[np.bool_]
    id: IntArray
    count: IntArray

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = {"price": np.float64, "quantity": np.float64}
        kinds["is_buyer_maker"] = np.bool_
        for field in fields(self)[2:]:
            column = np.ascontiguousarray(
                getattr(self, field.name), dtype=kinds.get(field.name, np.int64)
            ).view()
            column.flags.writeable = False
            if column.shape != (len(self.time_ms),):
                raise InvalidInput(
                    f"{self.symbol}: {field.name} has shape {column.shape}; "
                    f"({len(self.time_ms)},) is needed, as time_ms has"
                )
            object.__setattr__(self, field.name, column)
        for name in ("price", "quantity"):
            values = getattr(self, name)
            self._require((values > 0) & (values < np.inf), name, "not finite and above zero")
        self._require(self.count >= 1, "count", "below 1")
        self._require_order("time_ms", self.time_ms[1:] >= self.time_ms[:-1])
        if self.has_ids:
            self._require_order("id", self.id[1:] > self.id[:-1])

    def _require(self, holds: npt.NDArray[np.bool_], name: str, rule: str) -> None:
        if not holds.all():
            row = int(np.argmin(holds))
            raise InvalidInput(
                f"{self.symbol}: trade {row}: {name} is {getattr(self, name)[row]}, {rule}; "
                "correct or drop that row"
            )

    def _require_order(self, name: str, holds: npt.NDArray[np.bool_]) -> None:
        if not holds.all():
            row = int(np.argmin(holds)) + 1
            values = getattr(self, name)
            raise InvalidInput(
                f"{self.symbol}: trade {row}: {name} {values[row]} does not come after "
                f"{values[row - 1]}; sort the rows by id and drop repeats"
            )

    def __len__(self) -> int:
        return len(self.time_ms)

    def __repr__(self) -> str:
        head = f"Trades({self.market} {self.symbol}, {len(self)} trades"
        if not len(self):
            return head + ")"
        return f"{head}, {iso(int(self.time_ms[0]))} to {iso(int(self.time_ms[-1]))})"

    @property
    def has_ids(self) -> bool:
        """Whether the source tells the trades' ids, so that a gap would be seen."""
        return len(self) > 0 and bool((self.id >= 0).all())

    @property
    def has_sides(self) -> bool:
        """Whether buyers rested in some trades and sellers in others, as in any real record."""
        return bool(self.is_buyer_maker.any() and not self.is_buyer_maker.all())

    def gaps(self) -> list[tuple[int, int]]:
        """(index of the trade after it, how many ids are missing) of each gap in the ids.

        Raises:
            InvalidInput: the source has no ids, so nothing can be said.
        """
        if not len(self):
            return []
        if not self.has_ids:
            raise InvalidInput(f"{self.symbol}: these trades have no ids, so gaps cannot be seen")
        steps = np.diff(self.id)
        at = np.flatnonzero(steps > 1)
        return [(int(i) + 1, int(steps[i]) - 1) for i in at]

    def slice(self, start_ms: int | None = None, end_ms: int | None = None) -> Trades:
        """The trades from `start_ms` to before `end_ms`; None leaves that end as it is."""
        first = 0 if start_ms is None else int(np.searchsorted(self.time_ms, start_ms))
        last = len(self) if end_ms is None else int(np.searchsorted(self.time_ms, end_ms))
        return Trades(
            self.symbol,
            self.market,
            *(getattr(self, field.name)[first:last] for field in fields(self)[2:]),
        )

    def to_bars(self, interval: Interval | str = Interval.M1) -> Bars:
        """The candles that these trades make, as the venue draws them.

        A candle without a trade stands at the last price with no volume. The first and the last
        one hold what was recorded of them. Volumes are sums of the recorded digits; quote volumes
        are rounded to 8 decimals.

        Raises:
            InvalidInput: there is no trade.
        """
        width = Interval(interval)
        if not len(self):
            raise InvalidInput(f"{self.symbol}: there is no trade to make a bar of")
        starts, stop = bucket_starts(self.time_ms, width.ms), len(self)
        slots = self.time_ms[starts] // width.ms
        place = slots - slots[0]
        size = int(place[-1]) + 1
        # The bucket that each bar shows: its own, or for a bar without trades the one before.
        bucket = np.searchsorted(place, np.arange(size), side="right") - 1
        is_empty = place[bucket] != np.arange(size)
        close = self.price[np.append(starts[1:], stop) - 1][bucket]

        def shown(values: FloatArray) -> FloatArray:
            return np.where(is_empty, close, values[bucket])

        def summed(values: Any) -> Any:
            return np.where(is_empty, 0, values[bucket])

        quote = np.add.reduceat(self.price * self.quantity, starts)
        return Bars(
            self.symbol,
            self.market,
            width,
            (slots[0] + np.arange(size)) * width.ms,
            shown(self.price[starts]),
            shown(np.maximum.reduceat(self.price, starts)),
            shown(np.minimum.reduceat(self.price, starts)),
            close,
            summed(ExactColumn.of(self.quantity).float_sums(starts, stop)),
            summed(np.round(quote, 8)),
            summed(np.add.reduceat(self.count, starts)),
        )

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, symbol: str, market: Market | str = Market.SPOT
    ) -> Trades:
        """The trades of a DataFrame with columns time, price, quantity (see the module's aliases).

        Args:
            frame: times in a column, or in a tz-aware index named like one; whole numbers (s, ms,
                us, ns, told apart by size) or tz-aware. id, first_id, last_id and is_buyer_maker
                are taken where present.

        Raises:
            InvalidInput: a column is missing, times have no zone, or a row breaks a rule.
        """
        import pandas as pd
        import pyarrow as pa

        if isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.rename_axis(frame.index.name or "time").reset_index()
        where = f"{symbol} frame"
        found = _match([str(name) for name in frame.columns], where)
        times = frame[found["time"]]
        if pd.api.types.is_datetime64_any_dtype(times.dtype) and times.dt.tz is None:
            raise InvalidInput(
                f"{where}: its times have no zone; make them tz-aware, for example with "
                "tz_localize('UTC'), or whole milliseconds"
            )
        table = pa.Table.from_pandas(frame[list(found.values())], preserve_index=False)
        return _trades(table, found, symbol, Market(market), where)


def read_trades(path: Path | str, *, symbol: str, market: Market | str = Market.SPOT) -> Trades:
    """The trades in a Parquet file, a CSV file or a CSV file in a zip.

    Raises:
        NotFound: no such file.
        InvalidInput: the file cannot be read as trades, or a row breaks a rule.
    """
    import pyarrow as pa
    from pyarrow import parquet

    file = Path(path)
    if not file.is_file():
        raise NotFound(f"{file}: no such file; give the path of a Parquet, CSV or zip file")
    kind = file.suffix.lower()
    try:
        if kind in (".parquet", ".pq"):
            table = parquet.read_table(file)
            found = _match(table.column_names, str(file))
        elif kind == ".zip":
            table, found = _from_zip(file)
        elif kind in (".csv", ".gz"):
            table, found = _from_csv(
                lambda: pa.input_stream(str(file), compression="detect"), str(file)
            )
        else:
            raise InvalidInput(
                f"{file}: unknown kind of file {kind!r}; known are .parquet, .csv, .gz and .zip"
            )
        return _trades(table, found, symbol, Market(market), str(file))
    except (pa.ArrowException, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{file}: {error}") from error


def _from_zip(path: Path) -> tuple[Any, dict[str, str]]:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if len(members) != 1:
            raise InvalidInput(f"{path}: holds {len(members)} CSV files; one is meant")
        return _from_csv(lambda: archive.open(members[0]), f"{path}:{members[0]}")


def _from_csv(open_stream: Callable[[], IO[bytes]], where: str) -> tuple[Any, dict[str, str]]:
    import pyarrow as pa
    from pyarrow import csv

    with open_stream() as stream:
        first = stream.read(4096).decode("utf-8-sig", "replace").split("\n", 1)[0].strip()
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    is_header = not cells[0].isdigit()
    names = cells if is_header else _unnamed(cells, where)
    found = _match(names, where)
    types = {found[name]: pa.float64() for name in ("price", "quantity")}
    with open_stream() as stream:
        table = csv.read_csv(
            stream,
            read_options=csv.ReadOptions(
                column_names=names, skip_rows=1 if is_header else 0, block_size=4 << 20
            ),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(found.values())
            ),
        )
    return table, found


def _unnamed(cells: list[str], where: str) -> list[str]:
    """The column names of a dump without a header, told by its first row."""
    is_aggregated = len(cells) in (7, 8) and all(cells[i].isdigit() for i in (0, 3, 4, 5))
    if not is_aggregated:
        raise InvalidInput(
            f"{where}: has no header and is no dump of aggregated trades, which hold id, price, "
            f"quantity, first id, last id, time, buyer is maker; its first row is {cells}"
        )
    return [*AGGREGATED, *(["ignore"] if len(cells) == 8 else [])]


def _match(names: Iterable[str], where: str) -> dict[str, str]:
    """Our column names to those of a file or frame.

    Raises:
        InvalidInput: one of time, price and quantity is not there.
    """
    spelled: dict[str, str] = {}
    for name in names:
        bare = name.strip("\ufeff ")
        key = bare if len(bare) == 1 else bare.lower().replace("_", "").replace(" ", "")
        spelled.setdefault(key, name)
    found = {
        ours: next(spelled[alias] for alias in aliases if alias in spelled)
        for ours, aliases in _ALIASES.items()
        if any(alias in spelled for alias in aliases)
    }
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise InvalidInput(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(spelled.values())}"
        )
    return found


def _trades(table: Any, found: dict[str, str], symbol: str, market: Market, where: str) -> Trades:
    import pyarrow as pa

    def column(name: str, kind: Any) -> Any:
        values = table.column(found[name]).combine_chunks()
        if values.null_count:
            raise InvalidInput(
                f"{where}: {values.null_count} rows have no {name}; fill or drop them"
            )
        return values.cast(kind).to_numpy(zero_copy_only=False)

    size = table.num_rows
    count = np.ones(size, np.int64)
    if "first_id" in found and "last_id" in found:
        count = column("last_id", pa.int64()) - column("first_id", pa.int64()) + 1
    is_buyer_maker = np.zeros(size, np.bool_)
    if "is_buyer_maker" in found:
        is_buyer_maker = column("is_buyer_maker", pa.bool_())
    return Trades(
        symbol,
        market,
        _time_ms(table.column(found["time"]), column, where),
        column("price", pa.float64()),
        column("quantity", pa.float64()),
        is_buyer_maker,
        column("id", pa.int64()) if "id" in found else np.full(size, -1, np.int64),
        count,
    )


def _time_ms(raw: Any, column: Callable[[str, Any], Any], where: str) -> IntArray:
    """Stamps in s, ms, us or ns, or times of UTC, as milliseconds, rounded down."""
    import pyarrow as pa

    if pa.types.is_timestamp(raw.type):
        raw = raw.cast(pa.timestamp("ns", raw.type.tz))
        nanoseconds = raw.combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
        return np.asarray(nanoseconds // 10**6, np.int64)
    if not pa.types.is_integer(raw.type):
        raise InvalidInput(
            f"{where}: the time column holds {raw.type}; write whole milliseconds or times of UTC"
        )
    stamps = np.asarray(column("time", pa.int64()), np.int64)
    result = stamps.copy()
    # Each stamp is judged alone: joined dumps change their unit at the turn of 2025.
    result[stamps < 10**11] *= 1000
    for floor, ceiling, factor in ((10**14, 10**17, 10**3), (10**17, 2**63 - 1, 10**6)):
        finer = (stamps >= floor) & (stamps < ceiling)
        result[finer] //= factor
    return result
