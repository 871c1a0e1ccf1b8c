"""Keys that are checked and that nothing obeys yet, so that nobody trusts a limit that is none.

The document that the keys come from describes agents that are not all here. A file that sets their
keys is valid and stays so; what it sets to something else than the default, in vain, is told by
`gridlab doctor` and at the start.
"""

from __future__ import annotations

from typing import Final

from gridlab.app.config_models import Config

#: What would stop a grid or keep it small. Without them no grid ends by itself at a loss.
UNOBEYED_LIMITS: Final = (
    "grid.spot.max_base_asset_allocation",
    "risk_management.max_drawdown_perc",
    "risk_management.tp_sl_ratio",
    "risk_management.loss_protection_trigger_perc",
    "risk_management.dynamic_sl_profit_lock_perc",
    "risk_management.api_failure_timeout_minutes",
    "risk_management.spot_risk.max_asset_allocation_perc",
    "risk_management.spot_risk.min_stable_balance_perc",
    "risk_management.futures_risk.max_position_size_perc",
)
#: Everything else; a section's name stands for all of its keys.
UNOBEYED_REST: Final = (
    "grid.leverage",
    "trading.allow_market_switching",
    "trading.market_allocation",
    "trading.market_switch_cooldown_minutes",
    "pair_selection.update_interval_hours",
    "rl_agent",
    "sentiment_analysis.rl_feature",
    "ai_agent.report_generation.pair_analysis",
    "alerts",
    "logging.market_performance_log",
)


def limits_in_words() -> str:
    """What a user must know before real money: which limits of the configuration do not hold."""
    names = ", ".join(UNOBEYED_LIMITS)
    return (
        f"nothing obeys these keys yet: {names}. No grid stops by itself at a loss; watch it, and "
        "stop it yourself (POST /api/grid/stop, or the kill switch: POST /api/kill)"
    )


def set_in_vain(config: Config, defaults: Config) -> tuple[str, ...]:
    """The keys and sections that nothing obeys, and that differ from the packaged defaults.

    One that a file sets to the default's own value is not among them.
    """
    return tuple(
        name
        for name in (*UNOBEYED_LIMITS, *UNOBEYED_REST)
        if value_at(config, name) != value_at(defaults, name)
    )


def value_at(config: Config, name: str) -> object:
    """The key's value, or the section, by its dotted name."""
    found: object = config
    for part in name.split("."):
        found = getattr(found, part)
    return found
