"""Routes that validate, start, stop and describe grids."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, Response

from gridlab.api.errors import ApiError, Problem, invalid, language, teller
from gridlab.api.messages import say
from gridlab.api.requests import GridConfig, GridRequest, NoQuery, StopRequest, examine
from gridlab.api.schemas import (
    CalculatedParams,
    ConfigAnswer,
    GridStarted,
    GridStatus,
    GridStopped,
    RecoveryStatus,
    finding_shape,
    grid_state,
    is_active,
)
from gridlab.api.translation import translate
from gridlab.api.wire import (
    answer,
    bot_stamp,
    find_instrument,
    read_body,
    read_json,
    read_query,
    read_symbol,
    stamp_of,
    unknown_symbol,
)
from gridlab.app.facade import GridLab
from gridlab.clock import iso
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.plan import GridPlan, Severity
from gridlab.domain.snapshot import BotSnapshot, BotStatus
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec, NotFound
from gridlab.money import rounding, text


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the grid routes on `blueprint`."""

    @blueprint.post("/api/grid/config")
    def grid_config() -> Response:
        return answer(_validate(lab))

    @blueprint.post("/api/grid/start")
    def grid_start() -> Response:
        return answer(_start(lab), 201)

    @blueprint.post("/api/grid/stop")
    def grid_stop() -> Response:
        asked = read_body(StopRequest)
        return answer(_stop(lab, asked.symbol, asked.policy))

    @blueprint.get("/api/grid/status/<symbol>")
    def grid_status(symbol: str) -> Response:
        read_query(NoQuery)
        bot = find_bot(lab, read_symbol(symbol))
        snapshot = lab.snapshot
        stamp = bot_stamp(lab, snapshot, [bot])
        return answer(GridStatus.of_bot(bot, snapshot, stamp, teller()))

    @blueprint.get("/api/grid/recovery_status/<symbol>")
    def grid_recovery_status(symbol: str) -> Response:
        read_query(NoQuery)
        return answer(_recovery(lab, find_bot(lab, read_symbol(symbol))))


def find_bot(lab: GridLab, symbol: str) -> BotSnapshot:
    """The bot on `symbol`; raises `ApiError` 404 in words."""
    bot = lab.snapshot.bots.get(symbol)
    if bot is None:
        find_instrument(lab, symbol, Market.SPOT)
        raise ApiError(404, "bot_none", code="bot_not_found", hint="bot_none_hint", symbol=symbol)
    return bot


def asked_grid(lab: GridLab) -> GridSpec:
    """The body as a spec; raises `ApiError` with every problem, an unknown symbol included."""
    sent = read_json()
    asked, problems = examine(GridRequest, sent)
    if asked is not None:
        found = symbol_problem(lab, asked.symbol, asked.config.market_type)
        problems = [found] if found else range_problems(lab, asked)
        if not problems:
            return spec_of(lab, asked.symbol, asked.config)
    elif not any(problem.field == "symbol" for problem in problems):
        found = symbol_problem(lab, str(sent["symbol"]).upper(), _market_of(sent.get("config")))
        problems = ([found] if found else []) + problems
    raise invalid(problems, "config_invalid")


def _market_of(config: object) -> Market:
    """The market that a faulty configuration names, or spot."""
    named = config.get("market_type") if isinstance(config, dict) else None
    return Market.FUTURES if named == Market.FUTURES.value else Market.SPOT


def symbol_problem(lab: GridLab, symbol: str, market: Market) -> Problem | None:
    try:
        lab.instrument(symbol, market)
    except NotFound:
        return unknown_symbol(lab, symbol, market)
    return None


def range_problems(lab: GridLab, asked: GridRequest) -> list[Problem]:
    """Prices that the venue takes from nobody."""
    rules = lab.instrument(asked.symbol, asked.config.market_type)
    low, high = asked.config.lower_price, asked.config.upper_price
    problems = []
    if low is not None and low < rules.min_price:
        limit = {"limit": text(rules.min_price)}
        problems.append(Problem("config.lower_price", "at_least", limit, text(low)))
    if high is not None and high > rules.max_price:
        limit = {"limit": text(rules.max_price)}
        problems.append(Problem("config.upper_price", "at_most", limit, text(high)))
    return problems


