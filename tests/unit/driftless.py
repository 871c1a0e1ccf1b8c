"""Simulated driftless markets as bars, for tests of the closed forms; every seed is a market."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from gridlab.data.bars import Bars
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Interval, Market
from gridlab.domain.spec import GridSpec

START_MS = 1_772_323_200_000
WIDE = Decimal(10**9)
#: Fine ticks and lots, so that nothing but the price decides.
RULES = Instrument(
    symbol="BTCUSDT",
    market=Market.SPOT,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("1e-8"),
    min_notional=Decimal("0.0001"),
    min_quantity=Decimal("1e-8"),
    max_quantity=WIDE,
    min_price=Decimal("0.01"),
    max_price=WIDE,
    max_num_orders=1000,
)


def market(
    seed: int, days: int = 7, volatility: float = 0.02, points: int = 40, drift: float = 0.0
) -> Bars:
    """Minutes of a geometric Brownian motion with `points` trades each, prices on the cent.

    Args:
        volatility: a day; drift: of the price, a day; 0 makes the price a fair game.
    """
    minutes = 1440 * days
    step = volatility / np.sqrt(1440 * points)
    moves = np.random.default_rng(seed).normal(
        drift / 1440 / points - step**2 / 2, step, minutes * points
    )
    prices = np.round(50_000.0 * np.exp(np.cumsum(moves)), 2).reshape(minutes, points)
    close = prices[:, -1]
    opened = np.concatenate(([50_000.0], close[:-1]))
    return Bars(
        "BTCUSDT",
        Market.SPOT,
        Interval.M1,
        START_MS + 60_000 * np.arange(minutes, dtype=np.int64),
        opened,
        np.maximum(prices.max(axis=1), opened),
        np.minimum(prices.min(axis=1), opened),
        close,
        np.full(minutes, 10.0),
        np.full(minutes, np.nan),
        np.full(minutes, -1, np.int64),
    )


def grid(spacing: str = "0.005", levels: int = 40) -> GridSpec:
    return GridSpec(
        "BTCUSDT",
        levels,
        spacing=Decimal(spacing),
        investment=Decimal(10_000),
        fees=FeeSchedule(mode=FeeMode.QUOTE),
        allow_unprofitable=True,
    )
