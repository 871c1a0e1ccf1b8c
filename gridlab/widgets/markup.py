"""The panel's HTML: banner, tiles, tables and the form's notes, from the values of `view`.

Pure functions from values to text. Everything that comes from outside is escaped; no scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from gridlab.domain.market import Market
from gridlab.domain.snapshot import EngineState, Mode
from gridlab.widgets.view import (
    STALE_MS,
    BotView,
    Candles,
    EngineView,
    FillRow,
    PositionRow,
    Preview,
    quote_asset,
)

#: Colour and plain words of each mode; anything unknown is shown as if it were real money.
MODES: dict[str, tuple[str, str]] = {
    Mode.REPLAY.value: ("#4c8dff", "recorded Binance prices, simulated orders, no keys"),
    Mode.SHADOW.value: ("#b07cff", "live prices, simulated orders"),
    Mode.TESTNET.value: ("#e8b339", "Binance testnet, play money"),
    Mode.PRODUCTION.value: ("#ef5350", "REAL MONEY on Binance"),
}
DANGER = "#ef5350"
FILLS_SHOWN = 60
WHY = "Why"
OFFLINE_NOTE = (
    '<div class="gl-note">No engine answers, so nothing can be started or stopped here. '
    "Bots that run with real orders keep them at the venue.</div>"
)


def money(value: float, *, sign: bool = False) -> str:
    """`+1,234.56`: quote units with two decimals, more when the amount is tiny."""
    digits = 2 if abs(value) >= 0.1 or value == 0 else 4
    body = f"{abs(value):,.{digits}f}"
    if float(body.replace(",", "")) == 0:
        return body
    return ("−" if value < 0 else "+" if sign else "") + body


def price(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def quantity(value: float) -> str:
    return f"{value:,.8f}".rstrip("0").rstrip(".")


def decimals_of(values: Iterable[float]) -> int:
    """Decimals that write all of `values` in full, 2 to 8."""
    most = 2
    for value in values:
        fraction = f"{value:.8f}".rstrip("0").partition(".")[2]
        most = max(most, len(fraction))
    return most


def clock_time(time_ms: int, *, with_day: bool = False) -> str:
    if time_ms <= 0:
        return "–"
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%d %b %H:%M:%S" if with_day else "%H:%M:%S")


def age(age_ms: int) -> str:
    """`0.4 s`, `12 s`, `3 min`: short words for a duration."""
    if age_ms < 10_000:
        return f"{age_ms / 1000:.1f} s"
    if age_ms < 120_000:
        return f"{age_ms // 1000} s"
    return f"{age_ms // 60_000} min"


def is_stale(view: EngineView, age_ms: int) -> bool:
    """Whether numbers of that age mislead; a finished recording stands still by right."""
    return age_ms > STALE_MS and view.state != EngineState.FINISHED


def stamp(view: EngineView, age_ms: int) -> str:
    """`Replay · 0.4 s old`: what goes beside every number."""
    return f"{view.mode} · {age(age_ms)} old"


def are_stale(view: EngineView, candles: Candles) -> bool:
    """Whether the candles mislead, be the engine as fresh as it may; no recording's do."""
    return candles.is_stale and view.state != EngineState.FINISHED


def banner(
    view: EngineView | None, bot: BotView | None, age_ms: int, *, is_old: bool = False
) -> str:
    """The line at the top: mode, what it means, market time, bot state, age.

    `is_old` says that the source has stopped answering, whatever the age.
    """
    if view is None:
        return (
            f'<div class="gl-banner" style="--mode:{DANGER}"><span class="gl-mode">NO ENGINE</span>'
            '<span class="gl-say">waiting for the first answer</span></div>'
        )
    color, words = MODES.get(view.mode, (DANGER, "unknown mode: treat it as real money"))
    words = view.origin or words
    extras = [f"{market}: {reason}" for market, reason in view.unready.items()]
    if view.speed and view.mode == Mode.REPLAY:
        extras.append(f"{view.speed:g}× speed")
    if view.progress is not None:
        extras.append(f"{view.progress:.1%} of the recording")
    if view.state == EngineState.FINISHED:
        extras.append("the recording has ended")
    elif view.state not in (EngineState.READY, ""):
        extras.append(f"engine {view.state}")
    say = " · ".join([words, *extras, *([view.reason] if view.reason else [])])
    old = " old" if is_old or is_stale(view, age_ms) else ""
    return (
        f'<div class="gl-banner" style="--mode:{color}" role="status">'
        f'<span class="gl-mode">{escape(view.mode.upper())}</span>'
        f'<span class="gl-say" title="{escape(say)}">{escape(say)}</span>'
        f'<span class="gl-right">{_bot_state(bot, bool(old))}'
        f"<span>market <b>{clock_time(view.time_ms, with_day=True)} UTC</b></span>"
        f'<span class="gl-age{old}">{"STALE " if old else "data "}{age(age_ms)} old</span>'
        "</span></div>"
    )


