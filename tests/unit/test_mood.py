"""Moods: weighted, smoothed, aging; alerts with a cool-down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.sentiment.archive import Judged
from gridlab.sentiment.mood import KEPT_MS, LEAST_TEXTS, MARKET, Alerts, Mood, Moods
from gridlab.sentiment.posts import Post

HOUR_MS = 3_600_000


def judged(
    score: float,
    *symbols: str,
    weight: float = 1.0,
    confidence: float = 1.0,
) -> Judged:
    post = Post("s", "post", "1", "text", 0, 0, weight=weight)
    return Judged(post, score, "neutral", confidence, "onnx", symbols, 0)


def test_a_mood_is_the_mean_by_attention_and_certainty() -> None:
    moods = Moods(10)
    moods.add([judged(1.0, weight=3.0), judged(-1.0, confidence=0.5), judged(0.0)], HOUR_MS)
    mood = moods.of(MARKET, HOUR_MS)
    assert mood is not None and mood.score == pytest.approx((3 * 1.0 - 0.5) / 4.5)
    assert (mood.texts, mood.readings, mood.time_ms) == (3, 1, HOUR_MS)


def test_an_anecdote_is_no_mood() -> None:
    moods = Moods(10)
    moods.add([judged(1.0, "BTC")] * (LEAST_TEXTS - 1), HOUR_MS)
    assert moods.of("BTC", HOUR_MS) is None and moods.all(HOUR_MS) == {}
    moods.add([judged(1.0, "ETH")], 2 * HOUR_MS)
    assert set(moods.all(2 * HOUR_MS)) == {MARKET}  # of everything there are enough


def test_only_the_last_readings_of_the_last_day_count() -> None:
    moods = Moods(2)
    for hour, score in enumerate((-1.0, 1.0, 0.5)):
        moods.add([judged(score)] * 3, hour * HOUR_MS)
    mood = moods.of(MARKET, 2 * HOUR_MS)
    assert mood is not None and mood.score == pytest.approx(0.75) and mood.readings == 2
    late = moods.of(MARKET, HOUR_MS + KEPT_MS)
    assert late is not None and late.score == pytest.approx(0.5)
    assert moods.of(MARKET, 2 * HOUR_MS + KEPT_MS) is None


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(1, 10), st.floats(0, 1)), min_size=1, max_size=30
    )
)
def test_a_mood_stays_within_its_bounds(rows: list[tuple[float, float, float]]) -> None:
    moods = Moods(3)
    moods.add([judged(s, weight=w, confidence=c) for s, w, c in rows], 0)
    mood = moods.of(MARKET, 0)
    assert mood is None or -1.0 <= mood.score <= 1.0


def mood_of(score: float, asset: str = MARKET) -> Mood:
    return Mood(asset, score, 5, 1, 0)


def test_an_alert_comes_once_for_each_asset_and_side() -> None:
    alerts = Alerts(0.7, -0.5, 2 * HOUR_MS)
    (told,) = alerts.look([mood_of(0.7), mood_of(0.69, "BTC"), mood_of(-0.49, "ETH")], 0)
    assert str(told) == "sentiment of the market is +0.70, above +0.70, by 5 texts"
    assert alerts.look([mood_of(0.9)], HOUR_MS) == ()
    (down,) = alerts.look([mood_of(-0.6)], HOUR_MS)
    assert down.threshold == -0.5 and "below -0.50" in str(down)
    assert len(alerts.look([mood_of(0.9, "BTC"), mood_of(0.9)], 2 * HOUR_MS)) == 2
