"""Plays recorded candles into the venues: each point of a candle's stated path is a market trade.

The recorded minute takes `60 / speed` real seconds. Between the points a small trade at the last
price comes at least once in `pulse_ms`, because a liquid market is never silent and clients take a
silent one for a broken line. At the end of a recording the price stays where it is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.market import Kline, Market, path_times_ms
from gridlab.money import floor_to, rounding
from gridlab.twin.recordings import Recording
from gridlab.twin.venue import Venue
from gridlab.twin.widths import MINUTE_MS

POINTS = 4
#: The longest that the player sleeps: a change of speed is heard in that time.
_NAP_MS = 200


class _Track:
    """One symbol's recording and how far it was played."""

    def __init__(self, recording: Recording) -> None:
        self._bars = recording.future
        self._index = 0
        self._point = 0
        self._kline: Kline | None = None

    @property
    def has_ended(self) -> bool:
        return self._index >= len(self._bars)

    def due_ms(self) -> int:
        """Recorded time of the next point, from the start of the play."""
        times = path_times_ms(self._index * MINUTE_MS, MINUTE_MS)
        return times[self._point]

    def next(self) -> tuple[Decimal, Decimal]:
        """(price, volume of its quarter of the candle); goes on by one point."""
        if self._kline is None:
            self._kline = self._bars.kline(self._index)
        kline, point = self._kline, self._point
        self._point += 1
        if self._point == POINTS:
            self._point, self._kline = 0, None
            self._index += 1
        with rounding():
            return kline.path[point], kline.volume / POINTS


class Playback:
    """Moves the market.

    Args:
        speed: recorded seconds for each real one; 0 stands still.
        pulse_ms: 0 switches the small trades between the points off.
    """

    def __init__(
        self,
        recordings: Mapping[tuple[Market, str], Recording],
        venues: Mapping[Market, Venue],
        clock: Clock,
        *,
        speed: float,
        pulse_ms: int,
    ) -> None:
        self._tracks = {key: _Track(recording) for key, recording in recordings.items()}
        self._venues = venues
        self._clock = clock
        self._pulse_ms = pulse_ms
        self._speed = speed
        self._played_ms = 0.0
        self._as_of_ms = clock.now_ms()
        self._printed_ms = dict.fromkeys(self._tracks, self._as_of_ms)

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def played_ms(self) -> int:
        """How much of the recordings was played."""
        return int(self._played_ms)

    @property
    def has_ended(self) -> bool:
        return all(track.has_ended for track in self._tracks.values())

    def set_speed(self, speed: float) -> None:
        """Go on at another speed from now on."""
        self._advance()
        self._speed = speed

    def note_print(self, market: Market, symbol: str) -> None:
        """Somebody else let this market trade just now."""
        self._printed_ms[market, symbol] = self._clock.now_ms()

    async def run(self, on_step: Callable[[], None] = lambda: None) -> None:
        """Play until cancelled."""
        while True:
            self.step()
            on_step()
            await self._clock.sleep_until(self._wake_ms())

    def step(self) -> None:
        """Play every point that is due, all symbols in the order of recorded time."""
        self._advance()
        for market, symbol, price, volume in self._due():
            venue = self._venues[market]
            lot = venue.instrument(symbol).lot_size
            venue.market_trade(symbol, price, max(floor_to(volume, lot), lot))
            self.note_print(market, symbol)
        self._pulse()

    def _advance(self) -> None:
        now_ms = self._clock.now_ms()
        self._played_ms += max(0, now_ms - self._as_of_ms) * self._speed
        self._as_of_ms = now_ms

    def _due(self) -> Iterator[tuple[Market, str, Decimal, Decimal]]:
        keys = list(self._tracks)
        heap = [
            (track.due_ms(), i)
            for i, key in enumerate(keys)
            if not (track := self._tracks[key]).has_ended
        ]
        heapq.heapify(heap)
        while heap and heap[0][0] <= self._played_ms and self._speed > 0:
            _, i = heapq.heappop(heap)
            track = self._tracks[keys[i]]
            yield (*keys[i], *track.next())
            if not track.has_ended:
                heapq.heappush(heap, (track.due_ms(), i))

    def _pulse(self) -> None:
        if not self._pulse_ms:
            return
        now_ms = self._clock.now_ms()
        for (market, symbol), printed_ms in self._printed_ms.items():
            if now_ms - printed_ms >= self._pulse_ms:
                venue = self._venues[market]
                venue.market_trade(symbol, venue.price(symbol))
                self._printed_ms[market, symbol] = now_ms

    def _wake_ms(self) -> int:
        now_ms = self._clock.now_ms()
        wakes = [now_ms + _NAP_MS]
        if self._speed > 0:
            left = [t.due_ms() - self._played_ms for t in self._tracks.values() if not t.has_ended]
            wakes += [now_ms + int(min(left) / self._speed)] if left else []
        if self._pulse_ms:
            wakes.append(min(self._printed_ms.values()) + self._pulse_ms)
        return max(min(wakes), now_ms + 1)
