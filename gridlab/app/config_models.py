"""The configuration's shape: every documented key, its type and its bounds.

One frozen model for each section; the defaults themselves are in `config.yaml` only. What keys mean
together is checked in `config_rules.py`, where files come from is known to `config.py`.
Numbers are Decimals of the digits that the user typed; booleans and numbers never stand in for each
other. Sections of agents that arrive later are checked now, so that a file stays valid.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gridlab import money
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import MAX_LEVELS, GridSpec
from gridlab.errors import InvalidNumber

MIN_SPACING = Decimal("0.0001")
MAX_SPACING = Decimal("0.2")


def _decimal(value: Any) -> Decimal:
    try:
        return money.parse(value)
    except InvalidNumber:
        raise ValueError("a number is meant, such as 10 or '0.005'") from None


def _mode(value: Any) -> Mode:
    names = {mode.value: mode for mode in Mode} | {"Test": Mode.TESTNET}
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"it must be one of {', '.join(names)}")
    return names[value]


def _market(value: Any) -> Market:
    if not isinstance(value, str) or value not in set(Market):
        raise ValueError(f"it must be one of {', '.join(Market)}")
    return Market(value)


def _fee_mode(value: Any) -> FeeMode:
    if not isinstance(value, str) or value not in set(FeeMode):
        raise ValueError(f"it must be one of {', '.join(FeeMode)}")
    return FeeMode(value)


def _below_the_books(value: str) -> str:
    path = Path(value)
    if path.anchor or ".." in path.parts:
        raise ValueError(
            "it lies in the folder of each mode's books; give a path below that, such as "
            "logs/trades.csv, without .. and not absolute"
        )
    return value


def _spacing(value: Decimal) -> Decimal:
    if MIN_SPACING <= value <= MAX_SPACING:
        return value
    hint = ""
    with money.exact():
        if value > MAX_SPACING and MIN_SPACING <= value / 100 <= MAX_SPACING:
            percent, fraction = money.text(value), money.text(value / 100)
            hint = f"; {percent} looks like a percentage: for {percent} % write '{fraction}'"
    raise ValueError(f"it is a fraction from {MIN_SPACING} to {MAX_SPACING}{hint}")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _time_ms(value: Any) -> int:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(value.timestamp()) * 1000
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("a UTC date such as 2026-03-24T13:00:00Z or UTC milliseconds is meant")


Number: TypeAlias = Annotated[Decimal, BeforeValidator(_decimal)]
Positive: TypeAlias = Annotated[Number, Field(gt=0)]
NotNegative: TypeAlias = Annotated[Number, Field(ge=0)]
Fraction: TypeAlias = Annotated[Number, Field(ge=0, le=1)]
Percentage: TypeAlias = Annotated[Number, Field(ge=0, le=100)]
Score: TypeAlias = Annotated[Number, Field(ge=-1, le=1)]
FeeRate: TypeAlias = Annotated[Number, Field(gt=Decimal("-0.01"), lt=Decimal("0.1"))]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Leverage: TypeAlias = Annotated[int, Field(ge=1, le=125)]
Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
Word: TypeAlias = Annotated[str, Field(min_length=1)]
Symbol: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Symbols: TypeAlias = Annotated[tuple[Symbol, ...], BeforeValidator(_tuple)]
Words: TypeAlias = Annotated[tuple[Word, ...], BeforeValidator(_tuple)]
MarketName: TypeAlias = Annotated[Market, BeforeValidator(_market)]
Purse: TypeAlias = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")], NotNegative], Field(min_length=1)
]
Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(_secret)]
TimeMs: TypeAlias = Annotated[int, BeforeValidator(_time_ms)]


class Section(BaseModel):
    """A frozen section that refuses keys it does not know and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ApiKeys(Section):
    """Binance's credentials; None where the environment has none. Printing shows stars."""

    key: Secret | None
    secret: Secret | None


class ExchangeSection(Section):
    name: Literal["binance"]
    supported_markets: Annotated[
        tuple[MarketName, ...], BeforeValidator(_tuple), Field(min_length=1)
    ]


class SpotGrid(Section):
    """`max_base_asset_allocation`: largest fraction of a pair's capital held as base asset."""

    max_base_asset_allocation: Fraction
    min_order_size_usd: NotNegative


class FuturesGrid(Section):
    leverage: Leverage
    position_side: Literal["BOTH", "LONG", "SHORT"]
    use_isolated_margin: bool
    capital_usd: Positive

    @property
    def settings(self) -> FuturesSettings:
        """What grids assume of the account, and assert at every start and reconciliation."""
        kind = MarginType.ISOLATED if self.use_isolated_margin else MarginType.CROSSED
        return FuturesSettings(leverage=self.leverage, margin_type=kind)


