"""The settings of a row: how they are read, which grid they make at a price, how they are written.

They are those of `make_grid`, and `width`: the fraction of the start price by which the lowest and
the highest line lie below and above it. Knows one row and no space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from gridlab.domain.market import FeeSchedule, Instrument
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidNumber, InvalidSpec
from gridlab.grid.preflight import plan_grid
from gridlab.money import ONE, ZERO, parse, rounding, text
from gridlab.research.grids import make_grid, setting, setting_names

#: Settings that take numbers, and may therefore be written as a range.
NUMERIC = (
    *("levels", "spacing", "width", "lower", "upper", "investment", "quantity", "fees"),
    *("leverage", "liquidation_buffer"),
)
#: Of these, the ones that are whole numbers.
WHOLE = ("levels", "leverage")
#: Values of one range at most: more is a slip of the step.
MOST_VALUES = 100_000


@dataclass(frozen=True)
class Refusal:
    """A setting that cannot start at a price.

    Args:
        row: its place in the space.
        reasons: every rule that forbids it, each a full sentence.
    """

    row: int
    settings: Mapping[str, object]
    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """False, as a plan's `ok` that may not start."""
        return False

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def range_of(name: str, words: str) -> tuple[Decimal | int, ...]:
    """The values of `"first:last:step"`, the last included when a step meets it.

    Whole numbers may leave the step out. Percent signs stand at all three numbers or at none.

    Raises:
        InvalidInput: not three numbers, a step that leads nowhere, or a hundred thousand values.

    >>> range_of("levels", "10:35:10"), range_of("spacing", "0.5%:0.75%:0.25%")
    ((10, 20, 30), (Decimal('0.0050'), Decimal('0.0075')))
    """
    parts = [part.strip() for part in words.split(":")]
    if len(parts) == 2 and name in WHOLE:
        parts.append("1")
    if len(parts) != 3 or len({part.endswith("%") for part in parts}) != 1:
        raise InvalidInput(
            f"{name} is {words!r}; a range is first:last:step, such as 10:60:10 or 0.3%:1.5%:0.1%"
        )
    factor = Decimal("0.01") if parts[0].endswith("%") else ONE
    with rounding():
        first, last, step = (parse(p.removesuffix("%").strip(), name) * factor for p in parts)
    if step <= ZERO or last < first:
        raise InvalidInput(
            f"{name} is {words!r}; the step is above zero and the last value not below the first"
        )
    with rounding():
        count = int((last - first) / step) + 1
        if count > MOST_VALUES:
            raise InvalidInput(
                f"{name} is {words!r}, which is {count:,} values; use a wider step, at most "
                f"{MOST_VALUES:,} values"
            )
        values = [first + step * k for k in range(count)]
    if name in WHOLE:
        return tuple(int(value) if value == int(value) else value for value in values)
    return tuple(values)


def spec_of(symbol: str, settings: Mapping[str, Any], price: Decimal) -> GridSpec:
    """The grid of some settings at a start price; `width` becomes lower and upper.

    Raises:
        InvalidSpec: a grid that cannot be; every problem is named.
    """
    settings = dict(settings)
    width = settings.pop("width", None)
    if width is not None:
        others = [n for n in ("spacing", "lower", "upper") if settings.get(n) is not None]
        if others:
            raise InvalidSpec(f"width and {', '.join(others)} are given; choose one of them")
        if not ZERO < width < ONE:
            raise InvalidSpec(
                f"width is {text(width)}; it is the fraction of the price on either side, above 0 "
                "and below 1"
            )
        with rounding():
            settings |= {"lower": price * (ONE - width), "upper": price * (ONE + width)}
    return make_grid(symbol, **settings)


def plan_of(
    row: int, symbol: str, settings: Mapping[str, object], price: Decimal, instrument: Instrument
) -> GridPlan | Refusal:
    """The plan of some settings laid at `price`, or why they cannot start there."""
    try:
        plan = plan_grid(spec_of(symbol, settings, price), instrument, price)
    except InvalidSpec as error:
        return Refusal(row, settings, error.problems)
    if plan.ok:
        return plan
    failures = (f.message for f in plan.findings if f.severity is Severity.FAIL)
    return Refusal(row, settings, tuple(failures))


def read_setting(name: str, value: Any) -> Any:
    """`value` as the setting `name` is kept: exact, of its type; `width` as `spacing` is read.

    Raises:
        InvalidNumber: a float, or a text that is no number.
    """
    if name != "width":
        return setting(name, value)
    try:
        return setting("spacing", value)
    except InvalidNumber as error:
        raise InvalidNumber(str(error).replace("spacing", "width")) from None


def as_json(value: object) -> Any:
    """One value of a setting in plain JSON; exact numbers as their digits."""
    if isinstance(value, FeeSchedule):
        return {name: as_json(part) for name, part in asdict(value).items()}
    if isinstance(value, Decimal):
        return text(value)
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def shown(value: object) -> str:
    """One value of a setting in few words, for pictures, tables and reprs.

    >>> shown(Decimal("0.0050")), shown(FeeSchedule())
    ('0.005', '0.001/0.001 received')
    """
    if isinstance(value, FeeSchedule):
        return f"{text(value.maker)}/{text(value.taker)} {value.mode}"
    return text(value) if isinstance(value, Decimal) else str(value)


def names() -> list[str]:
    """The settings of a space: those of a grid but its symbol, and `width`."""
    return [name for name in (*setting_names(), "width") if name != "symbol"]
