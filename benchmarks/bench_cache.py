"""How many requests the cache saves under a stated load, and whether it keeps its bounds.

The load, in simulated time: 10 dashboards that look at one symbol each and once a second want its
price, ticker, candles and the exchange's rules; a dashboard turns to another symbol every two
minutes on average, in six of ten cases to one that a bot trades. 3 bots that read their price once
a second, the account every 10 seconds, and candles, book, ticker and rules in each cycle of a
minute. 20 symbols, 10 minutes, 50 to 300 ms for each request. Prices and tickers are asked for all
20 symbols in one request, as the venue offers it; the last table asks for each symbol by itself.

Compared are: no cache; a plain cache with a fixed time to live, counted from when a value arrived,
as most caches count; and the cache of `gridlab.data.cache`. All three serve the same readers. A
bound is broken where a reader gets a value that is older than its kind allows, counted from when
the request left, and is not told so.

    python benchmarks/bench_cache.py [--seed 1] [--minutes 10] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from gridlab.clock import ManualClock
from gridlab.data.cache import Cached, IntelligentCache, Kind, Source, open_candle
from gridlab.data.cache_policy import EXCHANGE_INFO, TICKER
from gridlab.domain.market import Interval

SECOND_MS = 1_000
MINUTE_MS = 60_000
#: Not a round time: candles of every width end inside the run or not, as they happen to.
START_MS = 1_773_000_017_000
DASHBOARDS = 10
BOTS = 3
SYMBOLS = tuple(f"COIN{i:02}USDT" for i in range(20))
LATENCY_MS = (50, 300)
TARGET_FRACTION = 0.95
#: What this load reads besides the kinds that GridLab itself asks for: last prices, books of up to
#: 100 levels, and balances.
PRICE = Kind("price", 2_000, 10_000, cost=2)
DEPTH = Kind("depth", 1_000, 5_000, cost=5)
ACCOUNT = Kind("account", 5_000, 15_000, cost=20, is_prefetched=False)

Load = Callable[[], Awaitable[Any]]


class Reads(Protocol):
    """Anything that answers readers."""

    async def fetch(self, key: str, kind: Kind, load: Load) -> Cached[Any]: ...


@dataclass
class Upstream:
    """The venue: each answer carries the time at which its request left."""

    clock: ManualClock
    chance: random.Random
    requests: Counter[str] = field(default_factory=Counter)
    weight: int = 0

    async def ask(self, kind: Kind, rows: int) -> Any:
        left_ms = self.clock.now_ms()
        self.requests[kind.name] += 1
        self.weight += kind.cost
        await self.clock.sleep_until(left_ms + self.chance.randint(*LATENCY_MS))
        return {"left_ms": left_ms, "rows": [_row(left_ms, i) for i in range(rows)]}


def _row(left_ms: int, i: int) -> list[Any]:
    price = 60_000 + (left_ms // 997 + i * 7919) % 5_000
    return [left_ms + i, f"{price}.10", f"{price}.90", f"{price}.05", f"{price * 31 % 977}.125"]


class NoCache:
    """Every reader asks for itself."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    async def fetch(self, key: str, kind: Kind, load: Load) -> Cached[Any]:
        asked_ms = self._clock.now_ms()
        value = await load()
        # What it can say: this is as new as it gets.
        return Cached(value, self._clock.now_ms() - asked_ms, True, Source.LOADED)


