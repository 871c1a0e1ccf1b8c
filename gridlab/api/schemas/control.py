"""Answers of the pre-flight and of the kill switch."""

from __future__ import annotations

from gridlab.api.schemas.base import Stamp
from gridlab.api.schemas.bots import GridStatus
from gridlab.api.schemas.grids import CalculatedParams


class Preflight(Stamp):
    """`/api/preflight`: whether the grid may start now, the whole plan, every rule it breaks."""

    ok: bool
    symbol: str
    market_type: str
    message: str
    plan: CalculatedParams


class KillState(Stamp):
    """`GET /api/kill`; `reason` is null while the switch is not pulled."""

    killed: bool
    reason: str | None
    message: str


class Killed(KillState):
    """`POST /api/kill`: the bots that this call stopped, and those that are still to stop.

    `pending` is as last known. While the engine recovers, its bots stop before they may send an
    order; otherwise the venue has not yet confirmed every end, or the bot is halted and its orders
    are to be cancelled at the venue.
    """

    stopped: list[GridStatus]
    pending: list[GridStatus]


class Revived(KillState):
    """`POST /api/revive`; `changed` is false when the switch was not pulled."""

    changed: bool
