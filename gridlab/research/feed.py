"""`bars_of`: whatever a user has candles in, as the `Bars` of one grid's symbol and market.

The edge of a backtest: a `Bars`, a pandas frame, a file, several files of one series. What a candle
must obey is said in `gridlab.data.bars`, what a file may look like in `gridlab.data.columns`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np

from gridlab.data.bars import Bars, read_bars
from gridlab.data.columns import KLINE_COLUMNS
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import pandas as pd

#: What `backtest` takes as its data.
Data: TypeAlias = Union[Bars, "pd.DataFrame", Path, str, Sequence[Path | str]]


class Wanted(Protocol):
    """What candles are for: a grid, a space of grids, the ranges of a study."""

    @property
    def symbol(self) -> str: ...

    @property
    def market(self) -> Market: ...


def bars_of(data: Data, spec: Wanted, *, interval: Interval | None = None) -> Bars:
    """The candles in `data`, taken to be of the symbol and the market of `spec`.

    Args:
        data: `Bars`, returned as they are; a DataFrame (see `Bars.from_frame`), also one of
            Binance's twelve columns without names, as its API lists them; the path of a Parquet,
            CSV or zip file, in Binance's own form or with named columns; or several such paths,
            joined in the order of their times, as monthly dumps are.
        interval: the width of a candle; by default inferred from the stamps.

    Raises:
        NotFound: no such file.
        InvalidInput: anything else, or candles that cannot be read.
    """
    if isinstance(data, Bars):
        return data
    if isinstance(data, (str, Path)):
        return _of_file(data, spec, interval)
    # A frame can only have come from a pandas that is loaded; nobody else pays for the import.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        named = _named(data)
        return Bars.from_frame(named, symbol=spec.symbol, market=spec.market, interval=interval)
    if isinstance(data, Sequence) and data and all(isinstance(one, (str, Path)) for one in data):
        return _joined([_of_file(one, spec, interval) for one in data])
    raise InvalidInput(
        f"the data is a {type(data).__name__}; give Bars, a pandas DataFrame, or the path of a "
        "Parquet, CSV or zip file of candles"
    )


def _of_file(path: Path | str, spec: Wanted, interval: Interval | None) -> Bars:
    try:
        return read_bars(path, symbol=spec.symbol, market=spec.market, interval=interval)
    except NotFound as error:
        if isinstance(path, str) and path == spec.symbol:
            raise NotFound(
                f"{path!r} is a symbol and no file; for its bundled recording give "
                f"gridlab.load({path!r}), for your own the path of a file"
            ) from error
        raise


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with Binance's names, if its columns are the twelve numbered ones of a kline."""
    if list(frame.columns) == list(range(len(KLINE_COLUMNS))):
        return frame.set_axis(list(KLINE_COLUMNS), axis=1)
    return frame


def _joined(parts: list[Bars]) -> Bars:
    """One series of several, oldest first; `Bars` refuses what overlaps."""
    widths = sorted({part.interval for part in parts}, key=lambda interval: interval.ms)
    if len(widths) > 1:
        raise InvalidInput(
            f"{parts[0].symbol}: files of {' and '.join(widths)} cannot be one series; give files "
            "of one interval"
        )
    ordered = sorted((part for part in parts if len(part)), key=lambda b: int(b.open_time_ms[0]))
    if not ordered:
        return parts[0]
    columns: list[Any] = [
        np.concatenate([getattr(part, field.name) for part in ordered])
        for field in fields(Bars)[3:]
    ]
    return Bars(ordered[0].symbol, ordered[0].market, ordered[0].interval, *columns)
