"""One background thread that polls, and through which everything that touches a widget goes.

A viewer's browser pings while it is open. When no ping has come for a while the thread ends, so
that an abandoned kernel falls silent and the server can remove it; the next ping starts it again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

log = logging.getLogger("gridlab.widgets")

PERIOD_S = 0.5
#: Seconds without a ping after which nobody is thought to be watching.
SILENCE_S = 12.0


class Feed:
    """Calls `poll` about twice a second while somebody watches.

    Args:
        poll: reads and shows; must handle the errors that it expects.
        period_s: rest between two polls.
        silence_s: seconds without `touch` until the thread ends.
    """

    def __init__(
        self, poll: Callable[[], None], *, period_s: float = PERIOD_S, silence_s: float = SILENCE_S
    ) -> None:
        self._poll = poll
        self._period_s = period_s
        self._silence_s = silence_s
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._touched = 0.0
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether the thread is polling now."""
        with self._lock:
            return self._thread is not None

    def touch(self) -> None:
        """Somebody is watching: keep polling, or begin again."""
        with self._lock:
            self._touched = time.monotonic()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="gridlab-feed", daemon=True)
                self._thread.start()

    def post(self, command: Callable[[], None]) -> None:
        """Have the feed's thread do this before its next poll; counts as a sign of life."""
        self._commands.put(command)
        self.touch()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End for good; returns when the thread has, or after `timeout_s`."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._commands.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _is_over(self) -> bool:
        """Whether to end; clears the thread under the lock, so that a later touch starts one."""
        with self._lock:
            silent = time.monotonic() - self._touched > self._silence_s
            if silent or self._closed:
                self._thread = None
                return True
            return False

    def _run(self) -> None:
        while not self._is_over():
            self._guarded(self._poll)
            self._work_until(time.monotonic() + self._period_s)

    def _work_until(self, deadline: float) -> None:
        """Do posted commands until the next poll is due."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                command = self._commands.get(timeout=left)
            except queue.Empty:
                return
            if command is None:
                return
            self._guarded(command)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # A panel must outlive one bad answer; the log has the trace, the next poll tries again.
            log.exception("the dashboard's feed failed once and goes on")
