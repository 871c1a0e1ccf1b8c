"""A long run: three symbols, spot and futures, recorded prices in a hurry, every fault on.

Half a minute by default; `GRIDLAB_TWIN_SECONDS=600` plays ten minutes. The engine has the times of
production where law 2 rests on them (receive window, the venue's limit, the answer's patience), and
is ended in the middle of everything, again and again, to begin anew from its journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Coroutine
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from trading import FEES, Engine, Times, TwinProcess, settle, twin_process
from twin_books import Truth, ours

from gridlab.agents import reconciler
from gridlab.app.ban_file import remembering_budgets
from gridlab.clock import SystemClock
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable
from gridlab.grid.engine import Phase
from gridlab.twin.fault_plan import FaultKind

SECONDS = float(os.environ.get("GRIDLAB_TWIN_SECONDS", "30"))
SEED = int(os.environ.get("GRIDLAB_TWIN_SEED", "7"))
PLAN = os.environ.get("GRIDLAB_TWIN_PLAN", "default")
#: Recorded seconds a second: some five hours pass in a minute.
SPEED = 300
#: The engine lives about so long before it is ended.
LIFE_S = min(45.0, SECONDS / 3)
#: Funding is paid every few seconds here, and so it is read more often than once a minute.
FUNDING_READ_MS = 5_000
#: A venue that was quiet for so long has nothing under way any more: 5 + 10 + 1 s, and two proofs.
SETTLING_S = 120.0

#: Faults that a plan draws too rarely for minutes; told in turns, so that each really happens.
RARE: tuple[tuple[FaultKind, dict[str, Any]], ...] = (
    (FaultKind.FILTER_CHANGE, {"ms": 15_000}),
    (FaultKind.VENUE_CANCEL, {}),
    (FaultKind.DISCONNECT, {}),
    (FaultKind.BANNED, {"ms": 4_000}),
    (FaultKind.VENUE_EXPIRE, {}),
    (FaultKind.SERVER_SHUTDOWN, {}),
    (FaultKind.MAINTENANCE, {"ms": 4_000}),
    (FaultKind.THROTTLED, {"ms": 2_000}),
    (FaultKind.CLOCK_SKEW, {"ms": 1_500}),
)
TEND_S = 3.0
#: The ban that every second death happens under.
BAN_MS = 4_000
#: Starts that may fail in a row before the faults stop until one works.
PATIENT_STARTS = 5

SYMBOLS = {Market.SPOT: ("BTCUSDT", "SOLUSDT"), Market.FUTURES: ("ETHUSDT",)}
TIMES = Times(
    recv_window_ms=5_000,
    engine_limit_ms=10_000,
    timeout_s=12.0,
    replan_ms=2_000,
    reconcile_ms=5_000,
)

log = logging.getLogger(__name__)


def dense(symbol: str, market: Market) -> GridSpec:
    """Lines so near to each other that a few minutes bring hundreds of fills."""
    return GridSpec(
        symbol,
        40,
        spacing=Decimal("0.001"),
        investment=Decimal(40_000),
        market=market,
        fees=FEES[market],
        allow_unprofitable=True,
    )


class Campaign:
    """Engines that come and go over one twin and one journal."""

    def __init__(self, twin: TwinProcess, path: Path) -> None:
        self.twin, self.path = twin, path
        self.opening: Truth = {}
        self.counts: Counter[str] = Counter()
        self._draw = Random(SEED)
        self.engine = self._new()

    def _new(self) -> Engine:
        """As a new process: of limits and bans it knows what its predecessors wrote down."""
        budgets = remembering_budgets(self.path.parent, SystemClock())
        return Engine(self.twin, self.path, SYMBOLS, TIMES, "long", budgets)

    async def begin(self) -> None:
        # One symbol allows so few open orders that the grid's window moves with its price.
        cap = {"venue": "spot", "symbol": "SOLUSDT", "max_num_orders": 20}
        await self.twin.control("/instrument", cap)
        self.opening = await self.twin.account()
        await self.engine.start()
        for market, symbols in SYMBOLS.items():
            for symbol in symbols:
                await self.engine.start_grid(dense(symbol, market))
        await settle(self.engine, self.opening)

    async def trade(self, seconds: float) -> None:
        """Let everything go wrong for so long."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        await self.twin.faults({"plan": PLAN})
        await self.twin.control("/speed", {"speed": SPEED})
        while loop.time() < end_s:
            life_s = LIFE_S * self._draw.uniform(0.5, 1.5)
            await self._live(min(loop.time() + life_s, end_s))
            if loop.time() < end_s:
                await self._die_and_rise()
        await self.twin.control("/speed", {"speed": 0})

    async def _live(self, until_s: float) -> None:
        """Run; the futures market pays funding, and grids follow their markets."""
        loop = asyncio.get_running_loop()
        while (left_s := until_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, TEND_S))
            self.engine.check()
            self.counts["looks"] += 1
            if self.counts["looks"] % 3 == 0:
                kind, detail = RARE[self.counts["looks"] // 3 % len(RARE)]
                await self.twin.fault(kind, 1, **detail)
            rate = str(self._draw.choice(["0.0001", "-0.00005", "0.0003"]))
            await self.twin.control("/funding", {"symbol": "ETHUSDT", "rate": rate})
            self.counts["funding"] += 1
            prices = {
                market: (await self.twin.account())[market.value]["prices"] for market in Market
            }
            for market, symbols in SYMBOLS.items():
                for symbol in symbols:
                    await self._follow(market, symbol, Decimal(prices[market][symbol]))

    async def _follow(self, market: Market, symbol: str, price: Decimal) -> None:
        """Stop a grid that its market has left, and begin anew where the market is."""
        trader, bot = self.engine.trader, self.engine.trader.bot(symbol)
        try:
            if bot.is_over:
                rules = await self.engine.venues[market].instrument(symbol)
                trader.start_grid(dense(symbol, market), rules, price)
                self.counts["grids begun anew"] += 1
            elif bot.grid.phase is Phase.RUNNING:
                lines = bot.grid.plan.lines
                if not lines[1] < price < lines[-2]:
                    trader.stop_grid(symbol, "the market has left it", StopPolicy.SELL)
        except (ExchangeUnavailable, Conflict) as error:
            log.info("%s waits: %s", symbol, error)

    async def _die_and_rise(self) -> None:
        """End the engine in the middle of everything, and start from the journal until it works."""
        if self.counts["deaths"] % 2 == 0:
            await self._be_banned()
        last, bots = self.engine, self.engine.bots
        await last.end()
        self.counts["deaths"] += 1
        assert not [bot.halted for bot in bots if bot.halted]
        for attempt in count(1):
            self.engine = self._new()
            try:
                await self._wait_out_ban()
                await self.engine.start()
                await self.twin.faults({"plan": PLAN})
                return
            except ExchangeUnavailable as error:
                log.warning("not started yet: %s", error)
                self.counts["starts that failed"] += 1
                if attempt == PATIENT_STARTS:  # a storm would fill the run with starts
                    await self.twin.faults({"quiet": True})
                await self.engine.end()
                await asyncio.sleep(1)

    async def _be_banned(self) -> None:
        """Have the venue ban the engine just before its death."""
        await self.twin.fault(FaultKind.BANNED, 1, ms=BAN_MS)
        await self.engine.until(lambda: self.engine.budgets.banned_until_ms > 0, 30)

    async def _wait_out_ban(self) -> None:
        """As a start does: not one request until a ban that was written down is over."""
        if until_ms := self.engine.budgets.banned_until_ms:
            self.counts["starts under a ban"] += 1
            await SystemClock().sleep_until(until_ms)

    async def end(self) -> Truth:
        """Settle, stop every grid, settle again; the account has nothing of ours open then."""
        await settle(self.engine, self.opening, seconds=SETTLING_S)
        for bot in self.engine.bots:
            while not bot.is_over:
                with contextlib.suppress(Conflict):  # it is stopped already, and not over yet
                    self.engine.trader.stop_grid(bot.symbol, "the run is over", StopPolicy.SELL)
                await self.engine.until(lambda bot=bot: bot.is_over, 30)  # type: ignore[misc]
        return await settle(self.engine, self.opening, seconds=SETTLING_S)


def play(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.slow
@pytest.mark.timeout(int(SECONDS * 4) + 600)
def test_ends_with_equal_books_whatever_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "FUNDING_EVERY_MS", FUNDING_READ_MS)
    words = ["--symbols", "BTCUSDT,ETHUSDT,SOLUSDT", "--speed", "0", "--seed", str(SEED)]
    funds = ["--funds", "USDT=1000000", "--pulse-ms", "1000"]

    async def run(twin: TwinProcess) -> None:
        campaign = Campaign(twin, tmp_path / "journal.sqlite")
        try:
            await campaign.begin()
            for _ in range(3):  # on a busy machine less happens in its time
                await campaign.trade(SECONDS)
                if not (missing := what_is_missing(campaign, await twin.account())):
                    break
                log.warning("too little happened yet: %s", missing)
            truth = await campaign.end()
            report(campaign, truth)
            judge(campaign, truth)
        finally:
            await campaign.engine.end()

    with twin_process(*words, *funds) as twin:
        play(run(twin))


def report(campaign: Campaign, truth: Truth) -> None:
    """What happened, for who reads the log or runs with -s."""
    lines = [
        f"faults {truth['faults']}",
        f"{truth['requests']} requests",
        str(dict(campaign.counts)),
    ]
    lines.append(f"{truth['requests_in_ban']} requests were under way when a ban began")
    for market in Market:
        orders = ours(truth[market.value], campaign.opening[market.value], "orders")
        trades = ours(truth[market.value], campaign.opening[market.value], "trades")
        lines.append(f"{market}: {len(orders)} orders, {len(trades)} trades")
    lines.append(f"journal: {campaign.engine.journal.length} entries")
    print("\n".join(lines))


def what_is_missing(campaign: Campaign, truth: Truth) -> list[str]:
    """What would have had to happen in a run worth the name, and did not."""
    happened = {FaultKind(name) for name in truth["faults"]}
    found = []
    if SECONDS >= 600:
        found += [f"{kind} never happened" for kind in set(FaultKind) - happened]
    if len(happened) <= 12:
        found.append(f"no more kinds of fault than {sorted(happened)}")
    found += [name for name in ("deaths", "starts under a ban") if not campaign.counts[name]]
    for market in Market:
        trades = ours(truth[market.value], campaign.opening[market.value], "trades")
        if len(trades) < SECONDS / 2:
            found.append(f"no more than {len(trades)} trades on {market}")
    return found


def judge(campaign: Campaign, truth: Truth) -> None:
    """It was a run worth the name, and nothing of ours is left at the venue."""
    assert not (missing := what_is_missing(campaign, truth)), missing
    for market in Market:
        account, opening = truth[market.value], campaign.opening[market.value]
        assert not ours(account, opening, "open_orders")
    assert not [row for row in truth["futures"]["positions"] if Decimal(row["positionAmt"])]
