"""A whole trading world in one thread, decided by one seed.

The trader, the grids, recovery and the resolver are the real ones, on the real paper venue, behind
a network that loses, delays, repeats and reorders by the seed. Processes die between a commit and
what should follow it. Time stands still except where the world moves it. What is simulated is only
what a test cannot have: the venue's machines, the network, the disk's survival, the price.

The oracles are stated once, in `World.verdict`, against the venue's own books.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

from gridlab.agents.bot import Bot
from gridlab.agents.recovery import rebuild, recover
from gridlab.agents.trader import Trader
from gridlab.clock import ManualClock
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import ClientId, Trade
from gridlab.domain.spec import GridSpec
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.fault_plan import FaultPlan
from gridlab.exchange.faults import FaultyExchange
from gridlab.exchange.paper import PaperBook, PaperExchange
from gridlab.store.journal import Entry

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000


class Violation(AssertionError):
    """The world ended in a state that no fault may lead to."""


class Crash(BaseException):
    """The process dies here; nothing after this line happens."""


class SurvivingJournal:
    """A journal whose commits survive the process, and which may be the last thing it does."""

    identity = "sim"

    def __init__(self) -> None:
        self.stored: list[Entry] = []
        self.crash_before: Callable[[], bool] = lambda: False
        self.crash_after: Callable[[], bool] = lambda: False

    def append(self, entries: Sequence[Entry]) -> None:
        if self.crash_before():
            raise Crash("before the commit")
        self.stored += entries
        if self.crash_after():
            raise Crash("between the commit and the send")

    def entries(self, stream: str | None = None) -> Iterator[Entry]:
        return iter([e for e in self.stored if stream in (None, e.stream)])

    def streams(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.stream for entry in self.stored))


def coin(fee_mode: FeeMode, market: Market = Market.SPOT) -> tuple[Instrument, FeeSchedule]:
    """A coarse instrument, so that lots, dust and minimums matter, and its fees."""
    instrument = Instrument(
        symbol="COINUSDT",
        market=market,
        base="COIN",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(5),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(10_000),
        min_price=Decimal("0.01"),
        max_price=Decimal(100_000),
    )
    third = {"third_asset": "BNB", "third_price": Decimal(600)}
    extra = third if fee_mode is FeeMode.THIRD else {}
    return instrument, FeeSchedule(Decimal("0.001"), Decimal("0.001"), fee_mode, **extra)


def cap_of(limit: int) -> int:
    """What a grid leaves of a venue's limit: five places for others, and never fewer than two."""
    return max(limit - 5, 2)


