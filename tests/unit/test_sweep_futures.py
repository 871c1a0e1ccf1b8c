"""Sweeps and studies of futures: rows are backtests with funding, margin and forced closings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sweep import same

from gridlab.data.catalog import funding, load
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.errors import Conflict, InvalidInput
from gridlab.research.backtest import backtest
from gridlab.research.space import space
from gridlab.research.study import study
from gridlab.research.sweep import sweep

MONTH = load("BTCUSDT", Market.FUTURES)
START_MS = int(MONTH.open_time_ms[0])
BARS = MONTH.slice(end_ms=START_MS + 86_400_000)
RATES = funding("BTCUSDT")
FIXED: dict[str, Any] = {
    "market": "futures",
    "fees": FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
    "investment": 5000,
}
GRIDS = space("BTCUSDT", levels=[6, 14], spacing=["0.2%", "0.02%"], leverage=[1, 50], **FIXED)


def test_rows_are_backtests_with_funding_and_leverage(tmp_path: Path) -> None:
    found = sweep(GRIDS, BARS, funding=RATES, progress=False, resume=tmp_path / "parts")
    frame = found.to_frame()
    assert frame["leverage"].tolist() == [1, 50] * 4 and 0 < found.ran.sum() < 8
    for i in np.flatnonzero(found.ran).tolist():
        alone = backtest(found.spec(i), BARS, funding=RATES, engine="core")
        assert (frame["buys"][i], frame["sells"][i]) == alone.fills
        assert frame["equity"][i] == float(alone.equity)
        assert frame["funding"][i] == float(alone.money.funding) != 0
        assert frame["was_liquidated"][i] == (alone.liquidation is not None)
        assert frame["max_drawdown"][i] == pytest.approx(alone.max_drawdown, abs=1e-11)
        assert found.backtest(i).money == alone.money
    assert frame["was_liquidated"].max() == 0 and (frame["was_liquidated"] == -1).any()
    assert same(frame, sweep(GRIDS, BARS, funding=RATES, resume=tmp_path / "parts").to_frame())
    with pytest.raises(Conflict, match="its funding is .* rates, SHA-256 .*, and here null"):
        sweep(GRIDS, BARS, resume=tmp_path / "parts", progress=False)
    with pytest.raises(Conflict, match="its margin is isolated, and here crossed"):
        sweep(GRIDS, BARS, funding=RATES, margin="crossed", resume=tmp_path / "parts")


def test_a_forced_closing_is_a_figure() -> None:
    """Bars that fall by a third, at fifty times the margin."""
    factor = np.linspace(1.0, 0.66, len(BARS))
    columns = {n: np.round(getattr(BARS, n) * factor, 1) for n in ("open", "high", "low", "close")}
    frame = BARS.to_frame().assign(**columns)
    frame["high"] = frame[["open", "high", "low", "close"]].max(axis=1)
    frame["low"] = frame[["open", "high", "low", "close"]].min(axis=1)
    many = space("BTCUSDT", levels=6, spacing="0.5%", leverage=[1, 50], **FIXED)
    found = sweep(many, frame, progress=False)
    assert found.to_frame()["was_liquidated"].tolist() == [0, 1]
    assert found.to_frame()["liquidation"][1] < 0 and found.backtest(1).liquidation is not None
    assert "no rates were given" in repr(found) and "Margin is isolated" in found._repr_html_()
    assert found.best("was_liquidated", n=1).index[0] == 0


def test_a_study_of_futures_may_seek_their_own_figures() -> None:
    ranges = {"levels": (4, 20), "spacing": "0.1%..1% log", "leverage": "1..20"} | FIXED
    named: dict[str, Any] = {"trials": 8, "batch": 8, "funding": RATES, "progress": False}
    found = study(ranges, BARS, **named, objectives=("funding", "max_drawdown"))
    assert found.ran.any() and set(found.axes.columns) == {"levels", "spacing", "leverage"}
    i = int(np.flatnonzero(found.ran)[0])
    assert found.optuna.trials[i].values[0] == found.figure("funding")[i]
    assert found.backtest(i).money.funding == pytest.approx(
        Decimal(str(found.figure("funding")[i]))
    )
    with pytest.raises(InvalidInput, match="no figure 'funding'"):
        study({"levels": (4, 20)}, load("BTCUSDT"), objectives=["funding"])
