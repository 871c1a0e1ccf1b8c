"""The cache: bounds, coalescing, renewal behind stale answers, eviction, prefetching, decorator."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import importlib.util
import json
import random
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gridlab.clock import ManualClock
from gridlab.data import cache as face
from gridlab.data import prefetch
from gridlab.data.cache import (
    IntelligentCache,
    Kind,
    Source,
    cache_decorator,
    configure_global_cache,
    get_global_cache,
)
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
from gridlab.errors import BugError, ExchangeUnavailable, InvalidInput

ROOT = Path(__file__).parents[2]
QUICK = Kind("quick", fresh_ms=1_000, stale_ms=5_000)
MINUTE_MS = 60_000


class Venue:
    """A source that answers after a while, and counts."""

    def __init__(self, clock: ManualClock, latency_ms: int = 200) -> None:
        self.clock = clock
        self.latency_ms = latency_ms
        self.calls = 0
        self.problem: Exception | None = None

    async def ask(self) -> Any:
        self.calls += 1
        call, left_ms = self.calls, self.clock.now_ms()
        await self.clock.sleep_until(left_ms + self.latency_ms)
        if self.problem is not None:
            raise self.problem
        return (call, left_ms)


async def settle() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # type: ignore[attr-defined]
        await asyncio.sleep(0)


async def pass_time(clock: ManualClock, duration_ms: int) -> None:
    until_ms = clock.now_ms() + duration_ms
    await settle()
    while (wake_ms := clock.next_wake_ms) is not None and wake_ms <= until_ms:
        clock.advance_to(wake_ms)
        await settle()
    clock.advance_to(until_ms)
    await settle()


class Rig:
    """A cache, its clock and its source."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(1_000_000)
        self.venue = Venue(self.clock)
        self.cache = IntelligentCache(self.clock, **options)

    def read(self, kind: Kind = QUICK, key: str = "k") -> asyncio.Task[Any]:
        return asyncio.create_task(self.cache.fetch(key, kind, self.venue.ask))

    async def answer(self, kind: Kind = QUICK, key: str = "k") -> Any:
        task = self.read(kind, key)
        await settle()
        while not task.done():
            wake_ms = self.clock.next_wake_ms
            assert wake_ms is not None
            self.clock.advance_to(wake_ms)
            await settle()
        return task.result()


def play(scene: Callable[[Rig], Coroutine[Any, Any, None]], **options: Any) -> Rig:
    rig = Rig(**options)
    asyncio.run(scene(rig))
    return rig


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
    bounds = [KINDS[name].fresh_ms for name in ("depth", "price", "ticker", "stats_24h")]
    assert bounds == sorted(set(bounds))
    assert EXCHANGE_INFO.fresh_ms >= 3_600_000
    assert all(name == kind.name for name, kind in KINDS.items())


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


# --- plain use ------------------------------------------------------------------------------------


def test_a_value_lasts_as_long_as_it_was_set_for() -> None:
    clock = ManualClock(5)
    cache = IntelligentCache(clock, default_ttl=2)
    cache.set("a", (1,), ttl=60)
    cache.set("b", (2,))
    clock.advance_to(2_005)
    assert (cache.get("a"), cache.get("b")) == ((1,), (2,))
    clock.advance_to(2_006)
    assert cache.get("b") is None and cache.get("b", "gone") == "gone"
    clock.advance_to(60_005)
    assert cache.get("a") == (1,)
    clock.advance_to(60_006)
    assert cache.get("a") is None


class Wound(ManualClock):
    """A clock that somebody sets back."""

    def set_back_to(self, time_ms: int) -> None:
        self._now_ms = time_ms


def test_a_value_from_the_future_is_not_served() -> None:
    clock = Wound(1_000_000)
    cache = IntelligentCache(clock)
    cache.set("a", 1)
    clock.set_back_to(900_000)
    assert cache.get("a") is None


@pytest.mark.parametrize("size", [0, -1, Decimal("0.0000001")])
def test_a_cache_has_room(size: Any) -> None:
    with pytest.raises(InvalidInput, match="max_size_mb"):
        IntelligentCache(ManualClock(), max_size_mb=size)


def test_clear_and_invalidate_forget() -> None:
    cache = IntelligentCache(ManualClock())
    for key in "abc":
        cache.set(key, key)
    assert cache.invalidate("a") and not cache.invalidate("a")
    assert cache.get("a") is None and cache.get("b") == "b"
    assert cache.clear() == 2 and cache.get("b") is None
    assert (cache.metrics().entries, cache.metrics().bytes_used) == (0, 0)


