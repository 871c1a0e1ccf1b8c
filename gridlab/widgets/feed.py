"""One background thread that polls, and through which everything that touches a widget goes.

A viewer's browser pings while it is open. When no ping has come for a while the thread ends, so
that an abandoned kernel falls silent and the server can remove it; the next ping starts it again.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from gridlab.clock import Clock, SystemClock

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
        clock: measures both; a jump of it costs at most one period or one restart.
    """

    def __init__(
        self,
        poll: Callable[[], None],
        *,
        period_s: float = PERIOD_S,
        silence_s: float = SILENCE_S,
        clock: Clock | None = None,
    ) -> None:
        self._poll = poll
        self._period_ms = int(period_s * 1000)
        self._silence_ms = int(silence_s * 1000)
        self._clock = clock or SystemClock()
        self._commands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._touched_ms = 0
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether the thread is polling now."""
        with self._lock:
            return self._thread is not None

    def touch(self) -> None:
        """Somebody is watching: keep polling, or begin again."""
        with self._lock:
            self._touched_ms = self._clock.now_ms()
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
            silent = self._clock.now_ms() - self._touched_ms > self._silence_ms
            if silent or self._closed:
                self._thread = None
                return True
            return False

    def _run(self) -> None:
        while not self._is_over():
            self._guarded(self._poll)
            self._work_until(self._clock.now_ms() + self._period_ms)

    def _work_until(self, deadline_ms: int) -> None:
        """Do posted commands until the next poll is due."""
        while (left_ms := deadline_ms - self._clock.now_ms()) > 0:
            try:
                command = self._commands.get(timeout=min(left_ms, self._period_ms) / 1000)
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
