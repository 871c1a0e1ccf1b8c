"""One recorded stream, three lives: backtest, replay and the twin give the same commands.

Three symbols at once on one twin, over real sockets and python-binance, with the engine that trades
on Testnet. The twin's market goes through every point of every recorded minute; where a point fills
an order, the market waits until the bot has answered, as it does in a backtest. What is compared is
the hash of all commands of each bot, its run's name taken out.

`make test` plays a day of the bundled recordings. For the long form `GRIDLAB_PARITY_DATA` names a
folder of `SYMBOL-1m.parquet` files, of which the last `GRIDLAB_PARITY_DAYS` days without a hole are
played.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from replayed import Played
from trading import FEES, Engine, Times, is_placed

from gridlab.agents.bot import Bot
from gridlab.clock import SystemClock
from gridlab.data.bars import Bars, read_bars
from gridlab.data.catalog import instrument, load
from gridlab.data.history import History
from gridlab.domain import codec
from gridlab.domain.commands import Command
from gridlab.domain.market import Market
from gridlab.domain.spec import GridSpec
from gridlab.exchange.budgets import Budgets, OrderBudget
from gridlab.exchange.paper import FillRule
from gridlab.exchange.replay import POINTS
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import backtest
from gridlab.research.venue import account_for
from gridlab.testing.twin import RunningTwin, running_twin
from gridlab.twin.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MINUTE_MS, DAY_MINUTES = 60_000, 1_440
FOLDER = os.environ.get("GRIDLAB_PARITY_DATA", "")
DAYS = float(os.environ.get("GRIDLAB_PARITY_DAYS", "30" if FOLDER else "1"))
#: Points of the market that the engine may not have heard of yet, at the most.
AHEAD = 400


class InProcess:
    """A twin in another thread of this process, as the trading engine knows twins."""

    def __init__(self, running: RunningTwin) -> None:
        self.running = running
        self.ready = running.ready

    async def account(self) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = await asyncio.to_thread(self.running.account)
        return found


class Unhurried(OrderBudget):
    """No pace of new orders: days of fills come within seconds, and this twin enforces none."""

    async def enter(self, name: str, urgency: Decimal) -> None:
        pass

    def leave(self) -> None:
        pass


class UnhurriedBudgets(Budgets):
    def orders(self, market: Market, address: str, account: str) -> OrderBudget:
        return Unhurried((), clock=SystemClock())


def recorded(symbol: str) -> Bars:
    """The minutes to play, and one before them, without a hole."""
    if FOLDER:
        bars = read_bars(Path(FOLDER) / f"{symbol}-1m.parquet", symbol=symbol, market=Market.SPOT)
    else:
        bars = load(symbol)
    count = int(DAYS * DAY_MINUTES) + 1
    times = bars.open_time_ms
    whole = np.flatnonzero(times[count - 1 :] - times[: 1 - count] == (count - 1) * MINUTE_MS)
    assert len(whole), f"{symbol}: no {DAYS} days without a hole"
    first = int(times[whole[-1]])
    return bars.slice(first, first + count * MINUTE_MS)


def spec_of(symbol: str) -> GridSpec:
    return GridSpec(
        symbol,
        20,
        spacing=Decimal("0.004"),
        investment=Decimal(10_000),
        fees=FEES[Market.SPOT],
    )


def digest(commands: Iterable[Command], run: str) -> str:
    """The hash of the commands, whatever their run is called."""
    lines = "\n".join(map(codec.encode, commands)).replace(f"-{run}-", "-run-")
    return hashlib.sha256(lines.encode()).hexdigest()


def as_twin_data(series: Mapping[str, Bars], folder: Path) -> Path:
    """A history folder with the series, and one of futures, because the engine trades on both."""
    history = History(folder)
    for bars in (*series.values(), load("BTCUSDT", Market.FUTURES)):
        history.add(bars, "recorded")
    return folder


@pytest.fixture(scope="module")
def series() -> dict[str, Bars]:
    return {symbol: recorded(symbol) for symbol in SYMBOLS}


@pytest.fixture(scope="module")
def by_backtest(series: dict[str, Bars]) -> dict[str, str]:
    """The hash of each symbol's commands, from the core over the bars."""
    found = {}
    for symbol, bars in series.items():
        played = bars.slice(int(bars.open_time_ms[1]), None)
        result = backtest(spec_of(symbol), played, instrument=instrument(symbol))
        assert len(result.trades) > 10 * DAYS, "too few trades to compare anything"
        found[symbol] = digest(result.commands, "r1")
    return found


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_replay_decides_as_the_backtest(
    tmp_path: Path, series: dict[str, Bars], by_backtest: dict[str, str], symbol: str
) -> None:
    bars = series[symbol].slice(int(series[symbol].open_time_ms[1]), None)
    spec, rules = spec_of(symbol), instrument(symbol)
    played = Played(
        tmp_path,
        spec,
        bars,
        rules=rules,
        account=account_for(plan_grid(spec, rules, from_float(bars.open[0]))),
        fill_rule=FillRule.TOUCH,
        participation=None,
    )
    assert digest(played.commands, "r1") == by_backtest[symbol]


