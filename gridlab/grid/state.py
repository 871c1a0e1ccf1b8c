"""What a grid is at one moment, and the two things it can ask for: an order, and the end of one.

`State` holds facts and decides nothing. The modules beside it each hold one subject of the grid's
behaviour as functions over a state; `engine.Grid` is the state with its events.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import ClientId, OrderRequest, OrderType, Side, Trade
from gridlab.domain.plan import GridPlan
from gridlab.grid.ledger import Ledger, Lots
from gridlab.grid.lifecycle import Order
from gridlab.grid.liquidation import LiquidationGuard
from gridlab.grid.slot import Slot
from gridlab.grid.window import Window
from gridlab.money import ZERO

BOTH_SIDES = (Side.BUY, Side.SELL)
SELLS_ONLY = (Side.SELL,)


class Phase(StrEnum):
    IDLE = "idle"
    STOCKING = "stocking"
    RUNNING = "running"
    STOPPING = "stopping"
    EMPTYING = "emptying"
    STOPPED = "stopped"
    FAILED = "failed"


class Errand:
    """What is still to be bought or sold at the market, by orders that belong to no slot.

    Attributes:
        slot: `INITIAL_BUY` or `FINAL_SELL`, the slot number in its client ids.
        missing: base units not yet traded by settled orders.
    """

    __slots__ = ("attempt", "missing", "order", "side", "slot")

    def __init__(self, slot: int, side: Side, missing: Decimal) -> None:
        self.slot = slot
        self.side = side
        self.missing = missing
        self.attempt = 0
        self.order: Order | None = None


class State:
    """The facts of one grid.

    Attributes:
        mark: the last price that an event told: what distances are measured from.
        newest_trade_id: the highest that was booked; a venue's trade ids rise with time.
        pool: base that belongs to no slot: bought for the sells and not yet handed out, or too
            small.
        window: which slots may have an order, where the venue does not take one for each; else
            None.
        outbox: commands of the event that is being handled.
    """

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.reason = ""
        self.run = ""
        self.started_ms = 0
        self.updated_ms = 0
        self.replanned_ms = 0
        self.trade_count = 0
        self.last_trade: Trade | None = None
        self.newest_trade_id = -1
        self.mark = ZERO
        self.slots: list[Slot] = []
        self.plan: GridPlan
        self.instrument: Instrument
        self.ledger: Ledger
        self.pool = Lots()
        self.errand: Errand | None = None
        self.policy = StopPolicy.KEEP
        self.window: Window | None = None
        self.guard = LiquidationGuard()
        self.outbox: list[Command] = []

    def live_orders(self) -> Iterator[Order]:
        """Orders of which something may still come, the errand's first, then by slot."""
        if self.errand is not None and self.errand.order is not None:
            yield self.errand.order
        for slot in self.slots:
            if slot.order is not None:
                yield slot.order

    @property
    def open_sides(self) -> tuple[Side, ...]:
        """The sides on which new orders may be made; buys wait while liquidation is near."""
        return SELLS_ONLY if self.guard.is_on else BOTH_SIDES

    def send(
        self,
        client_id: ClientId,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        time_ms: int,
    ) -> Order:
        """Ask for an order; on futures a sale may only make the position smaller."""
        market = self.instrument.market
        request = OrderRequest(
            client_id=str(client_id),
            symbol=self.instrument.symbol,
            market=market,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=quantity,
            price=price,
            reduce_only=side is Side.SELL and market is Market.FUTURES,
        )
        self.outbox.append(PlaceOrder(request))
        return Order(request, time_ms)

    def cancel(self, order: Order) -> None:
        """Ask for the end of a resting order, if the venue may still hold it."""
        if order.may_be_live and order.request.type is not OrderType.MARKET:
            self.outbox.append(CancelOrder(self.instrument.symbol, order.client_id))

    def fail(self, reason: str) -> None:
        """End a grid that could not begin."""
        self.phase, self.reason, self.errand = Phase.FAILED, reason, None
        self.window = None
        for slot in self.slots:
            slot.vacancy = "the grid could not start"