# --- reading through, in tasks --------------------------------------------------------------------


def test_many_readers_share_one_request() -> None:
    async def scene(rig: Rig) -> None:
        readers = [rig.read() for _ in range(50)]
        await pass_time(rig.clock, 200)
        answers = [await reader for reader in readers]
        assert {answer.value for answer in answers} == {(1, 1_000_000)}
        assert {answer.age_ms for answer in answers} == {200}
        assert [answer.source for answer in answers].count(Source.LOADED) == 1
        again = await rig.answer()
        assert (again.source, again.is_stale) == (Source.STORED, False)

    told = play(scene).cache.metrics()
    assert (told.reads, told.loads, told.coalesced, told.fresh_hits) == (51, 1, 49, 1)
    assert told.calls_saved == 50 and told.in_flight == 0


def test_a_failure_is_told_to_everybody_and_not_kept() -> None:
    async def scene(rig: Rig) -> None:
        rig.venue.problem = ExchangeUnavailable("down")
        readers = [rig.read() for _ in range(5)]
        await pass_time(rig.clock, 200)
        told = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(error) for error in told] == [ExchangeUnavailable] * 5
        rig.venue.problem = None
        assert (await rig.answer()).value[0] == 2

    rig = play(scene)
    assert rig.cache.metrics().load_failures == 1 and rig.venue.calls == 2


def test_a_cancelled_reader_takes_nobody_with_it() -> None:
    async def scene(rig: Rig) -> None:
        first, second = rig.read(), rig.read()
        await settle()
        first.cancel()
        await pass_time(rig.clock, 200)
        assert first.cancelled() and (await second).value[0] == 1

    assert play(scene).venue.calls == 1


def test_who_waits_for_a_load_that_is_cancelled_loads_by_itself() -> None:
    async def scene(rig: Rig) -> None:
        asked = asyncio.Event()

        async def dying() -> Any:
            asked.set()
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        first = asyncio.create_task(rig.cache.fetch("k", QUICK, dying))
        await asked.wait()
        second = rig.read()
        await pass_time(rig.clock, 200)
        assert (await second).value[0] == 1
        told = await asyncio.gather(first, return_exceptions=True)
        assert isinstance(told[0], ExchangeUnavailable)

    play(scene)


def test_a_load_that_is_always_cancelled_ends_in_an_error() -> None:
    async def scene(rig: Rig) -> None:
        async def dying() -> Any:
            raise asyncio.CancelledError

        with pytest.raises(ExchangeUnavailable, match="cancelled 2 times"):
            await rig.cache.fetch("k", QUICK, dying)
        assert (await rig.answer()).value[0] == 1

    play(scene)


def test_a_stale_value_is_served_labelled_while_one_request_renews_it() -> None:
    async def scene(rig: Rig) -> None:
        await rig.answer()
        await pass_time(rig.clock, 801)
        for _ in range(3):
            stale = await rig.read()
            assert (stale.is_stale, stale.age_ms, stale.value[0]) == (True, 1_001, 1)
            assert stale.source is Source.STORED
        await pass_time(rig.clock, 200)
        fresh = await rig.read()
        assert (fresh.is_stale, fresh.age_ms, fresh.value[0]) == (False, 200, 2)

    told = play(scene).cache.metrics()
    assert (told.loads, told.stale_hits, told.renewals, told.fresh_hits) == (2, 3, 1, 1)


def test_beyond_its_stale_bound_a_value_is_waited_for() -> None:
    async def scene(rig: Rig) -> None:
        await rig.answer()
        await pass_time(rig.clock, 4_800)
        assert (await rig.read()).age_ms == 5_000
        rig.cache.invalidate("k")
        await rig.answer()
        await pass_time(rig.clock, 4_801)
        late = await rig.answer()
        assert (late.source, late.is_stale, late.value[0]) == (Source.LOADED, False, 4)

    # The load behind the first stale answer was let go of by invalidate, yet it was sent.
    assert play(scene).venue.calls == 4


