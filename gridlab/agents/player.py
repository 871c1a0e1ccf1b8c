"""The player: plays a recording at a chosen speed, and waits for the trader after each step.

The market stands still while the trader works, so what happens does not depend on how fast the
machine is, on the speed, or on when the process was killed: only the recording and the grids
decide.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

from gridlab.agents.trader import Trader
from gridlab.clock import Clock, monotonic_s

#: Real milliseconds after which the position is saved even if nothing was filled.
SAVE_EVERY_MS = 2_000
#: Real milliseconds between two signs of life while the market rests.
BEAT_EVERY_MS = 1_000
#: Steps whose durations are kept.
TIMED_STEPS = 2_000


class Moment(Protocol):
    """One step of a recording: the point of its candle, 0 to 3, and its market time."""

    @property
    def point(self) -> int: ...

    @property
    def time_ms(self) -> int: ...


M = TypeVar("M", bound=Moment)


class Stage(Protocol[M]):
    """A recording that is played into a venue; `exchange.replay.Replay` is one."""

    @property
    def symbols(self) -> tuple[str, ...]: ...

    def next_step(self) -> M | None: ...

    def opens_bar(self, step: M) -> bool: ...

    def play(self, step: M) -> None: ...

    def price(self, symbol: str) -> Decimal | None: ...

    def save(self) -> None: ...


class Player(Generic[M]):
    """Drives a recording into its venue for a trader.

    Args:
        speed: market seconds for each real second; 0 plays as fast as it can.
        wall, market: the machine's clock, and the recording's.
        on_step: called after every step, when the trader has nothing left to do.

    Attributes:
        beat_ms: the last sign of life, by the machine's clock; it ages when a step hangs.
        step_seconds: how long the latest steps took, the trader's part included.
    """

    def __init__(
        self,
        stage: Stage[M],
        trader: Trader,
        *,
        speed: float,
        wall: Clock,
        market: Clock,
        on_step: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._trader = trader
        self._speed = speed
        self._wall = wall
        self._market = market
        self._on_step = on_step
        self.beat_ms = wall.now_ms()
        self.step_seconds: deque[float] = deque(maxlen=TIMED_STEPS)

    async def run(self) -> None:
        """Play to the end of the recording."""
        wall_from, market_from = self._wall.now_ms(), self._market.now_ms()
        saved_ms = wall_from
        while (step := self._stage.next_step()) is not None:
            if self._speed:
                due = wall_from + (step.time_ms - market_from) / self._speed
                await self._wait_until(int(due))
            if step.point == 0:
                await asyncio.sleep(0)  # however fast it plays, requests are still answered
            began_s = monotonic_s()
            await self._play(step)
            self.step_seconds.append(monotonic_s() - began_s)
            self.beat_ms = self._wall.now_ms()
            if self.beat_ms - saved_ms >= SAVE_EVERY_MS:
                self._stage.save()
                saved_ms = self.beat_ms
            self._on_step()
        self._stage.save()

    async def _wait_until(self, due_ms: int) -> None:
        """Wait for a moment of the wall clock, showing life meanwhile."""
        while (now_ms := self._wall.now_ms()) < due_ms:
            self.beat_ms = now_ms
            await self._wall.sleep_until(min(due_ms, now_ms + BEAT_EVERY_MS))

    async def _play(self, step: M) -> None:
        if self._stage.opens_bar(step):
            await self._trader.check_accounts()
            self._replan()
        await self._trader_is_done()  # a request from outside may have given it work
        self._stage.play(step)
        await self._trader_is_done()

    async def _trader_is_done(self) -> None:
        if not self._trader.is_idle:
            await self._trader.idle()

    def _replan(self) -> None:
        for symbol in self._stage.symbols:
            price = self._stage.price(symbol)
            if price is not None:
                self._trader.replan(symbol, price)
