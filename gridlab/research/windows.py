"""`Window`s: spans to choose a grid on, and spans to try it on that the choice has not seen.

Knows times and holes, no grid. Spans are half open, in UTC milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from gridlab.data.bars import Bars
from gridlab.errors import InvalidInput
from gridlab.research.words import DAY_MS, MINUTE_MS, span, when

#: A longer hole ends a stretch: no window reaches over it. Shorter ones are halts of the venue.
LONGEST_HOLE_MS = DAY_MS
_UNIT_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_WORDS = re.compile(r"\s*(\d+)\s*([mhdw])\s*")


@dataclass(frozen=True, slots=True)
class Window:
    """One span of training and the span of trial after it.

    Args:
        stretch: which run of trials without a hole or pause between them it belongs to.
        train_from_ms, train_to_ms: what the choice may see.
        test_from_ms, test_to_ms: what it is tried on; the purged time lies between the two.
    """

    stretch: int
    train_from_ms: int
    train_to_ms: int
    test_from_ms: int
    test_to_ms: int

    def training(self, bars: Bars) -> Bars:
        """The bars that the choice may see."""
        return bars.slice(self.train_from_ms, self.train_to_ms)

    def trial(self, bars: Bars) -> Bars:
        """The bars that it is tried on."""
        return bars.slice(self.test_from_ms, self.test_to_ms)

    def __str__(self) -> str:
        return f"{when(self.test_from_ms)} to {when(self.test_to_ms)}"


def windows_over(
    bars: Bars,
    *,
    train_ms: int,
    test_ms: int,
    purge_ms: int = 0,
    step_ms: int | None = None,
    anchored: bool = False,
) -> list[Window]:
    """All whole windows of `bars`, oldest first; a rest too short for a trial is left out.

    So is a window of which less than half was recorded, in training or in the trial.

    Args:
        step_ms: from one trial's start to the next one's; by default a trial's length, so that
            trials follow each other without a pause.
        anchored: every training begins where the stretch of bars begins, and so grows.

    Raises:
        InvalidInput: steps that would try a moment twice, spans narrower than a bar, or bars too
            few for one window.
    """
    step_ms = test_ms if step_ms is None else step_ms
    _check(bars, train_ms, test_ms, purge_ms, step_ms)
    found: list[Window] = []
    stretch = -1
    for first_ms, end_ms in stretches(bars):
        start_ms = first_ms
        while start_ms + train_ms + purge_ms + test_ms <= end_ms:
            test_from_ms = start_ms + train_ms + purge_ms
            window = Window(
                stretch=stretch,
                train_from_ms=first_ms if anchored else start_ms,
                train_to_ms=start_ms + train_ms,
                test_from_ms=test_from_ms,
                test_to_ms=test_from_ms + test_ms,
            )
            start_ms += step_ms
            if not _is_recorded(window, bars):
                continue
            follows = found and found[-1].test_to_ms == test_from_ms
            stretch += 0 if follows else 1
            found.append(replace(window, stretch=stretch))
    if not found:
        longest = max((end - first for first, end in stretches(bars)), default=0)
        raise InvalidInput(
            f"train {span(train_ms)}, purge {span(purge_ms)} and test {span(test_ms)} need "
            f"{span(train_ms + purge_ms + test_ms)} of bars in one piece, and the longest of "
            f"{bars.symbol} is {span(longest)}; shorten them or load more"
        )
    return found


def _is_recorded(window: Window, bars: Bars) -> bool:
    """Whether at least half of the training's bars are there, and of the trial's."""
    width = bars.interval.ms
    return all(
        2 * len(part) * width >= to_ms - from_ms
        for part, from_ms, to_ms in (
            (window.training(bars), window.train_from_ms, window.train_to_ms),
            (window.trial(bars), window.test_from_ms, window.test_to_ms),
        )
    )


def stretches(bars: Bars) -> list[tuple[int, int]]:
    """(first open time, end) of each part of `bars` without a hole longer than a day."""
    if not len(bars):
        return []
    times = bars.open_time_ms
    cuts = np.flatnonzero(np.diff(times) - bars.interval.ms > LONGEST_HOLE_MS) + 1
    starts, ends = [0, *cuts.tolist()], [*cuts.tolist(), len(bars)]
    return [
        (int(times[a]), int(times[b - 1]) + bars.interval.ms)
        for a, b in zip(starts, ends, strict=True)
    ]


def duration_ms(value: str | timedelta, name: str) -> int:
    """Milliseconds of `"7d"`, `"36h"`, `"90m"`, `"2w"`, or of a timedelta.

    Raises:
        InvalidInput: anything else; a bare number says no unit.

    >>> duration_ms("36h", "test")
    129600000
    """
    if isinstance(value, timedelta):
        whole, rest = divmod(value, timedelta(milliseconds=1))
        if not rest:
            return int(whole)
    elif isinstance(value, str) and (match := _WORDS.fullmatch(value)):
        return int(match[1]) * _UNIT_MS[match[2]]
    raise InvalidInput(
        f"{name} is {value!r}; write a whole number with m, h, d or w, such as {name}='7d', or "
        "give a timedelta"
    )


def _check(bars: Bars, train_ms: int, test_ms: int, purge_ms: int, step_ms: int) -> None:
    for name, value in (("train", train_ms), ("test", test_ms)):
        if value < bars.interval.ms:
            raise InvalidInput(
                f"{name} is {span(value)}, less than one bar of {bars.interval}; make it longer"
            )
    if purge_ms < 0:
        raise InvalidInput(f"purge is {purge_ms} ms; a trial begins after the training, 0 or later")
    if step_ms < test_ms:
        raise InvalidInput(
            f"step is {span(step_ms)} and test {span(test_ms)}: the same moments would be tried "
            "twice and counted twice; make the step at least as long as the test"
        )
