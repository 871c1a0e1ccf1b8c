"""Whether the engine can be relied on now: one judgement for `/api/health`, streams and metrics.

An engine that hangs goes on showing its last good state, so the age of what it published counts as
much as the state does. Knows no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gridlab.api.schemas import Stamp
from gridlab.domain.snapshot import EngineState, Snapshot

_ANSWERING: Final = (EngineState.READY, EngineState.FINISHED)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What may be expected of the engine.

    Args:
        stale: it has published nothing for `STALE_AFTER_MS`.
        ready: its picture is whole: it answers, is not stale, and follows every venue.
        accepts_orders: it is ready, its market moves, and the kill switch is not pulled.
    """

    stale: bool
    ready: bool
    accepts_orders: bool


def readiness(snapshot: Snapshot, now_ms: int) -> Readiness:
    """What may be expected of the engine that published `snapshot`, at the machine's `now_ms`."""
    stale = Stamp.at(snapshot, now_ms).stale
    is_followed = all(venue.state == "ready" for venue in snapshot.venues.values())
    ready = snapshot.state in _ANSWERING and is_followed and not stale
    return Readiness(
        stale=stale,
        ready=ready,
        accepts_orders=ready and snapshot.state is EngineState.READY and not snapshot.killed,
    )
