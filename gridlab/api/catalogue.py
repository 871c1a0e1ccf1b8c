"""What is said of a route, and the routes of the engine, the market, grids and trading.

One entry says who may call a route, what it takes and what it gives; `register` has all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from gridlab.api import schemas
from gridlab.api.requests import (
    GridRequest,
    KlinesQuery,
    MarketQuery,
    ModeRequest,
    NoQuery,
    PairsQuery,
    RequestShape,
    StopRequest,
    StreamQuery,
    TradesQuery,
)
from gridlab.api.schemas.pairs import PairSelection
from gridlab.api.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Args:
        answer: the shape of the answer, or `list[Shape]`; None where it is no JSON of ours.
        media: the answer's type.
        status: of a good answer.
        errors: statuses beyond those that every route can give.
        refusal: the shape of a 400.
        unready: the shape of a 503 that the route itself gives.
        example: what to send: the fields of the body, or of the query and the path.
        is_shared: one answer serves every caller while the engine has not published a new step.
        is_tagged: the answer has an ETag and may be answered 304.
    """

    scope: Scope
    tag: str
    summary: str
    answer: Any = None
    query: type[RequestShape] = NoQuery
    body: type[RequestShape] | None = None
    media: str = "application/json"
    status: int = 200
    errors: tuple[int, ...] = ()
    refusal: Any = schemas.ErrorBody
    unready: Any = schemas.ErrorBody
    example: Mapping[str, Any] = field(default_factory=dict)
    is_shared: bool = False
    is_tagged: bool = False


_SYMBOL = MappingProxyType({"symbol": "BTCUSDT"})
_GRID = MappingProxyType(
    {
        "symbol": "BTCUSDT",
        "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
    }
)


def _page(summary: str) -> Route:
    return Route(scope=Scope.OPEN, tag="pages", summary=summary, media="text/html")


_SYSTEM: Final[dict[str, Route]] = {
    "status": Route(
        scope=Scope.READ,
        tag="system",
        summary="The engine and its active bots",
        answer=schemas.ApiStatus,
        is_shared=True,
    ),
    "health": Route(
        scope=Scope.READ,
        tag="system",
        summary="Live, ready, and how old everything is",
        answer=schemas.Health,
        unready=schemas.Health,
    ),
    "operation_mode": Route(
        scope=Scope.READ,
        tag="system",
        summary="The present mode, and what each other one needs",
        answer=schemas.OperationMode,
    ),
    "change_operation_mode": Route(
        scope=Scope.ADMIN,
        tag="system",
        summary="Confirm the mode, or enter another that the start command gave the right to",
        body=ModeRequest,
        answer=schemas.ModeConfirmation,
        errors=(409, 503),
        example={"mode": "Shadow"},
    ),
    "stream": Route(
        scope=Scope.READ,
        tag="system",
        summary="Server-sent events; after a gap or a new mode a `resync` has everything",
        query=StreamQuery,
        media="text/event-stream",
        example={"topics": "bots,fills"},
    ),
    "prometheus": Route(
        scope=Scope.READ,
        tag="system",
        summary="Figures for Prometheus, in its text format",
        media="text/plain",
    ),
    "openapi_document": Route(
        scope=Scope.READ, tag="system", summary="This document", answer=dict[str, Any]
    ),
}
_MARKET: Final[dict[str, Route]] = {
    "market_data": Route(
        scope=Scope.READ,
        tag="market",
        summary="The 24 h ticker of every symbol that has a price",
        query=MarketQuery,
        answer=list[schemas.TickerShape],
        is_shared=True,
    ),
    "klines": Route(
        scope=Scope.READ,
        tag="market",
        summary="Candles, oldest first; the last one may still be open",
        query=KlinesQuery,
        answer=schemas.Candles,
        errors=(404,),
        example={"symbol": "BTCUSDT", "interval": "1h", "limit": 100},
        is_shared=True,
        is_tagged=True,
    ),
}
_GRIDS: Final[dict[str, Route]] = {
    "grid_config": Route(
        scope=Scope.TRADE,
        tag="grid",
        summary="Check a grid and show what it would place; changes nothing",
        body=GridRequest,
        answer=schemas.ConfigAnswer,
        errors=(404,),
        refusal=schemas.ConfigRefusal,
        example=_GRID,
    ),
    "grid_start": Route(
        scope=Scope.TRADE,
        tag="grid",
        summary="Start a grid; answers once its start is journalled",
        body=GridRequest,
        answer=schemas.GridStarted,
        status=201,
        errors=(404, 409),
        refusal=schemas.ConfigRefusal,
        example=_GRID,
    ),
    "grid_stop": Route(
        scope=Scope.TRADE,
        tag="grid",
        summary="Stop a grid and cancel its orders",
        body=StopRequest,
        answer=schemas.GridStopped,
        errors=(404, 409),
        example=_SYMBOL,
    ),
    "grid_status": Route(
        scope=Scope.READ,
        tag="grid",
        summary="One bot with its orders, money and vacancies",
        answer=schemas.GridStatus,
        errors=(404,),
        example=_SYMBOL,
        is_shared=True,
    ),
    "grid_recovery_status": Route(
        scope=Scope.READ,
        tag="grid",
        summary="What the last start of the engine found and did for one bot",
        answer=schemas.RecoveryStatus,
        errors=(404,),
        example=_SYMBOL,
    ),
}
_TRADING: Final[dict[str, Route]] = {
    "trading_executions": Route(
        scope=Scope.READ,
        tag="trading",
        summary="Every bot with its orders and money, active ones first",
        answer=schemas.Executions,
        is_shared=True,
    ),
    "trading_pairs": Route(
        scope=Scope.READ,
        tag="trading",
        summary="Every symbol that has a price, and whether a bot trades it",
        query=MarketQuery,
        answer=list[schemas.Pair],
        is_shared=True,
    ),
    "trades": Route(
        scope=Scope.READ,
        tag="trading",
        summary="Our latest trades on a symbol, oldest first",
        query=TradesQuery,
        answer=list[schemas.TradeShape],
        errors=(404,),
        example=_SYMBOL,
        is_shared=True,
    ),
    "pair_table": Route(
        scope=Scope.READ,
        tag="trading",
        summary="Every symbol against the filters of pair selection, and by how much it failed",
        query=PairsQuery,
        answer=PairSelection,
        errors=(404, 503),
        is_shared=True,
    ),
    "balance": Route(
        scope=Scope.READ,
        tag="account",
        summary="What the account holds",
        answer=schemas.AccountBalance,
        is_shared=True,
    ),
    "balance_summary": Route(
        scope=Scope.READ,
        tag="account",
        summary="The account in USDT",
        answer=schemas.BalanceSummary,
        is_shared=True,
    ),
}
_PAGES: Final[dict[str, Route]] = {
    "static": Route(
        scope=Scope.OPEN, tag="pages", summary="Scripts and styles of the pages", media="*/*"
    ),
    "home": _page("The status page"),
    "test_page": _page("A page that tries every endpoint"),
    "docs_page": _page("This API's documentation"),
}

#: Endpoint name to its route.
BASE_ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {**_SYSTEM, **_MARKET, **_GRIDS, **_TRADING, **_PAGES}
)
