"""Every finding of the pre-flight, the plan by hand, and its promise: what is ok is taken whole."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market, PercentPrice
from gridlab.domain.orders import Side
from gridlab.domain.plan import Finding, GridPlan, Severity
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.grid.engine import Phase
from gridlab.grid.preflight import plan_grid, round_profit
from gridlab.money import exact
from gridlab.testing import strategies as gl
from gridlab.testing.paper_run import PaperRun

D = Decimal
RULES = Instrument(
    symbol="XRPUSDT",
    market=Market.SPOT,
    base="XRP",
    quote="USDT",
    tick_size=D("0.01"),
    lot_size=D("0.1"),
    min_notional=D(5),
    min_quantity=D("0.1"),
    max_quantity=D(10000),
    min_price=D("0.01"),
    max_price=D(100000),
)
FREE = FeeSchedule(maker=D(0), taker=D(0))
FOUR = GridSpec("XRPUSDT", 4, spacing=D("0.01"), quantity=D(1), mode=Spacing.ARITHMETIC, fees=FREE)


def plan(spec: GridSpec = FOUR, rules: Instrument = RULES, price: str = "100") -> GridPlan:
    return plan_grid(spec, rules, D(price))


def finding(found: GridPlan, rule: str) -> Finding:
    (one,) = [f for f in found.findings if f.rule == rule]
    return one


# --- the plan itself ------------------------------------------------------------------------------


def test_a_plan_by_hand() -> None:
    got = plan()
    assert got.ok and got.findings == ()
    assert got.lines == (98, 99, 100, 101, 102) and got.empty_line == 2
    assert [(o.slot, o.side, o.price, o.quantity, o.net_profit) for o in got.orders] == [
        (0, Side.BUY, 98, 1, 1),
        (1, Side.BUY, 99, 1, 1),
        (2, Side.SELL, 101, 1, 1),
        (3, Side.SELL, 102, 1, 1),
    ]
    assert got.initial_quantity == 2
    assert got.capital_needed == 200 + 98 + 99
    assert f"{got.profit_min:.6f} {got.profit_max:.6f}" == "0.009901 0.010204"  # 1/101, 1/98


def test_the_purchase_brings_enough_after_a_fee_in_base() -> None:
    spec = replace(FOUR, fees=FeeSchedule(maker=D("0.001"), taker=D("0.002")))
    # 2 / 0.998 = 2.004..., so 2.1 on the lot.
    assert plan(spec).initial_quantity == D("2.1")
    assert plan(spec).capital_needed == 210 + 98 + 99


def test_a_venue_that_rounds_its_fee_up_is_provided_for() -> None:
    """19.98500 / 0.99925 is 20.0000 exactly; one digit of commission would make the fee 0.1."""
    spec = replace(FOUR, quantity=D("9.9925"), fees=FeeSchedule(taker=D("0.00075")))
    rules = replace(RULES, lot_size=D("0.0001"), commission_precision=1)
    # The fee of 20 would be 0.015, rounded to 0.0: nothing is missing.
    assert plan(spec, rules).initial_quantity == 20
    fees = FeeSchedule(taker=D("0.0026"))
    # 20.0371 x 0.0026 = 0.0520..., rounded up to 0.1: half a step more must be bought.
    more = plan(replace(spec, fees=fees), rules).initial_quantity
    assert more - D("0.1") >= D("19.985")
    assert more == D("20.0873")


def test_quote_fees_are_part_of_the_capital_each_rounded_up() -> None:
    fees = FeeSchedule(maker=D("0.001"), taker=D("0.002"), mode=FeeMode.QUOTE)
    assert plan(replace(FOUR, fees=fees)).capital_needed == D(397) + D("0.4") + D("0.197")
    rules = replace(RULES, commission_precision=1)
    assert plan(replace(FOUR, fees=fees), rules).capital_needed == D(397) + D("0.4") + D("0.2")


def test_a_rebate_is_not_spent_before_it_comes() -> None:
    fees = FeeSchedule(maker=D("-0.001"), taker=D("0.001"), mode=FeeMode.QUOTE)
    assert plan(replace(FOUR, fees=fees)).capital_needed == D(397) + D("0.2")


@pytest.mark.parametrize("mode", [FeeMode.QUOTE, FeeMode.RECEIVED])
def test_the_largest_quantity_within_the_investment(mode: FeeMode) -> None:
    fees = FeeSchedule(mode=mode)
    spec = replace(FOUR, quantity=None, investment=D(1000), fees=fees)
    got = plan(spec)
    assert got.capital_needed <= 1000
    bigger = plan(replace(FOUR, quantity=got.quantity + D("0.1"), fees=fees))
    assert bigger.capital_needed > 1000


def test_an_investment_that_is_met_exactly_is_used_to_its_last_lot() -> None:
    """0.0009998 x 2 / 0.9998 is 0.002, and 500 x 0.002 is 1; the quotient has no end of digits."""
    spec = GridSpec(
        "XRPUSDT",
        2,
        lower=D(500),
        upper=D(505),
        investment=D(1),
        fees=FeeSchedule(taker=D("0.0002")),
        allow_unprofitable=True,
    )
    rules = replace(RULES, tick_size=D(1), lot_size=D("0.0000001"), min_notional=D(0))
    got = plan(spec, rules, "500")
    assert (got.quantity, got.initial_quantity) == (D("0.0009998"), D("0.002"))
    assert got.capital_needed == 1


def test_coarse_fees_on_a_fine_lot_are_planned_at_once() -> None:
    """Whole units of fee and a lot of 0.00000001: a hundred million lots lie between the two."""
    rules = replace(RULES, lot_size=D("0.00000001"), commission_precision=0)
    fees = FeeSchedule(mode=FeeMode.QUOTE)
    got = plan(replace(FOUR, quantity=None, investment=D(1000), fees=fees), rules)
    # 397 for each unit and a fee of 1 for the purchase and each of the two buys.
    assert got.quantity == D("2.51133501") and 397 * got.quantity + 3 == got.capital_needed
    assert got.capital_needed <= 1000 < got.capital_needed + D("0.00000397")


def test_a_round_in_each_fee_mode() -> None:
    # Buy 10 at 100, sell at 102, 1 % each: quote 1020 - 10.2 - 1000 - 10; base 9.9 x 102 x .99.
    rate = D("0.01")
    for mode, profit in ((FeeMode.QUOTE, "-0.2"), (FeeMode.RECEIVED, "-0.298")):
        spec = replace(FOUR, fees=FeeSchedule(rate, rate, mode))
        assert round_profit(spec, D(100), D(102), D(10)) == D(profit)


@pytest.mark.parametrize("price", ["0", "-1"])
def test_no_plan_without_a_price(price: str) -> None:
    with pytest.raises(InvalidSpec, match=f"the price of XRPUSDT is {price}"):
        plan(price=price)


# --- findings -------------------------------------------------------------------------------------


def test_min_notional_names_an_investment() -> None:
    got = plan(replace(FOUR, quantity=None, investment=D(8)))
    problem = finding(got, "min_notional")
    assert not got.ok and problem.severity is Severity.FAIL
    # 0.1 at 98 is 9.80, so 0.1 would do: 0.2 x 100 + 0.1 x (98 + 99) = 39.70.
    assert problem.message == (
        "the investment of 8 USDT gives orders of 0 XRP; the venue takes no less than 0.1 at 98 "
        "(at least 5 USDT an order). Invest at least 40 USDT for 4 levels, or use fewer levels"
    )


def test_min_notional_counts_the_fee_that_shortens_the_sale() -> None:
    """0.1 at 98 is 9.80 and passes 9.79; the sale of 0.1 less a fee falls off the lot."""
    rules = replace(RULES, min_notional=D("9.79"))
    assert plan(replace(FOUR, quantity=D("0.1")), rules).ok
    spec = replace(FOUR, quantity=D("0.1"), fees=FeeSchedule())
    assert "no less than 0.2 at 98" in finding(plan(spec, rules), "min_notional").message
    assert plan(replace(spec, quantity=D("0.2")), rules).ok


def test_min_notional_of_a_purchase_far_below_the_range() -> None:
    spec = replace(FOUR, spacing=None, lower=D(98), upper=D(102), quantity=D("0.1"))
    # Four times 0.1 at 10 is 4.
    assert "no less than 0.2" in finding(plan(spec, price="10"), "min_notional").message
    assert plan(replace(spec, quantity=D("0.2")), price="10").ok


def test_max_num_orders() -> None:
    """More levels than orders are no obstacle: the window rests the nearest of them."""
    spec = replace(FOUR, levels=12)
    got = plan(spec, replace(RULES, max_num_orders=11))
    problem = finding(got, "max_num_orders")
    assert got.ok and problem.severity is Severity.WARN
    assert problem.message == (
        "12 levels need 12 open orders; the venue allows 11 on XRPUSDT, so only the 6 nearest the "
        "price rest and the others wait until it comes nearer. Use at most 11 levels to have all "
        "of them rest"
    )
    assert plan(spec, replace(RULES, max_num_orders=12)).findings == ()


def test_percent_price() -> None:
    band = PercentPrice(D("0.98"), D("1.02"), D("0.98"), D("1.02"))
    assert plan(FOUR, replace(RULES, percent_price=band)).ok  # both bounds are inclusive
    band = replace(band, bid_down=D("0.9801"))
    got = plan(FOUR, replace(RULES, percent_price=band))
    assert not got.ok
    assert "buy at 98 is outside the venue's band 98.01 to 102" in (
        finding(got, "percent_price").message
    )


def test_spacing_below_fees() -> None:
    spec = replace(FOUR, fees=FeeSchedule(maker=D("0.006"), taker=D("0.006")))
    got = plan(spec)
    assert finding(got, "spacing_below_fees").severity is Severity.FAIL and not got.ok
    assert "above about 1.2 %" in finding(got, "spacing_below_fees").message
    got = plan(replace(spec, allow_unprofitable=True))
    assert finding(got, "spacing_below_fees").severity is Severity.WARN and got.ok


def test_balance() -> None:
    short = plan_grid(FOUR, RULES, D(100), {"USDT": D("396.99"), "XRP": D(50)})
    assert not short.ok
    assert finding(short, "balance").message == (
        "the grid needs 397 USDT and 396.99 is free, 0.01 too little; invest less or free some USDT"
    )
    assert plan_grid(FOUR, RULES, D(100), {"USDT": D(397)}).ok
    assert not plan_grid(FOUR, RULES, D(100), {}).ok


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ("103", "the price 103 is above the range 98 to 102, so only buys would rest"),
        ("97", "the price 97 is below the range 98 to 102, so the whole grid would be bought"),
    ],
)
def test_price_out_of_range(price: str, words: str) -> None:
    spec = replace(FOUR, spacing=None, lower=D(98), upper=D(102))
    got = plan(spec, price=price)
    assert got.ok and words in finding(got, "price_out_of_range").message
    assert len({order.side for order in got.orders}) == 1
    for edge in ("98", "102"):
        assert not plan(spec, price=edge).findings


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"max_price": D(101)}, "price_filter"),
        ({"min_price": D(99)}, "price_filter"),
        ({"max_quantity": D("0.9")}, "lot_size"),
        ({"max_notional": D(101)}, "max_notional"),
        ({"status": "HALT"}, "status"),
    ],
)
def test_other_rules_of_the_venue(change: dict[str, object], rule: str) -> None:
    got = plan(FOUR, replace(RULES, **change))  # type: ignore[arg-type]
    assert not got.ok and finding(got, rule).message


def test_a_maximum_of_zero_is_no_maximum() -> None:
    rules = replace(RULES, max_price=D(0), max_quantity=D(0), max_notional=D(0))
    assert plan(FOUR, rules).ok


# --- promises -------------------------------------------------------------------------------------


@pytest.mark.slow
@given(gl.settings_that_start(most_levels=40))
@settings(max_examples=200)
def test_an_ok_plan_is_taken_whole_with_exactly_its_capital(setting: gl.Setting) -> None:
    """No tolerance: not one cent more than `capital_needed`, not one order refused or changed."""
    balances = {gl.QUOTE: setting.plan.capital_needed, gl.TOKEN: D(10) ** 15}
    run = PaperRun(setting.instrument, balances, setting.spec)
    run.start(setting.price)
    run.settle()
    assert run.refused == [] and run.grid.phase is Phase.RUNNING
    resting = run.placed[1:] if setting.plan.initial_quantity else run.placed
    assert [(r.side, r.price, r.quantity) for r in resting] == [
        (o.side, o.price, o.quantity) for o in setting.plan.orders
    ]
    assert run.resting() == {request.client_id for request in resting}


@pytest.mark.slow
@given(st.data())
@settings(max_examples=200)
def test_the_proposed_investment_is_enough(data: st.DataObject) -> None:
    instrument = data.draw(gl.instruments())
    price = data.draw(gl.prices(instrument))
    spec = data.draw(gl.specs(instrument, price))
    share = data.draw(gl.multiples(D("0.001"), 1, 500))
    with exact():
        spec = replace(
            spec,
            quantity=None if spec.quantity is None else spec.quantity * share,
            investment=None if spec.investment is None else spec.investment * share,
        )
    try:
        got = plan_grid(spec, instrument, price)
    except InvalidSpec:
        assume(False)
        raise
    problems = [f.message for f in got.findings if f.rule == "min_notional"]
    assume(problems)
    found = re.search(r"Invest at least (\S+) ", problems[0])
    assert found is not None
    enough = replace(spec, quantity=None, investment=D(found[1]))
    assert plan_grid(enough, instrument, price).ok


@given(gl.settings_that_start())
def test_an_investment_is_never_exceeded_and_never_a_lot_too_small(setting: gl.Setting) -> None:
    plan, spec = setting.plan, setting.spec
    assume(spec.investment is not None)
    assert spec.investment is not None
    assert plan.capital_needed <= spec.investment
    one_more = replace(spec, investment=None, quantity=plan.quantity + setting.instrument.lot_size)
    assert plan_grid(one_more, setting.instrument, setting.price).capital_needed > spec.investment


def test_a_coarse_lot_is_told() -> None:
    instrument = replace_lot(Decimal(1))
    plan = plan_grid(
        GridSpec("COINUSDT", levels=4, spacing=Decimal("0.02"), quantity=Decimal(10)),
        instrument,
        Decimal(100),
    )
    (finding,) = [f for f in plan.findings if f.rule == "coarse_lot"]
    assert finding.severity is Severity.WARN and "9.9 %" in finding.message and plan.ok


def test_a_fee_token_that_runs_out_is_told() -> None:
    fees = FeeSchedule(mode=FeeMode.THIRD, third_asset="BNB", third_price=Decimal(600))
    spec = GridSpec(
        "COINUSDT", levels=4, spacing=Decimal("0.02"), investment=Decimal(1000), fees=fees
    )
    instrument = replace_lot(Decimal("0.001"))
    rich = {"USDT": Decimal(5000), "BNB": Decimal(1)}
    poor = {"USDT": Decimal(5000)}
    assert not plan_grid(spec, instrument, Decimal(100), rich).findings
    (finding,) = plan_grid(spec, instrument, Decimal(100), poor).findings
    assert finding.rule == "fee_token" and finding.severity is Severity.WARN


def replace_lot(lot_size: Decimal) -> Instrument:
    return Instrument(
        symbol="COINUSDT",
        market=Market.SPOT,
        base="COIN",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=lot_size,
        min_notional=Decimal(5),
        min_quantity=lot_size,
        max_quantity=Decimal(10_000),
        min_price=Decimal("0.01"),
        max_price=Decimal(100_000),
    )
