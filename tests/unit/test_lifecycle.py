"""The life-cycle table itself, and what one order makes of it."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, Trade
from gridlab.errors import InvariantError, LifecycleError
from gridlab.grid.lifecycle import TRANSITIONS, Order, OrderState, Signal

D = Decimal
S, G = OrderState, Signal

#: The theory once more, written by state: what each signal leads to, and nothing else is known.
EXPECTED = {
    S.SUBMITTED: {
        G.ACCEPT: S.OPEN,
        G.REJECT: S.REJECTED,
        G.LOSE: S.UNKNOWN,
        G.FILL: S.OPEN,
        G.END: S.ENDED,
    },
    S.UNKNOWN: {
        G.ACCEPT: S.OPEN,
        G.REJECT: S.REJECTED,
        G.LOSE: S.UNKNOWN,
        G.PROVE_ABSENT: S.ABSENT,
        G.FILL: S.OPEN,
        G.END: S.ENDED,
    },
    S.OPEN: {G.ACCEPT: S.OPEN, G.LOSE: S.OPEN, G.FILL: S.OPEN, G.END: S.ENDED},
    S.ENDED: {G.ACCEPT: S.ENDED, G.LOSE: S.ENDED, G.FILL: S.ENDED, G.END: S.ENDED},
    S.REJECTED: {G.REJECT: S.REJECTED, G.LOSE: S.REJECTED},
    S.ABSENT: {G.PROVE_ABSENT: S.ABSENT, G.LOSE: S.ABSENT},
}
MISSING = sorted(set(product(S, G)) - {(s, g) for s, known in EXPECTED.items() for g in known})


def an_order(quantity: str = "10") -> Order:
    request = OrderRequest(
        "gl-r-0-0-1", "XRPUSDT", Market.SPOT, Side.BUY, OrderType.LIMIT, D(quantity), D(1)
    )
    return Order(request, 5)


def in_state(state: OrderState) -> Order:
    order = an_order()
    order.state = state
    return order


def trade(trade_id: int, quantity: str) -> Trade:
    return Trade(
        trade_id, "7", "gl-r-0-0-1", "XRPUSDT", Side.BUY, D(1), D(quantity), D(0), "XRP", True, 9
    )


def test_the_table_is_the_theory() -> None:
    known = {(s, g): then for s, signals in EXPECTED.items() for g, then in signals.items()}
    assert known == TRANSITIONS


@pytest.mark.parametrize(("state", "signal"), sorted(TRANSITIONS))
def test_every_known_pair_moves_the_order(state: OrderState, signal: Signal) -> None:
    order = in_state(state)
    order.signal(signal)
    assert order.state is TRANSITIONS[state, signal]


@pytest.mark.parametrize(("state", "signal"), MISSING)
def test_every_missing_pair_raises_and_changes_nothing(state: OrderState, signal: Signal) -> None:
    order = in_state(state)
    with pytest.raises(LifecycleError, match=f"is {state} and was told to {signal}"):
        order.signal(signal)
    assert order.state is state


def test_doubt_is_never_left_by_itself() -> None:
    order = in_state(S.UNKNOWN)
    for _ in range(3):
        order.signal(G.LOSE)
    assert order.state is S.UNKNOWN
    assert order.may_be_live and not order.is_settled


@pytest.mark.parametrize(
    ("state", "live"),
    [(S.SUBMITTED, True), (S.UNKNOWN, True), (S.OPEN, True)]
    + [(S.ENDED, False), (S.REJECTED, False), (S.ABSENT, False)],
)
def test_which_states_may_be_live(state: OrderState, live: bool) -> None:
    assert in_state(state).may_be_live is live


def test_partial_fills_add_up_and_the_last_one_settles() -> None:
    order = an_order()
    assert order.book(trade(1, "4")) and not order.is_settled
    assert (order.filled, order.remaining, order.state) == (D(4), D(6), S.OPEN)
    assert order.book(trade(2, "6")) and order.is_settled


def test_a_repeated_trade_is_no_trade() -> None:
    order = an_order()
    assert order.book(trade(1, "4"))
    assert not order.book(trade(1, "4"))
    assert order.filled == 4


def test_an_end_waits_for_its_trades() -> None:
    order = an_order()
    order.end(D(7))
    assert order.state is S.ENDED and not order.is_settled
    order.book(trade(1, "3"))
    assert not order.is_settled
    order.book(trade(2, "4"))
    assert order.is_settled


def test_an_end_without_any_trade_settles_at_once() -> None:
    order = an_order()
    order.end(D(0))
    assert order.is_settled


def test_more_trades_than_were_asked_for_raise() -> None:
    order = an_order()
    order.book(trade(1, "9"))
    with pytest.raises(InvariantError, match="no order trades more than it asks"):
        order.book(trade(2, "2"))


def test_more_trades_than_the_venue_executed_raise() -> None:
    order = an_order()
    order.end(D(3))
    with pytest.raises(InvariantError, match="3 executed"):
        order.book(trade(1, "4"))


def test_an_end_below_what_is_booked_raises() -> None:
    order = an_order()
    order.book(trade(1, "4"))
    with pytest.raises(InvariantError, match="no order trades more"):
        order.end(D(3))


def test_an_end_above_the_order_raises() -> None:
    with pytest.raises(InvariantError, match="no order trades more"):
        an_order().end(D(11))


def test_two_different_ends_raise_and_two_equal_ones_do_not() -> None:
    order = an_order()
    order.end(D(3))
    order.end(D(3))
    with pytest.raises(InvariantError, match="ended with 3 executed, and later with 4"):
        order.end(D(4))


@pytest.mark.parametrize("state", [S.REJECTED, S.ABSENT])
def test_a_dead_order_neither_trades_nor_ends(state: OrderState) -> None:
    order = in_state(state)
    assert order.is_settled
    with pytest.raises(LifecycleError):
        order.book(trade(1, "1"))
    with pytest.raises(LifecycleError):
        order.end(D(0))
    assert order.filled == 0 and order.executed is None
