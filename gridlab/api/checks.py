"""Routes that try something out and say what came of it: a connection, models, a run, a symbol.

A check that finds something missing is a good check, so it answers 200 with what it found.
"""

from __future__ import annotations

from typing import Any, Protocol

from flask import Blueprint, Response

from gridlab.api.ai_models import add_models_route
from gridlab.api.errors import ApiError, language, render, teller
from gridlab.api.messages import say
from gridlab.api.requests import MarketQuery, NoQuery
from gridlab.api.schemas import ErrorBody
from gridlab.api.schemas.checks import (
    ConnectionTest,
    FuturesConnection,
    FuturesLimits,
    SpotConnection,
    SpotLimits,
    SymbolRefusal,
    SymbolValidation,
)
from gridlab.api.shadow import add_shadow_route
from gridlab.api.translation import translate
from gridlab.api.wire import (
    answer,
    answer_by_alias,
    find_instrument,
    read_query,
    read_symbol,
    stamp_of,
)
from gridlab.app.facade import GridLab
from gridlab.clock import iso
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.errors import NotFound


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the checking routes on `blueprint`."""

    @blueprint.get("/api/test/connection")
    def test_connection() -> Response:
        read_query(NoQuery)
        return answer(_connection(lab))

    @blueprint.get("/api/validate/symbol/<symbol>")
    def validate_symbol(symbol: str) -> Response:
        market = read_query(MarketQuery).market_type
        return _validated(lab, read_symbol(symbol), market)

    add_models_route(blueprint, lab)
    add_shadow_route(blueprint, lab)


def _connection(lab: GridLab) -> ConnectionTest:
    """What each market's venue answers now; Replay asks nobody and says so."""
    snapshot = lab.snapshot
    found = lab.probe()
    key = "replay_no_connection" if snapshot.mode is Mode.REPLAY else "no_connection"
    spot, futures = found.get(Market.SPOT), found.get(Market.FUTURES)
    per_10s = None if spot is None else spot.orders_per_10s
    return ConnectionTest(
        binance_spot=SpotConnection(
            **_answered(spot, say(key, language())),
            api_limits=SpotLimits(
                spot_orders_per_second=None if per_10s is None else per_10s // 10,
                spot_orders_per_day=None if spot is None else spot.orders_per_day,
            ),
        ),
        binance_futures=FuturesConnection(
            **_answered(futures, say(key, language())),
            api_limits=FuturesLimits(
                futures_orders_per_minute=None if futures is None else futures.orders_per_minute
            ),
        ),
        operation_mode=snapshot.mode.value,
        **stamp_of(snapshot).parts,
    )


class _Answer(Protocol):
    """What a venue answered, as far as an answer of ours tells it."""

    @property
    def round_trip_ms(self) -> float | None: ...
    @property
    def server_time_ms(self) -> int | None: ...
    @property
    def problem(self) -> str: ...


def _answered(found: _Answer | None, not_asked: str) -> dict[str, Any]:
    """The fields that both markets have."""
    if found is None:
        return {"connected": False, "ping_ms": None, "server_time": None, "reason": not_asked}
    return {
        "connected": not found.problem,
        "ping_ms": found.round_trip_ms,
        "server_time": None if found.server_time_ms is None else iso(found.server_time_ms),
        "reason": teller()(found.problem) or None,
    }


def _validated(lab: GridLab, symbol: str, market: Market) -> Response:
    """The report on a symbol; 404 with `valid: false` beside the error for one that is unknown."""
    try:
        find_instrument(lab, symbol, market)
        report = lab.validate_symbol(symbol, market)
    except (ApiError, NotFound) as error:  # no such symbol, or none that has a price by now
        refusal = render(error)
        body = ErrorBody.model_validate_json(refusal.get_data())
        shape = SymbolRefusal(symbol=symbol, valid=False, market_type=market, error=body.error)
        return answer(shape, refusal.status_code)
    tongue = language()
    reasons = [translate(reason, tongue) for reason in report.reasons]
    return answer_by_alias(SymbolValidation.of(report, reasons, stamp_of(lab.snapshot, report)))
