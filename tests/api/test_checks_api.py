"""The checks tell what they really found: no venue, this Ollama, this run, this symbol."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from extra import PORTUGUESE, answered, client_of, refused
from flask.testing import FlaskClient
from test_contract import Digits, Null, differences
from waiting import wait_for

from gridlab.app import work
from gridlab.app.facade import GridLab

CONNECTION = {
    **{"connected": bool, "ping_ms": Null(float), "server_time": Null(str), "reason": str},
}
SHADOW = {
    "shadow_test": {
        **{"duration_seconds": float, "market_data_collected": int, "simulated_trades": int},
        "rl_actions_generated": int,
        **{"mode": str, "price_source": str},
        "cache_performance": {
            **{"hit_rate": Null(float), "api_calls_saved": Null(int), "reason": Null(str)},
        },
        "data_quality": {
            **{"complete_market_states": int, "valid_price_data": bool},
            "indicator_calculations": str,
        },
    },
    "test_status": str,
    "recommendations": [str],
}
SYMBOL = {
    **{"symbol": str, "valid": bool, "market_type": str, "current_price": float},
    **{"24h_volume": Null(Digits), "suitable_for_grid": bool},
    "symbol_info": {
        **{"status": str, "base_asset": str, "quote_asset": str, "min_order_size": Digits},
        **{"tick_size": Digits, "min_notional": Digits},
    },
    "grid_recommendations": Null(
        {"suggested_levels": int, "suggested_spacing": float, "min_capital_needed": float}
    ),
}


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


# --- connection -----------------------------------------------------------------------------------


def test_replay_opens_no_connection(api: FlaskClient) -> None:
    answer = answered(api.get("/api/test/connection"))
    assert differences(CONNECTION, answer["binance_spot"]) == []
    assert differences(CONNECTION, answer["binance_futures"]) == []
    assert answer["operation_mode"] == "Replay"
    for market in ("binance_spot", "binance_futures"):
        assert answer[market]["connected"] is False
        assert answer[market]["ping_ms"] is None
        assert "Replay opens no connection" in answer[market]["reason"]
    assert answer["binance_spot"]["api_limits"] == {
        "spot_orders_per_second": None,
        "spot_orders_per_day": None,
    }
    assert answer["binance_futures"]["api_limits"] == {"futures_orders_per_minute": None}


# --- shadow ---------------------------------------------------------------------------------------


def test_a_real_run_and_others_are_not_blocked(
    lab: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, replies, may_end = client_of(lab), [], threading.Event()
    observe = work._observe

    def held(*more: Any) -> dict[str, Any]:
        found = observe(*more)
        assert may_end.wait(60)
        return found

    monkeypatch.setattr(work, "_observe", held)
    waiting = threading.Thread(
        target=lambda: replies.append(client_of(lab).get("/api/test/shadow_mode?seconds=1"))
    )
    waiting.start()
    try:
        jobs = wait_for(lambda: [j for j in lab.jobs.all() if is_under_way(j)], "the run")
        assert api.get("/api/rl/status").status_code == 200
        busy = api.get("/api/test/shadow_mode?seconds=2")
        refused(busy, 429)
        assert jobs[0].id in busy.json["error"]["hint"]
        same = api.get("/api/test/shadow_mode?seconds=1&wait=false")
        assert (same.status_code, same.json["id"]) == (202, jobs[0].id)
        assert same.headers["Location"] == f"/api/jobs/{jobs[0].id}"
        assert not replies, "nobody had to wait for its end"
    finally:
        may_end.set()
        waiting.join(60)
    answer = answered(replies[0])
    assert differences(SHADOW, answer) == []
    run = answer["shadow_test"]
    assert 1 <= run["duration_seconds"] < 30
    assert run["market_data_collected"] > 1
    assert run["rl_actions_generated"] == 0
    assert (run["mode"], run["price_source"]) == ("Replay", "a recording")
    saved = run["cache_performance"]
    assert saved["hit_rate"] is None and saved["api_calls_saved"] is None
    assert "no call to save" in saved["reason"]
    assert any("This was a recording" in words for words in answer["recommendations"])
    assert not any("saved" in words for words in answer["recommendations"])
    assert answer["test_status"] == "success"
    assert any(str(run["market_data_collected"]) in words for words in answer["recommendations"])
    progress = answered(api.get(f"/api/jobs/{answer['job_id']}"))
    assert (progress["state"], progress["progress"]) == ("done", 1.0)
    assert progress["result"]["simulated_trades"] == run["simulated_trades"]


def test_a_cancelled_run_is_no_success(lab: GridLab, monkeypatch: pytest.MonkeyPatch) -> None:
    api, replies, is_waited_for = client_of(lab), [], threading.Event()
    wait = lab.jobs.wait

    def told(job_id: str, timeout_s: float) -> Any:
        is_waited_for.set()
        return wait(job_id, timeout_s)

    monkeypatch.setattr(lab.jobs, "wait", told)
    begun = api.get("/api/test/shadow_mode?seconds=30&wait=false", headers=PORTUGUESE)
    assert begun.status_code == 202
    waiting = threading.Thread(
        target=lambda: replies.append(client_of(lab).get("/api/test/shadow_mode?seconds=30"))
    )
    waiting.start()
    assert is_waited_for.wait(30)
    assert api.delete(begun.headers["Location"]).status_code in (200, 202)
    waiting.join(30)
    refused(replies[0], 409, "shadow_test_cancelled")


def test_a_cancelled_run_is_not_what_is_asked_for_while_it_ends(
    lab: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine takes a moment to close; who asks meanwhile gets a run, not the cancel."""
    api, may_end, observe, reached = client_of(lab), threading.Event(), work._observe, []

    def held(*more: Any) -> dict[str, Any]:
        reached.append(1)
        if len(reached) == 1:
            assert may_end.wait(60)
        return observe(*more)

    monkeypatch.setattr(work, "_observe", held)
    asked = "/api/test/shadow_mode?seconds=5&wait=false"
    dying = api.get(asked)
    try:
        wait_for(lambda: reached, "the run's engine")
        assert api.delete(dying.headers["Location"]).status_code == 202
        again = api.get(asked)
        assert again.status_code == 202 and again.json["id"] != dying.json["id"]
        assert api.get(asked).json["id"] == again.json["id"], "the new one is under way"
        assert api.get("/api/test/shadow_mode?seconds=6&wait=false").status_code == 429
        assert api.delete(again.headers["Location"]).status_code in (200, 202)
        other = api.get("/api/test/shadow_mode?seconds=6&wait=false")
        assert other.status_code == 202, "one that was cancelled is in nobody's way"
    finally:
        may_end.set()
        for job in lab.jobs.all():
            lab.jobs.cancel(job.id)
        for job in lab.jobs.all():
            lab.jobs.wait(job.id, 60)


