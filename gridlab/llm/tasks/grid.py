"""Grid optimisation: how many lines and how far apart, proposed and never applied by itself.

A proposal is two numbers. The template's come from rules: lines lie a typical hour's range apart,
but never closer than three times what one round pays in fees, and there are as many as the window's
range holds. A model may propose others within the same bounds. What comes of either is for the
pre-flight and the backtest to say; both stand beside the present grid, for a person to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gridlab.errors import ModelAnswerRefused
from gridlab.llm.facts import Fact, Facts, Language, age, count, places_for, share
from gridlab.llm.writing import Brief, stale_warning
from gridlab.money import ONE, rounding

KIND: Final = "grid_optimization"
LEAST_LEVELS: Final = 4
MOST_LEVELS: Final = 60
LEAST_SPACING: Final = Decimal("0.001")
MOST_SPACING: Final = Decimal("0.05")
#: Spacing over what one round pays in fees; below it a round's profit is mostly the venue's.
FEE_MULTIPLE: Final = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What is proposed: `spacing` is a fraction."""

    levels: int
    spacing: Decimal


@dataclass(frozen=True, slots=True)
class GridFacts:
    """A pair and the grid on it, or the configured one where none runs.

    Args:
        round_fee: what one buy and one sell pay, as a fraction of their value.
        volatility: average true range of an hour over price, a fraction; None when unknown.
        high, low: of the window of `hours` that ends at `time_ms`.
        is_running: whether `present` is a grid that runs.
        age_ms, is_stale: of the last price, as `MarketFacts` has them.
    """

    symbol: str
    quote: str
    time_ms: int
    price: Decimal
    high: Decimal
    low: Decimal
    hours: int
    present: Shape
    round_fee: Decimal
    volatility: Decimal | None
    is_running: bool
    age_ms: int = 0
    is_stale: bool = False

    def facts(self) -> Facts:
        """What a text about them may tell, the proposal aside."""
        places = places_for(self.price)
        items = [
            Fact("last_price", self.price, self.quote, places),
            Fact("high", self.high, self.quote, places),
            Fact("low", self.low, self.quote, places),
            Fact("window", Decimal(self.hours), "h"),
            count("present_levels", self.present.levels),
            share("present_spacing", self.present.spacing, 3),
            share("fees_of_a_round", self.round_fee, 3),
            age(self.age_ms),
        ]
        if self.volatility is not None:
            items.append(share("volatility_per_hour", self.volatility, 3))
        return Facts(tuple(items), (self.symbol,), (self.time_ms,))


def by_rule(grid: GridFacts) -> Shape:
    """The proposal that follows from the facts alone."""
    with rounding():
        least = max(LEAST_SPACING, grid.round_fee * FEE_MULTIPLE)
        wanted = grid.volatility if grid.volatility is not None else grid.present.spacing
        spacing = min(max(wanted, least), MOST_SPACING).quantize(Decimal("0.00001"))
        steps = int((grid.high / grid.low).ln() / (ONE + spacing).ln())
    return Shape(min(max(steps, LEAST_LEVELS), MOST_LEVELS), spacing)


def brief_for(grid: GridFacts, language: Language) -> Brief:
    """The proposal for one grid; `Written.values["shape"]` is the `Shape`."""
    ruled = by_rule(grid)
    return Brief(
        kind=KIND,
        facts=grid.facts(),
        language=language,
        instruction=(
            f"Propose another shape for the grid on {grid.symbol}: `levels` and `spacing_percent` "
            "(percent between neighbouring lines, above three times fees_of_a_round). Say why, and "
            "what speaks against it. Your two numbers may appear in the sentences, with % after "
            "the second. It will be checked and backtested before anybody uses it."
        ),
        template=_template(grid, ruled, language),
        more={
            "levels": {"type": "integer", "minimum": LEAST_LEVELS, "maximum": MOST_LEVELS},
            "spacing_percent": {
                "type": "number",
                "minimum": float(LEAST_SPACING * 100),
                "maximum": float(MOST_SPACING * 100),
            },
        },
        judge=lambda parsed: _judged(grid, parsed),
        kept={"shape": ruled},
        told=with_proposal(grid.facts(), ruled),
        as_of_ms=grid.time_ms - grid.age_ms,
        warning=stale_warning(grid.age_ms, language) if grid.is_stale else "",
    )


def with_proposal(facts: Facts, shape: Shape) -> Facts:
    """`facts` and the two numbers of a proposal."""
    proposed = (
        count("proposed_levels", shape.levels),
        share("proposed_spacing", shape.spacing, 3),
    )
    return Facts((*facts.items, *proposed), facts.names, facts.moments)


def _judged(grid: GridFacts, parsed: Mapping[str, Any]) -> tuple[Mapping[str, Any], Facts]:
    with rounding():
        spacing = (Decimal(parsed["spacing_percent"]) / 100).quantize(Decimal("0.00001"))
        if spacing < grid.round_fee * FEE_MULTIPLE:
            raise ModelAnswerRefused(
                f"the model proposes a spacing of {spacing * 100} %, less than {FEE_MULTIPLE} "
                "times the fees of a round"
            )
    shape = Shape(int(parsed["levels"]), spacing)
    return {"shape": shape}, with_proposal(grid.facts(), shape)


def _template(grid: GridFacts, shape: Shape, language: Language) -> tuple[str, ...]:
    facts = with_proposal(grid.facts(), shape)

    def said(key: str) -> str:
        return facts.said(key, language)

    if language == "en":
        why = (
            f"a typical hour moves {said('volatility_per_hour')}"
            if "volatility_per_hour" in facts
            else "the present spacing is kept, for the volatility is not known"
        )
        return (
            f"For {grid.symbol} the rules propose {said('proposed_levels')} levels "
            f"{said('proposed_spacing')} apart instead of {said('present_levels')} levels "
            f"{said('present_spacing')} apart: {why}, and a round pays {said('fees_of_a_round')} "
            "in fees.",
            f"In {said('window')} the price lay between {said('low')} and {said('high')}; outside "
            "such a range a grid waits.",
        )
    why = (
        f"uma hora típica move {said('volatility_per_hour')}"
        if "volatility_per_hour" in facts
        else "o espaçamento atual é mantido, pois a volatilidade não é conhecida"
    )
    return (
        f"Para {grid.symbol} as regras propõem {said('proposed_levels')} níveis a "
        f"{said('proposed_spacing')} em vez de {said('present_levels')} níveis a "
        f"{said('present_spacing')}: {why}, e um ciclo paga {said('fees_of_a_round')} em taxas.",
        f"Em {said('window')} o preço ficou entre {said('low')} e {said('high')}; fora de tal "
        "faixa um grid espera.",
    )
