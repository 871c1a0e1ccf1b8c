"""A change that is asked for twice is made once: `Idempotency-Key`.

The first request with a key runs; its answer, whatever it was, is given again to every later
request with the same key and the same content, for REMEMBER_S or until MOST_KEYS newer ones came.
Only one with `Retry-After` is not: it did nothing, and says when to ask again. A copy that arrives
while the first still runs waits for it. The same key with other content is refused. Keys live in
memory: after a restart the engine's own journal decides, see ADR 0008.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from flask import Response, g, request

from gridlab.api.errors import MAX_BODY_BYTES, ApiError
from gridlab.clock import monotonic_s

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
#: Seconds for which an answer is given again.
REMEMBER_S: Final = 24 * 3600.0
#: Keys that are remembered; beyond them the oldest answered one is forgotten first.
MOST_KEYS: Final = 10_000
#: Requests that may run at once under keys.
MOST_RUNNING: Final = 100
#: Bytes of answers that are remembered in all.
MOST_BYTES: Final = 16 * 1024 * 1024
#: Seconds that a copy waits for the first; the engine answers or gives up within 30.
WAIT_S: Final = 35.0
_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)
_KEPT_HEADERS: Final = ("Content-Type", "Content-Language", "Location", "Retry-After")


@dataclass(slots=True)
class _Entry:
    """A key's request: what it asked, and its answer once `done`."""

    fingerprint: bytes
    begun_s: float
    done: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


class Repeats:
    """The keys that were seen, with their answers."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._wait_s = wait_s
        self._bytes = 0
        self._running = 0

    def before(self) -> Response | None:
        """The first answer again, for a repeated request; None for one that is to run.

        Raises:
            ApiError: the key is malformed, belongs to another request, the first one still runs, or
                too many requests do.
        """
        key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
        if key is None or request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        if not _KEY.fullmatch(key):
            raise ApiError(400, "idempotency_shape", code="idempotency_key")
        fingerprint = _fingerprint()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and monotonic_s() - entry.begun_s > REMEMBER_S:
                self._forget(key)
                entry = None
            if entry is None:
                self._make_room()
                self._entries[key] = _Entry(fingerprint, monotonic_s())
                self._running += 1
                g.idempotency = key
                return None
        if entry.fingerprint != fingerprint:
            raise ApiError(422, "idempotency_other", code="idempotency_key_reused")
        return self._again(entry)

    def after(self, reply: Response) -> None:
        """Remember the answer of the request that ran under a key, and wake its copies."""
        key = g.pop("idempotency", None)
        if key is None:
            return
        with self._lock:
            entry = self._entries[key]
            entry.status, entry.body = reply.status_code, reply.get_data()
            entry.headers = [(n, v) for n, v in reply.headers if n in _KEPT_HEADERS]
            self._bytes += len(entry.body)
            self._running -= 1
            if "Retry-After" in reply.headers:
                self._forget(key)
            entry.done.set()

    def _again(self, entry: _Entry) -> Response:
        if not entry.done.wait(self._wait_s):
            raise ApiError(
                409,
                "idempotency_running",
                code="idempotency_running",
                hint="idempotency_running_hint",
                headers={"Retry-After": "5"},
            )
        reply = Response(entry.body, entry.status, headers=entry.headers)
        reply.headers[REPLAYED] = "true"
        return reply

    def _make_room(self) -> None:
        """Forget the oldest answered keys; running ones must stay, or they would run twice."""
        if self._running >= MOST_RUNNING:
            raise ApiError(503, "idempotency_full", code="busy", headers={"Retry-After": "5"})
        if len(self._entries) < MOST_KEYS and self._bytes < MOST_BYTES:
            return
        for key, entry in list(self._entries.items()):
            if entry.done.is_set():
                self._forget(key)
            if len(self._entries) < MOST_KEYS and self._bytes < MOST_BYTES:
                return

    def _forget(self, key: str) -> None:
        self._bytes -= len(self._entries.pop(key).body)


def _fingerprint() -> bytes:
    """What the request asks, and who asks it: another token must not fetch this one's answer."""
    # A chunked body is cut at the limit without a word; the route refuses what is longer.
    request.max_content_length = MAX_BODY_BYTES + 1
    parts = (
        request.method,
        request.path,
        request.environ.get("QUERY_STRING", ""),
        request.environ.get("HTTP_AUTHORIZATION", ""),
    )
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    digest.update(b"\0" + request.get_data(cache=True))
    return digest.digest()
