"""Recent posts on X by its API v2; optional, because it takes a token that costs money.

Source of the protocol: GET /2/tweets/search/recent with query, max_results (10 to 100),
tweet.fields and a bearer token answers {"data": [{"id", "text", "created_at", "lang",
"public_metrics"}], "meta": {...}}; limits are in the x-rate-limit-* headers.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from gridlab.clock import Clock
from gridlab.errors import SourceUnavailable
from gridlab.sentiment.posts import Post, post_of
from gridlab.sentiment.sources.base import JsonReader, Pace

NAME: Final = "x"
BASE_URL: Final = "https://api.x.com"
_LANGUAGES: Final = ("en", "pt")


class XSearch:
    """What a search finds now; satisfies `Source`.

    Args:
        token: the bearer token; never shown.
        query: in X's own language for searches; copies are left out whatever it says.
        most: 10 to 100 posts a fetch.
    """

    name = NAME
    off = ""

    def __init__(
        self,
        clock: Clock,
        token: str,
        *,
        query: str,
        most: int = 50,
        every_ms: int = 15 * 60_000,
        base_url: str = BASE_URL,
    ) -> None:
        self.every_ms = every_ms
        self._clock = clock
        self._query = f"({query}) -is:retweet"
        self._most = min(100, max(10, most))
        pace = Pace(NAME, 60, 15 * 60_000, clock)
        self._reader = JsonReader(NAME, base_url, pace, clock, {"Authorization": f"Bearer {token}"})

    def fetch(self) -> tuple[Post, ...]:
        now_ms = self._clock.now_ms()
        answer = self._reader.get(
            "/2/tweets/search/recent",
            {
                "query": self._query,
                "max_results": self._most,
                "tweet.fields": "created_at,lang,public_metrics",
            },
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("data", []), list):
            raise SourceUnavailable(f"{NAME} answered in another form; nothing was read of it")
        rows = (row for row in answer.get("data", []) if isinstance(row, dict))
        return tuple(post for row in rows if (post := _post(row, now_ms)) is not None)


def _post(row: dict[str, Any], now_ms: int) -> Post | None:
    text, made = row.get("text"), _moment(row.get("created_at"))
    if not isinstance(text, str) or made is None or row.get("lang", "en") not in _LANGUAGES:
        return None
    metrics = row.get("public_metrics")
    likes = metrics.get("like_count", 0) if isinstance(metrics, dict) else 0
    return post_of(
        NAME,
        "post",
        str(row.get("id")),
        text,
        published_ms=made,
        now_ms=now_ms,
        weight=weight_of(likes),
    )


def _moment(text: Any) -> int | None:
    """UTC milliseconds of an ISO time; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def weight_of(votes: Any) -> float:
    """1 for a text that nobody noticed, 2 for one of nine votes, 3 for 99: attention counts little.

    >>> weight_of(0), weight_of(99), weight_of(-5)
    (1.0, 3.0, 1.0)
    """
    count = votes if isinstance(votes, int) and not isinstance(votes, bool) else 0
    return 1.0 + math.log10(1 + max(0, count))
