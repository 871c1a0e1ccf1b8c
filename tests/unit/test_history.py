"""The history store: what it keeps, what it lacks, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from klines_server import without

from gridlab.clock import ManualClock
from gridlab.data import history as history_module
from gridlab.data import manifest as manifest_module
from gridlab.data.bars import Bars, read_bars
from gridlab.data.catalog import load
from gridlab.data.history import Gap, History
from gridlab.data.manifest import Span, series_key, subtract, union
from gridlab.data.months import next_month_ms
from gridlab.domain.market import Interval, Market
from gridlab.errors import Conflict, InvalidInput, NotFound, StorageError

M1, MINUTE = Interval.M1, 60_000
MARCH_MS, APRIL_MS = 1_772_323_200_000, 1_775_001_600_000
LATER_MS = APRIL_MS + 100 * 86_400_000


def bars_of(first_ms: int, count: int, price: float = 100.0) -> Bars:
    """Minutes in a row, each a little different."""
    prices = price + np.arange(count) % 7
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        M1,
        first_ms + MINUTE * np.arange(count),
        prices,
        prices + 1,
        prices - 1,
        prices,
        np.full(count, 2.0),
        np.full(count, 200.0),
        np.full(count, 5),
    )


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history", clock=ManualClock(LATER_MS))


def test_a_recording_comes_back_bit_for_bit(history: History) -> None:
    recorded = load("BTCUSDT")
    assert history.add(recorded, "bundled") == len(recorded)
    assert history.load("BTCUSDT", M1) == recorded
    path = history.folder / "spot/BTCUSDT/1m/2026-03.parquet"
    assert read_bars(path, symbol="BTCUSDT") == recorded, "any reader of Parquet can have it"
    entry = json.loads((history.folder / "manifest.json").read_text())["series"]
    month = entry["spot/BTCUSDT/1m"]["months"]["2026-03"]
    assert (month["rows"], month["first_ms"], month["source"]) == (44640, MARCH_MS, "bundled")
    assert history.verify().is_ok


def test_unknown_counts_stay_unknown_until_somebody_knows_them(history: History) -> None:
    known = bars_of(MARCH_MS, 10)
    unknown = replace(known, quote_volume=np.full(10, np.nan), trades=np.full(10, -1))
    history.add(unknown, "old dump")
    assert history.load("BTCUSDT", M1) == unknown
    assert history.add(known, "exchange") == 0
    history.add(unknown, "old dump")
    assert history.load("BTCUSDT", M1) == known


def test_parts_are_merged_without_duplicates_across_months(history: History) -> None:
    whole = bars_of(APRIL_MS - 100 * MINUTE, 300)
    for first, last in ((200, 300), (0, 120), (100, 210)):
        part = whole.slice(int(whole.open_time_ms[first]), whole.open_time_ms[0] + last * MINUTE)
        history.add(part, "parts")
    assert history.load("BTCUSDT", M1) == whole
    assert [p.name for p in sorted(history.folder.rglob("*.parquet"))] == [
        "2026-03.parquet",
        "2026-04.parquet",
    ]
    some = history.load("BTCUSDT", M1, APRIL_MS - MINUTE, APRIL_MS + MINUTE)
    assert some.open_time_ms.tolist() == [APRIL_MS - MINUTE, APRIL_MS]
    assert len(history.load("BTCUSDT", M1, 0, 1)) == 0
    (stored,) = history.series()
    assert (stored.rows, stored.months, stored.gaps) == (300, 2, 0)


def test_the_open_candle_is_never_stored(tmp_path: Path) -> None:
    whole = bars_of(MARCH_MS, 10)
    history = History(tmp_path, clock=ManualClock(MARCH_MS + 5 * MINUTE + 59_999))
    assert history.add(whole, "now") == 5
    assert history.load("BTCUSDT", M1).end_ms == MARCH_MS + 5 * MINUTE
    assert history.add(whole, "now", as_of_ms=MARCH_MS + 7 * MINUTE) == 2


def test_other_values_for_a_stored_bar_are_refused_by_name(history: History) -> None:
    whole = bars_of(MARCH_MS, 10)
    history.add(whole, "first")
    volume = whole.volume.copy()
    volume[3] = 2.5
    longer = bars_of(MARCH_MS + 20 * MINUTE, 5)
    with pytest.raises(Conflict, match="2026-03-01T00:03:00Z is stored with volume 2.0.* has 2.5"):
        history.add(replace(whole, volume=volume), "second")
    assert history.load("BTCUSDT", M1) == whole
    history.add(longer, "third")
    assert history.verify().is_ok


def test_a_bar_that_had_only_just_closed_may_be_corrected_once(history: History) -> None:
    whole = bars_of(MARCH_MS, 10)
    volume = whole.volume.copy()
    volume[-1] = 1.5
    end_ms = whole.end_ms
    history.add(replace(whole, volume=volume), "early", as_of_ms=end_ms + 1000)
    assert history.missing("BTCUSDT", M1, MARCH_MS, end_ms) == [Span(end_ms - MINUTE, end_ms)]
    history.add(whole.slice(end_ms - MINUTE), "later", as_of_ms=end_ms + 60_000)
    assert history.load("BTCUSDT", M1) == whole
    assert history.missing("BTCUSDT", M1, MARCH_MS, end_ms) == []
    with pytest.raises(Conflict):
        history.add(replace(whole, volume=volume), "early again")


def test_gaps_are_known_and_confirmed_ones_are_not_missing(history: History) -> None:
    halt = Span(MARCH_MS + 20 * MINUTE, MARCH_MS + 30 * MINUTE)
    hole = Span(MARCH_MS + 50 * MINUTE, MARCH_MS + 51 * MINUTE)
    end_ms = MARCH_MS + 100 * MINUTE
    history.add(without(bars_of(MARCH_MS, 100), [halt, hole]), "test", confirmed_empty=[halt])
    assert history.missing("BTCUSDT", M1, MARCH_MS, end_ms) == [hole]
    assert history.gaps("BTCUSDT", M1) == (Gap(*halt, True), Gap(*hole, False))
    before = Span(MARCH_MS - 5 * MINUTE, MARCH_MS)
    asked = history.missing("BTCUSDT", M1, before.start_ms - 1, end_ms + 1)
    assert asked == [before, hole, Span(end_ms, end_ms + MINUTE)]
    history.add(bars_of(MARCH_MS, 25), "after all")
    assert history.gaps("BTCUSDT", M1)[0] == Gap(MARCH_MS + 25 * MINUTE, halt.end_ms, True)
    assert history.verify().is_ok


def test_a_whole_month_without_trade_is_one_gap(history: History) -> None:
    history.add(bars_of(MARCH_MS, 5), "test")
    may_ms = next_month_ms(APRIL_MS)
    history.add(bars_of(may_ms, 5), "test")
    assert history.gaps("BTCUSDT", M1) == (Gap(MARCH_MS + 5 * MINUTE, may_ms, False),)


@pytest.mark.parametrize("symbol", ["../../etc", "btcusdt", "", "A/B", "A.B", "X" * 41])
def test_a_symbol_cannot_name_another_folder(history: History, symbol: str) -> None:
    with pytest.raises(InvalidInput, match="symbol is"):
        history.load(symbol, M1)


def test_what_is_not_there_is_said_with_the_remedy(history: History) -> None:
    with pytest.raises(NotFound, match="gridlab data fetch --market spot --symbol BTCUSDT"):
        history.load("BTCUSDT", M1)
    with pytest.raises(InvalidInput, match="not after the start"):
        history.missing("BTCUSDT", M1, 5, 5)
    assert history.series() == () and history.verify().is_ok
    assert not history.folder.exists(), "reading makes nothing"


def test_damage_is_found_and_a_removed_file_is_fetched_again(history: History) -> None:
    whole = bars_of(MARCH_MS, 50)
    history.add(whole, "test")
    path = history.folder / "spot/BTCUSDT/1m/2026-03.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-100] + b"\0" * 100)
    assert not history.verify().is_ok
    with pytest.raises(StorageError, match="another hash .* remove it and run"):
        history.load("BTCUSDT", M1)
    with pytest.raises(StorageError, match="another hash"):
        history.add(whole, "test")
    path.unlink()
    with pytest.raises(StorageError, match="is missing; run .*2026-03-01"):
        history.load("BTCUSDT", M1)
    assert history.missing("BTCUSDT", M1, MARCH_MS, whole.end_ms) == [Span(MARCH_MS, whole.end_ms)]
    history.add(whole, "test")
    assert path.read_bytes() == good and history.verify().is_ok
    (path.parent / "2026-04.parquet").write_bytes(good)
    assert "not in the manifest" in history.verify().problems[0]


def test_a_manifest_that_lies_is_found(history: History) -> None:
    history.add(bars_of(MARCH_MS, 50), "test")
    path = history.folder / "manifest.json"
    good = path.read_text()
    path.write_text(good.replace('"rows": 50', '"rows": 51'))
    assert "not those in the manifest" in history.verify().problems[0]
    for bad in (good[:-20], good.replace('"version": 1', '"version": 9'), "[]", "\0"):
        path.write_text(bad)
        with pytest.raises(StorageError, match="manifest.json is damaged"):
            history.load("BTCUSDT", M1)
    path.unlink()
    history.add(bars_of(MARCH_MS + 50 * MINUTE, 5), "test")
    assert len(history.load("BTCUSDT", M1)) == 55, "the file that was there is kept"


class Killed(BaseException):
    """The moment at which a writer dies; nothing of ours catches it."""


def test_a_kill_at_any_step_leaves_the_old_or_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, whole = bars_of(APRIL_MS - 100 * MINUTE, 90), bars_of(APRIL_MS - 100 * MINUTE, 300)
    outcomes: list[int] = []
    for step in range(100):
        history = History(tmp_path / str(step), clock=ManualClock(LATER_MS))
        history.add(old, "old")
        with monkeypatch.context() as patch:
            is_dead = _die_at(patch, step)
            try:
                history.add(whole, "new")
            except Killed:
                assert is_dead()
        found = History(history.folder).load("BTCUSDT", M1)
        assert found in (old, whole)
        outcomes.append(len(found))
        healed = History(history.folder, clock=ManualClock(LATER_MS))
        healed.add(whole, "new")
        assert healed.load("BTCUSDT", M1) == whole and healed.verify().is_ok
        left = [p.name for p in healed.folder.rglob("*") if p.suffix in (".staged", ".part")]
        assert not left
        if not is_dead():
            break
    assert outcomes == [90] * 5 + [300] * 5, "it happens when the manifest is renamed"


def _die_at(patch: pytest.MonkeyPatch, step: int) -> Callable[[], bool]:
    """Die at the `step`th operation on a file, having written half of what was to be written."""
    done = [0]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if done[0] > step:
                raise Killed
            done[0] += 1
            if done[0] > step:
                if real is write:
                    args[0].write_bytes(args[1][: len(args[1]) // 2])
                raise Killed
            return real(*args)

        return call

    write, sync = manifest_module.write_durably, manifest_module.sync_folder
    for module in (history_module, manifest_module):
        patch.setattr(module, "write_durably", dying(write))
        patch.setattr(module, "sync_folder", dying(sync))
    patch.setattr(os, "replace", dying(os.replace))
    return lambda: done[0] > step


def test_one_writer_at_a_time_and_a_dead_one_does_not_count(history: History) -> None:
    other = History(history.folder, clock=ManualClock(LATER_MS))
    with history.writing():
        history.add(bars_of(MARCH_MS, 5), "inside")
        with pytest.raises(Conflict, match=f"being written by process {os.getpid()}"):
            other.add(bars_of(MARCH_MS, 6), "other")
        assert len(other.load("BTCUSDT", M1)) == 5, "readers are free"
    assert other.add(bars_of(MARCH_MS, 6), "other") == 1
    script = (
        "import sys, time; from gridlab.data.history import History\n"
        "with History(sys.argv[1]).writing(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(history.folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=f"process {holder.pid}"):
            history.add(bars_of(MARCH_MS, 7), "refused")
    finally:
        holder.kill()
        holder.wait()
    assert history.add(bars_of(MARCH_MS, 7), "free again") == 1


def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened.*choose another"):
        History(tmp_path / "file" / "below").add(bars_of(MARCH_MS, 5), "test")


def test_markets_and_intervals_are_apart(history: History) -> None:
    spot = bars_of(MARCH_MS, 60)
    history.add(spot, "test")
    history.add(replace(spot, market=Market.FUTURES), "test")
    history.add(spot.resample(Interval.M15), "test")
    assert [str(stored.key) for stored in history.series()] == [
        "futures BTCUSDT 1m",
        "spot BTCUSDT 15m",
        "spot BTCUSDT 1m",
    ]
    assert history.load("BTCUSDT", M1, market=Market.FUTURES).market is Market.FUTURES
    assert series_key(Market.SPOT, "币安人生USDT", M1).symbol == "币安人生USDT"


spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Span(*sorted(pair))),
    max_size=8,
)


@given(spans, spans)
def test_sums_of_spans_are_sums_of_sets(left: list[Span], right: list[Span]) -> None:
    def times(of: Any) -> set[int]:
        return {t for start_ms, end_ms in of for t in range(start_ms, end_ms)}

    assert times(union(left)) == times(left)
    assert times(subtract(left, right)) == times(left) - times(right)
    joined = union(left)
    assert all(a.end_ms < b.start_ms for a, b in zip(joined, joined[1:], strict=False))
