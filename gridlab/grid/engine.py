"""`Grid`: one grid's whole behaviour, as a function of the events it is handed.

``handle(event)`` returns the commands that the event causes. Nothing else changes a grid, nothing
else makes it speak, and the same events give the same commands for ever; so a backtest, a replay, a
shadow run and a live run of one grid are the same run of this class, and a journal of its events is
the grid. Raises `BugError` when the venue or we contradict ourselves; the shell then halts it.

Phases: STOCKING buys the base that the sells need, RUNNING keeps every slot's order resting,
STOPPING waits until every order has provably ended, EMPTYING sells what is held if asked to. A
futures grid is the same grid, long only: the purchase opens the position, and sales only reduce it.

This module says whose an event is and whether it is news. What follows from it is said in `trading`
(slots), `shifting` (the order window), `errand` (market orders) and `stopping`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar

from gridlab.domain.commands import Command
from gridlab.domain.events import (
    Event,
    FundingPaid,
    GridStarted,
    InstrumentChanged,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    PositionReported,
    Replan,
    StopRequested,
)
from gridlab.domain.market import Market
from gridlab.domain.orders import INITIAL_BUY, ClientId, Side, VenueStatus
from gridlab.domain.plan import Severity
from gridlab.errors import InvariantError
from gridlab.grid import errand, shifting, stopping, trading
from gridlab.grid.invariants import check
from gridlab.grid.ledger import Ledger
from gridlab.grid.lifecycle import Order, OrderState, Signal
from gridlab.grid.liquidation import LiquidationGuard
from gridlab.grid.preflight import plan_grid
from gridlab.grid.slot import Slot
from gridlab.grid.state import Errand, Phase, State
from gridlab.money import exact

__all__ = ["REMEMBERED_DEAD_ORDERS", "Grid", "Phase"]

#: Orders that were refused, proved absent or forgotten by the venue, and are remembered so that a
#: later trade of one of them is noticed as the contradiction that it is. Of older ones a venue has
#: told everything by then.
REMEMBERED_DEAD_ORDERS = 1000


class Grid(State):
    """One grid; see the module's docstring.

    Args:
        audit: check every invariant after every event (production, replay, simulations). A backtest
            switches it off and audits at its end; the books are the same.
    """

    _handlers: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}

    def __init__(self, *, audit: bool = True) -> None:
        super().__init__()
        self.audit = audit
        self._dead: OrderedDict[str, tuple[str, frozenset[int]]] = OrderedDict()
        self._funding_ids: set[str] = set()

    # --- the one entrance -------------------------------------------------------------------------

    def handle(self, event: Event) -> tuple[Command, ...]:
        """Apply one event and return what it makes the grid do, in order.

        Raises:
            BugError: the event contradicts what is known; the grid must be halted.
        """
        if self.phase is Phase.IDLE and not isinstance(event, GridStarted):
            raise InvariantError(f"{type(event).__name__} came before the grid was started")
        with exact():
            self.updated_ms = max(self.updated_ms, event.time_ms)
            self._handlers[type(event)](self, event)
            commands, self.outbox = tuple(self.outbox), []
            if self.audit:
                check(self)
        return commands

    def find(self, client_id: str) -> Order | None:
        """The unsettled order with this id, or None."""
        place = self._place_of(client_id)
        order = place.order if place is not None else None
        return order if order is not None and order.client_id == client_id else None

    def is_news(self, event: Event) -> bool:
        """Whether `handle(event)` could change anything; a repeat need not be journalled."""
        if isinstance(event, OrderFilled):
            order = self.find(event.trade.client_id)
            if order is None:
                client_id = event.trade.client_id
                if client_id in self._dead:
                    return event.trade.trade_id not in self._dead[client_id][1]
                return not self._gave(client_id)
            return event.trade.trade_id not in order.trades
        if isinstance(event, OrderAccepted):
            order = self.find(event.client_id)
            return order is not None and not (order.state is OrderState.OPEN and order.order_id)
        if isinstance(event, OrderEnded):
            order = self.find(event.client_id)
            return order is not None and order.executed != event.executed
        if self.phase is Phase.IDLE:
            return True
        if isinstance(event, PositionReported):
            return not self.is_over and self.guard.would_switch(event.position)
        if isinstance(event, FundingPaid):
            return event.funding_id not in self._funding_ids
        if isinstance(event, InstrumentChanged):
            return event.instrument != self.instrument
        return True

    @property
    def is_over(self) -> bool:
        return self.phase in (Phase.STOPPED, Phase.FAILED)

    @property
    def wants_replan(self) -> bool:
        """Whether a `Replan` would do anything; the shell need not journal one that would not."""
        if self.phase is Phase.RUNNING:
            return trading.wants_retry(self)
        return self.phase is Phase.STOPPING or errand.waits(self)

    # --- starting ---------------------------------------------------------------------------------

    def _start(self, event: GridStarted) -> None:
        if self.phase is not Phase.IDLE:
            raise InvariantError(f"run {self.run} was started twice")
        self.run, self.instrument = event.run, event.instrument
        self.started_ms, self.mark = event.time_ms, event.reference_price
        self.plan = plan_grid(event.spec, event.instrument, event.reference_price)
        self.ledger = Ledger(event.instrument.base, event.instrument.quote)
        self.guard = LiquidationGuard(event.spec.liquidation_buffer)
        lines, empty = self.plan.lines, self.plan.empty_line
        self.slots = [
            Slot(i, lines[i], lines[i + 1], Side.BUY if i < empty else Side.SELL)
            for i in range(len(lines) - 1)
        ]
        shifting.open_window(self)
        failures = [f.message for f in self.plan.findings if f.severity is Severity.FAIL]
        if failures:
            self.fail("; ".join(failures))
        elif self.plan.initial_quantity:
            self.phase = Phase.STOCKING
            self.errand = Errand(INITIAL_BUY, Side.BUY, self.plan.initial_quantity)
            errand.send(self, event.time_ms)
        else:
            trading.open_for_business(self, event.time_ms)

    # --- order events -----------------------------------------------------------------------------

    def _accepted(self, event: OrderAccepted) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.signal(Signal.ACCEPT)
            order.order_id = event.order_id
            if self.window is not None and self.phase is Phase.RUNNING:
                shifting.go_on(self, self.window, event.time_ms)

    def _rejected(self, event: OrderRejected) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.signal(Signal.REJECT)
            order.reason = f"{event.code}: {event.reason}"
            self._settle(order, event.time_ms)

    def _unknown(self, event: OrderUnknown) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.signal(Signal.LOSE)
            order.reason = event.reason

    def _absent(self, event: OrderAbsent) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.signal(Signal.PROVE_ABSENT)
            order.reason = "never reached the venue"
            self._settle(order, event.time_ms)

    def _ended(self, event: OrderEnded) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.end(event.executed)
            order.reason = f"{event.status} by the venue"
            if event.status is VenueStatus.FORGOTTEN:
                self._bury(order, event.status)
            self._settle(order, event.time_ms)

    def _filled(self, event: OrderFilled) -> None:
        trade = event.trade
        if trade.client_id in self._dead:
            state, booked = self._dead[trade.client_id]
            if trade.trade_id in booked:
                return
            raise InvariantError(
                f"trade {trade.trade_id} belongs to order {trade.client_id}, which the venue had "
                f"{state}; the grid halts"
            )
        order = self._order_for(trade.client_id)
        if order is None or not order.book(trade):
            return
        self.trade_count += 1
        self.last_trade = trade
        # Told late, a fill says where the price was: that must not move the window back there.
        if self.window is None or trade.trade_id > self.newest_trade_id:
            self.mark = trade.price
        self.newest_trade_id = max(self.newest_trade_id, trade.trade_id)
        place = self._place_of(trade.client_id)
        if isinstance(place, Slot):
            self.ledger.book(trade, place.lots)
            if trade.side is Side.BUY:
                place.bought += trade.quantity
        else:
            self.ledger.book(trade, self.pool, "liquidation")
        self._settle(order, event.time_ms)

    def _order_for(self, client_id: str) -> Order | None:
        """The order an event speaks of; None when it is long settled, so the event is a repeat.

        An id carries its slot, cycle and attempt. A slot moves on only when its order is settled,
        and settled means that every trade of it is booked: whatever arrives later is a duplicate.

        Raises:
            InvariantError: the id was never given by this grid.
        """
        if not self._gave(client_id):
            raise InvariantError(f"an event names order {client_id}; run {self.run} never made it")
        return self.find(client_id)

    def _gave(self, client_id: str) -> bool:
        """Whether this grid can have given the id, as far as it remembers."""
        parsed = ClientId.parse(client_id)
        if parsed is None or parsed.run != self.run or parsed.slot >= len(self.slots):
            return False
        if parsed.slot >= 0:
            return self.slots[parsed.slot].gave(parsed.cycle, parsed.attempt)
        current = self.errand
        return current is None or parsed.slot != current.slot or parsed.attempt <= current.attempt

    def _place_of(self, client_id: str) -> Slot | Errand | None:
        """The slot or errand that an id belongs to; None when it is another run's, or over."""
        parsed = ClientId.parse(client_id)
        if parsed is None or parsed.run != self.run or parsed.slot >= len(self.slots):
            return None
        return self.errand if parsed.slot < 0 else self.slots[parsed.slot]

    # --- what a settled order leads to ------------------------------------------------------------

    def _settle(self, order: Order, time_ms: int) -> None:
        if not order.is_settled:
            return
        if order.state in (OrderState.REJECTED, OrderState.ABSENT):
            self._bury(order, order.state)
        place = self._place_of(order.client_id)
        assert place is not None
        place.order = None
        if isinstance(place, Errand):
            errand.settled(self, place, order, time_ms)
        else:
            trading.slot_settled(self, place, order, time_ms)
        if self.phase is Phase.STOPPING:
            stopping.try_finish(self, time_ms)

    def _bury(self, order: Order, state: str) -> None:
        """Remember an order of which a trade that is not booked would be a contradiction."""
        self._dead[order.client_id] = state, frozenset(order.trades)
        while len(self._dead) > REMEMBERED_DEAD_ORDERS:
            self._dead.popitem(last=False)

    # --- people, time, and what else a venue says -------------------------------------------------

    def _replan(self, event: Replan) -> None:
        """Try vacant slots and a waiting errand again; repeat cancels that may have been lost."""
        if event.time_ms <= self.replanned_ms:
            return  # a start that resumed between two commits tells the same moment again
        self.mark, self.replanned_ms = event.price, event.time_ms
        if self.phase is Phase.RUNNING:
            trading.retry(self, event.time_ms)
        elif self.phase is Phase.STOPPING:
            stopping.cancel_live(self)
        elif errand.waits(self):
            errand.send(self, event.time_ms)

    def _instrument_changed(self, event: InstrumentChanged) -> None:
        self.instrument = event.instrument
        if self.phase is Phase.STOCKING:
            shifting.open_window(self)
        elif self.phase is Phase.RUNNING:
            shifting.refit(self, event.time_ms)

    def _funding(self, event: FundingPaid) -> None:
        if event.funding_id not in self._funding_ids:
            self._funding_ids.add(event.funding_id)
            self.ledger.book_funding(event.asset, event.amount)

    def _position(self, event: PositionReported) -> None:
        """Switch the liquidation guard; what it held back is placed at the next cycle."""
        rules, symbol = self.instrument, event.position.symbol
        if rules.market is not Market.FUTURES or symbol != rules.symbol:
            raise InvariantError(
                f"a position on {symbol} was told to a grid on {rules.symbol} ({rules.market})"
            )
        if not self.is_over:
            self.guard.tell(event.position)


Grid._handlers.update(
    {
        GridStarted: Grid._start,
        OrderAccepted: Grid._accepted,
        OrderRejected: Grid._rejected,
        OrderUnknown: Grid._unknown,
        OrderAbsent: Grid._absent,
        OrderEnded: Grid._ended,
        OrderFilled: Grid._filled,
        StopRequested: stopping.stop,
        Replan: Grid._replan,
        InstrumentChanged: Grid._instrument_changed,
        FundingPaid: Grid._funding,
        PositionReported: Grid._position,
    }
)
