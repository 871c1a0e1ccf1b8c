"""What callers may send: the bodies and queries of every route, and the rules of their fields.

Each rule that fails gives a `Problem` with a message key; all of them are collected before anything
is refused. Whether a symbol exists or a grid is worth starting is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from gridlab.api.errors import Problem
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Interval, Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import MAX_LEVELS, Spacing

SYMBOL = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)
MAX_DIGITS = 30
MAX_LIMIT = 1000
MIN_SPACING_PERC = Decimal("0.0001")
MAX_SPACING_PERC = Decimal(100)
MIN_AMOUNT = Decimal("1e-12")
MAX_AMOUNT = Decimal("1e12")
#: What `/api/stream` tells of.
TOPICS = ("snapshot", "bots", "fills", "orders", "prices", "jobs", "health")

Shape = TypeVar("Shape", bound="RequestShape")


def _refuse(key: str, **values: object) -> PydanticCustomError:
    return PydanticCustomError(key, "{key}", {"key": key, **values})


def normal_symbol(value: object) -> str:
    """The symbol in capitals; raises `ValueError` for anything that cannot be one."""
    if isinstance(value, str) and value.isascii() and SYMBOL.fullmatch(value.upper()):
        return value.upper()
    raise ValueError("not a symbol")


def _symbol(value: object) -> str:
    try:
        return normal_symbol(value)
    except ValueError:
        raise _refuse("symbol_shape") from None


def _levels(value: object) -> int:
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number or not Decimal(str(value)).is_finite() or Decimal(str(value)) <= 0:
        raise _refuse("levels_not_positive")
    if Decimal(str(value)) > MAX_LEVELS:
        raise _refuse("at_most", limit=MAX_LEVELS)
    if not isinstance(value, int):
        raise _refuse("levels_not_positive")
    if value < 2:
        raise _refuse("levels_too_few")
    return value


def _amount(low: Decimal, high: Decimal) -> Callable[[object], Decimal | None]:
    """A rule for a positive number between `low` and `high`; null counts as not given."""

    def check(value: object) -> Decimal | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise _refuse("not_number")
        number = Decimal(value)
        if not number.is_finite():
            raise _refuse("not_finite")
        if number <= 0:
            raise _refuse("not_positive")
        if number > high:
            raise _refuse("at_most", limit=f"{high:f}")
        if number < low:
            raise _refuse("at_least", limit=f"{low:f}")
        if len(number.as_tuple().digits) > MAX_DIGITS:
            raise _refuse("too_many_digits", limit=MAX_DIGITS)
        return number

    return check


def _choice(kind: Callable[[str], Any], choices: tuple[str, ...]) -> Callable[[object], Any]:
    def check(value: object) -> Any:
        if not isinstance(value, str) or value not in choices:
            raise _refuse("not_choice", choices=", ".join(choices))
        return kind(value)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _refuse("not_text")
    return value


def _limit(value: object) -> int:
    is_whole = isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value, re.ASCII)
    if not is_whole or not 1 <= int(str(value)) <= MAX_LIMIT:
        raise _refuse("not_whole_between", low=1, high=MAX_LIMIT)
    return int(str(value))


def _documented(check: Callable[[object], Any], **schema: Any) -> tuple[Any, Any]:
    """A rule, and what the API's document says of it."""
    return BeforeValidator(check), WithJsonSchema(schema)


def _number(low: Decimal, high: Decimal) -> dict[str, Any]:
    return {"type": ["number", "null"], "minimum": float(low), "maximum": float(high)}


def _choices(kind: type[StrEnum]) -> tuple[Any, Any]:
    names = tuple(kind)
    return _documented(_choice(kind, names), type="string", enum=[str(name) for name in names])


Symbol = Annotated[
    str,
    *_documented(_symbol, type="string", pattern="^[A-Za-z0-9]{1,20}$", examples=["BTCUSDT"]),
]
MarketType = Annotated[Market, *_choices(Market)]
Price = Annotated[
    Decimal | None,
    *_documented(_amount(MIN_AMOUNT, MAX_AMOUNT), **_number(MIN_AMOUNT, MAX_AMOUNT)),
]
Percentage = Annotated[
    Decimal | None,
    *_documented(
        _amount(MIN_SPACING_PERC, MAX_SPACING_PERC), **_number(MIN_SPACING_PERC, MAX_SPACING_PERC)
    ),
]
Limit = Annotated[int, *_documented(_limit, type="integer", minimum=1, maximum=MAX_LIMIT)]
Levels = Annotated[int, *_documented(_levels, type="integer", minimum=2, maximum=MAX_LEVELS)]


class RequestShape(BaseModel):
    """Base of everything that is sent: no field beyond the known ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GridConfig(RequestShape):
    """The grid asked for: by `spacing_perc` (a percentage), or by both prices."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["spacing_perc"]},
                {"required": ["lower_price", "upper_price"]},
            ]
        }
    )

    initial_levels: Levels
    spacing_perc: Percentage = None
    market_type: MarketType = Market.SPOT
    lower_price: Price = None
    upper_price: Price = None
    grid_mode: Annotated[Spacing, *_choices(Spacing)] = Spacing.GEOMETRIC
    investment: Price = None
    quantity: Price = None


