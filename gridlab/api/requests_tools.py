"""What callers may send to indicators, models, checks, debugging, jobs, records and control.

The rules and the way of telling what is wrong are those of `requests`. Each bound stands twice in
a type: the rule refuses in words, and the schema beside it goes into the API's document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gridlab.api.requests import (
    GridRequest,
    Limit,
    MarketType,
    RequestShape,
    Symbol,
    normal_symbol,
)
from gridlab.domain.market import Interval, Market
from gridlab.domain.pages import ORDER_CURSOR

#: The documented names; each is also taken in small letters.
INDICATORS: Final = (
    *("RSI", "SMA", "EMA", "MACD", "ATR", "ADX", "BBANDS", "STOCH", "VWAP", "OBV", "FIBONACCI"),
)
FILL_RULES: Final = ("touch", "through")
REPORTS: Final = ("daily", "pair", "performance")
MAX_PERIOD: Final = 1000
MAX_LINES: Final = 1000
MAX_SHADOW_SECONDS: Final = 60
MAX_TEXT: Final = 5000
MAX_REASON: Final = 200
MAX_FEATURES: Final = 200
MAX_FEATURE_NAME: Final = 64
MAX_FEATURE: Final = Decimal("1e15")
#: The largest whole number that every JSON reader keeps exact.
MAX_CURSOR: Final = 2**53 - 1
#: 2100-01-01, in UTC milliseconds.
MAX_TIME_MS: Final = 4_102_444_800_000

RUN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_FEATURE_NAME}}}", re.ASCII)
_READABLE = re.compile(r"\S")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Halves of a character, which JSON can write and no text can hold.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SYMBOL = "^[A-Za-z0-9]{1,20}$"
_WHOLE = re.compile(r"[0-9]{1,16}", re.ASCII)


def _refuse(key: str, **values: object) -> PydanticCustomError:
    return PydanticCustomError(key, "{key}", {"key": key, **values})


def _whole(low: int, high: int) -> Callable[[object], int]:
    """A rule for a whole number of a query, which comes as digits."""

    def check(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value) and low <= int(value) <= high:
            return int(value)
        raise _refuse("not_whole_between", low=low, high=high)

    return check


def _order_cursor(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(ORDER_CURSOR, value, re.ASCII):
        return value
    raise _refuse("not_an_order_cursor")


def _time_ms(value: object) -> int | None:
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 0 <= int(str(value)) <= MAX_TIME_MS:
        raise _refuse("not_whole_between", low=0, high=MAX_TIME_MS)
    return int(str(value))


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _refuse("not_boolean")


def _one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise _refuse("not_choice", choices=", ".join(choices))
        return value

    return check


def _indicator(value: object) -> str:
    name = value.upper() if isinstance(value, str) and value.isascii() else value
    return _one_of(INDICATORS)(name)


def _interval(value: object) -> Interval:
    return Interval(_one_of(tuple(Interval))(value))


def _words(limit: int, *, one_line: bool = False) -> Callable[[object], str]:
    """A rule for a text that has something to read in it."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise _refuse("not_text")
        if len(value) > limit:
            raise _refuse("text_too_long", limit=limit)
        if _SURROGATE.search(value) or (one_line and _CONTROL.search(value)):
            raise _refuse("text_control")
        if not _READABLE.search(value):
            raise _refuse("text_empty")
        return value

    return check


def _maybe_symbol(value: object) -> str | None:
    if value is None:
        return None
    try:
        return normal_symbol(value)
    except ValueError:
        raise _refuse("symbol_shape") from None


def _run(value: object) -> str | None:
    if isinstance(value, str) and RUN.fullmatch(value):
        return value
    raise _refuse("run_shape")


def _order(value: object) -> str:
    if isinstance(value, str) and RUN.fullmatch(value):
        return value
    raise _refuse("order_shape")


def _features(value: object) -> dict[str, float]:
    """Finite numbers by name; a Decimal of a body becomes a float here, as a model takes it."""
    if not isinstance(value, Mapping) or not 1 <= len(value) <= MAX_FEATURES:
        raise _refuse("features_shape", limit=MAX_FEATURES)
    found: dict[str, float] = {}
    for name, number in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _refuse("feature_name", limit=MAX_FEATURE_NAME)
        if isinstance(number, bool) or not isinstance(number, (int, Decimal)):
            raise _refuse("feature_number", name=name)
        if not Decimal(number).is_finite() or abs(Decimal(number)) > MAX_FEATURE:
            raise _refuse("feature_number", name=name)
        found[name] = float(number)
    return found


def _documented(check: Callable[[object], Any], **schema: Any) -> tuple[Any, Any]:
    """A rule, and what the API's document says of it."""
    return BeforeValidator(check), WithJsonSchema(schema)


def _bounded(low: int, high: int) -> tuple[Any, Any]:
    return _documented(_whole(low, high), type="integer", minimum=low, maximum=high)


def _choices(choices: tuple[str, ...]) -> tuple[Any, Any]:
    return _documented(_one_of(choices), type="string", enum=list(choices))


