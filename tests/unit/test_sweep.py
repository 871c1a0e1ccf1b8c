"""`sweep`: each row is the backtest of its grid, whatever comes between; a killed one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument, load
from gridlab.data.writer import WriterLock
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.errors import Conflict, InvalidInput, InvalidSpec, StorageError
from gridlab.research.backtest import backtest
from gridlab.research.space import Space, space
from gridlab.research.sweep import SweepResult, _part_rows, sweep
from gridlab.research.sweep_parts import MANIFEST, cut

START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
DAY_MS = 86_400_000
BARS = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 2 * DAY_MS)
GRIDS = space(
    "BTCUSDT",
    levels=[4, 10, 25],
    width="1%:5%:2%",
    mode=["geometric", "arithmetic"],
    investment=3000,
)


@pytest.fixture(scope="module")
def found() -> SweepResult:
    return sweep(GRIDS, BARS, progress=False)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames are the same in names, order, types and every bit."""
    if list(one.columns) != list(other.columns) or not one.index.equals(other.index):
        return False
    if list(one.dtypes) != list(other.dtypes):
        return False
    return all(
        np.array_equal(a.view(np.int64), b.view(np.int64))
        if a.dtype.kind in "fi"
        else (a == b).all()
        for a, b in ((one[name].to_numpy(), other[name].to_numpy()) for name in one.columns)
    )


def test_each_row_is_the_backtest_of_its_grid(found: SweepResult) -> None:
    frame = found.to_frame()
    assert len(frame) == len(GRIDS) == 18 and 0 < found.ran.sum() < 18
    for i in range(len(GRIDS)):
        if not found.ran[i]:
            with pytest.raises(InvalidSpec) as refused:
                found.backtest(i)
            assert str(refused.value) == frame["reason"][i] == found.row(i).reason
            continue
        alone = backtest(GRIDS.spec(i, found.ground.price), BARS, engine="core")
        row = found.row(i)
        assert row.spec == alone.spec and row.reason == ""
        assert (frame["buys"][i], frame["sells"][i]) == alone.fills
        assert frame["equity"][i] == float(alone.equity)
        assert frame["total_return"][i] == pytest.approx(alone.total_return, abs=1e-12)
        assert frame["max_drawdown"][i] == pytest.approx(alone.max_drawdown, abs=1e-11)
        assert found.backtest(i).money == alone.money
    assert frame["buys"].sum() > 100


def test_a_row_that_cannot_start_holds_its_reason_and_no_figure(found: SweepResult) -> None:
    frame = found.to_frame()
    refused = frame[~found.ran]
    assert (refused["reason"].str.contains("fees")).all()
    assert refused[["equity", "total_return", "max_drawdown", "lower"]].isna().all(axis=None)
    assert (refused[["buys", "sells"]] == -1).all(axis=None)
    assert (refused["engine"] == "").all()
    assert set(refused["levels"]) <= {10, 25}


def test_a_sweep_of_nothing_but_refusals_is_a_result(tmp_path: Path) -> None:
    none = space("BTCUSDT", levels=[50, 60], spacing="0.01%")
    found = sweep(none, BARS, progress=False, resume=tmp_path / "parts")
    assert not found.ran.any() and len(found.best()) == len(found.pareto()) == 0
    assert same(found.to_frame(), sweep(none, BARS, progress=False).to_frame())
    assert same(found.to_frame(), sweep(none, BARS, resume=tmp_path / "parts").to_frame())
    assert "No setting can start" in repr(found) and "No setting can start" in found._repr_html_()


def test_threads_change_nothing(found: SweepResult) -> None:
    for threads in (1, 3):
        assert same(
            sweep(GRIDS, BARS, threads=threads, progress=False).to_frame(), found.to_frame()
        )


@pytest.mark.parametrize("rule", ["touch", "through"])
def test_fees_rules_and_instruments_arrive(rule: str) -> None:
    token = FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=Decimal(600))
    many = space("BTCUSDT", levels=[8, 12], spacing="0.4%", fees=[token, "0.0005"], investment=900)
    rules = instrument("BTCUSDT")
    found = sweep(many, BARS, fill_rule=rule, instrument=rules, progress=False)
    assert found.axes.columns.tolist() == ["levels", "fee_rate"]
    for i in range(4):
        alone = backtest(found.spec(i), BARS, fill_rule=rule, instrument=rules)
        assert found.to_frame()["equity"][i] == float(alone.equity)
        assert found.row(i).figures["fees"] == float(alone.money.fees)
    assert found.row(0).settings["fees"] == token


def test_candles_come_in_every_form(tmp_path: Path, found: SweepResult) -> None:
    path = tmp_path / "candles.parquet"
    BARS.to_frame().reset_index().to_parquet(path)
    for data in (BARS.to_frame(), path, str(path)):
        assert same(sweep(GRIDS, data, progress=False).to_frame(), found.to_frame())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"space": GRIDS.axes}, "make one with gridlab.space"),
        ({"data": load("ETHUSDT", end_ms=START_MS + DAY_MS)}, "bars are of ETHUSDT"),
        ({"data": BARS.slice(end_ms=0)}, "no bar"),
        ({"data": 7}, "give Bars, a pandas DataFrame"),
        ({"fill_rule": "nearly"}, "choose one of"),
        ({"threads": 0}, "threads is 0"),
        ({"space": space("BTCUSDT", levels=[4, 5], market="futures")}, "bars are of BTCUSDT"),
        ({"funding": [(START_MS, "0.0001")]}, "these grids trade spot"),
        ({"margin": "some"}, "choose one of"),
    ],
)
def test_what_cannot_be_swept_is_said(settings: dict[str, Any], words: str) -> None:
    named = {"space": GRIDS, "data": BARS, "progress": False} | settings
    with pytest.raises(InvalidInput, match=words):
        sweep(named.pop("space"), named.pop("data"), **named)


