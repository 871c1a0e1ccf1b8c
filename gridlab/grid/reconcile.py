"""How the bot's books and the venue's can differ, and what each difference means.

Pure: two pictures in, events out. The ways they can differ, all of them:

* the venue has trades that we have not booked  ->  `OrderFilled`, before anything else;
* the venue holds an order open that we think is on its way or lost  ->  `OrderAccepted`;
* the venue ended an order that we think is live  ->  `OrderEnded`;
* the venue does not know an order that it never confirmed  ->  nothing here: absence needs proof
  over time, which is the resolver's work;
* the venue does not know an order any more that was open  ->  `forgotten`, once it has said so over
  more than the time in which it may contradict itself;
* the venue has an open order with our prefix that no run of ours holds  ->  a *ghost*: reported,
  and the account needs a person;
* the venue has open orders of other people  ->  *foreign*: reported, never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridlab.domain.events import Event, OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.orders import ClientId, OrderReport, Trade, VenueStatus
from gridlab.grid.lifecycle import Order, OrderState


def differences(order: Order, report: OrderReport, trades: Iterable[Trade]) -> Iterator[Event]:
    """Events that bring `order` to what the venue reports of it, trades first.

    Args:
        trades: the venue's trades of this order; ones already booked give nothing.
    """
    for trade in trades:
        if trade.client_id == order.client_id and trade.trade_id not in order.trades:
            yield OrderFilled(trade.time_ms, trade)
    if report.status.is_open:
        if order.state is not OrderState.OPEN:
            yield OrderAccepted(report.updated_ms, report.client_id, report.order_id)
        return
    yield OrderAccepted(report.created_ms, report.client_id, report.order_id)
    yield OrderEnded(report.updated_ms, report.client_id, report.status, report.executed)


def forgotten(order: Order, trades: Iterable[Trade], time_ms: int) -> Iterator[Event]:
    """The end of an open order that the venue has stopped to know, with what was booked of it.

    Nothing while a trade of it is not booked yet: that comes first.

    Source: USD-M forgets orders that ended untraded after three days, spot archives them after 90;
    the test networks are wiped from time to time.
    """
    unbooked = any(
        trade.client_id == order.client_id and trade.trade_id not in order.trades
        for trade in trades
    )
    if order.state is OrderState.OPEN and not unbooked:
        yield OrderEnded(time_ms, order.client_id, VenueStatus.FORGOTTEN, order.filled)


def strangers(
    open_orders: Iterable[OrderReport], known: frozenset[str]
) -> tuple[tuple[OrderReport, ...], tuple[OrderReport, ...]]:
    """(ghosts, foreign): open orders with our prefix that we do not hold, and everybody else's."""
    unknown = [report for report in open_orders if report.client_id not in known]
    ghosts = tuple(r for r in unknown if ClientId.parse(r.client_id) is not None)
    return ghosts, tuple(r for r in unknown if ClientId.parse(r.client_id) is None)
