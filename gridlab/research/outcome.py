"""`Outcome`: what a backtest did, as values and curves.

Amounts of money are Decimals of exact books. Curves are float64, made when first asked for from the
trades and the closes, for eyes and statistics; the books never come from them. A run of the kernel
has its trades as columns; the objects are told by the core when somebody asks for them. Knows
nothing of how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gridlab.clock import iso
from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.commands import Command
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import BarPath, Instrument
from gridlab.domain.orders import Trade
from gridlab.domain.plan import GridPlan
from gridlab.domain.snapshot import Money
from gridlab.domain.spec import GridSpec
from gridlab.errors import BugError, InvariantError
from gridlab.money import ONE, exact, from_float, rounding, text
from gridlab.research.flows import Flows, slot_of
from gridlab.research.metrics import Drawdown, FloatArray, fraction_outside, max_drawdown

__all__ = ["Curve", "Fills", "Liquidation", "Outcome", "Story", "slot_of"]


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


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A futures position that the venue closed by force; price: what it was closed at."""

    time_ms: int
    price: Decimal
    quantity: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Story:
    """What the core has to tell of a run, object by object.

    Args:
        trades: every trade in order, the purchase at the start included.
        profits: for each trade, what it added to the grid profit, quote units before fees.
        commands: all that the grid asked for, in order.
        vacancies: slots without an order at the end, and why.
        money, ledger_lines, bars_walked: as in `Outcome`.
        payments: funding that was paid, in order; liquidation: the end of a futures grid, if so.
    """

    trades: tuple[Trade, ...]
    profits: tuple[Decimal, ...]
    commands: tuple[Command, ...]
    vacancies: tuple[tuple[int, str], ...]
    money: Money
    ledger_lines: tuple[tuple[str, str, Decimal], ...]
    bars_walked: int
    payments: tuple[FundingPaid, ...] = ()
    liquidation: Liquidation | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one grid did on one series of bars.

    Args:
        plan: the grid as it started, at the first bar's open.
        rules: where the instrument's rules came from, in words.
        fill_rule: `touch` or `through`.
        engine: `kernel` or `core`: who made the figures. Both are held equal by tests.
        flows: every trade as columns.
        money: the books at the last close.
        ledger_lines: (component, asset, amount), the wallet first; see `gridlab.grid.ledger`.
        bars_walked: how many bars touched an order; the scan passed over the others.
        tell: the core's story of the same run; called once, when its objects are asked for.
        margin: on futures `isolated` or `crossed`; empty on spot.
        liquidation: the forced closing that ended a futures grid; None when there was none.
        funding_words: what was known of funding, in words; empty on spot.
        participation, path, latency_ms: the assumptions, as `backtest` takes them.
        again: the same backtest under other assumptions, which are named as `backtest` names them.

    Raises:
        InvariantError: cash flows and books do not give the same equity.
    """

    plan: GridPlan
    bars: Bars
    rules: str
    fill_rule: str
    engine: str
    flows: Flows
    money: Money
    ledger_lines: tuple[tuple[str, str, Decimal], ...]
    bars_walked: int
    tell: Callable[[], Story]
    margin: str = ""
    liquidation: Liquidation | None = None
    funding_words: str = ""
    participation: Decimal | None = None
    path: BarPath = BarPath.STATED
    latency_ms: int = 0
    again: Callable[..., Outcome] | None = None

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

    # --- the objects of the core -----------------------------------------------------------------

    @cached_property
    def story(self) -> Story:
        """The run as the core tells it.

        Raises:
            BugError: the kernel's figures are not the core's.
        """
        story = self.tell()
        rows = Flows.of(story.trades, self.bars, self.instrument, story.payments)
        odd = rows.difference(self.flows)
        for name in ("money", "ledger_lines", "bars_walked", "liquidation"):
            if not odd and getattr(story, name) != getattr(self, name):
                odd = f"{name} is {getattr(story, name)} against {getattr(self, name)}"
        if not odd and story.vacancies and self.engine == "kernel":
            odd = f"slots stand vacant: {story.vacancies}"
        if odd:
            raise BugError(
                f"core and kernel differ on {self.symbol}: {odd}; report grid and bars, and "
                "use engine='core' until it is repaired"
            )
        return story

    @property
    def trades(self) -> tuple[Trade, ...]:
        """Every trade in order, the purchase at the start included."""
        return self.story.trades

    @property
    def profits(self) -> tuple[Decimal, ...]:
        """For each trade, what it added to the grid profit, quote units before fees."""
        return self.story.profits

    @property
    def commands(self) -> tuple[Command, ...]:
        """All that the grid asked for, in order."""
        return self.story.commands

    @property
    def vacancies(self) -> tuple[tuple[int, str], ...]:
        """Slots without an order at the end, and why; the kernel takes no grid that has any."""
        return () if self.engine == "kernel" else self.story.vacancies

    @property
    def payments(self) -> tuple[FundingPaid, ...]:
        """Funding that was paid, in order; positive amounts were received."""
        return self.story.payments

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

    @property
    def return_on_margin(self) -> float:
        """total / the margin that the start needed: on spot and at leverage 1 nearly the return."""
        with rounding():
            return float(self.money.total / self.plan.margin_needed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever reads the figures must know first, as sentences; usually none."""
        end = self.liquidation
        if end is None:
            return ()
        return (
            f"LIQUIDATED: on {iso(end.time_ms)} the venue closed the position of "
            f"{text(end.quantity)} {self.instrument.base} by force at {text(end.price)}, at "
            f"leverage {self.spec.leverage} with {self.margin} margin; the grid ended there",
        )

    @cached_property
    def fills(self) -> Fills:
        """Fills of resting orders by side; the purchase at the start is not counted."""
        resting = self.flows.side[self.flows.slot >= 0]
        buys = int(np.count_nonzero(resting > 0))
        return Fills(buys, len(resting) - buys)

    @property
    def hold_return(self) -> float:
        """What buying at the first open and holding returns at the last close, taker fee paid."""
        investment = float(self.money.investment)
        return self._hold_units * float(self.bars.close[-1]) / investment - 1

    @property
    def _hold_units(self) -> float:
        taker = float(self.spec.fees.taker)
        return float(self.money.investment) / (float(self.first_price) * (1 + taker))

    @cached_property
    def drawdown(self) -> Drawdown:
        """The deepest fall of equity, the investment before the first bar included.

        Measured at closes; positions count bars, and a peak at the very start is at bar 0.
        """
        if self._is_compiled:
            return self._closes[1]
        found = max_drawdown(np.concatenate(([float(self.money.investment)], self.equity_curve)))
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

    @property
    def equity_curve(self) -> FloatArray:
        """Equity at every bar's close."""
        return self._closes[0]

    @cached_property
    def curve(self) -> Curve:
        """Cash, base and equity at every bar's close."""
        times = self.bars.open_time_ms + (self.bars.interval.ms - 1)
        cash, base, _ = (self._at_closes(flow) for flow in self._balances)
        close = self.bars.close
        if len(self.flows.paid):
            cash = cash + self.flows.paid_by_bar(len(close))
        return Curve(times, close, cash, base, self.equity_curve, self._hold_units * close)

    def _at_closes(self, flow: FloatArray) -> FloatArray:
        """The value after the last trade of each bar, of n + 1 values around n trades."""
        edges = np.concatenate(([0], self.flows.bar, [len(self.bars)]))
        return np.repeat(flow, np.diff(edges))

    @cached_property
    def _closes(self) -> tuple[FloatArray, Drawdown]:
        """Equity at closes, and its deepest fall."""
        cash, base, tokens = self._balances
        height, close = float(self.money.investment), self.bars.close
        if not self._is_compiled:
            at = self._at_closes
            equity = at(cash) + at(base) * close + at(tokens)
            if len(self.flows.paid):
                equity = equity + self.flows.paid_by_bar(len(close))
            return equity, max_drawdown(np.concatenate(([height], equity)))
        from gridlab.research import kernel

        equity = np.empty(len(close))
        fall, peak, trough, back = kernel.closes(
            close, self.flows.bar, cash, base, tokens, height, equity
        )
        recovered = back if back < len(close) else None
        return equity, Drawdown(-fall or 0.0, max(0, peak), max(0, trough), recovered)

    @property
    def _is_compiled(self) -> bool:
        """Whether the compiled loop makes the curve; it knows no funding."""
        return self.engine == "kernel" and not len(self.flows.paid)

    @cached_property
    def _balances(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cash, base and the worth of fee tokens, before any trade and after each."""
        return self.flows.balances(float(self.money.investment), float(self.spec.fees.third_price))

    @cached_property
    def equity_at_fills(self) -> FloatArray:
        """Equity right after each trade, at that trade's own price; one value for each trade."""
        cash, base, tokens = (flow[1:] for flow in self._balances)
        equity: FloatArray = cash + base * self.flows.price + tokens
        return equity + self.flows.paid_at_trades() if len(self.flows.paid) else equity

    # --- trades as columns ------------------------------------------------------------------------

    @property
    def fill_times_ms(self) -> IntArray:
        """When each trade happened, the purchase at the start included."""
        return self.flows.time_ms

    @property
    def fill_prices(self) -> FloatArray:
        return self.flows.price

    @property
    def fill_slots(self) -> IntArray:
        """The slot of each trade; below zero for the purchase at the start."""
        return self.flows.slot

    @property
    def fill_sides(self) -> npt.NDArray[np.int8]:
        """1 for a buy, -1 for a sale."""
        return self.flows.side
