"""`event_study`: do prices move after events of a stated sign, more than they do anyway?

An event is what could have been known at a time: its own time is when it was seen, and the price
that it can be compared with is the open of the first bar after that. Chance is measured, not
assumed: all events are moved together around the span by random steps, which keeps how they
cluster and how returns hang together, and breaks only the tie between the two.

Knows no text and no model: scores come from wherever the caller has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.errors import InvalidInput
from gridlab.research.metrics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

HOUR_MS: Final = 3_600_000
HORIZONS_MS: Final = (HOUR_MS, 4 * HOUR_MS, 24 * HOUR_MS)
#: With fewer events no statement is made.
LEAST_EVENTS: Final = 30
#: The chance of calling nothing something, over all horizons together.
ALPHA: Final = 0.05
#: An exit may be so much later than asked for where bars are missing.
_SLACK: Final = 0.25


class Event(NamedTuple):
    """Something that was said.

    Args:
        time_ms: when it was seen; never when it claims to be written, if that is earlier.
        score: -1 to 1.
    """

    time_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What followed the events at one horizon.

    Args:
        events: how many had a price before and after.
        mean: of return x sign of the score, as a fraction.
        low, high: what 95 % of the random shifts gave.
        p: the share of shifts that were at least as far from their own middle.
        is_real: whether `p` stands against all horizons together (Holm 1979).
    """

    horizon_ms: int
    events: int
    mean: float
    low: float
    high: float
    p: float
    is_real: bool = False


