"""Judges to be measured beside the model: VADER where it is installed, and the majority's label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gridlab.sentiment.training.evaluate import Yardstick

#: Source: Hutto and Gilbert's own thresholds, in VADER's documentation.
_VADER_LEAST = 0.05


def yardsticks() -> dict[str, Yardstick]:
    """The yardsticks that are installed, by name."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return {}
    judge = SentimentIntensityAnalyzer()

    def vader(texts: Sequence[str]) -> NDArray[np.int64]:
        scores = [judge.polarity_scores(text)["compound"] for text in texts]
        signs = [(score >= _VADER_LEAST) - (score <= -_VADER_LEAST) for score in scores]
        return np.array(signs) + 1

    return {"vader": vader}
