"""Routes about texts: which models judge them, a judgement, and both analysers side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response

from gridlab.api.errors import language, teller
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.requests_tools import TextRequest
from gridlab.api.schemas.models import (
    Comparison,
    GemmaModel,
    GemmaTest,
    MoodShape,
    OnnxModel,
    OnnxTest,
    SentimentAnalysis,
    SentimentModels,
    SentimentPerformance,
    SentimentStatus,
    SentimentTest,
    SentimentTests,
    TextSource,
)
from gridlab.api.wire import answer, read_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.clock import iso
from gridlab.domain.snapshot import Mode

#: Analysers that ask no language model.
_OWN = ("onnx", "lexicon")


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the routes about texts on `blueprint`."""

    @blueprint.get("/api/sentiment/status")
    def sentiment_status() -> Response:
        read_query(NoQuery)
        return answer(_status(lab))

    @blueprint.post("/api/sentiment/analyze")
    def sentiment_analyze() -> Response:
        return answer(_analysis(lab, read_body(TextRequest).text))

    @blueprint.post("/api/test/sentiment")
    def test_sentiment() -> Response:
        return answer(_compared(lab, read_body(TextRequest).text))


def _status(lab: GridLab) -> SentimentStatus:
    found, tell = lab.sentiment_status(), teller()
    gemma, onnx = found["models"]["gemma3"], found["models"]["onnx"]
    done = found["performance"]
    return SentimentStatus(
        models=SentimentModels(
            gemma3=GemmaModel(
                available=gemma["available"],
                loaded=gemma["loaded"],
                model_size=gemma["model_size"],
                crypto_optimized=gemma["crypto_optimized"] if gemma["available"] else None,
            ),
            onnx=OnnxModel(
                available=onnx["available"], loaded=onnx["loaded"], model_name=onnx["model_name"]
            ),
        ),
        performance=SentimentPerformance(
            analyses_completed=done["analyses_completed"],
            avg_analysis_time=done["avg_analysis_time"],
            accuracy_score=done["accuracy_score"],
            accuracy_set=done["accuracy_set"],
        ),
        recommended_model=found["recommended_model"],
        status=found["status"],
        reason=tell(found["reason"]) or None,
        sources=_sources(lab),
        moods=[
            MoodShape(
                asset=asset,
                score=mood.score,
                texts=mood.texts,
                readings=mood.readings,
                as_of=iso(mood.time_ms),
            )
            for asset, mood in sorted(lab.moods().items())
        ],
        alerts=[tell(str(alert)) for alert in lab.sentiment_alerts()],
        **stamp_of(lab.snapshot).parts,
    )


def _sources(lab: GridLab) -> list[TextSource]:
    """Every source; in Replay none is read, and each says so."""
    is_replay = lab.snapshot.mode is Mode.REPLAY
    replay, tell = say("texts_replay", language()), teller()
    return [
        TextSource(
            name=source.name,
            enabled=source.is_on and not is_replay,
            reason=tell(source.reason) or (replay if is_replay else None),
            tried_at=None if source.tried_ms is None else iso(source.tried_ms),
            answered_at=None if source.answered_ms is None else iso(source.answered_ms),
            posts=source.posts,
            copies=source.copies,
            off_topic=source.off_topic,
        )
        for source in lab.sentiment_sources()
    ]


def _analysis(lab: GridLab, text: str) -> SentimentAnalysis:
    found, tell = lab.analyze(text), teller()
    return SentimentAnalysis(
        text=text,
        sentiment=found.sentiment,
        confidence=found.confidence,
        analyzer_used=found.analyzer_used,
        reasoning=tell(found.reasoning),
        crypto_relevant=found.crypto_relevant,
        raw_score=found.raw_score,
        status="operational",
        reason=None,
        **stamp_of(lab.snapshot).parts,
    )


def _compared(lab: GridLab, text: str) -> SentimentTest:
    tell = teller()
    best, own = (
        replace(found, reasoning=tell(found.reasoning)) for found in lab.compare_analyzers(text)
    )
    is_model, is_onnx = best.analyzer_used not in _OWN, own.analyzer_used == "onnx"
    why = tell(lab.sentiment_status()["reason"]) or None
    ratio = None
    if is_model and is_onnx and own.processing_time_ms > 0:
        ratio = f"{best.processing_time_ms / own.processing_time_ms:.1f}x faster (ONNX)"
    gemma: dict[str, Any] = dict.fromkeys(
        ("sentiment", "confidence", "processing_time_ms", "crypto_relevant", "reasoning")
    )
    if is_model:
        gemma = {name: getattr(best, name) for name in gemma}
    onnx: dict[str, Any] = dict.fromkeys(
        ("sentiment", "confidence", "processing_time_ms", "model_used")
    )
    if is_onnx:
        onnx = {name: getattr(own, name) for name in onnx}
    return SentimentTest(
        test_results=SentimentTests(
            gemma3=GemmaTest(
                **gemma,
                status="operational" if is_model else "unavailable",
                reason=None if is_model else why,
            ),
            onnx_fallback=OnnxTest(
                **onnx,
                status="operational" if is_onnx else "unavailable",
                reason=None if is_onnx else own.reasoning,
            ),
        ),
        recommended_analyzer=best.analyzer_used if is_model else own.analyzer_used,
        # The accuracy of a language model was measured by nobody here.
        performance_comparison=Comparison(speed_ratio=ratio, accuracy_difference=None),
        text=text,
        reason=None,
        **stamp_of(lab.snapshot).parts,
    )
