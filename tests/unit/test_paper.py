"""The paper venue: filters at their exact bounds, locks, fees, fills, and books that survive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Instrument, Market, PercentPrice
from gridlab.domain.orders import OrderRequest, OrderType, Side, VenueStatus
from gridlab.errors import (
    BugError,
    Conflict,
    InvalidInput,
    InvalidNumber,
    NotFound,
    StorageError,
)
from gridlab.exchange.base import Accepted, RejectCode, Rejected, VenueEvent
from gridlab.exchange.paper import FillRule, PaperBook, PaperExchange, Record
from gridlab.exchange.paper_futures import FuturesBook

D = Decimal
BTC = Instrument(
    symbol="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.00001"),
    min_notional=D("5"),
    min_quantity=D("0.00002"),
    max_quantity=D("9000"),
    min_price=D("0.05"),
    max_price=D("1000000"),
    max_notional=D("100000"),
    max_num_orders=3,
    percent_price=PercentPrice(D("0.2"), D("5"), D("0.8"), D("2")),
)
FREE_OF_FEES = FeeSchedule(maker=D(0), taker=D(0))
RICH = {"USDT": D(1_000_000), "BTC": D(100)}


def make_book(
    balances: dict[str, Decimal] | None = None,
    *,
    fees: FeeSchedule = FREE_OF_FEES,
    instrument: Instrument = BTC,
    price: str | None = "100",
    fill_rule: FillRule = FillRule.TOUCH,
) -> PaperBook:
    book = PaperBook(
        {"BTCUSDT": instrument},
        RICH if balances is None else balances,
        fees=fees,
        fill_rule=fill_rule,
        is_tracking=True,
    )
    if price is not None:
        book.set_price("BTCUSDT", D(price))
    return book


def order(
    side: Side,
    quantity: str,
    price: str | None,
    client_id: str = "a",
    kind: OrderType | None = None,
) -> OrderRequest:
    if kind is None:
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else D(price)
    return OrderRequest(client_id, "BTCUSDT", Market.SPOT, side, kind, D(quantity), limit)


def buy(quantity: str, price: str | None, client_id: str = "a") -> OrderRequest:
    return order(Side.BUY, quantity, price, client_id)


def sell(quantity: str, price: str | None, client_id: str = "a") -> OrderRequest:
    return order(Side.SELL, quantity, price, client_id)


def held(book: PaperBook) -> dict[str, tuple[Decimal, Decimal]]:
    return {b.asset: (b.free, b.locked) for b in book.balances()}


def filled(events: Iterable[VenueEvent]) -> list[tuple[str, Decimal, Decimal]]:
    return [
        (e.trade.client_id, e.trade.price, e.trade.quantity)
        for e in events
        if isinstance(e, OrderFilled)
    ]


# -- filters: each bound, and one step past it ------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (buy("1", "99.99"), None),
        (buy("1", "99.999"), "PRICE_FILTER"),
        (buy("1", "99.990000"), None),
        (buy("0.00002", "99"), "NOTIONAL"),
        (buy("0.00001", "99"), "LOT_SIZE"),
        (buy("0.500001", "99"), "LOT_SIZE"),
        (buy("0.05", "100"), None),
        (buy("0.05", "99.99"), "NOTIONAL"),
        (buy("1000", "100"), None),
        (buy("1000.00001", "100"), "NOTIONAL"),
        (buy("0.05", None), None),
        (buy("0.04999", None), "NOTIONAL"),
        (buy("1000.00001", None), "NOTIONAL"),
        (buy("1", "20"), None),
        (buy("1", "19.99"), "PERCENT_PRICE_BY_SIDE"),
        (buy("1", "500"), None),
        (buy("1", "500.01"), "PERCENT_PRICE_BY_SIDE"),
        (sell("1", "80"), None),
        (sell("1", "79.99"), "PERCENT_PRICE_BY_SIDE"),
        (sell("1", "200"), None),
        (sell("1", "200.01"), "PERCENT_PRICE_BY_SIDE"),
    ],
)
def test_filters_at_their_bounds(request_: OrderRequest, rule: str | None) -> None:
    outcome = make_book().place(request_, 1)
    if rule is None:
        assert isinstance(outcome, Accepted)
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.code == RejectCode.FILTER
        assert outcome.reason.startswith(f"Filter failure: {rule}: ")


@pytest.mark.parametrize(
    ("price", "passes"),
    [("0.05", True), ("0.04", False), ("1000000", True), ("1000000.01", False)],
)
def test_price_bounds_before_any_price_is_known(price: str, passes: bool) -> None:
    wide = replace(BTC, max_notional=D(0), max_quantity=D(0), min_notional=D("0.01"))
    book = make_book({"USDT": D(10) ** 9}, instrument=wide, price=None)
    outcome = book.place(buy("1", price), 1)
    assert isinstance(outcome, Accepted) is passes
    if isinstance(outcome, Rejected):
        assert "PRICE_FILTER" in outcome.reason


def test_the_step_is_tested_as_a_remainder_and_not_from_the_minimum() -> None:
    odd = replace(BTC, lot_size=D("0.02"), min_quantity=D("0.05"))
    assert isinstance(make_book(instrument=odd).place(buy("0.05", "100"), 1), Rejected)
    assert isinstance(make_book(instrument=odd).place(buy("0.06", "100"), 1), Accepted)


@pytest.mark.parametrize(("quantity", "passes"), [("9000", True), ("9000.00001", False)])
def test_the_largest_quantity(quantity: str, passes: bool) -> None:
    wide = replace(BTC, max_notional=D(0))
    assert isinstance(make_book(instrument=wide).place(buy(quantity, "100"), 1), Accepted) is passes


def test_max_num_orders_counts_open_orders_and_spares_market_orders() -> None:
    book = make_book()
    for name in "abc":
        assert isinstance(book.place(buy("1", "90", name), 1), Accepted)
    refused = book.place(buy("1", "90", "d"), 1)
    assert isinstance(refused, Rejected) and "MAX_NUM_ORDERS" in refused.reason
    assert refused.code == RejectCode.TOO_MANY_ORDERS
    assert isinstance(book.place(buy("1", None, "m"), 1), Accepted)
    book.cancel("BTCUSDT", "b", 2)
    assert isinstance(book.place(buy("1", "90", "d"), 3), Accepted)


def test_a_refusal_names_value_limit_and_remedy_and_changes_nothing() -> None:
    book = make_book()
    before = book.dump()
    outcome = book.place(buy("0.500001", "99"), 1)
    assert outcome == Rejected(
        RejectCode.FILTER,
        "Filter failure: LOT_SIZE: quantity 0.500001 is not a multiple of the lot size 0.00001; "
        "round it down to the lot",
    )
    assert book.dump() == before
    assert book.take_events() == []


def test_closed_markets_refuse() -> None:
    halted = make_book(instrument=replace(BTC, status="BREAK")).place(buy("1", "90"), 1)
    assert isinstance(halted, Rejected) and halted.code == RejectCode.MARKET_CLOSED
    no_price = make_book(price=None).place(buy("1", None), 1)
    assert isinstance(no_price, Rejected) and no_price.code == RejectCode.MARKET_CLOSED


def test_symbols_and_markets_that_are_not_listed() -> None:
    book = make_book()
    elsewhere = replace(buy("1", "90"), symbol="ETHUSDT")
    outcome = book.place(elsewhere, 1)
    assert isinstance(outcome, Rejected) and outcome.code == "invalid_symbol"
    assert isinstance(book.place(replace(buy("1", "90"), market=Market.FUTURES), 1), Rejected)
    assert book.query("ETHUSDT", "a") is None
    assert book.open_orders("ETHUSDT") == ()
    assert book.trades("ETHUSDT") == ()
    with pytest.raises(NotFound, match="ETHUSDT"):
        book.walk("ETHUSDT", D(1), 1)
    with pytest.raises(InvalidNumber):
        book.walk("BTCUSDT", D(0), 1)


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    book = make_book()
    book.place(buy("1", "90"), 1)
    again = book.place(buy("1", "91"), 2)
    assert isinstance(again, Rejected) and again.code == RejectCode.DUPLICATE
    book.cancel("BTCUSDT", "a", 3)
    outcome = book.place(buy("1", "91"), 4)
    assert isinstance(outcome, Accepted) and outcome.report.order_id == "2"
    report = book.query("BTCUSDT", "a")
    assert report is not None and report.order_id == "2"


def test_a_second_copy_learns_that_it_is_one_though_room_and_funds_are_gone() -> None:
    book = make_book({"USDT": D(90)}, instrument=replace(BTC, max_num_orders=1))
    assert isinstance(book.place(buy("1", "90"), 1), Accepted)
    again = book.place(buy("1", "90"), 2)
    assert isinstance(again, Rejected) and again.code == RejectCode.DUPLICATE


# -- taking, making, cancelling ---------------------------------------------------------------


def test_limit_maker_refuses_to_take_and_limit_takes_at_the_last_price() -> None:
    book = make_book({"USDT": D(1000)})
    at_price = order(Side.BUY, "1", "100", "m", OrderType.LIMIT_MAKER)
    refused = book.place(at_price, 1)
    assert isinstance(refused, Rejected) and refused.code == RejectCode.WOULD_TAKE
    below = order(Side.BUY, "1", "99.99", "m", OrderType.LIMIT_MAKER)
    assert isinstance(book.place(below, 1), Accepted)
    outcome = book.place(buy("2", "105", "t"), 2)
    assert isinstance(outcome, Accepted)
    assert outcome.report.status is VenueStatus.FILLED
    (trade,) = book.trades("BTCUSDT")
    assert (trade.price, trade.quantity, trade.is_maker) == (D(100), D(2), False)
    # The lock was 2 x 105; the better price gives the difference back.
    assert held(book)["USDT"] == (D("700.01"), D("99.99"))


def test_the_events_of_an_order_that_takes() -> None:
    book = make_book()
    book.place(sell("1", None), 7)
    accepted, fill, ended = book.take_events()
    assert accepted == OrderAccepted(7, "a", "1")
    assert isinstance(fill, OrderFilled) and fill.trade.trade_id == 1
    assert ended == OrderEnded(7, "a", VenueStatus.FILLED, D(1))
    assert book.take_events() == []


def test_locks_and_their_return() -> None:
    book = make_book({"USDT": D(100), "BTC": D(1)})
    poor = book.place(buy("1.01", "99.99"), 1)
    assert isinstance(poor, Rejected) and poor.code == RejectCode.INSUFFICIENT_BALANCE
    book.place(buy("1", "99", "b"), 1)
    book.place(sell("0.4", "120", "s"), 1)
    assert held(book) == {"USDT": (D(1), D(99)), "BTC": (D("0.6"), D("0.4"))}
    book.cancel("BTCUSDT", "b", 2)
    book.expire("BTCUSDT", "s", 2)
    assert held(book) == {"USDT": (D(100), D(0)), "BTC": (D(1), D(0))}
    assert book.take_events()[-2:] == [
        OrderEnded(2, "b", VenueStatus.CANCELED, D(0)),
        OrderEnded(2, "s", VenueStatus.EXPIRED, D(0)),
    ]
    gone = book.cancel("BTCUSDT", "b", 3)
    assert isinstance(gone, Rejected) and gone.code == RejectCode.NOT_OPEN


def test_the_whole_balance_can_be_locked() -> None:
    book = make_book({"USDT": D(99)})
    assert isinstance(book.place(buy("1", "99"), 1), Accepted)
    assert held(book)["USDT"] == (D(0), D(99))


# -- walks ------------------------------------------------------------------------------------


def test_a_walk_fills_best_first_then_oldest_first_at_each_own_price() -> None:
    book = make_book(instrument=replace(BTC, max_num_orders=10))
    for name, price in (("low", "95"), ("old", "97"), ("new", "97"), ("deep", "80")):
        book.place(buy("1", price, name), 1)
    book.place(sell("1", "101", "s"), 1)
    assert book.bounds("BTCUSDT") == (D(97), D(101))
    book.take_events()
    book.walk("BTCUSDT", D(95), 2)
    assert filled(book.take_events()) == [
        ("old", D(97), D(1)),
        ("new", D(97), D(1)),
        ("low", D(95), D(1)),
    ]
    assert [o.client_id for o in book.open_orders("BTCUSDT")] == ["deep", "s"]
    assert all(trade.is_maker for trade in book.trades("BTCUSDT"))
    assert book.price("BTCUSDT") == D(95)


@pytest.mark.parametrize(
    ("rule", "price", "fills"),
    [
        (FillRule.TOUCH, "95.01", False),
        (FillRule.TOUCH, "95", True),
        (FillRule.THROUGH, "95", False),
        (FillRule.THROUGH, "94.99", True),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_touch_and_through(side: Side, rule: FillRule, price: str, fills: bool) -> None:
    book = make_book(fill_rule=rule)
    limit = "95" if side is Side.BUY else "105"
    book.place(order(side, "1", limit), 1)
    book.walk("BTCUSDT", D(price) if side is Side.BUY else D(200) - D(price), 2)
    assert bool(book.trades("BTCUSDT")) is fills


def test_orders_from_before_the_first_price_are_matched_by_it() -> None:
    book = make_book(price=None)
    book.place(buy("1", "90", "b"), 1)
    book.place(sell("1", "80", "s"), 1)
    book.walk("BTCUSDT", D(85), 2)
    assert filled(book.take_events()) == [("b", D(90), D(1)), ("s", D(80), D(1))]


def test_volume_caps_a_walk_and_the_rest_fills_later() -> None:
    book = make_book()
    book.place(buy("1", "95", "first"), 1)
    book.place(buy("1", "95", "second"), 1)
    book.take_events()
    book.walk("BTCUSDT", D(94), 2, D("1.250009"))
    assert filled(book.take_events()) == [("first", D(95), D(1)), ("second", D(95), D("0.25"))]
    report = book.query("BTCUSDT", "second")
    assert report is not None
    assert (report.status, report.executed) == (VenueStatus.PARTIALLY_FILLED, D("0.25"))
    assert held(book)["USDT"][1] == D("71.25")
    book.walk("BTCUSDT", D("94.5"), 3, D("0.000009"))
    assert book.take_events() == []
    book.walk("BTCUSDT", D("94.5"), 4, D(10))
    assert filled(book.take_events()) == [("second", D(95), D("0.75"))]


def test_a_partly_filled_order_ends_with_what_it_executed() -> None:
    book = make_book()
    book.place(buy("1", "95"), 1)
    book.print_trade("BTCUSDT", D(95), D("0.3"), 2)
    book.take_events()
    book.cancel("BTCUSDT", "a", 3)
    assert book.take_events() == [OrderEnded(3, "a", VenueStatus.CANCELED, D("0.3"))]
    assert held(book)["USDT"] == (D(1_000_000) - D("28.5"), D(0))


def test_trades_are_numbered_from_one_and_read_from_a_cursor() -> None:
    book = make_book()
    for number in range(5):
        book.place(buy("1", None, f"m{number}"), number)
    assert [t.trade_id for t in book.trades("BTCUSDT")] == [1, 2, 3, 4, 5]
    assert [t.trade_id for t in book.trades("BTCUSDT", 3)] == [4, 5]
    assert book.trades("BTCUSDT", 5) == ()


def test_a_new_tick_moves_the_line_of_through() -> None:
    book = make_book(fill_rule=FillRule.THROUGH)
    book.place(buy("1", "95"), 1)
    book.set_instrument(replace(BTC, tick_size=D(1)))
    book.walk("BTCUSDT", D("94.5"), 2)
    assert book.trades("BTCUSDT") == ()
    book.walk("BTCUSDT", D(94), 3)
    assert len(book.trades("BTCUSDT")) == 1


# -- amendments, parts, transfers -------------------------------------------------------------


def test_a_smaller_quantity_keeps_its_place_and_another_price_loses_it() -> None:
    book = make_book()
    for name in "abc":
        book.place(buy("1", "95", name), 1)
    smaller = book.amend("BTCUSDT", "a", 2, quantity=D("0.4"))
    assert isinstance(smaller, Accepted)
    assert (smaller.report.order_id, smaller.report.quantity) == ("1", D("0.4"))
    book.amend("BTCUSDT", "b", 3, price=D(96))
    book.amend("BTCUSDT", "b", 4, price=D(95))
    assert held(book)["USDT"][1] == D(95) * D("2.4")
    assert [o.client_id for o in book.open_orders("BTCUSDT")] == ["a", "b", "c"]
    book.take_events()
    book.walk("BTCUSDT", D(95), 5)
    assert filled(book.take_events()) == [
        ("a", D(95), D("0.4")),
        ("c", D(95), D(1)),
        ("b", D(95), D(1)),
    ]


def test_an_amended_order_takes_when_it_crosses() -> None:
    book = make_book({"USDT": D(1000)})
    book.place(buy("1", "95"), 1)
    book.print_trade("BTCUSDT", D(95), D("0.3"), 2)
    book.set_price("BTCUSDT", D(100))
    book.take_events()
    outcome = book.amend("BTCUSDT", "a", 3, price=D(110), new_client_id="n")
    assert isinstance(outcome, Accepted) and outcome.report.status is VenueStatus.FILLED
    assert filled(book.take_events()) == [("n", D(100), D("0.7"))]
    assert held(book)["USDT"] == (D(1000) - D("28.5") - 70, D(0))


def test_an_amended_quantity_alone_takes_nothing() -> None:
    book = make_book()
    book.place(order(Side.BUY, "1", "95", "a", OrderType.LIMIT_MAKER), 1)
    book.walk("BTCUSDT", D(95), 2, D("0.4"))
    for quantity, price in (("0.9", None), ("1.1", D(95))):
        outcome = book.amend("BTCUSDT", "a", 3, quantity=D(quantity), price=price)
        assert isinstance(outcome, Accepted) and outcome.report.executed == D("0.4")
    book.walk("BTCUSDT", D(95), 4)
    assert [t.quantity for t in book.trades("BTCUSDT")] == [D("0.4"), D("0.7")]


def test_refused_amendments_change_nothing() -> None:
    book = make_book({"USDT": D(200)})
    book.place(order(Side.BUY, "1", "95", "a", OrderType.LIMIT_MAKER), 1)
    book.place(buy("1", "90", "b"), 1)
    book.print_trade("BTCUSDT", D(95), D("0.5"), 2)
    book.set_price("BTCUSDT", D(100))
    before = book.dump()
    refusals = [
        book.amend("BTCUSDT", "b", 3, quantity=D(2)),
        book.amend("BTCUSDT", "a", 3, quantity=D("0.5")),
        book.amend("BTCUSDT", "a", 3, price=D(100)),
        book.amend("BTCUSDT", "a", 3, new_client_id="b"),
        book.amend("BTCUSDT", "x", 3, price=D(80)),
    ]
    assert [r.code for r in refusals if isinstance(r, Rejected)] == [
        RejectCode.INSUFFICIENT_BALANCE,
        RejectCode.FILTER,
        RejectCode.WOULD_TAKE,
        RejectCode.DUPLICATE,
        RejectCode.NOT_OPEN,
    ]
    assert book.dump() == before


def test_a_new_name_leaves_the_old_one_to_who_had_it_before() -> None:
    book = make_book()
    book.place(buy("1", None, "a"), 1)
    book.place(buy("1", "95", "a"), 2)
    book.amend("BTCUSDT", "a", 3, new_client_id="n")
    for each in (book, PaperBook.restore(book.dump(), {"BTCUSDT": BTC}, {}, fees=FREE_OF_FEES)):
        old, new = each.query("BTCUSDT", "a"), each.query("BTCUSDT", "n")
        assert old is not None and new is not None
        assert (old.order_id, new.order_id) == ("1", "2")


def test_a_part_is_filled_on_request_at_the_orders_price() -> None:
    book = make_book()
    book.place(buy("1", "95"), 1)
    outcome = book.fill_part("BTCUSDT", "a", D("0.250009"), 2)
    assert isinstance(outcome, Accepted)
    assert (outcome.report.executed, outcome.report.status) == (
        D("0.25000"),
        VenueStatus.PARTIALLY_FILLED,
    )
    assert book.price("BTCUSDT") == D(100) and book.trades("BTCUSDT")[0].is_maker
    book.fill_part("BTCUSDT", "a", D(9), 3)
    assert held(book)["USDT"] == (D(1_000_000) - 95, D(0))
    gone = book.fill_part("BTCUSDT", "a", D(1), 4)
    assert isinstance(gone, Rejected) and gone.code == RejectCode.NOT_OPEN


def test_transfers_take_only_what_is_free() -> None:
    book = make_book({"USDT": D(100)})
    book.place(buy("1", "95"), 1)
    book.transfer("USDT", D(7), 2)
    book.transfer("BNB", D("0.5"), 2)
    with pytest.raises(Conflict, match="12 is free"):
        book.transfer("USDT", D("-12.01"), 3)
    book.transfer("USDT", D(-12), 3)
    assert held(book) == {"USDT": (D(0), D(95)), "BNB": (D("0.5"), D(0))}


# -- fees -------------------------------------------------------------------------------------

MAKER_TAKER = {"maker": D("0.001"), "taker": D("0.002")}


def test_fees_in_the_received_asset() -> None:
    book = make_book({"USDT": D(1000), "BTC": D(1)}, fees=FeeSchedule(**MAKER_TAKER))
    book.place(buy("0.5", None, "b"), 1)
    book.place(sell("0.5", "110", "s"), 1)
    book.walk("BTCUSDT", D(110), 2)
    bought, sold = book.trades("BTCUSDT")
    assert (bought.fee, bought.fee_asset) == (D("0.001"), "BTC")
    assert (sold.fee, sold.fee_asset) == (D("0.055"), "USDT")
    assert held(book) == {"USDT": (D("1004.945"), D(0)), "BTC": (D("0.999"), D(0))}


def test_fees_in_quote_are_reserved_by_a_buy() -> None:
    fees = FeeSchedule(mode=FeeMode.QUOTE, **MAKER_TAKER)
    book = make_book({"USDT": D("100.1")}, fees=fees)
    assert isinstance(book.place(buy("1", None), 1), Rejected)  # a taker needs 100.2
    assert isinstance(book.place(buy("1", "99.99"), 1), Accepted)
    assert held(book)["USDT"] == (D("0.01001"), D("100.08999"))
    book.walk("BTCUSDT", D(99), 2)
    (trade,) = book.trades("BTCUSDT")
    assert (trade.fee, trade.fee_asset) == (D("0.09999"), "USDT")
    assert held(book) == {"USDT": (D("0.01001"), D(0)), "BTC": (D(1), D(0))}


def test_rounding_of_many_fees_in_quote_cannot_overdraw() -> None:
    # Each fee of 0.95 x 0.01 = 0.0095 rounds up to 0.01, which is more than was reserved for it.
    coarse = replace(BTC, commission_precision=2, percent_price=None)
    fees = FeeSchedule(maker=D("0.01"), taker=D("0.01"), mode=FeeMode.QUOTE)
    book = make_book({"USDT": D("9.596")}, fees=fees, instrument=coarse)
    book.place(buy("0.1", "95"), 1)
    assert held(book)["USDT"] == (D("0.001"), D("9.595"))
    for step in range(10):
        book.walk("BTCUSDT", D(95), step, D("0.01"))
    assert [t.fee for t in book.trades("BTCUSDT")] == [D("0.01")] * 2 + [D("0.0095")] * 8
    assert held(book) == {"USDT": (D(0), D(0)), "BTC": (D("0.1"), D(0))}


def test_fees_in_a_third_asset_and_the_fall_back_when_it_runs_out() -> None:
    fees = FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=D(600), **MAKER_TAKER)
    book = make_book({"USDT": D(1000), "BNB": D("0.0004")}, fees=fees)
    for name in "ab":
        book.place(buy("1", None, name), 1)
    first, second = book.trades("BTCUSDT")
    assert (first.fee, first.fee_asset) == (D("0.00033333"), "BNB")
    assert (second.fee, second.fee_asset) == (D("0.002"), "BTC")
    assert held(book)["BNB"] == (D("0.00006667"), D(0))


def test_a_locked_fee_token_does_not_pay() -> None:
    bnb = replace(BTC, symbol="BNBUSDT", base="BNB")
    fees = FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=D(100), **MAKER_TAKER)
    instruments = {"BTCUSDT": BTC, "BNBUSDT": bnb}
    book = PaperBook(instruments, {"USDT": D(1000), "BNB": D(1)}, fees=fees)
    book.walk("BTCUSDT", D(100), 0)
    book.place(replace(sell("1", "120", "s"), symbol="BNBUSDT"), 1)
    book.place(buy("1", None), 1)
    assert book.trades("BTCUSDT")[0].fee_asset == "BTC"


@pytest.mark.parametrize(("quantity", "fee"), [("0.25", "0"), ("0.75", "0.002"), ("1.25", "0.002")])
def test_a_commission_rounds_half_even(quantity: str, fee: str) -> None:
    coarse = replace(BTC, commission_precision=3)
    book = make_book(fees=FeeSchedule(maker=D(0), taker=D("0.002")), instrument=coarse)
    book.place(buy(quantity, None), 1)  # 0.0005, 0.0015 and 0.0025 before rounding
    assert book.trades("BTCUSDT")[0].fee == D(fee)


def test_a_maker_rebate_is_paid() -> None:
    fees = FeeSchedule(maker=D("-0.0001"), taker=D("0.001"), mode=FeeMode.QUOTE)
    book = make_book({"USDT": D(95)}, fees=fees)
    assert isinstance(book.place(buy("1", "95"), 1), Accepted)
    book.walk("BTCUSDT", D(95), 2)
    assert held(book) == {"USDT": (D("0.0095"), D(0)), "BTC": (D(1), D(0))}


# -- records ----------------------------------------------------------------------------------


class MemoryRecords:
    """Records that behave as a disk does, and fail when told to."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self.commits: list[list[Record]] = []
        self.fails = False

    def load(self) -> Iterable[Record]:
        return [(kind, key, payload) for (kind, key), payload in reversed(self.rows.items())]

    def commit(self, records: Iterable[Record]) -> None:
        rows = list(records)
        if self.fails:
            raise StorageError("disk full")
        self.commits.append(rows)
        for kind, key, payload in rows:
            if payload is None:
                self.rows.pop((kind, key), None)
            else:
                self.rows[kind, key] = payload


