"""What the API says of bots and money: how old it is, what runs, and that it is of one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from gridlab.api.grid import find_bot
from gridlab.api.schemas import GridStatus
from gridlab.api.wire import stamp_of
from gridlab.app.facade import GridLab
from gridlab.clock import SystemClock
from gridlab.domain.market import Balance, Market
from gridlab.domain.snapshot import BotStatus, Snapshot, VenueHealth
from gridlab.errors import Conflict, NotFound
from gridlab.exchange.base import Dated
from gridlab.widgets.source import LabSource

OBJECTS = (
    *("/api/status", "/api/grid/status/BTCUSDT", "/api/trading/executions"),
    *("/api/balance", "/api/balance/summary", "/api/orders?symbol=BTCUSDT"),
)
#: The pairs have ages of their own, each price its own.
ARRAYS = ("/api/trades/BTCUSDT",)
SILENT_MS = 140_000

Show = Callable[[Snapshot], None]


@pytest.fixture
def show(running: str, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Makes the engine's picture another one, published now."""

    def shown(snapshot: Snapshot) -> None:
        now = replace(snapshot, wall_ms=SystemClock().now_ms())
        monkeypatch.setattr(GridLab, "snapshot", property(lambda self: now))

    return shown


def with_venue(
    snapshot: Snapshot, state: str, silent_ms: int, market: Market, unread_ms: int = 0
) -> Snapshot:
    now_ms = SystemClock().now_ms()
    heard_ms, read_ms = now_ms - silent_ms, now_ms - unread_ms
    venue = VenueHealth(state, "no answer to a ping for 10 s", heard_ms, read_ms)
    return replace(snapshot, venues={**snapshot.venues, market: venue})


def stamp_in(reply: Any) -> tuple[int, bool, str]:
    """Age, staleness and market time of an answer."""
    if isinstance(reply.json, dict):
        return reply.json["age_ms"], reply.json["stale"], reply.json["as_of"]
    heads = reply.headers
    is_stale = heads["X-GridLab-Stale"] == "true"
    return int(heads["X-GridLab-Age-Ms"]), is_stale, heads["X-GridLab-As-Of"]


@pytest.mark.parametrize("path", OBJECTS + ARRAYS)
def test_what_a_silent_venue_told_is_stale(
    lab: GridLab, client: FlaskClient, show: Show, path: str
) -> None:
    """The engine steps on and values everything at the last price: new pictures of old things."""
    sound = lab.snapshot
    show(with_venue(sound, "stale", SILENT_MS, Market.SPOT))
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    age_ms, is_stale, as_of = stamp_in(reply)
    assert is_stale and SILENT_MS <= age_ms < SILENT_MS + 5_000
    if path in OBJECTS:  # market time is as much earlier
        assert abs(sound.time_ms - SILENT_MS - reply.json["as_of_ms"]) < 5_000
        told = {reply.json.get(name, as_of) for name in ("timestamp", "last_updated")}
        assert told <= {as_of, reply.json["as_of_ms"]}, "the documented field is no younger"


@pytest.mark.parametrize("path", OBJECTS + ARRAYS)
@pytest.mark.parametrize("state", ["ready", "catching_up"])
def test_a_venue_that_speaks_makes_nothing_stale(
    lab: GridLab, client: FlaskClient, show: Show, path: str, state: str
) -> None:
    show(with_venue(lab.snapshot, state, SILENT_MS if state == "ready" else 300, Market.SPOT))
    age_ms, is_stale, _ = stamp_in(client.get(path))
    assert not is_stale and age_ms < 5_000, "a market where nothing happens is silent, too"


@pytest.mark.parametrize(("unread_ms", "is_old"), [(6_000, False), (SILENT_MS, True)])
def test_balances_are_as_old_as_the_request_that_read_them(
    lab: GridLab, client: FlaskClient, show: Show, unread_ms: int, is_old: bool
) -> None:
    """Under a ban streams tell of fills, and nobody reads the balances."""
    show(with_venue(lab.snapshot, "banned", 300, Market.SPOT, unread_ms))
    for path in ("/api/balance", "/api/balance/summary"):
        age_ms, is_stale, as_of = stamp_in(client.get(path))
        assert (is_stale, unread_ms <= age_ms < unread_ms + 5_000) == (is_old, True)
        told = client.get(path).json
        assert as_of == told.get("timestamp", told.get("last_updated"))
    assert not stamp_in(client.get("/api/grid/status/BTCUSDT"))[1]


