"""What a plan breaks or comes close to: each finding with the value, the limit and the remedy.

`FAIL` keeps a grid from starting, `WARN` is for the user to know. Reads a plan and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridlab.domain.market import FeeMode, Market
from gridlab.domain.plan import Finding, GridPlan, Severity
from gridlab.grid.guards import broken_rules, smallest_quantity
from gridlab.grid.sizing import base_fee_maker, initial_quantity, needed
from gridlab.grid.window import cap_of, fits_whole
from gridlab.money import ONE, ZERO, ceil_to, exact, floor_to, round_to, rounding, text


def findings_of(
    plan: GridPlan, available: Mapping[str, Decimal] | None = None
) -> tuple[Finding, ...]:
    """Every finding of the plan.

    Args:
        available: free balances by asset; None when nobody asked whether they suffice.
    """
    with exact():
        return (
            *_size_findings(plan),
            *_order_findings(plan),
            *_profit_findings(plan),
            *_range_findings(plan),
            *_lot_findings(plan),
            *(_futures_findings(plan) if plan.spec.market is Market.FUTURES else ()),
            *(_balance_findings(plan, available) if available is not None else ()),
            *(_fee_token_findings(plan, available) if available is not None else ()),
        )


def _size_findings(plan: GridPlan) -> list[Finding]:
    """Whether every order is large enough, with the investment that would do."""
    spec, instrument, lines = plan.spec, plan.instrument, plan.lines
    least = _least_quantity(plan)
    if plan.quantity >= least:
        return []
    initial = initial_quantity(spec, instrument, least, len(lines) - 1 - plan.empty_line)
    buy_lines = lines[: plan.empty_line]
    need = needed(spec, instrument, plan.reference_price, buy_lines, least, initial)
    given = text(plan.quantity) if spec.investment is None else text(spec.investment)
    what = "quantity" if spec.investment is None else f"investment of {given} {instrument.quote}"
    return [
        Finding(
            Severity.FAIL,
            "min_notional",
            f"the {what} gives orders of {text(plan.quantity)} {instrument.base}; the venue takes "
            f"no less than {text(least)} at {text(lines[0])} (at least "
            f"{text(instrument.min_notional)} {instrument.quote} an order). Invest at least "
            f"{text(ceil_to(need.capital, ONE))} {instrument.quote} for {spec.levels} levels, or "
            "use fewer levels",
        )
    ]


def _least_quantity(plan: GridPlan) -> Decimal:
    """The least order whose buy passes, and whose sale still passes after a fee taken in base.

    Below its range a grid is bought at less than any of its lines: then the purchase decides.
    """
    least_sale = smallest_quantity(plan.instrument, plan.lines[1])
    with rounding():
        before_fee = least_sale / (ONE - base_fee_maker(plan.spec))
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
    count, limit = len(plan.orders), plan.instrument.max_num_orders
    if not fits_whole(count, plan.instrument):
        found["max_num_orders"] = Finding(
            Severity.WARN,
            "max_num_orders",
            f"{count} levels need {count} open orders; the venue allows {limit} on "
            f"{plan.instrument.symbol}, so only the {cap_of(plan.instrument)} nearest the price "
            f"rest and the others wait until it comes nearer. Use at most {limit} levels to have "
            "all of them rest",
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
    received = plan.quantity * (ONE - base_fee_maker(plan.spec))
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
    quote, needed_now, leverage = plan.instrument.quote, plan.margin_needed, plan.spec.leverage
    free = available.get(quote, ZERO)
    if needed_now <= free:
        return []
    less = "invest less"
    what = f"{text(needed_now)} {quote}"
    if plan.spec.market is Market.FUTURES:
        what += f" of margin ({text(plan.capital_needed)} {quote} of orders at leverage {leverage})"
        less += ", raise the leverage"
    return [
        Finding(
            Severity.FAIL,
            "balance",
            f"the grid needs {what} and {text(free)} is free, "
            f"{text(needed_now - free)} too little; {less} or free some {quote}",
        )
    ]


# --- futures --------------------------------------------------------------------------------------


def _futures_findings(plan: GridPlan) -> list[Finding]:
    return [*_fee_mode_findings(plan), *_buffer_findings(plan), *_liquidation_findings(plan)]


def _fee_mode_findings(plan: GridPlan) -> list[Finding]:
    mode, quote = plan.spec.fees.mode, plan.instrument.quote
    if mode is FeeMode.QUOTE:
        return []
    return [
        Finding(
            Severity.FAIL,
            "fee_mode",
            f"the fee mode is {mode} and futures fees are taken in {quote}; choose {FeeMode.QUOTE}",
        )
    ]


def _buffer_findings(plan: GridPlan) -> list[Finding]:
    """A leverage whose own liquidation distance is within the buffer from the first fill on."""
    leverage, buffer = plan.spec.leverage, plan.spec.liquidation_buffer
    if leverage * buffer < 1:
        return []
    with rounding():
        away = _percent(ONE / leverage)
        below = text(ceil_to(ONE / buffer, ONE))
    return [
        Finding(
            Severity.WARN,
            "liquidation_buffer",
            f"at leverage {leverage} an isolated position is liquidated at most {away} % from its "
            f"entry and the liquidation buffer is {_percent(buffer)} %, so nothing more would be "
            f"bought after the first purchase; use a leverage below {below} or a smaller buffer",
        )
    ]


def _liquidation_findings(plan: GridPlan) -> list[Finding]:
    """A liquidation inside the range, as far as it can be told beforehand.

    When every buy is filled the position cost `value`. Of that the margin is value / leverage, so
    an isolated position has lost its margin at (1 - 1 / leverage) x average price. The venue closes
    it a little earlier, by its maintenance margin; later, if the wallet stands behind it.
    """
    leverage, lowest = plan.spec.leverage, plan.lines[0]
    bought = plan.initial_quantity + plan.quantity * plan.empty_line
    value = plan.reference_price * plan.initial_quantity + plan.quantity * sum(
        plan.lines[: plan.empty_line], ZERO
    )
    if value * (leverage - 1) < lowest * bought * leverage or not bought:
        return []
    with rounding():
        average = text(round_to(value / bought, plan.instrument.tick_size))
        liquidated = value * (leverage - 1) / (bought * leverage)
        price = text(round_to(liquidated, plan.instrument.tick_size))
        # lowest > average (1 - 1 / leverage)  <=>  leverage < average / (average - lowest)
        fits = int(ceil_to(value / (value - lowest * bought), ONE)) - 1
    return [
        Finding(
            Severity.WARN,
            "liquidation_in_range",
            f"with every buy filled the average price is {average}, and at leverage {leverage} an "
            f"isolated position is liquidated at {price} or before, above the lowest line "
            f"{text(lowest)}; use a leverage of at most {max(fits, 1)}, raise the lowest line or "
            "use crossed margin with more in the wallet",
        )
    ]


def _percent(fraction: Decimal) -> str:
    with rounding():
        return text((fraction * 100).quantize(Decimal("0.01")))
