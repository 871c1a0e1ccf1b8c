"""`WriterLock`: one writer at a time for one folder, by a lock that the kernel takes back.

An `flock` ends with the process however that ends, so there is no stale lock to judge. Knows
nothing of what is written.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock
from types import TracebackType

from gridlab.errors import Conflict, StorageError

NAME = "writer.lock"


class WriterLock:
    """A context manager; entered again by its own process's threads it only counts.

    The file stays: one who opened it before a removal and one who made it afterwards would both
    hold "the" lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = Lock()
        self._depth = 0
        self._handle = -1

    def __enter__(self) -> None:
        """Take the lock now or not at all.

        Raises:
            Conflict: another process, or another object of this one, has it.
            StorageError: the folder cannot be made or the file not be opened.
        """
        with self._guard:
            if not self._depth:
                self._handle = self._acquired()
            self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._guard:
            self._depth -= 1
            if not self._depth:
                os.close(self._handle)

    def _acquired(self) -> int:
        path = self._folder / NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error}; choose another --folder") from (
                error
            )
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace") or "unknown"
            os.close(handle)
            raise Conflict(
                f"{self._folder} is being written by process {owner}; wait for it, or stop it and "
                "run this again: it goes on where that one stopped"
            ) from None
        except OSError as error:
            os.close(handle)
            raise StorageError(f"{path} cannot be locked: {error}; use a local disk") from error
        return handle
