"""What every source is: a name, whether it is on and why not, and `fetch`, which blocks.

A source that cannot be asked says so (`SourceUnavailable`), and the others go on. None of them is
asked faster than its `Pace`, whoever asks.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx

from gridlab.clock import Clock, iso
from gridlab.errors import SourceUnavailable
from gridlab.sentiment.posts import Post

TIMEOUT_S: Final = 10.0
#: A page of some dozens of texts is far below it.
MOST_BYTES: Final = 4_000_000
USER_AGENT: Final = "gridlab/0.1 (grid trading workbench)"


class Source(Protocol):
    """One place where texts come from."""

    @property
    def name(self) -> str: ...

    @property
    def off(self) -> str:
        """Why it is off, with the remedy; empty when it is on."""
        ...

    @property
    def every_ms(self) -> int:
        """The least time between two fetches."""
        ...

    def fetch(self) -> tuple[Post, ...]:
        """What is there now, newest first; blocks.

        Raises:
            SourceUnavailable: it did not answer usably, or may not be asked yet.
        """
        ...


@dataclass(frozen=True, slots=True)
class Off:
    """A source that is not asked, and why."""

    name: str
    off: str
    every_ms: int = 0

    def fetch(self) -> tuple[Post, ...]:
        raise SourceUnavailable(f"{self.name} is off: {self.off}")


class Pace:
    """At most `calls` requests in any stretch of `per_ms`; for threads.

    Args:
        who: the source, for messages.
    """

    def __init__(self, who: str, calls: int, per_ms: int, clock: Clock) -> None:
        self._who, self._calls, self._per_ms, self._clock = who, calls, per_ms, clock
        self._lock = threading.Lock()
        self._taken: deque[int] = deque(maxlen=calls)
        self._silent_until_ms = 0

    def take(self) -> None:
        """Count one request.

        Raises:
            SourceUnavailable: there is no room now; with the time when there is.
        """
        with self._lock:
            now_ms = self._clock.now_ms()
            free_ms = self._silent_until_ms
            if len(self._taken) == self._calls:
                free_ms = max(free_ms, self._taken[0] + self._per_ms)
            if now_ms < free_ms:
                raise SourceUnavailable(
                    f"{self._who} may be asked again at {iso(free_ms)}: at most {self._calls} "
                    f"requests in {self._per_ms // 1000} s, and as long as it asked for silence"
                )
            self._taken.append(now_ms)

    def be_silent(self, until_ms: int) -> None:
        """Ask nothing until then, because the source said so."""
        with self._lock:
            self._silent_until_ms = max(self._silent_until_ms, until_ms)


class JsonReader:
    """GET of JSON from one address: no redirect, bounded in time and size, paced.

    Args:
        headers: sent with every request; may hold a secret, so it is never shown.
    """

    def __init__(
        self,
        who: str,
        base_url: str,
        pace: Pace,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._who, self._pace, self._clock = who, pace, clock
        self._client = httpx.Client(
            base_url=base_url,
            timeout=TIMEOUT_S,
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})},
        )

    def get(self, path: str, query: Mapping[str, str | int]) -> Any:
        """The decoded answer.

        Raises:
            SourceUnavailable: no answer in time, not 200, too large, not JSON, or no room to ask.
        """
        self._pace.take()
        try:
            with self._client.stream("GET", path, params=dict(query)) as answer:
                self._note_limits(answer)
                if answer.status_code != 200:
                    raise SourceUnavailable(f"{self._who} answered {answer.status_code} to {path}")
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise SourceUnavailable(
                            f"{self._who} sent more than {MOST_BYTES} bytes; nothing was read of it"
                        )
        except httpx.HTTPError as error:
            raise SourceUnavailable(
                f"{self._who} cannot be reached: {type(error).__name__}; it is tried again at its "
                "next turn"
            ) from error
        return _decoded(self._who, bytes(body))

    def _note_limits(self, answer: httpx.Response) -> None:
        """Obey what the headers say of the next request; both names are in use."""
        now_ms = self._clock.now_ms()
        if answer.status_code in (418, 429, 503):
            wait = answer.headers.get("retry-after", "")
            self._pace.be_silent(now_ms + 1000 * (int(wait) if wait.isdigit() else 60))
        reset = answer.headers.get("x-rate-limit-reset", "")
        if answer.headers.get("x-rate-limit-remaining") == "0" and reset.isdigit():
            self._pace.be_silent(1000 * int(reset))

    def close(self) -> None:
        self._client.close()


def _decoded(who: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable(
            f"{who} answered no JSON ({len(body)} bytes beginning {body[:40]!r})"
        ) from error
