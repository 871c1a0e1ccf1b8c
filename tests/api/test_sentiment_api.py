"""The routes about texts: the real models, an Ollama that answers and ones that fail, and nothing
invented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from extra import PORTUGUESE, answered, client_of, refused
from flask.testing import FlaskClient
from test_ai_api import JUDGED, config_for
from test_contract import Null, differences

from gridlab.api import create_app
from gridlab.app.facade import GridLab
from gridlab.testing.ollama import LocalOllama, Mode

ANALYZE, STATUS, TEST = "/api/sentiment/analyze", "/api/sentiment/status", "/api/test/sentiment"
MOON = "Bitcoin is going to the moon!"
SHAPE: dict[str, Any] = {
    "models": {
        "gemma3": {
            **{"available": bool, "loaded": bool, "model_size": Null(str)},
            "crypto_optimized": Null(bool),
        },
        "onnx": {"available": bool, "loaded": bool, "model_name": Null(str)},
    },
    "performance": {
        **{"analyses_completed": int, "avg_analysis_time": Null(float)},
        **{"accuracy_score": Null(float), "accuracy_set": Null(str)},
    },
    "recommended_model": Null(str),
    "status": str,
    "sources": [{"name": str, "enabled": bool, "reason": Null(str), "posts": int}],
    "moods": [],
    "alerts": [],
}


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    """No language model is there: the default configuration's address has nobody."""
    return client_of(lab)


@pytest.fixture(scope="module")
def ollama() -> Iterator[LocalOllama]:
    with LocalOllama(("gemma3:1b",)) as server:
        server.answer = lambda *_: JUDGED
        yield server


@pytest.fixture(scope="module")
def started(ollama: LocalOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    config = config_for(ollama.url)
    with GridLab(tmp_path_factory.mktemp("texts"), config=config, speed=1) as lab:
        yield lab


@pytest.fixture
def with_model(started: GridLab) -> GridLab:
    """Its breaker knows nothing of a model that failed in another test."""
    started.analyzer._breaker.succeed()
    return started


def test_a_text_is_judged_without_any_server(api: FlaskClient) -> None:
    told = answered(api.post(ANALYZE, json={"text": MOON}))
    assert (told["sentiment"], told["analyzer_used"]) == ("positive", "onnx")
    assert 0 < told["confidence"] <= 1 and 0 < told["raw_score"] <= 1
    assert told["crypto_relevant"] and told["text"] == MOON and told["status"] == "operational"
    assert "because:" in told["reasoning"]  # why no language model judged it


def test_portuguese_is_judged_too(api: FlaskClient) -> None:
    told = answered(api.post(ANALYZE, json={"text": "Bitcoin está indo para a lua!"}))
    assert told["sentiment"] == "positive" and told["crypto_relevant"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(({}, "text"), ({"text": ""}, "text"), ({"text": 5}, "text"), ({"text": " \n"}, "text")),
        *(({"text": "x" * 5001}, "text"), ({"text": None}, "text"), ({"text": ["x"]}, "text")),
        ({"text": "x", "lang": "en"}, "lang"),
    ],
)
@pytest.mark.parametrize("path", [ANALYZE, TEST])
def test_bodies(api: FlaskClient, path: str, body: Any, field: str) -> None:
    assert refused(api.post(path, json=body)) == [field]


def test_the_status_is_measured_or_null(api: FlaskClient, lab: GridLab) -> None:
    answered(api.post(ANALYZE, json={"text": MOON}))
    lab._kept_status = None
    told = answered(api.get(STATUS))
    assert differences(SHAPE, told) == []
    assert told["status"] == "operational" and told["recommended_model"] == "onnx"
    assert not told["models"]["gemma3"]["available"] and told["reason"]
    assert told["models"]["onnx"]["loaded"] and told["models"]["onnx"]["model_name"]
    done = told["performance"]
    assert done["analyses_completed"] >= 1 and 0 < done["avg_analysis_time"] < 5
    assert 0.5 < done["accuracy_score"] < 1 and done["accuracy_set"]
    assert refused(api.get(f"{STATUS}?verbose=1")) == ["verbose"]


