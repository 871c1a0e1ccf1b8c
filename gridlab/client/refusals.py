"""From an error answer of the API to the exception that the engine would have raised."""

from __future__ import annotations

from typing import Any

from gridlab.errors import (
    Conflict,
    ExchangeUnavailable,
    GridLabError,
    InvalidConfig,
    NotFound,
)


def refusal(status: int, answer: Any, what: str) -> GridLabError:
    """The exception for an answer with an error status, in the server's words.

    Args:
        answer: the parsed body; anything, None when it was no JSON.
        what: the request, such as `GET /api/status`, for an answer without words.
    """
    message, problems = words(answer)
    if not message:
        message = f"{what} was answered with status {status} and no explanation"
    if status == 404:
        return NotFound(message)
    if status == 409:
        return Conflict(message)
    if status == 429 or status >= 500:
        return ExchangeUnavailable(message)
    if status in (400, 413, 415, 422):
        return InvalidConfig(*(problems or (message,)))
    return GridLabError(message)


def words(answer: Any) -> tuple[str, tuple[str, ...]]:
    """The sentence and the list of problems that an error body holds; both may be empty."""
    if not isinstance(answer, dict):
        return "", ()
    error = answer.get("error")
    if not isinstance(error, dict):
        error = {"message": error if isinstance(error, str) else answer.get("message", "")}
    message = str(error.get("message") or "")
    hint = str(error.get("hint") or "")
    problems = tuple(
        str(one.get("message", one)) if isinstance(one, dict) else str(one)
        for one in (error.get("field_errors") or answer.get("errors") or ())
    )
    if hint and hint not in message:
        message = f"{message} {hint}".strip()
    return message or "; ".join(problems), problems
