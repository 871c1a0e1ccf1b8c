"""The player: plays a recording at a chosen speed, and waits for the trader after each step.

The market stands still while the trader works, so what happens does not depend on how fast the machine
is, on the speed, or on when the process was killed: only the recording and the grids decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gridlab.agents.trader import Trader
from gridlab.clock import Clock
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.replay import Replay, Step

#: Real milliseconds after which the position is saved even if nothing was filled.
SAVE_EVERY_MS = 2_000


class Player:
    """Drives a `Replay` into a venue for a trader.

    Args:
        speed: market seconds for each real second; 0 plays as fast as it can.
        wall: the machine's clock.
        on_step: called after every step, when the trader has nothing left to do.
    """

    def __init__(
        self,
        replay: Replay,
        venue: PaperExchange,
        trader: Trader,
        *,
        speed: float,
        wall: Clock,
        market: Clock,
        on_step: Callable[[], None],
    ) -> None:
        self._replay = replay
        self._venue = venue
        self._trader = trader
        self._speed = speed
        self._wall = wall
        self._market = market
        self._on_step = on_step
        self.beat_ms = wall.now_ms()

    async def run(self) -> None:
        """Play to the end of the recording."""
        wall_from, market_from = self._wall.now_ms(), self._market.now_ms()
        saved_ms = wall_from
        while (step := self._replay.next_step()) is not None:
            if self._speed:
                due = wall_from + (step.time_ms - market_from) / self._speed
                await self._wall.sleep_until(int(due))
            if step.point == 0:
                await asyncio.sleep(0)  # however fast it plays, requests are still answered
            await self._play(step)
            self.beat_ms = self._wall.now_ms()
            if self.beat_ms - saved_ms >= SAVE_EVERY_MS:
                self._venue.save()
                saved_ms = self.beat_ms
            self._on_step()
        self._venue.save()

    async def _play(self, step: Step) -> None:
        if self._opens_bar(step):
            await self._replan()
        await self._trader_is_done()  # a request from outside may have given it work
        self._replay.play(step, self._venue)
        await self._trader_is_done()

    async def _trader_is_done(self) -> None:
        if not self._trader.is_idle:
            await self._trader.idle()

    def _opens_bar(self, step: Step) -> bool:
        """Whether this is the first step of a new candle; decided by the position alone, so that a
        replay that was killed replans at the same moments as one that was not."""
        return self._replay.bar_number >= 0 and self._replay.bar_of(step) > self._replay.bar_number

    async def _replan(self) -> None:
        for symbol in self._replay.symbols:
            price = self._venue.book.price(symbol)
            if price is not None:
                self._trader.replan(symbol, price)
