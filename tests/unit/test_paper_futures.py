"""The paper futures venue: margin, profit, reduce-only, liquidation, funding, settings, records.

Numbers are worked out by hand in the comments beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.account import FuturesSettings, MarginType, PositionMode
from gridlab.domain.events import FundingPaid, OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderRequest, OrderType, Side, VenueStatus
from gridlab.errors import BugError, Conflict, InvalidInput, InvalidNumber, NotFound, StorageError
from gridlab.exchange.base import Accepted, FuturesExchange, Outcome, RejectCode, Rejected
from gridlab.exchange.paper import PaperBook, PaperExchange, Record
from gridlab.exchange.paper_figures import ChangeReason, IncomeKind
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.exchange.paper_margin import Bracket

D = Decimal
ISOLATED, CROSSED = MarginType.ISOLATED, MarginType.CROSSED
FREE = FeeSchedule(maker=D(0), taker=D(0), mode=FeeMode.QUOTE)
USUAL = FeeSchedule(maker=D("0.0002"), taker=D("0.0005"), mode=FeeMode.QUOTE)


def contract(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    plain = Instrument(
        symbol=symbol,
        market=Market.FUTURES,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        min_notional=D(100),
        min_quantity=D("0.001"),
        max_quantity=D(1000),
        min_price=D("0.1"),
        max_price=D(1_000_000),
        max_notional=D(100_000_000),
    )
    return replace(plain, **changes)


MARKETS = {"BTCUSDT": contract(), "ETHUSDT": contract("ETHUSDT")}


def make_book(
    wallet: str = "10000",
    *,
    leverage: int = 10,
    margin: MarginType = ISOLATED,
    fees: FeeSchedule = FREE,
    **options: Any,
) -> FuturesBook:
    book = FuturesBook(
        MARKETS,
        {"USDT": D(wallet)},
        fees=fees,
        settings=FuturesSettings(leverage, margin),
        **options,
    )
    book.set_price("BTCUSDT", D(1000))
    book.set_price("ETHUSDT", D(100))
    return book


def order(
    side: Side, quantity: str, price: str | None, name: str = "a", **changes: Any
) -> OrderRequest:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else D(price)
    plain = OrderRequest(name, "BTCUSDT", Market.FUTURES, side, kind, D(quantity), limit)
    return replace(plain, **changes)


def buy(quantity: str, price: str | None = None, name: str = "b", **changes: Any) -> OrderRequest:
    return order(Side.BUY, quantity, price, name, **changes)


def sell(quantity: str, price: str | None = None, name: str = "s", **changes: Any) -> OrderRequest:
    return order(Side.SELL, quantity, price, name, **changes)


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else ""


def told(book: FuturesBook) -> list[str]:
    """Events in short: what, whose, how it ended."""
    names = []
    for event in book.take_events():
        if isinstance(event, OrderFilled):
            trade = event.trade
            names.append(f"fill {trade.client_id} {trade.quantity} @ {trade.price}")
        elif isinstance(event, OrderEnded):
            names.append(f"{event.status} {event.client_id} {event.executed}")
        else:
            assert isinstance(event, OrderAccepted)
            names.append(f"accepted {event.client_id}")
    return names


# -- margin -----------------------------------------------------------------------------------


def test_an_order_ties_up_its_initial_margin_and_its_fee() -> None:
    book = make_book("100", fees=USUAL)
    # 0.9 x 1000 = 900 at leverage 10 is 90, and the maker fee is 0.18.
    assert code(book.place(buy("0.9", "999.9"), 1)) == ""
    assert book.balances() == (Balance("USDT", D("9.829018"), D("90.170982")),)
    assert book.figures("BTCUSDT").order_margin == D("90.170982")
    refused = book.place(buy("0.101", "999.9", "more"), 2)
    assert code(refused) == RejectCode.MARGIN
    assert isinstance(refused, Rejected) and "10.11918798 USDT at leverage 10" in refused.reason
    book.cancel("BTCUSDT", "b", 3)
    assert book.balances() == (Balance("USDT", D(100), D(0)),)


def test_margin_to_the_last_digit() -> None:
    # A taker of 1000 at leverage 10 needs 100 and 0.5 of fee.
    assert code(make_book("100.49999999", fees=USUAL).place(buy("1"), 1)) == RejectCode.MARGIN
    book = make_book("100.5", fees=USUAL)
    assert code(book.place(buy("1"), 1)) == ""
    assert book.balances() == (Balance("USDT", D(0), D(100)),)


def test_buys_and_sells_are_not_added_up() -> None:
    """Both sides cannot fill into exposure at once, so the larger one counts."""
    book = make_book("1000")
    for name, price in (("b1", "999"), ("b2", "998")):
        assert code(book.place(buy("1", price, name), 1)) == ""
    assert book.figures("BTCUSDT").order_margin == D("199.7")
    book.place(sell("1", "1001"), 2)
    assert book.figures("BTCUSDT").order_margin == D("199.7")


def test_an_order_that_makes_the_position_smaller_needs_no_margin() -> None:
    book = make_book("100")
    book.place(buy("1"), 1)
    assert book.balances()[0].free == 0
    assert code(book.place(sell("1", "1000.1"), 2)) == ""
    assert code(book.place(buy("0.11", "999"), 3)) == RejectCode.MARGIN
    # Past the position it opens a short: 0.2 more is 200 at leverage 10.
    assert code(book.place(sell("1.2", "1000.1", "s2"), 4)) == RejectCode.MARGIN


def test_the_cap_of_the_bracket() -> None:
    book = make_book("100000", brackets={"BTCUSDT": Bracket(notional_cap=D(2000))})
    assert code(book.place(buy("2", "999"), 1)) == ""
    refused = book.place(buy("0.2", "10", "more", reduce_only=False), 1)
    assert code(refused) == RejectCode.FILTER
    refused = book.place(buy("0.2", "999", "more"), 1)
    assert isinstance(refused, Rejected) and "2000 is the limit" in refused.reason


def test_the_gap_between_the_last_price_and_the_mark_is_paid_in_margin() -> None:
    book = make_book("150")
    book.set_mark_price("BTCUSDT", D(940), 1)
    # 1000 / 10 of margin and 60 that are lost at once at the mark.
    assert code(book.place(buy("1"), 2)) == RejectCode.MARGIN
    book.set_mark_price("BTCUSDT", None, 3)
    assert code(book.place(buy("1"), 4)) == ""


def test_a_second_copy_learns_that_it_is_one_though_the_margin_is_gone() -> None:
    book = make_book("100")
    assert code(book.place(buy("1", "999"), 1)) == ""
    assert code(book.place(buy("1", "999"), 2)) == RejectCode.DUPLICATE


# -- positions and profit ---------------------------------------------------------------------


def test_profit_is_realised_by_the_part_that_is_closed() -> None:
    book = make_book()
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(1100), 2)
    book.place(buy("2"), 3)
    position = book.position("BTCUSDT")
    assert (position.quantity, position.entry_price) == (D(3), D("1066.66666667"))
    book.walk("BTCUSDT", D(1200), 4)
    book.place(sell("1"), 5)
    # 1200 - 1066.66666667 = 133.33333333; the cost that stays is 3200 - 1066.66666667.
    assert book.realized("BTCUSDT", 3) == D("133.33333333")
    assert book.figures("BTCUSDT").cost == D("2133.33333333")
    assert book.wallet("USDT").wallet == D("10133.33333333")
    book.place(sell("2"), 6)
    assert book.realized("BTCUSDT", 4) == D("266.66666667")
    assert book.wallet("USDT").wallet == D(10400)
    assert book.positions() == () and book.position("BTCUSDT").entry_price == 0


def test_a_position_turns_in_one_trade() -> None:
    book = make_book()
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(950), 2)
    book.place(sell("3"), 3)
    position = book.position("BTCUSDT")
    assert (position.quantity, position.entry_price) == (D(-2), D(950))
    assert book.realized("BTCUSDT", 2) == D(-50)
    # The long's margin is given back, the short's is 1900 / 10.
    assert book.figures("BTCUSDT").isolated_wallet == D(190)
    book.walk("BTCUSDT", D(800), 4)
    assert position.unrealized == 0 and book.position("BTCUSDT").unrealized == D(300)
    assert book.wallet("USDT").margin_balance == D(10250)


def test_isolated_margin_is_given_back_with_what_is_closed() -> None:
    book = make_book(leverage=3)
    book.place(buy("1"), 1)
    assert book.figures("BTCUSDT").isolated_wallet == D("333.33333334")  # rounded up
    book.place(sell("0.4"), 2)
    assert book.figures("BTCUSDT").isolated_wallet == D("200.00000000")
    assert book.wallet("USDT").cross_wallet == D(9800)


def test_income_rows_say_why_the_wallet_changed() -> None:
    book = make_book(fees=USUAL)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(1100), 2)
    book.place(sell("1"), 3)
    book.transfer("USDT", D(-50), 4)
    rows = [(i.number, i.time_ms, i.kind, i.amount, i.trade_id) for i in book.incomes()]
    assert rows == [
        (1, 1, IncomeKind.COMMISSION, D("-0.5"), 1),
        (2, 3, IncomeKind.REALIZED_PNL, D(100), 2),
        (3, 3, IncomeKind.COMMISSION, D("-0.55"), 2),
        (4, 4, IncomeKind.TRANSFER, D(-50), None),
    ]
    assert [i.number for i in book.incomes(after=2)] == [3, 4]
    assert [i.number for i in book.incomes(symbol="ETHUSDT")] == []
    assert book.wallet("USDT").wallet == D("10048.95")


# -- reduce-only ------------------------------------------------------------------------------


def test_reduce_only_needs_something_to_reduce() -> None:
    book = make_book()
    nothing = book.place(sell("1", "1001", reduce_only=True), 1)
    assert code(nothing) == RejectCode.REDUCE_ONLY
    assert isinstance(nothing, Rejected) and nothing.reason.startswith("ReduceOnly Order is rej")
    book.place(buy("1"), 2)
    assert code(book.place(buy("1", "990", reduce_only=True), 3)) == RejectCode.REDUCE_ONLY
    assert code(book.place(sell("1", "1001", reduce_only=True), 4)) == ""
    covered = book.place(sell("1", "1002", "s2", reduce_only=True), 5)
    assert isinstance(covered, Rejected) and covered.reason.startswith("ReduceOnly Order Failed")
    assert book.query("BTCUSDT", "s2") is None
    assert book.is_reduce_only("2") and not book.is_reduce_only("1")


def test_reduce_only_is_free_of_margin_and_of_the_least_value() -> None:
    book = make_book("100")
    book.place(buy("1"), 1)
    assert code(book.place(sell("0.001", "1001", reduce_only=True), 2)) == ""
    assert code(book.place(sell("0.001", "1001", "s2"), 2)) == RejectCode.FILTER
    assert book.figures("BTCUSDT").order_margin == 0


def test_a_taker_that_reduces_is_cut_to_the_position_and_the_rest_expires() -> None:
    book = make_book()
    book.place(buy("1"), 1)
    book.take_events()
    outcome = book.place(sell("5", reduce_only=True), 2)
    assert isinstance(outcome, Accepted)
    assert (outcome.report.status, outcome.report.executed) == (VenueStatus.EXPIRED, D(1))
    assert told(book) == ["accepted s", "fill s 1 @ 1000", "expired s 1"]
    assert book.position("BTCUSDT").quantity == 0


def test_reduce_only_orders_expire_with_the_position() -> None:
    book = make_book()
    book.place(buy("2"), 1)
    for name, price in (("s1", "1010"), ("s2", "1020")):
        book.place(sell("1", price, name, reduce_only=True), 2)
    book.place(buy("1", "900", "still"), 2)
    book.take_events()
    book.walk("BTCUSDT", D(1010), 3)
    assert told(book) == ["fill s1 1 @ 1010", "filled s1 1"]
    book.place(sell("1"), 4)
    assert told(book) == ["accepted s", "fill s 1 @ 1010", "filled s 1", "expired s2 0"]
    assert [o.client_id for o in book.open_orders("BTCUSDT")] == ["still"]


def test_a_resting_order_never_reduces_more_than_there_is() -> None:
    book = make_book()
    book.place(buy("2"), 1)
    book.place(sell("2", "1010", reduce_only=True), 2)
    book.place(sell("1.5", name="other"), 3)
    book.take_events()
    book.walk("BTCUSDT", D(1010), 4)
    assert told(book) == ["fill s 0.5 @ 1010", "expired s 0.5"]
    assert book.position("BTCUSDT").quantity == 0


# -- liquidation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price", "survives", "fails"),
    [
        # (100 - 1000) / (0.004 - 1) = 903.61445783, rounded down
        (Side.BUY, "903.61445783", "903.7", "903.6"),
        # (100 + 1000) / (0.004 + 1) = 1095.61752988, rounded up
        (Side.SELL, "1095.61752989", "1095.6", "1095.7"),
    ],
)
def test_the_liquidation_price_of_an_isolated_position(
    side: Side, price: str, survives: str, fails: str
) -> None:
    book = make_book()
    book.place(order(side, "1", None), 1)
    assert book.position("BTCUSDT").liquidation_price == D(price)
    book.walk("BTCUSDT", D(survives), 2)
    assert book.position("BTCUSDT").quantity != 0
    book.take_events()
    book.walk("BTCUSDT", D(fails), 3)
    assert told(book) == [
        "accepted autoclose-3",
        f"fill autoclose-3 1 @ {fails}",
        "filled autoclose-3 1",
    ]
    assert book.positions() == ()
    (forced,) = book.orders(after=1)
    assert forced.client_id == "autoclose-3" and book.is_reduce_only(forced.order_id)


def test_at_the_very_price_that_was_told_it_fails() -> None:
    book = make_book(leverage=2, brackets={"BTCUSDT": Bracket(D("0.2"), D(20))})
    book.place(buy("1"), 1)
    assert book.position("BTCUSDT").liquidation_price == D(600)  # (500 + 20 - 1000) / (0.2 - 1)
    assert book.figures("BTCUSDT").maintenance_margin == D(180)
    book.set_mark_price("BTCUSDT", D("600.00000001"), 2)
    assert book.positions() != ()
    book.set_mark_price("BTCUSDT", D(600), 3)
    assert book.positions() == ()


def test_without_leverage_a_long_is_never_liquidated() -> None:
    book = make_book(leverage=1)
    book.place(buy("5"), 1)
    assert book.position("BTCUSDT").liquidation_price is None
    assert book.position("BTCUSDT").liquidation_distance is None
    book.walk("BTCUSDT", D("0.1"), 2)
    assert book.position("BTCUSDT").quantity == 5


def test_an_isolated_position_loses_no_more_than_its_margin() -> None:
    book = make_book(fees=USUAL)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(500), 2)
    closed = book.trades("BTCUSDT")[-1]
    assert closed.price == D(900)  # where the 100 of margin are gone, though the mark is 500
    # The opening cost 0.5, the closing at 900 costs 0.45.
    assert book.wallet("USDT").wallet == D(10000) - D("0.5") - 100 - D("0.45")


def test_orders_short_of_the_failing_price_fill_first_and_the_others_end() -> None:
    book = make_book()
    book.place(buy("1"), 1)
    for name, price in (("near", "950"), ("deep", "850")):
        book.place(buy("1", price, name), 1)
    book.place(sell("1", "1100", "top", reduce_only=True), 1)
    book.take_events()
    # After "near" two are held for 1950 with 195 of margin: 1755 / 1.992 = 881.02409638.
    book.walk("BTCUSDT", D(840), 2)
    assert told(book) == [
        "fill near 1 @ 950",
        "filled near 1",
        "expired deep 0",
        "expired top 0",
        "accepted autoclose-2",
        "fill autoclose-2 2 @ 877.5",
        "filled autoclose-2 2",
    ]
    assert book.open_orders("BTCUSDT") == ()
    assert book.wallet("USDT").wallet == D(10000) - 195


def test_crossed_positions_share_the_wallet_and_fail_together() -> None:
    book = make_book("200", margin=CROSSED)
    book.place(buy("1"), 1)
    book.place(replace(sell("5"), symbol="ETHUSDT"), 1)
    book.place(replace(sell("1", "130", "rest"), symbol="ETHUSDT"), 1)
    # Others at rest: (200 - 2 - 1000) / (0.004 - 1) = 805.22088353
    assert book.position("BTCUSDT").liquidation_price == D("805.22088353")
    book.walk("ETHUSDT", D(120), 2)  # 100 are lost there; 120 x 5 x 0.004 = 2.4 to maintain
    assert book.position("BTCUSDT").liquidation_price == D("906.02409638")
    book.take_events()
    book.walk("BTCUSDT", D(906), 3)
    assert told(book) == [
        "expired rest 0",
        "accepted autoclose-3",
        "fill autoclose-3 1 @ 906",
        "filled autoclose-3 1",
        "accepted autoclose-3",
        "fill autoclose-3 5 @ 120",
        "filled autoclose-3 5",
    ]
    assert book.wallet("USDT").wallet == D(200) - 94 - 100


def test_orders_of_crossed_symbols_without_a_position_end_too() -> None:
    book = make_book("150", margin=CROSSED)
    book.place(replace(buy("1", "90", "other"), symbol="ETHUSDT", quantity=D(2)), 1)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(800), 2)
    assert book.positions() == () and book.open_orders("ETHUSDT") == ()


def test_a_crossed_account_is_never_below_zero() -> None:
    book = make_book("150", margin=CROSSED, fees=USUAL)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(10), 2)
    assert book.positions() == ()
    assert D(0) <= book.wallet("USDT").wallet < 1


def test_a_bankrupt_crossed_account_closes_its_winner_first_and_nothing_beyond_entry() -> None:
    book = make_book("150", margin=CROSSED)
    book.place(buy("1"), 1)
    book.place(replace(buy("4"), symbol="ETHUSDT"), 1)
    book.walk("ETHUSDT", D(110), 2)
    book.set_mark_price("BTCUSDT", D(700), 3)
    eth, btc = book.trades("ETHUSDT")[-1], book.trades("BTCUSDT")[-1]
    assert eth.price == D(110)  # 40 of profit
    assert btc.price == D(810)  # and 190 are all that can be lost, though the mark is 700
    assert book.wallet("USDT").wallet == 0


def test_a_sell_that_takes_ties_up_what_it_gets_and_not_its_limit() -> None:
    book = make_book("95", margin=CROSSED)
    assert code(book.place(sell("1", "500"), 1)) == RejectCode.MARGIN
    assert code(book.place(sell("0.95", "500"), 2)) == ""


def test_profit_elsewhere_keeps_a_crossed_position_alive() -> None:
    book = make_book("200", margin=CROSSED)
    book.place(buy("1"), 1)
    book.place(replace(buy("5"), symbol="ETHUSDT"), 1)
    book.walk("ETHUSDT", D(200), 2)
    book.walk("BTCUSDT", D(700), 3)
    assert len(book.positions()) == 2
    assert book.wallet("USDT").margin_balance == D(200) + 500 - 300


# -- funding ----------------------------------------------------------------------------------


def test_funding_is_booked_once_and_longs_pay() -> None:
    book = make_book()
    assert book.pay_funding("BTCUSDT", D("0.0001"), 5, "f0") is None
    book.place(buy("0.3"), 1)
    book.set_mark_price("BTCUSDT", D("1000.12345679"), 1)
    # 0.3 x 1000.12345679 x 0.0001 = 0.0300037037037, rounded to 8 decimals
    paid = book.pay_funding("BTCUSDT", D("0.0001"), 8, "f1")
    assert paid == FundingPaid(8, "f1", "USDT", D("-0.03000370"))
    assert book.pay_funding("BTCUSDT", D("0.0001"), 9, "f1") is None
    assert book.wallet("USDT").wallet == D("9999.96999630")
    assert book.figures("BTCUSDT").isolated_wallet == D(30) - D("0.03000370")
    book.pay_funding("BTCUSDT", D("-0.0001"), 16, "f2")
    assert [p.amount for p in book.funding("BTCUSDT")] == [D("-0.0300037"), D("0.0300037")]
    assert [p.funding_id for p in book.funding("BTCUSDT", after_ms=8)] == ["f2"]
    assert book.funding("ETHUSDT") == ()


def test_funding_can_be_the_last_straw() -> None:
    book = make_book(leverage=100)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D("994.1"), 2)  # 10 of margin, 5.9 lost, 3.98 to maintain
    assert book.positions() != ()
    book.pay_funding("BTCUSDT", D("0.001"), 3, "f1")
    assert book.positions() == ()


# -- settings ---------------------------------------------------------------------------------


def test_leverage_within_the_bracket() -> None:
    book = make_book("100", leverage=5)
    for wrong in (0, 126):
        with pytest.raises(InvalidInput, match="1 to 125"):
            book.set_leverage("BTCUSDT", wrong, 1)
    book.place(buy("0.4"), 2)
    with pytest.raises(Conflict, match="Isolated Margin Mode"):
        book.set_leverage("BTCUSDT", 4, 3)
    book.set_leverage("BTCUSDT", 20, 4)
    assert book.position("BTCUSDT").leverage == 20
    with pytest.raises(InvalidInput):
        make_book(leverage=200)


def test_leverage_cannot_fall_below_what_the_wallet_carries() -> None:
    book = make_book("100", margin=CROSSED)
    book.place(buy("0.9"), 1)
    with pytest.raises(Conflict, match="80 USDT more"):
        book.set_leverage("BTCUSDT", 5, 2)
    assert book.position("BTCUSDT").leverage == 10
    book.set_leverage("BTCUSDT", 9, 2)


def test_margin_type_and_mode_change_only_at_rest() -> None:
    book = make_book()
    book.place(buy("1", "900"), 1)
    with pytest.raises(Conflict, match="open orders"):
        book.set_margin_type("BTCUSDT", CROSSED, 2)
    with pytest.raises(Conflict, match="open orders"):
        book.set_position_mode(PositionMode.HEDGE)
    book.walk("BTCUSDT", D(900), 3)
    with pytest.raises(Conflict, match="a position"):
        book.set_margin_type("BTCUSDT", CROSSED, 4)
    with pytest.raises(Conflict, match="a position"):
        book.set_position_mode(PositionMode.HEDGE)
    book.set_margin_type("BTCUSDT", ISOLATED, 5)  # what it is already
    book.set_margin_type("ETHUSDT", CROSSED, 5)
    book.place(sell("1"), 6)
    book.set_margin_type("BTCUSDT", CROSSED, 7)
    assert book.position("BTCUSDT").margin_type is CROSSED


def test_hedge_mode_refuses_orders_without_a_side() -> None:
    book = make_book()
    book.set_position_mode(PositionMode.HEDGE)
    refused = book.place(buy("1", "900"), 1)
    assert isinstance(refused, Rejected)
    assert refused.code == "position_side" and "hedge mode" in refused.reason
    book.set_position_mode(PositionMode.ONE_WAY)
    assert code(book.place(buy("1", "900"), 2)) == ""


def test_margin_moves_to_and_from_an_isolated_position() -> None:
    book = make_book("300")
    with pytest.raises(Conflict, match="isolated position"):
        book.move_margin("BTCUSDT", D(10), 1)
    book.place(buy("1"), 2)
    book.move_margin("BTCUSDT", D(150), 3)
    assert book.figures("BTCUSDT").isolated_wallet == D(250)
    assert book.position("BTCUSDT").liquidation_price == D("753.01204819")
    with pytest.raises(Conflict, match="50 can be"):
        book.move_margin("BTCUSDT", D("50.00000001"), 4)
    with pytest.raises(Conflict, match="150 can be"):
        book.move_margin("BTCUSDT", D(-151), 4)
    book.move_margin("BTCUSDT", D(-150), 5)
    assert book.wallet("USDT").available == D(200)


def test_transfers_take_only_what_is_not_tied_up() -> None:
    book = make_book("300", margin=CROSSED)
    book.place(buy("1"), 1)
    with pytest.raises(Conflict, match="200 is not tied"):
        book.transfer("USDT", D(-201), 2)
    book.walk("BTCUSDT", D(2000), 3)  # open profit backs orders, but it cannot be paid out
    assert book.wallet("USDT").available == D(1100)
    assert book.balances() == (Balance("USDT", D(300), D(0)),)
    with pytest.raises(Conflict):
        book.transfer("USDT", D(-301), 4)
    book.transfer("USDC", D(7), 5)
    assert book.balances()[0] == Balance("USDC", D(7), D(0))


def test_changes_of_positions_are_told_in_order() -> None:
    book = make_book(fees=USUAL)
    book.place(buy("1"), 1)
    book.walk("BTCUSDT", D(1100), 2)
    book.place(sell("0.5"), 3)
    book.pay_funding("BTCUSDT", D("0.001"), 4, "f1")
    book.move_margin("BTCUSDT", D(20), 5)
    book.set_leverage("BTCUSDT", 12, 6)
    book.set_margin_type("ETHUSDT", CROSSED, 7)
    book.transfer("USDT", D(5), 8)
    book.transfer("USDT", D(-3), 9)
    changes = book.take_position_changes()
    assert [(c.reason.value, c.change) for c in changes] == [
        ("ORDER", D(0)),
        ("ORDER", D(0)),
        ("FUNDING_FEE", D("-0.55")),
        ("MARGIN_TRANSFER", D(-20)),
        ("LEVERAGE_CHANGE", D(0)),
        ("MARGIN_TYPE_CHANGE", D(0)),
        ("DEPOSIT", D(5)),
        ("WITHDRAW", D(-3)),
    ]
    first, second = changes[:2]
    assert first.trade is not None and first.trade.trade_id == 1 and first.realized == 0
    assert second.trade is not None and second.realized == D(50)
    assert second.position is not None and second.position.quantity == D("0.5")
    assert (second.wallet, second.isolated_wallet) == (D("10049.225"), D(50))
    assert second.cross_wallet == D("9999.225")
    assert book.take_position_changes() == []


def test_what_is_not_of_futures_is_refused() -> None:
    spot = replace(contract(), market=Market.SPOT)
    with pytest.raises(InvalidInput, match="use the book of that market"):
        FuturesBook({"BTCUSDT": spot}, {}, fees=FREE)
    with pytest.raises(InvalidInput, match="use the book of that market"):
        PaperBook(MARKETS, {}, fees=FeeSchedule())
    for mode in (FeeMode.RECEIVED, FeeMode.THIRD):
        extra = {"third_asset": "BNB", "third_price": D(600)} if mode is FeeMode.THIRD else {}
        with pytest.raises(InvalidInput, match=r"FeeMode\.QUOTE"):
            FuturesBook(MARKETS, {}, fees=FeeSchedule(mode=mode, **extra))
    with pytest.raises(InvalidInput):
        Bracket(maintenance_rate=D(1))
    book = make_book()
    with pytest.raises(InvalidNumber):
        book.set_mark_price("BTCUSDT", D(0), 1)
    for ask in (book.position, book.figures, book.mark_price):
        with pytest.raises(NotFound, match="XRPUSDT"):
            ask("XRPUSDT")
    spot_order = OrderRequest("x", "BTCUSDT", Market.SPOT, Side.BUY, OrderType.LIMIT, D(1), D(900))
    assert code(book.place(spot_order, 1)) == RejectCode.INVALID_SYMBOL


# -- parts, amendments ------------------------------------------------------------------------


def test_a_part_can_be_filled_on_request() -> None:
    book = make_book()
    book.place(buy("1", "900"), 1)
    outcome = book.fill_part("BTCUSDT", "b", D("0.2509"), 2)
    assert isinstance(outcome, Accepted)
    assert (outcome.report.status, outcome.report.executed) == (
        VenueStatus.PARTIALLY_FILLED,
        D("0.250"),
    )
    assert book.position("BTCUSDT").entry_price == D(900)
    assert code(book.fill_part("BTCUSDT", "b", D("0.0009"), 3)) == RejectCode.NOT_OPEN
    book.fill_part("BTCUSDT", "b", D(50), 4)
    assert book.position("BTCUSDT").quantity == 1


def test_an_amendment_keeps_the_order_and_its_margin_right() -> None:
    book = make_book("100")
    book.place(buy("1", "900"), 1)
    book.fill_part("BTCUSDT", "b", D("0.5"), 2)
    refused = book.amend("BTCUSDT", "b", 3, quantity=D("2"))
    assert code(refused) == RejectCode.MARGIN
    assert code(book.amend("BTCUSDT", "b", 3, quantity=D("0.5"))) == RejectCode.FILTER
    before = book.figures("BTCUSDT")
    outcome = book.amend("BTCUSDT", "b", 4, price=D(800), quantity=D("0.9"), new_client_id="n")
    assert isinstance(outcome, Accepted)
    report = outcome.report
    assert (report.order_id, report.client_id, report.executed) == ("1", "n", D("0.5"))
    assert book.query("BTCUSDT", "b") is None
    assert before.order_margin == D(45) and book.figures("BTCUSDT").order_margin == D(32)
    assert code(book.amend("BTCUSDT", "b", 5, price=D(1))) == RejectCode.NOT_OPEN


# -- records and the venue --------------------------------------------------------------------


class MemoryRecords:
    """Records in memory; `fails` makes the next commit fail."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self.fails = False

    def load(self) -> Iterable[Record]:
        return [(kind, key, payload) for (kind, key), payload in reversed(self.rows.items())]

    def commit(self, records: Iterable[Record]) -> None:
        if self.fails:
            raise StorageError("disk full")
        for kind, key, payload in records:
            assert payload is not None
            self.rows[kind, key] = payload


