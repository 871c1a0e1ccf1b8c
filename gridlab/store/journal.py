"""The journal: every event of every grid with the commands it caused, durable before any effect.

Law 4: `append` returns after one synced commit; only then may a byte leave for a venue. Knows the
codec and nothing of what an event means. Read again, the entries rebuild every grid.

Each row carries `sha256(previous hash, seq, time, stream, event, commands)`, one field a line. The
first row follows the genesis hash of (schema version, identity). The `book` row holds the head, the
seq and hash of the last entry, and changes in the same commit as the rows.

Found on opening, always before any command is replayed:

- any changed, missing, added or swapped row, a changed identity, a row whose hash was changed;
- rows missing at the end, which leave a chain that verifies: that is what the stored head is for;
- pages that SQLite itself calls damaged, a file cut short, emptied, or replaced by something else.

Not found, because no file can testify against its own older self:

- a consistent older state: a copy restored from a backup, or `journal-wal` lost, emptied or damaged
  before it was moved into the file. SQLite ends the log at the first frame that fails its checksum,
  and what follows is as if never committed. Reconciliation with the venue finds orders and trades
  that such a journal does not know.
- somebody who recomputes the chain on purpose: the hashes have no key. They guard against disks,
  tools and accidents.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gridlab.domain import codec
from gridlab.domain.commands import Command
from gridlab.domain.events import Event
from gridlab.errors import InvalidInput, JournalCorrupt, StorageError
from gridlab.store.database import RESTORE, Database

#: Rises when the tables or the hash change; a journal of another schema is refused, not guessed at.
SCHEMA_VERSION = 1
_PAGE = 1000
_IDENTITY = re.compile(r"[a-z0-9]{1,8}")
_STREAM = re.compile(r"[!-~]{1,64}")

_ENTRIES_TABLE = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    stream TEXT NOT NULL,
    event TEXT NOT NULL,
    commands TEXT NOT NULL,
    hash TEXT NOT NULL
)
"""
_BOOK_TABLE = """
CREATE TABLE book (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    identity TEXT NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash TEXT NOT NULL
)
"""
_SELECT_ROWS = "SELECT seq, time_ms, stream, event, commands, hash FROM entries ORDER BY seq"
_SELECT_PAGE = "SELECT seq, stream, event, commands FROM entries WHERE seq > ? AND seq <= ?"
_INSERT = (
    "INSERT INTO entries (seq, time_ms, stream, event, commands, hash) VALUES (?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of one stream (one grid's run), and the commands that the core answered with."""

    stream: str
    event: Event
    commands: tuple[Command, ...]


class Journal:
    """The journal's single writer; used by the thread that opened it.

    Attributes:
        path: the file; its `-wal` and `-shm` companions belong to it and move with it.
        identity: short token of `[a-z0-9]`, given once, by which this journal's ids are known.
        head: hash of the last entry; of the genesis while there is none.
        length: number of entries, which is the seq of the last one.
    """

    def __init__(self, database: Database) -> None:
        self.path = database.path
        self._database = database
        book = _read_book(database)
        self.identity = book.identity
        self.head, self.length, streams = _verify(database, book)
        self._streams = dict.fromkeys(streams)

    @classmethod
    def open(cls, path: Path, identity: Callable[[], str]) -> Journal:
        """The journal at `path`, verified from its first entry to its last.

        Args:
            identity: called once in a journal's life, when it is created; 1 to 8 of `[a-z0-9]`.

        Raises:
            JournalCorrupt: the content is not what was appended.
            StorageError: it cannot be opened with full durability, or has another schema.
            InvalidInput: `identity` gave an unusable token.
        """
        database = Database.open(
            path, lambda connection: _build(connection, identity()), damaged=JournalCorrupt
        )
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def append(self, entries: Sequence[Entry]) -> None:
        """Store all of `entries` at the end in one durable commit; none of them if that fails.

        Raises:
            StorageError: the disk refused; `head` and `length` are as before, and nothing that the
                entries command may be sent. Should the process die right after a failed commit, the
                entries may still be found on the next start: as commands that were never sent.
            InvalidInput: a stream's name or a value in an entry cannot be stored.
        """
        if not entries:
            return
        rows = self._chained(entries)
        seq, head = rows[-1][0], rows[-1][-1]
        with self._database.transaction() as connection:
            connection.executemany(_INSERT, rows)
            connection.execute("UPDATE book SET head_seq = ?, head_hash = ?", (seq, head))
        self.length, self.head = seq, head
        self._streams.update(dict.fromkeys(entry.stream for entry in entries))

    def _chained(self, entries: Sequence[Entry]) -> list[tuple[int, int, str, str, str, str]]:
        """The rows of `entries`, each with the hash that ties it to the one before."""
        rows: list[tuple[int, int, str, str, str, str]] = []
        head = self.head
        for seq, entry in enumerate(entries, self.length + 1):
            if not _STREAM.fullmatch(entry.stream):
                raise InvalidInput(
                    f"stream is {entry.stream!r}; 1 to 64 printable ASCII characters without "
                    "spaces are meant"
                )
            time_ms = entry.event.time_ms
            event, commands = codec.encode(entry.event), codec.encode(entry.commands)
            head = _link(head, seq, time_ms, entry.stream, event, commands)
            rows.append((seq, time_ms, entry.stream, event, commands, head))
        return rows

    def entries(self, stream: str | None = None) -> Iterator[Entry]:
        """Every entry, or those of one stream, in the order of their append.

        What is appended while this is read is not part of it.
        """
        return (entry for _, entry in _read(self._database, stream, 0, self.length))

    def streams(self) -> tuple[str, ...]:
        """The names of all streams, in the order of their first entry."""
        return tuple(self._streams)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_entries(
    path: Path, stream: str | None = None, after_seq: int = 0
) -> Iterator[tuple[int, Entry]]:
    """Each (seq, entry) after `after_seq` that is committed by now, from any thread or process.

    Opens the file read-only beside its writer and does not verify the chain; `Journal.open` does.
    The last seq is the `after_seq` of the next call.

    Raises:
        StorageError: there is no journal at `path`, or it cannot be read.
    """
    database = Database.open_read_only(path, damaged=JournalCorrupt)
    try:
        yield from _read(database, stream, after_seq, _read_book(database).head_seq)
    finally:
        database.close()


def _read(
    database: Database, stream: str | None, after_seq: int, last_seq: int
) -> Iterator[tuple[int, Entry]]:
    """Entries of `after_seq < seq <= last_seq`, a page at a time.

    Pages, because an open query pins the log: SQLite could not move it into the file and it would
    grow for as long as the caller dawdles.
    """
    of_stream, name = ("", ()) if stream is None else (" AND stream = ?", (stream,))
    query = f"{_SELECT_PAGE}{of_stream} ORDER BY seq LIMIT {_PAGE}"
    while rows := list(database.rows(query, (after_seq, last_seq, *name))):
        for seq, row_stream, event, commands in rows:
            yield seq, _entry(database.path, seq, row_stream, event, commands)
        after_seq = seq


def _entry(path: Path, seq: int, stream: str, event: str, commands: str) -> Entry:
    try:
        return Entry(stream, codec.decode(event), codec.decode(commands))
    except InvalidInput as error:
        raise StorageError(
            f"{path}: entry {seq} is intact but this version of GridLab cannot read it ({error}); "
            "start the version that wrote it, or use another --data-dir"
        ) from error


def _build(connection: sqlite3.Connection, identity: str) -> None:
    if not _IDENTITY.fullmatch(identity):
        raise InvalidInput(f"identity is {identity!r}; 1 to 8 of a-z and 0-9 are meant")
    connection.execute(_ENTRIES_TABLE)
    connection.execute(_BOOK_TABLE)
    connection.execute(
        "INSERT INTO book VALUES (1, ?, ?, 0, ?)", (SCHEMA_VERSION, identity, _genesis(identity))
    )


def _genesis(identity: str) -> str:
    return hashlib.sha256(f"gridlab journal\n{SCHEMA_VERSION}\n{identity}".encode()).hexdigest()


def _link(previous: str, seq: int, time_ms: int, stream: str, event: str, commands: str) -> str:
    """The hash of one entry. No field can hold a line break: streams may not, JSON escapes it."""
    body = f"{previous}\n{seq}\n{time_ms}\n{stream}\n{event}\n{commands}"
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Book:
    """The one row about the journal as a whole."""

    identity: str
    head_seq: int
    head_hash: str


def _read_book(database: Database) -> _Book:
    rows = list(database.rows("SELECT schema_version, identity, head_seq, head_hash FROM book"))
    if len(rows) != 1:
        raise JournalCorrupt(f"{database.path}: its book has {len(rows)} rows, not 1; {RESTORE}")
    version, identity, head_seq, head_hash = rows[0]
    if version != SCHEMA_VERSION:
        raise StorageError(
            f"{database.path} has schema {version}, this version of GridLab reads schema "
            f"{SCHEMA_VERSION}; start the version that wrote it, or use another --data-dir"
        )
    if not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        raise JournalCorrupt(f"{database.path}: its identity is {identity!r}; {RESTORE}")
    return _Book(identity, head_seq, head_hash)


def _verify(database: Database, book: _Book) -> tuple[str, int, tuple[str, ...]]:
    """Head, length and streams of a journal in which every entry follows from the one before.

    The chain goes first because it can name the entry; the page check finds what the scan passes
    by, such as an inner page that would lead a later search astray.
    """
    head, length = _genesis(book.identity), 0
    streams: dict[str, None] = {}
    try:
        for seq, time_ms, stream, event, commands, stored in database.rows(_SELECT_ROWS):
            if seq != length + 1:
                raise JournalCorrupt(_broken(database.path, length + 1, f"{seq} is in its place"))
            link = _link(head, seq, time_ms, stream, event, commands)
            if link != stored:
                raise JournalCorrupt(_broken(database.path, seq, "its hash does not match"))
            head, length = link, seq
            streams.setdefault(stream)
    except JournalCorrupt as error:
        if error.__cause__ is None:
            raise
        raise JournalCorrupt(_broken(database.path, length + 1, str(error.__cause__))) from error
    if (book.head_seq, book.head_hash) != (length, head):
        found = f"entries end at {length} and {book.head_seq} is on record as the last"
        raise JournalCorrupt(_broken(database.path, length + 1, found))
    database.check_pages()
    return head, length, tuple(streams)


def _broken(path: Path, seq: int, found: str) -> str:
    return f"{path}: entry {seq} is missing or was altered ({found}); {RESTORE}"
