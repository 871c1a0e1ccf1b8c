"""Backtests on futures: equal to the replay, funding booked once, the venue's closing told.

The replay (event loop, trader, journal, venue) is the oracle for commands and books; the venue's
own account is the one for money; funding is also summed here by hand from positions and prices.
"""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replayed import Played
from test_backtest import assert_equal_runs, digest

from gridlab.app.facade import GridLab
from gridlab.data.bars import Bars
from gridlab.data.catalog import funding, instrument, load
from gridlab.data.funding import Funding
from gridlab.domain.account import MarginType
from gridlab.domain.events import FundingPaid, PositionReported
from gridlab.domain.market import FeeMode, FeeSchedule, Interval, Market
from gridlab.domain.snapshot import EngineState
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.exchange.paper_futures import FuturesBook
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float, round_to
from gridlab.research.backtest import BacktestResult, backtest
from gridlab.research.venue import account_for
from gridlab.store.journal import Journal

pytestmark = pytest.mark.slow  # seconds each: left out of make check

D = Decimal
DAY_MS = 86_400_000
JUNE = 1_749_513_600_000  # 2025-06-10 00:00 UTC, where the futures recordings begin
FEES = FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE)


def june(first_day: int, days: float, symbol: str = "BTCUSDT") -> Bars:
    """Bundled minutes of a perpetual from the given day of June 2025 on."""
    start = JUNE + (first_day - 10) * DAY_MS
    return load(symbol, Market.FUTURES, start, start + int(days * DAY_MS))


def spec_of(symbol: str = "BTCUSDT", **settings: Any) -> GridSpec:
    named = {"levels": 12, "spacing": D("0.003"), "investment": D(30_000), "fees": FEES} | settings
    return GridSpec(symbol, market=Market.FUTURES, **named)


def played(folder: Path, spec: GridSpec, bars: Bars, account: Any = None, **named: Any) -> Played:
    rules = instrument(spec.symbol, Market.FUTURES)
    plan = plan_grid(spec, rules, from_float(bars.open[0]))
    options = {"fill_rule": FillRule.TOUCH, "participation": None} | named
    return Played(folder, spec, bars, rules=rules, account=account or account_for(plan), **options)


# --- the replay as oracle -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "leverage", "margin", "rule"),
    [
        ("BTCUSDT", 1, MarginType.ISOLATED, FillRule.TOUCH),
        ("BTCUSDT", 5, MarginType.CROSSED, FillRule.THROUGH),
        ("ETHUSDT", 3, MarginType.ISOLATED, FillRule.TOUCH),
        ("ETHUSDT", 10, MarginType.CROSSED, FillRule.TOUCH),
    ],
)
def test_equals_the_replay_command_by_command(
    tmp_path: Path, symbol: str, leverage: int, margin: MarginType, rule: FillRule
) -> None:
    spec, bars = spec_of(symbol, leverage=leverage), june(12, 2, symbol)
    rates = funding(symbol)
    other = played(tmp_path, spec, bars, fill_rule=rule, margin=margin, funding=rates)
    result = backtest(spec, bars, fill_rule=rule, margin=margin, funding=rates, engine="core")
    assert len(result.trades) > 20 and len(result.payments) == 5
    assert_equal_runs(other, result)
    assert isinstance(other.book, FuturesBook)
    assert result.payments == other.book.funding(symbol)
    assert result.money.funding == sum(paid.amount for paid in result.payments) != 0


def test_equals_the_replay_with_partial_fills(tmp_path: Path) -> None:
    spec, bars, rates = spec_of(investment=D(900_000)), june(12, 1), funding("BTCUSDT")
    other = played(tmp_path, spec, bars, participation=D("0.002"), funding=rates)
    result = backtest(spec, bars, participation="0.002", funding=rates)
    assert len(result.trades) > len({trade.order_id for trade in result.trades})
    assert_equal_runs(other, result)


def test_equals_the_replay_where_the_guard_holds_orders_back(tmp_path: Path) -> None:
    """So near to liquidation that the guard switches on and off again as the price moves."""
    spec = spec_of("ETHUSDT", leverage=7, liquidation_buffer=D("0.125"), spacing=D("0.002"))
    bars, rates = june(22, 2.4, "ETHUSDT"), funding("ETHUSDT")
    other = played(tmp_path, spec, bars, funding=rates)
    result = backtest(spec, bars, funding=rates)
    switches = [entry.event for entry in other.entries if isinstance(entry.event, PositionReported)]
    assert len(switches) >= 2, "the guard did not switch both ways, so nothing was tested"
    assert_equal_runs(other, result)


# --- money ----------------------------------------------------------------------------------------