def test_another_market_is_none_of_a_bots_business(
    lab: GridLab, client: FlaskClient, show: Show
) -> None:
    show(with_venue(lab.snapshot, "stale", SILENT_MS, Market.FUTURES))
    for path in ("/api/grid/status/BTCUSDT", "/api/trading/executions"):
        assert not stamp_in(client.get(path))[1], path
    assert stamp_in(client.get("/api/balance"))[1], "it is of both markets"


def test_a_kill_tells_each_bot_as_old_as_its_venue(
    lab: GridLab, client: FlaskClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine answers at once; that its orders are still open is what the venue said last."""
    spot = lab.snapshot.bots["BTCUSDT"]
    others = replace(spot, symbol="ETHUSDT", market=Market.FUTURES, status=BotStatus.STOPPED)
    monkeypatch.setattr(GridLab, "kill", lambda *_: (spot, replace(others, open_orders=())))
    sound = with_venue(lab.snapshot, "ready", 0, Market.FUTURES)
    show(with_venue(sound, "stale", SILENT_MS, Market.SPOT))
    told = client.post("/api/kill", json={}).json
    (pending,), (stopped,) = told["pending"], told["stopped"]
    assert pending["stale"] and pending["age_ms"] >= SILENT_MS and not stopped["stale"]
    assert told["stale"] and told["age_ms"] >= SILENT_MS, "the whole is as old as its oldest part"


OF_BOTS = ("/api/status", "/api/grid/status/BTCUSDT", "/api/trading/executions")


def with_bot(snapshot: Snapshot, **changes: Any) -> Snapshot:
    """The next picture, with another bot in it."""
    bots = {"BTCUSDT": replace(snapshot.bots["BTCUSDT"], **changes)}
    return replace(snapshot, bots=bots, sequence=snapshot.sequence + 1)


@pytest.mark.parametrize(("age_ms", "is_old"), [(20_000, False), (95_000, True)])
def test_a_bot_is_as_old_as_a_price_past_its_bound(
    lab: GridLab,
    client: FlaskClient,
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
    age_ms: int,
    is_old: bool,
) -> None:
    """The venue speaks, and of this symbol it says nothing."""
    show(with_venue(lab.snapshot, "ready", 0, Market.SPOT))
    price = Dated(Decimal(60_000), age_ms, is_old)
    monkeypatch.setattr(GridLab, "dated_price", lambda *_: price)
    for path in OF_BOTS:
        told_ms, is_stale, _ = stamp_in(client.get(path))
        assert (is_stale, told_ms >= age_ms) == (is_old, is_old), path
    assert LabSource(lab).engine().age_ms >= age_ms * is_old
    pairs = client.get("/api/trading/pairs").json
    assert {pair["stale"] for pair in pairs} == {is_old}, "the same price, told alike"


@pytest.mark.parametrize("error", [NotFound, Conflict])
def test_a_bot_whose_price_nobody_tells_is_as_old_as_its_last_event(
    lab: GridLab,
    client: FlaskClient,
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    def dated_price(*_: object) -> Dated[Decimal]:
        raise error("it is not watched here")

    monkeypatch.setattr(GridLab, "dated_price", dated_price)
    sound = with_venue(lab.snapshot, "ready", 0, Market.SPOT)
    moments = {"updated_ms": sound.time_ms - SILENT_MS}
    show(with_bot(sound, **moments))
    for path in OF_BOTS:
        told_ms, is_stale, _ = stamp_in(client.get(path))
        assert is_stale and SILENT_MS <= told_ms < SILENT_MS + 5_000, path
    # One that ended keeps less than can be sold; nobody watches a price for that.
    show(with_bot(lab.snapshot, status=BotStatus.STOPPED, open_orders=(), **moments))
    assert not any(stamp_in(client.get(path))[1] for path in OF_BOTS)


def test_a_bot_of_a_market_that_is_not_traded_is_not_heard_of(
    lab: GridLab, client: FlaskClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal's futures bot, after a start with the spot market only."""
    known = GridLab.dated_price

    def dated_price(self: GridLab, symbol: str, market: Market = Market.SPOT) -> Dated[Decimal]:
        if market is Market.FUTURES:
            raise NotFound("it is not watched here")
        return known(self, symbol, market)

    monkeypatch.setattr(GridLab, "dated_price", dated_price)
    sound = with_venue(lab.snapshot, "ready", 0, Market.SPOT)
    sound = replace(sound, venues={Market.SPOT: sound.venues[Market.SPOT]})
    moments = {"updated_ms": sound.time_ms - SILENT_MS}
    show(with_bot(sound, market=Market.FUTURES, **moments))
    for path in (*OF_BOTS, *ARRAYS):
        told_ms, is_stale, _ = stamp_in(client.get(path))
        assert is_stale and SILENT_MS <= told_ms < SILENT_MS + 5_000, path
    shown = lab.snapshot
    assert shown.known_ms([Market.SPOT]) == shown.wall_ms
    assert shown.known_ms([Market.FUTURES]) == shown.wall_ms - SILENT_MS
    show(
        with_bot(shown, market=Market.FUTURES, status=BotStatus.STOPPED, open_orders=(), **moments)
    )
    assert stamp_in(client.get("/api/grid/status/BTCUSDT"))[1], "what it kept has no present price"


def test_the_sum_of_both_accounts_is_exact(lab: GridLab, client: FlaskClient, show: Show) -> None:
    spot, futures = (Balance("USDT", Decimal(free), Decimal(0)) for free in ("0.1", "0.2"))
    show(replace(lab.snapshot, balances=(spot,), futures_balances=(futures,)))
    summary = client.get("/api/balance/summary").json
    assert [summary[name] for name in ("spot_usdt", "futures_usdt", "total_usdt")] == [
        0.1,
        0.2,
        0.3,
    ]


def test_a_notebooks_panel_shows_the_same_age(lab: GridLab, show: Show) -> None:
    show(with_venue(lab.snapshot, "stale", SILENT_MS, Market.SPOT))
    assert LabSource(lab).engine().age_ms >= SILENT_MS


def test_a_bot_that_buys_its_first_stock_runs(
    lab: GridLab, client: FlaskClient, show: Show
) -> None:
    """Its order can fill at any moment, so no route may call it stopped."""
    snapshot = lab.snapshot
    bot = replace(snapshot.bots["BTCUSDT"], status=BotStatus.STARTING)
    show(replace(snapshot, bots={**snapshot.bots, "BTCUSDT": bot}))
    status = client.get("/api/grid/status/BTCUSDT").json
    assert (status["status"], status["phase"]) == ("running", "starting")
    assert client.get("/api/status").json["active_bots"]["BTCUSDT"]["status"] == "running"
    told = client.get("/api/trading/executions").json["executions"]
    (execution,) = [bot for bot in told if bot["symbol"] == "BTCUSDT"]
    assert execution["status"] == "active"
    (pair,) = [p for p in client.get("/api/trading/pairs").json if p["symbol"] == "BTCUSDT"]
    assert (pair["active"], pair["status"]) == (True, "running")


def test_a_bots_price_is_the_one_its_profit_was_counted_at(
    lab: GridLab, running: str, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine publishes between two looks of one request."""
    first = lab.snapshot
    bot = first.bots["BTCUSDT"]
    moved = {**first.prices, (Market.SPOT, "BTCUSDT"): bot.price + 1_000}
    looks = iter([first])
    after = replace(first, sequence=first.sequence + 1, prices=moved)
    monkeypatch.setattr(GridLab, "snapshot", property(lambda self: next(looks, after)))
    with client.application.test_request_context():
        shape = GridStatus.of_bot(
            find_bot(lab, "BTCUSDT"), lab.snapshot, stamp_of(lab.snapshot), str
        )
    assert shape.current_price == float(bot.price)
