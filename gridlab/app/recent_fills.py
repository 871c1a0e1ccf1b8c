"""How many fills were booked lately, from the journal, each entry of it read once."""

from __future__ import annotations

import threading
from collections import Counter, deque
from pathlib import Path

from gridlab.domain.events import OrderFilled
from gridlab.store.journal import read_entries


class RecentFills:
    """Counts fills of a span that ends now; goes on reading where it last stopped.

    Args:
        span_ms: market time.
    """

    def __init__(self, span_ms: int) -> None:
        self._span_ms = span_ms
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._seq = 0
        self._fills: deque[tuple[int, str]] = deque()

    def count(self, path: Path, now_ms: int) -> Counter[str]:
        """Fills by symbol in the journal at `path`, of the span that ends at `now_ms`."""
        since_ms = now_ms - self._span_ms
        with self._lock:
            if path != self._path:  # another mode has other books
                self._path, self._seq = path, 0
                self._fills.clear()
            for seq, entry in read_entries(path, None, self._seq):
                self._seq, event = seq, entry.event
                if isinstance(event, OrderFilled) and event.time_ms >= since_ms:
                    self._fills.append((event.time_ms, event.trade.symbol))
            while self._fills and self._fills[0][0] < since_ms:
                self._fills.popleft()
            return Counter(symbol for time_ms, symbol in self._fills if time_ms >= since_ms)