def live_a_little(book: FuturesBook) -> None:
    book.place(buy("1"), 1)
    book.place(buy("0.5", "950", "b1"), 2)
    book.place(sell("0.3", "1050", "s1", reduce_only=True), 3)
    book.walk("BTCUSDT", D(1050), 4, D("0.1"))
    book.set_mark_price("BTCUSDT", D(1049), 5)
    book.pay_funding("BTCUSDT", D("0.0001"), 6, "f1")
    book.set_leverage("ETHUSDT", 3, 7)
    book.set_margin_type("ETHUSDT", CROSSED, 7)
    book.place(replace(sell("5"), symbol="ETHUSDT"), 8)
    book.amend("BTCUSDT", "b1", 9, quantity=D("0.6"))
    book.transfer("USDT", D(-3), 10)


def restore(records: Iterable[Record]) -> FuturesBook:
    return FuturesBook.restore(
        records, MARKETS, {}, fees=USUAL, settings=FuturesSettings(10, ISOLATED)
    )


def test_a_restored_book_is_identical_and_goes_on_identically() -> None:
    book, disk = make_book(fees=USUAL, is_tracking=True), MemoryRecords()
    disk.commit(book.take_changes())
    live_a_little(book)
    disk.commit(book.take_changes())
    assert not book.has_changes
    assert set(disk.load()) == set(book.dump())
    again = restore(disk.load())
    assert again.dump() == book.dump() and not again.has_changes
    assert again.figures("BTCUSDT") == book.figures("BTCUSDT")
    assert again.realized("BTCUSDT", 2) == book.realized("BTCUSDT", 2) != 0
    for each in (book, again):
        each.take_events(), each.take_position_changes()
        assert each.pay_funding("BTCUSDT", D("0.0001"), 11, "f1") is None
        each.set_mark_price("BTCUSDT", None, 11)
        each.walk("BTCUSDT", D(800), 12)
    assert again.take_events() == book.take_events()
    assert again.take_position_changes() == book.take_position_changes()
    assert again.dump() == book.dump()


