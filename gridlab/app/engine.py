"""The engine: one thread, one asyncio loop, all mutable state (law 8).

It recovers, runs, and publishes one immutable snapshot for each step. When its session breaks, the
supervisor throws it away and the next one begins where every start begins: with recovery (law 5).
What a session is made of, and in which mode, is the affair of `build`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gridlab.agents.bot import Bot
from gridlab.agents.recovery import recover
from gridlab.agents.stopping import kill_all
from gridlab.agents.supervisor import Supervisor
from gridlab.agents.trader import Trader
from gridlab.app.build import Sessions
from gridlab.app.companions import Companion, Company
from gridlab.app.heed import heeded
from gridlab.app.killswitch import KillSwitch
from gridlab.app.modes import COMMANDS, REAL_ORDERS
from gridlab.app.order_pages import OrderPage, OrderQuery
from gridlab.app.picture import picture_of
from gridlab.app.session import Probe, Session
from gridlab.app.settings import Settings
from gridlab.app.switching import ModeDoor, ModeSwitch
from gridlab.clock import SystemClock, iso
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.advice import Advice
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import BotSnapshot, EngineState, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidSpec, StorageError
from gridlab.exchange.budgets import Budgets
from gridlab.grid.preflight import plan_grid
from gridlab.money import text

log = logging.getLogger(__name__)

#: Real milliseconds after which the present state is published again.
BEAT_EVERY_MS = 1_000
#: Real milliseconds between two published steps; faster ones would only be overwritten.
PUBLISH_EVERY_MS = 50
#: How long an end that was asked for waits for requests that are on their way.
QUIET_WITHIN_S = 2.0
QUIET_FOR_S = 0.1
#: How long a kill waits for the venue's answers before it tells what is still open.
KILL_WITHIN_S = 15.0


class Engine:
    """Owns a data directory's grids; every method but `snapshot` runs in the engine's loop.

    Args:
        cache: of market data, which outlives every session.
        on_ready: called once, when the first recovery is done, with None; or with the exception
            that made the first start refuse.
        companions: agents that run beside the trader; they read `snapshot`, and nothing of theirs
            is read here but their health and their advice.
        advice: what they advise now; asked when a grid is planned, see `heed`.
        budgets: those of another engine of this process; its own by default.
    """

    def __init__(
        self,
        settings: Settings,
        cache: IntelligentCache,
        on_ready: Callable[[BaseException | None], None],
        companions: tuple[Companion, ...] = (),
        advice: Callable[[], Iterable[Advice]] = tuple,
        budgets: Budgets | None = None,
    ) -> None:
        self.settings = settings
        self.session: Session | None = None
        #: Rises with each session, whose market time may begin before the last one's end.
        self.session_number = 0
        self.kill_switch = KillSwitch(settings.kill_path)
        self._trader: Trader | None = None  # while its loop runs
        self._wall = SystemClock()
        self._on_ready = on_ready
        self._was_ready = False
        self._door = ModeDoor()
        self._sessions = Sessions(self._wall, cache, self._publish_step, budgets)
        self._state = EngineState.RECOVERING
        self._reason = ""
        self._sequence = 0
        self._started_ms = self._wall.now_ms()
        self._supervisor = Supervisor("trader", self._live, self._wall)
        self._company = Company(companions, self._wall)
        self._advice = advice
        self.snapshot = self._blank()

    @property
    def budgets(self) -> Budgets | None:
        """The allowances at the venues; None while none was asked."""
        return self._sessions.budgets

    # --- life -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. A refusal at the first start goes to `on_ready` and ends it."""
        beside = [asyncio.create_task(one.run()) for one in self._company.supervisors]
        try:
            while True:
                await self._supervisor.run()
                if self._supervisor.is_failed:
                    self._set_state(EngineState.FAILED, self._supervisor.last_error)
                    await asyncio.Event().wait()
                # Only a change of the mode ends a session without an error.
                self._supervisor = Supervisor("trader", self._live, self._wall)
        except asyncio.CancelledError:
            self._set_state(EngineState.STOPPED, "stopped on request")
            raise
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _live(self) -> None:
        """One session: recover, run, keep answering; returns when another mode is asked for."""
        self.session = session = None
        is_open = False
        self._set_state(EngineState.RECOVERING, self._supervisor.last_error)
        work: list[asyncio.Task[None]] = []
        try:
            self.session_number += 1
            session = self.session = self._sessions.make(self.settings)
            if not session.is_recorded:
                await self._wait_out_ban()
            await session.open()
            self._trader = session.trader
            is_open = True
            work.append(asyncio.create_task(session.trader.run()))
            await self._recover(session)
            work.append(asyncio.create_task(self._run(session)))
            await self._settle(session, work)
            log.info(
                "%s is ready at market time %s: %d grids, journal of %d entries",
                session.mode,
                iso(session.clock.now_ms()),
                len(session.trader.bots),
                session.journal.length,
            )
            if self._state is not EngineState.FINISHED:  # a recording may have no step left to play
                self._set_state(EngineState.READY, "")
            self._tell_ready(None)
            self._door.arrive()
            work += map(asyncio.create_task, (self._beat(), self._door.opened()))
            await self._first_break(work)
        except asyncio.CancelledError:
            if session is not None and is_open and self._was_ready:
                await self._leave(session)
            raise
        except ModeSwitch:
            if session is not None:
                await self._leave(session)
            self._enter(self._door.leave(self.settings.mode))
        except Exception as error:
            if (back := self._door.turn_back(error)) is not None:
                log.error("%s cannot be entered: %s", self.settings.mode, error)
                self._enter(back)
                return
            if not self._was_ready:
                self._tell_ready(error)
                raise asyncio.CancelledError from error
            self._set_state(EngineState.RECOVERING, f"{type(error).__name__}: {error}")
            raise
        finally:
            self._trader = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if session is not None:
                await self._close(session)

    async def _wait_out_ban(self) -> None:
        """Under a ban nothing may leave: show it, and count as started, until it is over.

        Raises:
            ExchangeUnavailable: another mode ran meanwhile, and does so again.
        """
        if until_ms := self._sessions.banned_until_ms:
            words = f"the exchange has banned this address until {iso(until_ms)}; nothing is sent"
            if self._door.came_from is not None:
                raise ExchangeUnavailable(f"{words} before")
            log.error("%s", words)
            self._set_state(EngineState.RECOVERING, words)
            self._tell_ready(None)
            await self._wall.sleep_until(until_ms)

    @staticmethod
    async def _first_break(work: list[asyncio.Task[None]]) -> None:
        """Wait for the first task that raises, and raise that; cancelled, it leaves all running."""
        done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _leave(self, session: Session) -> None:
        """Leave a session in order; where that fails, an end that was asked for comes anyway."""
        try:
            await self._fall_quiet(session)
            session.save()
        except Exception as error:
            log.error("%s was not left in order: %s", session.mode, error, exc_info=error)

    @staticmethod
    async def _close(session: Session) -> None:
        """Let go of everything; what breaks here must not hide why the session ended."""
        try:
            await session.close()
        except Exception as error:
            log.error("%s was not closed in order: %s", session.mode, error, exc_info=error)

    @staticmethod
    async def _fall_quiet(session: Session) -> None:
        """Let requests that are on their way have their answers, so that none is in doubt later.

        A live venue tells of fills a moment after its answer, and a fill sends new orders.
        """
        if session.is_recorded or session.trader.failure is not None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_WITHIN_S):
                sent = -1
                while sent != session.trader.commands_sent:
                    sent = session.trader.commands_sent
                    await session.trader.idle()
                    await asyncio.sleep(QUIET_FOR_S)

    def _enter(self, mode: Mode) -> None:
        """Make `mode` the one of the next session; nothing of another mode is shown in it."""
        log.info("leaving %s for %s", self.settings.mode, mode)
        self.settings = self.settings.in_mode(mode)
        self.session = None
        self._state, self._reason = EngineState.RECOVERING, f"entering {mode}"
        self.snapshot = self._blank()

    async def _recover(self, session: Session) -> None:
        is_new = not session.journal.length
        await recover(session.trader, self.kill_switch.reason)
        for report in await session.account.ghosts():
            raise StorageError(
                f"the venue holds order {report.client_id}, which the journal does not know: the "
                f"journal is older than the venue's books. {session.ghost_remedy}"
            )
        if is_new:
            await session.prime()
            is_wanted = self.settings.first_bot and session.is_recorded
            if is_wanted and not self.kill_switch.reason:
                symbol = self.settings.first_bot
                await self._start(session, self.settings.config.spec_for(symbol))

    @staticmethod
    async def _settle(session: Session, work: list[asyncio.Task[None]]) -> None:
        """Wait until new orders may be made, or raise what broke meanwhile."""
        settling = asyncio.create_task(session.settled())
        try:
            await asyncio.wait({settling, *work}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*work, settling):
                if task.done():
                    task.result()
        finally:
            settling.cancel()

    async def _run(self, session: Session) -> None:
        await session.run()
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

    async def probe(self) -> Mapping[Market, Probe]:
        """What every venue answers just now; empty where none is asked."""
        return await self._usable().probe()

    async def preflight(self, spec: GridSpec) -> GridPlan:
        return await self._plan(self._usable(), spec)

    async def start_grid(self, spec: GridSpec) -> BotSnapshot:
        session = self._usable()
        self.kill_switch.check()
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
        plan = await self._plan(session, spec)
        failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
        if failures:
            raise InvalidSpec(*failures)
        await session.prepare(spec)
        self.kill_switch.check()  # it may have been pulled while the venue was asked
        bot = session.trader.start_grid(plan.spec, plan.instrument, plan.reference_price)
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
        """Refuse new grids, durably, and stop every bot; what is known of those bots then.

        While the engine recovers, the bots of the trader that there is stop at once, those of the
        next one before it sends anything; what is told of them is the last good picture.

        Raises:
            StorageError: the switch could not be saved; the bots were asked to stop all the same.
        """
        trader = self._trader
        log.warning("kill switch pulled: %s", reason)
        concerned = [bot.symbol for bot in self.snapshot.bots.values() if bot.may_trade]
        try:
            self.kill_switch.pull(reason)
        finally:
            killed = () if trader is None else kill_all(trader, self.kill_switch.reason)
            self._publish()
        if trader is not None and self._is_usable:
            concerned = [bot.symbol for bot in killed]
            await self._answered(trader)
            self._publish()
        bots = self.snapshot.bots
        return tuple(bots[symbol] for symbol in concerned if symbol in bots)

    @staticmethod
    async def _answered(trader: Trader) -> None:
        """Wait a while until everything sent has its outcome; a break is recovery's affair."""
        try:
            async with asyncio.timeout(KILL_WITHIN_S):
                await trader.idle()
        except TimeoutError:
            log.warning("the venue has not answered everything within %g s", KILL_WITHIN_S)
        except BaseException as error:
            if error is not trader.failure:
                raise
            log.error("the trader broke while its bots stopped: %s", error)

    async def revive(self) -> None:
        """Allow new grids again; no stopped bot is started."""
        self.kill_switch.release()
        log.warning("kill switch released")
        self._publish()

    async def switch_mode(self, mode: Mode) -> None:
        """Leave the present mode for `mode`; returns when that is ready.

        Raises:
            Conflict: the process has no right to it, or bots with real orders still run.
            GridLabError: it could not start; the former mode runs again.
        """
        session, access = self._usable(), self.settings.access
        if mode is self.settings.mode:
            return
        if not access.may_enter(mode):
            raise Conflict(
                f"{mode} cannot be entered from here: this process was started by "
                f"{COMMANDS[access.mode]}; stop it and run {COMMANDS[mode]}"
            )
        busy = [bot.symbol for bot in session.trader.bots.values() if not bot.is_over]
        if busy and session.mode in REAL_ORDERS:
            raise Conflict(
                f"{len(busy)} bots have orders in {session.mode} ({', '.join(busy)}); stop them "
                "before you leave it, for nobody would watch them"
            )
        await self._door.ask(mode)

    async def orders(self, query: OrderQuery) -> OrderPage:
        """A page of one venue's orders, other people's too."""
        return await self._usable().account.orders(query)

    def step_seconds(self) -> tuple[float, ...]:
        """How long the latest steps of the engine took."""
        return () if self.session is None else tuple(self.session.step_seconds)

    async def trades(self, symbol: str, limit: int) -> tuple[Trade, ...]:
        """Our latest trades on `symbol`, oldest first, from the books of the bot's venue."""
        session = self._usable()
        bot = self.snapshot.bots.get(symbol)
        market = Market.SPOT if bot is None else bot.market
        if bot is None:
            session.market.instrument(market, symbol)
        return tuple(await session.account.trades(market, symbol))[-limit:]

    async def _plan(self, session: Session, spec: GridSpec) -> GridPlan:
        rules, price = await session.quote(spec.market, spec.symbol)
        free = await session.account.available(spec.market)
        fitted, told = heeded(await session.fitted(spec), self._advice(), session.clock.now_ms())
        plan = plan_grid(fitted, rules, price, free)
        return replace(plan, findings=(*plan.findings, *told))

    def _usable(self) -> Session:
        if self.session is None or not self._is_usable:
            raise Conflict(f"the engine is {self._state}; try again when it is ready")
        return self.session

    @property
    def _is_usable(self) -> bool:
        return self._state in (EngineState.READY, EngineState.FINISHED)

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
        if session is None or not self._is_usable:
            # The books may be closed or half changed: keep the last good picture and say so.
            self.snapshot = replace(
                self.snapshot,
                sequence=self._sequence,
                state=self._state,
                reason=self._reason,
                killed=self.kill_switch.reason,
                agents=(self._supervisor.health(self.snapshot.wall_ms), *self._company.health()),
            )
        else:
            self.snapshot = picture_of(session, self._blank())

    def _blank(self) -> Snapshot:
        now_ms = self._wall.now_ms()
        session = self.session
        is_playing = self._state is EngineState.READY
        beat_ms = session.beat_ms if session is not None and is_playing else now_ms
        return Snapshot(
            sequence=self._sequence,
            mode=self.settings.mode,
            state=self._state,
            time_ms=self.settings.start_ms,
            wall_ms=now_ms,
            started_ms=self._started_ms,
            speed=self.settings.speed,
            progress=0.0,
            agents=(self._supervisor.health(beat_ms), *self._company.health()),
            reason=self._reason,
            killed=self.kill_switch.reason,
            source=self.settings.access.source(self.settings.mode),
        )
