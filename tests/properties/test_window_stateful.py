"""Windowed grids, spot and futures, on a wire that loses, delays and reorders whatever passes.

The oracles count by the venue's truth and not by the grid's belief: what rests there or may yet
arrive never exceeds the cap, never doubles a slot, and every fill is in the books, of cancelled
orders too.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from slow_wire import SlowWire

from gridlab.domain.account import MarginType, Position
from gridlab.domain.commands import CancelOrder, PlaceOrder
from gridlab.domain.events import (
    Event,
    InstrumentChanged,
    OrderUnknown,
    PositionReported,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import Market
from gridlab.domain.orders import Side
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.grid.engine import Grid, Phase
from gridlab.grid.lifecycle import OrderState
from gridlab.grid.window import Window, mark_position
from gridlab.money import exact, floor_to
from gridlab.testing import strategies as gl
from gridlab.testing.paper_run import PaperRun

D = Decimal


def funds(setting: gl.Setting) -> dict[str, Decimal]:
    """So much that the account never refuses."""
    with exact():
        needed = setting.plan.capital_needed
        return {gl.QUOTE: 10 * needed, gl.TOKEN: 100 * (needed + 1)}


class WindowedGrid(RuleBasedStateMachine):
    """See the module's docstring."""

    market = Market.SPOT
    run: SlowWire
    setting: gl.Setting

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        setting = data.draw(
            gl.settings_that_start(most_levels=20, market=self.market, is_windowed=True)
        )
        self.setting = setting
        self.run = SlowWire(setting.instrument, funds(setting), setting.spec)
        self.late: list[Event] = []
        self.is_orderly = True
        self.run.start(setting.price)
        if data.draw(st.booleans()):
            self.run.settle()

    # --- the market ---

    @rule(data=st.data(), share=st.sampled_from((None, None, D("0.3"), D("1.7"))))
    def walk(self, data: st.DataObject, share: Decimal | None) -> None:
        (price,) = data.draw(gl.paths(self.setting.plan, most=1))
        volume = None if share is None else self.setting.plan.quantity * share
        self.run.book.walk(self.run.symbol, price, self.run.tick(), volume)
        self.run.collect()

    @precondition(lambda self: self.run.resting())
    @rule(data=st.data())
    def venue_ends(self, data: st.DataObject) -> None:
        client_id = data.draw(st.sampled_from(sorted(self.run.resting())))
        self.run.book.cancel(self.run.symbol, client_id, self.run.tick())
        self.run.collect()

    @precondition(lambda self: self.leaving_at_venue())
    @rule(data=st.data(), share=st.sampled_from((D(1), D("0.5"))), is_cancelled=st.booleans())
    def a_leaving_order_trades(
        self, data: st.DataObject, share: Decimal, is_cancelled: bool
    ) -> None:
        """While its cancel travels, an order trades; the cancel may arrive right after."""
        client_id = data.draw(st.sampled_from(self.leaving_at_venue()))
        order = self.run.grid.find(client_id)
        assert order is not None
        part = floor_to(order.request.quantity * share, self.setting.instrument.lot_size)
        if part > 0:
            self.run.book.fill_part(self.run.symbol, client_id, part, self.run.tick())
        if is_cancelled:
            self.run.book.cancel(self.run.symbol, client_id, self.run.tick())
        self.run.collect()

    def leaving_at_venue(self) -> list[str]:
        window, grid = self.run.grid.window, self.run.grid
        resting = self.run.resting()
        return [
            order.client_id
            for index in (window.leaving if window is not None else ())
            if (order := grid.slots[index].order) is not None and order.client_id in resting
        ]

    @rule(data=st.data(), often=st.integers(0, 3))
    def change_limit(self, data: st.DataObject, often: int) -> None:
        if often:
            return
        most = data.draw(st.integers(2, self.setting.spec.levels + 1))
        # The venue's own filter stays wide: what is tested is that nothing needs it.
        rules = replace(self.setting.instrument, max_num_orders=most)
        self.run.hand(InstrumentChanged(self.run.tick(), rules))

    # --- the wire ---

    @precondition(lambda self: self.run.wire)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        self.run.arrive(data.draw(st.integers(0, len(self.run.wire) - 1)))

    @precondition(lambda self: self.run.wire)
    @rule()
    def arrive_all(self) -> None:
        while self.run.wire:
            self.run.arrive()

    @precondition(lambda self: self.run.wire)
    @rule(data=st.data(), is_refused=st.booleans())
    def lose(self, data: st.DataObject, is_refused: bool) -> None:
        place = data.draw(st.integers(0, len(self.run.wire) - 1))
        lose = self.run.refuse if is_refused else self.run.lose
        lose(place)

    @rule()
    def prove_absences(self) -> None:
        self.run.prove_absences()

    @precondition(lambda self: self.run.inbox)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        place = data.draw(st.integers(0, len(self.run.inbox) - 1))
        self.is_orderly = self.is_orderly and place == 0
        event = self.run.inbox.pop(place)
        for _ in range(1 + twice):
            self.run.hand(event)

    @precondition(lambda self: self.run.inbox)
    @rule()
    def deliver_all(self) -> None:
        while self.run.inbox:
            self.run.hand(self.run.inbox.pop(0))

    @precondition(lambda self: self.run.inbox)
    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        self.is_orderly = False
        self.late.append(self.run.inbox.pop(data.draw(st.integers(0, len(self.run.inbox) - 1))))

    @precondition(lambda self: any(True for _ in self.run.grid.live_orders()))
    @rule(data=st.data())
    def doubt(self, data: st.DataObject) -> None:
        orders = [order.client_id for order in self.run.grid.live_orders()]
        client_id = data.draw(st.sampled_from(orders))
        self.run.hand(OrderUnknown(self.run.tick(), client_id, "timeout"))

    # --- time and people ---

    @rule()
    def replan(self) -> None:
        price = self.run.book.price(self.run.symbol)
        assert price is not None
        wanted = self.run.grid.wants_replan
        commands = self.run.hand(Replan(self.run.tick(), price))
        assert wanted or not commands

    @rule(policy=st.sampled_from(StopPolicy), often=st.integers(0, 19))
    def stop(self, policy: StopPolicy, often: int) -> None:
        if often:
            return
        self.run.hand(StopRequested(self.run.tick(), "asked to", policy))

    @rule()
    def calm_down(self) -> None:
        """Everything arrives and is told; within a few cycles the grid is as it should be."""
        self.run.inbox += self.late
        self.late = []
        self.run.settle()
        for _ in range(6):
            if self.run.grid.wants_replan:
                self.run.replan()
        self.judge_calm(self.run.grid)

    def judge_calm(self, grid: Grid) -> None:
        """Nothing is on its way; what is chosen is, on each side, what is nearest of that side."""
        window = grid.window
        if grid.phase is not Phase.RUNNING or window is None:
            return
        assert not window.leaving and not window.is_due and window.excess == 0
        chosen = set(window.chosen())
        assert len(chosen) == min(window.cap, len(grid.slots))
        buys = [slot.index for slot in grid.slots if slot.side is Side.BUY]
        sells = [slot.index for slot in grid.slots if slot.side is Side.SELL]
        near_buys, near_sells = chosen & set(buys), chosen & set(sells)
        assert near_buys == set(buys[len(buys) - len(near_buys) :])
        assert near_sells == set(sells[: len(near_sells)])
        assert bool(buys) is bool(near_buys) and bool(sells) is bool(near_sells)
        position = mark_position(grid.plan.lines, grid.mark)
        if not self.is_orderly:
            return  # a fill that was told late moved the window to where the price had been
        if any(window.distance(index, position) <= 0 for index in chosen):
            return  # the price went by an order that found too little volume; its fill is to come
        for near, far in ((near_buys, near_sells), (near_sells, near_buys)):
            self.judge_balance(grid, window, position, near, far)

    def judge_balance(
        self, grid: Grid, window: Window, position: int, side: set[int], other: set[int]
    ) -> None:
        """No slot outside is nearer, by the slack and what moved since, than one of the others."""
        wants = grid.slots[min(side)].side if side else None
        outside = [
            window.distance(slot.index, position)
            for slot in grid.slots
            if slot.side is wants and slot.index not in side
        ]
        if outside and len(other) > 1:
            farthest = max(window.distance(index, position) for index in other)
            # The price moved on by a grid at most since the fill that moved the window.
            assert farthest - min(outside) < 2 * window.slack + 4

    # --- the oracles ---

    @invariant()
    def no_more_orders_than_the_cap_may_be_live(self) -> None:
        window = self.run.grid.window
        if window is None:
            return
        live = self.run.possibly_live()
        limit = window.cap + window.excess
        assert len(live) <= limit, f"{len(live)} orders, cap {window.cap}: {sorted(live)}"

    @invariant()
    def no_slot_has_two_orders(self) -> None:
        slots = [client_id.split("-")[2] for client_id in self.run.possibly_live()]
        assert len(slots) == len(set(slots))

    @invariant()
    def every_possibly_live_order_is_known(self) -> None:
        known = {order.client_id for order in self.run.grid.live_orders()}
        assert self.run.possibly_live() <= known

    @invariant()
    def no_name_was_given_twice(self) -> None:
        names = [request.client_id for request in self.run.placed]
        assert len(names) == len(set(names))

    @invariant()
    def an_empty_slot_says_why(self) -> None:
        assert all(slot.order is not None or slot.vacancy for slot in self.run.grid.slots)

    @invariant()
    def when_all_is_told_the_books_are_the_account(self) -> None:
        if self.run.inbox or self.late or self.run.wire or self.run.lost:
            return
        assert self.run.wallet() == self.run.change()
        live = {o.client_id for o in self.run.grid.live_orders() if o.state is not OrderState.ENDED}
        assert live == self.run.resting()

    def teardown(self) -> None:
        """Every story ends well, and its journal tells it again."""
        if not hasattr(self, "run"):
            return
        self.release()
        self.calm_down()
        self.run.stop(StopPolicy.SELL)
        for _ in range(3):
            self.run.replan()
        grid = self.run.grid
        assert grid.is_over, grid.phase
        assert not self.run.resting() and not any(True for _ in grid.live_orders())
        assert self.run.wallet() == self.run.change()
        again = Grid()
        assert [again.handle(event) for event in self.run.events] == self.run.commands
        assert again.ledger.lines() == grid.ledger.lines()

    def release(self) -> None:
        """End what would keep the grid from being as it should be."""