def test_a_restored_mode_and_what_was_never_stored() -> None:
    book = make_book(is_tracking=True)
    assert [r[0] for r in book.take_changes()] == ["balance", "price", "price"]
    book.set_position_mode(PositionMode.HEDGE)
    assert book.take_changes() == [("position_mode", "account", '"hedge"')]
    assert restore(book.dump()).position_mode is PositionMode.HEDGE
    assert restore([]).balances() == (Balance("USDT", D(0), D(0)),)


def test_damaged_records_are_refused_in_words() -> None:
    book = make_book(fees=USUAL, is_tracking=True)
    live_a_little(book)
    whole = book.dump()
    restore([*whole, ("replay", "cursor", "{}")])
    with pytest.raises(StorageError, match="position on BTCUSDT"):
        restore([r for r in whole if r[:2] != ("position", "BTCUSDT")])
    with pytest.raises(StorageError, match="position on ETHUSDT"):
        restore([r for r in whole if r[:2] != ("trade", "ETHUSDT:1")])
    with pytest.raises(StorageError, match="cannot be read"):
        restore([*whole, ("income", "99", "{}")])
    with pytest.raises(StorageError, match="same symbols"):
        FuturesBook.restore(whole, {"BTCUSDT": MARKETS["BTCUSDT"]}, {}, fees=USUAL)


