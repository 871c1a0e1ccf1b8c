"""`Mood`: what many judged texts come to, for each asset and for the market, smoothed and aging.

One reading is the weighted mean of what one fetch brought: weights are the attention a text got
times how sure the analyser was. A mood is the mean of the last readings; old ones stop counting, so
that silence ends in not knowing and not in yesterday's opinion. Knows no order and no advice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gridlab.sentiment.archive import Judged

#: The name of the mood of everything, besides assets such as `BTC`.
MARKET: Final = "*"
#: A reading counts for so long.
KEPT_MS: Final = 24 * 3_600_000
#: Fewer texts than this are an anecdote; no mood is told of them.
LEAST_TEXTS: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What one fetch said of one asset.

    Args:
        score: -1 to 1. texts: how many it is made of; weight: their summed weights.
    """

    time_ms: int
    score: float
    texts: int
    weight: float


@dataclass(frozen=True, slots=True)
class Mood:
    """The smoothed view of one asset, or of the market.

    Args:
        score: -1 to 1. texts: how many it rests on. time_ms: of its newest reading.
    """

    asset: str
    score: float
    texts: int
    readings: int
    time_ms: int


class Moods:
    """Every asset's mood; any thread may ask.

    Args:
        window: how many readings are averaged.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._readings: dict[str, deque[Reading]] = {}
        self._lock = threading.Lock()

    def add(self, judged: Iterable[Judged], now_ms: int) -> None:
        """Take in what one fetch brought."""
        parts: dict[str, list[tuple[float, float]]] = {}
        for one in judged:
            weight = one.post.weight * one.confidence
            for asset in (MARKET, *one.symbols):
                parts.setdefault(asset, []).append((one.score, weight))
        with self._lock:
            for asset, scored in parts.items():
                total = sum(weight for _, weight in scored)
                if total <= 0:
                    continue
                score = sum(score * weight for score, weight in scored) / total
                kept = self._readings.setdefault(asset, deque(maxlen=self._window))
                kept.append(Reading(now_ms, max(-1.0, min(1.0, score)), len(scored), total))

    def of(self, asset: str, now_ms: int) -> Mood | None:
        """The mood of `asset` now; None when too few texts of the last day speak of it."""
        with self._lock:
            recent = [r for r in self._readings.get(asset, ()) if now_ms - r.time_ms < KEPT_MS]
        texts = sum(reading.texts for reading in recent)
        if texts < LEAST_TEXTS:
            return None
        total = sum(reading.weight for reading in recent)
        score = sum(reading.score * reading.weight for reading in recent) / total
        return Mood(asset, score, texts, len(recent), recent[-1].time_ms)

    def all(self, now_ms: int) -> Mapping[str, Mood]:
        """Every mood that can be told now, by asset; `MARKET` is everything's."""
        with self._lock:
            assets = list(self._readings)
        moods = {asset: self.of(asset, now_ms) for asset in assets}
        return {asset: mood for asset, mood in moods.items() if mood is not None}


@dataclass(frozen=True, slots=True)
class Alert:
    """A mood beyond a threshold.

    Args:
        threshold: the one that it crossed.
    """

    mood: Mood
    threshold: float
    time_ms: int

    def __str__(self) -> str:
        what = "the market" if self.mood.asset == MARKET else self.mood.asset
        side = "above" if self.threshold > 0 else "below"
        return (
            f"sentiment of {what} is {self.mood.score:+.2f}, {side} {self.threshold:+.2f}, by "
            f"{self.mood.texts} texts"
        )


class Alerts:
    """Tells of moods beyond the thresholds, each asset and side once in a while.

    Args:
        positive, negative: thresholds, -1 to 1.
        cooldown_ms: after an alert, so long none of the same asset and side.
    """

    def __init__(self, positive: float, negative: float, cooldown_ms: int) -> None:
        self._positive, self._negative, self._cooldown_ms = positive, negative, cooldown_ms
        self._told: dict[tuple[str, float], int] = {}

    def look(self, moods: Iterable[Mood], now_ms: int) -> tuple[Alert, ...]:
        """The alerts that are due now."""
        found = []
        for mood in moods:
            threshold = self._crossed(mood.score)
            if threshold is None:
                continue
            last_ms = self._told.get((mood.asset, threshold))
            if last_ms is None or now_ms - last_ms >= self._cooldown_ms:
                self._told[mood.asset, threshold] = now_ms
                found.append(Alert(mood, threshold, now_ms))
        return tuple(found)

    def _crossed(self, score: float) -> float | None:
        if score >= self._positive:
            return self._positive
        return self._negative if score <= self._negative else None
