"""`SweepParts`: a sweep's finished parts in a folder, so that a killed sweep goes on where it was.

A manifest says what the sweep is of; each part is a Parquet file that appears whole or not at all.
A folder of another sweep is refused in words, because its figures would be taken for this one's.
Knows frames and files, and nothing of grids.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.data.writer import NAME as LOCK
from gridlab.errors import Conflict, StorageError
from gridlab.research.ground import difference

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "sweep.json"
FORMAT = 1


class SweepParts:
    """The parts of one sweep in one folder.

    Args:
        identity: everything that the rows depend on, as plain JSON values.
        rows: of the whole sweep.
        part_rows: of one part; a folder that exists already keeps its own.

    Raises:
        Conflict: the folder holds another sweep, or other files and no sweep.
        StorageError: the folder cannot be written, or its manifest cannot be read.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], rows: int, part_rows: int
    ) -> None:
        self.folder = folder
        self.rows = rows
        self.part_rows = part_rows
        self._identity = json.loads(json.dumps(dict(identity) | {"rows": rows}))
        manifest = folder / MANIFEST
        if manifest.exists():
            self._recognise(manifest)
        else:
            self._found(manifest)

    def _found(self, manifest: Path) -> None:
        """Begin the folder; its manifest is the first file in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            others = sorted(path.name for path in self.folder.iterdir() if path.name != LOCK)
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be used: {error}; name another") from error
        if others:
            raise Conflict(
                f"{self.folder} holds {others[0]} and no sweep; name a new or an empty folder"
            )
        words = {"format": FORMAT, "part_rows": self.part_rows, "sweep": self._identity}
        _write(manifest, json.dumps(words, indent=2).encode())

    def _recognise(self, manifest: Path) -> None:
        try:
            words = json.loads(manifest.read_text("utf-8"))
            known, self.part_rows = words["sweep"], int(words["part_rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{manifest} cannot be read ({error}); name another folder, or remove this one"
            ) from error
        if words.get("format") != FORMAT:
            raise Conflict(
                f"{self.folder} is of format {words.get('format')}, this gridlab writes {FORMAT}; "
                "name another folder"
            )
        if found := difference(known, self._identity):
            raise Conflict(
                f"{self.folder} holds another sweep: {found}; name another folder, or sweep the "
                "same"
            )

    def finished(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Every finished part with its first row, in order.

        Raises:
            StorageError: the file of one is damaged.
        """
        for first, end in cut(self.rows, self.part_rows):
            if self._path(first).exists():
                yield first, self._read(first, end)

    def write(self, part: pd.DataFrame) -> None:
        """Store a finished part; it is on the disk when this returns."""
        whole = BytesIO()
        part.reset_index(drop=True).to_parquet(whole, index=False)
        _write(self._path(int(part.index[0])), whole.getvalue())

    def _read(self, first: int, end: int) -> pd.DataFrame:
        import pandas as pd

        path = self._path(first)
        try:
            part = pd.read_parquet(path)
            part.index = pd.RangeIndex(first, end, name="row")
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{path} is damaged ({error}); remove that file, and its rows are made anew"
            ) from error
        return part

    def _path(self, first: int) -> Path:
        return self.folder / f"part-{first:09d}.parquet"


def cut(rows: int, part_rows: int) -> list[tuple[int, int]]:
    """First row and end of every part.

    >>> cut(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(first, min(first + part_rows, rows)) for first in range(0, rows, part_rows)]


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole: written beside it, on the disk, then renamed."""
    beside = path.with_suffix(".tmp")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}; free space or name another") from (
            error
        )
