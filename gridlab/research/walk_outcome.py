"""`WalkOutcome`: what a walk-forward found, as values, curves and verdicts.

Everything that counts is made of trials alone. Growth is a multiple of the money that a window, or
a stretch for holding, began with. Knows nothing of how windows were run or of how it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput
from gridlab.research.baselines import Luck, share_beaten
from gridlab.research.metrics import FloatArray, max_drawdown
from gridlab.research.overfitting import SLICES, Overfitting, overfitting
from gridlab.research.sampling import Walk
from gridlab.research.significance import Deflated, Moments, deflated_sharpe
from gridlab.research.space import Space
from gridlab.research.stability import mean_known, percentiles, spearman
from gridlab.research.windows import Window
from gridlab.research.words import DAY_MS

#: The names of what a grid has to beat, in the order in which a report tells them.
HOLD, RANDOM, ATR, CASH = "holding", "the median random grid", "the ATR rule", "cash"


@dataclass(frozen=True, slots=True)
class Setup:
    """How the walk went; see `walk_forward` for each."""

    train_ms: int
    test_ms: int
    purge_ms: int
    step_ms: int
    anchored: bool
    select: str
    compound: bool
    sample_ms: int
    fill_rule: str
    draws: int
    seed: int


@dataclass(frozen=True, eq=False)
class WindowRun:
    """One window: the choice, what it did afterwards, and what the others did.

    Args:
        chosen: the row of the space; plan: its grid as it was laid at the trial's first price.
        scores, trained: by row of the space: score, and return in training after closing; NaN where
            the setting could not start.
        tested: by tried row: return in the trial after closing.
        returns: [samples, tried rows] of the trial; ends: the bars at which they were taken.
        time_ms: the last millisecond of every bar of the trial.
        grid, atr: the choice and the ATR rule at those bars; None where the rule could not start,
            and then `atr_plan` says why.
    """

    window: Window
    chosen: int
    plan: GridPlan
    scores: FloatArray
    trained: FloatArray
    tested: FloatArray
    returns: FloatArray
    time_ms: IntArray
    ends: IntArray
    grid: Walk
    atr: Walk | None
    atr_plan: GridPlan | str

    @property
    def in_sample(self) -> float:
        """The choice's return in training."""
        return float(self.trained[self.chosen])

    @property
    def out_of_sample(self) -> float:
        """The choice's return in the trial."""
        return self.grid.total_return

    @property
    def sampled(self) -> FloatArray:
        """The choice's returns in the trial, by sample."""
        return Walk(self.grid.equity[self.ends], 0, 0).returns


class Curves(NamedTuple):
    """The trials put end to end at every close, as multiples of the first investment."""

    time_ms: IntArray
    grid: FloatArray
    hold: FloatArray
    atr: FloatArray


