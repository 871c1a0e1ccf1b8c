"""The player: pace, order of waiting, signs of life; with a wall clock that a test moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from gridlab.agents.player import Player
from gridlab.agents.trader import Trader
from gridlab.clock import ManualClock
from gridlab.exchange.paper import PaperBook, PaperExchange
from gridlab.store.journal import Entry


@dataclass(frozen=True)
class Tick:
    point: int
    time_ms: int


class Scripted:
    """A stage with given moments; notes when each was played by the wall clock."""

    symbols = ("X",)

    def __init__(self, moments: list[int], wall: ManualClock, market: ManualClock) -> None:
        self.left = [Tick(number % 4, moment) for number, moment in enumerate(moments)]
        self.played: list[tuple[int, int]] = []
        self.saves = 0
        self._wall = wall
        self._market = market

    def next_step(self) -> Tick | None:
        return self.left[0] if self.left else None

    def opens_bar(self, step: Tick) -> bool:
        return step.point == 0 and bool(self.played)

    def play(self, step: Tick) -> None:
        self._market.advance_to(step.time_ms)
        self.played.append((self._wall.now_ms(), step.time_ms))
        self.left.pop(0)

    def price(self, symbol: str) -> Decimal | None:
        return None

    def save(self) -> None:
        self.saves += 1


class NoJournal:
    identity = "none"

    def append(self, entries: object) -> None:
        raise AssertionError("nothing happens here")

    def entries(self, stream: str | None = None) -> list[Entry]:
        return []

    def streams(self) -> tuple[str, ...]:
        return ()


def make(speed: float, moments: list[int]) -> tuple[Player[Tick], Scripted, ManualClock]:
    wall, market = ManualClock(50_000), ManualClock(0)
    venue = PaperExchange(PaperBook({}, {}, fees=None), market)  # type: ignore[arg-type]
    stage = Scripted(moments, wall, market)
    trader = Trader(venue, NoJournal(), market)  # type: ignore[arg-type]
    player = Player(stage, trader, speed=speed, wall=wall, market=market, on_step=lambda: None)
    return player, stage, wall


async def drive(player: Player[Tick], wall: ManualClock, until_ms: int) -> asyncio.Task[None]:
    task = asyncio.create_task(player.run())
    for _ in range(50):
        await asyncio.sleep(0)
    while (wake := wall.next_wake_ms) is not None and wake <= until_ms:
        wall.advance_to(wake)
        for _ in range(50):
            await asyncio.sleep(0)
    return task


def test_market_time_passes_at_the_chosen_speed() -> None:
    async def scenario() -> None:
        player, stage, wall = make(10.0, [0, 20_000, 40_000, 60_000])
        task = await drive(player, wall, 60_000)
        assert stage.played == [(50_000, 0), (52_000, 20_000), (54_000, 40_000), (56_000, 60_000)]
        assert task.done() and stage.saves >= 1

    asyncio.run(scenario())


def test_speed_zero_does_not_wait() -> None:
    async def scenario() -> None:
        player, stage, wall = make(0.0, [0, 20_000, 40_000, 60_000, 10**9])
        task = await drive(player, wall, 50_000)
        assert task.done() and [wall_ms for wall_ms, _ in stage.played] == [50_000] * 5

    asyncio.run(scenario())


def test_a_resting_market_shows_signs_of_life_and_a_hanging_step_does_not() -> None:
    async def scenario() -> None:
        player, stage, wall = make(1.0, [0, 60_000, 120_000])
        task = await drive(player, wall, 80_000)
        assert player.beat_ms >= 79_000 and len(stage.played) == 1
        player._trader._idle.clear()  # a command whose outcome never comes
        task.cancel()
        hanging = await drive(player, wall, 200_000)
        beat_ms = player.beat_ms
        wall.advance_to(wall.now_ms() + 60_000)
        await asyncio.sleep(0)
        assert player.beat_ms == beat_ms and not hanging.done()
        hanging.cancel()

    asyncio.run(scenario())
