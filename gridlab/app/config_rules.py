"""What the configuration's keys must mean together; each broken rule is one sentence.

Types and single bounds are checked in `config_models.py` before this. Reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gridlab.app.config_models import Config
from gridlab.domain.market import FeeMode, Market
from gridlab.domain.snapshot import Mode
from gridlab.money import ZERO, exact, text


def problems_of(config: Config) -> tuple[str, ...]:
    """Every rule that `config` breaks; empty when it is sound."""
    with exact():
        return tuple(problem for rule in _RULES for problem in rule(config))


def _capital(config: Config) -> Iterator[str]:
    if config.default_market_type is not Market.SPOT:
        return
    levels, least = config.grid.initial_levels, config.grid.spot.min_order_size_usd
    capital = config.trading.capital_per_pair_usd
    if capital < levels * least:
        affordable = int(capital // least)
        fewer = f", or lower grid.initial_levels to {affordable}" if affordable >= 2 else ""
        yield (
            f"trading.capital_per_pair_usd is {text(capital)}, but {levels} levels of at least "
            f"{text(least)} USD (grid.spot.min_order_size_usd) need {text(levels * least)}; raise "
            f"the capital{fewer}"
        )


def _paper_money(config: Config) -> Iterator[str]:
    """Every pair that may run at once must be payable from the paper account's largest purse."""
    if config.operation_mode not in (Mode.REPLAY, Mode.SHADOW):
        return
    for market, purse, capital in (
        (Market.SPOT, "replay.initial_balances", "trading.capital_per_pair_usd"),
        (Market.FUTURES, "replay.initial_futures_balances", "grid.futures.capital_usd"),
    ):
        needed = config.capital_on(market)
        largest = max(config.replay.purse(market).values(), default=ZERO)
        if largest < needed:
            yield (
                f"{purse} holds at most {text(largest)} of an asset, less than {capital} of "
                f"{text(needed)}; raise the one or lower the other"
            )


def _allocation(config: Config) -> Iterator[str]:
    split = config.trading.market_allocation
    total = split.futures_percentage + split.spot_percentage
    if total != 100:
        yield (
            f"trading.market_allocation adds up to {text(total)} (futures "
            f"{text(split.futures_percentage)} + spot {text(split.spot_percentage)}); "
            "it must be 100"
        )
    spot = config.risk_management.spot_risk
    total = spot.max_asset_allocation_perc + spot.min_stable_balance_perc
    if total > 100:
        yield (
            f"risk_management.spot_risk promises {text(total)} % of the account ("
            f"assets {text(spot.max_asset_allocation_perc)} + stable "
            f"{text(spot.min_stable_balance_perc)}); lower one, so that they add up to 100 at most"
        )


def _leverage(config: Config) -> Iterator[str]:
    limit = config.risk_management.futures_risk.max_leverage
    for name, value in (
        ("grid.leverage", config.grid.leverage),
        ("grid.futures.leverage", config.grid.futures.leverage),
    ):
        if value > limit:
            yield (
                f"{name} is {value}, above risk_management.futures_risk.max_leverage of {limit}; "
                "lower the one or raise the other"
            )


def _markets(config: Config) -> Iterator[str]:
    if config.default_market_type not in config.exchange.supported_markets:
        markets = ", ".join(config.exchange.supported_markets)
        yield (
            f"default_market_type is {config.default_market_type}, which is not among "
            f"exchange.supported_markets ({markets}); add it there or choose another"
        )


def _sentiment(config: Config) -> Iterator[str]:
    alerts = config.sentiment_analysis.alerts
    if alerts.negative_threshold >= alerts.positive_threshold:
        yield (
            f"sentiment_analysis.alerts.negative_threshold is {text(alerts.negative_threshold)}; "
            f"it must be below positive_threshold, which is {text(alerts.positive_threshold)}"
        )


def _credentials(config: Config) -> Iterator[str]:
    """Testnet's keys have variables of their own, and can come with the twin's addresses."""
    if config.operation_mode is not Mode.PRODUCTION:
        return
    for name in ("key", "secret"):
        if getattr(config.api, name) is None:
            yield (
                f"operation_mode is {config.operation_mode}, which needs api.{name}; set the "
                "environment variable that it names"
            )


def _position_side(config: Config) -> Iterator[str]:
    side = config.grid.futures.position_side
    if side != "BOTH":
        yield (
            f"grid.futures.position_side is {side}, which is one half of hedge mode; grids trade "
            "one net position a symbol (one-way mode), so set BOTH"
        )


def _recording(config: Config) -> Iterator[str]:
    replay = config.replay
    if (
        replay.start_ms is not None
        and replay.end_ms is not None
        and replay.start_ms >= replay.end_ms
    ):
        yield (
            f"replay.start is {replay.start_ms} ms and replay.end {replay.end_ms} ms; the start "
            "must come before the end"
        )
    named = (replay.fee_asset is not None, replay.fee_asset_price is not None)
    if replay.fee_mode is FeeMode.THIRD and not all(named):
        yield (
            "replay.fee_mode is third, which needs replay.fee_asset (such as BNB) and "
            "replay.fee_asset_price (in quote units)"
        )
    if replay.fee_mode is not FeeMode.THIRD and any(named):
        yield (
            f"replay.fee_asset and fee_asset_price serve only fee_mode third, and it is "
            f"{replay.fee_mode}; set them to null or change the mode"
        )


def _ports(config: Config) -> Iterator[str]:
    server = config.api_server
    if server.port and server.port == server.dash_port:
        yield f"api_server.port and dash_port are both {server.port}; give them different ports"


_RULES: tuple[Callable[[Config], Iterator[str]], ...] = (
    _capital,
    _paper_money,
    _allocation,
    _leverage,
    _position_side,
    _markets,
    _sentiment,
    _credentials,
    _recording,
    _ports,
)
