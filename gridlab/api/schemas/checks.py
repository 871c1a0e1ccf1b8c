"""Answers of the checks: connection, local models, a shadow run, one symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Protocol

from pydantic import ConfigDict, Field

from gridlab.api.schemas.base import ErrorObject, Shape, Stamp, percent
from gridlab.domain.market import Instrument, Market, Ticker
from gridlab.domain.plan import GridPlan
from gridlab.money import rounding, text


class SpotLimits(Shape):
    spot_orders_per_second: int | None
    spot_orders_per_day: int | None


class FuturesLimits(Shape):
    futures_orders_per_minute: int | None


class Connection(Shape):
    """One market's connection; null is what was not asked, and `reason` says why."""

    connected: bool
    ping_ms: float | None
    server_time: str | None
    reason: str | None


class SpotConnection(Connection):
    api_limits: SpotLimits


class FuturesConnection(Connection):
    api_limits: FuturesLimits


class ConnectionTest(Stamp):
    """`/api/test/connection`."""

    binance_spot: SpotConnection
    binance_futures: FuturesConnection
    operation_mode: str


class OllamaStatus(Shape):
    """What answered at the configured address just now."""

    running: bool
    base_url: str
    available_models: list[str]
    response_time_ms: int | None
    reason: str | None


class ModelTest(Shape):
    """One listed model; null is what nobody measured."""

    status: Literal["success", "failed", "not_tested"]
    response_time_ms: float | None
    tokens_generated: int | None
    test_sentiment: str | None
    reason: str | None


class AiModelsTest(Stamp):
    """`/api/test/ai_models`.

    `recommended_model` is the first configured preset that is there, `missing_models` are the
    configured ones that are not, `fallback_available` says whether text could be judged without it.
    """

    ollama_status: OllamaStatus
    models_test: dict[str, ModelTest]
    recommended_model: str | None
    fallback_available: bool
    missing_models: list[str]


class CachePerformance(Shape):
    """What the cache spared the venue; `reason` says why a number is null."""

    hit_rate: float | None = None
    api_calls_saved: int | None = None
    reason: str | None = None


class DataQuality(Shape):
    """`indicator_calculations` is `success`, or the reason why there are none."""

    complete_market_states: int
    valid_price_data: bool
    indicator_calculations: str


class ShadowRun(Shape):
    """What one bounded run counted; null is what it did not measure.

    `mode` is Shadow where prices were live, else Replay; `price_source` says whose they were.
    """

    mode: Literal["Replay", "Shadow"]
    price_source: str
    duration_seconds: float
    market_data_collected: int
    simulated_trades: int
    rl_actions_generated: int
    cache_performance: CachePerformance
    data_quality: DataQuality


class ShadowTest(Stamp):
    """`/api/test/shadow_mode`: `success` when every market state was whole, else `incomplete`."""

    shadow_test: ShadowRun
    test_status: Literal["success", "incomplete"]
    recommendations: list[str]
    job_id: str


class SymbolInfo(Shape):
    """The venue's rules; every number is text, as the venue writes them."""

    status: str
    base_asset: str
    quote_asset: str
    min_order_size: str
    tick_size: str
    min_notional: str
    lot_size: str
    max_order_size: str
    max_num_orders: int

    @classmethod
    def of(cls, rules: Instrument) -> SymbolInfo:
        return cls(
            status=rules.status,
            base_asset=rules.base,
            quote_asset=rules.quote,
            min_order_size=text(rules.min_quantity),
            tick_size=text(rules.tick_size),
            min_notional=text(rules.min_notional),
            lot_size=text(rules.lot_size),
            max_order_size=text(rules.max_quantity),
            max_num_orders=rules.max_num_orders,
        )


class GridRecommendations(Shape):
    """The smallest grid of the configured shape that the venue takes; spacing in percent."""

    suggested_levels: int
    suggested_spacing: float
    min_capital_needed: float
    grid_range: str
    quantity: float
    profit_per_grid_min_perc: float

    @classmethod
    def of(cls, plan: GridPlan) -> GridRecommendations:
        return cls(
            suggested_levels=plan.spec.levels,
            suggested_spacing=float(percent(_spacing_of(plan))),
            min_capital_needed=float(plan.capital_needed),
            grid_range=f"{text(plan.lines[0])} - {text(plan.lines[-1])}",
            quantity=float(plan.quantity),
            profit_per_grid_min_perc=float(percent(plan.profit_min)),
        )


class AnySymbolReport(Protocol):
    """What an answer needs of a symbol's report."""

    @property
    def symbol(self) -> str: ...
    @property
    def market(self) -> Market: ...
    @property
    def instrument(self) -> Instrument: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def ticker(self) -> Ticker: ...
    @property
    def recommended(self) -> GridPlan | None: ...
    @property
    def suitable(self) -> bool: ...


class SymbolValidation(Stamp):
    """`/api/validate/symbol`.

    `24h_volume` is in the quote asset, as text, and null where the recording lacks it;
    `window_ms` is how much of the 24 hours it covers. Without `grid_recommendations` no grid of the
    configured shape can start, and `reasons` says why.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, populate_by_name=True)

    symbol: str
    valid: Literal[True]
    market_type: Market
    symbol_info: SymbolInfo
    current_price: float
    volume_24h: str | None = Field(alias="24h_volume")
    base_volume_24h: str
    window_ms: int
    suitable_for_grid: bool
    grid_recommendations: GridRecommendations | None
    reasons: list[str]

    @classmethod
    def of(cls, report: AnySymbolReport, reasons: list[str], stamp: Stamp) -> SymbolValidation:
        volume = report.ticker.quote_volume
        plan = report.recommended
        fields: dict[str, Any] = {
            "symbol": report.symbol,
            "valid": True,
            "market_type": report.market,
            "symbol_info": SymbolInfo.of(report.instrument),
            "current_price": float(report.price),
            "24h_volume": None if volume is None else text(volume),
            "base_volume_24h": text(report.ticker.volume),
            "window_ms": report.ticker.window_ms,
            "suitable_for_grid": report.suitable,
            "grid_recommendations": None if plan is None else GridRecommendations.of(plan),
            "reasons": reasons,
        }
        return cls.model_validate({**fields, **stamp.parts})


class SymbolRefusal(Shape):
    """A symbol that is not traded here, beside the error object; status 404."""

    symbol: str
    valid: Literal[False]
    market_type: Market
    error: ErrorObject


def _spacing_of(plan: GridPlan) -> Decimal:
    """The fraction between neighbouring lines: as asked for, else the mean of the laid lines."""
    if plan.spec.spacing is not None:
        return plan.spec.spacing
    with rounding():
        steps = plan.spec.levels
        return (plan.lines[-1] / plan.lines[0]) ** (Decimal(1) / steps) - 1