def test_funding_is_paid_once_at_its_time_at_the_price_before_it() -> None:
    spec, bars, rates = spec_of(leverage=2), june(10, 5), funding("BTCUSDT")
    result = backtest(spec, bars, funding=rates)
    due = [int(t) for t in rates.time_ms if bars.open_time_ms[0] < t < bars.end_ms]
    assert [paid.time_ms for paid in result.payments] == due and len(due) == 14
    rate_at = dict(zip(rates.time_ms.tolist(), rates.rates, strict=True))
    for paid in result.payments:
        held = sum(
            (t.quantity if t.side == "buy" else -t.quantity)
            for t in result.trades
            if t.time_ms < paid.time_ms
        )
        mark = from_float(bars.close[bars.index_at(paid.time_ms) - 1])
        assert paid.amount == -round_to(rate_at[paid.time_ms] * held * mark, D("1e-8"))
    assert result.money.funding == sum(paid.amount for paid in result.payments)
    assert ("funding", "USDT", result.money.funding) in result.ledger_lines
    assert result.money.total == sum(
        getattr(result.money, part) for part in ("grid_profit", "floating", "fees", "funding")
    )


def test_funding_is_in_the_curves_from_its_bar_on() -> None:
    spec, bars, rates = spec_of(), june(10, 5), funding("BTCUSDT")
    paid, free = backtest(spec, bars, funding=rates), backtest(spec, bars)
    gained = paid.equity_curve - free.equity_curve
    told = np.zeros(len(bars))
    for payment in paid.payments:
        told[bars.index_at(payment.time_ms) :] += float(payment.amount)
    assert np.allclose(gained, told, atol=1e-9)
    assert paid.equity_curve[-1] == pytest.approx(float(paid.equity), abs=1e-7)
    assert paid.equity_at_fills[-1] - free.equity_at_fills[-1] == pytest.approx(
        told[bars.index_at(paid.trades[-1].time_ms)]
    )
    assert np.allclose(paid.curve.cash - free.curve.cash, told, atol=1e-9)
    assert paid.fills == free.fills and free.money.funding == 0
    assert "no rates were given" in free.funding_words and "14 rates" in paid.funding_words


def test_a_payment_inside_a_bar_and_one_in_a_hole_are_booked_where_they_fall() -> None:
    whole = june(10, 1)
    keep = np.ones(len(whole), np.bool_)
    keep[300:400] = False
    names = ("open_time_ms", "open", "high", "low", "close", "volume", "quote_volume", "trades")
    bars = replace(whole, **{name: getattr(whole, name)[keep] for name in names})
    hole, inside = int(whole.open_time_ms[350]), int(whole.open_time_ms[100]) + 25_000
    rates = [(inside, "0.0001"), (hole, "0.0002")]
    result = backtest(spec_of(), bars, funding=rates)
    assert [paid.time_ms for paid in result.payments] == [inside, hole]
    assert result.flows.paid_bar.tolist() == [100, 300]
    low_first = bars.close[100] >= bars.open[100]
    first = bars.low[100] if low_first else bars.high[100]  # at 20 s; the next point is at 40 s
    held = sum(t.quantity for t in result.trades[:1]) + sum(
        t.quantity if t.side == "buy" else -t.quantity
        for t in result.trades[1:]
        if t.time_ms < inside
    )
    assert result.payments[0].amount == -round_to(D("0.0001") * held * from_float(first), D("1e-8"))


def test_the_ledger_agrees_with_the_venues_wallet(tmp_path: Path) -> None:
    spec, bars = spec_of(leverage=4), june(17, 4)
    other = played(tmp_path, spec, bars, funding=funding("BTCUSDT"))
    result = backtest(spec, bars, funding=funding("BTCUSDT"))
    book = other.book
    assert isinstance(book, FuturesBook)
    figures, wallet = book.figures("BTCUSDT"), book.wallet("USDT")
    opened = account_for(result.plan)["USDT"]
    assert result.money.total == wallet.wallet + figures.unrealized - opened
    assert result.money.base_held == figures.quantity


# --- liquidation ----------------------------------------------------------------------------------


def crash(fall: float = 0.4, minutes: int = 120) -> Bars:
    """A synthetic straight fall from 100,000."""
    price = np.round(100_000 * (1 - fall * np.arange(minutes + 1) / minutes), 1)
    opened, closed = price[:-1], price[1:]
    return Bars(
        "BTCUSDT",
        Market.FUTURES,
        Interval.M1,
        JUNE + 60_000 * np.arange(minutes, dtype=np.int64),
        *(opened, np.maximum(opened, closed), np.minimum(opened, closed), closed),
        np.full(minutes, 10.0),
        np.full(minutes, np.nan),
        np.full(minutes, -1, np.int64),
    )


def liquidated(margin: MarginType = MarginType.ISOLATED, **settings: Any) -> BacktestResult:
    """Leverage 5 over a fall of 40 %, with nothing in the wallet beyond what the start needs."""
    spec = spec_of(leverage=5, spacing=D("0.01"), liquidation_buffer=D(0), **settings)
    plan = plan_grid(spec, instrument("BTCUSDT", Market.FUTURES), D(100_000))
    return backtest(spec, crash(), margin=margin, balances={"USDT": plan.margin_needed + 1})


