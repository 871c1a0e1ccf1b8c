"""What the cache knows and decides, each decision in one piece under one lock.

Who reads gets a `Step`: take what was found, start a load, wait for one. Who loads reports how it
ended. Loads nothing itself, and opens or compresses no value while it holds the lock.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from gridlab.clock import Clock
from gridlab.data.cache_flights import Board, Flight, Purpose, running_loop
from gridlab.data.cache_metrics import CacheMetrics, Tally
from gridlab.data.cache_policy import Kind
from gridlab.data.cache_store import Entry, Store
from gridlab.data.cache_values import Packed
from gridlab.data.prefetch import Prefetcher
from gridlab.exchange.base import Dated

T = TypeVar("T")

#: After a renewal in the background failed, the next waits: a venue in trouble is not hammered.
RETRY_PAUSE_MS = 1_000
#: What a `set` value is taken to have cost; nobody saw it being loaded.
ASSUMED_LOAD_MS = 100
MAX_PREFETCHES_AT_ONCE = 8


class Source(StrEnum):
    """Where an answer came from."""

    STORED = "stored"  # it was kept
    LOADED = "loaded"  # this reader's own request
    JOINED = "joined"  # another reader's request that was in the air


@dataclass(frozen=True, slots=True)
class Cached(Dated[T]):
    """One answer. `age_ms` counts from when its request left, up to when it was handed out."""

    source: Source


@dataclass(frozen=True, slots=True)
class Step:
    """What a reader does: hand out `found` if there is one, else wait for `flight`.

    Args:
        is_own: the reader has to start `flight`, whether it waits for it or not.
    """

    found: Cached[Packed] | None
    flight: Flight | None
    is_own: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """One read: what is asked for, by whom, and since when.

    Args:
        loop: the event loop of a task; None for a thread.
        can_renew: whether a renewal may be started for it in the background.
    """

    key: str
    kind: Kind
    loop: asyncio.AbstractEventLoop | None
    arrived_ms: int
    can_renew: bool = True


class CacheState:
    """Entries, loads in the air, patterns and counts, safe for threads."""

    def __init__(self, clock: Clock, max_bytes: int, is_learning: bool) -> None:
        self._clock: Final = clock
        self._is_learning: Final = is_learning
        self._lock = threading.Lock()
        self._store = Store(max_bytes)
        self._board = Board()
        self._prefetcher = Prefetcher()
        self._tally = Tally()
        self._ahead = 0

    # --- reading ----------------------------------------------------------------------------------

    def arrive(
        self,
        key: str,
        kind: Kind,
        loop: asyncio.AbstractEventLoop | None,
        work: Any,
        can_renew: bool = True,
    ) -> Reader:
        """A reader that comes now; its coming is observed."""
        with self._lock:
            now_ms = self._clock.now_ms()
            if self._is_learning:
                self._prefetcher.read(key, kind, work, now_ms)
            return Reader(key, kind, loop, now_ms, can_renew)

    def step(self, reader: Reader, is_first: bool) -> Step:
        """What `reader` does next; counts the read when `is_first`."""
        with self._lock:
            now_ms = self._clock.now_ms()
            entry = self._store.find(reader.key)
            found = None if entry is None else _served(entry, reader.kind, now_ms)
            flight = self._board.find(reader.key)
            if found is None or entry is None:
                return self._wait(reader, flight, now_ms, is_first)
            if is_first:
                self._count_hit(entry, found.is_stale)
            if found.is_stale and flight is None and reader.can_renew and now_ms >= entry.retry_ms:
                return Step(found, self._take_off(reader, now_ms, Purpose.RENEWAL), True)
            return Step(found, None, False)

    def judge(self, reader: Reader, packed: Packed, asked_ms: int, is_own: bool) -> Cached[Packed]:
        """The answer that a load brought, with its age and label as of now."""
        now_ms = self._clock.now_ms()
        is_fresh = asked_ms <= now_ms <= reader.kind.fresh_until_ms(asked_ms)
        source = Source.LOADED if is_own else Source.JOINED
        return Cached(packed, max(0, now_ms - asked_ms), not is_fresh, source)

    def read_fresh(self, key: str) -> Packed | None:
        """What is kept for `key` while it is fresh."""
        with self._lock:
            entry = self._store.find(key)
            found = None if entry is None else _served(entry, entry.kind, self._clock.now_ms())
            if found is None or entry is None or found.is_stale:
                self._tally.missed += 1
                return None
            self._count_hit(entry, is_stale=False)
            return found.value

    def _wait(self, reader: Reader, flight: Flight | None, now_ms: int, is_first: bool) -> Step:
        # A thread that is an event loop's own cannot wait for what that loop does meanwhile.
        is_blocking = reader.loop is None and flight is not None and flight.loop is not None
        if is_blocking and flight is not None and flight.loop is running_loop():
            flight = None
        if is_first:
            self._tally.waited += 1
            self._tally.coalesced += flight is not None
        if flight is not None:
            return Step(None, flight, False)
        return Step(None, self._take_off(reader, now_ms, Purpose.WANTED), True)

    def _count_hit(self, entry: Entry, is_stale: bool) -> None:
        self._store.touch(entry)
        self._tally.stale += is_stale
        self._tally.fresh += not is_stale
        self._tally.prefetches_used += entry.is_unread_prefetch
        entry.is_unread_prefetch = False

    # --- loading ----------------------------------------------------------------------------------

    def _take_off(self, reader: Reader, now_ms: int, purpose: Purpose) -> Flight:
        flight = Flight(reader.key, reader.kind, now_ms, reader.loop, purpose)
        self._board.register(flight)
        self._tally.loads += 1
        self._tally.renewals += purpose is Purpose.RENEWAL
        self._tally.prefetches += purpose is Purpose.AHEAD
        self._ahead += purpose is Purpose.AHEAD
        return flight

    def land(self, flight: Flight, packed: Packed) -> None:
        """Keep what `flight` brought and tell it to everybody who waits."""
        with self._lock:
            self._leave(flight)
            if not flight.is_detached:
                self._keep(flight, packed, self._clock.now_ms())
        flight.land(packed)

    def _keep(self, flight: Flight, packed: Packed, now_ms: int) -> None:
        is_ahead = flight.purpose is Purpose.AHEAD
        load_ms = max(0, now_ms - flight.asked_ms)
        if now_ms <= flight.kind.usable_until_ms(flight.asked_ms):
            entry = Entry(flight.key, packed, flight.kind, flight.asked_ms, load_ms)
            entry.is_unread_prefetch = is_ahead
            self._store.put(entry, now_ms)
        self._prefetcher.loaded(flight.key, flight.asked_ms, load_ms, is_ahead)

    def fail(self, flight: Flight, error: BaseException) -> None:
        """Tell `error` to everybody who waits; what was kept stays, and no load is retried yet."""
        with self._lock:
            self._leave(flight)
            self._tally.failures += 1
            entry = self._store.find(flight.key)
            if entry is not None:
                entry.retry_ms = self._clock.now_ms() + RETRY_PAUSE_MS
        flight.fail(error)

    def abandon(self, flight: Flight, error: BaseException) -> None:
        """Tell everybody who waits that nobody loads any more."""
        with self._lock:
            self._leave(flight)
        flight.fail(error)

    def _leave(self, flight: Flight) -> None:
        self._board.remove(flight)
        self._ahead -= flight.purpose is Purpose.AHEAD

    def take_off_ahead(self, loop: asyncio.AbstractEventLoop) -> list[tuple[Flight, Any]]:
        """Flights that are due ahead of their readers, with the work that was given for each."""
        with self._lock:
            now_ms = self._clock.now_ms()
            started = []
            for pattern in self._prefetcher.due(now_ms, MAX_PREFETCHES_AT_ONCE - self._ahead):
                entry = self._store.find(pattern.key)
                is_wanted = entry is not None and now_ms >= entry.retry_ms
                if is_wanted and self._board.find(pattern.key) is None:
                    reader = Reader(pattern.key, pattern.kind, pattern.work.loop, now_ms)
                    if reader.loop in (None, loop):
                        flight = self._take_off(reader, now_ms, Purpose.AHEAD)
                        started.append((flight, pattern.work))
            return started

    # --- changing ---------------------------------------------------------------------------------

    def put(self, key: str, packed: Packed, kind: Kind) -> None:
        """Keep a value that nobody loaded; loads of `key` in the air will not replace it."""
        with self._lock:
            now_ms = self._clock.now_ms()
            self._forget(key)
            self._store.put(Entry(key, packed, kind, now_ms, ASSUMED_LOAD_MS), now_ms)

    def invalidate(self, key: str) -> bool:
        """Forget `key`; whether it was kept."""
        with self._lock:
            return self._forget(key)

    def clear(self) -> int:
        """Forget all values and patterns; how many values that were."""
        with self._lock:
            self._board.detach()
            self._prefetcher.clear()
            return self._store.clear()

    def _forget(self, key: str) -> bool:
        self._board.detach(key)
        self._prefetcher.forget(key)
        return self._store.drop(key)

    def metrics(self) -> CacheMetrics:
        """Everything that is counted, as of now."""
        with self._lock:
            tally, store = replace(self._tally), self._store
            entries = store.entries()
            return CacheMetrics(
                reads=tally.fresh + tally.stale + tally.waited + tally.missed,
                fresh_hits=tally.fresh,
                stale_hits=tally.stale,
                misses=tally.waited + tally.missed,
                coalesced=tally.coalesced,
                loads=tally.loads,
                load_failures=tally.failures,
                renewals=tally.renewals,
                prefetches=tally.prefetches,
                prefetches_used=tally.prefetches_used,
                calls_saved=tally.fresh + tally.stale + tally.waited - tally.loads,
                entries=len(entries),
                compressed_entries=sum(entry.packed.is_compressed for entry in entries),
                bytes_used=store.used_bytes,
                bytes_max=store.max_bytes,
                bytes_saved=sum(entry.packed.raw_size - entry.packed.size for entry in entries),
                evictions=store.evictions,
                expirations=store.expirations,
                refusals=store.refusals,
                in_flight=len(self._board),
                tracked_keys=len(self._prefetcher),
            )


def _served(entry: Entry, kind: Kind, now_ms: int) -> Cached[Packed] | None:
    """What a reader who wants `kind` gets of `entry` without waiting; None: it has to wait.

    The stricter of both kinds decides. An entry from the future means that the clock was set back:
    its age is unknown, so it is not served.
    """
    asked_ms = entry.asked_ms
    usable_ms = min(kind.usable_until_ms(asked_ms), entry.usable_until_ms)
    if not asked_ms <= now_ms <= usable_ms:
        return None
    fresh_ms = min(kind.fresh_until_ms(asked_ms), entry.kind.fresh_until_ms(asked_ms))
    return Cached(entry.packed, now_ms - asked_ms, now_ms > fresh_ms, Source.STORED)
