"""Whatever readers, latencies, failures and changes do: no bound of the cache is broken.

The source tells with each answer when its request left, so the true age of what a reader gets is
known here, independent of what the cache says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gridlab.clock import ManualClock
from gridlab.data.cache import Cached, IntelligentCache, Kind, Source, open_candle
from gridlab.domain.market import Interval
from gridlab.errors import ExchangeUnavailable

BEGIN_MS = 1_000_000_000_000
KEYS = ("a", "b", "c")

kinds = st.one_of(
    st.builds(
        lambda fresh, more, period: Kind("any", fresh, fresh + more, period_ms=period),
        st.integers(1, 800),
        st.sampled_from([0, 1, 500, 3_000]),
        st.sampled_from([0, 0, 0, 250, 1_000]),
    ),
    st.just(open_candle(Interval.M1)),
)
#: What happens, to which key, how long after the event before.
events = st.tuples(
    st.sampled_from(["read"] * 12 + ["cancel", "invalidate", "clear", "sync", "set"]),
    st.sampled_from(KEYS),
    st.sampled_from([0, 0, 1, 7, 40, 150, 400, 1_100, 5_000]),
)
#: How long each load takes in turn; a negative one fails at the end.
latencies = st.lists(
    st.sampled_from([0, 1, 30, 200, 200, 700, 2_500, -1, -120]), min_size=1, max_size=12
)


@dataclass
class World:
    """The cache under test, its source, and what is known to be true."""

    clock: ManualClock
    cache: IntelligentCache
    latencies: list[int]
    loads: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    in_the_air: dict[str, list[int]] = field(default_factory=lambda: {key: [] for key in KEYS})
    readers: list[asyncio.Task[None]] = field(default_factory=list)
    answers: int = 0

    async def load(self, key: str) -> tuple[str, int]:
        left_ms = self.clock.now_ms()
        latency_ms = self.latencies[self.loads % len(self.latencies)]
        self.loads += 1
        # Only a change in between excuses a second load of one key at one time.
        era = self.changes[key]
        assert era not in self.in_the_air[key], "not coalesced"
        self.in_the_air[key].append(era)
        try:
            await self.clock.sleep_until(left_ms + abs(latency_ms))
        finally:
            self.in_the_air[key].remove(era)
        if latency_ms < 0:
            raise ExchangeUnavailable("down")
        return (key, left_ms)

    async def read(self, key: str, kind: Kind) -> None:
        arrived_ms = self.clock.now_ms()
        try:
            answer = await self.cache.fetch(key, kind, lambda: self.load(key))
        except ExchangeUnavailable:
            return
        self.judge(answer, key, kind, arrived_ms)

    def judge(self, answer: Cached[Any], key: str, kind: Kind, arrived_ms: int) -> None:
        now_ms = self.clock.now_ms()
        told_key, left_ms = answer.value
        age_ms = now_ms - left_ms
        self.answers += 1
        assert told_key == key
        assert answer.age_ms >= age_ms, "the cache makes values younger than they are"
        if not answer.is_stale:
            assert age_ms <= kind.fresh_ms, "older than its bound and not labelled"
            assert now_ms <= kind.fresh_until_ms(left_ms), "it ended with its period"
        if answer.source is Source.STORED or left_ms < arrived_ms:
            assert age_ms <= kind.stale_ms, "older than may be shown at all"

    async def settle(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    async def pass_time(self, duration_ms: int) -> None:
        until_ms = self.clock.now_ms() + duration_ms
        await self.settle()
        while (wake_ms := self.clock.next_wake_ms) is not None and wake_ms <= until_ms:
            self.clock.advance_to(wake_ms)
            await self.settle()
        self.clock.advance_to(until_ms)

    async def act(self, name: str, key: str, kind: Kind) -> None:
        if name == "cancel":
            for reader in self.readers[-2:]:
                reader.cancel()
        elif name == "invalidate":
            self.cache.invalidate(key)
            self.changes[key] += 1
        elif name == "clear":
            self.cache.clear()
            self.changes.update(KEYS)
        elif name == "set":
            self.cache.set(key, (key, self.clock.now_ms()), ttl=1)
            self.changes[key] += 1
        elif name == "sync":
            now_ms = self.clock.now_ms()
            quiet = Kind("quiet", kind.fresh_ms, kind.fresh_ms, period_ms=kind.period_ms)
            answer = self.cache.fetch_sync(key, quiet, lambda: (key, now_ms))
            self.judge(answer, key, quiet, now_ms)
            self.changes[key] += (
                1  # it may have loaded beside the load in the air: it blocks the loop
            )
        else:
            self.readers.append(asyncio.create_task(self.read(key, kind)))


@given(
    kinds=st.tuples(kinds, kinds, kinds),
    script=st.lists(events, min_size=1, max_size=60),
    latencies=latencies,
    is_prefetching=st.booleans(),
    kilobytes=st.sampled_from([2, 4, 1_000]),
    begin_ms=st.integers(BEGIN_MS, BEGIN_MS + 60_000),
)
def test_no_reader_gets_an_older_value_than_it_is_told(
    kinds: tuple[Kind, Kind, Kind],
    script: list[tuple[str, str, int]],
    latencies: list[int],
    is_prefetching: bool,
    kilobytes: int,
    begin_ms: int,
) -> None:
    by_key = dict(zip(KEYS, kinds, strict=True))

    async def scene() -> None:
        clock = ManualClock(begin_ms)
        cache = IntelligentCache(
            clock, max_size_mb=kilobytes / 1_000, enable_prefetching=is_prefetching
        )
        world = World(clock, cache, latencies)
        runner = asyncio.create_task(cache.run_prefetching())
        for name, key, pause_ms in script:
            await world.pass_time(pause_ms)
            await world.act(name, key, by_key[key])
            told = cache.metrics()
            assert told.bytes_used <= told.bytes_max
        await world.pass_time(60_000)
        assert all(reader.done() for reader in world.readers), "a reader waits for ever"
        runner.cancel()
        outcomes = await asyncio.gather(*world.readers, return_exceptions=True)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        told = cache.metrics()
        assert told.in_flight == 0
        assert told.reads == told.fresh_hits + told.stale_hits + told.misses
        assert told.loads >= world.loads

    asyncio.run(scene())
