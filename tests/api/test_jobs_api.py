"""Long work: accepted, watched, cancelled; and what cannot be asked for."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from extra import PORTUGUESE, answered, client_of, refused
from flask.testing import FlaskClient

from gridlab.app.facade import GridLab
from gridlab.app.jobs import LONGEST_QUEUE, WORKERS

START_MS = 1_774_607_640_000
GRID: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}
SPAN = {"start_ms": START_MS, "end_ms": START_MS + 6 * 3_600_000}
FIELDS = {
    *("id", "kind", "state", "progress", "message", "parameters", "created_at", "started_at"),
    *("finished_at", "error", "result"),
}


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


def ended(api: FlaskClient, address: str, seconds: float = 60) -> Any:
    """The job at `address` once it is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = answered(api.get(address))
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{address} did not end in {seconds} s")


def test_a_backtest_is_accepted_and_done(api: FlaskClient) -> None:
    reply = api.post("/api/backtest", json={**GRID, **SPAN})
    job = answered(reply, 202)
    assert set(job) >= FIELDS
    assert reply.headers["Location"] == f"/api/jobs/{job['id']}"
    done = ended(api, reply.headers["Location"])
    assert (done["state"], done["progress"], done["error"]) == ("done", 1.0, None)
    assert done["result"]["bars"] == 360
    assert done["result"]["symbol"] == "BTCUSDT"
    listed = {one["id"]: one for one in answered(api.get("/api/jobs"))["jobs"]}
    assert listed[job["id"]]["state"] == "done"
    assert "result" not in listed[job["id"]]


def test_the_same_request_is_the_same_job(api: FlaskClient) -> None:
    body = {**GRID, **SPAN, "fill_rule": "through"}
    first, second = (answered(api.post("/api/backtest", json=body), 202) for _ in range(2))
    assert first["id"] == second["id"]
    other = answered(api.post("/api/backtest", json={**body, "fill_rule": "touch"}), 202)
    assert other["id"] != first["id"]


def test_a_backtest_that_fails_says_why(api: FlaskClient) -> None:
    long_ago = {"start_ms": 0, "end_ms": 60_000}
    reply = api.post("/api/backtest", json={**GRID, **long_ago})
    job = ended(api, reply.headers["Location"])
    assert job["state"] == "failed"
    assert job["error"]
    assert job["result"] is None


def test_cancelling(api: FlaskClient, lab: GridLab) -> None:
    began, release = threading.Event(), threading.Event()

    def work(handle: Any) -> dict[str, int]:
        began.set()
        while not release.is_set():
            handle.progress(0.5, "half")
            handle.wait(0.01)
        return {}

    job = lab.jobs.submit("endless", {"test": "cancelling"}, work)
    try:
        assert began.wait(30)
        shown = answered(api.get(f"/api/jobs/{job.id}"))
        assert shown["state"] == "running"
        reply = api.delete(f"/api/jobs/{job.id}")
        assert reply.status_code in (200, 202)
        assert ended(api, f"/api/jobs/{job.id}")["state"] == "cancelled"
    finally:
        release.set()
    again = api.delete(f"/api/jobs/{job.id}", headers=PORTUGUESE)
    refused(again, 409)
    assert "não há o que cancelar" in again.json["error"]["message"]


def test_a_full_queue_is_told(api: FlaskClient, lab: GridLab) -> None:
    release = threading.Event()
    workers = threading.Barrier(WORKERS + 1, timeout=60)

    def hold(_: Any) -> None:
        workers.wait()
        release.wait(60)

    held = [lab.jobs.submit("held", {"number": n}, hold).id for n in range(WORKERS)]
    workers.wait()  # now every worker is busy, and what comes can only wait
    try:
        for number in range(LONGEST_QUEUE):
            held.append(lab.jobs.submit("held", {"behind": number}, hold).id)
        full = api.post("/api/backtest", json={**GRID, "start_ms": START_MS + 60_000})
        refused(full, 429, "too_many_jobs")
        assert full.headers["Retry-After"]
        shadow = api.get("/api/test/shadow_mode?seconds=1")
        refused(shadow, 429, "too_many_jobs")
    finally:
        for job_id in held:
            lab.jobs.cancel(job_id)
        release.set()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"symbol": "NOSUCH"}, {"symbol"}),
        ({"symbol": 5}, {"symbol"}),
        ({"start_ms": -1}, {"start_ms"}),
        ({"start_ms": "2026-01-01"}, {"start_ms"}),
        ({"end_ms": 10**15}, {"end_ms"}),
        ({"end_ms": 1.5}, {"end_ms"}),
        ({"start_ms": True}, {"start_ms"}),
        ({"start_ms": 20, "end_ms": 20}, {"start_ms"}),
        ({"fill_rule": "magic"}, {"fill_rule"}),
        ({"star_ms": 5}, {"star_ms"}),
        ({"config": 5}, {"config"}),
        ({"config": {"initial_levels": 10}}, {"config.spacing_perc"}),
        ({"config": {**GRID["config"], "market_type": "futures"}}, {"config.market_type"}),
        (
            {"config": {"initial_levels": 0, "spacing_perc": 101}, "fill_rule": 1, "x": 1},
            {"config.initial_levels", "config.spacing_perc", "fill_rule", "x"},
        ),
    ],
)
def test_bodies(api: FlaskClient, changes: Any, fields: set[str]) -> None:
    assert set(refused(api.post("/api/backtest", json={**GRID, **changes}))) == fields


def test_only_json(api: FlaskClient) -> None:
    refused(api.post("/api/backtest"), 415)
    refused(api.post("/api/backtest", data="{}", content_type="text/plain"), 415)


@pytest.mark.parametrize("job_id", ["nosuch", "x" * 5000, "a.b", "%3Cb%3E", "%ED%A0%80", "%00"])
def test_jobs_that_are_none(api: FlaskClient, job_id: str) -> None:
    for reply in (api.get(f"/api/jobs/{job_id}"), api.delete(f"/api/jobs/{job_id}")):
        refused(reply, 404, "job_not_found")
        assert len(reply.text) < 600


def test_queries(api: FlaskClient) -> None:
    assert refused(api.get("/api/jobs?state=done")) == ["state"]
    assert refused(api.get("/api/jobs/nosuch?wait=1")) == ["wait"]
