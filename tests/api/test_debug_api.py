"""The look inside: log lines, figures, cache, configuration; no secret anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from extra import answered, client_of, refused
from flask.testing import FlaskClient
from test_contract import Null, differences

from gridlab.api.debug import STRUCK, sanitised
from gridlab.api.scopes import Scope
from gridlab.api.tokens import Tokens
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.data.cache import cache_decorator, get_global_cache

CANARY = "canary7Kq2mX9vT4"
log = logging.getLogger("gridlab.test")


@pytest.fixture(scope="module")
def keyed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GridLab]:
    """A lab whose configuration holds secrets."""
    with pytest.MonkeyPatch.context() as environment:  # of this configuration alone
        environment.setenv("BINANCE_API_KEY", CANARY + "K")
        environment.setenv("BINANCE_API_SECRET", CANARY + "S")
        config = load_config(None)
    with GridLab(tmp_path_factory.mktemp("keyed"), config=config) as lab:
        yield lab


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


def test_the_latest_lines_oldest_first(api: FlaskClient) -> None:
    for number in range(5):
        log.warning("line %d of five", number)
    reply = api.get("/api/debug/logs?lines=3")
    assert reply.status_code == 200
    assert reply.headers["X-GridLab-Mode"] == "Replay"
    assert [entry["message"] for entry in reply.json] == [f"line {n} of five" for n in (2, 3, 4)]
    entry = reply.json[-1]
    assert set(entry) == {"timestamp", "time", "level", "logger", "message"}
    assert (entry["level"], entry["logger"]) == ("WARNING", "gridlab.test")
    assert isinstance(entry["timestamp"], int)


def test_hostile_lines_are_plain_text(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not into the test report, which cannot be written in half characters.
    monkeypatch.setattr(logging.getLogger("gridlab"), "propagate", False)
    log.warning("<script>%s\ud800\x00", "alert(1)")
    entry = api.get("/api/debug/logs?lines=1").json[0]
    assert entry["message"].startswith("<script>alert(1)")


def test_a_full_ring_stays_below_a_megabyte(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("gridlab"), "propagate", False)  # not into the report
    for number in range(1000):
        log.warning("%d %s", number, "\u20bf" * 1990)
    reply = api.get("/api/debug/logs?lines=1000")
    assert reply.status_code == 200
    assert 500_000 < len(reply.data) < 1_000_000
    assert reply.json[-1]["message"].startswith("999 ")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("lines=0", "lines"), ("lines=1001", "lines"), ("lines=-1", "lines")),
        *(("lines=all", "lines"), ("lines=99999999999999999999", "lines"), ("file=x", "file")),
    ],
)
def test_lines_are_bounded(api: FlaskClient, query: str, field: str) -> None:
    assert refused(api.get(f"/api/debug/logs?{query}")) == [field]


def test_performance_is_measured(api: FlaskClient) -> None:
    answer = answered(api.get("/api/debug/performance"))
    shape = {
        **{"cpu_percent": float, "memory_mb": float, "threads": int, "uptime_s": float},
        **{"engine_step_p50_ms": Null(float), "engine_step_p99_ms": Null(float)},
        "snapshots_per_second": Null(float),
    }
    assert differences(shape, answer) == []
    assert answer["memory_mb"] > 10
    assert answer["threads"] >= 2
    if answer["engine_step_p50_ms"] is not None:
        assert answer["engine_step_p50_ms"] <= answer["engine_step_p99_ms"]


def test_the_cache_of_decorated_functions_is_the_engines(tmp_path: Path) -> None:
    calls: list[str] = []

    @cache_decorator(ttl=300, key_prefix="api_")
    def asked(symbol: str) -> str:
        calls.append(symbol)
        return symbol

    path = tmp_path / "config.yaml"
    path.write_text("cache: {max_size_mb: 3}\nsentiment_analysis: {enabled: false}\n")
    with GridLab(tmp_path / "data", config=path, speed=0.001) as lab:
        api = client_of(lab)
        assert get_global_cache() is lab.cache
        assert get_global_cache().metrics().bytes_max == 3_000_000
        assert asked("BTCUSDT") == asked("BTCUSDT") == "BTCUSDT" and len(calls) == 1
        shown = answered(api.get("/api/metrics"))["multi_agent"]["cache"]
        assert (shown["entries"], shown["hit_rate"]) == (1, 0.5)
        assert answered(api.post("/api/debug/cache/clear"))["entries_cleared"] == 1
        assert asked("BTCUSDT") == "BTCUSDT" and len(calls) == 2
        with GridLab(tmp_path / "beside", speed=0.001, beside=lab):
            assert get_global_cache() is lab.cache
    assert get_global_cache() is not lab.cache


def test_clearing_the_cache(api: FlaskClient, lab: GridLab) -> None:
    lab.cache.set("one", {"a": 1})
    lab.cache.set("two", [2])
    answer = answered(api.post("/api/debug/cache/clear"))
    assert answer["status"] == "cleared"
    assert answer["entries_cleared"] >= 2
    assert lab.cache.get("one") is None
    again = answered(api.post("/api/debug/cache/clear", json={}))
    assert again["entries_cleared"] == 0


def test_clearing_takes_no_field_and_no_form(api: FlaskClient) -> None:
    assert refused(api.post("/api/debug/cache/clear", json={"all": True})) == ["all"]
    refused(api.post("/api/debug/cache/clear", data={"a": "1"}), 415)
    refused(api.post("/api/debug/cache/clear", data="{}", content_type="text/plain"), 415)
    refused(api.post("/api/debug/cache/clear", data="[]", content_type="application/json"), 400)


def test_the_configuration_is_the_one_in_force(api: FlaskClient, lab: GridLab) -> None:
    reply = api.get("/api/debug/config")
    assert reply.status_code == 200
    view = reply.json
    assert view["operation_mode"] == "Replay"
    assert view["grid"]["initial_levels"] == lab.settings.config.grid.initial_levels
    assert view["replay"]["fill_rule"] == lab.settings.config.replay.fill_rule
    assert reply.headers["X-GridLab-Mode"] == "Replay"
    assert refused(api.get("/api/debug/config?secrets=1")) == ["secrets"]


def test_no_secret_is_shown(keyed: GridLab) -> None:
    log.error("signature=%s and key %s", CANARY + "S", CANARY + "K")
    api = client_of(keyed)
    token = Tokens.load_or_create(keyed.settings.data_dir).of(Scope.ADMIN)
    headers = {"Authorization": f"Bearer {token}"}
    told = [
        api.get(f"/api/debug/{path}", headers=headers).text
        for path in ("config", "logs?lines=1000", "performance")
    ]
    assert keyed.settings.config.api.key is not None
    assert STRUCK in told[0]
    assert "and key [secret]" in told[1]
    assert not any(CANARY in text for text in told)


def test_the_second_lock() -> None:
    view = {
        "api": {"key": "k", "secret": None, "BINANCE_API_SECRET": "s"},
        "bots": [{"token": "t", "name": "n"}],
        "passwords_allowed": "yes",
        "url": "http://me:pw@127.0.0.1:1/",
        "monkey": "banana",
    }
    assert sanitised(view) == {
        "api": {"key": STRUCK, "secret": None, "BINANCE_API_SECRET": STRUCK},
        "bots": [{"token": STRUCK, "name": "n"}],
        "passwords_allowed": "yes",
        "url": "http://127.0.0.1:1/",
        "monkey": "banana",
    }
    assert json.dumps(sanitised(view))
