"""`Outcome`: what a backtest did, as values and curves.

Amounts of money are Decimals of the grid's own books. Curves are float64, made when first asked for
from the trades and the closes, for eyes and statistics; the books never come from them. Knows
nothing of how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.domain.commands import Command
from gridlab.domain.market import Instrument
from gridlab.domain.orders import ClientId, Side, Trade
from gridlab.domain.plan import GridPlan
from gridlab.domain.snapshot import Money
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvariantError
from gridlab.money import ONE, exact, from_float, rounding, text
from gridlab.research.metrics import Drawdown, FloatArray, fraction_outside, max_drawdown


class Fills(NamedTuple):
    """How often the grid's resting orders were filled; the purchase at the start is not counted."""

    buys: int
    sells: int


class Curve(NamedTuple):
    """The grid at every bar's close, float64; the first value is the first close, after its fills.

    `cash` and `base` are what is left of the investment and what is held; both may rest in orders.
    `equity = cash + base x close + fee tokens at their stated price`.
    """

    time_ms: npt.NDArray[np.int64]
    close: FloatArray
    cash: FloatArray
    base: FloatArray
    equity: FloatArray
    hold: FloatArray


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one grid did on one series of bars.

    Args:
        plan: the grid as it started, at the first bar's open.
        rules: where the instrument's rules came from, in words.
        fill_rule: `touch` or `through`.
        trades: every trade in order, the purchase at the start included.
        profits: for each trade, what it added to the grid profit, quote units before fees.
        money: the books at the last close.
        ledger_lines: (component, asset, amount), the wallet first; see `gridlab.grid.ledger`.
        commands: all that the grid asked for, in order.
        vacancies: slots without an order at the end, and why.
        bars_walked: how many bars touched an order; the scan passed over the others.

    Raises:
        InvariantError: cash flows and books do not give the same equity.
    """

    plan: GridPlan
    bars: Bars
    rules: str
    fill_rule: str
    trades: tuple[Trade, ...]
    profits: tuple[Decimal, ...]
    money: Money
    ledger_lines: tuple[tuple[str, str, Decimal], ...]
    commands: tuple[Command, ...]
    vacancies: tuple[tuple[int, str], ...]
    bars_walked: int

    def __post_init__(self) -> None:
        with exact():
            earned = self._wallet_value()
            if earned != self.money.total:
                raise InvariantError(
                    f"the wallet says {text(earned)} {self.quote} were earned and the books say "
                    f"{text(self.money.total)}"
                )

    def _wallet_value(self) -> Decimal:
        """The change of equity by cash flows alone: what trades moved, at the last close."""
        fees = self.spec.fees
        marks = {self.quote: ONE, self.instrument.base: self.last_price}
        marks.setdefault(fees.third_asset, fees.third_price)
        wallet = [(asset, amount) for part, asset, amount in self.ledger_lines if part == "wallet"]
        return sum((amount * marks[asset] for asset, amount in wallet if amount), Decimal(0))

    # --- what it was ------------------------------------------------------------------------------

    @property
    def spec(self) -> GridSpec:
        return self.plan.spec

    @property
    def instrument(self) -> Instrument:
        return self.plan.instrument

    @property
    def symbol(self) -> str:
        return self.spec.symbol

    @property
    def quote(self) -> str:
        return self.instrument.quote

    @property
    def lines(self) -> tuple[Decimal, ...]:
        """The grid's price lines, ascending."""
        return self.plan.lines

    @property
    def first_price(self) -> Decimal:
        return self.plan.reference_price

    @property
    def last_price(self) -> Decimal:
        return from_float(self.bars.close[-1])

    # --- figures ----------------------------------------------------------------------------------

    @property
    def equity(self) -> Decimal:
        """What the investment is worth at the last close: investment + total, exactly."""
        with exact():
            return self.money.investment + self.money.total

    @property
    def total_return(self) -> float:
        """equity / investment - 1."""
        with rounding():
            return float(self.equity / self.money.investment - 1)

    @cached_property
    def fills(self) -> Fills:
        """Fills of resting orders by side; the purchase at the start is not counted."""
        resting = [trade for trade in self.trades if not _is_errand(trade)]
        buys = sum(trade.side is Side.BUY for trade in resting)
        return Fills(buys, len(resting) - buys)

    @property
    def hold_return(self) -> float:
        """What buying at the first open and holding returns at the last close, taker fee paid."""
        return float(self.curve.hold[-1]) / float(self.money.investment) - 1

    @cached_property
    def drawdown(self) -> Drawdown:
        """The deepest fall of equity, the investment before the first bar included.

        Measured at closes; positions count bars, and a peak at the very start is at bar 0.
        """
        found = max_drawdown(np.concatenate(([float(self.money.investment)], self.curve.equity)))
        back = found.recovered
        return Drawdown(
            found.fraction,
            max(0, found.peak - 1),
            max(0, found.trough - 1),
            None if back is None else max(0, back - 1),
        )

    @property
    def max_drawdown(self) -> float:
        """The deepest fall of equity at closes, as a fraction of the height before it."""
        return self.drawdown.fraction

    @cached_property
    def out_of_range(self) -> float:
        """The fraction of bars that closed below the lowest or above the highest line."""
        return fraction_outside(self.bars.close, float(self.lines[0]), float(self.lines[-1]))

    @property
    def duration_ms(self) -> int:
        """From the first open to the end of the last bar."""
        return self.bars.end_ms - int(self.bars.open_time_ms[0])

    def close_time_ms(self, bar: int) -> int:
        """The last millisecond of a bar."""
        return int(self.bars.open_time_ms[bar]) + self.bars.interval.ms - 1

    # --- curves -----------------------------------------------------------------------------------

    @cached_property
    def curve(self) -> Curve:
        """Cash, base and equity at every bar's close."""
        times = self.bars.open_time_ms + (self.bars.interval.ms - 1)
        done = np.searchsorted(self._trade_times, times, side="right")
        cash, base, tokens = (flow[done] for flow in self._flows)
        close = self.bars.close
        investment = float(self.money.investment)
        taker = float(self.spec.fees.taker)
        hold = investment / (float(self.first_price) * (1 + taker)) * close
        return Curve(times, close, cash, base, cash + base * close + tokens, hold)

    @cached_property
    def _trade_times(self) -> npt.NDArray[np.int64]:
        return np.array([trade.time_ms for trade in self.trades], np.int64)

    @cached_property
    def _flows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cash, base and the worth of fee tokens, before any trade and after each: n + 1 values."""
        base_asset, quote = self.instrument.base, self.quote
        token_price = float(self.spec.fees.third_price)
        steps = np.zeros((len(self.trades) + 1, 3))
        steps[0, 0] = float(self.money.investment)
        for step, trade in zip(steps[1:], self.trades, strict=True):
            sign = 1 if trade.side is Side.BUY else -1
            quantity, fee = float(trade.quantity), float(trade.fee)
            step[0] = -sign * quantity * float(trade.price) - fee * (trade.fee_asset == quote)
            step[1] = sign * quantity - fee * (trade.fee_asset == base_asset)
            if trade.fee_asset not in (quote, base_asset):
                step[2] = -fee * token_price
        cash, base, tokens = steps.cumsum(axis=0).T
        return cash, base, tokens

    @cached_property
    def equity_at_fills(self) -> FloatArray:
        """Equity right after each trade, at that trade's own price; one value for each trade."""
        cash, base, tokens = (flow[1:] for flow in self._flows)
        prices = np.array([float(trade.price) for trade in self.trades])
        equity: FloatArray = cash + base * prices + tokens
        return equity


def slot_of(trade: Trade) -> ClientId:
    """Where a trade belongs: its run, slot, cycle and attempt."""
    parsed = ClientId.parse(trade.client_id)
    assert parsed is not None, "only the grid trades in a backtest"
    return parsed


def _is_errand(trade: Trade) -> bool:
    return slot_of(trade).slot < 0
