"""What a faulty venue answers in place of the truth: status, body and headers by kind and market.

Pure values. The texts are the venue's own words, because clients decide by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gridlab.domain.market import Market
from gridlab.twin.fault_plan import FaultKind

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FaultAnswer:
    """One answer as it travels.

    Args:
        body: the JSON object; some 5xx answers carry no `code`, as the real ones do.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)


#: The venue may have carried the request out.
UNKNOWN_OUTCOMES = (
    FaultKind.UNKNOWN_503,
    FaultKind.UNEXPECTED_RESPONSE,
    FaultKind.TIMED_OUT,
)
#: The venue has not.
REFUSALS = (FaultKind.UNAVAILABLE_503, FaultKind.THROTTLED_503, FaultKind.MAINTENANCE)

_OVERLOADED = {
    Market.SPOT: "Server is currently overloaded with other requests. "
    "Please try again in a few minutes.",
    Market.FUTURES: "Request throttled by system-level protection. "
    "Reduce-only/close-position orders are exempt. Please try again.",
}


def answer(kind: FaultKind, market: Market, path: str, now_ms: int) -> FaultAnswer:
    """What the venue says of a request that `kind` befell."""
    if kind is FaultKind.UNKNOWN_503:
        if market is Market.SPOT:
            text = "An unknown error occurred while processing the request."
            return FaultAnswer(500, {"code": -1000, "msg": text})
        text = "Unknown error, please check your request or try again later."
        return FaultAnswer(503, {"timestamp": now_ms, "path": path, "msg": text})
    if kind is FaultKind.UNAVAILABLE_503:
        return FaultAnswer(503, {"timestamp": now_ms, "path": path, "msg": "Service Unavailable."})
    if kind is FaultKind.THROTTLED_503:
        return FaultAnswer(503, {"code": -1008, "msg": _OVERLOADED[market]})
    if kind is FaultKind.UNEXPECTED_RESPONSE:
        text = "An unexpected response was received from the message bus. Execution status unknown."
        return FaultAnswer(500, {"code": -1006, "msg": text})
    if kind is FaultKind.TIMED_OUT:
        text = (
            "Timeout waiting for response from backend server. "
            "Send status unknown; execution status unknown."
        )
        return FaultAnswer(504 if market is Market.SPOT else 408, {"code": -1007, "msg": text})
    if kind is FaultKind.MAINTENANCE:
        return FaultAnswer(503, {"code": -1016, "msg": "This service is no longer available."})
    raise ValueError(f"{kind} has no answer of its own")