@dataclass(frozen=True, eq=False)
class WalkOutcome:
    """What choosing grids by their past earned afterwards.

    Args:
        rows: which rows of the space ran on the trials.
        hold: by window, holding since its stretch began.
        luck: what choosing at random from the same space came to.
    """

    space: Space
    setup: Setup
    bars: Bars = field(repr=False)
    rows: IntArray = field(repr=False)
    runs: tuple[WindowRun, ...] = field(repr=False)
    hold: tuple[FloatArray, ...] = field(repr=False)
    luck: Luck = field(repr=False)

    def __len__(self) -> int:
        return len(self.runs)

    # --- what came of it --------------------------------------------------------------------------

    @cached_property
    def curves(self) -> Curves:
        """Equity of the choices, of holding and of the ATR rule through all trials."""
        stretches = [run.window.stretch for run in self.runs]
        apart = list(range(len(self.runs)))
        atr = [np.ones(len(r.time_ms)) if r.atr is None else r.atr.equity for r in self.runs]
        return Curves(
            np.concatenate([run.time_ms for run in self.runs]),
            self._joined([run.grid.equity for run in self.runs], apart),
            self._joined(self.hold, stretches),
            self._joined(atr, apart),
        )

    def _joined(self, parts: Sequence[FloatArray], keys: Sequence[int]) -> FloatArray:
        """Growth put end to end; parts of one key grow from the same start."""
        start = end = 1.0
        joined: list[FloatArray] = []
        for k, part in enumerate(parts):
            if k and keys[k] != keys[k - 1]:
                start = end
            value = start * part if self.setup.compound else start + part - 1
            end = float(value[-1])
            joined.append(value)
        return np.concatenate(joined)

    @property
    def total_return(self) -> float:
        """What the choices made out of sample in all, closing included."""
        return float(self.curves.grid[-1]) - 1

    @property
    def hold_return(self) -> float:
        """What holding made over the same time: bought and sold once for each stretch of trials."""
        return float(self.curves.hold[-1]) - 1

    @property
    def atr_return(self) -> float:
        """What the ATR rule made in the same windows."""
        return float(self.curves.atr[-1]) - 1

    @property
    def random_return(self) -> float:
        """The median of the random choices."""
        return float(np.median(self.luck.totals))

    @property
    def random_beaten(self) -> float:
        """The share of random choices that the choices were better than, 0 to 1."""
        return share_beaten(self.total_return, self.luck.totals)

    @property
    def benchmarks(self) -> dict[str, float]:
        """What had to be beaten, by name, and what it made."""
        values = (self.hold_return, self.random_return, self.atr_return, 0.0)
        return dict(zip((HOLD, RANDOM, ATR, CASH), values, strict=True))

    @property
    def beats(self) -> dict[str, bool]:
        """Which of them the grid beat out of sample; a draw is no victory."""
        return {name: self.total_return > value for name, value in self.benchmarks.items()}

    @property
    def max_drawdown(self) -> float:
        """The deepest fall of the choices' equity at closes, as a fraction."""
        return max_drawdown(np.concatenate(([1.0], self.curves.grid))).fraction

    @property
    def hold_drawdown(self) -> float:
        """The same of holding."""
        return max_drawdown(np.concatenate(([1.0], self.curves.hold))).fraction

    @property
    def days(self) -> float:
        """Time on trial, in days."""
        return len(self.runs) * self.setup.test_ms / DAY_MS

    @cached_property
    def efficiency(self) -> float:
        """Growth a day out of sample over growth a day in sample, of the choices.

        1 where a choice keeps what it promised; NaN where it promised nothing, for a loss in sample
        has no efficiency. Source: R. Pardo, The Evaluation and Optimization of Trading Strategies,
        2nd ed. 2008, walk-forward efficiency; here of logarithms, which add over time.
        """
        grown = sum(np.log1p(run.out_of_sample) for run in self.runs)
        promised = sum(np.log1p(run.in_sample) for run in self.runs)
        spans = [run.window.train_to_ms - run.window.train_from_ms for run in self.runs]
        if promised <= 0:
            return float("nan")
        return float(grown / (len(self.runs) * self.setup.test_ms) / (promised / sum(spans)))

    # --- whether choosing works -------------------------------------------------------------------

    @cached_property
    def rank_correlations(self) -> FloatArray:
        """By window, Spearman's correlation of score in training and return in the trial."""
        return np.array([spearman(run.scores[self.rows], run.tested) for run in self.runs])

    @property
    def rank_correlation(self) -> float:
        """Their mean over the windows that have one; at 0 the past does not order the trials."""
        return float(mean_known(self.rank_correlations[:, None])[0])

    @cached_property
    def tested(self) -> FloatArray:
        """[windows, tried rows]: return in the trial; NaN where a setting could not start."""
        return np.array([run.tested for run in self.runs])

    @cached_property
    def places(self) -> tuple[FloatArray, FloatArray]:
        """([windows, tried rows] of training, of trial): the percentile of each setting."""
        inside = [percentiles(run.scores[self.rows]) for run in self.runs]
        return np.array(inside), np.array([percentiles(run.tested) for run in self.runs])

    @cached_property
    def moments(self) -> Moments:
        """Of the choices' returns out of sample, one for each sample of time."""
        return Moments.of(np.concatenate([run.sampled for run in self.runs]))

    @cached_property
    def hold_moments(self) -> Moments:
        """Of holding's returns over the same samples of time."""
        returns: list[FloatArray] = []
        before, stretch = 1.0, -1
        for run, growth in zip(self.runs, self.hold, strict=True):
            if run.window.stretch != stretch:
                before, stretch = 1.0, run.window.stretch
            sampled = growth[run.ends]
            returns.append(sampled / np.concatenate(([before], sampled[:-1])) - 1)
            before = float(sampled[-1])
        return Moments.of(np.concatenate(returns))

    @cached_property
    def _panel(self) -> tuple[FloatArray, list[int], IntArray]:
        """([samples, settings] of the trials, where windows begin, the settings' rows).

        Settings that could not start in every window have no whole record and are left out.
        """
        whole = np.isfinite(self.tested).all(axis=0)
        parts = [run.returns[:, whole] for run in self.runs]
        edges = [0, *np.cumsum([len(part) for part in parts]).tolist()]
        return np.concatenate(parts), edges, self.rows[whole]

    @property
    def judged(self) -> int:
        """How many settings have a record of every trial."""
        return len(self._panel[2])

    @cached_property
    def overfitting(self) -> Overfitting | None:
        """PBO of choosing by Sharpe ratio among all settings, laid anew in each trial.

        Slices of time are whole windows, as many as are even and at most 16. None with fewer than
        two windows or settings.
        """
        returns, edges, rows = self._panel
        count = min(SLICES, len(self.runs) // 2 * 2)
        if count < 2 or len(rows) < 2:
            return None
        cuts = np.linspace(0, len(self.runs), count + 1).astype(np.int64)
        try:
            return overfitting(returns, edges=[edges[cut] for cut in cuts])
        except InvalidInput:  # slices of a single sample: there is no ratio to rank
            return None

    @cached_property
    def deflated(self) -> Deflated | None:
        """The best setting in hindsight over all trials, judged as the best of so many.

        Its `column` counts the settings with a whole record; `hindsight` is its row. None with
        fewer than two.
        """
        returns, _, rows = self._panel
        return deflated_sharpe(returns) if len(rows) > 1 else None

    @property
    def hindsight(self) -> int | None:
        """The row of the setting that would have had the best Sharpe ratio over all trials."""
        return None if self.deflated is None else int(self._panel[2][self.deflated.column])