class GridSection(Section):
    """`initial_spacing_perc` is a fraction, in spite of its documented name."""

    initial_levels: Annotated[int, Field(ge=2, le=MAX_LEVELS)]
    initial_spacing_perc: Annotated[Number, AfterValidator(_spacing)]
    leverage: Leverage
    spot: SpotGrid
    futures: FuturesGrid


class MarketAllocation(Section):
    futures_percentage: Percentage
    spot_percentage: Percentage


class Trading(Section):
    allow_market_switching: bool
    capital_per_pair_usd: Positive
    cycle_interval_seconds: Count
    max_concurrent_pairs: Count
    market_allocation: MarketAllocation
    market_switch_cooldown_minutes: NotNegative


class SpotPairs(Section):
    min_liquidity_depth: NotNegative
    preferred_symbols: Symbols


class FuturesPairs(Section):
    min_open_interest_usd: NotNegative
    preferred_symbols: Symbols


class PairSelection(Section):
    min_volume_usd_24h: NotNegative
    min_atr_perc_24h: Percentage
    max_adx: Percentage
    max_spread_perc: Percentage
    update_interval_hours: Positive
    blacklist: Words
    spot_pairs: SpotPairs
    futures_pairs: FuturesPairs


class SpotRisk(Section):
    max_asset_allocation_perc: Percentage
    min_stable_balance_perc: Percentage


class FuturesRisk(Section):
    max_leverage: Leverage
    max_position_size_perc: Percentage
    liquidation_buffer_perc: Percentage


class RiskManagement(Section):
    max_drawdown_perc: Percentage
    tp_sl_ratio: Positive
    loss_protection_trigger_perc: Percentage
    dynamic_sl_profit_lock_perc: Percentage
    api_failure_timeout_minutes: Positive
    spot_risk: SpotRisk
    futures_risk: FuturesRisk


class RewardFunction(Section):
    profit_weight: NotNegative
    drawdown_penalty: NotNegative
    inefficiency_penalty: NotNegative
    market_switch_penalty: NotNegative


class MarketDecision(Section):
    enabled: bool
    market_switch_reward_bonus: NotNegative
    market_consistency_bonus: NotNegative


class RlAgent(Section):
    algorithm: Literal["PPO", "A2C", "DQN"]
    training_frequency_steps: Count
    retraining_trade_threshold: Count
    experience_replay_buffer_size: Count
    state_features: Words
    reward_function: RewardFunction
    market_decision: MarketDecision


class Reddit(Section):
    enabled: bool
    subreddits: Words
    posts_limit_per_subreddit: Count
    comments_limit_per_post: Annotated[int, Field(ge=0)]
    time_filter: Literal["hour", "day", "week", "month", "year", "all"]


class BinanceNews(Section):
    enabled: bool
    fetch_interval_minutes: Positive
    hours_back: Positive
    min_relevance_score: Fraction
    max_news_per_fetch: Count
    include_announcements: bool
    include_general_news: bool
    include_trending: bool


class XSearch(Section):
    """Posts on X; off by default, because the token that it takes costs money."""

    enabled: bool
    fetch_interval_minutes: Positive
    query: Word
    max_results: Annotated[int, Field(ge=10, le=100)]


class SentimentAlerts(Section):
    enabled: bool
    positive_threshold: Score
    negative_threshold: Score
    alert_cooldown_minutes: NotNegative


class RiskAdjustment(Section):
    enabled: bool
    leverage_reduction_threshold: Score
    leverage_reduction_factor: Fraction


class PairFiltering(Section):
    enabled: bool
    min_sentiment_for_new_pair: Score


class Switch(Section):
    enabled: bool


class SentimentAnalysis(Section):
    enabled: bool
    fetch_interval_minutes: Positive
    smoothing_window: Count
    reddit: Reddit
    binance_news: BinanceNews
    x: XSearch
    alerts: SentimentAlerts
    risk_adjustment: RiskAdjustment
    pair_filtering: PairFiltering
    rl_feature: Switch


class AiFeatures(Section):
    market_analysis: bool
    grid_optimization: bool
    sentiment_analysis: bool
    decision_explanation: bool
    report_generation: bool


class ReportGeneration(Section):
    daily_report: bool
    pair_analysis: bool
    performance_summary: bool


class ModelSettings(Section):
    temperature: Annotated[Number, Field(ge=0, le=2)]
    max_tokens: Count
    timeout_seconds: Positive


class ModelPreset(Section):
    model_name: Word
    temperature: Annotated[Number, Field(ge=0, le=2)]
    max_tokens: Count