class PlainCache:
    """A value is good for its kind's bound after it arrived; who finds none asks."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[int, Any]] = {}

    async def fetch(self, key: str, kind: Kind, load: Load) -> Cached[Any]:
        kept = self._kept.get(key)
        if kept is not None and self._clock.now_ms() < kept[0]:
            return Cached(kept[1], 0, False, Source.STORED)
        value = await load()
        self._kept[key] = (self._clock.now_ms() + kind.fresh_ms, value)
        return Cached(value, 0, False, Source.LOADED)


@dataclass
class Run:
    """One cache under the load, and what its readers saw."""

    clock: ManualClock
    upstream: Upstream
    cache: Reads
    seed: int
    minutes: float
    is_batched: bool
    reads: int = 0
    broken: int = 0
    stale: int = 0
    oldest_excess_ms: int = 0
    waited_ms: int = 0

    @property
    def end_ms(self) -> int:
        return START_MS + int(self.minutes * MINUTE_MS)

    async def read(self, kind: Kind, subject: str, rows: int) -> None:
        """One read by one reader, judged by what is true and not by what it is told."""
        asked_ms = self.clock.now_ms()
        key = f"{kind.name}:{subject}"
        answer = await self.cache.fetch(key, kind, lambda: self.upstream.ask(kind, rows))
        now_ms, left_ms = self.clock.now_ms(), answer.value["left_ms"]
        self.reads += 1
        self.waited_ms += now_ms - asked_ms
        self.stale += answer.is_stale
        if not answer.is_stale and now_ms > (until_ms := kind.fresh_until_ms(left_ms)):
            self.broken += 1
            self.oldest_excess_ms = max(self.oldest_excess_ms, now_ms - until_ms)

    async def prices(self, kind: Kind, symbol: str) -> None:
        """A price or a ticker: of all symbols in one request, or of this one."""
        await self.read(kind, "all" if self.is_batched else symbol, 20 if self.is_batched else 1)

    async def dashboard(self, chance: random.Random) -> None:
        wake_ms = START_MS + chance.randrange(SECOND_MS)
        turn_ms = wake_ms
        symbol, interval = SYMBOLS[0], Interval.H1
        while wake_ms < self.end_ms:
            await self.clock.sleep_until(wake_ms + chance.randint(0, 40))
            if self.clock.now_ms() >= turn_ms:
                symbol = chance.choice(SYMBOLS[:BOTS] if chance.random() < 0.6 else SYMBOLS)
                interval = chance.choice((Interval.H1, Interval.H1, Interval.M5, Interval.M1))
                turn_ms = wake_ms + int(chance.expovariate(1 / (2 * MINUTE_MS)))
            await asyncio.gather(
                self.prices(PRICE, symbol),
                self.prices(TICKER, symbol),
                self.read(open_candle(interval), symbol, 100),
                self.read(EXCHANGE_INFO, "all", 20),
            )
            wake_ms += SECOND_MS

    async def bot(self, number: int, chance: random.Random) -> None:
        symbol = SYMBOLS[number]
        wake_ms = START_MS + chance.randrange(SECOND_MS)
        second = 0
        while wake_ms < self.end_ms:
            await self.clock.sleep_until(wake_ms)
            wanted = [self.prices(PRICE, symbol)]
            if second % 10 == 0:
                wanted.append(self.read(ACCOUNT, "spot", 5))
            if second % 60 == 0:
                wanted.append(self.read(open_candle(Interval.H1), symbol, 100))
                wanted.append(self.read(DEPTH, symbol, 20))
                wanted.append(self.prices(TICKER, symbol))
                wanted.append(self.read(EXCHANGE_INFO, "all", 20))
            await asyncio.gather(*wanted)
            second += 1
            wake_ms += SECOND_MS

    async def play(self) -> None:
        """Let time pass until every reader is done."""
        readers = [
            asyncio.create_task(self.dashboard(random.Random(f"dashboard {self.seed} {i}")))
            for i in range(DASHBOARDS)
        ]
        readers += [
            asyncio.create_task(self.bot(i, random.Random(f"bot {self.seed} {i}")))
            for i in range(BOTS)
        ]
        ahead = None
        if isinstance(self.cache, IntelligentCache):
            ahead = asyncio.create_task(self.cache.run_prefetching())
        await settle()
        while not all(reader.done() for reader in readers):
            wake_ms = self.clock.next_wake_ms
            assert wake_ms is not None, "every reader waits for something that never comes"
            self.clock.advance_to(wake_ms)
            await settle()
        if ahead is not None:
            ahead.cancel()
        await asyncio.gather(*readers)


async def settle() -> None:
    """Return when nobody can run until time passes."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # type: ignore[attr-defined]
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Figures:
    """What one cache did under the load.

    Args:
        saved_fraction: share of requests that no cache would have sent and this one did not.
        broken: reads that got a value older than its bound and were not told so.
        oldest_excess_ms: by how much the worst of them was too old.
        stale: reads that were told so.
        mean_wait_ms: simulated time from asking to having.
    """

    name: str
    reads: int
    requests: int
    weight: int
    saved_fraction: float
    broken: int
    oldest_excess_ms: int
    stale: int
    mean_wait_ms: float
    by_kind: dict[str, int]
    prefetches: int = 0
    prefetches_used: int = 0
    coalesced: int = 0
    bytes_used: int = 0


