"""Orders, trades and what a venue reports of them; client order ids.

A client id names run, slot, cycle and attempt, so that it says where it belongs and can never be
given twice. Ids use only `[A-Za-z0-9_-]`, at most 36 characters, which every Binance market takes.
Attempts have seven digits: a slot that is refused once a minute must not run out of names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from gridlab.domain.market import Market
from gridlab.errors import InvalidInput

CLIENT_ID_PREFIX = "gl"
_CLIENT_ID = re.compile(r"gl-([a-z0-9]{1,12})-(i|f|\d{1,3})-(\d{1,7})-(\d{1,7})")

#: The slot number of the purchase that stocks the sells of a new grid.
INITIAL_BUY = -1
#: The slot number of the sale that empties a grid on its stop.
FINAL_SELL = -2


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    LIMIT = "limit"
    LIMIT_MAKER = "limit_maker"  # refused by the venue if it would trade at once
    MARKET = "market"


class VenueStatus(StrEnum):
    """An order's state in the venue's words, and `FORGOTTEN` in ours."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    FORGOTTEN = "forgotten"  # it was there, is provably open no more, and the venue knows no end

    @property
    def is_open(self) -> bool:
        return self in (VenueStatus.NEW, VenueStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True, order=True)
class ClientId:
    """(run, slot, cycle, attempt), and its text form `gl-<run>-<slot>-<cycle>-<attempt>`."""

    run: str
    slot: int
    cycle: int
    attempt: int

    def __str__(self) -> str:
        slot = {INITIAL_BUY: "i", FINAL_SELL: "f"}.get(self.slot, str(self.slot))
        return f"{CLIENT_ID_PREFIX}-{self.run}-{slot}-{self.cycle}-{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> ClientId | None:
        """The id that `text` writes, or None when the order is not one of ours."""
        return _parsed(text)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ClientId | None:
    """Remembered, because every event of an order asks some ten times where it belongs."""
    found = _CLIENT_ID.fullmatch(text)
    if found is None:
        return None
    run, slot, cycle, attempt = found.groups()
    number = {"i": INITIAL_BUY, "f": FINAL_SELL}.get(slot)
    return ClientId(run, int(slot) if number is None else number, int(cycle), int(attempt))


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it is sent: the whole intention, decided before a byte leaves.

    Args:
        client_id: our name for it; see `ClientId`.
        price: limit price in quote units; None for a market order.
        quantity: base units.
        reduce_only: futures only: the order may make a position smaller and never open one.
    """

    client_id: str
    symbol: str
    market: Market
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    reduce_only: bool = False

    def __post_init__(self) -> None:
        if (self.price is None) is not (self.type is OrderType.MARKET):
            raise InvalidInput(f"{self.client_id}: a limit order has a price, a market order none")
        if self.quantity <= 0:
            raise InvalidInput(f"{self.client_id}: quantity {self.quantity} must be above zero")
        if self.reduce_only and self.market is Market.SPOT:
            raise InvalidInput(f"{self.client_id}: reduce-only orders exist on futures only")


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the venue knows of one order."""

    order_id: str
    client_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    executed: Decimal
    status: VenueStatus
    created_ms: int
    updated_ms: int
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution of one of our orders; `trade_id` rises by symbol and never repeats."""

    trade_id: int
    order_id: str
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    time_ms: int

    @property
    def quote_quantity(self) -> Decimal:
        return self.price * self.quantity
