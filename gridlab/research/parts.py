"""Where a backtest's money came from: grid profit, inventory, fees and funding apart.

`Parts` are the books' own Decimals and add up exactly. By trade, by level and over time they are
float64, for tables and pictures, made from the trades as columns: each slot sells its oldest units
first, as the ledger does.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gridlab.domain.orders import INITIAL_BUY, Side
from gridlab.domain.snapshot import Money
from gridlab.errors import InvariantError
from gridlab.money import exact, rounding, text
from gridlab.research.metrics import FloatArray
from gridlab.research.outcome import Outcome

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parts:
    """The change of equity, quote units, exactly: `total` is the sum of the five others.

    Args:
        grid_profit: proceeds minus cost of all that slots sold, before fees.
        inventory: what is still held, at the last close, minus what it cost.
        fees: what the venue took; below zero unless it pays rebates.
        funding: received minus paid.
        liquidation: result of a final or a forced sale; zero while the grid stands.

    Raises:
        InvariantError: they do not add up.
    """

    grid_profit: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal
    liquidation: Decimal
    total: Decimal

    def __post_init__(self) -> None:
        with exact():
            found = sum(
                (self.grid_profit, self.inventory, self.fees, self.funding, self.liquidation),
                Decimal(0),
            )
        if found != self.total:
            raise InvariantError(
                f"the parts make {text(found)} and the total is {text(self.total)}"
            )

    @classmethod
    def of(cls, money: Money) -> Parts:
        """The parts of one state of the books."""
        return cls(
            grid_profit=money.grid_profit,
            inventory=money.floating,
            fees=money.fees,
            funding=money.funding,
            liquidation=money.liquidation,
            total=money.total,
        )

    @property
    def fees_of_gross(self) -> float:
        """Fees / grid profit before fees, a fraction; NaN when there is no profit to share."""
        if self.grid_profit <= 0:
            return float("nan")
        with rounding():
            return float(-self.fees / self.grid_profit)


class LevelFills(NamedTuple):
    """What one slot did: the grid between two neighbouring lines.

    Args:
        lower, upper: its lines, quote units; it buys at the lower and sells at the upper.
        buys, sells: trades of its resting orders.
        rounds: purchases that were sold again.
        profit: grid profit, quote units before fees, float64.
        fees: what its trades cost in fees, quote units, float64; below zero.
    """

    slot: int
    lower: Decimal
    upper: Decimal
    buys: int
    sells: int
    rounds: int
    profit: float
    fees: float


class PartsCurve(NamedTuple):
    """The parts at every bar's close, quote units, float64; their sum is equity - investment."""

    time_ms: IntArray
    grid_profit: FloatArray
    inventory: FloatArray
    fees: FloatArray
    funding: FloatArray
    liquidation: FloatArray


def trade_profits(result: Outcome) -> FloatArray:
    """What each trade added to the grid profit, quote units before fees, in the trades' order.

    A core's result knows it to the digit. For a kernel's it is counted here: a slot that began
    stocked sells the stock of the start first, at the price of that purchase, and then only what
    it bought at its own lower line.
    """
    if result.engine == "core":
        return np.array([float(profit) for profit in result.profits], np.float64)
    flows, plan = result.flows, result.plan
    profits = np.zeros(len(flows))
    sales = np.flatnonzero((flows.side < 0) & (flows.slot >= 0))
    if not len(sales):
        return profits
    order = sales[np.argsort(flows.slot[sales], kind="stable")]
    slot, quantity = flows.slot[order], flows.quantity[order]
    lower = np.array([float(line) for line in plan.lines])[slot]
    stock, price = _stock_of(result)
    sold = _sums_within(slot, quantity)
    before = sold - quantity

    def cost(units: FloatArray) -> FloatArray:
        first = np.minimum(units, stock[slot])
        paid: FloatArray = first * price + (units - first) * lower
        return paid

    profits[order] = quantity * flows.price[order] - (cost(sold) - cost(before))
    return profits