Flag = Annotated[bool, *_documented(_flag, type="boolean")]
IndicatorName = Annotated[str, *_documented(_indicator, type="string", enum=list(INDICATORS))]
IntervalName = Annotated[
    Interval, *_documented(_interval, type="string", enum=[str(width) for width in Interval])
]
Period = Annotated[int | None, *_bounded(1, MAX_PERIOD)]
Lines = Annotated[int, *_bounded(1, MAX_LINES)]
Seconds = Annotated[int, *_bounded(1, MAX_SHADOW_SECONDS)]
Cursor = Annotated[int, *_bounded(0, MAX_CURSOR)]
OrderCursorText = Annotated[
    str, *_documented(_order_cursor, type="string", pattern=f"^{ORDER_CURSOR}$")
]
TimeMs = Annotated[
    int | None,
    *_documented(_time_ms, type=["integer", "null"], minimum=0, maximum=MAX_TIME_MS),
]
Text = Annotated[
    str,
    *_documented(_words(MAX_TEXT), type="string", pattern=r"\S", minLength=1, maxLength=MAX_TEXT),
]
Reason = Annotated[
    str,
    *_documented(
        _words(MAX_REASON, one_line=True),
        type="string",
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        minLength=1,
        maxLength=MAX_REASON,
    ),
]
#: A union with None would report a wrong symbol twice. A query cannot say null, a body can.
QuerySymbol = Annotated[
    str | None,
    *_documented(_maybe_symbol, type="string", pattern=_SYMBOL, examples=["BTCUSDT"]),
]
MaybeSymbol = Annotated[
    str | None, *_documented(_maybe_symbol, type=["string", "null"], pattern=_SYMBOL)
]
Run = Annotated[str | None, *_documented(_run, type="string", pattern=f"^{RUN.pattern}$")]
Features = Annotated[
    dict[str, float],
    *_documented(
        _features,
        type="object",
        minProperties=1,
        maxProperties=MAX_FEATURES,
        propertyNames={"pattern": f"^{_NAME.pattern}$"},
        additionalProperties={
            "type": "number",
            "minimum": float(-MAX_FEATURE),
            "maximum": float(MAX_FEATURE),
        },
    ),
]
OrderName = Annotated[str, *_documented(_order, type="string", pattern=f"^{RUN.pattern}$")]
ReportName = Annotated[str, *_choices(REPORTS)]
FillRuleName = Annotated[str, *_choices(FILL_RULES)]


class IndicatorQuery(RequestShape):
    """`type` has no default; without `period` the documented one, 14, is used."""

    type: IndicatorName
    period: Period = None
    interval: IntervalName = Interval.H1
    limit: Limit = 500
    market_type: MarketType = Market.SPOT


class LogsQuery(RequestShape):
    lines: Lines = 100


class ShadowQuery(RequestShape):
    """With `wait=false` the answer is the job, at once."""

    seconds: Seconds = 3
    wait: Flag = True


class OrdersQuery(RequestShape):
    """`cursor` is the `next_cursor` of the last page; 0 begins with the oldest of the market."""

    symbol: QuerySymbol = None
    market_type: MarketType = Market.SPOT
    cursor: OrderCursorText = "0"
    limit: Limit = 100
    open_only: Flag = False


class FillsQuery(RequestShape):
    """`cursor` is the `next_cursor` of the last page; 0 begins with the oldest."""

    symbol: QuerySymbol = None
    cursor: Cursor = 0
    limit: Limit = 100


class EventsQuery(RequestShape):
    """`run` is a bot's run, as its status names it."""

    run: Run = None
    cursor: Cursor = 0
    limit: Limit = 100


class TextRequest(RequestShape):
    """Body of `/api/sentiment/analyze` and `/api/test/sentiment`."""

    text: Text


class TabularRequest(RequestShape):
    """Body of `/api/model/predict/tabular`: numbers by feature name."""

    features: Features
    symbol: MaybeSymbol = None


class RlRequest(RequestShape):
    """Body of `/api/model/predict/rl`: the market's state, numbers by name."""

    state: Features
    symbol: MaybeSymbol = None


class KillRequest(RequestShape):
    """Body of `/api/kill`; may be left out."""

    reason: Reason = "kill switch"


class AiReportRequest(RequestShape):
    """Body of `/api/ai/report`; a pair's report, and no other, takes a symbol."""

    kind: ReportName
    symbol: MaybeSymbol = None


class AiExplainRequest(RequestShape):
    """Body of `/api/ai/explain`; `run` is a run or a symbol, which a venue's order id needs."""

    order: OrderName
    run: Run = None


class AiProposeRequest(RequestShape):
    """Body of `/api/ai/propose`."""

    symbol: Symbol
    market_type: MarketType = Market.SPOT


class NoBody(RequestShape):
    """A change that takes no field; its body may be left out or be `{}`."""


class BacktestRequest(GridRequest):
    """Body of `/api/backtest`: the grid, and the part of the recording; null is all of it."""

    start_ms: TimeMs = None
    end_ms: TimeMs = None
    fill_rule: FillRuleName = "touch"
