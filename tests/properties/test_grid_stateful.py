"""A grid against a paper venue that Hypothesis drives: every rule of the house after every step.

The venue fills in part and in whole, cancels and expires of its own accord; its words arrive twice,
out of order, or much later. Nothing else trades on the account, so its change must be the grid's
wallet.
"""

from __future__ import annotations

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

from gridlab.domain.events import Event, InstrumentChanged, OrderUnknown, StopPolicy, StopRequested
from gridlab.grid.invariants import check
from gridlab.grid.lifecycle import OrderState
from gridlab.money import exact
from gridlab.testing import strategies as gl
from gridlab.testing.paper_run import PaperRun

D = Decimal
SMALL = gl.settings_that_start(most_levels=8)


def funds(setting: gl.Setting, share: str = "1", tokens: str = "1") -> dict[str, Decimal]:
    """`share` of what the plan needs, and `tokens` times more fee tokens than fees can use up."""
    needed = setting.plan.capital_needed
    with exact():
        return {gl.QUOTE: needed * D(share), gl.TOKEN: D(tokens) * 100 * (needed + 1)}


class GridOnPaper(RuleBasedStateMachine):
    """See the module's docstring."""

    run: PaperRun
    setting: gl.Setting

    @initialize(
        setting=SMALL,
        share=st.sampled_from(("1", "1", "3", "0.9")),
        tokens=st.sampled_from(("1", "1", "0", "0.00001")),
    )
    def start(self, setting: gl.Setting, share: str, tokens: str) -> None:
        self.setting = setting
        self.run = PaperRun(setting.instrument, funds(setting, share, tokens), setting.spec)
        self.late: list[Event] = []
        self.run.start(setting.price)

    # --- the market ---

    @rule(data=st.data(), share=st.sampled_from((None, D("0.3"), D("1.7"))))
    def walk(self, data: st.DataObject, share: Decimal | None) -> None:
        (price,) = data.draw(gl.paths(self.setting.plan, most=1))
        volume = None if share is None else self.setting.plan.quantity * share
        self.run.book.walk(self.run.symbol, price, self.run.tick(), volume)
        self.run.collect()

    @precondition(lambda self: self.run.resting())
    @rule(data=st.data(), expires=st.booleans())
    def venue_ends(self, data: st.DataObject, expires: bool) -> None:
        client_id = data.draw(st.sampled_from(sorted(self.run.resting())))
        end = self.run.book.expire if expires else self.run.book.cancel
        end(self.run.symbol, client_id, self.run.tick())
        self.run.collect()

    @rule(data=st.data())
    def change_rules(self, data: st.DataObject) -> None:
        """A finer tick and lot, or the first ones again."""
        old = self.setting.instrument
        factor = data.draw(st.sampled_from((D(1), D("0.1"))))
        with exact():
            new = type(old)(
                *(old.symbol, old.market, old.base, old.quote),
                tick_size=old.tick_size * factor,
                lot_size=old.lot_size,
                min_notional=old.min_notional,
                min_quantity=old.min_quantity,
                max_quantity=old.max_quantity,
                min_price=old.min_price,
                max_price=old.max_price,
                max_notional=old.max_notional,
            )
        self.run.book.set_instrument(new)
        self.run.hand(InstrumentChanged(self.run.tick(), new))

    # --- the wire ---

    @precondition(lambda self: self.run.inbox)
    @rule(data=st.data())
    def deliver_one(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.run.inbox) - 1))
        self.run.hand(self.run.inbox.pop(place))

    @precondition(lambda self: self.run.inbox)
    @rule(data=st.data())
    def deliver_twice(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.run.inbox) - 1))
        event = self.run.inbox.pop(place)
        self.run.hand(event)
        self.run.hand(event)

    @precondition(lambda self: self.run.inbox)
    @rule(data=st.data())
    def lose_for_now(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.run.inbox) - 1))
        self.late.append(self.run.inbox.pop(place))

    @rule()
    def deliver_all(self) -> None:
        self.run.inbox += self.late
        self.late = []
        self.run.settle()

    @precondition(lambda self: any(True for _ in self.run.grid.live_orders()))
    @rule(data=st.data())
    def doubt(self, data: st.DataObject) -> None:
        orders = [order.client_id for order in self.run.grid.live_orders()]
        client_id = data.draw(st.sampled_from(orders))
        self.run.hand(OrderUnknown(self.run.tick(), client_id, "timeout"))

    # --- people ---

    @rule()
    def replan(self) -> None:
        self.run.replan()

    @rule(policy=st.sampled_from(StopPolicy), often=st.integers(0, 9))
    def stop(self, policy: StopPolicy, often: int) -> None:
        assume(often == 0)
        self.run.hand(StopRequested(self.run.tick(), "asked to", policy))

    # --- the oracles ---

    @invariant()
    def the_grid_is_sound(self) -> None:
        with exact():
            check(self.run.grid)
        for slot in self.run.grid.slots:
            if slot.order is None:
                assert slot.vacancy

    @invariant()
    def no_name_was_given_twice(self) -> None:
        names = [request.client_id for request in self.run.placed]
        assert len(names) == len(set(names))

    @invariant()
    def no_slot_has_two_orders(self) -> None:
        slots = [client_id.split("-")[2] for client_id in self.run.resting()]
        assert len(slots) == len(set(slots))

    @invariant()
    def every_resting_order_is_known(self) -> None:
        known = {order.client_id for order in self.run.grid.live_orders()}
        assert self.run.resting() <= known

    @invariant()
    def when_all_is_told_the_books_are_the_account(self) -> None:
        if self.run.inbox or self.late:
            return
        assert self.run.wallet() == self.run.change()
        live = {o.client_id for o in self.run.grid.live_orders() if o.state is not OrderState.ENDED}
        assert live == self.run.resting()

    def teardown(self) -> None:
        """Every story ends well: all is told, the grid stops, and nothing of it is left."""
        if not hasattr(self, "run"):
            return
        self.deliver_all()
        self.run.stop(StopPolicy.SELL)
        self.run.replan()
        grid = self.run.grid
        assert grid.is_over, grid.phase
        assert not self.run.resting() and not any(True for _ in grid.live_orders())
        assert self.run.wallet() == self.run.change()


