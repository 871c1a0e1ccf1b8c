"""A backtest as one HTML file: it opens anywhere, runs nothing, and asks nobody for anything.

Text, tables and SVG; no script and no outside reference, which the page's own policy enforces. Each
value is escaped. Light and dark follow the reader's system. The same result gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from gridlab.grid.view import spacing_of
from gridlab.research import pictures
from gridlab.research.figures import Metrics
from gridlab.research.metrics import worst_drawdowns
from gridlab.research.outcome import Outcome
from gridlab.research.page_style import STYLE
from gridlab.research.provenance import Rows, assumption_rows, data_rows, grid_rows
from gridlab.research.summary import summary
from gridlab.research.words import amount, percent, plain, signed, signed_percent, span, when

if TYPE_CHECKING:
    from gridlab.research.brackets import Bracket
    from gridlab.research.theory_check import Theory

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHOWN_DRAWDOWNS = 5
_PARTS = (
    ("grid_profit", "grid profit", "proceeds minus cost of all that was sold, before fees"),
    ("inventory", "inventory", "what is still held, at the last close, minus what it cost"),
    ("fees", "fees", "what the venue took"),
    ("funding", "funding", "received minus paid"),
    ("liquidation", "forced sale", "result of selling what was held"),
    ("total", "change of equity", "the sum, exactly"),
)


def report_page(
    result: Outcome, metrics: Metrics, theory: Theory | None, bracket: Bracket | None
) -> str:
    """The whole page."""
    title = f"{result.symbol}: {result.spec.levels} grids of {percent(spacing_of(result.lines), 2)}"
    first = int(result.bars.open_time_ms[0])
    subtitle = (
        f"Backtest on {len(result.bars):,} bars of {result.bars.interval}, {when(first)} to "
        f"{when(result.bars.end_ms)} UTC, {span(result.duration_ms)}"
    )
    sections = [
        _summary(result, metrics, theory, bracket),
        _parts(result, metrics),
        _section("Price, lines and fills", _price(result, metrics)),
        _section("Equity", *_curves(result)),
        _section("Figures", _figures(metrics)),
        _levels(result, metrics),
        _drawdowns(result),
        _bracket(bracket),
        _theory(theory),
        _section(
            "What this rests on",
            _pairs("The grid", grid_rows(result)),
            _pairs("Assumptions", assumption_rows(result)),
            _pairs("Data", data_rows(result)),
        ),
        _ledger(result),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><main><h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p>\n'
        + "\n".join(section for section in sections if section)
        + "</main></body></html>\n"
    )


def _summary(
    result: Outcome, metrics: Metrics, theory: Theory | None, bracket: Bracket | None
) -> str:
    first, *rest = summary(result, metrics, is_bracketed=bracket is not None)
    words = [f'<p class="alarm">{escape(one)}</p>' for one in result.warnings]
    words += [f'<p class="lead">{escape(first)}</p>', *(f"<p>{escape(one)}</p>" for one in rest)]
    doubts = []
    if bracket is not None and not bracket.is_decided:
        doubts.append(bracket.verdict)
    if theory is not None and not theory.is_plausible:
        doubts.append(theory.verdict)
    words += [f'<p class="warn">{escape(doubt)}</p>' for doubt in doubts]
    figures = {figure.key: figure for figure in metrics.rows()}
    tiles = [(f"equity, {result.quote}", amount(result.equity), "")]
    for key in ("total_return", "hold_return", "max_drawdown", "sharpe", "round_trips"):
        figure = figures[key]
        shown = figure.shown
        if key == "sharpe" and not figure.why:
            shown += f" ± {figures['sharpe_error'].shown}"
        is_gain = key in ("total_return", "hold_return")
        tiles.append((figure.name, shown, _tone(figure.value) if is_gain else ""))
    inner = "".join(
        f'<div><span>{escape(name)}</span><b class="{tone}">{escape(value)}</b></div>'
        for name, value, tone in tiles
    )
    return _section("Summary", *words, f'<div class="tiles">{inner}</div>')


def _parts(result: Outcome, metrics: Metrics) -> str:
    rows = []
    for key, name, words in _PARTS:
        value = getattr(metrics.parts, key)
        is_told = key == "funding" and result.funding_words
        if key in ("funding", "liquidation") and not value and not is_told:
            continue
        share = signed_percent(float(value) / float(result.money.investment))
        rows.append(
            f'<tr class="{"sum" if key == "total" else ""}"><td>{escape(name)}</td>'
            f'<td class="{_tone(float(value))}">{signed(value)}</td><td>{share}</td>'
            f'<td class="dim left wrap says">{escape(words)}</td></tr>'
        )
    head = ("", result.quote, "of the investment", "")
    colours = [("profit", "grid profit"), ("stock", "inventory"), ("fees", "fees")]
    colours += [("funding", "funding")] if metrics.parts.funding else []
    colours += [("forced", "forced sale")] if metrics.parts.liquidation else []
    return _section(
        "Where the money came from",
        _table(head, rows),
        "<h3>Over time: gains upwards, losses downwards</h3>",
        _key([*colours, ("total", "change of equity")]),
        pictures.parts_picture(result),
    )


def _price(result: Outcome, metrics: Metrics) -> str:
    key = _key([("buy", "buys"), ("sell", "sells"), ("grid", "grid profit by level")])
    return key + pictures.price_picture(result, metrics.levels)


def _curves(result: Outcome) -> list[str]:
    key = _key([("grid", "grid"), ("hold", "holding")])
    return [
        f"<h3>{escape(result.quote)}, at closes</h3>",
        key,
        pictures.equity_picture(result),
        "<h3>Below the highest so far</h3>",
        pictures.drawdown_picture(result),
        f"<h3>{escape(result.instrument.base)} held</h3>",
        pictures.inventory_picture(result),
    ]


def _figures(metrics: Metrics) -> str:
    groups: dict[str, list[str]] = {}
    for figure in metrics.rows():
        why = f'<br><span class="dim">{escape(figure.why)}</span>' if figure.why else ""
        groups.setdefault(figure.group, []).append(
            f'<tr><td class="wrap">{escape(figure.name)}{why}</td>'
            f"<td>{escape(figure.shown)}</td></tr>"
        )
    tables = (
        f"<div><h3>{escape(name.capitalize())}</h3>{_table((), rows)}</div>"
        for name, rows in groups.items()
    )
    note = (
        "By the year means 365 days by the clock; daily figures take whole days from the start. "
        "The riskless rate is zero. VaR and CVaR are historical losses of one day. Holding is the "
        "benchmark of beta and tracking error. Drawdown and exposure are measured at closes."
    )
    return f'<div class="two">{"".join(tables)}</div><p class="note">{note}</p>'


def _levels(result: Outcome, metrics: Metrics) -> str:
    rows = [
        f"<tr><td>{level.slot}</td><td>{plain(level.lower)}</td><td>{plain(level.upper)}</td>"
        f"<td>{level.buys:,}</td><td>{level.sells:,}</td><td>{level.rounds:,}</td>"
        f"<td>{signed(level.profit)}</td><td>{signed(level.fees)}</td></tr>"
        for level in reversed(metrics.levels)
        if level.buys + level.sells
    ]
    idle = len(metrics.levels) - len(rows)
    note = f'<p class="note">{idle:,} of {len(metrics.levels):,} slots never traded.</p>'
    profit, fees = f"grid profit, {result.quote}", f"fees, {result.quote}"
    head = ("slot", "buys at", "sells at", "buys", "sells", "round trips", profit, fees)
    return _section("Fills by level", _table(head, rows) if rows else "", note if idle else "")


def _drawdowns(result: Outcome) -> str:
    equity = np.concatenate(([float(result.money.investment)], result.equity_curve))
    start = int(result.bars.open_time_ms[0])

    def moment(position: int) -> int:
        return result.close_time_ms(position - 1) if position else start

    rows = []
    for fall in worst_drawdowns(equity, SHOWN_DRAWDOWNS):
        end = moment(len(equity) - 1 if fall.recovered is None else fall.recovered)
        back = "not yet" if fall.recovered is None else when(end)
        rows.append(
            f"<tr><td>{percent(fall.fraction)}</td><td>{when(moment(fall.peak))}</td>"
            f"<td>{when(moment(fall.trough))}</td><td>{back}</td>"
            f"<td>{span(end - moment(fall.peak))}</td></tr>"
        )
    head = ("fall", "from, UTC", "trough, UTC", "recovered, UTC", "under water")
    return _section("Worst drawdowns", _table(head, rows)) if rows else ""


def _bracket(bracket: Bracket | None) -> str:
    if bracket is None:
        return ""
    members = (
        ("pessimistic", bracket.pessimistic),
        ("this backtest", bracket.expected),
        ("optimistic", bracket.optimistic),
    )
    rows = [
        f"<tr><td>{name}</td><td>{signed(one.total)}</td>"
        f"<td>{signed_percent(one.total_return)}</td>"
        f"<td>{one.buys + one.sells:,}</td>"
        f'<td class="wrap">{escape(str(one.assumptions))}</td></tr>'
        for name, one in members
    ]
    quote = bracket.result.quote
    head = (f"{len(bracket.members)} runs", f"profit, {quote}", "return", "fills", "assumes")
    return _section(
        "What the bars leave open", f"<p>{escape(bracket.verdict)}</p>", _table(head, rows)
    )


def _theory(theory: Theory | None) -> str:
    if theory is None:
        return ""
    frame = [
        (line.name, line.expected, line.simulated, line.sigmas, line.unit) for line in theory.lines
    ]
    rows = [
        f"<tr><td>{escape(name)}</td><td>{_number(expected)}</td><td>{_number(found)}</td>"
        f"<td>{_number(sigmas)}</td><td>{escape(unit)}</td></tr>"
        for name, expected, found, sigmas, unit in frame
    ]
    head = ("", "expected", "this backtest", "standard deviations above", "")
    note = "Expected of a driftless price without memory that has the variance of these bars."
    return _section(
        "Beside theory",
        f"<p>{escape(theory.verdict)}</p>",
        _table(head, rows),
        f'<p class="note">{note}</p>',
    )


def _ledger(result: Outcome) -> str:
    assets = list(dict.fromkeys(asset for _, asset, _ in result.ledger_lines))
    parts: dict[str, dict[str, str]] = {}
    for component, asset, value in result.ledger_lines:
        parts.setdefault(component, {})[asset] = plain(value)
    rows = [
        f'<tr class="{"sum" if name == "wallet" else ""}"><td>{escape(name.replace("_", " "))}</td>'
        + "".join(f"<td>{escape(part.get(asset, '0'))}</td>" for asset in assets)
        + "</tr>"
        for name, part in sorted(parts.items(), key=lambda item: item[0] == "wallet")
    ]
    note = (
        "In each asset the wallet is the sum of the rows above it, to the last digit. The wallet "
        "is kept from cash flows and the rows from lots, so this is a check and not a definition."
    )
    return _section("Ledger", _table(("", *assets), rows), f'<p class="note">{note}</p>')


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    """A table of ready rows; `head` is escaped here."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>{''.join(rows)}</tbody></table>"


def _pairs(title: str, rows: Rows) -> str:
    inner = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(words)}</td></tr>" for name, words in rows
    )
    return f'<h3>{escape(title)}</h3><table class="words"><tbody>{inner}</tbody></table>'


def _key(names: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f'<i class="{name}"></i>{escape(words)}' for name, words in names)
    return f'<div class="key">{inner}</div>'


def _number(value: float) -> str:
    if np.isnan(value):
        return "–"
    return amount(value, 0 if abs(value) >= 1000 else 3 if abs(value) < 10 else 1)


def _tone(value: float) -> str:
    return "up" if value > 0 else "down" if value < 0 else ""
