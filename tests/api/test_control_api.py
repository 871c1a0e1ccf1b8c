"""Looking before starting, and stopping everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extra import PORTUGUESE, answered, client_of, refused
from flask.testing import FlaskClient

from gridlab.app.facade import GridLab
from gridlab.errors import Conflict

GRID: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GridLab]:
    """A lab that a test may kill."""
    with GridLab(tmp_path) as lab:
        yield lab


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


def test_a_plan_that_may_start(api: FlaskClient, lab: GridLab) -> None:
    before = dict(lab.snapshot.bots)
    body = {**GRID, "symbol": "SOLUSDT"}
    answer = answered(api.post("/api/preflight", json=body))
    assert (answer["symbol"], answer["market_type"]) == ("SOLUSDT", "spot")
    assert len(answer["plan"]["orders"]) == 10
    assert answer["ok"] is not any(f["severity"] == "fail" for f in answer["plan"]["findings"])
    assert set(lab.snapshot.bots) == set(before)


def test_a_plan_that_may_not_start_is_shown_with_its_rules(api: FlaskClient) -> None:
    config = {**GRID["config"], "investment": 5}
    body = {"symbol": "BTCUSDT", "config": config}
    answer = answered(api.post("/api/preflight", json=body))
    assert answer["ok"] is False
    rules = {f["rule"]: f["message"] for f in answer["plan"]["findings"] if f["severity"] == "fail"}
    assert "Invest at least" in rules["min_notional"]
    told = answered(api.post("/api/preflight", json=body, headers=PORTUGUESE))
    assert any("Invista pelo menos" in f["message"] for f in told["plan"]["findings"])


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"symbol": "BTCUSDT"}, {**GRID, "symbol": "NOSUCH"}, {**GRID, "extra": 1}),
        {"symbol": "BTCUSDT", "config": {"initial_levels": 1, "spacing_perc": 0.5}},
    ],
)
def test_preflight_bodies(api: FlaskClient, body: Any) -> None:
    assert refused(api.post("/api/preflight", json=body))


def test_kill_stops_everything_until_revived(own: GridLab) -> None:
    api = client_of(own)
    own.start_grid(own.default_spec("BTCUSDT"))
    before = answered(api.get("/api/kill"))
    assert (before["killed"], before["reason"]) == (False, None)

    killed = answered(api.post("/api/kill", json={"reason": "the market went mad"}))
    assert (killed["killed"], killed["reason"]) == (True, "the market went mad")
    assert [bot["symbol"] for bot in killed["stopped"]] == ["BTCUSDT"]
    assert killed["stopped"][0]["active_orders"] == 0
    assert answered(api.get("/api/kill"))["reason"] == "the market went mad"
    with pytest.raises(Conflict, match="kill switch"):
        own.start_grid(own.default_spec("ETHUSDT"))

    again = answered(api.post("/api/kill"))
    assert (again["killed"], again["stopped"]) == (True, [])

    revived = answered(api.post("/api/revive", json={}))
    assert (revived["killed"], revived["changed"]) == (False, True)
    assert answered(api.post("/api/revive"))["changed"] is False
    assert own.start_grid(own.default_spec("ETHUSDT")).symbol == "ETHUSDT"


def test_kill_survives_a_restart(tmp_path: Path) -> None:
    with GridLab(tmp_path) as lab:
        answered(client_of(lab).post("/api/kill"))
    with GridLab(tmp_path) as lab:
        assert answered(client_of(lab).get("/api/kill"))["killed"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(({"reason": ""}, "reason"), ({"reason": "x" * 201}, "reason"), ({"reason": 5}, "reason")),
        *(({"reason": None}, "reason"), ({"reason": "a\nb"}, "reason"), ({"why": "x"}, "why")),
    ],
)
def test_kill_bodies(api: FlaskClient, lab: GridLab, body: Any, field: str) -> None:
    assert refused(api.post("/api/kill", json=body)) == [field]
    assert not lab.snapshot.killed


@pytest.mark.parametrize("path", ["/api/kill", "/api/revive"])
def test_forms_and_texts_change_nothing(api: FlaskClient, lab: GridLab, path: str) -> None:
    refused(api.post(path, data={"reason": "x"}), 415)
    refused(api.post(path, data="{}", content_type="text/plain"), 415)
    refused(api.post(path, data=b"{", content_type="application/json"), 400)
    assert not lab.snapshot.killed
