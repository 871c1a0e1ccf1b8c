"""The books of one grid, closed at every event.

For each asset, exactly:  wallet = grid profit + liquidation + inventory + dust + fees + funding.

* *wallet* is what the grid changed on the account: the cash flows of its trades, and nothing else.
* *inventory* and *dust* hold the base that the grid owns, as positive base, and what it cost, as
  negative quote. Held base is a queue of lots, first in first out, so that the cost of any part of
  it is a sum of products and never a division.
* *grid profit* is, for each sale of a slot, its proceeds minus the cost of the lots sold; quote
  only. *liquidation* is the same for the sale that empties a stopped grid, which is no grid's work.
* *fees* are negative. A fee taken in base is paid out of the lots and booked at their cost in
  quote, a rebate in base becomes a lot at the trade's price. What the lots cannot pay (the base is
  the fee token, and all of it was sold) and a fee in a third asset stay in their asset until
  somebody states a price for it.

The two sides are computed from different facts (cash flows here, lots there), so the equation is a
check and not a definition. Knows nothing of orders or prices to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal

from gridlab.domain.orders import Side, Trade
from gridlab.errors import InvariantError
from gridlab.money import ZERO, text

COMPONENTS = ("grid_profit", "liquidation", "inventory", "dust", "fees", "funding")


class Lot:
    """Base units bought at one price."""

    __slots__ = ("price", "quantity")

    def __init__(self, price: Decimal, quantity: Decimal) -> None:
        self.price = price
        self.quantity = quantity


class Lots:
    """A first-in-first-out queue of lots, with its total kept."""

    __slots__ = ("_queue", "quantity")

    def __init__(self) -> None:
        self._queue: deque[Lot] = deque()
        self.quantity = ZERO

    def __iter__(self) -> Iterator[Lot]:
        return iter(self._queue)

    @property
    def cost(self) -> Decimal:
        """What the held lots cost, quote units."""
        return sum((lot.price * lot.quantity for lot in self._queue), ZERO)

    def add(self, price: Decimal, quantity: Decimal) -> None:
        if quantity:
            self._queue.append(Lot(price, quantity))
            self.quantity += quantity

    def take(self, quantity: Decimal) -> Lots:
        """Remove the oldest `quantity` base units and return them as lots.

        Raises:
            InvariantError: more is asked for than is held.
        """
        if quantity > self.quantity:
            raise InvariantError(
                f"{text(quantity)} base units leave a slot that holds {text(self.quantity)}"
            )
        taken = Lots()
        while taken.quantity < quantity:
            first = self._queue[0]
            part = min(first.quantity, quantity - taken.quantity)
            taken.add(first.price, part)
            first.quantity -= part
            self.quantity -= part
            if not first.quantity:
                self._queue.popleft()
        return taken

    def absorb(self, other: Lots, *, first: bool = False) -> None:
        """Move all of `other`'s lots into this queue: at its end, or in front of it."""
        if first:
            self._queue.extendleft(reversed(other._queue))
        else:
            self._queue.extend(other._queue)
        self.quantity += other.quantity
        other._queue = deque()
        other.quantity = ZERO


