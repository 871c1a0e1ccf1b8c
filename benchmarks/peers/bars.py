"""Synthetic minutes of a year for the benchmarks: made once, the same from the same seed.

Log-prices follow a walk that is drawn back to where it began, with shocks of fat tails in calm and
wild hours. The extremes of a minute are drawn from their law for a walk between its open and its
close, so that a bar's range fits its return. Knows no grid.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

YEAR, FIRST_MS, PRICE = 525_600, 1_735_689_600_000, 60_000.0
#: Of a minute; days after which half of a move is undone; hours that a mood lasts, and its size.
DEVIATION, HALF_LIFE_DAYS, MOOD_HOURS, MOOD = 7.4e-4, 3.8, 12.0, 0.45


def autoregressive(shocks: Any, keep: float) -> Any:
    """x[i] = keep * x[i - 1] + shocks[i], from 0, in blocks that keep powers within doubles."""
    found, last, block = np.empty(len(shocks)), 0.0, 4096
    for start in range(0, len(shocks), block):
        part = shocks[start : start + block]
        powers = keep ** np.arange(1, len(part) + 1)
        found[start : start + block] = powers * (last + np.cumsum(part / powers))
        last = found[min(start + block, len(shocks)) - 1]
    return found


def synthetic(count: int = YEAR, seed: int = 1) -> dict[str, Any]:
    """Columns t, o, h, l, c, v; prices on cents."""
    random = np.random.default_rng(seed)
    keep = 0.5 ** (1 / (60 * MOOD_HOURS))
    mood = autoregressive(random.standard_normal(count) * MOOD * np.sqrt(1 - keep**2), keep)
    deviation = DEVIATION * np.exp(mood - MOOD**2)
    shocks = random.standard_t(5, count) / np.sqrt(5 / 3)
    close = autoregressive(deviation * shocks, 0.5 ** (1 / (1440 * HALF_LIFE_DAYS)))
    opened = np.concatenate(([0.0], close[:-1]))
    move = close - opened
    # Source: the maximum of a Brownian bridge from 0 to r has P(M > m) = exp(-2 m (m - r) / s^2).
    reach = [
        np.sqrt(move**2 - 2 * deviation**2 * np.log(1 - random.random(count))) for _ in range(2)
    ]
    high, low = opened + (move + reach[0]) / 2, opened + (move - reach[1]) / 2
    o, h, lo, c = (np.round(PRICE * np.exp(x), 2) for x in (opened, high, low, close))
    return {
        "t": FIRST_MS + 60_000 * np.arange(count, dtype=np.int64),
        "o": o,
        "h": np.maximum(h, np.maximum(o, c)),
        "l": np.minimum(lo, np.minimum(o, c)),
        "c": c,
        "v": np.round(20 * np.exp(random.standard_normal(count)), 5),
    }


def standard_file(folder: Path) -> Path:
    """The path of the standard year below `folder`, made if it is not there."""
    path = folder / "year.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **synthetic())
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(standard_file(parser.parse_args().folder))
