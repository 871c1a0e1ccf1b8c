"""Who may talk to the API, and what browsers are told to forbid.

Only loopback is served for now, so there is no token yet; but any web page can make the user's
browser send requests to loopback. So the Host must be ours (DNS rebinding), a change must carry
JSON and, where the browser names an Origin, an allowed one; no CORS header is ever sent.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.wrappers import Response

from gridlab.api.errors import ApiError, language

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
Reply = TypeVar("Reply", bound=Response)

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def is_loopback(host: str) -> bool:
    """Whether `host` (without a port) names this machine to itself.

    >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("example.org")
    (True, True, False)
    """
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class Guard:
    """The checks before and the headers after each request.

    Args:
        hosts: names other than loopback that this API is reached under, without ports.
        origins: origins other than loopback and the API's own whose pages may change things.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def before(self) -> None:
        """Name the request, then refuse foreign hosts and changes from foreign pages."""
        identify()
        self._check_host()
        if request.method not in _READS:
            self._check_origin()

    def _check_host(self) -> None:
        host = str(request.environ.get("HTTP_HOST", ""))
        if not host:
            raise ApiError(400, "host_missing", code="host_not_allowed")
        found = _HOST.fullmatch(host)
        name = found.group(1).lower() if found else ""
        if not (is_loopback(name) or name in self._hosts):
            raise ApiError(
                400, "host_not_allowed", code="host_not_allowed", hint="host_hint", host=host[:80]
            )

    def _check_origin(self) -> None:
        origin = request.headers.get("Origin")
        if origin is None or self._is_allowed(origin.lower().rstrip("/")):
            return
        raise ApiError(403, "origin_not_allowed", code="origin_not_allowed", origin=origin[:80])

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


def identify() -> None:
    """Give the request an id: the caller's own when it is a sane one."""
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex


def seal(reply: Reply) -> Reply:
    """Add the headers that every answer carries."""
    if "request_id" in g:
        reply.headers["X-Request-Id"] = g.request_id
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers["Referrer-Policy"] = "no-referrer"
    reply.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    reply.headers["Content-Security-Policy"] = _PAGE_POLICY
    reply.headers.setdefault("Cache-Control", "no-store")
    if reply.mimetype in ("application/json", "text/html"):
        reply.headers["Content-Language"] = language()
        reply.headers["Vary"] = "Accept-Language"
    return reply
