"""Ranks before and after, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest

from gridlab.research.stability import mean_known, percentiles, spearman


def test_spearman_as_scipy_has_it_with_ties_and_holes() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    for size in (3, 10, 200):
        x, y = rng.integers(0, 6, size).astype(float), rng.normal(size=size)
        x[:2] = 0, 5
        holes = np.append(x, [np.nan, 3.0]), np.append(y, [1.0, np.nan])
        assert spearman(*holes) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_spearman_is_undefined_without_an_order() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert np.isnan(spearman(np.arange(2.0), np.arange(2.0)))
    assert spearman(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1)


def test_percentiles_share_ties_and_keep_holes() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.array([4.0, 2.0, np.nan, 2.0, 9.0])
    found = percentiles(values)
    known = np.isfinite(values)
    assert found[known] == pytest.approx((stats.rankdata(values[known]) - 1) / 3)
    assert np.isnan(found[2])
    assert percentiles(np.array([7.0])).tolist() == [0.5]
    assert np.isnan(percentiles(np.full(2, np.nan))).all()


def test_means_skip_holes() -> None:
    table = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    found = mean_known(table)
    assert found[:2].tolist() == [2.0, 5.0] and np.isnan(found[2])
