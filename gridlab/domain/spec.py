"""What the user asks for: one grid, before it meets an instrument and a price.

`spacing` is one Decimal fraction (0.005 is half a percent); percentages are converted at the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridlab.domain.market import FeeSchedule, Market
from gridlab.errors import InvalidSpec
from gridlab.money import ZERO

MAX_LEVELS = 1000
MAX_LEVERAGE = 125


class Spacing(StrEnum):
    """How the distance between neighbouring lines is measured."""

    GEOMETRIC = "geometric"  # equal ratios: the same profit per grid, in percent, everywhere
    ARITHMETIC = "arithmetic"  # equal differences in quote units


@dataclass(frozen=True, slots=True)
class GridSpec:
    """One grid as asked for.

    A grid of `levels` grids (intervals) has `levels + 1` price lines and `levels` resting orders:
    one line, the one nearest the price, stays empty. Give either `spacing` (lines are laid around
    the price at start) or both `lower` and `upper`. Give either `quantity` or `investment`.

    Args:
        levels: number of grids, 2 to 1000.
        spacing: fraction between neighbouring lines; for arithmetic grids, of the start price.
        lower, upper: the lowest and highest line, quote units.
        quantity: base units of every order.
        investment: quote units for the whole grid, the initial purchase and fees included.
        fees: what the venue will take; used to size the initial purchase and to refuse a grid that
            cannot pay its fees.
        allow_unprofitable: accept a spacing below the round-trip fee.
        leverage: futures: how many times the margin a position may be worth. It changes what the
            venue sets aside, not the grid: `investment` is the value of all orders, as on spot.
        liquidation_buffer: futures: while the venue's liquidation price is nearer to the mark price
            than this fraction of it, nothing is bought; zero switches that guard off.

    Raises:
        InvalidSpec: with every problem found.
    """

    symbol: str
    levels: int
    spacing: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    quantity: Decimal | None = None
    investment: Decimal | None = None
    mode: Spacing = Spacing.GEOMETRIC
    market: Market = Market.SPOT
    fees: FeeSchedule = FeeSchedule()
    allow_unprofitable: bool = False
    leverage: int = 1
    liquidation_buffer: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        problems = [
            *self._level_problems(),
            *self._range_problems(),
            *self._size_problems(),
            *self._futures_problems(),
        ]
        if problems:
            raise InvalidSpec(*problems)

    def _level_problems(self) -> list[str]:
        if isinstance(self.levels, bool) or not isinstance(self.levels, int):
            return [f"levels is {self.levels!r}; a whole number is meant"]
        if not 2 <= self.levels <= MAX_LEVELS:
            return [f"levels is {self.levels}; it must be from 2 to {MAX_LEVELS}"]
        return []

    def _range_problems(self) -> list[str]:
        by_range = self.lower is not None or self.upper is not None
        if by_range == (self.spacing is not None):
            return ["give either spacing, or both lower and upper"]
        if self.spacing is not None:
            if not ZERO < self.spacing <= 1:
                return [f"spacing is {self.spacing}; it is a fraction above 0 and at most 1"]
            return []
        if self.lower is None or self.upper is None:
            return ["lower and upper are given together"]
        if not ZERO < self.lower < self.upper:
            return [f"lower is {self.lower}, upper is {self.upper}; 0 < lower < upper is needed"]
        return []

    def _size_problems(self) -> list[str]:
        if (self.quantity is None) == (self.investment is None):
            return ["give either quantity (base units an order) or investment (quote units in all)"]
        for name in ("quantity", "investment"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                return [f"{name} is {value}; it must be above zero"]
        return []

    def _futures_problems(self) -> list[str]:
        problems = []
        if isinstance(self.leverage, bool) or not isinstance(self.leverage, int):
            problems.append(f"leverage is {self.leverage!r}; a whole number is meant")
        elif not 1 <= self.leverage <= MAX_LEVERAGE:
            problems.append(f"leverage is {self.leverage}; it must be from 1 to {MAX_LEVERAGE}")
        elif self.leverage > 1 and self.market is Market.SPOT:
            problems.append(
                f"leverage is {self.leverage}; on spot it is 1, choose futures for more"
            )
        if not ZERO <= self.liquidation_buffer < 1:
            problems.append(
                f"liquidation_buffer is {self.liquidation_buffer}; it is a fraction from 0 (off) "
                "to below 1"
            )
        return problems
