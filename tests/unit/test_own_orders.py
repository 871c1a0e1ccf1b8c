"""Our orders as the journal tells them: what a grid and a paper venue did, read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridlab.app import own_orders
from gridlab.app.facade import GridLab
from gridlab.app.own_orders import OwnOrders
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.events import GridStarted, OrderAccepted, OrderRejected
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, VenueStatus
from gridlab.domain.snapshot import EngineState, Mode
from gridlab.store.journal import Journal, read_entries

HOURS_MS = 3_600_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GridLab]:
    """A finished replay, whose paper venue remembers every order that it ever took."""
    span = (DEFAULT_REPLAY_START_MS, DEFAULT_REPLAY_START_MS + 6 * HOURS_MS)
    folder = tmp_path_factory.mktemp("orders")
    running = GridLab(
        folder, mode=Mode.REPLAY, speed=0, first_bot="BTCUSDT", start_ms=span[0], end_ms=span[1]
    )
    with running:
        while running.snapshot.state is EngineState.READY:
            pass
        running.stop_grid("BTCUSDT", "sell")
        yield running


def essence(order: OrderReport) -> tuple[object, ...]:
    """What both tell alike; the journal knows an end by its event, the venue by its own moment."""
    return (
        *(order.order_id, order.client_id, order.symbol, order.side, order.type, order.price),
        *(order.quantity, order.executed, order.status),
    )


def test_the_journal_tells_the_orders_that_the_venue_remembers(lab: GridLab) -> None:
    told = OwnOrders(lab.settings.journal_path).orders(Market.SPOT)
    venue = lab.orders(limit=10_000)
    assert told == sorted(told, key=lambda placed: placed[0])
    assert {essence(order) for _, order in told} == {essence(order) for order in venue}
    assert len(venue) > 15 and {o.status for o in venue} == {
        VenueStatus.FILLED,
        VenueStatus.CANCELED,
    }


def test_the_trades_are_the_venues_and_markets_stay_apart(lab: GridLab) -> None:
    own = OwnOrders(lab.settings.journal_path)
    assert tuple(own.trades(Market.SPOT, "BTCUSDT")) == lab.trades("BTCUSDT", 10_000)
    assert not own.trades(Market.SPOT, "ETHUSDT")
    assert not own.orders(Market.FUTURES) and not own.trades(Market.FUTURES, "BTCUSDT")


def test_it_follows_a_journal_that_grows_and_forgets_the_oldest_ended(
    lab: GridLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_orders, "MOST_KEPT", 3)
    entries = [entry for _, entry in read_entries(lab.settings.journal_path)]
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, lambda: "r") as journal:
        own, sizes = OwnOrders(path), []
        for entry in entries:
            journal.append([entry])
            sizes.append(len(own.orders(Market.SPOT)))
        assert max(sizes) <= 3 + lab.snapshot.bots["BTCUSDT"].levels + 1
        kept = own.orders(Market.SPOT)
    assert len(kept) == 3 and not any(order.status.is_open for _, order in kept)


def test_a_refused_order_is_none(lab: GridLab, tmp_path: Path) -> None:
    entries = [entry for _, entry in read_entries(lab.settings.journal_path)]
    assert isinstance(entries[0].event, GridStarted)
    accepted = next(e for e in entries if isinstance(e.event, OrderAccepted))
    assert isinstance(accepted.event, OrderAccepted)
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, lambda: "r") as journal:
        journal.append(entries[: entries.index(accepted) + 1])
        own = OwnOrders(path)
        assert [o.client_id for _, o in own.orders(Market.SPOT)] == [accepted.event.client_id]
        refused = OrderRejected(accepted.event.time_ms, accepted.event.client_id, "-1", "no")
        journal.append([type(accepted)(accepted.stream, refused, ())])
        assert own.orders(Market.SPOT) == []
