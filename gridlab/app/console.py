"""The log on standard error, where nobody need read it: whoever logs never waits for a terminal.

A terminal that is held (Ctrl-S), or a parent that does not read its pipe, blocks what writes to it.
Here that is a thread which does nothing else; lines for which there is no room are left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from typing import Final, TextIO

#: Lines that may wait for the terminal.
MOST_LINES: Final = 1_000
#: How long the end of the process waits for the last lines.
AT_END_S: Final = 0.5


class ConsoleHandler(logging.Handler):
    """Writes each line from a thread of its own.

    Args:
        stream: where to; only its file and its encoding are used. A thread that hangs in the
            stream's own `write` holds its lock, which the interpreter's end would wait for.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._file, self._encoding = stream.fileno(), stream.encoding
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES)
        self._writer = threading.Thread(target=self._write, name="console-log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)  # here, so that secrets are struck out before it waits
        except Exception:
            self.handleError(record)
            return
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line + "\n")

    def close(self) -> None:
        """Let the last lines be written if somebody reads them; a moment and no longer."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=AT_END_S)
            self._writer.join(AT_END_S)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            left = line.encode(self._encoding, "backslashreplace")
            with contextlib.suppress(OSError):  # nobody is there any more; the file has the line
                while left:
                    left = left[os.write(self._file, left) :]
