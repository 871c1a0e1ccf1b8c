"""The routes about local models, against a server that speaks Ollama's protocol or fails at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from extra import PORTUGUESE, answered, refused
from flask.testing import FlaskClient
from waiting import wait_for

from gridlab.api import create_app
from gridlab.app import ai_models
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.client import Client
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidConfig
from gridlab.exchange.base import Dated
from gridlab.testing.ollama import LocalOllama, Mode

GRID = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}
JUDGED = '{"label": "positive", "score": 0.7, "reason": "Momentum."}'


@pytest.fixture(scope="module")
def ollama() -> Iterator[LocalOllama]:
    with LocalOllama(("gemma3:1b", "mistral:7b", "qwen3:1.7b")) as server:
        yield server


@pytest.fixture(scope="module")
def asked(ollama: LocalOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    """An engine whose configuration names the local server."""
    with GridLab(tmp_path_factory.mktemp("ai"), config=config_for(ollama.url), speed=50) as lab:
        yield lab


@pytest.fixture
def api(asked: GridLab, ollama: LocalOllama) -> FlaskClient:
    ollama.mode = Mode.HONEST
    ollama.chats.clear()
    asked.__dict__.pop("_model_check", None)  # what was kept of an earlier test
    asked.ai_desk.client._last = None
    return create_app(asked).test_client()


def config_for(url: str, seconds: str = "4") -> Any:
    config = load_config(None)
    settings = config.ai_agent.model_settings.model_copy(
        update={"timeout_seconds": type(config.ai_agent.model_settings.timeout_seconds)(seconds)}
    )
    section = config.ai_agent.model_copy(update={"base_url": url, "model_settings": settings})
    return config.model_copy(update={"ai_agent": section})


def ended(api: FlaskClient, reply: Any, seconds: float = 60) -> Any:
    """The job of a 202, once it is over."""
    job = answered(reply, 202)
    assert reply.headers["Location"] == f"/api/jobs/{job['id']}"
    until = time.monotonic() + seconds
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.05)
        job = answered(api.get(f"/api/jobs/{job['id']}"))
    return job


# --- do they answer? ------------------------------------------------------------------------------


def test_each_configured_model_is_asked(api: FlaskClient, ollama: LocalOllama) -> None:
    ollama.answer = lambda *_: JUDGED
    answer = answered(api.get("/api/test/ai_models"))
    status = answer["ollama_status"]
    assert (status["running"], status["base_url"]) == (True, ollama.url)
    assert status["available_models"] == list(ollama.models) == list(answer["models_test"])
    for name in ("gemma3:1b", "qwen3:1.7b"):
        tested = answer["models_test"][name]
        assert (tested["status"], tested["test_sentiment"]) == ("success", "positive")
        assert tested["response_time_ms"] >= 0 and tested["tokens_generated"] > 0
        assert tested["reason"] is None
    other = answer["models_test"]["mistral:7b"]
    assert other["status"] == "not_tested" and "model_presets" in other["reason"]
    assert answer["recommended_model"] == "qwen3:1.7b"  # the first preset that answered
    assert "gemma3:4b" in answer["missing_models"] and "gemma3:1b" not in answer["missing_models"]
    assert [chat["model"] for chat in ollama.chats] == ["qwen3:1.7b", "gemma3:1b"]
    answered(api.get("/api/test/ai_models"))
    assert len(ollama.chats) == 2  # one answer serves everybody for a while


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.CUTS_JSON, "no JSON"),
        (Mode.LIES_ABOUT_MODEL, "gpt-oss:120b"),
        (Mode.FAILS, "runner process has terminated"),
        (Mode.HANGS, "within"),
    ],
)
def test_models_that_do_not_answer_are_told(
    api: FlaskClient,
    ollama: LocalOllama,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    reason: str,
) -> None:
    if mode is Mode.HANGS:
        monkeypatch.setattr(ai_models, "EACH_S", 0.3)
    ollama.mode, ollama.answer = mode, lambda *_: JUDGED
    answer = answered(api.get("/api/test/ai_models"))
    tested = answer["models_test"]["gemma3:1b"]
    assert tested["status"] == "failed" and reason in tested["reason"]
    assert tested["test_sentiment"] is tested["tokens_generated"] is None
    assert answer["recommended_model"] is None and answer["ollama_status"]["running"] is True


def test_what_is_not_reached_in_time_is_not_called_failed(
    api: FlaskClient, ollama: LocalOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ai_models, "ALL_S", 2.0)
    monkeypatch.setattr(ai_models, "EACH_S", 1.2)
    ollama.mode = Mode.HANGS
    answer = answered(api.get("/api/test/ai_models", headers=PORTUGUESE))
    assert answer["models_test"]["qwen3:1.7b"]["status"] == "failed"
    last = answer["models_test"]["gemma3:1b"]
    assert last["status"] == "not_tested" and "meio minuto" in last["reason"]


@pytest.mark.parametrize(
    ("url", "words", "palavras"),
    [
        ("http://127.0.0.1:9", "ollama serve", "Nada responde"),
        ("http://192.0.2.7:11434", "not on this machine", "não está nesta máquina"),
    ],
)
def test_without_ollama(lab: GridLab, url: str, words: str, palavras: str) -> None:
    other = GridLab(lab.settings.data_dir, config=config_for(url))
    found = other.ai_models()
    assert found.trials == {} and found.recommended is None and len(found.missing) == 6
    client = create_app(_Borrowed(lab, found)).test_client()  # type: ignore[arg-type]
    for headers, said in (({}, words), (PORTUGUESE, palavras)):
        status = answered(client.get("/api/test/ai_models", headers=headers))["ollama_status"]
        assert status["running"] is False and said in status["reason"]
        assert status["available_models"] == [] and status["response_time_ms"] is None


class _Borrowed:
    """A started engine with another finding about its models."""

    def __init__(self, lab: GridLab, found: object) -> None:
        self._lab, self._found = lab, found

    def ai_models(self) -> object:
        return self._found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lab, name)


def test_few_may_wait_for_the_models(
    api: FlaskClient, ollama: LocalOllama, asked: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, codes, inside, ask = threading.Event(), [], [], asked.ai_models

    def ai_models() -> object:
        inside.append(1)
        gate.wait(60)
        return ask()

    monkeypatch.setattr(asked, "ai_models", ai_models, raising=False)
    app = api.application
    waiting = [
        threading.Thread(
            target=lambda: codes.append(app.test_client().get("/api/test/ai_models").status_code)
        )
        for _ in range(4)
    ]
    for thread in waiting:
        thread.start()
    try:
        wait_for(lambda: len(inside) == len(waiting), "all of them to be inside")
        refused(api.get("/api/test/ai_models"), 429, "ai_models_busy")
    finally:
        gate.set()
    for thread in waiting:
        thread.join(60)
    assert codes == [200] * len(waiting)


# --- texts ----------------------------------------------------------------------------------------


def started(api: FlaskClient) -> None:
    reply = api.post("/api/grid/start", json=GRID)
    assert reply.status_code in (201, 409), reply.text


@pytest.mark.parametrize("body", [{"kind": "daily"}, {"kind": "pair", "symbol": "btcusdt"}])
def test_reports(api: FlaskClient, ollama: LocalOllama, body: Any) -> None:
    started(api)
    ollama.answer = _saying("All is calm in BTCUSDT.")
    job = ended(api, api.post("/api/ai/report", json=body))
    assert job["state"] == "done", job["error"]
    report = job["result"]
    assert (report["author"], report["template_reason"]) == ("qwen3:1.7b", None)
    assert report["text"] == "All is calm in BTCUSDT." and report["kind"] == body["kind"]
    assert "BTCUSDT" in report["markdown"] and "<table>" in report["html"]
    assert "(Replay)" in report["title"] and report["points"]


def test_texts_about_stale_prices_begin_with_that(
    api: FlaskClient, asked: GridLab, ollama: LocalOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes: the candles of a proposal are old here, or the price that values a bot."""
    started(api)
    ollama.answer = _saying("All is calm in BTCUSDT.")
    monkeypatch.setattr(
        GridLab,
        "dated_klines",
        lambda self, *given: Dated(self.klines(*given), 48_000, True),
    )
    told = asked.ai_analysis("BTCUSDT", language="pt").text
    assert told.startswith("Atenção: estes números estão desatualizados; seus preços têm 48 s.")
    monkeypatch.undo()
    for age_ms, is_stale in ((95_000, True), (95, False)):
        monkeypatch.setattr(
            GridLab, "dated_price", lambda *_, old=(age_ms, is_stale): Dated(Decimal(1), *old)
        )
        report = ended(api, api.post("/api/ai/report", json={"kind": "daily"}))["result"]
        warning = "Attention: these figures are stale; their prices are 95 s old. "
        assert report["text"] == f"{warning * is_stale}All is calm in BTCUSDT."
        assert report["stale"] is is_stale
        assert any("its price is stale" in point for point in report["points"]) is is_stale


