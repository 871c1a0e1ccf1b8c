"""A walk-forward as one HTML card: the verdict, figures, the curve against its rivals, grounds."""

from __future__ import annotations

import math
from html import escape

from gridlab.research.cards import card_of, note_of, sparkline_of, tiles_of, tone_of
from gridlab.research.significance import annualised
from gridlab.research.walk_outcome import WalkOutcome
from gridlab.research.walk_words import headline, sentences, settings_text
from gridlab.research.words import percent, signed_percent, span, when

#: Windows that the table shows; of more, the latest.
SHOWN_WINDOWS = 16


def walk_card(result: WalkOutcome) -> str:
    """The verdict first, whatever it is."""
    setup = result.setup
    title = f"{result.space.symbol} · walk-forward over {len(result.space):,} settings"
    subtitle = (
        f"{len(result)} windows · {span(setup.train_ms)} of training, {span(setup.purge_ms)} left "
        f"out, {span(setup.test_ms)} of trial · fills by {setup.fill_rule}"
    )
    curves = result.curves
    return card_of(
        title,
        subtitle,
        _verdict(result),
        tiles_of(_figures(result)),
        sparkline_of(curves.grid, curves.hold),
        _windows(result),
        note_of(sentences(result)),
    )


def _verdict(result: WalkOutcome) -> str:
    tone = "gl-up" if all(result.beats.values()) else "gl-down"
    return f'<p class="{tone}" style="margin:0 0 12px"><b>{escape(headline(result))}</b></p>'


def _figures(result: WalkOutcome) -> list[tuple[str, str, str]]:
    ratio = annualised(result.moments.sharpe, result.setup.sample_ms)
    found, best = result.overfitting, result.deflated
    returns = [("chosen grids", result.total_return), *result.benchmarks.items()]
    return [
        *((name, signed_percent(value), tone_of(value)) for name, value in returns if value != 0),
        ("random choices beaten", percent(result.random_beaten, 0), ""),
        ("max drawdown", percent(result.max_drawdown), ""),
        ("efficiency", _ratio(result.efficiency), ""),
        ("Sharpe a year", _ratio(ratio), ""),
        ("Spearman of ranks", _ratio(result.rank_correlation), ""),
        ("overfitting (PBO)", "undefined" if found is None else percent(found.probability, 0), ""),
        (
            "best in hindsight, deflated",
            "undefined" if best is None else percent(best.probability, 0),
            "",
        ),
    ]


def _windows(result: WalkOutcome) -> str:
    """What each window chose, what that had made, and what it made."""
    shown = result.runs[-SHOWN_WINDOWS:]
    head = "".join(
        f"<th>{name}</th>"
        for name in ("trial from", "chosen", "in training", "in the trial", "buys / sells")
    )
    rows = "".join(
        f"<tr><td>{when(run.window.test_from_ms)}</td>"
        f"<td>{escape(settings_text(result, run.chosen))}</td>"
        f"<td>{signed_percent(run.in_sample)}</td>"
        f'<td class="{tone_of(run.out_of_sample)}">{signed_percent(run.out_of_sample)}</td>'
        f"<td>{run.grid.buys:,} / {run.grid.sells:,}</td></tr>"
        for run in shown
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    if len(shown) == len(result):
        return table
    return table + note_of([f"The latest {len(shown)} windows of {len(result)}."])


def _ratio(value: float) -> str:
    return f"{value:+.2f}" if math.isfinite(value) else "undefined"
