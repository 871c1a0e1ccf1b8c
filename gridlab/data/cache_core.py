"""`IntelligentCache`: values with a hard bound on their age, loaded once for all who wait.

The bound: a reader gets no value older than its kind's `fresh_ms`, counted from when the request
LEFT, unless the answer says `is_stale`; and none that was kept longer than `stale_ms`. An answer
that was late in coming is handed, labelled, to those who came before it left, because nothing newer
exists; who came later and would get more than `stale_ms` has it loaded anew.

Readers are tasks of any event loop (`fetch`) and threads (`fetch_sync`). This module runs loads;
what is decided about them is in `cache_state`. Reads time from its clock only; knows no venue.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from gridlab.clock import Clock
from gridlab.data.cache_flights import Abandoned, Flight
from gridlab.data.cache_metrics import CacheMetrics
from gridlab.data.cache_policy import Kind, Seconds, lasting
from gridlab.data.cache_state import Cached, CacheState, Reader
from gridlab.data.cache_values import Packed, pack, warm_up
from gridlab.errors import ExchangeUnavailable, InvalidInput

log = logging.getLogger(__name__)
T = TypeVar("T")

#: How often the prefetcher looks; its planner adds slack for being late by one look.
TICK_MS = 100
#: Renewals and prefetches that may run in threads, and how many may run or wait for one.
MAX_THREADS = 4
MAX_BACKGROUND = 64
#: A reader gives up when so many of its own loads were cancelled under it.
MOST_ABANDONED = 2


@dataclass(frozen=True, slots=True)
class _Work:
    """How to load a key again; `loop` is None for a plain function."""

    load: Callable[[], Any]
    loop: asyncio.AbstractEventLoop | None


class IntelligentCache:
    """Values by key, within a limit of bytes.

    Args:
        max_size_mb: limit in units of 1,000,000 bytes; payloads, keys and bookkeeping count.
        default_ttl: seconds that `set` keeps a value for when not told.
        enable_prefetching: learn from reads, and let `run_prefetching` renew ahead of them.
        enable_compression: compress large text, bytes and plain JSON.

    Raises:
        InvalidInput: a limit or a ttl that is not above zero.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_size_mb: int | float | Decimal = 100,
        default_ttl: Seconds = 300,
        enable_prefetching: bool = True,
        enable_compression: bool = True,
    ) -> None:
        max_bytes = int(max_size_mb * 1_000_000)
        if max_bytes < 1:
            raise InvalidInput(f"max_size_mb is {max_size_mb}; megabytes above zero are meant")
        self._clock: Final = clock
        self._default_kind: Final = lasting(default_ttl)
        self._is_prefetching: Final = enable_prefetching
        self._is_compressing: Final = enable_compression
        self._state: Final = CacheState(clock, max_bytes, enable_prefetching)
        # A task that nobody refers to may be collected while it runs.
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool_lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._in_background = 0
        self._is_closed = False
        if enable_compression:
            warm_up()

    @property
    def clock(self) -> Clock:
        """The clock that ages are counted by."""
        return self._clock

    # --- plain use --------------------------------------------------------------------------------

    def set(self, key: str, value: Any, ttl: Seconds | None = None) -> None:
        """Keep `value` for `ttl` seconds; a load of `key` in the air will not replace it."""
        kind = self._default_kind if ttl is None else lasting(ttl)
        self._state.put(key, pack(value, self._is_compressing), kind)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key` while it is fresh, else `default`."""
        packed = self._state.read_fresh(key)
        return default if packed is None else packed.open()

    def invalidate(self, key: str) -> bool:
        """Forget `key`, and any answer to a request that left before now; whether it was kept."""
        return self._state.invalidate(key)

    def clear(self) -> int:
        """Forget every value and pattern; how many values that were. Counters stay."""
        return self._state.clear()

    def metrics(self) -> CacheMetrics:
        """What was counted since the cache was made, and what it holds now."""
        return self._state.metrics()

    def close(self) -> None:
        """Start no more threads; returns when those that run are done."""
        with self._pool_lock:
            self._is_closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    # --- reading through --------------------------------------------------------------------------

    async def fetch(self, key: str, kind: Kind, load: Callable[[], Awaitable[T]]) -> Cached[T]:
        """The value of `key` within the bounds of `kind`, loaded if need be, for a task.

        Args:
            load: asks the source. It runs in a task of its own, and again for renewals, so it must
                not depend on one caller. Every reader that waits is told what it raises.

        Raises:
            ExchangeUnavailable: the load was cancelled from outside, twice.
        """
        work = _Work(load, asyncio.get_running_loop())
        reader = self._state.arrive(key, kind, work.loop, work)
        abandoned, is_first = 0, True
        while True:
            step = self._state.step(reader, is_first)
            is_first = False
            if step.flight is not None and step.is_own:
                self._start(step.flight, work)
            if step.found is not None:
                return _opened(step.found)
            assert step.flight is not None
            try:
                packed, asked_ms = await step.flight.answer()
            except Abandoned:
                abandoned = _after_abandoned(key, abandoned + step.is_own)
                continue
            answer = self._state.judge(reader, packed, asked_ms, step.is_own)
            if _is_acceptable(answer, reader, asked_ms):
                return _opened(answer)

    def fetch_sync(self, key: str, kind: Kind, load: Callable[[], T]) -> Cached[T]:
        """The same for a thread: loads in this thread, renews in a background thread.

        In the thread of an event loop it blocks that loop; a load in the air that runs in the very
        same loop is not joined, since that would never end.
        """
        work = _Work(load, None)
        reader = self._state.arrive(key, kind, None, work, can_renew=self._has_thread())
        abandoned, is_first = 0, True
        while True:
            step = self._state.step(reader, is_first)
            is_first = False
            if step.found is not None:
                if step.flight is not None:
                    self._start(step.flight, work)
                return _opened(step.found)
            assert step.flight is not None
            if step.is_own:
                self._load_here(step.flight, load)
            try:
                packed, asked_ms = step.flight.answer_here()
            except Abandoned:
                abandoned = _after_abandoned(key, abandoned + step.is_own)
                continue
            answer = self._state.judge(reader, packed, asked_ms, step.is_own)
            if _is_acceptable(answer, reader, asked_ms):
                return _opened(answer)

    # --- running loads ----------------------------------------------------------------------------

    def _start(self, flight: Flight, work: _Work) -> None:
        """Run a load beside its reader: in a task, or for a plain function in a thread."""
        if work.loop is None:
            self._start_thread(flight, work)
            return
        flight.task = work.loop.create_task(self._load(flight, work.load))
        self._tasks.add(flight.task)
        flight.task.add_done_callback(lambda task: self._after_task(flight, task))

    async def _load(self, flight: Flight, load: Callable[[], Awaitable[Any]]) -> None:
        try:
            packed = pack(await load(), self._is_compressing)
        except Exception as error:
            self._fail(flight, error)
        else:
            self._state.land(flight, packed)

    def _after_task(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not flight.is_over:
            self._state.abandon(flight, Abandoned(flight.key))  # cancelled, with its loop perhaps

    def _load_here(self, flight: Flight, load: Callable[[], Any]) -> None:
        flight.thread_id = threading.get_ident()
        try:
            packed = pack(load(), self._is_compressing)
        except Exception as error:
            self._fail(flight, error)
        except BaseException:
            self._state.abandon(flight, Abandoned(flight.key))
            raise
        else:
            self._state.land(flight, packed)

    def _fail(self, flight: Flight, error: Exception) -> None:
        log.debug("loading %s (%s) failed: %r", flight.key, flight.purpose, error)
        self._state.fail(flight, error)

    # --- threads ----------------------------------------------------------------------------------

    def _has_thread(self) -> bool:
        with self._pool_lock:
            return not self._is_closed and self._in_background < MAX_BACKGROUND

    def _start_thread(self, flight: Flight, work: _Work) -> None:
        with self._pool_lock:
            if not self._is_closed:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(MAX_THREADS, "gridlab-cache")
                self._in_background += 1
                self._pool.submit(self._load_in_thread, flight, work.load)
                return
        self._state.abandon(flight, Abandoned(flight.key))

    def _load_in_thread(self, flight: Flight, load: Callable[[], Any]) -> None:
        try:
            self._load_here(flight, load)
        finally:
            with self._pool_lock:
                self._in_background -= 1

    # --- renewing ahead ---------------------------------------------------------------------------

    async def run_prefetching(self) -> None:
        """Renew ahead of expected reads until cancelled; returns at once where that is disabled.

        Renews what tasks of this event loop or threads have read; keys of other loops are theirs.
        """
        loop = asyncio.get_running_loop()
        while self._is_prefetching:
            await self._clock.sleep_until(self._clock.now_ms() + TICK_MS)
            if self._has_thread():
                for flight, work in self._state.take_off_ahead(loop):
                    self._start(flight, work)


def _opened(answer: Cached[Packed]) -> Cached[Any]:
    return Cached(answer.value.open(), answer.age_ms, answer.is_stale, answer.source)


def _is_acceptable(answer: Cached[Packed], reader: Reader, asked_ms: int) -> bool:
    """Whether an answer may be handed out, or a newer one can and must be had."""
    return answer.age_ms <= reader.kind.stale_ms or asked_ms >= reader.arrived_ms


def _after_abandoned(key: str, abandoned: int) -> int:
    """How many of a reader's own loads were cancelled under it; raises when that is enough."""
    if abandoned >= MOST_ABANDONED:
        raise ExchangeUnavailable(
            f"the load of {key!r} was cancelled {abandoned} times under its reader; ask again"
        )
    return abandoned
