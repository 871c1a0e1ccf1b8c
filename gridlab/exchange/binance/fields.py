"""Reading one field of a payload: exactly, or with an error that names it. Pure.

Amounts travel as decimal strings and become Decimals of the same digits; ids and times are
integers. A payload of another form is refused: a guess would end up in an order or in the books.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridlab.errors import ExchangeUnavailable, InvalidNumber
from gridlab.money import ZERO, parse
from gridlab.money import text as shortest


def record(value: Any, where: str) -> Mapping[str, Any]:
    """`value` if it is a JSON object."""
    if not isinstance(value, dict):
        raise unusable(where, f"an object was expected, not {short(value)}")
    return value


def rows(value: Any, where: str) -> list[Any]:
    """`value` if it is a JSON array."""
    if not isinstance(value, list):
        raise unusable(where, f"a list was expected, not {short(value)}")
    return value


def number(entry: Mapping[str, Any], name: str, where: str) -> Decimal:
    """The exact Decimal in a field."""
    try:
        return parse(entry.get(name, ""), name)
    except InvalidNumber as error:
        raise unusable(where, str(error)) from None


def number_or_zero(entry: Mapping[str, Any], name: str, where: str) -> Decimal:
    """As `number`, zero where the field is missing, null or empty."""
    return ZERO if entry.get(name) in (None, "") else number(entry, name, where)


def step(entry: Mapping[str, Any], name: str, where: str) -> Decimal:
    """As `number`, in its shortest digits: prices and quantities made of steps take theirs.

    The venue writes 0.01000000 and a recording's rules 0.01; a grid's commands are the same bytes
    in every mode.
    """
    return parse(shortest(number(entry, name, where)), name)


def whole(entry: Mapping[str, Any], name: str, where: str) -> int:
    """The integer in a field; an integer in a string, as some ids are written, counts."""
    value = entry.get(name)
    if isinstance(value, str) and value.removeprefix("-").isascii():
        digits = value.removeprefix("-")
        if digits.isdigit() and len(digits) <= 20:
            return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise unusable(where, f"{name} is {short(value)}, not a whole number")
    return value


def text(entry: Mapping[str, Any], name: str, where: str) -> str:
    """The text in a field, which may be empty."""
    value = entry.get(name)
    if not isinstance(value, str):
        raise unusable(where, f"{name} is {short(value)}, not a text")
    return value


def named(entry: Mapping[str, Any], name: str, where: str) -> str:
    """The text in a field, which may not be empty."""
    value = text(entry, name, where)
    if not value:
        raise unusable(where, f"{name} is empty")
    return value


def flag(entry: Mapping[str, Any], name: str, where: str) -> bool:
    """The boolean in a field."""
    value = entry.get(name)
    if not isinstance(value, bool):
        raise unusable(where, f"{name} is {short(value)}, neither true nor false")
    return value


def short(value: Any) -> str:
    """What a message shows of a value."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def unusable(where: str, what: str) -> ExchangeUnavailable:
    """The error for a payload that is not what the protocol says."""
    return ExchangeUnavailable(
        f"the answer of {where} cannot be used: {what}; nothing was taken from it, check the "
        "address or try again"
    )