def is_under_way(job: Any) -> bool:
    return job.kind == "shadow_test" and job.state in ("queued", "running")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("seconds=0", "seconds"), ("seconds=61", "seconds"), ("seconds=1.5", "seconds")),
        *(("seconds=", "seconds"), ("seconds=nan", "seconds"), ("wait=maybe", "wait")),
        ("second=3", "second"),
    ],
)
def test_shadow_queries(api: FlaskClient, query: str, field: str) -> None:
    assert refused(api.get(f"/api/test/shadow_mode?{query}")) == [field]


# --- symbols --------------------------------------------------------------------------------------


def test_a_symbol_and_the_grid_it_takes(api: FlaskClient, lab: GridLab) -> None:
    answer = answered(api.get("/api/validate/symbol/btcusdt?market_type=spot"))
    assert differences(SYMBOL, answer) == []
    rules = lab.instrument("BTCUSDT")
    assert (answer["symbol"], answer["valid"]) == ("BTCUSDT", True)
    assert Decimal(answer["symbol_info"]["tick_size"]) == rules.tick_size
    assert Decimal(answer["symbol_info"]["min_notional"]) == rules.min_notional
    assert answer["suitable_for_grid"] is True
    assert answer["reasons"] == []


def test_the_least_capital_is_what_a_plan_needs(api: FlaskClient, lab: GridLab) -> None:
    """A grid of the recommended shape passes its pre-flight; with a tenth of the capital not."""
    advice = answered(api.get("/api/validate/symbol/BTCUSDT"))["grid_recommendations"]
    body = {
        "symbol": "BTCUSDT",
        "config": {
            "initial_levels": advice["suggested_levels"],
            "spacing_perc": advice["suggested_spacing"],
            "investment": advice["min_capital_needed"] * 1.05,
        },
    }
    assert answered(api.post("/api/preflight", json=body))["ok"] is True
    body["config"]["investment"] = advice["min_capital_needed"] / 10  # type: ignore[index]
    assert answered(api.post("/api/preflight", json=body))["ok"] is False


@pytest.mark.parametrize("path", ["NOSUCH", "BTCUSDT?market_type=futures"])
def test_an_unknown_symbol_is_404_and_not_valid(api: FlaskClient, path: str) -> None:
    reply = api.get(f"/api/validate/symbol/{path}")
    assert reply.status_code == 404
    assert reply.json["valid"] is False
    assert reply.json["error"]["code"] == "symbol_not_found"


@pytest.mark.parametrize("path", ["BTC-USDT", "X" * 21, "%00", "BTCUSDT?market=spot"])
def test_what_cannot_be_a_symbol(api: FlaskClient, path: str) -> None:
    refused(api.get(f"/api/validate/symbol/{path}"))
