"""A circuit breaker: who keeps failing is left alone for a while, then tried once.

Closed lets everybody pass. After so many failures in a row it opens and nobody passes; when its
time is over it is half open and one caller may try, whose outcome closes or reopens it. Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum

from gridlab.clock import monotonic_s
from gridlab.errors import InvalidInput


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one service.

    Args:
        most_failures: in a row, at least 1, that open it.
        open_s: seconds for which it stays open.
        now_s: seconds of a clock that never goes back.

    Raises:
        InvalidInput: numbers that cannot be kept.
    """

    def __init__(
        self,
        most_failures: int = 3,
        open_s: float = 60.0,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        if most_failures < 1 or open_s <= 0:
            raise InvalidInput(
                f"a breaker that opens after {most_failures} failures for {open_s} s cannot be; at "
                "least 1, and more than 0 s"
            )
        self._most = most_failures
        self._open_s = open_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._failures = 0
        self._until_s: float | None = None
        self._is_tried = False

    @property
    def state(self) -> State:
        """What a caller would meet now."""
        with self._lock:
            if self._until_s is None:
                return State.CLOSED
            return State.OPEN if self._now_s() < self._until_s else State.HALF_OPEN

    @property
    def seconds_left(self) -> float:
        """How long it stays open; 0 when it is not."""
        with self._lock:
            return 0.0 if self._until_s is None else max(0.0, self._until_s - self._now_s())

    def enter(self) -> bool:
        """Whether this caller may try; who may must say `succeed` or `fail` afterwards."""
        with self._lock:
            if self._until_s is None:
                return True
            if self._now_s() < self._until_s or self._is_tried:
                return False
            self._is_tried = True
            return True

    def succeed(self) -> None:
        """Close it."""
        with self._lock:
            self._failures, self._until_s, self._is_tried = 0, None, False

    def fail(self) -> None:
        """Count a failure; the last of many, or that of the one who tried, opens it."""
        with self._lock:
            self._failures += 1
            self._is_tried = False
            if self._until_s is not None or self._failures >= self._most:
                self._until_s = self._now_s() + self._open_s
