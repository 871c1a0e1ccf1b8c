"""One market of the twin: the matching engine with what Binance has and the engine has not.

Every change of an order goes through here: time in force, the venue's own names for cancels, public
trade ids, and news to whoever listens. The engine's events are folded into `orders_log`; the tape
gets one print for each of our fills, with the fill's own id, as on the real market. Nothing here
suspends, so each change is whole before anything else runs. Knows no request and no socket.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gridlab.clock import Clock
from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side, Trade, VenueStatus
from gridlab.errors import Conflict
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected, VenueEvent
from gridlab.exchange.paper import PaperExchange
from gridlab.money import ZERO, exact, floor_to
from gridlab.twin import self_trades
from gridlab.twin.faults import TwinFaults
from gridlab.twin.market_side import MarketSide
from gridlab.twin.news import (
    EXCHANGE_CANCELED,
    NO_ENDING,
    UNFILLED_FOK,
    UNFILLED_IOC,
    BalanceNews,
    BookNews,
    Ending,
    Listener,
    MarketNews,
    OrderExtras,
    OrderNews,
    Prevention,
    RulesNews,
    VenueNews,
    VenueOrder,
)
from gridlab.twin.stream_payloads import Printed
from gridlab.twin.tape import Tape

_LETTERS = string.ascii_letters + string.digits
_EXPIRY = {"IOC": UNFILLED_IOC, "FOK": UNFILLED_FOK}
#: Value of a print that nobody ordered, in quote units: the size of a small trade.
_SMALL_TRADE = 50


class Venue(MarketSide):
    """One market with the account that trades on it.

    Args:
        paper: as `MarketSide`; its sink becomes this object.
        faults: asked for partial fills.

    Attributes:
        updated_ms: when balances last changed.
        last_execution_id: number of the newest step of any order.
    """

    def __init__(
        self,
        paper: PaperExchange,
        tapes: Mapping[str, Tape],
        clock: Clock,
        faults: TwinFaults,
    ) -> None:
        super().__init__(paper, tapes, clock)
        self._faults = faults
        self._listeners: list[Listener] = []
        self.updated_ms = clock.now_ms()
        self.last_execution_id = 0
        self._placing: tuple[str, OrderExtras] | None = None
        self._ending = NO_ENDING
        self._prevented_matches = 0
        self._held: list[VenueEvent] | None = None
        self._trades: dict[str, list[Trade]] = {symbol: [] for symbol in tapes}
        self._known = self._holdings(paper.book.balances())
        paper.subscribe(self._on_event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` every later piece of news; returns what ends that."""
        self._listeners.append(listener)

        def leave() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return leave

    def tell(self, news: VenueNews) -> None:
        """Tell every listener, such as of a change that was made beside this object."""
        for listener in list(self._listeners):
            listener(news)

    # -- orders ---------------------------------------------------------------------------------

    async def place(self, request: OrderRequest, extras: OrderExtras) -> VenueOrder | Rejected:
        """Place one order; what an IOC or FOK order can't fill at once expires here.

        The market has endless depth at one price, so such an order fills as a whole or not at all.
        """
        own = self._met(request, extras)
        if own and request.type is OrderType.LIMIT_MAKER:
            return Rejected(RejectCode.WOULD_TAKE, "it would meet an order of this account")
        self._placing = (request.client_id, extras)
        try:
            outcome = await (
                self._place_against(own, request, extras) if own else self.paper.place(request)
            )
        finally:
            self._placing = None
        if not isinstance(outcome, Accepted):
            return _refused(outcome)
        order_id = int(outcome.report.order_id)
        reason = _EXPIRY.get(extras.time_in_force)
        if reason is not None and self._log.order(order_id).is_open:
            self._ending = Ending(reason=reason)
            self.paper.expire(request.symbol, request.client_id)
        self._settle("ORDER")
        return self._log.order(order_id)

    async def cancel(
        self, symbol: str, client_id: str, cancel_id: str = ""
    ) -> VenueOrder | Rejected:
        """End one order at its owner's wish; `NOT_OPEN` when it is not open."""
        order = self._log.open_order(symbol, client_id)
        if order is None:
            return _not_open(symbol, client_id)
        self._ending = Ending(cancel_id or self.new_client_id())
        outcome = await self.paper.cancel(symbol, client_id)
        return self._after(outcome, order.order_id)

    def expire(self, symbol: str, client_id: str, reason: str) -> VenueOrder | Rejected:
        """End one order of the venue's own accord."""
        order = self._log.open_order(symbol, client_id)
        if order is None:
            return _not_open(symbol, client_id)
        self._ending = Ending(reason=reason)
        return self._after(self.paper.expire(symbol, client_id), order.order_id)

    async def amend(
        self,
        symbol: str,
        client_id: str,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        new_client_id: str | None = None,
    ) -> VenueOrder | Rejected:
        """Change one open order in place; a smaller quantity alone keeps its place in the queue."""
        order = self._log.open_order(symbol, client_id)
        if order is None:
            return _not_open(symbol, client_id)
        # What the changed order takes at once is told after the change itself.
        held = self._held = []
        try:
            outcome = self.paper.amend(
                symbol, client_id, price=price, quantity=quantity, new_client_id=new_client_id
            )
        finally:
            self._held = None
        if isinstance(outcome, Accepted):
            self._on_amended(order, outcome.report)
        for event in held:
            self._on_event(event)
        return self._after(outcome, order.order_id)

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> VenueOrder | None:
        """The order of that number, or the newest of that client id; an order id decides alone."""
        return self._log.find(symbol, order_id, client_id)

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Open orders, oldest first."""
        return self._log.open_orders(symbol)

    def open_count(self, symbol: str) -> int:
        return self._log.open_count(symbol)

    def orders(self, symbol: str) -> list[VenueOrder]:
        """Every order there ever was on `symbol`, by rising number."""
        return self._log.orders(symbol)

    def account_trades(self, symbol: str) -> list[Trade]:
        """The account's trades, oldest first, with their public ids; not to be changed."""
        return self._trades[symbol]

    def repeated_ids(self) -> list[str]:
        """Client ids that were accepted more than once."""
        return self._log.repeated_ids()

    def new_client_id(self) -> str:
        """A name for an order or a cancel whose owner gave none."""
        return "".join(secrets.choice(_LETTERS) for _ in range(22))

    def would_take(self, symbol: str, side: Side, price: Decimal) -> bool:
        """Whether an order at `price` trades at once."""
        last = self.price(symbol)
        return price >= last if side is Side.BUY else price <= last

    def balances(self) -> tuple[Balance, ...]:
        return self.paper.book.balances()

    def adjust(self, asset: str, amount: Decimal, reason: str) -> None:
        """Pay into the account, or out of it when `amount` is negative.

        Raises:
            Conflict: more than is free is asked for.
        """
        if amount < 0 and -amount > self.free(asset):
            raise Conflict(f"{-amount} {asset} is asked for and {self.free(asset)} is free")
        self.paper.book.transfer(asset, amount, self.now_ms())
        self._settle(reason, {asset: amount})

    def free(self, asset: str) -> Decimal:
        return next((b.free for b in self.balances() if b.asset == asset), ZERO)

    # -- the market -----------------------------------------------------------------------------

    def market_trade(
        self,
        symbol: str,
        price: Decimal,
        quantity: Decimal | None = None,
        volume: Decimal | None = None,
    ) -> Printed:
        """Let the market trade at `price`: it fills what it reaches, then is printed itself.

        Args:
            quantity: size of the market's own print; a small one when None.
            volume: how much of our orders may fill at most; None asks the faults.

        Raises:
            NotFound: no such symbol.
        """
        tape, now_ms = self.tape(symbol), self.now_ms()
        before = self.paper.book.price(symbol)
        if volume is None:
            volume = self._fault_volume(symbol, price)
        self.paper.advance(symbol, price, now_ms, volume)
        if quantity is None:
            quantity = self._small(symbol, price)
        falls = before is not None and price < before
        trade = tape.add(price, quantity, now_ms, is_buyer_maker=falls)
        if price != before:
            self._book_ids[symbol] += 1
        self.tell(MarketNews(trade))
        self._settle("ORDER")
        return trade

    def set_instrument(self, instrument: Instrument) -> None:
        """Change a symbol's rules; orders that rest already stay. Raises `NotFound`."""
        self.paper.book.set_instrument(instrument)
        self._note_rules(instrument)
        self.tell(RulesNews(instrument))

    def delist(self, symbol: str) -> None:
        """End every open order on `symbol`, and know it no more."""
        for order in self.open_orders(symbol):
            self.expire(symbol, order.client_id, EXCHANGE_CANCELED)
        self._delisted.add(symbol)

    # -- inside ---------------------------------------------------------------------------------

    def _after(self, outcome: Outcome, order_id: int) -> VenueOrder | Rejected:
        self._settle("ORDER")
        return self._log.order(order_id) if isinstance(outcome, Accepted) else _refused(outcome)

    def _met(self, request: OrderRequest, extras: OrderExtras) -> list[VenueOrder]:
        """The account's own orders that `request` would trade with."""
        symbol = request.symbol
        if not self.has(symbol) or self._log.open_order(symbol, request.client_id) is not None:
            return []  # refused anyway
        buy, sell = self.paper.book.bounds(symbol)
        if (sell if request.side is Side.BUY else buy) is None:
            return []
        return self_trades.met(request, extras, self._log.open_orders(symbol), self.price(symbol))

    async def _place_against(
        self, own: Sequence[VenueOrder], request: OrderRequest, extras: OrderExtras
    ) -> Outcome:
        """Place an order that would meet `own`: by its mode it expires, or they do, or both."""
        ends_taker = extras.stp_mode in self_trades.ENDS_TAKER
        # What became of the order is told after what it met.
        held = self._held = []
        try:
            with self_trades.taking_nothing(self.paper.book, ends_taker):
                outcome = await self.paper.place(request)
        finally:
            self._held = None
        if not isinstance(outcome, Accepted):
            return outcome
        self._on_event(held[0])
        taker = self._log.order(int(outcome.report.order_id))
        for maker in own[:1] if ends_taker else own:
            self._prevented_matches += 1
            if extras.stp_mode in self_trades.ENDS_MAKER:
                self._ending = self._prevented(maker, taker, maker)
                self.paper.expire(maker.symbol, maker.client_id)
        if ends_taker:
            self._ending = self._prevented(taker, own[0], own[0])
        for event in held[1:]:
            self._on_event(event)
        if ends_taker and outcome.report.status.is_open:
            self.paper.expire(request.symbol, request.client_id)
        return outcome

    def _prevented(self, order: VenueOrder, other: VenueOrder, maker: VenueOrder) -> Ending:
        report, price = order.report, maker.report.price
        assert price is not None, "a maker rests at a price"
        with exact():
            left = report.quantity - report.executed
        return Ending(prevention=Prevention(self._prevented_matches, left, other.order_id, price))

    def _on_event(self, event: VenueEvent) -> None:
        if self._held is not None:
            self._held.append(event)
        elif isinstance(event, OrderAccepted):
            self._on_accepted(event)
        elif isinstance(event, OrderFilled):
            self._on_filled(event.trade)
        elif event.status is not VenueStatus.FILLED:
            self._on_ended(event)

    def _on_accepted(self, event: OrderAccepted) -> None:
        report = self.paper.book.orders(int(event.order_id) - 1, 1)[0]
        if self._placing is not None and self._placing[0] == event.client_id:
            extras = self._placing[1]
        else:
            # The engine's own: a position is closed by force.
            extras = OrderExtras(is_id_chosen=False, is_reduce_only=True)
        order = self._log.open(report, extras)
        self._book_ids[order.symbol] += 1
        self._tell_step(order, "NEW", event.time_ms)
        if report.price is not None:
            self.tell(BookNews(order.symbol))

    def _on_amended(self, before: VenueOrder, report: OrderReport) -> None:
        executed, status = before.report.executed, before.report.status
        order = self._log.change(before.order_id, replace(report, executed=executed, status=status))
        self._book_ids[order.symbol] += 1
        kind = "REPLACED" if self.market is Market.SPOT else "AMENDMENT"
        self._tell_step(order, kind, report.updated_ms)
        self.tell(BookNews(order.symbol))

    def _on_filled(self, trade: Trade) -> None:
        is_buyer_maker = (trade.side is Side.BUY) is trade.is_maker
        printed = self._tapes[trade.symbol].add(
            trade.price, trade.quantity, trade.time_ms, is_buyer_maker=is_buyer_maker
        )
        public = replace(trade, trade_id=printed.trade_id)
        self._trades[trade.symbol].append(public)
        order = self._log.fill(public)
        self._book_ids[trade.symbol] += 1
        kind = "CALCULATED" if order.client_id.startswith("autoclose-") else "TRADE"
        self._tell_step(order, kind, trade.time_ms, public)
        self.tell(MarketNews(printed))

    def _on_ended(self, event: OrderEnded) -> None:
        ending, self._ending = self._ending, NO_ENDING
        order = self._log.end(event.client_id, event.status, event.time_ms, self._is_open, ending)
        kind = "CANCELED" if event.status is VenueStatus.CANCELED else "EXPIRED"
        if ending.prevention is not None and self.market is Market.SPOT:
            kind = "TRADE_PREVENTION"
        self._book_ids[order.symbol] += 1
        self._tell_step(order, kind, event.time_ms, cancel_id=ending.cancel_id)
        self.tell(BookNews(order.symbol))

    def _is_open(self, order_id: int) -> bool:
        """Whether the engine still holds this order open."""
        return self.paper.book.orders(order_id - 1, 1)[0].status.is_open

    def _tell_step(
        self,
        order: VenueOrder,
        kind: str,
        time_ms: int,
        trade: Trade | None = None,
        cancel_id: str = "",
    ) -> None:
        self.last_execution_id += 1
        self.tell(OrderNews(order, kind, self.last_execution_id, time_ms, trade, cancel_id))

    def _settle(self, reason: str, changes: Mapping[str, Decimal] | None = None) -> None:
        """Tell which balances changed since the last time."""
        self._ending = NO_ENDING
        balances = self.paper.book.balances()
        holdings = self._holdings(balances)
        if holdings == self._known:
            return
        changed = tuple(b for b in balances if self._known.get(b.asset) != holdings[b.asset])
        self._known = holdings
        self.updated_ms = self.now_ms()
        self.tell(BalanceNews(changed, reason, self.updated_ms, changes or {}))

    def _holdings(self, balances: Iterable[Balance]) -> dict[str, tuple[Decimal, Decimal]]:
        """What must differ to be news: free and locked; of a futures wallet only its total.

        What a futures wallet has free moves with every price and every order.
        """
        if self.market is Market.SPOT:
            return {b.asset: (b.free, b.locked) for b in balances}
        return {b.asset: (b.total, ZERO) for b in balances}

    def _fault_volume(self, symbol: str, price: Decimal) -> Decimal | None:
        reached = self._reached(symbol, price)
        if not reached:
            return None
        return self._faults.fill_volume(reached, self.instrument(symbol).lot_size)

    def _reached(self, symbol: str, price: Decimal) -> Decimal:
        """How much of our open orders a trade at `price` reaches."""
        buy, sell = self.paper.book.bounds(symbol)
        if (buy is None or price > buy) and (sell is None or price < sell):
            return ZERO
        reports = [order.report for order in self._log.open_orders(symbol)]
        with exact():
            return sum((r.quantity - r.executed for r in reports if _reaches(price, r)), ZERO)

    def _small(self, symbol: str, price: Decimal) -> Decimal:
        lot = self.instrument(symbol).lot_size
        return max(floor_to(int(_SMALL_TRADE / (price * lot)) * lot, lot), lot)


def _reaches(price: Decimal, report: OrderReport) -> bool:
    if report.price is None:
        return False
    return price <= report.price if report.side is Side.BUY else price >= report.price


def _refused(outcome: Outcome) -> Rejected:
    assert isinstance(outcome, Rejected), "the engine in this process is never unsure"
    return outcome


def _not_open(symbol: str, client_id: str) -> Rejected:
    return Rejected(RejectCode.NOT_OPEN, f"{client_id} is not open on {symbol}")
