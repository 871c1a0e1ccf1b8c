"""One error object for every refusal, and how exceptions become one.

Every error of the API is `{"error": {code, message, field_errors, hint, request_id}}` with a 4xx or
5xx status. This module gives exceptions that shape; it knows the tree of `gridlab.errors` and what
Flask raises, and nothing of any single route.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from flask import Response, g, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response as BaseResponse

from gridlab.api.messages import ENGLISH, LANGUAGES, say
from gridlab.api.schemas import ConfigRefusal, ErrorBody, ErrorObject, FieldError
from gridlab.api.translation import translate
from gridlab.errors import (
    Conflict,
    ExchangeUnavailable,
    GridLabError,
    InvalidConfig,
    InvalidInput,
    InvalidSpec,
    NotFound,
    StorageError,
)

log = logging.getLogger("gridlab.api")

#: Bytes of the largest body that is read.
MAX_BODY_BYTES = 64 * 1024
#: Characters of a request's path that an error repeats.
LONGEST_PATH = 200
#: Endpoints whose errors also carry the documented `valid` and `errors` beside the error object.
CONFIG_ENDPOINTS = frozenset({"grid_config", "grid_start"})

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}


_NOTHING: Mapping[str, object] = MappingProxyType({})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field.

    Args:
        field: dotted path such as `config.initial_levels`; empty for the request as a whole.
        key: the message's key; empty when `text` has the words already.
        received: what was sent, shortened; None when nothing was.
    """

    field: str
    key: str = ""
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    received: str | None = None
    text: str = ""

    def message(self, language: str) -> str:
        """The problem in words."""
        if not self.key:
            return translate(self.text, language)
        name = self.field.rsplit(".", 1)[-1] or "body"
        return say(self.key, language, **{"field": name, **self.values})


class ApiError(Exception):
    """A refusal that a route decided on.

    Args:
        key, values, more: the message and what fills it.
        hint: key of a second sentence that names the remedy, filled from the same values.
        headers: sent with the answer, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        key: str,
        *,
        code: str = "",
        problems: tuple[Problem, ...] = (),
        hint: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        values: Mapping[str, object] = _NOTHING,
        **more: object,
    ) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.code = code or _CODES.get(status, "refused")
        self.problems = problems
        self.hint = hint
        self.headers = headers
        self.values = {**values, **more}


def invalid(problems: list[Problem], key: str = "body_invalid") -> ApiError:
    """A 400 that lists every problem."""
    return ApiError(400, key, code="invalid", problems=tuple(problems), count=len(problems))


def language() -> str:
    """`en` or `pt`: what the request's Accept-Language prefers; English when it says nothing.

    Any Portuguese counts as `pt`. Werkzeug's `best_match` would rather give a language that is
    named exactly than one that is preferred: English for `pt-BR,en;q=0.5`.
    """
    return _preferred(request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))


def teller() -> Callable[[str], str]:
    """Puts the engine's sentences into the request's language; see `translation`."""
    tongue = language()
    return lambda text: translate(text, tongue)


@lru_cache(maxsize=256)
def _preferred(header: str) -> str:
    for tag, quality in parse_accept_header(header, LanguageAccept):  # the preferred first
        primary = tag.partition("-")[0].lower()
        if quality > 0 and primary in LANGUAGES:
            return primary
    return ENGLISH


def request_id() -> str:
    """The identity of the request being answered; see `security.identify`."""
    return str(g.get("request_id", ""))


def render(error: Exception) -> BaseResponse:
    """The JSON answer for `error`; what nobody foresaw is logged, and told without detail."""
    if isinstance(error, ApiError):
        return _answer(error)
    if isinstance(error, GridLabError):
        return _answer(_from_gridlab(error))
    if isinstance(error, TimeoutError):
        return _answer(ApiError(503, "engine_silent", code="engine_silent", hint="engine_hint"))
    if isinstance(error, HTTPException):
        if error.code is not None and error.code < 400:  # a redirect is no error
            return error.get_response(request.environ)
        return _from_http(error)
    log.error("request %s failed", request_id(), exc_info=error)
    return _answer(ApiError(500, "internal"))


def _answer(error: ApiError) -> Response:
    tongue = language()
    fields = [
        FieldError(field=p.field, message=p.message(tongue), received=p.received)
        for p in error.problems
    ]
    message = say(error.key, tongue, **_told(error.values, tongue))
    body = ErrorObject(
        code=error.code,
        message=fields[0].message if len(fields) == 1 else message,
        field_errors=fields,
        hint=say(error.hint, tongue, **error.values) if error.hint else None,
        request_id=request_id(),
    )
    endpoint = (request.endpoint or "").rsplit(".", 1)[-1]
    answer: ErrorBody | ConfigRefusal = ErrorBody(error=body)
    if endpoint in CONFIG_ENDPOINTS:
        said = [f.message for f in fields] or [body.message]
        answer = ConfigRefusal(valid=False, errors=said, error=body)
    reply = Response(answer.model_dump_json(), error.status, mimetype="application/json")
    reply.headers.extend(error.headers)
    return reply


def _told(values: Mapping[str, object], tongue: str) -> Mapping[str, object]:
    """`values` with the engine's sentence in `tongue`; whatever else they hold stays as it is."""
    reason = values.get("reason")
    return values if reason is None else {**values, "reason": translate(str(reason), tongue)}


def _shown_path() -> str:
    """The asked path, which anybody chooses, cut to what a sentence can hold."""
    path = request.path
    return path if len(path) <= LONGEST_PATH else path[: LONGEST_PATH - 3] + "..."


def _from_gridlab(error: GridLabError) -> ApiError:
    """What an exception of the engine means over HTTP."""
    reason = str(error)
    if isinstance(error, (InvalidSpec, InvalidConfig)):
        return invalid([Problem("config", text=text) for text in error.problems])
    if isinstance(error, InvalidInput):
        return invalid([Problem("", text=reason)])
    if isinstance(error, NotFound):
        return ApiError(404, "as_told", code="not_found", reason=reason)
    if isinstance(error, Conflict):
        reads = request.method in ("GET", "HEAD")  # nothing to conflict with: it is not ready
        return ApiError(503 if reads else 409, "as_told", reason=reason)
    if isinstance(error, ExchangeUnavailable):
        return ApiError(503, "venue_unavailable", code="venue_unavailable", reason=reason)
    log.error("request %s failed", request_id(), exc_info=error)
    if isinstance(error, StorageError):
        return ApiError(503, "storage", code="storage", reason=reason)
    return ApiError(500, "internal")


def _from_http(error: HTTPException) -> Response:
    """Flask's and Werkzeug's own refusals, in our shape; their headers (Allow) are kept."""
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        return _answer(ApiError(413, "body_too_large", limit=MAX_BODY_BYTES))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        answer = _answer(
            ApiError(405, "http_405", method=request.method, path=_shown_path(), allowed=allowed)
        )
        answer.headers["Allow"] = allowed
        return answer
    if status == 404:
        return _answer(ApiError(404, "http_404", hint="http_404_hint", path=_shown_path()))
    if status >= 500:
        log.error("request %s failed", request_id(), exc_info=error)
        return _answer(ApiError(status, "internal"))
    key = f"http_{status}" if status in (400, 403) else "http_other"
    return _answer(ApiError(status, key, values={"status": status}))
