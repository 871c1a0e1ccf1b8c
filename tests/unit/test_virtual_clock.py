"""The clock that stands still, and the two ways in which times are written."""

from __future__ import annotations

import asyncio

import pytest

from gridlab.clock import ManualClock, SystemClock, human_duration, iso
from gridlab.errors import BugError


def run_sleepers(
    clock: ManualClock, times: list[int], advances: list[int]
) -> list[tuple[int, int]]:
    """(sleeper, clock's time) in the order of waking."""

    async def main() -> list[tuple[int, int]]:
        woken: list[tuple[int, int]] = []

        async def sleeper(number: int, time_ms: int) -> None:
            await clock.sleep_until(time_ms)
            woken.append((number, clock.now_ms()))

        tasks = [asyncio.create_task(sleeper(n, time)) for n, time in enumerate(times)]
        await asyncio.sleep(0)
        for time_ms in advances:
            clock.advance_to(time_ms)
            for _ in range(3):
                await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return woken

    return asyncio.run(main())


def test_time_stands_still() -> None:
    clock = ManualClock(1_000)
    assert clock.now_ms() == clock.now_ms() == 1_000


def test_sleepers_wake_in_the_order_of_their_times_then_of_their_coming() -> None:
    woken = run_sleepers(ManualClock(0), [30, 10, 20, 10], [30])
    assert woken == [(1, 30), (3, 30), (2, 30), (0, 30)]


def test_nobody_wakes_early_and_everybody_on_the_millisecond() -> None:
    assert run_sleepers(ManualClock(0), [10, 20], [9, 10, 19]) == [(0, 10)]


def test_a_time_that_has_passed_does_not_wait() -> None:
    assert run_sleepers(ManualClock(100), [100, 50], []) == [(0, 100), (1, 100)]


def test_a_sleeper_that_was_cancelled_disturbs_nobody() -> None:
    async def main() -> bool:
        clock = ManualClock()
        gone = asyncio.create_task(clock.sleep_until(10))
        stays = asyncio.create_task(clock.sleep_until(10))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        clock.advance_to(10)
        await stays
        return gone.cancelled()

    assert asyncio.run(main())


def test_time_does_not_go_back() -> None:
    clock = ManualClock(1_000)
    clock.advance_to(1_000)
    with pytest.raises(BugError, match="cannot go back from 1000 to 999 ms"):
        clock.advance_to(999)
    assert clock.now_ms() == 1_000


def test_the_systems_clock_moves_and_sleeps() -> None:
    async def main() -> tuple[int, int]:
        clock = SystemClock()
        start = clock.now_ms()
        await clock.sleep_until(start + 5)
        await clock.sleep_until(start)
        return start, clock.now_ms()

    start, end = asyncio.run(main())
    assert end >= start + 5
    assert start > 1_700_000_000_000  # milliseconds, not seconds


def test_iso_is_utc_to_the_second() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_774_357_200_999) == "2026-03-24T13:00:00Z"


@pytest.mark.parametrize(
    ("duration_ms", "words"),
    [(-5, "0h 0m"), (0, "0h 0m"), (59_999, "0h 0m"), (60_000, "0h 1m")]
    + [(3_599_999, "0h 59m"), (3_600_000, "1h 0m"), (360_000_000, "100h 0m")],
)
def test_durations_for_people(duration_ms: int, words: str) -> None:
    assert human_duration(duration_ms) == words
