"""`research.backtest`: equal to the replay, equal to a naive grid, closed books, plain refusals.

Two independent oracles. The replay (event loop, trader, journal, durable venue) must give the same
commands to the byte. A grid in twenty lines of floats, which knows one integer, must give the same
number of fills and the same equity.
"""

from __future__ import annotations

import hashlib
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replayed import Played

from gridlab.app.facade import GridLab
from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument, load
from gridlab.domain import codec
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Interval, Market
from gridlab.domain.orders import Side
from gridlab.domain.snapshot import EngineState
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.venue import account_for
from gridlab.store.journal import Journal

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC


def march(first_day: int, days: int) -> Bars:
    """`days` days of bundled BTCUSDT minutes from the given day of March 2026 on."""
    start = START_MS + (first_day - 1) * DAY_MS
    return load("BTCUSDT", start_ms=start, end_ms=start + days * DAY_MS)


def spec_of(**settings: Any) -> GridSpec:
    named = {"levels": 12, "spacing": Decimal("0.003"), "investment": Decimal(1000)} | settings
    return GridSpec("BTCUSDT", **named)


def digest(commands: Any) -> str:
    return hashlib.sha256("\n".join(map(codec.encode, commands)).encode()).hexdigest()


# --- the replay as oracle -------------------------------------------------------------------------


def assert_equal_runs(played: Played, result: BacktestResult) -> None:
    assert digest(result.commands) == digest(played.commands)
    assert result.trades == played.book.trades(result.symbol)
    assert result.ledger_lines == played.grid.ledger.lines()
    empty = tuple((s.index, s.vacancy) for s in played.grid.slots if s.order is None)
    assert result.vacancies == empty


@pytest.mark.parametrize("fill_rule", list(FillRule))
@pytest.mark.parametrize("mode", [FeeMode.RECEIVED, FeeMode.QUOTE, FeeMode.THIRD])
def test_equals_the_replay_command_by_command(
    tmp_path: Path, mode: FeeMode, fill_rule: FillRule
) -> None:
    third = {"third_asset": "BNB", "third_price": Decimal(600)} if mode is FeeMode.THIRD else {}
    spec, bars = spec_of(fees=FeeSchedule(mode=mode, **third)), march(4, 2)
    rules = instrument("BTCUSDT")
    plan = plan_grid(spec, rules, from_float(bars.open[0]))
    played = Played(
        tmp_path,
        spec,
        bars,
        rules=rules,
        account=account_for(plan),
        fill_rule=fill_rule,
        participation=None,
    )
    result = backtest(spec, bars, fill_rule=fill_rule)
    assert len(result.trades) > 20
    assert_equal_runs(played, result)


def test_equals_the_replay_with_partial_fills(tmp_path: Path) -> None:
    spec, bars = spec_of(investment=Decimal(60_000)), march(5, 2)
    rules, share = instrument("BTCUSDT"), Decimal("0.01")
    plan = plan_grid(spec, rules, from_float(bars.open[0]))
    played = Played(
        tmp_path,
        spec,
        bars,
        rules=rules,
        account=account_for(plan),
        fill_rule=FillRule.TOUCH,
        participation=share,
    )
    result = backtest(spec, bars, participation="0.01")
    orders = {trade.order_id for trade in result.trades}
    assert len(result.trades) > len(orders), "no fill was partial, so nothing was tested"
    assert_equal_runs(played, result)


@pytest.mark.slow
def test_equals_the_replay_where_slots_fall_vacant(tmp_path: Path) -> None:
    """A spacing below the fees drains the account until buys are refused and tried again."""
    spec = spec_of(spacing=Decimal("0.0005"), levels=40, allow_unprofitable=True)
    bars, rules = march(4, 1), instrument("BTCUSDT")
    plan = plan_grid(spec, rules, from_float(bars.open[0]))
    account = {"USDT": plan.capital_needed + Decimal("0.5")}
    played = Played(
        tmp_path,
        spec,
        bars,
        rules=rules,
        account=account,
        fill_rule=FillRule.TOUCH,
        participation=None,
    )
    result = backtest(spec, bars, balances=account)
    assert played.replans > 10, "no slot stood vacant, so nothing was tested"
    assert_equal_runs(played, result)


