"""A sweep or a study as a card for a notebook and as text: what is best, and that it is in-sample.

The first sentence under the figures is the one that keeps a reader from trading the best row.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.research.cards import card_of, note_of, tiles_of, tone_of
from gridlab.research.sheet import PROFIT, RISK
from gridlab.research.words import amount, percent, signed_percent, span, when

if TYPE_CHECKING:
    import pandas as pd

    from gridlab.research.sheet import Sheet

#: Rows that a card and a text list.
SHOWN = 8
#: Settings and figures that are fractions, and therefore shown in percent.
FRACTIONS = frozenset({"spacing", "width", "fee_rate", PROFIT, RISK, "out_of_range"})
_FIGURES = (PROFIT, RISK, "grid_profit", "fees", "buys", "sells")


def sheet_card(sheet: Sheet) -> str:
    """Many rows as one card: how they did as a crowd, the best of them, and what that is worth."""
    best = sheet.best(n=SHOWN)
    tiles = [(name, value, tone_of(tone)) for name, value, tone in _crowd(sheet)]
    return card_of(
        title_of(sheet),
        _subtitle(sheet),
        tiles_of(tiles),
        _table(sheet, best) if len(best) else "",
        note_of([warning_of(sheet), *_refused(sheet), *sheet.ground.terms]),
    )


def sheet_text(sheet: Sheet, by: str = PROFIT, n: int = SHOWN) -> str:
    """The same as plain text, with the `n` best rows by a figure."""
    lines = [title_of(sheet), f"  {_subtitle(sheet)}"]
    lines += [f"  {name:<22}{value}" for name, value, _ in _crowd(sheet)]
    best = sheet.best(by, n)
    if len(best):
        lines += ["", *(f"  {line}" for line in _best_text(sheet, best, by).splitlines()), ""]
    notes = [warning_of(sheet), *_refused(sheet), *sheet.ground.terms]
    return "\n".join([*lines, *(f"  {note}" for note in notes)])


def title_of(sheet: Sheet) -> str:
    """`Sweep of BTCUSDT · 54 settings`."""
    unit = "settings" if sheet.kind == "sweep" else "trials"
    return f"{sheet.kind.capitalize()} of {sheet.symbol} · {len(sheet):,} {unit}"


def warning_of(sheet: Sheet) -> str:
    """What the best row is worth, in one sentence."""
    count = int(sheet.ran.sum())
    if not count:
        return "No setting can start; the reasons are in the column `reason`."
    return (
        f"In-sample: the best of {count:,} was chosen on the bars that it was measured on, and "
        "the best of many is partly luck. Walk it forward before it is believed."
    )


def cell(name: str, value: Any) -> str:
    """One value as people read it: fractions in percent, counts grouped, amounts with cents."""
    if isinstance(value, str):
        return value
    if name == PROFIT:
        return signed_percent(value)
    if name in FRACTIONS:
        return percent(value, 3 if name in ("spacing", "fee_rate") else 2)
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    return amount(float(value)) if abs(value) >= 1 else f"{value:.6g}"


def hold_return(sheet: Sheet) -> float:
    """What buying at the first open and holding returns at the last close, before fees."""
    bars = sheet.ground.bars
    return float(bars.close[-1] / bars.open[0] - 1)


def _crowd(sheet: Sheet) -> list[tuple[str, str, float]]:
    """Name, words and sign of the figures that describe all rows together."""
    ran, count = sheet.ran, int(sheet.ran.sum())
    hold = hold_return(sheet)
    found = [("ran", f"{count:,} of {len(sheet):,}", 0.0)]
    if count:
        returns = sheet.figure(PROFIT)[ran]
        best, median = float(returns.max()), float(np.median(returns))
        found += [
            ("best in-sample", signed_percent(best), best),
            ("median", signed_percent(median), median),
            ("made a profit", percent(float((returns > 0).mean()), 1), 0.0),
            ("beat holding", percent(float((returns > hold).mean()), 1), 0.0),
        ]
    return [*found, ("holding, before fees", signed_percent(hold), hold)]


def _subtitle(sheet: Sheet) -> str:
    bars, fill_rule = sheet.ground.bars, sheet.ground.fill_rule
    first = int(bars.open_time_ms[0])
    return (
        f"{when(first)} to {when(bars.end_ms)} UTC · {span(bars.end_ms - first)} · "
        f"{len(bars):,} bars of {bars.interval} · fills by {fill_rule}"
    )


def _refused(sheet: Sheet) -> list[str]:
    rows = np.flatnonzero(~sheet.ran)
    if not len(rows):
        return []
    first = int(rows[0])
    return [f"{len(rows):,} could not start; the first, {first}: {sheet.row(first).reason}."]


def _best_text(sheet: Sheet, best: pd.DataFrame, by: str) -> str:
    """Ranked rows as an aligned table, settings first."""
    head, rows = _cells(sheet, best, by)
    widths = [max(len(line[k]) for line in [head, *rows]) for k in range(len(head))]
    return "\n".join(
        "  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True))
        for line in [head, *rows]
    )


def _cells(sheet: Sheet, best: pd.DataFrame, by: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: the row's number, the settings that vary, some figures."""
    settings = [str(name) for name in sheet.axes.columns]
    names = list(dict.fromkeys([*settings, *_FIGURES, by]))
    columns = [[cell(name, value) for value in best[name].tolist()] for name in names]
    rows = [[str(i), *row] for i, row in zip(best.index, zip(*columns, strict=True), strict=True)]
    return [str(best.index.name), *(name.replace("_", " ") for name in names)], rows


def _table(sheet: Sheet, best: pd.DataFrame) -> str:
    head, rows = _cells(sheet, best, PROFIT)
    heads = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
