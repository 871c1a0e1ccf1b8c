"""Trades for tests: a recorded piece, and some made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gridlab.data.trades import Trades, read_trades
from gridlab.domain.market import Market

PART = Path(__file__).parent / "payloads" / "PEPEUSDT-aggTrades-2024-10-27-part.csv"


def part() -> Trades:
    return read_trades(PART, symbol="PEPEUSDT")


def trades_of(rows: list[tuple[int, float, float]], **more: Any) -> Trades:
    """Trades (ms, price, quantity) with ids from 1."""
    count = len(rows)
    times, prices, quantities = zip(*rows, strict=True) if rows else ((), (), ())
    columns: dict[str, Any] = {
        "time_ms": np.array(times, np.int64),
        "price": np.array(prices, np.float64),
        "quantity": np.array(quantities, np.float64),
        "is_buyer_maker": np.zeros(count, np.bool_),
        "id": np.arange(1, count + 1),
        "count": np.ones(count, np.int64),
    }
    return Trades("BTCUSDT", Market.SPOT, **(columns | more))