def test_a_failed_renewal_keeps_the_value_and_pauses() -> None:
    async def scene(rig: Rig) -> None:
        await rig.answer()
        rig.venue.problem = ExchangeUnavailable("down")
        await pass_time(rig.clock, 1_000)
        for _ in range(9):
            assert (await rig.read()).is_stale
            await pass_time(rig.clock, 100)
        assert rig.venue.calls == 2
        await pass_time(rig.clock, 400)
        assert (await rig.read()).is_stale
        await settle()
        assert rig.venue.calls == 3

    play(scene)


def test_an_answer_that_took_too_long_is_labelled() -> None:
    async def scene(rig: Rig) -> None:
        rig.venue.latency_ms = 1_001
        late = await rig.answer()
        assert (late.age_ms, late.is_stale, late.source) == (1_001, True, Source.LOADED)

    play(scene)


def test_who_came_late_to_a_slow_answer_gets_a_newer_one() -> None:
    async def scene(rig: Rig) -> None:
        rig.venue.latency_ms = 5_001
        first = rig.read()
        await pass_time(rig.clock, 4_000)
        second = rig.read()
        await pass_time(rig.clock, 500)
        rig.venue.latency_ms = 10
        await pass_time(rig.clock, 600)
        assert (await first).age_ms == 5_001 and (await first).is_stale
        assert ((await second).age_ms, (await second).is_stale) == (10, False)

    assert play(scene).venue.calls == 2


def test_an_answer_that_left_before_a_change_is_not_kept() -> None:
    async def scene(rig: Rig) -> None:
        before = rig.read()
        await settle()
        rig.cache.invalidate("k")
        after = rig.read()
        await pass_time(rig.clock, 200)
        assert ((await before).value[0], (await after).value[0]) == (1, 2)
        assert (await rig.read()).value[0] == 2
        rig.cache.clear()
        during = rig.read()
        await settle()
        rig.cache.set("k", "mine")
        await pass_time(rig.clock, 200)
        assert (await during).value[0] == 3 and rig.cache.get("k") == "mine"

    play(scene)


def test_the_stricter_bound_decides() -> None:
    async def scene(rig: Rig) -> None:
        rig.cache.set("k", "mine", ttl=1)
        await pass_time(rig.clock, 1_000)
        long = Kind("long", 9_000, 9_000)
        assert (await rig.read(long)).value == "mine"
        await pass_time(rig.clock, 1)
        assert (await rig.answer(long)).value[0] == 1
        await pass_time(rig.clock, 400)
        assert (await rig.answer(Kind("short", 500, 500))).value[0] == 2

    play(scene)


def test_a_load_that_asks_for_its_own_key_is_told_so() -> None:
    async def scene(rig: Rig) -> None:
        async def circular() -> Any:
            return await rig.cache.fetch("k", QUICK, circular)

        with pytest.raises(BugError, match="'k'"):
            await rig.cache.fetch("k", QUICK, circular)

    play(scene)
    cache = IntelligentCache(ManualClock())

    def circular() -> Any:
        return cache.fetch_sync("k", QUICK, circular)

    with pytest.raises(BugError, match="'k'"):
        cache.fetch_sync("k", QUICK, circular)


def test_a_load_that_gives_nothing_to_wait_for_is_an_error_for_the_reader() -> None:
    async def scene(rig: Rig) -> None:
        not_async: Any = lambda: 5  # noqa: E731
        with pytest.raises(TypeError):
            await rig.cache.fetch("k", QUICK, not_async)

    play(scene)


def test_an_open_candle_is_asked_for_again_at_its_close() -> None:
    async def scene(rig: Rig) -> None:
        kind = open_candle(Interval.M1)
        rig.clock.advance_to(17 * MINUTE_MS - 1_500)
        await rig.answer(kind)
        await pass_time(rig.clock, 1_299)
        assert not (await rig.read(kind)).is_stale
        await pass_time(rig.clock, 1)
        assert (await rig.read(kind)).is_stale

    play(scene)


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


# --- reading through, in threads ------------------------------------------------------------------


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """What `work` gave, or raised, in each of `count` threads that begin together."""
    results: list[Any] = []
    gate = threading.Barrier(count)

    def run() -> None:
        gate.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


class SlowSource:
    """A plain function that answers when everybody is known to wait."""

    def __init__(self, cache: IntelligentCache, readers: int) -> None:
        self.cache, self.readers, self.calls = cache, readers, 0

    def __call__(self) -> tuple[int]:
        self.calls += 1
        pause = threading.Event()
        for _ in range(2_000):
            if self.cache.metrics().coalesced >= self.readers - 1:
                break
            pause.wait(0.005)
        return (self.calls,)


