"""`GridLab`: the one object through which everybody outside the engine thread drives it.

Reads look at one immutable `Snapshot` and never wait. Changes are posted to the engine thread and
return what came of them. The same verbs exist on `gridlab.client.Client` over HTTP. Each changing
verb has an awaitable twin with an `a` in front, for notebooks that must not block.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gridlab.app.config import Config
from gridlab.app.engine import Engine
from gridlab.app.settings import make_settings
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Instrument, Interval, Kline, Market, Ticker
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan
from gridlab.domain.snapshot import BotSnapshot, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, InvalidInput
from gridlab.exchange.base import MarketData
from gridlab.store.lease import Lease

T = TypeVar("T")

#: Seconds that a caller waits for the engine thread before it is told that the engine hangs.
ANSWER_WITHIN_S = 30.0


class GridLab:
    """A workbench engine in its own thread.

    Args:
        data_dir: where all state lives; the same folder again continues the same grids. Default
            `$GRIDLAB_DATA_DIR`, else `~/.gridlab`.
        config: a `Config`, or the path of a YAML file laid over the packaged defaults.
        speed: market seconds for each real second; 0 plays as fast as it can.
        mode: only `Mode.REPLAY` until the live venues arrive.
        start_ms, end_ms: the part of the recording to play; by default the last days of March 2026.
        first_bot: symbol on which a new data directory starts the configured grid.
        fresh: put an earlier run's books aside (into `archive/`) and begin anew.

    Raises:
        InvalidConfig: the configuration is wrong; every problem is named.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        config: Config | Path | str | None = None,
        speed: float | None = None,
        mode: Mode = Mode.REPLAY,
        start_ms: int | None = None,
        end_ms: int | None = None,
        first_bot: str = "",
        fresh: bool = False,
    ) -> None:
        self.settings = make_settings(
            data_dir,
            config=config,
            mode=mode,
            speed=speed,
            start_ms=start_ms,
            end_ms=end_ms,
            first_bot=first_bot,
        )
        self._fresh = fresh
        self._engine: Engine | None = None
        self._lease: Lease | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._refusal: BaseException | None = None

    # --- life -------------------------------------------------------------------------------------

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
        try:
            if self._fresh:
                self._archive()
            self._engine = Engine(self.settings, self._on_ready)
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

    def _on_ready(self, refusal: BaseException | None) -> None:
        self._refusal = refusal
        self._ready.set()

    def _archive(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = [p for p in self.settings.data_dir.glob("*.sqlite*") if p.is_file()]
        if kept:
            target = self.settings.data_dir / "archive" / f"{stamp}-{os.getpid()}"
            target.mkdir(parents=True)
            for path in kept:
                path.rename(target / path.name)

    # --- reads ------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The engine's latest step; raises `Conflict` before `start()`."""
        return self._running().snapshot

    def default_spec(self, symbol: str = "BTCUSDT") -> GridSpec:
        """The configuration's grid for `symbol`; it can start."""
        return self.settings.config.spec_for(symbol)

    def trades(self, symbol: str, limit: int = 500) -> tuple[Trade, ...]:
        """Our latest trades on `symbol`, oldest first; raises `NotFound` for an unknown symbol."""
        return self._call(self._running().trades(symbol, limit))

    def symbols(self, market: Market = Market.SPOT) -> tuple[str, ...]:
        """Symbols that have a price now."""
        return self._market().symbols(market)

    def ticker(self, symbol: str, market: Market = Market.SPOT) -> Ticker:
        """The rolling 24 h window; raises `NotFound`."""
        return self._market().ticker(market, symbol)

    def klines(
        self,
        symbol: str,
        interval: Interval | str = Interval.H1,
        limit: int = 100,
        market: Market = Market.SPOT,
    ) -> tuple[Kline, ...]:
        """The last `limit` candles up to now, oldest first, the open one included.

        Raises:
            NotFound: no such symbol.
            InvalidInput: no such interval, or `limit` below 1.
        """
        try:
            width = Interval(interval)
        except ValueError:
            known = ", ".join(Interval)
            raise InvalidInput(f"interval is {interval!r}; choose one of {known}") from None
        return self._market().klines(market, symbol, width, limit)

    def instrument(self, symbol: str, market: Market = Market.SPOT) -> Instrument:
        """The rules of `symbol`; raises `NotFound`."""
        return self._market().instrument(market, symbol)

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

    # --- crossing into the engine thread ----------------------------------------------------------

    def _running(self) -> Engine:
        if self._engine is None:
            raise Conflict("the engine is not started; call start() or use it in a with statement")
        return self._engine

    def _market(self) -> MarketData:
        session = self._running().session
        if session is None:
            raise Conflict("the engine is still recovering; try again when it is ready")
        return session.market

    def _post(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            work.close()
            raise Conflict("the engine is stopped; make a new GridLab to start again")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._post(work).result(ANSWER_WITHIN_S)

    async def _acall(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._post(work))
