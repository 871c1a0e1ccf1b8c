"""A bracket as people see it: a verdict in words, a table, a card, a picture. Computes no run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridlab.domain.market import Market
from gridlab.money import text
from gridlab.research.bracket_runs import NAMES, Member, Runs
from gridlab.research.words import percent, signed, signed_percent

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

#: What would decide a result that hangs on this assumption.
REMEDIES = {
    "path": "the trades of these days (backtest_trades), or lines farther apart",
    "fill_rule": "the trades of these days (backtest_trades) and the queue in their order book, or "
    "lines farther apart",
    "queue_share": "the trades of these days (backtest_trades), or smaller orders",
    "latency_ms": "the trades of these days (backtest_trades), or lines farther apart",
}
COLUMNS = ("total", "grid_profit", "floating", "fees", "funding", "liquidation")


def verdict(bracket: Runs) -> str:
    """Whether the bars decide that the grid earns, what decides it, and how holding compares."""
    quote = bracket.result.quote
    low, high = bracket.pessimistic.total, bracket.optimistic.total
    span = f"{signed(low)} to {signed(high)} {quote}"
    if low > 0:
        first = f"This grid earns on these bars under all {len(bracket.members)} runs: {span}."
    elif high <= 0:
        first = f"This grid earns nothing on these bars in any of {len(bracket.members)} runs: "
        first += f"{span}."
    else:
        first = f"These bars do not decide whether this grid earns: {span}. "
        remedy = REMEDIES[bracket.driver]
        if bracket.result.instrument.market is not Market.SPOT:
            remedy = remedy.replace(" (backtest_trades)", "")  # it replays spot only
        first += f"What would decide it: {remedy}."
    return " ".join((first, _driver(bracket), _against_hold(bracket)))


def _driver(bracket: Runs) -> str:
    if not bracket.driver:
        return "No assumption moves the result."
    swing = bracket.swings[bracket.driver]
    sentence = (
        f"What moves the result most is {NAMES[bracket.driver]}, by up to {signed(swing)[1:]} "
        f"{bracket.result.quote} with all else equal"
    )
    if bracket.bar_height >= 0.25:
        sentence += (
            f"; the median bar is {percent(bracket.bar_height, 0)} as high as two lines are apart"
        )
    return sentence + "."


def _against_hold(bracket: Runs) -> str:
    better = sum(float(member.total) > bracket.hold_profit for member in bracket.members)
    count = len(bracket.members)
    often = {0: "in none of the runs", count: "in all of the runs"}.get(
        better, f"in {better} of {count} runs, so these bars do not decide that either"
    )
    return f"It beats holding ({signed(bracket.hold_profit)} {bracket.result.quote}) {often}."


def caution(bracket: Runs) -> str:
    """What the ends of the range are, and are not."""
    adverse = (
        "Here the run with every adverse assumption is the least."
        if bracket.adverse_is_least
        else "Here the run with every adverse assumption is not the least: rounds that lose and "
        "are missed, or late fills at a better price, outweigh the rest."
    )
    return (
        f"The ends are the least and the most of {len(bracket.members)} runs, not bounds: inside a "
        f"bar the price may have gone to and fro more often than on any path. {adverse}"
    )


def bracket_frame(bracket: Runs) -> pd.DataFrame:
    """One row for each run, the least total first.

    Columns: role (pessimistic, expected, optimistic or empty), fill_rule, path, queue_share,
    latency_ms, total and its parts grid_profit, floating, fees, funding, liquidation (quote units),
    total_return, max_drawdown (fractions), buys, sells, engine.
    """
    import pandas as pd

    rows = [
        {
            "role": _role(bracket, member),
            "fill_rule": str(member.assumptions.fill_rule),
            "path": str(member.assumptions.path),
            "queue_share": float(member.assumptions.queue_share),
            "latency_ms": member.assumptions.latency_ms,
            **{name: float(getattr(member, name)) for name in COLUMNS},
            "total_return": member.total_return,
            "max_drawdown": member.max_drawdown,
            "buys": member.buys,
            "sells": member.sells,
            "engine": member.engine,
        }
        for member in sorted(bracket.members, key=lambda member: member.total)
    ]
    return pd.DataFrame(rows)


def _role(bracket: Runs, member: Member) -> str:
    roles = {"pessimistic": bracket.pessimistic, "optimistic": bracket.optimistic}
    if member is bracket.expected:
        return "expected"
    return next((name for name, other in roles.items() if other is member), "")


def bracket_dict(bracket: Runs) -> dict[str, Any]:
    """The bracket as plain JSON values; exact amounts are strings of all their digits."""
    return {
        "symbol": bracket.result.symbol,
        "is_decided": bracket.is_decided,
        "verdict": verdict(bracket),
        "driver": bracket.driver,
        "swings": {name: text(swing) for name, swing in bracket.swings.items()},
        "hold_profit": bracket.hold_profit,
        "pessimistic": _member_dict(bracket.pessimistic),
        "expected": _member_dict(bracket.expected),
        "optimistic": _member_dict(bracket.optimistic),
        "members": [_member_dict(member) for member in bracket.members],
    }


def _member_dict(member: Member) -> dict[str, Any]:
    assumptions = member.assumptions
    return {
        "fill_rule": str(assumptions.fill_rule),
        "path": str(assumptions.path),
        "queue_share": text(assumptions.queue_share),
        "latency_ms": assumptions.latency_ms,
        **{name: text(getattr(member, name)) for name in COLUMNS},
        "total_return": member.total_return,
        "max_drawdown": member.max_drawdown,
        "fills": {"buys": member.buys, "sells": member.sells},
        "engine": member.engine,
    }


def _shown(bracket: Runs) -> list[tuple[str, Member]]:
    return [
        ("pessimistic", bracket.pessimistic),
        ("expected", bracket.expected),
        ("optimistic", bracket.optimistic),
    ]


def bracket_text(bracket: Runs) -> str:
    """The three members, the verdict and the caution as plain text."""
    quote = bracket.result.quote
    rows = [
        f"  {name:<13}{signed(member.total):>12} {quote}  {signed_percent(member.total_return):>9}"
        f"  {member.buys + member.sells:>7,} fills  {member.assumptions}"
        for name, member in _shown(bracket)
    ]
    head = f"Bracket of {bracket.result.symbol}, {len(bracket.members)} runs"
    return "\n".join([head, *rows, verdict(bracket), caution(bracket)])


def bracket_card(bracket: Runs) -> str:
    """The verdict first, then the three members, then what each assumption moves."""
    from html import escape

    from gridlab.research import cards

    quote = escape(bracket.result.quote)
    heads = (
        "",
        f"profit, {quote}",
        "return",
        "grid profit",
        "floating",
        "fees",
        "fills",
        "assumes",
    )
    body = "".join(
        f"<tr><td>{name}</td><td>{signed(member.total)}</td>"
        f"<td>{signed_percent(member.total_return)}</td><td>{signed(member.grid_profit)}</td>"
        f"<td>{signed(member.floating)}</td><td>{signed(member.fees)}</td>"
        f"<td>{member.buys + member.sells:,}</td><td>{escape(str(member.assumptions))}</td></tr>"
        for name, member in _shown(bracket)
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    tone = "" if bracket.is_decided else ' class="gl-warn"'
    swings = ", ".join(
        f"{NAMES[name]} {signed(swing).removeprefix('+')}" for name, swing in bracket.swings.items()
    )
    notes = [f"At most, with all else equal, {quote}: {swings}.", caution(bracket)]
    return cards.card_of(
        f"{bracket.result.symbol} · what the bars decide",
        f"{len(bracket.members)} runs of one grid on {len(bracket.result.bars):,} bars of "
        f"{bracket.result.bars.interval}",
        f"<p{tone}>{escape(verdict(bracket))}</p>",
        table,
        cards.note_of(notes),
    )


def bracket_figure(bracket: Runs, height: int = 320) -> go.Figure:
    """Horizontal ranges over profit: all runs, then each assumption with all else equal."""
    import plotly.graph_objects as go

    from gridlab.research import plots

    rows = [("all together", bracket.members)]
    rows += [(NAMES[name], bracket.groups[name]) for name in bracket.swings]
    lows = [float(min(member.total for member in members)) for _, members in rows]
    highs = [float(max(member.total for member in members)) for _, members in rows]
    names = [name for name, _ in rows]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=[high - low for low, high in zip(lows, highs, strict=True)],
            base=lows,
            orientation="h",
            width=0.5,
            marker_color=[plots.EQUITY, *[plots.HOLD] * (len(rows) - 1)],
            customdata=list(zip(lows, highs, strict=True)),
            hovertemplate="%{customdata[0]:,.2f} to %{customdata[1]:,.2f}<extra>%{y}</extra>",
            name="range of the runs",
            showlegend=False,
        )
    )
    marks = [("this backtest", float(bracket.expected.total), plots.STOCK)]
    others = (("holding", bracket.hold_profit, plots.HOLD), ("nothing", 0.0, plots.INK))
    near, far = lows[0] - (highs[0] - lows[0]), highs[0] + (highs[0] - lows[0])
    # A mark far from the range would press it to a stroke; the verdict tells it in words.
    marks += [mark for mark in others if near <= mark[1] <= far]
    for name, value, colour in marks:
        figure.add_trace(
            go.Scatter(
                x=[value, value],
                y=[names[0], names[-1]],
                mode="lines",
                line={"color": colour, "width": 1.5, "dash": "dot"},
                name=name,
                hovertemplate=f"{value:,.2f}<extra>{name}</extra>",
            )
        )
    figure.update_layout(
        template="gridlab",
        height=height,
        hovermode="closest",
        title={"text": f"{bracket.result.symbol}: what each assumption moves", "x": 0},
        margin={"l": 150, "t": 70},
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title_text=f"profit, {bracket.result.quote}", title_font_size=11)
    return figure
