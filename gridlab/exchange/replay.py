"""A recording played into the paper venue, step by step, under a clock that stands still between.

A step takes one symbol to the next point of its stated intra-bar path: open, first extreme, second
extreme, close (`Kline.path`), at a third of the bar's width each. All symbols reach a point before
any goes on to the next. The position is saved by the venue in the same transaction as what a step
changed, so that a killed replay goes on exactly where its books stand. Funding of a futures symbol
is paid before the first step that is at or after its time, at the last price before that step: a
payment finds the position that was held, and nothing of the step itself. Knows no bot; who plays
the steps, and how fast, is the player's affair.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from gridlab.clock import ManualClock
from gridlab.domain.market import Kline, path_times_ms
from gridlab.errors import BugError, InvalidInput, StorageError
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_records import Record
from gridlab.money import rounding

POINTS = 4
#: (time in ms, rate) of each payment of one symbol, oldest first.
Payments: TypeAlias = Sequence[tuple[int, Decimal]]
#: The kind under which the position lies among the venue's records.
CURSOR = "replay"


class Recording(Protocol):
    """Candles of one symbol on a regular grid of open times; `data.bars.Bars` is one."""

    def __len__(self) -> int: ...

    def kline(self, i: int) -> Kline: ...

    def index_at(self, time_ms: int) -> int:
        """The last candle that opens at or before `time_ms`; -1 when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One symbol moves to one point of its candle."""

    position: int
    symbol: str
    kline: Kline
    point: int
    time_ms: int


class Replay:
    """Where a recording stands, and its next step.

    Args:
        start_ms, end_ms: the part to play; `end_ms` is exclusive. Both on the grid of open times.
        width_ms: candle width.
        participation: the share of a candle's volume that may fill our orders, spread evenly over
            its three legs; None fills without limit.
        funding: payments by symbol; only for a replay into a futures venue.
    """

    def __init__(
        self,
        clock: ManualClock,
        recordings: Mapping[str, Recording],
        *,
        start_ms: int,
        end_ms: int,
        width_ms: int = 60_000,
        participation: Decimal | None = None,
        funding: Mapping[str, Payments] | None = None,
    ) -> None:
        if not start_ms < end_ms or start_ms % width_ms:
            raise InvalidInput(
                f"a replay from {start_ms} to {end_ms} ms is empty or off the {width_ms} ms grid"
            )
        self._clock = clock
        self._recordings = dict(sorted(recordings.items()))
        self._symbols = tuple(self._recordings)
        self._start_ms, self._end_ms, self._width_ms = start_ms, end_ms, width_ms
        self._participation = participation
        # What was due before the start concerns nobody who trades here.
        self._due = {
            symbol: deque(paid for paid in payments if paid[0] > start_ms)
            for symbol, payments in (funding or {}).items()
        }
        self._paid_ms: dict[str, int] = {}
        self._bars = (end_ms - start_ms) // width_ms
        self._last = self._bars * POINTS * len(self._symbols) - 1
        self._position = -1
        self._venue: PaperExchange | None = None
        self._candles: dict[str, Kline | None] = {}
        self._candles_minute = -1

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    @property
    def progress(self) -> float:
        """The part already played, 0 to 1."""
        return (self._position + 1) / (self._last + 1)

    @property
    def has_begun(self) -> bool:
        """Whether a step was played, now or before an earlier end."""
        return self._position >= 0

    def opens_bar(self, step: Step) -> bool:
        """Whether `step` is the first of a new candle after the recording's first.

        Decided by positions alone, so that a replay that was killed and one that was not do the
        same at the same moments.
        """
        return self._position >= 0 and self._bar_of(step.position) > self._bar_of(self._position)

    def _bar_of(self, position: int) -> int:
        return position // (POINTS * len(self._symbols))

    def next_step(self) -> Step | None:
        """The next step that a recording has; None at the end. Changes nothing that can be seen."""
        position = self._position
        while position < self._last:
            position += 1
            rest, symbol_number = divmod(position, len(self._symbols))
            bar, point = divmod(rest, POINTS)
            symbol = self._symbols[symbol_number]
            kline = self._candle(symbol, bar)
            if kline is not None:
                times = path_times_ms(kline.open_time_ms, self._width_ms)
                return Step(position, symbol, kline, point, times[point])
        self._position = self._last
        return None

    def _candle(self, symbol: str, bar: int) -> Kline | None:
        if bar != self._candles_minute:
            self._candles_minute = bar
            self._candles.clear()
        if symbol not in self._candles:
            open_ms = self._start_ms + bar * self._width_ms
            recording = self._recordings[symbol]
            index = recording.index_at(open_ms)
            kline = recording.kline(index) if index >= 0 else None
            here = kline is not None and kline.open_time_ms == open_ms
            self._candles[symbol] = kline if here else None
        return self._candles[symbol]

    def attach(self, venue: PaperExchange) -> None:
        """Play into `venue` from now on; it saves `records()` with its books."""
        self._venue = venue

    def play(self, step: Step) -> None:
        """Move the clock and the venue by one step; raises `StorageError` as the venue does."""
        self._clock.advance_to(max(step.time_ms, self._clock.now_ms()))
        self._pay(step.symbol, step.time_ms)
        self._position = step.position
        self._on_stage.advance(
            step.symbol, step.kline.path[step.point], step.time_ms, self._volume_of(step)
        )

    def _pay(self, symbol: str, until_ms: int) -> None:
        """Pay what is due by now; the venue's transaction says how far that went."""
        due = self._due.get(symbol)
        while due and due[0][0] <= until_ms:
            time_ms, rate = due.popleft()
            self._paid_ms[symbol] = time_ms
            venue = self._on_stage
            if not isinstance(venue, PaperFutures):
                raise BugError(f"{symbol}: funding is paid on futures, and this venue is none")
            venue.pay_funding(symbol, rate, funding_id(symbol, time_ms), time_ms)

    def price(self, symbol: str) -> Decimal | None:
        """The venue's last price; None before the first step."""
        return self._on_stage.book.price(symbol)

    def save(self) -> None:
        """Save the position although nothing happened; raises `StorageError`."""
        self._on_stage.save()

    @property
    def _on_stage(self) -> PaperExchange:
        if self._venue is None:
            raise BugError("a replay plays into a venue; attach one first")
        return self._venue

    def _volume_of(self, step: Step) -> Decimal | None:
        if self._participation is None or step.point == 0:
            return None
        with rounding():
            return step.kline.volume * self._participation / (POINTS - 1)

    def records(self) -> list[Record]:
        """The position, for the venue's transaction."""
        body = {**self._identity(), "position": self._position, "time_ms": self._clock.now_ms()}
        if self._paid_ms:
            body["funding"] = self._paid_ms
        return [(CURSOR, "cursor", json.dumps(body, sort_keys=True))]

    def restore(self, records: Iterable[Record]) -> bool:
        """Go to the stored position; False when there is none, so the replay is new.

        Raises:
            StorageError: the books belong to another replay.
        """
        for kind, key, payload in records:
            if kind == CURSOR and key == "cursor" and payload is not None:
                stored = json.loads(payload)
                if {k: stored[k] for k in self._identity()} != self._identity():
                    raise StorageError(
                        "this data directory holds another replay (other symbols or another span); "
                        "start it with its own settings, or begin anew with --fresh"
                    )
                self._position = stored["position"]
                self._clock.advance_to(stored["time_ms"])
                self._forget_paid(stored.get("funding", {}))
                return True
        return False

    def _forget_paid(self, paid_ms: Mapping[str, int]) -> None:
        self._paid_ms = dict(paid_ms)
        for symbol, until_ms in paid_ms.items():
            due = self._due.get(symbol, ())
            self._due[symbol] = deque(paid for paid in due if paid[0] > until_ms)

    def _identity(self) -> dict[str, object]:
        return {
            "symbols": list(self._symbols),
            "start_ms": self._start_ms,
            "end_ms": self._end_ms,
            "width_ms": self._width_ms,
        }


def funding_id(symbol: str, time_ms: int) -> str:
    """The name under which a recorded payment is booked; each is booked once."""
    return f"{symbol}-{time_ms}"
