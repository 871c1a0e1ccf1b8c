"""What a panel shows, as plain values: the engine and its bots at one moment.

Numbers are floats here, and only here: they are for eyes. Whoever computes with money reads the
snapshot or the API. Knows neither HTTP nor the engine nor a widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: [open time, open, high, low, close, volume], as the chart's module takes it.
Candle: TypeAlias = tuple[int, float, float, float, float, float]
#: [time, total profit, grid profit or None where nobody recorded it]
ProfitPoint: TypeAlias = tuple[int, float, float | None]

#: Milliseconds after which a number is called stale.
STALE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Level:
    """One price line: the side of the order that rests on it, or empty."""

    price: float
    side: str = ""
    qty: float | None = None
    note: str = ""

    def to_js(self) -> dict[str, Any]:
        """The form that the chart's module draws."""
        drawn: dict[str, Any] = {"price": self.price, "side": self.side}
        if self.qty is not None:
            drawn["qty"] = f"{self.qty:.8f}".rstrip("0").rstrip(".")
        if self.note:
            drawn["note"] = self.note
        return drawn


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles, oldest first, and how far they speak of now.

    Args:
        age_ms: how long ago they were asked of the venue; 0 for a recording.
        is_stale: they are older than candles of that width may be.
    """

    bars: Sequence[Candle]
    age_ms: int = 0
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One open order."""

    side: str
    price: float
    quantity: float
    executed: float
    state: str
    time_ms: int
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class FillRow:
    """One trade of the bot."""

    trade_id: str
    side: str
    price: float
    quantity: float
    fee: float
    fee_asset: str
    time_ms: int

    def to_js(self) -> dict[str, Any]:
        """The marker that the chart's module draws."""
        return {
            "id": self.trade_id,
            "t": self.time_ms,
            "side": self.side,
            "price": self.price,
            "qty": f"{self.quantity:.8f}".rstrip("0").rstrip("."),
        }


@dataclass(frozen=True, slots=True)
class VacancyRow:
    """One slot without an order, and why."""

    side: str
    price: float
    reason: str


@dataclass(frozen=True, slots=True)
class BotView:
    """One bot's numbers, in its quote asset."""

    symbol: str
    market: str
    status: str
    price: float
    grid_profit: float
    floating: float
    fees: float
    total: float
    equity: float
    trade_count: int
    spacing_percentage: float
    levels: int
    lines: tuple[float, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    vacancies: tuple[VacancyRow, ...] = ()
    run: str = ""
    reason: str = ""
    uptime: str = ""
    investment: float = 0.0
    base_held: float | None = None

    @property
    def is_active(self) -> bool:
        return self.status in ("running", "active", "starting", "stopping")

    def drawn_levels(self) -> list[Level]:
        """Every price line with the order that rests on it; empty lines say so."""
        by_price = {order.price: order for order in self.orders}
        levels = [
            Level(o.price, o.side, o.quantity - o.executed) for o in self.orders if o.price > 0
        ]
        reasons = {v.price: v.reason for v in self.vacancies}
        levels += [
            Level(line, note="vacant" if line in reasons else "")
            for line in self.lines
            if line not in by_price
        ]
        return sorted(levels, key=lambda level: level.price)


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One futures position; `liquidation` is the venue's own price, None when it never would."""

    symbol: str
    quantity: float
    entry: float
    liquidation: float | None
    leverage: int
    margin: str


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine at one moment.

    Args:
        age_ms: how old this was when it was read.
        time_ms: market time.
        speed: market seconds for each real second, when the source says.
        origin: where numbers come from and orders go, where the mode alone would mislead.
        unready: what keeps a market's venue from being ready, by market.
        positions: futures positions by symbol.
    """

    mode: str
    state: str
    time_ms: int
    age_ms: int
    speed: float | None = None
    progress: float | None = None
    reason: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)
    bots: Mapping[str, BotView] = field(default_factory=dict)
    origin: str = ""
    unready: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, PositionRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GridForm:
    """What the form asks for; `investment` empty leaves the size to the configuration."""

    symbol: str
    levels: int
    spacing_percent: str
    investment: str = ""
    market: str = "spot"


@dataclass(frozen=True, slots=True)
class Preview:
    """A grid that is not placed: its lines, what it needs, and what forbids it."""

    ok: bool
    lines: tuple[float, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def quote_asset(symbol: str) -> str:
    """The asset that prices of `symbol` are in, as far as its name tells."""
    for quote in ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB"):
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return quote
    return ""


def profit_history(
    bot: BotView, fills: Sequence[FillRow], candles: Sequence[Candle]
) -> list[ProfitPoint]:
    """Total profit at each candle's close since the bot's first known fill, marked to market.

    Works backwards from the bot's present total: the profit between two closes is the inventory
    held times the move of the price, plus what each fill in between made at the close. Grid profit
    is None, because pairs cannot be told from fills alone; the chart draws it from the moment that
    somebody watches. Returns nothing when a fee was paid in a third asset or
    the inventory is not known, rather than a curve that is nearly right.
    """
    quote = quote_asset(bot.symbol)
    base = bot.symbol[: -len(quote)] if quote else ""
    held = bot.base_held
    if not fills or held is None or any(f.fee_asset not in (base, quote) for f in fills if f.fee):
        return []
    width = candles[1][0] - candles[0][0] if len(candles) > 1 else 60_000
    points: list[ProfitPoint] = []
    total, mark = bot.total, bot.price
    pending = sorted(fills, key=lambda fill: fill.time_ms)
    for candle in reversed(candles):
        close_ms, close = candle[0] + width, candle[4]
        while pending and pending[-1].time_ms >= close_ms:
            base_change, cash_change = _flows(pending.pop(), base)
            total -= cash_change + base_change * mark
            held -= base_change
        if not pending:
            break
        total -= held * (mark - close)
        mark = close
        points.append((candle[0], total, None))
    return points[::-1]


def _flows(fill: FillRow, base: str) -> tuple[float, float]:
    """What one fill moved: base units in, quote units in, its fee taken off where it was paid."""
    sign = 1.0 if fill.side == "buy" else -1.0
    base_change = sign * fill.quantity - (fill.fee if fill.fee_asset == base else 0.0)
    paid = fill.fee if fill.fee_asset != base else 0.0
    return base_change, -sign * fill.quantity * fill.price - paid
