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
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.data.aggregate import IntArray
from gridlab.data.bars import Bars
from gridlab.domain.market import Instrument, Market
from gridlab.domain.plan import GridPlan, Severity
from gridlab.errors import InvalidInput, InvalidSpec
from gridlab.exchange.paper import FillRule
from gridlab.grid.preflight import plan_grid
from gridlab.money import from_float
from gridlab.research.backtest import fill_rule_of
from gridlab.research.baselines import atr_spec, hold_growth, random_choices
from gridlab.research.batch import run_many
from gridlab.research.choosing import Criterion, criterion_of, scores_of
from gridlab.research.feed import bars_of
from gridlab.research.metrics import FloatArray
from gridlab.research.progress import meter
from gridlab.research.sampling import ends_of, walk, walk_many
from gridlab.research.space import Space
from gridlab.research.walk_outcome import Setup, WindowRun
from gridlab.research.walk_result import WalkForward
from gridlab.research.windows import Window, duration_ms, windows_over
from gridlab.research.workers import Workers, workers_of

if TYPE_CHECKING:
    from distributed import Client

#: Settings that run on the trials too, for ranks and for the luck of a random choice; of a larger
#: space as many are drawn. Each costs a row of samples, and no setting that was chosen is left out.
MOST_TESTED = 2000
#: Settings whose plans are held at once; a larger space is trained in parts.
AT_ONCE = 5000


