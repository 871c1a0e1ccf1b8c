"""Where the other contenders live: one virtual environment each, made when asked for.

Each has its version pinned here. What cannot be had is absent with its reason, never an error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    """A contender: what to install, and our script for it."""

    name: str
    requirement: str
    script: str


PEERS = (
    Peer("vectorbt", "vectorbt==1.2.0", "vectorbt_grid.py"),
    Peer("hftbacktest", "hftbacktest==2.4.4", "hftbacktest_grid.py"),
    Peer("backtesting.py", "backtesting==0.6.6", "backtesting_grid.py"),
    Peer("nautilus_trader", "nautilus_trader==1.221.0", "nautilus_grid.py"),
)
#: Contenders of the field that are not run, and why.
NEVER = {
    "freqtrade": "a year of minutes takes it minutes; its position-adjusting form does not end",
    "grid_trading_bot": "needs Python 3.12",
    "passivbot": "its compiled part has no wheel, and its strategies are no fixed spot grid",
}
INSTALL_S = 900


def python_of(folder: Path, peer: Peer) -> Path:
    return folder / peer.name / "bin" / "python"


def install(folder: Path, peer: Peer) -> str:
    """Make the peer's environment if it is not there; why that failed, or nothing."""
    python, done = python_of(folder, peer), folder / peer.name / ".installed"
    if done.is_file() and done.read_text() == peer.requirement:
        return ""
    steps = (
        [sys.executable, "-m", "venv", str(folder / peer.name)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        + ["--only-binary", ":all:", peer.requirement],
    )
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.CalledProcessError as error:
            said = (error.stderr.strip() or error.stdout.strip() or "it said nothing").splitlines()
            return f"{peer.requirement} could not be installed: {said[-1]}"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{peer.requirement} could not be installed: {error}"
    done.write_text(peer.requirement)
    return ""


def absent(folder: Path, *, is_installing: bool) -> dict[str, str]:
    """Why each contender that is not there is not there, by name; installs first if asked to."""
    found = dict(NEVER)
    for peer in PEERS:
        if is_installing:
            why = install(folder, peer)
        else:
            is_there = (folder / peer.name / ".installed").is_file()
            why = "" if is_there else "not installed; run with --peers"
        if why:
            found[peer.name] = why
    return found
