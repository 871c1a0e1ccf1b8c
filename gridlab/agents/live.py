"""The live driver: what the player is for a recording, for venues that move by themselves.

Fills drive the trader as they arrive, without this module. It keeps the books right around them:
after every gap in a venue's events, and on a timer, it has the trader compare its bots with the
venue, and only then calls the stream caught up; once a minute, while a venue is ready and its
price is fresh, it lets the grids try their vacant slots again. Each market is followed on its own,
so that a venue that is away does not hold up another; and a bot about whose symbol the venue will
not be read waits alone, with its vacant slots, until it can be.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from gridlab.agents.bot import Bot
from gridlab.agents.trader import Trader
from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable, NotFound, VenueAway
from gridlab.exchange.base import LiveExchange, MarketData

log = logging.getLogger(__name__)

BEAT_EVERY_MS = 1_000
#: A beat that comes so late means that the machine slept or its clock was moved.
SUSPENDED_AFTER_MS = 30_000
#: How often a market is read while its stream is not ready, so that fills are found all the same.
UNREADY_EVERY_MS = 5_000
FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 30_000
#: A price older than this is no base for a decision.
FRESH_PRICE_MS = 30_000
#: Turns that come together are told together, after so long.
TELL_AFTER_S = 0.02


class _Watch:
    """One market: the gaps in its events, and how many of them have been read up."""

    def __init__(self, market: Market, venue: LiveExchange | None) -> None:
        self.market = market
        self.venue = venue
        self.gaps = 0
        self.gaps_closed = 0
        self.wake = asyncio.Event()

    def note_gap(self, reason: str) -> None:
        log.info("%s: events may have been missed: %s", self.market, reason)
        self.gaps += 1
        self.wake.set()

    @property
    def is_ready(self) -> bool:
        whole = self.gaps == self.gaps_closed
        return whole and (self.venue is None or self.venue.health.is_ready)


class LiveDriver:
    """Keeps a trader and its live venues together.

    Start: `open`, then the trader's loop, then `recover`, then `run`.

    Args:
        market: the prices that grids are replanned with.
        replan_ms: between two tries of vacant slots.
        reconcile_ms: between two comparisons with a venue whose stream is ready.
        on_step: called after the trader's turns and once a second, when there may be news to show.

    Attributes:
        beat_ms: the last sign of life.
        step_seconds: how long the trader's latest turns took.
    """

    def __init__(
        self,
        trader: Trader,
        market: MarketData,
        clock: Clock,
        *,
        replan_ms: int = 60_000,
        reconcile_ms: int = 30_000,
        on_step: Callable[[], None],
    ) -> None:
        self._trader = trader
        self._market = market
        self._clock = clock
        self._replan_ms = replan_ms
        self._reconcile_ms = reconcile_ms
        self._on_step = on_step
        self._is_telling = False
        self._watches = {
            kind: _Watch(kind, venue if isinstance(venue, LiveExchange) else None)
            for kind, venue in trader.exchanges.items()
        }
        self.beat_ms = clock.now_ms()
        self.step_seconds: deque[float] = trader.turn_seconds

    async def open(self) -> None:
        """Connect every live venue.

        Raises:
            ExchangeUnavailable: one of them cannot be reached, or refuses the keys.
        """
        for watch in self._watches.values():
            if watch.venue is not None:
                await watch.venue.open(watch.note_gap)

    async def close(self) -> None:
        """End every connection; open orders stay at their venues."""
        for watch in self._watches.values():
            if watch.venue is not None:
                await watch.venue.close()

    async def run(self) -> None:
        """Follow every market until cancelled; raises what the trader's comparisons raise."""
        self._trader.on_turn = self._tell_soon
        work = [self._follow(watch) for watch in self._watches.values()]
        tasks = [asyncio.create_task(each) for each in (*work, self._replan(), self._beat())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def is_ready(self, market: Market) -> bool:
        """Whether the market's events are whole and up to date, so that new orders may be made."""
        return self._watches[market].is_ready

    async def ready(self, timeout_ms: int = 30_000) -> None:
        """Return when every market is ready.

        Raises:
            ExchangeUnavailable: one was not within that time.
        """
        until_ms = self._clock.now_ms() + timeout_ms
        while late := [w for w in self._watches.values() if not w.is_ready]:
            if self._clock.now_ms() >= until_ms:
                words = "; ".join(
                    f"{w.market} is {w.venue.health.state} ({w.venue.health.reason})"
                    for w in late
                    if w.venue is not None
                )
                raise ExchangeUnavailable(f"not ready within {timeout_ms // 1000} s: {words}")
            await self._clock.sleep_until(min(until_ms, self._clock.now_ms() + 50))

    # --- one market -------------------------------------------------------------------------------

    async def _follow(self, watch: _Watch) -> None:
        """Compare now, after every gap, and on the timer; sooner again while some of it failed."""
        pause_ms = FIRST_PAUSE_MS
        while True:
            gaps = watch.gaps
            try:
                await self._trader.reconcile(watch.market)
            except VenueAway as error:
                log.warning("%s could not be read: %s", watch.market, error)
                await self._wait(watch, pause_ms)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
                continue
            watch.gaps_closed = gaps
            if watch.gaps == gaps and watch.venue is not None:
                watch.venue.caught_up()
            due_ms = self._reconcile_ms
            if not watch.is_ready:
                due_ms = min(due_ms, UNREADY_EVERY_MS)
            if self._trader.unread(watch.market):
                due_ms = min(due_ms, pause_ms)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
            else:
                pause_ms = FIRST_PAUSE_MS
            await self._wait(watch, due_ms)

    async def _wait(self, watch: _Watch, duration_ms: int) -> None:
        """Return after that time, or at once when a gap is noted."""
        sleeping = asyncio.ensure_future(
            self._clock.sleep_until(self._clock.now_ms() + duration_ms)
        )
        waking = asyncio.ensure_future(watch.wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
        watch.wake.clear()

    # --- timers -----------------------------------------------------------------------------------

    async def _replan(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + self._replan_ms)
            for bot in tuple(self._trader.bots.values()):
                is_behind = bool(bot.unread) or not self._watches[bot.market].is_ready
                if bot.is_driven and not bot.is_over and not is_behind:
                    self._replan_bot(bot)

    def _replan_bot(self, bot: Bot) -> None:
        try:
            price = self._market.price(bot.market, bot.symbol)
        except NotFound:
            log.warning("%s %s has no price, so its slots wait", bot.market, bot.symbol)
            return
        age_ms = self._clock.now_ms() - price.time_ms
        if age_ms <= FRESH_PRICE_MS:
            self._trader.replan(bot.symbol, price.value)
        else:
            log.warning("the price of %s is %s ms old, so its slots wait", bot.symbol, age_ms)

    async def _beat(self) -> None:
        """Show life; a beat that comes much too late is a machine that slept."""
        while True:
            due_ms = self._clock.now_ms() + BEAT_EVERY_MS
            await self._clock.sleep_until(due_ms)
            self.beat_ms = self._clock.now_ms()
            late_ms = self.beat_ms - due_ms
            if late_ms > SUSPENDED_AFTER_MS:
                for watch in self._watches.values():
                    watch.note_gap(f"this machine stood still for {late_ms // 1000} s")
            self._on_step()

    def _tell_soon(self) -> None:
        """Tell of the trader's turns a little later: its commands leave first."""
        if not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_later(TELL_AFTER_S, self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        self._on_step()
