"""What the AI agent has said of its own accord, and what it advises."""

from __future__ import annotations

from gridlab.api.schemas.base import Say, Shape, Stamp
from gridlab.clock import iso
from gridlab.domain.advice import Advice, bounds_of
from gridlab.money import text


class AiText(Shape):
    """One text; `template_reason` says why no model wrote it and is null when one did.

    `as_of` is the market time of its prices, null where it tells none; `stale`: they were older
    than they may be when it was written, and the text begins with that.
    """

    kind: str
    symbol: str
    language: str
    text: str
    as_of: str | None
    stale: bool
    author: str
    template_reason: str | None
    response_time_ms: int | None


class AiReport(AiText):
    """One report, whole."""

    title: str
    made_at: str
    points: list[str]
    markdown: str
    html: str


class AiProposal(AiText):
    """Another shape for a grid; `/api/ai/propose` backtests it, and nobody applies it."""

    present_levels: int
    present_spacing_perc: str
    proposed_levels: int
    proposed_spacing_perc: str
    startable: bool


class AdviceShape(Shape):
    """A factor within its bounds, for a while; 1 changes nothing and nobody has to follow."""

    source: str
    kind: str
    symbol: str | None
    value: str
    least: str
    most: str
    reason: str
    created_at: str
    expires_at: str

    @classmethod
    def of(cls, advice: Advice, say: Say) -> AdviceShape:
        least, most = bounds_of(advice.kind, advice.may_add_risk)
        return cls(
            source=advice.source,
            kind=advice.kind.value,
            symbol=advice.symbol,
            value=text(advice.value),
            least=text(least),
            most=text(most),
            reason=say(advice.reason),
            created_at=iso(advice.created_ms),
            expires_at=iso(advice.expires_ms),
        )


class AiStatus(Stamp):
    """`/api/ai/status`; empty lists until an interval of the configuration has passed."""

    enabled: bool
    features: dict[str, bool]
    analysis_interval_minutes: float
    optimization_interval_hours: float
    analyses: list[AiText]
    reports: list[AiReport]
    proposals: list[AiProposal]
    advice: list[AdviceShape]
