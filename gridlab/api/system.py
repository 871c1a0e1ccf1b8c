"""Routes about the engine as a whole: status, health, operation mode."""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, Problem, invalid, language, teller
from gridlab.api.messages import say
from gridlab.api.readiness import readiness
from gridlab.api.requests import ModeRequest, NoQuery, shortened
from gridlab.api.schemas import (
    ActiveBot,
    AgentShape,
    ApiStatus,
    Health,
    ModeConfirmation,
    OperationMode,
    VenueShape,
)
from gridlab.api.wire import answer, bot_stamp, now_ms, read_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import BotStatus, Mode, Snapshot

_NEEDS = {
    Mode.REPLAY: "mode_needs_start",
    Mode.SHADOW: "mode_needs_network",
    Mode.TESTNET: "mode_needs_testnet_keys",
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
    snapshot, tell = lab.snapshot, teller()
    stamp = bot_stamp(lab, snapshot, snapshot.bots.values())
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
            last_error=tell(agent.last_error),
        )
        for agent in snapshot.agents
    ]
    return ApiStatus(
        api_status="online",
        active_bots=bots,
        reason=tell(snapshot.reason),
        replay_progress=snapshot.progress,
        replay_speed=snapshot.speed,
        agents=agents,
        venues=_venues(snapshot),
        **stamp.parts,
    )


def _venues(snapshot: Snapshot) -> dict[str, VenueShape]:
    at_ms, tell = now_ms(), teller()
    return {market.value: VenueShape.of(v, at_ms, tell) for market, v in snapshot.venues.items()}


def _health(lab: GridLab) -> Health:
    snapshot, tell = lab.snapshot, teller()
    stamp = stamp_of(snapshot)
    venues = _venues(snapshot)
    judged = readiness(snapshot, now_ms())
    ages = {"snapshot_ms": stamp.age_ms}
    for agent in snapshot.agents:
        ages[f"{agent.name}_ms"] = max(0, now_ms() - agent.heartbeat_ms)
    for market, venue in venues.items():
        ages[f"{market}_stream_ms"] = venue.stream_age_ms
        ages[f"{market}_account_ms"] = venue.account_age_ms
    return Health(
        live=True,
        ready=judged.ready,
        accepts_orders=judged.accepts_orders,
        state=snapshot.state.value,
        reason=tell(snapshot.reason),
        ages=ages,
        venues=venues,
        **stamp.parts,
    )


def _modes(lab: GridLab) -> OperationMode:
    snapshot = lab.snapshot
    current, tongue = snapshot.mode, language()
    access = lab.settings.access
    available = [mode for mode in Mode if mode is current or access.may_enter(mode)]
    return OperationMode(
        current_mode=current.value,
        available_modes=[mode.value for mode in available],
        description={m.value: say(f"mode_{m.value.lower()}", tongue) for m in available},
        unavailable_modes={
            mode.value: say(_NEEDS[mode], tongue, mode=mode.value)
            for mode in Mode
            if mode not in available
        },
        **stamp_of(snapshot).parts,
    )


def _change_mode(lab: GridLab, asked: str) -> ModeConfirmation:
    """Enter a mode that the start gave the right to, and confirm it; no call gives a new right."""
    snapshot = lab.snapshot
    if asked not in tuple(Mode):
        values: dict[str, object] = {"choices": ", ".join(Mode)}
        raise invalid([Problem("mode", "not_choice", values, shortened(asked))])
    mode = Mode(asked)
    current = snapshot.mode
    if mode is not current:
        if not lab.settings.access.may_enter(mode):
            raise ApiError(
                409, "mode_unavailable", hint=_NEEDS[mode], mode=asked, current=current.value
            )
        snapshot = lab.switch_mode(mode)
    said = "mode_unchanged" if mode is current else "mode_changed"
    return ModeConfirmation(
        current_mode=snapshot.mode.value,
        changed=mode is not current,
        message=say(said, language(), mode=mode.value),
        **stamp_of(snapshot).parts,
    )