class AiAgent(Section):
    enabled: bool
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    features: AiFeatures
    analysis_interval_minutes: Positive
    optimization_interval_hours: Positive
    report_generation: ReportGeneration
    model_settings: ModelSettings
    model_presets: dict[str, ModelPreset]


class CacheSection(Section):
    max_size_mb: Positive
    default_ttl: Positive
    enable_prefetching: bool
    enable_compression: bool


class Alerts(Section):
    enabled: bool
    market_switch_alerts: bool
    performance_comparison_alerts: bool


class Logging(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    log_to_console: bool
    log_file: Word
    trade_log_file: Annotated[Word, AfterValidator(_below_the_books)]
    market_performance_log: Word


class Replay(Section):
    """The paper venues, and the recording that Replay plays.

    `speed` is market seconds for each real second, 0 for as fast as it can; the file's `start` and
    `end` are `start_ms` and `end_ms` here.
    """

    speed: NotNegative
    initial_balances: Purse
    initial_futures_balances: Purse
    fee_mode: Annotated[FeeMode, BeforeValidator(_fee_mode)]
    maker_fee: FeeRate
    taker_fee: FeeRate
    futures_maker_fee: FeeRate
    futures_taker_fee: FeeRate
    fee_asset: Word | None
    fee_asset_price: Positive | None
    fill_rule: Literal["touch", "through"]
    participation: Annotated[Number, Field(gt=0, le=1)] | None
    start_ms: TimeMs | None = Field(alias="start")
    end_ms: TimeMs | None = Field(alias="end")

    def fees_on(self, market: Market) -> FeeSchedule:
        """What the paper venue of `market` takes; on futures always in quote, as the exchange."""
        if market is Market.SPOT:
            return self.fees
        return FeeSchedule(self.futures_maker_fee, self.futures_taker_fee, FeeMode.QUOTE)

    def purse(self, market: Market) -> dict[str, Decimal]:
        """What the paper account of `market` holds at its start."""
        return self.initial_balances if market is Market.SPOT else self.initial_futures_balances

    @property
    def fees(self) -> FeeSchedule:
        """What the paper venue takes on spot."""
        if self.fee_mode is not FeeMode.THIRD:
            return FeeSchedule(self.maker_fee, self.taker_fee, self.fee_mode)
        return FeeSchedule(
            self.maker_fee,
            self.taker_fee,
            self.fee_mode,
            self.fee_asset or "",
            self.fee_asset_price or money.ZERO,
        )


class ApiServer(Section):
    """Where the API and the dashboard listen, and whom the API answers; port 0 takes a free one.

    `allowed_hosts` are names besides the loopback ones that requests may be addressed to,
    `allowed_origins` exact origins of other pages that may call it; `require_token` asks for tokens
    even on loopback and without keys.
    """

    host: Word
    port: Port
    dash_port: Port
    require_token: bool
    allowed_hosts: Annotated[tuple[Word, ...], BeforeValidator(_tuple)]
    allowed_origins: Annotated[tuple[Word, ...], BeforeValidator(_tuple)]


class Config(Section):
    """The whole configuration, checked."""

    operation_mode: Annotated[Mode, BeforeValidator(_mode)]
    api: ApiKeys
    exchange: ExchangeSection
    default_market_type: MarketName
    grid: GridSection
    trading: Trading
    pair_selection: PairSelection
    risk_management: RiskManagement
    rl_agent: RlAgent
    sentiment_analysis: SentimentAnalysis
    ai_agent: AiAgent
    cache: CacheSection
    alerts: Alerts
    logging: Logging
    replay: Replay
    api_server: ApiServer

    def capital_on(self, market: Market) -> Decimal:
        """Quote units for one pair on `market`."""
        if market is Market.FUTURES:
            return self.grid.futures.capital_usd
        return self.trading.capital_per_pair_usd

    def spec_for(self, symbol: str, market: Market | None = None) -> GridSpec:
        """The grid that this configuration means for `symbol`, with the paper venue's fees.

        Args:
            market: the market; None for `default_market_type`.
        """
        chosen = market or self.default_market_type
        is_futures = chosen is Market.FUTURES
        with money.exact():
            buffer = self.risk_management.futures_risk.liquidation_buffer_perc / 100
        return GridSpec(
            symbol=symbol,
            levels=self.grid.initial_levels,
            spacing=self.grid.initial_spacing_perc,
            investment=self.capital_on(chosen),
            market=chosen,
            fees=self.replay.fees_on(chosen),
            leverage=self.grid.futures.leverage if is_futures else 1,
            liquidation_buffer=buffer,
        )
