"""`/api/metrics`: the agents that are there, and by name those that are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from extra import answered, client_of, refused
from flask.testing import FlaskClient
from test_contract import Iso, Null, Uptime, differences

from gridlab import __version__
from gridlab.api.metrics import DEAD_MS, FRESH_MS, health
from gridlab.app.facade import GridLab

SHAPE = {
    "multi_agent": {
        "coordinator": {"status": str, "active_tasks": int, "last_update": Iso},
        "agents": {
            name: {"status": str, "health": Null(int)}
            for name in ("ai_agent", "data_agent", "risk_agent", "sentiment_agent", "trader_agent")
        },
        "cache": {"hit_rate": Null(float), "entries": int, "memory_usage": str},
    },
    "system": {
        **{"active_bots": int, "total_symbols": int, "uptime": Uptime, "api_status": str},
        **{"binance_connection": str, "operation_mode": str},
    },
    "timestamp": Iso,
    "version": str,
}


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


def test_documented_fields_and_types(api: FlaskClient) -> None:
    answer = answered(api.get("/api/metrics"))
    assert differences(SHAPE, answer) == []
    assert answer["version"] == __version__
    assert answer["multi_agent"]["cache"]["memory_usage"].endswith("MB")
    assert refused(api.get("/api/metrics?a=1")) == ["a"]


def test_agents_are_the_snapshot_s(api: FlaskClient, lab: GridLab) -> None:
    agents = answered(api.get("/api/metrics"))["multi_agent"]["agents"]
    there = {f"{agent.name}_agent" for agent in lab.snapshot.agents}
    for name, agent in agents.items():
        if name in there:
            assert (agent["status"], agent["health"]) == ("active", 100)
            assert agent["heartbeat_age_ms"] >= 0
        else:
            assert (agent["status"], agent["health"]) == ("unavailable", None)
            assert name in agent["reason"]


def test_the_system_is_counted(api: FlaskClient, lab: GridLab, running: str) -> None:
    system = answered(api.get("/api/metrics"))["system"]
    assert system["active_bots"] >= 1
    assert system["total_symbols"] == len({symbol for _, symbol in lab.snapshot.prices})
    assert system["api_status"] == "operational"
    assert system["binance_connection"] == "disconnected"


def test_an_engine_that_hangs_is_not_operational(
    api: FlaskClient, lab: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = replace(lab.snapshot, wall_ms=lab.snapshot.wall_ms - 60_000)
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: hanging))
    answer = answered(api.get("/api/metrics"))
    assert (answer["stale"], answer["system"]["api_status"]) == (True, "degraded")


def test_the_cache_s_own_figures(api: FlaskClient, lab: GridLab) -> None:
    lab.cache.clear()
    lab.cache.set("metrics-test", "x")
    assert lab.cache.get("metrics-test") == "x"
    cache = answered(api.get("/api/metrics"))["multi_agent"]["cache"]
    assert cache["entries"] >= 1
    assert 0 < cache["hit_rate"] <= 1


@pytest.mark.parametrize(
    ("status", "age_ms", "expected"),
    [
        *(("active", 0, 100), ("active", FRESH_MS, 100), ("active", DEAD_MS, 0)),
        *(("active", (FRESH_MS + DEAD_MS) // 2, 50), ("active", 10**9, 0)),
        *(("idle", 10**9, 100), ("failed", 0, 0), ("waiting", 0, 0), ("stopped", 0, 0)),
    ],
)
def test_health_is_the_heartbeat_s_age(status: str, age_ms: int, expected: int) -> None:
    assert health(status, age_ms) == expected
