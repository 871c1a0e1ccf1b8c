"""The latest log lines in memory, every known secret struck out before anybody can read them."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

RING_SIZE = 2_000
LONGEST_LINE = 2_000
STRUCK = "[secret]"
#: Words after which a value is struck out even if nobody named it a secret.
_TELLING = re.compile(
    r"(?i)((?:signature|secret|api[_-]?key|token|password|authorization|x-mbx-apikey)"
    r"[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)([^\s\"'&,;}]{4,})"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record of the log; `time_ms` by the machine's clock."""

    time_ms: int
    level: str
    logger: str
    message: str


class LogRing(logging.Handler):
    """Keeps the last records; bounded, thread-safe, redacted when a record is taken in."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=RING_SIZE)
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 4)
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        words = self.redact(record.getMessage())[:LONGEST_LINE]
        line = LogLine(int(record.created * 1000), record.levelname, record.name, words)
        with self._guard:
            self._lines.append(line)

    def redact(self, words: str) -> str:
        """`words` with every known secret, and everything that looks like one, struck out."""
        for secret in self._secrets:
            words = words.replace(secret, STRUCK)
        return _TELLING.sub(rf"\1{STRUCK}", words)

    def lines(self, count: int) -> tuple[LogLine, ...]:
        """The last `count` lines, oldest first."""
        with self._guard:
            return tuple(self._lines)[-count:]


class RedactingFormatter(logging.Formatter):
    """Strikes secrets out of what another handler, such as a file, writes; tracebacks included."""

    def __init__(self, form: str, ring: LogRing) -> None:
        super().__init__(form)
        self._ring = ring

    def format(self, record: logging.LogRecord) -> str:
        return self._ring.redact(super().format(record))
