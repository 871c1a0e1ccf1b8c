"""What the account holds."""

from __future__ import annotations

from gridlab.api.schemas.base import Shape, Stamp


class BalanceShape(Shape):
    """One asset; `usdt_value` is null when no price of it is known."""

    asset: str
    free: float
    locked: float
    total: float
    usdt_value: float | None


class SpotBalance(Shape):
    balances: list[BalanceShape]
    total_usdt: float
    error: str | None


class FuturesBalance(SpotBalance):
    margin_balance: float
    available_balance: float


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
