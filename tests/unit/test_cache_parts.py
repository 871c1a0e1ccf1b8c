"""The parts of the cache: kinds, forms of values, the store and its evictions, the planner."""

from __future__ import annotations

import ast
import asyncio
import json
import random
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridlab.clock import ManualClock
from gridlab.data import prefetch
from gridlab.data.cache import IntelligentCache, Kind
from gridlab.data.cache_flights import MAX_FLIGHTS, Board, Flight, Purpose
from gridlab.data.cache_policy import (
    CLOSED_CANDLES,
    EXCHANGE_INFO,
    FOREVER_MS,
    KINDS,
    candles,
    lasting,
    open_candle,
)
from gridlab.data.cache_store import Entry, Store
from gridlab.data.cache_values import Form, Packed, estimated_size, pack
from gridlab.data.prefetch import Prefetcher
from gridlab.domain.market import Interval, Kline
from gridlab.errors import InvalidInput

ROOT = Path(__file__).parents[2]
QUICK = Kind("quick", fresh_ms=1_000, stale_ms=5_000)
MINUTE_MS = 60_000


# --- kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", list(Interval))
def test_an_open_candle_is_fresh_until_its_close_at_the_latest(interval: Interval) -> None:
    kind = open_candle(interval)
    close_ms = 7 * interval.ms
    assert kind.fresh_until_ms(close_ms - 1) == close_ms - 1
    assert kind.fresh_until_ms(close_ms) == close_ms + kind.fresh_ms
    assert 5_000 <= kind.fresh_ms <= 15_000


def test_candles_that_have_all_closed_never_age() -> None:
    end_ms = 100 * MINUTE_MS
    assert candles(Interval.M1, end_ms, end_ms + 2_000) is CLOSED_CANDLES
    assert candles(Interval.M1, end_ms, end_ms + 1_999) == open_candle(Interval.M1)
    # A range that ends inside a candle asks for that candle too.
    assert candles(Interval.H1, 60 * MINUTE_MS + 1, 61 * MINUTE_MS) == open_candle(Interval.H1)
    assert candles(Interval.H1, None, end_ms) == open_candle(Interval.H1)


def test_kinds_are_told_apart_and_ordered_by_how_fast_they_change() -> None:
    bounds = [KINDS[name].fresh_ms for name in ("ticker", "stats_24h", "exchange_info")]
    assert bounds == sorted(set(bounds))
    assert EXCHANGE_INFO.fresh_ms >= 3_600_000
    assert all(name == kind.name for name, kind in KINDS.items())
    assert KINDS["ticker"].costing(1).cost == 1


@pytest.mark.parametrize(
    "bounds",
    [(0, 10), (-1, 10), (11, 10), (1, FOREVER_MS + 1), (1, 2, 0), (1, 2, 1, -1)],
)
def test_bounds_that_cannot_be_kept_are_refused(bounds: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="needed"):
        Kind("odd", *bounds)


@pytest.mark.parametrize("ttl", [0, -1, True, float("nan"), float("inf"), Decimal("-0.5")])
def test_a_ttl_is_above_zero(ttl: Any) -> None:
    with pytest.raises(InvalidInput, match="ttl"):
        lasting(ttl)


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é\ud800"], "b": {"c": []}},
        [],
        "text " * 3_000,
        "\ud800" * 9_000,
        b"\x00\xff" * 9_000,
        [["1.10", 17, 0.1]] * 2_000,
        {"n": 10**5_000},
        {1: "int key"},
        {"t": (1, 2)},
        (1, Decimal("1.10")),
        Decimal("0.10"),
        7,
        None,
        float("-inf"),
    ],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    packed = pack(value)
    assert packed.open() == value
    assert type(packed.open()) is type(value)
    assert pack(value, is_compressing=False).open() == value
    assert packed.form is Form.REFERENCE or packed.size == len(packed.payload)


def test_readers_of_plain_json_cannot_change_each_others_value() -> None:
    cache = IntelligentCache(ManualClock())
    mine = {"rows": [1, 2]}
    cache.set("k", mine)
    mine["rows"].append(3)
    cache.get("k")["rows"].clear()
    assert cache.get("k") == {"rows": [1, 2]}


def test_large_values_are_compressed_and_small_or_dense_ones_are_not() -> None:
    rows = [[1_700_000_000_000 + i, f"{60_000 + i % 97}.10", "1.5"] for i in range(500)]
    small = pack(rows)
    assert small.is_compressed and small.size < small.raw_size / 2
    assert small.raw_size == len(json.dumps(rows, separators=(",", ":")))
    assert not pack(rows, is_compressing=False).is_compressed
    assert not pack(rows[:3]).is_compressed
    assert not pack(random.Random(1).randbytes(50_000)).is_compressed


