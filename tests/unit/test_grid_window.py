"""The order window: which slots rest when the venue takes fewer orders than the grid has slots."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from grid_desk import FOUR, RULES, Desk, resting, sent, stocked

from gridlab.domain.events import InstrumentChanged, OrderFilled, StopPolicy
from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvariantError
from gridlab.grid.engine import Phase
from gridlab.grid.invariants import check, violations
from gridlab.grid.window import Place, Window, cap_of, fits_whole, mark_position
from gridlab.testing.paper_run import PaperRun

D = Decimal
#: Lines 90 to 110; slots 0 to 9 buy at 90 to 99, slots 10 to 19 sell at 101 to 110.
TWENTY = replace(FOUR, levels=20)
#: 11 at the venue less the reserve are 6: three on each side, and a slack of one grid.
ELEVEN = replace(RULES, max_num_orders=11)
#: Lines 80 to 120; 16 orders and a slack of two grids.
FORTY = replace(FOUR, levels=40)
TWENTY_ONE = replace(RULES, max_num_orders=21)
BEYOND = "beyond the venue's cap of 11 open orders; placed when the price comes nearer"


def windowed(spec: GridSpec = TWENTY, rules: Instrument = ELEVEN) -> Desk:
    """A running grid whose window's orders all rest."""
    return resting(stocked(spec, rules))


def live(desk: Desk) -> list[int]:
    """Slots that have an order, ascending."""
    return [slot.index for slot in desk.grid.slots if slot.order is not None]


def held_open(desk: Desk, index: int) -> str:
    order = desk.grid.slots[index].order
    assert order is not None
    return order.client_id


# --- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "slots", "fits", "cap"),
    [(200, 200, True, 195), (200, 201, False, 195), (7, 8, False, 2), (6, 8, False, 2)],
)
def test_the_cap_is_the_limit_less_a_reserve(limit: int, slots: int, fits: bool, cap: int) -> None:
    rules = replace(RULES, max_num_orders=limit)
    assert fits_whole(slots, rules) is fits and cap_of(rules) == cap


@pytest.mark.parametrize(
    ("mark", "position"),
    [("1", -1), ("10", 0), ("10.5", 1), ("11", 2), ("12", 4), ("12.1", 5), ("99", 5)],
)
def test_where_the_mark_lies_among_the_lines(mark: str, position: int) -> None:
    assert mark_position((D(10), D(11), D(12)), D(mark)) == position


def fill(window: Window, position: int) -> list[int]:
    """Choose slots for all the room there is, in the window's order."""
    window.rebalance(position)
    taken = []
    while window.room > 0 and (index := window.next_in(position)) is not None:
        window.take(index)
        taken.append(index)
    return taken


def test_what_would_trade_at_once_is_nearest() -> None:
    window = Window(4, [Side.SELL, Side.SELL, Side.BUY, Side.BUY])
    # At line 3: the sale of slot 0 rests on line 1, two grids under the mark.
    assert [window.distance(i, 6) for i in range(4)] == [-4, -2, 2, 0]
    assert fill(window, 6) == [0, 1, 3, 2]


def test_the_nearest_are_chosen_from_both_sides() -> None:
    window = Window(5, [Side.BUY] * 5 + [Side.SELL] * 5)
    assert fill(window, 10) == [4, 5, 3, 6, 2]
    assert not window.has_next() and list(window.chosen()) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("position", [-1, 7, 15])
def test_no_side_is_left_without_an_order(position: int) -> None:
    """A price that could leave on a bare side would be followed by nobody."""
    window = Window(2, [Side.BUY] * 4 + [Side.SELL] * 4)
    assert sorted(fill(window, position)) == [3, 4]


def test_a_grid_that_wants_one_side_only_gives_it_all() -> None:
    window = Window(3, [Side.BUY] * 6)
    assert fill(window, 20) == [5, 4, 3]


def test_a_nearer_slot_of_the_same_side_needs_no_slack() -> None:
    """Slot 5 comes back from where it was cancelled; the farther slot 6 gives way."""
    window = Window(16, [Side.SELL] * 20)
    fill(window, -1)
    window.dismiss(5, has_order=True)
    assert window.next_in(-1) == 16 and window.room == 0
    window.release(5)
    assert fill(window, -1) == [5]


# --- starting -------------------------------------------------------------------------------------


def test_a_grid_that_fits_the_venues_limit_has_no_window() -> None:
    desk = stocked(replace(FOUR, levels=11), ELEVEN)
    assert desk.grid.window is None and live(desk) == list(range(11))


