"""However the venue tells a story, in any order and often: the grid ends in the same place."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.commands import Command
from gridlab.domain.events import (
    Event,
    GridStarted,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderUnknown,
    Replan,
)
from gridlab.domain.market import FeeSchedule, Instrument, Market
from gridlab.domain.orders import Side, Trade, VenueStatus
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.grid.engine import Grid

D = Decimal
RULES = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.1"),
    min_notional=D(200),
    min_quantity=D("0.1"),
    max_quantity=D(100000),
    min_price=D("0.01"),
    max_price=D(100000),
)
FOUR = GridSpec(
    "XRPUSDT",
    4,
    spacing=D("0.01"),
    quantity=D(10),
    mode=Spacing.ARITHMETIC,
    fees=FeeSchedule(),
)
BUY, SELL = "gl-r-1-0-1", "gl-r-2-0-1"


def bought(trade_id: int, client_id: str, price: str, quantity: str, fee: str) -> OrderFilled:
    side = Side.SELL if client_id == SELL else Side.BUY
    asset = "USDT" if side is Side.SELL else "XRP"
    return OrderFilled(
        50,
        Trade(
            *(trade_id, "9", client_id, "XRPUSDT", side, D(price), D(quantity), D(fee), asset),
            is_maker=True,
            time_ms=50,
        ),
    )


def running() -> Grid:
    grid = Grid()
    grid.handle(GridStarted(1, "r", FOUR, RULES, D(100)))
    grid.handle(bought(1, "gl-r-i-0-1", "100", "20.1", "0.0201"))
    return grid


def accepted(client_id: str) -> OrderAccepted:
    return OrderAccepted(50, client_id, "9")


def ended(client_id: str, executed: str) -> OrderEnded:
    status = VenueStatus.FILLED if executed == "10" else VenueStatus.CANCELED
    return OrderEnded(50, client_id, status, D(executed))


#: Complete stories of one order: what the venue says of it, in the order of the facts.
STORIES: dict[str, tuple[Event, ...]] = {
    "a buy, filled in one": (
        accepted(BUY),
        bought(2, BUY, "99", "10", "0.01"),
        ended(BUY, "10"),
    ),
    "a buy, filled in three": (
        accepted(BUY),
        bought(2, BUY, "99", "3", "0.003"),
        bought(3, BUY, "99", "3", "0.003"),
        bought(4, BUY, "99", "4", "0.004"),
        ended(BUY, "10"),
    ),
    "a buy, cancelled untouched": (accepted(BUY), ended(BUY, "0")),
    "a buy, cancelled half way": (
        accepted(BUY),
        bought(2, BUY, "99", "2", "0.002"),
        bought(3, BUY, "99", "3", "0.003"),
        ended(BUY, "5"),
    ),
    "a buy, cancelled just before its end": (
        accepted(BUY),
        bought(2, BUY, "99", "9.5", "0.0095"),
        ended(BUY, "9.5"),
    ),
    "a sell, filled in two, in doubt between": (
        accepted(SELL),
        bought(2, SELL, "101", "4", "0.404"),
        OrderUnknown(50, SELL, "timeout"),
        bought(3, SELL, "101", "6", "0.606"),
        ended(SELL, "10"),
    ),
    "a sell, cancelled half way": (
        accepted(SELL),
        bought(2, SELL, "101", "4", "0.404"),
        ended(SELL, "4"),
    ),
    "a sell, cancelled just before its end": (
        accepted(SELL),
        bought(2, SELL, "101", "9.5", "0.9595"),
        ended(SELL, "9.5"),
    ),
}


def tell(story: Sequence[Event]) -> tuple[list[Command], tuple[object, ...]]:
    """The commands, one cycle included, and everything that is left of the story in the grid."""
    grid = running()
    commands = [command for event in story for command in grid.handle(event)]
    commands += grid.handle(Replan(60, D(100)))
    slots = tuple(
        (
            *(slot.side, slot.cycle, slot.attempt, slot.bought, slot.vacancy),
            *(slot.lots.quantity, slot.lots.cost, slot.dust.quantity, slot.dust.cost),
            None if slot.order is None else (slot.order.request, slot.order.state),
        )
        for slot in grid.slots
    )
    return commands, (slots, grid.ledger.lines(), grid.trade_count, grid.phase)


@pytest.mark.parametrize("name", STORIES)
def test_every_order_of_telling_ends_alike(name: str) -> None:
    story = STORIES[name]
    told = tell(story)
    for other in permutations(story):
        assert tell(other) == told


@given(st.data(), st.sampled_from(sorted(STORIES)))
def test_repeats_change_nothing(data: st.DataObject, name: str) -> None:
    story = STORIES[name]
    repeats = data.draw(st.lists(st.sampled_from(story), max_size=8))
    shuffled = data.draw(st.permutations([*story, *repeats]))
    assert tell(shuffled) == tell(story)


@given(st.data())
def test_two_stories_at_once_do_not_disturb_each_other(data: st.DataObject) -> None:
    buy = STORIES["a buy, filled in three"]
    sell = STORIES["a sell, cancelled half way"]
    # The venue counts trades over the whole symbol; the sell's are renumbered.
    sell = (sell[0], bought(9, SELL, "101", "4", "0.404"), *sell[2:])
    together = data.draw(st.permutations([*buy, *sell]))
    grid, plain = running(), running()
    for event in together:
        grid.handle(event)
    for event in (*buy, *sell):
        plain.handle(event)
    assert grid.ledger.grid_profit == plain.ledger.grid_profit
    assert grid.ledger.lines() == plain.ledger.lines()
    assert [s.side for s in grid.slots] == [s.side for s in plain.slots]
