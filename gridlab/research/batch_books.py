"""Exact books of many grids at once, from how often each slot was filled.

The same sums as in `kernel_books`, over all ladders of a table by vectors: only what differs from
slot to slot is summed there, and that is small; what a ladder's slots have in common is multiplied
after it in Python's integers. Cash flows and lots must give the same equity, as there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gridlab.domain.market import FeeMode
from gridlab.errors import InvariantError
from gridlab.money import exact
from gridlab.research.batch_table import Table, investment_of
from gridlab.research.kernel_books import books_of, least_free
from gridlab.research.ladder import FIRST_SALE, HIGH_SALE, LOW_SALE, Ladder, free_quote
from gridlab.research.metrics import FloatArray
from gridlab.research.venue import account_for

#: Figures that books decide, the equity first.
BOOKED = ("equity", "grid_profit", "floating", "fees", "base_held")
#: A sum over slots that stays below this fits into int64 with room to spare.
_FITS = 2.0**61
_HALF_BITS = 16

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Figures:
    """What the books of each ladder of a table come to, float64 nearest to the exact amounts."""

    buys: Ints
    equity: FloatArray = field(init=False)
    grid_profit: FloatArray = field(init=False)
    floating: FloatArray = field(init=False)
    fees: FloatArray = field(init=False)
    base_held: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        for name in BOOKED:
            object.__setattr__(self, name, np.empty(len(self.buys)))


def figures_of(table: Table, mark: int) -> Figures:
    """The books of every ladder after its walk, at a price of `mark` ticks.

    Raises:
        InvariantError: cash flows and lots do not give the same equity.
    """
    sums = _Sums(table)
    found = Figures(sums.total(table.buys))
    for k, ladder in enumerate(table.ladders):
        amounts = _amounts(ladder, sums, k, mark) if sums.fits else _one_by_one(table, k, mark)
        for name, amount in zip(BOOKED, amounts, strict=True):
            getattr(found, name)[k] = amount
    return found


class _Sums:
    """Sums over the slots of each ladder: of counts, and of counts times a line or a fee."""

    def __init__(self, table: Table) -> None:
        self._edges = table.at[:-1]
        buys, began = table.buys, table.began
        stocked = table.places >= table.spread(table.ints[:, 0])
        sales = buys + began - stocked
        firsts = np.minimum(began, sales)
        rounds = sales - firsts
        of = {name: self._by_slot(table, name) for name in ("buy_units", "low_sale")}
        lot, dust = table.spread(table.lot), table.over * 0
        dust[table.at[1:] - 1] = table.dust
        most = float(buys.max(initial=0)) + 1
        widest = max(float(of["buy_units"].max()), float(np.abs(table.sale_fees).max()), 1.0)
        widest = max(widest, float(np.abs(table.buy_fees).max()))
        self.fits = most * widest * float(table.sizes.max()) + float(table.dust.max()) < _FITS
        if not self.fits:
            return
        lots = np.where(rounds > 0, (dust + rounds * of["buy_units"]) // lot, 0)
        highs = lots - rounds * of["low_sale"]
        rest = dust + buys * of["buy_units"] - lots * lot
        low, high, first = (table.sale_fees[k] for k in (LOW_SALE, HIGH_SALE, FIRST_SALE))
        above, below = table.above, table.below
        self.firsts, self.firsts_above = self.total(firsts), self.total(firsts * above)
        self.rounds, self.highs = self.total(rounds), self.total(highs)
        self.rounds_above, self.rounds_below = (
            self.total(rounds * above),
            self.total(rounds * below),
        )
        self.highs_above, self.highs_below = self.total(highs * above), self.total(highs * below)
        self.buys, self.buys_below = self.total(buys), self.total(buys * below)
        self.sale_fees = self.total(firsts * first + highs * high + (rounds - highs) * low)
        self.buy_fees = self.total(buys * table.buy_fees)
        self.unsold = self.total(began & (sales == 0))
        self.rest = self.total(rest)
        # What is left times its line is too large for a sum: the line is taken in two parts.
        upper, lower = below >> _HALF_BITS, below & ((1 << _HALF_BITS) - 1)
        self.rest_upper, self.rest_lower = self.total(rest * upper), self.total(rest * lower)
        self.sold_last = (lots * lot)[table.at[1:] - 1]

    def total(self, values: npt.NDArray[Any]) -> Ints:
        """The sum over each ladder's slots."""
        found: Ints = np.add.reduceat(values.astype(np.int64), self._edges)
        return found

    def _by_slot(self, table: Table, name: str) -> Ints:
        return np.repeat([getattr(ladder, name) for ladder in table.ladders], table.sizes)

    def __getitem__(self, k: int) -> dict[str, int]:
        """All sums of one ladder as Python's integers."""
        return {
            name: int(values[k])
            for name, values in vars(self).items()
            if isinstance(values, np.ndarray) and name != "_edges"
        }


