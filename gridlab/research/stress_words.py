"""A stress card in words: one sentence for each scenario, plain text, and HTML for a notebook.

The HTML stands alone: escaped, no script, in Jupyter's own colours. Knows no path and no core.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from html import escape

from gridlab.clock import iso
from gridlab.money import ONE, exact, rounding
from gridlab.research.outcome import Outcome
from gridlab.research.scenarios import SCENARIOS, raised
from gridlab.research.strains import Strain, StrainCard
from gridlab.research.words import amount, percent, plain, signed, signed_percent


def sentence_of(strain: Strain, result: Outcome) -> str:
    """What the scenario did to the grid, in one or two sentences."""
    quote, base = result.quote, result.instrument.base
    did = "gains" if strain.total > 0 else "loses"
    head = (
        f"It {did} {amount(abs(strain.total))} {quote} "
        f"({signed_percent(strain.total_fraction)} of the investment{_of_margin(result)})"
    )
    if strain.held:
        left = (
            f"{plain(strain.held)} {base} is left, worth {amount(strain.held_value)} {quote} at "
            f"{plain(strain.last_price)}"
        )
    else:
        left = f"nothing is left but {quote}"
    end = result.liquidation
    if end is not None:
        forced = f"the venue closed the position by force at {plain(end.price)}, {iso(end.time_ms)}"
        return f"LIQUIDATED: {forced}. {head}; {left}."
    more = _MORE[strain.name](strain, result)
    return f"{head}; {left}. {more}"


def _of_margin(result: Outcome) -> str:
    if result.spec.leverage == 1:
        return ""
    return f", {signed_percent(result.return_on_margin)} of the margin"


def _crash(strain: Strain, result: Outcome) -> str:
    return (
        f"Below {plain(result.lines[0])} it buys nothing more and waits: what it holds falls one "
        "to one with the price."
    )


def _pump(strain: Strain, result: Outcome) -> str:
    return (
        f"Above {plain(result.lines[-1])} everything is sold and nothing more is gained; holding "
        f"would have made {signed_percent(result.hold_return)}."
    )


def _chop(strain: Strain, result: Outcome) -> str:
    with rounding():
        kept = 1 + strain.fees / strain.grid_profit if strain.grid_profit > 0 else Decimal(0)
    leave = f"leave {percent(kept, 0)} of it" if kept > 0 else "take all of it and more"
    return (
        f"{strain.buys:,} buys and {strain.sells:,} sells earn {amount(strain.grid_profit)} "
        f"{result.quote} before fees, and fees {leave}."
    )


def _gap(strain: Strain, result: Outcome) -> str:
    flows, opened = result.flows, 60 * int(dict(strain.parameters)["quiet_hours"])
    at_once = int(((flows.bar == opened) & (flows.side > 0)).sum())
    return (
        f"The gap fills {at_once:,} buys at once, each at its own price and so above the market: "
        "they are under water from the start."
    )


def _delisting(strain: Strain, result: Outcome) -> str:
    if result.funding_words:
        return "A perpetual is settled at the last price, so that loss is final."
    with exact():
        worst = strain.total - strain.held_value
    return (
        "No order can be placed any more; if what is left cannot be moved and becomes worthless, "
        f"the whole comes to {signed(worst)} {result.quote}."
    )


def _fee_change(strain: Strain, result: Outcome) -> str:
    fees = raised(result.spec.fees, dict(strain.parameters))
    with rounding():
        low, high = result.lines[0], result.lines[1]
        each = high / low * (ONE - fees.maker) - (ONE + fees.maker)
    return f"{_against(strain, result, 'the old fees')} A round now earns about {percent(each, 3)}."


def _funding_spike(strain: Strain, result: Outcome) -> str:
    times = len(result.flows.paid)
    return (
        f"{times} payments come to {signed(strain.funding)} {result.quote}. "
        f"{_against(strain, result, 'no funding')}"
    )


def _against(strain: Strain, result: Outcome, what: str) -> str:
    assert strain.compared is not None, "this scenario is run without the change too"
    return f"With {what} the same path gives {signed(strain.compared)} {result.quote}."


_MORE: dict[str, Callable[[Strain, Outcome], str]] = {
    "crash": _crash,
    "pump": _pump,
    "chop": _chop,
    "gap": _gap,
    "delisting": _delisting,
    "fee_change": _fee_change,
    "funding_spike": _funding_spike,
}
assert set(_MORE) == {scenario.name for scenario in SCENARIOS}


# --- the whole card -------------------------------------------------------------------------------


def _head(card: StrainCard) -> tuple[str, str]:
    spec = card.spec
    title = f"Stress card of {spec.symbol} ({spec.market}), {spec.levels} {spec.mode} grids"
    if card.margin:
        title += f", leverage {spec.leverage}, {card.margin} margin"
    made = (
        f"starts at {plain(card.price)}; seed {card.seed}, noise of {percent(card.volatility, 3)} "
        f"a minute; core runs of GridLab {card.version}, scenarios of edition {card.edition}"
    )
    return title, made


def card_text(card: StrainCard) -> str:
    """The card as plain text, worst first."""
    title, made = _head(card)
    lines = [title, f"  {made}"]
    for strain in card.strains:
        shown = signed(strain.total) if strain.applies else "-"
        lines += [f"  {strain.title:<26}{shown:>14}", f"      {strain.sentence}"]
    return "\n".join(lines)


_STYLE = """<style>
.gl-stress{max-width:980px;border:1px solid var(--jp-border-color2,#d8dce4);border-radius:8px;
 padding:14px 18px;color:var(--jp-ui-font-color1,#1d2330);
 background:var(--jp-layout-color1,transparent);
 font:13px/1.45 var(--jp-ui-font-family,system-ui,sans-serif)}
.gl-stress h4{margin:0;font-size:15px;font-weight:600}
.gl-stress .gl-dim{color:var(--jp-ui-font-color2,#667085);font-size:11.5px}
.gl-stress .gl-up{color:var(--jp-success-color1,#17835c)}
.gl-stress .gl-down{color:var(--jp-error-color1,#c63d40)}
.gl-stress table{border-collapse:collapse;width:100%;margin:10px 0 0;background:transparent;
 font-variant-numeric:tabular-nums}
.gl-stress th,.gl-stress td{padding:3px 12px 3px 0;text-align:right;border:0;color:inherit;
 background:transparent;vertical-align:top}
.gl-stress th{color:var(--jp-ui-font-color2,#667085);font-weight:500;
 border-bottom:1px solid var(--jp-border-color2,#d8dce4)}
.gl-stress th:first-child,.gl-stress td:first-child,.gl-stress td.gl-say{text-align:left}
.gl-stress td.gl-say{padding:0 12px 8px 0;white-space:normal}
</style>"""
_COLUMNS = ("total", "of investment", "grid", "inventory", "fees", "funding", "drawdown", "fills")


def card_html(card: StrainCard) -> str:
    """The card as HTML: a table, worst first, with a sentence under each row."""
    title, made = _head(card)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("scenario", *_COLUMNS))
    rows = "".join(_rows(strain) for strain in card.strains)
    return (
        f'{_STYLE}<div class="gl-stress"><h4>{escape(title)}</h4>'
        f'<div class="gl-dim">{escape(made)}</div><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table><div class="gl-dim">{escape(card.rules)}. The paths are '
        "synthetic and seeded; they are no forecast.</div></div>"
    )


def _rows(strain: Strain) -> str:
    span = len(_COLUMNS) + 1
    say = (
        f'<tr><td class="gl-say gl-dim" colspan="{span}">{escape(strain.words)}<br>'
        f"{escape(strain.sentence)}</td></tr>"
    )
    if not strain.applies:
        dashes = "<td>&ndash;</td>" * len(_COLUMNS)
        return f"<tr><td>{escape(strain.title)}</td>{dashes}</tr>{say}"
    inventory = strain.inventory + strain.liquidation
    cells = (
        _tone(signed(strain.total), strain.total),
        _tone(signed_percent(strain.total_fraction), strain.total),
        *(
            _tone(signed(value), value)
            for value in (strain.grid_profit, inventory, strain.fees, strain.funding)
        ),
        f"<td>{percent(strain.max_drawdown)}</td>",
        f"<td>{strain.buys:,} / {strain.sells:,}</td>",
    )
    name = f"<b>{escape(strain.title)}</b>"
    if strain.is_liquidated:
        name += ' <b class="gl-down">LIQUIDATED</b>'
    return f"<tr><td>{name}</td>{''.join(cells)}</tr>{say}"


def _tone(shown: str, value: Decimal) -> str:
    tone = "gl-up" if value > 0 else "gl-down" if value < 0 else ""
    return f'<td class="{tone}">{escape(shown)}</td>'
