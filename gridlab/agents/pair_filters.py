"""The filters of pair selection: what is known of a symbol, the limits, and each filter's answer.

Pure values and one function over them. A fact that is not known is None and stays so: nothing is
estimated in its stead. Knows no venue, no clock, no settings file and no ranking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from gridlab.domain.market import FeeSchedule, Market
from gridlab.errors import InvalidInput
from gridlab.money import rounding, text

#: What one side of a round trip costs where nobody says, a fraction.
DEFAULT_FEE = FeeSchedule().maker


class Verdict(StrEnum):
    """What a filter says of a symbol."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"  # the fact is not known, and that counts as failed
    NOT_LOOKED_AT = "not_looked_at"  # nobody asked for the fact, and that counts as failed
    SKIPPED = "skipped"  # the fact is not known, or the filter does not apply, and that is let pass


class UnknownFacts(StrEnum):
    """What becomes of a symbol of which a filter's fact is not known."""

    FAIL = "fail"  # the default: no real money on what nobody has looked at
    SKIP = "skip"  # for replay, whose recordings know no order book and no open interest


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What is known of one symbol at one time; None is not known.

    Args:
        time_ms: when the facts were true; None when nobody said.
        volume_usd_24h: traded value of the last 24 h, US dollars.
        atr_perc_24h: average true range of 24 h windows, per cent of the price.
        adx: average directional index (14) of hourly candles, 0 to 100.
        spread_perc: (ask - bid) / mid, per cent.
        depth_usd: value of the bids and asks near the price, dollars, as its source measures it.
        open_interest_usd: futures only, dollars.
        sentiment: -1 to 1.
        why_unknown: fact -> the reason why it is None, for people.
        at_least: fact -> the reason why it is a lower bound, for people; below a limit it says
            nothing.
        not_looked_at: why the facts of `COSTLY` were not asked for; empty when they were.

    Raises:
        InvalidInput: a fact that is no finite Decimal, or out of its range.
    """

    symbol: str
    market: Market
    time_ms: int | None = None
    volume_usd_24h: Decimal | None = None
    atr_perc_24h: Decimal | None = None
    adx: Decimal | None = None
    spread_perc: Decimal | None = None
    depth_usd: Decimal | None = None
    open_interest_usd: Decimal | None = None
    sentiment: Decimal | None = None
    why_unknown: Mapping[str, str] = field(default_factory=dict)
    not_looked_at: str = ""
    at_least: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in FACTS:
            value = getattr(self, name)
            least = -1 if name == "sentiment" else 0
            most = {"sentiment": 1, "adx": 100}.get(name)
            if value is None:
                continue
            is_number = isinstance(value, Decimal) and value.is_finite()
            if not is_number or value < least or (most is not None and value > most):
                top = "up" if most is None else f"to {most}"
                raise InvalidInput(
                    f"{self.symbol}: {name} is {value!r}; a Decimal from {least} {top} is meant, "
                    "or None where it is not known"
                )
        for name in ("why_unknown", "at_least"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


#: The numbers among the facts, in the order in which they are shown.
FACTS = (
    *("volume_usd_24h", "atr_perc_24h", "adx", "spread_perc"),
    *("depth_usd", "open_interest_usd", "sentiment"),
)
#: The facts that cost a request for each symbol.
COSTLY = frozenset({"atr_perc_24h", "adx", "depth_usd", "open_interest_usd"})


class SpotSettings(Protocol):
    @property
    def min_liquidity_depth(self) -> Decimal: ...
    @property
    def preferred_symbols(self) -> Sequence[str]: ...


class FuturesSettings(Protocol):
    @property
    def min_open_interest_usd(self) -> Decimal: ...
    @property
    def preferred_symbols(self) -> Sequence[str]: ...


class PairSettings(Protocol):
    """The section `pair_selection` of the configuration."""

    @property
    def min_volume_usd_24h(self) -> Decimal: ...
    @property
    def min_atr_perc_24h(self) -> Decimal: ...
    @property
    def max_adx(self) -> Decimal: ...
    @property
    def max_spread_perc(self) -> Decimal: ...
    @property
    def blacklist(self) -> Sequence[str]: ...
    @property
    def spot_pairs(self) -> SpotSettings: ...
    @property
    def futures_pairs(self) -> FuturesSettings: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCriteria:
    """The limits. A value that equals its limit passes.

    Args:
        blacklist: symbols in any spelling, see `normalised`.
        preferred: symbols by market, the most preferred first. They go before all others that pass;
            no filter is waived for them.
        min_sentiment: None when sentiment does not filter.
        fee_fraction: what one side of a round trip costs, for the score.
    """

    min_volume_usd_24h: Decimal
    min_atr_perc_24h: Decimal
    max_adx: Decimal
    max_spread_perc: Decimal
    min_liquidity_depth: Decimal
    min_open_interest_usd: Decimal
    blacklist: Collection[str] = ()
    preferred: Mapping[Market, Sequence[str]] = field(default_factory=dict)
    min_sentiment: Decimal | None = None
    fee_fraction: Decimal = DEFAULT_FEE

    def __post_init__(self) -> None:
        object.__setattr__(self, "blacklist", frozenset(map(normalised, self.blacklist)))
        wanted = {
            market: tuple(map(normalised, symbols)) for market, symbols in self.preferred.items()
        }
        object.__setattr__(self, "preferred", MappingProxyType(wanted))

    @classmethod
    def from_settings(
        cls,
        settings: PairSettings,
        *,
        min_sentiment: Decimal | None = None,
        fee_fraction: Decimal = DEFAULT_FEE,
    ) -> PairCriteria:
        """The criteria that the configuration's section `pair_selection` writes."""
        return cls(
            min_volume_usd_24h=settings.min_volume_usd_24h,
            min_atr_perc_24h=settings.min_atr_perc_24h,
            max_adx=settings.max_adx,
            max_spread_perc=settings.max_spread_perc,
            min_liquidity_depth=settings.spot_pairs.min_liquidity_depth,
            min_open_interest_usd=settings.futures_pairs.min_open_interest_usd,
            blacklist=settings.blacklist,
            preferred={
                Market.SPOT: settings.spot_pairs.preferred_symbols,
                Market.FUTURES: settings.futures_pairs.preferred_symbols,
            },
            min_sentiment=min_sentiment,
            fee_fraction=fee_fraction,
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One filter's answer for one symbol.

    Args:
        filter: the limit's name in the configuration.
        value, limit: None for the blacklist, and `value` also where it is not known.
        note: why a value is not known or does not count.
    """

    filter: str
    verdict: Verdict
    value: Decimal | None = None
    limit: Decimal | None = None
    note: str = ""

    @property
    def blocks(self) -> bool:
        return self.verdict in (Verdict.FAILED, Verdict.UNKNOWN, Verdict.NOT_LOOKED_AT)

    @property
    def missing(self) -> Decimal | None:
        """How far the value is from its limit; None unless it failed by a number."""
        if self.verdict is not Verdict.FAILED or self.value is None or self.limit is None:
            return None
        with rounding():
            return abs(self.value - self.limit)

    def __str__(self) -> str:
        if self.verdict is Verdict.FAILED and self.value is not None and self.limit is not None:
            sign, how = ("<", "low") if self.value < self.limit else (">", "high")
            short = shown(self.missing)
            return f"{shown(self.value)} {sign} {shown(self.limit)}: {short} too {how}"
        if self.verdict is Verdict.PASSED and self.value is not None:
            return f"passed at {shown(self.value)}"
        return f"{self.verdict}: {self.note}" if self.note else str(self.verdict)


def checks_of(
    facts: PairFacts, criteria: PairCriteria, unknown: UnknownFacts, held: frozenset[str]
) -> tuple[Check, ...]:
    """Every filter that applies to the symbol's market, with its answer.

    Args:
        held: symbols that are traded already, in the venue's spelling.
    """
    missing = Verdict.UNKNOWN if unknown is UnknownFacts.FAIL else Verdict.SKIPPED

    def check(limit_name: str, fact: str) -> Check:
        value, limit = getattr(facts, fact), getattr(criteria, limit_name)
        if value is None and facts.not_looked_at and fact in COSTLY:
            return Check(limit_name, Verdict.NOT_LOOKED_AT, None, limit, facts.not_looked_at)
        if value is None:
            note = facts.why_unknown.get(fact, f"{fact} is not known")
            return Check(limit_name, missing, None, limit, note)
        holds = value <= limit if limit_name.startswith("max_") else value >= limit
        if not holds and fact in facts.at_least:
            return Check(limit_name, missing, None, limit, facts.at_least[fact])
        return Check(limit_name, Verdict.PASSED if holds else Verdict.FAILED, value, limit)

    barred = normalised(facts.symbol) in criteria.blacklist
    note = f"{facts.symbol} is on the blacklist" if barred else ""
    found = [
        Check("blacklist", Verdict.FAILED if barred else Verdict.PASSED, note=note),
        check("min_volume_usd_24h", "volume_usd_24h"),
        check("min_atr_perc_24h", "atr_perc_24h"),
        check("max_adx", "adx"),
        check("max_spread_perc", "spread_perc"),
    ]
    if facts.market is Market.SPOT:
        found.append(check("min_liquidity_depth", "depth_usd"))
    else:
        found.append(check("min_open_interest_usd", "open_interest_usd"))
    if criteria.min_sentiment is not None:
        found.append(_sentiment(facts, criteria.min_sentiment, normalised(facts.symbol) in held))
    return tuple(found)


def _sentiment(facts: PairFacts, limit: Decimal, is_held: bool) -> Check:
    name, value = "min_sentiment_for_new_pair", facts.sentiment
    if value is None:
        return Check(name, Verdict.SKIPPED, None, limit, "there is no score")
    if is_held and value < limit:
        return Check(name, Verdict.SKIPPED, value, limit, "it is no new pair")
    return Check(name, Verdict.PASSED if value >= limit else Verdict.FAILED, value, limit)


def normalised(symbol: str) -> str:
    """The venue's spelling of a symbol that a person wrote.

    >>> normalised("example/usdt"), normalised("BTC-USDT"), normalised("BTC/USDT:USDT")
    ('EXAMPLEUSDT', 'BTCUSDT', 'BTCUSDT')
    """
    pair = symbol.strip().split(":")[0]
    return "".join(char for char in pair if char.isalnum()).upper()


def shown(value: Decimal | None) -> str:
    """Plain grouped digits; a dash where there is no number."""
    return "-" if value is None else f"{Decimal(text(value)):,}"
