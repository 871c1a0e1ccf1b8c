"""The journal keeps what was appended, and knows when it no longer holds it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridlab.domain import events
from gridlab.domain.commands import CancelOrder, PlaceOrder
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, Trade
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, JournalCorrupt, StorageError
from gridlab.store.journal import Entry, Journal, read_entries


def make_entry(number: int, stream: str = "BTCUSDT:a1") -> Entry:
    client_id = f"gl-a1-{number % 20}-{number}-0"
    trade = Trade(
        number, str(number), client_id, "BTCUSDT", Side.BUY, Decimal("64000.10"),
        Decimal("0.00100"), Decimal("1E-8"), "BTC", True, 1_700_000_000_000 + number,
    )  # fmt: skip
    request = OrderRequest(
        client_id, "BTCUSDT", Market.SPOT, Side.SELL, OrderType.LIMIT, Decimal("0.001"),
        Decimal("64320.00"),
    )  # fmt: skip
    return Entry(stream, events.OrderFilled(trade.time_ms, trade), (PlaceOrder(request),))


def make_journal(path: Path, count: int) -> list[Entry]:
    """A closed journal of `count` entries in two streams, and those entries."""
    entries = [make_entry(n, "one" if n % 3 else "two") for n in range(count)]
    with Journal.open(path, lambda: "abc123") as journal:
        for entry in entries:
            journal.append([entry])
    return entries


def never() -> str:
    raise AssertionError("a journal that exists must not ask for an identity")


def sql(path: Path, *statements: str) -> None:
    """Change the file as a stray tool would, past the journal."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    prelude = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    entries = make_journal(path, 30)
    with Journal.open(path, never) as journal:
        assert journal.identity == "abc123"
        assert journal.length == 30
        assert list(journal.entries()) == entries
        assert list(journal.entries("two")) == [e for e in entries if e.stream == "two"]
        assert list(journal.entries("three")) == []
        assert journal.streams() == ("two", "one")


def test_every_kind_of_value_survives(tmp_path: Path) -> None:
    instrument = Instrument(
        "BTCUSDT",
        Market.SPOT,
        "BTC",
        "USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_notional=Decimal(5),
        min_quantity=Decimal("0.00001"),
        max_quantity=Decimal(9000),
        min_price=Decimal("0.01"),
        max_price=Decimal(1_000_000),
    )
    spec = GridSpec("BTCUSDT", 10, spacing=Decimal("0.005"), investment=Decimal(1000))
    entries = [
        Entry("s", events.GridStarted(1, "a1", spec, instrument, Decimal("64000.10")), ()),
        Entry("s", events.OrderRejected(2, "gl-a1-1-0-0", "filter", 'é "quoted"\n|line'), ()),
        Entry("s", events.StopRequested(3, "user"), (CancelOrder("BTCUSDT", "gl-a1-1-0-0"),) * 2),
    ]
    with Journal.open(tmp_path / "j", lambda: "a") as journal:
        journal.append(entries)
    with Journal.open(tmp_path / "j", never) as journal:
        assert list(journal.entries()) == entries


def test_the_head_follows_from_the_content_alone(tmp_path: Path) -> None:
    make_journal(tmp_path / "a", 5)
    with Journal.open(tmp_path / "b", lambda: "abc123") as batched:
        batched.append([make_entry(n, "one" if n % 3 else "two") for n in range(5)])
        with Journal.open(tmp_path / "a", never) as single:
            assert single.head == batched.head
        with Journal.open(tmp_path / "c", lambda: "other") as other:
            assert other.head != single.head


