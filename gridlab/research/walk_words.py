"""A walk-forward in plain words and plain values: the verdict first, then what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gridlab.clock import iso
from gridlab.domain.plan import GridPlan
from gridlab.grid.view import spacing_of
from gridlab.research.settings import as_json, shown
from gridlab.research.significance import (
    annualised,
    min_track_record,
    probabilistic_sharpe,
)
from gridlab.research.walk_outcome import ATR, CASH, HOLD, RANDOM, WalkOutcome, WindowRun
from gridlab.research.words import DAY_MS, percent, signed_percent, span, when

#: From this share of random choices beaten on, choosing did something that luck seldom does.
RARE = 0.95
#: Standard errors from zero at which a mean of windows is told from none.
CLEAR = 2.0


def headline(result: WalkOutcome) -> str:
    """The verdict: what the grid beat out of sample and what it did not, in one sentence."""
    beaten = [name for name, won in result.beats.items() if won]
    lost = [name for name, won in result.beats.items() if not won]
    if not lost:
        verdict = f"the grid beat {_and(beaten)}"
    elif not beaten:
        verdict = f"the grid beat none of {_and(lost)}"
    else:
        verdict = f"the grid beat {_and(beaten)} and did NOT beat {_and(lost)}"
    found = result.benchmarks
    return (
        f"Out of sample {verdict}: {signed_percent(result.total_return)} in "
        f"{result.days:,.0f} days, against {signed_percent(found[HOLD])} for {HOLD}, "
        f"{signed_percent(found[RANDOM])} for {RANDOM} (better than "
        f"{percent(result.random_beaten, 0)} of all), {signed_percent(found[ATR])} for {ATR} and "
        f"0 for {CASH}."
    )


def report(result: WalkOutcome) -> str:
    """The verdict and its grounds as plain text, one sentence or two a line."""
    return "\n".join([headline(result), *(f"  {line}" for line in sentences(result))])


def sentences(result: WalkOutcome) -> list[str]:
    """What the verdict rests on, in the order in which one would ask."""
    return [
        line
        for line in (
            _way(result),
            _promise(result),
            _luck(result),
            _ranks(result),
            _sharpe(result),
            _overfitted(result),
            _hindsight(result),
            *_notes(result),
        )
        if line
    ]


def _way(result: WalkOutcome) -> str:
    setup, first, last = result.setup, result.runs[0].window, result.runs[-1].window
    training = f"{'at least ' if setup.anchored else ''}{span(setup.train_ms)}"
    return (
        f"{len(result)} windows on {result.space.symbol}, {when(first.test_from_ms)} to "
        f"{when(last.test_to_ms)} UTC: {training} of training, {span(setup.purge_ms)} left out, "
        f"{span(setup.test_ms)} of trial. In each the best of {len(result.space):,} settings by "
        f"{setup.select} was laid; gains are {'compounded' if setup.compound else 'put aside'}."
    )


def _promise(result: WalkOutcome) -> str:
    """What the choices made in training, and how much of it came true."""
    inside = _mean([run.in_sample for run in result.runs])
    outside = _mean([run.out_of_sample for run in result.runs])
    won = sum(run.out_of_sample > 0 for run in result.runs)
    text = (
        f"The choices made {signed_percent(inside)} a window in training and "
        f"{signed_percent(outside)} in the trial after it, {won} of {len(result)} trials above "
        f"zero; deepest fall {percent(result.max_drawdown)}, of holding "
        f"{percent(result.hold_drawdown)}. "
    )
    if math.isnan(result.efficiency):
        return text + "Efficiency is undefined: the training promised nothing."
    return text + (
        f"Efficiency {result.efficiency:.2f}: growth a day out of sample over growth a day in "
        "sample, 1 where the promise is kept."
    )


def _luck(result: WalkOutcome) -> str:
    share = result.random_beaten
    if share >= RARE:
        return (
            f"Choosing at random in every window did worse in {percent(share, 1)} of "
            f"{len(result.luck.totals):,} draws: luck alone seldom does that."
        )
    return (
        f"Choosing at random in every window did as well or better in {percent(1 - share, 1)} of "
        f"{len(result.luck.totals):,} draws: no evidence that the choosing added anything; "
        f"that would take less than {percent(1 - RARE, 0)}."
    )


def _ranks(result: WalkOutcome) -> str:
    mean, known = result.rank_correlation, result.rank_correlations
    known = known[np.isfinite(known)]
    if not len(known):
        return ""
    text = (
        f"Ranks in training against ranks in the trial: Spearman {mean:+.2f} on average, from "
        f"{known.min():+.2f} to {known.max():+.2f} by window: "
    )
    error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.inf
    if abs(mean) < CLEAR * error:
        return text + f"{len(known)} windows do not tell it from no order at all."
    if mean < 0:
        return text + "the better in training were the worse in the trial."
    return text + (
        f"the past ordered the trials a little, {mean:.2f} with an error of {error:.2f}."
        if mean < 0.5
        else "the past ordered the trials."
    )


def _sharpe(result: WalkOutcome) -> str:
    moments, sample_ms = result.moments, result.setup.sample_ms
    if math.isnan(moments.sharpe):
        return "Sharpe ratio out of sample: undefined, the equity did not move."
    yearly = annualised(moments.sharpe, sample_ms)
    held = annualised(result.hold_moments.sharpe, sample_ms)
    text = (
        f"Sharpe ratio out of sample {yearly:+.2f} a year, of holding {held:+.2f} (365 days, "
        f"{moments.count:,} returns, one every {span(sample_ms)}); probability that the true one "
        f"is above zero: {percent(probabilistic_sharpe(moments), 0)}."
    )
    needed = min_track_record(moments)
    if math.isinf(needed):
        return text
    return text + (
        f" To show it at 95 % takes {needed * sample_ms / DAY_MS:,.0f} days of such returns; there "
        f"are {result.days:,.0f}."
    )


def _overfitted(result: WalkOutcome) -> str:
    found = result.overfitting
    if found is None:
        return (
            "Probability of backtest overfitting: undefined; it takes two windows of more than a "
            "sample each, and two settings that could start in all of them."
        )
    return (
        f"Probability of backtest overfitting {percent(found.probability, 0)}: of "
        f"{found.experiments:,} ways to choose the best Sharpe ratio of {found.trials:,} settings "
        f"on half of {found.slices} slices, so many landed in the worse half of the rest. Noise "
        "gives 50 %; it tells whether the order of settings lasts, not whether they earn."
    )


def _hindsight(result: WalkOutcome) -> str:
    best, row = result.deflated, result.hindsight
    if best is None or row is None or math.isnan(best.sharpe):
        return ""
    yearly = annualised(best.sharpe, result.setup.sample_ms)
    chance = annualised(best.benchmark, result.setup.sample_ms)
    return (
        f"The best setting in hindsight ({settings_text(result, row)}) had a Sharpe ratio of "
        f"{yearly:+.2f} a year; the best of {best.trials:,} without skill is expected to show "
        f"{chance:+.2f}. Deflated for that, the probability of skill is "
        f"{percent(best.probability, 0)} ({percent(best.probability_effective, 0)} if only the "
        f"{best.effective:,.0f} effectively different trials counted)."
    )


def _notes(result: WalkOutcome) -> list[str]:
    """What was assumed, and what was left out."""
    stretches = len({run.window.stretch for run in result.runs})
    refused = len(result.rows) - result.judged
    idle = [run for run in result.runs if run.atr is None]
    drawn = len(result.rows) < len(result.space)
    notes = [
        "Every trial ends by selling what is held at its last close, taker fee paid; so do the "
        "random grids and the ATR rule, and holding at the end of each stretch of trials.",
    ]
    if stretches > 1:
        notes.append(f"The trials lie in {stretches} stretches; holding pauses between them too.")
    if drawn:
        notes.append(
            f"{len(result.rows):,} settings, drawn at random, ran on the trials for ranks and "
            f"random choices; all {len(result.space):,} were trained."
        )
    if refused:
        notes.append(
            f"{refused:,} settings could not start in every trial; ranks and random choices have "
            "them where they could, overfitting and deflation leave them out."
        )
    if idle:
        why = idle[0].atr_plan
        notes.append(f"The ATR rule stayed in cash in {len(idle)} windows, first because: {why}")
    return notes


def settings_text(result: WalkOutcome, row: int) -> str:
    """The settings of a row that vary in the space, in few words."""
    settings = result.space.settings(row)
    return ", ".join(f"{name} {shown(settings[name])}" for name in result.space.axes)


def as_dict(result: WalkOutcome) -> dict[str, Any]:
    """Plain JSON values; fractions, ratios a year where named so, None where undefined."""
    setup, moments = result.setup, result.moments
    best, found = result.deflated, result.overfitting
    return {
        "headline": headline(result),
        "symbol": result.space.symbol,
        "space": result.space.to_json(),
        "setup": {name: getattr(setup, name) for name in setup.__dataclass_fields__},
        "windows": [_window_dict(result, run) for run in result.runs],
        "days": result.days,
        "total_return": result.total_return,
        "max_drawdown": result.max_drawdown,
        "hold_drawdown": result.hold_drawdown,
        "benchmarks": result.benchmarks,
        "beats": result.beats,
        "random": {
            "draws": len(result.luck.totals),
            "median": result.random_return,
            "beaten": result.random_beaten,
        },
        "efficiency": _known(result.efficiency),
        "rank_correlation": _known(result.rank_correlation),
        "sharpe": {
            "per_year": _known(annualised(moments.sharpe, setup.sample_ms)),
            "hold_per_year": _known(annualised(result.hold_moments.sharpe, setup.sample_ms)),
            "samples": moments.count,
            "sample_ms": setup.sample_ms,
            "skew": _known(moments.skew),
            "kurtosis": _known(moments.kurtosis),
            "probability_above_zero": _known(probabilistic_sharpe(moments)),
            "samples_needed": _known(min_track_record(moments)),
        },
        "overfitting": found
        and {
            "probability": found.probability,
            "loss_probability": found.loss_probability,
            "slope": _known(found.slope),
            "trials": found.trials,
            "slices": found.slices,
            "experiments": found.experiments,
        },
        "hindsight": best
        and {
            "row": result.hindsight,
            "sharpe_per_year": _known(annualised(best.sharpe, setup.sample_ms)),
            "expected_of_luck_per_year": annualised(best.benchmark, setup.sample_ms),
            "deflated_sharpe": _known(best.probability),
            "trials": best.trials,
            "effective_trials": _known(best.effective),
            "deflated_sharpe_effective": _known(best.probability_effective),
        },
    }


def _window_dict(result: WalkOutcome, run: WindowRun) -> dict[str, Any]:
    window = run.window
    settings = result.space.settings(run.chosen)
    return {
        "train_from": iso(window.train_from_ms),
        "train_to": iso(window.train_to_ms),
        "test_from": iso(window.test_from_ms),
        "test_to": iso(window.test_to_ms),
        "chosen": run.chosen,
        "settings": {name: as_json(value) for name, value in settings.items()},
        "in_sample": run.in_sample,
        "out_of_sample": run.out_of_sample,
        "buys": run.grid.buys,
        "sells": run.grid.sells,
        "atr": None if run.atr is None else run.atr.total_return,
    }


def atr_text(run: WindowRun) -> str:
    """The ATR rule's grid of one window in few words."""
    plan = run.atr_plan
    if not isinstance(plan, GridPlan):
        return "in cash"
    return f"{plan.spec.levels} grids of {percent(spacing_of(plan.lines), 2)}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
