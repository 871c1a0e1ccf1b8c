"""Two pictures of one order in, events out; and whose orders are whose."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, Trade, VenueStatus
from gridlab.grid.lifecycle import Order, OrderState, Signal
from gridlab.grid.reconcile import differences, strangers

D = Decimal
OURS = "gl-r-1-0-1"


def order(*signals: Signal) -> Order:
    made = Order(
        OrderRequest(OURS, "XRPUSDT", Market.SPOT, Side.BUY, OrderType.LIMIT, D(10), D(1)), 5
    )
    for signal in signals:
        made.signal(signal)
    return made


def report(
    status: VenueStatus = VenueStatus.NEW, executed: str = "0", client_id: str = OURS
) -> OrderReport:
    return OrderReport(
        *("7", client_id, "XRPUSDT", Side.BUY, OrderType.LIMIT, D(10), D(executed), status),
        created_ms=100,
        updated_ms=200,
        price=D(1),
    )


def trade(trade_id: int, quantity: str, client_id: str = OURS) -> Trade:
    return Trade(
        *(trade_id, "7", client_id, "XRPUSDT", Side.BUY, D(1), D(quantity), D(0), "XRP"),
        is_maker=True,
        time_ms=150,
    )


@pytest.mark.parametrize("signals", [(), (Signal.LOSE,)])
def test_an_order_on_its_way_or_lost_that_rests_is_accepted(signals: tuple[Signal, ...]) -> None:
    assert list(differences(order(*signals), report(), [])) == [OrderAccepted(200, OURS, "7")]


def test_an_open_order_that_rests_differs_in_nothing() -> None:
    assert list(differences(order(Signal.ACCEPT), report(), [])) == []


def test_trades_come_first_and_known_ones_not_at_all() -> None:
    known = order()
    known.book(trade(1, "3"))
    venue = report(VenueStatus.PARTIALLY_FILLED, "5")
    trades = [trade(1, "3"), trade(2, "2"), trade(3, "9", "gl-r-2-0-1"), trade(4, "9", "else")]
    assert list(differences(known, venue, trades)) == [OrderFilled(150, trade(2, "2"))]


def test_an_end_is_told_after_its_trades() -> None:
    venue = report(VenueStatus.FILLED, "10")
    assert list(differences(order(Signal.LOSE), venue, [trade(1, "10")])) == [
        OrderFilled(150, trade(1, "10")),
        OrderAccepted(100, OURS, "7"),
        OrderEnded(200, OURS, VenueStatus.FILLED, D(10)),
    ]


@pytest.mark.parametrize("status", [VenueStatus.CANCELED, VenueStatus.EXPIRED])
def test_an_order_that_somebody_ended_is_told(status: VenueStatus) -> None:
    events = list(differences(order(Signal.ACCEPT), report(status), []))
    assert events[-1] == OrderEnded(200, OURS, status, D(0))


@pytest.mark.parametrize(
    "signals", [(), (Signal.LOSE,), (Signal.ACCEPT,), (Signal.FILL,), (Signal.END,)]
)
@pytest.mark.parametrize("status", VenueStatus)
def test_what_differs_brings_any_live_order_to_the_venues_picture(
    signals: tuple[Signal, ...], status: VenueStatus
) -> None:
    """Applied to the order, the events leave nothing that differs, and never contradict it."""
    if Signal.END in signals and status.is_open:
        return  # a venue does not open again what it has ended
    executed = {VenueStatus.FILLED: "10", VenueStatus.NEW: "0"}.get(status, "4")
    trades = [trade(1, executed)] if executed != "0" else []
    held = order(*signals)
    for event in differences(held, report(status, executed), trades):
        if isinstance(event, OrderFilled):
            held.book(event.trade)
        elif isinstance(event, OrderAccepted):
            held.signal(Signal.ACCEPT)
        elif isinstance(event, OrderEnded):
            held.end(event.executed)
    assert held.filled == D(executed)
    assert held.state is (OrderState.OPEN if status.is_open else OrderState.ENDED)
    assert held.is_settled is not status.is_open


def test_strangers_are_ghosts_or_foreign() -> None:
    mine, ghost = report(), report(client_id="gl-older-3-0-1")
    purchase = report(client_id="gl-older-i-0-1")
    web = report(client_id="web_1234")
    near = report(client_id="gl-not-ours")
    ghosts, foreign = strangers([mine, web, ghost, near, purchase], frozenset({OURS}))
    assert ghosts == (ghost, purchase)
    assert foreign == (web, near)


def test_no_orders_no_strangers() -> None:
    assert strangers([], frozenset()) == ((), ())
