"""The engine as a whole: status, health, operation mode."""

from __future__ import annotations

from typing import Literal

from gridlab.api.schemas.base import Shape, Stamp
from gridlab.api.schemas.bots import GridState, grid_state, uptime
from gridlab.domain.snapshot import BotSnapshot, Snapshot


class ActiveBot(Shape):
    """One bot in `/api/status`."""

    status: GridState
    current_price: float
    grid_levels: int
    active_orders: int
    uptime: str
    phase: str
    market_type: str
    total_trades: int
    total_pnl: float

    @classmethod
    def of(cls, bot: BotSnapshot, snapshot: Snapshot) -> ActiveBot:
        return cls(
            status=grid_state(bot),
            current_price=float(snapshot.prices.get((bot.market, bot.symbol), bot.price)),
            grid_levels=bot.levels,
            active_orders=len(bot.open_orders),
            uptime=uptime(bot, snapshot),
            phase=bot.status.value,
            market_type=bot.market.value,
            total_trades=bot.trade_count,
            total_pnl=float(bot.money.total),
        )


class AgentShape(Shape):
    name: str
    state: str
    heartbeat_age_ms: int
    restarts: int
    last_error: str


class ApiStatus(Stamp):
    """`/api/status`."""

    api_status: Literal["online"]
    active_bots: dict[str, ActiveBot]
    reason: str
    replay_progress: float | None
    replay_speed: float
    agents: list[AgentShape]


class Health(Stamp):
    """`/api/health`: `live` answers at all, `ready` has a full picture, `accepts_orders` trades."""

    live: Literal[True]
    ready: bool
    accepts_orders: bool
    state: str
    reason: str
    ages: dict[str, int]


class OperationMode(Stamp):
    """`/api/operation_mode`; `unavailable_modes` says what each missing mode needs."""

    current_mode: str
    available_modes: list[str]
    description: dict[str, str]
    unavailable_modes: dict[str, str]


class ModeConfirmation(Stamp):
    current_mode: str
    changed: bool
    message: str