def test_the_engine_on_the_twin_decides_as_the_backtest(
    tmp_path: Path, series: dict[str, Bars], by_backtest: dict[str, str]
) -> None:
    data = as_twin_data(series, tmp_path / "history")
    with running_twin(
        symbols=SYMBOLS,
        data=data,
        funds={"USDT": 1_000_000},
        pulse_ms=1_000,
        has_limits=False,
    ) as running:
        found = asyncio.run(_trade(running, tmp_path / "journal.sqlite", series))
    assert found == by_backtest


async def _trade(running: RunningTwin, path: Path, series: Mapping[str, Bars]) -> dict[str, str]:
    """Play all series for an engine with a grid on each; the hash of each grid's commands."""
    symbols = {Market.SPOT: SYMBOLS, Market.FUTURES: ("BTCUSDT",)}
    patient = Times(recv_window_ms=5_000, timeout_s=5.0, replan_ms=60_000, reconcile_ms=600_000)
    engine = Engine(
        InProcess(running),  # type: ignore[arg-type]
        path,
        symbols,
        patient,
        budgets=UnhurriedBudgets(SystemClock()),
    )
    play = Play(running, engine, series)
    await play.open()
    await engine.start()
    for symbol in SYMBOLS:
        await engine.start_grid(spec_of(symbol))
    await play.to_the_end()
    found = {bot.symbol: digest(_commands(engine, bot), bot.run) for bot in engine.bots}
    await engine.end()
    return found


def _commands(engine: Engine, bot: Bot) -> list[Command]:
    entries = [entry for entry in engine.journal.entries() if entry.stream == bot.run]
    return [command for entry in entries for command in entry.commands]


class Play:
    """Moves the twin's market through every point, and waits for the engine where it must."""

    def __init__(self, running: RunningTwin, engine: Engine, series: Mapping[str, Bars]) -> None:
        self._running, self._engine = running, engine
        self._points = deque(_points(series))
        self._last: dict[str, Decimal] = {}

    async def open(self) -> None:
        """The first open of every symbol, at which the grids are laid."""
        await self._advance(len(SYMBOLS))

    async def to_the_end(self) -> None:
        """Every point after that."""
        while self._points:
            await self._advance(AHEAD)
            await self._engine.until(self._has_answered, 60)

    async def _advance(self, most: int) -> None:
        await asyncio.to_thread(self._running.do, self._move(most))

    async def _move(self, most: int) -> None:
        """In the twin's loop: up to `most` points, and none after one that fills an order."""
        world = self._running.world
        before = _fills(world)
        while self._points and most and _fills(world) == before:
            symbol, price = self._points.popleft()
            world.set_price(Market.SPOT, symbol, price)
            self._last[symbol] = price
            most -= 1

    def _has_answered(self) -> bool:
        """Whether the engine has heard every price and fill, and all its orders are in place."""
        engine, venue = self._engine, self._running.world.venue(Market.SPOT)
        return (
            engine.is_quiet
            and all(engine.price(Market.SPOT, s).value == price for s, price in self._last.items())
            and all(map(is_placed, engine.bots))
            and all(b.grid.trade_count == len(venue.account_trades(b.symbol)) for b in engine.bots)
        )


def _points(series: Mapping[str, Bars]) -> Iterator[tuple[str, Decimal]]:
    """(symbol, price) of every point of the stated paths, minute by minute, after the first bar."""
    for bar in range(1, min(map(len, series.values()))):
        klines = {symbol: bars.kline(bar) for symbol, bars in series.items()}
        for point in range(POINTS):
            for symbol, kline in klines.items():
                yield symbol, kline.path[point]


def _fills(world: World) -> int:
    venue = world.venue(Market.SPOT)
    return sum(len(venue.account_trades(symbol)) for symbol in SYMBOLS)
