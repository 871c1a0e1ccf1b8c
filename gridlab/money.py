"""The Decimal policy: how exact numbers are read, rounded and written.

Money is `Decimal`, built from `str` or `int` only. Work on it happens under `exact()`, a context of
64 digits in which any rounding, and any float that slips in, raises. The few places that must
round (lot, tick, commission, geometric levels) say so by calling a function of this module.
Knows no price, no order and no grid.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import TypeAlias

from gridlab.errors import InvalidNumber

ZERO = Decimal(0)
ONE = Decimal(1)
Number: TypeAlias = Decimal | int | str

#: Digits that a product of two venue numbers can need: 18 before and 8 after the point, twice.
PRECISION = 64

_EXACT = Context(
    prec=PRECISION,
    rounding=ROUND_HALF_EVEN,
    traps=[
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.Inexact,
        decimal.FloatOperation,
    ],
)
_ROUNDING = Context(
    prec=PRECISION,
    rounding=ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


def exact() -> decimal._ContextManager:
    """A context manager under which an inexact result or a float raises instead of passing."""
    return decimal.localcontext(_EXACT)


def rounding() -> decimal._ContextManager:
    """A context manager of 64 digits that may round: for ratios, roots and displayed figures."""
    return decimal.localcontext(_ROUNDING)


def parse(value: Number, name: str = "value") -> Decimal:
    """The exact finite Decimal that `value` writes.

    Args:
        value: a str, an int or a Decimal; floats and booleans are refused, because they have
            already lost what the user typed.
        name: what to call it in the error.

    Raises:
        InvalidNumber: not a str, int or Decimal; not a number; NaN or infinite.

    >>> parse("0.10")
    Decimal('0.10')
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InvalidNumber(
            f"{name} is {value!r} ({type(value).__name__}); give a string such as '0.1' or an "
            "integer, so that no digit is lost"
        )
    try:
        number = Decimal(value)
    except decimal.InvalidOperation:
        raise InvalidNumber(f"{name} is {value!r}, which is not a number") from None
    if not number.is_finite():
        raise InvalidNumber(f"{name} is {value!r}; it must be finite")
    return number


def from_float(value: float, name: str = "value") -> Decimal:
    """The Decimal of the shortest text that reads back as this float; for recorded market data."""
    return parse(repr(float(value)), name)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The greatest multiple of `step` that is not above `value`.

    >>> floor_to(Decimal("1.2399"), Decimal("0.01"))
    Decimal('1.23')
    """
    return _to_step(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The least multiple of `step` that is not below `value`."""
    return _to_step(value, step, ROUND_CEILING)


def round_to(value: Decimal, step: Decimal) -> Decimal:
    """The multiple of `step` nearest to `value`; a tie goes to the even multiple."""
    return _to_step(value, step, ROUND_HALF_EVEN)


def _to_step(value: Decimal, step: Decimal, how: str) -> Decimal:
    if step <= 0:
        raise InvalidNumber(f"step is {step}; it must be above zero")
    # The context's own methods, and no `with`: this runs some ten times for each fill.
    steps = _ROUNDING.divide(value, step).to_integral_value(rounding=how)
    return _ROUNDING.multiply(steps, step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is a whole multiple of `step` (the venue's `value % step == 0`)."""
    return not _ROUNDING.remainder(value, step)


def text(value: Decimal) -> str:
    """Plain digits, no exponent, no trailing zeros: the form that travels and is stored.

    >>> text(Decimal("1E-5")), text(Decimal("100.00"))
    ('0.00001', '100')
    """
    if not value:
        return "0"
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
