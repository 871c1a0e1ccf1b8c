"""The twin's examples, run as a reader would run them: clients of other people, unmodified."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What each must print, line by line.
SAID = {
    "twin_with_ccxt.py": (
        r"spot: a buy at [\d.]+ is open",
        r"spot: it is closed, and the fee was 1e-05 BTC",
        r"futures: long 0.05 from [\d.]+",
        r"futures: closed; the wallet holds 1000\d\d\.\d+ USDT",
    ),
    "twin_with_python_binance.py": (
        r"the market traded at [\d.]+",
        r"our BUY filled 0.01000000 at [\d.]+",
        r"futures: 0 open positions",
    ),
}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them at once: one spends its time waiting for its client's sockets to close."""
    started = {
        name: subprocess.Popen(
            [sys.executable, EXAMPLES / name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in SAID
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", SAID)
def test_an_example_says_what_it_did(runs: dict[str, subprocess.Popen[str]], name: str) -> None:
    out, errors = runs[name].communicate(timeout=90)
    assert runs[name].returncode == 0, errors
    lines = out.strip().splitlines()
    assert len(lines) == len(SAID[name]), out
    for line, wanted in zip(lines, SAID[name], strict=True):
        assert re.fullmatch(wanted, line), line


def test_every_example_of_the_twin_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("twin_*.py")} == set(SAID)
