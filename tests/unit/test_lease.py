"""A lease has one owner at a time, across objects, threads, forks and killed processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gridlab.errors import LeaseHeld, StorageError
from gridlab.store.lease import Lease

HOLD = """
import sys, time
from pathlib import Path
from gridlab.store.lease import Lease
lease = Lease.acquire(Path(sys.argv[1]), "gridlab up")
print("held", flush=True)
time.sleep(60)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()


def test_a_second_owner_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    first = Lease.acquire(path, "notebook A")
    with pytest.raises(LeaseHeld) as refused:
        Lease.acquire(path, "notebook B")
    message = str(refused.value)
    assert "notebook A" in message and f"pid {os.getpid()}" in message
    assert "stop it" in message and "--data-dir" in message
    held = [first.is_held]
    first.release()
    first.release()
    held.append(first.is_held)
    with Lease.acquire(path, "notebook B") as second:
        held.append(second.is_held)
    held.append(second.is_held)
    assert held == [True, False, True, False]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_forgotten_lease_is_still_held(tmp_path: Path) -> None:
    child = start(
        """
        import gc, sys
        from pathlib import Path
        from gridlab.store.lease import Lease
        Lease.acquire(Path(sys.argv[1]), "forgotten")
        gc.collect()
        print("held", flush=True)
        sys.stdin.readline()
        """,
        tmp_path / "lease",
    )
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld, match="forgotten"):
        Lease.acquire(tmp_path / "lease", "next")
    child.communicate("\n")
    Lease.acquire(tmp_path / "lease", "next").release()


def test_kill_9_frees_the_lease(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    owner = start(HOLD, path)
    assert owner.stdout is not None and owner.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld, match=rf"gridlab up \(pid {owner.pid} on "):
        Lease.acquire(path, "heir")
    kill(owner)
    heir = start(HOLD, path)
    assert heir.stdout is not None and heir.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld, match=f"pid {heir.pid} "):
        Lease.acquire(path, "third")
    kill(heir)


def test_a_forked_worker_neither_owns_nor_keeps_the_lease(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    owner = start(
        """
        import os, sys, time
        from pathlib import Path
        from gridlab.store.lease import Lease
        lease = Lease.acquire(Path(sys.argv[1]), "engine")
        worker = os.fork()
        if worker == 0:
            os.write(1, f"worker {lease.is_held}\\n".encode())
            time.sleep(60)
        os.write(1, f"engine {worker}\\n".encode())
        time.sleep(60)
        """,
        path,
    )
    assert owner.stdout is not None
    lines = sorted(owner.stdout.readline().split() for _ in range(2))
    worker = int(lines[0][1])
    try:
        assert lines[1] == ["worker", "False"]
        with pytest.raises(LeaseHeld, match="engine"):  # the worker's copy is closed, not unlocked
            Lease.acquire(path, "heir")
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        Lease.acquire(path, "heir").release()
    finally:
        os.kill(worker, signal.SIGKILL)
        owner.communicate()


@pytest.mark.slow
def test_of_twenty_starters_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    go = tmp_path / "go"
    child = start(
        """
        import os, sys, time
        from pathlib import Path
        from gridlab.errors import LeaseHeld
        from gridlab.store.lease import Lease
        path, go = map(Path, sys.argv[1:])
        over = go.with_name("over")
        starters = 0
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                while not go.exists():
                    time.sleep(0.001)
                try:
                    lease = Lease.acquire(path, f"starter {number}")
                except LeaseHeld:
                    os._exit(1)
                for _ in range(2_000):  # until all others have tried
                    if over.exists():
                        break
                    time.sleep(0.01)
                os._exit(0)
            starters += 1
        go.touch()
        codes = []
        while len(codes) < starters:
            codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
            if len(codes) == starters - 1:
                over.touch()
        print(codes.count(0), codes.count(1), flush=True)
        """,
        path,
        go,
    )
    output, _ = child.communicate(timeout=90)
    assert output == "1 19\n"


@pytest.mark.parametrize("stale", ["", "{", '{"holder": "old", "host": "HOST", "pid": 999999999}'])
def test_a_stale_or_empty_text_names_nobody(tmp_path: Path, stale: str) -> None:
    path = tmp_path / "lease"
    with Lease.acquire(path, "owner"):
        path.write_text(stale.replace("HOST", os.uname().nodename))
        with pytest.raises(LeaseHeld, match="just starting"):
            Lease.acquire(path, "other")


def test_a_stale_file_does_not_stop_a_start(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    path.write_text('{"holder": "crashed", "host": "h", "pid": 1}' * 10)
    with Lease.acquire(path, "owner"):
        with pytest.raises(LeaseHeld, match="owner"):
            Lease.acquire(path, "other")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the folder must exist"):
        Lease.acquire(tmp_path / "nowhere" / "lease", "x")


def test_acquiring_never_waits(tmp_path: Path) -> None:
    with Lease.acquire(tmp_path / "lease", "owner"):
        began = time.monotonic()
        with pytest.raises(LeaseHeld):
            Lease.acquire(tmp_path / "lease", "other")
        assert time.monotonic() - began < 10, "who waited would wait for ever"
