"""A grid whose venue is played by hand: one event at a time, and the commands read as text."""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.commands import CancelOrder, Command
from gridlab.domain.events import (
    Event,
    GridStarted,
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
from gridlab.domain.market import FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, Trade, VenueStatus
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.grid.engine import Grid

D = Decimal
RULES = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D(1),
    min_notional=D(200),
    min_quantity=D(1),
    max_quantity=D(100000),
    min_price=D("0.01"),
    max_price=D(100000),
)
NO_FEES = FeeSchedule(maker=D(0), taker=D(0))
#: Lines 98 99 100 101 102; at 100 slots 0 and 1 buy at 98 and 99, 2 and 3 sell at 101 and 102.
FOUR = GridSpec(
    "XRPUSDT", 4, spacing=D("0.01"), quantity=D(10), mode=Spacing.ARITHMETIC, fees=NO_FEES
)


class Desk:
    """A grid whose venue is played by hand."""

    def __init__(
        self, spec: GridSpec = FOUR, rules: Instrument = RULES, price: str = "100"
    ) -> None:
        self.grid = Grid()
        self.trades = 0
        self.time_ms = 0
        self.start = self.hand(GridStarted(self.now(), "r", spec, rules, D(price)))

    def now(self) -> int:
        self.time_ms += 1000
        return self.time_ms

    def hand(self, event: Event) -> tuple[Command, ...]:
        return self.grid.handle(event)

    def accept(self, client_id: str) -> tuple[Command, ...]:
        return self.hand(OrderAccepted(self.now(), client_id, f"v-{client_id}"))

    def fill(self, client_id: str, quantity: str | None = None) -> tuple[Command, ...]:
        """Trade so much of the order, or all that is left, at its limit or at 100."""
        order = self.grid.find(client_id)
        assert order is not None, f"{client_id} is not live"
        self.trades += 1
        request = order.request
        size = order.remaining if quantity is None else D(quantity)
        price = D(100) if request.price is None else request.price
        return self.hand(OrderFilled(self.now(), self.trade(self.trades, request, size, price)))

    def trade(self, trade_id: int, request: OrderRequest, size: Decimal, price: Decimal) -> Trade:
        return Trade(
            *(trade_id, "v", request.client_id, "XRPUSDT", request.side, price, size),
            *(D(0), "USDT", True, self.time_ms),
        )

    def end(
        self, client_id: str, executed: str = "0", status: VenueStatus = VenueStatus.CANCELED
    ) -> tuple[Command, ...]:
        return self.hand(OrderEnded(self.now(), client_id, status, D(executed)))

    def reject(self, client_id: str, code: str = "filter") -> tuple[Command, ...]:
        return self.hand(OrderRejected(self.now(), client_id, code, "because"))

    def lose(self, client_id: str) -> tuple[Command, ...]:
        return self.hand(OrderUnknown(self.now(), client_id, "timeout"))

    def absent(self, client_id: str) -> tuple[Command, ...]:
        return self.hand(OrderAbsent(self.now(), client_id))

    def replan(self, price: str = "100") -> tuple[Command, ...]:
        return self.hand(Replan(self.now(), D(price)))

    def stop(self, policy: StopPolicy = StopPolicy.KEEP) -> tuple[Command, ...]:
        return self.hand(StopRequested(self.now(), "enough", policy))


def stocked(spec: GridSpec = FOUR, rules: Instrument = RULES) -> Desk:
    """A running grid: the initial purchase is done and every slot has an order on its way."""
    desk = Desk(spec, rules)
    desk.fill("gl-r-i-0-1")
    return desk


def resting(desk: Desk) -> Desk:
    for order in tuple(desk.grid.live_orders()):
        desk.accept(order.client_id)
    return desk


def sent(commands: tuple[Command, ...]) -> list[str]:
    """`id side quantity @ price` of each order that the commands place; cancels as `x id`."""
    rows = []
    for command in commands:
        if isinstance(command, CancelOrder):
            rows.append(f"x {command.client_id}")
        else:
            r = command.request
            price = "market" if r.price is None else f"{r.price:.2f}"
            rows.append(f"{r.client_id} {r.side} {r.quantity:f} @ {price}")
    return rows
