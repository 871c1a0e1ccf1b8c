"""The engine as a whole: status, health, operation mode."""

from __future__ import annotations

from typing import Literal

from gridlab.api.schemas.base import Say, Shape, Stamp
from gridlab.api.schemas.bots import GridState, grid_state, uptime
from gridlab.domain.snapshot import BotSnapshot, Snapshot, VenueHealth


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


class VenueShape(Shape):
    """One market's venue; ages by the machine's clock.

    `foreign_orders` are open orders that are not ours: they are told, and never touched.
    """

    state: str
    reason: str
    stream_age_ms: int
    account_age_ms: int
    foreign_orders: int

    @classmethod
    def of(cls, venue: VenueHealth, now_ms: int, say: Say) -> VenueShape:
        return cls(
            state=venue.state,
            reason=say(venue.reason),
            stream_age_ms=max(0, now_ms - venue.last_message_ms),
            account_age_ms=max(0, now_ms - venue.account_ms),
            foreign_orders=venue.foreign_orders,
        )


class ApiStatus(Stamp):
    """`/api/status`; `venues` by market."""

    api_status: Literal["online"]
    active_bots: dict[str, ActiveBot]
    reason: str
    replay_progress: float | None
    replay_speed: float
    agents: list[AgentShape]
    venues: dict[str, VenueShape]


class Health(Stamp):
    """`/api/health`: `live` answers at all, `ready` has a full picture, `accepts_orders` trades.

    A venue whose stream is silent or not caught up leaves the picture incomplete, and an engine
    that is `stale` has none. What is not ready is answered 503.
    """

    live: Literal[True]
    ready: bool
    accepts_orders: bool
    state: str
    reason: str
    ages: dict[str, int]
    venues: dict[str, VenueShape]


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
