"""A walk-forward as pandas frames: windows, equity, settings. Imports pandas, so imported last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gridlab.domain.plan import GridPlan
from gridlab.grid.view import spacing_of
from gridlab.research.stability import mean_known

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridlab.research.walk_outcome import WalkOutcome


def windows_frame(result: WalkOutcome) -> pd.DataFrame:
    """One row for each window, indexed by `trial_from` (datetime64[ms, UTC]).

    Columns: train_from, trial_to; the settings that vary in the space, exact; chosen (its row);
    in_sample, out_of_sample, random (mean of all settings), place (share of the other settings
    that the choice beat in the trial, 0 to 1), hold, atr: returns as fractions; spearman; buys,
    sells; atr_levels, atr_spacing. NaN where undefined, -1 levels where the ATR rule could not
    start.
    """
    runs, space = result.runs, result.space
    settings = [space.settings(run.chosen) for run in runs]
    windows = [run.window for run in runs]
    columns: dict[str, Any] = {
        "train_from": _utc([window.train_from_ms for window in windows]),
        "trial_to": _utc([window.test_to_ms for window in windows]),
        "chosen": np.array([run.chosen for run in runs], np.int64),
    }
    columns |= {name: [row[name] for row in settings] for name in space.axes}
    atr = [run.atr_plan if isinstance(run.atr_plan, GridPlan) else None for run in runs]
    columns |= {
        "in_sample": [run.in_sample for run in runs],
        "out_of_sample": [run.out_of_sample for run in runs],
        "random": mean_known(result.tested.T),
        "place": [_place(run.out_of_sample, run.tested) for run in runs],
        "hold": _hold_returns(result),
        "atr": [0.0 if run.atr is None else run.atr.total_return for run in runs],
        "spearman": result.rank_correlations,
        "buys": [run.grid.buys for run in runs],
        "sells": [run.grid.sells for run in runs],
        "atr_levels": [-1 if plan is None else plan.spec.levels for plan in atr],
        "atr_spacing": [np.nan if p is None else float(spacing_of(p.lines)) for p in atr],
    }
    index = _utc([window.test_from_ms for window in windows]).rename("trial_from")
    return pd.DataFrame(columns, index=index)


def equity_frame(result: WalkOutcome) -> pd.DataFrame:
    """Equity at every close of the trials as multiples of the first investment, float64.

    Columns grid, hold, atr; indexed by `time` (datetime64[ms, UTC]), the last millisecond of a bar.
    """
    curves = result.curves
    columns = {"grid": curves.grid, "hold": curves.hold, "atr": curves.atr}
    return pd.DataFrame(columns, index=_utc(curves.time_ms).rename("time"))


def stability_frame(result: WalkOutcome) -> pd.DataFrame:
    """One row for each setting that ran on the trials, indexed by its row in the space.

    Columns: the settings that vary; chosen: in how many windows; in_sample, out_of_sample: mean
    percentile among all settings, 0 to 1; worst: the lowest percentile out of sample; won: the
    share of its trials above zero; mean_return of its trials. NaN where it never started.
    """
    space, rows = result.space, result.rows.tolist()
    settings = [space.settings(row) for row in rows]
    inside, outside = result.places
    counts = np.bincount([run.chosen for run in result.runs], minlength=len(space))
    tested = result.tested
    started = np.isfinite(tested)
    columns: dict[str, Any] = {name: [one[name] for one in settings] for name in space.axes}
    columns |= {
        "chosen": counts[result.rows],
        "in_sample": mean_known(inside),
        "out_of_sample": mean_known(outside),
        "worst": np.fmin.reduce(outside, axis=0),
        "won": mean_known(np.where(started, tested > 0, np.nan)),
        "mean_return": mean_known(tested),
    }
    return pd.DataFrame(columns, index=pd.Index(rows, name="row"))


def _hold_returns(result: WalkOutcome) -> list[float]:
    """By window, what holding through the stretch made in it; fees where they fall."""
    returns, before, stretch = [], 1.0, None
    for run, growth in zip(result.runs, result.hold, strict=True):
        if run.window.stretch != stretch:
            before, stretch = 1.0, run.window.stretch
        returns.append(float(growth[-1]) / before - 1)
        before = float(growth[-1])
    return returns


def _place(value: float, others: npt.NDArray[np.float64]) -> float:
    """The share of settings that did worse, the choice itself left out once."""
    known = others[np.isfinite(others)]
    below = np.count_nonzero(known < value - 1e-15)
    return float(below / max(1, len(known) - 1))


def _utc(time_ms: Any) -> pd.DatetimeIndex:
    stamps = np.asarray(time_ms, np.int64).astype("datetime64[ms]")
    return pd.DatetimeIndex(stamps).tz_localize("UTC")
