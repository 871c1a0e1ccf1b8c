"""Asks the configured Ollama which models it has; sends no text to any of them.

The address comes from the configuration only and must be on this machine; no redirect is followed
and no proxy is used, so that no request can be turned into one to another place.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gridlab.clock import monotonic_s
from gridlab.domain.hosts import is_loopback

#: Seconds for connecting, and again for each part of the answer.
TIMEOUT_S: Final = 1.5
#: Seconds for the whole answer.
DEADLINE_S: Final = 3.0
#: Seconds for which an answer serves everybody who asks; also bounds how often Ollama is asked.
KEPT_S: Final = 2.0
_MOST_BYTES = 1_000_000
_MOST_MODELS = 100
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking.

    Args:
        address: what was asked, without credentials.
        problem: key of the message that says why `running` is false; empty otherwise.
    """

    address: str
    running: bool
    models: tuple[str, ...] = ()
    took_ms: int | None = None
    problem: str = ""


class Ollama:
    """One address, asked by one thread at a time.

    Args:
        base_url: such as `http://127.0.0.1:11434`.
    """

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._lock = threading.Lock()
        self._last: tuple[float, Answered] | None = None

    def ask(self) -> Answered:
        """What it says now, or said at most KEPT_S ago."""
        with self._lock:
            now_s = monotonic_s()
            if self._last is not None and now_s - self._last[0] < KEPT_S:
                return self._last[1]
            found = _ask(self._url)
            self._last = (monotonic_s(), found)
            return found


def _ask(url: SplitResult) -> Answered:
    address = _shown(url)
    if not is_loopback(url.hostname or ""):
        return Answered(address, False, problem="ollama_not_loopback")
    began_s = monotonic_s()
    try:
        status, body = _get(url, began_s + DEADLINE_S)
    except (OSError, http.client.HTTPException, ValueError):
        return Answered(address, False, problem="ollama_silent")
    took_ms = round(1000 * (monotonic_s() - began_s))
    models = _models_in(body) if status == 200 else None
    if models is None:
        return Answered(address, False, took_ms=took_ms, problem="ollama_strange")
    return Answered(address, True, models, took_ms)


def _get(url: SplitResult, until_s: float) -> tuple[int, bytes]:
    """Status and body of its list of models.

    Raises:
        OSError, HTTPException, ValueError: no answer, one that is no HTTP, or one too slow.
    """
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", url.path.rstrip("/") + "/api/tags")
        reply = connection.getresponse()
        body = b""
        while len(body) < _MOST_BYTES and (part := reply.read1(65_536)):
            body += part
            if monotonic_s() > until_s:
                raise TimeoutError("the answer takes too long")
        return reply.status, body
    finally:
        connection.close()


def _models_in(body: bytes) -> tuple[str, ...] | None:
    """The names in Ollama's list, as it orders them; None when this is no such list."""
    try:
        listed = json.loads(body)["models"]
        names = [str(model["name"]) for model in listed]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fit = [name for name in names if 0 < len(name) <= _LONGEST_NAME and name.isprintable()]
    return tuple(dict.fromkeys(fit))[:_MOST_MODELS]


def _shown(url: SplitResult) -> str:
    """The address for people: no user, no password, no query."""
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    try:
        port = "" if url.port is None else f":{url.port}"
    except ValueError:
        port = ""
    return f"{url.scheme}://{host}{port}{url.path.rstrip('/')}"
