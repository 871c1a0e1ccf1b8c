"""What a live session watches and asks for: what is needed, as long as it is, and no more."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from gridlab.api.app import create_app
from gridlab.app import live_session
from gridlab.app.facade import GridLab
from gridlab.domain.events import StopPolicy
from gridlab.domain.snapshot import BotStatus, Mode
from gridlab.testing.twin import running_twin


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: None) -> Iterator[GridLab]:
    """An engine in Testnet whose configuration prefers two of the three symbols there are."""
    monkeypatch.setattr(live_session, "LET_GO_EVERY_MS", 100)
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    with running_twin(symbols=names, has_limits=False, pulse_ms=1_000) as twin:
        endpoints = json.dumps(twin.ready)
        with GridLab(tmp_path / "data", mode=Mode.TESTNET, endpoints=endpoints) as running:
            yield running


def test_questions_watch_nothing_and_bots_as_long_as_they_need(lab: GridLab) -> None:
    client = create_app(lab).test_client()
    configured = ("BTCUSDT", "ETHUSDT")
    assert lab.symbols() == configured
    assert client.get("/api/validate/symbol/SOLUSDT").json["valid"] is True
    assert lab.preflight(lab.default_spec("SOLUSDT")).ok
    assert lab.symbols() == configured, "asking about a symbol does not follow it"

    lab.start_grid(lab.default_spec("SOLUSDT"))
    wait_for(lambda: lab.snapshot.bots["SOLUSDT"].status is BotStatus.RUNNING, "it runs")
    time.sleep(0.3)  # several looks at what is needed
    assert lab.symbols() == (*configured, "SOLUSDT")

    lab.stop_grid("SOLUSDT", StopPolicy.SELL)
    wait_for(lambda: lab.symbols() == configured, "the price of a bot that is over is let go")
    lab.start_grid(lab.default_spec("SOLUSDT"))
    assert "SOLUSDT" in lab.symbols(), "and can be had again"


def test_the_data_agent_is_told_of_with_its_own_beat(lab: GridLab) -> None:
    client = create_app(lab).test_client()
    agents = client.get("/api/metrics").json["multi_agent"]["agents"]
    data = agents["data_agent"]
    assert (data["status"], data["health"], data["reason"]) == ("active", 100, None)
    assert 0 <= data["heartbeat_age_ms"] < 5_000
    assert "version of GridLab has no risk_agent" in agents["risk_agent"]["reason"]
    lab.switch_mode(Mode.REPLAY)
    data = client.get("/api/metrics").json["multi_agent"]["agents"]["data_agent"]
    assert (data["status"], data["health"]) == ("unavailable", None)
    assert data["reason"] == "Replay plays recorded prices, which need no data_agent"
