"""What the cache counts: one mutable tally inside, one frozen value for everybody else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Running counts; each read is exactly one of fresh, stale, waited or missed.

    Args:
        waited: reads that started a load or joined one; `coalesced` of them joined.
        missed: reads by `get` that found nothing fresh.
        loads: requests that left, of which `renewals` and `prefetches` had no reader waiting.
    """

    fresh: int = 0
    stale: int = 0
    waited: int = 0
    missed: int = 0
    coalesced: int = 0
    loads: int = 0
    renewals: int = 0
    prefetches: int = 0
    prefetches_used: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """The cache at one moment.

    Args:
        reads: answers asked for; each is a fresh hit, a stale hit or a miss.
        misses: reads that found nothing to serve; `coalesced` of them joined another's load.
        loads: requests that left, of which `renewals` ran behind a stale answer and `prefetches`
            before anybody asked; `prefetches_used` of those were read.
        load_failures: loads that raised.
        calls_saved: requests that the same readers would have sent without a cache, less `loads`.
        bytes_used, bytes_max: what entries are charged, and the limit.
        bytes_saved: what compression spares of that.
        expirations: entries that left because of age; `evictions`: for lack of room.
        refusals: values larger than the whole cache.
        in_flight, tracked_keys: loads in the air, and keys whose readers are observed.
    """

    reads: int
    fresh_hits: int
    stale_hits: int
    misses: int
    coalesced: int
    loads: int
    load_failures: int
    renewals: int
    prefetches: int
    prefetches_used: int
    calls_saved: int
    entries: int
    compressed_entries: int
    bytes_used: int
    bytes_max: int
    bytes_saved: int
    evictions: int
    expirations: int
    refusals: int
    in_flight: int
    tracked_keys: int

    @property
    def hit_rate(self) -> float:
        """Share of reads served from what was kept; 0 before the first read."""
        return (self.fresh_hits + self.stale_hits) / self.reads if self.reads else 0.0

    @property
    def memory_usage(self) -> str:
        """`12.5MB`: the API's form of the bytes that entries are charged."""
        return f"{self.bytes_used / 1_000_000:.1f}MB"
