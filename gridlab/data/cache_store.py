"""The entries of the cache under a limit in bytes, and which of them goes first.

Eviction is GreedyDual-Size-Frequency: an entry's priority is L + hits x cost / size, the lowest
leaves first, and L rises to the priority of what left, so that an entry which is no longer read
sinks below new ones however useful it once was. Cost is what loading it again takes.

Source: L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HP Laboratories report HPL-98-69R1 (1998), after P. Cao and S. Irani's GreedyDual-Size,
"Cost-Aware WWW Proxy Caching Algorithms", USENIX Symposium on Internet Technologies and Systems
(1997).

Not safe for threads by itself: the cache holds its lock around every call. Reads no clock.
"""

from __future__ import annotations

import heapq
import sys
from dataclasses import dataclass, field
from typing import Final

from gridlab.data.cache_policy import FOREVER_MS, Kind
from gridlab.data.cache_values import Packed

#: Charged for each entry beside key and payload: the objects, the slot of the dict, its items on
#: the heaps and those that entries before it left there. Measured with tracemalloc: 540 bytes in a
#: fresh store, 806 in one that was renewed for long.
ENTRY_BYTES = 832
#: A heap may hold this many items for each entry before those of gone entries are swept out.
_SLACK = 2


@dataclass(slots=True, eq=False)
class Entry:
    """One kept value.

    Args:
        asked_ms: when its request left: the value is at most that old.
        load_ms: how long its request took.
        hits: how often its key was read since it came in, at least 1.
        retry_ms: no renewal in the background before this time, after one failed.
        is_unread_prefetch: it was renewed ahead of a reader and none has come yet.
        size: bytes charged to the limit.
        ticket: the number under which the heaps know it.
    """

    key: str
    packed: Packed
    kind: Kind
    asked_ms: int
    load_ms: int
    hits: int = 1
    retry_ms: int = 0
    is_unread_prefetch: bool = False
    priority: float = 0.0
    size: int = field(init=False)
    ticket: int = 0

    def __post_init__(self) -> None:
        self.size = self.packed.size + sys.getsizeof(self.key) + ENTRY_BYTES

    @property
    def worth(self) -> float:
        """What a byte of it saves: hits x cost / size."""
        return self.hits * self.kind.cost * max(1, self.load_ms) / self.size

    @property
    def usable_until_ms(self) -> int:
        return self.kind.usable_until_ms(self.asked_ms)


class Store:
    """Entries by key.

    Args:
        max_bytes: the limit; never exceeded.

    Attributes:
        used_bytes: sum of the sizes of all entries.
        evictions: entries that left for lack of room.
        expirations: entries that left because they were too old even for a stale answer.
        refusals: values that were larger than the whole limit.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes: Final = max_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.expirations = 0
        self.refusals = 0
        self._entries: dict[str, Entry] = {}
        self._floor = 0.0
        self._ticket = 0
        # Items of entries that are gone, or whose priority has grown, stay until they surface.
        self._by_priority: list[tuple[float, int, str]] = []
        self._by_end: list[tuple[int, int, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, oldest insertion first."""
        return tuple(self._entries.values())

    def find(self, key: str) -> Entry | None:
        """The entry of `key`, whatever its age."""
        return self._entries.get(key)

    def touch(self, entry: Entry) -> None:
        """Count one read of `entry`."""
        entry.hits += 1
        # Its heap item stays where it is: too low a guess is corrected when it surfaces.
        entry.priority = self._floor + entry.worth

    def put(self, entry: Entry, now_ms: int) -> bool:
        """Keep `entry` in place of its key's former one; False when it is not kept.

        A value whose request left earlier never replaces one whose request left later.
        """
        former = self._entries.get(entry.key)
        if former is not None and former.asked_ms > entry.asked_ms:
            return False
        if former is not None:
            entry.hits = former.hits
            self._remove(former)
        self._expire(now_ms)
        if entry.size > self.max_bytes:
            self.refusals += 1
            return False
        while self.used_bytes + entry.size > self.max_bytes:
            self._evict_one()
        entry.priority = self._floor + entry.worth
        self._entries[entry.key] = entry
        self.used_bytes += entry.size
        self._ticket += 1
        entry.ticket = self._ticket
        heapq.heappush(self._by_priority, (entry.priority, entry.ticket, entry.key))
        if entry.usable_until_ms < FOREVER_MS:
            heapq.heappush(self._by_end, (entry.usable_until_ms, entry.ticket, entry.key))
        self._sweep()
        return True

    def drop(self, key: str) -> bool:
        """Forget `key`; whether it was there."""
        entry = self._entries.get(key)
        if entry is not None:
            self._remove(entry)
        return entry is not None

    def clear(self) -> int:
        """Forget everything; how many entries that were."""
        count = len(self._entries)
        self._entries.clear()
        self._by_priority.clear()
        self._by_end.clear()
        self.used_bytes = 0
        self._floor = 0.0
        return count

    def _known(self, key: str, ticket: int) -> Entry | None:
        """The entry that a heap's item stands for; None when it is gone."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.ticket == ticket else None

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self.used_bytes -= entry.size

    def _expire(self, now_ms: int) -> None:
        while self._by_end and self._by_end[0][0] < now_ms:
            _, ticket, key = heapq.heappop(self._by_end)
            entry = self._known(key, ticket)
            if entry is not None:
                self._remove(entry)
                self.expirations += 1

    def _evict_one(self) -> None:
        # Priorities only grow, so the first item that is up to date is the lowest of all.
        while True:
            priority, ticket, key = heapq.heappop(self._by_priority)
            entry = self._known(key, ticket)
            if entry is None:
                continue
            if entry.priority > priority:
                heapq.heappush(self._by_priority, (entry.priority, ticket, key))
                continue
            self._floor = priority
            self._remove(entry)
            self.evictions += 1
            return

    def _sweep(self) -> None:
        most = _SLACK * len(self._entries) + 64
        if len(self._by_priority) > most:
            self._by_priority = [
                item for item in self._by_priority if self._known(item[2], item[1]) is not None
            ]
            heapq.heapify(self._by_priority)
        if len(self._by_end) > most:
            self._by_end = [
                item for item in self._by_end if self._known(item[2], item[1]) is not None
            ]
            heapq.heapify(self._by_end)
