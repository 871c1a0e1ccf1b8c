"""Routes that look before a grid starts, and that stop everything."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response

from gridlab.api.errors import Problem, invalid, language, teller
from gridlab.api.grid import asked_grid
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.requests_tools import KillRequest, NoBody
from gridlab.api.schemas import CalculatedParams, GridStatus, finding_shape
from gridlab.api.schemas.control import Killed, KillState, Preflight, Revived
from gridlab.api.translation import translate
from gridlab.api.wire import answer, bot_stamp, read_optional_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import BotSnapshot, EngineState
from gridlab.errors import NotFound


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the control routes on `blueprint`."""

    @blueprint.post("/api/preflight")
    def preflight() -> Response:
        return answer(_preflight(lab))

    @blueprint.get("/api/kill")
    def kill_state() -> Response:
        read_query(NoQuery)
        return answer(_state(lab))

    @blueprint.post("/api/kill")
    def kill() -> Response:
        return answer(_kill(lab, read_optional_body(KillRequest).reason))

    @blueprint.post("/api/revive")
    def revive() -> Response:
        read_optional_body(NoBody)
        return answer(_revive(lab))


def _preflight(lab: GridLab) -> Preflight:
    """The plan with every rule, whether or not the grid may start; changes nothing."""
    spec = asked_grid(lab)
    try:
        plan = lab.preflight(spec)
    except NotFound as error:  # the symbol exists, yet has no price at this market time
        raise invalid([Problem("symbol", text=str(error))]) from None
    tongue = language()
    findings = [finding_shape(f, translate(f.message, tongue)) for f in plan.findings]
    return Preflight(
        ok=plan.ok,
        symbol=spec.symbol,
        market_type=spec.market.value,
        message=say("config_valid" if plan.ok else "config_invalid", tongue),
        plan=CalculatedParams.of(plan, findings),
        **stamp_of(lab.snapshot).parts,
    )


def _state(lab: GridLab) -> KillState:
    snapshot = lab.snapshot
    return KillState(
        killed=bool(snapshot.killed),
        reason=teller()(snapshot.killed) or None,
        message=_words(snapshot.killed),
        **stamp_of(snapshot).parts,
    )


def _words(killed: str) -> str:
    if killed:
        return say("killed_already", language(), reason=teller()(killed))
    return say("alive", language())


def _kill(lab: GridLab, reason: str) -> Killed:
    found = lab.kill(reason)
    snapshot, tell = lab.snapshot, teller()
    pending = [bot for bot in found if bot.may_trade]
    stopped = [bot for bot in found if not bot.may_trade]

    def shape(bot: BotSnapshot) -> GridStatus:
        return GridStatus.of_bot(bot, snapshot, bot_stamp(lab, snapshot, [bot]), tell)

    return Killed(
        killed=True,
        reason=tell(snapshot.killed or reason),
        message=_killed_words(snapshot.state, len(stopped), pending),
        stopped=[shape(bot) for bot in stopped],
        pending=[shape(bot) for bot in pending],
        **bot_stamp(lab, snapshot, found).parts,
    )


def _killed_words(state: EngineState, stopped: int, pending: Sequence[BotSnapshot]) -> str:
    if state not in (EngineState.READY, EngineState.FINISHED):
        return say("killed_before_recovery", language(), state=state)
    if pending:
        symbols = ", ".join(bot.symbol for bot in pending)
        return say("killed_pending", language(), count=stopped, symbols=symbols)
    return say("killed", language(), count=stopped)


def _revive(lab: GridLab) -> Revived:
    was_killed = bool(lab.snapshot.killed)
    lab.revive()
    return Revived(
        killed=False,
        reason=None,
        message=say("revived" if was_killed else "alive", language()),
        changed=was_killed,
        **stamp_of(lab.snapshot).parts,
    )
