"""Thinned paths against their definition, worked by a slow loop."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Market
from gridlab.research import kernel_swings as kernel
from gridlab.research.swings import swings_of, width_of
from gridlab.research.ticks import TickBars


def walk_of(seed: int, count: int, step: float) -> Bars:
    """A random walk of whole ticks of 1."""
    random = np.random.default_rng(seed)
    points = 10_000 + np.cumsum(np.rint(random.standard_t(3, 4 * count) * step))
    o, x, y, c = points.reshape(count, 4).T
    return Bars(
        "AUSDT",
        Market.SPOT,
        Interval.M1,
        60_000 * np.arange(count),
        o,
        np.maximum.reduce([o, x, y, c]),
        np.minimum.reduce([o, x, y, c]),
        c,
        np.ones(count),
        np.full(count, np.nan),
        np.full(count, -1),
    )


def counter_swing(prices: np.ndarray, rises: bool) -> int:
    """The farthest that a leg ever goes back."""
    way = prices if rises else -prices
    return int((np.maximum.accumulate(way) - way).max())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step", [0.0, 0.3, 5.0])
def test_between_two_turns_nothing_goes_back_by_delta(seed: int, step: float) -> None:
    bars = walk_of(seed, 60 + 90 * seed, step)
    ticks = TickBars.of(bars, Decimal(1))
    prices, places = kernel.path(ticks.open, ticks.high, ticks.low, ticks.close)
    assert len(prices) == 4 * len(bars)
    for width, path in swings_of(ticks, [1, 4, 11, 45]).items():
        assert path.delta == width
        assert np.array_equal(prices[path.places], path.turns)
        assert path.places[0] == 0 and path.places[-1] == places[-1]
        assert (np.diff(path.places) > 0).all()
        # Thinned step by step: the same turns, and fewer of the points before the first of them.
        assert np.isin(path.places, kernel.thin(prices, places, width)[1]).all()
        legs = zip(path.places[:-1].tolist(), path.places[1:].tolist(), strict=True)
        for k, (start, stop) in enumerate(legs):
            part = prices[start : stop + 1]
            if k + 1 < len(path.turns) - 1:
                assert counter_swing(part, part[-1] >= part[0]) < width
            check_facts(path.facts[k], prices, start, stop)


def check_facts(facts: np.ndarray, prices: np.ndarray, start: int, stop: int) -> None:
    """Least and greatest close of (start, stop], how far the path had got, and which came first."""
    closes = [place for place in range(start + 1, stop + 1) if place % 4 == 3]
    least, least_at, most, most_at, is_least_first = facts.tolist()
    if not closes:
        assert least > most
        return
    low = min(closes, key=lambda place: prices[place])
    high = max(closes, key=lambda place: prices[place])
    reach = min if prices[stop] < prices[start] else max
    assert (least, most) == (prices[low], prices[high])
    assert least_at == reach(prices[start : low + 1])
    assert most_at == reach(prices[start : high + 1])
    if prices[low] != prices[high]:
        assert bool(is_least_first) == (low < high)


def test_wide_paths_are_short() -> None:
    ticks = TickBars.of(walk_of(1, 3000, 5.0), Decimal(1))
    counts = {width: len(path.turns) for width, path in swings_of(ticks, [1, 16, 64]).items()}
    assert counts[64] < counts[16] / 5 < counts[1] / 10
    assert swings_of(ticks, [16])[16] is swings_of(ticks, [16, 64])[16]


def test_a_width_never_exceeds_the_distance_of_lines() -> None:
    widths = [width_of(distance) for distance in range(1, 20_000)]
    assert all(0 < width <= distance for distance, width in enumerate(widths, 1))
    assert all(2 * width >= distance for distance, width in enumerate(widths, 1))
    assert len(set(widths)) < 60