def test_the_venue_is_a_futures_exchange_and_the_spot_one_is_not() -> None:
    venue = PaperFutures(make_book(), ManualClock(5))
    assert isinstance(venue, FuturesExchange) and venue.market is Market.FUTURES
    spot = PaperExchange(PaperBook({}, {}, fees=FeeSchedule()), ManualClock())
    assert not isinstance(spot, FuturesExchange)
    with pytest.raises(BugError, match="PaperFutures a FuturesBook"):
        PaperExchange(make_book(), ManualClock())


def test_prepare_and_mismatch() -> None:
    async def scenario() -> None:
        venue = PaperFutures(make_book(leverage=3), ManualClock(5))
        assert await venue.mismatch("BTCUSDT") == ""
        venue.set_leverage("BTCUSDT", 20)
        venue.set_margin_type("BTCUSDT", CROSSED)
        assert await venue.mismatch("BTCUSDT") == (
            "leverage of BTCUSDT is 20 and 3 is assumed; "
            "margin type of BTCUSDT is crossed and isolated is assumed"
        )
        await venue.prepare("BTCUSDT")
        assert await venue.mismatch("BTCUSDT") == ""
        venue.set_position_mode(PositionMode.HEDGE)
        assert "hedge" in await venue.mismatch("BTCUSDT")
        with pytest.raises(Conflict, match="one_way mode"):
            await venue.prepare("BTCUSDT")

    asyncio.run(scenario())