class WindowedFutures(WindowedGrid):
    """The same on futures, where the venue's liquidation price comes and goes."""

    market = Market.FUTURES

    @rule(percent=st.sampled_from((None, 1, 9, 10, 11, 12, 13, 60)))
    def report_position(self, percent: int | None) -> None:
        mark = self.run.book.price(self.run.symbol)
        assert mark is not None
        with exact():
            price = None if percent is None else mark * (100 - percent) / 100
        event = PositionReported(self.run.tick(), self.position(mark, price))
        if self.run.grid.is_news(event):
            assert self.run.hand(event) == ()
        else:
            before = self.run.grid.guard.is_on
            self.run.hand(event)
            assert self.run.grid.guard.is_on is before

    def position(self, mark: Decimal, liquidation: Decimal | None) -> Position:
        return Position(
            symbol=self.run.symbol,
            quantity=D(1),
            entry_price=mark,
            mark_price=mark,
            liquidation_price=liquidation,
            leverage=1,
            margin_type=MarginType.ISOLATED,
            updated_ms=self.run.time_ms,
        )

    def release(self) -> None:
        self.report_position(None)

    @invariant()
    def near_liquidation_nothing_is_bought(self) -> None:
        if not self.run.grid.guard.is_on or not self.run.commands:
            return
        for command in self.run.commands[-1]:
            assert isinstance(command, CancelOrder) or command.request.side is Side.SELL

    @invariant()
    def the_position_is_never_short_and_sales_only_reduce(self) -> None:
        assert isinstance(self.run.book, FuturesBook)
        assert self.run.book.position(self.run.symbol).quantity >= 0
        for commands in self.run.commands[-1:]:
            for command in commands:
                if isinstance(command, PlaceOrder):
                    request = command.request
                    assert request.reduce_only is (request.side is Side.SELL)


