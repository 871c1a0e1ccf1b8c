"""Bots, their orders, trades and money, as grid status and executions show them."""

from __future__ import annotations

from typing import Any, Literal

from gridlab.api.schemas.base import Say, Shape, Stamp, percent
from gridlab.clock import human_duration, iso
from gridlab.domain.orders import Trade
from gridlab.domain.snapshot import BotSnapshot, BotStatus, OpenOrder, Snapshot, Vacancy
from gridlab.money import rounding, text

GridState = Literal["running", "stopped", "error"]
ExecutionState = Literal["active", "stopped"]


class TradeShape(Shape):
    """One execution."""

    type: str
    price: float
    quantity: float
    timestamp: int
    trade_id: int
    order_id: str
    client_order_id: str
    symbol: str
    quote_quantity: float
    fee: float
    fee_asset: str
    is_maker: bool
    time: str

    @classmethod
    def of(cls, trade: Trade) -> TradeShape:
        return cls(
            type=trade.side.value,
            price=float(trade.price),
            quantity=float(trade.quantity),
            timestamp=trade.time_ms,
            trade_id=trade.trade_id,
            order_id=trade.order_id,
            client_order_id=trade.client_id,
            symbol=trade.symbol,
            quote_quantity=float(trade.quote_quantity),
            fee=float(trade.fee),
            fee_asset=trade.fee_asset,
            is_maker=trade.is_maker,
            time=iso(trade.time_ms),
        )


class OrderShape(Shape):
    """One order that is, or may be, live: `status` is always `new`, `state` is the exact one."""

    order_id: str
    type: Literal["limit"]
    side: str
    price: float
    quantity: float
    status: Literal["new"]
    timestamp: int
    client_order_id: str
    executed_quantity: float
    state: str
    slot: int

    @classmethod
    def of(cls, order: OpenOrder) -> OrderShape:
        return cls(
            order_id=order.order_id,
            type="limit",
            side=order.side.value,
            price=float(order.price),
            quantity=float(order.quantity),
            status="new",
            timestamp=order.time_ms,
            client_order_id=order.client_id,
            executed_quantity=float(order.executed),
            state=order.state,
            slot=order.slot,
        )


class VacancyShape(Shape):
    """A slot without an order, and why."""

    slot: int
    price: float
    side: str
    reason: str

    @classmethod
    def of(cls, vacancy: Vacancy, say: Say) -> VacancyShape:
        return cls(
            slot=vacancy.slot,
            price=float(vacancy.price),
            side=vacancy.side.value,
            reason=say(vacancy.reason),
        )


class BotShape(Shape):
    """What grid status and executions both say of a bot; see the module for the two profits."""

    symbol: str
    market_type: str
    phase: str
    reason: str
    run: str
    current_price: float
    grid_levels: int
    spacing_percentage: float
    quantity: float
    active_orders: int
    total_trades: int
    realized_pnl: float
    unrealized_pnl: float
    grid_profit: float
    liquidation: float
    floating_pnl: float
    fees: float
    fees_by_asset: dict[str, float]
    funding: float
    total_pnl: float
    investment: float
    equity: float
    base_held: float
    uptime: str
    started_at: str
    last_update: str
    lines: list[float]
    vacancies: list[VacancyShape]
    last_trade: TradeShape | None
    open_orders: list[OrderShape]

    @classmethod
    def of(cls, bot: BotSnapshot, snapshot: Snapshot, say: Say) -> BotShape:
        return cls(
            symbol=bot.symbol,
            market_type=bot.market.value,
            phase=bot.status.value,
            reason=say(bot.reason),
            run=bot.run,
            # The price that the profit beside it was counted at, be the picture a newer one.
            current_price=float(bot.price),
            grid_levels=bot.levels,
            spacing_percentage=float(percent(bot.spacing)),
            quantity=float(bot.quantity),
            active_orders=len(bot.open_orders),
            total_trades=bot.trade_count,
            uptime=uptime(bot, snapshot),
            started_at=iso(bot.started_ms),
            last_update=iso(bot.updated_ms),
            lines=[float(line) for line in bot.lines],
            vacancies=[VacancyShape.of(vacancy, say) for vacancy in bot.vacancies],
            last_trade=None if bot.last_trade is None else TradeShape.of(bot.last_trade),
            open_orders=[OrderShape.of(order) for order in bot.open_orders],
            **_money(bot),
        )


