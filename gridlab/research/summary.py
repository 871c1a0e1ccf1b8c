"""A backtest in sentences: what it earned, of what that is made, and how far to believe it."""

from __future__ import annotations

import math

from gridlab.grid.view import spacing_of
from gridlab.research.figures import Metrics
from gridlab.research.outcome import Outcome
from gridlab.research.words import amount, percent, signed, signed_percent, span, when

#: Below this spacing minutes do not tell the result; see docs/bars-and-trades.md.
CLOSE_SPACING = 0.004
#: Holes that make up less of the span than this are told among the data only.
SHORT_HOLES = 0.001


def summary(result: Outcome, metrics: Metrics, *, is_bracketed: bool = False) -> list[str]:
    """The result in words, the most important first.

    Args:
        is_bracketed: a bracket stands beside these words, so none need be asked for.
    """
    found = [_earned(result, metrics), _made_of(result, metrics), _fell(result, metrics)]
    found += [_lent(result), _stayed(metrics), _believe(result, metrics, is_bracketed)]
    return [sentence for sentence in found if sentence]


def _earned(result: Outcome, metrics: Metrics) -> str:
    quote, spec = result.quote, result.spec
    points = 100 * metrics.excess_return
    than = "more" if points >= 0 else "less"
    return (
        f"In {span(result.duration_ms)} {spec.levels} {spec.mode} grids of "
        f"{percent(spacing_of(result.lines), 2)} on {result.symbol} turned "
        f"{amount(result.money.investment)} {quote} into {amount(result.equity)} {quote}, "
        f"{signed_percent(metrics.total_return)}. Buying at the start and holding returned "
        f"{signed_percent(metrics.hold_return)}: the grid made {amount(abs(points))} percentage "
        f"points {than}."
    )


def _made_of(result: Outcome, metrics: Metrics) -> str:
    parts, quote = metrics.parts, result.quote
    if not metrics.buys + metrics.sells:
        return "No resting order was filled."
    share = ""
    if not math.isnan(metrics.fees_of_gross):
        share = f", {percent(metrics.fees_of_gross, 1)} of it"
    funding = f", funding {signed(parts.funding)}" if parts.funding else ""
    closed = f", the forced sale {signed(parts.liquidation)}" if parts.liquidation else ""
    held = "nothing is held any more"
    if result.money.base_held:
        worth = "more" if parts.inventory >= 0 else "less"
        held = f"what is still held is worth {amount(abs(parts.inventory))} {quote} {worth} "
        held += "than it cost"
    return (
        f"{metrics.round_trips:,} of {metrics.buys:,} purchases were sold again. Selling higher "
        f"than it bought earned {amount(parts.grid_profit)} {quote}, fees took "
        f"{amount(abs(parts.fees))}{share}{funding}{closed}, and {held}."
    )


def _fell(result: Outcome, metrics: Metrics) -> str:
    if metrics.peak_ms is None or metrics.trough_ms is None:
        return "Equity never fell below an earlier height."
    back = "and had not recovered at the end"
    if metrics.recovery_ms is not None:
        back = f"and was back at {when(metrics.recovery_ms)}"
    return (
        f"At worst equity fell {percent(metrics.max_drawdown)}, from {when(metrics.peak_ms)} to "
        f"{when(metrics.trough_ms)} UTC, {back}; holding fell {percent(metrics.hold_drawdown)}."
    )


def _lent(result: Outcome) -> str:
    if not result.funding_words:
        return ""
    return (
        f"On futures at leverage {result.spec.leverage} the start needed "
        f"{amount(result.plan.margin_needed)} {result.quote} of {result.margin} margin, on which "
        f"the grid returned {signed_percent(result.return_on_margin)}."
    )


def _stayed(metrics: Metrics) -> str:
    if not metrics.out_of_range:
        return ""
    return (
        f"The price was out of range {percent(metrics.out_of_range, 1)} of the time, "
        f"{percent(metrics.above_range, 1)} above and {percent(metrics.below_range, 1)} below; "
        "there the grid only waits."
    )


def _believe(result: Outcome, metrics: Metrics, is_bracketed: bool) -> str:
    found = []
    if not math.isnan(metrics.sharpe):
        is_far = abs(metrics.sharpe) > 2 * metrics.sharpe_error
        tells = (
            "more than two of them from zero" if is_far else "this span cannot tell it from zero"
        )
        found.append(
            f"The Sharpe ratio is {amount(metrics.sharpe)} with a standard error of "
            f"{amount(metrics.sharpe_error)}: {tells}."
        )
    else:
        found.append(
            f"{span(result.duration_ms)} say little of any other {span(result.duration_ms)}."
        )
    gaps = result.bars.gaps()
    missing = sum(last - start + result.bars.interval.ms for start, last in gaps)
    if missing > SHORT_HOLES * result.duration_ms:
        found.append(
            f"The recording lacks {span(missing)} of it, in {len(gaps)} holes: over each the price "
            "jumps, and what was filled there was filled at the orders' own prices."
        )
    spacing = float(spacing_of(result.lines))
    if spacing < CLOSE_SPACING and not is_bracketed:
        found.append(
            f"At {percent(spacing, 2)} between lines, bars of {result.bars.interval} do not tell "
            "which orders were filled: ask for the bracket."
        )
    return " ".join(found)
