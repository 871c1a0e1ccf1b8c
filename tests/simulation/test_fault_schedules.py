"""Seeded fault schedules: no invariant breaks, and every planted bug is found.

`GRIDLAB_SIM_SCHEDULES` sets how many (1,200 by default), half of them on futures. A failure names
its seed; put it into `tests/simulation/seeds.txt` with a word on what it found, and it is run for
ever.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from futures_world import FuturesWorld
from mutants import MUTANTS
from world import World, run_schedule

SCHEDULES = int(os.environ.get("GRIDLAB_SIM_SCHEDULES", "1200"))
CHUNKS = 8
SEEDS = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def world_of(seed: int) -> type[World]:
    """Even seeds live on spot, odd ones on futures."""
    return FuturesWorld if seed % 2 else World


def run_named(seed: int) -> World:
    try:
        return run_schedule(seed, world_of(seed))
    except BaseException as error:
        error.add_note(f"fault schedule with seed {seed}")
        raise


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_schedule_breaks_an_invariant(chunk: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(chunk, SCHEDULES, CHUNKS):
        world = run_named(seed)
        bot = world.trader.bot("COINUSDT")
        seen["trades"] += bot.grid.trade_count
        seen["crashes"] += world.crashes
        seen["schedules"] += 1
    # A schedule in which nothing happens proves nothing.
    assert seen["trades"] > 5 * seen["schedules"], seen
    assert seen["crashes"] > seen["schedules"] / 5, seen


def test_seeds_that_once_failed() -> None:
    for seed in SEEDS:
        run_named(seed)  # raises on any violation
    assert len(set(SEEDS)) == len(SEEDS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_planted_bugs_are_caught(mutant: object) -> None:
    assert callable(mutant)
    with mutant():
        assert first_failure(300) is not None, f"{mutant.__name__} went unnoticed"


def first_failure(schedules: int) -> int | None:
    """The first seed whose schedule breaks; None when all hold."""
    for seed in range(schedules):
        try:
            run_schedule(seed, world_of(seed))
        except Exception:
            return seed
    return None


def test_the_same_seed_gives_the_same_history() -> None:
    def history(seed: int) -> list[object]:
        world = asyncio.run(world_of(seed)(seed).run())
        return [*world.journal.stored, world.venue.book.dump()]

    for seed in range(25):
        assert history(seed) == history(seed)
