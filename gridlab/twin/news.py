"""What a venue tells its listeners: orders step by step, trades of the market, money, rules.

Values only. Each is a fact at the moment it is told; whoever hears it can query it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from gridlab.domain.account import MarginType
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Balance, Instrument
from gridlab.domain.orders import OrderReport, OrderType, Trade
from gridlab.money import ZERO
from gridlab.twin.stream_payloads import Printed
from gridlab.twin.user_news import UserNews

UNFILLED_IOC = "UNFILLED_IOC_QUANTITY_EXPIRED"
UNFILLED_FOK = "UNFILLED_FOK_ORDER_EXPIRED"
EXCHANGE_CANCELED = "EXCHANGE_CANCELED"


@dataclass(frozen=True, slots=True)
class OrderExtras:
    """What Binance's orders have and GridLab's do not.

    Args:
        original_type: the type as it was asked for, where the matching engine knows another, such
            as STOP for a triggered order; empty when it is the same.
        is_id_chosen: whether the caller named the order; else the venue did.
        good_till_ms: end of a GTD order; 0 for the others.
    """

    time_in_force: str = "GTC"
    stp_mode: str = "EXPIRE_MAKER"
    quote_order_quantity: Decimal = ZERO
    iceberg_quantity: Decimal = ZERO
    strategy_id: int | None = None
    strategy_type: int | None = None
    original_type: str = ""
    position_side: str = "BOTH"
    is_reduce_only: bool = False
    is_close_position: bool = False
    good_till_ms: int = 0
    is_id_chosen: bool = True


@dataclass(frozen=True, slots=True)
class Prevention:
    """Why an order expired in place of a trade with another of the same account.

    Args:
        match_id: numbers the trades that were prevented, from 1.
        quantity: what the order had left, base units.
        counter_order_id: the other order.
        price: at which the two would have traded.
    """

    match_id: int
    quantity: Decimal
    counter_order_id: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Ending:
    """What an order's end is for, where the venue's engine does not know it.

    Args:
        cancel_id: the id that the request which cancelled it went by.
        reason: why the venue ended it of its own accord; empty when it did not.
    """

    cancel_id: str = ""
    reason: str = ""
    prevention: Prevention | None = None


NO_ENDING = Ending()


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One order at one moment.

    Args:
        quote_executed: price x quantity of all fills so far, quote units.
        fills: its trades, with the ids that the public tape has for them.
        ending: what its end was for, once it ended unfilled.
    """

    report: OrderReport
    extras: OrderExtras
    quote_executed: Decimal = ZERO
    fills: tuple[Trade, ...] = ()
    ending: Ending = NO_ENDING

    @property
    def order_id(self) -> int:
        return int(self.report.order_id)

    @property
    def client_id(self) -> str:
        return self.report.client_id

    @property
    def symbol(self) -> str:
        return self.report.symbol

    @property
    def is_open(self) -> bool:
        return self.report.status.is_open

    @property
    def status(self) -> str:
        """The venue's word, such as NEW."""
        return "EXPIRED_IN_MATCH" if self.ending.prevention else self.report.status.upper()

    @property
    def type_name(self) -> str:
        """LIMIT, LIMIT_MAKER or MARKET. A post-only futures order is a LIMIT of GTX."""
        if self.report.type is OrderType.LIMIT_MAKER and self.extras.time_in_force == "GTX":
            return "LIMIT"
        return self.report.type.upper()


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One step of one order.

    Args:
        order: the order as of this step.
        execution_type: NEW, TRADE, CANCELED, EXPIRED, TRADE_PREVENTION (spot); REPLACED or
            AMENDMENT for a change in place; CALCULATED for a trade of a forced liquidation.
        execution_id: rises with every step on this market, never repeats.
        trade: of TRADE and CALCULATED.
        cancel_id: of a cancel: the id that the event carries as the client's; else empty.
    """

    order: VenueOrder
    execution_type: str
    execution_id: int
    time_ms: int
    trade: Trade | None = None
    cancel_id: str = ""


@dataclass(frozen=True, slots=True)
class MarketNews:
    """The market traded, with us or without."""

    trade: Printed


@dataclass(frozen=True, slots=True)
class BookNews:
    """The book of a symbol changed without a trade."""

    symbol: str


@dataclass(frozen=True, slots=True)
class BalanceNews:
    """Balances that changed, as they are now.

    Args:
        reason: ORDER, DEPOSIT, WITHDRAW, FUNDING_FEE, MARGIN_TRANSFER, ADJUSTMENT, ...
        changes: by how much, where money came or went other than by trading.
    """

    balances: tuple[Balance, ...]
    reason: str
    time_ms: int
    changes: Mapping[str, Decimal] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PositionNews:
    """A futures position changed; what it is now can be asked."""

    symbol: str
    reason: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class FundingNews:
    """Funding was booked on a symbol."""

    symbol: str
    payment: FundingPaid


@dataclass(frozen=True, slots=True)
class SettingsNews:
    """A futures symbol's leverage or margin type was changed."""

    symbol: str
    time_ms: int
    leverage: int | None = None
    margin_type: MarginType | None = None


@dataclass(frozen=True, slots=True)
class RulesNews:
    """A symbol's rules were changed."""

    instrument: Instrument


VenueNews: TypeAlias = (
    OrderNews
    | MarketNews
    | BookNews
    | BalanceNews
    | PositionNews
    | FundingNews
    | SettingsNews
    | RulesNews
    | UserNews
)
Listener: TypeAlias = Callable[[VenueNews], None]
