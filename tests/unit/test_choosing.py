"""Criteria by name and by function."""

from __future__ import annotations

import numpy as np
import pytest

from gridlab.data.catalog import load
from gridlab.errors import InvalidInput
from gridlab.research.batch import BatchResult, run_many
from gridlab.research.choosing import CRITERIA, criterion_of, scores_of
from gridlab.research.space import space

DAY = 86_400_000
BARS = load("BTCUSDT").slice(1_772_323_200_000, 1_772_323_200_000 + 2 * DAY)


@pytest.fixture(scope="module")
def batch() -> BatchResult:
    rows = space("BTCUSDT", levels=[6, 20], spacing=["0.4%", "1%"], investment=5000)
    return run_many([plan for plan in rows.plans(BARS) if plan.ok], BARS)


def test_each_named_criterion_is_the_figure_it_names(batch: BatchResult) -> None:
    scores = {name: scores_of(name, criterion, batch) for name, criterion in CRITERIA.items()}
    assert np.array_equal(scores["total_return"], batch.total_return)
    assert scores["grid_profit"] == pytest.approx(batch.grid_profit / 5000)
    net = batch.grid_profit + batch.fees
    assert (batch.fees < 0).all() and scores["net_grid_profit"] == pytest.approx(net / 5000)
    assert np.argmax(scores["max_drawdown"]) == np.argmin(batch.max_drawdown)
    ratio = batch.total_return / batch.max_drawdown
    assert (batch.max_drawdown > 0.001).all() and scores["return_to_drawdown"] == pytest.approx(
        ratio
    )


def test_a_function_is_named_by_its_name(batch: BatchResult) -> None:
    def fewest_fills(result: BatchResult) -> list[int]:
        return (-result.buys - result.sells).tolist()

    name, criterion = criterion_of(fewest_fills)
    assert name == "fewest_fills"
    assert scores_of(name, criterion, batch).tolist() == (-batch.buys - batch.sells).tolist()


def test_refusals(batch: BatchResult) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'total_return'"):
        criterion_of("total_retrun")
    with pytest.raises(InvalidInput, match="choose one of total_return, return_to_drawdown"):
        criterion_of("luck")
    with pytest.raises(InvalidInput, match=r"'one' gave scores of shape \(\) for 4 settings"):
        scores_of("one", lambda _: 1.0, batch)  # type: ignore[arg-type,return-value]
