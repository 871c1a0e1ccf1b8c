"""How one value is kept in the cache, and how many bytes it is charged.

Three forms. Text and bytes are kept as they are; plain JSON (dicts and lists of str, int, float,
bool, None) is kept as its text, so that every reader gets a copy of its own; both are compressed
when large. Everything else is kept by reference with an estimated size, and readers must treat it
as read-only. Nothing is pickled: unpickling runs code. Knows no key, no age and no clock.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

#: Below this a page of memory is hardly saved, and small values are read most often.
COMPRESSED_FROM = 4_096
#: A compressed form that is not at least this much smaller is not worth opening.
WORTH_FRACTION = 0.9
#: The level was measured on candles: 3 took 1.4 times as long and saved nothing.
ZSTD_LEVEL = 1

_DEEPEST = 24
_MOST_NODES = 500_000
_SAMPLED_FROM = 256
_SAMPLES = 128
_WEIGHTLESS = (Enum, ModuleType, type, FunctionType, BuiltinFunctionType, MethodType)
_SCALARS = frozenset((str, int, float, bool, type(None)))


class Form(StrEnum):
    """What the payload is, before compression."""

    REFERENCE = "reference"
    TEXT = "text"
    BYTES = "bytes"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Packed:
    """One value as it is kept.

    Args:
        payload: the object itself, or bytes when the form is not a reference.
        size: bytes charged for the payload: exact for serialized forms, else an estimate.
        raw_size: what the size would be without compression.
    """

    form: Form
    payload: Any
    size: int
    raw_size: int

    @property
    def is_compressed(self) -> bool:
        return self.size != self.raw_size

    def open(self) -> Any:
        """The value; a new copy for plain JSON."""
        if self.form is Form.REFERENCE:
            return self.payload
        data: bytes = self.payload
        if self.is_compressed:
            data = _codec().decompress(data, self.raw_size, asbytes=True)
        if self.form is Form.BYTES:
            return data
        return json.loads(data) if self.form is Form.JSON else data.decode("utf-8", "surrogatepass")


def pack(value: Any, is_compressing: bool = True) -> Packed:
    """`value` in the form that suits it."""
    form, data = _serialized(value)
    if data is None:
        size = estimated_size(value)
        return Packed(form, value, size, size)
    if is_compressing and len(data) >= COMPRESSED_FROM:
        small = _codec().compress(data, asbytes=True)
        if len(small) < WORTH_FRACTION * len(data):
            return Packed(form, small, len(small), len(data))
    return Packed(form, data, len(data), len(data))


def warm_up() -> None:
    """Load the compressor, which takes a moment, before the first large value needs it."""
    _codec()


def _serialized(value: Any) -> tuple[Form, bytes | None]:
    if type(value) is bytes:
        return Form.BYTES, value
    if type(value) is str:
        return Form.TEXT, value.encode("utf-8", "surrogatepass")
    if type(value) in (dict, list) and is_plain_json(value):
        try:
            return Form.JSON, json.dumps(value, separators=(",", ":")).encode("ascii")
        except ValueError:  # an int of more digits than Python prints
            return Form.REFERENCE, None
    return Form.REFERENCE, None


def is_plain_json(value: Any) -> bool:
    """Whether JSON gives back exactly `value`: no tuple, no subclass, keys all str."""
    level: list[Any] = [value]
    nodes = 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is dict:
                if any(type(name) is not str for name in node):
                    return False
                inner.extend(node.values())
            elif kind is list:
                inner.extend(node)
            elif kind not in _SCALARS:
                return False
        if not inner:
            return True
        nodes += len(inner)
        if nodes > _MOST_NODES:
            return False
        level = inner
    return False


def estimated_size(value: Any) -> int:
    """Bytes that `value` and what it holds occupy; long sequences are sampled evenly."""
    return int(_size(value, set(), 0))


def _size(value: Any, seen: set[int], depth: int) -> float:
    if value is None or isinstance(value, _WEIGHTLESS) or id(value) in seen:
        return 0
    seen.add(id(value))
    own = sys.getsizeof(value)
    if depth >= _DEEPEST:
        return own
    parts = _parts(value)
    if len(parts) <= _SAMPLED_FROM:
        return own + sum(_size(part, seen, depth + 1) for part in parts)
    step = len(parts) / _SAMPLES
    sampled = (parts[int(i * step)] for i in range(_SAMPLES))
    return own + sum(_size(part, seen, depth + 1) for part in sampled) * step


def _parts(value: Any) -> list[Any] | tuple[Any, ...]:
    """What `value` holds and `sys.getsizeof` does not count."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (set, frozenset)):
        return list(value)
    if is_dataclass(value):
        return _named(value, (field.name for field in fields(value)))
    return _named(value, getattr(value, "__dict__", ()))


def _named(value: Any, names: Iterable[str]) -> list[Any]:
    return [getattr(value, name, None) for name in names]


@cache
def _codec() -> Any:
    # Arrow is here for the recordings anyway, its zstd is as fast as a package of its own, and
    # one codec serves all threads: its calls share no state.
    import pyarrow

    return pyarrow.Codec("zstd", compression_level=ZSTD_LEVEL)
