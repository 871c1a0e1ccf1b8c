"""A model's JSON, read strictly and checked against the schema that it was asked to follow.

Ollama constrains what a model may write (`format=`), older ones and other servers do not, and none
is believed. The part of JSON Schema understood here is small; a schema with more is refused when it
is handed in, so that no rule is ever passed over in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from gridlab.errors import InvalidInput, ModelAnswerRefused

#: Deepest nesting of a value and of a schema.
DEEPEST: Final = 12
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, Decimal),
    "integer": (int,),
    "boolean": (bool,),
}
_WORDS: Final = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "description")
    + ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "title")
)


def check_schema(schema: Mapping[str, Any], depth: int = 0) -> None:
    """Raise if `schema` uses anything that `fitting` does not check.

    Raises:
        InvalidInput: an unknown word, a missing or unknown type, or too deep.
    """
    if depth > DEEPEST:
        raise InvalidInput(f"the schema nests deeper than {DEEPEST} levels; flatten it")
    unknown = sorted(set(schema) - _WORDS)
    if unknown or schema.get("type") not in _TYPES:
        found = ", ".join(unknown) or f"type {schema.get('type')!r}"
        raise InvalidInput(
            f"the schema has {found}; understood are the types {', '.join(_TYPES)} and the words "
            f"{', '.join(sorted(_WORDS))}"
        )
    for inner in schema.get("properties", {}).values():
        check_schema(inner, depth + 1)
    if "items" in schema:
        check_schema(schema["items"], depth + 1)


def read(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON value in `text`, if it fits `schema`; fractions as Decimals.

    Properties that the schema does not name are refused whether or not it says so.

    Raises:
        ModelAnswerRefused: no JSON, JSON with repeated keys or NaN, or one that does not fit.
    """
    try:
        value = json.loads(
            text,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise ModelAnswerRefused(
            f"the model's answer is no JSON ({error}): {text[:80]!r}"
        ) from None
    problem = misfit(value, schema)
    if problem:
        raise ModelAnswerRefused(f"the model's answer does not fit what was asked: {problem}")
    return value


def misfit(given: Any, schema: Mapping[str, Any], place: str = "the answer") -> str:
    """The first way in which `given` does not fit `schema`, in words; empty when it fits."""
    kind, value = schema["type"], given
    if not isinstance(given, _TYPES[kind]) or (isinstance(given, bool) and kind != "boolean"):
        return f"{place} is {type(value).__name__}, not {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is {value!r:.60}, not one of {', '.join(map(str, schema['enum']))}"
    if kind == "object":
        return _object_misfit(value, schema, place)
    if kind == "array":
        found = _size_misfit(len(value), schema, "Items", place)
        inner = schema.get("items")
        for number, item in enumerate(value if inner else ()):
            found = found or misfit(item, inner or {}, f"{place}[{number}]")
        return found
    if kind == "string":
        return _size_misfit(len(value), schema, "Length", place)
    if kind == "boolean":
        return ""
    return _number_misfit(value, schema, place)


def _object_misfit(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> str:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{place} lacks {name}"
    for name, inner in value.items():
        if name not in known:
            return f"{place} has {name!r:.60}, which was not asked for"
        if found := misfit(inner, known[name], f"{place}.{name}"):
            return found
    return ""


def _size_misfit(size: int, schema: Mapping[str, Any], unit: str, place: str) -> str:
    least, most = schema.get(f"min{unit}", 0), schema.get(f"max{unit}")
    if size < least or (most is not None and size > most):
        return f"{place} has {size} of {unit.lower()}, not {least} to {most}"
    return ""


def _number_misfit(value: int | Decimal, schema: Mapping[str, Any], place: str) -> str:
    # Floats by their shortest text, so that 0.1 in a schema is the 0.1 of an answer.
    least, most = (
        None if limit is None else Decimal(str(limit))
        for limit in (schema.get("minimum"), schema.get("maximum"))
    )
    if (least is not None and value < least) or (most is not None and value > most):
        return f"{place} is {str(value)[:40]}, not {least} to {most}"
    return ""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
