"""`Archive`: every text that was read, its stamps and its verdict, a file of lines for each day.

What a study may use at a moment is what was seen before it, and that only an archive that was
written at the time can prove. Lines are JSON; a line that a crash cut off is passed over.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gridlab.clock import iso
from gridlab.errors import GridLabError, StorageError
from gridlab.sentiment.posts import Post

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """A post and what the analyser made of it.

    Args:
        score: -1 to 1. analyzer: who said so. symbols: assets that the text names, such as `BTC`.
        judged_ms: when; never before the post was seen.
    """

    post: Post
    score: float
    label: str
    confidence: float
    analyzer: str
    symbols: tuple[str, ...]
    judged_ms: int


class Archive:
    """Judged posts in a folder, by the UTC day on which they were judged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, judged: Iterable[Judged]) -> None:
        """Append; raises `StorageError` when the disk refuses."""
        by_day: dict[str, list[str]] = {}
        for one in judged:
            line = json.dumps(asdict(one), ensure_ascii=True, separators=(",", ":"))
            by_day.setdefault(iso(one.judged_ms)[:10], []).append(line)
        try:
            for day, lines in by_day.items():
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with (self.folder / f"{day}.jsonl").open("ab+") as file:
                    text = "".join(line + "\n" for line in lines)
                    file.write(_torn_end(file) + text.encode())
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be written: {error}") from error

    def read(self, start_ms: int = 0, end_ms: int | None = None) -> Iterator[Judged]:
        """What was judged in [start_ms, end_ms), in the order in which it was written."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                one = _judged(line)
                if one is None:
                    log.warning("%s line %d cannot be read and is passed over", path, number)
                elif start_ms <= one.judged_ms and (end_ms is None or one.judged_ms < end_ms):
                    yield one


def _torn_end(file: BinaryIO) -> bytes:
    """A line's end where a crash cut the last line off, so that only that line is lost."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _judged(line: str) -> Judged | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        post = Post(**fields.pop("post"))
        return Judged(post=post, **{**fields, "symbols": tuple(fields["symbols"])})
    except (ValueError, TypeError, KeyError, AttributeError, GridLabError):
        return None