def test_in_a_replay_no_source_is_read_and_each_says_so(api: FlaskClient) -> None:
    sources = answered(api.get(STATUS))["sources"]
    assert {source["name"] for source in sources} == {"reddit", "binance_news", "x"}
    assert not any(source["enabled"] or source["tried_at"] for source in sources)
    assert all(source["reason"] for source in sources)
    binance = next(source for source in sources if source["name"] == "binance_news")
    assert "Replay plays recorded prices" in binance["reason"]
    told = answered(api.get(STATUS, headers=PORTUGUESE))["sources"]
    assert any("Replay reproduz" in source["reason"] for source in told)


def test_both_analysers_side_by_side_without_a_model(api: FlaskClient) -> None:
    told = answered(api.post(TEST, json={"text": "Bitcoin <b>sobe</b> \u20bf"}))
    gemma, onnx = told["test_results"]["gemma3"], told["test_results"]["onnx_fallback"]
    for field in ("sentiment", "confidence", "processing_time_ms", "crypto_relevant", "reasoning"):
        assert gemma[field] is None
    assert gemma["status"] == "unavailable" and gemma["reason"]
    assert onnx["status"] == "operational" and onnx["sentiment"] == "positive"
    assert onnx["processing_time_ms"] > 0 and onnx["model_used"]
    assert told["recommended_analyzer"] == "onnx" and told["text"] == "Bitcoin <b>sobe</b> \u20bf"
    assert told["performance_comparison"] == {"speed_ratio": None, "accuracy_difference": None}


def test_a_language_model_that_answers_is_preferred(
    with_model: GridLab, ollama: LocalOllama
) -> None:
    api = create_app(with_model).test_client()
    told = answered(api.post(ANALYZE, json={"text": MOON}))
    assert (told["sentiment"], told["analyzer_used"]) == ("positive", "gemma3")
    both = answered(api.post(TEST, json={"text": MOON}))
    gemma = both["test_results"]["gemma3"]
    assert (gemma["sentiment"], gemma["status"], gemma["reason"]) == (
        "positive",
        "operational",
        None,
    )
    assert both["recommended_analyzer"] == "gemma3"
    assert both["performance_comparison"]["speed_ratio"].endswith("x faster (ONNX)")
    # What it said is nowhere: nobody has measured how often it is right.
    assert both["performance_comparison"]["accuracy_difference"] is None
    with_model._kept_status = None
    status = answered(api.get(STATUS))
    assert status["models"]["gemma3"] == {
        **{"available": True, "loaded": True, "model_size": "1B", "crypto_optimized": False}
    }
    assert status["performance"]["accuracy_score"] is None
    assert answered(api.get("/api/rl/status"))["gemma3_model_loaded"]


@pytest.mark.parametrize(
    "mode", [Mode.CUTS_JSON, Mode.FAILS, Mode.LIES_ABOUT_MODEL, Mode.DROPS, Mode.HANGS]
)
def test_a_model_that_fails_leaves_a_true_answer(
    with_model: GridLab, ollama: LocalOllama, mode: Mode
) -> None:
    api = create_app(with_model).test_client()
    ollama.mode = mode
    try:
        text = f"Ethereum collapses after the hack, {mode.value}"
        told = answered(api.post(ANALYZE, json={"text": text}))
        assert (told["sentiment"], told["analyzer_used"]) == ("negative", "onnx")
        assert "because:" in told["reasoning"]
    finally:
        ollama.mode = Mode.HONEST


def test_reasons_are_told_in_portuguese(api: FlaskClient) -> None:
    status = answered(api.get(STATUS, headers=PORTUGUESE))
    silent = "nada responde em http://127.0.0.1:11434; inicie o Ollama com: ollama serve"
    assert status["reason"].startswith(silent)
    told = {source["name"]: source["reason"] for source in status["sources"]}
    assert told["x"] == "sentiment_analysis.x.enabled é false na configuração"
    missing = "faltam REDDIT_CLIENT_ID e REDDIT_CLIENT_SECRET; crie um aplicativo"
    assert told["reddit"].startswith(missing)
    judged = answered(api.post(ANALYZE, json={"text": MOON}, headers=PORTUGUESE))
    assert f"[gridlab-sentiment-1, porque: {silent}" in judged["reasoning"]
    both = answered(api.post(TEST, json={"text": MOON}, headers=PORTUGUESE))["test_results"]
    assert both["gemma3"]["reason"].startswith(silent)
    english = answered(api.get(STATUS))
    assert english["reason"].startswith("nothing answers at")
