"""Reddit by PRAW: the top posts of some subreddits and their first comments, read only.

PRAW keeps Reddit's own pace by its headers; the bound here keeps one fetch from being hundreds of
requests. It blocks, so it runs in the feed's pool.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from gridlab.clock import Clock
from gridlab.errors import SourceUnavailable
from gridlab.sentiment.posts import Post, post_of
from gridlab.sentiment.sources.base import TIMEOUT_S, USER_AGENT, Pace
from gridlab.sentiment.sources.keys import REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET
from gridlab.sentiment.sources.x_search import weight_of

NAME: Final = "reddit"
#: What stands where a text was taken away.
_GONE: Final = ("[removed]", "[deleted]")
#: What PRAW runs into when an answer is JSON of another form.
_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError)
#: The longest that PRAW may wait by itself for room; beyond it the fetch fails and is tried later.
_LONGEST_WAIT_S: Final = 5


class Reddit:
    """Posts and comments; satisfies `Source`.

    Args:
        client_id, client_secret: of a script application; never shown.
        subreddits: names without `r/`.
        posts: of each subreddit; comments: of each post.
        time_filter: `hour`, `day`, `week`, `month`, `year` or `all`.
        oauth_url, reddit_url: other addresses than Reddit's, for tests.
    """

    name = NAME
    off = ""

    def __init__(
        self,
        clock: Clock,
        client_id: str,
        client_secret: str,
        *,
        subreddits: Sequence[str],
        posts: int = 10,
        comments: int = 5,
        time_filter: str = "day",
        every_ms: int = 60 * 60_000,
        oauth_url: str = "https://oauth.reddit.com",
        reddit_url: str = "https://www.reddit.com",
    ) -> None:
        import praw

        self.every_ms = every_ms
        self._clock = clock
        self._subreddits = tuple(subreddits)
        self._posts, self._comments, self._time_filter = posts, comments, time_filter
        self._reddit_url = reddit_url
        calls = len(self._subreddits) * (1 + (posts if comments else 0))
        # Twice what a fetch needs: a fetch that failed may be tried again.
        self._pace = Pace(NAME, 2 * max(1, calls), 10 * 60_000, clock)
        self._reddit = praw.Reddit(
            client_id=client_id,
            client_secret=client_secret,
            user_agent=USER_AGENT,
            oauth_url=oauth_url,
            reddit_url=reddit_url,
            check_for_updates=False,
            check_for_async=False,
            ratelimit_seconds=_LONGEST_WAIT_S,
            timeout=int(TIMEOUT_S),
        )
        self._reddit.read_only = True

    def fetch(self) -> tuple[Post, ...]:
        now_ms = self._clock.now_ms()
        found: list[Post] = []
        problems: list[str] = []
        for name in self._subreddits:
            try:
                found += self._of(name, now_ms)
            except SourceUnavailable as error:
                problems.append(str(error))
        if problems and not found:
            raise SourceUnavailable("; ".join(problems))
        return tuple(found)

    def _of(self, name: str, now_ms: int) -> Iterator[Post]:
        submissions = self._ask(
            lambda: list(
                self._reddit.subreddit(name).top(time_filter=self._time_filter, limit=self._posts)
            )
        )
        for submission in submissions:
            yield from self._post(submission, "post", submission.title, submission.selftext, now_ms)
            # A post whose comments cannot be had is still a post.
            with contextlib.suppress(SourceUnavailable):
                for comment in self._comments_of(submission):
                    yield from self._post(comment, "comment", "", comment.body, now_ms)

    def _comments_of(self, submission: Any) -> list[Any]:
        if not self._comments or not submission.num_comments:
            return []

        def read() -> list[Any]:
            submission.comment_sort = "top"
            submission.comment_limit = self._comments
            submission.comments.replace_more(limit=0)  # never asks for more than came
            return list(submission.comments)[: self._comments]

        return self._ask(read)

    def _ask(self, read: Callable[[], list[Any]]) -> list[Any]:
        """One request's objects; every error of PRAW and of the network is one of ours."""
        from praw.exceptions import PRAWException
        from prawcore.exceptions import PrawcoreException

        self._pace.take()
        try:
            return read()
        except (PRAWException, PrawcoreException, *_UNREADABLE) as error:
            raise SourceUnavailable(
                f"{NAME} did not answer usably: {type(error).__name__}; check {REDDIT_CLIENT_ID} "
                f"and {REDDIT_CLIENT_SECRET}, or wait for its next turn"
            ) from error

    def _post(self, thing: Any, kind: str, title: str, body: str, now_ms: int) -> Iterator[Post]:
        text = " ".join(part for part in (title, body) if part and part not in _GONE)
        post = post_of(
            NAME,
            kind,
            str(thing.name),
            text,
            published_ms=int(1000 * thing.created_utc),
            now_ms=now_ms,
            url=self._reddit_url + str(thing.permalink),
            weight=weight_of(thing.score),
        )
        if post is not None:
            yield post
