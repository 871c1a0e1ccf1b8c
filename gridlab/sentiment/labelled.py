"""Labelled texts: reading them, and the fifth of them that no training ever sees.

A text is held aside by a hash of its id, so that the split needs no list, survives a longer file,
and was made before any model was. Knows no model.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from gridlab.errors import InvalidInput

#: One text in so many is for measuring alone.
HELD_ASIDE = 5
_COLUMNS = {"id", "source", "label", "text"}


class Labelled(NamedTuple):
    """One text and its label: 0 negative, 1 neutral, 2 positive."""

    id: str
    source: str
    label: int
    text: str

    @property
    def is_held_aside(self) -> bool:
        """Whether it is for measuring alone."""
        return bucket(self.id) % HELD_ASIDE == 0


class Pair(NamedTuple):
    """One text in both languages; label as in `Labelled`."""

    id: str
    style: str
    label: int
    english: str
    portuguese: str


def bucket(name: str) -> int:
    """A number that depends on `name` alone."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def read_labelled(path: Path) -> list[Labelled]:
    """The texts of a CSV file, or .csv.gz, with columns id, source, label (-1, 0 or 1) and text.

    Raises:
        InvalidInput: the file is not there, lacks a column or has another label.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    return list(_rows(raw.decode("utf-8"), str(path)))


def _rows(text: str, name: str) -> Iterator[Labelled]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if lacking := _COLUMNS - set(reader.fieldnames or ()):
        raise InvalidInput(f"{name} lacks the columns {', '.join(sorted(lacking))}")
    for row in reader:
        if row["label"] not in ("-1", "0", "1"):
            raise InvalidInput(f"{name}: {row['id']} has the label {row['label']!r}; -1, 0 or 1")
        yield Labelled(row["id"], row["source"], int(row["label"]) + 1, row["text"])


def pairs() -> list[Pair]:
    """The package's own English-Portuguese pairs: for measuring, never for training."""
    text = files("gridlab.sentiment").joinpath("evaluation", "pairs-en-pt.csv").read_text("utf-8")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [Pair(r["id"], r["style"], int(r["label"]) + 1, r["en"], r["pt"]) for r in rows]