FEE_MODES = [
    FeeSchedule(**MAKER_TAKER),
    FeeSchedule(mode=FeeMode.QUOTE, **MAKER_TAKER),
    FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=D(7), **MAKER_TAKER),
]


def live_a_little(book: PaperBook) -> None:
    book.place(buy("1", None, "m"), 1)
    book.place(buy("0.7", "95", "b1"), 2)
    book.place(buy("0.7", "95", "b2"), 3)
    book.place(sell("0.3", "110.5", "s"), 4)
    book.walk("BTCUSDT", D(94), 5, D("0.77777"))
    book.cancel("BTCUSDT", "s", 6)


@pytest.mark.parametrize("fees", FEE_MODES, ids=lambda f: f.mode)
def test_a_restored_book_is_identical_and_goes_on_identically(fees: FeeSchedule) -> None:
    opening = {"USDT": D("777.77"), "BNB": D(3)}
    book = make_book(opening, fees=fees)
    live_a_little(book)
    restored = PaperBook.restore(reversed(book.dump()), {"BTCUSDT": BTC}, opening, fees=fees)
    assert restored.dump() == book.dump()
    assert not restored.has_changes and restored.take_changes() == []
    assert restored.bounds("BTCUSDT") == book.bounds("BTCUSDT")
    book.take_events()
    for each in (book, restored):
        each.place(buy("0.5", "95", "b3"), 6)
        each.walk("BTCUSDT", D(95), 7, D("0.9"))
        each.cancel("BTCUSDT", "b3", 8)
    assert restored.take_events() == book.take_events()
    assert restored.dump() == book.dump()


