"""Whether the local models that the configuration names really answer: each is asked one thing.

A bounded question with a known kind of answer, within a bounded time for all; what is not reached
in it is told as not tested. One answer serves everybody who asks for a while, so that nobody keeps
the machine busy by asking.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gridlab.clock import monotonic_s
from gridlab.errors import ModelAnswerRefused, ModelUnavailable
from gridlab.llm.answers import Health
from gridlab.llm.client import LocalAIClient
from gridlab.llm.tasks.sentiment import MOST_TOKENS, SCHEMA, judgement_of, messages_for

#: Seconds for one model, loading it included, and for all of them.
EACH_S: Final = 12.0
ALL_S: Final = 25.0
#: Seconds for which an answer is kept.
KEPT_S: Final = 30.0
QUESTION: Final = "Bitcoin shows strong momentum!"


@dataclass(frozen=True, slots=True)
class ModelTrial:
    """What came of asking one model.

    Args:
        status: `success`, `failed`, or `not_tested`.
        label: the mood that it saw in the question's text.
        reason: why it is not `success`; `not_configured` and `out_of_time` are keys, all else is
            a sentence.
    """

    status: str
    took_ms: int | None = None
    tokens: int | None = None
    label: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AiModels:
    """The server, each model that it lists, and the configured ones that it lacks.

    Args:
        recommended: the first configured model that answered well; None when none did.
    """

    health: Health
    trials: Mapping[str, ModelTrial]
    wanted: tuple[str, ...]
    recommended: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self.wanted if name not in self.health.models)


class ModelCheck:
    """Asks the configured models of one client."""

    def __init__(self, client: LocalAIClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._last: tuple[float, AiModels] | None = None

    def ask(self) -> AiModels:
        """What they answer now, or answered at most KEPT_S ago."""
        with self._lock:  # others wait for the one answer
            if self._last is None or monotonic_s() - self._last[0] >= KEPT_S:
                self._last = (monotonic_s(), self._asked())
            return self._last[1]

    def _asked(self) -> AiModels:
        health = self._client.health_check()
        presets = self._client.presets.values()
        wanted = tuple(dict.fromkeys(preset.model_name for preset in presets))
        trials = {name: ModelTrial("not_tested", reason="not_configured") for name in health.models}
        until_s = monotonic_s() + ALL_S
        for name in wanted:
            if name in trials:
                trials[name] = self._trial(name, until_s)
        good = (name for name in wanted if name in trials and trials[name].status == "success")
        return AiModels(health, MappingProxyType(trials), wanted, next(good, None))

    def _trial(self, name: str, until_s: float) -> ModelTrial:
        left_s = until_s - monotonic_s()
        if left_s < 1:
            return ModelTrial("not_tested", reason="out_of_time")
        client = self._client.within(min(EACH_S, left_s))
        try:
            answer = client.chat_completion(
                messages_for(QUESTION),
                name,
                schema=SCHEMA,
                temperature=0.0,
                max_tokens=MOST_TOKENS,
            )
            label = judgement_of(answer).label
        except (ModelUnavailable, ModelAnswerRefused) as error:
            return ModelTrial("failed", reason=str(error))
        return ModelTrial("success", answer.took_ms, answer.tokens, label)
