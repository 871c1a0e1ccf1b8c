"""`PaperRun`: one grid against one paper venue, event by event, with nothing in between.

No clock, loop, journal or thread: what the venue says lies in `inbox` until somebody delivers it,
in any order and as often as they like. The shortest way to see what a grid does, and the rig on
which its properties are tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.account import FuturesSettings
from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import (
    Event,
    GridStarted,
    OrderRejected,
    PositionReported,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import OrderRequest
from gridlab.domain.spec import GridSpec
from gridlab.exchange.base import Rejected
from gridlab.exchange.paper_book import PaperBook
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.grid.engine import Grid
from gridlab.money import ZERO, exact


class PaperRun:
    """A grid and its venue.

    Args:
        balances: what the account holds at the start, by asset.
        audit: as for `Grid`.

    Attributes:
        events: everything that was handed to the grid, in order.
        placed: every order that the grid sent, in order; `refused`: what the venue refused of it.
        inbox: what the venue said and nobody delivered yet.
    """

    RUN = "paper"

    def __init__(
        self,
        instrument: Instrument,
        balances: Mapping[str, Decimal],
        spec: GridSpec,
        audit: bool = True,
    ) -> None:
        self.spec = spec
        self.symbol = instrument.symbol
        self.book = self._open_book(instrument, balances)
        self.opening = dict(balances)
        self.grid = Grid(audit=audit)
        self.time_ms = 0
        self.events: list[Event] = []
        self.commands: list[tuple[Command, ...]] = []
        self.placed: list[OrderRequest] = []
        self.refused: list[OrderRejected] = []
        self.inbox: list[Event] = []

    def _open_book(self, instrument: Instrument, balances: Mapping[str, Decimal]) -> PaperBook:
        """The venue of the instrument's market; futures with the leverage that the grid assumes."""
        rules = {instrument.symbol: instrument}
        if instrument.market is Market.SPOT:
            return PaperBook(rules, balances, fees=self.spec.fees)
        settings = FuturesSettings(leverage=self.spec.leverage)
        return FuturesBook(rules, balances, fees=self.spec.fees, settings=settings)

    def start(self, price: Decimal) -> None:
        """Start the grid at `price`; what the venue answers waits in the inbox."""
        self.book.set_price(self.symbol, price)
        instrument = self.book.instrument(self.symbol)
        self.hand(GridStarted(self.tick(), self.RUN, self.spec, instrument, price))

    def tick(self) -> int:
        """The next millisecond."""
        self.time_ms += 1
        return self.time_ms

    def hand(self, event: Event) -> tuple[Command, ...]:
        """Give one event to the grid and its commands to the venue."""
        self.events.append(event)
        commands = self.grid.handle(event)
        self.commands.append(commands)
        self.carry_out(commands)
        return commands

    def carry_out(self, commands: Iterable[Command]) -> None:
        """Do at the venue what the grid asked for."""
        for command in commands:
            if isinstance(command, PlaceOrder):
                self._place(command.request)
            elif isinstance(command, CancelOrder):
                self.book.cancel(command.symbol, command.client_id, self.time_ms)
        self.collect()

    def _place(self, request: OrderRequest) -> None:
        self.placed.append(request)
        outcome = self.book.place(request, self.time_ms)
        if isinstance(outcome, Rejected):
            refusal = OrderRejected(self.time_ms, request.client_id, outcome.code, outcome.reason)
            self.refused.append(refusal)
            self.inbox.append(refusal)

    def collect(self) -> None:
        """Move what the venue said into the inbox."""
        self.inbox += self.book.take_events()

    def settle(self) -> None:
        """Deliver everything, in order, until nobody has anything left to say."""
        while self.inbox:
            self.hand(self.inbox.pop(0))

    def walk(self, *prices: Decimal, volume: Decimal | None = None) -> None:
        """Move the market to each price in turn, delivering everything after each."""
        for price in prices:
            self.book.walk(self.symbol, price, self.tick(), volume)
            self.collect()
            self.settle()

    def report_position(self) -> None:
        """Futures: tell the grid the venue's position, if that is news."""
        assert isinstance(self.book, FuturesBook), "spot has no positions"
        event = PositionReported(self.tick(), self.book.position(self.symbol))
        if self.grid.is_news(event):
            self.hand(event)

    def replan(self) -> None:
        """Tell the grid that a cycle has passed."""
        price = self.book.price(self.symbol)
        assert price is not None, "a run is started before it is replanned"
        self.hand(Replan(self.tick(), price))
        self.settle()

    def stop(self, policy: StopPolicy = StopPolicy.KEEP) -> None:
        """Ask the grid to stop, and deliver everything."""
        self.hand(StopRequested(self.tick(), "asked to", policy))
        self.settle()

    def change(self) -> dict[str, Decimal]:
        """What the account has more than at the start, by asset, where that is not zero.

        A futures account has the position in base, and what it cost is no longer in the wallet.
        """
        if isinstance(self.book, FuturesBook):
            return self._futures_change(self.book)
        with exact():
            changes = {
                balance.asset: balance.total - self.opening.get(balance.asset, ZERO)
                for balance in self.book.balances()
            }
        return {asset: amount for asset, amount in changes.items() if amount}

    def _futures_change(self, book: FuturesBook) -> dict[str, Decimal]:
        rules = book.instrument(self.symbol)
        figures = book.figures(self.symbol)
        with exact():
            gained = book.wallet(rules.quote).wallet - self.opening.get(rules.quote, ZERO)
            changes = {rules.base: figures.quantity, rules.quote: gained - figures.cost}
        return {asset: amount for asset, amount in changes.items() if amount}

    def wallet(self) -> dict[str, Decimal]:
        """What the grid's ledger says that the account has more, where that is not zero."""
        return {asset: amount for asset, amount in self.grid.ledger.wallet.items() if amount}

    def resting(self) -> set[str]:
        """Client ids of the orders that the venue holds open."""
        return {report.client_id for report in self.book.open_orders(self.symbol)}
