"""`GridLab`: the one object through which everybody outside the engine thread drives it.

Reads look at one immutable `Snapshot` and never wait. Changes are posted to the engine thread and
return what came of them. The same verbs exist on `gridlab.client.Client` over HTTP. Each changing
verb has an awaitable twin with an `a` in front, for notebooks that must not block.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from gridlab.app.ai_verbs import AiVerbs
from gridlab.app.companions import Companion
from gridlab.app.config import Config
from gridlab.app.engine import Engine
from gridlab.app.jobs import Jobs
from gridlab.app.logs import LogLine, LogRing
from gridlab.app.market_verbs import MarketVerbs
from gridlab.app.modes import Access
from gridlab.app.pair_verbs import PairVerbs
from gridlab.app.performance import measure
from gridlab.app.record_verbs import RecordVerbs
from gridlab.app.sentiment_verbs import SentimentVerbs
from gridlab.app.session import Probe, Session
from gridlab.app.settings import Settings, make_settings, secrets_of
from gridlab.app.symbols import SymbolReport, report_on
from gridlab.app.trade_log import TradeFile, TradeLog
from gridlab.app.work_verbs import WorkVerbs
from gridlab.clock import MarketTime, SystemClock
from gridlab.data.cache import IntelligentCache, adopt_global_cache, release_global_cache
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan
from gridlab.domain.snapshot import BotSnapshot, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict
from gridlab.exchange.base import MarketData
from gridlab.store.lease import Lease

if TYPE_CHECKING:
    from gridlab.domain.advice import Advice

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a caller waits for the engine thread before it is told that the engine hangs.
ANSWER_WITHIN_S = 30.0


class GridLab(MarketVerbs, PairVerbs, RecordVerbs, WorkVerbs, AiVerbs, SentimentVerbs):
    """A workbench engine in its own thread.

    Args:
        data_dir: where all state lives; the same folder again continues the same grids. Default
            `$GRIDLAB_DATA_DIR`, else `~/.gridlab`.
        config: a `Config`, or the path of a YAML file laid over the packaged defaults.
        speed: market seconds for each real second; 0 plays as fast as it can.
        mode: where prices come from and where orders go; by default the configuration's, Replay.
            Production starts by `gridlab up --production` alone.
        endpoints: with Shadow or Testnet, other addresses than the exchange's own: JSON, or a file
            with it, such as the line that `gridlab twin` prints.
        access: what a start command was given the right to do; instead of `mode` and `endpoints`.
        start_ms, end_ms: the part of the recording to play; by default the last days of March 2026.
        first_bot: symbol on which a new data directory starts the configured grid.
        fresh: put an earlier run's books aside (into `archive/`) and begin anew.
        beside: an engine of this process that this one runs beside, as a test does: it shares that
            one's allowance of requests, and leaves it the cache of the process.

    Raises:
        InvalidConfig: the configuration is wrong; every problem is named.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        config: Config | Path | str | None = None,
        speed: float | None = None,
        mode: Mode | None = None,
        endpoints: Path | str | None = None,
        access: Access | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        first_bot: str = "",
        fresh: bool = False,
        beside: GridLab | None = None,
    ) -> None:
        self._engine: Engine | None = None
        self._beside = beside
        self._settings = make_settings(
            data_dir,
            config=config,
            mode=mode,
            endpoints=endpoints,
            access=access,
            speed=speed,
            start_ms=start_ms,
            end_ms=end_ms,
            first_bot=first_bot,
        )
        self.jobs = Jobs()
        self.cache = IntelligentCache(
            MarketTime(self._market_ms), **self.settings.config.cache.model_dump()
        )
        self.log_ring = LogRing(secrets_of(self._settings))
        self._fresh = fresh
        self._lease: Lease | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._refusal: BaseException | None = None

    # --- life -------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings in force; `settings.mode` changes with the mode."""
        return self._settings if self._engine is None else self._engine.settings

    def start(self) -> GridLab:
        """Recover and run; returns when the engine is ready to take orders.

        Raises:
            LeaseHeld: another process or object owns this data directory.
            JournalCorrupt, JournalMismatch, StorageError: the books on disk do not verify.
            Conflict: this object was already started.
        """
        if self._thread is not None:
            raise Conflict("this GridLab was already started; make a new one to start again")
        folder = self.settings.data_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lease = Lease.acquire(self.settings.lease_path, f"gridlab in {folder}")
        logger = logging.getLogger("gridlab")
        logger.addHandler(self.log_ring)
        if logger.level == logging.NOTSET:
            logger.setLevel(self.settings.config.logging.level)
        try:
            if self._fresh:
                self._archive()
            self._engine = Engine(
                self.settings,
                self.cache,
                self._on_ready,
                tuple(self._companions()),
                self.advice,
                None if self._beside is None else self._beside._running().budgets,
            )
            if self._beside is None:
                adopt_global_cache(self.cache)
            self._thread = threading.Thread(target=self._run, name="gridlab-engine", daemon=True)
            self._thread.start()
            self._ready.wait()
            if self._refusal is not None:
                raise self._refusal
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the engine cleanly; open orders stay on the venue's books, as after a crash."""
        if self._loop is not None and self._main is not None and not self._main.done():
            self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread is not None:
            self._thread.join()
        self.jobs.close()
        release_global_cache(self.cache)
        self.cache.close()
        logging.getLogger("gridlab").removeHandler(self.log_ring)
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def __enter__(self) -> GridLab:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        assert self._engine is not None
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._supervised(self._engine))
            except asyncio.CancelledError:
                pass  # stop() asked for it
            finally:
                self._ready.set()

    async def _supervised(self, engine: Engine) -> None:
        self._main = asyncio.current_task()
        await engine.run()

    def _companions(self) -> Iterator[Companion]:
        """What works beside the trader: the agents that the configuration wants, and the CSV."""
        if self.settings.config.ai_agent.enabled:
            agent = self.ai_agent = self.ai_desk.agent(SystemClock())
            yield Companion("ai", agent.run, lambda: agent.beat_ms)
        if self.settings.config.sentiment_analysis.enabled:
            reader = self.sentiment_agent = self._make_sentiment_agent(SystemClock())
            yield Companion("sentiment", reader.run, lambda: reader.beat_ms)

        trades = TradeLog(self._trade_file, SystemClock())
        yield Companion("trade_log", trades.run, lambda: trades.beat_ms)

    def _trade_file(self) -> TradeFile:
        settings = self.settings
        return TradeFile(settings.trade_log_path, settings.journal_path)

    def advice(self) -> tuple[Advice, ...]:
        """What the agents advise now; it only asks for more care. See `gridlab.domain.advice`."""
        agents = (self.ai_agent, self.sentiment_agent)
        return tuple(one for agent in agents if agent is not None for one in agent.advice())

    def _on_ready(self, refusal: BaseException | None) -> None:
        self._refusal = refusal
        self._ready.set()

    def _archive(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder, kinds = self.settings.books_dir, ("*.sqlite*", "account.json")
        there = [path for kind in kinds for path in folder.glob(kind)]
        kept = [path for path in there if path.is_file()]
        trades = self.settings.trade_log_path
        if kept or trades.is_file():
            target = folder / "archive" / f"{stamp}-{os.getpid()}"
            target.mkdir(parents=True)
            for path in kept:
                path.rename(target / path.name)
            if trades.is_file():
                try:
                    shutil.move(trades, target / trades.name)  # its folder may be on another disk
                except OSError as error:
                    log.warning("the former trade log stays at %s: %s", trades, error)

    # --- reads ------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The engine's latest step; raises `Conflict` before `start()`."""
        return self._running().snapshot

    def default_spec(self, symbol: str = "BTCUSDT", market: Market | None = None) -> GridSpec:
        """The configuration's grid for `symbol`; it can start."""
        return self.settings.config.spec_for(symbol, market)

    def trades(self, symbol: str, limit: int = 500) -> tuple[Trade, ...]:
        """Our latest trades on `symbol`, oldest first; raises `NotFound` for an unknown symbol."""
        return self._call(self._running().trades(symbol, limit))

    def validate_symbol(self, symbol: str, market: Market = Market.SPOT) -> SymbolReport:
        """What is known of `symbol`, and the least grid that it takes; raises `NotFound`."""
        return report_on(self._market(), self.settings.config.spec_for(symbol, market))

    def logs(self, lines: int = 100) -> tuple[LogLine, ...]:
        """The latest log lines, oldest first, without secrets."""
        return self.log_ring.lines(lines)

    def performance(self) -> dict[str, object]:
        """CPU, memory and the engine's step times; JSON-able."""
        return measure(self._running().step_seconds(), self.snapshot)

    def config_view(self) -> dict[str, object]:
        """The configuration as it is in force; secrets are struck out."""
        view: dict[str, object] = self.settings.config.model_dump(mode="json", by_alias=True)
        return view

    def probe(self) -> Mapping[Market, Probe]:
        """What each market's venue answers just now; empty in Replay, which asks none."""
        return self._call(self._running().probe())

    def preflight(self, spec: GridSpec) -> GridPlan:
        """What `spec` would place at the present price, and every rule that forbids it.

        Raises:
            NotFound: the venue has no such symbol.
            InvalidSpec: no plan can be drawn at all.
        """
        return self._call(self._running().preflight(spec))

    # --- changes ----------------------------------------------------------------------------------

    def start_grid(self, spec: GridSpec) -> BotSnapshot:
        """Start a bot; returns once its start is journalled and its first orders are answered.

        Raises:
            NotFound: the venue has no such symbol.
            InvalidSpec: the pre-flight found a rule that forbids it; all of them in `.problems`.
            Conflict: a bot already runs on this symbol, or the recording has ended.
        """
        return self._call(self._running().start_grid(spec))

    async def astart_grid(self, spec: GridSpec) -> BotSnapshot:
        """`start_grid`, awaitable."""
        return await self._acall(self._running().start_grid(spec))

    def stop_grid(self, symbol: str, policy: StopPolicy | str = StopPolicy.KEEP) -> BotSnapshot:
        """Cancel a bot's orders and end it; returns when the venue has confirmed every cancel.

        Args:
            policy: `keep` the base that the grid holds, or `sell` it at the market.

        Raises:
            NotFound: no bot ever ran on `symbol`.
            Conflict: it is already stopped.
        """
        return self._call(self._running().stop_grid(symbol, StopPolicy(policy)))

    async def astop_grid(
        self, symbol: str, policy: StopPolicy | str = StopPolicy.KEEP
    ) -> BotSnapshot:
        """`stop_grid`, awaitable."""
        return await self._acall(self._running().stop_grid(symbol, StopPolicy(policy)))

    def kill(self, reason: str = "kill switch") -> tuple[BotSnapshot, ...]:
        """Stop every bot and refuse new ones until `revive()`, also after a restart.

        While the engine recovers, and in whichever mode is entered next, bots stop before they may
        send an order.

        Returns:
            The bots that this concerns, as last known; they keep the base that they hold. One that
            `may_trade` is still to stop.

        Raises:
            Conflict: the engine is not running; the switch is not pulled.
            StorageError: the switch could not be saved: bots stop, and none starts, until this
                process ends.
        """
        return self._call(self._running().kill(reason))

    def revive(self) -> None:
        """Release the kill switch; stopped bots stay stopped."""
        self._call(self._running().revive())

    def switch_mode(self, mode: Mode | str) -> Snapshot:
        """Leave the present mode for another that this process was started with the right to.

        Raises:
            Conflict: there is no such right, or bots with real orders still run.
            GridLabError: the mode cannot start, for the reason told; the former one runs again.
        """
        self._call(self._running().switch_mode(Mode(mode)))
        return self.snapshot

    # --- crossing into the engine thread ----------------------------------------------------------

    def _running(self) -> Engine:
        if self._engine is None:
            raise Conflict("the engine is not started; call start() or use it in a with statement")
        return self._engine

    def _market_ms(self) -> int | None:
        session = None if self._engine is None else self._engine.session
        return None if session is None else session.clock.now_ms()

    def _market(self) -> MarketData:
        return self._session().market

    def _session(self) -> Session:
        session = self._running().session
        if session is None:
            raise Conflict("the engine is still recovering; try again when it is ready")
        return session

    def _post(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            work.close()
            raise Conflict("the engine is stopped; make a new GridLab to start again")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._post(work).result(ANSWER_WITHIN_S)

    async def _acall(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._post(work))
