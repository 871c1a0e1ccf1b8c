"""Maps of stored series: the same bars as from their months, and never those of another state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridlab.clock import ManualClock
from gridlab.data import mapped
from gridlab.data.bars import Bars
from gridlab.data.history import History
from gridlab.data.mapped import MAP
from gridlab.domain.market import Interval, Market
from gridlab.errors import StorageError

JANUARY_MS = 1_767_225_600_000


def bars_of(first: int, count: int) -> Bars:
    """Minutes from the `first` of January 2026 on, each unlike the others."""
    steps = np.arange(first, first + count)
    close = 100 + (steps % 977) / 100
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        JANUARY_MS + 60_000 * steps,
        close,
        close + 1,
        close - 1,
        close,
        (steps % 13) / 10,
        np.where(steps % 3 == 0, np.nan, close),
        np.where(steps % 5 == 0, -1, steps),
    )


@pytest.fixture
def store(tmp_path: Path) -> History:
    """Fifty days in two months."""
    history = History(tmp_path, clock=ManualClock(JANUARY_MS + 100 * 86_400_000))
    history.add(bars_of(0, 72_000), "test")
    return history


def map_of(store: History) -> Path:
    return store.folder / "spot" / "BTCUSDT" / "1m" / MAP


def test_a_mapped_series_is_the_stored_one(store: History) -> None:
    first = store.load("BTCUSDT", Interval.M1)
    assert map_of(store).is_file() and first == bars_of(0, 72_000)
    again = store.load("BTCUSDT", Interval.M1)
    assert again == first and not again.close.flags.owndata and not again.close.flags.writeable
    part = store.load("BTCUSDT", Interval.M1, JANUARY_MS + 600_000, JANUARY_MS + 1_200_000)
    assert part == first.slice(JANUARY_MS + 600_000, JANUARY_MS + 1_200_000) and len(part) == 10
    assert store.verify().is_ok


def test_a_part_of_a_series_leaves_no_map(store: History) -> None:
    store.load("BTCUSDT", Interval.M1, JANUARY_MS)
    assert not map_of(store).exists()


def test_new_bars_make_an_old_map_worthless(store: History) -> None:
    old = store.load("BTCUSDT", Interval.M1)
    store.add(bars_of(72_000, 60), "test")
    assert len(store.load("BTCUSDT", Interval.M1)) == 72_060
    assert store.load("BTCUSDT", Interval.M1) == bars_of(0, 72_060)
    assert old == bars_of(0, 72_000)  # still mapped, though its file was replaced


def test_a_month_that_was_touched_is_read_and_checked(store: History) -> None:
    store.load("BTCUSDT", Interval.M1)
    month = map_of(store).with_name("2026-01.parquet")
    content = bytearray(month.read_bytes())
    content[len(content) // 2] ^= 1
    month.write_bytes(content)
    with pytest.raises(StorageError, match="another hash"):
        store.load("BTCUSDT", Interval.M1)
    month.unlink()
    with pytest.raises(StorageError, match="missing"):
        store.load("BTCUSDT", Interval.M1)


@pytest.mark.parametrize("damage", ["short", "empty", "other"])
def test_a_map_that_is_no_map_is_passed_over(store: History, damage: str) -> None:
    store.load("BTCUSDT", Interval.M1)
    path = map_of(store)
    content = path.read_bytes()
    path.write_bytes({"short": content[:-8], "empty": b"", "other": b"[1]" * 2000}[damage])
    assert store.load("BTCUSDT", Interval.M1) == bars_of(0, 72_000)
    assert path.read_bytes() == content


def test_verify_reads_maps_too(store: History) -> None:
    store.load("BTCUSDT", Interval.M1)
    content = bytearray(map_of(store).read_bytes())
    content[5000] ^= 1
    map_of(store).write_bytes(content)
    assert "differs from the months" in store.verify().problems[0]


def test_where_no_map_can_be_left_reading_is_right(
    store: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(mapped.os, "replace", refuse)
    assert store.load("BTCUSDT", Interval.M1) == bars_of(0, 72_000)
    assert sorted(path.name for path in map_of(store).parent.iterdir()) == [
        "2026-01.parquet",
        "2026-02.parquet",
    ]


def test_what_a_killed_reader_left_is_cleared_by_the_next_writer(store: History) -> None:
    left = map_of(store).with_name(f"{MAP}.77.part")
    left.write_bytes(b"half")
    assert store.verify().is_ok
    store.add(bars_of(72_000, 60), "test")
    assert not left.exists()