def test_changes_add_up_to_the_dump() -> None:
    book, disk = make_book(fees=FEE_MODES[0]), MemoryRecords()
    disk.commit(book.take_changes())
    live_a_little(book)
    disk.commit(book.take_changes())
    book.walk("BTCUSDT", D(90), 9)
    disk.commit(book.take_changes())
    assert set(disk.load()) == set(book.dump())
    assert not book.has_changes


def test_a_price_alone_is_no_change_but_travels_with_the_next() -> None:
    book = make_book()
    book.take_changes()
    book.walk("BTCUSDT", D(101), 1)
    assert not book.has_changes
    book.place(buy("1", "90"), 2)
    assert book.has_changes
    assert ("price", "BTCUSDT", '"101"') in book.take_changes()


def test_a_book_without_tracking_gathers_no_changes() -> None:
    book = PaperBook({"BTCUSDT": BTC}, RICH, fees=FREE_OF_FEES)
    book.walk("BTCUSDT", D(100), 0)
    book.place(buy("1", None), 1)
    assert not book.has_changes and book.take_changes() == []


def test_no_records_give_a_new_book_whose_opening_is_stored() -> None:
    book = PaperBook.restore([], {"BTCUSDT": BTC}, {"USDT": D(5)}, fees=FREE_OF_FEES)
    assert book.balances() == (Balance("USDT", D(5), D(0)),)
    assert [record[:2] for record in book.take_changes()] == [("balance", "USDT")]


