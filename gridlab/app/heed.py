"""What becomes of advice when a grid is to start: a smaller futures grid, and words for the rest.

Advice is not a command (law 7). Of its kinds one acts by itself, because the configuration has a
switch for it and it only takes risk away: less leverage. It is taken as less value for the same
margin: the account's leverage is a setting of the venue that other grids stand on. All other advice
is told as a warning of the pre-flight, and whoever starts the grid decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from gridlab.clock import iso
from gridlab.domain.advice import NEUTRAL, Advice, AdviceKind, combined
from gridlab.domain.market import Market
from gridlab.domain.plan import Finding, Severity
from gridlab.domain.spec import GridSpec
from gridlab.money import exact, text

RULE: Final = "advice"
_WORDS: Final = {
    AdviceKind.EXPOSURE: "advises to invest {value} of what is asked for",
    AdviceKind.NEW_PAIR: "advises against a new grid on {symbol}",
    AdviceKind.SPACING: "advises a spacing {value} times as wide",
    AdviceKind.LEVERAGE: "advises {value} of the leverage",
}


def heeded(
    spec: GridSpec, advice: Iterable[Advice], now_ms: int
) -> tuple[GridSpec, tuple[Finding, ...]]:
    """`spec` as it may start under `advice`, and what the user is told of it."""
    held = tuple(advice)
    found: list[Finding] = []
    for kind in AdviceKind:
        value, said = combined(held, kind, spec.symbol, now_ms)
        if not said or value == NEUTRAL:
            continue
        about = _WORDS[kind].format(value=text(value), symbol=spec.symbol)
        words = f"{said[0].source} {about} until {iso(said[0].expires_ms)}: {said[0].reason}"
        if kind is AdviceKind.LEVERAGE:
            if spec.market is not Market.FUTURES or spec.leverage == 1:
                continue
            spec = _smaller(spec, value)
            words += (
                f"; the grid is laid with {text(value)} of its size. Switch "
                "sentiment_analysis.risk_adjustment off to have it whole"
            )
        found.append(Finding(Severity.WARN, RULE, words))
    return spec, tuple(found)


def _smaller(spec: GridSpec, factor: Decimal) -> GridSpec:
    """The same grid with `factor` of its value."""
    with exact():
        if spec.investment is not None:
            return replace(spec, investment=spec.investment * factor)
        assert spec.quantity is not None, "a spec has one of the two"
        return replace(spec, quantity=spec.quantity * factor)
