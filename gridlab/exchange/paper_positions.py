"""One symbol's position on the paper futures venue, with its settings and its open orders' sums.

Arithmetic of one net position. The cost is kept exactly and never an average: of a part that is
closed the profit is rounded to 8 decimals, and the cost that stays takes the rest, so that profit
realised and profit open together are always the cash flows valued at the mark. Knows no wallet.
"""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.account import MarginType
from gridlab.domain.market import Instrument
from gridlab.domain.orders import Side
from gridlab.exchange.paper_margin import STEP, Bracket
from gridlab.money import ZERO, round_to, rounding


class PaperPosition:
    """A position; changed only by `MarginAccount`.

    Attributes:
        quantity: base units, below zero when short.
        cost: what was paid for it, signed as the quantity.
        isolated: the part of the wallet that was set aside for it; zero when crossed.
        mark: the mark price that was set; None while it follows the last price.
        bids, asks: values of open orders that may open, each at its own price.
        reducing: base units of the open reduce-only orders of each side.
    """

    __slots__ = (
        "asks",
        "bids",
        "bracket",
        "cost",
        "instrument",
        "isolated",
        "leverage",
        "margin_type",
        "mark",
        "quantity",
        "reducing",
        "updated_ms",
    )

    def __init__(
        self, instrument: Instrument, bracket: Bracket, leverage: int, margin_type: MarginType
    ) -> None:
        self.instrument = instrument
        self.bracket = bracket
        self.leverage = leverage
        self.margin_type = margin_type
        self.quantity = ZERO
        self.cost = ZERO
        self.isolated = ZERO
        self.mark: Decimal | None = None
        self.bids = ZERO
        self.asks = ZERO
        self.reducing = {Side.BUY: ZERO, Side.SELL: ZERO}
        self.updated_ms = 0

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def asset(self) -> str:
        """The asset that its margin, profit and fees are in."""
        return self.instrument.quote

    @property
    def is_isolated(self) -> bool:
        return self.margin_type is MarginType.ISOLATED

    @property
    def closing_side(self) -> Side:
        """The side of orders that make it smaller."""
        return Side.SELL if self.quantity > 0 else Side.BUY

    def reducible(self, side: Side) -> Decimal:
        """How much an order of this side can reduce."""
        return abs(self.quantity) if self.quantity and side is self.closing_side else ZERO

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit that closing at `mark` would realise."""
        return self.quantity * mark - self.cost

    def trade(self, side: Side, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """Take one trade into the position.

        Of an isolated one, margin is given back for what is closed; to set some aside for what is
        opened is for the caller, who knows the wallet.

        Returns:
            (profit that is realised, value that is opened).
        """
        closing = min(quantity, self.reducible(side))
        realized = self._close(closing, price) if closing else ZERO
        opening = quantity - closing
        if opening:
            signed = opening if side is Side.BUY else -opening
            self.quantity += signed
            self.cost += signed * price
        return realized, opening * price

    def _close(self, closing: Decimal, price: Decimal) -> Decimal:
        size = abs(self.quantity)
        signed = closing if self.quantity > 0 else -closing
        if closing == size:
            realized = signed * price - self.cost
            self.quantity, self.cost, self.isolated = ZERO, ZERO, ZERO
            return realized
        with rounding():
            profit_of_part = signed * price - self.cost * closing / size
            margin_of_part = self.isolated * closing / size
        realized = round_to(profit_of_part, STEP)
        self.cost -= signed * price - realized
        self.isolated -= round_to(margin_of_part, STEP)
        self.quantity -= signed
        return realized