def _amounts(ladder: Ladder, sums: _Sums, k: int, mark: int) -> tuple[float, ...]:
    """Equity, grid profit, floating, fees and base held; see `kernel_books` for the sums."""
    s, lot, low, first = sums[k], ladder.lot_units, ladder.low_sale, ladder.reference
    stock, bought_first = ladder.lots * lot, ladder.first_lots * lot
    at_first = min(ladder.dust_units, s["sold_last"])
    profit = lot * (low * (s["rounds_above"] - s["rounds_below"]))
    profit += lot * (s["highs_above"] - s["highs_below"])
    profit += stock * (s["firsts_above"] - s["firsts"] * first)
    profit -= at_first * (first - ladder.lines[-2])
    kept = ladder.dust_units - at_first
    held = s["rest"] + s["unsold"] * stock
    cost = (s["rest_upper"] << _HALF_BITS) + s["rest_lower"] + s["unsold"] * stock * first
    cost += kept * (first - ladder.lines[-2])
    floating = held * mark - cost
    base_fee, base_cost, other_fee = 0, 0, s["sale_fees"]
    if ladder.takes_base:
        paid, paid_first = stock - ladder.buy_units, bought_first - ladder.dust_units
        paid_first -= stock * (ladder.slots - ladder.gap)
        base_fee = s["buys"] * paid + paid_first
        base_cost = paid * s["buys_below"] + paid_first * first
    else:
        other_fee += s["buy_fees"] + ladder.first_fee
    sold = lot * (low * s["rounds"] + s["highs"]) + stock * s["firsts"]
    sold_value = lot * (low * s["rounds_above"] + s["highs_above"]) + stock * s["firsts_above"]
    wallet = (bought_first + s["buys"] * stock - sold - base_fee) * mark
    wallet += sold_value - stock * s["buys_below"] - bought_first * first
    if wallet != profit + floating - base_cost:
        raise InvariantError(
            f"{ladder.plan.spec.symbol}: cash flows earned {wallet} and the lots say "
            f"{profit + floating - base_cost}, in ticks x units"
        )
    return _floats(ladder, profit, floating, base_cost, other_fee, held)


def _floats(
    ladder: Ladder, profit: int, floating: int, base_cost: int, other_fee: int, held: int
) -> tuple[float, ...]:
    """Each amount as the nearest double: a quotient of Python's integers is rounded correctly."""
    plan = ladder.plan
    tick, tick_parts = plan.instrument.tick_size.as_integer_ratio()
    step = ladder.fee_step
    price = plan.spec.fees.third_price if plan.spec.fees.mode is FeeMode.THIRD else 1
    paid, paid_parts = price.as_integer_ratio()
    unit = 10**ladder.unit_decimals
    value_parts, fee_parts = tick_parts * unit, step.denominator * paid_parts
    fees = -base_cost * tick * fee_parts - other_fee * step.numerator * paid * value_parts
    both = value_parts * fee_parts
    total = (profit + floating) * tick * fee_parts + fees
    invested, parts = investment_of(plan).as_integer_ratio()
    return (
        (invested * both + total * parts) / (both * parts),
        profit * tick / value_parts,
        floating * tick / value_parts,
        fees / both,
        held / unit,
    )


def _one_by_one(table: Table, k: int, mark: int) -> tuple[float, ...]:
    """The same by `kernel_books`, for amounts that sums of int64 might not hold."""
    ladder = table.ladders[k]
    price = mark * ladder.plan.instrument.tick_size
    money = books_of(ladder, int(table.ints[k, 0]), table.buys_of(k), price).money
    with exact():
        equity = money.investment + money.total
    rest = (money.grid_profit, money.floating, money.fees, money.base_held)
    return tuple(float(amount) for amount in (equity, *rest))


def starved_of(table: Table) -> npt.NDArray[np.bool_]:
    """By ladder, whether an order could have been refused for lack of quote, by the bound."""
    found = np.zeros(len(table.ladders), np.bool_)
    for k in np.flatnonzero(_could_lose(table)).tolist():
        ladder = table.ladders[k]
        quote = account_for(ladder.plan)[ladder.plan.instrument.quote]
        free = free_quote(ladder, quote)
        least = least_free(ladder, free, int(table.ints[k, 0]), table.buys_of(k))
        found[k] = least < 1e-6 * float(quote)
    return found


def _could_lose(table: Table) -> npt.NDArray[np.bool_]:
    """By ladder, whether a sale may bring less than its slot's next buy locks."""
    worst = np.minimum.reduceat(table.sale_cash.min(axis=0) + table.buy_cash, table.at[:-1])
    # A lock is rounded up by a reserve step where a fee is rounded by half a fee step.
    spare = np.array([2 * float(ladder.fee_step) + 2e-8 for ladder in table.ladders])
    takes_base = np.array([ladder.takes_base for ladder in table.ladders])
    return takes_base | (worst <= spare)