class Ledger:
    """The books of one grid on one instrument."""

    __slots__ = ("_parts", "base", "fees_paid", "quote", "wallet")

    def __init__(self, base: str, quote: str) -> None:
        self.base = base
        self.quote = quote
        self.wallet: dict[str, Decimal] = {base: ZERO, quote: ZERO}
        self._parts: dict[str, dict[str, Decimal]] = {
            name: {base: ZERO, quote: ZERO} for name in COMPONENTS
        }
        #: What the venue really took, by asset, as positive amounts; a memo beside the books.
        self.fees_paid: dict[str, Decimal] = {}

    def part(self, component: str, asset: str) -> Decimal:
        """The balance of one component in one asset."""
        return self._parts[component].get(asset, ZERO)

    def book(self, trade: Trade, lots: Lots, profit: str = "grid_profit") -> None:
        """Book one trade whose base comes into, or leaves, `lots`.

        Args:
            profit: the component that a sale's result belongs to.
        """
        value = trade.price * trade.quantity
        if trade.side is Side.BUY:
            lots.add(trade.price, trade.quantity)
            self._cash(self.base, trade.quantity)
            self._cash(self.quote, -value)
            self._post("inventory", trade.quantity, -value)
        else:
            cost = lots.take(trade.quantity).cost
            self._cash(self.base, -trade.quantity)
            self._cash(self.quote, value)
            self._post("inventory", -trade.quantity, cost)
            self._parts[profit][self.quote] += value - cost
        if trade.fee:
            self._book_fee(trade, lots)

    def _book_fee(self, trade: Trade, lots: Lots) -> None:
        asset = trade.fee_asset
        self._cash(asset, -trade.fee)
        self.fees_paid[asset] = self.fees_paid.get(asset, ZERO) + trade.fee
        fees = self._parts["fees"]
        unpaid = trade.fee
        if asset == self.base:
            paid = min(trade.fee, lots.quantity)
            if paid < 0:
                lots.add(trade.price, -paid)
                cost = trade.price * paid
            else:
                cost = lots.take(paid).cost
            self._post("inventory", -paid, cost)
            fees[self.quote] -= cost
            unpaid -= paid
        if unpaid:
            fees[asset] = fees.get(asset, ZERO) - unpaid

    def book_funding(self, asset: str, amount: Decimal) -> None:
        """Book a funding payment; positive when received."""
        self._cash(asset, amount)
        funding = self._parts["funding"]
        funding[asset] = funding.get(asset, ZERO) + amount

    def set_aside(self, lots: Lots, dust: Lots) -> None:
        """Move lots that are too small to sell from inventory to dust."""
        self._move("inventory", "dust", lots, dust)

    def bring_back(self, dust: Lots, lots: Lots) -> None:
        """Move dust back into inventory, to be sold first."""
        self._move("dust", "inventory", dust, lots)

    def _move(self, source: str, target: str, lots: Lots, into: Lots) -> None:
        quantity, cost = lots.quantity, lots.cost
        self._post(source, -quantity, cost)
        self._post(target, quantity, -cost)
        into.absorb(lots, first=target == "inventory")

    def _cash(self, asset: str, amount: Decimal) -> None:
        self.wallet[asset] = self.wallet.get(asset, ZERO) + amount

    def _post(self, component: str, base: Decimal, quote: Decimal) -> None:
        part = self._parts[component]
        part[self.base] += base
        part[self.quote] += quote

    @property
    def grid_profit(self) -> Decimal:
        """Proceeds minus cost of everything that slots sold, quote units, before fees."""
        return self._parts["grid_profit"][self.quote]

    @property
    def liquidation(self) -> Decimal:
        """Proceeds minus cost of what the final sale sold, quote units, before fees."""
        return self._parts["liquidation"][self.quote]

    @property
    def base_held(self) -> Decimal:
        return self.part("inventory", self.base) + self.part("dust", self.base)

    @property
    def cost_held(self) -> Decimal:
        """What the held base cost, quote units."""
        return -(self.part("inventory", self.quote) + self.part("dust", self.quote))

    def value(self, component: str, marks: Mapping[str, Decimal]) -> Decimal:
        """One component in quote units at `marks` (asset -> price in quote); the quote counts as 1.

        Raises:
            KeyError: an asset with a balance has no mark.
        """
        return sum(
            (
                amount * (1 if asset == self.quote else marks[asset])
                for asset, amount in self._parts[component].items()
                if amount
            ),
            ZERO,
        )

    def residuals(self) -> dict[str, Decimal]:
        """wallet minus the components, for each asset where that is not zero; empty = closed."""
        left: dict[str, Decimal] = {}
        for asset in sorted({*self.wallet, *(a for part in self._parts.values() for a in part)}):
            components = sum((part.get(asset, ZERO) for part in self._parts.values()), ZERO)
            difference = self.wallet.get(asset, ZERO) - components
            if difference:
                left[asset] = difference
        return left

    def lines(self) -> tuple[tuple[str, str, Decimal], ...]:
        """Every balance as (component, asset, amount), the wallet first."""
        rows = [("wallet", asset, self.wallet[asset]) for asset in sorted(self.wallet)]
        for component in COMPONENTS:
            part = self._parts[component]
            rows += [(component, asset, part[asset]) for asset in sorted(part)]
        return tuple(rows)
