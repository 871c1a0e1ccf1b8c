"""An ONNX file before anything runs it: its size, its hash, and that it is one file.

`external_names` walks the file's own wire format (protocol buffers), so that the check needs no
library and happens before onnxruntime sees a byte. Knows no session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridlab.errors import InvalidInput

MOST_MODEL_BYTES = 1_500_000_000
MOST_TEXT_BYTES = 50_000_000
_DEEPEST = 32
#: The fields that can hold a tensor, by message: field number to the message within.
#: Source: onnx/onnx.proto3 of ONNX 1.17.
_WITHIN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_IS_EXTERNAL = 14


def read_model(path: Path, *, most_bytes: int = MOST_MODEL_BYTES) -> bytes:
    """The bytes of a model file.

    Raises:
        InvalidInput: not there, too big, no ONNX, or its weights lie in other files.
    """
    data = _read(path, most_bytes)
    names = external_names(data, str(path))
    if names:
        raise InvalidInput(
            f"{path} keeps weights in another file ({names[0][:80]!r}); save it as one file: a "
            "model must not say which files of this machine are read"
        )
    return data


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of bounded size.

    Raises:
        InvalidInput: not there, too big, or no JSON object.
    """
    try:
        found = json.loads(_read(path, MOST_TEXT_BYTES))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} holds a {type(found).__name__}; a JSON object is meant")
    return found


def check_hash(data: bytes, wanted: str, path: Path) -> None:
    """Return when `data` is what the manifest says.

    Raises:
        InvalidInput: it is another file.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise InvalidInput(
            f"{path} has the SHA-256 {found[:12]}..., its manifest says {wanted[:12]}...; install "
            "the package again, or train anew"
        )


def external_names(data: bytes, name: str) -> list[str]:
    """The locations of tensors that a model keeps outside itself; empty for a model of one file.

    Raises:
        InvalidInput: `data` is no ONNX model.
    """
    try:
        found = list(_external(memoryview(data), "model", 0))
        has_graph = any(field == 7 for field, _ in _fields(memoryview(data)))
    except (IndexError, ValueError) as error:
        raise InvalidInput(f"{name} is no ONNX model: {error}") from error
    if not has_graph:
        raise InvalidInput(f"{name} is no ONNX model: it holds no graph")
    return found


def _external(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    for field, value in _fields(data):
        if kind == "tensor" and field == _IS_EXTERNAL and value == 1:
            yield "not said where"
        within = _WITHIN[kind].get(field)
        if within is None or not isinstance(value, memoryview):
            continue
        if within == "entry":
            parts = {key: bytes(part) for key, part in _fields(value) if not isinstance(part, int)}
            yield parts.get(_ENTRY_VALUE, parts.get(_ENTRY_KEY, b"")).decode("utf-8", "replace")
        else:
            yield from _external(value, within, depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of every field: an int for numbers, a view for what has a length."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield field, value
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("it ends within a field")
            yield field, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {wire}")
    if at > end:
        raise ValueError("it ends within a field")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number that never ends")


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise InvalidInput(f"{path} has {size} bytes; at most {most_bytes} are read")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