def spec_of(lab: GridLab, symbol: str, config: GridConfig) -> GridSpec:
    """The domain's spec; without a size, the configured one for this symbol."""
    default = lab.default_spec(symbol, config.market_type)
    quantity, investment = config.quantity, config.investment
    if quantity is None and investment is None:
        quantity, investment = default.quantity, default.investment
    return GridSpec(
        symbol=symbol,
        levels=config.initial_levels,
        spacing=None if config.spacing_perc is None else _fraction(config.spacing_perc),
        lower=config.lower_price,
        upper=config.upper_price,
        quantity=quantity,
        investment=investment,
        mode=config.grid_mode,
        market=config.market_type,
        fees=default.fees,
        leverage=default.leverage,
        liquidation_buffer=default.liquidation_buffer,
    )


def _fraction(percentage: Decimal) -> Decimal:
    with rounding():
        return percentage / 100


def _planned(lab: GridLab, spec: GridSpec) -> GridPlan:
    """The plan of a grid that may start; raises with every rule that forbids it."""
    try:
        plan = lab.preflight(spec)
    except NotFound as error:  # the symbol exists, yet has no price at this market time
        raise invalid([Problem("symbol", text=str(error))], "config_invalid") from None
    if not plan.ok:
        raise InvalidSpec(*(f.message for f in plan.findings if f.severity is Severity.FAIL))
    return plan


def _validate(lab: GridLab) -> ConfigAnswer:
    plan = _planned(lab, asked_grid(lab))
    tongue = language()
    findings = [finding_shape(f, translate(f.message, tongue)) for f in plan.findings]
    return ConfigAnswer(
        valid=True,
        message=say("config_valid", tongue),
        calculated_params=CalculatedParams.of(plan, findings),
        **stamp_of(lab.snapshot).parts,
    )


def _start(lab: GridLab) -> GridStarted:
    spec = asked_grid(lab)
    running = lab.snapshot.bots.get(spec.symbol)
    if running is not None and is_active(running):
        raise ApiError(409, "bot_running", hint="bot_running_hint", symbol=spec.symbol)
    _planned(lab, spec)
    bot = lab.start_grid(spec)
    snapshot = lab.snapshot
    stamp = bot_stamp(lab, snapshot, [bot])
    return GridStarted(
        status="started",
        message=say("grid_started", language(), symbol=bot.symbol),
        symbol=bot.symbol,
        market_type=bot.market.value,
        run=bot.run,
        grid=GridStatus.of_bot(bot, snapshot, stamp, teller()),
        **stamp.parts,
    )


def _stop(lab: GridLab, symbol: str, policy: StopPolicy) -> GridStopped:
    if find_bot(lab, symbol).status is BotStatus.STOPPED:
        raise ApiError(409, "bot_already_stopped", symbol=symbol)
    bot = lab.stop_grid(symbol, policy)
    snapshot = lab.snapshot
    stamp = bot_stamp(lab, snapshot, [bot])
    is_over = bot.status is not BotStatus.STOPPING
    return GridStopped(
        status="stopped" if is_over else "stopping",
        message=say("grid_stopped" if is_over else "grid_stopping", language(), symbol=symbol),
        symbol=symbol,
        policy=policy.value,
        grid=GridStatus.of_bot(bot, snapshot, stamp, teller()),
        **stamp.parts,
    )


def _recovery(lab: GridLab, bot: BotSnapshot) -> RecoveryStatus:
    done, tongue = bot.recovery, language()
    message = say("not_recovered", tongue)
    if done is not None and done.recovered:
        message = say(
            "recovered",
            tongue,
            events=done.events_replayed,
            orders=done.orders_checked,
            fills=done.fills_found,
            resent=done.orders_resent,
        )
    return RecoveryStatus(
        symbol=bot.symbol,
        status=grid_state(bot),
        phase=bot.status.value,
        recovered=done is not None and done.recovered,
        message=message,
        recovered_at=None if done is None else iso(done.time_ms),
        events_replayed=0 if done is None else done.events_replayed,
        orders_checked=0 if done is None else done.orders_checked,
        fills_found=0 if done is None else done.fills_found,
        orders_resent=0 if done is None else done.orders_resent,
        **stamp_of(lab.snapshot).parts,
    )
