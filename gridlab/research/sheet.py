"""`Sheet`: many settings on one ground, a row of figures each, and the questions asked of them.

What a sweep and a study have in common: frames, rankings, the Pareto front, one row in full, and
numbers for pictures. All of it is in-sample: rows were ranked on the bars that they were measured
on, so the best of many is better than it will be. Knows no picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gridlab.domain.market import FeeSchedule
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.money import ZERO
from gridlab.research.ground import Ground
from gridlab.research.result import BacktestResult
from gridlab.research.settings import shown, spec_of

if TYPE_CHECKING:
    import pandas as pd

#: Figures of which less is better; of all others more is.
LESS_IS_BETTER = frozenset({"max_drawdown", "out_of_range", "was_liquidated"})
PROFIT, RISK = "total_return", "max_drawdown"


@dataclass(frozen=True)
class Row:
    """One row in full.

    Args:
        spec: the grid, or None where these settings are no grid at all.
        figures: by name; NaN, -1 or empty where the row could not start.
        reason: why it could not start; empty where it ran.
    """

    i: int
    settings: Mapping[str, object]
    spec: GridSpec | None
    figures: Mapping[str, Any]
    reason: str

    def __repr__(self) -> str:
        settings = ", ".join(f"{name} {shown(value)}" for name, value in self.settings.items())
        if self.reason:
            return f"Row {self.i}: {settings}: cannot start: {self.reason}"
        names = (PROFIT, RISK, "buys", "sells")
        figures = ", ".join(f"{name} {self.figures[name]:.6g}" for name in names)
        return f"Row {self.i}: {settings}: {figures}"


class Sheet(ABC):
    """Rows of settings and figures on one ground."""

    #: What the rows are called: `sweep` or `study`.
    kind: str

    def __init__(self, ground: Ground, table: pd.DataFrame) -> None:
        self.ground = ground
        self._table = table

    # --- what a sweep and a study say themselves --------------------------------------------------

    @abstractmethod
    def settings(self, i: int) -> dict[str, object]:
        """All settings of row `i`."""

    @abstractmethod
    def _columns(self) -> dict[str, list[object]]:
        """The values of each setting that varies, row by row."""

    # --- rows -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    @property
    def symbol(self) -> str:
        return self.ground.symbol

    @cached_property
    def ran(self) -> npt.NDArray[np.bool_]:
        """Which rows could start and were measured."""
        return np.asarray(self._table["reason"].to_numpy() == "", np.bool_)

    @cached_property
    def axes(self) -> pd.DataFrame:
        """The settings that vary, as asked for: float64, int64 or text.

        Fees are one rate where maker and taker are equal; their column is `fee_rate`, for `fees`
        is the figure.
        """
        import pandas as pd

        columns = {}
        for name, values in self._columns().items():
            columns["fee_rate" if name == "fees" else name] = _column(values)
        return pd.DataFrame(columns, index=self._table.index)

    def to_frame(self) -> pd.DataFrame:
        """One row for each setting: what varies, the figures, and why a row could not start.

        Settings are as asked for; `lower`, `upper` and `quantity` that were not asked for are the
        plan's, on tick and lot. Fractions are fractions, amounts are in quote units. A row that
        could not start has NaN, -1 and empty texts.
        """
        import pandas as pd

        own = [name for name in self._table.columns if name not in self.axes.columns]
        return pd.concat([self.axes, self._table[own]], axis=1)

    def best(self, by: str = PROFIT, n: int = 10, ascending: bool | None = None) -> pd.DataFrame:
        """The `n` best rows by a figure, the best first; of equal ones the earlier.

        Args:
            ascending: by default from the largest down, and of `max_drawdown` and `out_of_range`
                from the smallest up.

        Raises:
            InvalidInput: no such figure, or one that is no number.
        """
        frame = self.to_frame()[self.ran]
        self.figure(by)
        upward = by in LESS_IS_BETTER if ascending is None else ascending
        return frame.sort_values(by, ascending=upward, kind="stable").head(n)

    def figure(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers by its name, one for each row, as float64.

        Raises:
            InvalidInput: no such column, with the nearest; or one of text.
        """
        for frame in (self.axes, self._table):
            if name in frame and frame[name].dtype.kind in "fi":
                return np.asarray(frame[name].to_numpy(), np.float64)
        whole = self.to_frame()
        numbers = [str(c) for c in whole.columns if whole[c].dtype.kind in "fi"]
        near = get_close_matches(name, numbers, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(numbers)}"
        raise InvalidInput(f"the {self.kind} has no figure {name!r}; {hint}")

    def row(self, i: int) -> Row:
        """Settings, grid and figures of row `i`.

        Raises:
            InvalidInput: there is no such row.
        """
        settings = self.settings(i)
        figures = {str(name): self._table[name].iloc[i] for name in self._table.columns}
        reason = str(figures.pop("reason"))
        try:
            spec = spec_of(self.symbol, settings, self.ground.price)
        except InvalidSpec:
            spec = None
        return Row(i, settings, spec, figures, reason)

    def spec(self, i: int) -> GridSpec:
        """The grid of row `i`, as `backtest` takes it.

        Raises:
            InvalidSpec: these settings are no grid at all.
        """
        return spec_of(self.symbol, self.settings(i), self.ground.price)

    def backtest(self, i: int) -> BacktestResult:
        """The whole backtest of row `i`, on the same bars by the same rules.

        Raises:
            InvalidSpec: the row could not start; every rule that forbids it is named.
        """
        return self.ground.backtest(self.spec(i))

    def pareto(self, profit: str = PROFIT, risk: str = RISK) -> pd.DataFrame:
        """The rows that no other beats in both figures, by falling risk and profit.

        More of `profit` and less of `risk` is better. Of rows that are equal in both the first is
        kept.
        """
        rows = np.flatnonzero(self.ran)
        front = rows[pareto_front(self.figure(profit)[rows], self.figure(risk)[rows])]
        return self.to_frame().iloc[front]


def pareto_front(
    profit: npt.NDArray[np.float64], risk: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Positions of the points that none beats in both, by rising risk; of equal ones the first.

    >>> pareto_front(np.array([1.0, 3.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0, 2.0])).tolist()
    [0, 1]
    """
    order = np.lexsort((np.arange(len(risk)), -profit, risk))
    front, highest = [], -np.inf
    for place in order.tolist():
        if profit[place] > highest:
            front.append(place)
            highest = profit[place]
    return np.array(front, np.int64)


def _column(values: list[object]) -> npt.NDArray[Any]:
    """Whole numbers as int64, other numbers as float64, the rest in words."""
    if all(type(value) is int for value in values):
        return np.array(values, np.int64)
    if all(isinstance(value, (int, Decimal)) and type(value) is not bool for value in values):
        return np.array([float(value) for value in values])  # type: ignore[arg-type]
    fees = [value for value in values if isinstance(value, FeeSchedule)]
    kinds = {replace(fee, maker=ZERO, taker=ZERO) for fee in fees}
    if len(fees) == len(values) and len(kinds) == 1 and all(f.maker == f.taker for f in fees):
        return np.array([float(fee.maker) for fee in fees])
    return np.array([shown(value) for value in values], object)
