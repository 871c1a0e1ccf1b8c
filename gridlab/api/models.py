"""Routes about models of states and features: RL, tabular. Those about texts are in `sentiment`.

This version has neither of them. Each answer says so in its documented shape, with null for every
number that nobody measured and every judgement that no model gave. A request that is wrong is
refused as one all the same.
"""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import language
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.requests_tools import RlRequest, TabularRequest
from gridlab.api.schemas import is_active
from gridlab.api.schemas.models import (
    RewardWeights,
    RlBot,
    RlPrediction,
    RlStatus,
    TabularPrediction,
    TrainingConfiguration,
    TrainingPerformance,
    TrainingProgress,
    TrainingStatus,
)
from gridlab.api.wire import answer, find_instrument, read_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the model routes on `blueprint`."""

    @blueprint.get("/api/rl/status")
    def rl_status() -> Response:
        read_query(NoQuery)
        return answer(_rl_status(lab))

    @blueprint.get("/api/rl/training_status")
    def rl_training_status() -> Response:
        read_query(NoQuery)
        return answer(_training_status(lab))

    @blueprint.post("/api/model/predict/tabular")
    def predict_tabular() -> Response:
        _known_symbol(lab, read_body(TabularRequest).symbol)
        return answer(
            TabularPrediction(
                prediction=None,
                confidence=None,
                model_used=None,
                status="unavailable",
                reason=say("tabular_missing", language()),
                **stamp_of(lab.snapshot).parts,
            )
        )

    @blueprint.post("/api/model/predict/rl")
    def predict_rl() -> Response:
        _known_symbol(lab, read_body(RlRequest).symbol)
        return answer(
            RlPrediction(
                action=None,
                confidence=None,
                model_used=None,
                status="unavailable",
                reason=say("rl_missing", language()),
                **stamp_of(lab.snapshot).parts,
            )
        )


def _known_symbol(lab: GridLab, symbol: str | None) -> None:
    if symbol is not None:
        find_instrument(lab, symbol, Market.SPOT)


def _rl_status(lab: GridLab) -> RlStatus:
    snapshot, texts = lab.snapshot, lab.sentiment_status()
    is_read = lab.sentiment_agent is not None and snapshot.mode is not Mode.REPLAY
    bots = [
        RlBot(symbol=bot.symbol, rl_enabled=False, sentiment_enabled=is_read)
        for _, bot in sorted(snapshot.bots.items())
        if is_active(bot)
    ]
    return RlStatus(
        rl_available=False,
        sentiment_available=texts["status"] == "operational",
        onnx_model_loaded=texts["models"]["onnx"]["loaded"],
        gemma3_model_loaded=texts["models"]["gemma3"]["loaded"],
        active_bots=bots,
        total_active_bots=len(bots),
        reason=say("rl_missing", language()),
        **stamp_of(snapshot).parts,
    )


def _training_status(lab: GridLab) -> TrainingStatus:
    """No step was ever trained, which is a count; rewards were not measured, which is null."""
    return TrainingStatus(
        status="unavailable",
        rl_available=False,
        training=TrainingProgress(
            is_training=False, steps_completed=0, episodes_completed=0, last_trained_at=None
        ),
        performance=TrainingPerformance(
            mean_reward=None, best_reward=None, max_drawdown=None, evaluation_set=None
        ),
        configuration=_training_configuration(lab),
        reason=say("rl_missing", language()),
        **stamp_of(lab.snapshot).parts,
    )


def _training_configuration(lab: GridLab) -> TrainingConfiguration:
    section = lab.settings.config.rl_agent
    weights = section.reward_function
    return TrainingConfiguration(
        algorithm=section.algorithm,
        training_frequency_steps=section.training_frequency_steps,
        retraining_trade_threshold=section.retraining_trade_threshold,
        experience_replay_buffer_size=section.experience_replay_buffer_size,
        state_features=list(section.state_features),
        reward_function=RewardWeights(
            profit_weight=float(weights.profit_weight),
            drawdown_penalty=float(weights.drawdown_penalty),
            inefficiency_penalty=float(weights.inefficiency_penalty),
            market_switch_penalty=float(weights.market_switch_penalty),
        ),
    )
