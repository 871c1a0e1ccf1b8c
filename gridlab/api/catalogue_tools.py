"""The routes of indicators, models, checks, jobs, control, records and debugging, for `catalogue`.

Same table, same rules; `catalogue` lays it beside its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from gridlab.api.catalogue import Route
from gridlab.api.requests import GridRequest, MarketQuery
from gridlab.api.requests_tools import (
    AiExplainRequest,
    AiProposeRequest,
    AiReportRequest,
    BacktestRequest,
    EventsQuery,
    FillsQuery,
    IndicatorQuery,
    KillRequest,
    LogsQuery,
    NoBody,
    OrdersQuery,
    RlRequest,
    ShadowQuery,
    TabularRequest,
    TextRequest,
)
from gridlab.api.schemas.ai import AiStatus
from gridlab.api.schemas.checks import AiModelsTest, ConnectionTest, ShadowTest, SymbolValidation
from gridlab.api.schemas.control import Killed, KillState, Preflight, Revived
from gridlab.api.schemas.debug import CacheCleared, ConfigView, LogEntry, Performance
from gridlab.api.schemas.indicators import Indicators
from gridlab.api.schemas.jobs import JobList, JobShape
from gridlab.api.schemas.metrics import Metrics
from gridlab.api.schemas.models import (
    RlPrediction,
    RlStatus,
    SentimentAnalysis,
    SentimentStatus,
    SentimentTest,
    TabularPrediction,
    TrainingStatus,
)
from gridlab.api.schemas.records import EventsPage, FillsPage, OrdersPage
from gridlab.api.scopes import Scope

_SYMBOL: Final = MappingProxyType({"symbol": "BTCUSDT"})
_TEXT: Final = MappingProxyType({"text": "Bitcoin shows strong momentum!"})
_GRID: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "symbol": "BTCUSDT",
        "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
    }
)

_INDICATORS: Final[dict[str, Route]] = {
    "indicators": Route(
        scope=Scope.READ,
        tag="market",
        summary="One technical indicator over the latest candles, oldest first",
        query=IndicatorQuery,
        answer=Indicators,
        errors=(404, 503),
        example={"symbol": "BTCUSDT", "type": "RSI", "period": 14, "interval": "1h"},
        is_tagged=True,
    ),
}
_MODELS: Final[dict[str, Route]] = {
    "rl_status": Route(
        scope=Scope.READ, tag="models", summary="Which models advise which bots", answer=RlStatus
    ),
    "rl_training_status": Route(
        scope=Scope.READ,
        tag="models",
        summary="Training of the RL policy, measured results, and its configuration",
        answer=TrainingStatus,
    ),
    "sentiment_status": Route(
        scope=Scope.READ,
        tag="models",
        summary="The sentiment models, what was measured of them, sources, moods and alerts",
        answer=SentimentStatus,
    ),
    "sentiment_analyze": Route(
        scope=Scope.READ,
        tag="models",
        summary="Judge a text in English or Portuguese; which model did, and why not a better one",
        body=TextRequest,
        answer=SentimentAnalysis,
        example=_TEXT,
    ),
    "predict_tabular": Route(
        scope=Scope.READ,
        tag="models",
        summary="Predict from features; nulls and the reason while no tabular model is there",
        body=TabularRequest,
        answer=TabularPrediction,
        errors=(404,),
        example={"features": {"rsi": 41.5, "atr": 120.0}},
    ),
    "predict_rl": Route(
        scope=Scope.READ,
        tag="models",
        summary="The policy's action for a state; null and the reason while no policy is there",
        body=RlRequest,
        answer=RlPrediction,
        errors=(404,),
        example={"state": {"rsi": 41.5, "adx": 18.0}},
    ),
}
_CHECKS: Final[dict[str, Route]] = {
    "test_connection": Route(
        scope=Scope.READ,
        tag="checks",
        summary="Whether Binance is reached; Replay opens no connection",
        answer=ConnectionTest,
    ),
    "test_ai_models": Route(
        scope=Scope.READ,
        tag="checks",
        summary="Ask each configured model that Ollama has one short question",
        answer=AiModelsTest,
        errors=(429,),
    ),
    "test_sentiment": Route(
        scope=Scope.READ,
        tag="checks",
        summary="Judge a text with every sentiment model that is there",
        body=TextRequest,
        answer=SentimentTest,
        example=_TEXT,
    ),
    "test_shadow_mode": Route(
        scope=Scope.TRADE,
        tag="checks",
        summary="Run an engine for some seconds and count; 202 with the job when not waited for",
        query=ShadowQuery,
        answer=ShadowTest,
        errors=(202, 409, 429, 503),
        example={"seconds": 1, "wait": False},
    ),
    "validate_symbol": Route(
        scope=Scope.READ,
        tag="checks",
        summary="A symbol's rules, price, and the smallest grid that it takes",
        query=MarketQuery,
        answer=SymbolValidation,
        errors=(404,),
        example=_SYMBOL,
    ),
}
_JOBS: Final[dict[str, Route]] = {
    "backtest": Route(
        scope=Scope.TRADE,
        tag="jobs",
        summary="Backtest a grid over a recording, as a job",
        body=BacktestRequest,
        answer=JobShape,
        status=202,
        errors=(429,),
        example={**_GRID, "start_ms": 1_774_607_640_000, "end_ms": 1_774_629_240_000},
    ),
    "jobs": Route(
        scope=Scope.READ, tag="jobs", summary="Every remembered job, newest first", answer=JobList
    ),
    "job": Route(
        scope=Scope.READ,
        tag="jobs",
        summary="One job with its progress and, once done, its result",
        answer=JobShape,
        errors=(404,),
        example={"job_id": "0123456789abcdef"},
    ),
    "cancel_job": Route(
        scope=Scope.TRADE,
        tag="jobs",
        summary="Cancel a job; 202 while it has not yet noticed",
        answer=JobShape,
        errors=(202, 404, 409),
        example={"job_id": "0123456789abcdef"},
    ),
}
#: The tasks may keep a model busy for half a minute, so who only reads may not ask for them.
_AI: Final[dict[str, Route]] = {
    "ai_status": Route(
        scope=Scope.READ,
        tag="models",
        summary="What the AI agent said of its own accord, and what it advises",
        answer=AiStatus,
    ),
    "ai_report": Route(
        scope=Scope.TRADE,
        tag="models",
        summary="Write a daily, pair or performance report, as a job; changes nothing",
        body=AiReportRequest,
        answer=JobShape,
        status=202,
        errors=(404, 429),
        example={"kind": "daily"},
    ),
    "ai_explain": Route(
        scope=Scope.TRADE,
        tag="models",
        summary="Explain from the journal why an order was placed, as a job",
        body=AiExplainRequest,
        answer=JobShape,
        status=202,
        errors=(429,),
        example={"order": "gl-r1-0-0-0"},
    ),
    "ai_propose": Route(
        scope=Scope.TRADE,
        tag="models",
        summary="Propose another grid beside the present one, as a job; applies nothing",
        body=AiProposeRequest,
        answer=JobShape,
        status=202,
        errors=(404, 429),
        example=_SYMBOL,
    ),
}
_CONTROL: Final[dict[str, Route]] = {
    "preflight": Route(
        scope=Scope.TRADE,
        tag="grid",
        summary="The whole plan of a grid and every rule it breaks; changes nothing",
        body=GridRequest,
        answer=Preflight,
        example=_GRID,
    ),
    "kill_state": Route(
        scope=Scope.READ,
        tag="control",
        summary="Whether the kill switch is pulled, and why",
        answer=KillState,
    ),
    # Whoever may trade may stop everything; only an admin may allow it again.
    "kill": Route(
        scope=Scope.TRADE,
        tag="control",
        summary="Stop every bot and refuse new ones, while recovering and after a restart too",
        body=KillRequest,
        answer=Killed,
        errors=(409,),
        example={"reason": "stopped by hand"},
    ),
    "revive": Route(
        scope=Scope.ADMIN,
        tag="control",
        summary="Release the kill switch; stopped bots stay stopped",
        body=NoBody,
        answer=Revived,
        errors=(409,),
    ),
}
_RECORDS: Final[dict[str, Route]] = {
    "orders": Route(
        scope=Scope.READ,
        tag="records",
        summary="Orders of the account, oldest first; go on while has_more, however short a page",
        query=OrdersQuery,
        answer=OrdersPage,
        errors=(404, 503),
        example={"limit": 50},
    ),
    "fills": Route(
        scope=Scope.READ,
        tag="records",
        summary="Booked fills, oldest first; go on while has_more, however short a page",
        query=FillsQuery,
        answer=FillsPage,
        errors=(404, 503),
        example={"limit": 50},
    ),
    "events": Route(
        scope=Scope.READ,
        tag="records",
        summary="Journal entries: what happened and what was decided, page by page",
        query=EventsQuery,
        answer=EventsPage,
        errors=(503,),
        example={"limit": 50},
    ),
}
_INSIDE: Final[dict[str, Route]] = {
    "metrics": Route(
        scope=Scope.READ,
        tag="system",
        summary="Agents, cache and system in figures",
        answer=Metrics,
    ),
    "debug_logs": Route(
        scope=Scope.ADMIN,
        tag="debug",
        summary="The latest log lines, oldest first, without secrets",
        query=LogsQuery,
        answer=list[LogEntry],
        example={"lines": 50},
    ),
    "debug_performance": Route(
        scope=Scope.ADMIN,
        tag="debug",
        summary="Processor, memory, and how long the engine's steps take",
        answer=Performance,
    ),
    "debug_cache_clear": Route(
        scope=Scope.ADMIN,
        tag="debug",
        summary="Empty the cache",
        body=NoBody,
        answer=CacheCleared,
    ),
    "debug_config": Route(
        scope=Scope.ADMIN,
        tag="debug",
        summary="The configuration as it is in force, secrets struck out",
        answer=ConfigView,
    ),
}

#: Endpoint name to its route.
TOOL_ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {**_INDICATORS, **_MODELS, **_AI, **_CHECKS, **_JOBS, **_CONTROL, **_RECORDS, **_INSIDE}
)
