"""One owner for one data directory: an exclusive lock that the kernel holds.

Why `flock` and neither a pid file nor a heartbeat row:

- A pid file survives the process that wrote it. After `kill -9` or a power cut somebody must guess
  whether that pid is the same program, and two starters can guess at the same moment.
- A heartbeat row is an opinion about time: a process paused for longer than the limit (a laptop
  lid, a debugger, swap) loses the lease without knowing, wakes up and sends orders beside its heir.
- The kernel gives an `flock` to one open file at a time and takes it back when the last handle
  closes, whatever way the process ends. There is no stale state to clean, so none to get wrong.
- POSIX record locks (`lockf`) belong to the process: a second engine in one notebook kernel would
  be let in, and closing any handle to the file would drop the lock.

The text in the file is for error messages only. The file is never removed: a process that opened it
before the removal and one that created it after would each hold "the" lock. Over a network file
system a lock may not reach other machines; the data directory belongs on a local disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from types import TracebackType

from gridlab.errors import LeaseHeld, StorageError

_TEXT_LIMIT = 4096


class Lease:
    """Ownership of what lies beside `path`, until `release` or the end of the process."""

    def __init__(self, path: Path, holder: str, handle: int) -> None:
        self.path = path
        self.holder = holder
        self._handle: int | None = handle
        _held.add(self)

    @classmethod
    def acquire(cls, path: Path, holder: str) -> Lease:
        """The lease, taken now or not at all; its file is created when there is none.

        Args:
            path: the lock file, in an existing folder.
            holder: who this is, in words for the one who is refused.

        Raises:
            LeaseHeld: another process, or another object of this one, has it.
            StorageError: the file cannot be opened, locked or written.
        """
        try:
            handle = _locked(path, holder)
        except BlockingIOError:
            raise LeaseHeld(
                f"{path.parent} is in use by {_owner(path)}; stop it, or use another --data-dir"
            ) from None
        except OSError as error:
            raise StorageError(
                f"cannot lock {path}: {error.strerror}; the folder must exist on a local disk and "
                "be writable by this user"
            ) from error
        return cls(path, holder, handle)

    @property
    def is_held(self) -> bool:
        """Whether this object still owns the lease; False in a forked child."""
        return self._handle is not None

    def release(self) -> None:
        """Give the lease back; a second call does nothing."""
        handle = self._handle
        if handle is None:
            return
        self._forget()
        try:
            os.ftruncate(handle, 0)  # no name for the next refusal to misquote
        finally:
            os.close(handle)

    def _forget(self) -> None:
        self._handle = None
        _held.discard(self)

    def _leave_to_parent(self) -> None:
        """Drop a forked child's copy of the handle; the parent's lock stays.

        The copies share one lock, so a worker that outlived a killed engine would keep it.
        """
        if self._handle is not None:
            os.close(self._handle)
            self._forget()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


# Strong references: a lease that nobody remembers is still held, and a fork must still find it.
_held: set[Lease] = set()


def _leave_all_to_parent() -> None:
    for lease in tuple(_held):
        lease._leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def _locked(path: Path, holder: str) -> int:
    """A handle on the lock file that holds its lock, with the owner's text in it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        text = json.dumps({"holder": holder, "host": socket.gethostname(), "pid": os.getpid()})
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _owner(path: Path) -> str:
    """The owner in words, as far as the lock file tells."""
    try:
        owner = json.loads(path.read_bytes()[:_TEXT_LIMIT])
        holder, host, pid = str(owner["holder"]), str(owner["host"]), int(owner["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that is just starting"  # locked, and its name not written yet
    if host == socket.gethostname() and not _is_alive(pid):
        return "a process that is just starting"  # the text is of an owner that was killed
    return f"{holder} (pid {pid} on {host})"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