def test_the_nearest_are_placed_nearest_first_and_the_others_say_why_not() -> None:
    desk = Desk(TWENTY, ELEVEN)
    assert {slot.vacancy for slot in desk.grid.slots} == {"waiting for the initial purchase"}
    assert sent(desk.fill("gl-r-i-0-1")) == [
        "gl-r-9-0-1 buy 10 @ 99.00",
        "gl-r-10-0-1 sell 10 @ 101.00",
        "gl-r-8-0-1 buy 10 @ 98.00",
        "gl-r-11-0-1 sell 10 @ 102.00",
        "gl-r-7-0-1 buy 10 @ 97.00",
        "gl-r-12-0-1 sell 10 @ 103.00",
    ]
    assert {s.vacancy for s in desk.grid.slots if s.order is None} == {BEYOND}
    assert not desk.grid.wants_replan and desk.replan() == ()


def test_the_whole_grid_is_stocked_whatever_the_window() -> None:
    assert sent(Desk(TWENTY, ELEVEN).start) == ["gl-r-i-0-1 buy 100 @ market"]


# --- following the price --------------------------------------------------------------------------


def test_a_near_order_is_placed_when_the_far_one_has_provably_ended() -> None:
    desk = windowed()
    assert sent(desk.fill("gl-r-9-0-1")) == ["gl-r-9-1-1 sell 10 @ 100.00", "x gl-r-12-0-1"]
    assert live(desk) == [7, 8, 9, 10, 11, 12]
    assert sent(desk.end("gl-r-12-0-1")) == ["gl-r-6-0-1 buy 10 @ 96.00"]
    assert live(desk) == [6, 7, 8, 9, 10, 11] and desk.grid.slots[12].vacancy == BEYOND


def test_a_price_that_runs_moves_one_order_for_each_fill() -> None:
    desk = windowed(FORTY, TWENTY_ONE)
    rows = []
    for slot in range(19, 11, -1):
        rows.append(sent(resting(desk).fill(f"gl-r-{slot}-0-1")))
        for index in desk.grid.window.leaving[:] if desk.grid.window else []:
            desk.end(held_open(desk, index))
    # Two grids of slack: the first fill moves nothing, every later one moves one order.
    assert [len(row) for row in rows] == [1] + [2] * 7
    assert live(desk) == [*range(5, 21)]


def test_a_price_that_goes_to_and_fro_within_the_slack_moves_nothing() -> None:
    desk = windowed(FORTY, TWENTY_ONE)
    desk.fill("gl-r-19-0-1")
    for cycle in range(1, 30):
        side = "sell" if cycle % 2 else "buy"
        resting(desk)
        (row,) = sent(desk.fill(f"gl-r-19-{cycle}-1"))
        assert row.split()[1] != side
    assert live(desk) == [*range(12, 28)]


def test_a_price_that_comes_back_takes_back_nothing_twice() -> None:
    """Down four lines and up again: each line that is passed moves at most one order."""
    desk = windowed(FORTY, TWENTY_ONE)
    cancels = 0
    path = [(19, 0), (18, 0), (17, 0), (16, 0), (16, 1), (17, 1), (18, 1), (19, 1)]
    for slot, cycle in path:
        rows = sent(resting(desk).fill(f"gl-r-{slot}-{cycle}-1"))
        gone = [row.split()[1] for row in rows if row.startswith("x ")]
        assert len(gone) <= 1
        for client_id in gone:
            desk.end(client_id)
        cancels += len(gone)
    assert cancels <= 6 and len(live(desk)) == 16


def test_a_leap_over_the_whole_side_moves_the_window_at_once() -> None:
    run = PaperRun(ELEVEN, {"USDT": D(100000)}, TWENTY)
    run.start(D(100))
    run.settle()
    run.walk(D(91))
    assert [s.index for s in run.grid.slots if s.side is Side.SELL] == list(range(1, 20))
    assert live_slots(run) == [0, 1, 2, 3, 4, 5]
    run.walk(D(109))
    assert live_slots(run) == [14, 15, 16, 17, 18, 19]
    assert run.wallet() == run.change()


def live_slots(run: PaperRun) -> list[int]:
    return sorted(int(client_id.split("-")[2]) for client_id in run.resting())


# --- races ----------------------------------------------------------------------------------------


def test_an_order_that_fills_while_it_is_cancelled_is_mirrored_where_the_price_is() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    before = desk.grid.ledger.grid_profit
    # The price leapt up before the cancel of the sale at 103 arrived.
    rows = sent(desk.fill("gl-r-12-0-1"))
    assert desk.grid.ledger.grid_profit - before == 10 * (103 - 100)
    # Two far buys leave for the two sales above; the mirror takes the room of the filled order.
    assert rows == ["x gl-r-7-0-1", "x gl-r-8-0-1", "gl-r-12-1-1 buy 10 @ 102.00"]
    assert desk.end("gl-r-12-0-1", "10") == ()  # the cancel's answer, late


