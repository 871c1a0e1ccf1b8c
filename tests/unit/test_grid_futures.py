"""A grid on futures: long only, its sales reduce, and nothing is bought near liquidation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from grid_desk import FOUR, RULES, Desk, resting, sent, stocked

from gridlab.domain.account import MarginType, Position
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import FundingPaid, InstrumentChanged, PositionReported, StopPolicy
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.orders import Side
from gridlab.domain.plan import Finding, GridPlan, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec, InvariantError
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.grid.engine import Phase
from gridlab.grid.invariants import violations
from gridlab.grid.liquidation import LiquidationGuard
from gridlab.grid.preflight import plan_grid
from gridlab.money import exact
from gridlab.testing.paper_run import PaperRun

D = Decimal
FUTURES = replace(RULES, market=Market.FUTURES)
IN_QUOTE = FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE)
LONG = replace(
    FOUR, market=Market.FUTURES, fees=replace(IN_QUOTE, maker=D(0), taker=D(0)), leverage=2
)
PAID = replace(LONG, fees=IN_QUOTE)


def position(liquidation: str | None, mark: str = "100", quantity: str = "20") -> Position:
    price = None if liquidation is None else D(liquidation)
    return Position(
        *("XRPUSDT", D(quantity), D(100), D(mark), price, 2, MarginType.ISOLATED), updated_ms=0
    )


def running() -> Desk:
    return resting(stocked(LONG, FUTURES))


def report(desk: Desk, liquidation: str | None, mark: str = "100") -> PositionReported:
    return PositionReported(desk.now(), position(liquidation, mark))


def near(desk: Desk) -> None:
    """Liquidation 9 % away: under the buffer of 10 %."""
    assert desk.hand(report(desk, "91")) == ()


# --- orders ---------------------------------------------------------------------------------------


def test_buys_open_and_sales_only_reduce() -> None:
    desk = Desk(LONG, FUTURES)
    commands = [*desk.start, *desk.fill("gl-r-i-0-1"), *desk.fill("gl-r-1-0-1")]
    flags = [(c.request.side, c.request.reduce_only) for c in commands if isinstance(c, PlaceOrder)]
    assert set(flags) == {(Side.BUY, False), (Side.SELL, True)} and len(flags) == 6


def test_a_spot_grid_never_says_reduce_only() -> None:
    desk = Desk()
    commands = [*desk.start, *desk.fill("gl-r-i-0-1")]
    assert not any(c.request.reduce_only for c in commands if isinstance(c, PlaceOrder))


def test_the_final_sale_only_reduces() -> None:
    desk = running()
    desk.stop(StopPolicy.SELL)
    for slot in range(4):
        last = desk.end(f"gl-r-{slot}-0-1")
    (command,) = last
    assert isinstance(command, PlaceOrder)
    assert command.request.reduce_only and command.request.quantity == 20


def test_the_final_sale_of_less_than_the_minimum_value_closes_the_position() -> None:
    """A spot venue would refuse it; a reduce-only order may be as small as the lot."""
    for spec, rules, rows in (
        (LONG, FUTURES, ["gl-r-f-0-1 sell 1 @ market"]),
        (FOUR, RULES, []),
    ):
        desk = Desk(replace(spec, spacing=None, lower=D(90), upper=D(94)), rules)
        desk.fill("gl-r-3-0-1", "1")
        desk.stop(StopPolicy.SELL)
        for slot in range(3):
            desk.end(f"gl-r-{slot}-0-1")
        assert sent(desk.end("gl-r-3-0-1", "1")) == rows


def test_an_order_that_could_turn_the_position_is_found() -> None:
    desk = running()
    order = desk.grid.slots[3].order
    assert order is not None
    order.request = replace(order.request, reduce_only=False)
    assert "could turn the position" in " ".join(violations(desk.grid))


# --- the guard ------------------------------------------------------------------------------------


def test_near_liquidation_nothing_is_bought_and_sales_go_on() -> None:
    desk = running()
    near(desk)
    assert desk.fill("gl-r-2-0-1") == ()
    assert desk.grid.slots[2].vacancy == (
        "liquidation at 91 is 9 % from the mark price 100 and the limit is 10 %; nothing is bought "
        "until it is more than 12 % away, so add margin or let the sales shrink the position"
    )
    assert sent(desk.fill("gl-r-1-0-1")) == ["gl-r-1-1-1 sell 10 @ 100.00"]  # it rested already
    # A cycle would do nothing, so none is wanted, and one that comes does nothing.
    assert not desk.grid.wants_replan and desk.replan() == ()


def test_what_was_held_back_is_placed_in_the_cycle_after_the_release() -> None:
    desk = running()
    near(desk)
    desk.fill("gl-r-2-0-1")
    assert desk.hand(report(desk, "87.9")) == ()
    assert desk.grid.wants_replan
    assert sent(desk.replan()) == ["gl-r-2-1-1 buy 10 @ 100.00"]


@pytest.mark.parametrize(
    ("was_on", "liquidation", "mark", "is_on"),
    [
        (False, "90", "100", False),  # at the limit is not below it
        (False, "90.01", "100", True),
        (False, "105", "100", True),  # beyond it: the venue is late
        (True, "88", "100", True),  # 1.2 times the limit is not above it
        (True, "87.99", "100", False),
        (True, None, "100", False),  # the venue would never close it
        (True, "91", "0", True),  # a price of zero says nothing
        (False, "91", "0", False),
    ],
)
def test_where_the_guard_switches(
    was_on: bool, liquidation: str | None, mark: str, is_on: bool
) -> None:
    guard = LiquidationGuard(D("0.1"))
    if was_on:
        guard.tell(position("99"))
    news = position(liquidation, mark)
    assert guard.would_switch(news) is (was_on is not is_on)
    assert guard.tell(news) is (was_on is not is_on)
    assert guard.is_on is is_on


def test_a_position_that_is_gone_or_a_limit_of_zero_guards_nothing() -> None:
    guard = LiquidationGuard(D("0.1"))
    guard.tell(position("99"))
    assert guard.tell(position("99", quantity="0")) and not guard.is_on
    assert not LiquidationGuard(D(0)).tell(position("99.9"))


def test_a_short_position_is_measured_upwards() -> None:
    guard = LiquidationGuard(D("0.1"))
    assert not guard.tell(position("111", quantity="-20"))
    assert guard.tell(position("109", quantity="-20"))


def test_a_distance_with_endless_digits_is_compared_exactly() -> None:
    """1/3 has no end in decimals; the core works where rounding raises."""
    guard = LiquidationGuard(D("0.1"))
    with exact():
        assert guard.tell(position("2.8", mark="3")) and "6.67 %" in guard.words


def test_only_a_switch_of_the_guard_is_news() -> None:
    desk = running()
    far, close = report(desk, "50"), report(desk, "91")
    assert not desk.grid.is_news(far) and desk.grid.is_news(close)
    desk.hand(close)
    assert not desk.grid.is_news(close) and not desk.grid.is_news(report(desk, "89"))
    assert desk.grid.is_news(far)


def test_a_grid_that_is_over_hears_no_positions() -> None:
    desk = running()
    desk.stop()
    for slot in range(4):
        desk.end(f"gl-r-{slot}-0-1")
    assert desk.grid.is_over and not desk.grid.is_news(report(desk, "99"))


@pytest.mark.parametrize(
    ("desk", "symbol"), [(running(), "BTCUSDT"), (stocked(), "XRPUSDT")], ids=["other", "spot"]
)
def test_a_position_that_cannot_be_ours_halts_the_grid(desk: Desk, symbol: str) -> None:
    event = PositionReported(desk.now(), replace(position("50"), symbol=symbol))
    with pytest.raises(InvariantError, match=f"a position on {symbol} was told to a grid on"):
        desk.hand(event)


def test_a_purchase_waits_while_liquidation_is_near() -> None:
    desk = Desk(LONG, FUTURES)
    desk.fill("gl-r-i-0-1", "15")
    near(desk)
    desk.end("gl-r-i-0-1", "15")
    assert desk.grid.phase is Phase.STOCKING and not desk.grid.wants_replan
    assert desk.grid.reason.startswith("the initial purchase waits: liquidation at 91 is 9 %")
    assert desk.replan() == ()
    desk.hand(report(desk, "50"))
    assert sent(desk.replan()) == ["gl-r-i-0-2 buy 5 @ market"] and desk.grid.reason == ""
    assert len(desk.fill("gl-r-i-0-2")) == 4


def test_near_liquidation_a_final_sale_still_goes() -> None:
    desk = running()
    near(desk)
    desk.stop(StopPolicy.SELL)
    for slot in range(4):
        last = desk.end(f"gl-r-{slot}-0-1")
    assert sent(last) == ["gl-r-f-0-1 sell 20 @ market"]


def test_near_liquidation_the_window_goes_on_and_its_buys_wait() -> None:
    spec, rules = replace(LONG, levels=20), replace(FUTURES, max_num_orders=11)
    desk = resting(stocked(spec, rules))
    near(desk)
    assert sent(desk.fill("gl-r-9-0-1")) == ["gl-r-9-1-1 sell 10 @ 100.00", "x gl-r-12-0-1"]
    assert desk.end("gl-r-12-0-1") == ()
    assert desk.grid.slots[6].vacancy.startswith("liquidation at 91 is 9 %")
    assert not desk.grid.wants_replan
    desk.hand(report(desk, "50"))
    assert desk.grid.wants_replan
    assert sent(desk.replan("99")) == ["gl-r-6-0-1 buy 10 @ 96.00"]


# --- news of the venue ----------------------------------------------------------------------------


def test_what_else_is_news() -> None:
    desk = running()
    paid = FundingPaid(desk.now(), "1", "USDT", D("-0.5"))
    assert desk.grid.is_news(paid)
    desk.hand(paid)
    assert not desk.grid.is_news(paid)
    assert desk.grid.ledger.part("funding", "USDT") == D("-0.5")
    same, other = FUTURES, replace(FUTURES, tick_size=D("0.05"))
    assert not desk.grid.is_news(InstrumentChanged(desk.now(), same))
    assert desk.grid.is_news(InstrumentChanged(desk.now(), other))


# --- on a paper account ---------------------------------------------------------------------------


def on_paper(spec: GridSpec = PAID, funds: str = "5000") -> PaperRun:
    run = PaperRun(FUTURES, {"USDT": D(funds)}, spec)
    run.start(D(100))
    run.settle()
    return run


def test_the_ledger_is_the_venues_wallet_and_position_to_the_last_digit() -> None:
    run = on_paper()
    assert isinstance(run.book, FuturesBook)
    run.walk(D(98), D("99.5"), D(102), D("97.5"), D("100.1"))
    paid = run.book.pay_funding("XRPUSDT", D("0.000125"), run.tick(), "f1")
    assert paid is not None
    run.hand(paid)
    run.walk(D("101.3"), D(98))
    assert run.grid.trade_count > 8
    assert run.wallet() == run.change()
    assert run.grid.ledger.base_held == run.book.position("XRPUSDT").quantity > 0
    assert run.grid.ledger.fees_paid.keys() == {"USDT"}


def test_above_its_range_a_grid_has_no_position_and_never_a_short_one() -> None:
    run = on_paper()
    assert isinstance(run.book, FuturesBook)
    run.walk(D(103), D(110))
    assert run.book.position("XRPUSDT").quantity == 0
    run.walk(D(100), D(103))
    assert run.book.position("XRPUSDT").quantity == 0 and not run.refused
    assert run.wallet() == run.change()


def test_a_stop_that_sells_closes_the_position() -> None:
    run = on_paper()
    assert isinstance(run.book, FuturesBook)
    run.walk(D("98.5"))
    run.stop(StopPolicy.SELL)
    assert run.grid.phase is Phase.STOPPED and run.book.position("XRPUSDT").quantity == 0
    assert run.wallet() == run.change() and not run.refused


def test_the_margin_that_the_plan_states_is_enough() -> None:
    """And a tenth of a quote unit less is not."""
    plan = plan_grid(PAID, FUTURES, D(100))
    run = on_paper(funds=str(plan.margin_needed))
    assert not run.refused and len(run.resting()) == 4
    short = on_paper(funds=str(plan.margin_needed - D("0.1")))
    assert short.refused


def test_the_venues_own_figure_switches_the_guard() -> None:
    spec = replace(PAID, leverage=20, liquidation_buffer=D("0.04"))
    run = on_paper(spec)
    run.report_position()
    assert not run.grid.guard.is_on
    run.walk(D("99.0"))
    run.report_position()
    assert run.grid.guard.is_on


# --- the pre-flight -------------------------------------------------------------------------------


def planned(free: str | None = None, **changes: object) -> GridPlan:
    spec = replace(LONG, **changes)  # type: ignore[arg-type]
    return plan_grid(spec, FUTURES, D(100), None if free is None else {"USDT": D(free)})


def finding(plan: GridPlan, rule: str) -> Finding:
    (one,) = [f for f in plan.findings if f.rule == rule]
    return one


def test_the_margin_is_the_value_by_the_leverage_and_the_fees() -> None:
    plan = planned(fees=IN_QUOTE, leverage=4)
    # 20 x 100 at once and 10 x (98 + 99) resting; 0.05 % and 0.02 % of it in fees.
    assert plan.capital_needed == 3970 + 1 + D("0.394")
    assert plan.margin_needed == D("992.5") + 1 + D("0.394")
    assert planned(fees=IN_QUOTE, leverage=1).margin_needed == plan.capital_needed


def test_the_investment_is_the_value_of_the_orders_whatever_the_leverage() -> None:
    plans = [planned(quantity=None, investment=D(4000), leverage=n) for n in (1, 10)]
    assert plans[0].quantity == plans[1].quantity == 10


def test_a_margin_that_divides_endlessly_is_rounded_up() -> None:
    plan = planned(leverage=7)
    assert plan.margin_needed == D("567.14285715")


def test_a_balance_below_the_margin_is_told_with_both() -> None:
    assert planned("1985").ok
    plan = planned("1984")
    assert not plan.ok
    assert finding(plan, "balance").message == (
        "the grid needs 1985 USDT of margin (3970 USDT of orders at leverage 2) and 1984 is free, "
        "1 too little; invest less, raise the leverage or free some USDT"
    )


@pytest.mark.parametrize("mode", [FeeMode.RECEIVED, FeeMode.THIRD])
def test_futures_fees_are_in_quote(mode: FeeMode) -> None:
    third = ("BNB", D(600)) if mode is FeeMode.THIRD else ("", D(0))
    plan = planned(fees=FeeSchedule(D(0), D(0), mode, *third))
    assert finding(plan, "fee_mode").severity is Severity.FAIL and not plan.ok
    assert f"the fee mode is {mode} and futures fees are taken in USDT; choose quote" in (
        finding(plan, "fee_mode").message
    )


def test_a_leverage_within_the_buffer_is_told() -> None:
    assert planned(leverage=9).findings == ()
    plan = planned(leverage=10)
    assert plan.ok and finding(plan, "liquidation_buffer").message == (
        "at leverage 10 an isolated position is liquidated at most 10 % from its entry and the "
        "liquidation buffer is 10 %, so nothing more would be bought after the first purchase; use "
        "a leverage below 10 or a smaller buffer"
    )
    assert planned(leverage=10, liquidation_buffer=D("0.09")).findings == ()
    assert planned(leverage=10, liquidation_buffer=D(0)).findings == ()


def test_a_liquidation_inside_the_range_is_told_with_the_leverage_that_fits() -> None:
    wide: dict[str, object] = {"spacing": D("0.1")}
    # lines 80 90 100 110 120; 20 at 100, 10 at 90, 10 at 80: 92.50
    plan = planned(**wide, leverage=8)
    assert plan.ok and finding(plan, "liquidation_in_range").message == (
        "with every buy filled the average price is 92.5, and at leverage 8 an isolated position "
        "is liquidated at 80.94 or before, above the lowest line 80; use a leverage of at most 7, "
        "raise the lowest line or use crossed margin with more in the wallet"
    )
    assert planned(**wide, leverage=7).findings == ()


def test_a_liquidation_exactly_on_the_lowest_line_is_told() -> None:
    """10 at 100 and 10 at 60 cost 80 each; a quarter of margin is lost at 60."""
    ends: dict[str, object] = {"spacing": None, "lower": D(60), "upper": D(140), "levels": 2}
    plan = planned(**ends, leverage=4)
    assert "a leverage of at most 3," in finding(plan, "liquidation_in_range").message
    assert planned(**ends, leverage=3).findings == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"leverage": 0}, "leverage is 0; it must be from 1 to 125"),
        ({"leverage": 126}, "leverage is 126"),
        ({"leverage": True}, "a whole number is meant"),
        ({"leverage": D(2)}, "a whole number is meant"),
        ({"liquidation_buffer": D("-0.1")}, "liquidation_buffer is -0.1"),
        ({"liquidation_buffer": D(1)}, "a fraction from 0 \\(off\\) to below 1"),
        ({"market": Market.SPOT}, "leverage is 2; on spot it is 1"),
    ],
)
def test_what_a_spec_refuses(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSpec, match=words):
        replace(LONG, **changes)  # type: ignore[arg-type]
