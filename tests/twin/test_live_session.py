"""The engine in Testnet and Shadow, in this process, over a twin: what only those modes do."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from spot_client import SpotClient
from waiting import wait_for

from gridlab.api.app import create_app
from gridlab.app.ban_file import remembering_budgets
from gridlab.app.config import load_config
from gridlab.app.facade import GridLab
from gridlab.clock import SystemClock
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.account import MarginType
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId
from gridlab.domain.snapshot import BotStatus, EngineState, Mode
from gridlab.errors import Conflict, InvalidSpec, LeaseHeld, NotFound, StorageError
from gridlab.testing.twin import RunningTwin, running_twin

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin(has_limits=False, pulse_ms=1_000) as running:
        yield running


def on_testnet(folder: Path, twin: RunningTwin, **more: Any) -> GridLab:
    return GridLab(folder, mode=Mode.TESTNET, endpoints=json.dumps(twin.ready), **more)


@pytest.fixture
def lab(tmp_path: Path, twin: RunningTwin) -> Iterator[GridLab]:
    with on_testnet(tmp_path / "data", twin) as running:
        yield running


def api_of(lab: GridLab) -> Any:
    return create_app(lab).test_client()


def test_a_testnet_engine_says_where_it_is(lab: GridLab, twin: RunningTwin) -> None:
    snapshot = lab.snapshot
    assert (snapshot.state, snapshot.mode) == (EngineState.READY, Mode.TESTNET)
    assert {m: v.state for m, v in snapshot.venues.items()} == dict.fromkeys(Market, "ready")
    held = {b.asset: b.total for b in snapshot.balances}
    truth = twin.account()["spot"]["balances"]
    assert held == {asset: Decimal(b["total"]) for asset, b in truth.items()}
    free = {b.asset: b.free for b in snapshot.futures_balances}
    assert free == {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
    assert snapshot.progress is None and not snapshot.bots
    client = api_of(lab)
    status = client.get("/api/status").json
    assert status["mode"] == "Testnet" and "twin" in status["data_source"]
    assert status["venues"]["futures"]["state"] == "ready"
    assert 0 <= status["venues"]["spot"]["account_age_ms"] < 10_000
    health = client.get("/api/health").json
    assert health["ready"] and health["accepts_orders"]
    assert {"spot_stream_ms", "futures_account_ms"} <= health["ages"].keys()
    assert client.get("/api/metrics").json["system"]["binance_connection"] == "connected"


@pytest.mark.parametrize("mode", [Mode.TESTNET, Mode.SHADOW])
def test_a_start_under_a_ban_asks_nothing_until_it_ends_and_says_so(
    tmp_path: Path, twin: RunningTwin, mode: Mode
) -> None:
    clock, folder = SystemClock(), tmp_path / "data"
    until_ms = clock.now_ms() + 5_000
    remembering_budgets(folder, clock).silence(twin.ready["rest_futures"]).ban(until_ms)
    asked = twin.account()["requests"]
    with GridLab(folder, mode=mode, endpoints=json.dumps(twin.ready)) as lab:
        assert lab.snapshot.state is EngineState.RECOVERING
        assert "has banned this address until" in lab.snapshot.reason
        health = api_of(lab).get("/api/health").json
        assert not health["ready"] and "has banned this address" in str(health)
        with pytest.raises(Conflict, match="recovering"):
            lab.preflight(lab.default_spec())
        assert twin.account()["requests"] == asked
        assert clock.now_ms() < until_ms, "too slow to show anything"
        wait_for(lambda: lab.snapshot.state is EngineState.READY, "the start")
        assert clock.now_ms() >= until_ms and twin.account()["requests"] > asked


def test_a_start_under_a_ban_can_be_stopped(tmp_path: Path, twin: RunningTwin) -> None:
    clock, folder = SystemClock(), tmp_path / "data"
    silence = remembering_budgets(folder, clock).silence(twin.ready["rest_spot"])
    silence.ban(clock.now_ms() + 3_600_000)
    with on_testnet(folder, twin) as lab:
        pass
    assert twin.account()["requests"] == 0
    assert not [line for line in lab.logs() if "was not left in order" in str(line)]


def test_the_connection_test_asks_the_venue(lab: GridLab) -> None:
    answer = api_of(lab).get("/api/test/connection").json
    for market in ("binance_spot", "binance_futures"):
        assert answer[market]["connected"] is True and answer[market]["reason"] is None
        assert 0 <= answer[market]["ping_ms"] < 5_000 and answer[market]["server_time"]
    assert answer["binance_spot"]["api_limits"]["spot_orders_per_second"] == 10
    assert answer["binance_futures"]["api_limits"]["futures_orders_per_minute"] == 1200


def test_market_data_come_from_the_venue(lab: GridLab, twin: RunningTwin) -> None:
    twin.price("BTCUSDT", "67000")
    wait_for(
        lambda: lab.snapshot.prices[Market.SPOT, "BTCUSDT"] == 67_000, "the price on the stream"
    )
    assert lab.klines("BTCUSDT", "1m", 3)[-1].close == 67_000
    assert lab.instrument("ETHUSDT", Market.FUTURES).market is Market.FUTURES
    assert lab.ticker("ETHUSDT").price > 0
    with pytest.raises(NotFound):
        lab.preflight(lab.default_spec("NOPEUSDT"))


def test_a_grid_pays_the_accounts_own_fees(lab: GridLab) -> None:
    spec = lab.default_spec("ETHUSDT", Market.FUTURES)
    lied = replace(spec, fees=replace(spec.fees, maker=Decimal("0.004"), taker=Decimal("0.004")))
    fees = lab.preflight(lied).spec.fees
    assert (fees.maker, fees.taker) == (Decimal("0.0002"), Decimal("0.0005"))


def test_executions_orders_and_positions_are_the_venues(lab: GridLab, twin: RunningTwin) -> None:
    lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))
    wait_for(lambda: lab.snapshot.bots["ETHUSDT"].status is BotStatus.RUNNING, "it runs")
    client = api_of(lab)
    position = wait_for(
        lambda: client.get("/api/balance").json["futures"]["positions"], "the position is read"
    )[0]
    truth = twin.account()["futures"]["positions"][0]
    assert Decimal(str(position["quantity"])) == Decimal(truth["positionAmt"])
    assert position["leverage"] == 1 and position["margin_type"] == "crossed"
    balance = client.get("/api/balance").json["futures"]
    assert balance["error"] is None and balance["available_balance"] < balance["margin_balance"]
    (shown,) = client.get("/api/trading/executions").json["executions"]
    assert shown["market_type"] == "futures" and shown["grid_config"]["leverage"] == 1
    page = client.get("/api/orders?market_type=futures&limit=1000").json["orders"]
    theirs = twin.account()["futures"]["orders"]
    assert {o["order_id"] for o in page} == {str(o["order_id"]) for o in theirs}
    assert client.get("/api/orders?limit=1000").json["orders"] == []
    assert [t.trade_id for t in lab.trades("ETHUSDT")] == [
        int(t["id"]) for t in twin.account()["futures"]["trades"]
    ]


def test_the_account_is_whole_as_soon_as_a_restarted_engine_is_ready(
    tmp_path: Path, twin: RunningTwin
) -> None:
    folder = tmp_path / "data"
    with on_testnet(folder, twin) as lab:
        lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))
        wait_for(lambda: lab.snapshot.bots["ETHUSDT"].status is BotStatus.RUNNING, "it runs")
        lowest_buy = lab.snapshot.bots["ETHUSDT"].lines[0]
    twin.price("ETHUSDT", str(lowest_buy + 1), Market.FUTURES)  # it buys while nobody watches
    with on_testnet(folder, twin) as lab:
        truth = twin.account()["futures"]
        (held,) = lab.snapshot.positions
        assert held.quantity == Decimal(truth["positions"][0]["positionAmt"])
        assert held.quantity == lab.snapshot.bots["ETHUSDT"].money.base_held
        wallet = {balance.asset: balance.total for balance in lab.snapshot.futures_balances}
        assert wallet["USDT"] == Decimal(truth["balances"]["USDT"]["total"])


def test_other_peoples_orders_are_told_and_left_alone(
    lab: GridLab, twin: RunningTwin, tmp_path: Path
) -> None:
    other = SpotClient(twin)
    other.signed(
        "POST",
        "/api/v3/order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price="50000",
        newClientOrderId="someone-else-1",
    )
    lab.start_grid(lab.default_spec("BTCUSDT"))
    lab.stop()  # at once, with orders on their way: their answers are waited for
    with on_testnet(tmp_path / "data", twin) as again:
        wait_for(
            lambda: again.snapshot.venues[Market.SPOT].foreign_orders == 1, "the order is told"
        )
        assert again.orders(open_only=True, limit=1000)
        again.kill("drill")
        wait_for(lambda: len(twin.account()["spot"]["open_orders"]) == 1, "ours are cancelled")
    (left,) = twin.account()["spot"]["open_orders"]
    assert left["client_id"] == "someone-else-1"
    other.http.close()


def test_an_engine_starts_though_a_symbol_of_its_bots_was_removed(
    lab: GridLab, twin: RunningTwin, tmp_path: Path
) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        lab.start_grid(lab.default_spec(symbol, Market.FUTURES))
        wait_for(lambda s=symbol: lab.snapshot.bots[s].status is BotStatus.RUNNING, "it runs")
    lab.stop()
    twin.control("/delist", {"venue": "futures", "symbol": "BTCUSDT"})
    with on_testnet(tmp_path / "data", twin) as again:
        assert again.snapshot.state is EngineState.READY
        assert again.snapshot.bots["BTCUSDT"].status is BotStatus.ERROR
        assert "not listed on Binance futures" in again.snapshot.bots["BTCUSDT"].reason
        assert again.snapshot.bots["ETHUSDT"].status is BotStatus.RUNNING


def test_a_symbol_that_is_removed_takes_no_other_with_it(lab: GridLab, twin: RunningTwin) -> None:
    """Neither from the tickers, nor our own orders on it from the books."""
    client, watched = api_of(lab), lab.symbols()
    lab.start_grid(lab.default_spec("ETHUSDT"))
    wait_for(lambda: lab.snapshot.bots["ETHUSDT"].status is BotStatus.RUNNING, "it runs")
    orders = client.get("/api/orders?symbol=ETHUSDT").json["orders"]
    assert {row["symbol"] for row in client.get("/api/market_data").json} == set(watched)
    twin.control("/delist", {"venue": "spot", "symbol": "ETHUSDT"})
    lab.cache.clear()
    time.sleep(0.1)  # an answer is shared as long as the engine's step lasts
    left = client.get("/api/market_data")
    assert left.status_code == 200, left.text
    assert {row["symbol"] for row in left.json} == set(watched) - {"ETHUSDT"} != set()
    kept = client.get("/api/orders?symbol=ETHUSDT")
    assert kept.status_code == 200, kept.text
    assert [o["order_id"] for o in kept.json["orders"]] == [o["order_id"] for o in orders]
    assert client.get("/api/orders?symbol=ETHUSDT&market_type=futures").json["orders"] == []
    assert client.get("/api/orders?symbol=NOPEUSDT").status_code == 404


def test_a_lost_journal_is_noticed_by_the_venue(
    lab: GridLab, twin: RunningTwin, tmp_path: Path
) -> None:
    lab.start_grid(lab.default_spec("BTCUSDT"))
    wait_for(lambda: len(twin.account()["spot"]["open_orders"]) == 10, "its orders rest")
    lab.stop()
    with pytest.raises(StorageError, match="cancel those orders at the exchange"):
        on_testnet(tmp_path / "empty", twin).start()


def test_an_account_has_one_owner_and_books_one_account(
    lab: GridLab, twin: RunningTwin, tmp_path: Path
) -> None:
    with pytest.raises(LeaseHeld, match="two owners would take each other's orders"):
        on_testnet(tmp_path / "other", twin).start()
    lab.stop()
    with running_twin(has_limits=False) as another:
        with pytest.raises(StorageError, match="belong to key"):
            on_testnet(tmp_path / "data", another).start()
        with on_testnet(tmp_path / "data", another, fresh=True) as begun:
            assert not begun.snapshot.bots


def test_two_journals_never_give_the_same_id(tmp_path: Path, twin: RunningTwin) -> None:
    runs = []
    for name in ("one", "two"):
        with on_testnet(tmp_path / name, twin) as lab:
            runs.append(lab.start_grid(lab.default_spec("BTCUSDT")).run)
            lab.stop_grid("BTCUSDT")
    assert runs[0] != runs[1]
    ids = [ClientId.parse(o["client_id"]) for o in twin.account()["spot"]["orders"]]
    assert {parsed.run for parsed in ids if parsed} == set(runs)


def test_hedge_mode_is_refused_in_words(lab: GridLab, twin: RunningTwin) -> None:
    client = SpotClient(twin)
    client.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    with pytest.raises(Conflict, match="hedge"):
        lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))
    assert not twin.account()["futures"]["orders"]
    client.http.close()


def test_the_configured_leverage_is_set_shown_and_asserted(
    tmp_path: Path, twin: RunningTwin
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("grid: {futures: {leverage: 5, use_isolated_margin: true}}")
    with on_testnet(tmp_path / "data", twin, config=load_config(path, {})) as lab:
        lab.start_grid(lab.default_spec("ETHUSDT", Market.FUTURES))
        position = wait_for(lambda: lab.snapshot.positions, "the position is read")[0]
        assert (position.leverage, position.margin_type) == (5, MarginType.ISOLATED)
        assert position.liquidation_price is not None
        assert 0 < position.liquidation_price < position.entry_price
        client = api_of(lab)
        (shown,) = client.get("/api/trading/executions").json["executions"]
        assert shown["grid_config"]["leverage"] == 5
        (held,) = client.get("/api/balance").json["futures"]["positions"]
        assert 10 < held["liquidation_distance_perc"] < 25

        other = SpotClient(twin)
        other.signed("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=9)
        other.http.close()
        halted = wait_for(
            lambda: (
                lab.snapshot.bots["ETHUSDT"].status is BotStatus.ERROR
                and lab.snapshot.bots["ETHUSDT"]
            ),
            "the next comparison halts the bot",
        )
        assert "leverage 9, 5 is assumed" in halted.reason


def test_a_market_without_an_account_is_refused(tmp_path: Path, twin: RunningTwin) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("exchange: {supported_markets: [spot]}")
    config = load_config(path, {})
    with on_testnet(tmp_path / "data", twin, config=config) as lab:
        assert list(lab.snapshot.venues) == [Market.SPOT]
        with pytest.raises(InvalidSpec, match="account on spot only"):
            lab.preflight(lab.default_spec("ETHUSDT", Market.FUTURES))


def test_a_mode_is_left_only_when_nobody_is_left_behind(lab: GridLab, twin: RunningTwin) -> None:
    lab.start_grid(lab.default_spec("BTCUSDT"))
    client = api_of(lab)
    modes = client.get("/api/operation_mode").json
    assert modes["available_modes"] == ["Replay", "Testnet"]
    assert "gridlab up --production" in modes["unavailable_modes"]["Production"]
    blocked = client.post("/api/operation_mode", json={"mode": "Replay"})
    assert blocked.status_code == 409 and "stop them" in blocked.json["error"]["message"]
    lab.stop_grid("BTCUSDT")
    wait_for(lambda: lab.snapshot.bots["BTCUSDT"].status is BotStatus.STOPPED, "it is over")
    changed = client.post("/api/operation_mode", json={"mode": "Replay"})
    assert changed.status_code == 200 and changed.json["changed"] is True
    assert changed.json["mode"] == "Replay" and not lab.snapshot.bots
    assert lab.snapshot.time_ms >= DEFAULT_REPLAY_START_MS and lab.snapshot.progress is not None
    refused = client.post("/api/operation_mode", json={"mode": "Production"})
    assert refused.status_code == 409
    back = client.post("/api/operation_mode", json={"mode": "Testnet"})
    assert back.status_code == 200 and lab.snapshot.bots["BTCUSDT"].status is BotStatus.STOPPED


def test_a_mode_that_cannot_be_entered_leaves_the_former_one(
    tmp_path: Path, twin: RunningTwin
) -> None:
    with GridLab(
        tmp_path / "data", mode=Mode.SHADOW, endpoints=json.dumps(twin.ready), speed=0.001
    ) as lab:
        lab.switch_mode(Mode.REPLAY)
        (tmp_path / "data" / "shadow" / "account.json").write_text('{"account": "x", "words": "y"}')
        with pytest.raises(StorageError, match="belong to y"):
            lab.switch_mode(Mode.SHADOW)
        wait_for(lambda: lab.snapshot.state is EngineState.READY, "Replay runs again")
        assert lab.snapshot.mode is Mode.REPLAY and lab.symbols()


def test_shadow_orders_never_reach_the_venue(tmp_path: Path, twin: RunningTwin) -> None:
    folder = tmp_path / "data"
    shadow: dict[str, Any] = {"mode": Mode.SHADOW, "endpoints": json.dumps(twin.ready)}
    with GridLab(folder, **shadow) as lab:
        start = lab.snapshot.prices[Market.SPOT, "BTCUSDT"]
        for spec in (lab.default_spec("BTCUSDT"), lab.default_spec("ETHUSDT", Market.FUTURES)):
            lab.start_grid(spec)
        twin.price("BTCUSDT", round(start * Decimal("0.992"), 2))
        wait_for(lambda: lab.snapshot.bots["BTCUSDT"].trade_count > 1, "a print fills paper")
        # Small prints fill in parts; the next ones, a second apart, fill the rest.
        wait_for(
            lambda: not any(o.executed for o in lab.orders(open_only=True, limit=1000)),
            "what was begun is filled",
        )
        assert lab.snapshot.positions[0].quantity > 0
        assert lab.settings.access.credentials is None
        orders = {o.client_id for o in lab.orders(open_only=True, limit=1000)}
    truth = twin.account()
    assert not truth["spot"]["orders"] and not truth["futures"]["orders"]
    with GridLab(folder, **shadow) as again:
        recovery = again.snapshot.bots["BTCUSDT"].recovery
        assert recovery is not None and recovery.recovered
        assert {o.client_id for o in again.orders(open_only=True, limit=1000)} == orders


def test_nothing_secret_is_told(lab: GridLab, twin: RunningTwin) -> None:
    lab.start_grid(lab.default_spec("BTCUSDT"))
    client = api_of(lab)
    for path in ("status", "debug/logs?lines=500", "debug/config", "events", "orders"):
        told = client.get(f"/api/{path}").get_data(as_text=True)
        assert twin.ready["secret"] not in told and twin.ready["key"] not in told
    assert twin.ready["secret"] not in repr(lab.settings)
    urllib.request.urlopen(twin.ready["control"] + "/account").close()
