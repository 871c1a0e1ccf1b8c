"""Windows: what they cover, what lies between, which holes they respect, what they refuse."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Market
from gridlab.errors import InvalidInput
from gridlab.research.windows import Window, duration_ms, stretches, windows_over

DAY, HOUR = 86_400_000, 3_600_000
START = 20_000 * DAY


def hours(count: int, missing: range | list[int] = range(0)) -> Bars:
    """`count` hours of one price, some of them missing."""
    times = START + HOUR * np.setdiff1d(np.arange(count), np.array(missing, np.int64))
    price, none = np.full(len(times), 100.0), np.full(len(times), np.nan)
    volume, trades = np.ones(len(times)), np.full(len(times), -1)
    columns = (price, price, price, price, volume, none, trades)
    return Bars("BTCUSDT", Market.SPOT, Interval.H1, times, *columns)


def test_trials_follow_each_other_and_training_ends_before_the_purge() -> None:
    found = windows_over(hours(24 * 20), train_ms=7 * DAY, test_ms=2 * DAY, purge_ms=DAY)
    assert len(found) == 6
    for k, window in enumerate(found):
        assert window.train_from_ms == START + 2 * DAY * k
        assert window.train_to_ms - window.train_from_ms == 7 * DAY
        assert window.test_from_ms - window.train_to_ms == DAY
        assert window.test_to_ms - window.test_from_ms == 2 * DAY
    assert all(a.test_to_ms == b.test_from_ms for a, b in zip(found, found[1:], strict=False))
    assert {window.stretch for window in found} == {0}


def test_spans_share_no_bar() -> None:
    bars = hours(24 * 12)
    for window in windows_over(bars, train_ms=3 * DAY, test_ms=DAY):
        training, trial = window.training(bars), window.trial(bars)
        assert (len(training), len(trial)) == (72, 24)
        assert training.end_ms == int(trial.open_time_ms[0])


def test_anchored_training_grows_from_the_beginning() -> None:
    found = windows_over(hours(24 * 10), train_ms=4 * DAY, test_ms=2 * DAY, anchored=True)
    assert [w.train_from_ms for w in found] == [START] * 3
    assert [w.train_to_ms for w in found] == [START + d * DAY for d in (4, 6, 8)]


def test_a_longer_step_leaves_pauses_that_part_stretches() -> None:
    found = windows_over(hours(24 * 12), train_ms=4 * DAY, test_ms=DAY, step_ms=3 * DAY)
    assert [w.stretch for w in found] == [0, 1, 2]
    assert [w.test_from_ms for w in found] == [START + d * DAY for d in (4, 7, 10)]


def test_no_window_reaches_over_a_long_hole() -> None:
    bars = hours(24 * 20, missing=range(24 * 8, 24 * 10 + 1))
    assert stretches(bars) == [
        (START, START + 8 * DAY),
        (START + 10 * DAY + HOUR, START + 20 * DAY),
    ]
    found = windows_over(bars, train_ms=3 * DAY, test_ms=2 * DAY)
    assert [w.stretch for w in found] == [0, 0, 1, 1, 1]
    for window in found:
        inside = window.test_to_ms <= START + 8 * DAY or window.train_from_ms > START + 10 * DAY
        assert inside


def test_a_halt_of_some_hours_is_walked_through() -> None:
    bars = hours(24 * 6, missing=range(30, 50))
    assert len(stretches(bars)) == 1
    assert len(windows_over(bars, train_ms=3 * DAY, test_ms=DAY)) == 3


def test_a_window_that_was_hardly_recorded_is_left_out() -> None:
    """Of the trial of the fourth day 20 hours are missing, too few to be a stretch of its own."""
    bars = hours(24 * 8, missing=range(24 * 3 + 2, 24 * 3 + 22))
    found = windows_over(bars, train_ms=3 * DAY, test_ms=DAY)
    assert [w.test_from_ms for w in found] == [START + d * DAY for d in (4, 5, 6, 7)]


@pytest.mark.parametrize(
    ("words", "spans"),
    [
        ("need 11.0 days of bars in one piece, and the longest of BTCUSDT is 10.0 days", {}),
        ("step is 24.0 hours and test 2.0 days", {"test_ms": 2 * DAY, "step_ms": DAY}),
        ("test is 1 minutes, less than one bar of 1h", {"test_ms": 60_000}),
        ("train is 30 minutes, less", {"train_ms": 30 * 60_000}),
        ("purge is -1 ms", {"purge_ms": -1}),
    ],
)
def test_refusals(words: str, spans: dict[str, int]) -> None:
    named = {"train_ms": 8 * DAY, "test_ms": 2 * DAY, "purge_ms": DAY} | spans
    with pytest.raises(InvalidInput, match=words):
        windows_over(hours(240), **named)


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("7d", 7 * DAY),
        ("36h", 36 * HOUR),
        (" 90 m ", 90 * 60_000),
        ("2w", 14 * DAY),
        (timedelta(hours=5), 5 * HOUR),
    ],
)
def test_durations(value: str | timedelta, ms: int) -> None:
    assert duration_ms(value, "test") == ms


@pytest.mark.parametrize(
    "value", [7, "7", "7 days", "1.5d", "-1d", timedelta(microseconds=1), None]
)
def test_a_duration_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="test is .*such as test='7d'"):
        duration_ms(value, "test")  # type: ignore[arg-type]


def test_a_window_says_its_trial() -> None:
    assert str(Window(0, 0, DAY, DAY, 2 * DAY)) == "1970-01-02 00:00 to 1970-01-03 00:00"
