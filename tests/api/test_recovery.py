"""After a restart on the same data directory the API tells what was recovered."""

from __future__ import annotations

from pathlib import Path

from gridlab.api import create_app
from gridlab.app.facade import GridLab

GRID = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}


def test_a_restart_is_told(tmp_path: Path) -> None:
    with GridLab(tmp_path) as lab:
        client = create_app(lab).test_client()
        assert client.post("/api/grid/start", json=GRID).status_code == 201
        before = client.get("/api/grid/recovery_status/BTCUSDT").json
        run = lab.snapshot.bots["BTCUSDT"].run
    assert (before["recovered"], before["recovered_at"]) == (False, None)

    stopped = client.get("/api/health")
    assert stopped.status_code == 503
    refused = client.post("/api/grid/stop", json={"symbol": "BTCUSDT"})
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "conflict")

    with GridLab(tmp_path) as lab:
        client = create_app(lab).test_client()
        after = client.get("/api/grid/recovery_status/BTCUSDT").json
        assert (after["recovered"], after["status"]) == (True, "running")
        assert after["events_replayed"] > 0
        assert str(after["events_replayed"]) in after["message"]
        assert client.get("/api/grid/status/BTCUSDT").json["run"] == run


def test_before_the_start_the_api_says_so(tmp_path: Path) -> None:
    reply = create_app(GridLab(tmp_path)).test_client().get("/api/status")
    assert reply.status_code == 503
    assert "not started" in reply.json["error"]["message"]