def test_many_threads_share_one_request() -> None:
    cache = IntelligentCache(ManualClock())
    source = SlowSource(cache, 16)
    answers = in_threads(16, lambda: cache.fetch_sync("k", QUICK, source))
    assert source.calls == 1 and {answer.value for answer in answers} == {(1,)}
    told = cache.metrics()
    assert (told.loads, told.coalesced, told.reads) == (1, 15, 16)


def test_threads_are_told_of_a_failure() -> None:
    cache = IntelligentCache(ManualClock())
    source = SlowSource(cache, 6)

    def failing() -> None:
        source()
        raise ExchangeUnavailable("down")

    told = in_threads(6, lambda: cache.fetch_sync("k", QUICK, failing))
    assert [type(error) for error in told] == [ExchangeUnavailable] * 6 and source.calls == 1


def test_a_task_and_a_thread_share_one_request() -> None:
    cache = IntelligentCache(ManualClock())
    calls: list[str] = []

    async def scene() -> None:
        inside = asyncio.Event()
        go_on = asyncio.Event()

        async def load() -> tuple[str]:
            calls.append("task")
            inside.set()
            await go_on.wait()
            return ("answer",)

        def other() -> tuple[str]:
            calls.append("thread")
            return ("other",)

        first = asyncio.create_task(cache.fetch("k", QUICK, load))
        await inside.wait()
        second = asyncio.create_task(asyncio.to_thread(cache.fetch_sync, "k", QUICK, other))
        while cache.metrics().coalesced < 1:
            await asyncio.sleep(0.001)
        go_on.set()
        assert (await first).value == (await second).value == ("answer",)

    asyncio.run(scene())
    assert calls == ["task"]


def test_a_task_joins_a_thread() -> None:
    cache = IntelligentCache(ManualClock())
    source = SlowSource(cache, 2)

    async def unused() -> tuple[int]:
        return (99,)

    async def scene() -> None:
        first = asyncio.create_task(asyncio.to_thread(cache.fetch_sync, "k", QUICK, source))
        while cache.metrics().loads < 1:
            await asyncio.sleep(0.001)
        assert (await cache.fetch("k", QUICK, unused)).value == (1,)
        assert (await first).value == (1,)

    asyncio.run(scene())


def test_a_thread_gets_the_stale_value_and_a_background_thread_renews_it() -> None:
    clock = ManualClock()
    cache = IntelligentCache(clock)
    names: list[str] = []

    def load() -> tuple[int]:
        names.append(threading.current_thread().name)
        return (len(names),)

    assert cache.fetch_sync("k", QUICK, load).value == (1,)
    clock.advance_to(1_001)
    stale = cache.fetch_sync("k", QUICK, load)
    assert (stale.value, stale.is_stale) == ((1,), True)
    cache.close()
    assert names[1].startswith("gridlab-cache")
    assert cache.fetch_sync("k", QUICK, load).value == (2,)
    clock.advance_to(2_003)
    assert cache.fetch_sync("k", QUICK, load).is_stale  # closed: nobody renews, nothing breaks
    assert len(names) == 2


def test_a_plain_read_inside_the_loop_that_loads_does_not_wait_for_ever() -> None:
    async def scene(rig: Rig) -> None:
        task = rig.read()
        await settle()
        assert rig.cache.fetch_sync("k", QUICK, lambda: "mine").value == "mine"
        await pass_time(rig.clock, 200)
        assert (await task).value[0] == 1

    play(scene)


def test_an_interrupted_load_leaves_nobody_waiting() -> None:
    cache = IntelligentCache(ManualClock())

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch_sync("k", QUICK, interrupted)
    assert cache.metrics().in_flight == 0
    assert cache.fetch_sync("k", QUICK, lambda: 5).value == 5


# --- prefetching ----------------------------------------------------------------------------------


async def read_every(rig: Rig, gap_ms: int, times: int, kind: Kind = QUICK) -> list[Any]:
    answers = []
    for _ in range(times):
        answers.append(await rig.answer(kind))
        await pass_time(rig.clock, gap_ms)
    return answers


def ahead(rig: Rig) -> asyncio.Task[None]:
    return asyncio.create_task(rig.cache.run_prefetching())