@pytest.mark.parametrize("margin", list(MarginType))
def test_a_forced_closing_ends_the_grid_and_is_told(margin: MarginType) -> None:
    result = liquidated(margin)
    end = result.liquidation
    assert end is not None and result.money.base_held == 0
    assert result.trades[-1].price == end.price and result.trades[-1].time_ms == end.time_ms
    assert result.money.liquidation < 0 and result.money.floating == 0
    assert result.equity_curve[-1] == pytest.approx(float(result.equity), abs=1e-7)
    assert "LIQUIDATED" in result.warnings[0] and "LIQUIDATED" in repr(result)
    assert "LIQUIDATED" in result._repr_html_()
    bar = result.bars.index_at(end.time_ms)
    assert np.all(result.curve.base[bar:] == 0) and np.ptp(result.curve.cash[bar:]) == 0


def test_isolated_margin_loses_no_more_than_what_was_set_aside() -> None:
    result = liquidated()
    end = result.liquidation
    assert end is not None
    bought = sum(t.price * t.quantity for t in result.trades if t.side == "buy")
    assert 0 < -result.money.liquidation <= bought / 5
    assert result.plan.margin_needed < result.plan.capital_needed / 4
    assert result.return_on_margin < 4 * result.total_return < 0


def test_leverage_one_is_never_liquidated_where_leverage_five_is() -> None:
    spec = spec_of(leverage=1, spacing=D("0.01"))
    result = backtest(spec, crash())
    assert result.liquidation is None and not result.warnings
    assert result.money.base_held > 0


def test_passing_over_bars_misses_no_liquidation() -> None:
    """Lines far above, so that nothing but the liquidation price is left to touch."""
    spec = spec_of(leverage=10, spacing=D("0.0005"), liquidation_buffer=D(0), levels=4)
    spec = replace(spec, allow_unprofitable=True, investment=D(90_000))
    result = backtest(spec, crash(0.2, 2_000), engine="core")
    assert result.liquidation is not None
    assert result.bars_walked < 100


# --- what it refuses ------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_in_words() -> None:
    bars = june(10, 0.1)
    with pytest.raises(InvalidInput, match="choose one of crossed, isolated"):
        backtest(spec_of(), bars, margin="both")
    with pytest.raises(InvalidInput, match="are of ETHUSDT"):
        backtest(spec_of(), bars, funding=funding("ETHUSDT"))
    with pytest.raises(InvalidInput, match="not a percentage"):
        backtest(spec_of(), bars, funding=[(JUNE + 1, "0.5")])
    with pytest.raises(InvalidSpec, match="futures fees are taken in USDT"):
        backtest(replace(spec_of(), fees=FeeSchedule()), bars)


def test_gaps_of_the_rates_are_told() -> None:
    rates = funding("BTCUSDT")
    holed = Funding("BTCUSDT", np.delete(rates.time_ms, [4, 5]), rates.rates[:4] + rates.rates[6:])
    result = backtest(spec_of(), june(10, 5), funding=holed)
    assert "NONE KNOWN 2025-06-11T00:00:00Z to 2025-06-12T00:00:00Z" in result.funding_words
    short = backtest(spec_of(), june(10, 5), funding=holed.slice(0, JUNE + 2 * DAY_MS))
    assert "NONE KNOWN after" in short.funding_words
    assert not [paid for paid in short.payments if not isinstance(paid, FundingPaid)]


def test_equals_the_engine_that_gridlab_up_starts(tmp_path: Path) -> None:
    """The whole workbench over one day of perpetuals, the recorded funding included."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "default_market_type: futures\n"
        "grid: {initial_levels: 12, initial_spacing_perc: '0.003', leverage: 4,\n"
        "       futures: {leverage: 4, capital_usd: '10000'}}\n"
        "trading: {capital_per_pair_usd: '10000'}\n"
    )
    start = JUNE + 2 * DAY_MS
    lab = GridLab(
        tmp_path / "data",
        config=config,
        speed=0,
        start_ms=start,
        end_ms=start + DAY_MS,
        first_bot="BTCUSDT",
    )
    with lab:
        while lab.snapshot.state is not EngineState.FINISHED:
            time.sleep(0.02)
        bot = lab.snapshot.bots["BTCUSDT"]
        spec, trades = lab.default_spec("BTCUSDT"), lab.trades("BTCUSDT", limit=10_000)
    with Journal.open(lab.settings.journal_path, lambda: "r") as journal:
        commands = [command for entry in journal.entries() for command in entry.commands]
    result = backtest(
        spec,
        june(12, 1),
        balances={"USDT": "10000"},
        margin="crossed",
        funding=funding("BTCUSDT"),
    )
    assert spec.market is Market.FUTURES and spec.leverage == 4 and len(trades) > 20
    assert digest(result.commands) == digest(commands)
    assert result.trades == trades
    assert result.money == bot.money and bot.money.funding < 0
