"""`Funding`: the funding rates of one perpetual contract, checked when made, read from files.

Three forms of Binance are read: a table `symbol, funding_time, funding_rate`; the answer of
`GET /fapi/v1/fundingRate`; the monthly dump `calc_time, funding_interval_hours, last_funding_rate`.
Rates keep the digits that were written. Knows no position and no price: what a payment comes to is
the venue's affair.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from gridlab.clock import iso
from gridlab.data.aggregate import IntArray
from gridlab.data.columns import stamps_to_ms
from gridlab.errors import InvalidInput, NotFound
from gridlab.money import from_float, parse, text

if TYPE_CHECKING:
    import pandas as pd

#: What `Funding.of` takes.
FundingData: TypeAlias = Union[
    "Funding", "pd.DataFrame", "pd.Series[Any]", Path, str, Sequence[tuple[int, Any]]
]
#: A rate beyond this is a percentage, or no rate. Source: Binance caps funding at a few percent.
LARGEST_RATE = Decimal("0.1")
#: Stamps of the exchange are some milliseconds late; distances are told by the minute.
_MINUTE_MS = 60_000
_TIMES = ("fundingtime", "calctime", "time", "timestamp", "date", "datetime")
_RATES = ("fundingrate", "lastfundingrate", "rate")


@dataclass(frozen=True, slots=True, eq=False)
class Funding:
    """Rates of one contract, oldest first.

    Args:
        time_ms: int64, ascending, unique: when each rate is paid.
        rates: fractions of the position's value, not percent; when positive, longs pay.
        source: where they come from, in words.

    Raises:
        InvalidInput: with the first row that breaks a rule, its value and the remedy.
    """

    symbol: str
    time_ms: IntArray
    rates: tuple[Decimal, ...]
    source: str = "handed in"

    def __post_init__(self) -> None:
        times = np.asarray(self.time_ms, dtype=np.int64).view()
        times.flags.writeable = False
        object.__setattr__(self, "time_ms", times)
        if times.shape != (len(self.rates),):
            raise InvalidInput(
                f"{self.symbol}: {len(self.rates)} funding rates and times of shape {times.shape}; "
                "give one time for each rate"
            )
        late = np.flatnonzero(np.diff(times) <= 0)
        if len(late):
            row = int(late[0]) + 1
            self._refuse(
                row,
                f"does not come after the row before it, {iso(int(times[row - 1]))}; sort the rows "
                "and keep each time once",
            )
        for row, rate in enumerate(self.rates):
            if not -LARGEST_RATE < rate < LARGEST_RATE:
                self._refuse(
                    row,
                    f"rate {text(rate)} is not between {text(-LARGEST_RATE)} and "
                    f"{text(LARGEST_RATE)}; a fraction such as 0.0001 is meant, not a percentage",
                )

    def _refuse(self, row: int, what: str) -> None:
        when = iso(int(self.time_ms[row]))
        raise InvalidInput(f"{self.symbol} funding: row {row} ({when}): {what}")

    def __len__(self) -> int:
        return len(self.rates)

    def __eq__(self, other: object) -> bool:
        """Whether symbol, times and rates are the same, whatever the source."""
        if not isinstance(other, Funding):
            return NotImplemented
        same = self.symbol == other.symbol and self.rates == other.rates
        return same and np.array_equal(self.time_ms, other.time_ms)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head = f"Funding({self.symbol}, {len(self)} payments"
        if not len(self):
            return head + ")"
        return f"{head}, {iso(int(self.time_ms[0]))} to {iso(int(self.time_ms[-1]))})"

    @classmethod
    def of(cls, value: FundingData, symbol: str) -> Funding:
        """The rates of `symbol` in a `Funding`, a frame, a series, a file, or (time_ms, rate) rows.

        Raises:
            NotFound: no such file, or no row of `symbol` in it.
            InvalidInput: the rates of another symbol, or a form that cannot be read.
        """
        if isinstance(value, Funding):
            if value.symbol != symbol:
                raise InvalidInput(f"the funding rates are of {value.symbol} and not of {symbol}")
            return value
        if isinstance(value, (str, Path)):
            return read_funding(value, symbol=symbol)
        if hasattr(value, "index") and hasattr(value, "dtypes"):
            return _from_pandas(value, symbol)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise InvalidInput(
                f"funding is a {type(value).__name__}; give a path, a frame, a series, or rows of "
                "(time in ms, rate)"
            )
        return _of_rows([(str(row[0]), row[1]) for row in value], symbol, "handed in")

    def slice(self, start_ms: int, end_ms: int) -> Funding:
        """What is paid from `start_ms` to before `end_ms`."""
        first, last = (int(n) for n in np.searchsorted(self.time_ms, [start_ms, end_ms]))
        return Funding(self.symbol, self.time_ms[first:last], self.rates[first:last], self.source)

    @property
    def interval_ms(self) -> int:
        """The most common distance between payments, by the minute; 0 when there are not two."""
        if len(self) < 2:
            return 0
        steps = np.rint(np.diff(self.time_ms) / _MINUTE_MS).astype(np.int64)
        values, counts = np.unique(steps, return_counts=True)
        return int(values[np.argmax(counts)]) * _MINUTE_MS

    def gaps(self) -> list[tuple[int, int]]:
        """(last paid, next paid) around each place where a payment or more is missing."""
        width = self.interval_ms
        wide = np.flatnonzero(np.diff(self.time_ms) > 1.5 * width) if width else ()
        return [(int(self.time_ms[i]), int(self.time_ms[i + 1])) for i in wide]


def read_funding(path: Path | str, *, symbol: str) -> Funding:
    """The rates of `symbol` in a JSON or CSV file, the latter also as .csv.gz or in a zip.

    Raises:
        NotFound: no such file, or no row of `symbol`.
        InvalidInput: a form that cannot be read, or a row that breaks a rule.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFound(f"{path}: no such file; give the path of a CSV, JSON or zip file of rates")
    try:
        written = _text_of(path)
        if written.lstrip()[:1] in ("[", "{"):
            rows = _rest_rows(json.loads(written))
        else:
            rows = list(csv.DictReader(io.StringIO(written)))
    except (UnicodeDecodeError, ValueError, OSError, csv.Error, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path}: {error}") from error
    return _of_rows(_own_rows(rows, symbol, str(path)), symbol, f"the file {path.name}")


