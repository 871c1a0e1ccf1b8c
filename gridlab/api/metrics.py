"""The route that shows the system and its agents in figures."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from gridlab._version import __version__
from gridlab.api.errors import language, teller
from gridlab.api.messages import say
from gridlab.api.readiness import readiness
from gridlab.api.requests import NoQuery
from gridlab.api.schemas import is_active
from gridlab.api.schemas.metrics import (
    AgentMetrics,
    CacheMetrics,
    Coordinator,
    Metrics,
    MultiAgent,
    SystemMetrics,
)
from gridlab.api.wire import answer, now_ms, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.clock import human_duration, iso
from gridlab.domain.snapshot import AgentHealth, EngineState, Mode, Snapshot

#: The documented agents; those that the snapshot does not have are listed as unavailable.
DOCUMENTED: Final = ("ai_agent", "data_agent", "risk_agent", "sentiment_agent")
#: The sections whose `enabled` decides whether an agent runs.
_SWITCHES: Final = {"ai_agent": "ai_agent", "sentiment_agent": "sentiment_analysis"}
#: A heartbeat younger than FRESH_MS is full health, one older than DEAD_MS is none.
FRESH_MS: Final = 10_000
DEAD_MS: Final = 60_000
_STATUS = {
    "running": "active",
    "starting": "active",
    "waiting": "waiting",
    "finished": "idle",
    "stopped": "stopped",
    "failed": "failed",
}
_COORDINATOR = {
    EngineState.RECOVERING: "recovering",
    EngineState.READY: "running",
    EngineState.FINISHED: "running",
    EngineState.STOPPED: "stopped",
    EngineState.FAILED: "failed",
}


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the metrics route on `blueprint`."""

    @blueprint.get("/api/metrics")
    def metrics() -> Response:
        read_query(NoQuery)
        return answer(_metrics(lab))


def _metrics(lab: GridLab) -> Metrics:
    snapshot = lab.snapshot
    return Metrics(
        multi_agent=MultiAgent(
            coordinator=_coordinator(lab, snapshot),
            agents=_agents(snapshot, now_ms()),
            cache=_cache(lab),
        ),
        system=_system(snapshot),
        timestamp=iso(snapshot.time_ms),
        version=__version__,
        **stamp_of(snapshot).parts,
    )


def _coordinator(lab: GridLab, snapshot: Snapshot) -> Coordinator:
    busy = sum(agent.state == "running" for agent in snapshot.agents)
    busy += sum(job.state == "running" for job in lab.jobs.all())
    return Coordinator(
        status=_COORDINATOR[snapshot.state],
        active_tasks=busy,
        last_update=iso(snapshot.wall_ms),
    )


def _agents(snapshot: Snapshot, at_ms: int) -> dict[str, AgentMetrics]:
    """Every agent that is there, and the documented ones that are not."""
    there = {_name(agent): _agent(agent, at_ms) for agent in snapshot.agents}
    missing = {name: _missing(name, snapshot) for name in DOCUMENTED if name not in there}
    return dict(sorted({**there, **missing}.items()))


def _name(agent: AgentHealth) -> str:
    return agent.name if agent.name.endswith("_agent") else f"{agent.name}_agent"


def _agent(agent: AgentHealth, at_ms: int) -> AgentMetrics:
    age_ms = max(0, at_ms - agent.heartbeat_ms)
    status = _STATUS.get(agent.state, agent.state)
    return AgentMetrics(
        status=status,
        health=health(status, age_ms),
        heartbeat_age_ms=age_ms,
        restarts=agent.restarts,
        reason=teller()(agent.last_error) or None,
    )


def health(status: str, age_ms: int) -> int:
    """0 to 100 by the heartbeat's age, which no agent can gloss over; 0 for one that is down.

    >>> health("active", 500), health("active", 35_000), health("failed", 0)
    (100, 50, 0)
    """
    if status in ("failed", "stopped", "waiting"):
        return 0
    if status == "idle" or age_ms <= FRESH_MS:
        return 100
    return max(0, round(100 * (DEAD_MS - age_ms) / (DEAD_MS - FRESH_MS)))


def _missing(name: str, snapshot: Snapshot) -> AgentMetrics:
    """An agent that does not run, and why: switched off, not needed, not yet, or not there."""
    key = "agent_off" if name in _SWITCHES else "agent_missing"
    if name == "data_agent":
        is_replay = snapshot.mode is Mode.REPLAY
        key = "data_agent_not_needed" if is_replay else "data_agent_waits"
    section, state = _SWITCHES.get(name, ""), snapshot.state.value
    reason = say(key, language(), agent=name, section=section, state=state)
    return AgentMetrics(
        status="unavailable", health=None, heartbeat_age_ms=None, restarts=None, reason=reason
    )


def _cache(lab: GridLab) -> CacheMetrics:
    counted = lab.cache.metrics()
    return CacheMetrics(
        hit_rate=counted.hit_rate if counted.reads else None,
        entries=counted.entries,
        memory_usage=counted.memory_usage,
    )


def _connection(snapshot: Snapshot) -> str:
    """`connected` while every venue's streams are whole; Replay has no connection at all."""
    states = {venue.state for venue in snapshot.venues.values()}
    if snapshot.mode is Mode.REPLAY or not states:
        return "disconnected"
    return "connected" if states == {"ready"} else "degraded"


def _system(snapshot: Snapshot) -> SystemMetrics:
    return SystemMetrics(
        active_bots=sum(map(is_active, snapshot.bots.values())),
        total_symbols=len({symbol for _, symbol in snapshot.prices}),
        uptime=human_duration(snapshot.wall_ms - snapshot.started_ms),
        api_status="operational" if readiness(snapshot, now_ms()).ready else "degraded",
        binance_connection=_connection(snapshot),
        operation_mode=snapshot.mode.value,
    )
