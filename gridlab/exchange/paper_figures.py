"""What a paper futures account tells of itself: figures, income rows, changes of positions.

Frozen values, in the margin asset unless said otherwise, exact where they can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridlab.domain.account import MarginType, Position
from gridlab.domain.orders import Trade
from gridlab.exchange.paper_margin import Bracket


class IncomeKind(StrEnum):
    """Why the wallet changed, in the exchange's words."""

    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    TRANSFER = "TRANSFER"


@dataclass(frozen=True, slots=True)
class Income:
    """One change of the wallet; the wallet is its opening plus all of these.

    Args:
        number: from 1, rising by one over all symbols.
        symbol: empty for a transfer.
        amount: positive when received.
        trade_id: the trade that caused it, for profit and commission.
        note: the funding id of a funding payment, else empty.
    """

    number: int
    time_ms: int
    symbol: str
    kind: IncomeKind
    asset: str
    amount: Decimal
    trade_id: int | None = None
    note: str = ""


class ChangeReason(StrEnum):
    """Why a position or the wallet behind it changed, in the exchange's words."""

    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    LEVERAGE_CHANGE = "LEVERAGE_CHANGE"
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A position and its wallet right after one change.

    Args:
        symbol, position: empty and None for a transfer, which touches no position.
        change: what the wallet gained or lost, apart from profit and commission of a trade.
        trade: the trade that changed the position, for `ORDER`.
        realized: the profit that this trade realised, before its fee.
    """

    time_ms: int
    reason: ChangeReason
    symbol: str
    position: Position | None
    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    isolated_wallet: Decimal
    change: Decimal
    trade: Trade | None = None
    realized: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """One symbol's position, settings and margins at the mark.

    Args:
        quantity, notional: signed; below zero when short.
        cost: exactly what was paid for the position, signed as `quantity`.
        entry_price: `cost / quantity`, rounded to 8 decimals.
        position_margin: initial margin of the position.
        order_margin: what open orders tie up beyond that, reserved fees included.
        bids, asks: values of the open orders that may open, each at its own price.
    """

    symbol: str
    asset: str
    quantity: Decimal
    cost: Decimal
    entry_price: Decimal
    mark_price: Decimal
    notional: Decimal
    unrealized: Decimal
    isolated_wallet: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal | None
    leverage: int
    margin_type: MarginType
    bids: Decimal
    asks: Decimal
    bracket: Bracket
    updated_ms: int


@dataclass(frozen=True, slots=True)
class WalletFigures:
    """One margin asset: the wallet and all that rests on it.

    Args:
        wallet: paid in, profit realised, fees and funding; without open profit.
        cross_wallet: `wallet` without what isolated positions have set aside.
        unrealized, cross_unrealized: open profit of all positions, of the crossed ones.
        available: what may back new orders, never below zero.
    """

    asset: str
    wallet: Decimal
    cross_wallet: Decimal
    unrealized: Decimal
    cross_unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal

    @property
    def margin_balance(self) -> Decimal:
        """The wallet with all open profit: what closing everything at the mark would leave."""
        return self.wallet + self.unrealized
