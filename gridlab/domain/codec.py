"""Frozen values to canonical JSON and back, without loss.

Canonical: keys sorted, no spaces, Decimals as their digits in strings. The same value gives the
same bytes on every machine and in every process, so hashes of them can be compared. Which types may
appear is listed in `_TYPES`; an unknown one raises instead of being guessed.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from gridlab.domain import account, commands, events, market, orders, spec
from gridlab.errors import InvalidInput

_TYPES: dict[str, type] = {
    kind.__name__: kind
    for module in (events, commands, orders, market, account, spec)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == module.__name__
}


def encode(value: Any) -> str:
    """Canonical JSON of one of the domain's dataclasses, or of a list of them."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Any:
    """The value that `encode` wrote.

    Raises:
        InvalidInput: not JSON, or of a type that this version does not know.
    """
    try:
        return _value(json.loads(text))
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise InvalidInput(f"not a stored GridLab value: {text[:80]!r} ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        if _TYPES.get(name) is not type(value):
            raise InvalidInput(f"{name} is not a stored type")
        return {"_": name} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise InvalidInput(f"{value!r} ({type(value).__name__}) is not a stored type")


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_value(item) for item in plain)
    if isinstance(plain, dict):
        kind = _TYPES[plain["_"]]
        hints = _field_types(kind)
        return kind(**{k: _typed(hints[k], v) for k, v in plain.items() if k != "_"})
    return plain


@cache
def _field_types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(hint: Any, plain: Any) -> Any:
    if plain is None or isinstance(plain, (dict, list)):
        return _value(plain)
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for choice in choices:
        if choice is Decimal:
            return Decimal(plain)
        if isinstance(choice, type) and issubclass(choice, Enum):
            return choice(plain)
    return plain