def test_equals_the_engine_that_gridlab_up_starts(tmp_path: Path) -> None:
    """The whole workbench, from the facade to the files, over one day."""
    start = START_MS + 9 * DAY_MS
    lab = GridLab(tmp_path, speed=0, start_ms=start, end_ms=start + DAY_MS, first_bot="BTCUSDT")
    with lab:
        while lab.snapshot.state is not EngineState.FINISHED:
            time.sleep(0.02)
        bot = lab.snapshot.bots["BTCUSDT"]
        spec, trades = lab.default_spec("BTCUSDT"), lab.trades("BTCUSDT", limit=10_000)
    with Journal.open(lab.settings.journal_path, lambda: "r") as journal:
        commands = [command for entry in journal.entries() for command in entry.commands]
    result = backtest(spec, march(10, 1))
    assert digest(result.commands) == digest(commands)
    assert result.trades == trades
    assert result.money == bot.money


# --- a naive reference as oracle ------------------------------------------------------------------


def naive(
    bars: Bars, count: int, capital: float, fee: float, tick: float = 0.01
) -> tuple[int, int, float]:
    """(buys, sells, equity) of a grid over +-10 % of the first open, in floats.

    All that is open follows from one integer, the line without an order: buys rest on every line
    below it, sells on every line above it. No lot, no account, no order objects.
    """
    first = float(bars.open[0])
    low, high = 0.9 * first, 1.1 * first
    lines = [round(low * (high / low) ** (i / count) / tick) * tick for i in range(count + 1)]
    empty = min(range(count + 1), key=lambda i: abs(np.log(lines[i] / first)))
    sells_at_start = count - empty
    quantity = capital / ((sells_at_start * first + sum(lines[:empty])) * (1 + fee))
    base = quantity * sells_at_start
    cash = capital - base * first * (1 + fee)
    buys = sells = 0
    path = [bars.open, bars.low, bars.high, bars.close]
    for o, lo, hi, c in zip(*(column.tolist() for column in path), strict=True):
        for price in (o, lo, hi, c) if c >= o else (o, hi, lo, c):
            while empty > 0 and price <= lines[empty - 1]:
                empty -= 1
                buys += 1
                base += quantity
                cash -= quantity * lines[empty] * (1 + fee)
            while empty < count and price >= lines[empty + 1]:
                empty += 1
                sells += 1
                base -= quantity
                cash += quantity * lines[empty] * (1 - fee)
    return buys, sells, cash + base * float(bars.close[-1])


def loose_rules() -> Instrument:
    """Rules that round nothing but prices."""
    wide = Decimal(10**9)
    return Instrument(
        symbol="BTCUSDT",
        market=Market.SPOT,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("1e-12"),
        min_notional=Decimal("0.0001"),
        min_quantity=Decimal("1e-12"),
        max_quantity=wide,
        min_price=Decimal("0.01"),
        max_price=wide,
        max_notional=wide,
        max_num_orders=1000,
    )


@pytest.mark.parametrize("count", [20, 120])
@pytest.mark.parametrize(("day", "days"), [(1, 31), (20, 5)])
def test_equals_a_naive_grid_in_floats(count: int, day: int, days: int) -> None:
    bars = march(day, days)
    first = from_float(bars.open[0])
    spec = GridSpec(
        "BTCUSDT",
        count,
        lower=first * Decimal("0.9"),
        upper=first * Decimal("1.1"),
        investment=Decimal(10_000),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
        allow_unprofitable=True,
    )
    result = backtest(spec, bars, instrument=loose_rules())
    buys, sells, equity = naive(bars, count, 10_000.0, 0.001)
    assert (result.fills.buys, result.fills.sells) == (buys, sells)
    # 1e-8 of a unit is rounded in each fee; floats lose less.
    assert float(result.equity) == pytest.approx(equity, abs=1e-4)


