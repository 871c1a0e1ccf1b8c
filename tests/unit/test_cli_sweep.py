"""`gridlab sweep`: its words, its table, its JSON, its files and its refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.cli import main
from gridlab.data.catalog import load
from gridlab.research.space import space
from gridlab.research.sweep import sweep

BASE = ["sweep", "--symbol", "BTCUSDT", "--quiet"]
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candles") / "day.parquet"
    bars = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 86_400_000)
    bars.to_frame().reset_index().to_parquet(path)
    return path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*BASE, *words, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_json_holds_the_best_rows(capsys: pytest.CaptureFixture[str], day: Path) -> None:
    told = answer(
        capsys,
        *("--levels", "10,20:30:5", "--spacing-perc", "0.1,0.5:0.6:0.05", "--file", str(day)),
        *("--investment", "5000", "--fill-rule", "through", "--top", "3", "--fee-mode", "quote"),
    )
    assert (told["settings"], told["fill_rule"], told["in_sample"]) == (16, "through", True)
    assert told["ran"] == 12 and len(told["best"]) == 3 and str(day) in told["data_source"]
    many = space("BTCUSDT", levels=[10, 20, 25, 30], spacing=["0.1%", "0.5%", "0.55%", "0.6%"])
    assert {row["levels"] for row in told["best"]} <= set(many.axes["levels"])
    returns = [row["total_return"] for row in told["best"]]
    assert returns == sorted(returns, reverse=True)
    assert all(row["investment"] == 5000 for row in told["best"])


def test_the_table_and_the_file_agree_with_the_call(
    capsys: pytest.CaptureFixture[str], day: Path, tmp_path: Path
) -> None:
    words = ["--levels", "8:12:2", "--width-perc", "2,4", "--mode", "geometric,arithmetic"]
    many = space(
        "BTCUSDT",
        levels=[8, 10, 12],
        width=["2%", "4%"],
        mode=["geometric", "arithmetic"],
        investment=10_000,
    )
    truth = sweep(many, day, progress=False)
    for name in ("rows.parquet", "rows.csv"):
        path = tmp_path / name
        assert main([*BASE, *words, "--file", str(day), "--out", str(path)]) == 0
        text = capsys.readouterr().out
        assert "Sweep of BTCUSDT · 12 settings" in text and "In-sample" in text
        rows = pd.read_parquet(path) if name.endswith("parquet") else pd.read_csv(path)
        assert rows["row"].tolist() == list(range(12))
        for column in ("levels", "width", "equity", "max_drawdown"):
            assert np.array_equal(rows[column], truth.to_frame()[column], equal_nan=True)
    assert text.count("geometric") + text.count("arithmetic") >= 8


def test_another_figure_ranks(capsys: pytest.CaptureFixture[str], day: Path) -> None:
    words = ["--levels", "10,20", "--spacing-perc", "0.5,1", "--file", str(day)]
    told = answer(capsys, *words, "--by", "out_of_range")
    ranked = [row["out_of_range"] for row in told["best"]]
    assert ranked == sorted(ranked) and told["by"] == "out_of_range"
    assert main([*BASE, *words, "--by", "floating"]) == 0
    assert "floating" in capsys.readouterr().out


def test_a_sample_and_a_folder(
    capsys: pytest.CaptureFixture[str], day: Path, tmp_path: Path
) -> None:
    words = ["--file", str(day), "--sample", "7", "--seed", "5", "--resume", str(tmp_path / "p")]
    first, again = answer(capsys, *words), answer(capsys, *words)
    assert first["settings"] == 7 and first["best"] == again["best"]
    assert len(list((tmp_path / "p").glob("part-*.parquet"))) == 1
    assert main([*BASE, *words[:-4], "--seed", "6", *words[-2:]]) == 1
    assert "holds another sweep: its chosen rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--levels", "10:5:1"], "levels is '10:5:1'; the step is above zero"),
        (["--levels", "ten"], "levels is 'ten', which is not a number"),
        (["--spacing-perc", "1", "--width-perc", "5"], "choose one of them"),
        (["--mode", "geometrical"], "did you mean geometric"),
        (["--by", "profit"], "did you mean grid_profit"),
        (["--out", "rows.xls"], "ends in .parquet or .csv"),
        (["--out", "no/such/folder/rows.csv"], "does not exist"),
        (["--top", "0"], "--top is 0"),
        (["--threads", "0"], "threads is 0"),
        (["--dask", "tcp://127.0.0.1:9"], "no Dask scheduler answers"),
        (["--file", "missing.parquet"], "missing.parquet"),
        (["--sample", "0"], "n is 0"),
    ],
)
def test_refusals_name_the_word_and_the_remedy(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.setattr("gridlab.research.workers.PATIENCE_S", 1)
    assert main([*BASE, *words]) == 1
    told = capsys.readouterr()
    assert told.out == "" and said in told.err


@pytest.mark.slow
def test_figures_go_to_stdout_and_the_bar_to_stderr(day: Path) -> None:
    """A process of its own, and so many grids that they take over a second."""
    words = [*BASE[:-1], "--levels", "10:60:1", "--spacing-perc", "0.3:1.2:0.01", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "gridlab", *words, "--file", str(day)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and json.loads(done.stdout)["settings"] == 4641
    assert "sweep BTCUSDT" in done.stderr and "4641/4641" in done.stderr


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_it_goes_on(day: Path, tmp_path: Path) -> None:
    """SIGINT as soon as the first of many parts is stored; the same command finishes."""
    words = [*BASE, "--levels", "4:60:1", "--spacing-perc", "0.5:1.2:0.05", "--file", str(day)]
    words += ["--investment", "90000", "--resume", str(tmp_path / "parts"), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gridlab", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell ignores it, and so would its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    first = tmp_path / "parts" / "part-000000000.parquet"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert f"finished parts are in {tmp_path / 'parts'}" in err and "Traceback" not in err
    before = len(list(first.parent.glob("part-*.parquet")))
    assert main(words) == 0
    assert len(list(first.parent.glob("part-*.parquet"))) == 7 > before
