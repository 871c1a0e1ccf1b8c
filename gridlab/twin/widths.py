"""Candle widths as the venue has them: those of a whole number of minutes, weeks, and months.

Pure arithmetic of times. The candles of one second, which spot has too, are not made here: the
recordings hold minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gridlab.domain.market import Interval

MINUTE_MS = 60_000
DAY_MS = 86_400_000
#: 1970-01-05, the first Monday: weeks are counted from there.
_FIRST_MONDAY_MS = 4 * DAY_MS


@dataclass(frozen=True, slots=True)
class Width:
    """One width; `ms` is zero for months, which have no fixed one."""

    name: str
    ms: int
    origin_ms: int = 0

    def open_ms(self, time_ms: int) -> int:
        """When the candle opens that holds `time_ms`.

        >>> WIDTHS["1w"].open_ms(1_774_607_640_000) == 1_774_224_000_000
        True
        """
        if self.ms:
            return time_ms - (time_ms - self.origin_ms) % self.ms
        day = datetime.fromtimestamp(time_ms / 1_000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1_000

    def next_ms(self, open_ms: int) -> int:
        """When the candle after the one that opens at `open_ms` opens."""
        return open_ms + self.ms if self.ms else self.open_ms(open_ms + 32 * DAY_MS)


WIDTHS: dict[str, Width] = {
    **{interval.value: Width(interval.value, interval.ms) for interval in Interval},
    "3d": Width("3d", 3 * DAY_MS),
    "1w": Width("1w", 7 * DAY_MS, _FIRST_MONDAY_MS),
    "1M": Width("1M", 0),
}
