"""The figures of the process: each one is measured, from the first on."""

from __future__ import annotations

import importlib
import time

from gridlab.app import performance
from gridlab.domain.snapshot import EngineState, Mode, Snapshot


def test_the_first_share_of_the_processor_is_measured() -> None:
    shown = Snapshot(1, Mode.REPLAY, EngineState.READY, 0, 1_000, 0, 1.0, 0.0)
    fresh = importlib.reload(performance)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    figures = fresh.measure((), shown)
    share = figures["cpu_percent"]
    assert isinstance(share, float) and share > 0
    assert figures["engine_step_p50_ms"] is None
