"""What the futures side of the twin knows beside its orders: marks, funding, timers, settings.

Handlers read and change it; `futures_desk` moves it on with time. Knows no request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gridlab.domain.account import MarginType, PositionMode
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import FeeSchedule
from gridlab.errors import BugError
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.twin.futures_algo import AlgoBook
from gridlab.twin.futures_figures import Account, FuturesFigures, book_of
from gridlab.twin.futures_rules import FuturesRules, rules_of
from gridlab.twin.history import History
from gridlab.twin.listen_keys import ListenKeys
from gridlab.twin.news import FundingNews, PositionNews, SettingsNews
from gridlab.twin.stream_payloads import Mark
from gridlab.twin.venue import Venue

FUNDING_EVERY_MS = 8 * 3_600_000
#: The rate of a market in balance: interest alone.
USUAL_RATE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class PaidRate:
    """One funding moment of one symbol."""

    symbol: str
    time_ms: int
    rate: Decimal
    mark: Decimal


class FuturesState:
    """The futures market of one twin.

    Args:
        venue: its orders and prices.
        wall_ms: the machine's time, which timers run by.
        listen_keys: the keys of user streams.

    Attributes:
        countdowns: when all orders of a symbol are cancelled, by the machine's time.
        modified: how often each order was changed, by its number.
        good_till: when GTD orders end, by (symbol, client id), by the venue's time.
    """

    def __init__(self, venue: Venue, wall_ms: Callable[[], int], listen_keys: ListenKeys) -> None:
        self.venue = venue
        self.wall_ms = wall_ms
        self.listen_keys = listen_keys
        self.book = book_of(venue)
        self.figures = FuturesFigures(venue)
        self.history: History[Account] = History(venue, wall_ms, self.figures.account)
        self.algo = AlgoBook()
        self.countdowns: dict[str, int] = {}
        self.good_till: dict[tuple[str, str], int] = {}
        self.modified: dict[int, int] = {}
        self.rates = dict.fromkeys(venue.symbols(), USUAL_RATE)
        self.paid_rates: list[PaidRate] = []
        self.next_funding_ms = _next_boundary(venue.now_ms())
        venue.mark_source = self.mark

    @property
    def paper(self) -> PaperFutures:
        """The engine, where settings are changed and saved."""
        paper = self.venue.paper
        if not isinstance(paper, PaperFutures):
            raise BugError(f"the futures venue runs on a {type(paper).__name__}")
        return paper

    @property
    def fees(self) -> FeeSchedule:
        return self.book.fees

    def rules(self, symbol: str) -> FuturesRules:
        """The contract's rules as they are now."""
        return rules_of(self.venue.finest(symbol))

    def all_rules(self) -> dict[str, FuturesRules]:
        return {symbol: self.rules(symbol) for symbol in self.venue.symbols()}

    def margin_asset(self) -> str:
        """The asset that positions are kept in."""
        return next(self.venue.instrument(symbol).quote for symbol in self.venue.symbols())

    # -- marks and funding ----------------------------------------------------------------------

    def mark_price(self, symbol: str) -> Decimal:
        """The mark that was set, or the last price."""
        price = self.book.mark_price(symbol)
        return self.venue.price(symbol) if price is None else price

    def mark(self, symbol: str) -> Mark | None:
        """What streams and `premiumIndex` tell of a symbol; None for one that is not listed."""
        if symbol not in self.rates:
            return None
        last = self.venue.price(symbol)
        return Mark(self.mark_price(symbol), last, last, self.rates[symbol], self.next_funding_ms)

    def pay_funding(self, symbol: str, rate: Decimal, time_ms: int) -> FundingPaid | None:
        """Book one funding moment; None when there was no position."""
        self.paid_rates.append(PaidRate(symbol, time_ms, rate, self.mark_price(symbol)))
        funding_id = f"{symbol}-{time_ms}-{len(self.paid_rates)}"
        payment = self.paper.pay_funding(symbol, rate, funding_id, time_ms)
        if payment is not None:
            self.venue.tell(FundingNews(symbol, payment))
        return payment

    def pay_due_funding(self) -> None:
        """Book the funding of every symbol when its moment has come."""
        now_ms = self.venue.now_ms()
        if now_ms < self.next_funding_ms:
            return
        due_ms, self.next_funding_ms = self.next_funding_ms, _next_boundary(now_ms)
        for symbol, rate in self.rates.items():
            self.pay_funding(symbol, rate, due_ms)

    # -- settings -------------------------------------------------------------------------------

    @property
    def is_hedged(self) -> bool:
        """Whether the account is in hedge mode, in which the twin keeps settings and no orders."""
        return self.book.position_mode is PositionMode.HEDGE

    def set_hedged(self, is_hedged: bool) -> None:
        self.paper.set_position_mode(PositionMode.HEDGE if is_hedged else PositionMode.ONE_WAY)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Change it and tell; what forbids it was checked."""
        self.paper.set_leverage(symbol, leverage)
        self.venue.tell(SettingsNews(symbol, self.venue.now_ms(), leverage=leverage))

    def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        self.paper.set_margin_type(symbol, margin_type)
        self.venue.tell(SettingsNews(symbol, self.venue.now_ms(), margin_type=margin_type))

    def move_margin(self, symbol: str, amount: Decimal) -> None:
        """Put margin to an isolated position, or take it away when negative."""
        self.paper.move_margin(symbol, amount)
        self.venue.tell(PositionNews(symbol, "MARGIN_TRANSFER", self.venue.now_ms()))


def _next_boundary(now_ms: int) -> int:
    """The first 00:00, 08:00 or 16:00 UTC after `now_ms`."""
    return now_ms - now_ms % FUNDING_EVERY_MS + FUNDING_EVERY_MS
