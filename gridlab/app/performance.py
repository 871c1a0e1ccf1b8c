"""How the process does: processor, memory, and how long the engine's steps take."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import psutil

from gridlab.domain.snapshot import Snapshot

_PROCESS = psutil.Process()
_PROCESS.cpu_percent()  # the first call has nothing to compare with and says 0.0


def measure(step_seconds: Sequence[float], snapshot: Snapshot) -> dict[str, object]:
    """JSON-able figures of this moment; None where nothing was measured yet.

    `cpu_percent` is of one core, since the call before this one; the first since this was loaded.
    """
    ordered = sorted(step_seconds)
    return {
        "cpu_percent": _PROCESS.cpu_percent(),
        "memory_mb": round(_PROCESS.memory_info().rss / 2**20, 1),
        "threads": threading.active_count(),
        "uptime_s": round((snapshot.wall_ms - snapshot.started_ms) / 1000, 1),
        "engine_steps": len(ordered),
        "engine_step_p50_ms": _quantile_ms(ordered, 0.5),
        "engine_step_p99_ms": _quantile_ms(ordered, 0.99),
    }


def _quantile_ms(ordered: Sequence[float], fraction: float) -> float | None:
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(fraction * len(ordered)))], 4)
