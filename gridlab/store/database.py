"""One durable SQLite file: how it is created, opened, written, and how its failures are named.

`journal` and `records` keep their rows through this and add what the rows mean. SQLite in WAL mode
with `synchronous=FULL` syncs the write-ahead log at every commit, so a transaction that returned
survives a power cut; the data directory must be on a local disk, because WAL needs shared memory.
Knows nothing of events, orders or hashes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gridlab.errors import StorageError

#: How long a commit waits for a lock. Only a stray tool can hold one, since the owner has a lease.
BUSY_TIMEOUT_S = 2.0
#: What `PRAGMA synchronous` answers for FULL.
_FULL = 2
RESTORE = "keep a copy of the folder and restore it from a backup, or use another --data-dir"

_REMEDIES = {
    "SQLITE_FULL": "the disk is full: free some space and try again",
    "SQLITE_BUSY": "another program holds a lock on it: close that program",
    "SQLITE_LOCKED": "another program holds a lock on it: close that program",
    "SQLITE_READONLY": "it cannot be written: give this user write permission on file and folder",
    "SQLITE_CANTOPEN": "it cannot be opened: the folder must exist and be writable by this user",
    "SQLITE_PERM": "it cannot be opened: give this user permission on file and folder",
    "SQLITE_CONSTRAINT": "another program has written to it: stop that program and start again",
    "SQLITE_IOERR": "the disk refused: check its space, quota and health, then start again",
}


class Database:
    """One open file. Used by the thread that opened it and by no other.

    Args:
        damaged: the exception that says "the content cannot be trusted".
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, damaged: type[StorageError]
    ) -> None:
        self.path = path
        self._connection = connection
        self._damaged = damaged
        self._sync_failed = False

    @classmethod
    def open(
        cls,
        path: Path,
        build: Callable[[sqlite3.Connection], object],
        *,
        damaged: type[StorageError] = StorageError,
    ) -> Database:
        """The file at `path` open for writing; created through `build` when there is none.

        Raises:
            StorageError: it cannot be opened, or not with full durability.
            damaged: it is no database, or its log was left without it.
        """
        with _named_failures(path, "create", damaged):
            if not path.exists():
                log = _beside(path, "-wal")
                if log.exists() and log.stat().st_size:
                    raise damaged(f"{path} is missing but {path.name}-wal is there; {RESTORE}")
                _create(path, build)
        return cls._connect(path, "rw", damaged)

    @classmethod
    def open_read_only(cls, path: Path, *, damaged: type[StorageError] = StorageError) -> Database:
        """The existing file at `path`, for reading beside the process that writes it.

        A reader that closes last leaves an empty log behind; the next writer removes it.
        """
        return cls._connect(path, "ro", damaged)

    @classmethod
    def _connect(cls, path: Path, mode: str, damaged: type[StorageError]) -> Database:
        with _named_failures(path, "open", damaged):
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,  # transactions are written out below, none is implicit
                timeout=BUSY_TIMEOUT_S,
            )
            try:
                connection.execute("PRAGMA trusted_schema=OFF")
                if mode == "rw":
                    _make_durable(path, connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, damaged)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Each row of a query, read as the caller takes them."""
        with _named_failures(self.path, "read", self._damaged):
            yield from self._connection.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable commit of what the body writes; any exception undoes all of it.

        Raises:
            StorageError: nothing was changed. After a failed sync the file must be opened anew: the
                kernel may have dropped the unwritten pages, so that a later sync would succeed
                without them.
        """
        if self._sync_failed:
            raise StorageError(
                f"cannot write {self.path}: an earlier sync to disk failed, so what the disk holds "
                "is not known; check the disk's health, then start again"
            )
        with _named_failures(self.path, "write", self._damaged):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                self._sync_failed = "FSYNC" in _error_name(error)
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def check_pages(self) -> None:
        """Raise when SQLite finds a damaged page, a lost page or rows out of order."""
        found = [str(row[0]) for row in self.rows("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise self._damaged(f"{self.path} is damaged ({'; '.join(found)}); {RESTORE}")

    def close(self) -> None:
        """Move the log into the file and close; a second call does nothing."""
        self._connection.close()


def _create(path: Path, build: Callable[[sqlite3.Connection], object]) -> None:
    """Build the file aside and rename it into place.

    So a file under its own name is always complete, and an empty one is damage: without this, a
    journal cut to zero bytes would look like one whose creation had been interrupted.
    """
    fresh = _beside(path, ".new")
    for leftover in (fresh, _beside(fresh, "-journal")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        build(connection)
        connection.execute("COMMIT")
    os.replace(fresh, path)
    _sync_folder(path.parent)


def _make_durable(path: Path, connection: sqlite3.Connection) -> None:
    """Set WAL and full synchronisation, and read both back: a pragma fails silently."""
    (journal_mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone stops at the drive's cache
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if journal_mode != "wal" or synchronous != _FULL:
        raise StorageError(
            f"{path} opened with journal_mode={journal_mode} (wal is needed) and "
            f"synchronous={synchronous} ({_FULL} is needed); put --data-dir on a local disk"
        )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _error_name(error: BaseException) -> str:
    """SQLite's extended name of the error, such as `SQLITE_IOERR_FSYNC`; empty if it has none."""
    return getattr(error, "sqlite_errorname", None) or ""


@contextmanager
def _named_failures(path: Path, doing: str, damaged: type[StorageError]) -> Iterator[None]:
    """Turn what SQLite or the system raises into `StorageError` or `damaged`, with a remedy."""
    try:
        yield
    except sqlite3.ProgrammingError as error:  # closed, or another thread's
        raise StorageError(f"cannot {doing} {path}: {error}") from error
    except sqlite3.Error as error:
        name = _error_name(error)
        for known, remedy in _REMEDIES.items():
            if name.startswith(known):
                raise StorageError(f"cannot {doing} {path}: {remedy} ({error})") from error
        # What is left says that the content is not what was written: a malformed page, a table
        # that is gone, text that is not UTF-8.
        raise damaged(f"{path} is damaged ({error}); {RESTORE}") from error
    except OSError as error:
        raise StorageError(f"cannot {doing} {path}: {error.strerror}; check the folder") from error
