"""Which positions of a paper futures account fail, and at what price they are closed by force.

Reads the books and changes nothing. Crossed positions of one asset share its wallet and fail
together; an isolated one has only what was set aside for it. Callers work under `money.exact()`.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.exchange.paper_margin import bankruptcy_price, liquidation_price
from gridlab.exchange.paper_margin_books import MarginBooks
from gridlab.exchange.paper_positions import PaperPosition
from gridlab.money import ZERO


def failing(books: MarginBooks, symbol: str = "", price: Decimal = ZERO) -> list[str]:
    """Symbols whose positions no longer cover their maintenance margin, in the order of closing.

    Isolated ones first; of crossed ones that with the most open profit, which is what pays for the
    others.

    Args:
        symbol, price: judge as if this symbol's last price were `price`.
    """
    failed: list[str] = []
    shared: dict[str, Decimal] = {}
    for name in sorted(books.held):  # not in the order of their history, which a restart forgets
        position = books.held[name]
        follows = position.symbol == symbol and position.mark is None
        mark = price if follows else books.mark_of_held(position)
        value = abs(position.quantity) * mark
        over = position.unrealized(mark) - position.bracket.maintenance(value)
        if not position.is_isolated:
            shared[position.asset] = shared.get(position.asset, ZERO) + over
        elif position.isolated + over <= 0:
            failed.append(position.symbol)
    for asset, over in shared.items():
        if books.cross_wallet(asset) + over <= 0:
            together = [p for _, p in sorted(books.held.items()) if _shares(p, asset)]
            failed += [p.symbol for p in sorted(together, key=books.unrealized, reverse=True)]
    return failed


def swept(books: MarginBooks, failed: list[str]) -> list[str]:
    """Symbols whose open orders end when `failed` do: all crossed ones of an asset with one."""
    assets = {books.positions[s].asset for s in failed if not books.positions[s].is_isolated}
    return [
        symbol
        for symbol, position in sorted(books.positions.items())
        if symbol in failed or (position.asset in assets and not position.is_isolated)
    ]


def price_of_liquidation(books: MarginBooks, position: PaperPosition) -> Decimal | None:
    """The mark at which a position fails, all others standing still; None when none would."""
    if not position.quantity:
        return None
    backing = _backing(books, position)
    return liquidation_price(position.quantity, position.cost, backing, position.bracket)


def forced_price(books: MarginBooks, position: PaperPosition) -> Decimal:
    """Where a failed position is closed: at the mark, or where its backing is used up.

    What would be lost beyond that price is the exchange's insurance's affair.
    """
    mark = books.mark_of_held(position)
    backing = position.isolated if position.is_isolated else books.cross_wallet(position.asset)
    tick = position.instrument.tick_size
    last = bankruptcy_price(position.quantity, position.cost, max(backing, ZERO), tick)
    if last <= 0:
        return mark
    return max(mark, last) if position.quantity > 0 else min(mark, last)


def _backing(books: MarginBooks, position: PaperPosition) -> Decimal:
    """The wallet behind a position, with profit less maintenance margin of those that share it."""
    if position.is_isolated:
        return position.isolated
    total = books.cross_wallet(position.asset)
    for other in books.held.values():
        if other is not position and _shares(other, position.asset):
            total += books.unrealized(other) - books.maintenance(other)
    return total


def _shares(position: PaperPosition, asset: str) -> bool:
    return position.asset == asset and not position.is_isolated