def _text_of(path: Path) -> str:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise InvalidInput(f"{path}: holds {len(names)} files; one is meant")
            return archive.read(names[0]).decode("utf-8-sig")
    content = path.read_bytes()
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")


def _rest_rows(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise InvalidInput("the JSON is no list of objects, as GET /fapi/v1/fundingRate answers")
    return document


def _own_rows(
    rows: Sequence[Mapping[str, Any]], symbol: str, where: str
) -> Iterable[tuple[str, Any]]:
    """(time, rate) of each row of `symbol`; a table without symbols is of that symbol alone."""
    if not rows:
        raise NotFound(f"{where}: holds no funding rate")
    spelled = {str(name).lower().replace("_", "").strip(): name for name in rows[0]}
    time, rate = (
        next((spelled[name] for name in names if name in spelled), None)
        for names in (_TIMES, _RATES)
    )
    if time is None or rate is None:
        raise InvalidInput(
            f"{where}: has columns {', '.join(map(str, rows[0]))}; a time ({', '.join(_TIMES)}) "
            f"and a rate ({', '.join(_RATES)}) are needed"
        )
    name = spelled.get("symbol")
    own = [row for row in rows if name is None or row[name] == symbol]
    if not own and name is not None:
        known = ", ".join(sorted({str(row[name]) for row in rows}))
        raise NotFound(f"{where}: has no rate of {symbol}; it has {known}")
    return [(str(row[time]), row[rate]) for row in own]


def _of_rows(rows: Iterable[tuple[str, Any]], symbol: str, source: str) -> Funding:
    listed = list(rows)
    try:
        stamps = np.array([int(time) for time, _ in listed], np.int64)
    except ValueError as error:
        raise InvalidInput(
            f"{symbol} funding: {error}; times are whole milliseconds, UTC"
        ) from None
    rates = tuple(_exact(rate, f"rate of row {row}") for row, (_, rate) in enumerate(listed))
    return Funding(symbol, stamps_to_ms(stamps, f"{symbol} funding"), rates, source)


def _exact(rate: Any, name: str) -> Decimal:
    """Rates are recorded data: a float is the double of what was written."""
    is_float = isinstance(rate, (float, np.floating))
    return from_float(float(rate), name) if is_float else parse(rate, name)


def _from_pandas(value: Any, symbol: str) -> Funding:
    """A series of rates by time, or a frame with such a column."""
    import pandas as pd

    if isinstance(value, pd.Series):
        value = value.rename("rate").to_frame()
    if isinstance(value.index, pd.DatetimeIndex):
        if value.index.tz is None:
            raise InvalidInput(
                f"{symbol} funding: its times have no zone; make them tz-aware, for example with "
                "tz_localize('UTC')"
            )
        stamps = value.index.tz_convert("UTC").as_unit("ms").asi8
        value = value.reset_index(drop=True).assign(time=stamps)
    elif "time" not in value.columns and not any(
        str(name).lower().replace("_", "") in _TIMES for name in value.columns
    ):
        value = value.rename_axis("time").reset_index()
    rows = value.to_dict("records")
    return _of_rows(_own_rows(rows, symbol, f"{symbol} funding"), symbol, "handed in")