def _saying(*sentences: str) -> Callable[..., str]:
    import json

    return lambda *_: json.dumps({"sentences": list(sentences)})


@pytest.mark.parametrize(
    ("mode", "reason"), [(Mode.INVENTS_NUMBERS, "987654.321"), (Mode.HANGS, "within 4 s")]
)
def test_a_report_survives_its_model(
    api: FlaskClient, ollama: LocalOllama, mode: Mode, reason: str
) -> None:
    started(api)
    ollama.mode, ollama.answer = mode, _saying("Calm.")
    reply = api.post("/api/ai/report", json={"kind": "performance"}, headers=PORTUGUESE)
    report = ended(api, reply)["result"]
    assert report["author"] == "template" and reason in report["template_reason"]
    assert report["language"] == "pt" and "O resultado é" in report["text"]
    assert "987654" not in report["text"] and "987654" not in report["html"].partition("<em>")[0]


def test_an_explanation_of_a_placed_order(api: FlaskClient, ollama: LocalOllama) -> None:
    started(api)
    orders = answered(api.get("/api/trading/executions"))["executions"][0]["open_orders"]
    order = api.get("/api/orders?limit=20&open_only=true").json["orders"][0]
    assert orders
    ollama.mode = Mode.STRANGE
    for body in (
        {"order": order["client_order_id"]},
        {"order": order["order_id"], "run": "BTCUSDT"},
    ):
        job = ended(api, api.post("/api/ai/explain", json=body))
        assert job["state"] == "done", job["error"]
        told = job["result"]
        assert told["author"] == "template" and told["fate"] == "open"
        assert told["cause"] in ("stocked", "turned", "start")
        assert order["client_order_id"] in told["text"]
    gone = ended(api, api.post("/api/ai/explain", json={"order": "gl-r1-0-99-0"}))
    assert gone["state"] == "failed" and "the journal has no order" in gone["error"]


