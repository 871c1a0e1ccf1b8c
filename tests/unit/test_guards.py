"""Each venue rule at its exact bound, and that the paper venue draws it in the same place."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.market import Instrument, Market, PercentPrice
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.exchange.filters import refusal
from gridlab.grid.guards import broken_rules, part_for_market, smallest_quantity
from gridlab.testing.strategies import multiples

D = Decimal
RULES = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.5"),
    lot_size=D("0.25"),
    min_notional=D(10),
    min_quantity=D("0.5"),
    max_quantity=D(20),
    min_price=D(5),
    max_price=D(50),
    max_notional=D(300),
    percent_price=PercentPrice(D("0.5"), D("1.5"), D("0.8"), D(2)),
)


def broken(price: str, quantity: str, side: Side = Side.BUY, reference: str = "20") -> list[str]:
    return [rule for rule, _ in broken_rules(RULES, side, D(price), D(quantity), D(reference))]


@pytest.mark.parametrize(
    ("price", "quantity", "side", "rules"),
    [
        ("20", "1", Side.BUY, []),
        ("20", "0.5", Side.BUY, []),  # 10 is the least value
        ("19.5", "0.5", Side.BUY, ["min_notional"]),
        ("20", "15", Side.BUY, []),  # 300 is the greatest
        ("20", "15.25", Side.BUY, ["max_notional"]),
        ("20", "0.25", Side.BUY, ["lot_size", "min_notional"]),
        ("10", "20", Side.BUY, []),
        ("10", "20.25", Side.BUY, ["lot_size"]),
        ("20", "1.1", Side.BUY, ["lot_size"]),
        ("20.2", "1", Side.BUY, ["price_filter"]),
        ("10", "1", Side.BUY, []),  # half of 20
        ("9.5", "2", Side.BUY, ["percent_price"]),
        ("30", "1", Side.BUY, []),
        ("30.5", "1", Side.BUY, ["percent_price"]),
        ("16", "1", Side.SELL, []),
        ("15.5", "1", Side.SELL, ["percent_price"]),
        ("40", "1", Side.SELL, []),
        ("40.5", "1", Side.SELL, ["percent_price"]),
        ("4.5", "4", Side.BUY, ["price_filter", "percent_price"]),
        ("50.5", "1", Side.SELL, ["price_filter", "percent_price"]),
    ],
)
def test_bounds_are_inclusive(price: str, quantity: str, side: Side, rules: list[str]) -> None:
    assert broken(price, quantity, side) == rules


def test_without_a_band_every_distance_is_allowed() -> None:
    rules = replace(RULES, percent_price=None)
    assert list(broken_rules(rules, Side.BUY, D(50), D(1), D(1))) == []


def test_a_sentence_has_the_value_the_limit_and_the_remedy() -> None:
    ((_, message),) = broken_rules(RULES, Side.BUY, D(10), D("0.75"), D(20))
    assert message == (
        "order value 7.5 USDT is below the venue's minimum 10; invest more or use fewer levels"
    )


@pytest.mark.parametrize(
    ("price", "least"),
    [("40", "0.5"), ("20", "0.5"), ("19.5", "0.75"), ("10", "1"), ("9.5", "1.25"), ("3", "3.5")],
)
def test_the_smallest_quantity(price: str, least: str) -> None:
    assert smallest_quantity(RULES, D(price)) == D(least)


def test_the_smallest_quantity_lies_on_the_lot_even_if_the_minimum_does_not() -> None:
    assert smallest_quantity(replace(RULES, min_quantity=D("0.6")), D(40)) == D("0.75")


@pytest.mark.parametrize(
    ("wanted", "price", "part"),
    [("3.3", "20", "3.25"), ("25", "10", "20"), ("25", "20", "15"), ("25", "21", "14.25")],
)
def test_the_part_that_one_market_order_carries(wanted: str, price: str, part: str) -> None:
    assert part_for_market(RULES, D(wanted), D(price)) == D(part)


def test_without_maxima_a_market_order_carries_all() -> None:
    rules = replace(RULES, max_quantity=D(0), max_notional=D(0))
    assert part_for_market(rules, D(10**9), D(20)) == 10**9


BOUND_OFF = st.sets(st.sampled_from(("max_quantity", "max_notional", "max_price")))


@given(
    multiples(D("0.25"), 1, 220),
    multiples(D("0.125"), 1, 200),
    st.sampled_from(Side),
    multiples(D("0.5"), 1, 100),
    BOUND_OFF,
)
def test_the_paper_venue_refuses_exactly_what_the_guards_refuse(
    price: Decimal, quantity: Decimal, side: Side, last: Decimal, off: set[str]
) -> None:
    """Two readings of the venue's manual, written apart."""
    rules = replace(RULES, **dict.fromkeys(off, D(0)))  # type: ignore[arg-type]
    request = OrderRequest("a", "XRPUSDT", Market.SPOT, side, OrderType.LIMIT, quantity, price)
    guarded = list(broken_rules(rules, side, price, quantity, last))
    assert bool(guarded) == (refusal(request, rules, last) is not None), guarded


@given(multiples(D("0.5"), 1, 2000), multiples(D("0.25"), 1, 100))
def test_the_smallest_quantity_passes_and_one_lot_less_does_not(
    price: Decimal, minimum: Decimal
) -> None:
    rules = replace(RULES, min_notional=minimum)
    least = smallest_quantity(rules, price)
    small = {"lot_size", "min_notional"}
    assert not small & {rule for rule, _ in broken_rules(rules, Side.BUY, price, least, price)} or (
        least > rules.max_quantity
    )
    less = least - rules.lot_size
    assert small & {rule for rule, _ in broken_rules(rules, Side.BUY, price, less, price)}
