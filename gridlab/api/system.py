"""Routes about the engine as a whole: status, health, operation mode."""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, Problem, invalid, language
from gridlab.api.messages import say
from gridlab.api.requests import ModeRequest, NoQuery, shortened
from gridlab.api.schemas import (
    ActiveBot,
    AgentShape,
    ApiStatus,
    Health,
    ModeConfirmation,
    OperationMode,
)
from gridlab.api.wire import answer, now_ms, read_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import BotStatus, EngineState, Mode

_ANSWERING = (EngineState.READY, EngineState.FINISHED)
_NEEDS = {
    Mode.REPLAY: "mode_needs_start",
    Mode.SHADOW: "mode_needs_network",
    Mode.TESTNET: "mode_needs_keys",
    Mode.PRODUCTION: "mode_needs_keys",
}


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the system routes on `blueprint`."""

    @blueprint.get("/api/status")
    def status() -> Response:
        read_query(NoQuery)
        return answer(_status(lab))

    @blueprint.get("/api/health")
    def health() -> Response:
        shape = _health(lab)
        return answer(shape, 200 if shape.ready else 503)

    @blueprint.get("/api/operation_mode")
    def operation_mode() -> Response:
        read_query(NoQuery)
        return answer(_modes(lab))

    @blueprint.post("/api/operation_mode")
    def change_operation_mode() -> Response:
        return answer(_change_mode(lab, read_body(ModeRequest).mode))


def _status(lab: GridLab) -> ApiStatus:
    snapshot = lab.snapshot
    stamp = stamp_of(snapshot)
    bots = {
        key: ActiveBot.of(bot, snapshot)
        for key, bot in snapshot.bots.items()
        if bot.status is not BotStatus.STOPPED
    }
    agents = [
        AgentShape(
            name=agent.name,
            state=agent.state,
            heartbeat_age_ms=max(0, now_ms() - agent.heartbeat_ms),
            restarts=agent.restarts,
            last_error=agent.last_error,
        )
        for agent in snapshot.agents
    ]
    return ApiStatus(
        api_status="online",
        active_bots=bots,
        reason=snapshot.reason,
        replay_progress=snapshot.progress,
        replay_speed=snapshot.speed,
        agents=agents,
        **stamp.parts,
    )


def _health(lab: GridLab) -> Health:
    snapshot = lab.snapshot
    stamp = stamp_of(snapshot)
    ages = {"snapshot_ms": stamp.age_ms}
    for agent in snapshot.agents:
        ages[f"{agent.name}_ms"] = max(0, now_ms() - agent.heartbeat_ms)
    return Health(
        live=True,
        ready=snapshot.state in _ANSWERING,
        accepts_orders=snapshot.state is EngineState.READY,
        state=snapshot.state.value,
        reason=snapshot.reason,
        ages=ages,
        **stamp.parts,
    )


def _modes(lab: GridLab) -> OperationMode:
    snapshot = lab.snapshot
    current, tongue = snapshot.mode, language()
    return OperationMode(
        current_mode=current.value,
        available_modes=[current.value],
        description={current.value: say(f"mode_{current.value.lower()}", tongue)},
        unavailable_modes={
            mode.value: say(_NEEDS[mode], tongue, mode=mode.value)
            for mode in Mode
            if mode is not current
        },
        **stamp_of(snapshot).parts,
    )


def _change_mode(lab: GridLab, asked: str) -> ModeConfirmation:
    """The confirmation that the mode is as asked; no mode can be entered by an API call."""
    snapshot = lab.snapshot
    if asked not in tuple(Mode):
        values: dict[str, object] = {"choices": ", ".join(Mode)}
        raise invalid([Problem("mode", "not_choice", values, shortened(asked))])
    mode = Mode(asked)
    if mode is not snapshot.mode:
        raise ApiError(
            409, "mode_unavailable", hint=_NEEDS[mode], mode=asked, current=snapshot.mode.value
        )
    return ModeConfirmation(
        current_mode=mode.value,
        changed=False,
        message=say("mode_unchanged", language(), mode=mode.value),
        **stamp_of(snapshot).parts,
    )