def test_the_venue_saves_then_tells_orders_then_positions() -> None:
    async def scenario() -> None:
        disk, log = MemoryRecords(), list[str]()
        book = make_book(fees=USUAL, is_tracking=True)
        venue = PaperFutures(book, ManualClock(50), disk)
        venue.subscribe(lambda e: log.append(f"{type(e).__name__} {len(disk.rows) > 0}"))
        venue.subscribe_positions(lambda change: log.append(change.reason.value))
        await venue.place(buy("1"))
        assert log == ["OrderAccepted True", "OrderFilled True", "OrderEnded True", "ORDER"]
        venue.pay_funding("BTCUSDT", D("0.0001"), "f1")
        venue.move_margin("BTCUSDT", D(1))
        venue.set_mark_price("BTCUSDT", D(1001))
        venue.transfer("USDT", D(5))
        await venue.place(buy("1", "900", "rest"))
        venue.amend("BTCUSDT", "rest", price=D(890))
        venue.fill_part("BTCUSDT", "rest", D("0.1"))
        assert log[4:7] == ["FUNDING_FEE", "MARGIN_TRANSFER", ChangeReason.DEPOSIT]
        assert (await venue.position("BTCUSDT")).quantity == D("1.1")
        assert [paid.time_ms for paid in await venue.funding("BTCUSDT")] == [50]
        assert restore(disk.load()).dump() == book.dump()
        disk.fails = True
        with pytest.raises(StorageError, match="disk full"):
            venue.set_leverage("BTCUSDT", 20)
        with pytest.raises(StorageError, match="start again"):
            await venue.position("BTCUSDT")

    asyncio.run(scenario())