class GridRequest(RequestShape):
    """Body of `/api/grid/config` and `/api/grid/start`."""

    symbol: Symbol
    config: GridConfig


class StopRequest(RequestShape):
    """Body of `/api/grid/stop`; `policy` says what happens to the base asset that is held."""

    symbol: Symbol
    policy: Annotated[StopPolicy, *_choices(StopPolicy)] = StopPolicy.KEEP


class ModeRequest(RequestShape):
    """Body of `POST /api/operation_mode`."""

    mode: Annotated[str, *_documented(_text, type="string", enum=[str(mode) for mode in Mode])]


class KlinesQuery(RequestShape):
    interval: Annotated[Interval, *_choices(Interval)] = Interval.H1
    limit: Limit = 100
    market_type: MarketType = Market.SPOT


class MarketQuery(RequestShape):
    market_type: MarketType = Market.SPOT


class PairsQuery(RequestShape):
    """Query of `/api/pairs`; `limit` is how many symbols are told, the best and largest first."""

    market_type: MarketType = Market.SPOT
    limit: Limit = 500


class TradesQuery(RequestShape):
    limit: Limit = 500


def _topics(value: object) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(str(value).split(",")))
    if not names or set(names) - set(TOPICS):
        raise _refuse("topics_unknown", choices=", ".join(TOPICS))
    return names


class StreamQuery(RequestShape):
    """`topics`: comma-separated; every topic when it is not given."""

    topics: Annotated[
        tuple[str, ...],
        *_documented(
            _topics,
            type="string",
            pattern=f"^({'|'.join(TOPICS)})(,({'|'.join(TOPICS)}))*$",
            examples=["bots,fills"],
        ),
    ] = TOPICS


class NoQuery(RequestShape):
    """A route that takes no query."""


def examine(shape: type[Shape], sent: Mapping[str, object]) -> tuple[Shape | None, list[Problem]]:
    """The checked values, or None and every problem found."""
    problems: list[Problem] = []
    checked: Shape | None = None
    try:
        checked = shape.model_validate(dict(sent))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(shape, one["type"], one["loc"], one) for one in found]
    if shape is GridRequest and isinstance(sent.get("config"), Mapping):
        config = cast(Mapping[str, object], sent["config"])
        problems += _between_fields(config, {problem.field for problem in problems})
    return (None if problems else checked), problems


def _problem(
    shape: type[RequestShape], kind: str, where: tuple[int | str, ...], found: Mapping[str, Any]
) -> Problem:
    """One of pydantic's errors in our words."""
    path = ".".join(str(part) for part in where)
    if kind == "missing":
        return Problem(path, "field_missing")
    if kind == "extra_forbidden":
        inner = GridConfig if where[0] == "config" and len(where) > 1 else shape
        return _unknown_field(path[:80], str(where[-1]), tuple(inner.model_fields))
    received = shortened(found.get("input"))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return Problem(path, "not_object", received=received)
    values = {k: v for k, v in found.get("ctx", {}).items() if k != "key"}
    return Problem(path, kind, values, received)


def _unknown_field(path: str, name: str, known: tuple[str, ...]) -> Problem:
    near = get_close_matches(name[:40], known, 1)
    if near:
        return Problem(path, "field_misspelt", {"nearest": near[0]})
    return Problem(path, "field_unknown", {"known": ", ".join(known) or "-"})


def _between_fields(config: Mapping[str, object], wrong: set[str]) -> list[Problem]:
    """Problems between fields of a grid configuration, whatever else is wrong with it."""
    given = {name for name, value in config.items() if value is not None}
    bounds = given & {"lower_price", "upper_price"}
    problems = []
    if "spacing_perc" in given and bounds:
        problems.append(Problem("config.spacing_perc", "spacing_and_bounds"))
    elif "spacing_perc" not in given and not bounds:
        problems.append(Problem("config.spacing_perc", "field_missing"))
    elif len(bounds) == 1:
        there = bounds.pop()
        missing = "upper_price" if there == "lower_price" else "lower_price"
        problems.append(Problem(f"config.{missing}", "bound_alone", {"other": there}))
    elif bounds and not wrong & {"config.lower_price", "config.upper_price"}:
        lower, upper = (Decimal(str(config[name])) for name in ("lower_price", "upper_price"))
        if lower >= upper:
            problems.append(Problem("config.lower_price", "bounds_crossed"))
    if {"quantity", "investment"} <= given:
        problems.append(Problem("config.investment", "quantity_and_investment"))
    return problems


def shortened(value: object) -> str:
    """What was sent, as text of at most 60 characters."""
    if isinstance(value, Mapping):
        return "{...}"
    if isinstance(value, list):
        return "[...]"
    plain = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    shown = plain or ("null" if value is None else str(value))
    return shown if len(shown) <= 60 else shown[:57] + "..."
