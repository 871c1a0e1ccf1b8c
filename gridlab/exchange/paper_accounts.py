"""The paper venue's balances, and what an account model has to do for the book.

Balances change only by `post`, which refuses to let either part go below zero. Knows no order
queue's order, no event and no clock. Callers work under `money.exact()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from gridlab.domain.market import Balance, FeeSchedule, Market
from gridlab.domain.orders import OrderRequest
from gridlab.errors import InvariantError
from gridlab.exchange.base import Rejected
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.exchange.paper_records import Record, StoredBook
from gridlab.money import ZERO, parse


class AccountModel(Protocol):
    """What stands behind the orders of one account: owned assets on spot, margin on futures.

    `PaperBook` matches; whatever is locked, paid, owed or refused for lack of funds is decided
    here. All methods but `balances` are called under `money.exact()`.
    """

    market: Market

    @property
    def has_changes(self) -> bool:
        """Whether anything changed since `take_records`."""
        ...

    def admit(self, market: SymbolBook, request: OrderRequest, takes: bool) -> Decimal | Rejected:
        """What the order is to lock; or why the account cannot carry it."""
        ...

    def lock(self, market: SymbolBook, order: PaperOrder) -> None:
        """Set aside what an accepted order needs; `order.locked` is what `admit` said."""
        ...

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
        """Book one fill, which `order` shows already; returns (fee, its asset)."""
        ...

    def release(self, market: SymbolBook, order: PaperOrder) -> None:
        """Give back what an order that ended unfilled still holds."""
        ...

    def transfer(self, asset: str, amount: Decimal, time_ms: int) -> None:
        """Pay in, or with a negative amount pay out; raises `Conflict` for more than is free."""
        ...

    def set_fees(self, fees: FeeSchedule) -> None:
        """Take other fees from now on."""
        ...

    def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name."""
        ...

    def take_records(self) -> list[Record]:
        """The records of what changed since the last call."""
        ...

    def dump(self) -> list[Record]:
        """Everything as records, in a fixed order."""
        ...

    def load(self, stored: StoredBook, markets: Mapping[str, SymbolBook]) -> None:
        """Become what is stored, the orders and trades of `markets` included.

        Raises:
            StorageError: the records do not agree with each other.
        """
        ...


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
