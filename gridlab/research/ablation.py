"""`mood_ablation`: would a grid have earned more by risking less when the mood was bad?

The span is cut into stretches; each begins with a fresh grid and with what had been seen by then.
`on` risks a stated part of the capital where the mood was below a threshold, `off` risks all of it.
Less risk alone helps in any falling market, so `on` is judged against the same average risk taken
blindly: what is left is what the mood knew. Chance is measured by turning the moods around against
the stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.research.backtest import backtest
from gridlab.research.events import ALPHA, HOUR_MS, Event
from gridlab.research.metrics import FloatArray

if TYPE_CHECKING:
    import pandas as pd

DAY_MS: Final = 24 * HOUR_MS
#: With fewer stretches on either side no statement is made.
LEAST_SIDE: Final = 10


@dataclass(frozen=True, slots=True)
class MoodAblation:
    """On against off, stretch by stretch; returns are fractions of the capital.

    Args:
        start_ms: of each stretch. mood: NaN where nothing had been seen. part: of the capital.
        returns: of the whole capital at risk.
        p: the share of turns that did at least as well as the true order, both ways.
    """

    symbol: str
    start_ms: tuple[int, ...]
    mood: FloatArray
    part: FloatArray
    returns: FloatArray
    p: float

    @property
    def off(self) -> float:
        """The sum of returns at full risk."""
        return float(self.returns.sum())

    @property
    def on(self) -> float:
        """The sum of returns with the mood's part at risk."""
        return float((self.part * self.returns).sum())

    @property
    def blind(self) -> float:
        """The sum of returns at the mood's average risk, whatever the mood."""
        return float(self.part.mean()) * self.off

    @property
    def gain(self) -> float:
        """What the mood knew: on less blind."""
        return self.on - self.blind

    @property
    def verdict(self) -> str:
        """One sentence; zero is called zero."""
        careful = int(np.count_nonzero(self.part < 1))
        if min(careful, len(self.part) - careful) < LEAST_SIDE:
            return (
                f"Undecided: the mood was below the threshold in {careful} of {len(self.part)} "
                f"stretches, and at least {LEAST_SIDE} on either side are needed."
            )
        if self.p > ALPHA:
            return (
                f"Zero: the mood's gain of {100 * self.gain:+.2f} % over the same risk taken "
                f"blindly is what chance gives (p = {self.p:.3f})."
            )
        word = "earned" if self.gain > 0 else "COST"
        return (
            f"The mood {word} {100 * abs(self.gain):.2f} % over the same risk taken blindly "
            f"(p = {self.p:.4f})."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each stretch, indexed by its start (UTC)."""
        import pandas as pd

        stamps = np.array(self.start_ms, np.int64).astype("datetime64[ms]")
        index = pd.DatetimeIndex(stamps, name="start").tz_localize("UTC")
        columns = {"mood": self.mood, "part": self.part, "off": self.returns}
        return pd.DataFrame(columns | {"on": self.part * self.returns}, index=index)

    def __repr__(self) -> str:
        return (
            f"{self.verdict}\noff {100 * self.off:+.2f} %, on {100 * self.on:+.2f} %, same risk "
            f"blindly {100 * self.blind:+.2f} %, over {len(self.part)} stretches of {self.symbol}"
        )

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in repr(self).splitlines())


def mood_ablation(
    spec: GridSpec,
    bars: Bars,
    events: Sequence[Event],
    *,
    stretch_ms: int = DAY_MS,
    memory_ms: int = DAY_MS,
    threshold: float = -0.1,
    part: float = 0.5,
    turns: int = 5_000,
    seed: int = 0,
) -> MoodAblation:
    """`spec` on each stretch of `bars`, with and without the mood of `events`.

    Args:
        spec: laid anew at each stretch's first open, so it is given by `spacing`.
        memory_ms: the mood at a start is the mean score of what was seen in so long before it.
        threshold: below it only `part` of the capital is at risk; without a mood all of it is.

    Raises:
        InvalidInput: `part` or `threshold` out of bounds, or fewer than two stretches.
        InvalidSpec: the grid cannot start at some stretch's first price.
    """
    if not 0 <= part <= 1 or not -1 <= threshold <= 1:
        raise InvalidInput(
            f"part is {part} and threshold {threshold}; part is from 0 to 1, threshold from -1 to 1"
        )
    starts = _starts(bars, stretch_ms)
    if len(starts) < 2:
        raise InvalidInput(
            f"{len(bars)} bars of {bars.symbol} make {len(starts)} stretches of {stretch_ms} ms; "
            "give more bars or shorter stretches"
        )
    seen = sorted(events)
    times = np.array([event.time_ms for event in seen], np.int64)
    scores = np.array([event.score for event in seen], np.float64)
    moods, returns = [], []
    for start_ms in starts:
        first, stop = np.searchsorted(times, [start_ms - memory_ms, start_ms])
        moods.append(float(scores[first:stop].mean()) if stop > first else np.nan)
        result = backtest(spec, bars.slice(start_ms, start_ms + stretch_ms))
        returns.append(result.total_return)
    mood, gained = np.array(moods), np.array(returns)
    parts = np.where(mood < threshold, part, 1.0)
    p = _p_by_turning(parts, gained, turns, np.random.default_rng(seed))
    return MoodAblation(bars.symbol, tuple(starts), mood, parts, gained, p)


def _starts(bars: Bars, stretch_ms: int) -> list[int]:
    """Starts of stretches that are nearly whole, on a grid from the first bar on."""
    first, least = int(bars.open_time_ms[0]), 0.9 * stretch_ms / bars.interval.ms
    found = []
    for start_ms in range(first, bars.end_ms - stretch_ms + 1, stretch_ms):
        low, high = np.searchsorted(bars.open_time_ms, [start_ms, start_ms + stretch_ms])
        if high - low >= least:
            found.append(start_ms)
    return found


def _p_by_turning(
    parts: FloatArray, returns: FloatArray, turns: int, random: np.random.Generator
) -> float:
    """How often the moods, turned around against the stretches, gain as much, both ways.

    All turns are tried where there are fewer than `turns` of them: the order of the moods stays,
    and so does how they hang together from day to day.
    """
    count = len(parts)
    steps = np.arange(1, count)
    if count - 1 > turns:
        steps = random.choice(steps, turns, replace=False)
    centred = parts - parts.mean()
    found = abs(float((centred * returns).sum()))
    far = sum(abs(float((np.roll(centred, step) * returns).sum())) >= found for step in steps)
    return (1 + far) / (1 + len(steps))