def test_damaged_records_are_refused_in_words() -> None:
    book = make_book()
    live_a_little(book)
    whole = book.dump()

    def restore(records: list[Record], symbol: str = "BTCUSDT") -> None:
        instruments = {symbol: replace(BTC, symbol=symbol)}
        PaperBook.restore(records, instruments, RICH, fees=FREE_OF_FEES)

    restore([*whole, ("cursor", "replay", "7")])
    with pytest.raises(StorageError, match="orders jump to 2 where 1"):
        restore([r for r in whole if r[:2] != ("order", "1")])
    with pytest.raises(StorageError, match="trades of BTCUSDT"):
        restore([r for r in whole if r[:2] != ("trade", "BTCUSDT:1")])
    with pytest.raises(StorageError, match="locks"):
        restore([r for r in whole if r[:2] != ("order", "4") and r[:2] != ("order", "3")])
    with pytest.raises(StorageError, match="cannot be read"):
        restore([("order", "1", "{broken")])
    with pytest.raises(StorageError, match="same symbols"):
        restore(whole, "ETHUSDT")


# -- the exchange -----------------------------------------------------------------------------


def step(coroutine: object) -> object:
    """What a coroutine returns, run without an event loop: it may not suspend even once."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the paper venue suspended")


def test_the_exchange_saves_then_tells_then_answers_without_suspending() -> None:
    disk, clock = MemoryRecords(), ManualClock(50)
    log: list[tuple[str, int]] = []
    venue = PaperExchange(make_book(), clock, disk, cursor=lambda: [("cursor", "replay", "9")])
    venue.subscribe(lambda event: log.append((type(event).__name__, len(disk.commits))))
    outcome = step(venue.place(buy("1", "90")))
    assert isinstance(outcome, Accepted) and outcome.report.created_ms == 50
    assert log == [("OrderAccepted", 1)]
    assert ("cursor", "replay", "9") in disk.commits[0]
    venue.advance("BTCUSDT", D(99), 60)
    assert len(disk.commits) == 1
    venue.advance("BTCUSDT", D(90), 70)
    assert log[1:] == [("OrderFilled", 2), ("OrderEnded", 2)]
    restored = PaperBook.restore(disk.load(), {"BTCUSDT": BTC}, {}, fees=FREE_OF_FEES)
    assert restored.dump() == venue.book.dump()
    assert step(venue.query("BTCUSDT", "a")) == restored.query("BTCUSDT", "a")
    assert step(venue.open_orders("BTCUSDT")) == ()
    assert step(venue.trades("BTCUSDT")) == restored.trades("BTCUSDT")
    assert step(venue.balances()) == restored.balances()
    assert step(venue.instrument("BTCUSDT")) == BTC


def test_a_refusal_saves_the_cursor_too() -> None:
    disk = MemoryRecords()
    venue = PaperExchange(make_book(), ManualClock(), disk, cursor=lambda: [("cursor", "c", "1")])
    assert isinstance(step(venue.cancel("BTCUSDT", "none")), Rejected)
    assert disk.rows["cursor", "c"] == "1"


def test_a_failed_commit_tells_nobody_and_ends_the_venue() -> None:
    disk, log = MemoryRecords(), []
    venue = PaperExchange(make_book(), ManualClock(), disk)
    venue.subscribe(log.append)
    step(venue.place(buy("1", "90")))
    seen, stored = list(log), dict(disk.rows)
    disk.fails = True
    with pytest.raises(StorageError, match="disk full"):
        venue.advance("BTCUSDT", D(90), 1)
    disk.fails = False
    assert log == seen and disk.rows == stored
    with pytest.raises(StorageError, match="start again"):
        step(venue.place(buy("1", "80", "b")))
    with pytest.raises(StorageError, match="start again"):
        step(venue.query("BTCUSDT", "a"))
    assert log == seen and disk.rows == stored


def test_durable_books_must_track() -> None:
    book = PaperBook({"BTCUSDT": BTC}, RICH, fees=FREE_OF_FEES)
    with pytest.raises(BugError, match="tracks"):
        PaperExchange(book, ManualClock(), MemoryRecords())


def test_the_exchange_works_without_records_on_a_loop() -> None:
    async def scenario() -> list[VenueEvent]:
        log: list[VenueEvent] = []
        venue = PaperExchange(PaperBook({"BTCUSDT": BTC}, RICH, fees=FREE_OF_FEES), ManualClock(3))
        venue.subscribe(log.append)
        await venue.place(buy("1", "90"))
        venue.print_trade("BTCUSDT", D(90), D("0.5"), 4)
        venue.expire("BTCUSDT", "a")
        return log

    events = asyncio.run(scenario())
    assert filled(events) == [("a", D(90), D("0.5"))]
    assert events[-1] == OrderEnded(3, "a", VenueStatus.EXPIRED, D("0.5"))


def test_a_venue_may_change_its_fees_on_the_way() -> None:
    """What rests was locked at the old rates, and pays the new ones when it fills."""
    free, dear = (FeeSchedule(D(rate), D(rate), FeeMode.QUOTE) for rate in ("0", "0.01"))
    book = make_book({"USDT": D(10_000)}, fees=free)
    assert isinstance(book.place(buy("1", "90", "b1"), 1), Accepted)
    book.set_fees(dear)
    assert isinstance(book.place(buy("1", "80", "b2"), 2), Accepted)
    assert {b.asset: b.locked for b in book.balances()}["USDT"] == D(90) + D("80.8")
    book.walk("BTCUSDT", D(80), 3)
    assert [trade.fee for trade in book.trades("BTCUSDT")] == [D("0.9"), D("0.8")]
    assert {b.asset: b.total for b in book.balances()}["USDT"] == 10_000 - 170 - D("1.7")
    with pytest.raises(InvalidInput, match="cannot become received"):
        book.set_fees(FeeSchedule())


def test_a_futures_venue_reserves_and_takes_the_new_fees() -> None:
    free, dear = (FeeSchedule(D(rate), D(rate), FeeMode.QUOTE) for rate in ("0", "0.01"))
    rules = replace(BTC, market=Market.FUTURES, percent_price=None)
    book = FuturesBook({"BTCUSDT": rules}, {"USDT": D(1_000)}, fees=free)
    book.set_price("BTCUSDT", D(100))
    book.set_fees(dear)
    request = replace(buy("1", "90"), market=Market.FUTURES)
    assert isinstance(book.place(request, 1), Accepted)
    assert book.figures("BTCUSDT").order_margin == D(90) + D("0.9")
    book.walk("BTCUSDT", D(90), 2)
    assert book.trades("BTCUSDT")[0].fee == D("0.9")
    assert book.wallet("USDT").wallet == D("999.1")
