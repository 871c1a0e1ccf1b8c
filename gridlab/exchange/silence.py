"""`Silence` and `Ban`: when a venue may be spoken to again.

A venue that asks for fewer requests means the host that was asked; a venue that bans means the IP
address that asks, and so every host of it. Each host therefore has a `Silence` of its own, and all
silences of a process share one `Ban`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from gridlab.clock import Clock, iso

SECOND_MS = 1_000
DAY_MS = 86_400_000
#: A ban whose end the venue did not tell: the first, and the longest after bans in a row.
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * DAY_MS
#: After so long without one, the next ban counts as a first again.
BAN_MEMORY_MS = DAY_MS
_UNTIL = re.compile(r"until (\d{13})")


@dataclass(frozen=True, slots=True)
class BanRecord:
    """A ban in two numbers: when it ends (UTC), and how long it lasted."""

    until_ms: int
    length_ms: int


class Ban:
    """The ban of this machine's address, present or past.

    Bans grow: Binance starts at two minutes and ends at three days, so a ban without a stated end
    is taken to be twice the one before.

    Args:
        on_change: told of each ban that begins or grows.
    """

    def __init__(self, clock: Clock, on_change: Callable[[BanRecord], None] | None = None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._last = BanRecord(0, 0)

    @property
    def until_ms(self) -> int:
        """The end of the last ban, which may be over; 0 when there was none."""
        return self._last.until_ms

    def begin(self, until_ms: int | None) -> None:
        """Take over a ban until the time that the venue stated, or for a guess that grows.

        A stated end beyond the longest ban there is counts as that.
        """
        now_ms = self._clock.now_ms()
        if until_ms is None and now_ms < self._last.until_ms:
            return  # heard again by requests that were under way when it began
        if until_ms is None:
            is_first = now_ms > self._last.until_ms + BAN_MEMORY_MS
            twice_ms = FIRST_BAN_MS if is_first else 2 * self._last.length_ms
            until_ms = now_ms + min(max(FIRST_BAN_MS, twice_ms), LONGEST_BAN_MS)
        until_ms = min(until_ms, now_ms + LONGEST_BAN_MS)
        length_ms = max(0, until_ms - now_ms)
        self._last = BanRecord(max(self._last.until_ms, until_ms), length_ms)
        if self._on_change is not None:
            self._on_change(self._last)

    def recall(self, known: BanRecord) -> None:
        """Obey a ban that an earlier process heard."""
        if known.until_ms > self._last.until_ms:
            self._last = known


class Silence:
    """When one host may be spoken to again; one for everything that goes there.

    Args:
        ban: shared with the other hosts of the process; its own by default.
    """

    def __init__(self, clock: Clock, ban: Ban | None = None) -> None:
        self._clock = clock
        self._ban = ban or Ban(clock)
        self._until_ms = 0

    @property
    def until_ms(self) -> int:
        """Nothing is sent before this time; 0 when silence was never asked for."""
        return max(self._until_ms, self._ban.until_ms)

    @property
    def banned_until_ms(self) -> int:
        """The end of the last ban, which may be over; 0 when there was none."""
        return self._ban.until_ms

    @property
    def is_banned(self) -> bool:
        """Whether a ban is in force now."""
        return self._clock.now_ms() < self._ban.until_ms

    def keep_until(self, time_ms: int) -> None:
        """Send nothing before `time_ms`; an earlier end never shortens a silence."""
        self._until_ms = max(self._until_ms, time_ms)

    def ban(self, until_ms: int | None) -> None:
        """Take over a ban until the time that the venue stated, or for a guess that grows."""
        self._ban.begin(until_ms)

    def words(self) -> str:
        """Why nothing is sent, and until when."""
        left_s = (self.until_ms - self._clock.now_ms()) // SECOND_MS
        why = "banned this address: it wants" if self.is_banned else "asked for"
        return (
            f"the exchange {why} silence until {iso(self.until_ms)}, in {left_s} s; nothing is "
            "sent before, try again then"
        )


def stated_end_ms(
    headers: Mapping[str, str], words: str, now_ms: int, venue_ahead_ms: int
) -> int | None:
    """When the venue wants to be asked again, in our time; None where it does not say.

    Spot tells seconds in a header, USD-M often only a moment in words. Told both ways, the later
    counts: to come back too early makes a ban longer.

    Args:
        venue_ahead_ms: how far the venue's clock is ahead of ours; its words name its own times.
    """
    ends = []
    seconds = headers.get("Retry-After", "").strip()
    if seconds.isascii() and seconds.isdigit() and len(seconds) < 12:
        ends.append(now_ms + max(1, int(seconds)) * SECOND_MS)
    if until := _UNTIL.search(words):
        ends.append(int(until[1]) - venue_ahead_ms)
    return max(ends, default=None)


def ahead_by_date_ms(headers: Mapping[str, str], now_ms: int) -> int:
    """How far the sender's clock is ahead of ours by its `Date`; 0 where there is none.

    That header has whole seconds, so this is at most a second too little, and ends are then late
    rather than early.
    """
    try:
        return int(parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1_000) - now_ms
    except ValueError:
        return 0
