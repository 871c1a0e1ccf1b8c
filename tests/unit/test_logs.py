"""The log ring: bounded, ordered, and without secrets."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from gridlab.app.logs import LONGEST_LINE, RING_SIZE, STRUCK, LogRing, RedactingFormatter

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP"


def logger_with(ring: LogRing) -> logging.Logger:
    logger = logging.Logger("test")
    logger.addHandler(ring)
    return logger


def test_lines_come_in_order_and_are_bounded() -> None:
    ring = LogRing()
    logger = logger_with(ring)
    for number in range(RING_SIZE + 10):
        logger.warning("line %d", number)
    assert len(ring.lines(10**6)) == RING_SIZE
    assert [line.message for line in ring.lines(2)] == [
        f"line {RING_SIZE + 8}",
        f"line {RING_SIZE + 9}",
    ]
    logger.warning("x" * 10**5)
    assert len(ring.lines(1)[0].message) == LONGEST_LINE


@pytest.mark.parametrize(
    "words",
    [
        f"connecting with {SECRET}",
        "GET /order?symbol=X&signature=c8db56825ae71d6d79447849e617115f",
        "headers {'X-MBX-APIKEY': 'abcdef1234567890'}",
        "Authorization: Bearer abcdef1234567890",
        '{"api_secret": "abcdef1234567890"}',
    ],
)
def test_secrets_are_struck_out(words: str) -> None:
    ring = LogRing([SECRET])
    logger_with(ring).error("%s", words)
    (line,) = ring.lines(1)
    assert STRUCK in line.message
    assert SECRET not in line.message and "abcdef1234567890" not in line.message
    assert "c8db56825ae71d6d" not in line.message


def test_other_handlers_write_struck_out_words_and_tracebacks() -> None:
    ring = LogRing([SECRET])
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(message)s", ring))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("key %s", SECRET)
    try:
        raise ValueError(f"refused: {SECRET}")
    except ValueError:
        logger.exception("it broke")
    assert f"WARNING key {STRUCK}" in written.getvalue()
    assert "ValueError: refused" in written.getvalue()
    assert SECRET not in written.getvalue()


def test_ordinary_words_stay() -> None:
    ring = LogRing([SECRET])
    logger_with(ring).info("bot r1 on BTCUSDT: token bucket is empty, 3 secrets kept")
    assert ring.lines(1)[0].message.endswith("3 secrets kept")


def test_a_start_without_a_place_for_its_log_says_so(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder is meant")
    command = [sys.executable, "-m", "gridlab", "up", "--headless", "--data-dir", str(taken)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert told.stderr.startswith(f"gridlab: the log {taken}"), told.stderr
    assert "--data-dir" in told.stderr and "Traceback" not in told.stderr
