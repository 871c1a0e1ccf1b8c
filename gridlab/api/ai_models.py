"""The route that asks each configured local model one short question, and tells what came of it."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, language
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.schemas.checks import AiModelsTest, ModelTest, OllamaStatus
from gridlab.api.translation import translate
from gridlab.api.wire import answer, read_query, stamp_of
from gridlab.app.facade import GridLab

#: Requests that may wait for the models at once; a server has only so many threads.
_MOST_WAITING: Final = 4
_PROBLEMS: Final = {
    "not_local": "ollama_not_loopback",
    "silent": "ollama_silent",
    "strange": "ollama_strange",
    "empty": "ollama_empty",
}
_NOT_TESTED: Final = {"not_configured": "model_not_configured", "out_of_time": "model_out_of_time"}


class _Trial(Protocol):
    """What came of asking one model."""

    @property
    def status(self) -> str: ...
    @property
    def took_ms(self) -> int | None: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def label(self) -> str | None: ...
    @property
    def reason(self) -> str: ...


def add_models_route(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the test of the models on `blueprint`."""
    waiting = threading.BoundedSemaphore(_MOST_WAITING)

    @blueprint.get("/api/test/ai_models")
    def test_ai_models() -> Response:
        read_query(NoQuery)
        if not waiting.acquire(blocking=False):
            raise ApiError(
                429,
                "ai_models_busy",
                code="ai_models_busy",
                headers={"Retry-After": "30"},
                waiting=_MOST_WAITING,
            )
        try:
            return answer(_tested(lab))
        finally:
            waiting.release()


def _tested(lab: GridLab) -> AiModelsTest:
    found, tongue = lab.ai_models(), language()
    health, key = found.health, _PROBLEMS.get(found.health.problem)
    first = found.wanted[0] if found.wanted else "gemma3:1b"
    reason = say(key, tongue, base_url=health.address, model=first) if key else None
    return AiModelsTest(
        ollama_status=OllamaStatus(
            running=health.is_running,
            base_url=health.address,
            available_models=list(health.models),
            response_time_ms=health.took_ms,
            reason=reason,
        ),
        models_test={name: _shape(trial, tongue) for name, trial in found.trials.items()},
        recommended_model=found.recommended,
        fallback_available=lab.has_fallback,
        missing_models=list(found.missing),
        **stamp_of(lab.snapshot).parts,
    )


def _shape(trial: _Trial, tongue: str) -> ModelTest:
    key = _NOT_TESTED.get(trial.reason)
    reason = say(key, tongue) if key else translate(trial.reason, tongue)
    return ModelTest.model_validate(
        {
            "status": trial.status,
            "response_time_ms": trial.took_ms,
            "tokens_generated": trial.tokens,
            "test_sentiment": trial.label,
            "reason": reason or None,
        }
    )
