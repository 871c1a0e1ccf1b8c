"""The kill switch: a reason on disk, so that a restart cannot forget that somebody pulled it."""

from __future__ import annotations

import os
from pathlib import Path

from gridlab.errors import StorageError


class KillSwitch:
    """Whether new grids are refused, and why; kept in `path`.

    Raises:
        StorageError: the disk refused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reason = self._read()

    def pull(self, reason: str) -> None:
        """Refuse new grids from now on; durable before this returns."""
        reason = reason.strip() or "no reason was given"
        aside = self._path.with_suffix(".new")
        try:
            with aside.open("w", encoding="utf-8") as file:
                file.write(reason)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            raise StorageError(
                f"{self._path}: the kill switch could not be saved ({error.strerror}); free some "
                "space and pull it again"
            ) from error
        self.reason = reason

    def release(self) -> None:
        """Allow new grids again."""
        self._path.unlink(missing_ok=True)
        self.reason = ""

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StorageError(
                f"{self._path}: cannot be read ({error.strerror}); nothing starts until it can"
            ) from error
