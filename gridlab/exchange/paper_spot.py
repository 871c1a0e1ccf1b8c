"""The spot account of the paper venue: what orders lock, what fills move, what they cost.

A buy locks quote and a sell locks base; a fill moves both. Knows no matching and no event. Callers
work under `money.exact()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, Side
from gridlab.errors import Conflict
from gridlab.exchange import paper_records
from gridlab.exchange.base import RejectCode, Rejected
from gridlab.exchange.paper_accounts import Accounts
from gridlab.exchange.paper_checks import check_locks
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook
from gridlab.money import ZERO, ceil_to, round_to, rounding, text

#: A fee reserve is rounded up to this many units: the finest amount that a spot venue books.
_RESERVE_STEP = Decimal("0.00000001")


class SpotAccount:
    """Balances that orders lock and fills change; satisfies `paper_accounts.AccountModel`."""

    market = Market.SPOT

    def __init__(self, balances: Mapping[str, Decimal], fees: FeeSchedule) -> None:
        self._accounts = Accounts(balances)
        self._fees = fees

    @property
    def has_changes(self) -> bool:
        return bool(self._accounts.changed)

    def admit(self, market: SymbolBook, request: OrderRequest, takes: bool) -> Decimal | Rejected:
        price = market.price if request.price is None else request.price
        assert price is not None, "a market order before any price is refused by the filters"
        rate = self._fees.taker if takes else self._fees.maker
        needed = lock_needed(self._fees, request.side, price, request.quantity, rate)
        asset = market.locked_asset(request.side)
        free = self._accounts.free(asset)
        if needed > free:
            return Rejected(
                RejectCode.INSUFFICIENT_BALANCE,
                "Account has insufficient balance for requested action: the order needs "
                f"{text(needed)} {asset} and {text(free)} is free",
            )
        return needed

    def lock(self, market: SymbolBook, order: PaperOrder) -> None:
        asset = market.locked_asset(order.side)
        self._accounts.post(asset, order.locked.copy_negate(), order.locked)

    def settle(
        self,
        market: SymbolBook,
        order: PaperOrder,
        quantity: Decimal,
        price: Decimal,
        *,
        is_maker: bool,
        time_ms: int,
    ) -> tuple[Decimal, str]:
        """Unlock what this fill used up, with the lock's excess; book both legs and the fee."""
        instrument = market.instrument
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
        fee, asset = commission(
            self._fees,
            self._accounts,
            instrument,
            side=order.side,
            price=price,
            quantity=quantity,
            is_maker=is_maker,
        )
        self._accounts.post(asset, fee.copy_negate())
        return fee, asset

    def release(self, market: SymbolBook, order: PaperOrder) -> None:
        asset = market.locked_asset(order.side)
        self._accounts.post(asset, order.locked, order.locked.copy_negate())
        order.locked = ZERO

    def transfer(self, asset: str, amount: Decimal, time_ms: int) -> None:
        free = self._accounts.free(asset)
        if amount < 0 and -amount > free:
            raise Conflict(
                f"{text(-amount)} {asset} cannot be paid out: {text(free)} is free; cancel orders "
                "or ask for less"
            )
        self._accounts.post(asset, amount)

    def set_fees(self, fees: FeeSchedule) -> None:
        self._fees = fees

    def balances(self) -> tuple[Balance, ...]:
        return self._accounts.all()

    def take_records(self) -> list[Record]:
        records = [
            paper_records.balance_record(self._accounts.balance(asset))
            for asset in self._accounts.changed
        ]
        self._accounts.changed.clear()
        return records

    def dump(self) -> list[Record]:
        return [paper_records.balance_record(balance) for balance in self._accounts.all()]

    def load(self, stored: StoredBook, markets: Mapping[str, SymbolBook]) -> None:
        self._accounts.replace(stored.balances)
        for market in markets.values():
            for order in market.open.values():
                order.locked = self._still_locked(order)
        check_locks(markets, self._accounts)
        self._accounts.changed.clear()

    def _still_locked(self, order: PaperOrder) -> Decimal:
        if not order.status.is_open or order.price is None:
            return ZERO
        left = order.quantity - order.executed
        return lock_needed(self._fees, order.side, order.price, left, self._fees.maker)


def lock_needed(
    fees: FeeSchedule, side: Side, price: Decimal, quantity: Decimal, rate: Decimal
) -> Decimal:
    """What an order locks: base units for a sell, quote units for a buy.

    A buy whose commission is taken in quote also reserves that commission, at `rate`, rounded up.
    Depends on nothing but its arguments, so a restored book finds the same locks again.
    """
    if side is Side.SELL:
        return quantity
    value = price * quantity
    if fees.mode is FeeMode.QUOTE and rate > 0:
        return value + ceil_to(value * rate, _RESERVE_STEP)
    return value


def commission(
    fees: FeeSchedule,
    accounts: Accounts,
    instrument: Instrument,
    *,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    is_maker: bool,
) -> tuple[Decimal, str]:
    """(amount, asset) of one fill's commission; call it when the fill itself is already posted.

    The amount is rounded half-even to the instrument's commission precision. A fee token that does
    not suffice is left alone and the received asset pays, as on Binance. A commission in quote is
    at most the quote that is left: many small fills can round to a little more than was reserved.
    """
    rate = fees.maker if is_maker else fees.taker
    step = Decimal((0, (1,), -instrument.commission_precision))
    if fees.mode is FeeMode.THIRD:
        with rounding():
            amount = price * quantity * rate / fees.third_price
        fee = round_to(amount, step)
        if fee <= accounts.free(fees.third_asset):
            return fee, fees.third_asset
    if side is Side.BUY and fees.mode is not FeeMode.QUOTE:
        return round_to(quantity * rate, step), instrument.base
    fee = round_to(price * quantity * rate, step)
    return min(fee, accounts.free(instrument.quote)), instrument.quote
