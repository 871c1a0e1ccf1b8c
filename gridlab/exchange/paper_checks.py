"""Whether a paper book agrees with itself and with its market.

A damaged file must stop the start, in words, before a grid trades against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import Side, Trade
from gridlab.errors import InvalidInput, StorageError
from gridlab.exchange.paper_accounts import Accounts
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.exchange.paper_queue import PaperOrder, SymbolBook
from gridlab.money import ZERO, exact


def check_market(market: Market, *instruments: Instrument) -> None:
    """Return when all of `instruments` are of `market`; else raise `InvalidInput`."""
    for instrument in instruments:
        if instrument.market is not market:
            raise InvalidInput(
                f"{instrument.symbol} is an instrument of {instrument.market} and this account "
                f"trades {market}; use the book of that market"
            )


def check_numbers(orders: Iterable[PaperOrder], markets: Mapping[str, SymbolBook]) -> None:
    """Return when the numbers of orders and trades have no gap; else raise `StorageError`."""
    _check_numbers("orders", [order.number for order in orders])
    for symbol, market in markets.items():
        _check_numbers(f"trades of {symbol}", [trade.trade_id for trade in market.trades])


def check_locks(markets: Mapping[str, SymbolBook], accounts: Accounts) -> None:
    """Return when the locks of open orders are the locked balances.

    Raises:
        StorageError: they are not.
    """
    locked: dict[str, Decimal] = {}
    with exact():
        for market in markets.values():
            for order in market.open.values():
                asset = market.locked_asset(order.side)
                locked[asset] = locked.get(asset, ZERO) + order.locked
    for asset in sorted({balance.asset for balance in accounts.all()} | set(locked)):
        by_orders = locked.get(asset, ZERO)
        if accounts.locked(asset) != by_orders:
            raise StorageError(
                f"the venue's stored balance locks {accounts.locked(asset)} {asset} and its open "
                f"orders lock {by_orders}; start with the fees that the orders were placed under, "
                "or restore the file from a backup"
            )


def check_position(position: PaperPosition, trades: Iterable[Trade], realized: Decimal) -> None:
    """Return when a position is what its trades add up to.

    Args:
        realized: the profit that these trades realised, by the income rows.

    Raises:
        StorageError: it is not.
    """
    quantity, cost = ZERO, realized
    for trade in trades:
        signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
        quantity += signed
        cost += signed * trade.price
    if (position.quantity, position.cost) != (quantity, cost):
        raise StorageError(
            f"the venue's stored position on {position.symbol} is {position.quantity} for "
            f"{position.cost} and its trades make {quantity} for {cost}; restore the file from a "
            "backup"
        )


def _check_numbers(what: str, numbers: list[int]) -> None:
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            raise StorageError(
                f"the venue's stored {what} jump to {number} where {expected} is due; restore the "
                "file from a backup"
            )