def _bot_state(bot: BotView | None, is_old: bool) -> str:
    if bot is None:
        return '<span><i class="gl-dot idle"></i>no bot</span>'
    dot = "bad" if bot.status == "error" else "" if bot.status in ("running", "active") else "wait"
    if bot.status == "stopped" or is_old:
        dot = "idle"
    why = f' title="{escape(bot.reason)}"' if bot.reason else ""
    was = "was " if is_old else ""
    name, status = escape(bot.symbol), escape(bot.status)
    return f'<span{why}><i class="gl-dot {dot}"></i><b>{name}</b> {was}{status}</span>'


def alarm(message: str) -> str:
    """The red bar; empty when there is nothing to say."""
    return f'<div class="gl-alarm" role="alert">{message}</div>' if message else ""


def unreachable(reason: str, down_ms: int, last: EngineView | None) -> str:
    """The red bar's words when no engine answers."""
    seen = (
        f"The numbers below are from {clock_time(last.time_ms, with_day=True)} UTC market time. "
        if last
        else ""
    )
    return (
        f"<b>Engine unreachable for {age(down_ms)}.</b> {seen}Trying again twice a second; "
        f'<span title="{escape(reason)}">{escape(reason[:160])}</span>'
    )


def tiles(
    view: EngineView | None,
    bot: BotView | None,
    symbol: str,
    mark: float | None,
    age_ms: int,
    *,
    mark_note: str = "",
) -> str:
    """The row of figures; dashes where there is no bot.

    Args:
        mark_note: what stands under the price, where it is not as old as the other figures.
    """
    note = stamp(view, age_ms) if view else "no data"
    quote = quote_asset(symbol)
    digits = decimals_of([mark]) if mark is not None else 2
    shown = "–" if mark is None else price(mark, digits)
    cells = [("Price", shown, mark_note or note, "")]
    if bot is None:
        names = (
            "Total profit",
            "Grid profit",
            "Floating",
            "Fees",
            "Equity",
            "Fills",
            "Open orders",
        )
        cells += [(name, "–", "no bot on this symbol", "gl-dim") for name in names]
    else:
        cells += _bot_cells(bot, quote)
    return '<div class="gl-tiles">' + "".join(_tile(*cell, note) for cell in cells) + "</div>"


def _bot_cells(bot: BotView, quote: str) -> list[tuple[str, str, str, str]]:
    base = bot.symbol.removesuffix(quote) if quote else ""
    share = bot.total / bot.investment * 100 if bot.investment else 0.0
    held = "" if bot.base_held is None else f"{quantity(bot.base_held)} {base} held"
    vacant = f"{len(bot.vacancies)} vacant" if bot.vacancies else "no vacancy"
    slots = f"of {bot.levels}, {vacant}" if bot.is_active else f"bot {bot.status}"
    percent = f"{'−' if share < 0 else '+'}{abs(share):.2f} % of {bot.investment:,.0f} {quote}"
    return [
        ("Total profit", money(bot.total, sign=True), percent, tone(bot.total)),
        (
            "Grid profit",
            money(bot.grid_profit, sign=True),
            f"{quote}, before fees",
            tone(bot.grid_profit),
        ),
        ("Floating", money(bot.floating, sign=True), held, tone(bot.floating)),
        ("Fees", money(bot.fees, sign=True), f"{quote}, all fills", tone(bot.fees)),
        ("Equity", money(bot.equity), f"{quote} in this grid", ""),
        ("Fills", f"{bot.trade_count:,}", f"in {bot.uptime}", ""),
        ("Open orders", f"{len(bot.orders)}", slots, ""),
    ]


def _position_facts(position: PositionRow, mark: float) -> list[tuple[str, str]]:
    """The venue's position, and how near it is to closing it by force."""
    size = f"{quantity(position.quantity)} at {position.leverage}x, {position.margin}"
    if position.liquidation is None or not mark:
        return [("Position", size), ("Liquidation", "none at this wallet")]
    away = abs(mark - position.liquidation) / mark
    digits = decimals_of([position.liquidation])
    words = f"{price(position.liquidation, min(digits, 4))} ({away:.1%} away)"
    return [("Position", size), ("Liquidation", words)]


def tone(value: float) -> str:
    """The class that colours a signed amount."""
    return "gl-up" if value > 0 else "gl-down" if value < 0 else ""


def _tile(name: str, value: str, below: str, klass: str, title: str) -> str:
    return (
        f'<div class="gl-tile" title="{escape(title)}"><span>{escape(name)}</span>'
        f'<b class="{klass}">{escape(value)}</b><small>{escape(below)}</small></div>'
    )


def card(title: str, note: str, head: Sequence[str], rows: Sequence[str], empty: str) -> str:
    """A titled table; `rows` are ready `<tr>` texts."""
    body = f'<div class="gl-none">{escape(empty)}</div>'
    if rows:
        columns = "".join(
            f'<th class="gl-why">{name}</th>' if name == WHY else f"<th>{escape(name)}</th>"
            for name in head
        )
        body = f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return (
        f'<div class="gl-card"><header><span>{escape(title)}</span><em>{escape(note)}</em></header>'
        f'<div class="gl-scroll">{body}</div></div>'
    )


