"""A grid laid out at one price: the exact orders, what they need, what forbids them.

`plan_grid` is pure and is the only place that turns a spec into orders: the pre-flight shows its
answer to the user and the engine starts from the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from gridlab.domain.market import FeeMode, Instrument
from gridlab.domain.orders import Side
from gridlab.domain.plan import Finding, GridPlan, PlannedOrder, Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec
from gridlab.grid.guards import broken_rules, smallest_quantity
from gridlab.grid.levels import lay_lines, nearest_line
from gridlab.money import ONE, ZERO, ceil_to, exact, floor_to, round_to, rounding, text

#: Decimals of a spot balance: what a venue locks for a fee is rounded up to them.
BALANCE_DECIMALS = 8


def plan_grid(
    spec: GridSpec,
    instrument: Instrument,
    reference_price: Decimal,
    available: Mapping[str, Decimal] | None = None,
) -> GridPlan:
    """The plan of `spec` at `reference_price`, with every rule that it breaks.

    Args:
        reference_price: the last price, quote units.
        available: free balances by asset; when given, a plan that they cannot pay fails.

    Raises:
        InvalidSpec: no plan can be drawn at all (lines collide, or fall to zero).
    """
    if reference_price <= 0:
        raise InvalidSpec(f"the price of {spec.symbol} is {text(reference_price)}; no grid fits it")
    lines = lay_lines(spec, instrument.tick_size, reference_price)
    empty = nearest_line(lines, reference_price, spec.mode)
    quantity = spec.quantity
    if quantity is None:
        with exact():
            quantity = _quantity_for(spec, instrument, reference_price, lines, empty)
    else:
        quantity = floor_to(quantity, instrument.lot_size)
    with exact():
        initial = _initial_quantity(spec, instrument, quantity, len(lines) - 1 - empty)
        orders = _orders(spec, instrument, lines, empty, quantity)
        capital = _capital(spec, instrument, reference_price, lines[:empty], quantity, initial)
    returns = _returns(spec, lines, quantity)
    plan = GridPlan(
        spec=spec,
        instrument=instrument,
        reference_price=reference_price,
        lines=lines,
        empty_line=empty,
        quantity=quantity,
        initial_quantity=initial,
        capital_needed=capital,
        orders=orders,
        profit_min=min(returns),
        profit_max=max(returns),
    )
    return replace(plan, findings=tuple(_findings(plan, available)))


def round_profit(spec: GridSpec, lower: Decimal, upper: Decimal, quantity: Decimal) -> Decimal:
    """Quote units earned by one buy at `lower` and one sell at `upper`, after maker fees on both.

    Fees taken in base shorten the sale; all other modes cost their value in quote.
    """
    fee = spec.fees.maker
    if spec.fees.mode is FeeMode.RECEIVED:
        return upper * quantity * (ONE - fee) * (ONE - fee) - lower * quantity
    return upper * quantity * (ONE - fee) - lower * quantity * (ONE + fee)


def _initial_quantity(
    spec: GridSpec, instrument: Instrument, quantity: Decimal, sells: int
) -> Decimal:
    """Base units to buy so that, after a fee taken in base, every sell can have `quantity`."""
    needed = quantity * sells
    rate = _base_fee(spec)
    if not needed:
        return ZERO
    step = _commission_step(instrument)
    with rounding():
        initial = ceil_to(needed / (ONE - rate), instrument.lot_size)
        if initial - round_to(initial * rate, step) < needed:
            # The venue rounds its commission, half a step in its own favour at worst.
            initial = ceil_to((needed + step / 2) / (ONE - rate), instrument.lot_size)
    return initial


def _capital(
    spec: GridSpec,
    instrument: Instrument,
    price: Decimal,
    buy_lines: tuple[Decimal, ...],
    quantity: Decimal,
    initial: Decimal,
) -> Decimal:
    """Quote units that the purchase and the resting buys lock, each with its rounded-up fee."""
    taker, maker = _quote_rates(spec)
    step = _commission_step(instrument)
    purchase = price * initial
    resting = [price * quantity for price in buy_lines]
    fees = ceil_to(purchase * taker, step) + sum((ceil_to(v * maker, step) for v in resting), ZERO)
    return purchase + sum(resting, ZERO) + fees


def _quote_rates(spec: GridSpec) -> tuple[Decimal, Decimal]:
    """(taker, maker) to keep ready in quote; a rebate comes too late to pay for an order."""
    if spec.fees.mode is FeeMode.RECEIVED:
        return ZERO, ZERO
    return max(spec.fees.taker, ZERO), max(spec.fees.maker, ZERO)


def _commission_step(instrument: Instrument) -> Decimal:
    """The finest fee that can be told apart: the venue's, and no finer than a spot balance."""
    return Decimal((0, (1,), -min(instrument.commission_precision, BALANCE_DECIMALS)))


