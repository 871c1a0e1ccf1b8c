"""`gridlab up` as a user runs it: a real process, its words, its port, its signals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from gridlab.clock import iso
from gridlab.data.catalog import load


def up(data_dir: Path, port: int, *more: str) -> subprocess.Popen[str]:
    words = ["up", "--headless", "--port", str(port), "--data-dir", str(data_dir), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "gridlab", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def banner(process: subprocess.Popen[str]) -> str:
    """Everything printed up to `ready`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "ready\n":
            return "".join(lines)
    raise AssertionError("it ended before it was ready: " + "".join(lines))


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = up(tmp_path_factory.mktemp("up"), port)
    yield process, banner(process)
    process.kill()
    process.wait()


def test_the_banner_names_mode_and_address(
    running: tuple[subprocess.Popen[str], str], port: int
) -> None:
    _, words = running
    assert "REPLAY" in words and f"http://127.0.0.1:{port}" in words
    assert words.splitlines().count("ready") == 1


def test_a_first_fill_comes_soon(running: tuple[subprocess.Popen[str], str], port: int) -> None:
    """Within fifteen seconds, if the machine has nothing else to do."""
    end = time.monotonic() + 60
    while True:
        trades = get(port, "/api/trades/BTCUSDT")
        if any(re.fullmatch(r"gl-\w+-\d+-\d+-\d+", t["client_order_id"]) for t in trades):
            return
        assert time.monotonic() < end, f"no fill of a grid order: {trades}"
        time.sleep(0.2)


def test_prices_are_those_of_the_recording(
    running: tuple[subprocess.Popen[str], str], port: int
) -> None:
    bars = load("BTCUSDT")
    answer = get(port, "/api/klines/BTCUSDT?interval=1m&limit=50")
    for candle in answer["data"][:-1]:
        recorded = bars.kline(bars.index_at(candle["timestamp"]))
        for name in ("open", "high", "low", "close", "volume"):
            assert candle[name] == float(getattr(recorded, name)), iso(candle["timestamp"])


def test_a_taken_port_is_named_with_its_option(
    running: tuple[subprocess.Popen[str], str], port: int, tmp_path: Path
) -> None:
    second = up(tmp_path, port)
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"port {port} is taken" in output and "--port" in output
    assert not (tmp_path / "journal.sqlite").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    own_port = free_port()
    process = up(tmp_path, own_port)
    banner(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Traceback" not in output and "stopping" in output


def test_a_killed_workbench_starts_again_on_its_books(tmp_path: Path) -> None:
    own_port = free_port()
    process = up(tmp_path, own_port)
    banner(process)
    run = get(own_port, "/api/grid/status/BTCUSDT")["run"]
    process.kill()
    process.communicate()
    again = up(tmp_path, own_port)
    try:
        banner(again)
        assert get(own_port, "/api/grid/status/BTCUSDT")["run"] == run
        assert get(own_port, "/api/grid/recovery_status/BTCUSDT")["recovered"] is True
    finally:
        again.kill()
        again.communicate()


def test_a_second_workbench_on_the_same_books_is_refused(
    running: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    own_port, other_port = free_port(), free_port()
    first = up(tmp_path, own_port)
    try:
        banner(first)
        second = up(tmp_path, other_port)
        output, _ = second.communicate(timeout=120)
        assert second.returncode == 1 and "--data-dir" in output
    finally:
        first.kill()
        first.communicate()