def test_part_of_an_order_that_fills_while_it_is_cancelled_is_kept() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    assert desk.fill("gl-r-12-0-1", "4") == ()
    assert desk.end("gl-r-12-0-1", "4") != ()
    slot = desk.grid.slots[12]
    assert slot.side is Side.SELL and slot.lots.quantity == 6


def test_an_end_that_is_told_before_its_trades_makes_no_room() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    assert desk.end("gl-r-12-0-1", "4") == ()
    # The trade says that the price is at 103: the rest of this sale is near again, a buy is far.
    assert sent(desk.fill("gl-r-12-0-1", "4")) == ["x gl-r-7-0-1", "gl-r-12-0-2 sell 6 @ 103.00"]


def test_a_fill_that_is_told_late_does_not_move_the_window_back() -> None:
    desk = windowed()
    early = desk.grid.find("gl-r-8-0-1")
    assert early is not None
    desk.trades = 10
    assert "x gl-r-7-0-1" in sent(desk.fill("gl-r-10-0-1"))  # at 101
    late = desk.trade(5, early.request, D(10), D(98))
    rows = sent(desk.hand(OrderFilled(desk.now(), late)))
    # The slot turns as ever, and nothing above leaves for buys below 98.
    assert rows[0] == "gl-r-8-1-1 sell 10 @ 99.00" and desk.grid.mark == 101
    assert not [row for row in rows if row.startswith("x gl-r-1")]


def test_a_cancel_without_an_answer_holds_its_room_and_is_asked_again() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    for _ in range(3):
        assert desk.grid.wants_replan
        assert sent(desk.replan("99")) == ["x gl-r-12-0-1"]
    assert sent(desk.end("gl-r-12-0-1")) == ["gl-r-6-0-1 buy 10 @ 96.00"]
    assert not desk.grid.wants_replan


def test_nothing_on_its_way_is_cancelled_and_the_next_cycle_goes_on() -> None:
    desk = stocked(TWENTY, ELEVEN)  # nothing has been accepted
    assert sent(desk.fill("gl-r-9-0-1")) == ["gl-r-9-1-1 sell 10 @ 100.00"]
    assert desk.grid.wants_replan
    desk.accept("gl-r-12-0-1")
    assert sent(desk.replan("99")) == ["x gl-r-12-0-1"]


def test_an_unknown_order_is_passed_over_for_the_next_farthest() -> None:
    desk = stocked(TWENTY, ELEVEN)
    for slot in (7, 8, 10, 11):
        desk.accept(f"gl-r-{slot}-0-1")
    desk.lose("gl-r-12-0-1")
    # Two buys are filled: the sale at 102 is four grids away, the missing buy at 96 two.
    desk.fill("gl-r-9-0-1")
    rows = sent(desk.fill("gl-r-8-0-1"))
    assert "x gl-r-11-0-1" in rows and "x gl-r-12-0-1" not in rows
    assert desk.grid.wants_replan


def test_a_refused_near_order_keeps_its_place_and_is_tried_each_cycle() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    desk.end("gl-r-12-0-1")
    assert desk.reject("gl-r-6-0-1", "insufficient_balance") == ()
    for attempt in range(2, 5):
        assert desk.grid.wants_replan
        assert sent(desk.replan("99")) == [f"gl-r-6-0-{attempt} buy 10 @ 96.00"]
        desk.reject(f"gl-r-6-0-{attempt}")
    assert live(desk) == [7, 8, 9, 10, 11]


def test_a_chosen_slot_without_an_order_leaves_at_once() -> None:
    desk = windowed()
    desk.end("gl-r-12-0-1")  # somebody else cancelled it; it waits for the next cycle
    assert sent(desk.fill("gl-r-9-0-1")) == [
        "gl-r-9-1-1 sell 10 @ 100.00",
        "gl-r-6-0-1 buy 10 @ 96.00",
    ]
    assert desk.grid.slots[12].vacancy == BEYOND


def test_an_order_that_never_arrived_is_placed_again_only_inside_the_window() -> None:
    desk = stocked(TWENTY, ELEVEN)
    desk.lose("gl-r-12-0-1")
    assert sent(desk.absent("gl-r-12-0-1")) == ["gl-r-12-0-2 sell 10 @ 103.00"]


@pytest.mark.parametrize("policy", StopPolicy)
def test_a_stop_during_a_shift_waits_for_every_order(policy: StopPolicy) -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    resting(desk)
    rows = sent(desk.stop(policy))
    assert rows == [f"x {held_open(desk, index)}" for index in (7, 8, 9, 10, 11, 12)]
    ids = [held_open(desk, index) for index in (12, 7, 8, 9, 10, 11)]
    for client_id in ids[:-1]:
        assert desk.end(client_id) == ()
    last = desk.end(ids[-1])
    assert sent(last) == (["gl-r-f-0-1 sell 110 @ market"] if policy is StopPolicy.SELL else [])
    assert desk.grid.is_over is (policy is StopPolicy.KEEP)


