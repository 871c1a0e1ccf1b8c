"""Changes of a paper futures account's settings: leverage, margin type, position mode, margin.

Each is carried out or refused in words, as the exchange does: `InvalidInput` for a value that can
never be, `Conflict` for one that cannot be now. Returns whether anything changed. Callers work
under `money.exact()`.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.account import MarginType, PositionMode
from gridlab.errors import Conflict
from gridlab.exchange.paper_margin_books import MarginBooks, check_leverage
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.money import ZERO, text


def change_leverage(
    books: MarginBooks, position: PaperPosition, leverage: int, time_ms: int
) -> bool:
    """Set a symbol's leverage; what was set aside for an isolated position stays as it is."""
    check_leverage(leverage, position.symbol, position.bracket)
    before = position.leverage
    if leverage == before:
        return False
    if leverage < before and position.is_isolated and position.quantity:
        raise Conflict(
            "Leverage reduction is not supported in Isolated Margin Mode with open positions: "
            f"{position.symbol} has {before}; close the position first"
        )
    position.leverage = leverage
    if leverage < before and (missing := -books.free(position.asset)) > 0:
        position.leverage = before
        raise Conflict(
            f"Margin is insufficient: leverage {leverage} on {position.symbol} needs "
            f"{text(missing)} {position.asset} more; pay in, or cancel orders"
        )
    books.touch(position, time_ms)
    return True


def change_margin_type(
    books: MarginBooks,
    position: PaperPosition,
    margin_type: MarginType,
    time_ms: int,
    *,
    has_orders: bool,
) -> bool:
    """Set a symbol's margin type; only without orders and position."""
    if margin_type is position.margin_type:
        return False
    if has_orders or position.quantity:
        what = "open orders" if has_orders else "a position"
        raise Conflict(
            f"Margin type cannot be changed if there exists {what}: {position.symbol} is "
            f"{position.margin_type}; close everything on it first"
        )
    position.margin_type = margin_type
    books.touch(position, time_ms)
    return True


def change_mode(books: MarginBooks, mode: PositionMode, *, has_orders: bool) -> bool:
    """Switch between one-way and hedge mode; only without orders and positions anywhere."""
    if mode is books.mode:
        return False
    if has_orders or books.held:
        what = "open orders" if has_orders else "a position"
        raise Conflict(
            f"Position side cannot be changed if there exists {what}: the account is in "
            f"{books.mode} mode; close everything first"
        )
    books.set_mode(mode)
    return True


def move_margin(books: MarginBooks, position: PaperPosition, amount: Decimal, time_ms: int) -> bool:
    """Set more aside for an isolated position, or less when negative."""
    if not position.is_isolated or not position.quantity:
        raise Conflict(
            f"Add margin only support for isolated position: {position.symbol} has "
            f"{text(position.quantity)} under {position.margin_type} margin"
        )
    if amount > 0:
        # Open profit backs orders, but it cannot be moved.
        asset = position.asset
        most = max(min(books.free(asset), books.cross_wallet(asset)), ZERO)
    else:
        loss = min(books.unrealized(position), ZERO)
        most = max(position.isolated + loss - books.position_margin(position), ZERO)
    if abs(amount) > most:
        raise Conflict(
            f"Margin is insufficient: {text(abs(amount))} {position.asset} is to be moved and "
            f"{text(most)} can be"
        )
    position.isolated += amount
    books.touch(position, time_ms)
    return bool(amount)
