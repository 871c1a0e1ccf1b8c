"""What people see of a grid: its money at a mark, its orders, its vacancies.

The golden case is Binance's published example of a spot grid: last price 0.7760, 14 XRP a grid,
five buys and 26 sells, 0.0053 apart.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridlab.domain.events import FundingPaid, OrderRejected, OrderUnknown, StopPolicy
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import INITIAL_BUY, Side
from gridlab.domain.snapshot import BotStatus, Vacancy
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.grid.engine import Grid, Phase
from gridlab.grid.ledger import Ledger
from gridlab.grid.preflight import plan_grid
from gridlab.grid.view import STATUS, bot_snapshot, money_at, spacing_of
from gridlab.money import exact
from gridlab.testing import strategies as gl
from gridlab.testing.paper_run import PaperRun

D = Decimal
XRP = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.0001"),
    lot_size=D(1),
    min_notional=D(5),
    min_quantity=D(1),
    max_quantity=D(1000000),
    min_price=D("0.0001"),
    max_price=D(1000),
)
BINANCE = GridSpec(
    "XRPUSDT",
    31,
    lower=D("0.7484"),
    upper=D("0.7484") + 31 * D("0.0053"),
    quantity=D(14),
    mode=Spacing.ARITHMETIC,
    fees=FeeSchedule(maker=D(0), taker=D(0)),
)
LAST = D("0.7760")


def binance_run() -> PaperRun:
    run = PaperRun(XRP, {"USDT": plan_grid(BINANCE, XRP, LAST).capital_needed}, BINANCE)
    run.start(LAST)
    run.settle()
    return run


def published_floating(run: PaperRun, last: Decimal) -> Decimal:
    """Binance's formula, from the venue's open orders and the account alone.

    floating = open buys x qty + open sells x qty x last + reserved base x last + reserved quote
    - investment; what the grid's rounds have earned is not in the reserve.
    """
    orders = run.book.open_orders("XRPUSDT")
    buys = sum((r.price * r.quantity for r in orders if r.side is Side.BUY and r.price), D(0))
    sells = sum((r.quantity for r in orders if r.side is Side.SELL), D(0))
    free = {balance.asset: balance.free for balance in run.book.balances()}
    reserved_quote = free["USDT"] - run.grid.ledger.grid_profit
    return buys + sells * last + free["XRP"] * last + reserved_quote - run.opening["USDT"]


def test_the_published_grid_is_the_one_we_lay() -> None:
    plan = plan_grid(BINANCE, XRP, LAST)
    buys = [order.price for order in plan.orders if order.side is Side.BUY]
    sells = [order.price for order in plan.orders if order.side is Side.SELL]
    assert plan.ok
    assert buys == [D("0.7484"), D("0.7537"), D("0.7590"), D("0.7643"), D("0.7696")]
    assert len(sells) == 26 and sells[0] == D("0.7802") and sells[-1] == D("0.9127")
    assert sum(buys) * 14 == D("53.13")
    assert plan.initial_quantity == 364
    assert plan.capital_needed == D("53.13") + 364 * LAST


@pytest.mark.parametrize(
    ("last", "floating"),
    [
        ("0.7760", "0"),
        ("0.7700", "-2.184"),  # nothing filled: 364 x -0.006
        ("0.7800", "1.456"),
    ],
)
def test_the_published_floating_profit_before_any_fill(last: str, floating: str) -> None:
    run = binance_run()
    run.walk(D(last))
    assert published_floating(run, D(last)) == D(floating)
    assert money_at(run.grid, D(last)).floating == D(floating)


def test_the_published_floating_profit_after_one_buy() -> None:
    """14 bought at 0.7696: 378 XRP at 0.7690 minus what they cost."""
    run = binance_run()
    run.walk(D("0.7690"))
    expected = 364 * (D("0.7690") - LAST) + 14 * (D("0.7690") - D("0.7696"))
    assert expected == D("-2.5564")
    assert published_floating(run, D("0.7690")) == expected
    assert money_at(run.grid, D("0.7690")).floating == expected


def test_the_published_floating_profit_all_along_a_run() -> None:
    run = binance_run()
    path = "0.7690 0.7749 0.7802 0.7700 0.7484 0.7400 0.7643 0.8000 0.9127 0.9500 0.8123 0.7760"
    for last in map(D, path.split()):
        run.walk(last)
        money = money_at(run.grid, last)
        assert published_floating(run, last) == money.floating
        assert money.total == money.grid_profit + money.floating
    assert run.grid.trade_count > 60 and run.refused == []
    usdt, xrp = (balance.total for balance in run.book.balances())
    assert money.investment + money.total == usdt + xrp * last


# --- the identity ---------------------------------------------------------------------------------


@given(st.data(), gl.settings_that_start(most_levels=8), st.sampled_from((None, D("0.4"))))
@settings(max_examples=80)
def test_the_parts_are_the_total_and_the_total_is_the_change_of_equity(
    data: st.DataObject, setting: gl.Setting, share: Decimal | None
) -> None:
    with exact():
        token = D(1000) * (setting.plan.capital_needed + 1)
        volume = None if share is None else setting.plan.quantity * share
    opening = {gl.QUOTE: setting.plan.capital_needed, gl.TOKEN: token}
    run = PaperRun(setting.instrument, opening, setting.spec)
    run.start(setting.price)
    run.settle()
    price = setting.price
    for price in data.draw(gl.paths(setting.plan, most=12)):
        run.walk(price, volume=volume)
        assert_money_agrees(run, price)
    run.stop(data.draw(st.sampled_from(StopPolicy)))
    assert_money_agrees(run, price)


def assert_money_agrees(run: PaperRun, price: Decimal) -> None:
    """Assert that what the grid shows at `price` is what the account has more."""
    marks = {gl.TOKEN: D("3.25")}
    money = money_at(run.grid, price, marks)
    worth = {gl.QUOTE: D(1), gl.BASE: price, **marks}
    with exact():
        change = sum((worth[a] * amount for a, amount in run.change().items()), D(0))
        parts = (money.grid_profit, money.liquidation, money.floating, money.fees, money.funding)
        assert money.total == sum(parts, D(0)) == change
        held = sum((b.total for b in run.book.balances() if b.asset == gl.BASE), D(0))
    assert money.base_held == held
    paid = {trade.fee_asset for trade in run.book.trades(run.symbol) if trade.fee}
    assert {asset for asset, _ in money.fees_by_asset} == paid


def test_funding_is_part_of_the_total() -> None:
    run = binance_run()
    run.hand(FundingPaid(run.tick(), "f1", "USDT", D("-0.75")))
    money = money_at(run.grid, LAST)
    assert (money.funding, money.total, money.fees) == (D("-0.75"), D("-0.75"), D(0))


def test_fees_in_a_token_are_valued_at_its_price() -> None:
    fees = FeeSchedule(D("0.001"), D("0.001"), FeeMode.THIRD, "BNB", D(500))
    run = PaperRun(XRP, {"USDT": D(1000), "BNB": D(1)}, replace(BINANCE, fees=fees))
    run.start(LAST)
    run.settle()
    shown = bot_snapshot(run.grid, LAST).money
    # 364 x 0.776 x 0.001 / 500 = 0.000564928, rounded to eight decimals.
    assert shown.fees_by_asset == (("BNB", D("0.00056493")),)
    assert shown.fees == D("-0.282465") == shown.total


# --- the snapshot ---------------------------------------------------------------------------------


def test_the_fee_token_may_be_the_base_itself() -> None:
    """Then it is worth what the base is worth now, not what the schedule once said."""
    fees = FeeSchedule(D("0.001"), D("0.001"), FeeMode.THIRD, "XRP", D("0.5"))
    run = PaperRun(XRP, {"USDT": D(1000), "XRP": D(10)}, replace(BINANCE, fees=fees))
    run.start(LAST)
    run.settle()
    run.walk(D("0.8000"))
    shown = bot_snapshot(run.grid, D("0.8000")).money
    change = run.change()
    assert shown.total == change["USDT"] + change["XRP"] * D("0.8000")


def test_the_result_of_a_final_sale_is_no_grid_profit() -> None:
    run = binance_run()
    run.walk(D("0.7690"))
    run.stop(StopPolicy.SELL)
    money = money_at(run.grid, D("0.7690"))
    assert (money.grid_profit, money.floating, money.base_held) == (0, 0, 0)
    assert money.liquidation == money.total == D("-2.5564")


def test_a_snapshot_of_a_running_grid() -> None:
    run = binance_run()
    shown = bot_snapshot(run.grid, D("0.7761"))
    assert (shown.symbol, shown.market, shown.run) == ("XRPUSDT", Market.SPOT, "paper")
    assert (shown.status, shown.reason) == (BotStatus.RUNNING, "")
    assert (shown.price, shown.levels, shown.quantity) == (D("0.7761"), 31, 14)
    assert len(shown.lines) == 32 and len(shown.open_orders) == 31 and shown.vacancies == ()
    first = shown.open_orders[0]
    assert (first.slot, first.side, first.price, first.quantity) == (0, Side.BUY, D("0.7484"), 14)
    assert (first.state, first.executed, first.client_id) == ("open", 0, "gl-paper-0-0-1")
    assert first.order_id == run.book.open_orders("XRPUSDT")[0].order_id
    assert shown.trade_count == 1
    assert shown.last_trade is not None and shown.last_trade.quantity == 364
    assert shown.started_ms == 1 and shown.updated_ms >= 1
    assert shown.money.investment == D("335.594")


def test_a_snapshot_while_the_purchase_is_in_doubt() -> None:
    run = PaperRun(XRP, {"USDT": D(1000)}, BINANCE)
    run.start(LAST)
    run.inbox.clear()
    run.hand(OrderUnknown(run.tick(), "gl-paper-i-0-1", "timeout"))
    shown = bot_snapshot(run.grid, LAST)
    (order,) = shown.open_orders
    assert (order.slot, order.state, order.price, order.quantity) == (
        INITIAL_BUY,
        "unknown",
        0,
        364,
    )
    assert shown.status is BotStatus.STARTING
    assert len(shown.vacancies) == 31
    assert {vacancy.reason for vacancy in shown.vacancies} == {"waiting for the initial purchase"}


def test_a_vacancy_is_shown_with_its_line_and_its_reason() -> None:
    run = PaperRun(XRP, {"USDT": D(1000)}, BINANCE)
    run.start(LAST)
    while "gl-paper-2-0-1" not in {r.client_id for r in run.placed}:
        run.hand(run.inbox.pop(0))
    run.hand(OrderRejected(run.tick(), "gl-paper-2-0-1", "insufficient_balance", "too poor"))
    (vacancy,) = bot_snapshot(run.grid, LAST).vacancies
    assert vacancy == Vacancy(
        2,
        D("0.7590"),
        Side.BUY,
        "refused, insufficient_balance: too poor; tried again at the next cycle",
    )


def test_a_halted_grid_is_shown_as_an_error_with_its_reason() -> None:
    waiting = bot_snapshot(binance_run().grid, LAST, waiting="orders are held back")
    assert (waiting.status, waiting.reason) == (BotStatus.RUNNING, "orders are held back")
    shown = bot_snapshot(binance_run().grid, LAST, halted="the venue contradicts itself")
    assert (shown.status, shown.reason) == (BotStatus.ERROR, "the venue contradicts itself")


def test_a_stopped_and_a_failed_grid() -> None:
    run = binance_run()
    run.stop(StopPolicy.SELL)
    shown = bot_snapshot(run.grid, LAST)
    assert (shown.status, shown.reason, shown.open_orders) == (BotStatus.STOPPED, "asked to", ())
    assert shown.money.base_held == shown.money.floating == 0
    poor = PaperRun(XRP, {"USDT": D(1000)}, replace(BINANCE, quantity=D(1)))
    poor.start(LAST)
    shown = bot_snapshot(poor.grid, LAST)
    assert shown.status is BotStatus.ERROR and "Invest at least" in shown.reason


def test_every_phase_has_a_status() -> None:
    assert set(STATUS) == set(Phase)


def test_the_mean_spacing_of_a_range() -> None:
    assert spacing_of((D(100), D(110), D(121))) == D("0.1")
    # exp(ln(0.9127 / 0.7484) / 31) - 1
    assert bot_snapshot(binance_run().grid, LAST).spacing == D("0.00642278")


def test_a_fee_in_an_asset_that_nobody_priced_is_shown_and_not_guessed() -> None:
    ledger = Ledger("COIN", "USDT")
    ledger.fees_paid["MYSTERY"] = Decimal("0.25")
    ledger._parts["fees"]["MYSTERY"] = Decimal("-0.25")
    grid = Grid()
    grid.ledger = ledger
    grid.plan = SimpleNamespace(spec=SimpleNamespace(investment=Decimal(100)))  # type: ignore[assignment]
    money = money_at(grid, Decimal(10))
    assert money.fees == 0 and money.fees_by_asset == (("MYSTERY", Decimal("0.25")),)
