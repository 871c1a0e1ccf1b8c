"""What is known of models: RL policy, sentiment, tabular. Null is a number that nobody measured."""

from __future__ import annotations

from typing import Literal

from gridlab.api.schemas.base import Shape, Stamp

ModelState = Literal["operational", "unavailable"]


class RlBot(Shape):
    """One active bot and which advice it listens to."""

    symbol: str
    rl_enabled: bool
    sentiment_enabled: bool


class RlStatus(Stamp):
    """`/api/rl/status`; `reason` says what is missing and what helps, and is null otherwise."""

    rl_available: bool
    sentiment_available: bool
    onnx_model_loaded: bool
    gemma3_model_loaded: bool
    active_bots: list[RlBot]
    total_active_bots: int
    reason: str | None


class TrainingProgress(Shape):
    is_training: bool
    steps_completed: int
    episodes_completed: int
    last_trained_at: str | None


class TrainingPerformance(Shape):
    """Measured on `evaluation_set`; null without a policy that was measured."""

    mean_reward: float | None
    best_reward: float | None
    max_drawdown: float | None
    evaluation_set: str | None


class RewardWeights(Shape):
    profit_weight: float
    drawdown_penalty: float
    inefficiency_penalty: float
    market_switch_penalty: float


class TrainingConfiguration(Shape):
    """The `rl_agent` section of the configuration, as it is in force."""

    algorithm: str
    training_frequency_steps: int
    retraining_trade_threshold: int
    experience_replay_buffer_size: int
    state_features: list[str]
    reward_function: RewardWeights


class TrainingStatus(Stamp):
    """`/api/rl/training_status`."""

    status: ModelState
    rl_available: bool
    training: TrainingProgress
    performance: TrainingPerformance
    configuration: TrainingConfiguration
    reason: str | None


class GemmaModel(Shape):
    available: bool
    loaded: bool
    model_size: str | None
    crypto_optimized: bool | None


class OnnxModel(Shape):
    available: bool
    loaded: bool
    model_name: str | None


class SentimentModels(Shape):
    gemma3: GemmaModel
    onnx: OnnxModel


class SentimentPerformance(Shape):
    """`avg_analysis_time` is in seconds; `accuracy_score` was measured on `accuracy_set`."""

    analyses_completed: int
    avg_analysis_time: float | None
    accuracy_score: float | None
    accuracy_set: str | None


class TextSource(Shape):
    """One source of texts; `reason` says why it is off, or what went wrong last."""

    name: str
    enabled: bool
    reason: str | None
    tried_at: str | None
    answered_at: str | None
    posts: int
    copies: int
    off_topic: int


class MoodShape(Shape):
    """The smoothed mood of an asset, `*` for the market; `score` is from -1 to 1."""

    asset: str
    score: float
    texts: int
    readings: int
    as_of: str


class SentimentStatus(Stamp):
    """`/api/sentiment/status`; `reason` says why no better model is in use."""

    models: SentimentModels
    performance: SentimentPerformance
    recommended_model: str | None
    status: ModelState
    reason: str | None
    sources: list[TextSource]
    moods: list[MoodShape]
    alerts: list[str]


class SentimentAnalysis(Stamp):
    """`/api/sentiment/analyze`; null is a judgement that no model gave, and `reason` says why."""

    text: str
    sentiment: str | None
    confidence: float | None
    analyzer_used: str | None
    reasoning: str | None
    crypto_relevant: bool | None
    raw_score: float | None
    status: ModelState
    reason: str | None


class TabularPrediction(Stamp):
    """`/api/model/predict/tabular`."""

    prediction: float | None
    confidence: float | None
    model_used: str | None
    status: ModelState
    reason: str | None


class RlPrediction(Stamp):
    """`/api/model/predict/rl`; the recommended action for the state that was handed in."""

    action: str | None
    confidence: float | None
    model_used: str | None
    status: ModelState
    reason: str | None


class GemmaTest(Shape):
    """One analyser's answer to a test; null is an answer that nobody gave."""

    sentiment: str | None
    confidence: float | None
    processing_time_ms: float | None
    crypto_relevant: bool | None
    reasoning: str | None
    status: ModelState
    reason: str | None


class OnnxTest(Shape):
    sentiment: str | None
    confidence: float | None
    processing_time_ms: float | None
    model_used: str | None
    status: ModelState
    reason: str | None


class SentimentTests(Shape):
    gemma3: GemmaTest
    onnx_fallback: OnnxTest


class Comparison(Shape):
    speed_ratio: str | None
    accuracy_difference: str | None


class SentimentTest(Stamp):
    """`/api/test/sentiment`."""

    test_results: SentimentTests
    recommended_analyzer: str | None
    performance_comparison: Comparison
    text: str
    reason: str | None
