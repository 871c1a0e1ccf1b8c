"""How often and how fast broken work begins again, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gridlab.agents.supervisor import LONGEST_PAUSE_MS, WITHIN_MS, Supervisor
from gridlab.clock import ManualClock

MINUTE = 60_000


class Shift:
    """Work that runs for the given times before it breaks, and then to its end.

    Attributes:
        begun: the clock's time at each start.
    """

    def __init__(self, clock: ManualClock, lives_ms: list[int]) -> None:
        self.clock = clock
        self.lives_ms = lives_ms
        self.begun: list[int] = []

    async def work(self) -> None:
        self.begun.append(self.clock.now_ms())
        if len(self.begun) <= len(self.lives_ms):
            await self.clock.sleep_until(self.clock.now_ms() + self.lives_ms[len(self.begun) - 1])
            raise RuntimeError(f"break {len(self.begun)}")


async def live(clock: ManualClock, supervisor: Supervisor, until_ms: int) -> asyncio.Task[None]:
    """Run the supervisor while the clock goes to `until_ms`, a tenth of a second at a time."""
    task = asyncio.create_task(supervisor.run())
    while not task.done() and clock.now_ms() < until_ms:
        for _ in range(4):
            await asyncio.sleep(0)
        clock.advance_to(clock.now_ms() + 100)
    return task


def play(lives_ms: list[int], until_ms: int = 60 * MINUTE) -> tuple[Shift, Supervisor]:
    async def main() -> tuple[Shift, Supervisor]:
        clock = ManualClock()
        shift = Shift(clock, lives_ms)
        supervisor = Supervisor("trader", shift.work, clock)
        task = await live(clock, supervisor, until_ms)
        await asyncio.wait_for(task, 5)
        return shift, supervisor

    return asyncio.run(main())


def test_work_that_ends_is_finished_and_not_repeated() -> None:
    shift, supervisor = play([])
    health = supervisor.health(7)
    assert shift.begun == [0]
    assert (health.name, health.state, health.restarts, health.heartbeat_ms) == (
        *("trader", "finished", 0, 7),
    )
    assert not supervisor.is_failed and health.last_error == ""


def test_pauses_double_from_a_second() -> None:
    shift, supervisor = play([0, 0, 0, 0])
    assert shift.begun == [0, 1_000, 3_000, 7_000, 15_000]
    assert supervisor.health(0).restarts == 4
    assert supervisor.last_error == "RuntimeError: break 4"


def test_the_fifth_break_within_ten_minutes_is_the_last() -> None:
    shift, supervisor = play([0] * 9)
    assert shift.begun == [0, 1_000, 3_000, 7_000, 15_000]
    assert supervisor.is_failed
    assert supervisor.health(0).state == "failed"
    assert supervisor.health(0).restarts == 4


def test_breaks_that_are_far_enough_apart_never_fail_it() -> None:
    """Five breaks, the first and the fifth ten minutes apart or more."""
    shift, supervisor = play([3 * MINUTE] * 12)
    assert len(shift.begun) == 13 and not supervisor.is_failed


def test_the_longest_pause_is_a_minute() -> None:
    shift, _ = play([3 * MINUTE] * 10)
    pauses = [
        later - earlier - 3 * MINUTE
        for earlier, later in zip(shift.begun, shift.begun[1:], strict=False)
    ]
    assert pauses == [1000, 2000, 4000, 8000, 16000, 32000] + [LONGEST_PAUSE_MS] * 4


def test_a_long_good_life_makes_the_pauses_short_again() -> None:
    shift, _ = play([0, 0, WITHIN_MS + 1_000, 0])
    pauses = [
        *(shift.begun[1] - shift.begun[0], shift.begun[2] - shift.begun[1]),
        shift.begun[3] - shift.begun[2] - WITHIN_MS - 1_000,
        shift.begun[4] - shift.begun[3],
    ]
    assert pauses == [1_000, 2_000, 1_000, 2_000]


def run_main(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_a_cancelled_supervisor_stops_its_work_and_does_not_restart_it() -> None:
    async def main() -> None:
        clock = ManualClock()
        shift = Shift(clock, [MINUTE])
        supervisor = Supervisor("trader", shift.work, clock)
        task = await live(clock, supervisor, 1_000)
        assert supervisor.health(0).state == "running"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert supervisor.health(0).state == "stopped" and shift.begun == [0]

    run_main(main)


def test_while_it_waits_it_says_so() -> None:
    async def main() -> None:
        clock = ManualClock()
        supervisor = Supervisor("data", Shift(clock, [0]).work, clock)
        task = await live(clock, supervisor, 500)
        assert supervisor.health(0).state == "waiting"
        assert supervisor.health(0).last_error == "RuntimeError: break 1"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_main(main)


def test_what_is_no_exception_is_not_held_back() -> None:
    async def work() -> None:
        raise SystemExit(3)

    async def main() -> None:
        supervisor = Supervisor("trader", work, ManualClock())
        await supervisor.run()

    with pytest.raises(SystemExit):
        run_main(main)
