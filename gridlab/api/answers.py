"""One answer for many readers: bytes that are built once for each step that the engine publishes.

Every reader of a step sees the same picture, so its JSON is made once and not for each request; ten
dashboards then cost little more than one. An answer is also rebuilt after REBUILD_MS, so that the
ages in it are never further off than that. Knows neither the routes' content nor HTTP's caching.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Response, g, request
from werkzeug.wrappers import Response as BaseResponse

from gridlab.api.catalogue import ROUTES
from gridlab.api.errors import ApiError, language, render
from gridlab.clock import monotonic_s

#: Milliseconds after which an answer is built anew although the engine published nothing.
REBUILD_MS: Final = 50
#: Bytes of the largest JSON answer.
MAX_ANSWER_BYTES: Final = 1024 * 1024
_MOST_KEPT = 256
_SHARED: Final = frozenset(name for name, route in ROUTES.items() if route.is_shared)

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Step:
    """The answers to one step of the engine."""

    sequence: int
    until_s: float
    answers: dict[Key, tuple[bytes, list[tuple[str, str]]]]


class SharedAnswers:
    """The latest step's answers, dropped together when the next step is there.

    Args:
        sequence: the number of the engine's latest published step.
    """

    def __init__(self, sequence: Callable[[], int]) -> None:
        self._sequence = sequence
        self._step = _Step(-1, 0.0, {})

    def before(self) -> Response | None:
        """The answer that is there already, or None; then `after` keeps the one to come."""
        if request.method != "GET" or _name() not in _SHARED:
            return None
        step = self._present_step()
        key = (request.path, request.environ.get("QUERY_STRING", ""), language())
        known = step.answers.get(key)
        if known is None:
            g.shared_answer = (step, key)
            return None
        g.is_shared_answer = True
        body, headers = known
        return Response(body, headers=headers)

    def after(self, reply: Response) -> Response:
        """Keep a good answer for the other readers of the step that it was asked in."""
        place = g.pop("shared_answer", None)
        if place is not None and reply.status_code == 200 and not reply.is_streamed:
            step, key = place
            if len(step.answers) < _MOST_KEPT:
                step.answers[key] = (reply.get_data(), list(reply.headers))
        return reply

    def _present_step(self) -> _Step:
        step, sequence, now_s = self._step, self._sequence(), monotonic_s()
        if step.sequence != sequence or now_s >= step.until_s:
            # Two threads may both replace it; then one answer is built twice, and nothing breaks.
            step = self._step = _Step(sequence, now_s + REBUILD_MS / 1000, {})
        return step


def bounded(reply: Response) -> BaseResponse:
    """The answer, or a refusal in words where its JSON is larger than anyone should be sent."""
    if reply.is_streamed or reply.mimetype != "application/json":
        return reply
    size = reply.content_length or 0
    if size <= MAX_ANSWER_BYTES:
        return reply
    return render(
        ApiError(
            422,
            "answer_too_large",
            code="answer_too_large",
            hint="answer_too_large_hint",
            size=size,
            limit=MAX_ANSWER_BYTES,
        )
    )


def _name() -> str:
    return (request.endpoint or "").rpartition(".")[2]