class GridStatus(Stamp, BotShape):
    """`/api/grid/status`. `status` is `running` while an order can still fill; `phase` is exact."""

    status: GridState

    @classmethod
    def of_bot(cls, bot: BotSnapshot, snapshot: Snapshot, stamp: Stamp, say: Say) -> GridStatus:
        shape = BotShape.of(bot, snapshot, say)
        return cls.model_construct(status=grid_state(bot), **stamp.parts, **shape.parts)


class GridConfigShape(Shape):
    levels: int
    spacing: str
    leverage: int


class Execution(BotShape):
    """One bot in `/api/trading/executions`."""

    status: ExecutionState
    grid_config: GridConfigShape

    @classmethod
    def of(cls, bot: BotSnapshot, snapshot: Snapshot, say: Say) -> Execution:
        config = GridConfigShape(
            levels=bot.levels, spacing=text(percent(bot.spacing)), leverage=bot.leverage
        )
        shape = BotShape.of(bot, snapshot, say)
        status: ExecutionState = "active" if is_active(bot) else "stopped"
        return cls.model_construct(status=status, grid_config=config, **shape.parts)


class Executions(Stamp):
    """`/api/trading/executions`; `timestamp` is market time."""

    executions: list[Execution]
    total_active: int
    timestamp: int


class Pair(Shape):
    """One entry of `/api/trading/pairs`; `active` when a bot trades it.

    `as_of`, `age_ms` and `stale` are the price's own, as `Stamp` has them.
    """

    symbol: str
    price: float
    market_type: str
    active: bool
    status: GridState | None
    as_of: str
    age_ms: int
    stale: bool
    mode: str


class RecoveryStatus(Stamp):
    """`/api/grid/recovery_status`: what the last start of the process did for this grid."""

    symbol: str
    status: GridState
    phase: str
    recovered: bool
    message: str
    recovered_at: str | None
    events_replayed: int
    orders_checked: int
    fills_found: int
    orders_resent: int


def grid_state(bot: BotSnapshot) -> GridState:
    """The documented word for a bot's phase: it runs from its first order to its last."""
    if bot.status is BotStatus.ERROR:
        return "error"
    return "running" if is_active(bot) else "stopped"


def is_active(bot: BotSnapshot) -> bool:
    """Whether the bot has, or is about to have, orders at the venue."""
    return bot.status in (BotStatus.STARTING, BotStatus.RUNNING, BotStatus.STOPPING)


def uptime(bot: BotSnapshot, snapshot: Snapshot) -> str:
    """How long the bot has traded, in market time, such as `2h 15m`."""
    end_ms = snapshot.time_ms if is_active(bot) else bot.updated_ms
    return human_duration(end_ms - bot.started_ms)


def _money(bot: BotSnapshot) -> dict[str, Any]:
    money = bot.money
    with rounding():
        realized = money.grid_profit + money.liquidation + money.fees + money.funding
        equity = money.investment + money.total
    return {
        "realized_pnl": float(realized),
        "unrealized_pnl": float(money.floating),
        "grid_profit": float(money.grid_profit),
        "liquidation": float(money.liquidation),
        "floating_pnl": float(money.floating),
        "fees": float(money.fees),
        "fees_by_asset": {asset: float(amount) for asset, amount in money.fees_by_asset},
        "funding": float(money.funding),
        "total_pnl": float(money.total),
        "investment": float(money.investment),
        "equity": float(equity),
        "base_held": float(money.base_held),
    }