@dataclass(frozen=True, slots=True)
class EventStudy:
    """The effects by horizon, and what they come to in words."""

    symbol: str
    asked: int
    effects: tuple[Effect, ...]
    stamps: str

    @property
    def verdict(self) -> str:
        """One sentence; zero is called zero."""
        few = max((effect.events for effect in self.effects), default=0)
        if few < LEAST_EVENTS:
            return f"Undecided: {few} usable events, and {LEAST_EVENTS} are needed."
        real = [effect for effect in self.effects if effect.is_real]
        if not real:
            return (
                f"Zero: after {few} events {self.symbol} moved no further in their direction than "
                "after random moments."
            )
        best = min(real, key=lambda effect: effect.p)
        way = "with" if best.mean > 0 else "AGAINST"
        return (
            f"An effect: {best.horizon_ms / HOUR_MS:g} h after {best.events} events {self.symbol} "
            f"had moved {abs(best.mean) * 1e4:.1f} basis points {way} them on average (p = "
            f"{best.p:.4f}); fees for a round trip are usually 20."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each horizon: hours, events, and basis points."""
        import pandas as pd

        return pd.DataFrame(
            {
                "hours": [effect.horizon_ms / HOUR_MS for effect in self.effects],
                "events": [effect.events for effect in self.effects],
                "mean_bp": [1e4 * effect.mean for effect in self.effects],
                "chance_low_bp": [1e4 * effect.low for effect in self.effects],
                "chance_high_bp": [1e4 * effect.high for effect in self.effects],
                "p": [effect.p for effect in self.effects],
                "is_real": [effect.is_real for effect in self.effects],
            }
        )

    def __repr__(self) -> str:
        return f"{self.verdict}\n{self.to_frame().round(4).to_string(index=False)}\n{self.stamps}"

    def _repr_html_(self) -> str:
        table = self.to_frame().round(4).to_html(index=False, border=0)
        return f"<p><b>{escape(self.verdict)}</b></p>{table}<p>{escape(self.stamps)}</p>"


def event_study(
    events: Sequence[Event],
    bars: Bars,
    *,
    horizons_ms: Sequence[int] = HORIZONS_MS,
    least_score: float = 0.1,
    shifts: int = 2_000,
    seed: int = 0,
    stamps: str = "Event times are when each text was seen here.",
) -> EventStudy:
    """What followed `events` on `bars`, beside what followed random moments.

    Args:
        least_score: weaker ones say nothing and are left out.
        shifts: random shifts; the least p is about 1 / shifts.
        stamps: what the caller knows of the times, for the report.

    Raises:
        InvalidInput: no bars, a horizon below one bar, or a score out of bounds.
    """
    _check(events, bars, horizons_ms)
    strong = sorted(event for event in events if abs(event.score) >= least_score)
    times = np.array([event.time_ms for event in strong], np.int64)
    signs = np.sign(np.array([event.score for event in strong], np.float64))
    start, end = int(bars.open_time_ms[0]), bars.end_ms
    inside = (times >= start) & (times < end)
    times, signs = times[inside], signs[inside]
    random = np.random.default_rng(seed)
    steps = random.integers(0, end - start, shifts)
    effects = []
    for horizon_ms in horizons_ms:
        after = _Forward(bars, horizon_ms)
        found, used = after.mean(times, signs)
        moved = np.array(
            [after.mean(start + (times - start + step) % (end - start), signs)[0] for step in steps]
        )
        moved = moved[np.isfinite(moved)]
        if not used or not len(moved):
            effects.append(Effect(horizon_ms, used, np.nan, np.nan, np.nan, 1.0))
            continue
        middle = float(moved.mean())
        far = np.count_nonzero(np.abs(moved - middle) >= abs(found - middle))
        low, high = np.quantile(moved, [0.025, 0.975])
        p = (1 + far) / (1 + len(moved))
        effects.append(Effect(horizon_ms, used, found, float(low), float(high), float(p)))
    return EventStudy(bars.symbol, len(strong), _judged(effects), stamps)


class _Forward:
    """Returns from the first open after a moment to the open a horizon later."""

    def __init__(self, bars: Bars, horizon_ms: int) -> None:
        opens, times = bars.open, bars.open_time_ms
        later = np.searchsorted(times, times + horizon_ms)
        there = later < len(times)
        exits = np.minimum(later, len(times) - 1)
        near = times[exits] - times <= horizon_ms * (1 + _SLACK)
        self._times = times
        self._returns: FloatArray = np.where(there & near, opens[exits] / opens - 1, np.nan)
        self._most_wait_ms = max(bars.interval.ms, int(horizon_ms * _SLACK))

    def mean(self, moments: npt.NDArray[np.int64], signs: FloatArray) -> tuple[float, int]:
        """(mean of return x sign, how many had one)."""
        entry = np.searchsorted(self._times, moments, side="right")
        usable = entry < len(self._times)
        entry = np.minimum(entry, len(self._times) - 1)
        usable &= self._times[entry] - moments <= self._most_wait_ms
        signed = np.where(usable, self._returns[entry] * signs, np.nan)
        count = int(np.count_nonzero(np.isfinite(signed)))
        return (float(np.nanmean(signed)), count) if count else (np.nan, 0)


def _judged(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Holm's rule: the least p against alpha / n, the next against alpha / (n - 1), to a failure.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = sorted(range(len(effects)), key=lambda i: effects[i].p)
    real: set[int] = set()
    for rank, i in enumerate(order):
        enough = effects[i].events >= LEAST_EVENTS
        if not enough or effects[i].p > ALPHA / (len(effects) - rank):
            break
        real.add(i)
    return tuple(
        Effect(e.horizon_ms, e.events, e.mean, e.low, e.high, e.p, i in real)
        for i, e in enumerate(effects)
    )


def _check(events: Sequence[Event], bars: Bars, horizons_ms: Sequence[int]) -> None:
    if not len(bars):
        raise InvalidInput(f"there is no bar of {bars.symbol} to study; widen the span")
    short = [horizon for horizon in horizons_ms if horizon < bars.interval.ms]
    if short or not horizons_ms:
        raise InvalidInput(
            f"horizons are {list(horizons_ms)} ms and a bar is {bars.interval.ms} ms wide; give "
            "horizons of at least one bar"
        )
    odd = [event for event in events if not -1 <= event.score <= 1]
    if odd:
        raise InvalidInput(f"an event's score is {odd[0].score}; it is from -1 to 1")
