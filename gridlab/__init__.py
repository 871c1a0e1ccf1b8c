"""GridLab: one grid, four lives: backtested, replayed, shadowed, traded.

The names below are the notebook's face. Each is imported when it is first used, so that
``import gridlab`` costs milliseconds and loads nothing that is not needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gridlab._version import __version__

if TYPE_CHECKING:
    from gridlab.app.facade import GridLab
    from gridlab.client import Client
    from gridlab.data.bars import Bars, read_bars
    from gridlab.data.catalog import catalog, instrument, load
    from gridlab.domain.events import StopPolicy
    from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Interval, Market
    from gridlab.domain.plan import GridPlan
    from gridlab.domain.snapshot import Mode, Snapshot
    from gridlab.domain.spec import Spacing
    from gridlab.errors import GridLabError
    from gridlab.research.backtest import BacktestResult, backtest
    from gridlab.research.grids import make_grid, plan
    from gridlab.research.space import space
    from gridlab.research.stress import stress
    from gridlab.research.study import study
    from gridlab.research.sweep import sweep
    from gridlab.research.walkforward import walk_forward
    from gridlab.widgets import live

_HOME = {
    "GridLab": "gridlab.app.facade",
    "Client": "gridlab.client",
    "Bars": "gridlab.data.bars",
    "read_bars": "gridlab.data.bars",
    "catalog": "gridlab.data.catalog",
    "instrument": "gridlab.data.catalog",
    "load": "gridlab.data.catalog",
    "StopPolicy": "gridlab.domain.events",
    "FeeMode": "gridlab.domain.market",
    "FeeSchedule": "gridlab.domain.market",
    "Instrument": "gridlab.domain.market",
    "Interval": "gridlab.domain.market",
    "Market": "gridlab.domain.market",
    "GridPlan": "gridlab.domain.plan",
    "Mode": "gridlab.domain.snapshot",
    "Snapshot": "gridlab.domain.snapshot",
    "Spacing": "gridlab.domain.spec",
    "GridLabError": "gridlab.errors",
    "BacktestResult": "gridlab.research.backtest",
    "backtest": "gridlab.research.backtest",
    "make_grid": "gridlab.research.grids",
    "plan": "gridlab.research.grids",
    "space": "gridlab.research.space",
    "stress": "gridlab.research.stress",
    "study": "gridlab.research.study",
    "sweep": "gridlab.research.sweep",
    "walk_forward": "gridlab.research.walkforward",
    "live": "gridlab.widgets",
}

__all__ = [
    "BacktestResult",
    "Bars",
    "Client",
    "FeeMode",
    "FeeSchedule",
    "GridLab",
    "GridLabError",
    "GridPlan",
    "Instrument",
    "Interval",
    "Market",
    "Mode",
    "Snapshot",
    "Spacing",
    "StopPolicy",
    "__version__",
    "backtest",
    "catalog",
    "instrument",
    "live",
    "load",
    "make_grid",
    "plan",
    "read_bars",
    "space",
    "stress",
    "study",
    "sweep",
    "walk_forward",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'gridlab' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
