"""Who may talk to the API, and what browsers are told to forbid.

Any web page can make the user's browser send requests to loopback. So the Host must be ours (DNS
rebinding), and a change must carry JSON and, where the browser names an Origin, an allowed one.
Where keys are configured, the address is not loopback or the user asks for it, requests must also
prove themselves with a token of the scope that their route declares. Other origins read answers
only when they are listed, exactly (CORS); no wildcard, no cookies.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from flask import Response as FlaskResponse
from flask import g, request
from werkzeug.wrappers import Response

from gridlab.api.errors import ApiError, language
from gridlab.api.scopes import Scope
from gridlab.api.tokens import Tokens
from gridlab.domain.hosts import is_loopback
from gridlab.errors import InvalidConfig

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
Reply = TypeVar("Reply", bound=Response)

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_SEAL: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", _PAGE_POLICY),
)
_CORS_METHODS: Final = "GET, POST, DELETE, OPTIONS"
_CORS_REQUEST: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"
)
_CORS_ANSWER: Final = (
    "ETag, Idempotency-Replayed, Retry-After, X-GridLab-Age-Ms, X-GridLab-As-Of, X-GridLab-Mode, "
    "X-GridLab-Stale, X-Request-Id"
)
_BOOT: Final = uuid.uuid4().hex[:16]
_count = itertools.count(1)
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="gridlab"'}


@lru_cache(maxsize=256)
def normal_origin(text: str) -> str:
    """An origin of the configuration as browsers send it; a trailing slash is forgiven.

    >>> normal_origin("https://App.example:3000/")
    'https://app.example:3000'

    Raises:
        InvalidConfig: it has a path, a wildcard or anything else that no browser sends.
    """
    origin = text.strip().lower().rstrip("/")
    try:
        parts = urlsplit(origin)
        is_exact = (
            origin == f"{parts.scheme}://{parts.netloc}"
            and _HOST.fullmatch(parts.netloc) is not None
            and parts.scheme in ("http", "https")
            and parts.port != 0
        )
    except ValueError:
        is_exact = False
    if not is_exact:
        raise InvalidConfig(
            f"api_server.allowed_origins has {text[:100]!r}; write each origin exactly as the "
            "browser sends it: scheme://host or scheme://host:port, no path and no wildcard"
        )
    return origin


class Guard:
    """The checks before and the headers after each request.

    Args:
        hosts: names other than loopback that this API is reached under, without ports.
        origins: origins other than loopback and the API's own whose pages may call it.
        tokens: what requests must prove themselves with; None asks for nothing.
        scope_of: the scope that an endpoint's name declares; ADMIN for one that declares none.
    """

    def __init__(
        self,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        *,
        tokens: Tokens | None = None,
        scope_of: Callable[[str], Scope] = lambda _: Scope.ADMIN,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(normal_origin(origin) for origin in origins)
        self._tokens = tokens
        self._scope_of = scope_of

    @property
    def is_protected(self) -> bool:
        """Whether requests need a token."""
        return self._tokens is not None

    def before(self) -> FlaskResponse | None:
        """Name the request, then refuse foreign hosts, foreign pages and missing tokens.

        Returns the answer to a CORS preflight, which no route needs to see.
        """
        identify()
        self._check_host()
        origin = request.environ.get("HTTP_ORIGIN")
        if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ:
            return self._preflight(origin or "")
        if request.method not in _READS:
            self._check_origin(origin)
        if self._tokens is not None:
            self._check_token(self._tokens)
        return None

    def after(self, reply: Reply) -> Reply:
        """Seal an answer, and let a listed origin read it."""
        sealed = seal(reply)
        if self._origins:
            origin = str(request.environ.get("HTTP_ORIGIN", "")).lower().rstrip("/")
            _vary(sealed, "Origin")
            if origin in self._origins:
                # The browser compares with what it sent, which has no slash at its end.
                sealed.headers["Access-Control-Allow-Origin"] = origin
                sealed.headers["Access-Control-Expose-Headers"] = _CORS_ANSWER
                sealed.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return sealed

    @staticmethod
    def name(reply: Response) -> None:
        """Tell the caller its request's id, on an answer that is sealed already."""
        reply.headers["X-Request-Id"] = g.request_id

    def shown_scope(self) -> Scope | None:
        """What the request's token gives; ADMIN where none is asked for, None for a wrong one."""
        return self.scope_in(request.environ)

    def scope_in(self, environ: WSGIEnvironment) -> Scope | None:
        """`shown_scope` of a request that Flask has not seen."""
        if self._tokens is None:
            return Scope.ADMIN
        kind, _, shown = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        return self._tokens.scope_of(shown.strip()) if kind.lower() == "bearer" else None

    def _check_token(self, tokens: Tokens) -> None:
        endpoint = request.endpoint
        # What does not exist is told only to those who may read what does.
        needed = Scope.READ if endpoint is None else self._scope_of(endpoint.rpartition(".")[2])
        if needed is Scope.OPEN:
            return
        given = self.shown_scope()
        if given is None:
            raise ApiError(401, "token_needed", hint="token_hint", headers=_CHALLENGE)
        if given < needed:
            raise ApiError(403, "scope_too_small", code="scope_too_small")

    def _check_host(self) -> None:
        host = str(request.environ.get("HTTP_HOST", ""))
        if not host:
            raise ApiError(400, "host_missing", code="host_not_allowed")
        name = _host_name(host)
        if not (is_loopback(name) or name in self._hosts):
            raise ApiError(
                400, "host_not_allowed", code="host_not_allowed", hint="host_hint", host=host[:80]
            )

    def _check_origin(self, origin: str | None) -> None:
        if origin is None or self._is_allowed(origin.lower().rstrip("/")):
            return
        raise ApiError(
            403,
            "origin_not_allowed",
            code="origin_not_allowed",
            hint="origin_hint",
            origin=origin[:80],
            own=request.host_url.rstrip("/")[:80],
        )

    def _is_allowed(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        own = str(request.environ.get("HTTP_HOST", "")).lower()
        return parts.netloc == own or is_loopback(name) or origin in self._origins

    def _preflight(self, origin: str) -> FlaskResponse:
        if origin.lower().rstrip("/") not in self._origins:
            self._check_origin(origin)  # told in words where the origin is foreign
            return FlaskResponse(status=204)  # our own pages need no leave
        reply = FlaskResponse(status=204)
        reply.headers["Access-Control-Allow-Methods"] = _CORS_METHODS
        reply.headers["Access-Control-Allow-Headers"] = _CORS_REQUEST
        reply.headers["Access-Control-Max-Age"] = "600"
        return reply


@lru_cache(maxsize=256)
def _host_name(host: str) -> str:
    """The name in a Host header, without its port; empty when it is malformed."""
    found = _HOST.fullmatch(host)
    return found.group(1).lower() if found else ""


def identify() -> None:
    """Give the request an id: the caller's own when it is a sane one."""
    asked = request.environ.get("HTTP_X_REQUEST_ID", "")
    g.request_id = asked if asked and _REQUEST_ID.fullmatch(asked) else new_request_id()


def new_request_id() -> str:
    """An id that no other request has: unique, not secret, and cheaper than a whole uuid."""
    return f"{_BOOT}{next(_count):016x}"


def seal(reply: Reply) -> Reply:
    """Add the headers that every answer carries."""
    headers = reply.headers
    if "request_id" in g:
        headers["X-Request-Id"] = g.request_id
    for name, value in _SEAL:
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
    if reply.status_code == 304 or reply.mimetype in ("application/json", "text/html"):
        headers["Content-Language"] = language()
        _vary(reply, "Accept-Language")
    return reply


def _vary(reply: Response, name: str) -> None:
    """Tell caches that the answer depends on this request header too."""
    known = reply.headers.get("Vary")
    if known is None:
        reply.headers["Vary"] = name
    elif name not in known:
        reply.headers["Vary"] = f"{known}, {name}"
