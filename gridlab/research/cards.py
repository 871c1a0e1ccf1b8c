"""Results and plans as HTML for a notebook: escaped, without scripts, in Jupyter's own colours.

A card is a string that stands alone. Its curve is a small SVG, so that it is seen where a saved
notebook is shown without a kernel. Knows how things look, not how they came to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gridlab.domain.orders import Side
from gridlab.domain.plan import Finding, GridPlan, PlannedOrder, Severity
from gridlab.grid.view import spacing_of
from gridlab.research.metrics import FloatArray
from gridlab.research.outcome import Outcome
from gridlab.research.words import (
    amount,
    percent,
    plain,
    signed,
    signed_percent,
    span,
    when,
)

#: Orders that a plan's table shows in full; of more, the ones nearest the price.
SHOWN_ORDERS = 24
SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 560, 96, 280

_STYLE = """<style>
.gl-card{max-width:980px;border:1px solid var(--jp-border-color2,#d8dce4);border-radius:8px;
 padding:14px 18px;color:var(--jp-ui-font-color1,#1d2330);
 background:var(--jp-layout-color1,transparent);
 font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif)}
.gl-card h4{margin:0;font-size:15px;font-weight:600}
.gl-card .gl-sub{color:var(--jp-ui-font-color2,#667085);margin:2px 0 12px}
.gl-card .gl-tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));
 gap:10px 18px;margin:0 0 12px}
.gl-card .gl-tile b{display:block;font-size:17px;font-weight:600;white-space:nowrap;
 font-variant-numeric:tabular-nums}
