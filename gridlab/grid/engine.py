"""`Grid`: one grid's whole behaviour, as a function of the events it is handed.

``handle(event)`` returns the commands that the event causes. Nothing else changes a grid, nothing
else makes it speak, and the same events give the same commands for ever; so a backtest, a replay, a
shadow run and a live run of one grid are the same run of this class, and a journal of its events is
the grid. Raises `BugError` when the venue or we contradict ourselves; the shell then halts it.

Phases: STOCKING buys the base that the sells need, RUNNING keeps every slot's order resting,
STOPPING waits until every order has provably ended, EMPTYING sells what is held if asked to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
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
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import Instrument
from gridlab.domain.orders import (
    FINAL_SELL,
    INITIAL_BUY,
    ClientId,
    OrderRequest,
    OrderType,
    Side,
    Trade,
)
from gridlab.domain.plan import GridPlan, Severity
from gridlab.errors import InvariantError
from gridlab.grid.errand import Errand
from gridlab.grid.guards import broken_rules, part_for_market, smallest_quantity
from gridlab.grid.invariants import check
from gridlab.grid.ledger import Ledger, Lots
from gridlab.grid.lifecycle import Order, OrderState, Signal
from gridlab.grid.preflight import plan_grid
from gridlab.grid.slot import Slot
from gridlab.money import ZERO, exact, floor_to, text

#: Orders that were refused or proved absent and are remembered, so that a later trade of one of
#: them is noticed as the contradiction that it is. Older ones are forgotten; a venue has answered
#: by then.
REMEMBERED_DEAD_ORDERS = 1000


class Phase(StrEnum):
    IDLE = "idle"
    STOCKING = "stocking"
    RUNNING = "running"
    STOPPING = "stopping"
    EMPTYING = "emptying"
    STOPPED = "stopped"
    FAILED = "failed"


class Grid:
    """One grid; see the module's docstring.

    Args:
        audit: check every invariant after every event (production, replay, simulations). A backtest
            switches it off and audits at its end; the books are the same.
    """

    _handlers: ClassVar[dict[type, Callable[[Any, Any], None]]] = {}

    def __init__(self, *, audit: bool = True) -> None:
        self.audit = audit
        self.phase = Phase.IDLE
        self.reason = ""
        self.run = ""
        self.started_ms = 0
        self.updated_ms = 0
        self.trade_count = 0
        self.last_trade: Trade | None = None
        #: The last price that an event told: what distance rules are measured from.
        self.mark = ZERO
        self.replanned_ms = 0
        self.slots: list[Slot] = []
        self.plan: GridPlan
        self.instrument: Instrument
        self.ledger: Ledger
        #: Base that belongs to no slot: bought for the sells and not yet handed out, or too small.
        self.pool = Lots()
        self.errand: Errand | None = None
        self.policy = StopPolicy.KEEP
        self._commands: list[Command] = []
        self._dead: OrderedDict[str, OrderState] = OrderedDict()
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
            commands, self._commands = tuple(self._commands), []
            if self.audit:
                check(self)
        return commands

    def live_orders(self) -> Iterator[Order]:
        """Orders of which something may still come, the errand's first, then by slot."""
        if self.errand is not None and self.errand.order is not None:
            yield self.errand.order
        for slot in self.slots:
            if slot.order is not None:
                yield slot.order

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
                return client_id in self._dead or not self._gave(client_id)
            return event.trade.trade_id not in order.trades
        if isinstance(event, OrderAccepted):
            order = self.find(event.client_id)
            return order is not None and not (order.state is OrderState.OPEN and order.order_id)
        if isinstance(event, OrderEnded):
            order = self.find(event.client_id)
            return order is not None and order.executed != event.executed
        return True

    @property
    def is_over(self) -> bool:
        return self.phase in (Phase.STOPPED, Phase.FAILED)

    # --- starting ---------------------------------------------------------------------------------

    def _start(self, event: GridStarted) -> None:
        if self.phase is not Phase.IDLE:
            raise InvariantError(f"run {self.run} was started twice")
        self.run, self.instrument = event.run, event.instrument
        self.started_ms, self.mark = event.time_ms, event.reference_price
        self.plan = plan_grid(event.spec, event.instrument, event.reference_price)
        self.ledger = Ledger(event.instrument.base, event.instrument.quote)
        lines, empty = self.plan.lines, self.plan.empty_line
        self.slots = [
            Slot(i, lines[i], lines[i + 1], Side.BUY if i < empty else Side.SELL)
            for i in range(len(lines) - 1)
        ]
        failures = [f.message for f in self.plan.findings if f.severity is Severity.FAIL]
        if failures:
            self._fail("; ".join(failures))
        elif self.plan.initial_quantity:
            self.phase = Phase.STOCKING
            self.errand = Errand(INITIAL_BUY, Side.BUY, self.plan.initial_quantity)
            self._send_errand(event.time_ms)
        else:
            self._open_for_business(event.time_ms)

    def _open_for_business(self, time_ms: int) -> None:
        """Hand the bought base to the sells, nearest the price first, and place every order."""
        self.phase = Phase.RUNNING
        for slot in self.slots:
            if slot.side is Side.SELL:
                share = min(self.plan.quantity, self.pool.quantity)
                slot.lots.absorb(self.pool.take(share))
        self.ledger.set_aside(self.pool, self._pool_dust())
        for slot in self.slots:
            self._place(slot, time_ms)

    def _pool_dust(self) -> Lots:
        """Where the purchase's remainder goes: the dust of the highest slot, sold with it."""
        return self.slots[-1].dust

    # --- order events -----------------------------------------------------------------------------

    def _accepted(self, event: OrderAccepted) -> None:
        order = self._order_for(event.client_id)
        if order is not None:
            order.signal(Signal.ACCEPT)
            order.order_id = event.order_id

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
            self._settle(order, event.time_ms)

    def _filled(self, event: OrderFilled) -> None:
        trade = event.trade
        if trade.client_id in self._dead:
            raise InvariantError(
                f"trade {trade.trade_id} belongs to order {trade.client_id}, which the venue had "
                f"{self._dead[trade.client_id]}; the grid halts"
            )
        order = self._order_for(trade.client_id)
        if order is None or not order.book(trade):
            return
        self.trade_count += 1
        self.last_trade, self.mark = trade, trade.price
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
        errand = self.errand
        return errand is None or parsed.slot != errand.slot or parsed.attempt <= errand.attempt

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
            self._dead[order.client_id] = order.state
            while len(self._dead) > REMEMBERED_DEAD_ORDERS:
                self._dead.popitem(last=False)
        place = self._place_of(order.client_id)
        assert place is not None
        place.order = None
        if isinstance(place, Errand):
            self._errand_settled(place, order, time_ms)
        else:
            self._slot_settled(place, order, time_ms)
        if self.phase is Phase.STOPPING:
            self._try_finish(time_ms)

    def _slot_settled(self, slot: Slot, order: Order, time_ms: int) -> None:
        if self.phase is not Phase.RUNNING:
            slot.vacancy = f"the grid is {self.phase}"
            return
        if order.state is OrderState.REJECTED:
            slot.vacancy = f"refused, {order.reason}; tried again at the next cycle"
            return
        ending = order.reason or "bought less than can be sold"
        slot.vacancy = f"{ending}; placed again at the next cycle"
        if slot.side is Side.BUY:
            done = slot.is_bought(self.plan.quantity, self.instrument)
            if done:
                slot.flip()
                self.ledger.bring_back(slot.dust, slot.lots)
        else:
            done = not slot.can_sell(self.instrument)
            if done:
                self.ledger.set_aside(slot.lots, slot.dust)
                slot.flip()
        # An order that somebody else ended waits for the next cycle, so that a venue which keeps
        # cancelling is not answered with a storm of orders. One that never arrived goes at once.
        if done or order.state is OrderState.ABSENT:
            self._place(slot, time_ms)

    def _place(self, slot: Slot, time_ms: int) -> None:
        """Give an empty slot its next order, or the reason why it cannot have one."""
        price = slot.price(self.instrument)
        quantity = slot.next_quantity(self.plan.quantity, self.instrument)
        problem = next(
            broken_rules(self.instrument, slot.side, price, quantity, self.mark),
            None,
        )
        if problem is not None:
            slot.vacancy = f"{problem[0]}: {problem[1]}"
            return
        slot.attempt += 1
        slot.vacancy = ""
        slot.order = self._send(
            ClientId(self.run, slot.index, slot.cycle, slot.attempt),
            slot.side,
            quantity,
            price,
            time_ms,
        )

    def _send(
        self,
        client_id: ClientId,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        time_ms: int,
    ) -> Order:
        request = OrderRequest(
            client_id=str(client_id),
            symbol=self.instrument.symbol,
            market=self.instrument.market,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=quantity,
            price=price,
        )
        self._commands.append(PlaceOrder(request))
        return Order(request, time_ms)

    # --- errands: the purchase at the start, the sale at the end ----------------------------------

    def _send_errand(self, time_ms: int) -> None:
        errand = self.errand
        assert errand is not None
        errand.attempt += 1
        errand.order = self._send(
            ClientId(self.run, errand.slot, 0, errand.attempt),
            errand.side,
            part_for_market(self.instrument, errand.missing, self.mark),
            None,
            time_ms,
        )

    def _errand_settled(self, errand: Errand, order: Order, time_ms: int) -> None:
        errand.missing -= order.filled
        if order.state is OrderState.REJECTED and self.phase is Phase.STOCKING:
            if not self.pool.quantity:
                self._fail(f"the initial purchase was refused: {order.reason}")
                return
            # Part of it was bought before the refusal: the grid works with what it has, and the
            # slots that got nothing say why they rest.
            self.reason = f"the initial purchase is short of {text(errand.missing)}: {order.reason}"
        worth_it = self._is_worth_an_order(errand.missing)
        if worth_it and order.state is not OrderState.REJECTED and self.phase is not Phase.STOPPING:
            # One that the venue ended untouched waits for the next cycle: a market without
            # liquidity is not answered with a storm of orders.
            if order.filled or order.state is OrderState.ABSENT:
                self._send_errand(time_ms)
            return
        self.errand = None
        if self.phase is Phase.STOCKING:
            self._open_for_business(time_ms)
        elif self.phase is Phase.EMPTYING:
            if order.state is OrderState.REJECTED:
                self.reason += f"; the final sale was refused: {order.reason}"
            self.phase = Phase.STOPPED

    def _is_worth_an_order(self, quantity: Decimal) -> bool:
        """Whether so much base makes a market order that the venue takes."""
        on_lot = floor_to(quantity, self.instrument.lot_size)
        return on_lot >= smallest_quantity(self.instrument, self.mark)

    # --- stopping, replanning, the rest -----------------------------------------------------------

    def _stop(self, event: StopRequested) -> None:
        if self.is_over or self.phase in (Phase.STOPPING, Phase.EMPTYING):
            return
        self.phase, self.reason, self.policy = Phase.STOPPING, event.reason, event.policy
        self._cancel_live()
        self._try_finish(event.time_ms)

    def _cancel_live(self) -> None:
        self._commands += [
            CancelOrder(self.instrument.symbol, order.client_id)
            for order in self.live_orders()
            if order.may_be_live and order.request.type is not OrderType.MARKET
        ]

    def _try_finish(self, time_ms: int) -> None:
        if any(True for _ in self.live_orders()):
            return
        self.errand = None
        for slot in self.slots:
            slot.vacancy = "the grid is stopped"
        held = self.ledger.base_held
        if self.policy is StopPolicy.SELL and self._is_worth_an_order(held):
            self.phase = Phase.EMPTYING
            for slot in self.slots:
                self.ledger.bring_back(slot.dust, slot.lots)
                self.pool.absorb(slot.lots)
            self.errand = Errand(FINAL_SELL, Side.SELL, held)
            self._send_errand(time_ms)
        else:
            self.phase = Phase.STOPPED

    def _replan(self, event: Replan) -> None:
        """Try vacant slots and a waiting errand again; repeat cancels that may have been lost."""
        if event.time_ms <= self.replanned_ms:
            return  # a start that resumed between two commits tells the same moment again
        self.mark, self.replanned_ms = event.price, event.time_ms
        if self.phase is Phase.RUNNING:
            for slot in self.slots:
                if slot.order is None:
                    self._place(slot, event.time_ms)
        elif self.phase is Phase.STOPPING:
            self._cancel_live()
        elif self._errand_waits:
            self._send_errand(event.time_ms)

    @property
    def wants_replan(self) -> bool:
        """Whether a `Replan` would do anything; the shell need not journal one that would not."""
        if self.phase is Phase.RUNNING:
            return any(slot.order is None for slot in self.slots)
        return self.phase is Phase.STOPPING or self._errand_waits

    @property
    def _errand_waits(self) -> bool:
        return self.errand is not None and self.errand.order is None

    def _instrument_changed(self, event: InstrumentChanged) -> None:
        self.instrument = event.instrument

    def _funding(self, event: FundingPaid) -> None:
        if event.funding_id not in self._funding_ids:
            self._funding_ids.add(event.funding_id)
            self.ledger.book_funding(event.asset, event.amount)

    def _fail(self, reason: str) -> None:
        self.phase, self.reason, self.errand = Phase.FAILED, reason, None
        for slot in self.slots:
            slot.vacancy = "the grid could not start"


Grid._handlers.update(
    {
        GridStarted: Grid._start,
        OrderAccepted: Grid._accepted,
        OrderRejected: Grid._rejected,
        OrderUnknown: Grid._unknown,
        OrderAbsent: Grid._absent,
        OrderEnded: Grid._ended,
        OrderFilled: Grid._filled,
        StopRequested: Grid._stop,
        Replan: Grid._replan,
        InstrumentChanged: Grid._instrument_changed,
        FundingPaid: Grid._funding,
    }
)
