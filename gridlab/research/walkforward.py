"""`walk_forward`: a space of grids judged only by what its choices did afterwards.

In each window the whole space runs on the training span, one setting is chosen, and that setting
runs on the trial span that follows. Nothing of a trial reaches the choice before it, and the trials
put end to end are the only equity that is reported.

**The border.** A grid is laid anew at the first price of a trial, so no position crosses it; and
what is held at a trial's end is sold at its last close for the taker's fee, so none is handed on
for nothing. What does cross is the market's own memory: inventory is marked at the training's last
close, where a move that is half done flatters the settings that hold the right side of it, and the
first hours of a trial would finish that very move. `purge` leaves that time out of both, and with
it the time that choosing and placing take in life. A day is the default: the longest memory of
what is measured here, the daily rhythm of volume and volatility. Training may overlap training;
trials never overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.market import Instrument
from gridlab.domain.plan import GridPlan, Severity
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import fill_rule_of
from gridlab.research.baselines import atr_spec, hold_growth, random_choices
from gridlab.research.batch import run_many
from gridlab.research.choosing import Criterion, criterion_of, scores_of
from gridlab.research.metrics import FloatArray
from gridlab.research.progress import meter
from gridlab.research.sampling import ends_of, walk, walk_many
from gridlab.research.space import Space
from gridlab.research.walk_result import Setup, WalkForward, WindowRun
from gridlab.research.windows import Window, duration_ms, windows_over
from gridlab.research.workers import workers_of

if TYPE_CHECKING:
    from distributed import Client

#: Settings that run on the trials too, for ranks and for the luck of a random choice; of a larger
#: space as many are drawn. Each costs a row of samples, and no setting that was chosen is left out.
MOST_TESTED = 2000


def walk_forward(
    space: Space,
    data: Bars,
    *,
    train: str | timedelta,
    test: str | timedelta,
    purge: str | timedelta = "1d",
    step: str | timedelta | None = None,
    anchored: bool = False,
    select: str | Criterion = "total_return",
    compound: bool = True,
    sample: str | timedelta = "1h",
    draws: int = 10_000,
    instrument: Instrument | None = None,
    fill_rule: FillRule | str = FillRule.TOUCH,
    threads: int | None = None,
    client: Client | str | None = None,
    progress: bool | Callable[[float], None] = True,
    seed: int = 0,
) -> WalkForward:
    """What choosing from `space` by its past earned afterwards, and what would have beaten it.

    Args:
        train, test, purge, step: lengths such as `"14d"` or `"36h"`; a step is from one trial's
            start to the next one's, by default the trial's length.
        anchored: every training begins at the beginning, and so grows.
        select: by what to choose: a name of `choosing.CRITERIA`, or a function of the training's
            `BatchResult` that returns a score for each row.
        compound: a trial starts with what the ones before it left; otherwise each starts with the
            same money, and gains are put aside.
        sample: how often equity is sampled for Sharpe ratios and overfitting.
        draws: random walks through the same windows, one setting drawn in each.
        instrument, fill_rule: as for `backtest`.
        threads: by default one for each core.
        client: a Dask client, the address of a scheduler, or `local`: windows are spread over
            its workers, the result is the same.
        progress: whether a bar is shown, or a function called with the fraction that is done.
        seed: of every draw.

    Raises:
        InvalidInput: bars of another symbol, too few for a window, or a setting out of range.
        InvalidSpec: a window in which no setting may start, with the first one's reasons.
    """
    name, criterion = criterion_of(select)
    lengths = {
        "train_ms": duration_ms(train, "train"),
        "test_ms": duration_ms(test, "test"),
        "purge_ms": duration_ms(purge, "purge"),
    }
    step_ms = None if step is None else duration_ms(step, "step")
    space.start_on(data, instrument)  # refuses bars of another symbol, or none
    if len(space) < 2 or draws < 1:
        raise InvalidInput(
            f"the space has {len(space)} setting and draws is {draws}; choosing needs 2 and 1"
        )
    windows = windows_over(data, **lengths, step_ms=step_ms, anchored=anchored)
    rows = _rows_to_try(space, seed)
    sample_ms, rule = duration_ms(sample, "sample"), fill_rule_of(fill_rule)
    job = _Job(space, rows, name, criterion, rule, instrument, sample_ms)
    done: dict[int, WindowRun] = {}
    with (
        workers_of(client, threads) as workers,
        meter(progress, len(windows), f"walk forward {space.symbol}", "windows") as step,
    ):
        for place, run in workers.each(run_window, (job, data), windows):
            done[place] = run
            step(1)
    runs = [done[place] for place in range(len(windows))]
    tested = [run.tested for run in runs]
    return WalkForward(
        space=space,
        setup=Setup(
            **lengths,
            step_ms=lengths["test_ms"] if step_ms is None else step_ms,
            anchored=anchored,
            select=name,
            compound=compound,
            sample_ms=sample_ms,
            fill_rule=str(rule),
            seed=seed,
        ),
        bars=data,
        rows=rows,
        runs=tuple(runs),
        hold=tuple(_hold(windows, data, runs)),
        luck=random_choices(tested, draws, seed, compound),
    )


@dataclass(frozen=True)
class _Job:
    """What is the same in every window."""

    space: Space
    rows: IntArray
    select: str
    criterion: Criterion
    fill_rule: FillRule
    instrument: Instrument | None
    sample_ms: int


def _rows_to_try(space: Space, seed: int) -> IntArray:
    """The rows of the space that run on every trial: all, or a draw of `MOST_TESTED`."""
    if len(space) <= MOST_TESTED:
        return np.arange(len(space), dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(len(space), MOST_TESTED, replace=False)
    return np.sort(drawn).astype(np.int64)


def run_window(shared: tuple[_Job, Bars], window: Window, threads: int | None) -> WindowRun:
    """One window: the space on its training, the choice, the choice and the others on the trial."""
    job, data = shared
    training, trial = window.training(data), window.trial(data)
    scores, trained, reasons = _train(job, training, threads)
    plans = [job.space.plan(int(row), *_start(job, trial)) for row in job.rows]
    chosen, plan = _choose(job, scores, trial)
    if plan is None:
        raise InvalidSpec(f"in the window {window} no setting of the space may start", *reasons)
    at = ends_of(trial, job.sample_ms)
    able = [k for k, other in enumerate(plans) if isinstance(other, GridPlan)]
    walks = walk_many(
        [p for p in plans if isinstance(p, GridPlan)], trial, at, job.fill_rule, threads
    )
    tested, returns = np.full(len(plans), np.nan), np.full((len(at), len(plans)), np.nan)
    for k, found in zip(able, walks, strict=True):
        tested[k], returns[:, k] = found.total_return, found.returns
    every = np.arange(len(trial))
    rule = _atr_plan(plan, training, trial, window)
    return WindowRun(
        window=window,
        chosen=chosen,
        plan=plan,
        scores=scores,
        trained=trained,
        tested=tested,
        returns=returns,
        time_ms=trial.open_time_ms + (trial.interval.ms - 1),
        ends=at,
        grid=walk(plan, trial, every, job.fill_rule),
        atr=None if isinstance(rule, str) else walk(rule, trial, every, job.fill_rule),
        atr_plan=rule,
    )


def _start(job: _Job, bars: Bars) -> tuple[Any, Instrument]:
    return job.space.start_on(bars, job.instrument)


def _train(
    job: _Job, training: Bars, threads: int | None
) -> tuple[FloatArray, FloatArray, list[str]]:
    """(score, return after closing, by row; NaN where refused; the first refusal's reasons)."""
    plans = job.space.plans(training, job.instrument)
    able = np.array([isinstance(plan, GridPlan) for plan in plans], np.bool_)
    scores, trained = np.full(len(plans), np.nan), np.full(len(plans), np.nan)
    reasons = next((list(p.reasons) for p in plans if not isinstance(p, GridPlan)), [])
    ready = [plan for plan in plans if isinstance(plan, GridPlan)]
    if not ready:
        return scores, trained, reasons
    batch = run_many(ready, training, fill_rule=job.fill_rule, threads=threads)
    scores[able] = scores_of(job.select, job.criterion, batch)
    taker = np.array([float(plan.spec.fees.taker) for plan in ready])
    closing = batch.base_held * training.close[-1] * taker
    trained[able] = (batch.equity - closing) / batch.investment - 1
    return scores, trained, reasons


def _choose(job: _Job, scores: FloatArray, trial: Bars) -> tuple[int, GridPlan | None]:
    """The best row that may start at the trial's first price, which is known when it is laid.

    Of equal scores the earlier row; never one without a score.
    """
    for row in np.argsort(-scores, kind="stable").tolist():
        if np.isnan(scores[row]):
            break
        plan = job.space.plan(row, *_start(job, trial))
        if isinstance(plan, GridPlan):
            return row, plan
    return -1, None


def _atr_plan(like: GridPlan, training: Bars, trial: Bars, window: Window) -> GridPlan | str:
    """The ATR rule's plan on a trial, or why it cannot start; then it stays in cash."""
    try:
        spec = atr_spec(like.spec, training, window.test_to_ms - window.test_from_ms)
        plan = plan_grid(spec, like.instrument, from_float(trial.open[0]))
    except InvalidSpec as error:
        return str(error)
    failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    return "; ".join(failures) if failures else plan


def _hold(windows: Sequence[Window], data: Bars, runs: Sequence[WindowRun]) -> Iterator[FloatArray]:
    """For each window what holding through its stretch is worth, from the stretch's start on."""
    for stretch in sorted({window.stretch for window in windows}):
        places = [k for k, window in enumerate(windows) if window.stretch == stretch]
        taker = float(runs[places[0]].plan.spec.fees.taker)
        yield from hold_growth([windows[k].trial(data) for k in places], taker)
