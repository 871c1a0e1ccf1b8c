"""`/api/stream`: what changes, as server-sent events, so that nobody needs to poll.

One thread compares the engine's newest picture with the one before and writes the differences into
one bounded ring. A stream is only a place in that ring: it costs no memory however slow its reader
is, and a reader that the ring has overtaken gets a `resync` event with everything instead. The same
happens at the start, after a reconnection whose Last-Event-ID the ring no longer holds, and where
no difference can tell what happened: the mode has changed, or a bot or a price is gone. The last
fills of a mode that was left are told before it; those of the next one begin after it.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, Response, request

from gridlab.api.errors import ApiError, language, teller
from gridlab.api.messages import ENGLISH
from gridlab.api.pictures import (
    Change,
    Picture,
    changes_between,
    fills_of,
    goes_on,
    picture_of,
    reworded,
)
from gridlab.api.requests import StreamQuery
from gridlab.api.schemas.base import Say
from gridlab.api.wire import read_query
from gridlab.app.facade import GridLab
from gridlab.clock import monotonic_s
from gridlab.errors import GridLabError

log = logging.getLogger("gridlab.api")

MOST_STREAMS: Final = 32
#: Seconds of silence after which a comment shows that the stream lives.
HEARTBEAT_S: Final = 10.0
#: Seconds between two looks at the engine.
POLL_S: Final = 0.1
#: Seconds that the thread goes on without a reader, for one that reconnects.
LINGER_S: Final = 60.0
MOST_EVENTS: Final = 4096
MOST_BYTES: Final = 4 * 1024 * 1024
#: Bytes that one read of the ring hands to a connection, or a little more.
_BATCH_BYTES: Final = 64 * 1024
#: Topic of the event that carries everything; in the ring, the place where each reader needs one.
_RESYNC: Final = "resync"
#: What the line with an event's content begins with.
_DATA: Final = b"data: "


class Hub:
    """Watches one engine for all streams; the thread runs only while somebody listens.

    Args:
        lab: the engine.
        heartbeat_s, most_events: as the module's constants; smaller in tests.
    """

    def __init__(
        self, lab: GridLab, *, heartbeat_s: float = HEARTBEAT_S, most_events: int = MOST_EVENTS
    ) -> None:
        self.heartbeat_s = heartbeat_s
        self._lab = lab
        self._most_events = most_events
        self._boot = uuid.uuid4().hex[:8]
        self._news = threading.Condition()
        self._ring: deque[tuple[int, str, bytes]] = deque()
        self._ring_bytes = 0
        self._last = 0
        self._picture: Picture | None = None
        self._streams = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._streams

    def open(self, topics: tuple[str, ...], last_event_id: str, say: Say | None = None) -> Stream:
        """A stream that goes on after `last_event_id`; the caller closes it.

        Args:
            say: puts the engine's reasons into the reader's language; None leaves them English.

        Raises:
            ApiError: all streams are in use, or the server is stopping.
        """
        with self._news:
            if self._streams >= MOST_STREAMS or self._is_closed:
                raise ApiError(
                    503,
                    "streams_full",
                    code="streams_full",
                    hint="streams_full_hint",
                    headers={"Retry-After": "10"},
                    limit=MOST_STREAMS,
                )
            self._streams += 1
            try:
                if self._thread is None:
                    self._look()  # what happened while nobody listened is in the ring as well
                    thread = threading.Thread(
                        target=self._watch, name="gridlab-stream", daemon=True
                    )
                    thread.start()  # it waits for the lock
                    self._thread = thread
            except BaseException:
                self._streams -= 1
                raise
        return Stream(self, topics, self._place(last_event_id), say)

    def resume(self) -> None:
        """Take streams again after a close."""
        with self._news:
            self._is_closed = False

    def close(self) -> None:
        """End every stream, and the thread."""
        with self._news:
            self._is_closed = True
            thread = self._thread
            self._news.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def read(self, place: int | None, topics: tuple[str, ...]) -> tuple[bytes, int] | None:
        """What comes after `place` in the ring, and the new place; None when the hub is closed.

        Waits for news, but no longer than the heartbeat. A place of None, or one that the ring no
        longer holds, gives a `resync`.
        """
        until_s = monotonic_s() + self.heartbeat_s
        with self._news:
            while not self._is_closed:
                if place is None or self._is_gone(place):
                    return self._resync(topics), self._last
                found, place = self._after(place, topics)
                if found:
                    return found, place
                left_s = until_s - monotonic_s()
                if left_s <= 0:
                    return b": still here\n\n", place
                self._news.wait(left_s)
        return None

    def release(self) -> None:
        """One stream less."""
        with self._news:
            self._streams -= 1

    # --- the ring ---------------------------------------------------------------------------------

    def _place(self, last_event_id: str) -> int | None:
        """The number in an event's id; None for one of another process, or for none."""
        boot, _, number = last_event_id.partition("-")
        if boot != self._boot or not number.isascii() or not number.isdigit() or len(number) > 15:
            return None
        return int(number) if int(number) <= self._last else None

    def _is_gone(self, place: int) -> bool:
        """Whether events after `place` have left the ring."""
        oldest = self._ring[0][0] if self._ring else self._last + 1
        return place < oldest - 1

    def _after(self, place: int, topics: tuple[str, ...]) -> tuple[bytes, int]:
        """Events after `place` on these topics, and the place after the last one looked at."""
        parts: list[bytes] = []
        size = 0
        oldest = self._ring[0][0] if self._ring else 0
        for index in range(place + 1 - oldest, len(self._ring)) if self._ring else ():
            place, topic, event = self._ring[index]
            if topic == _RESYNC:
                return b"".join((*parts, self._resync(topics))), self._last
            if topic in topics:
                parts.append(event)
                size += len(event)
                if size > _BATCH_BYTES:
                    break
        return b"".join(parts), place

    def _resync(self, topics: tuple[str, ...]) -> bytes:
        assert self._picture is not None, "a stream is only opened after a look"
        return self._event(self._last, _RESYNC, self._picture.whole(topics))

    def _event(self, number: int, topic: str, data: Any) -> bytes:
        head = f"id: {self._boot}-{number}\nevent: {topic}\n".encode()
        return head + _DATA + _json(data) + b"\n\n"

    def _append(self, change: Change) -> None:
        self._put(change.topic, self._event(self._last + 1, change.topic, change.data))

    def _put(self, topic: str, event: bytes) -> None:
        self._last += 1
        self._ring.append((self._last, topic, event))
        self._ring_bytes += len(event)
        while len(self._ring) > self._most_events or self._ring_bytes > MOST_BYTES:
            self._ring_bytes -= len(self._ring.popleft()[2])

    # --- the watcher ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look until the hub closes, or nobody has listened for LINGER_S.

        The lock is let go in the pauses alone, so `open` finds either a thread that will serve the
        new stream, or none.
        """
        alone_s = 0.0
        with self._news:
            while not self._is_closed and alone_s < LINGER_S:
                self._try_to_look()
                self._pause()
                alone_s = 0.0 if self._streams else alone_s + POLL_S
            self._thread = None

    def _pause(self) -> None:
        """Sleep until the next look; a close wakes it, the news of another look cannot come."""
        self._news.wait_for(lambda: self._is_closed, POLL_S)

    def _try_to_look(self) -> None:
        """Look; what breaks is logged, and the next look begins where this one began."""
        try:
            self._look()
        except GridLabError as error:
            log.warning("the stream could not look at the engine: %s", error)
        except Exception:
            log.exception("the stream broke at one look at the engine")

    def _look(self) -> None:
        """Put into the ring what changed since the last look."""
        before = self._picture
        present = picture_of(self._lab, before)
        if before is None:
            self._picture = present
            return
        fills, cursor = fills_of(self._lab, before, present)
        is_continued = goes_on(before, present)
        found = [*changes_between(before, present), *fills] if is_continued else fills
        self._picture = replace(present, fill_cursor=cursor) if fills else present
        for change in found:
            self._append(change)
        if not is_continued:
            self._put(_RESYNC, b"")
        if found or not is_continued:
            self._news.notify_all()


class Stream(Iterator[bytes]):
    """One reader's way through the ring, as the body of an answer."""

    def __init__(
        self, hub: Hub, topics: tuple[str, ...], place: int | None, say: Say | None = None
    ) -> None:
        self._hub = hub
        self._topics = topics
        self._say = say
        self._place = place
        self._is_open = True
        self._is_begun = False
        self._lock = threading.Lock()

    def __next__(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            return b"retry: 2000\n\n"
        found = self._hub.read(self._place, self._topics)
        if found is None:
            raise StopIteration
        part, self._place = found
        return part if self._say is None else _retold(part, self._say)

    def close(self) -> None:
        """Give the place back; a second call does nothing."""
        with self._lock:
            was_open, self._is_open = self._is_open, False
        if was_open:
            self._hub.release()


def _retold(part: bytes, say: Say) -> bytes:
    """Events with the reasons in them put into words by `say`."""
    return b"".join(
        _DATA + _json(reworded(json.loads(line.removeprefix(_DATA)), say)) + b"\n"
        if line.startswith(_DATA)
        else line
        for line in part.splitlines(keepends=True)
    )


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


def add_routes(blueprint: Blueprint, hub: Hub) -> None:
    """Put the stream on `blueprint`."""

    @blueprint.get("/api/stream")
    def stream() -> Response:
        topics = read_query(StreamQuery).topics
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":  # its body would never be read, nor closed
            return Response(headers=headers, mimetype="text/event-stream")
        last = request.headers.get("Last-Event-ID", "")[:100]
        say = None if language() == ENGLISH else teller()
        events = hub.open(topics, last, say)
        return Response(events, headers=headers, mimetype="text/event-stream")
