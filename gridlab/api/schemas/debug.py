"""Answers for people who look inside: log lines, figures of the process, cleared cache."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import RootModel

from gridlab.api.schemas.base import Shape, Stamp


class LogEntry(Shape):
    """One record of the log, without secrets; times are the machine's."""

    timestamp: int
    time: str
    level: str
    logger: str
    message: str


class Performance(Stamp):
    """`/api/debug/performance`; null where nothing was measured yet.

    `cpu_percent` is of one core since the call before, the first one since GridLab was loaded; a
    step is one turn of the engine, from a market event to the last command it caused;
    `snapshots_per_second` is the mean since the start.
    """

    cpu_percent: float | None
    memory_mb: float | None
    threads: int | None
    uptime_s: float | None
    engine_steps: int | None
    engine_step_p50_ms: float | None
    engine_step_p99_ms: float | None
    snapshots_per_second: float | None


class CacheCleared(Stamp):
    """`/api/debug/cache/clear`."""

    status: Literal["cleared"]
    message: str
    entries_cleared: int


class ConfigView(RootModel[dict[str, Any]]):
    """`/api/debug/config`: the configuration as it is in force, secrets struck out."""