WindowedGrid.TestCase.settings = settings(max_examples=50, stateful_step_count=40)
WindowedFutures.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestWindowedGrid = pytest.mark.timeout(240)(WindowedGrid.TestCase)
TestWindowedFutures = pytest.mark.timeout(240)(WindowedFutures.TestCase)


# --- a price that moves line by line --------------------------------------------------------------

STEPS = st.lists(st.sampled_from((-1, 1)), min_size=1, max_size=60)


def stroll(setting: gl.Setting, steps: list[int]) -> PaperRun:
    """Walk from line to line, telling everything at each; one grid past either end at most."""
    run = PaperRun(setting.instrument, funds(setting), setting.spec)
    run.start(setting.price)
    run.settle()
    lines, at = setting.plan.lines, setting.plan.empty_line
    for step in steps:
        at = min(max(at + step, 0), len(lines) - 1)
        run.walk(lines[at])
    return run


@given(gl.settings_that_start(most_levels=24, is_windowed=True), STEPS)
@settings(max_examples=100)
def test_a_window_changes_nothing_in_the_books_of_a_price_that_does_not_leap(
    setting: gl.Setting, steps: list[int]
) -> None:
    assume(setting.plan.lines[0] <= setting.price <= setting.plan.lines[-1])
    whole = replace(setting, instrument=replace(setting.instrument, max_num_orders=1000))
    narrow, wide = stroll(setting, steps), stroll(whole, steps)
    assert narrow.grid.trade_count == wide.grid.trade_count
    assert narrow.grid.ledger.lines() == wide.grid.ledger.lines()


@given(gl.settings_that_start(most_levels=24, is_windowed=True), STEPS)
@settings(max_examples=100)
def test_no_more_is_cancelled_than_is_filled(setting: gl.Setting, steps: list[int]) -> None:
    assume(setting.plan.lines[0] <= setting.price <= setting.plan.lines[-1])
    run = stroll(setting, steps)
    cancels = sum(isinstance(c, CancelOrder) for commands in run.commands for c in commands)
    assert cancels <= run.grid.trade_count
