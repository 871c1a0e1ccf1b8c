"""Durable records of a venue's books: (kind, key) -> payload, committed many at a time.

The paper venue keeps its orders, trades and balances here, in a file of its own and apart from the
journal, as a real venue's books are apart from the bot's. Knows nothing of what a payload means.

Unlike the journal it has no hash chain: a damaged page is found when the file is opened, a changed
byte inside a payload is for the owner of the payload to notice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from gridlab.store.database import Database

# `position` is an explicit column because a VACUUM may renumber an implicit rowid, and the order of
# rows is the order in which resting orders queue. SQLite gives a new row the greatest position + 1.
_SCHEMA = """
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (kind, key)
)
"""
# ON CONFLICT ... UPDATE keeps the row where it is; INSERT OR REPLACE would move it to the end.
_UPSERT = """
INSERT INTO records (kind, key, payload) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET payload = excluded.payload
"""
_DELETE = "DELETE FROM records WHERE kind = ? AND key = ?"


class SqliteRecords:
    """Records in one SQLite file; used by the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path) -> SqliteRecords:
        """The records at `path`, created empty when there are none.

        Raises:
            StorageError: the file cannot be opened, is damaged, or cannot be made durable.
        """
        database = Database.open(path, _build)
        try:
            list(database.rows("SELECT position FROM records LIMIT 1"))  # the table is there
            database.check_pages()
        except BaseException:
            database.close()
            raise
        return cls(database)

    def load(self) -> Iterator[tuple[str, str, str]]:
        """Every (kind, key, payload), in the order of their first commit."""
        rows = self._database.rows("SELECT kind, key, payload FROM records ORDER BY position")
        return iter([(kind, key, payload) for kind, key, payload in rows])

    def commit(self, records: Iterable[tuple[str, str, str | None]]) -> None:
        """Write all of `records` in one durable transaction; a payload of None deletes.

        A record that exists keeps its place in `load`; one that was deleted and comes again goes to
        the end. Records apply in the order given, so the last of two with one key wins.

        Raises:
            StorageError: nothing was written.
        """
        batch = list(records)
        if not batch:
            return
        with self._database.transaction() as connection:
            for kind, key, payload in batch:
                if payload is None:
                    connection.execute(_DELETE, (kind, key))
                else:
                    connection.execute(_UPSERT, (kind, key, payload))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._database.close()

    def __enter__(self) -> SqliteRecords:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _build(connection: sqlite3.Connection) -> None:
    connection.execute(_SCHEMA)
