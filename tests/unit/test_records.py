"""Records come back as they were committed, in the order they first came, all or none."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gridlab.errors import StorageError
from gridlab.store.records import SqliteRecords


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_records_come_back_in_the_order_of_their_first_commit(tmp_path: Path) -> None:
    path = tmp_path / "venue.sqlite"
    with SqliteRecords.open(path) as records:
        records.commit([("order", "3", "c"), ("order", "1", "a"), ("trade", "1", "é\n'\x00x")])
        records.commit([("order", "2", "b"), ("order", "3", "changed")])
        records.commit([("order", "1", None), ("order", "9", None)])
        records.commit([("order", "1", "again")])
        records.commit([])
        before = list(records.load())
    assert before == [
        ("order", "3", "changed"),
        ("trade", "1", "é\n'\x00x"),
        ("order", "2", "b"),
        ("order", "1", "again"),
    ]
    with SqliteRecords.open(path) as records:
        assert list(records.load()) == before
    assert [file.name for file in tmp_path.iterdir()] == ["venue.sqlite"]
    assert path.stat().st_mode & 0o077 == 0


def test_the_last_of_two_with_one_key_wins(tmp_path: Path) -> None:
    with SqliteRecords.open(tmp_path / "r") as records:
        records.commit(iter([("k", "x", "1"), ("k", "x", "2"), ("k", "y", "1"), ("k", "y", None)]))
        assert list(records.load()) == [("k", "x", "2")]


def test_a_refused_commit_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridlab.store.database.BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "r"
    with SqliteRecords.open(path) as records:
        records.commit([("k", "x", "1")])
        tool = sqlite3.connect(path, isolation_level=None)
        # A rule that the third record breaks, in the middle of the transaction.
        tool.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.key = 'bad' "
            "BEGIN SELECT raise(ABORT, 'refused'); END"
        )
        with pytest.raises(StorageError, match="refused"):
            records.commit([("k", "x", "2"), ("k", "new", "1"), ("k", "bad", "1")])
        assert list(records.load()) == [("k", "x", "1")]
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            records.commit([("k", "x", "2")])
        tool.close()
        records.commit([("k", "x", "3")])
        assert list(records.load()) == [("k", "x", "3")]


def test_durable_pragmas_are_set(tmp_path: Path) -> None:
    with SqliteRecords.open(tmp_path / "r") as records:
        assert list(records._database.rows("PRAGMA journal_mode")) == [("wal",)]
        assert list(records._database.rows("PRAGMA synchronous")) == [(2,)]


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    child = run_python(
        """
        import resource, sys
        from pathlib import Path
        from gridlab.errors import StorageError
        from gridlab.store.records import SqliteRecords
        records = SqliteRecords.open(Path(sys.argv[1]))
        records.commit([("k", "0", "kept")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            records.commit([("k", str(n), "x" * 1000) for n in range(1000)])
        except StorageError as error:
            print(error)
        assert list(records.load()) == [("k", "0", "kept")]
        """,
        tmp_path / "r",
    )
    output, _ = child.communicate(timeout=30)
    assert child.returncode == 0 and output.startswith("cannot write")
    with SqliteRecords.open(tmp_path / "r") as records:
        assert list(records.load()) == [("k", "0", "kept")]


@pytest.mark.parametrize("kept", [0, 50, 4096, -4096])
def test_a_damaged_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "r"
    with SqliteRecords.open(path) as records:
        records.commit([("k", str(n), "x" * 100) for n in range(200)])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StorageError, match="another --data-dir"):
        SqliteRecords.open(path)


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    path = tmp_path / "r"
    child = run_python(
        """
        import os, sys
        from pathlib import Path
        from gridlab.store.records import SqliteRecords
        records = SqliteRecords.open(Path(sys.argv[1]))
        number = 0
        while True:
            number += 1
            records.commit([("left", "x", str(number)), ("right", "x", str(number)),
                            ("row", str(number), "")])
            os.write(1, b"%d\\n" % number)
        """,
        path,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(0.15)
    os.kill(child.pid, signal.SIGKILL)
    returned = [int(line) for line in (first + child.stdout.read()).split("\n")[:-1]]
    child.wait()
    child.stdout.close()
    with SqliteRecords.open(path) as records:
        rows = list(records.load())
    left, right = rows[0][2], rows[1][2]
    assert left == right and int(left) >= returned[-1]
    assert rows[2:] == [("row", str(n), "") for n in range(1, int(left) + 1)]