def _quantity_for(
    spec: GridSpec,
    instrument: Instrument,
    price: Decimal,
    lines: tuple[Decimal, ...],
    empty: int,
) -> Decimal:
    """The largest quantity on the lot whose capital is within `spec.investment`; may be zero."""
    investment = spec.investment
    assert investment is not None
    sells, buy_lines = len(lines) - 1 - empty, lines[:empty]
    with rounding():
        taker, maker = _quote_rates(spec)
        purchase = price * sells / (ONE - _base_fee(spec))
        one = purchase * (ONE + taker) + sum(buy_lines, ZERO) * (ONE + maker)
        # One lot more, because a quotient that is whole may have been rounded down.
        most = int(investment / one / instrument.lot_size) + 1

    def fits(lots: int) -> bool:
        quantity = lots * instrument.lot_size
        initial = _initial_quantity(spec, instrument, quantity, sells)
        capital = _capital(spec, instrument, price, buy_lines, quantity, initial)
        return capital <= investment

    # Rounding the purchase and the fees up can lift the need above the investment: by a lot or two
    # on a real venue, by very many where fees are rounded coarsely; so no stepping down one by one.
    fewest = next((lots for lots in (most, most - 1) if fits(lots)), 0)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if fits(middle):
            fewest = middle
        else:
            most = middle - 1
    return fewest * instrument.lot_size


def _base_fee(spec: GridSpec) -> Decimal:
    return spec.fees.taker if spec.fees.mode is FeeMode.RECEIVED else ZERO


def _base_fee_maker(spec: GridSpec) -> Decimal:
    return spec.fees.maker if spec.fees.mode is FeeMode.RECEIVED else ZERO


def _orders(
    spec: GridSpec,
    instrument: Instrument,
    lines: tuple[Decimal, ...],
    empty: int,
    quantity: Decimal,
) -> tuple[PlannedOrder, ...]:
    return tuple(
        PlannedOrder(
            slot=slot,
            side=Side.BUY if slot < empty else Side.SELL,
            price=lines[slot] if slot < empty else lines[slot + 1],
            quantity=quantity,
            net_profit=round_profit(spec, lines[slot], lines[slot + 1], quantity),
        )
        for slot in range(len(lines) - 1)
    )


def _returns(spec: GridSpec, lines: tuple[Decimal, ...], quantity: Decimal) -> list[Decimal]:
    size = quantity or ONE
    with rounding():
        return [
            round_profit(spec, lines[i], lines[i + 1], size) / (lines[i] * size)
            for i in range(len(lines) - 1)
        ]


def _findings(plan: GridPlan, available: Mapping[str, Decimal] | None) -> list[Finding]:
    with exact():
        return [
            *_size_findings(plan),
            *_order_findings(plan),
            *_profit_findings(plan),
            *_range_findings(plan),
            *_lot_findings(plan),
            *(_balance_findings(plan, available) if available is not None else ()),
            *(_fee_token_findings(plan, available) if available is not None else ()),
        ]


def _size_findings(plan: GridPlan) -> list[Finding]:
    """Whether every order is large enough, with the investment that would do."""
    spec, instrument, lines = plan.spec, plan.instrument, plan.lines
    least = _least_quantity(plan)
    if plan.quantity >= least:
        return []
    initial = _initial_quantity(spec, instrument, least, len(lines) - 1 - plan.empty_line)
    buy_lines = lines[: plan.empty_line]
    needed = _capital(spec, instrument, plan.reference_price, buy_lines, least, initial)
    given = text(plan.quantity) if spec.investment is None else text(spec.investment)
    what = "quantity" if spec.investment is None else f"investment of {given} {instrument.quote}"
    return [
        Finding(
            Severity.FAIL,
            "min_notional",
            f"the {what} gives orders of {text(plan.quantity)} {instrument.base}; the venue takes "
            f"no less than {text(least)} at {text(lines[0])} (at least "
            f"{text(instrument.min_notional)} {instrument.quote} an order). Invest at least "
            f"{text(ceil_to(needed, ONE))} {instrument.quote} for {spec.levels} levels, or use "
            "fewer levels",
        )
    ]


def _least_quantity(plan: GridPlan) -> Decimal:
    """The least order whose buy passes, and whose sale still passes after a fee taken in base.

    Below its range a grid is bought at less than any of its lines: then the purchase decides.
    """
    least_sale = smallest_quantity(plan.instrument, plan.lines[1])
    with rounding():
        before_fee = least_sale / (ONE - _base_fee_maker(plan.spec))
        sells = max(len(plan.lines) - 1 - plan.empty_line, 1)
        share = smallest_quantity(plan.instrument, plan.reference_price) / sells
    return max(
        smallest_quantity(plan.instrument, plan.lines[0]),
        ceil_to(before_fee, plan.instrument.lot_size),
        ceil_to(share, plan.instrument.lot_size) if plan.empty_line == 0 else ZERO,
    )