def test_the_files_are_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, lambda: "a") as journal:
        journal.append([make_entry(1)])
        pragmas = [
            list(journal._database.rows(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous")
        ]
        assert pragmas == [[("wal",)], [(2,)]]
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file
    assert [file.name for file in tmp_path.iterdir()] == ["journal.sqlite"]


def test_entries_appended_while_reading_are_not_part_of_it(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j", lambda: "a") as journal:
        journal.append([make_entry(n) for n in range(2500)])
        reading = journal.entries()
        first = next(reading)
        journal.append([make_entry(9999)])
        assert [first, *reading] == [make_entry(n) for n in range(2500)]
        assert journal.length == 2501


@pytest.mark.parametrize("identity", ["", "ABC", "ninechars", "a b"])
def test_an_unusable_identity_is_refused_and_leaves_nothing_behind(
    tmp_path: Path, identity: str
) -> None:
    with pytest.raises(InvalidInput, match="1 to 8 of a-z"):
        Journal.open(tmp_path / "j", lambda: identity)
    with Journal.open(tmp_path / "j", lambda: "good") as journal:
        assert (journal.identity, journal.length) == ("good", 0)


@pytest.mark.parametrize("stream", ["", "two words", "line\nbreak", "x" * 65])
def test_an_unusable_stream_is_refused_before_anything_is_written(
    tmp_path: Path, stream: str
) -> None:
    with Journal.open(tmp_path / "j", lambda: "a") as journal:
        head = journal.head
        with pytest.raises(InvalidInput, match="stream is"):
            journal.append([make_entry(1), make_entry(2, stream)])
        assert (journal.head, journal.length, list(journal.entries())) == (head, 0, [])


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("DELETE FROM entries WHERE seq = 7", 7),
        ("DELETE FROM entries WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq >= 18", 18),
        ("DELETE FROM entries", 1),
        ("UPDATE entries SET event = replace(event, '64000.10', '64000.11') WHERE seq = 3", 3),
        ("UPDATE entries SET commands = '[]' WHERE seq = 4", 4),
        ("UPDATE entries SET stream = 'two' WHERE seq = 2", 2),
        ("UPDATE entries SET time_ms = time_ms + 1 WHERE seq = 5", 5),
        ("UPDATE entries SET event = CAST(event AS BLOB) WHERE seq = 6", 6),
        ("UPDATE entries SET event = CAST(x'ff' AS TEXT) WHERE seq = 8", 8),
        ("UPDATE entries SET hash = upper(hash) WHERE seq = 20", 20),
        ("UPDATE entries SET seq = 99 WHERE seq = 20", 20),
        ("INSERT INTO entries SELECT 21, time_ms, stream, event, commands, hash "
         "FROM entries WHERE seq = 20", 21),
        ("UPDATE book SET identity = 'abc124'", 1),
        ("UPDATE book SET head_seq = 19", 21),
    ],
)  # fmt: skip
def test_a_changed_row_is_named(tmp_path: Path, statement: str, seq: int) -> None:
    path = tmp_path / "j"
    make_journal(path, 20)
    sql(path, statement)
    with pytest.raises(JournalCorrupt, match=rf"entry {seq} .*another --data-dir"):
        Journal.open(path, never)


def test_two_swapped_rows_are_found(tmp_path: Path) -> None:
    path = tmp_path / "j"
    make_journal(path, 20)
    moves = [f"UPDATE entries SET seq = {new} WHERE seq = {old}" for old, new in
             ((7, 99), (8, 7), (99, 8))]  # fmt: skip
    sql(path, *moves)
    with pytest.raises(JournalCorrupt, match="entry 7 "):
        Journal.open(path, never)


@pytest.mark.parametrize("statement", ["DROP TABLE entries", "DELETE FROM book", "DROP TABLE book"])
def test_a_missing_table_is_damage(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "j"
    make_journal(path, 3)
    sql(path, statement)
    with pytest.raises(JournalCorrupt, match="another --data-dir"):
        Journal.open(path, never)


def test_another_schema_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "j"
    make_journal(path, 3)
    sql(path, "UPDATE book SET schema_version = 2")
    with pytest.raises(StorageError, match="schema 2.*reads schema 1") as refused:
        Journal.open(path, never)
    assert not isinstance(refused.value, JournalCorrupt)


def test_flipped_bits_are_found_or_change_nothing(tmp_path: Path) -> None:
    path, broken = tmp_path / "whole", tmp_path / "broken"
    entries = make_journal(path, 40)
    content = path.read_bytes()
    dice = random.Random(20260324)
    found = 0
    for _ in range(250):
        damaged = bytearray(content)
        damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        broken.write_bytes(damaged)
        try:
            with Journal.open(broken, never) as journal:
                assert list(journal.entries()) == entries
                assert journal.identity == "abc123"
                assert list(journal.entries("two")) == [e for e in entries if e.stream == "two"]
                assert [e for _, e in read_entries(broken, after_seq=20)] == entries[20:]
        except StorageError:
            found += 1
        for leftover in tmp_path.glob("broken*"):
            leftover.unlink()
    assert found > 100  # about half of the pages is content, the rest is free space


def test_every_flipped_bit_inside_a_row_is_found(tmp_path: Path) -> None:
    path, broken = tmp_path / "whole", tmp_path / "broken"
    make_journal(path, 40)
    content = path.read_bytes()
    starts = [found.start() for found in re.finditer(rb'\{"_":"OrderFilled"', content)]
    assert len(starts) == 40
    dice = random.Random(7)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[dice.choice(starts) + dice.randrange(400)] ^= 1 << dice.randrange(8)
        broken.write_bytes(damaged)
        with pytest.raises(JournalCorrupt, match=r"entry \d+ "):
            Journal.open(broken, never)


@pytest.mark.parametrize("kept", [0, 1, 99, 100, 4095, 4096, 8192, 10_000, -4096, -1])
def test_a_file_cut_short_is_found(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "j"
    make_journal(path, 40)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(JournalCorrupt):
        Journal.open(path, never)


def test_something_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database\n" * 100)
    with pytest.raises(JournalCorrupt, match="not a database"):
        Journal.open(tmp_path / "text", never)
    sql(tmp_path / "other", "CREATE TABLE something (x)")
    with pytest.raises(JournalCorrupt, match="no such table"):
        Journal.open(tmp_path / "other", never)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        Journal.open(tmp_path / "folder", never)
    with pytest.raises(StorageError, match="cannot create"):
        Journal.open(tmp_path / "nowhere" / "j", lambda: "a")


def test_a_log_without_its_journal_is_not_started_over(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal.open(path, lambda: "a") as journal:
        journal.append([make_entry(1)])
        path.unlink()
    (tmp_path / "j-wal").write_bytes(b"frames")
    with pytest.raises(JournalCorrupt, match="is missing"):
        Journal.open(path, never)


def test_a_lost_log_gives_an_older_journal_that_verifies_or_an_error(tmp_path: Path) -> None:
    entries = [make_entry(n) for n in range(50)]
    with Journal.open(tmp_path / "j", lambda: "a") as journal:
        journal.append(entries[:20])
        journal._database.check_pages()
        list(journal._database.rows("PRAGMA wal_checkpoint(TRUNCATE)"))
        journal.append(entries[20:])
        shutil.copy(tmp_path / "j", tmp_path / "without-log")
    with Journal.open(tmp_path / "without-log", never) as older:
        assert list(older.entries()) == entries[:20]


def test_a_locked_file_is_a_storage_error_and_the_append_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridlab.store.database.BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "j"
    with Journal.open(path, lambda: "a") as journal:
        journal.append([make_entry(0)])
        head = journal.head
        tool = sqlite3.connect(path, isolation_level=None)
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            journal.append([make_entry(1)])
        assert (journal.head, journal.length) == (head, 1)
        tool.execute("ROLLBACK")
        tool.close()
        journal.append([make_entry(1)])
        assert list(journal.entries()) == [make_entry(0), make_entry(1)]


def test_a_second_writer_is_fenced_off(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal.open(path, lambda: "a") as stale, Journal.open(path, never) as heir:
        heir.append([make_entry(1)])
        with pytest.raises(StorageError, match="another program has written"):
            stale.append([make_entry(2)])
    with Journal.open(path, never) as journal:
        assert list(journal.entries()) == [make_entry(1)]


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", lambda: "a")
    journal.close()
    journal.close()
    with pytest.raises(StorageError, match="closed"):
        journal.append([make_entry(1)])


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """A real refusal of the kernel: a limit on the size of any file this process writes."""
    child = run_python(
        """
        import resource
        from pathlib import Path
        from test_journal import Journal, StorageError, make_entry
        journal = Journal.open(Path(sys.argv[1]), lambda: "a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for number in range(1000):
            before = journal.head, journal.length
            try:
                journal.append([make_entry(number), make_entry(number)])
            except StorageError as error:
                reason = str(error)
                break
        assert (journal.head, journal.length) == before, "the head moved"
        assert sum(1 for _ in journal.entries()) == journal.length
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        journal.append([make_entry(-1)])
        print(number, reason, flush=True)
        """,
        tmp_path / "j",
    )
    output, _ = child.communicate(timeout=30)
    count, reason = output.split(maxsplit=1)
    assert child.returncode == 0 and reason.startswith("cannot write")
    assert 0 < int(count) < 1000
    with Journal.open(tmp_path / "j", never) as journal:
        expected = [make_entry(n) for n in range(int(count)) for _ in range(2)]
        assert list(journal.entries()) == [*expected, make_entry(-1)]


def test_after_a_failed_sync_nothing_more_is_written(tmp_path: Path) -> None:
    class FailingSync(sqlite3.Connection):
        """SQLite's own answer to a disk that lost a write; no ordinary disk can be made to."""

        def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
            if statement == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise error
            return super().execute(statement, parameters)

    with Journal.open(tmp_path / "j", lambda: "a") as journal:
        journal.append([make_entry(0)])
        good = journal._database._connection
        bad = sqlite3.connect(tmp_path / "j", isolation_level=None, factory=FailingSync)
        journal._database._connection = bad
        with pytest.raises(StorageError, match="the disk refused"):
            journal.append([make_entry(1)])
        bad.close()
        journal._database._connection = good
        with pytest.raises(StorageError, match="earlier sync to disk failed"):
            journal.append([make_entry(1)])
        assert journal.length == 1
    with Journal.open(tmp_path / "j", never) as journal:
        journal.append([make_entry(1)])
        assert journal.length == 2


def test_readers_follow_the_writer_from_another_thread_and_process(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal.open(path, lambda: "a") as journal:
        journal.append([make_entry(n, "one" if n % 2 else "two") for n in range(10)])
        seen: list[tuple[int, Entry]] = []
        reader = threading.Thread(target=lambda: seen.extend(read_entries(path, after_seq=4)))
        reader.start()
        reader.join()
        assert seen == [(n + 1, make_entry(n, "one" if n % 2 else "two")) for n in range(4, 10)]
        child = run_python(
            """
            from pathlib import Path
            from test_journal import read_entries
            print(sum(1 for _ in read_entries(Path(sys.argv[1]), "two")))
            """,
            path,
        )
        assert child.communicate(timeout=30)[0] == "5\n"
        journal.append([make_entry(10)])
        assert [seq for seq, _ in read_entries(path, after_seq=10)] == [11]
    assert len(list(read_entries(path))) == 11  # the writer is gone and its log with it
    Journal.open(path, never).close()
    assert [file.name for file in tmp_path.iterdir()] == ["j"]
    with pytest.raises(StorageError, match="must exist"):
        list(read_entries(tmp_path / "nothing"))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7])
def test_a_killed_writer_loses_nothing_that_append_had_returned(tmp_path: Path, batch: int) -> None:
    path = tmp_path / "j"
    dice = random.Random(batch)
    total = 0
    for life in range(4):
        child = run_python(
            """
            import os
            from pathlib import Path
            from test_journal import Journal, make_entry
            path, batch = Path(sys.argv[1]), int(sys.argv[2])
            journal = Journal.open(path, lambda: "a")
            while True:
                start = journal.length
                journal.append([make_entry(start + n) for n in range(batch)])
                os.write(1, b"%d\\n" % journal.length)
            """,
            path,
            batch,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(dice.uniform(0.02, 0.15))
        os.kill(child.pid, signal.SIGKILL)
        returned = [int(line) for line in child.stdout.read().split("\n")[:-1]] or [total + batch]
        child.wait()
        child.stdout.close()
        with Journal.open(path, never) as journal:
            assert journal.length >= returned[-1] > total, life
            assert journal.length % batch == 0
            assert list(journal.entries()) == [make_entry(n) for n in range(journal.length)]
            total = journal.length
