"""The engine: one thread, one asyncio loop, all mutable state (law 8).

It recovers, plays, and publishes one immutable snapshot for each step. When its session breaks, the
supervisor throws it away and the next one begins where every start begins: with recovery (law 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from gridlab.agents.bot import Bot
from gridlab.agents.recovery import recover
from gridlab.agents.supervisor import Supervisor
from gridlab.app.build import Session, open_session
from gridlab.app.killswitch import KillSwitch
from gridlab.app.settings import Settings
from gridlab.clock import SystemClock, iso
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId, OrderReport, Trade
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import BotSnapshot, EngineState, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, InvalidSpec, StorageError
from gridlab.grid.preflight import plan_grid
from gridlab.grid.view import bot_snapshot
from gridlab.money import text

log = logging.getLogger(__name__)

#: Real milliseconds after which the present state is published again.
BEAT_EVERY_MS = 1_000
#: Real milliseconds between two published steps; faster ones would only be overwritten.
PUBLISH_EVERY_MS = 50


class Engine:
    """Owns a data directory's grids; every method but `snapshot` runs in the engine's loop.

    Args:
        on_ready: called once, when the first recovery is done, with None; or with the exception
            that made the first start refuse.
    """

    def __init__(
        self, settings: Settings, on_ready: Callable[[BaseException | None], None]
    ) -> None:
        self.settings = settings
        self.session: Session | None = None
        #: Rises with each session, whose market time may begin before the last one's end.
        self.session_number = 0
        self.kill_switch = KillSwitch(settings.kill_path)
        self._wall = SystemClock()
        self._on_ready = on_ready
        self._was_ready = False
        self._state = EngineState.RECOVERING
        self._reason = ""
        self._sequence = 0
        self._started_ms = self._wall.now_ms()
        self._supervisor = Supervisor("trader", self._live, self._wall)
        self.snapshot = self._blank()

    # --- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. A refusal at the first start goes to `on_ready` and ends it."""
        try:
            await self._supervisor.run()
            if self._supervisor.is_failed:
                self._set_state(EngineState.FAILED, self._supervisor.last_error)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._set_state(EngineState.STOPPED, "stopped on request")
            raise

    async def _live(self) -> None:
        """One session: recover, play to the end, then keep answering."""
        self.session = None
        self._set_state(EngineState.RECOVERING, self._supervisor.last_error)
        work: list[asyncio.Task[None]] = []
        try:
            self.session_number += 1
            session = self.session = open_session(self.settings, self._wall, self._publish_step)
            work.append(asyncio.create_task(session.trader.run()))
            await self._recover(session)
            log.info(
                "ready at market time %s: %d grids, journal of %d entries",
                iso(session.clock.now_ms()),
                len(session.trader.bots),
                session.journal.length,
            )
            self._set_state(EngineState.READY, "")
            self._tell_ready(None)
            work.append(asyncio.create_task(self._play(session)))
            work.append(asyncio.create_task(self._beat()))
            await asyncio.gather(*work)
        except asyncio.CancelledError:
            if self.session is not None and self._was_ready:
                self.session.replay.save()
            raise
        except Exception as error:
            if not self._was_ready:
                self._tell_ready(error)
                raise asyncio.CancelledError from error
            self._set_state(EngineState.RECOVERING, f"{type(error).__name__}: {error}")
            raise
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if self.session is not None:
                self.session.close()

    async def _recover(self, session: Session) -> None:
        is_new = not session.journal.length
        await recover(session.trader)
        await self._refuse_ghosts(session)
        if is_new:
            # A new replay stands before its first step: the market needs a price to start at.
            for _ in session.replay.symbols:
                if (step := session.replay.next_step()) is not None:
                    session.replay.play(step)
            if self.settings.first_bot:
                symbol = self.settings.first_bot
                await self._start(session, self.settings.config.spec_for(symbol))

    @staticmethod
    async def _refuse_ghosts(session: Session) -> None:
        known = {o.client_id for bot in session.trader.bots.values() for o in bot.live()}
        for symbol in session.replay.symbols:
            for report in await session.venue.open_orders(symbol):
                if ClientId.parse(report.client_id) and report.client_id not in known:
                    raise StorageError(
                        f"the venue holds order {report.client_id}, which the journal does not "
                        "know: the journal is older than the venue's books. Restore the newer "
                        "journal, or begin anew with --fresh"
                    )

    async def _play(self, session: Session) -> None:
        await session.player.run()
        log.info("the recording has ended")
        self._set_state(EngineState.FINISHED, "the recording has ended")

    async def _beat(self) -> None:
        """Publish although no step is taken: a resting market is not a dead one."""
        while True:
            await self._wall.sleep_until(self._wall.now_ms() + BEAT_EVERY_MS)
            self._publish()

    def _tell_ready(self, error: BaseException | None) -> None:
        if not self._was_ready:
            self._was_ready = True
            self._on_ready(error)

    # --- requests ---------------------------------------------------------------------------------

    async def preflight(self, spec: GridSpec) -> GridPlan:
        return self._plan(self._usable(), spec)

    async def start_grid(self, spec: GridSpec) -> BotSnapshot:
        session = self._usable()
        if self.kill_switch.reason:
            raise Conflict(
                f"the kill switch is pulled ({self.kill_switch.reason}); release it with POST "
                "/api/revive before a grid can start"
            )
        if self._state is EngineState.FINISHED:
            raise Conflict(
                "the recording has ended, so no new grid can start; begin anew with "
                "gridlab up --fresh"
            )
        most = self.settings.config.trading.max_concurrent_pairs
        busy = [bot.symbol for bot in session.trader.bots.values() if not bot.is_over]
        if len(busy) >= most and spec.symbol not in busy:
            raise Conflict(
                f"{len(busy)} bots run ({', '.join(busy)}) and trading.max_concurrent_pairs is "
                f"{most}; stop one or raise the limit in the configuration"
            )
        return self._published(await self._start(session, spec))

    async def _start(self, session: Session, spec: GridSpec) -> Bot:
        plan = self._plan(session, spec)
        failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
        if failures:
            raise InvalidSpec(*failures)
        bot = session.trader.start_grid(spec, plan.instrument, plan.reference_price)
        await session.trader.idle()
        log.info("grid %s started on %s at %s", bot.run, bot.symbol, text(plan.reference_price))
        return bot

    async def stop_grid(self, symbol: str, policy: StopPolicy) -> BotSnapshot:
        session = self._usable()
        bot = session.trader.stop_grid(symbol, "stopped by the user", policy)
        await session.trader.idle()
        log.info("grid %s on %s is %s (%s its base)", bot.run, symbol, bot.grid.phase, policy)
        return self._published(bot)

    async def kill(self, reason: str) -> tuple[BotSnapshot, ...]:
        """Refuse new grids, durably, and stop every bot; what the bots then are."""
        self.kill_switch.pull(reason)
        log.warning("kill switch pulled: %s", reason)
        session = self._usable()
        stopped = [bot for bot in session.trader.bots.values() if bot.started and not bot.is_over]
        for bot in stopped:
            if bot.is_driven:
                session.trader.stop_grid(bot.symbol, f"kill switch: {reason}", StopPolicy.KEEP)
        await session.trader.idle()
        self._publish()
        return tuple(self.snapshot.bots[bot.symbol] for bot in stopped)

    async def revive(self) -> None:
        """Allow new grids again; no stopped bot is started."""
        self.kill_switch.release()
        log.warning("kill switch released")
        self._publish()

    async def orders(
        self, symbol: str | None, after: int, limit: int, open_only: bool
    ) -> tuple[OrderReport, ...]:
        """Orders of the venue's books with an id above `after`, ascending, other people's too."""
        book = self._usable().venue.book
        found: list[OrderReport] = []
        while len(found) < limit and (page := book.orders(after, limit)):
            after = int(page[-1].order_id)
            found += [
                order
                for order in page
                if symbol in (None, order.symbol) and (order.status.is_open or not open_only)
            ]
        return tuple(found[:limit])

    def step_seconds(self) -> tuple[float, ...]:
        """How long the latest steps of the engine took."""
        return () if self.session is None else tuple(self.session.player.step_seconds)

    async def trades(self, symbol: str, limit: int) -> tuple[Trade, ...]:
        """Our latest trades on `symbol`, from the venue's books, oldest first."""
        session = self._usable()
        session.market.instrument(Market.SPOT, symbol)
        ours = [
            trade
            for trade in await session.venue.trades(symbol)
            if ClientId.parse(trade.client_id) is not None
        ]
        return tuple(ours[-limit:])

    def _plan(self, session: Session, spec: GridSpec) -> GridPlan:
        if spec.market is not Market.SPOT:
            raise InvalidSpec(
                f"market_type is {spec.market}; the replay venue holds a spot account only, so "
                "choose spot"
            )
        rules = session.market.instrument(spec.market, spec.symbol)
        price = session.market.price(spec.market, spec.symbol).value
        free = {balance.asset: balance.free for balance in session.venue.book.balances()}
        return plan_grid(spec, rules, price, free)

    def _usable(self) -> Session:
        if self.session is None or self._state not in (EngineState.READY, EngineState.FINISHED):
            raise Conflict(f"the engine is {self._state}; try again when it is ready")
        return self.session

    # --- snapshots --------------------------------------------------------------------------------

    def _set_state(self, state: EngineState, reason: str) -> None:
        self._state, self._reason = state, reason
        self._publish()

    def _publish_step(self) -> None:
        if self._wall.now_ms() - self.snapshot.wall_ms >= PUBLISH_EVERY_MS:
            self._publish()

    def _published(self, bot: Bot) -> BotSnapshot:
        self._publish()
        return self.snapshot.bots[bot.symbol]

    def _publish(self) -> None:
        session = self.session
        self._sequence += 1
        if session is None or self._state not in (EngineState.READY, EngineState.FINISHED):
            # The books may be closed or half changed: keep the last good picture and say so.
            self.snapshot = replace(
                self.snapshot,
                sequence=self._sequence,
                state=self._state,
                reason=self._reason,
                agents=(self._supervisor.health(self.snapshot.wall_ms),),
            )
        else:
            self.snapshot = self._picture(session)

    def _picture(self, session: Session) -> Snapshot:
        prices = {
            (market, symbol): session.market.price(market, symbol).value
            for market in Market
            for symbol in session.market.symbols(market)
        }
        return replace(
            self._blank(),
            time_ms=session.clock.now_ms(),
            progress=session.replay.progress,
            prices=MappingProxyType(prices),
            bots=MappingProxyType(self._bots(session, prices)),
            balances=session.venue.book.balances(),
        )

    @staticmethod
    def _bots(
        session: Session, prices: dict[tuple[Market, str], Decimal]
    ) -> dict[str, BotSnapshot]:
        return {
            bot.symbol: bot_snapshot(
                bot.grid,
                prices[bot.grid.instrument.market, bot.symbol],
                halted=bot.halted,
                recovery=bot.recovery,
            )
            for bot in session.trader.bots.values()
            if bot.started
        }

    def _blank(self) -> Snapshot:
        now_ms = self._wall.now_ms()
        session = self.session
        is_playing = self._state is EngineState.READY
        beat_ms = session.player.beat_ms if session is not None and is_playing else now_ms
        return Snapshot(
            sequence=self._sequence,
            mode=Mode.REPLAY,
            state=self._state,
            time_ms=self.settings.start_ms,
            wall_ms=now_ms,
            started_ms=self._started_ms,
            speed=self.settings.speed,
            progress=0.0,
            agents=(self._supervisor.health(beat_ms),),
            reason=self._reason,
            killed=self.kill_switch.reason,
        )
