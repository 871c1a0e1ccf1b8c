"""What a grid does, event by event: by hand where a venue would be too kind, on paper elsewhere."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from grid_desk import FOUR, RULES, Desk, resting, sent, stocked

from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import (
    FundingPaid,
    GridStarted,
    InstrumentChanged,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderUnknown,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import FeeMode, FeeSchedule
from gridlab.domain.orders import ClientId, OrderType, Side, VenueStatus
from gridlab.errors import InvariantError, LifecycleError
from gridlab.grid.engine import REMEMBERED_DEAD_ORDERS, Grid, Phase
from gridlab.testing.paper_run import PaperRun

D = Decimal


# --- starting -------------------------------------------------------------------------------------


def test_the_first_command_stocks_the_sells() -> None:
    desk = Desk()
    assert sent(desk.start) == ["gl-r-i-0-1 buy 20 @ market"]
    assert desk.grid.phase is Phase.STOCKING
    assert all(slot.order is None and slot.vacancy for slot in desk.grid.slots)


def test_partial_purchases_add_up_and_only_the_last_opens() -> None:
    desk = Desk()
    assert desk.accept("gl-r-i-0-1") == desk.fill("gl-r-i-0-1", "7") == ()
    assert desk.fill("gl-r-i-0-1", "12") == ()
    assert sent(desk.fill("gl-r-i-0-1", "1")) == [
        "gl-r-0-0-1 buy 10 @ 98.00",
        "gl-r-1-0-1 buy 10 @ 99.00",
        "gl-r-2-0-1 sell 10 @ 101.00",
        "gl-r-3-0-1 sell 10 @ 102.00",
    ]
    assert desk.grid.phase is Phase.RUNNING


def test_a_grid_without_sells_buys_nothing_at_first() -> None:
    spec = replace(FOUR, spacing=None, lower=D(90), upper=D(94))
    desk = Desk(spec)
    assert [row.split()[1] for row in sent(desk.start)] == ["buy"] * 4
    assert desk.grid.phase is Phase.RUNNING


def test_a_plan_that_fails_sends_nothing_and_says_why() -> None:
    desk = Desk(replace(FOUR, quantity=D(1)))
    assert desk.start == ()
    assert desk.grid.phase is Phase.FAILED and desk.grid.is_over
    assert "Invest at least" in desk.grid.reason
    assert desk.replan() == desk.stop() == ()


def test_a_refused_purchase_fails_the_grid() -> None:
    desk = Desk()
    assert desk.reject("gl-r-i-0-1", "insufficient_balance") == ()
    assert desk.grid.phase is Phase.FAILED
    assert "initial purchase was refused: insufficient_balance: because" in desk.grid.reason


def test_a_purchase_that_never_arrived_is_sent_again_under_a_new_name() -> None:
    desk = Desk()
    desk.lose("gl-r-i-0-1")
    assert sent(desk.absent("gl-r-i-0-1")) == ["gl-r-i-0-2 buy 20 @ market"]


def test_a_purchase_that_ends_early_is_continued() -> None:
    desk = Desk()
    desk.fill("gl-r-i-0-1", "15")
    assert sent(desk.end("gl-r-i-0-1", "15", VenueStatus.EXPIRED)) == ["gl-r-i-0-2 buy 5 @ market"]


def test_a_purchase_that_the_venue_ends_untouched_waits_for_the_next_cycle() -> None:
    """A market without liquidity expires market orders as fast as they come."""
    desk = Desk()
    for attempt in (1, 2, 3):
        assert desk.end(f"gl-r-i-0-{attempt}", "0", VenueStatus.EXPIRED) == ()
        assert desk.grid.phase is Phase.STOCKING and desk.grid.wants_replan
        assert sent(desk.replan()) == [f"gl-r-i-0-{attempt + 1} buy 20 @ market"]
        assert not desk.grid.wants_replan
    assert desk.replan() == ()


def test_a_purchase_that_waits_can_be_stopped() -> None:
    desk = Desk()
    desk.end("gl-r-i-0-1", "0", VenueStatus.EXPIRED)
    assert desk.stop() == ()
    assert desk.grid.phase is Phase.STOPPED and not desk.grid.wants_replan


def test_what_a_purchase_lacks_below_the_minimum_is_let_be() -> None:
    desk = Desk()
    desk.fill("gl-r-i-0-1", "19")
    orders = sent(desk.end("gl-r-i-0-1", "19"))
    assert orders[2:] == ["gl-r-2-0-1 sell 10 @ 101.00", "gl-r-3-0-1 sell 9 @ 102.00"]


def test_a_purchase_above_the_venues_largest_order_goes_in_parts() -> None:
    desk = Desk(rules=replace(RULES, max_quantity=D(12)))
    assert sent(desk.start) == ["gl-r-i-0-1 buy 12 @ market"]
    assert sent(desk.fill("gl-r-i-0-1")) == ["gl-r-i-0-2 buy 8 @ market"]
    assert len(desk.fill("gl-r-i-0-2")) == 4


@pytest.mark.parametrize("largest", [D(0), D(1550)])
def test_a_purchase_above_the_largest_value_goes_in_parts(largest: Decimal) -> None:
    desk = Desk(rules=replace(RULES, max_notional=largest))
    first = "20" if not largest else "15"
    assert sent(desk.start) == [f"gl-r-i-0-1 buy {first} @ market"]


def test_a_venue_without_a_minimum_value_gets_no_empty_order() -> None:
    """0 x price >= 0 is true, and an order of nothing is no order."""
    desk = stocked(rules=replace(RULES, min_notional=D(0)))
    assert desk.grid.phase is Phase.RUNNING
    resting(desk).stop(StopPolicy.SELL)
    for order in tuple(desk.grid.live_orders()):
        last = desk.end(order.client_id)
    assert sent(last) == ["gl-r-f-0-1 sell 20 @ market"]
    assert desk.fill("gl-r-f-0-1") == ()
    assert desk.grid.phase is Phase.STOPPED


def test_a_run_starts_once_and_first() -> None:
    with pytest.raises(InvariantError, match="started twice"):
        Desk().hand(GridStarted(1, "r", FOUR, RULES, D(100)))
    with pytest.raises(InvariantError, match="StopRequested came before the grid was started"):
        Grid().handle(StopRequested(1, "too early"))


# --- fills and mirrors ----------------------------------------------------------------------------


def test_a_completed_buy_is_mirrored_one_line_up() -> None:
    desk = resting(stocked())
    assert desk.fill("gl-r-1-0-1", "4") == ()
    assert desk.fill("gl-r-1-0-1", "5") == ()
    assert sent(desk.fill("gl-r-1-0-1", "1")) == ["gl-r-1-1-1 sell 10 @ 100.00"]


def test_a_completed_sell_is_mirrored_one_line_down() -> None:
    desk = resting(stocked())
    assert sent(desk.fill("gl-r-2-0-1")) == ["gl-r-2-1-1 buy 10 @ 100.00"]
    assert sent(desk.fill("gl-r-2-1-1")) == ["gl-r-2-2-1 sell 10 @ 101.00"]


def test_a_gap_through_several_levels_mirrors_each() -> None:
    run = PaperRun(RULES, {"USDT": D(10000)}, FOUR)
    run.start(D(100))
    run.settle()
    run.walk(D(90))
    assert [r.price for r in run.placed[-2:]] == [D(100), D(99)]  # best price filled first
    assert {slot.side for slot in run.grid.slots} == {Side.SELL}
    run.walk(D(110))
    assert {slot.side for slot in run.grid.slots} == {Side.BUY}
    # 20 bought at 100; 10 at 99 and 10 at 98; sold at 99, 100, 101, 102.
    assert run.grid.ledger.grid_profit == D(10) * (1 + 1 + 1 + 2)


def test_an_early_fill_speaks_for_the_acceptance() -> None:
    desk = stocked()
    assert sent(desk.fill("gl-r-1-0-1")) == ["gl-r-1-1-1 sell 10 @ 100.00"]
    assert desk.accept("gl-r-1-0-1") == desk.end("gl-r-1-0-1", "10", VenueStatus.FILLED) == ()


def test_quantities_go_down_to_the_lot_and_dust_is_sold_later() -> None:
    fees = FeeSchedule(maker=D("0.04"), taker=D("0.04"), mode=FeeMode.RECEIVED)
    spec = replace(FOUR, fees=fees, spacing=D("0.1"), allow_unprofitable=True)
    run = PaperRun(RULES, {"USDT": D(100000)}, spec)
    run.start(D(100))  # lines 80 90 100 110 120
    run.settle()
    slot = run.grid.slots[1]
    sold = []
    for _ in range(4):
        run.walk(D(90), D(100))
        sold.append(run.placed[-2].quantity)
    # Every buy brings 9.6 in; the fractions wait as dust: .6, 1.2 -> .2, .8, 1.4 -> .4.
    assert sold == [9, 10, 9, 10]
    assert (slot.dust.quantity, slot.lots.quantity) == (D("0.4"), D(0))


# --- refusals -------------------------------------------------------------------------------------


def test_a_refusal_leaves_a_vacancy_that_is_tried_again_at_the_next_cycle_only() -> None:
    desk = stocked()
    assert desk.reject("gl-r-1-0-1", "insufficient_balance") == ()
    slot = desk.grid.slots[1]
    assert slot.order is None and "insufficient_balance: because" in slot.vacancy
    assert desk.reject("gl-r-1-0-1") == ()  # the same again
    assert desk.fill("gl-r-2-0-1") and slot.order is None  # other events do not wake it
    assert desk.grid.wants_replan
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 10 @ 99.00"]
    assert slot.vacancy == "" and not desk.grid.wants_replan
    assert desk.replan() == ()


def test_a_replan_that_is_told_twice_counts_once() -> None:
    desk = stocked()
    desk.reject("gl-r-1-0-1")
    event = Replan(desk.now(), D(100))
    assert len(desk.hand(event)) == 1
    desk.reject("gl-r-1-0-2")
    assert desk.hand(event) == ()


def test_names_do_not_run_out_after_a_week_of_refusals() -> None:
    """Once a minute for a week is more than four digits."""
    desk = stocked()
    desk.grid.slots[1].attempt = 10_079
    desk.grid.slots[1].order = None
    assert sent(desk.replan()) == ["gl-r-1-0-10080 buy 10 @ 99.00"]
    assert sent(desk.fill("gl-r-1-0-10080")) == ["gl-r-1-1-1 sell 10 @ 100.00"]
    longest = str(ClientId("a2345678" + "9999", 999, 9_999_999, 9_999_999))
    assert len(longest) <= 36 and ClientId.parse(longest) is not None


def test_an_order_that_breaks_a_rule_is_not_sent() -> None:
    desk = resting(stocked())
    desk.hand(InstrumentChanged(desk.now(), replace(RULES, max_quantity=D(9))))
    assert desk.fill("gl-r-1-0-1") == ()
    assert desk.grid.slots[1].vacancy.startswith("lot_size: quantity 10 XRP is outside 1 to 9")
    assert desk.replan() == ()
    desk.hand(InstrumentChanged(desk.now(), RULES))
    assert sent(desk.replan()) == ["gl-r-1-1-1 sell 10 @ 100.00"]


# --- doubt ----------------------------------------------------------------------------------------


def test_an_unknown_order_keeps_its_slot_until_proof() -> None:
    desk = stocked()
    assert desk.lose("gl-r-1-0-1") == desk.replan() == desk.lose("gl-r-1-0-1") == ()
    order = desk.grid.slots[1].order
    assert order is not None and order.state == "unknown"


def test_a_proven_absence_is_placed_again_at_once_under_a_new_name() -> None:
    desk = stocked()
    desk.lose("gl-r-1-0-1")
    assert sent(desk.absent("gl-r-1-0-1")) == ["gl-r-1-0-2 buy 10 @ 99.00"]
    assert desk.absent("gl-r-1-0-1") == ()


@pytest.mark.parametrize("kind", ["accept", "fill", "end"])
def test_doubt_ends_by_any_word_of_the_venue(kind: str) -> None:
    desk = stocked()
    desk.lose("gl-r-1-0-1")
    getattr(desk, kind)("gl-r-1-0-1")
    order = desk.grid.slots[1].order
    assert order is None or order.state != "unknown"


def test_absence_without_doubt_is_a_contradiction() -> None:
    desk = resting(stocked())
    with pytest.raises(LifecycleError, match="is open and was told to prove_absent"):
        desk.absent("gl-r-1-0-1")


@pytest.mark.parametrize("death", ["reject", "absent"])
def test_a_trade_of_a_dead_order_halts_the_grid(death: str) -> None:
    desk = stocked()
    order = desk.grid.find("gl-r-1-0-1")
    assert order is not None
    desk.lose("gl-r-1-0-1")
    getattr(desk, death)("gl-r-1-0-1")
    trade = desk.trade(99, order.request, D(1), D(99))
    assert desk.grid.is_news(OrderFilled(desk.now(), trade))
    with pytest.raises(
        InvariantError, match="trade 99 belongs to order gl-r-1-0-1, which the venue"
    ):
        desk.hand(OrderFilled(desk.now(), trade))


def test_only_so_many_dead_orders_are_remembered() -> None:
    desk = stocked()
    for attempt in range(1, REMEMBERED_DEAD_ORDERS + 3):
        desk.reject(f"gl-r-1-0-{attempt}")
        desk.replan()
    assert len(desk.grid._dead) == REMEMBERED_DEAD_ORDERS
    assert "gl-r-1-0-2" not in desk.grid._dead and "gl-r-1-0-3" in desk.grid._dead


# --- foreign and settled --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client_id",
    [
        "somebody-else",
        "gl-other-1-0-1",
        "gl-r-4-0-1",  # there are slots 0 to 3
        "gl-r-1-0-2",  # only one attempt was made
        "gl-r-1-1-1",  # the first cycle is not over
        "gl-r-1-0-x",
        "",
    ],
)
def test_an_id_that_was_never_given_halts_the_grid(client_id: str) -> None:
    desk = resting(stocked())
    order = desk.grid.find("gl-r-1-0-1")
    assert order is not None
    filled = OrderFilled(1, desk.trade(9, replace(order.request, client_id=client_id), D(1), D(1)))
    assert desk.grid.is_news(filled)
    with pytest.raises(InvariantError, match=f"names order {client_id}; run r never made it"):
        desk.hand(filled)
    with pytest.raises(InvariantError, match="never made it"):
        desk.accept(client_id)


def test_an_errand_that_was_never_sent_halts_the_grid() -> None:
    with pytest.raises(InvariantError, match="never made it"):
        Desk().accept("gl-r-i-0-2")


def test_whatever_a_settled_order_says_is_passed_over() -> None:
    desk = resting(stocked())
    order = desk.grid.find("gl-r-1-0-1")
    assert order is not None
    desk.fill("gl-r-1-0-1")
    before = desk.grid.ledger.lines()
    repeat = OrderFilled(desk.now(), desk.trade(desk.trades, order.request, D(10), D(99)))
    assert not desk.grid.is_news(repeat)
    for event in (
        repeat,
        OrderAccepted(desk.now(), "gl-r-1-0-1", "v"),
        OrderEnded(desk.now(), "gl-r-1-0-1", VenueStatus.FILLED, D(10)),
        OrderUnknown(desk.now(), "gl-r-1-0-1", "late"),
        OrderAccepted(desk.now(), "gl-r-i-0-1", "v"),
    ):
        assert desk.hand(event) == ()
    assert desk.grid.ledger.lines() == before
    assert desk.grid.trade_count == 2


def test_what_is_news() -> None:
    desk = stocked()
    accepted = OrderAccepted(1, "gl-r-1-0-1", "v")
    ended = OrderEnded(1, "gl-r-1-0-1", VenueStatus.CANCELED, D(5))
    assert desk.grid.is_news(accepted) and desk.grid.is_news(ended)
    desk.hand(accepted)
    assert not desk.grid.is_news(accepted)
    desk.hand(ended)
    assert not desk.grid.is_news(ended)
    desk.fill("gl-r-1-0-1", "5")
    assert not desk.grid.is_news(accepted) and not desk.grid.is_news(ended)
    assert desk.grid.is_news(Replan(1, D(100)))


# --- orders that somebody else ended --------------------------------------------------------------


def test_an_order_that_the_venue_ended_is_placed_again_at_the_next_cycle() -> None:
    desk = resting(stocked())
    assert desk.end("gl-r-1-0-1", "0", VenueStatus.EXPIRED) == ()
    assert desk.grid.slots[1].vacancy == "expired by the venue; placed again at the next cycle"
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 10 @ 99.00"]


def test_the_rest_of_a_cancelled_buy_is_bought_at_the_next_cycle() -> None:
    desk = resting(stocked())
    desk.fill("gl-r-1-0-1", "6")
    desk.end("gl-r-1-0-1", "6")
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 4 @ 99.00"]
    assert sent(desk.fill("gl-r-1-0-2")) == ["gl-r-1-1-1 sell 10 @ 100.00"]


def test_a_rest_below_the_minimum_is_not_waited_for() -> None:
    """1 at 99 is under 200, and 9 can be sold: the slot turns with what it has."""
    desk = resting(stocked())
    desk.fill("gl-r-1-0-1", "9")
    assert sent(desk.end("gl-r-1-0-1", "9")) == ["gl-r-1-1-1 sell 9 @ 100.00"]


def test_too_little_to_sell_is_bought_up_to_the_minimum() -> None:
    """1 is held and 9 are missing; later 9 held and 1 missing under a minimum of 3."""
    desk = resting(stocked())
    desk.fill("gl-r-1-0-1", "1")
    desk.end("gl-r-1-0-1", "1")
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 9 @ 99.00"]


def test_the_rest_of_a_cancelled_sell_is_sold_at_the_next_cycle() -> None:
    desk = resting(stocked())
    desk.fill("gl-r-2-0-1", "6")
    assert desk.end("gl-r-2-0-1", "6") == ()
    assert sent(desk.replan()) == ["gl-r-2-0-2 sell 4 @ 101.00"]


def test_an_unsellable_rest_becomes_dust_and_is_sold_with_the_next_cycle() -> None:
    desk = resting(stocked())
    desk.fill("gl-r-2-0-1", "9")
    assert sent(desk.end("gl-r-2-0-1", "9")) == ["gl-r-2-1-1 buy 10 @ 100.00"]
    assert desk.grid.slots[2].dust.quantity == 1
    assert sent(desk.fill("gl-r-2-1-1")) == ["gl-r-2-2-1 sell 11 @ 101.00"]


def test_an_end_that_overtakes_its_trades_waits_for_them() -> None:
    desk = resting(stocked())
    assert desk.end("gl-r-1-0-1", "9") == desk.fill("gl-r-1-0-1", "4") == desk.replan() == ()
    assert sent(desk.fill("gl-r-1-0-1", "5")) == ["gl-r-1-1-1 sell 9 @ 100.00"]


# --- stopping -------------------------------------------------------------------------------------

ALL_FOUR = ["x gl-r-0-0-1", "x gl-r-1-0-1", "x gl-r-2-0-1", "x gl-r-3-0-1"]


def test_a_stop_cancels_all_and_ends_when_all_have_ended() -> None:
    desk = resting(stocked())
    assert sent(desk.stop()) == ALL_FOUR
    for slot in range(3):
        desk.end(f"gl-r-{slot}-0-1")
    assert desk.grid.phase is Phase.STOPPING
    assert sent(desk.replan()) == ["x gl-r-3-0-1"]  # the venue may have lost it
    assert desk.end("gl-r-3-0-1") == ()
    assert desk.grid.phase is Phase.STOPPED and desk.grid.reason == "enough"
    assert {slot.vacancy for slot in desk.grid.slots} == {"the grid is stopped"}
    assert desk.grid.ledger.base_held == 20
    assert desk.replan() == desk.stop(StopPolicy.SELL) == ()


def test_a_fill_during_the_stop_is_booked_and_not_mirrored() -> None:
    desk = resting(stocked())
    desk.stop()
    assert desk.fill("gl-r-1-0-1") == ()
    assert desk.grid.ledger.base_held == 30


def test_a_stop_waits_for_an_unknown_order() -> None:
    desk = resting(stocked())
    desk.fill("gl-r-1-0-1")
    desk.lose("gl-r-1-1-1")
    assert "x gl-r-1-1-1" in sent(desk.stop())
    for slot in (0, 2, 3):
        desk.end(f"gl-r-{slot}-0-1")
    assert desk.grid.phase is Phase.STOPPING
    assert desk.absent("gl-r-1-1-1") == ()
    assert desk.grid.phase is Phase.STOPPED


@pytest.mark.parametrize("answer", ["reject", "end"])
def test_a_stop_waits_for_an_order_that_is_on_its_way(answer: str) -> None:
    desk = stocked()
    desk.stop()
    for slot in range(4):
        assert desk.grid.phase is Phase.STOPPING
        getattr(desk, answer)(f"gl-r-{slot}-0-1")
    assert desk.grid.phase is Phase.STOPPED


def test_a_stop_with_a_sale_empties_the_grid() -> None:
    desk = resting(stocked())
    desk.stop(StopPolicy.SELL)
    for slot in range(3):
        assert desk.end(f"gl-r-{slot}-0-1") == ()
    assert sent(desk.end("gl-r-3-0-1")) == ["gl-r-f-0-1 sell 20 @ market"]
    assert desk.grid.phase is Phase.EMPTYING and not desk.grid.is_over
    assert desk.fill("gl-r-f-0-1", "8") == ()
    assert sent(desk.end("gl-r-f-0-1", "8", VenueStatus.EXPIRED)) == ["gl-r-f-0-2 sell 12 @ market"]
    assert desk.fill("gl-r-f-0-2") == ()
    assert desk.grid.phase is Phase.STOPPED and desk.grid.ledger.base_held == 0


def test_a_final_sale_that_is_refused_is_told() -> None:
    desk = resting(stocked())
    desk.stop(StopPolicy.SELL)
    for slot in range(4):
        desk.end(f"gl-r-{slot}-0-1")
    desk.reject("gl-r-f-0-1", "market_closed")
    assert desk.grid.phase is Phase.STOPPED
    assert desk.grid.reason == "enough; the final sale was refused: market_closed: because"
    assert desk.grid.ledger.base_held == 20


def test_a_final_sale_that_never_arrived_is_sent_again() -> None:
    desk = resting(stocked())
    desk.stop(StopPolicy.SELL)
    for slot in range(4):
        desk.end(f"gl-r-{slot}-0-1")
    desk.lose("gl-r-f-0-1")
    assert sent(desk.absent("gl-r-f-0-1")) == ["gl-r-f-0-2 sell 20 @ market"]


def test_a_final_sale_below_the_minimum_is_kept() -> None:
    spec = replace(FOUR, spacing=None, lower=D(90), upper=D(94))
    desk = Desk(spec)
    desk.fill("gl-r-3-0-1", "1")
    desk.stop(StopPolicy.SELL)
    for slot in range(3):
        desk.end(f"gl-r-{slot}-0-1")
    assert desk.end("gl-r-3-0-1", "1") == ()
    assert desk.grid.phase is Phase.STOPPED and desk.grid.ledger.base_held == 1


@pytest.mark.parametrize("policy", StopPolicy)
def test_a_stop_during_the_purchase_waits_for_it(policy: StopPolicy) -> None:
    desk = Desk()
    desk.lose("gl-r-i-0-1")
    assert desk.stop(policy) == () and desk.grid.phase is Phase.STOPPING
    desk.fill("gl-r-i-0-1", "15")
    orders = sent(desk.end("gl-r-i-0-1", "15", VenueStatus.EXPIRED))
    assert orders == ([] if policy is StopPolicy.KEEP else ["gl-r-f-0-1 sell 15 @ market"])
    assert desk.grid.is_over is (policy is StopPolicy.KEEP)


def test_a_refused_purchase_during_the_stop_just_stops() -> None:
    desk = Desk()
    desk.stop(StopPolicy.SELL)
    assert desk.reject("gl-r-i-0-1") == ()
    assert desk.grid.phase is Phase.STOPPED


# --- the venue changes its rules ------------------------------------------------------------------


def test_a_new_tick_and_lot_hold_for_the_next_orders() -> None:
    desk = resting(stocked())
    rules = replace(RULES, tick_size=D(2), lot_size=D(4))
    assert desk.hand(InstrumentChanged(desk.now(), rules)) == ()
    # A sale at 100 lies on the tick; 10 go down to 8, and 2 wait as dust.
    assert sent(desk.fill("gl-r-1-0-1")) == ["gl-r-1-1-1 sell 8 @ 100.00"]
    # The next buy would be at 99: never nearer to the market, so 98; 10 go down to 8.
    assert sent(desk.fill("gl-r-1-1-1")) == ["gl-r-1-2-1 buy 8 @ 98.00"]
    assert sent(desk.fill("gl-r-1-2-1")) == ["gl-r-1-3-1 sell 8 @ 100.00"]
    assert desk.grid.slots[1].lots.quantity == 10


def test_a_lot_above_the_slots_size_does_not_turn_an_empty_slot() -> None:
    """Nothing was bought: a slot that turned to selling would wait for ever."""
    desk = resting(stocked())
    desk.hand(InstrumentChanged(desk.now(), replace(RULES, lot_size=D(16), min_quantity=D(16))))
    assert desk.end("gl-r-1-0-1") == ()
    assert desk.grid.slots[1].side is Side.BUY
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 16 @ 99.00"]
    assert sent(desk.fill("gl-r-1-0-2")) == ["gl-r-1-1-1 sell 16 @ 100.00"]


def test_a_raised_minimum_is_met_before_the_slot_turns() -> None:
    desk = resting(stocked())
    desk.hand(InstrumentChanged(desk.now(), replace(RULES, min_notional=D(1500))))
    assert desk.fill("gl-r-1-0-1") == ()
    assert "bought less than can be sold" in desk.grid.slots[1].vacancy
    assert sent(desk.replan()) == ["gl-r-1-0-2 buy 16 @ 99.00"]
    assert sent(desk.fill("gl-r-1-0-2")) == ["gl-r-1-1-1 sell 26 @ 100.00"]


# --- money beside trades --------------------------------------------------------------------------


def test_funding_is_booked_once_for_each_id() -> None:
    desk = stocked()
    for funding_id in ("a", "a", "b"):
        desk.hand(FundingPaid(desk.now(), funding_id, "USDT", D("-0.25")))
    assert desk.grid.ledger.part("funding", "USDT") == D("-0.5")


def test_funding_in_base_keeps_the_books_closed() -> None:
    desk = stocked()
    desk.hand(FundingPaid(desk.now(), "a", "XRP", D("0.5")))
    assert desk.grid.ledger.base_held == 20


def test_base_as_the_fee_token_does_not_halt_the_grid() -> None:
    """BNBUSDT with the discount on: the sale's fee comes when the lots are gone."""
    rules = replace(RULES, symbol="BNBUSDT", base="BNB")
    fees = FeeSchedule(D("0.001"), D("0.001"), FeeMode.THIRD, "BNB", D(100))
    spec = replace(FOUR, symbol="BNBUSDT", fees=fees)
    run = PaperRun(rules, {"USDT": D(10000), "BNB": D(5)}, spec)
    run.start(D(100))
    run.settle()
    run.walk(D(98), D(100), D(102), D(100))
    assert run.grid.trade_count > 8 and not run.refused
    assert run.wallet() == run.change()


def test_a_rebate_in_base_is_more_base() -> None:
    fees = FeeSchedule(maker=D("-0.0002"), taker=D("0.001"))
    run = PaperRun(RULES, {"USDT": D(10000)}, replace(FOUR, fees=fees))
    run.start(D(100))
    run.settle()
    run.walk(D(98), D(100), D(102), D(100))
    assert run.wallet() == run.change()
    assert run.grid.ledger.value("fees", {"XRP": D(100)}) > D("-3")


def test_the_orders_of_market_types() -> None:
    desk = Desk()
    orders = desk.fill("gl-r-i-0-1")
    first = desk.start[0]
    assert isinstance(first, PlaceOrder) and first.request.type is OrderType.MARKET
    assert all(
        isinstance(command, PlaceOrder) and command.request.type is OrderType.LIMIT
        for command in orders
    )
