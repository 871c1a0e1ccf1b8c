"""`Feed`: what is new in all sources, each asked at its own pace, each text once.

Sources block, so they run in a small pool of threads; one that hangs holds up itself alone. What
was seen keeps the time at which it was first seen, whatever a later fetch says of it.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Final

from gridlab.clock import Clock
from gridlab.errors import GridLabError
from gridlab.sentiment.posts import Post
from gridlab.sentiment.sources.base import Source

log = logging.getLogger(__name__)

#: Texts that are remembered as seen.
REMEMBERED: Final = 20_000
#: How long a fetch waits for its sources; a slower one is heard at the next.
PATIENCE_S: Final = 60.0
WORKERS: Final = 3


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source stands.

    Args:
        is_on: whether it is asked at all; `reason` says why not, or what went wrong last.
        tried_ms, answered_ms: when last; None if never.
        posts: new texts that it gave; copies, off_topic: what was left out of its answers.
    """

    name: str
    is_on: bool
    reason: str = ""
    tried_ms: int | None = None
    answered_ms: int | None = None
    posts: int = 0
    copies: int = 0
    off_topic: int = 0


class Feed:
    """New posts of several sources; one thread at a time may `fetch`.

    Args:
        relevance: 0 to 1, how much a text is about what is traded.
        least_relevance: below it a text is left out.
        own_relevance: bounds of single sources, by name: an exchange's announcement needs less.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        clock: Clock,
        *,
        relevance: Callable[[str], float],
        least_relevance: float = 0.5,
        own_relevance: dict[str, float] | None = None,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._clock = clock
        self._relevance = relevance
        self._least, self._own = least_relevance, dict(own_relevance or {})
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._status = {
            source.name: SourceStatus(source.name, not source.off, source.off) for source in sources
        }
        self._running: dict[str, Future[tuple[Post, ...]]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="gridlab-source")

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """Every source's, in the order in which they were given."""
        with self._lock:
            return tuple(self._status.values())

    def remember(self, posts: Iterable[Post]) -> None:
        """Take these for seen: what an earlier process has kept."""
        with self._lock:
            for post in posts:
                self._note(post)

    def due(self) -> tuple[str, ...]:
        """Sources whose turn it is."""
        now_ms = self._clock.now_ms()
        return tuple(
            status.name
            for status in self.statuses
            if status.is_on
            and (
                status.tried_ms is None
                or now_ms - status.tried_ms >= self._sources[status.name].every_ms
            )
        )

    def fetch(self) -> tuple[Post, ...]:
        """New texts of the sources whose turn it is, oldest first; blocks, and never raises for
        a source that fails."""
        for name in self.due():
            if name not in self._running:
                self._change(name, tried_ms=self._clock.now_ms())
                self._running[name] = self._pool.submit(self._sources[name].fetch)
        wait(self._running.values(), timeout=PATIENCE_S)
        fresh: list[Post] = []
        for name in [name for name, future in self._running.items() if future.done()]:
            fresh += self._taken(name, self._running.pop(name))
        for name in self._running:
            self._change(name, reason=f"it has not answered within {PATIENCE_S:.0f} s")
        return tuple(sorted(fresh, key=lambda post: (post.published_ms, post.source)))

    def close(self) -> None:
        """Ask nothing more; what is on its way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _taken(self, name: str, future: Future[tuple[Post, ...]]) -> list[Post]:
        try:
            posts = future.result()
        except GridLabError as error:
            log.warning("%s", error)
            self._change(name, reason=str(error))
            return []
        except Exception as error:
            log.error("%s broke: %s", name, error, exc_info=error)
            self._change(name, reason=f"it broke: {type(error).__name__}; the log tells more")
            return []
        return self._sifted(name, posts)

    def _sifted(self, name: str, posts: Sequence[Post]) -> list[Post]:
        least = self._own.get(name, self._least)
        kept, copies, off_topic = [], 0, 0
        with self._lock:
            for post in posts:
                if self._is_known(post):
                    copies += 1
                    continue
                self._note(post)
                if self._relevance(post.text) < least:
                    off_topic += 1
                    continue
                kept.append(post)
            old = self._status[name]
            self._status[name] = replace(
                old,
                reason="",
                answered_ms=self._clock.now_ms(),
                posts=old.posts + len(kept),
                copies=old.copies + copies,
                off_topic=old.off_topic + off_topic,
            )
        return kept

    def _is_known(self, post: Post) -> bool:
        return post.key in self._seen or _name_of(post) in self._seen

    def _note(self, post: Post) -> None:
        for key in (post.key, _name_of(post)):
            self._seen[key] = None
            self._seen.move_to_end(key)
        while len(self._seen) > 2 * REMEMBERED:
            self._seen.popitem(last=False)

    def _change(self, name: str, **values: object) -> None:
        with self._lock:
            self._status[name] = replace(self._status[name], **values)  # type: ignore[arg-type]


def _name_of(post: Post) -> str:
    return f"{post.source} {post.post_id}"