GridOnPaper.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestGridOnPaper = pytest.mark.timeout(120)(GridOnPaper.TestCase)


@given(st.data(), SMALL, st.sampled_from((None, D("0.4"))))
@settings(max_examples=60)
def test_an_audit_changes_nothing(
    data: st.DataObject, setting: gl.Setting, share: Decimal | None
) -> None:
    path = data.draw(gl.paths(setting.plan, most=15))
    volume = None if share is None else setting.plan.quantity * share
    runs = []
    for audit in (True, False):
        run = PaperRun(setting.instrument, funds(setting), setting.spec, audit)
        run.start(setting.price)
        run.settle()
        for price in path:
            run.walk(price, volume=volume)
            run.replan()
        run.stop(StopPolicy.SELL)
        runs.append(run)
    audited, plain = runs
    assert audited.commands == plain.commands
    assert audited.grid.ledger.lines() == plain.grid.ledger.lines()
    with exact():
        check(plain.grid)


@given(st.data(), SMALL)
@settings(max_examples=60)
def test_the_same_events_give_the_same_commands_to_a_new_grid(
    data: st.DataObject, setting: gl.Setting
) -> None:
    run = PaperRun(setting.instrument, funds(setting), setting.spec)
    run.start(setting.price)
    run.settle()
    run.walk(*data.draw(gl.paths(setting.plan, most=15)))
    run.stop()
    again = type(run.grid)()
    assert [again.handle(event) for event in run.events] == run.commands
    assert again.ledger.lines() == run.grid.ledger.lines()


@given(st.data(), SMALL)
@settings(max_examples=60)
def test_news_alone_leads_to_the_same_grid(data: st.DataObject, setting: gl.Setting) -> None:
    """A shell that journals only what `is_news` says loses nothing."""
    run = PaperRun(setting.instrument, funds(setting), setting.spec)
    run.start(setting.price)
    run.settle()
    run.walk(*data.draw(gl.paths(setting.plan, most=10)))
    again = type(run.grid)()
    commands = list(again.handle(run.events[0]))
    for event in run.events[1:]:
        for _ in range(2):
            if again.is_news(event):
                commands += again.handle(event)
    assert commands == [command for answer in run.commands for command in answer]
    assert again.ledger.lines() == run.grid.ledger.lines()