def measure(
    name: str, seed: int, minutes: float, is_batched: bool = True, is_ahead: bool = True
) -> Figures:
    """Play the load once against the cache of this name: none, plain or gridlab."""
    clock = ManualClock(START_MS)
    caches: dict[str, Callable[[], Reads]] = {
        "none": lambda: NoCache(clock),
        "plain": lambda: PlainCache(clock),
        "gridlab": lambda: IntelligentCache(
            clock, max_size_mb=Decimal(100), enable_prefetching=is_ahead
        ),
    }
    upstream = Upstream(clock, random.Random(f"latency {seed}"))
    run = Run(clock, upstream, caches[name](), seed, minutes, is_batched)
    asyncio.run(run.play())
    requests = upstream.requests.total()
    extra = {}
    if isinstance(run.cache, IntelligentCache):
        told = run.cache.metrics()
        assert (told.loads, told.reads) == (requests, run.reads), "the cache miscounts"
        names = ("prefetches", "prefetches_used", "coalesced", "bytes_used")
        extra = {name: getattr(told, name) for name in names}
    return Figures(
        name if is_ahead or name != "gridlab" else "gridlab, no prefetch",
        run.reads,
        requests,
        upstream.weight,
        1 - requests / run.reads,
        run.broken,
        run.oldest_excess_ms,
        0 if name == "none" else run.stale,
        run.waited_ms / run.reads,
        dict(sorted(upstream.requests.items())),
        **extra,
    )


def show(title: str, rows: list[Figures]) -> None:
    print(title)
    print(
        f"  {'cache':<22}{'reads':>8}{'requests':>10}{'weight':>9}{'saved':>9}"
        f"{'broken':>8}{'by up to':>10}{'told stale':>12}{'mean wait':>11}"
    )
    for row in rows:
        print(
            f"  {row.name:<22}{row.reads:>8,}{row.requests:>10,}{row.weight:>9,}"
            f"{row.saved_fraction:>9.2%}{row.broken:>8,}{row.oldest_excess_ms:>7,} ms"
            f"{row.stale / row.reads:>12.2%}{row.mean_wait_ms:>8.1f} ms"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    began = time.perf_counter()
    seed, minutes = options.seed, options.minutes
    main_rows = [measure(name, seed, minutes) for name in ("none", "plain", "gridlab")]
    main_rows.append(measure("gridlab", seed, minutes, is_ahead=False))
    each_rows = [measure(name, seed, minutes, is_batched=False) for name in ("plain", "gridlab")]
    each_rows.append(measure("gridlab", seed, minutes, is_batched=False, is_ahead=False))
    ours = main_rows[2]
    is_met = ours.saved_fraction >= TARGET_FRACTION and not ours.broken + each_rows[1].broken
    took = time.perf_counter() - began
    if options.json:
        told = {
            "seed": seed,
            "minutes": minutes,
            "target_fraction": TARGET_FRACTION,
            "is_met": is_met,
            "batched": [asdict(row) for row in main_rows],
            "each_symbol_by_itself": [asdict(row) for row in each_rows],
            "seconds": round(took, 2),
        }
        print(json.dumps(told, indent=2))
        return 0 if is_met else 1
    print(f"10 dashboards at 1 Hz, 3 bots, 20 symbols, {minutes:g} minutes, seed {seed}\n")
    show("Prices and tickers of all symbols in one request:", main_rows)
    print(
        f"  gridlab: {ours.coalesced:,} reads joined another's request; {ours.prefetches:,} "
        f"requests ahead of readers, {ours.prefetches_used:,} of them read; by kind: "
        + ", ".join(f"{kind} {count}" for kind, count in ours.by_kind.items())
    )
    show("\nEach symbol by itself:", each_rows)
    print(
        f"\ntarget: {TARGET_FRACTION:.0%} saved and no bound broken: "
        f"{'met' if is_met else 'MISSED'} ({took:.1f} s)"
    )
    return 0 if is_met else 1


if __name__ == "__main__":
    raise SystemExit(main())