def test_passing_over_bars_changes_nothing() -> None:
    """One bar at a time and the scan find the same touches on a coarse grid with few of them."""
    bars = march(1, 14)
    result = backtest(spec_of(levels=6, spacing=Decimal("0.01")), bars)
    touched = {int(bars.index_at(trade.time_ms)) for trade in result.trades[1:]}
    assert 0 < result.bars_walked < len(bars) / 20
    assert len(touched) <= result.bars_walked <= 2 * len(touched) + 2


def test_a_jump_between_bars_fills_every_line_on_its_way() -> None:
    """From 100 to 97.5 over a hole: two buys, each at its own price; then back through three."""
    candles = [(100, 100, 100, 100), (97.5, 97.6, 97.4, 97.5), (100, 101.2, 100, 101)]
    spec = GridSpec(
        "BTCUSDT",
        4,
        spacing=Decimal("0.01"),
        quantity=Decimal(1),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
    )
    result = backtest(spec, bars_of(candles, minutes_apart=3), instrument=loose_rules())
    low, second, _, fourth, _ = result.lines
    assert [(t.side, t.price) for t in result.trades[1:]] == [
        (Side.BUY, second),
        (Side.BUY, low),
        (Side.SELL, second),
        (Side.SELL, Decimal(100)),
        (Side.SELL, fourth),
    ]
    assert all(trade.is_maker for trade in result.trades[1:])


def bars_of(candles: list[tuple[float, float, float, float]], minutes_apart: int = 1) -> Bars:
    """Candles (open, high, low, close) of a minute each."""
    o, h, lo, c = np.array(candles, np.float64).T
    count = len(candles)
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        START_MS + 60_000 * minutes_apart * np.arange(count, dtype=np.int64),
        o,
        h,
        lo,
        c,
        np.full(count, 10.0),
        np.full(count, np.nan),
        np.full(count, -1, np.int64),
    )


# --- what it refuses, what it tells ---------------------------------------------------------------


def test_a_grid_that_cannot_start_is_refused_with_every_reason() -> None:
    spec = spec_of(investment=Decimal(20), spacing=Decimal("0.001"))
    with pytest.raises(InvalidSpec) as refused:
        backtest(spec, march(1, 1))
    rules = " ".join(refused.value.problems)
    assert "takes no less than" in rules and "spacing above about" in rules


def test_an_account_that_cannot_pay_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="too little"):
        backtest(spec_of(), march(1, 1), balances={"USDT": "900"})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fill_rule": "nearly"}, "choose one of touch, through"),
        ({"participation": "1.5"}, "above 0 and at most 1"),
        ({"participation": 0.5}, "give a string"),
        ({"balances": {"USDT": 1e4}}, "balance of USDT"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        backtest(spec_of(), march(1, 1), **settings)


def test_bars_of_another_symbol_or_none_are_refused() -> None:
    start = START_MS + 23 * DAY_MS
    other = load("ETHUSDT", start_ms=start, end_ms=start + DAY_MS)
    with pytest.raises(InvalidInput, match="bars are of ETHUSDT"):
        backtest(spec_of(), other)
    with pytest.raises(InvalidInput, match="no bar"):
        backtest(spec_of(), march(1, 1).slice(end_ms=0))
    with pytest.raises(InvalidInput, match="bars are of BTCUSDT"):
        backtest(spec_of(market=Market.FUTURES), march(1, 1))
    with pytest.raises(InvalidInput, match="this grid trades spot"):
        backtest(spec_of(), march(1, 1), funding=[(START_MS, "0.0001")])


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    backtest(spec_of(), march(1, 3), engine="core", progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and 10 < len(told) <= 201