def test_a_steady_reader_never_sees_a_stale_value() -> None:
    kind = Kind("steady", 4_000, 20_000)

    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        answers = await read_every(rig, 500, 120, kind)
        runner.cancel()
        assert not any(answer.is_stale for answer in answers[20:])
        assert all(answer.source is Source.STORED for answer in answers[20:])

    told = play(scene).cache.metrics()
    assert told.prefetches >= 10 and told.prefetches - told.prefetches_used <= 1

    async def without(rig: Rig) -> None:
        runner = ahead(rig)
        answers = await read_every(rig, 500, 120, kind)
        assert runner.done() and sum(answer.is_stale for answer in answers[20:]) > 5

    assert play(without, enable_prefetching=False).cache.metrics().prefetches == 0


def test_a_reader_that_comes_now_and_then_finds_its_value_ready() -> None:
    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        answers = []
        for turn in range(20):
            await pass_time(rig.clock, 1_000_000 + turn * 30_000 - rig.clock.now_ms())
            answers.append(await rig.answer(Kind("seldom", 2_000, 4_000)))
        runner.cancel()
        assert all(not answer.is_stale for answer in answers)
        assert all(answer.source is Source.STORED for answer in answers[4:])
        assert all(answer.age_ms <= 1_000 for answer in answers[4:])

    told = play(scene).cache.metrics()
    assert told.loads <= 22


def test_a_reader_that_went_away_costs_one_request_at_most() -> None:
    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        await read_every(rig, 300, 60)
        before = rig.venue.calls
        await pass_time(rig.clock, 600_000)
        runner.cancel()
        assert rig.venue.calls - before <= 1

    play(scene)


def test_a_reader_without_a_rhythm_is_not_guessed_at() -> None:
    chance = random.Random(5)

    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        for _ in range(60):
            await rig.answer()
            await pass_time(rig.clock, chance.choice([1_500, 40_000, 9_000, 90_000]))
        runner.cancel()

    assert play(scene).cache.metrics().prefetches <= 3


def test_a_venue_in_trouble_is_not_hammered_by_prefetches() -> None:
    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        await read_every(rig, 300, 30)
        before = rig.venue.calls
        rig.venue.problem = ExchangeUnavailable("down")
        told = []
        for _ in range(30):
            told.append(rig.read())
            await pass_time(rig.clock, 100)
        assert all(answer.value for answer in await asyncio.gather(*told))
        runner.cancel()
        assert rig.venue.calls - before <= 6

    play(scene)


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


def test_the_keys_that_are_watched_are_bounded() -> None:
    planner = Prefetcher()
    for i in range(prefetch.MAX_KEYS + 100):
        planner.read(f"k{i}", QUICK, None, i)
    assert len(planner) == prefetch.MAX_KEYS
    for now_ms in range(10_000, 60_000, 25):
        planner.read("k4000", QUICK, None, now_ms)
        planner.loaded("k4000", now_ms, 10 + now_ms % 7, False)
    assert len(planner._queue) <= 4 * prefetch.MAX_KEYS


# --- metrics --------------------------------------------------------------------------------------


def test_metrics_are_a_frozen_value_that_adds_up() -> None:
    async def scene(rig: Rig) -> None:
        await rig.answer()
        await rig.answer()
        await pass_time(rig.clock, 1_000)
        await rig.answer()
        rig.cache.get("nothing")
        rig.cache.set("text", "a" * 50_000)

    told = play(scene).cache.metrics()
    assert told.reads == told.fresh_hits + told.stale_hits + told.misses == 4
    assert told.hit_rate == 0.5 and told.calls_saved == 1
    assert told.compressed_entries == 1 and told.bytes_saved > 49_000
    assert 0 < told.bytes_used <= told.bytes_max == 100_000_000
    assert told.memory_usage == "0.0MB"
    with pytest.raises(dataclasses.FrozenInstanceError):
        told.reads = 0  # type: ignore[misc]
    assert IntelligentCache(ManualClock()).metrics().hit_rate == 0.0


# --- the cache of the process, and the decorator --------------------------------------------------


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    """The clock of a global cache that is gone after the test."""
    clock = ManualClock(1_000)
    former = face._HOLDER.cache
    face._HOLDER.cache = None
    configure_global_cache(
        clock,
        max_size_mb=Decimal(1),
        default_ttl=Decimal(300),
        enable_prefetching=True,
        enable_compression=True,
    )
    yield clock
    get_global_cache().close()
    face._HOLDER.cache = former


