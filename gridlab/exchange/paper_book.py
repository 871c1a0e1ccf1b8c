"""`PaperBook`: the matching engine and the accounts of one simulated spot venue account.

Pure and synchronous: it is told the price and the time, and knows no clock, no disk and no event
loop. Backtests call it directly; `gridlab.exchange.paper` wraps it as an `Exchange`.

How it matches, stated because every simulated result hangs on it:

* The market is one last price of infinite depth and no spread. A market order, and a limit order at
  or beyond the last price, fill at once, in full, at the last price, as taker.
* A resting order fills at its own price, as maker, when the price reaches it (`FillRule.TOUCH`) or
  goes one tick beyond it (`FillRule.THROUGH`); best price first, then oldest first.
* A walk may carry a volume: then at most that much fills in it, and what is left over stays open
  and fills in the next walk that still reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, Side, Trade, VenueStatus
from gridlab.errors import InvalidNumber, NotFound, StorageError
from gridlab.exchange import paper_records
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected, VenueEvent
from gridlab.exchange.paper_accounts import Accounts, commission, lock_needed
from gridlab.exchange.paper_checks import check_agreement
from gridlab.exchange.paper_queue import FillRule, PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook
from gridlab.money import ZERO, exact, floor_to, text

#: Binance's own name for a request about a symbol that it does not list (-1121).
INVALID_SYMBOL = "invalid_symbol"


class PaperBook:
    """One account on simulated spot markets.

    Args:
        instruments: the markets, by symbol.
        balances: what the account holds at the start, by asset.
        fees: what the venue takes.
        fill_rule: when a moving price fills a resting order.
        is_tracking: remember what changes for `take_changes`; costs nothing when off.
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
        self._accounts = Accounts(balances)
        self._orders: list[PaperOrder] = []
        self._events: list[VenueEvent] = []
        self._changed_orders: dict[int, PaperOrder] = {}
        self._changed_trades: list[Trade] = []
        self._stored_prices: dict[str, Decimal] = {}

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
        stored = paper_records.read_records(records)
        book = cls(instruments, balances, fees=fees, fill_rule=fill_rule, is_tracking=True)
        if stored.balances:
            book._load(stored)
        return book

    # -- requests -------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> Outcome:
        """Accept an order, and fill it if it takes; or refuse it, having changed nothing."""
        market = self._markets.get(request.symbol)
        if market is None or request.market is not Market.SPOT:
            return Rejected(
                INVALID_SYMBOL,
                f"{request.symbol} on {request.market} is not listed here; this venue trades spot: "
                f"{', '.join(sorted(self._markets))}",
            )
        refused = market.refusal(request)
        if refused is not None:
            return refused
        takes = market.would_take(request)
        price = market.price if request.price is None else request.price
        assert price is not None, "a market order before any price is refused above"
        with exact():
            rate = self.fees.taker if takes else self.fees.maker
            needed = lock_needed(self.fees, request.side, price, request.quantity, rate)
            asset = market.locked_asset(request.side)
            free = self._accounts.free(asset)
            if needed > free:
                return Rejected(
                    RejectCode.INSUFFICIENT_BALANCE,
                    "Account has insufficient balance for requested action: the order needs "
                    f"{text(needed)} {asset} and {text(free)} is free",
                )
            return Accepted(self._accept(market, request, needed, now_ms, takes))

    def cancel(self, symbol: str, client_id: str, now_ms: int) -> Outcome:
        """End an open order and free what it locked; `NOT_OPEN` when there is none of that id."""
        return self._end(symbol, client_id, VenueStatus.CANCELED, now_ms)

    def expire(self, symbol: str, client_id: str, now_ms: int) -> Outcome:
        """End an open order as the venue does of its own accord, such as for maintenance."""
        return self._end(symbol, client_id, VenueStatus.EXPIRED, now_ms)

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
        market = self._markets.get(symbol)
        if market is None:
            raise self._not_listed(symbol)
        if to_price <= ZERO:
            raise InvalidNumber(f"{symbol}: price {to_price} must be above zero")
        market.price = to_price
        if market.falls_to < to_price < market.rises_to:
            return
        left = None if volume is None else floor_to(volume, market.instrument.lot_size)
        with exact():
            while (order := market.next_filled(to_price)) is not None:
                quantity = order.quantity - order.executed
                if left is not None:
                    quantity = min(quantity, left)
                    left -= quantity
                if quantity <= 0 or order.price is None:
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

    def set_instrument(self, instrument: Instrument) -> None:
        """Change the rules of a listed symbol; orders that rest already stay."""
        market = self._market(instrument.symbol)
        market.instrument = instrument
        market.refresh()

    # -- reads ----------------------------------------------------------------------------------

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
        """The newest order of this id, open or ended; None when there never was one."""
        market = self._markets.get(symbol)
        order = None if market is None else market.latest.get(client_id)
        return None if order is None else order.report()

    def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Every open order on `symbol`, oldest first."""
        market = self._markets.get(symbol)
        return () if market is None else tuple(o.report() for o in market.open.values())

    def orders(self, after: int = 0, limit: int = 100) -> tuple[OrderReport, ...]:
        """Orders of all symbols with an id above `after`, ascending, ended ones too."""
        return tuple(order.report() for order in self._orders[max(0, after) : after + limit])

    def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        """The trades on `symbol` with `trade_id > after_id`, oldest first; ids count from 1."""
        market = self._markets.get(symbol)
        return () if market is None else tuple(market.trades[max(0, after_id) :])

    def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name."""
        return self._accounts.all()

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
        return self.is_tracking and bool(self._changed_orders or self._accounts.changed)

    def take_changes(self) -> list[Record]:
        """The records that make a stored book equal to this one; empty when it does not track."""
        if not self.is_tracking:
            return []
        records = [paper_records.order_record(o.report()) for o in self._changed_orders.values()]
        records += [paper_records.trade_record(t) for t in self._changed_trades]
        records += [
            paper_records.balance_record(self._accounts.balance(asset))
            for asset in self._accounts.changed
        ]
        for symbol, market in self._markets.items():
            price = market.price
            if price is not None and self._stored_prices.get(symbol) != price:
                records.append(paper_records.price_record(symbol, price))
                self._stored_prices[symbol] = price
        self._forget_changes()
        return records

    def dump(self) -> list[Record]:
        """The whole book as records, in a fixed order: equal books give equal dumps."""
        records = [paper_records.order_record(order.report()) for order in self._orders]
        for symbol in sorted(self._markets):
            market = self._markets[symbol]
            records += [paper_records.trade_record(trade) for trade in market.trades]
            if market.price is not None:
                records.append(paper_records.price_record(symbol, market.price))
        return records + [paper_records.balance_record(b) for b in self._accounts.all()]

    # -- inside ---------------------------------------------------------------------------------

    def _accept(
        self, market: SymbolBook, request: OrderRequest, needed: Decimal, now_ms: int, takes: bool
    ) -> OrderReport:
        order = PaperOrder(len(self._orders) + 1, request, now_ms)
        order.locked = needed
        asset = market.locked_asset(order.side)
        self._accounts.post(asset, needed.copy_negate(), needed)
        self._orders.append(order)
        self._note(order)
        self._events.append(OrderAccepted(now_ms, order.client_id, order.order_id))
        market.add(order)
        if takes:
            assert market.price is not None, "nothing takes before there is a price"
            self._fill(market, order, order.quantity, market.price, now_ms, is_maker=False)
        return order.report()

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
        self._settle(market.instrument, order, quantity, price)
        fee, fee_asset = commission(
            self.fees,
            self._accounts,
            market.instrument,
            side=order.side,
            price=price,
            quantity=quantity,
            is_maker=is_maker,
        )
        self._accounts.post(fee_asset, fee.copy_negate())
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
        self._note(order, trade)
        self._events.append(OrderFilled(time_ms, trade))
        if is_filled:
            market.remove(order)
            self._events.append(
                OrderEnded(time_ms, order.client_id, VenueStatus.FILLED, order.executed)
            )

    def _settle(
        self, instrument: Instrument, order: PaperOrder, quantity: Decimal, price: Decimal
    ) -> None:
        """Unlock what this fill used up, with any excess of the lock, and book both legs."""
        kept = self._still_locked(order)
        unlocked = order.locked - kept
        order.locked = kept
        value = price * quantity
        if order.side is Side.BUY:
            self._accounts.post(instrument.quote, unlocked - value, unlocked.copy_negate())
            self._accounts.post(instrument.base, quantity)
        else:
            self._accounts.post(instrument.base, unlocked - quantity, unlocked.copy_negate())
            self._accounts.post(instrument.quote, value)

    def _still_locked(self, order: PaperOrder) -> Decimal:
        if not order.status.is_open or order.price is None:
            return ZERO
        left = order.quantity - order.executed
        return lock_needed(self.fees, order.side, order.price, left, self.fees.maker)

    def _end(self, symbol: str, client_id: str, status: VenueStatus, now_ms: int) -> Outcome:
        market = self._markets.get(symbol)
        order = None if market is None else market.open.get(client_id)
        if market is None or order is None:
            return Rejected(
                RejectCode.NOT_OPEN, f"Unknown order sent: {client_id} is not open on {symbol}"
            )
        order.status = status
        order.updated_ms = now_ms
        market.remove(order)
        with exact():
            asset = market.locked_asset(order.side)
            self._accounts.post(asset, order.locked, order.locked.copy_negate())
        order.locked = ZERO
        self._note(order)
        self._events.append(OrderEnded(now_ms, client_id, status, order.executed))
        return Accepted(order.report())

    def _note(self, order: PaperOrder, trade: Trade | None = None) -> None:
        if self.is_tracking:
            self._changed_orders[order.number] = order
            if trade is not None:
                self._changed_trades.append(trade)

    def _forget_changes(self) -> None:
        self._changed_orders.clear()
        self._changed_trades.clear()
        self._accounts.changed.clear()

    def _load(self, stored: StoredBook) -> None:
        self._accounts.replace(stored.balances)
        with exact():
            for report in stored.orders:
                order = PaperOrder.of(report)
                order.locked = self._still_locked(order)
                self._orders.append(order)
                self._stored_market(order.symbol).add(order)
        for trade in stored.trades:
            self._stored_market(trade.symbol).trades.append(trade)
        for symbol, price in stored.prices.items():
            self._stored_market(symbol).price = price
        self._stored_prices = dict(stored.prices)
        check_agreement(self._orders, self._markets, self._accounts)
        self._forget_changes()

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
            raise self._not_listed(symbol)
        return market

    def _not_listed(self, symbol: str) -> NotFound:
        listed = ", ".join(sorted(self._markets))
        return NotFound(f"{symbol} is not listed on the paper venue; it has {listed}")