def _side(side: str) -> str:
    klass = "gl-up" if side == "buy" else "gl-down"
    return f'<td class="{klass}">{escape(side.capitalize())}</td>'


def orders_card(bot: BotView | None, note: str, digits: int) -> str:
    """Open orders, highest price first, with their distance from the price."""
    rows = []
    for order in sorted(bot.orders, key=lambda one: -one.price) if bot else ():
        away = (order.price / bot.price - 1) * 100 if bot and bot.price else 0.0
        done = f"{order.executed / order.quantity:.0%}" if order.quantity else "–"
        state = escape(order.state) if order.state != "open" else done
        rows.append(
            f"<tr>{_side(order.side)}<td>{price(order.price, digits)}</td>"
            f"<td>{quantity(order.quantity)}</td>"
            f'<td class="gl-dim">{"−" if away < 0 else "+"}{abs(away):.2f} %</td>'
            f"<td>{state}</td></tr>"
        )
    title = f"Open orders ({len(rows)})"
    return card(
        title, note, ("Side", "Price", "Quantity", "Distance", "Filled"), rows, "No open orders."
    )


def fills_card(fills: Sequence[FillRow], total: int, note: str, digits: int) -> str:
    """The latest fills, newest first."""
    rows = [
        f"<tr>{_side(fill.side)}<td>{price(fill.price, digits)}</td>"
        f"<td>{quantity(fill.quantity)}</td><td>{quantity(fill.fee)} {escape(fill.fee_asset)}</td>"
        f'<td class="gl-dim">{clock_time(fill.time_ms, with_day=True)}</td></tr>'
        for fill in reversed(fills[-FILLS_SHOWN:])
    ]
    shown = f", latest {FILLS_SHOWN}" if len(fills) > FILLS_SHOWN else ""
    title = f"Fills ({total:,}{shown})"
    head = ("Side", "Price", "Quantity", "Fee", "Time, UTC")
    return card(title, note, head, rows, "No fills yet.")


def vacancies_card(bot: BotView | None, note: str, digits: int) -> str:
    """Slots without an order, with the rule or event that keeps them empty."""
    rows = [
        f"<tr>{_side(one.side)}<td>{price(one.price, digits)}</td>"
        f'<td class="gl-why">{escape(one.reason)}</td></tr>'
        for one in (bot.vacancies if bot and bot.status != "stopped" else ())
    ]
    empty = "Every slot has its order." if bot and bot.is_active else "No bot is running."
    return card(f"Vacant slots ({len(rows)})", note, ("Side", "Price", WHY), rows, empty)


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<span>{escape(name)}</span><b>{escape(value)}</b>" for name, value in facts)
    return f'<div class="gl-facts">{rows}</div>' if rows else ""


def running_note(bot: BotView, position: PositionRow | None = None) -> str:
    """What grid runs now, in the form's place for figures, with its futures position."""
    quote = quote_asset(bot.symbol)
    base = bot.symbol.removesuffix(quote) if quote else ""
    digits = decimals_of(bot.lines)
    size = quantity(bot.orders[0].quantity) + f" {base}" if bot.orders else "–"
    facts = [("Grids", f"{bot.levels}"), ("Spacing", f"{bot.spacing_percentage:g} %")]
    if bot.lines:
        low, high = price(bot.lines[0], digits), price(bot.lines[-1], digits)
        facts.append(("Range", f"{low} – {high}"))
    facts += [
        ("Order size", size),
        ("Invested", f"{money(bot.investment)} {quote}"),
        ("Running for", bot.uptime),
        ("Run", bot.run or "–"),
    ]
    if bot.market != Market.SPOT.value and position is not None:
        facts += _position_facts(position, bot.price)
    note = f"{bot.symbol} is {bot.status}. Stop it to lay out another grid."
    return f'{_facts(facts)}<div class="gl-note gl-below">{escape(note)}</div>'


def preview_note(preview: Preview | None) -> str:
    """The form's figures, and the rules that it breaks."""
    if preview is None:
        return '<div class="gl-note">No pre-flight yet.</div>'
    parts = [_facts(preview.facts)]
    for klass, sentences in (("gl-bad", preview.problems), ("gl-warn", preview.warnings)):
        if sentences:
            items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
            parts.append(f'<ul class="gl-list {klass}">{items}</ul>')
    if preview.ok and not preview.warnings:
        parts.append('<div class="gl-note gl-below">Pre-flight: every rule passes.</div>')
    return "".join(parts)


def message(text: str, kind: str = "") -> str:
    """One line about what a button did; empty text gives nothing."""
    return f'<div class="gl-message {kind}">{escape(text)}</div>' if text else ""


def error_page(error: BaseException, remedy: str) -> str:
    """A readable panel for a cell that could not build its view."""
    words = f"{type(error).__name__}: {error}"
    return (
        '<div style="background:#34171b;border:1px solid #8a3238;color:#ffd3d3;border-radius:6px;'
        'padding:14px 18px;font:14px/1.5 system-ui,sans-serif;margin:12px">'
        f"<b>This dashboard could not start.</b><br>{escape(words)}<br>{escape(remedy)}</div>"
    )
