"""What the futures account is at this moment, in the venue's figures.

It reads the matching engine's book and adds what only the venue's pages have: the break-even price,
sums by asset, profit by public trade id. It changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal

from gridlab.domain.account import MarginType
from gridlab.errors import BugError
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.money import ZERO, exact, round_to, rounding
from gridlab.twin.news import FundingNews, OrderNews, VenueNews
from gridlab.twin.venue import Venue
from gridlab.twin.wire_futures import AssetFigures, PositionFigures

_STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Account:
    """The whole account at one moment."""

    assets: tuple[AssetFigures, ...]
    positions: tuple[PositionFigures, ...]

    def position(self, symbol: str) -> PositionFigures:
        return next(row for row in self.positions if row.symbol == symbol)


def book_of(venue: Venue) -> FuturesBook:
    """The engine's book of the futures market."""
    book = venue.paper.book
    if not isinstance(book, FuturesBook):
        raise BugError(f"the venue of {venue.market} trades on a {type(book).__name__}")
    return book


class FuturesFigures:
    """Figures of one account."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._book = book_of(venue)
        self._carried: dict[str, Decimal] = {}
        self._totals: dict[str, Decimal] = {}
        venue.subscribe(self._on_news)

    def account(self) -> Account:
        """Every asset and every symbol."""
        return Account(self.assets(), tuple(map(self.position, self._venue.symbols())))

    def assets(self) -> tuple[AssetFigures, ...]:
        """One row for each asset of the wallet."""
        return tuple(self._asset(balance.asset) for balance in self._book.balances())

    def position(self, symbol: str) -> PositionFigures:
        """One symbol's position with all that it ties up; mostly zeros without one."""
        found = self._book.figures(symbol)
        return PositionFigures(
            symbol=symbol,
            quantity=found.quantity,
            entry=found.entry_price,
            break_even=self._break_even(symbol, found.quantity, found.entry_price),
            mark=found.mark_price,
            unrealized=found.unrealized,
            liquidation=ZERO if found.liquidation_price is None else found.liquidation_price,
            leverage=found.leverage,
            margin_type=found.margin_type,
            isolated_wallet=(
                found.isolated_wallet if found.margin_type is MarginType.ISOLATED else ZERO
            ),
            notional=found.notional,
            maintenance=found.maintenance_margin,
            position_initial=found.position_margin,
            order_initial=found.order_margin,
            max_notional=found.bracket.notional_cap,
            bid_notional=found.bids,
            ask_notional=found.asks,
            updated_ms=found.updated_ms,
        )

    def realized(self, symbol: str, trade_id: int) -> Decimal:
        """Profit that one trade realised, by the id that the tape has for it."""
        trades = self._venue.account_trades(symbol)
        # The engine numbers the account's trades from 1; the tape's numbers rise with them.
        index = bisect_left(trades, trade_id, key=lambda trade: trade.trade_id)
        if index == len(trades) or trades[index].trade_id != trade_id:
            return ZERO
        return self._book.realized(symbol, index + 1)

    def realized_total(self, symbol: str) -> Decimal:
        """Profit that all trades of a symbol realised."""
        return self._totals.get(symbol, ZERO)

    def _asset(self, asset: str) -> AssetFigures:
        found = self._book.wallet(asset)
        times = [
            self._book.figures(symbol).updated_ms
            for symbol in self._venue.symbols()
            if self._venue.instrument(symbol).quote == asset
        ]
        return AssetFigures(
            asset=asset,
            wallet=found.wallet,
            cross_wallet=found.cross_wallet,
            unrealized=found.unrealized,
            cross_unrealized=found.cross_unrealized,
            maintenance=found.maintenance_margin,
            position_initial=found.position_margin,
            order_initial=found.order_margin,
            available=found.available,
            updated_ms=max(times, default=0),
        )

    def _break_even(self, symbol: str, quantity: Decimal, entry: Decimal) -> Decimal:
        """Where closing, before its own fee, would leave nothing won and nothing lost."""
        if not quantity:
            return ZERO
        with rounding():
            exactly = entry - self._carried.get(symbol, ZERO) / quantity
        return round_to(exactly, _STEP)

    def _on_news(self, news: VenueNews) -> None:
        """Carry what a position has won and cost since it began."""
        if isinstance(news, OrderNews) and news.trade is not None:
            trade = news.trade
            realized = self.realized(trade.symbol, trade.trade_id)
            with exact():
                total = self._totals.get(trade.symbol, ZERO) + realized
            self._totals[trade.symbol] = total
            self._carry(trade.symbol, realized - trade.fee)
        elif isinstance(news, FundingNews):
            self._carry(news.symbol, news.payment.amount)

    def _carry(self, symbol: str, amount: Decimal) -> None:
        if not self._book.position(symbol).quantity:
            self._carried.pop(symbol, None)
            return
        with exact():
            self._carried[symbol] = self._carried.get(symbol, ZERO) + amount
