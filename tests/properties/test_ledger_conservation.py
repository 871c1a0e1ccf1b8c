"""The books close for every sequence of trades, and agree with a naive unit-by-unit account."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.orders import Side, Trade
from gridlab.grid.ledger import Ledger, Lots
from gridlab.money import exact
from gridlab.testing.strategies import multiples

D = Decimal
CENT = D("0.01")


@dataclass(frozen=True)
class Step:
    """A trade in hundredths, or a move of dust; sales and fees are cut to what is held."""

    kind: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    asset: str


STEPS = st.builds(
    Step,
    st.sampled_from(("buy", "buy", "sell", "aside", "back", "funding")),
    multiples(CENT, 1, 10_000),
    multiples(CENT, 1, 1_000),
    multiples(CENT, -50, 50),
    st.sampled_from(("XRP", "USDT", "BNB")),
)


class Naive:
    """Base as a list of hundredths, each with its price; money as one number for each asset."""

    def __init__(self) -> None:
        self.units: list[Decimal] = []
        self.cash = {"XRP": D(0), "USDT": D(0), "BNB": D(0)}
        self.profit = D(0)

    def trade(self, trade: Trade) -> None:
        count = int(trade.quantity / CENT)
        sign = 1 if trade.side is Side.BUY else -1
        self.cash["XRP"] += sign * trade.quantity
        self.cash["USDT"] -= sign * trade.quantity * trade.price
        self.cash[trade.fee_asset] -= trade.fee
        if trade.side is Side.BUY:
            self.units += [trade.price] * count
        else:
            sold, self.units = self.units[:count], self.units[count:]
            self.profit += sum((trade.price - price for price in sold), D(0)) * CENT
        if trade.fee_asset == "XRP":
            fee = int(trade.fee / CENT)
            self.units = self.units[fee:] if fee > 0 else self.units + [trade.price] * -fee


def book(ledger: Ledger, naive: Naive, lots: Lots, dust: Lots, step: Step) -> None:
    """Carry one step out in both accounts."""
    if step.kind == "aside":
        ledger.set_aside(lots, dust)
    elif step.kind == "back":
        ledger.bring_back(dust, lots)
    elif step.kind == "funding":
        ledger.book_funding(step.asset, step.fee)
        naive.cash[step.asset] += step.fee
    else:
        side = Side(step.kind)
        quantity = step.quantity if side is Side.BUY else min(step.quantity, lots.quantity)
        if quantity:
            trade = Trade(
                1, "1", "x", "S", side, step.price, quantity, step.fee, step.asset, True, 0
            )
            ledger.book(trade, lots)
            naive.trade(trade)


@given(st.lists(STEPS, max_size=30))
def test_the_books_close_after_every_step(steps: list[Step]) -> None:
    ledger, naive, lots, dust = Ledger("XRP", "USDT"), Naive(), Lots(), Lots()
    with exact():
        for step in steps:
            book(ledger, naive, lots, dust, step)
            assert ledger.residuals() == {}
            beside = ledger.part("fees", "XRP") + ledger.part("funding", "XRP")
            assert ledger.base_held == lots.quantity + dust.quantity
            assert ledger.base_held == ledger.wallet["XRP"] - beside
            assert ledger.cost_held == lots.cost + dust.cost
    assert {asset: ledger.wallet.get(asset, D(0)) for asset in naive.cash} == naive.cash


@given(st.lists(STEPS.filter(lambda step: step.kind in ("buy", "sell")), max_size=20))
def test_profit_and_cost_are_those_of_the_oldest_units(steps: list[Step]) -> None:
    ledger, naive, lots = Ledger("XRP", "USDT"), Naive(), Lots()
    with exact():
        for step in steps:
            book(ledger, naive, lots, Lots(), step)
        assert ledger.grid_profit == naive.profit
        assert lots.cost == sum(naive.units, D(0)) * CENT
        assert [lot.price for lot in lots for _ in range(int(lot.quantity / CENT))] == naive.units


@given(
    st.lists(st.tuples(multiples(CENT, 1, 500), multiples(CENT, 1, 300)), min_size=1, max_size=8),
    st.lists(multiples(CENT, 0, 400), max_size=8),
)
def test_taking_is_first_in_first_out(
    bought: list[tuple[Decimal, Decimal]], taken: list[Decimal]
) -> None:
    lots = Lots()
    units: list[Decimal] = []
    for price, quantity in bought:
        lots.add(price, quantity)
        units += [price] * int(quantity / CENT)
    for quantity in taken:
        quantity = min(quantity, lots.quantity)
        count = int(quantity / CENT)
        part = lots.take(quantity)
        assert part.quantity == quantity
        assert part.cost == sum(units[:count], D(0)) * CENT
        units = units[count:]
    assert lots.cost == sum(units, D(0)) * CENT
    assert lots.quantity == len(units) * CENT
