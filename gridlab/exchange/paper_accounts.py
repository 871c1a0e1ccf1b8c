"""The paper venue's accounts: what is free, what is locked, and what a fill costs in commission.

Balances change only by `post`, which refuses to let either part go below zero. Knows no order
queue, no event and no clock. Callers work under `money.exact()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Instrument
from gridlab.domain.orders import Side
from gridlab.errors import InvariantError
from gridlab.money import ZERO, ceil_to, parse, round_to, rounding

#: A fee reserve is rounded up to this many units: the finest amount that a spot venue books.
_RESERVE_STEP = Decimal("0.00000001")


class Accounts:
    """Balances of one account; `changed` names the assets touched since it was last cleared."""

    def __init__(self, balances: Mapping[str, Decimal]) -> None:
        self.changed: dict[str, None] = dict.fromkeys(balances)
        self._free: dict[str, Decimal] = {}
        self._locked: dict[str, Decimal] = {}
        for asset, amount in balances.items():
            self._set(asset, parse(amount, f"balance of {asset}"), ZERO)

    def free(self, asset: str) -> Decimal:
        """What can be used of `asset`; zero for one that the account never held."""
        return self._free.get(asset, ZERO)

    def locked(self, asset: str) -> Decimal:
        """What open orders hold of `asset`."""
        return self._locked.get(asset, ZERO)

    def all(self) -> tuple[Balance, ...]:
        """Every balance, by asset name."""
        return tuple(self.balance(asset) for asset in sorted(self._free))

    def balance(self, asset: str) -> Balance:
        return Balance(asset, self.free(asset), self.locked(asset))

    def post(self, asset: str, free: Decimal, locked: Decimal = ZERO) -> None:
        """Add `free` and `locked`, either of which may be negative, to the balance of `asset`.

        Raises:
            InvariantError: a part would fall below zero; whoever posts must have checked.
        """
        self._set(asset, self.free(asset) + free, self.locked(asset) + locked)
        self.changed[asset] = None

    def replace(self, balances: Mapping[str, Balance]) -> None:
        """Hold exactly `balances`: what a restored book starts from."""
        self._free.clear()
        self._locked.clear()
        for asset, balance in balances.items():
            self._set(asset, balance.free, balance.locked)

    def _set(self, asset: str, free: Decimal, locked: Decimal) -> None:
        if free < 0 or locked < 0:
            raise InvariantError(
                f"{asset} would have {free} free and {locked} locked; neither may go below zero"
            )
        self._free[asset] = free
        self._locked[asset] = locked


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