def test_the_documented_lines_work(clock: ManualClock) -> None:
    cache = get_global_cache()
    assert get_global_cache() is cache
    cache.set("market_data_BTCUSDT", {"price": "60000.10"}, ttl=60)
    assert cache.get("market_data_BTCUSDT") == {"price": "60000.10"}
    calls: list[str] = []

    @cache_decorator(ttl=300, key_prefix="api_")
    def expensive_api_call(symbol: str) -> dict[str, str]:
        calls.append(symbol)
        return {"symbol": symbol}

    assert expensive_api_call("BTCUSDT") == expensive_api_call(symbol="BTCUSDT")
    assert expensive_api_call("ETHUSDT") == {"symbol": "ETHUSDT"}
    assert calls == ["BTCUSDT", "ETHUSDT"]
    assert expensive_api_call.__name__ == "expensive_api_call"
    clock.advance_to(301_001)
    expensive_api_call("BTCUSDT")
    assert calls == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]


def test_a_process_has_a_cache_without_being_asked(clock: ManualClock) -> None:
    face._HOLDER.cache = None
    assert get_global_cache().metrics().bytes_max == 100_000_000


def test_an_async_function_is_decorated_too(clock: ManualClock) -> None:
    calls: list[int] = []

    @cache_decorator(ttl=10)
    async def double(number: int, *, plus: int = 0) -> int:
        calls.append(number)
        await asyncio.sleep(0)
        return 2 * number + plus

    async def scene() -> None:
        assert await asyncio.gather(*(double(4) for _ in range(9))) == [8] * 9
        assert await double(4, plus=0) == 8 and await double(4, plus=1) == 9

    assert asyncio.iscoroutinefunction(double)
    asyncio.run(scene())
    assert calls == [4, 4]


def test_what_a_decorated_function_raises_is_raised_each_time(clock: ManualClock) -> None:
    calls: list[int] = []

    @cache_decorator()
    def failing() -> None:
        calls.append(1)
        raise ExchangeUnavailable("down")

    for _ in range(2):
        with pytest.raises(ExchangeUnavailable):
            failing()
    assert len(calls) == 2


def test_arguments_are_told_by_type_and_value(clock: ManualClock) -> None:
    @cache_decorator()
    def told(value: Any) -> tuple[str, str]:
        return (type(value).__name__, repr(value))

    values = [1, 1.0, True, "1", b"1", Decimal(1), None, (1,), [1], {"a": 1}, Interval.M1, "1m"]
    values += [("a", "b"), ("a,str:'b'",), {1, 2}, frozenset(), Kind("k", 1, 2), Kind("k", 1, 3)]
    values += ["x" * 500, "x" * 501]
    for value in values:
        assert told(value) == (type(value).__name__, repr(value))
    for value in values:
        assert told(value) == (type(value).__name__, repr(value))
    told_now = get_global_cache().metrics()
    assert (told_now.loads, told_now.fresh_hits) == (len(values), len(values))


def test_an_argument_without_a_value_is_refused_unless_a_key_is_made_of_it(
    clock: ManualClock,
) -> None:
    class Client:
        name = "spot"

    @cache_decorator()
    def plain(client: Client) -> int:
        return 1

    @cache_decorator(key=lambda client: client.name)
    def keyed(client: Client) -> int:
        return 2

    with pytest.raises(InvalidInput, match="a Client"):
        plain(Client())
    assert keyed(Client()) == keyed(Client()) == 2
    assert get_global_cache().metrics().loads == 1


# --- the stated load, smaller ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The benchmark as a module."""
    path = ROOT / "benchmarks/bench_cache.py"
    spec = importlib.util.spec_from_file_location("bench_cache", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_cache"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_cache"]


def test_the_stated_load_is_served_with_a_twentieth_of_the_requests(bench: ModuleType) -> None:
    ours = bench.measure("gridlab", seed=11, minutes=3)
    plain = bench.measure("plain", seed=11, minutes=3)
    assert ours.reads == plain.reads > 7_000
    assert ours.saved_fraction >= 0.95
    assert ours.broken == 0
    assert ours.stale < 0.02 * ours.reads
    assert plain.broken > 0 and plain.requests > ours.requests
    assert bench.measure("gridlab", seed=11, minutes=3) == ours