def test_a_leaving_order_that_fills_during_the_stop_is_booked() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    desk.stop()
    assert desk.fill("gl-r-12-0-1") == ()
    assert desk.grid.phase is Phase.STOPPING and desk.grid.ledger.base_held == 100


# --- the venue changes its limit ------------------------------------------------------------------


def test_a_lowered_limit_cancels_the_farthest_and_a_raised_one_fills_up() -> None:
    desk = windowed()
    eight = replace(ELEVEN, max_num_orders=8)  # three orders
    assert sent(desk.hand(InstrumentChanged(desk.now(), eight))) == [
        "x gl-r-7-0-1",
        "x gl-r-12-0-1",
        "x gl-r-8-0-1",
    ]
    # Above the cap nothing is placed, not even a mirror.
    assert desk.fill("gl-r-10-0-1") == ()
    assert desk.end("gl-r-7-0-1") == desk.end("gl-r-12-0-1") == ()
    assert sent(desk.end("gl-r-8-0-1")) == ["gl-r-10-1-1 buy 10 @ 100.00"]
    assert live(desk) == [9, 10, 11]
    assert len(desk.hand(InstrumentChanged(desk.now(), ELEVEN))) == 3
    assert live(desk) == [8, 9, 10, 11, 12, 13]


def test_a_limit_that_falls_on_a_whole_grid_gives_it_a_window() -> None:
    desk = resting(stocked(replace(FOUR, levels=11), ELEVEN))
    nine = replace(ELEVEN, max_num_orders=9)
    # Lines 94 to 105: the empty one is the sixth, so buys reach farther down than sales up.
    cancels = sent(desk.hand(InstrumentChanged(desk.now(), nine)))
    assert len(cancels) == 7 and cancels[0] == "x gl-r-0-0-1"
    for row in cancels:
        desk.end(row.split()[1])
    assert len(live(desk)) == 4
    assert desk.grid.window is not None and desk.grid.window.excess == 0


def test_a_limit_that_takes_all_ends_the_window() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    desk.hand(InstrumentChanged(desk.now(), RULES))
    assert desk.grid.window is None and desk.grid.wants_replan
    assert len(desk.replan("99")) == 14
    # The order that was leaving is cancelled; it comes back at the next cycle, as any other.
    assert desk.end("gl-r-12-0-1") == ()
    assert sent(desk.replan("99")) == ["gl-r-12-0-2 sell 10 @ 103.00"]


def test_a_limit_that_changes_during_the_purchase_counts_at_the_opening() -> None:
    desk = Desk(TWENTY, RULES)
    assert desk.hand(InstrumentChanged(desk.now(), ELEVEN)) == ()
    assert len(desk.fill("gl-r-i-0-1")) == 6


# --- the invariants see what they forbid ----------------------------------------------------------


def test_an_order_before_its_room_is_proved_is_found() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    assert desk.grid.window is not None
    desk.grid.window.take(6)
    with pytest.raises(InvariantError, match="6 slots are chosen and 1 leave; the cap is 6"):
        check(desk.grid)


def test_a_forgotten_leaving_order_is_found() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    desk.grid.slots[12].order = None
    assert "slot 12 leaves the window and has no order" in " ".join(violations(desk.grid))


def test_an_order_outside_the_window_is_found() -> None:
    desk = windowed()
    assert desk.grid.window is not None
    desk.grid.window.dismiss(12, has_order=False)
    assert "slot 12 is outside the window and holds" in " ".join(violations(desk.grid))


def test_a_window_that_mistakes_a_side_is_found() -> None:
    desk = windowed()
    assert desk.grid.window is not None
    desk.grid.window.turn(3, Side.SELL)
    found = " ".join(violations(desk.grid))
    assert "the window's outside buys are" in found and "the window's outside sells are" in found


def test_an_older_id_in_a_slot_is_found() -> None:
    desk = windowed()
    desk.grid.slots[9].attempt += 1
    assert "slot 9 holds order gl-r-9-0-1, and gave one" in " ".join(violations(desk.grid))


def test_places_are_told() -> None:
    desk = windowed()
    desk.fill("gl-r-9-0-1")
    window = desk.grid.window
    assert window is not None
    assert [window.place_of(i) for i in (9, 12, 13)] == [
        Place.CHOSEN,
        Place.LEAVING,
        Place.OUTSIDE,
    ]
