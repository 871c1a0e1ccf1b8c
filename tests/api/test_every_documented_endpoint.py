"""Every endpoint of the API's document, asked of the application and of a live server.

Each answer has the documented fields, by their full names, and fits the schema that the OpenAPI
document gives for it. Types field by field are in `test_contract` and beside each route's tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import jsonschema
import pytest
from flask.testing import FlaskClient

from gridlab.api import Server
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import EngineState

GRID = {
    "symbol": "ETHUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}
BOT = "symbol current_price grid_levels active_orders total_trades realized_pnl unrealized_pnl"
EXECUTION = " ".join(f"executions.*.{name}" for name in BOT.split())
#: (method, address, body, documented fields: dots go inside, `*` is every element of an array).
DOCUMENTED: list[tuple[str, str, Any, str]] = [
    ("GET", "/api/status", None, "api_status active_bots.BTCUSDT.status"),
    ("GET", "/api/operation_mode", None, "current_mode available_modes description.Replay"),
    ("POST", "/api/operation_mode", {"mode": "Replay"}, "current_mode"),
    (
        *("GET", "/api/market_data", None),
        "*.symbol *.price *.volume *.change_24h *.high_24h *.low_24h *.quote_volume",
    ),
    (
        *("GET", "/api/klines/BTCUSDT?interval=1h&limit=5&market_type=spot", None),
        "symbol interval data.*.timestamp data.*.open data.*.high data.*.low data.*.close "
        "data.*.volume data.*.close_time data.*.quote_volume data.*.trades",
    ),
    (
        *("POST", "/api/grid/config", GRID),
        "valid message calculated_params.estimated_capital_needed calculated_params.grid_range "
        "calculated_params.levels_preview",
    ),
    ("GET", "/api/grid/status/BTCUSDT", None, f"status {BOT} uptime last_update"),
    ("GET", "/api/grid/recovery_status/BTCUSDT", None, "symbol recovered"),
    (
        *("GET", "/api/balance", None),
        "spot.balances.*.asset spot.balances.*.free spot.balances.*.locked spot.balances.*.total "
        "spot.balances.*.usdt_value spot.total_usdt spot.error futures.balances futures.total_usdt "
        "futures.margin_balance futures.available_balance futures.error timestamp",
    ),
    (
        *("GET", "/api/balance/summary", None),
        "spot_usdt futures_usdt total_usdt spot_available futures_available last_updated",
    ),
    *(
        ("GET", f"/api/indicators/BTCUSDT?type={name}", None, "indicator period values.*.timestamp")
        for name in (
            *("RSI", "SMA", "EMA", "MACD", "ATR", "ADX"),
            *("BBANDS", "STOCH", "VWAP", "OBV", "FIBONACCI"),
        )
    ),
    (
        *("GET", "/api/rl/status", None),
        "rl_available sentiment_available onnx_model_loaded gemma3_model_loaded "
        "active_bots.*.symbol active_bots.*.rl_enabled active_bots.*.sentiment_enabled "
        "total_active_bots",
    ),
    ("GET", "/api/rl/training_status", None, "status performance configuration"),
    (
        *("GET", "/api/sentiment/status", None),
        "models.gemma3.available models.gemma3.loaded models.gemma3.model_size "
        "models.gemma3.crypto_optimized models.onnx.available models.onnx.loaded "
        "models.onnx.model_name performance.analyses_completed performance.avg_analysis_time "
        "performance.accuracy_score recommended_model status",
    ),
    (
        *("POST", "/api/sentiment/analyze", {"text": "Bitcoin is going to the moon!"}),
        "text sentiment confidence analyzer_used reasoning crypto_relevant",
    ),
    (
        *("GET", "/api/trading/executions", None),
        f"executions.*.status executions.*.market_type {EXECUTION} "
        "executions.*.last_trade executions.*.open_orders.*.order_id "
        "executions.*.open_orders.*.type executions.*.open_orders.*.side "
        "executions.*.open_orders.*.price executions.*.open_orders.*.quantity "
        "executions.*.open_orders.*.status executions.*.open_orders.*.timestamp "
        "executions.*.grid_config.levels executions.*.grid_config.spacing "
        "executions.*.grid_config.leverage executions.*.uptime executions.*.last_update "
        "total_active timestamp",
    ),
    ("GET", "/api/trading/pairs", None, "*.symbol *.price"),
    ("GET", "/api/trades/BTCUSDT", None, "*.type *.price *.quantity *.timestamp"),
    (
        *("GET", "/api/metrics", None),
        "multi_agent.coordinator.status multi_agent.coordinator.active_tasks "
        "multi_agent.coordinator.last_update multi_agent.agents.ai_agent.status "
        "multi_agent.agents.data_agent.health multi_agent.agents.risk_agent.health "
        "multi_agent.agents.sentiment_agent.health multi_agent.cache.hit_rate "
        "multi_agent.cache.entries multi_agent.cache.memory_usage system.active_bots "
        "system.total_symbols system.uptime system.api_status system.binance_connection "
        "system.operation_mode timestamp version",
    ),
    ("POST", "/api/model/predict/tabular", {"features": {"rsi": 40}}, "prediction"),
    ("POST", "/api/model/predict/rl", {"state": {"rsi": 40}}, "action"),
    (
        *("GET", "/api/test/connection", None),
        "binance_spot.connected binance_spot.ping_ms binance_spot.server_time "
        "binance_spot.api_limits.spot_orders_per_second "
        "binance_spot.api_limits.spot_orders_per_day binance_futures.connected "
        "binance_futures.ping_ms binance_futures.server_time "
        "binance_futures.api_limits.futures_orders_per_minute operation_mode",
    ),
    (
        *("GET", "/api/test/ai_models", None),
        "ollama_status.running ollama_status.base_url ollama_status.available_models models_test "
        "recommended_model fallback_available",
    ),
    (
        *("POST", "/api/test/sentiment", {"text": "Bitcoin shows strong momentum!"}),
        "test_results.gemma3.sentiment test_results.gemma3.confidence "
        "test_results.gemma3.processing_time_ms test_results.gemma3.crypto_relevant "
        "test_results.gemma3.reasoning test_results.onnx_fallback.sentiment "
        "test_results.onnx_fallback.confidence test_results.onnx_fallback.processing_time_ms "
        "test_results.onnx_fallback.model_used recommended_analyzer "
        "performance_comparison.speed_ratio performance_comparison.accuracy_difference",
    ),
    (
        *("GET", "/api/test/shadow_mode?seconds=1", None),
        "shadow_test.duration_seconds shadow_test.market_data_collected "
        "shadow_test.simulated_trades shadow_test.rl_actions_generated "
        "shadow_test.cache_performance.hit_rate shadow_test.cache_performance.api_calls_saved "
        "shadow_test.data_quality.complete_market_states "
        "shadow_test.data_quality.valid_price_data "
        "shadow_test.data_quality.indicator_calculations test_status recommendations",
    ),
    (
        *("GET", "/api/validate/symbol/BTCUSDT?market_type=spot", None),
        "symbol valid market_type symbol_info.status symbol_info.base_asset "
        "symbol_info.quote_asset symbol_info.min_order_size symbol_info.tick_size "
        "symbol_info.min_notional current_price 24h_volume suitable_for_grid "
        "grid_recommendations.suggested_levels grid_recommendations.suggested_spacing "
        "grid_recommendations.min_capital_needed",
    ),
    ("GET", "/api/debug/logs?lines=5", None, ""),
    ("GET", "/api/debug/performance", None, ""),
    ("POST", "/api/debug/cache/clear", {}, ""),
    ("GET", "/api/debug/config", None, "operation_mode grid trading replay"),
    ("POST", "/api/grid/start", GRID, "status symbol"),
    ("POST", "/api/grid/stop", {"symbol": "ETHUSDT"}, "status symbol"),
]
Ask = Callable[[str, str, Any], tuple[int, str]]


@pytest.fixture(scope="module")
def live(lab: GridLab) -> Iterator[httpx.Client]:
    with Server(lab, port=0) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(params=["app", "live"])
def ask(request: pytest.FixtureRequest, client: FlaskClient, live: httpx.Client) -> Ask:
    def by_app(method: str, path: str, body: Any) -> tuple[int, str]:
        reply = client.open(path, method=method, json=body)
        return reply.status_code, reply.text

    def by_http(method: str, path: str, body: Any) -> tuple[int, str]:
        reply = live.request(method, path, json=body)
        return reply.status_code, reply.text

    return by_app if request.param == "app" else by_http


def missing(field: str, value: Any) -> bool:
    """Whether `value` lacks the dotted `field` anywhere that a `*` leads to."""
    name, _, rest = field.partition(".")
    if name == "*":
        return not isinstance(value, list) or (
            bool(rest) and any(missing(rest, one) for one in value)
        )
    if not isinstance(value, dict) or name not in value:
        return True
    return bool(rest) and missing(rest, value[name])


def test_documented_endpoints_answer_as_documented(ask: Ask, running: str) -> None:
    document = json.loads(ask("GET", "/api/openapi.json", None)[1])
    problems = []
    for method, path, body, fields in DOCUMENTED:
        status, words = ask(method, path, body)
        if status not in (200, 201):
            problems.append(f"{method} {path}: {status} {words[:200]}")
            continue
        told = json.loads(words)
        problems += [f"{method} {path} lacks {f}" for f in fields.split() if missing(f, told)]
        schema = answer_schema(document, method, path.split("?")[0], str(status))
        problems += [
            f"{method} {path}: {error.json_path} {error.message[:150]}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(told)
        ]
    assert not problems, "\n".join(problems)


def test_health_that_is_not_ready_answers_as_documented(
    ask: Ask, lab: GridLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(ask("GET", "/api/openapi.json", None)[1])
    recovering = replace(lab.snapshot, state=EngineState.RECOVERING, reason="the disk is full")
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: recovering))
    status, words = ask("GET", "/api/health", None)
    assert (status, json.loads(words)["reason"]) == (503, "the disk is full")
    schema = answer_schema(document, "GET", "/api/health", "503")
    jsonschema.validate(json.loads(words), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(words), "ready": "no"}, schema)


@pytest.mark.parametrize("path", ["/", "/test"])
def test_documented_pages_are_pages(ask: Ask, running: str, path: str) -> None:
    status, words = ask("GET", path, None)
    assert status == 200 and words.lstrip().lower().startswith("<!doctype html>")


def answer_schema(document: Any, method: str, path: str, status: str) -> Any:
    """The schema that the OpenAPI document gives for this answer."""
    for template, operations in document["paths"].items():
        parts, wanted = template.split("/"), path.split("/")
        if len(parts) == len(wanted) and all(
            part.startswith("{") or part == one for part, one in zip(parts, wanted, strict=True)
        ):
            content = operations[method.lower()]["responses"][status]["content"]
            return {
                **content["application/json"]["schema"],
                "components": document["components"],
            }
    raise AssertionError(f"{method} {path} is not in the OpenAPI document")
