"""What a backtest on futures has beside one on spot: margin, funding, liquidation, the guard.

The venue is `FuturesBook`, with its own leverage, brackets and forced closings. Between any two
bars the grid is told its position, as the replay tells it; a position that nothing would come of
is not told, so bars may be passed over as long as no price comes near where the venue closes it or
where the guard holds orders back. Funding is paid before the first point of the path that is at or
after its time, at the last price before that point, which is the mark price here.

A forced closing ends the run. The core has no event for it: the grid is stopped, and the venue's
sale is booked as the grid's final one, in the ledger's `liquidation`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from gridlab.clock import iso
from gridlab.data.bars import Bars
from gridlab.data.funding import Funding
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.events import Event, FundingPaid, OrderFilled, PositionReported
from gridlab.domain.orders import FINAL_SELL, ClientId, Trade
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput, InvariantError
from gridlab.exchange.base import VenueEvent
from gridlab.exchange.paper import FillRule
from gridlab.exchange.paper_futures import FuturesBook
from gridlab.exchange.replay import funding_id
from gridlab.grid.engine import Grid
from gridlab.grid.ledger import Lots
from gridlab.money import ONE, exact, rounding, text
from gridlab.research.flows import bars_of_payments
from gridlab.research.outcome import Liquidation

#: A double that stands for a price at which the venue or the guard acts is this much nearer to the
#: market: a bar that is walked without need fills nothing.
NEARER = 1 + 1e-9


def futures_book(
    plan: GridPlan, account: Mapping[str, Decimal], margin: MarginType, rule: FillRule
) -> FuturesBook:
    """The paper venue's account for one futures grid, at the grid's leverage."""
    spec, rules = plan.spec, plan.instrument
    settings = FuturesSettings(leverage=spec.leverage, margin_type=margin)
    return FuturesBook(
        {spec.symbol: rules}, account, fees=spec.fees, settings=settings, fill_rule=rule
    )


def margin_type_of(value: MarginType | str) -> MarginType:
    """The margin type of this name; raises `InvalidInput` for any other word."""
    try:
        return MarginType(value)
    except ValueError:
        raise InvalidInput(f"margin is {value!r}; choose one of {', '.join(MarginType)}") from None


def due_payments(funding: Funding | None, bars: Bars) -> Funding | None:
    """What of `funding` falls into the run: after its first moment, before its last."""
    if funding is None:
        return None
    return funding.slice(int(bars.open_time_ms[0]) + 1, bars.end_ms)


@dataclass(frozen=True, eq=False)
class FuturesSide:
    """What a backtest on futures depends on beside plan, bars and account."""

    funding: Funding | None = None
    margin: MarginType = MarginType.ISOLATED

    def watch(
        self, plan: GridPlan, bars: Bars, account: Mapping[str, Decimal], rule: FillRule
    ) -> MarginWatch:
        """A new account for one run."""
        book = futures_book(plan, account, self.margin, rule)
        return MarginWatch(book, plan.spec.symbol, bars, self.funding)

    def named(self, bars: Bars) -> dict[str, Any]:
        """What a result says of it."""
        return {"margin": str(self.margin), "funding_words": self._words(bars)}

    def _words(self, bars: Bars) -> str:
        due = due_payments(self.funding, bars)
        if due is None:
            return "no rates were given, so none was booked; a real position pays or gets it"
        if not len(due):
            return f"{due.source}: no payment falls into the span of the bars"
        first, last = iso(int(due.time_ms[0])), iso(int(due.time_ms[-1]))
        words = (
            f"{len(due)} rates, {first} to {last}, {due.source}; each paid at the last price "
            "before its time, which stands for the mark price"
        )
        width = due.interval_ms
        lacking = [f"{iso(a)} to {iso(b)}" for a, b in due.gaps()]
        if width and int(due.time_ms[0]) - int(bars.open_time_ms[0]) > 1.5 * width:
            lacking.insert(0, f"before {first}")
        if width and bars.end_ms - int(due.time_ms[-1]) > 1.5 * width:
            lacking.append(f"after {last}")
        return f"{words}. NONE KNOWN {', '.join(lacking)}" if lacking else words


class MarginWatch:
    """The futures side of one run.

    Attributes:
        payments: funding that was paid, in order.
        liquidation: the forced closing; None while there was none.
    """

    def __init__(self, book: FuturesBook, symbol: str, bars: Bars, funding: Funding | None) -> None:
        self.book = book
        self._symbol = symbol
        self.payments: list[FundingPaid] = []
        self.liquidation: Liquidation | None = None
        self._forced: Trade | None = None
        due = due_payments(funding, bars)
        self._due: deque[tuple[int, Decimal]] = deque()
        self._stops: deque[int] = deque()
        if due is not None and len(due):
            self._due.extend(zip(due.time_ms.tolist(), due.rates, strict=True))
            self._stops.extend(bars_of_payments(due.time_ms, bars).tolist())

    # --- between bars -----------------------------------------------------------------------------

    def report(self, time_ms: int) -> PositionReported:
        """The position, as the grid is told it between two bars."""
        self.book.take_position_changes()  # nobody else asks for them, and they would pile up
        return PositionReported(time_ms, self.book.position(self._symbol))

    def stop(self, bar: int, stop: int) -> int:
        """The first bar in [bar, stop) with a payment; `stop` if there is none."""
        while self._stops and self._stops[0] < bar:
            self._stops.popleft()
        return min(stop, self._stops[0]) if self._stops else stop

    def floors(self, grid: Grid) -> tuple[float, float]:
        """(low, close) prices at or below which a bar may not be passed over.

        While the guard holds orders back, none may.
        """
        price = self.book.position(self._symbol).liquidation_price
        if grid.guard.is_on:
            return np.inf, np.inf
        if price is None:
            return -np.inf, -np.inf
        with rounding():
            guarded = price / (ONE - grid.guard.limit) if grid.guard.limit else price
        return float(price) * NEARER, float(guarded) * NEARER

    # --- inside a bar -----------------------------------------------------------------------------

    def pay(self, until_ms: int) -> list[FundingPaid]:
        """Pay what is due by now, at the last price."""
        paid: list[FundingPaid] = []
        while self._due and self._due[0][0] <= until_ms:
            time_ms, rate = self._due.popleft()
            name = funding_id(self._symbol, time_ms)
            payment = self.book.pay_funding(self._symbol, rate, time_ms, name)
            if payment is not None:
                paid.append(payment)
        self.payments += paid
        return paid

    def own(self, events: list[VenueEvent]) -> list[Event]:
        """What of the venue's events is the grid's; a forced sale is kept here."""
        own: list[Event] = []
        for event in events:
            name = event.trade.client_id if isinstance(event, OrderFilled) else event.client_id
            if ClientId.parse(name) is not None:
                own.append(event)
            elif isinstance(event, OrderFilled):
                self._forced = event.trade
        return own

    @property
    def was_liquidated(self) -> bool:
        return self._forced is not None

    def book_forced_sale(self, grid: Grid) -> Trade:
        """Book the venue's sale in the books of a grid that is over; return it as the grid's own.

        Raises:
            InvariantError: the venue sold another amount than the grid held.
        """
        forced = self._forced
        assert forced is not None, "nothing was closed by force"
        held = Lots()
        with exact():
            for slot in grid.slots:
                grid.ledger.bring_back(slot.dust, slot.lots)
                held.absorb(slot.lots)
            held.absorb(grid.pool)
            if held.quantity != forced.quantity:
                raise InvariantError(
                    f"the venue closed {text(forced.quantity)} by force and the grid held "
                    f"{text(held.quantity)}"
                )
            grid.ledger.book(forced, held, "liquidation")
        self.liquidation = Liquidation(forced.time_ms, forced.price, forced.quantity, forced.fee)
        return replace(forced, client_id=str(ClientId(grid.run, FINAL_SELL, 0, 1)))
