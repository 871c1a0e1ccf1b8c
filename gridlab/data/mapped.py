"""The columns of a whole series in one file that is mapped into memory, beside its months.

To read a year of minutes from Parquet takes a hundred times as long as to play a grid on it. So the
first reader of a whole series leaves its columns as they lie in memory, and later ones map them:
nothing is parsed, and only what is looked at is read. The months stay the truth: a map tells which
contents, sizes and times of change they had, and is passed over when they have others. It may be
removed at any time. Where it cannot be written, reading is slow and right.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np

from gridlab.data.bars import Bars
from gridlab.data.manifest import SeriesKey

MAP = "columns.map"
#: From so many rows on; below, a map saves milliseconds.
LEAST_ROWS = 20_000
_MAGIC, _HEAD = "GridLab columns 1", 4096
#: int64 for times and trade counts, float64 for the rest; little-endian, as this machine has it.
_COLUMNS = tuple(
    (field.name, np.dtype("<i8" if field.name in ("open_time_ms", "trades") else "<f8"))
    for field in fields(Bars)[3:]
)


def map_stamp(files: Iterable[tuple[Path, str]]) -> str:
    """What tells one state of a series' files from another; empty when a file is missing.

    Args:
        files: each month's path and the hash that the manifest has of it.
    """
    stamp = hashlib.sha256()
    for path, digest in sorted(files):
        try:
            state = path.stat()
        except OSError:
            return ""
        stamp.update(f"{path.name} {digest} {state.st_size} {state.st_mtime_ns}\n".encode())
    return stamp.hexdigest()


def read_map(path: Path, key: SeriesKey, stamp: str) -> Bars | None:
    """The mapped series, read-only; None if there is no map of this very state."""
    if not stamp:
        return None
    try:
        with path.open("rb") as file:
            head = json.loads(file.read(_HEAD))
            if (head["magic"], head["stamp"]) != (_MAGIC, stamp):
                return None
            rows = int(head["rows"])
            if os.fstat(file.fileno()).st_size != _HEAD + 8 * len(_COLUMNS) * rows:
                return None
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    columns = (
        np.frombuffer(held, kind, rows, _HEAD + 8 * rows * place)
        for place, (_, kind) in enumerate(_COLUMNS)
    )
    return Bars.of_checked(key.symbol, key.market, key.interval, columns)


def write_map(path: Path, bars: Bars, stamp: str) -> bool:
    """Leave a map of `bars`; whether it could be written. When it is there, it is whole."""
    if not stamp or len(bars) < LEAST_ROWS:
        return False
    head = json.dumps({"magic": _MAGIC, "stamp": stamp, "rows": len(bars)}).encode()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(head.ljust(_HEAD))
            for name, kind in _COLUMNS:
                file.write(np.ascontiguousarray(getattr(bars, name), kind).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        return False
    return True
