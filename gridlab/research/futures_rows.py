"""`futures_rows`: the figures of many futures grids, one whole backtest each.

Funding and the watch over margin depend on every bar, so these rows share no walk as those on spot
do; each goes through the kernel where that is exact and through the core elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec
from gridlab.research.result import BacktestResult

if TYPE_CHECKING:
    import pandas as pd

#: Figures that rows on spot do not have.
FUTURES_FIGURES = ("funding", "liquidation", "was_liquidated")
COUNTS = ("levels", "buys", "sells", "was_liquidated")
NAMES = (
    *("levels", "lower", "upper", "quantity", "buys", "sells", "investment", "equity"),
    *("total_return", "max_drawdown", "grid_profit", "floating", "fees", *FUTURES_FIGURES),
    *("base_held", "out_of_range", "engine"),
)


def futures_rows(
    plans: Sequence[GridPlan], backtest: Callable[[GridSpec], BacktestResult]
) -> pd.DataFrame:
    """One row for each plan, in the columns of `BatchResult.to_frame` and three more.

    `funding` is what was received minus paid, `liquidation` the result of a forced closing in quote
    units, `was_liquidated` 1 where there was one and else 0.
    """
    import pandas as pd

    if find_spec("numba") is not None:
        # Whether the kernel is used must not depend on what this process has loaded so far.
        from gridlab.research import kernel  # noqa: F401
    rows = [_row(plan, backtest(plan.spec)) for plan in plans]
    columns: dict[str, Any] = {}
    for name in NAMES:
        kind = np.int64 if name in COUNTS else object if name == "engine" else np.float64
        columns[name] = np.array([row[name] for row in rows], kind)
    return pd.DataFrame(columns)


def _row(plan: GridPlan, result: BacktestResult) -> dict[str, Any]:
    money = result.money
    amounts = ("investment", "grid_profit", "floating", "fees", "funding", "liquidation")
    return {name: float(getattr(money, name)) for name in (*amounts, "base_held")} | {
        "levels": plan.spec.levels,
        "lower": float(plan.lines[0]),
        "upper": float(plan.lines[-1]),
        "quantity": float(plan.quantity),
        "buys": result.fills.buys,
        "sells": result.fills.sells,
        "equity": float(result.equity),
        "total_return": result.total_return,
        "max_drawdown": result.max_drawdown,
        "was_liquidated": int(result.liquidation is not None),
        "out_of_range": result.out_of_range,
        "engine": str(result.engine),
    }
