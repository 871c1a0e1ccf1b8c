"""A replay killed with SIGKILL at random moments ends as if it had never been killed.

Real processes, real files, real kernel. What is compared, byte for byte, is everything that the two
parties remember: the venue's orders, trades and balances, and the ledger that the journal rebuilds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gridlab.app.audit import audit_journal
from gridlab.store.records import SqliteRecords

RUNNER = Path(__file__).with_name("killed_replay.py")
#: A dense grid, so that a kill is likely to fall among commits and orders on their way.
CONFIG = """
grid: {initial_levels: 40, initial_spacing_perc: '0.0025'}
trading: {capital_per_pair_usd: '4000'}
"""


def launch(data_dir: Path, config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(RUNNER), str(data_dir), str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(data_dir: Path, config: Path) -> None:
    process = launch(data_dir, config)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "finished" in output, output


def memory_of(data_dir: Path) -> dict[str, object]:
    """All that the venue and the bot remember; the replay's own position is not part of it."""
    with SqliteRecords.open(data_dir / "venue.sqlite") as records:
        venue = [(kind, key, body) for kind, key, body in records.load() if kind != "replay"]
    audit = audit_journal(data_dir)
    return {"venue": sorted(venue), "runs": audit["runs"]}


def kill_repeatedly(data_dir: Path, config: Path, kills: int, seed: int) -> int:
    """Kill the replay `kills` times at random moments; how many of them came before its end."""
    chance = random.Random(seed)
    landed = 0
    for _ in range(kills):
        process = launch(data_dir, config)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", line + process.stdout.read()
        time.sleep(chance.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        landed += "finished" not in rest
    return landed


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory, config: Path) -> dict[str, object]:
    data_dir = tmp_path_factory.mktemp("reference")
    finish(data_dir, config)
    return memory_of(data_dir)


def test_twenty_kills_leave_no_trace(
    tmp_path: Path, config: Path, never_killed: dict[str, object]
) -> None:
    seed = int(os.environ.get("GRIDLAB_SEED", "20"))
    landed = kill_repeatedly(tmp_path, config, int(os.environ.get("GRIDLAB_KILLS", "20")), seed)
    finish(tmp_path, config)
    assert landed >= 5, f"only {landed} kills came before the end; seed {seed}"
    killed = memory_of(tmp_path)
    assert json.dumps(killed, sort_keys=True) == json.dumps(never_killed, sort_keys=True)


def test_the_reference_run_is_worth_comparing(never_killed: dict[str, object]) -> None:
    (run,) = never_killed["runs"].values()  # type: ignore[attr-defined]
    assert run["trades"] > 200 and run["phase"] == "running" and not run["halted"]
