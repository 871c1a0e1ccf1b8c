"""`study`: decided by its seed, resumed to the trials it would have had, honest of refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sweep import BARS, START_MS, same

from gridlab.errors import Conflict, InvalidInput, InvalidSpec, StorageError
from gridlab.research.backtest import backtest
from gridlab.research.space import space
from gridlab.research.study import study

pytestmark = pytest.mark.slow  # seconds each: left out of make check

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

RANGES = {
    "levels": (4, 40),
    "spacing": "0.1%..2% log",
    "mode": ["geometric", "arithmetic"],
    "investment": 3000,
}
NAMED: dict[str, Any] = {"trials": 40, "seed": 3, "batch": 8, "progress": False}


def test_rows_are_backtests_and_refusals_are_infeasible() -> None:
    found = study(RANGES, BARS, **NAMED)
    frame = found.to_frame()
    assert len(found) == 40 and frame.index.name == "trial"
    assert list(found.axes.columns) == ["levels", "spacing", "mode"]
    for i in range(40):
        trial = found.optuna.trials[i]
        if not found.ran[i]:
            with pytest.raises(InvalidSpec) as refused:
                found.backtest(i)
            assert str(refused.value) == found.row(i).reason
            assert trial.state is optuna.trial.TrialState.PRUNED and trial.values is None
            assert trial.constraints == {"cannot start": 1.0}
            continue
        alone = backtest(found.spec(i), BARS)
        assert frame["equity"][i] == float(alone.equity)
        assert trial.values == [frame["total_return"][i], frame["max_drawdown"][i]]
    assert 20 < found.ran.sum() < 40
    front = [trial.number for trial in found.optuna.best_trials]
    assert set(found.pareto().index) <= set(front)


def test_the_search_learns() -> None:
    """On the average it does better after its random start than in it, and refusals become rare."""
    early, late, refused = [], [], [0, 0]
    for seed in range(4):
        found = study(RANGES, BARS, **(NAMED | {"trials": 64, "seed": seed}), objectives="equity")
        ran, equity = found.ran, found.figure("equity")
        early.append(np.median(equity[:16][ran[:16]]))
        late.append(np.median(equity[-24:][ran[-24:]]))
        refused[0] += int((~ran[:16]).sum())
        refused[1] += int((~ran[-16:]).sum())
    assert np.mean(late) > np.mean(early)
    assert refused[1] < refused[0]


def test_the_seed_and_the_batch_decide_the_trials() -> None:
    first = study(RANGES, BARS, **NAMED).to_frame()
    assert same(first, study(RANGES, BARS, **NAMED, threads=1).to_frame())
    assert not same(first, study(RANGES, BARS, **(NAMED | {"seed": 4})).to_frame())
    other = study(RANGES, BARS, **(NAMED | {"batch": 10})).to_frame()
    assert same(first[:8], other[:8]) and not same(first, other)


def test_choices_of_a_space_are_searched() -> None:
    many = space("BTCUSDT", levels=[4, 8, 12], spacing=["0.5%", "1%"], investment=3000)
    found = study(many, BARS, **NAMED)
    assert set(found.axes["levels"]) == {4, 8, 12} and set(found.axes["spacing"]) == {0.005, 0.01}
    assert found.settings(0)["investment"] == 3000


# --- storage --------------------------------------------------------------------------------------

KILLED = """
import sys
import optuna
from gridlab.data.catalog import load
from gridlab.research import study as module
bars = load("BTCUSDT", start_ms={start}, end_ms={end})
ask, add = module._Search._ask, optuna.Study.add_trial
def wait(moment, number):
    if (moment, number) == ({moment!r}, {number}):
        print("here", flush=True)
        sys.stdin.readline()
def asked(search, number):
    wait("ask", number)
    return ask(search, number)
def added(study, trial):
    wait("store", trial.number)
    return add(study, trial)
