"""The kill switch: a reason on disk, so that a restart cannot forget that somebody pulled it.

While it is pulled, no grid starts, and every recovery, in whichever mode, stops the bots that it
finds before they may send an order; how is said in `agents.stopping`.
"""

from __future__ import annotations

import os
from pathlib import Path

from gridlab.errors import Conflict, StorageError


class KillSwitch:
    """Whether everything is to stop, and why; kept in `path`.

    Raises:
        StorageError: the disk refused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reason = self._read()

    def pull(self, reason: str) -> None:
        """Stop everything from now on; durable before this returns.

        Where the disk refuses, the switch is pulled all the same until this process ends.
        """
        self.reason = reason.strip() or "no reason was given"
        try:
            self._write(self.reason)
        except OSError as error:
            raise StorageError(
                f"{self._path}: the kill switch could not be saved ({error.strerror}); it holds "
                "until this process ends: free some space and pull it again"
            ) from error

    def _write(self, reason: str) -> None:
        aside = self._path.with_suffix(".new")
        with aside.open("w", encoding="utf-8") as file:
            file.write(reason)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def check(self) -> None:
        """Raise `Conflict` while the switch is pulled."""
        if self.reason:
            raise Conflict(
                f"the kill switch is pulled ({self.reason}); release it with POST /api/revive "
                "before a grid can start"
            )

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
