"""The log on standard error: in order, without secrets, and in nobody's way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from gridlab.app.console import MOST_LINES, ConsoleHandler
from gridlab.app.logs import STRUCK, LogRing, RedactingFormatter

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP"

UNREAD = """
import logging, sys
from pathlib import Path
from gridlab.app.daemon import _log_to
from gridlab.app.facade import GridLab
_log_to(GridLab(Path(sys.argv[1])))
logging.getLogger("gridlab").info("it begins")
for number in range(5000):
    logging.getLogger("gridlab").info("line %d %s", number, "x" * 100)
print("all are logged", flush=True)
"""


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reader, os.fdopen(writing, "w") as writer:
        yield reader, writer


def logger_to(stream: TextIO) -> tuple[logging.Logger, ConsoleHandler]:
    handler = ConsoleHandler(stream)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(message)s", LogRing([SECRET])))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, handler


def test_lines_come_in_order_and_the_last_before_the_end(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    logger, handler = logger_to(writer)
    for number in range(100):
        logger.info("line %d", number)
    logger.info("key %s", SECRET)
    handler.close()
    writer.close()
    told = reader.read().splitlines()
    assert told == [*(f"INFO line {number}" for number in range(100)), f"INFO key {STRUCK}"]


def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe: tuple[TextIO, TextIO]) -> None:
    reader, writer = pipe
    logger, handler = logger_to(writer)
    for number in range(10 * MOST_LINES):  # a pipe holds 64 KiB
        logger.info("line %d %s", number, "x" * 100)
    began = time.monotonic()
    handler.close()
    assert time.monotonic() - began < 5
    assert reader.readline().startswith("INFO line 0 ")
    reader.close()  # what the thread hangs in ends, and so can it
    handler.close()
    handler._writer.join(10)
    assert not handler._writer.is_alive()


def test_a_reader_that_went_is_no_error(
    pipe: tuple[TextIO, TextIO], capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = pipe
    logger, handler = logger_to(writer)
    reader.close()
    for number in range(10):
        logger.info("line %d", number)
    handler.close()
    assert not handler._writer.is_alive()
    assert capsys.readouterr().err == ""


def test_a_process_whose_standard_error_nobody_reads_goes_on_and_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", UNREAD, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.wait(60) == 0
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read() == "all are logged\n"
        assert "it begins" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "logs" / "bot.log").read_text().count("\n") == 5001
