"""Spot and futures recordings played as one, and their books saved as one."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridlab.app import replay_session
from gridlab.app.facade import GridLab
from gridlab.app.shared_books import SharedBooks
from gridlab.data.bars import Bars
from gridlab.data.catalog import Series, catalog, load
from gridlab.domain.market import Market
from gridlab.domain.snapshot import BotStatus, EngineState
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidSpec
from gridlab.exchange.paper import Record
from gridlab.store.records import SqliteRecords

pytestmark = pytest.mark.slow  # seconds each: left out of make check

HOURS_MS = 3_600_000
FUTURES_START_MS = 1_749_600_000_000  # 2025-06-11 00:00 UTC, inside the futures recordings
SPAN = {"start_ms": FUTURES_START_MS, "end_ms": FUTURES_START_MS + 8 * HOURS_MS}
SPOT = GridSpec("BTCUSDT", levels=10, spacing=Decimal("0.003"), investment=Decimal(3000))


@pytest.fixture
def overlapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spot ETHUSDT with the futures' own candles: recordings of both markets at one time.

    The bundle has none that overlap; the bars are real, only their market is another.
    """
    futures = {s.symbol: s for s in catalog() if s.market is Market.FUTURES}
    twin = Series(
        market=Market.SPOT,
        symbol="BNBUSDT",
        interval=futures["ETHUSDT"].interval,
        first_ms=futures["ETHUSDT"].first_ms,
        last_ms=futures["ETHUSDT"].last_ms,
        rows=futures["ETHUSDT"].rows,
        path=futures["ETHUSDT"].path,
        sha256="",
        source="",
    )

    def loaded(symbol: str, market: Market) -> Bars:
        if market is Market.FUTURES:
            return load(symbol, market)
        return replace(load("ETHUSDT", Market.FUTURES), symbol=symbol, market=market)

    monkeypatch.setattr(replay_session, "catalog", lambda: (twin, *futures.values()))
    monkeypatch.setattr(replay_session, "load", loaded)


def play_to_end(lab: GridLab) -> None:
    end = time.monotonic() + 60
    while lab.snapshot.state is EngineState.READY:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert lab.snapshot.state is EngineState.FINISHED, lab.snapshot.reason


def test_futures_alone_are_a_replay_too(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, **SPAN) as lab:
        assert lab.symbols(Market.FUTURES) == ("BTCUSDT", "ETHUSDT") and not lab.symbols()
        assert lab.preflight(lab.default_spec("BTCUSDT", Market.FUTURES)).ok
        with pytest.raises(InvalidSpec, match="nothing of spot is recorded"):
            lab.preflight(SPOT)
        bot = lab.start_grid(lab.default_spec("BTCUSDT", Market.FUTURES))
        assert bot.status is BotStatus.RUNNING and bot.market is Market.FUTURES
        (position,) = lab.snapshot.positions
        assert position.quantity == bot.money.base_held > 0
        assert len(lab.orders(market=Market.FUTURES, open_only=True, limit=100)) == bot.levels
        assert not lab.orders(limit=100)


def test_the_wallet_and_the_ledger_of_a_futures_replay_agree(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, **SPAN) as lab:
        lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))
    with GridLab(tmp_path, speed=0, **SPAN) as lab:
        play_to_end(lab)
        assert lab.snapshot.bots["ETHUSDT"].trade_count > 2
        stopped = lab.stop_grid("ETHUSDT", "sell")
        (wallet,) = lab.snapshot.futures_balances
        assert not lab.snapshot.positions
        assert wallet.total - 10_000 == stopped.money.total


def grids(lab: GridLab) -> tuple[object, ...]:
    bots = lab.snapshot.bots
    return (
        *((b.money, b.trade_count, b.open_orders) for b in bots.values()),
        lab.snapshot.balances,
        lab.snapshot.futures_balances,
        lab.snapshot.positions,
    )


def begin(lab: GridLab) -> None:
    lab.start_grid(replace(SPOT, symbol="BNBUSDT"))
    lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))


@pytest.mark.usefixtures("overlapping")
def test_a_stopped_joint_replay_goes_on_where_it_was(tmp_path: Path) -> None:
    outcomes = []
    for name, stops in (("unbroken", 0), ("stopped", 3)):
        folder = tmp_path / name
        with GridLab(folder, speed=0.001, **SPAN) as lab:
            begin(lab)
        for _ in range(stops):
            with GridLab(folder, speed=60_000, **SPAN) as lab:
                before_ms = lab.snapshot.time_ms
                while lab.snapshot.time_ms < before_ms + HOURS_MS // 2:
                    assert lab.snapshot.state is EngineState.READY
        with GridLab(folder, speed=0, **SPAN) as lab:
            play_to_end(lab)
            assert lab.snapshot.progress == 1.0
            assert all(bot.trade_count > 2 for bot in lab.snapshot.bots.values())
            outcomes.append(grids(lab))
    assert outcomes[0] == outcomes[1]


@pytest.mark.usefixtures("overlapping")
def test_both_markets_move_together(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, **SPAN) as lab:
        prices = lab.snapshot.prices
        assert prices[Market.SPOT, "BNBUSDT"] == prices[Market.FUTURES, "ETHUSDT"]
        assert set(lab.snapshot.venues) == set(Market)


class Book:
    """A book that has something to save."""

    def __init__(self, *records: Record) -> None:
        self._changes = list(records)

    def take_changes(self) -> list[Record]:
        changes, self._changes = self._changes, []
        return changes


def test_what_one_book_saves_carries_the_others(tmp_path: Path) -> None:
    def cursor(name: str) -> Any:
        return lambda: [("replay", "cursor", name)]

    with SqliteRecords.open(tmp_path / "venue.sqlite") as records:
        books = SharedBooks(records)
        books.join(Market.SPOT, Book(("price", "A", "1")), cursor("s"))  # type: ignore[arg-type]
        books.join(Market.FUTURES, Book(("price", "A", "2")), cursor("f"))  # type: ignore[arg-type]
        books.of(Market.SPOT).commit([("order", "1", "spot")])
    with SqliteRecords.open(tmp_path / "venue.sqlite") as records:
        books = SharedBooks(records)
        spot, futures = (dict(_keyed(books.stored(market))) for market in Market)
    assert spot == {("order", "1"): "spot", ("replay", "cursor"): "s"}
    assert futures == {("price", "A"): "2", ("replay", "cursor"): "f"}


def _keyed(records: list[Record]) -> Any:
    return (((kind, key), payload) for kind, key, payload in records)