def test_progress_is_told_in_fractions() -> None:
    told: list[float] = []
    many = space("BTCUSDT", levels=range(4, 204), spacing="1%", investment=50_000)
    sweep(many, BARS.slice(end_ms=START_MS + 3_600_000), progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(set(told)) > 2


def test_a_sample_of_a_space_is_swept_by_its_own_rows(found: SweepResult) -> None:
    few = GRIDS.sample(5, seed=4)
    frame = sweep(few, BARS, progress=False).to_frame()
    assert few.chosen is not None
    whole = found.to_frame().iloc[list(few.chosen)].reset_index(drop=True).rename_axis("row")
    assert same(frame, whole)


def test_parts_are_neither_too_small_nor_too_large() -> None:
    month, year = 44_640, 525_600
    sizes = [_part_rows(n, month, 0) for n in (10, 1_000, 8_000, 100_000, 10**6)]
    assert sizes == [128, 128, 200, 256, 1000]
    assert [_part_rows(n, year, 0) for n in (10, 1_000, 10**6)] == [38, 38, 1000]
    sent = [_part_rows(78, month, 2), _part_rows(1000, month, 4), _part_rows(10**6, month, 4)]
    assert sent == [16, 63, 256] and _part_rows(1000, 20 * year, 1) == 16
    assert cut(300, 128) == [(0, 128), (128, 256), (256, 300)]


# --- resuming -------------------------------------------------------------------------------------

MANY = space("BTCUSDT", levels=range(4, 104), spacing=["0.5%", "0.75%", "1%"], investment=20_000)
SHORT = BARS.slice(end_ms=START_MS + DAY_MS // 2)
KILLED = """
import sys
from gridlab.data.catalog import load
from gridlab.research.space import space
from gridlab.research import sweep_parts
from gridlab.research.sweep import sweep
many = space("BTCUSDT", levels=range(4, 104), spacing=["0.5%", "0.75%", "1%"], investment=20_000)
bars = load("BTCUSDT", start_ms={start}, end_ms={end})
write = sweep_parts.SweepParts.write
def told(parts, part):
    write(parts, part)
    print("part", flush=True)
    sys.stdin.readline()
sweep_parts.SweepParts.write = told
sweep(many, bars, resume={folder!r}, progress=False)
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL after two of three parts; the third is made, the two are read."""
    folder = tmp_path / "parts"
    script = KILLED.format(start=START_MS, end=SHORT.end_ms, folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "part\n"
    with pytest.raises(Conflict, match=f"process {process.pid}"):
        sweep(MANY, SHORT, resume=folder, progress=False)
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert process.stdout.readline() == "part\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()
    files = sorted(folder.glob("part-*.parquet"))
    assert len(files) == 2
    stamps = [path.stat().st_mtime_ns for path in files]
    told: list[float] = []
    resumed = sweep(MANY, SHORT, resume=folder, progress=told.append)
    assert told[0] == 256 / 300 and told[-1] == 1.0
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert same(resumed.to_frame(), sweep(MANY, SHORT, progress=False).to_frame())


def test_another_sweeps_folder_is_refused(tmp_path: Path) -> None:
    few, day = space("BTCUSDT", levels=[4, 5], spacing="1%"), SHORT
    sweep(few, day, resume=tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.glob("part*")) == ["part-000000000.parquet"]
    others: list[tuple[Space, Bars, dict[str, Any], str]] = [
        (space("BTCUSDT", levels=[4, 6], spacing="1%"), day, {}, "its space is"),
        (few.sample(1, seed=0), day, {}, "its chosen rows is null, and here 1 rows"),
        (few, BARS, {}, "its bars is Bars"),
        (few, day, {"fill_rule": "through"}, "its fill rule is touch, and here through"),
    ]
    for many, bars, settings, words in others:
        with pytest.raises(Conflict, match=words):
            sweep(many, bars, resume=tmp_path, progress=False, **settings)
    manifest = tmp_path / MANIFEST
    words = json.loads(manifest.read_text())
    words["sweep"]["gridlab"] = "0.0.1"
    manifest.write_text(json.dumps(words))
    with pytest.raises(Conflict, match=r"its gridlab is 0\.0\.1"):
        sweep(few, day, resume=tmp_path, progress=False)


def test_a_folder_of_other_things_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    few = space("BTCUSDT", levels=[4, 5], spacing="1%")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother.txt").write_text("dear")
    with pytest.raises(Conflict, match=r"mother\.txt and no sweep"):
        sweep(few, SHORT, resume=tmp_path / "letters", progress=False)
    done = tmp_path / "done"
    whole = sweep(few, SHORT, resume=done, progress=False)
    part = done / "part-000000000.parquet"
    intact = part.read_bytes()
    part.write_bytes(intact[:-9])
    with pytest.raises(StorageError, match="damaged.*remove that file"):
        sweep(few, SHORT, resume=done, progress=False)
    part.unlink()
    assert same(sweep(few, SHORT, resume=done, progress=False).to_frame(), whole.to_frame())
    assert part.read_bytes() == intact
    (done / MANIFEST).write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        sweep(few, SHORT, resume=done, progress=False)


def test_one_process_writes_to_a_folder(tmp_path: Path) -> None:
    with WriterLock(tmp_path), pytest.raises(Conflict, match="being written by process"):
        sweep(GRIDS, BARS, resume=tmp_path, progress=False)
