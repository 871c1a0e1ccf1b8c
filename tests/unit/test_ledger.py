"""Books worked by hand, lots in their order, and planted errors that the invariants must find."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import Side, Trade
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvariantError
from gridlab.grid.invariants import check
from gridlab.grid.ledger import COMPONENTS, Ledger, Lots
from gridlab.testing.paper_run import PaperRun

D = Decimal
RULES = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.01"),
    min_notional=D(5),
    min_quantity=D("0.01"),
    max_quantity=D(100000),
    min_price=D("0.01"),
    max_price=D(100000),
)


def trade(
    side: Side, price: str, quantity: str, fee: str = "0", asset: str = "USDT", trade_id: int = 1
) -> Trade:
    return Trade(trade_id, "1", "x", "XRPUSDT", side, D(price), D(quantity), D(fee), asset, True, 0)


def held(lots: Lots) -> list[tuple[Decimal, Decimal]]:
    return [(lot.price, lot.quantity) for lot in lots]


def filled(*parts: tuple[int, int]) -> Lots:
    lots = Lots()
    for price, quantity in parts:
        lots.add(D(price), D(quantity))
    return lots


# --- lots -----------------------------------------------------------------------------------------


def test_the_oldest_lots_leave_first_and_are_split() -> None:
    lots = filled((10, 3), (11, 4), (12, 5))
    taken = lots.take(D(5))
    assert held(taken) == [(D(10), D(3)), (D(11), D(2))]
    assert held(lots) == [(D(11), D(2)), (D(12), D(5))]
    assert (taken.cost, lots.cost) == (D(52), D(82))
    assert (taken.quantity, lots.quantity) == (D(5), D(7))


def test_everything_and_nothing_can_be_taken() -> None:
    lots = filled((10, 3))
    assert held(lots.take(D(0))) == []
    assert lots.take(D(3)).cost == 30
    assert (lots.quantity, held(lots)) == (D(0), [])


def test_more_than_is_held_cannot_leave() -> None:
    lots = filled((10, 3))
    with pytest.raises(InvariantError, match="4 base units leave a slot that holds 3"):
        lots.take(D(4))
    assert held(lots) == [(D(10), D(3))]


def test_absorbed_lots_keep_their_order_at_either_end() -> None:
    behind, front = filled((1, 1)), filled((1, 1))
    behind.absorb(filled((2, 2), (3, 3)))
    other = filled((2, 2), (3, 3))
    front.absorb(other, first=True)
    assert held(behind) == [(D(1), D(1)), (D(2), D(2)), (D(3), D(3))]
    assert held(front) == [(D(2), D(2)), (D(3), D(3)), (D(1), D(1))]
    assert (other.quantity, held(other)) == (D(0), [])


# --- single bookings ------------------------------------------------------------------------------


def nonzero(ledger: Ledger) -> dict[tuple[str, str], Decimal]:
    return {(part, asset): amount for part, asset, amount in ledger.lines() if amount}


def test_a_buy_with_its_fee_in_base() -> None:
    ledger, lots = Ledger("XRP", "USDT"), Lots()
    ledger.book(trade(Side.BUY, "2", "10", "0.01", "XRP"), lots)
    assert nonzero(ledger) == {
        ("wallet", "XRP"): D("9.99"),
        ("wallet", "USDT"): D(-20),
        ("inventory", "XRP"): D("9.99"),
        ("inventory", "USDT"): D("-19.98"),
        ("fees", "USDT"): D("-0.02"),
    }
    assert ledger.fees_paid == {"XRP": D("0.01")}
    assert ledger.residuals() == {}


def test_a_sale_of_two_lots_with_its_fee_in_a_third_asset() -> None:
    ledger, lots = Ledger("XRP", "USDT"), Lots()
    ledger.book(trade(Side.BUY, "2", "10"), lots)
    ledger.book(trade(Side.BUY, "3", "10"), lots)
    ledger.book(trade(Side.SELL, "4", "15", "0.001", "BNB"), lots)
    # 60 of proceeds minus 10 x 2 + 5 x 3 of cost.
    assert nonzero(ledger) == {
        ("wallet", "XRP"): D(5),
        ("wallet", "USDT"): D(10),
        ("wallet", "BNB"): D("-0.001"),
        ("grid_profit", "USDT"): D(25),
        ("inventory", "XRP"): D(5),
        ("inventory", "USDT"): D(-15),
        ("fees", "BNB"): D("-0.001"),
    }
    assert ledger.value("fees", {"BNB": D(600)}) == D("-0.6")


def test_a_rebate_in_base_becomes_a_lot_at_the_trade_price() -> None:
    ledger, lots = Ledger("XRP", "USDT"), Lots()
    ledger.book(trade(Side.BUY, "2", "10", "-0.01", "XRP"), lots)
    assert held(lots) == [(D(2), D(10)), (D(2), D("0.01"))]
    assert nonzero(ledger) == {
        ("wallet", "XRP"): D("10.01"),
        ("wallet", "USDT"): D(-20),
        ("inventory", "XRP"): D("10.01"),
        ("inventory", "USDT"): D("-20.02"),
        ("fees", "USDT"): D("0.02"),
    }
    assert ledger.residuals() == {}


def test_a_fee_in_base_that_the_lots_cannot_pay_stays_in_base() -> None:
    """BNB sold against USDT with the commission in BNB: every lot is gone when the fee comes."""
    ledger, lots = Ledger("BNB", "USDT"), Lots()
    ledger.book(trade(Side.BUY, "600", "1", "0.001", "BNB"), lots)
    ledger.book(trade(Side.SELL, "610", "0.999", "0.0005", "BNB"), lots)
    assert held(lots) == []
    assert nonzero(ledger) == {
        ("wallet", "BNB"): D("-0.0005"),
        ("wallet", "USDT"): D("9.39"),
        ("grid_profit", "USDT"): D("9.99"),
        ("fees", "BNB"): D("-0.0005"),
        ("fees", "USDT"): D("-0.6"),
    }
    assert ledger.fees_paid == {"BNB": D("0.0015")}
    assert ledger.residuals() == {}


def test_funding_is_its_own_component() -> None:
    ledger = Ledger("XRP", "USDT")
    ledger.book_funding("USDT", D("-0.3"))
    ledger.book_funding("BNB", D("0.1"))
    assert nonzero(ledger) == {
        ("wallet", "BNB"): D("0.1"),
        ("wallet", "USDT"): D("-0.3"),
        ("funding", "BNB"): D("0.1"),
        ("funding", "USDT"): D("-0.3"),
    }
    assert ledger.residuals() == {}


def test_an_asset_without_a_mark_is_not_guessed() -> None:
    ledger = Ledger("XRP", "USDT")
    ledger.book_funding("BNB", D(1))
    with pytest.raises(KeyError, match="BNB"):
        ledger.value("funding", {"XRP": D(2)})


# --- four levels, every line by hand --------------------------------------------------------------
#
# Lines 98 99 100 101 102, price 100, so slots 0 and 1 buy at 98 and 99, slots 2 and 3 sell at 101
# and 102. The price goes to 99 (slot 1 buys), 100 (slot 1 sells), 101 (slot 2 sells), 100 (slot 2
# buys).


def four_levels(fees: FeeSchedule, balances: dict[str, Decimal]) -> PaperRun:
    spec = GridSpec(
        "XRPUSDT",
        4,
        spacing=D("0.01"),
        quantity=D(10),
        mode=Spacing.ARITHMETIC,
        fees=fees,
        allow_unprofitable=True,
    )
    run = PaperRun(RULES, balances, spec)
    run.start(D(100))
    run.settle()
    run.walk(D(99), D(100), D(101), D(100))
    return run


def test_four_levels_with_fees_in_quote() -> None:
    fees = FeeSchedule(maker=D("0.001"), taker=D("0.002"), mode=FeeMode.QUOTE)
    run = four_levels(fees, {"USDT": D(5000)})
    # buys 20 at 100 (fee 4); 10 at 99 (.99); sells 10 at 100 (1.00); 10 at 101 (1.01); buys 10 at
    # 100 (1.00). Profit (100 - 99) 10 + (101 - 100) 10. Held: 10 and 10, all at 100.
    assert nonzero(run.grid.ledger) == {
        ("wallet", "XRP"): D(20),
        ("wallet", "USDT"): D(-2000 - 990 + 1000 + 1010 - 1000) - D("8.00"),
        ("grid_profit", "USDT"): D(20),
        ("inventory", "XRP"): D(20),
        ("inventory", "USDT"): D(-2000),
        ("fees", "USDT"): D("-8.00"),
    }
    assert run.grid.trade_count == 5 and not run.refused
    assert run.wallet() == run.change()


def test_four_levels_with_fees_in_what_is_received() -> None:
    fees = FeeSchedule(maker=D("0.001"), taker=D("0.002"), mode=FeeMode.RECEIVED)
    run = four_levels(fees, {"USDT": D(5000)})
    # The purchase: 20 / 0.998 = 20.0401... -> 20.05 on the lot, fee 0.0401, 20.0099 come in; slots
    # 2 and 3 take 10 each, 0.0099 is dust. Slot 1 buys 10 at 99, fee 0.01: it sells 9.99 at 100 for
    # 999, fee 0.999. Slot 2 sells 10 at 101 for 1010, fee 1.01, and buys 10 at 100, fee 0.01.
    base = D("20.05") - D("0.0401") + D("9.99") - D("9.99") - 10 + D("9.99")
    quote = -2005 - 990 + 999 + 1010 - 1000 - D("2.009")
    assert nonzero(run.grid.ledger) == {
        ("wallet", "XRP"): base,
        ("wallet", "USDT"): quote,
        ("grid_profit", "USDT"): D("9.99") + 10,
        ("inventory", "XRP"): D("19.99"),
        ("inventory", "USDT"): D("-1999.00"),
        ("dust", "XRP"): D("0.0099"),
        ("dust", "USDT"): D("-0.99"),
        ("fees", "USDT"): D("-4.01") - D("0.99") - D("0.999") - D("1.01") - D("1.00"),
    }
    assert run.grid.ledger.fees_paid == {"XRP": D("0.0601"), "USDT": D("2.009")}
    assert run.wallet() == run.change()


def test_four_levels_with_fees_in_a_third_asset() -> None:
    fees = FeeSchedule(D("0.001"), D("0.002"), FeeMode.THIRD, "BNB", D(500))
    run = four_levels(fees, {"USDT": D(5000), "BNB": D(1)})
    # The quote fees of the first case at 500 a piece: 4 + .99 + 1 + 1.01 + 1 = 8 -> 0.016.
    assert nonzero(run.grid.ledger) == {
        ("wallet", "XRP"): D(20),
        ("wallet", "USDT"): D(-1980),
        ("wallet", "BNB"): D("-0.016"),
        ("grid_profit", "USDT"): D(20),
        ("inventory", "XRP"): D(20),
        ("inventory", "USDT"): D(-2000),
        ("fees", "BNB"): D("-0.016"),
    }
    assert run.wallet() == run.change()


# --- planted errors -------------------------------------------------------------------------------


@pytest.fixture
def traded() -> PaperRun:
    fees = FeeSchedule(maker=D("0.001"), taker=D("0.002"))
    return four_levels(fees, {"USDT": D(5000)})


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("asset", ["XRP", "USDT", "BNB"])
def test_a_wrong_entry_is_found(traded: PaperRun, component: str, asset: str) -> None:
    check(traded.grid)
    part = traded.grid.ledger._parts[component]
    part[asset] = part.get(asset, D(0)) + D("0.00000001")
    with pytest.raises(InvariantError, match=r"do not close: -0\.00000001"):
        check(traded.grid)


@pytest.mark.parametrize("asset", ["XRP", "USDT", "BNB"])
def test_a_wrong_wallet_is_found(traded: PaperRun, asset: str) -> None:
    wallet = traded.grid.ledger.wallet
    wallet[asset] = wallet.get(asset, D(0)) - D("0.00000001")
    with pytest.raises(InvariantError, match="do not close"):
        check(traded.grid)


@pytest.mark.parametrize("component", ["inventory", "dust"])
def test_errors_that_cancel_each_other_are_found_by_the_lots(
    traded: PaperRun, component: str
) -> None:
    """The books close, and yet the cost that moved to the profit is in no lot."""
    parts = traded.grid.ledger._parts
    parts[component]["USDT"] += 1
    parts["grid_profit"]["USDT"] -= 1
    assert traded.grid.ledger.residuals() == {}
    with pytest.raises(InvariantError, match=f"{component} cost"):
        check(traded.grid)


@pytest.mark.parametrize("change", ["quantity", "price"])
def test_a_wrong_lot_is_found(traded: PaperRun, change: str) -> None:
    lots = next(slot.lots for slot in traded.grid.slots if slot.lots.quantity)
    lot = next(iter(lots))
    if change == "price":
        lot.price += D("0.01")
    else:
        lot.quantity += D("0.01")
    with pytest.raises(InvariantError, match="inventory cost"):
        check(traded.grid)


def test_base_that_no_lot_holds_is_found(traded: PaperRun) -> None:
    """The books close, and yet no lot holds it."""
    ledger = traded.grid.ledger
    ledger.wallet["XRP"] += 1
    ledger._parts["inventory"]["XRP"] += 1
    with pytest.raises(InvariantError, match="inventory base is"):
        check(traded.grid)


def test_every_broken_rule_is_named_at_once(traded: PaperRun) -> None:
    grid = traded.grid
    grid.ledger.wallet["USDT"] += 1
    empty = next(slot for slot in grid.slots if slot.order is not None)
    empty.order = None
    with pytest.raises(InvariantError, match=r"do not close.*; slot 0 has no order and no reason"):
        check(grid)


def test_a_slot_with_the_wrong_order_is_found(traded: PaperRun) -> None:
    first, last = traded.grid.slots[0], traded.grid.slots[-1]
    first.order, last.order = last.order, first.order
    with pytest.raises(InvariantError, match="slot 0 wants to buy and holds a sell"):
        check(traded.grid)


def test_an_order_inside_its_own_interval_is_found(traded: PaperRun) -> None:
    traded.grid.slots[0].lower -= D("0.01")
    with pytest.raises(InvariantError, match="inside its own interval"):
        check(traded.grid)


def test_a_settled_order_left_in_its_slot_is_found(traded: PaperRun) -> None:
    order = traded.grid.slots[0].order
    assert order is not None
    order.filled = order.request.quantity
    with pytest.raises(InvariantError, match="still holds settled order"):
        check(traded.grid)


def test_a_sale_of_more_than_is_held_is_found(traded: PaperRun) -> None:
    grid = traded.grid
    seller = next(slot for slot in grid.slots if slot.side is Side.SELL)
    grid.pool.absorb(seller.lots)
    with pytest.raises(InvariantError, match=r"sells 9\.99 and holds 0|sells 10 and holds 0"):
        check(grid)
