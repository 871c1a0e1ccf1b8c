"""CSCV against a plain second implementation, on noise, on skill, and on fitted noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from gridlab.errors import InvalidInput
from gridlab.research.overfitting import overfitting


def plainly(returns: np.ndarray, edges: list[int], metric: str) -> tuple[float, list[float]]:
    """The paper's steps one by one, with matrices joined and ranks counted by hand."""
    parts = [returns[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    logits = []
    for half in combinations(range(len(parts)), len(parts) // 2):
        inside = np.concatenate([parts[i] for i in half])
        outside = np.concatenate([parts[i] for i in range(len(parts)) if i not in half])
        figures = []
        for part in (inside, outside):
            spread = part.std(axis=0, ddof=1) if metric == "sharpe" else 1.0
            figures.append(part.mean(axis=0) / spread)
        best = int(np.argmax(figures[0]))
        rank = 1 + sum(value < figures[1][best] for value in figures[1])
        omega = rank / (returns.shape[1] + 1)
        logits.append(np.log(omega / (1 - omega)))
    return float(np.mean(np.array(logits) <= 0)), logits


@pytest.mark.parametrize("metric", ["sharpe", "mean"])
@pytest.mark.parametrize("trials", [2, 9, 10])
def test_equals_the_plain_form(metric: str, trials: int) -> None:
    returns = np.random.default_rng(trials).normal(0.001, 0.02, size=(61, trials))
    edges = [0, 10, 20, 30, 40, 50, 61]
    probability, logits = plainly(returns, edges, metric)
    found = overfitting(returns, metric=metric, edges=edges)
    assert found.probability == probability
    assert found.logits == pytest.approx(logits)
    assert (found.trials, found.slices, found.experiments) == (trials, 6, 20)


def test_equal_slices_are_the_edges_of_an_even_cut() -> None:
    returns = np.random.default_rng(1).normal(size=(80, 6))
    by_count, by_edges = overfitting(returns, 8), overfitting(returns, edges=range(0, 81, 10))
    assert np.array_equal(by_count.rank, by_edges.rank)


def test_noise_is_overfitted_half_the_time() -> None:
    rng = np.random.default_rng(31)
    found = [overfitting(rng.normal(size=(160, 20)), 8).probability for _ in range(150)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_skill_is_not_overfitting() -> None:
    returns = np.random.default_rng(37).normal(size=(640, 30))
    returns[:, 4] += 0.5
    found = overfitting(returns, 16)
    assert found.probability == 0 and found.loss_probability == 0
    assert (found.chosen == 4).all() and found.experiments == 12870


def test_what_is_best_in_one_half_and_worst_in_the_other_is_overfitting() -> None:
    """Columns of zero sum: the more a column earned in one half, the more it lost in the other."""
    returns = np.random.default_rng(41).normal(size=(200, 20))
    found = overfitting(returns - returns.mean(axis=0), 8, metric="mean")
    assert found.probability == 1 and found.loss_probability == 1
    assert found.slope == pytest.approx(-1)


def test_memory_stays_bounded_and_parts_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.random.default_rng(43).normal(size=(120, 25))
    whole = overfitting(returns, 10)
    monkeypatch.setattr("gridlab.research.overfitting._AT_ONCE", 100)
    parts = overfitting(returns, 10)
    assert np.array_equal(whole.rank, parts.rank) and whole.slope == parts.slope


def test_a_column_that_stands_still_counts_as_zero() -> None:
    returns = np.random.default_rng(47).normal(-1.0, 0.1, size=(40, 3))
    returns[:, 1] = 0
    found = overfitting(returns, 4)
    assert (found.chosen == 1).all() and (found.in_sample == 0).all()


def test_equal_columns_share_the_median_rank() -> None:
    returns = np.repeat(np.random.default_rng(53).normal(size=(40, 1)), 4, axis=1)
    assert overfitting(returns, 4).rank == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("slices is 5", {"slices": 5}),
        ("slices is 22", {"slices": 22}),
        ("leave 1 in the shortest", {"slices": 16}),
        ("bound 3 slices", {"edges": [0, 5, 10, 20]}),
        ("edges go from 0 to 19", {"edges": [0, 10, 19]}),
        ("metric is 'luck'", {"slices": 4, "metric": "luck"}),
    ],
)
def test_refusals(words: str, arguments: dict) -> None:
    returns = np.random.default_rng(59).normal(size=(20, 3))
    with pytest.raises(InvalidInput, match=words):
        overfitting(returns, **arguments)


def test_one_trial_is_no_choice() -> None:
    with pytest.raises(InvalidInput, match="1 trial"):
        overfitting(np.ones((20, 1)), 4)
    with pytest.raises(InvalidInput, match="nan"):
        overfitting(np.full((20, 2), np.nan), 4)
