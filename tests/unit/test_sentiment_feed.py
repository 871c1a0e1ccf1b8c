"""The feed: each text once, each source at its pace, one that breaks alone; and the archive."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridlab.clock import ManualClock
from gridlab.errors import InvalidInput, SourceUnavailable
from gridlab.sentiment import feed as feed_module
from gridlab.sentiment.archive import Archive, Judged
from gridlab.sentiment.feed import Feed
from gridlab.sentiment.posts import LONGEST_TEXT, Post, cleaned, post_of, text_key
from gridlab.sentiment.sources.base import Off

NOW_MS = 1_774_003_600_000
HOUR_MS = 3_600_000


@dataclass
class Scripted:
    """A source that gives what it is told to."""

    name: str
    clock: ManualClock
    texts: list[tuple[str, str]] = field(default_factory=list)
    every_ms: int = HOUR_MS
    off: str = ""
    before: Callable[[], None] = lambda: None
    asked: int = 0

    def fetch(self) -> tuple[Post, ...]:
        self.asked += 1
        self.before()
        now_ms = self.clock.now_ms()
        made = [
            post_of(self.name, "post", key, text, published_ms=now_ms - 1_000, now_ms=now_ms)
            for key, text in self.texts
        ]
        return tuple(post for post in made if post is not None)


def about_coins(text: str) -> float:
    return 1.0 if "btc" in text.lower() else 0.1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


def texts(posts: tuple[Post, ...]) -> list[str]:
    return [post.text for post in posts]


def test_each_text_comes_once_whoever_brings_it(clock: ManualClock) -> None:
    first = Scripted("a", clock, [("1", "BTC is up https://x.y/1"), ("2", "BTC is down")])
    second = Scripted("b", clock, [("9", "btc  is up https://x.y/2"), ("3", "BTC sleeps")])
    feed = Feed([first, second], clock, relevance=about_coins)
    assert sorted(text.split("http")[0] for text in texts(feed.fetch())) == [
        "BTC is down",
        "BTC is up ",
        "BTC sleeps",
    ]
    clock.advance_to(NOW_MS + HOUR_MS)
    first.texts.append(("1", "BTC is up, edited"))  # the same id: it was judged already
    first.texts.append(("4", "BTC wakes"))
    assert texts(feed.fetch()) == ["BTC wakes"]
    status = feed.statuses[0]
    assert (status.posts, status.copies) == (3, 3)


def test_off_topic_is_left_out_and_counted(clock: ManualClock) -> None:
    source = Scripted("a", clock, [("1", "my dog"), ("2", "BTC")])
    own = Scripted("exchange", clock, [("1", "Maintenance of a wallet")])
    feed = Feed([source, own], clock, relevance=about_coins, own_relevance={"exchange": 0.1})
    assert sorted(texts(feed.fetch())) == ["BTC", "Maintenance of a wallet"]
    assert feed.statuses[0].off_topic == 1


def test_sources_are_asked_at_their_own_pace(clock: ManualClock) -> None:
    slow, quick = Scripted("slow", clock), Scripted("quick", clock, every_ms=60_000)
    feed = Feed([slow, quick], clock, relevance=about_coins)
    feed.fetch()
    feed.fetch()
    assert (slow.asked, quick.asked) == (1, 1)
    clock.advance_to(NOW_MS + 60_000)
    assert feed.due() == ("quick",)
    feed.fetch()
    assert (slow.asked, quick.asked) == (1, 2)


def test_a_source_that_fails_or_breaks_is_told_and_the_others_go_on(clock: ManualClock) -> None:
    def refuse() -> None:
        raise SourceUnavailable("down for maintenance")

    def crash() -> None:
        raise ZeroDivisionError

    sources = [
        Scripted("down", clock, before=refuse),
        Scripted("broken", clock, before=crash),
        Off("x", "X_BEARER_TOKEN is not set"),
        Scripted("well", clock, [("1", "BTC")]),
    ]
    feed = Feed(sources, clock, relevance=about_coins)
    assert texts(feed.fetch()) == ["BTC"]
    reasons = {status.name: (status.is_on, status.reason) for status in feed.statuses}
    assert reasons == {
        "down": (True, "down for maintenance"),
        "broken": (True, "it broke: ZeroDivisionError; the log tells more"),
        "x": (False, "X_BEARER_TOKEN is not set"),
        "well": (True, ""),
    }
    assert feed.statuses[0].answered_ms is None and feed.statuses[3].answered_ms == NOW_MS


def test_a_source_that_hangs_holds_up_itself_alone(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "PATIENCE_S", 0.1)
    let_go = threading.Event()
    hanging = Scripted(
        "hanging", clock, [("1", "BTC late")], before=lambda: let_go.wait(10) and None
    )
    feed = Feed([hanging, Scripted("well", clock, [("1", "BTC")])], clock, relevance=about_coins)
    assert texts(feed.fetch()) == ["BTC"]
    assert "has not answered" in feed.statuses[0].reason
    let_go.set()
    monkeypatch.setattr(feed_module, "PATIENCE_S", 10.0)
    assert texts(feed.fetch()) == ["BTC late"]
    assert hanging.asked == 1 and not feed.statuses[0].reason
    feed.close()


def test_what_an_earlier_process_kept_is_not_new(clock: ManualClock) -> None:
    source = Scripted("a", clock, [("1", "BTC"), ("2", "BTC again")])
    feed = Feed([source], clock, relevance=about_coins)
    old = post_of("a", "post", "1", "BTC", published_ms=1, now_ms=2)
    assert old is not None
    feed.remember([old])
    assert texts(feed.fetch()) == ["BTC again"]


# --- posts ----------------------------------------------------------------------------------------


@given(st.text(st.characters(), max_size=300))
@example("0 \x00 0")
def test_any_text_becomes_clean_or_nothing(text: str) -> None:
    clean = cleaned(text)
    assert clean == cleaned(clean) and clean == clean.strip()
    clean.encode("utf-8")
    assert len(text_key(text)) == 32
    post = post_of("s", "post", "1", text, published_ms=5, now_ms=5)
    assert (post is None) == (not clean)


def test_a_post_is_cut_and_never_of_the_future() -> None:
    post = post_of("s", "post", "1", "x" * 100_000, published_ms=5, now_ms=5)
    assert post is not None and len(post.text) == LONGEST_TEXT
    ahead = post_of("s", "post", "1", "x", published_ms=200_000, now_ms=5)
    assert ahead is not None and ahead.published_ms == ahead.seen_ms == 5
    assert post_of("s", "post", "1", "x", published_ms=400_000, now_ms=5) is None
    with pytest.raises(InvalidInput, match="after it was seen"):
        Post("s", "post", "1", "x", 6, 5)


# --- the archive ----------------------------------------------------------------------------------


def judged(key: str, judged_ms: int) -> Judged:
    post = Post("s", "post", key, f"BTC “{key}”\u2028", judged_ms - 10, judged_ms - 5)
    return Judged(post, -0.25, "negative", 0.8, "onnx", ("BTC",), judged_ms)


def test_the_archive_gives_back_what_was_seen_when(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "texts")
    assert list(archive.read()) == []
    early, late = judged("1", NOW_MS), judged("2", NOW_MS + 24 * HOUR_MS)
    archive.add([early])
    archive.add([late])
    assert list(Archive(tmp_path / "texts").read()) == [early, late]
    assert list(archive.read(end_ms=NOW_MS + 1)) == [early]
    assert list(archive.read(start_ms=NOW_MS + 1)) == [late]
    assert len(list((tmp_path / "texts").glob("*.jsonl"))) == 2


def test_a_line_that_a_crash_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.add([judged("1", NOW_MS), judged("2", NOW_MS)])
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    archive.add([judged("3", NOW_MS)])
    assert [one.post.post_id for one in archive.read()] == ["1", "3"]
    path.write_text(json.dumps({"post": {"source": "s"}}) + "\n[]\n")
    assert list(archive.read()) == []
