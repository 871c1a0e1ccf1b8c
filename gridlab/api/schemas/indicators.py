"""Technical indicators, row by row."""

from __future__ import annotations

from pydantic import ConfigDict

from gridlab.api.schemas.base import Shape, Stamp
from gridlab.domain.market import Interval, Market

#: The line that `value` shows, where it is not the first one.
_MAIN_LINES = {"BBANDS": "middle"}
_ONLY_LINE = "value"


class IndicatorRow(Shape):
    """One candle: its open time, the main line, and each line of several by its name beside it.

    A number is null where it is not defined, such as an RSI before the price ever changed.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="allow")
    __pydantic_extra__: dict[str, float | None]

    timestamp: int
    value: float | None


class Indicators(Stamp):
    """`/api/indicators`. The first `warmup` candles of the window have no row: the history before
    them is too short.

    `period` is null for an indicator that takes none; `main_line` is the line that `value` shows.
    The last row is as provisional as its candle, which may still be open.
    """

    indicator: str
    period: int | None
    values: list[IndicatorRow]
    symbol: str
    interval: Interval
    market_type: Market
    lines: list[str]
    main_line: str
    parameters: dict[str, int]
    warmup: int


def main_line(name: str, lines: list[str]) -> str:
    """The line of `lines` that `value` shows."""
    return _MAIN_LINES.get(name, lines[0])


def indicator_row(time_ms: int, lines: dict[str, float | None], main: str) -> IndicatorRow:
    """One row; a single line that is called `value` is not repeated."""
    beside = {name: value for name, value in lines.items() if name != _ONLY_LINE}
    return IndicatorRow.model_validate({"timestamp": time_ms, "value": lines[main], **beside})
