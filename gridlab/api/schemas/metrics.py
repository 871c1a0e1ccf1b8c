"""The system and its agents in figures."""

from __future__ import annotations

from gridlab.api.schemas.base import Shape, Stamp


class Coordinator(Shape):
    """The supervisor; `active_tasks` are the agents and jobs that run now."""

    status: str
    active_tasks: int
    last_update: str


class AgentMetrics(Shape):
    """One agent: `active`, `idle`, `waiting` (to be restarted), `failed`, `stopped`, `unavailable`.

    `health` is 100 while its heartbeat is fresh and falls to 0 as it ages; null for an agent that
    does not run, with the reason.
    """

    status: str
    health: int | None
    heartbeat_age_ms: int | None
    restarts: int | None
    reason: str | None


class CacheMetrics(Shape):
    """`hit_rate` is null before the first read."""

    hit_rate: float | None
    entries: int
    memory_usage: str


class MultiAgent(Shape):
    coordinator: Coordinator
    agents: dict[str, AgentMetrics]
    cache: CacheMetrics


class SystemMetrics(Shape):
    """`uptime` is the process's; `total_symbols` are those that have a price."""

    active_bots: int
    total_symbols: int
    uptime: str
    api_status: str
    binance_connection: str
    operation_mode: str


class Metrics(Stamp):
    """`/api/metrics`; `timestamp` is market time, `last_update` the machine's."""

    multi_agent: MultiAgent
    system: SystemMetrics
    timestamp: str
    version: str