def test_what_loops_or_is_too_deep_for_json_is_kept_by_reference() -> None:
    looped: list[Any] = []
    looped.append(looped)
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    for value in (looped, deep):
        packed = pack(value)
        assert packed.form is Form.REFERENCE and packed.open() is value and packed.size > 0


def test_the_estimate_follows_what_a_value_holds() -> None:
    one = Kline(0, *[Decimal("60000.10")] * 4, Decimal("1.5"), 59_999)
    many = tuple(
        Kline(i, *[Decimal(i)] * 4, Decimal("1.5"), i + 59_999, Decimal(i), i) for i in range(5_000)
    )
    exact = sum(estimated_size(kline) for kline in many)
    assert estimated_size(one) > 300
    assert 0.5 * exact < estimated_size(many) < 1.5 * exact
    assert estimated_size(np.zeros(1_000)) >= 8_000


def test_no_module_of_the_cache_can_pickle() -> None:
    files = [*(ROOT / "gridlab/data").glob("cache*.py"), ROOT / "gridlab/data/prefetch.py"]
    assert len(files) >= 6
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "marshal", "shelve", "dill", "cloudpickle"} & set(names)


def test_one_compressor_serves_all_threads() -> None:
    texts = [f"{i} text " * 4_000 for i in range(8)]
    wrong: list[int] = []

    def work(i: int) -> None:
        wrong.extend(i for _ in range(60) if pack(texts[i]).open() != texts[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- the store ------------------------------------------------------------------------------------


def entry(key: str, size: int = 1_000, *, cost: int = 1, load_ms: int = 100, at: int = 0) -> Entry:
    kind = Kind("kept", FOREVER_MS, FOREVER_MS, cost=cost)
    return Entry(key, Packed(Form.BYTES, b"", size, size), kind, at, load_ms)


def keys(store: Store) -> set[str]:
    return {kept.key for kept in store.entries()}


def test_bytes_are_exact_and_never_over_the_limit() -> None:
    chance = random.Random(3)
    store = Store(60_000)
    for step in range(3_000):
        key = f"k{chance.randrange(60)}"
        action = chance.random()
        kept = store.find(key)
        if action < 0.6:
            ends_ms = step + chance.choice([1, 50, FOREVER_MS - step])
            kind = Kind("any", 1, max(1, ends_ms - step), cost=chance.randint(1, 80))
            payload = Packed(Form.BYTES, b"", size := chance.randint(1, 9_000), size)
            store.put(Entry(key, payload, kind, step, chance.randint(1, 900)), step)
        elif action < 0.9 and kept is not None:
            store.touch(kept)
        else:
            store.drop(key)
        assert store.used_bytes == sum(kept.size for kept in store.entries()) <= 60_000
        assert len(store._by_priority) <= 2 * len(store) + 65
        assert len(store._by_end) <= 2 * len(store) + 65
    assert store.evictions > 100 and store.expirations > 100


def test_what_is_dear_and_small_stays_and_what_is_cheap_and_large_goes() -> None:
    store = Store(20_000)
    store.put(entry("dear", cost=20), 0)
    store.put(entry("slow", load_ms=5_000), 0)
    store.put(entry("large", 9_000), 0)
    store.put(entry("small", 100), 0)
    store.put(entry("more", 7_000), 1)
    assert keys(store) == {"dear", "slow", "small", "more"}


def test_what_is_read_often_outlives_what_is_not() -> None:
    store = Store(4 * entry("a0").size)
    for i in range(4):
        store.put(entry(f"a{i}"), 0)
    often = store.find("a1")
    assert often is not None
    for _ in range(3):
        store.touch(often)
    for i in range(3):
        store.put(entry(f"b{i}"), 1)
    assert keys(store) == {"a1", "b0", "b1", "b2"}


def test_what_was_read_often_long_ago_gives_way_in_the_end() -> None:
    store = Store(4 * entry("a0").size)
    store.put(entry("old"), 0)
    old = store.find("old")
    assert old is not None
    for _ in range(5):
        store.touch(old)
    for i in range(40):
        store.put(entry(f"n{i:03}"), i)
    assert "old" not in keys(store)


def test_what_is_too_old_leaves_before_what_is_useful() -> None:
    store = Store(3 * entry("aa").size)
    brief = Entry("bb", Packed(Form.BYTES, b"", 1_000, 1_000), Kind("b", 10, 20, cost=99), 0, 900)
    store.put(brief, 0)
    store.put(entry("aa"), 0)
    store.put(entry("cc"), 0)
    store.put(entry("dd"), 21)
    assert keys(store) == {"aa", "cc", "dd"}
    assert (store.expirations, store.evictions) == (1, 0)


def test_a_value_larger_than_the_cache_is_not_kept_and_removes_nothing_else() -> None:
    store = Store(10_000)
    store.put(entry("a"), 0)
    assert not store.put(entry("b", 10_000), 0)
    assert keys(store) == {"a"} and store.refusals == 1


def test_an_older_answer_never_replaces_a_newer_one() -> None:
    store = Store(100_000)
    store.put(entry("a", 500, at=10), 10)
    assert not store.put(entry("a", 600, at=9), 11)
    kept = store.find("a")
    assert kept is not None and kept.asked_ms == 10


# --- the planner of renewals ----------------------------------------------------------------------


def test_prefetching_stays_within_its_budget() -> None:
    planner = Prefetcher()
    kind = Kind("dear", 10_000, 20_000, cost=20)
    for i in range(50):
        for now_ms in range(0, 66_001, 3_000):
            planner.read(f"k{i}", kind, None, now_ms)
        planner.loaded(f"k{i}", 58_000, 100, False)
    first = planner.due(67_900, most=8)
    assert len(first) == prefetch.WEIGHT_BURST // 20
    assert planner.due(67_900, most=8) == []
    later = planner.due(67_900 + 60_000 * 20 * 3 // prefetch.WEIGHT_PER_MINUTE, most=8)
    assert len(later) == 3


def test_what_costs_more_than_the_whole_budget_is_never_renewed_ahead() -> None:
    planner = Prefetcher()
    dear = Kind("dear", 10_000, 20_000, cost=prefetch.WEIGHT_BURST + 1)
    for kind, key in ((dear, "dear"), (QUICK, "cheap")):
        for now_ms in range(0, 6_401, 400):
            planner.read(key, kind, None, now_ms)
        planner.loaded(key, 5_900, 10, False)
    assert [pattern.key for pattern in planner.due(6_880, 8)] == ["cheap"]


def watched(kind: Kind, asked_ms: int) -> Prefetcher:
    """A planner that saw ten seconds of reads, the last at `asked_ms`, and a load then."""
    planner = Prefetcher()
    for now_ms in range(asked_ms - 10_000, asked_ms + 1, 500):
        planner.read("k", kind, None, now_ms)
    planner.loaded("k", asked_ms, 100, False)
    return planner


def test_an_open_candle_is_not_renewed_before_it_closes() -> None:
    planner = watched(open_candle(Interval.M1), 58_000)
    assert planner.due(59_999, 8) == []
    assert [pattern.key for pattern in planner.due(60_000, 8)] == ["k"]


def test_a_pattern_that_has_died_is_not_renewed() -> None:
    assert [pattern.key for pattern in watched(QUICK, 58_000).due(58_900, 8)] == ["k"]
    assert watched(QUICK, 58_000).due(62_000, 8) == []


def test_the_keys_that_are_watched_are_bounded() -> None:
    planner = Prefetcher()
    for i in range(prefetch.MAX_KEYS + 100):
        planner.read(f"k{i}", QUICK, None, i)
    assert len(planner) == prefetch.MAX_KEYS
    for now_ms in range(10_000, 60_000, 25):
        planner.read("k4000", QUICK, None, now_ms)
        planner.loaded("k4000", now_ms, 10 + now_ms % 7, False)
    assert len(planner._queue) <= 4 * prefetch.MAX_KEYS


# --- loads in the air -----------------------------------------------------------------------------


def test_the_board_is_bounded() -> None:
    board = Board()
    for i in range(MAX_FLIGHTS + 5):
        board.register(Flight(f"k{i}", QUICK, 0, None, Purpose.WANTED))
    assert len(board) == MAX_FLIGHTS and board.find(f"k{MAX_FLIGHTS}") is None


def test_a_flight_whose_loop_was_closed_is_not_joined() -> None:
    loop = asyncio.new_event_loop()
    board = Board()
    lost = Flight("k", QUICK, 0, loop, Purpose.WANTED)
    board.register(lost)
    assert board.find("k") is lost
    loop.close()
    assert board.find("k") is None
    board.register(fresh := Flight("k", QUICK, 0, None, Purpose.WANTED))
    assert board.find("k") is fresh