def trade_fees(result: Outcome) -> FloatArray:
    """What each trade paid in fees, quote units at its own price, float64; below zero."""
    flows = result.flows
    token = float(result.spec.fees.third_price)
    worth = np.where(flows.is_base_fee, flows.price, np.where(flows.is_token_fee, token, 1.0))
    paid: FloatArray = 0.0 - flows.fee * worth
    return paid


def rounds_by_slot(result: Outcome) -> IntArray:
    """For each slot, how many purchases were followed by a sale; shape (levels,)."""
    flows, slots = result.flows, len(result.lines) - 1
    resting = np.flatnonzero(flows.slot >= 0)
    order = resting[np.argsort(flows.slot[resting], kind="stable")]
    slot, side = flows.slot[order], flows.side[order]
    closes = (slot[1:] == slot[:-1]) & (side[1:] < 0) & (side[:-1] > 0)
    return np.bincount(slot[1:][closes], minlength=slots).astype(np.int64)


def fills_by_level(result: Outcome) -> tuple[LevelFills, ...]:
    """Every slot with its fills and what they earned, the lowest first."""
    flows, lines = result.flows, result.lines
    slots = len(lines) - 1
    resting = flows.slot >= 0
    slot = flows.slot[resting]
    is_buy = flows.side[resting] > 0
    buys = np.bincount(slot[is_buy], minlength=slots)
    sells = np.bincount(slot[~is_buy], minlength=slots)
    profit = np.bincount(slot, weights=trade_profits(result)[resting], minlength=slots)
    fees = np.bincount(slot, weights=trade_fees(result)[resting], minlength=slots)
    columns = (buys, sells, rounds_by_slot(result), profit, fees)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(LevelFills(i, lines[i], lines[i + 1], *row) for i, row in enumerate(rows))


def parts_curve(result: Outcome) -> PartsCurve:
    """The parts of profit at every bar's close.

    Fees taken in base are counted at the price of their trade; inventory is what is left of equity,
    so that the sum is exact.
    """
    edges = np.diff(np.concatenate(([0], result.flows.bar, [len(result.bars)])))

    def at_closes(steps: FloatArray) -> FloatArray:
        return np.repeat(np.concatenate(([0.0], np.cumsum(steps))), edges)

    profit, fees = at_closes(trade_profits(result)), at_closes(trade_fees(result))
    funding = result.flows.paid_by_bar(len(result.bars)).astype(np.float64)
    times = result.bars.open_time_ms + (result.bars.interval.ms - 1)
    forced = np.zeros(len(result.bars))
    if result.liquidation is not None:
        forced[times >= result.liquidation.time_ms] = float(result.money.liquidation)
    earned = result.equity_curve - float(result.money.investment)
    inventory = earned - profit - fees - funding - forced
    return PartsCurve(times, profit, inventory, fees, funding, forced)


def _stock_of(result: Outcome) -> tuple[FloatArray, float]:
    """Base units that each slot began with, and what one of them cost.

    What the first purchase bought beyond whole orders is the highest slot's.
    """
    flows, plan = result.flows, result.plan
    stock = np.zeros(len(plan.lines) - 1)
    for order in plan.orders:
        if order.side is Side.SELL:
            stock[order.slot] = float(order.quantity)
    first = flows.slot == INITIAL_BUY
    if not first.any():
        return stock, float(plan.reference_price)
    bought = flows.quantity[first]
    net = float((bought - flows.fee[first] * flows.is_base_fee[first]).sum())
    stock[-1] += max(0.0, net - float(stock.sum()))
    return stock, float((bought * flows.price[first]).sum() / bought.sum())


def _sums_within(group: npt.NDArray[np.generic], values: FloatArray) -> FloatArray:
    """Running sums that begin anew where `group` changes; `group` is sorted."""
    sums = np.cumsum(values)
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    offsets = np.concatenate(([0.0], sums[starts[1:] - 1]))
    within: FloatArray = sums - np.repeat(offsets, np.diff(np.concatenate((starts, [len(values)]))))
    return within
