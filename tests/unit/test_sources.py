"""Sources against local servers of the real forms; PRAW is the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from text_servers import BinanceServer, RedditServer, TextServer, XServer, serving

from gridlab.app.config import load_config
from gridlab.app.sentiment import sources_of
from gridlab.app.settings import make_settings, secrets_of
from gridlab.clock import ManualClock
from gridlab.errors import SourceUnavailable
from gridlab.sentiment.posts import Post
from gridlab.sentiment.sources.base import Off, Pace, Source
from gridlab.sentiment.sources.binance_news import BinanceNews
from gridlab.sentiment.sources.reddit import Reddit
from gridlab.sentiment.sources.x_search import XSearch

pytestmark = pytest.mark.slow  # seconds each: left out of make check

NOW_MS = 1_774_003_600_000
HOUR_MS = 3_600_000
FAULTS = ("500", "429", "html", "huge", "other", "redirect", "cut")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


# --- Reddit ---------------------------------------------------------------------------------------


@pytest.fixture
def reddit_server() -> Iterator[TextServer]:
    created = NOW_MS // 1000 - 3_000
    things = {
        "CryptoCurrency": [
            ("Bitcoin breaks out", "Volume is rising", created, 99, ["to the moon", "[deleted]"]),
            ("Deleted later", "[removed]", created - 60, 0, []),
        ],
        "investing": [("Rates stay", "", created - 120, 9, ["boring", "fine", "third"])],
    }
    with serving(RedditServer(things)) as server:
        yield server


def reddit(server: TextServer, clock: ManualClock, **settings: object) -> Reddit:
    named: dict[str, object] = {"subreddits": ["CryptoCurrency", "investing"], "comments": 2}
    return Reddit(
        clock,
        RedditServer.ID,
        RedditServer.SECRET,
        oauth_url=server.url,
        reddit_url=server.url,
        **(named | settings),  # type: ignore[arg-type]
    )


def test_reddit_gives_posts_and_their_comments(
    reddit_server: TextServer, clock: ManualClock
) -> None:
    posts = reddit(reddit_server, clock).fetch()
    assert [(post.kind, post.text) for post in posts] == [
        ("post", "Bitcoin breaks out Volume is rising"),
        ("comment", "to the moon"),
        ("post", "Deleted later"),
        ("post", "Rates stay"),
        ("comment", "boring"),
        ("comment", "fine"),
    ]
    first = posts[0]
    assert first.published_ms == NOW_MS - 3_000_000 and first.seen_ms == NOW_MS
    assert first.post_id == "t3_CryptoCurrency00" and first.weight == 3.0
    assert first.url.startswith(reddit_server.url + "/r/CryptoCurrency/comments/")


def test_reddit_is_asked_for_what_the_configuration_says(
    reddit_server: TextServer, clock: ManualClock
) -> None:
    reddit(reddit_server, clock, posts=1, comments=0, time_filter="week").fetch()
    tops = [(path, q["t"], q["limit"]) for path, q, _ in reddit_server.asked if "top" in path]
    assert tops == [("/r/CryptoCurrency/top", "week", "1"), ("/r/investing/top", "week", "1")]
    assert not any("comments" in path for path, _, _ in reddit_server.asked)


def test_reddit_goes_on_when_one_subreddit_is_missing(
    reddit_server: TextServer, clock: ManualClock
) -> None:
    posts = reddit(reddit_server, clock, subreddits=["gone", "investing"], comments=0).fetch()
    assert [post.text for post in posts] == ["Rates stay"]


def test_wrong_keys_are_named_and_not_shown(reddit_server: TextServer, clock: ManualClock) -> None:
    source = Reddit(
        clock,
        "wrong-id",
        "wrong-secret",
        subreddits=["investing"],
        oauth_url=reddit_server.url,
        reddit_url=reddit_server.url,
    )
    with pytest.raises(SourceUnavailable, match="REDDIT_CLIENT_ID") as told:
        source.fetch()
    assert "wrong-" not in str(told.value) + repr(source)


def test_reddit_is_not_asked_without_end(reddit_server: TextServer, clock: ManualClock) -> None:
    source = reddit(reddit_server, clock, subreddits=["investing"], comments=0)
    source.fetch()
    source.fetch()
    with pytest.raises(SourceUnavailable, match="may be asked again at 2026-"):
        source.fetch()
    clock.advance_to(NOW_MS + 600_000)
    assert source.fetch()


# --- Binance --------------------------------------------------------------------------------------


@pytest.fixture
def binance_server() -> Iterator[TextServer]:
    things = {
        48: [(7, "Binance Will List Something (SMT)", NOW_MS - HOUR_MS)],
        161: [(8, "Binance Will Delist Old (OLD)", NOW_MS - 30 * HOUR_MS)],
        49: [
            (9, "Monthly report", NOW_MS - 2 * HOUR_MS),
            (10, "Of tomorrow", NOW_MS + 24 * HOUR_MS),
        ],
    }
    with serving(BinanceServer(things)) as server:
        yield server


def binance(server: TextServer, clock: ManualClock, **settings: object) -> BinanceNews:
    named: dict[str, object] = {"catalogues": {48: "announcement", 161: "announcement", 49: "news"}}
    return BinanceNews(clock, base_url=server.url, **(named | settings))  # type: ignore[arg-type]


def test_announcements_of_the_last_hours_newest_first(
    binance_server: TextServer, clock: ManualClock
) -> None:
    posts = binance(binance_server, clock).fetch()
    assert [(post.kind, post.text) for post in posts] == [
        ("announcement", "Binance Will List Something (SMT)"),
        ("news", "Monthly report"),
    ]
    assert posts[0].url.endswith("/en/support/announcement/" + f"{7:032x}")
    assert len(binance(binance_server, clock, most=1).fetch()) == 1
    assert len(binance(binance_server, clock, hours_back=48).fetch()) == 3


def test_an_article_without_a_date_proves_nothing(clock: ManualClock) -> None:
    old_form = {"code": "000000", "data": {"articles": [{"id": 1, "title": "x", "code": "c"}]}}
    server = BinanceServer({})
    server.answer = lambda *words: old_form  # type: ignore[method-assign]
    with serving(server):
        assert binance(server, clock).fetch() == ()


# --- X --------------------------------------------------------------------------------------------


def x_search(server: TextServer, clock: ManualClock) -> XSearch:
    return XSearch(clock, XServer.TOKEN, query="bitcoin OR BTC", base_url=server.url)


def test_x_gives_what_its_search_finds(clock: ManualClock) -> None:
    rows = [
        ("1", "BTC looks strong", "2026-03-20T10:00:00.000Z", "en", 9),
        ("2", "Bitcoin vai subir", "2026-03-20T10:01:00.000Z", "pt", 0),
        ("3", "ビットコイン", "2026-03-20T10:02:00.000Z", "ja", 0),
        ("4", "no date", "yesterday", "en", 0),
    ]
    with serving(XServer(rows)) as server:
        posts = x_search(server, clock).fetch()
        assert [(post.text, post.weight) for post in posts] == [
            ("BTC looks strong", 2.0),
            ("Bitcoin vai subir", 1.0),
        ]
        _, query, _ = server.asked[0]
        assert query["query"] == "(bitcoin OR BTC) -is:retweet"


def test_x_is_silent_as_long_as_its_headers_ask(clock: ManualClock) -> None:
    with serving(XServer([])) as server:
        source = x_search(server, clock)
        server.headers = {
            "x-rate-limit-remaining": "0",
            "x-rate-limit-reset": str(NOW_MS // 1000 + 300),
        }
        assert source.fetch() == ()
        with pytest.raises(SourceUnavailable, match="may be asked again"):
            source.fetch()
        clock.advance_to(NOW_MS + 300_000)
        assert source.fetch() == ()


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *((kind, fault) for kind in ("binance", "x") for fault in FAULTS),
        # PRAW tries the others again by itself, with pauses of seconds.
        *(("reddit", fault) for fault in ("429", "html", "huge", "other")),
    ],
)
def test_a_source_that_misbehaves_is_unavailable(clock: ManualClock, kind: str, fault: str) -> None:
    server: TextServer
    makers = {
        "reddit": (RedditServer({"investing": []}), reddit),
        "binance": (BinanceServer({}), binance),
        "x": (XServer([]), x_search),
    }
    server, make = makers[kind]
    with serving(server):
        source: Source = make(server, clock)  # type: ignore[operator]
        server.fault = fault
        with pytest.raises(SourceUnavailable):
            source.fetch()


def test_a_server_that_is_not_there_is_unavailable(clock: ManualClock) -> None:
    server = XServer([])
    with serving(server):
        pass
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        x_search(server, clock).fetch()


def test_a_source_that_is_off_says_why() -> None:
    source = Off("x", "X_BEARER_TOKEN is not set")
    with pytest.raises(SourceUnavailable, match="X_BEARER_TOKEN"):
        source.fetch()


def test_a_pace_counts_over_any_stretch(clock: ManualClock) -> None:
    pace = Pace("it", 2, 1_000, clock)
    pace.take()
    clock.advance_to(NOW_MS + 600)
    pace.take()
    with pytest.raises(SourceUnavailable):
        pace.take()
    clock.advance_to(NOW_MS + 1_000)
    pace.take()
    with pytest.raises(SourceUnavailable):
        pace.take()


def test_stamps_say_what_was_known_when(binance_server: TextServer, clock: ManualClock) -> None:
    source = binance(binance_server, clock)
    before: tuple[Post, ...] = source.fetch()
    clock.advance_to(NOW_MS + HOUR_MS)
    after = source.fetch()
    assert {post.seen_ms for post in before} == {NOW_MS}
    assert {post.seen_ms for post in after} == {NOW_MS + HOUR_MS}
    assert all(post.published_ms <= post.seen_ms for post in (*before, *after))


def test_keys_of_sources_are_struck_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_BEARER_TOKEN", "canary-of-x")
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", "canary-of-reddit")
    assert {"canary-of-x", "canary-of-reddit"} <= set(secrets_of(make_settings(tmp_path)))


def test_sources_are_what_configuration_and_environment_say(clock: ManualClock) -> None:
    section = load_config(None, {}).sentiment_analysis
    without = {source.name: source.off for source in sources_of(section, clock, {})}
    assert "REDDIT_CLIENT_ID" in without["reddit"] and not without["binance_news"]
    assert "sentiment_analysis.x.enabled" in without["x"]
    paid = section.model_copy(update={"x": section.x.model_copy(update={"enabled": True})})
    keys = {"REDDIT_CLIENT_ID": "a", "REDDIT_CLIENT_SECRET": "b", "X_BEARER_TOKEN": "c"}
    assert not any(source.off for source in sources_of(paid, clock, keys))
    assert "X_BEARER_TOKEN" in {s.name: s.off for s in sources_of(paid, clock, {})}["x"]