def test_a_proposal_stands_beside_the_present_grid(api: FlaskClient, asked: GridLab) -> None:
    started(api)
    before = asked.snapshot.bots["BTCUSDT"]
    job = ended(api, api.post("/api/ai/propose", json={"symbol": "BTCUSDT"}), 120)
    assert job["state"] == "done", job["error"]
    found = job["result"]
    assert found["applied"] is False and found["is_running"] is True
    assert found["present"]["levels"] == 10 and found["proposed"]["levels"] >= 4
    for side in ("present", "proposed"):
        assert found[side]["startable"] is not bool(found[side]["problems"])
        if found[side]["startable"]:
            rules = [trial["fill_rule"] for trial in found[side]["backtests"]]
            assert rules == ["through", "touch"]
    least, most = found["present"]["backtests"]
    assert least["fills"] <= most["fills"]
    after = asked.snapshot.bots["BTCUSDT"]
    assert (after.run, after.levels, after.lines) == (before.run, before.levels, before.lines)


def test_what_the_agent_said_of_its_own_accord(tmp_path: Path, ollama: LocalOllama) -> None:
    ollama.mode = Mode.INVENTS_NUMBERS
    config = config_for(ollama.url)
    often = {
        "analysis_interval_minutes": Decimal("0.002"),
        "optimization_interval_hours": Decimal("0.0001"),
    }
    quick = config.model_copy(update={"ai_agent": config.ai_agent.model_copy(update=often)})
    with GridLab(tmp_path, config=quick, speed=50, first_bot="BTCUSDT") as lab:
        client = create_app(lab).test_client()
        first = answered(client.get("/api/ai/status"))
        assert first["enabled"] is True and first["features"]["market_analysis"] is True
        until = time.monotonic() + 60
        said = first
        while not (said["proposals"] and said["analyses"]):
            assert time.monotonic() < until
            time.sleep(0.1)
            said = answered(client.get("/api/ai/status"))
    (analysis,) = said["analyses"]
    assert (analysis["symbol"], analysis["author"]) == ("BTCUSDT", "template")
    assert analysis["template_reason"] and "987654" not in analysis["text"]
    assert analysis["as_of"] <= said["as_of"] and analysis["stale"] is False
    assert said["proposals"][0]["present_levels"] == 10
    for advice in said["advice"]:
        assert float(advice["least"]) <= float(advice["value"]) <= float(advice["most"])
        assert advice["source"] == "ai:template" and advice["expires_at"] >= advice["created_at"]