.gl-card .gl-tile span{color:var(--jp-ui-font-color2,#667085);font-size:11.5px}
.gl-card .gl-up{color:var(--jp-success-color1,#17835c)}
.gl-card .gl-down{color:var(--jp-error-color1,#c63d40)}
.gl-card .gl-warn{color:var(--jp-warn-color1,#a86400)}
.gl-card table{font:inherit;font-variant-numeric:tabular-nums;border-collapse:collapse;
 margin:4px 0 0;background:transparent}
.gl-card th,.gl-card td{padding:2px 14px 2px 0;text-align:right;background:transparent;
 color:inherit;border:0}
.gl-card th{color:var(--jp-ui-font-color2,#667085);font-weight:500;
 border-bottom:1px solid var(--jp-border-color2,#d8dce4)}
.gl-card th:first-child,.gl-card td:first-child{text-align:left}
.gl-card tr.gl-here td{color:var(--jp-ui-font-color2,#667085);
 border-top:1px dashed var(--jp-border-color1,#aab);
 border-bottom:1px dashed var(--jp-border-color1,#aab)}
.gl-card .gl-columns{columns:2 320px;column-gap:36px}
.gl-card .gl-columns>div{break-inside:avoid;padding-bottom:12px}
.gl-card .gl-columns table{width:100%}
.gl-card .gl-columns td{white-space:normal;vertical-align:top}
.gl-card .gl-columns td:last-child{white-space:nowrap;padding-right:0}
.gl-card .gl-why{color:var(--jp-ui-font-color2,#667085);font-size:11.5px}
.gl-card ul{margin:0 0 10px;padding-left:18px}
.gl-card svg{display:block;width:100%;max-width:720px;height:auto;margin:2px 0 8px}
.gl-card .gl-note{color:var(--jp-ui-font-color2,#667085);font-size:11.5px;margin-top:10px}
</style>"""


def result_card(result: Outcome, figures: Iterable[tuple[str, str]] = ()) -> str:
    """A backtest as one card: figures, the curve of equity against holding, the books.

    Args:
        figures: further (name, value) tiles.
    """
    spec, money = result.spec, result.money
    title = (
        f"{result.symbol} · {spec.levels} {spec.mode} grids of "
        f"{percent(spacing_of(result.lines), 3)}"
    )
    first, last = int(result.bars.open_time_ms[0]), result.bars.end_ms
    subtitle = (
        f"{when(first)} to {when(last)} UTC · {span(result.duration_ms)} · "
        f"{len(result.bars):,} bars of {result.bars.interval} · fills by {result.fill_rule}"
    )
    fall = result.drawdown
    tiles = [
        ("equity, " + result.quote, amount(result.equity), ""),
        ("return", signed_percent(result.total_return), tone_of(result.total_return)),
        ("holding instead", signed_percent(result.hold_return), tone_of(result.hold_return)),
        ("grid profit", signed(money.grid_profit), tone_of(float(money.grid_profit))),
        ("floating", signed(money.floating), tone_of(float(money.floating))),
        ("fees", signed(money.fees), tone_of(float(money.fees))),
        *(
            [("forced closing", signed(money.liquidation), "gl-down")]
            if result.liquidation is not None
            else []
        ),
        *(
            [("funding", signed(money.funding), tone_of(float(money.funding)))]
            if result.funding_words
            else []
        ),
        ("buys / sells", f"{result.fills.buys:,} / {result.fills.sells:,}", ""),
        ("max drawdown", percent(fall.fraction), ""),
        ("out of range", percent(result.out_of_range, 1), ""),
        *((name, shown, "") for name, shown in figures),
    ]
    trough = f"Deepest at {when(result.close_time_ms(fall.trough))} UTC" if fall.fraction else ""
    notes = [
        f"{amount(money.investment)} {result.quote} invested; {plain(money.base_held)} "
        f"{result.instrument.base} held at {plain(result.last_price)}.",
        f"Rules: {result.rules}.",
        f"{trough}; drawdown is measured at closes." if trough else "",
        f"Funding: {result.funding_words}." if result.funding_words else "",
        *(f"Slot {slot} stands empty: {reason}." for slot, reason in result.vacancies[:5]),
    ]
    return card_of(
        title,
        subtitle,
        _warnings(result.warnings),
        tiles_of(tiles),
        sparkline_of(result.curve.equity, result.curve.hold),
        note_of(notes),
    )


def plan_card(plan: GridPlan) -> str:
    """A plan as one card: what it needs, what forbids it, every order."""
    spec, rules = plan.spec, plan.instrument
    title = f"{spec.symbol} · {spec.levels} {spec.mode} grids at {plain(plan.reference_price)}"
    subtitle = (
        f"{plain(plan.lines[0])} to {plain(plan.lines[-1])} {rules.quote} · "
        f"{percent(spacing_of(plan.lines), 3)} apart"
    )
    tiles = [
        ("capital needed, " + rules.quote, amount(plan.capital_needed), ""),
        ("bought at once, " + rules.base, plain(plan.initial_quantity), ""),
        ("each order, " + rules.base, plain(plan.quantity), ""),
        ("a round earns", _earned(plan), tone_of(float(plan.profit_min))),
        ("pre-flight", "ready" if plan.ok else "refused", "gl-up" if plan.ok else "gl-down"),
    ]
    return card_of(title, subtitle, tiles_of(tiles), _findings(plan.findings), _orders(plan))


def figures_card(title: str, rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Figures as one card: (group, name, value, why there is none), a column for each group."""
    groups: dict[str, list[str]] = {}
    for group, name, shown, why in rows:
        reason = f'<br><span class="gl-why">{escape(why)}</span>' if why else ""
        cells = f"<td>{escape(name)}{reason}</td><td>{escape(shown)}</td>"
        groups.setdefault(group, []).append(f"<tr>{cells}</tr>")
    tables = (
        f"<div><b>{escape(group)}</b><table><tbody>{''.join(inner)}</tbody></table></div>"
        for group, inner in groups.items()
    )
    return card_of(title, "", f'<div class="gl-columns">{"".join(tables)}</div>')


def _earned(plan: GridPlan) -> str:
    low, high = percent(plan.profit_min, 3), percent(plan.profit_max, 3)
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def _warnings(sentences: Sequence[str]) -> str:
    rows = "".join(f'<li class="gl-down"><b>{escape(words)}</b></li>' for words in sentences)
    return f"<ul>{rows}</ul>" if rows else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = "".join(
        f'<li class="{"gl-down" if f.severity is Severity.FAIL else "gl-warn"}">'
        f"<b>{escape(f.rule)}</b>: {escape(f.message)}</li>"
        for f in findings
    )
    return f"<ul>{rows}</ul>"


def _orders(plan: GridPlan) -> str:
    """The orders from the highest to the lowest, with the price where it stands among them."""
    orders = sorted(plan.orders, key=lambda order: order.slot, reverse=True)
    sells = [order for order in orders if order.side is Side.SELL]
    buys = [order for order in orders if order.side is Side.BUY]
    hidden = len(orders) > SHOWN_ORDERS
    if hidden:
        half = SHOWN_ORDERS // 2
        sells, buys = sells[-half:], buys[:half]
    rows = [_order_row(order) for order in sells]
    rows.append(
        f'<tr class="gl-here"><td>price</td><td></td><td>{plain(plan.reference_price)}</td>'
        '<td colspan="3"></td></tr>'
    )
    rows += [_order_row(order) for order in buys]
    quote = escape(plan.instrument.quote)
    head = f"<th>side</th><th>slot</th><th>price</th><th>quantity</th><th>value, {quote}</th>"
    head += f"<th>a round earns, {quote}</th>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    if not hidden:
        return table
    return table + note_of([f"The {SHOWN_ORDERS} orders nearest the price, of {len(orders)}."])


def _order_row(order: PlannedOrder) -> str:
    tone = "gl-up" if order.side is Side.BUY else "gl-down"
    return (
        f'<tr><td class="{tone}">{order.side}</td><td>{order.slot}</td>'
        f"<td>{plain(order.price)}</td>"
        f"<td>{plain(order.quantity)}</td><td>{amount(order.price * order.quantity)}</td>"
        f"<td>{signed(order.net_profit, 4)}</td></tr>"
    )


def tone_of(value: float) -> str:
    if value == 0:
        return ""
    return "gl-up" if value > 0 else "gl-down"


def tiles_of(tiles: Iterable[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<div class="gl-tile"><span>{escape(name)}</span>'
        f'<b class="{tone}">{escape(value)}</b></div>'
        for name, value, tone in tiles
    )
    return f'<div class="gl-tiles">{inner}</div>'


def note_of(sentences: Iterable[str]) -> str:
    inner = "<br>".join(escape(sentence) for sentence in sentences if sentence)
    return f'<div class="gl-note">{inner}</div>'


def card_of(title: str, subtitle: str, *parts: str) -> str:
    return (
        f'{_STYLE}<div class="gl-card"><h4>{escape(title)}</h4>'
        f'<div class="gl-sub">{escape(subtitle)}</div>{"".join(parts)}</div>'
    )


def sparkline_of(equity: FloatArray, hold: FloatArray) -> str:
    """Equity and holding as two polylines over one scale."""
    step = max(1, len(equity) // SPARK_POINTS)
    low = float(min(equity.min(), hold.min()))
    high = float(max(equity.max(), hold.max()))

    def points(values: FloatArray) -> str:
        shown = values[::step]
        across = SPARK_WIDTH / max(1, len(shown) - 1)
        scale = (SPARK_HEIGHT - 8) / ((high - low) or 1.0)
        return " ".join(
            f"{i * across:.1f},{SPARK_HEIGHT - 4 - (value - low) * scale:.1f}"
            for i, value in enumerate(shown.tolist())
        )

    line = 'fill="none" vector-effect="non-scaling-stroke"'
    return (
        f'<svg viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT + 16}" role="img" '
        'aria-label="equity of the grid against holding">'
        f'<polyline {line} stroke="#8a93a6" stroke-dasharray="3 3" points="{points(hold)}"/>'
        f'<polyline {line} stroke="#3f7cf4" stroke-width="1.6" points="{points(equity)}"/>'
        f'<g font-size="10" fill="currentColor"><text x="0" y="{SPARK_HEIGHT + 13}">'
        '<tspan fill="#3f7cf4">━</tspan> grid  <tspan fill="#8a93a6">┅</tspan> hold</text></g>'
        "</svg>"
    )
