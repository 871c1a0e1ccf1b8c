"""Exact books of a grid that the kernel walked, made from how often each slot was filled.

Sums of values overflow 64 bits and drift in floats; counts do neither. Each slot's part is a few
products of Python integers, in units of tick x unit (1e-8 base or finer) for values and of the fee
step for fees. The wallet is summed from cash flows and the components from lots, as in the core's
own ledger, so that they check each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from gridlab.domain.market import FeeMode
from gridlab.domain.snapshot import Money
from gridlab.errors import InvariantError
from gridlab.grid.ledger import COMPONENTS
from gridlab.money import ONE, ZERO, exact, text
from gridlab.research.ladder import FIRST_SALE, HIGH_SALE, LOW_SALE, Ladder


@dataclass
class Sums:
    """Totals over slots: values in tick x unit, base in units, fees in fee steps."""

    profit: int = 0
    sold_value: int = 0
    bought_value: int = 0
    sold: int = 0
    bought: int = 0
    held: int = 0
    held_cost: int = 0
    dust: int = 0
    dust_cost: int = 0
    quote_fee: int = 0
    base_fee: int = 0
    base_fee_cost: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """The books at one price; see `gridlab.grid.ledger` for what the lines mean."""

    money: Money
    lines: tuple[tuple[str, str, Decimal], ...]


def books_of(ladder: Ladder, gap: int, buys: Sequence[int], mark: Decimal) -> Books:
    """The books after `buys[i]` purchases of slot i, with the empty line at `gap`.

    Raises:
        InvariantError: cash flows and lots do not give the same equity.
    """
    sums = Sums()
    for slot, count in enumerate(buys):
        _add_slot(sums, ladder, slot, count, is_stocked=slot >= gap)
    return books_of_sums(sums, ladder, mark)


def books_of_sums(sums: Sums, ladder: Ladder, mark: Decimal) -> Books:
    """The books of these totals, the purchase at the start added.

    Raises:
        InvariantError: cash flows and lots do not give the same equity.
    """
    with exact():
        return _books(sums, ladder, mark)


def sales_of(ladder: Ladder, gap: int, slot: int, buys: int) -> int:
    """How often a slot sold: it takes turns, so its side at the start and now says it."""
    return buys + (slot >= ladder.gap) - (slot >= gap)


def _add_slot(sums: Sums, ladder: Ladder, slot: int, buys: int, *, is_stocked: bool) -> None:
    below, above = ladder.lines[slot], ladder.lines[slot + 1]
    lot, first = ladder.lot_units, ladder.reference
    began = slot >= ladder.gap
    sales = buys + began - is_stocked
    firsts = min(int(began), sales)
    rounds = sales - firsts
    dust0 = ladder.dust_units if slot == ladder.slots - 1 else 0
    # What `rounds` sales sold: everything that came, as far as it makes whole lots. Without any,
    # dust of the start stays even if it is a lot: it is never sold by itself.
    lots_sold = (dust0 + rounds * ladder.buy_units) // lot if rounds else 0
    sold = lots_sold * lot
    at_first = min(dust0, sold)
    highs = lots_sold - rounds * ladder.low_sale
    stock = ladder.lots * lot
    sums.sold += sold + firsts * stock
    sums.sold_value += (sold + firsts * stock) * above
    sums.profit += sold * above - at_first * first - (sold - at_first) * below
    sums.profit += firsts * stock * (above - first)
    sums.bought += buys * stock
    sums.bought_value += buys * stock * below
    fees = ladder.sale_fees
    sums.quote_fee += (
        firsts * fees[FIRST_SALE][slot]
        + highs * fees[HIGH_SALE][slot]
        + (rounds - highs) * fees[LOW_SALE][slot]
    )
    if ladder.takes_base:
        paid = stock - ladder.buy_units
        sums.base_fee += buys * paid
        sums.base_fee_cost += buys * paid * below
    else:
        sums.quote_fee += buys * ladder.buy_fees[slot]
    rest = dust0 + buys * ladder.buy_units - sold
    rest_cost = (dust0 - at_first) * first + (rest - (dust0 - at_first)) * below
    if began and not sales:  # the stock of the start is there; what is beside it is still dust
        sums.held += stock
        sums.held_cost += stock * first
    elif is_stocked:
        sums.held += rest
        sums.held_cost += rest_cost
        return
    sums.dust += rest
    sums.dust_cost += rest_cost


def _books(sums: Sums, ladder: Ladder, mark: Decimal) -> Books:
    plan = ladder.plan
    rules, fees = plan.instrument, plan.spec.fees
    base, quote = rules.base, rules.quote
    unit = Decimal(1).scaleb(-ladder.unit_decimals)
    value, step = rules.tick_size * unit, Decimal(1).scaleb(-rules.commission_precision)
    first, lot = ladder.reference, ladder.lot_units
    bought_first = ladder.first_lots * lot
    stock = ladder.lots * lot * (ladder.slots - ladder.gap)
    base_fee, base_cost, other_fee = sums.base_fee, sums.base_fee_cost, sums.quote_fee
    if ladder.takes_base:
        paid_first = bought_first - stock - ladder.dust_units
        base_fee += paid_first
        base_cost += paid_first * first
    else:
        other_fee += ladder.first_fee
    fee_asset = fees.third_asset if fees.mode is FeeMode.THIRD else quote
    wallet = {
        base: (bought_first + sums.bought - sums.sold - base_fee) * unit,
        quote: (sums.sold_value - sums.bought_value - bought_first * first) * value,
    }
    parts = {name: {base: ZERO, quote: ZERO} for name in COMPONENTS}
    parts["grid_profit"][quote] = sums.profit * value
    parts["inventory"] = {base: sums.held * unit, quote: -sums.held_cost * value}
    parts["dust"] = {base: sums.dust * unit, quote: -sums.dust_cost * value}
    parts["fees"][quote] = -base_cost * value
    paid = {base: base_fee * unit, fee_asset: other_fee * step}
    if other_fee or fee_asset == quote:
        wallet[fee_asset] = wallet.get(fee_asset, ZERO) - paid[fee_asset]
        parts["fees"][fee_asset] = parts["fees"].get(fee_asset, ZERO) - paid[fee_asset]
    lines = [("wallet", asset, wallet[asset]) for asset in sorted(wallet)]
    lines += [(n, asset, parts[n][asset]) for n in COMPONENTS for asset in sorted(parts[n])]
    money = _money(ladder, parts, paid, mark)
    _check(money, wallet, ladder, mark)
    return Books(money, tuple(lines))


def _money(
    ladder: Ladder, parts: dict[str, dict[str, Decimal]], paid: dict[str, Decimal], mark: Decimal
) -> Money:
    plan = ladder.plan
    rules, third = plan.instrument, plan.spec.fees
    held = parts["inventory"][rules.base] + parts["dust"][rules.base]
    cost = parts["inventory"][rules.quote] + parts["dust"][rules.quote]
    floating, profit = held * mark + cost, parts["grid_profit"][rules.quote]
    fees = parts["fees"][rules.quote]
    if third.mode is FeeMode.THIRD:
        fees += parts["fees"].get(third.third_asset, ZERO) * third.third_price
    return Money(
        investment=plan.spec.investment or plan.capital_needed,
        grid_profit=profit,
        floating=floating,
        fees=fees,
        funding=ZERO,
        total=profit + floating + fees,
        base_held=held,
        fees_by_asset=tuple(sorted((asset, fee) for asset, fee in paid.items() if fee)),
    )


def _check(money: Money, wallet: dict[str, Decimal], ladder: Ladder, mark: Decimal) -> None:
    rules, fees = ladder.plan.instrument, ladder.plan.spec.fees
    marks = {rules.base: mark, rules.quote: ONE, fees.third_asset: fees.third_price}
    earned = sum((amount * marks[asset] for asset, amount in wallet.items()), ZERO)
    if earned != money.total:
        raise InvariantError(
            f"cash flows earned {text(earned)} {rules.quote} and the lots say {text(money.total)}"
        )


def least_free(ladder: Ladder, free: Fraction, gap: int, buys: Sequence[int]) -> float:
    """A lower bound of the quote that was ever free, in floats; see `lowest_free` for the truth.

    Each sale brings its value less its fee, and its slot's next buy is locked. What a sale misses
    because of the lot is in a later sale, one lot of each slot at most.
    """
    rules, fees = ladder.plan.instrument, ladder.plan.spec.fees
    lot_value = float(rules.tick_size) * float(rules.lot_size)
    step = float(ladder.fee_step)
    rate = 0.0 if fees.mode is FeeMode.THIRD else float(fees.maker)
    sold = ladder.buy_units / ladder.lot_units
    least = float(free)
    for slot, count in enumerate(buys):
        sales = sales_of(ladder, gap, slot, count)
        below, above = ladder.lines[slot] * lot_value, ladder.lines[slot + 1] * lot_value
        reserve = ladder.reserves[slot] * 1e-8
        locked = below * ladder.lots + reserve
        each = above * min(sold, ladder.lots) * (1 - rate) - step - locked
        least += sales * min(each, 0.0) - (1.02 * above if ladder.takes_base else 0.0)
        if fees.mode is FeeMode.QUOTE:
            least += count * min(reserve - ladder.buy_fees[slot] * step, 0.0)
    return least


def lowest_free(
    ladder: Ladder,
    free: Fraction,
    slots: Sequence[int],
    sides: Sequence[int],
    kinds: Sequence[int],
) -> Fraction:
    """The least quote that was free after any fill and the order that answers it, exactly."""
    rules, fees = ladder.plan.instrument, ladder.plan.spec.fees
    value = Fraction(rules.tick_size) * Fraction(rules.lot_size)
    step, reserve_step = ladder.fee_step, Fraction(1, 10**8)
    in_quote = fees.mode is not FeeMode.THIRD
    sizes, count = ladder.sale_sizes, ladder.slots
    on_buy = [
        ladder.reserves[s] * reserve_step
        - (ladder.buy_fees[s] * step if fees.mode is FeeMode.QUOTE else 0)
        for s in range(count)
    ]
    on_sale = [
        [
            (ladder.lines[s + 1] * sizes[kind] - ladder.lines[s] * ladder.lots) * value
            - (ladder.sale_fees[kind][s] * step if in_quote else 0)
            - ladder.reserves[s] * reserve_step
            for s in range(count)
        ]
        for kind in (LOW_SALE, HIGH_SALE, FIRST_SALE)
    ]
    least = free
    for slot, side, kind in zip(slots, sides, kinds, strict=True):
        free += on_buy[slot] if side > 0 else on_sale[kind][slot]
        least = min(least, free)
    return least
