"""What a result rests on: data with their hash, assumptions, rules; as (name, words) rows.

Two people who see the same hash and the same rows have run the same backtest.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields

from gridlab._version import __version__
from gridlab.data.bars import Bars
from gridlab.domain.market import BarPath, FeeMode
from gridlab.exchange.paper import FillRule
from gridlab.grid.view import spacing_of
from gridlab.money import text
from gridlab.research.outcome import Outcome
from gridlab.research.words import amount, percent, plain, span, when

Rows = list[tuple[str, str]]

#: Holes that are named one by one; of more, the widest.
SHOWN_GAPS = 5
_FILLS = {
    FillRule.TOUCH: "when the price touches it, in full, at its own price; nobody is ahead in the "
    "queue",
    FillRule.THROUGH: "when the price goes one tick beyond it, in full, at its own price",
}
_PATHS = {
    BarPath.STATED: "open, low, high, close when it rose; open, high, low, close when it fell",
    BarPath.CONTRARY: "open, high, low, close when it rose; open, low, high, close when it fell",
    BarPath.LOW_FIRST: "open, low, high, close",
    BarPath.HIGH_FIRST: "open, high, low, close",
}


def bars_sha256(bars: Bars) -> str:
    """The hash of a series: its name and every value, whatever file or frame they came from.

    SHA-256 over `market symbol interval` and the columns of `Bars` in their order, little-endian
    64-bit numbers.
    """
    digest = hashlib.sha256(f"{bars.market} {bars.symbol} {bars.interval}\n".encode())
    for field in fields(bars)[3:]:
        column = getattr(bars, field.name)
        digest.update(column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def grid_rows(result: Outcome) -> Rows:
    """The grid as it was laid."""
    plan, spec, quote = result.plan, result.spec, result.quote
    low, high = plain(result.lines[0]), plain(result.lines[-1])
    rows = [
        ("grid", f"{spec.levels} {spec.mode} grids, {low} to {high} {quote}"),
        ("spacing", f"{percent(spacing_of(result.lines), 3)}, mean"),
        ("start price", f"{plain(plan.reference_price)} {quote}"),
        ("each order", f"{plain(plan.quantity)} {result.instrument.base}"),
        ("investment", f"{amount(result.money.investment)} {quote}"),
        ("bought at once", f"{plain(plan.initial_quantity)} {result.instrument.base}"),
    ]
    low_net, high_net = percent(plan.profit_min, 3), percent(plan.profit_max, 3)
    net = low_net if low_net == high_net else f"{low_net} to {high_net}"
    rows.append(("a round earns", f"{net} after both fees"))
    return rows


def assumption_rows(result: Outcome) -> Rows:
    """How the venue was simulated."""
    fees, rules = result.spec.fees, result.instrument
    asset = {
        FeeMode.QUOTE: f"in {result.quote}",
        FeeMode.RECEIVED: "in the asset received",
        FeeMode.THIRD: f"in {fees.third_asset} at {text(fees.third_price)} {result.quote}",
    }[fees.mode]
    limit = "no limit by volume"
    if result.participation is not None:
        limit = f"at most {percent(result.participation)} of a bar's volume"
    latency = f"{result.latency_ms} ms" if result.latency_ms else "none"
    futures = [("margin", f"{result.margin}, leverage {result.spec.leverage}")]
    futures += [("funding", result.funding_words)]
    return [
        *(futures if result.funding_words else []),
        ("an order fills", _FILLS[FillRule(result.fill_rule)]),
        ("inside a bar", _PATHS[result.path]),
        ("size", limit),
        ("latency", latency),
        ("fees", f"maker {percent(fees.maker, 3)}, taker {percent(fees.taker, 3)}, {asset}"),
        ("rules", result.rules),
        (
            "filters",
            f"tick {text(rules.tick_size)}, lot {text(rules.lot_size)}, least order value "
            f"{text(rules.min_notional)} {result.quote}, at most {rules.max_num_orders} orders",
        ),
        ("holding", "all of the investment in base at the first open, one taker fee"),
        ("figures by", f"the {result.engine}; kernel and core are held equal, fill by fill"),
    ]


def data_rows(result: Outcome) -> Rows:
    """The candles: what, from when to when, what is missing, and their hash."""
    bars = result.bars
    first = int(bars.open_time_ms[0])
    gaps = sorted(bars.gaps(), key=lambda gap: gap[0] - gap[1])
    missing = sum((last - start) // bars.interval.ms + 1 for start, last in gaps)
    holes = "none"
    if gaps:
        named = ", ".join(
            f"{when(start)} for {span(last - start + bars.interval.ms)}"
            for start, last in gaps[:SHOWN_GAPS]
        )
        widest = f", the widest {SHOWN_GAPS}" if len(gaps) > SHOWN_GAPS else ""
        holes = f"{len(gaps)}, {missing:,} bars in all{widest}: {named}"
    return [
        ("candles", f"{len(bars):,} of {bars.interval}, {bars.symbol} {bars.market}"),
        ("from, to", f"{when(first)} to {when(bars.end_ms)} UTC, {span(result.duration_ms)}"),
        ("holes", holes),
        ("SHA-256", bars_sha256(bars)),
        ("GridLab", __version__),
    ]
