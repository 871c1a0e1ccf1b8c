"""The cache: bounds, coalescing, renewal behind stale answers, eviction, prefetching."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import random
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.data.cache import (
    IntelligentCache,
    Kind,
    Source,
)
from gridlab.data.cache_policy import (
    open_candle,
)
from gridlab.domain.market import Interval
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


@pytest.mark.parametrize("gap_ms", [300, 20_000])
def test_a_reader_that_went_away_costs_one_request_at_most(gap_ms: int) -> None:
    async def scene(rig: Rig) -> None:
        runner = ahead(rig)
        await read_every(rig, gap_ms, 30, Kind("any", 2_000, 4_000))
        ahead_by_now, before = rig.cache.metrics().prefetches, rig.venue.calls
        await pass_time(rig.clock, 600_000)
        runner.cancel()
        assert ahead_by_now > 3 and rig.venue.calls - before <= 1

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


@pytest.mark.slow
def test_the_stated_load_is_served_with_a_twentieth_of_the_requests(bench: ModuleType) -> None:
    ours = bench.measure("gridlab", seed=11, minutes=3)
    plain = bench.measure("plain", seed=11, minutes=3)
    assert ours.reads == plain.reads > 7_000
    assert ours.saved_fraction >= 0.95
    assert ours.broken == 0
    assert ours.stale < 0.02 * ours.reads
    assert plain.broken > 0 and plain.requests > ours.requests
    assert bench.measure("gridlab", seed=11, minutes=3) == ours
