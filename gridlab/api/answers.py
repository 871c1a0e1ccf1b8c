"""One answer for many readers: bytes that are built once for each step that the engine publishes.

Every reader of a step sees the same picture, so its JSON is made once and not for each request; ten
dashboards then cost little more than one. An answer is also rebuilt after REBUILD_MS, so that the
ages in it are never further off than that. Knows neither the routes' content nor HTTP's caching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Response, g, request
from werkzeug.wrappers import Response as BaseResponse

from gridlab.api.errors import ApiError, render
from gridlab.api.register import ROUTES, scope_of
from gridlab.api.scopes import Scope
from gridlab.api.security import new_request_id
from gridlab.clock import monotonic_s
from gridlab.errors import Conflict

#: Milliseconds after which an answer is built anew although the engine published nothing.
REBUILD_MS: Final = 50
#: Bytes of the largest JSON answer.
MAX_ANSWER_BYTES: Final = 1024 * 1024
_MOST_KEPT = 256
_SHARED: Final = frozenset(name for name, route in ROUTES.items() if route.is_shared)

Key = tuple[str, str, str | None, str | None, str | None]
Headers = Sequence[tuple[str, str]]
#: Requests with one of these are answered the long way.
_OWN_WAYS: Final = frozenset({"HTTP_IF_NONE_MATCH", "HTTP_X_REQUEST_ID"})
#: Of one request and not of its answer.
_OWN: Final = frozenset({"x-request-id"})


class Ready(Response):
    """An answer whose head was settled when it was first given; only a few lines are its own.

    Headers cost more than everything else in a short answer: Werkzeug checks and copies each of
    them several times. These were checked the first time.
    """

    settled: Headers = ()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*self.settled, *self.headers.to_wsgi_list()])
        return self.response  # type: ignore[return-value]


@dataclass(slots=True)
class _Step:
    """The answers to one step of the engine."""

    sequence: int
    until_s: float
    answers: dict[Key, tuple[bytes, Headers, str]]


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
        environ = request.environ
        if environ["REQUEST_METHOD"] != "GET" or _name(request.endpoint) not in _SHARED:
            return None
        step = self._present_step()
        key = _key(environ)
        known = step.answers.get(key)
        if known is None:
            g.shared_answer = (step, key)
            return None
        body, headers, _ = known
        if "HTTP_IF_NONE_MATCH" in environ:
            return Response(body, headers=list(headers))
        ready = Ready([body])
        ready.headers.clear()
        ready.settled = headers
        return ready

    def after(self, reply: BaseResponse) -> None:
        """Keep a finished good answer for the other readers of the step that it was asked in."""
        place = g.pop("shared_answer", None)
        if place is None or reply.status_code != 200 or reply.is_streamed:
            return
        step, key = place
        if len(step.answers) < _MOST_KEPT:
            reply.headers["Content-Length"] = str(len(reply.get_data()))
            headers = [line for line in reply.headers if line[0].lower() not in _OWN]
            step.answers[key] = (reply.get_data(), headers, _name(request.endpoint))

    def repeat(self, environ: WSGIEnvironment) -> tuple[bytes, Headers, str] | None:
        """What a request that is alike in all that counts was just given; None when none was.

        Host, Origin, language, path and query decide about an answer, so a request that has them
        from one that passed every check in this step would pass them too, its token apart: that is
        the caller's to check.
        """
        if environ["REQUEST_METHOD"] != "GET" or not _OWN_WAYS.isdisjoint(environ):
            return None
        return self._present_step().answers.get(_key(environ))

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


class Shortcut:
    """A WSGI application that gives repeated answers without waking Flask, which costs most of all.

    Args:
        app: asked for everything else, and for every refusal.
        shared: the answers of the present step.
        scope_in: what a request's token gives; None for a wrong one.
        count: told the endpoint and the seconds of each answer given here.
    """

    def __init__(
        self,
        app: WSGIApplication,
        shared: SharedAnswers,
        scope_in: Callable[[WSGIEnvironment], Scope | None],
        count: Callable[[str, float], None],
    ) -> None:
        self._app = app
        self._shared = shared
        self._scope_in = scope_in
        self._count = count

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun_s = monotonic_s()
        known = self._known(environ)
        if known is None:
            return self._app(environ, start_response)
        body, headers, endpoint = known
        start_response("200 OK", [*headers, ("X-Request-Id", new_request_id())])
        self._count(endpoint, monotonic_s() - begun_s)
        return (body,)

    def _known(self, environ: WSGIEnvironment) -> tuple[bytes, Headers, str] | None:
        """What may be given at once. The token comes first: a wrong one learns of no answer."""
        given = self._scope_in(environ)
        if given is None:
            return None
        try:
            known = self._shared.repeat(environ)
        except Conflict:  # the engine is not started; the application says so in words
            return None
        return known if known is not None and given >= scope_of(known[2]) else None


def _key(environ: WSGIEnvironment) -> Key:
    """All of a request that its answer depends on, its token apart."""
    get = environ.get
    return (
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        get("HTTP_HOST"),
        get("HTTP_ORIGIN"),
        get("HTTP_ACCEPT_LANGUAGE"),
    )


def _name(endpoint: str | None) -> str:
    return (endpoint or "").rpartition(".")[2]
