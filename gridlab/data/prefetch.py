"""When each key will be wanted again, learned from when it was read, and what to renew before that.

Of every key the planner keeps a running mean and deviation of the time between bursts of reads, and
of how long a load takes. A key that is read all the time is renewed so that the answer arrives as
the old value ends; one that is read now and then, so that it arrives just before the next expected
read. What nobody read since its last renewal is not renewed again, so a reader that went away
costs one request at most. A budget in weight units bounds the whole.

Not safe for threads by itself: the cache holds its lock around every call. Reads no clock.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gridlab.data.cache_policy import Kind

MAX_KEYS = 4_096
#: Weight units that renewing ahead may take; a tenth of what spot allows, a quarter of futures.
WEIGHT_PER_MINUTE = 600
#: What may be taken at once after a quiet time.
WEIGHT_BURST = 120
#: Added to the expected load time: a renewal may start one tick late.
SLACK_MS = 120
#: So many intervals must have been seen before one is expected.
MIN_INTERVALS = 3
#: After so many expected reads that did not come, the pattern has died.
MISSED_READS = 3
#: How much one observation moves a running mean.
_WEIGHT = 0.2


@dataclass(slots=True)
class Average:
    """Exponentially weighted mean and mean absolute deviation of what was observed."""

    mean: float = 0.0
    deviation: float = 0.0
    count: int = 0

    def observe(self, value: float) -> None:
        """Take in one value; the first is the mean."""
        if not self.count:
            self.mean = value
        off = value - self.mean
        self.mean += _WEIGHT * off
        self.deviation += _WEIGHT * (abs(off) - self.deviation)
        self.count += 1


@dataclass(slots=True, eq=False)
class Pattern:
    """What is known of one key's readers.

    Args:
        work: whatever the cache needs to load the key again.
        burst_ms, read_ms: when the last burst of reads began, and the last read of all.
        fresh_until_ms: where the kept value's freshness ends; None while nothing is kept.
        is_unread: the kept value was renewed ahead and nobody read it yet.
        due_ms: when to renew; None when it is not planned.
    """

    key: str
    kind: Kind
    work: Any
    burst_ms: int
    read_ms: int
    intervals: Average
    loads: Average
    fresh_until_ms: int | None = None
    is_unread: bool = False
    due_ms: int | None = None

    def is_dead(self, now_ms: int) -> bool:
        """Whether several expected reads did not come."""
        patience_ms = MISSED_READS * (self.intervals.mean + self.intervals.deviation)
        return now_ms - self.read_ms > patience_ms

    def plan_ms(self) -> int | None:
        """When to renew: None when no read is expected in time, or not surely enough."""
        half_ms = self.kind.fresh_ms // 2
        lead_ms = int(self.loads.mean + 2 * self.loads.deviation) + SLACK_MS
        if self.fresh_until_ms is None or self.intervals.count < MIN_INTERVALS:
            return None
        wanted_ms = self.fresh_until_ms + 1
        if self.intervals.mean > half_ms:
            wanted_ms = self._next_read_ms(wanted_ms)
            # Even a clockwork comes a little early at times, before its deviation is known.
            lead_ms += int(2 * self.intervals.deviation) + self.kind.fresh_ms // 8
        if lead_ms > half_ms:
            return None  # it would be old on arrival as often as not
        due_ms = wanted_ms - lead_ms
        if self.kind.fresh_until_ms(due_ms) <= self.fresh_until_ms:
            due_ms = self.fresh_until_ms + 1  # an open candle: only after its close is it news
        return due_ms

    def _next_read_ms(self, from_ms: int) -> int:
        """The first expected read at `from_ms` or later."""
        interval_ms = max(1.0, self.intervals.mean)
        steps = max(1, -int((self.burst_ms - from_ms) // interval_ms))
        return self.burst_ms + int(steps * interval_ms)


class Prefetcher:
    """Plans renewals over at most `MAX_KEYS` keys; the least recently read is forgotten first."""

    def __init__(self) -> None:
        self._patterns: OrderedDict[str, Pattern] = OrderedDict()
        self._queue: list[tuple[int, int, Pattern]] = []
        self._ticket = 0
        self._weight = float(WEIGHT_BURST)
        self._weighed_ms: int | None = None

    def __len__(self) -> int:
        return len(self._patterns)

    def read(self, key: str, kind: Kind, work: Any, now_ms: int) -> None:
        """Take in that somebody reads `key` now."""
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = Pattern(key, kind, work, now_ms, now_ms, Average(), Average())
            self._patterns[key] = pattern
            if len(self._patterns) > MAX_KEYS:
                self._patterns.popitem(last=False)[1].due_ms = None
            return
        self._patterns.move_to_end(key)
        pattern.kind, pattern.work, pattern.read_ms = kind, work, now_ms
        is_news = pattern.is_unread or pattern.due_ms is None
        pattern.is_unread = False
        # Reads within a quarter of the bound are one burst: they share one value anyway.
        if now_ms - pattern.burst_ms >= kind.fresh_ms // 4:
            pattern.intervals.observe(now_ms - pattern.burst_ms)
            pattern.burst_ms = now_ms
            is_news = is_news or pattern.intervals.mean > kind.fresh_ms // 2
        if is_news:
            self._plan(pattern)

    def loaded(self, key: str, asked_ms: int, load_ms: int, is_ahead: bool) -> None:
        """Take in that `key` was loaded; `is_ahead`: without a reader."""
        pattern = self._patterns.get(key)
        if pattern is None:
            return
        pattern.loads.observe(load_ms)
        pattern.fresh_until_ms = pattern.kind.fresh_until_ms(asked_ms)
        pattern.is_unread = is_ahead
        self._plan(pattern)

    def forget(self, key: str) -> None:
        """Plan nothing for `key` until it is loaded again."""
        pattern = self._patterns.get(key)
        if pattern is not None:
            pattern.fresh_until_ms = pattern.due_ms = None

    def clear(self) -> None:
        """Forget every key."""
        self._patterns.clear()
        self._queue.clear()

    def due(self, now_ms: int, most: int) -> list[Pattern]:
        """What to renew now, at most `most` and within the budget, soonest first."""
        self._refill(now_ms)
        found: list[Pattern] = []
        while self._queue and self._queue[0][0] <= now_ms and len(found) < most:
            due_ms, _, pattern = self._queue[0]
            is_current = pattern.due_ms == due_ms and self._patterns.get(pattern.key) is pattern
            if is_current and not pattern.is_dead(now_ms):
                if pattern.kind.cost > self._weight:
                    break
                self._weight -= pattern.kind.cost
                found.append(pattern)
            heapq.heappop(self._queue)
            if is_current:
                pattern.due_ms = None
        return found

    def _plan(self, pattern: Pattern) -> None:
        due_ms = None
        is_affordable = pattern.kind.is_prefetched and pattern.kind.cost <= WEIGHT_BURST
        if is_affordable and not pattern.is_unread:
            due_ms = pattern.plan_ms()
        if due_ms == pattern.due_ms:
            return
        pattern.due_ms = due_ms
        if due_ms is not None:
            self._ticket += 1
            heapq.heappush(self._queue, (due_ms, self._ticket, pattern))
        if len(self._queue) > 4 * MAX_KEYS:
            self._queue = [item for item in self._queue if item[2].due_ms == item[0]]
            heapq.heapify(self._queue)

    def _refill(self, now_ms: int) -> None:
        if self._weighed_ms is not None:
            gained = max(0, now_ms - self._weighed_ms) * WEIGHT_PER_MINUTE / 60_000
            self._weight = min(WEIGHT_BURST, self._weight + gained)
        self._weighed_ms = now_ms
