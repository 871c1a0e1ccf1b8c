"""Sentiment of short texts about markets: the analysers, and what they are trained and fed with.

Names are imported when they are first used: most of GridLab needs none of this.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridlab.sentiment.analyzer import HybridAnalyzer, create_sentiment_analyzer
    from gridlab.sentiment.result import SentimentResult

_HOME = {
    "HybridAnalyzer": "gridlab.sentiment.analyzer",
    "SentimentResult": "gridlab.sentiment.result",
    "create_sentiment_analyzer": "gridlab.sentiment.analyzer",
}

__all__ = ["HybridAnalyzer", "SentimentResult", "create_sentiment_analyzer"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
