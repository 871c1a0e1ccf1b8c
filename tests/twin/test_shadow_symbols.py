"""Shadow trades whatever the venue lists, not only what the configuration prefers."""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from gridlab.app import live_session
from gridlab.app.facade import GridLab
from gridlab.domain.events import StopPolicy
from gridlab.domain.market import Market
from gridlab.domain.orders import Side
from gridlab.domain.snapshot import BotStatus, Mode
from gridlab.domain.spec import GridSpec
from gridlab.errors import NotFound
from gridlab.testing.twin import RunningTwin, running_twin

SYMBOL = "ETHUSDT"
CONFIGURED = """
sentiment_analysis: {enabled: false}
pair_selection:
  spot_pairs: {preferred_symbols: [BTCUSDT]}
  futures_pairs: {preferred_symbols: [BTCUSDT]}
"""


def shadow_of(folder: Path, twin: RunningTwin) -> dict[str, Any]:
    """How Shadow is started over the twin, with one symbol configured."""
    (folder / "config.yaml").write_text(CONFIGURED)
    endpoints = json.dumps(twin.ready)
    return {"mode": Mode.SHADOW, "endpoints": endpoints, "config": folder / "config.yaml"}


def fills_of(lab: GridLab) -> int:
    return len(lab.fills(SYMBOL))


@pytest.mark.parametrize("market", list(Market))
def test_a_grid_on_a_symbol_that_nobody_configured(tmp_path: Path, market: Market) -> None:
    with running_twin(symbols=("BTCUSDT", SYMBOL), has_limits=False) as twin:
        shadow = shadow_of(tmp_path, twin)
        with GridLab(tmp_path / "data", **shadow) as lab:
            assert SYMBOL not in lab.symbols(market)
            spec = lab.default_spec(SYMBOL, market)
            assert lab.preflight(spec).ok
            with pytest.raises(NotFound):
                lab.preflight(lab.default_spec("NOSUCHUSDT", market))
            bot = lab.start_grid(spec)
            assert bot.status is BotStatus.RUNNING
            before = move(lab, twin, spec, Decimal("0.97"))
        with GridLab(tmp_path / "data", **shadow) as lab:  # its records and its journal agree
            assert lab.snapshot.bots[SYMBOL].status is BotStatus.RUNNING
            assert fills_of(lab) >= before
            move(lab, twin, spec, Decimal("1.02"))


def move(lab: GridLab, twin: RunningTwin, spec: GridSpec, factor: Decimal) -> int:
    """Let the real market trade elsewhere until the simulated orders have met it."""
    before, end = fills_of(lab), time.monotonic() + 15
    price = lab.snapshot.bots[SYMBOL].price
    while fills_of(lab) == before:
        assert time.monotonic() < end, "no simulated order was filled"
        twin.price(SYMBOL, (price * factor).quantize(Decimal("0.01")), spec.market)
        time.sleep(0.05)
    return fills_of(lab)


def test_a_start_that_was_killed_leaves_nothing_that_stops_the_next(tmp_path: Path) -> None:
    """The paper venue may know a symbol, and have stored it, before the journal knows a grid."""
    with running_twin(symbols=("BTCUSDT", SYMBOL), has_limits=False) as twin:
        shadow = shadow_of(tmp_path, twin)
        with GridLab(tmp_path / "data", **shadow) as lab:
            lab._call(prepared(lab, lab.default_spec(SYMBOL, Market.FUTURES)))
        with GridLab(tmp_path / "data", **shadow) as lab:
            assert not lab.snapshot.bots
            assert lab.start_grid(lab.default_spec(SYMBOL)).status is BotStatus.RUNNING


def test_a_new_grid_meets_nothing_of_what_traded_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A symbol that was let go is taken up again at the price that it has by then."""
    monkeypatch.setattr(live_session, "LET_GO_EVERY_MS", 100)
    with running_twin(symbols=("BTCUSDT", SYMBOL), has_limits=False) as twin:
        with GridLab(tmp_path / "data", **shadow_of(tmp_path, twin)) as lab:
            spec = lab.default_spec(SYMBOL)
            before = lab.start_grid(spec).price
            lab.stop_grid(SYMBOL, StopPolicy.SELL)
            wait_for(lambda: SYMBOL not in lab.symbols(), "it is let go")
            for number in range(40):  # while nobody listens
                twin.price(SYMBOL, before * Decimal("0.9") - number, Market.SPOT)
            now = (before * Decimal("1.002")).quantize(Decimal("0.01"))
            twin.price(SYMBOL, now, Market.SPOT)
            told = len(lab.fills(SYMBOL))
            lab.start_grid(spec)
            twin.price(SYMBOL, now - 1, Market.SPOT)
            wait_for(lambda: lab.snapshot.bots[SYMBOL].price == now - 1, "the next trade")
            (bought,) = [trade for _, trade in lab.fills(SYMBOL)[told:]]
            assert (bought.side, bought.price) == (Side.BUY, now)


def test_a_symbol_that_the_market_lists_no_more_halts_its_bot_only(tmp_path: Path) -> None:
    names = ("BTCUSDT", SYMBOL)
    with running_twin(symbols=names, has_limits=False) as twin:
        shadow = shadow_of(tmp_path, twin)
        with GridLab(tmp_path / "data", **shadow) as lab:
            for symbol in names:
                lab.start_grid(lab.default_spec(symbol))
            lab._call(prepared(lab, lab.default_spec(SYMBOL, Market.FUTURES)))
        twin.control("/delist", {"venue": "spot", "symbol": SYMBOL})
        twin.control("/delist", {"venue": "fut", "symbol": SYMBOL})
        with GridLab(tmp_path / "data", **shadow) as lab:
            bots = lab.snapshot.bots
            assert bots["BTCUSDT"].status is BotStatus.RUNNING
            assert bots[SYMBOL].status is BotStatus.ERROR
            assert f"{SYMBOL} is not listed on spot any more" in bots[SYMBOL].reason
            with pytest.raises(NotFound):
                lab.start_grid(lab.default_spec(SYMBOL, Market.FUTURES))


def prepared(lab: GridLab, spec: GridSpec) -> Coroutine[Any, Any, None]:
    """What a start does before its grid is journalled."""
    assert lab._engine is not None and lab._engine.session is not None
    return lab._engine.session.prepare(spec)