module._Search._ask, optuna.Study.add_trial = asked, added
module.study({ranges!r}, bars, trials=24, seed=3, batch=8, progress=False, storage={storage!r})
"""


def kill_a_study(storage: str, moment: str, number: int) -> None:
    """Run a study in a process of its own and kill it at that moment of that trial."""
    script = KILLED.format(
        start=START_MS,
        end=BARS.end_ms,
        ranges=RANGES,
        storage=storage,
        moment=moment,
        number=number,
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "here\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    """SIGKILL twice in the third batch: with five of eight asked for, with four of eight stored."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for moment, number, stored in (("ask", 21, 16), ("store", 20, 20)):
        kill_a_study(storage, moment, number)
        left = optuna.load_study(study_name="gridlab", storage=storage).trials
        assert len(left) == stored and all(trial.state.is_finished() for trial in left)
    told: list[float] = []
    wanted = NAMED | {"trials": 24}
    resumed = study(RANGES, BARS, **(wanted | {"progress": told.append}), storage=storage)
    assert told[0] == 20 / 24 and told[-1] == 1.0
    assert same(resumed.to_frame(), study(RANGES, BARS, **wanted).to_frame())


def test_a_finished_study_is_read_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "study.db")
    few = NAMED | {"trials": 8}
    first = study(RANGES, BARS, **few, storage=path, name="one")
    again = study(RANGES, BARS, **few, storage=path, name="one")
    assert same(first.to_frame(), again.to_frame()) and again.name == "one"
    for trials in (20, 5, 24):
        more = study(RANGES, BARS, **(NAMED | {"trials": trials}), storage=path, name="one")
    at_once = study(RANGES, BARS, **(NAMED | {"trials": 24}))
    assert len(more) == 24 and same(more.to_frame(), at_once.to_frame())
    assert [t.number for t in more.optuna.best_trials] == [
        t.number for t in at_once.optuna.best_trials
    ]
    two = study(RANGES, BARS, **few, storage=path, name="two")
    assert same(two.to_frame(), first.to_frame())


def test_a_storage_of_other_trials_is_noticed(tmp_path: Path) -> None:
    """As another version of the sampler would leave: a batch begun with other settings."""
    path = str(tmp_path / "study.db")
    found = study(RANGES, BARS, **(NAMED | {"trials": 3}), storage=path)
    odd = found.optuna.trials[1]
    odd.params = odd.params | {"levels": 5 if odd.params["levels"] != 5 else 6}
    found.optuna.add_trial(odd)
    with pytest.raises(Conflict, match="trial 3 would be .* and the storage holds"):
        study(RANGES, BARS, **NAMED, storage=path)


def test_another_study_of_the_name_is_refused(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study(RANGES, BARS, **(NAMED | {"trials": 2}), storage=storage)
    for settings, words in (
        ({"seed": 4}, "its seed is 3, and here 4"),
        ({"batch": 9}, "its batch is 8, and here 9"),
        ({"objectives": ["equity"]}, "its objectives is"),
        ({"fill_rule": "through"}, "its fill rule is"),
    ):
        with pytest.raises(Conflict, match=words):
            study(RANGES, BARS, **(NAMED | settings), storage=storage)
    with pytest.raises(Conflict, match="its ranges is"):
        study(RANGES | {"investment": 3001}, BARS, **NAMED, storage=storage)
    with pytest.raises(Conflict, match="its bars is"):
        study(RANGES, BARS.slice(end_ms=START_MS + 3_600_000), **NAMED, storage=storage)
    foreign = optuna.create_study(storage=storage, study_name="theirs")
    foreign.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(Conflict, match="not gridlab's"):
        study(RANGES, BARS, **NAMED, objectives=["equity"], storage=storage, name="theirs")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objectives": ["total_retrun"]}, "did you mean total_return"),
        ({"objectives": []}, "give one or several"),
        ({"objectives": ["equity", "equity"]}, "each once"),
        ({"trials": 0}, "trials is 0; give a whole number from 1"),
        ({"batch": 1.5}, "batch is 1.5"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_searched_is_said(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        study(RANGES, BARS, **(NAMED | settings))


def test_a_storage_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    for address in ("nonsense://x", f"sqlite:///{tmp_path}/no/such/folder/study.db"):
        with pytest.raises(StorageError, match="cannot be opened"):
            study(RANGES, BARS, **NAMED, storage=address)


def test_optunas_own_log_level_is_left_as_it_was() -> None:
    before = optuna.logging.get_verbosity()
    study(RANGES, BARS, **(NAMED | {"trials": 1}))
    assert optuna.logging.get_verbosity() == before
