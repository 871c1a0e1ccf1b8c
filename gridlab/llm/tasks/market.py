"""Market analysis: how one pair moved, whether it has a trend, and how rough it is.

Trend and roughness are computed here from the facts; a model puts them into words, must repeat
them, and may call for more caution. Rules: a trend is there when ADX is at least 25, in the
direction of the greater directional index (Wilder's reading); volatility is high above 1.5 times
its own median of the window, low below 0.75 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from gridlab.llm.facts import Fact, Facts, Language, age, places_for, share
from gridlab.llm.writing import Brief, stale_warning

KIND: Final = "market_analysis"
TREND_FROM_ADX: Final = Decimal(25)
HIGH_ABOVE: Final = Decimal("1.5")
LOW_BELOW: Final = Decimal("0.75")
#: Caution runs from none to the most that an analysis may call for.
MOST_CAUTION: Final = 3


class Trend(StrEnum):
    UP = "up"
    DOWN = "down"
    SIDEWAYS = "sideways"
    UNKNOWN = "unknown"


class Roughness(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """One pair over one window of hourly candles that ends at `time_ms`.

    Args:
        change: last / first open - 1, a fraction.
        hours: candles in the window.
        volatility: average true range over price, a fraction; `usual` its median in the window.
        rsi, adx, plus_di, minus_di: 0 to 100; None where there are too few candles.
        age_ms: how long before `time_ms` the last price was known to be true.
        is_stale: whether that is longer than such a price may be old.
    """

    symbol: str
    quote: str
    time_ms: int
    hours: int
    price: Decimal
    change: Decimal
    high: Decimal
    low: Decimal
    volatility: Decimal | None = None
    usual: Decimal | None = None
    rsi: Decimal | None = None
    adx: Decimal | None = None
    plus_di: Decimal | None = None
    minus_di: Decimal | None = None
    age_ms: int = 0
    is_stale: bool = False

    @property
    def trend(self) -> Trend:
        if self.adx is None or self.plus_di is None or self.minus_di is None:
            return Trend.UNKNOWN
        if self.adx < TREND_FROM_ADX:
            return Trend.SIDEWAYS
        return Trend.UP if self.plus_di > self.minus_di else Trend.DOWN

    @property
    def roughness(self) -> Roughness:
        if self.volatility is None or not self.usual:
            return Roughness.UNKNOWN
        if self.volatility > self.usual * HIGH_ABOVE:
            return Roughness.HIGH
        return Roughness.LOW if self.volatility < self.usual * LOW_BELOW else Roughness.NORMAL

    @property
    def caution(self) -> int:
        """0 to 3: one for a falling trend, one for rough hours, one more for both at once."""
        signs = (self.trend is Trend.DOWN) + (self.roughness is Roughness.HIGH)
        return MOST_CAUTION if signs == 2 else signs

    def facts(self) -> Facts:
        """What a text about them may tell."""
        places = places_for(self.price)
        items = [
            Fact("last_price", self.price, self.quote, places),
            Fact("high", self.high, self.quote, places),
            Fact("low", self.low, self.quote, places),
            share("change", self.change),
            Fact("window", Decimal(self.hours), "h"),
            age(self.age_ms),
        ]
        if self.volatility is not None:
            items.append(share("volatility_per_hour", self.volatility, 3))
        if self.usual is not None:
            items.append(share("usual_volatility_per_hour", self.usual, 3))
        for name in ("rsi", "adx"):
            if (value := getattr(self, name)) is not None:
                items.append(Fact(name, value, "", 1))
        return Facts(tuple(items), (self.symbol, "RSI(14)", "ADX(14)", "ATR(14)"), (self.time_ms,))


def brief_for(market: MarketFacts, language: Language) -> Brief:
    """The market analysis of one pair."""
    return Brief(
        kind=KIND,
        facts=market.facts(),
        language=language,
        instruction=(
            f"Describe how {market.symbol} moved in the window, its trend, and its volatility "
            "against the usual. `caution` is how careful a grid trader should be now, 0 (as "
            f"usual) to {MOST_CAUTION} (very)."
        ),
        template=_template(market, language),
        labels={
            "trend": (market.trend, tuple(Trend)),
            "volatility": (market.roughness, tuple(Roughness)),
        },
        more={"caution": {"type": "integer", "minimum": 0, "maximum": MOST_CAUTION}},
        judge=lambda parsed: (_careful(market, parsed), market.facts()),
        kept={"caution": market.caution, "trend": market.trend, "volatility": market.roughness},
        as_of_ms=market.time_ms - market.age_ms,
        warning=stale_warning(market.age_ms, language) if market.is_stale else "",
    )


def _careful(market: MarketFacts, parsed: Mapping[str, Any]) -> dict[str, Any]:
    """A model may add caution to the computed one, never take any away."""
    return {"caution": max(market.caution, int(parsed["caution"]))}


_TREND_WORDS: Final[dict[Language, dict[Trend, str]]] = {
    "en": {
        Trend.UP: "The trend is up",
        Trend.DOWN: "The trend is down",
        Trend.SIDEWAYS: "There is no clear trend",
        Trend.UNKNOWN: "There are too few candles to speak of a trend",
    },
    "pt": {
        Trend.UP: "A tendência é de alta",
        Trend.DOWN: "A tendência é de baixa",
        Trend.SIDEWAYS: "Não há tendência clara",
        Trend.UNKNOWN: "Há poucas velas para falar de tendência",
    },
}
_ROUGHNESS_WORDS: Final[dict[Language, dict[Roughness, str]]] = {
    "en": {
        Roughness.LOW: "calmer than usual",
        Roughness.NORMAL: "about as usual",
        Roughness.HIGH: "rougher than usual",
    },
    "pt": {
        Roughness.LOW: "mais calmo que o habitual",
        Roughness.NORMAL: "próximo do habitual",
        Roughness.HIGH: "mais agitado que o habitual",
    },
}


def _template(market: MarketFacts, language: Language) -> tuple[str, ...]:
    facts = market.facts()

    def said(key: str) -> str:
        return facts.said(key, language)

    is_english = language == "en"
    first = (
        f"{market.symbol} is at {said('last_price')} after a change of {said('change')} in "
        f"{said('window')}, between {said('low')} and {said('high')}."
        if is_english
        else f"{market.symbol} está em {said('last_price')} após variação de {said('change')} em "
        f"{said('window')}, entre {said('low')} e {said('high')}."
    )
    trend = _TREND_WORDS[language][market.trend]
    sentences = [first, f"{trend} (ADX {said('adx')})." if "adx" in facts else f"{trend}."]
    if market.roughness is not Roughness.UNKNOWN:
        words = _ROUGHNESS_WORDS[language][market.roughness]
        now, usual = said("volatility_per_hour"), said("usual_volatility_per_hour")
        sentences.append(
            f"The market is {words}: a typical hour moves {now}, the usual is {usual}."
            if is_english
            else f"O mercado está {words}: uma hora típica move {now}, o habitual é {usual}."
        )
    if "rsi" in facts:
        sentences.append(
            f"RSI(14) is {said('rsi')}." if is_english else f"O RSI(14) está em {said('rsi')}."
        )
    return tuple(sentences)
