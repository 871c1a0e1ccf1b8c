"""Binance's own announcements, by the public list behind its support pages; needs no key.

Source of the protocol: GET /bapi/composite/v1/public/cms/article/list/query with type=1,
catalogId, pageNo and pageSize answers {"code": "000000", "data": {"catalogs": [{"catalogId",
"catalogName", "articles": [{"id", "code", "title", "type", "releaseDate"}]}]}}; `releaseDate` is
UTC milliseconds. An older form has the articles directly under `data` and no date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gridlab.clock import Clock
from gridlab.errors import SourceUnavailable
from gridlab.sentiment.posts import Post, post_of
from gridlab.sentiment.sources.base import JsonReader, Pace

NAME: Final = "binance_news"
BASE_URL: Final = "https://www.binance.com"
_PATH: Final = "/bapi/composite/v1/public/cms/article/list/query"
#: Catalogues of the support pages, by the switches of the configuration.
CATALOGUES: Final[Mapping[str, Mapping[int, str]]] = {
    "include_announcements": {48: "announcement", 161: "announcement", 157: "announcement"},
    "include_general_news": {49: "news"},
    "include_trending": {93: "trending"},
}
HOUR_MS: Final = 3_600_000
_MOST_PAGE: Final = 50


class BinanceNews:
    """Announcements of the last hours; satisfies `Source`.

    Args:
        catalogues: ids to read, and what a post of each is called.
        hours_back: older ones are left out.
        most: at most so many from one fetch, the newest.
        base_url: another address than Binance's, for tests.
    """

    name = NAME
    off = ""

    def __init__(
        self,
        clock: Clock,
        *,
        catalogues: Mapping[int, str],
        hours_back: float = 24,
        most: int = 20,
        every_ms: int = 30 * 60_000,
        base_url: str = BASE_URL,
    ) -> None:
        self.every_ms = every_ms
        self._clock = clock
        self._catalogues = dict(catalogues)
        self._back_ms = int(hours_back * HOUR_MS)
        self._most = most
        self._base_url = base_url
        pace = Pace(NAME, 30, 60_000, clock)
        self._reader = JsonReader(NAME, base_url, pace, clock)

    def fetch(self) -> tuple[Post, ...]:
        now_ms = self._clock.now_ms()
        found: dict[str, Post] = {}
        for catalogue, kind in self._catalogues.items():
            query = {
                "type": 1,
                "catalogId": catalogue,
                "pageNo": 1,
                "pageSize": min(self._most, _MOST_PAGE),
            }
            for article in _articles(self._reader.get(_PATH, query)):
                post = self._post(article, kind, now_ms)
                if post is not None and post.published_ms >= now_ms - self._back_ms:
                    found.setdefault(post.post_id, post)
        newest = sorted(found.values(), key=lambda post: post.published_ms, reverse=True)
        return tuple(newest[: self._most])

    def _post(self, article: Mapping[str, Any], kind: str, now_ms: int) -> Post | None:
        date = article.get("releaseDate") or article.get("publishDate")
        title, code = article.get("title"), article.get("code")
        if not isinstance(date, int) or not isinstance(title, str):
            return None  # without its date it cannot be said what was known when
        name = article.get("id") or code
        return post_of(
            NAME,
            kind,
            str(name),
            title,
            published_ms=date,
            now_ms=now_ms,
            url=f"{self._base_url}/en/support/announcement/{code}" if code else "",
        )


def _articles(answer: Any) -> Iterator[Mapping[str, Any]]:
    """Every article of an answer of either form.

    Raises:
        SourceUnavailable: it is neither, or says that it failed.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        code = answer.get("code") if isinstance(answer, dict) else type(answer).__name__
        raise SourceUnavailable(f"{NAME} answered in another form ({code}); nothing was read of it")
    data = answer["data"]
    catalogues = data.get("catalogs")
    lists = (
        [catalogue.get("articles") for catalogue in catalogues if isinstance(catalogue, dict)]
        if isinstance(catalogues, list)
        else [data.get("articles")]
    )
    for articles in lists:
        for article in articles if isinstance(articles, list) else ():
            if isinstance(article, dict):
                yield article
