"""Why an order was placed, read from the journal: the event it was committed with, and its fate.

The journal holds each event with the commands it caused (law 4), so the cause is not inferred.
Knows no file: the entries are handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import (
    Event,
    GridStarted,
    InstrumentChanged,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Replan,
    StopRequested,
)
from gridlab.domain.orders import (
    FINAL_SELL,
    INITIAL_BUY,
    ClientId,
    OrderRequest,
    Trade,
    VenueStatus,
)
from gridlab.errors import NotFound
from gridlab.grid.preflight import plan_grid, round_profit
from gridlab.llm.tasks.explanation import Cause, Decision, Fate
from gridlab.money import exact, rounding
from gridlab.store.journal import Entry


def decision_of(entries: Iterable[Entry], order: str) -> Decision:
    """The decision to place `order`.

    Args:
        entries: of one run, from its start.
        order: our client id, or the venue's order id.

    Raises:
        NotFound: no such order was placed in these entries.
    """
    reading = _Reading(order)
    for entry in entries:
        reading.take(entry)
    return reading.decision()


class _Reading:
    """What is known of one order while a run's entries pass by."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._by_venue: dict[str, str] = {}
        self._placed: dict[str, tuple[OrderRequest, Event]] = {}
        self._fates: dict[str, Fate] = {}
        self._trades: dict[str, list[Trade]] = {}
        self._before: dict[str, tuple[Trade, ...]] = {}
        self._started: GridStarted | None = None

    def take(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, GridStarted):
            self._started = event
        elif isinstance(event, InstrumentChanged) and self._started is not None:
            self._started = replace(self._started, instrument=event.instrument)
        self._note_fate(event)
        for command in entry.commands:
            if isinstance(command, PlaceOrder):
                cause_id = _client_of(event)
                self._placed[command.client_id] = (command.request, event)
                self._before[command.client_id] = tuple(self._trades.get(cause_id, ()))

    def _note_fate(self, event: Event) -> None:
        client_id = _client_of(event)
        if not client_id:
            return
        match event:
            case OrderAccepted(_, _, order_id):
                self._by_venue[order_id] = client_id
                if self._fates.get(client_id) in (None, Fate.UNKNOWN):
                    self._fates[client_id] = Fate.OPEN
            case OrderFilled(_, trade):
                self._by_venue[trade.order_id] = client_id
                self._trades.setdefault(client_id, []).append(trade)
            case OrderRejected():
                self._fates[client_id] = Fate.REJECTED
            case OrderUnknown():
                self._fates[client_id] = Fate.UNKNOWN
            case OrderAbsent():
                self._fates[client_id] = Fate.ABSENT
            case OrderEnded(_, _, status, _):
                is_filled = status is VenueStatus.FILLED
                self._fates[client_id] = Fate.FILLED if is_filled else Fate.ENDED

    def decision(self) -> Decision:
        client_id = self._by_venue.get(self._order, self._order)
        if client_id not in self._placed or self._started is None:
            raise NotFound(
                f"the journal has no order {self._order[:60]!r} of this run; GET /api/orders and "
                "GET /api/events list them"
            )
        request, event = self._placed[client_id]
        started, trades = self._started, self._trades.get(client_id, [])
        with exact():
            executed = sum((trade.quantity for trade in trades), Decimal(0))
        fate = self._fates.get(client_id, Fate.SENT)
        if executed >= request.quantity:
            fate = Fate.FILLED
        elif executed and fate is Fate.SENT:
            fate = Fate.OPEN
        cause = _cause_of(request, event)
        found = Decision(
            symbol=request.symbol,
            base=started.instrument.base,
            quote=started.instrument.quote,
            client_id=client_id,
            side=request.side,
            price=request.price,
            quantity=request.quantity,
            time_ms=event.time_ms,
            cause=cause,
            fate=fate,
            levels=started.spec.levels,
            executed=executed,
            fills=len(trades),
        )
        return _with_fill(_with_slot(found, started), self._before[client_id])


def _client_of(event: Event) -> str:
    if isinstance(event, OrderFilled):
        return event.trade.client_id
    return str(getattr(event, "client_id", ""))


def _cause_of(request: OrderRequest, event: Event) -> Cause:
    ours = ClientId.parse(request.client_id)
    if ours is not None and ours.slot == FINAL_SELL:
        return Cause.STOP
    match event:
        case GridStarted():
            return Cause.START
        case Replan():
            return Cause.RETRY
        case OrderAbsent():
            return Cause.LOST
        case StopRequested():
            return Cause.STOP
        case OrderFilled() | OrderEnded():
            theirs = ClientId.parse(_client_of(event))
            if ours is None or theirs is None:
                return Cause.OTHER
            if theirs.slot == INITIAL_BUY:
                return Cause.STOCKED
            if theirs.slot == ours.slot:
                return Cause.TURNED if theirs.cycle != ours.cycle else Cause.OTHER
            return Cause.MADE_ROOM
    return Cause.OTHER


def _with_slot(decision: Decision, started: GridStarted) -> Decision:
    """The decision with its slot's lines and what a round of it earns."""
    parsed = ClientId.parse(decision.client_id)
    if parsed is None or parsed.slot < 0:
        return decision
    plan = plan_grid(started.spec, started.instrument, started.reference_price)
    lower, upper = plan.lines[parsed.slot], plan.lines[parsed.slot + 1]
    with exact():
        profit = round_profit(started.spec, lower, upper, decision.quantity)
    return replace(decision, lower=lower, upper=upper, round_profit=profit)


def _with_fill(decision: Decision, trades: tuple[Trade, ...]) -> Decision:
    """The decision with the mean price and the quantity of the fill that caused it."""
    if decision.cause not in (Cause.TURNED, Cause.MADE_ROOM, Cause.STOCKED) or not trades:
        return decision
    with rounding():
        quantity = sum((trade.quantity for trade in trades), Decimal(0))
        price = sum((trade.quote_quantity for trade in trades), Decimal(0)) / quantity
    return replace(decision, cause_price=price, cause_quantity=quantity)