class World:
    """One schedule: `await World(seed).run()`; raises `Violation`, or whatever our code raised."""

    trader_class: type[Trader] = Trader
    market = Market.SPOT

    def __init__(self, seed: int, *, steps: int = 30) -> None:
        self.chance = Random(seed * 7919 + 1)
        self.steps = steps
        self.clock = ManualClock(START_MS)
        instrument, fees = coin(self._fee_mode(), self.market)
        levels = self.chance.randint(3, 13)
        #: Some venues take fewer orders than the grid has levels, so that it needs a window.
        room = self.chance.choice([200, self.chance.randint(7, 12)])
        self.usual_rules = self.instrument = replace(instrument, max_num_orders=room)
        self.spec = GridSpec(
            "COINUSDT",
            levels=levels,
            spacing=Decimal("0.01"),
            investment=Decimal(self.chance.choice([150, 400, 1500])),
            fees=fees,
            market=self.market,
        )
        self.price = Decimal(100)
        usdt = self.chance.choice([10_000, 10_000, 350])  # the last is not enough for every grid
        self.start_balances = {"USDT": Decimal(usdt), "BNB": Decimal(50)}
        self._open_venue(seed, fees)
        self.journal = SurvivingJournal()
        crash_rate = self.chance.choice([0.0, 0.0, 0.01, 0.05])
        self.journal.crash_before = self.journal.crash_after = lambda: (
            not self.calm and self.chance.random() < crash_rate
        )
        self.rule_change_rate = self.chance.choice([0.0, 0.0, 0.1])
        self.calm = False
        self.crashes = 0
        self.sent_when_halted: tuple[Trader, int] | None = None
        self.trader: Trader
        self._process: asyncio.Task[None] | None = None

    def _fee_mode(self) -> FeeMode:
        return self.chance.choice(list(FeeMode))

    def _open_venue(self, seed: int, fees: FeeSchedule) -> None:
        book = PaperBook({"COINUSDT": self.instrument}, self.start_balances, fees=fees)
        self.venue = PaperExchange(book, self.clock)
        self.network = FaultyExchange(self.venue, self.clock, FaultPlan.from_seed(seed))

    # --- the schedule -----------------------------------------------------------------------------

    async def run(self) -> World:
        """Live through the schedule, end all faults, wait, and judge."""
        self.venue.advance("COINUSDT", self.price, self.clock.now_ms())
        await self._boot()
        await self._until_started()
        stop_at = self.chance.choice([None, None, self.steps - 3])
        for step in range(self.steps):
            await self._market_moves()
            self._weather()
            await self._survive()
            if self.chance.random() < 0.5:
                await self._cycle()
            if step == stop_at:
                await self._ask_to_stop()
        await self._calm_down()
        self.verdict()
        await self._die()
        await self.network.close()
        return self

    async def _until_started(self) -> None:
        while not self.trader.bots:
            self.trader.start_grid(self.spec, self.instrument, self.price)
            await self._settle()
            await self._survive()

    async def _ask_to_stop(self) -> None:
        bot = self.trader.bot("COINUSDT")
        if bot.is_driven and not bot.is_over:
            policy = self.chance.choice(list(StopPolicy))
            self.trader.stop_grid("COINUSDT", "the schedule says so", policy)
            await self._settle()
            await self._survive()

    async def _market_moves(self) -> None:
        factor = Decimal(round(self.chance.gauss(0, 0.012), 5)) + 1
        target = max(Decimal(50), (self.price * factor).quantize(Decimal("0.01")))
        volume = None
        if self.chance.random() < 0.3:
            volume = Decimal(self.chance.randint(1, 3000)) / 1000
        self.price = target
        self.venue.advance("COINUSDT", target, self.clock.now_ms(), volume)
        await self._pass_time(self.chance.choice([0, 300, 2_000, 15_000, MINUTE_MS]))

    def _weather(self) -> None:
        """What the venue does of its own accord: its rules change and change back."""
        if self.chance.random() < self.rule_change_rate:
            changed = replace(
                self.usual_rules,
                tick_size=self.chance.choice([Decimal("0.05"), Decimal("0.5")]),
                lot_size=self.chance.choice([Decimal("0.001"), Decimal("0.01")]),
                min_notional=Decimal(self.chance.choice([5, 8])),
                max_num_orders=self.chance.choice([self.usual_rules.max_num_orders, 8]),
            )
            self.instrument = self.chance.choice([changed, self.usual_rules])
            self.venue.book.set_instrument(self.instrument)

    async def _cycle(self) -> None:
        """What the engine does once a minute."""
        await self._compare()
        self.trader.replan("COINUSDT", self.price)
        await self._settle()
        await self._survive()

    async def _compare(self) -> bool:
        """Whether the comparison could be made; if not, the next cycle tries again."""
        try:
            await self.trader.reconcile()
        except ExchangeUnavailable:
            return False
        return True

    async def _calm_down(self) -> None:
        """End the faults; within two cycles the books must agree (law 2 takes its 15 seconds)."""
        self.calm = True
        self.network.quiet()
        for _ in range(4):
            await self._pass_time(MINUTE_MS)
            await self._cycle()
        await self._pass_time(MINUTE_MS)

    # --- processes and time -----------------------------------------------------------------------

    async def _boot(self) -> None:
        """Start a process: the only start there is, repeated until the venue can be read."""
        while True:
            self.trader = self.trader_class(self.network, self.journal, self.clock)
            self._process = asyncio.create_task(self._live(self.trader))
            starting = asyncio.create_task(recover(self.trader))
            await self._settle()
            while not starting.done() and not self._process.done():
                await self._pass_time(1_000)
            starting.cancel()
            (outcome,) = await asyncio.gather(starting, return_exceptions=True)
            if outcome is None and not self._process.done():
                return
            if outcome is not None and not isinstance(
                outcome, (ExchangeUnavailable, asyncio.CancelledError, Crash)
            ):
                raise outcome
            await self._die()
            await self._pass_time(1_000)

    @staticmethod
    async def _live(trader: Trader) -> None:
        try:
            await trader.run()
        except Crash:
            return

    async def _die(self) -> None:
        assert self._process is not None
        self._process.cancel()
        (error,) = await asyncio.gather(self._process, return_exceptions=True)
        await self._settle()
        if isinstance(error, Exception):
            raise error

    async def _survive(self) -> None:
        """Start a new process when the old one has died."""
        assert self._process is not None
        if self._process.done():
            self.crashes += 1
            await self._die()
            await self._pass_time(self.chance.choice([0, 1_000, 5 * MINUTE_MS]))
            await self._boot()

    async def _pass_time(self, duration_ms: int) -> None:
        """Let time pass, waking every sleeper at its own moment."""
        until = self.clock.now_ms() + duration_ms
        await self._settle()
        while (wake := self.clock.next_wake_ms) is not None and wake <= until:
            self.clock.advance_to(wake)
            await self._settle()
        self.clock.advance_to(until)
        await self._settle()

    async def _settle(self) -> None:
        """Return when nobody can run until time passes."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        self._check_venue()

    # --- oracles ----------------------------------------------------------------------------------

    def _check_venue(self) -> None:
        """At every rest: no slot has two orders on the venue's books, and no grid too many."""
        slots = Counter(
            (parsed.run, parsed.slot)
            for report in self.venue.book.open_orders("COINUSDT")
            if (parsed := ClientId.parse(report.client_id)) is not None
        )
        doubled = [slot for slot, count in slots.items() if count > 1]
        if doubled:
            raise Violation(f"slots {doubled} have two open orders at the venue")
        cap = self.usual_rules.max_num_orders
        if cap < self.spec.levels and not self.rule_change_rate and slots.total() > cap_of(cap):
            raise Violation(f"{slots.total()} orders are open where {cap} are allowed to all")
        self._check_halted()

    def _check_halted(self) -> None:
        """A bot that is halted sends nothing, until another process begins."""
        trader = getattr(self, "trader", None)
        if trader is None or not any(bot.halted for bot in trader.bots.values()):
            self.sent_when_halted = None
            return
        if self.sent_when_halted is None or self.sent_when_halted[0] is not trader:
            self.sent_when_halted = (trader, trader.commands_sent)
        elif self.sent_when_halted[1] != trader.commands_sent:
            raise Violation("a halted bot sent a command")

    def verdict(self) -> None:
        """Judge the end of the schedule against the venue's own books."""
        (bot,) = self.trader.bots.values()
        if bot.halted:
            raise Violation(f"the grid halted: {bot.halted}")
        trades = self.venue.book.trades("COINUSDT")
        ids = Counter(t.client_id for t in trades)
        for client_id in ids:
            order = self.venue.book.query("COINUSDT", client_id)
            assert order is not None
            done = sum((t.quantity for t in trades if t.client_id == client_id), Decimal(0))
            if done != order.executed:
                raise Violation(f"id {client_id} was accepted twice")
        if bot.grid.trade_count != len(trades):
            raise Violation(f"{bot.grid.trade_count} trades booked, the venue has {len(trades)}")
        self._check_money(bot, trades)
        live = {order.client_id for order in bot.live()}
        open_now = {report.client_id for report in self.venue.book.open_orders("COINUSDT")}
        if live != open_now:
            raise Violation(f"live here {sorted(live - open_now)}, there {sorted(open_now - live)}")
        again = [s.index for s in bot.grid.slots if s.vacancy.startswith("refused, filter")]
        if again:
            raise Violation(f"slots {again} are refused by rules that were told long ago")
        self._check_replay(bot.grid.ledger.lines())

    def _check_money(self, bot: Bot, trades: Sequence[Trade]) -> None:
        """The ledger is the account, to the last digit, in every asset."""
        ledger = bot.grid.ledger
        for balance in self.venue.book.balances():
            change = balance.total - self.start_balances.get(balance.asset, Decimal(0))
            if ledger.wallet.get(balance.asset, Decimal(0)) != change:
                raise Violation(f"{balance.asset}: account {change}, ledger {ledger.wallet}")

    def _check_replay(self, lines: tuple[tuple[str, str, Decimal], ...]) -> None:
        """The journal alone gives the same grid; `rebuild` compares every command on the way."""
        (again,) = rebuild(self.journal).values()
        if again.grid.ledger.lines() != lines:
            raise Violation("the journal rebuilds another ledger")


def run_schedule(seed: int, world: type[World] = World) -> World:
    """Run one schedule in a loop of its own."""
    return asyncio.run(world(seed).run())