def walk_forward(
    space: Space,
    data: Any,
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
        space: of `gridlab.space`.
        data: bars, a DataFrame of candles, or the path of a Parquet or CSV file. No window
            reaches over a hole of more than a day.
        train, test, purge, step: lengths such as `"14d"` or `"36h"`; a step is from one trial's
            start to the next one's, by default the trial's length.
        anchored: every training begins at the beginning, and so grows.
        select: by what to choose: a name of `choosing.CRITERIA`, or a function of the training's
            `BatchResult` that scores each row by itself; a large space comes in parts.
        compound: a trial starts with what the ones before it left; otherwise each starts with the
            same money, and gains are put aside.
        sample: how often equity is sampled for Sharpe ratios and overfitting.
        draws: random walks through the same windows, one setting drawn in each; `seed` is theirs.
        instrument, fill_rule: as for `backtest`; threads, client, progress: as for `sweep`, window
            by window.

    Raises:
        InvalidInput: bars of another symbol, too few for a window, or a setting out of range.
        InvalidSpec: a window in which no setting may start, with the first one's reasons.
    """
    name, criterion = criterion_of(select)
    test_ms = duration_ms(test, "test")
    setup = Setup(
        train_ms=duration_ms(train, "train"),
        test_ms=test_ms,
        purge_ms=duration_ms(purge, "purge"),
        step_ms=test_ms if step is None else duration_ms(step, "step"),
        anchored=anchored,
        select=name,
        compound=compound,
        sample_ms=duration_ms(sample, "sample"),
        fill_rule=str(fill_rule_of(fill_rule)),
        draws=draws,
        seed=seed,
    )
    rows = _rows_to_try(space, seed)
    bars = bars_of(data, space)
    _, rules = space.start_on(bars, instrument)
    job = _Job(space, rows, setup, criterion, rules)
    with workers_of(client, threads) as workers:
        return _walk(job, bars, workers, progress)


def _walk(
    job: _Job, bars: Bars, workers: Workers, progress: bool | Callable[[float], None]
) -> WalkForward:
    space, setup = job.space, job.setup
    if space.market is not Market.SPOT:
        raise InvalidInput(
            f"market is {space.market}; trials are sold out as a spot account is, choose spot"
        )
    if len(space) < 2 or setup.draws < 1:
        raise InvalidInput(
            f"the space has {len(space)} settings and draws is {setup.draws}; choosing needs two "
            "settings, and comparing one draw"
        )
    windows = windows_over(
        bars,
        train_ms=setup.train_ms,
        test_ms=setup.test_ms,
        purge_ms=setup.purge_ms,
        step_ms=setup.step_ms,
        anchored=setup.anchored,
    )
    done: dict[int, WindowRun] = {}
    with meter(progress, len(windows), f"walk forward {space.symbol}", "windows") as tell:
        for place, run in workers.each(run_window, (job, bars), windows):
            done[place] = run
            tell(1)
    runs = tuple(done[place] for place in range(len(windows)))
    tested = [run.tested for run in runs]
    return WalkForward(
        space=space,
        setup=setup,
        bars=bars,
        rows=job.rows,
        runs=runs,
        hold=tuple(_hold(windows, bars, runs)),
        luck=random_choices(tested, setup.draws, setup.seed, setup.compound),
    )


@dataclass(frozen=True)
class _Job:
    """What is the same in every window."""

    space: Space
    rows: IntArray
    setup: Setup
    criterion: Criterion
    rules: Instrument

    @property
    def fill_rule(self) -> FillRule:
        return FillRule(self.setup.fill_rule)


def _rows_to_try(space: Space, seed: int) -> IntArray:
    """The rows of the space that run on every trial: all, or a draw of `MOST_TESTED`."""
    if not isinstance(space, Space):
        raise InvalidInput(
            f"space is of type {type(space).__name__}; make one with gridlab.space, such as "
            "space('BTCUSDT', levels=range(10, 61, 10), spacing='0.3%:1.5%:0.1%')"
        )
    if len(space) <= MOST_TESTED:
        return np.arange(len(space), dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(len(space), MOST_TESTED, replace=False)
    return np.sort(drawn).astype(np.int64)


def run_window(shared: tuple[_Job, Bars], window: Window, threads: int | None) -> WindowRun:
    """One window: the space on its training, the choice, the choice and the others on the trial."""
    job, data = shared
    training, trial = window.training(data), window.trial(data)
    scores, trained = _train(job, training, threads)
    chosen, plan = _choose(job, scores, trial, window)
    at = ends_of(trial, job.setup.sample_ms)
    tested, returns = _try(job, trial, at, threads)
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


def _train(job: _Job, training: Bars, threads: int | None) -> tuple[FloatArray, FloatArray]:
    """(score, return after closing) of every row of the space; NaN where refused."""
    count, price = len(job.space), from_float(training.open[0])
    scores, trained = np.full(count, np.nan), np.full(count, np.nan)
    for start in range(0, count, AT_ONCE):
        rows = range(start, min(start + AT_ONCE, count))
        able, plans = _able(job, rows, price)
        if not plans:
            continue
        places = start + able
        batch = run_many(plans, training, fill_rule=job.fill_rule, threads=threads)
        scores[places] = scores_of(job.setup.select, job.criterion, batch)
        taker = np.array([float(plan.spec.fees.taker) for plan in plans])
        closing = batch.base_held * training.close[-1] * taker
        trained[places] = (batch.equity - closing) / batch.investment - 1
    return scores, trained


def _try(
    job: _Job, trial: Bars, at: IntArray, threads: int | None
) -> tuple[FloatArray, FloatArray]:
    """(return after closing, [samples, rows] returns) of the tried rows; NaN where refused."""
    rows = job.rows.tolist()
    able, plans = _able(job, rows, from_float(trial.open[0]))
    tested, returns = np.full(len(rows), np.nan), np.full((len(at), len(rows)), np.nan)
    for k, found in zip(able, walk_many(plans, trial, at, job.fill_rule, threads), strict=True):
        tested[k], returns[:, k] = found.total_return, found.returns
    return tested, returns


def _able(job: _Job, rows: Sequence[int], price: Decimal) -> tuple[IntArray, list[GridPlan]]:
    """(places among `rows`, plans) of those that may start at `price`."""
    found = [(k, job.space.plan(row, price, job.rules)) for k, row in enumerate(rows)]
    plans = [(k, plan) for k, plan in found if isinstance(plan, GridPlan)]
    return np.array([k for k, _ in plans], np.int64), [plan for _, plan in plans]


def _choose(job: _Job, scores: FloatArray, trial: Bars, window: Window) -> tuple[int, GridPlan]:
    """The best row that may start at the trial's first price, which is known when it is laid.

    Of equal scores the earlier row; never one without a score.

    Raises:
        InvalidSpec: there is none.
    """
    price = from_float(trial.open[0])
    for row in np.argsort(-scores, kind="stable").tolist():
        if np.isnan(scores[row]):
            break
        plan = job.space.plan(row, price, job.rules)
        if isinstance(plan, GridPlan):
            return row, plan
    first = job.space.plan(0, price, job.rules)
    reasons = () if isinstance(first, GridPlan) else first.reasons
    raise InvalidSpec(
        f"in the window {window} none of {len(scores)} settings may start and has a score", *reasons
    )


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
