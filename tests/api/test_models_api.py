"""Models that are not there: the documented shape, nothing invented, and what helps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from extra import PORTUGUESE, answered, client_of, refused
from flask.testing import FlaskClient
from test_contract import Null, differences

from gridlab.app.facade import GridLab

TABULAR, RL = "/api/model/predict/tabular", "/api/model/predict/rl"
SHAPES: dict[str, Any] = {
    "/api/rl/status": {
        **{"rl_available": bool, "sentiment_available": bool, "onnx_model_loaded": bool},
        **{"gemma3_model_loaded": bool, "total_active_bots": int},
        "active_bots": [{"symbol": str, "rl_enabled": bool, "sentiment_enabled": bool}],
    },
    "/api/rl/training_status": {
        "status": str,
        "training": {"is_training": bool, "steps_completed": int, "last_trained_at": Null(str)},
        "performance": {"mean_reward": Null(float), "evaluation_set": Null(str)},
        "configuration": {"algorithm": str, "state_features": [str]},
    },
}


@pytest.fixture
def api(lab: GridLab) -> FlaskClient:
    return client_of(lab)


@pytest.mark.parametrize("path", SHAPES)
def test_documented_fields_and_types(api: FlaskClient, path: str) -> None:
    answer = answered(api.get(path))
    assert differences(SHAPES[path], answer) == []
    assert answer["reason"]
    assert answered(api.get(path, headers=PORTUGUESE))["reason"] != answer["reason"]
    assert refused(api.get(f"{path}?verbose=1")) == ["verbose"]


def test_the_bots_are_the_real_ones(lab: GridLab, running: str, api: FlaskClient) -> None:
    answer = answered(api.get("/api/rl/status"))
    assert running in {bot["symbol"] for bot in answer["active_bots"]}
    assert answer["total_active_bots"] == len(answer["active_bots"])
    assert not any(bot["rl_enabled"] for bot in answer["active_bots"])
    # A replay's prices are not of today, so nothing that is written today is heeded in it.
    assert not any(bot["sentiment_enabled"] for bot in answer["active_bots"])
    assert answer["sentiment_available"] and answer["onnx_model_loaded"]
    assert not answer["rl_available"] and not answer["gemma3_model_loaded"]


def test_nothing_is_invented(api: FlaskClient) -> None:
    training = answered(api.get("/api/rl/training_status"))
    assert set(training["performance"].values()) == {None}
    assert training["training"]["steps_completed"] == 0


def test_training_shows_the_configuration(api: FlaskClient, lab: GridLab) -> None:
    shown = answered(api.get("/api/rl/training_status"))["configuration"]
    section = lab.settings.config.rl_agent
    assert shown["algorithm"] == section.algorithm
    assert shown["state_features"] == list(section.state_features)
    assert shown["reward_function"]["drawdown_penalty"] == float(
        section.reward_function.drawdown_penalty
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TABULAR, {"features": {"rsi": 40, "macd.signal": -1.5}}),
        (TABULAR, {"features": {"rsi": 40}, "symbol": None}),
        (RL, {"state": {"rsi": 40.5}, "symbol": "btcusdt"}),
    ],
)
def test_what_only_a_model_can_answer_is_null(api: FlaskClient, path: str, body: Any) -> None:
    told = answered(api.post(path, json=body))
    assert told["status"] == "unavailable" and "in this version" in told["reason"]
    predicted = {"prediction", "action", "confidence", "model_used"}
    found = {name for name in told if name in predicted}
    assert len(found) >= 3 and {told[name] for name in found} == {None}
    assert api.post(path, json=body, headers=PORTUGUESE).json["reason"] != told["reason"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        *((TABULAR, {}, "features"), (TABULAR, {"features": {}}, "features")),
        *(
            (TABULAR, {"features": [1]}, "features"),
            (TABULAR, {"features": {"a": "1"}}, "features"),
        ),
        *((TABULAR, {"features": {"a": True}}, "features"),),
        *((TABULAR, {"features": {"a b": 1}}, "features"),),
        *((TABULAR, {"features": {"a": 1e16}}, "features"),),
        *((TABULAR, {"features": {str(n): n for n in range(201)}}, "features"),),
        *((RL, {"state": {"a": None}}, "state"), (RL, {"state": {"a": 1}, "symbol": 7}, "symbol")),
    ],
)
def test_bodies(api: FlaskClient, path: str, body: Any, field: str) -> None:
    assert refused(api.post(path, json=body)) == [field]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "1e99999999999999999999"])
def test_numbers_beyond_reason(api: FlaskClient, number: str) -> None:
    body = f'{{"features": {{"rsi": {number}}}}}'
    reply = api.post(TABULAR, data=body, headers={"Content-Type": "application/json"})
    assert refused(reply) == ["features"]


def test_an_unknown_symbol(api: FlaskClient) -> None:
    reply = api.post(RL, json={"state": {"rsi": 1}, "symbol": "NOSUCH"})
    refused(reply, 404, "symbol_not_found")


@pytest.mark.parametrize("path", [TABULAR, RL])
def test_only_json(api: FlaskClient, path: str) -> None:
    refused(api.post(path, data="text=moon"), 415)
    refused(api.post(path, data=json.dumps({"text": "x"}), content_type="text/plain"), 415)
