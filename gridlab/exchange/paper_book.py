"""`PaperBook`: the matching engine of one simulated venue account.

Pure and synchronous: it is told the price and the time, and knows no clock, no disk and no event
loop. Backtests call it directly; `gridlab.exchange.paper` wraps it as an `Exchange`. What stands
behind an order is its account model's affair: a spot one here, margin in `paper_futures_book`.

How it matches, stated because every simulated result hangs on it:

* The market is one last price of infinite depth and no spread. A market order, and a limit order at
  or beyond the last price, fill at once, in full, at the last price, as taker.
* A resting order fills at its own price, as maker, when the price reaches it (`FillRule.TOUCH`) or
  goes one tick beyond it (`FillRule.THROUGH`); best price first, then oldest first.
* A walk may carry a volume: then at most that much fills in it, and what is left over stays open
  and fills in the next walk that still reaches it.
* A reduce-only order fills at most what there is to reduce; what is left of one that takes expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, Side, Trade, VenueStatus
from gridlab.errors import InvalidInput, InvalidNumber, NotFound, StorageError
from gridlab.exchange import paper_changes, paper_records
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected, VenueEvent
from gridlab.exchange.paper_accounts import AccountModel
from gridlab.exchange.paper_changes import BookChanges
from gridlab.exchange.paper_checks import check_market, check_numbers
from gridlab.exchange.paper_queue import RANKS, FillRule, PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook
from gridlab.exchange.paper_spot import SpotAccount
from gridlab.money import ZERO, exact, floor_to, text


class PaperBook:
    """One account on the simulated symbols of one market: spot, unless a subclass says otherwise.

    Args:
        instruments: the rules, by symbol.
        balances: what the account holds at the start, by asset.
        fees: what the venue takes.
        fill_rule: when a moving price fills a resting order.
        is_tracking: remember what changes for `take_changes`; costs nothing when off.

    Raises:
        InvalidInput: an instrument of another market.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        balances: Mapping[str, Decimal],
        *,
        fees: FeeSchedule,
        fill_rule: FillRule = FillRule.TOUCH,
        is_tracking: bool = False,
    ) -> None:
        self.fees = fees
        self.fill_rule = fill_rule
        self.is_tracking = is_tracking
        self._markets = {s: SymbolBook(i, fill_rule) for s, i in instruments.items()}
        self._account = self._open_account(balances)
        check_market(self.market, *instruments.values())
        self._orders: list[PaperOrder] = []
        self._events: list[VenueEvent] = []
        self._changes = BookChanges(is_tracking)
        self._amendments = 0

    def _open_account(self, balances: Mapping[str, Decimal]) -> AccountModel:
        return SpotAccount(balances, self.fees)

    @property
    def market(self) -> Market:
        """The market that this account trades."""
        return self._account.market

    @classmethod
    def restore(
        cls,
        records: Iterable[Record],
        instruments: Mapping[str, Instrument],
        balances: Mapping[str, Decimal],
        *,
        fees: FeeSchedule,
        fill_rule: FillRule = FillRule.TOUCH,
    ) -> PaperBook:
        """The book that `records` hold, with change tracking; a new one when there are none.

        Args:
            balances: the opening balances, used only when no balance is stored.

        Raises:
            StorageError: the records cannot be read, or do not agree with each other.
        """
        book = cls(instruments, balances, fees=fees, fill_rule=fill_rule, is_tracking=True)
        book._load(paper_records.read_records(records))
        return book

    # -- requests -------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> Outcome:
        """Accept an order, and fill it if it takes; or refuse it, having changed nothing."""
        market = self._markets.get(request.symbol)
        if market is None or request.market is not self.market:
            return Rejected(
                RejectCode.INVALID_SYMBOL,
                f"{request.symbol} on {request.market} is not listed here; this venue trades "
                f"{self.market}: {', '.join(sorted(self._markets))}",
            )
        refused = market.refusal(request)
        if refused is not None:
            return refused
        takes = market.would_take(request)
        with exact():
            needed = self._account.admit(market, request, takes)
            if isinstance(needed, Rejected):
                return needed
            order = self._enter(market, request, needed, now_ms)
            if takes:
                self._take(market, order, now_ms)
            return Accepted(order.report())

    def cancel(self, symbol: str, client_id: str, now_ms: int) -> Outcome:
        """End an open order and free what it locked; `NOT_OPEN` when there is none of that id."""
        return self._end(symbol, client_id, VenueStatus.CANCELED, now_ms)

    def expire(self, symbol: str, client_id: str, now_ms: int) -> Outcome:
        """End an open order as the venue does of its own accord, such as for maintenance."""
        return self._end(symbol, client_id, VenueStatus.EXPIRED, now_ms)

    def amend(
        self,
        symbol: str,
        client_id: str,
        now_ms: int,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        new_client_id: str | None = None,
    ) -> Outcome:
        """Change an open limit order in place: same order id, same executed quantity.

        A smaller quantity alone keeps the time priority; another price or a larger quantity goes
        behind everybody else, and another price takes at once if it crosses. Refused with the order
        unchanged when funds are short, the new quantity is not above what was executed, the new id
        is taken, or a post-only order would take. Filters are not applied again. Tells no event of
        its own.
        """
        market = self._markets.get(symbol)
        order = None if market is None else market.open.get(client_id)
        if market is None or order is None:
            return _not_open(symbol, client_id)
        name = client_id if new_client_id is None else new_client_id
        wanted = order.quantity if quantity is None else quantity
        if wanted <= order.executed:
            return Rejected(
                RejectCode.FILTER,
                f"quantity {text(wanted)} must be above the {text(order.executed)} that is "
                "executed; cancel the order instead",
            )
        limit = order.price if price is None else price
        request = order.request_for_rest(name, self.market, wanted, limit)
        refused = market.amendment_refusal(order, request)
        if refused is not None:
            return refused
        takes = market.would_take_amended(order, request)
        with exact():
            locked = order.locked
            self._account.release(market, order)
            needed = self._account.admit(market, request, takes)
            if isinstance(needed, Rejected):
                order.locked = locked
                self._account.lock(market, order)
                return needed
            self._replace(market, order, request, wanted, needed, now_ms)
            if takes:
                self._take(market, order, now_ms)
        return Accepted(order.report())

    def fill_part(self, symbol: str, client_id: str, quantity: Decimal, now_ms: int) -> Outcome:
        """Fill part of an open order at its own price, as maker, wherever the market stands.

        For simulations: as if somebody had traded against it. At most what the order has left is
        filled, floored to the lot; `NOT_OPEN` when there is no such open order or nothing to fill.
        """
        market = self._markets.get(symbol)
        order = None if market is None else market.open.get(client_id)
        if market is None or order is None or order.price is None:
            return _not_open(symbol, client_id)
        with exact():
            part = floor_to(quantity, market.instrument.lot_size)
            part = min(part, self._fillable(market, order))
            if part <= 0:
                return _not_open(symbol, client_id)
            self._fill(market, order, part, order.price, now_ms, is_maker=True)
        return Accepted(order.report())

    def transfer(self, asset: str, amount: Decimal, time_ms: int) -> None:
        """Pay `amount` of `asset` into the account; out of it when negative.

        Raises:
            Conflict: more than is free is asked for; nothing was changed.
        """
        with exact():
            self._account.transfer(asset, amount, time_ms)

    # -- the market moves -----------------------------------------------------------------------

    def walk(
        self, symbol: str, to_price: Decimal, time_ms: int, volume: Decimal | None = None
    ) -> None:
        """Move the price to `to_price` and fill every resting order that it reaches on the way.

        Whatever rests between the last price and `to_price` is reached exactly when `to_price`
        itself reaches it, so the end of the walk decides. The same holds for the first walk of a
        symbol and for what an earlier walk's `volume` left unfilled.

        Args:
            volume: base units that may fill in this walk at most, floored to the lot; None = any.

        Raises:
            NotFound: no such symbol.
            InvalidNumber: the price is not above zero.
        """
        market = self._market(symbol)
        if to_price <= ZERO:
            raise InvalidNumber(f"{symbol}: price {to_price} must be above zero")
        market.price = to_price
        if market.falls_to < to_price < market.rises_to:
            return
        left = None if volume is None else floor_to(volume, market.instrument.lot_size)
        with exact():
            while (order := market.next_filled(to_price)) is not None:
                if order.price is None or not self._holds_until(market, order.price):
                    return
                quantity = self._fillable(market, order)
                if left is not None:
                    quantity = min(quantity, left)
                    left -= quantity
                if quantity <= 0:
                    return
                self._fill(market, order, quantity, order.price, time_ms, is_maker=True)

    def print_trade(self, symbol: str, price: Decimal, quantity: Decimal, time_ms: int) -> None:
        """Match one trade of the market: at most `quantity` of what its price reaches."""
        self.walk(symbol, price, time_ms, quantity)

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Set the last price without filling anything."""
        if price <= ZERO:
            raise InvalidNumber(f"{symbol}: price {price} must be above zero")
        self._market(symbol).price = price

    def set_fees(self, fees: FeeSchedule) -> None:
        """Take other rates from now on; `InvalidInput` for fees in another asset than before."""
        if fees.mode is not self.fees.mode:
            raise InvalidInput(f"fees in mode {self.fees.mode} cannot become {fees.mode}")
        self.fees = fees
        self._account.set_fees(fees)

    def add_instrument(self, instrument: Instrument) -> None:
        """List another symbol; one that is listed stays as it is.

        Raises:
            InvalidInput: an instrument of another market.
        """
        check_market(self.market, instrument)
        self._markets.setdefault(instrument.symbol, SymbolBook(instrument, self.fill_rule))

    def set_instrument(self, instrument: Instrument) -> None:
        """Change the rules of a listed symbol; orders that rest already stay."""
        market = self._market(instrument.symbol)
        market.instrument = instrument
        market.refresh()

    # -- reads ----------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """The listed symbols."""
        return tuple(self._markets)

    def price(self, symbol: str) -> Decimal | None:
        """The last price; None before the first; raises `NotFound`."""
        return self._market(symbol).price

    def bounds(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """(best resting buy, best resting sell): a price strictly between them fills nothing."""
        market = self._market(symbol)
        return market.best(Side.BUY), market.best(Side.SELL)

    def instrument(self, symbol: str) -> Instrument:
        """The rules of `symbol`; raises `NotFound`."""
        return self._market(symbol).instrument

    def query(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order of this id, open or the newest that ended; None when there never was one."""
        market = self._markets.get(symbol)
        order = None if market is None else market.find(client_id)
        return None if order is None else order.report()

    def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Every open order on `symbol`, oldest first."""
        market = self._markets.get(symbol)
        return () if market is None else tuple(order.report() for order in market.by_age())

    def orders(self, after: int = 0, limit: int = 100) -> tuple[OrderReport, ...]:
        """Orders of all symbols with an id above `after`, ascending, ended ones too."""
        return tuple(order.report() for order in self._orders[max(0, after) : after + limit])

    def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        """The trades on `symbol` with `trade_id > after_id`, oldest first; ids count from 1."""
        market = self._markets.get(symbol)
        return () if market is None else tuple(market.trades[max(0, after_id) :])

    def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name."""
        return self._account.balances()

    def take_events(self) -> list[VenueEvent]:
        """What happened since the last call, in order; the list is the caller's."""
        events, self._events = self._events, []
        return events

    # -- records --------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether orders, trades or balances changed since `take_changes`.

        A price alone is worth no transaction: it is stored with the next change.
        """
        return self.is_tracking and (bool(self._changes) or self._account.has_changes)

    def take_changes(self) -> list[Record]:
        """The records that make a stored book equal to this one; empty when it does not track."""
        if not self.is_tracking:
            return []
        return self._changes.take(self._markets, self._account.take_records())

    def dump(self) -> list[Record]:
        """The whole book as records, in a fixed order: equal books give equal dumps."""
        return paper_changes.dump(self._orders, self._markets, self._account.dump())

    # -- inside ---------------------------------------------------------------------------------

    def _enter(
        self, market: SymbolBook, request: OrderRequest, needed: Decimal, now_ms: int
    ) -> PaperOrder:
        """Hold a new order."""
        order = PaperOrder(len(self._orders) + 1, request, now_ms)
        order.locked = needed
        self._account.lock(market, order)
        self._orders.append(order)
        self._changes.note(order)
        self._events.append(OrderAccepted(now_ms, order.client_id, order.order_id))
        market.add(order)
        return order

    def _replace(
        self,
        market: SymbolBook,
        order: PaperOrder,
        request: OrderRequest,
        quantity: Decimal,
        needed: Decimal,
        now_ms: int,
    ) -> None:
        """Give an open order the price, the name and the quantity that an amendment asks for."""
        market.remove(order)
        if request.client_id != order.client_id:
            market.forget(order, self._orders)
        if request.price != order.price or quantity > order.quantity:
            self._amendments += 1
            order.rank = len(self._orders) * RANKS + self._amendments
        order.client_id, order.price, order.quantity = request.client_id, request.price, quantity
        order.updated_ms = now_ms
        order.locked = needed
        self._account.lock(market, order)
        market.add(order)
        self._changes.note(order)

    def _take(self, market: SymbolBook, order: PaperOrder, now_ms: int) -> None:
        """Fill a new order at the last price; what cannot be filled of it expires."""
        assert market.price is not None, "nothing takes before there is a price"
        quantity = self._fillable(market, order)
        self._fill(market, order, quantity, market.price, now_ms, is_maker=False)
        if order.status.is_open:
            self._finish(market, order, VenueStatus.EXPIRED, now_ms)

    def _holds_until(self, market: SymbolBook, price: Decimal) -> bool:
        """Whether the account can still trade when the market gets to `price`."""
        return True

    def _fillable(self, market: SymbolBook, order: PaperOrder) -> Decimal:
        """How much of an order that the price reaches may fill."""
        return order.quantity - order.executed

    def _fill(
        self,
        market: SymbolBook,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        time_ms: int,
        *,
        is_maker: bool,
    ) -> None:
        order.executed += quantity
        order.updated_ms = time_ms
        is_filled = order.executed == order.quantity
        order.status = VenueStatus.FILLED if is_filled else VenueStatus.PARTIALLY_FILLED
        fee, fee_asset = self._account.settle(
            market, order, quantity, price, is_maker=is_maker, time_ms=time_ms
        )
        trade = Trade(
            trade_id=len(market.trades) + 1,
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=is_maker,
            time_ms=time_ms,
        )
        market.trades.append(trade)
        self._changes.note(order, trade)
        self._events.append(OrderFilled(time_ms, trade))
        if is_filled:
            market.remove(order)
            self._events.append(
                OrderEnded(time_ms, order.client_id, VenueStatus.FILLED, order.executed)
            )

    def _end(self, symbol: str, client_id: str, status: VenueStatus, now_ms: int) -> Outcome:
        market = self._markets.get(symbol)
        order = None if market is None else market.open.get(client_id)
        if market is None or order is None:
            return _not_open(symbol, client_id)
        self._finish(market, order, status, now_ms)
        return Accepted(order.report())

    def _finish(
        self, market: SymbolBook, order: PaperOrder, status: VenueStatus, now_ms: int
    ) -> None:
        """End an order that has something left to trade."""
        order.status = status
        order.updated_ms = now_ms
        market.remove(order)
        with exact():
            self._account.release(market, order)
        self._changes.note(order)
        self._events.append(OrderEnded(now_ms, order.client_id, status, order.executed))

    def _load(self, stored: StoredBook) -> None:
        """Become what is stored; a book of which nothing is stored stays new."""
        if not stored.balances:
            return
        for report in stored.orders:
            order = PaperOrder.of(report)
            order.rank = stored.ranks.get(report.order_id, order.rank)
            self._orders.append(order)
            self._stored_market(order.symbol).add(order)
        for trade in stored.trades:
            self._stored_market(trade.symbol).trades.append(trade)
        for symbol, price in stored.prices.items():
            if symbol in self._markets:  # a price alone holds nothing
                self._markets[symbol].price = price
        self._changes.remember_stored(stored.prices)
        self._amendments = max((rank % RANKS for rank in stored.ranks.values()), default=0)
        check_numbers(self._orders, self._markets)
        with exact():
            self._account.load(stored, self._markets)

    def _stored_market(self, symbol: str) -> SymbolBook:
        market = self._markets.get(symbol)
        if market is None:
            raise StorageError(
                f"the venue's records speak of {symbol}, which is not among its instruments "
                f"({', '.join(sorted(self._markets))}); start with the same symbols"
            )
        return market

    def _market(self, symbol: str) -> SymbolBook:
        market = self._markets.get(symbol)
        if market is None:
            listed = ", ".join(sorted(self._markets))
            raise NotFound(f"{symbol} is not listed on the paper venue; it has {listed}")
        return market


def _not_open(symbol: str, client_id: str) -> Rejected:
    return Rejected(RejectCode.NOT_OPEN, f"Unknown order sent: {client_id} is not open on {symbol}")