def _order_findings(plan: GridPlan) -> list[Finding]:
    """Venue rules broken by any order; one finding for each rule, naming its first order."""
    found: dict[str, Finding] = {}
    if plan.quantity > 0:
        for order in plan.orders:
            for rule, message in broken_rules(
                plan.instrument, order.side, order.price, order.quantity, plan.reference_price
            ):
                if rule != "min_notional":
                    found.setdefault(rule, Finding(Severity.FAIL, rule, message))
    limit = plan.instrument.max_num_orders
    if len(plan.orders) > limit:
        found["max_num_orders"] = Finding(
            Severity.FAIL,
            "max_num_orders",
            f"{len(plan.orders)} levels need {len(plan.orders)} open orders; the venue allows "
            f"{limit} on {plan.instrument.symbol}. Use at most {limit} levels",
        )
    if plan.instrument.status != "TRADING":
        found["status"] = Finding(
            Severity.FAIL,
            "status",
            f"{plan.instrument.symbol} is {plan.instrument.status} at the venue; wait or choose "
            "another symbol",
        )
    return list(found.values())


def _profit_findings(plan: GridPlan) -> list[Finding]:
    """A round that cannot pay its two fees and one tick."""
    spec = plan.spec
    if plan.profit_min > 0:
        return []
    fee = spec.fees.maker
    with rounding():
        percent = text((plan.profit_min * 100).quantize(Decimal("0.0001")))
        least = text((2 * fee * 100).quantize(Decimal("0.0001")))
    return [
        Finding(
            Severity.WARN if spec.allow_unprofitable else Severity.FAIL,
            "spacing_below_fees",
            f"the tightest grid would earn {percent} % a round after fees of {text(fee * 100)} % "
            f"on each side; a spacing above about {least} % is needed, so widen it or use fewer "
            "levels",
        )
    ]


def _range_findings(plan: GridPlan) -> list[Finding]:
    price, lines = plan.reference_price, plan.lines
    if lines[0] <= price <= lines[-1]:
        return []
    side = "above" if price > lines[-1] else "below"
    held = "only buys would rest" if side == "above" else "the whole grid would be bought at once"
    return [
        Finding(
            Severity.WARN,
            "price_out_of_range",
            f"the price {text(price)} is {side} the range {text(lines[0])} to "
            f"{text(lines[-1])}, so {held}; move the range to hold the price",
        )
    ]


def _lot_findings(plan: GridPlan) -> list[Finding]:
    """A lot so coarse that, after a fee taken in base, a sale falls short of its buy."""
    received = plan.quantity * (ONE - _base_fee_maker(plan.spec))
    left = received - floor_to(received, plan.instrument.lot_size)
    if left * 100 <= plan.quantity:
        return []
    with rounding():
        percent = text((left / plan.quantity * 100).quantize(Decimal("0.1")))
    return [
        Finding(
            Severity.WARN,
            "coarse_lot",
            f"of each {text(plan.quantity)} {plan.instrument.base} bought, {percent} % cannot be "
            f"sold at once, because the fee is taken in {plan.instrument.base} and the lot size is "
            f"{text(plan.instrument.lot_size)}; it is carried to a later sale. Invest more or use "
            "fewer levels to make it small",
        )
    ]


def _fee_token_findings(plan: GridPlan, available: Mapping[str, Decimal]) -> list[Finding]:
    """A fee token that runs out soon, after which the venue takes its fees in what is received."""
    fees = plan.spec.fees
    if fees.mode is not FeeMode.THIRD:
        return []
    free = available.get(fees.third_asset, ZERO)
    with rounding():
        round_of_all = plan.capital_needed * 2 * fees.maker / fees.third_price
        needed = text(round_of_all.quantize(Decimal("1e-8")))
    if free >= round_of_all:
        return []
    return [
        Finding(
            Severity.WARN,
            "fee_token",
            f"{text(free)} {fees.third_asset} is free and one round of every grid costs about "
            f"{needed} {fees.third_asset} in fees; top it up, or the venue takes its fees from "
            "what each trade brings",
        )
    ]


def _balance_findings(plan: GridPlan, available: Mapping[str, Decimal]) -> list[Finding]:
    quote = plan.instrument.quote
    free = available.get(quote, ZERO)
    if plan.capital_needed <= free:
        return []
    return [
        Finding(
            Severity.FAIL,
            "balance",
            f"the grid needs {text(plan.capital_needed)} {quote} and {text(free)} is free, "
            f"{text(plan.capital_needed - free)} too little; invest less or free some {quote}",
        )
    ]
