"""A live engine over a twin in a process of its own: what the trading tests are played on.

The twin is the `gridlab twin` command and is spoken to over its ports alone. The engine is what the
application composes for Testnet (requests, user and market streams, trader, driver, journal on
disk), on both markets at once, with times so short that an unknown outcome is settled in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from twin_books import Truth, audit, quick

from gridlab.agents.bot import Bot
from gridlab.agents.live import LiveDriver
from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.clock import SystemClock
from gridlab.domain.account import FuturesSettings
from gridlab.domain.events import Event, StopPolicy
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import GridSpec
from gridlab.errors import NotFound
from gridlab.exchange.base import Exchange, Price
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.events import Tick
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.live import LiveVenue, futures_venue, spot_venue
from gridlab.exchange.binance.market_stream import MarketStream
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.exchange.budgets import Budgets
from gridlab.grid.engine import Phase
from gridlab.grid.lifecycle import OrderState
from gridlab.money import floor_to
from gridlab.store.journal import Journal
from gridlab.twin.fault_plan import FaultKind

Heard = TypeVar("Heard", bound=Event)

FEES = {
    Market.SPOT: FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.RECEIVED),
    Market.FUTURES: FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
}
#: A symbol has one grid at a time, so each market has its own.
SYMBOLS = {Market.SPOT: "BTCUSDT", Market.FUTURES: "ETHUSDT"}
ORDER_PATHS = {Market.SPOT: "/api/v3/order", Market.FUTURES: "/fapi/v1/order"}
#: What a slot says that is too far from the price, where the venue allows few open orders.
FAR = "beyond the venue's cap"
#: Between two moves of the market.
PACE_S = 0.1
VENUE_NAMES = {Market.SPOT: "spot", Market.FUTURES: "fut"}


class TwinProcess:
    """A running `gridlab twin`, by its ready line.

    Attributes:
        ready: addresses, key and secret.
    """

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready

    async def control(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Ask the control port: GET without a document, POST with one."""
        return await asyncio.to_thread(self._control, path, document)

    def _control(self, path: str, document: Mapping[str, Any] | None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.ready["control"] + path, body)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {document}: {error.read().decode()}") from None

    async def account(self) -> Truth:
        """The twin's own truth of both accounts."""
        found: Truth = await self.control("/account")
        return found

    async def price(self, market: Market, symbol: str, price: Decimal) -> None:
        """Let the market trade at `price`."""
        await self.control(
            "/price", {"venue": VENUE_NAMES[market], "symbol": symbol, "price": str(price)}
        )

    async def fault(self, kind: str, count: int = 1, **detail: Any) -> None:
        """Let `kind` befall the next `count` chances."""
        await self.control("/faults", {"inject": kind, "count": count, **detail})

    async def faults(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Post a document about faults; how they stand."""
        found: dict[str, Any] = await self.control("/faults", document)
        return found


@contextmanager
def twin_process(*words: str) -> Iterator[TwinProcess]:
    """A twin on free ports, told by the words of its command line."""
    command = [sys.executable, "-m", "gridlab", "twin", "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{command} ended with {process.wait(10)} and was never ready"
        yield TwinProcess(json.loads(line))
        assert process.poll() is None, f"the twin died with {process.returncode}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.stdout.close()  # type: ignore[union-attr]


@dataclass(frozen=True)
class Times:
    """How patient an engine is."""

    recv_window_ms: int = 600
    engine_limit_ms: int = 300
    timeout_s: float = 1.0
    replan_ms: int = 300
    reconcile_ms: int = 1_500


class Engine:
    """The live parts of one process, from its start to its end or death.

    Args:
        path: of the journal; a later engine on the same path goes on where this one ended.
        symbols: what the market streams carry, by market.
        identity: what the runs of a new journal are called.
        budgets: allowances, whose bans may have been remembered; by default nothing is known.
    """

    def __init__(
        self,
        twin: TwinProcess,
        path: Path,
        symbols: Mapping[Market, tuple[str, ...]],
        times: Times,
        identity: str = "twin",
        budgets: Budgets | None = None,
    ) -> None:
        self.twin, self.times, self.symbols = twin, times, symbols
        self.clock = clock = SystemClock()
        self.budgets = budgets or Budgets(clock)
        self.transport = SignedTransport(
            LiveRight(Mode.TESTNET),
            Credentials(twin.ready["key"], twin.ready["secret"]),
            Endpoints.from_json(json.dumps(twin.ready)),
            clock=clock,
            budgets=self.budgets,
            recv_window_ms=times.recv_window_ms,
            engine_limit_ms=times.engine_limit_ms,
            timeout_s=times.timeout_s,
        )
        spot = BinanceSpot(self.transport)
        futures = BinanceFutures(self.transport, FuturesSettings(leverage=2))
        self.venues: dict[Market, LiveVenue] = {
            Market.SPOT: spot_venue(spot, self.transport, clock),
            Market.FUTURES: futures_venue(futures, self.transport, clock),
        }
        self.futures = futures
        self.streams = {
            m: MarketStream(self.transport.endpoints, m, clock, silence=self.transport.silence(m))
            for m in Market
        }
        for requests in (spot, futures):
            self.streams[requests.market].listen(_teller(requests))
        self.journal = Journal.open(path, lambda: identity)
        exchanges: dict[Market, Exchange] = dict(self.venues)
        self.trader = Trader(exchanges, self.journal, clock)
        self.driver = LiveDriver(
            self.trader,
            self,  # type: ignore[arg-type]  # of market data the driver asks prices only
            clock,
            replan_ms=times.replan_ms,
            reconcile_ms=times.reconcile_ms,
            on_step=lambda: None,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def price(self, market: Market, symbol: str) -> Price:
        """The last price that the market's stream has told."""
        found = self.streams[market].price(symbol)
        if found is None:
            raise NotFound(f"{market} {symbol} has not traded yet")
        return found

    async def start(self) -> None:
        """Connect, recover, drive; returns when both markets are ready."""
        for market, stream in self.streams.items():
            await stream.open(self.symbols[market])
        await self.driver.open()
        self._spawn(self.trader.run())
        await recover(self.trader)
        self._spawn(self.driver.run())
        await self.driver.ready()

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def end(self) -> None:
        """Stop at once, whatever is under way; orders stay at the venue.

        Raises:
            Exception: what the trader or the driver died of before.
        """
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.driver.close()
        for stream in self.streams.values():
            await stream.close()
        await self.transport.close()
        self.journal.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def check(self) -> None:
        """Raise what the engine died of, if it did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()
        if self.trader.failure is not None:
            raise self.trader.failure

    @property
    def is_quiet(self) -> bool:
        """Whether both markets are ready and nothing is queued or on its way."""
        self.check()
        return self.trader.is_idle and all(map(self.driver.is_ready, self.venues))

    @property
    def bots(self) -> list[Bot]:
        return list(self.trader.bots.values())

    async def start_grid(self, spec: GridSpec) -> Bot:
        """Begin a grid at the present price; returns when it runs."""
        if spec.market is Market.FUTURES:
            await self.futures.prepare(spec.symbol)
        venue = self.venues[spec.market]
        rules = await venue.instrument(spec.symbol)
        prices = (await self.twin.account())[spec.market.value]["prices"]
        bot = self.trader.start_grid(spec, rules, Decimal(prices[spec.symbol]))
        await self.until(lambda: bot.grid.phase is Phase.RUNNING)
        return bot

    async def until(self, is_so: Callable[[], bool], seconds: float = 15) -> None:
        """Return when it is so; fails when it is not in time."""
        try:
            async with asyncio.timeout(seconds):
                while not is_so():
                    self.check()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; {self.health()}") from None

    def health(self) -> str:
        """How everything stands, for people."""
        words = [f"{m}: {v.health.state} ({v.health.reason})" for m, v in self.venues.items()]
        words += [
            f"{bot.run} {bot.symbol} {bot.grid.phase} {bot.halted} "
            + str([(s.index, s.vacancy) for s in bot.grid.slots if s.order is None])
            + str([(o.client_id, o.state.value) for o in bot.live() if o.state is not _OPEN])
            for bot in self.bots
        ]
        return "; ".join([*words, f"idle {self.trader.is_idle}"])

    def events(self, market: Market, after: int = 0) -> list[Event]:
        """What was journalled on one market, without the first `after` entries of all."""
        runs = {bot.run for bot in self.bots if bot.market is market}
        entries = list(self.journal.entries())[after:]
        return [entry.event for entry in entries if entry.stream in runs]


_OPEN = OrderState.OPEN


def _teller(requests: BinanceSpot | BinanceFutures) -> Callable[[Tick], None]:
    return lambda tick: requests.note_price(tick.symbol, tick.price)


def is_placed(bot: Bot) -> bool:
    """Whether every slot has an order of which the venue is known to know, or is told to wait."""
    if bot.is_over:
        return True
    return bot.grid.phase is Phase.RUNNING and all(
        slot.vacancy.startswith(FAR) if slot.order is None else slot.order.state is _OPEN
        for slot in bot.grid.slots
    )


async def settle(
    engine: Engine, opening: Truth, *, quiet: bool = True, seconds: float = 20
) -> Truth:
    """Wait until the engine is at rest, and assert that the books are equal.

    Args:
        quiet: end every fault first.

    Returns the twin's truth that they are equal to.
    """
    if quiet:
        await engine.twin.faults({"quiet": True})
    found = ["the engine never came to rest"]
    truth = opening
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while loop.time() < end_s:
        if engine.is_quiet and all(map(is_placed, engine.bots)):
            truth = await engine.twin.account()
            if engine.is_quiet and not (found := quick(truth, opening, engine.bots)):
                break
        await asyncio.sleep(0.05)
    if found:
        found += audit(truth, opening, engine.bots, engine.journal)
    assert not found, f"{found}; {engine.health()}"
    wrong = audit(truth, opening, engine.bots, engine.journal)
    assert not wrong, wrong
    return truth


class Stage:
    """One twin and one engine with a running grid on each market, kept from test to test.

    After a test that failed it is built anew, so that one failure is told once.
    """

    #: Around the reference price, several lines down and up: as fractions of it.
    SWING = ("0.988", "1.001", "1.012", "0.999")

    def __init__(self, twin: TwinProcess, path: Path, times: Times) -> None:
        self.twin, self.path, self.times = twin, path, times
        self.runner = asyncio.Runner()
        self.opening: Truth = {}
        self._engine: Engine | None = None
        self.before: dict[str, int] = {}
        self._runs = 0
        self._mark = 0
        self._is_finished = False

    @property
    def engine(self) -> Engine:
        assert self._engine is not None, "asked for inside a story"
        return self._engine

    def play(self, story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        """Run a story between two audits of the books."""
        self.runner.run(self._play(story))

    async def _play(self, story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        try:
            if self._engine is None:
                await self._raise_curtain()
            self._mark = self.engine.journal.length
            self.before = (await self.twin.faults({}))["injected"]
            await story(self)
            await settle(self.engine, self.opening)
        except BaseException:
            await self._drop()
            raise
        if self._is_finished:
            self._is_finished = False
            await self._drop()

    async def _raise_curtain(self) -> None:
        self._runs += 1
        await self._clear()
        # The venue's promise must be the engine's: nothing takes effect later than this.
        await self.twin.faults({"plan": {"engine_limit_ms": self.times.engine_limit_ms}})
        self.opening = await self.twin.account()
        engine = self._engine = self._new()
        await engine.start()
        for market in Market:
            await engine.start_grid(small_grid(market))
        await settle(engine, self.opening)

    def _new(self) -> Engine:
        symbols = {market: (symbol,) for market, symbol in SYMBOLS.items()}
        path = self.path / f"journal-{self._runs}.sqlite"
        return Engine(self.twin, path, symbols, self.times, f"st{self._runs}")

    async def _clear(self) -> None:
        """Take away what a failed engine left behind."""
        await self.twin.faults({"quiet": True})
        truth = await self.twin.account()
        for market in Market:
            for row in truth[market.value]["open_orders"]:
                where = {"venue": VENUE_NAMES[market], "symbol": row["symbol"]}
                await self.twin.control("/order/cancel", where | {"client_id": row["client_id"]})

    async def _drop(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with contextlib.suppress(Exception):  # told already: the test fails of it
                await engine.end()

    def close(self) -> None:
        """End the engine, if it still runs."""
        if self._engine is not None:
            self.runner.run(self._engine.end())
        self.runner.close()

    # --- what stories do --------------------------------------------------------------------------

    async def die_and_rise(self, times: Times | None = None) -> None:
        """End the engine in the middle of everything; another goes on from its journal."""
        self.times = times or self.times
        await self.engine.end()
        self._engine = self._new()
        await self.engine.start()

    async def finish(self) -> None:
        """Stop every grid and sell what it holds; the next story begins with new ones."""
        engine = self.engine
        for bot in engine.bots:
            engine.trader.stop_grid(bot.symbol, "the story ends", StopPolicy.SELL)
        await engine.until(lambda: all(bot.is_over for bot in engine.bots), 30)
        self._is_finished = True

    async def swing(self, *fractions: str) -> None:
        """Move both markets through their lines and back."""
        for fraction in fractions or self.SWING:
            for bot in self.engine.bots:
                price = bot.grid.plan.reference_price * Decimal(fraction)
                await self.twin.price(bot.market, bot.symbol, floor_to(price, Decimal("0.1")))
            await asyncio.sleep(PACE_S)

    async def befall(
        self, kind: FaultKind, *, times: int = 2, on_orders: bool = True, **detail: Any
    ) -> None:
        """Inject `kind` on both markets and trade until all of it has happened."""
        for market in Market:
            where = {"path": ORDER_PATHS[market], "method": "POST"} if on_orders else {}
            await self.twin.fault(kind.value, times, **where, **detail)
        await self.trade_until(kind, 2 * times)

    async def trade_until(self, kind: FaultKind, times: int, seconds: float = 15) -> None:
        """Swing until `kind` has happened so often since the story began."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.swing()
                    if await self.happened(kind) >= times:
                        return
        except TimeoutError:
            stand = await self.twin.faults({})
            raise AssertionError(f"{kind} x {times} in {seconds} s: {stand}") from None

    async def rest(self) -> None:
        """End every fault; return when the books are equal."""
        await settle(self.engine, self.opening)

    async def happened(self, kind: FaultKind) -> int:
        """How often `kind` really happened since the story began."""
        now = (await self.twin.faults({}))["injected"]
        return int(now.get(kind.value, 0)) - int(self.before.get(kind.value, 0))

    def told(self, market: Market, kind: type[Heard]) -> list[Heard]:
        """Events of one kind that were journalled since the story began."""
        events = self.engine.events(market, self._mark)
        return [event for event in events if isinstance(event, kind)]


@contextmanager
def stage_on_a_twin(path: Path, times: Times) -> Iterator[Stage]:
    """A stage on a twin that stands still, but for a small trade twice a second."""
    symbols = ",".join(SYMBOLS.values())
    words = ("--symbols", symbols, "--speed", "0", "--pulse-ms", "500", "--no-limits")
    with twin_process(*words) as twin:
        stage = Stage(twin, path, times)
        try:
            yield stage
        finally:
            stage.close()


def small_grid(market: Market) -> GridSpec:
    """Ten slots half a percent apart."""
    return GridSpec(
        SYMBOLS[market],
        10,
        spacing=Decimal("0.005"),
        investment=Decimal(10_000),
        market=market,
        fees=FEES[market],
    )
