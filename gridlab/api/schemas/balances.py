"""What the account holds."""

from __future__ import annotations

from gridlab.api.schemas.base import Shape, Stamp, percent
from gridlab.clock import iso
from gridlab.domain.account import Position


class BalanceShape(Shape):
    """One asset; `usdt_value` is null when no price of it is known."""

    asset: str
    free: float
    locked: float
    total: float
    usdt_value: float | None


class PositionShape(Shape):
    """One futures position; `quantity` above zero is long, below zero short.

    `liquidation_price` is the venue's own figure, null when it never would liquidate, and
    `liquidation_distance_perc` how far the mark is from it.
    """

    symbol: str
    quantity: float
    entry_price: float
    mark_price: float
    liquidation_price: float | None
    liquidation_distance_perc: float | None
    unrealized_pnl: float
    leverage: int
    margin_type: str
    updated: str

    @classmethod
    def of(cls, position: Position) -> PositionShape:
        at, distance = position.liquidation_price, position.liquidation_distance
        return cls(
            symbol=position.symbol,
            quantity=float(position.quantity),
            entry_price=float(position.entry_price),
            mark_price=float(position.mark_price),
            liquidation_price=None if at is None else float(at),
            liquidation_distance_perc=None if distance is None else float(percent(distance)),
            unrealized_pnl=float(position.unrealized),
            leverage=position.leverage,
            margin_type=position.margin_type.value,
            updated=iso(position.updated_ms),
        )


class SpotBalance(Shape):
    balances: list[BalanceShape]
    total_usdt: float
    error: str | None


class FuturesBalance(SpotBalance):
    """The futures wallet: `total_usdt` without, `margin_balance` with unrealised profit."""

    margin_balance: float
    available_balance: float
    positions: list[PositionShape]


class AccountBalance(Stamp):
    """`/api/balance`; `timestamp` is market time."""

    spot: SpotBalance
    futures: FuturesBalance
    timestamp: str


class BalanceSummary(Stamp):
    """`/api/balance/summary`."""

    spot_usdt: float
    futures_usdt: float
    total_usdt: float
    spot_available: bool
    futures_available: bool
    last_updated: str