def test_an_agent_that_is_switched_off_is_not_there(tmp_path: Path) -> None:
    config = load_config(None)
    off = config.model_copy(
        update={"ai_agent": config.ai_agent.model_copy(update={"enabled": False})}
    )
    with GridLab(tmp_path, config=off) as lab:
        client = create_app(lab).test_client()
        said = answered(client.get("/api/ai/status"))
        assert said["enabled"] is False and said["advice"] == said["analyses"] == []
        agents = answered(client.get("/api/metrics"))["multi_agent"]["agents"]
        assert agents["ai_agent"]["status"] == "unavailable"
        report = lab.ai_report("daily")
        assert report.summary.refusal == "ai_agent.enabled is false in the configuration"
        told = lab.ai_report("daily", language="pt").to_dict()
        assert told["template_reason"] == "ai_agent.enabled é false na configuração"


def test_the_client_has_the_same_verbs(api: FlaskClient, asked: GridLab) -> None:
    started(api)
    wire = httpx.WSGITransport(app=api.application)
    with Client("http://127.0.0.1", language="pt", transport=wire) as client:
        report = client.ai_report("daily")
        assert report["language"] == "pt" and report["markdown"].startswith("# Relatório diário")
        order = asked.snapshot.bots["BTCUSDT"].open_orders[0]
        assert order.client_id in client.explain(order.client_id)["text"]
        assert client.propose_grid("BTCUSDT")["applied"] is False
        assert client.ai_status()["enabled"] is True
        assert client.ai_models()["ollama_status"]["running"] is True
        with pytest.raises(Conflict, match="the journal has no order"):
            client.explain("gl-r1-0-99-0")
        with pytest.raises(InvalidConfig):
            client.ai_report("pair")
        with pytest.raises(ExchangeUnavailable, match="not done within -0.001 s"):
            client.ai_report("daily", within_s=-0.001)


def test_what_is_asked_wrongly(api: FlaskClient) -> None:
    assert refused(api.post("/api/ai/report", json={"kind": "weekly"})) == ["kind"]
    assert refused(api.post("/api/ai/report", json={"kind": "pair"})) == ["symbol"]
    assert refused(api.post("/api/ai/report", json={"kind": "daily", "symbol": "BTCUSDT"})) == [
        "symbol"
    ]
    refused(api.post("/api/ai/report", json={"kind": "pair", "symbol": "NOPE"}), 404)
    assert refused(api.post("/api/ai/explain", json={"order": "a b"})) == ["order"]
    assert refused(api.post("/api/ai/explain", json={"order": "12345"})) == ["run"]
    refused(api.post("/api/ai/propose", json={"symbol": "NOPE"}), 404)
    assert refused(api.post("/api/ai/propose", json={})) == ["symbol"]


def test_stopping_does_not_wait_for_a_model(ollama: LocalOllama, tmp_path: Path) -> None:
    ollama.mode = Mode.HANGS
    lab = GridLab(tmp_path, config=config_for(ollama.url, "60"), speed=50)
    lab.start()
    job = lab.submit_ai_report("daily")
    while not ollama.chats:
        time.sleep(0.02)
    began = time.monotonic()
    lab.stop()
    assert time.monotonic() - began < 30, "the model would be waited for for 60 s"
    assert str(lab.jobs.get(job.id).state) == "cancelled"
