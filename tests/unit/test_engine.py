"""The engine behind the facade: life, requests, refusals, recovery, on the bundled recording."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from gridlab.app.facade import GridLab
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId
from gridlab.domain.snapshot import BotStatus, EngineState, Mode
from gridlab.domain.spec import GridSpec
from gridlab.errors import (
    Conflict,
    InvalidConfig,
    InvalidInput,
    InvalidSpec,
    JournalCorrupt,
    JournalMismatch,
    LeaseHeld,
    NotFound,
    StorageError,
)
from gridlab.exchange.paper import PaperExchange
from gridlab.grid import engine as core

HOURS_MS = 3_600_000
SPEC = GridSpec("BTCUSDT", levels=10, spacing=Decimal("0.005"), investment=Decimal(1000))
SHORT: dict[str, Any] = {
    "start_ms": DEFAULT_REPLAY_START_MS,
    "end_ms": DEFAULT_REPLAY_START_MS + 6 * HOURS_MS,
}


def play_to_end(lab: GridLab) -> None:
    wait_for(lambda: lab.snapshot.state is not EngineState.READY)
    assert lab.snapshot.state is EngineState.FINISHED, lab.snapshot.reason


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[GridLab]:
    """An engine whose market hardly moves, so that a test can act at one price."""
    with GridLab(tmp_path, speed=0.001) as lab:
        yield lab


def test_a_started_engine_is_ready_and_says_what_it_is(slow: GridLab) -> None:
    snapshot = slow.snapshot
    assert (snapshot.state, snapshot.mode) == (EngineState.READY, Mode.REPLAY)
    assert snapshot.prices[Market.SPOT, "BTCUSDT"] == Decimal("67710.63")
    assert slow.symbols() == ("BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert {b.asset: b.free for b in snapshot.balances} == {"USDT": Decimal(10_000)}
    assert not snapshot.bots


def test_snapshots_cannot_be_changed(slow: GridLab) -> None:
    with pytest.raises(FrozenInstanceError):
        slow.snapshot.sequence = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        slow.snapshot.bots["X"] = None  # type: ignore[index]


def test_start_and_stop_keep_the_books_closed(slow: GridLab) -> None:
    bot = slow.start_grid(SPEC)
    assert bot.status is BotStatus.RUNNING and len(bot.open_orders) == 10
    assert all(order.state == "open" and order.order_id for order in bot.open_orders)
    stopped = slow.stop_grid("BTCUSDT", "sell")
    assert stopped.status is BotStatus.STOPPED and not stopped.open_orders
    usdt = next(b for b in slow.snapshot.balances if b.asset == "USDT")
    held = stopped.money.base_held * stopped.price
    assert usdt.free + held - 10_000 == stopped.money.total
    assert stopped.money.grid_profit == 0 and stopped.money.base_held < Decimal("0.00001")


def test_a_second_grid_on_a_symbol_gets_a_new_run(slow: GridLab) -> None:
    first = slow.start_grid(SPEC)
    slow.stop_grid("BTCUSDT")
    second = slow.start_grid(SPEC)
    assert first.run != second.run
    ids = {ClientId.parse(t.client_id) for t in slow.trades("BTCUSDT")}
    assert {parsed.run for parsed in ids if parsed} == {first.run, second.run}


def test_requests_in_the_wrong_state_are_refused_in_words(slow: GridLab) -> None:
    with pytest.raises(NotFound, match="no bot has run on ETHUSDT"):
        slow.stop_grid("ETHUSDT")
    slow.start_grid(SPEC)
    with pytest.raises(Conflict, match="already runs on BTCUSDT"):
        slow.start_grid(SPEC)
    slow.start_grid(replace(SPEC, symbol="ETHUSDT"))
    with pytest.raises(Conflict, match="max_concurrent_pairs is 2"):
        slow.start_grid(replace(SPEC, symbol="SOLUSDT"))
    slow.stop_grid("BTCUSDT")
    with pytest.raises(Conflict, match="already stopped"):
        slow.stop_grid("BTCUSDT")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(SPEC, investment=Decimal(40)), "Invest at least"),
        (replace(SPEC, investment=Decimal(50_000)), "too little"),
        (replace(SPEC, spacing=Decimal("0.001")), "after fees"),
        (replace(SPEC, levels=300, investment=Decimal(9_000)), "outside the venue's band"),
        (replace(SPEC, market=Market.FUTURES), "nothing of futures is recorded in the span"),
    ],
)
def test_a_grid_that_cannot_start_is_refused_with_every_rule(
    slow: GridLab, spec: GridSpec, words: str
) -> None:
    with pytest.raises(InvalidSpec, match=words):
        slow.start_grid(spec)
    assert not slow.snapshot.bots


def test_unknown_symbols_and_intervals_are_named(slow: GridLab) -> None:
    with pytest.raises(NotFound, match="DOGEUSDT"):
        slow.preflight(replace(SPEC, symbol="DOGEUSDT"))
    with pytest.raises(NotFound, match="DOGEUSDT"):
        slow.trades("DOGEUSDT")
    with pytest.raises(InvalidInput, match="interval is '7m'"):
        slow.klines("BTCUSDT", "7m")


def test_the_awaitable_twins_do_the_same(slow: GridLab) -> None:
    async def use() -> None:
        assert (await slow.astart_grid(SPEC)).status is BotStatus.RUNNING
        assert (await slow.astop_grid("BTCUSDT")).status is BotStatus.STOPPED

    asyncio.run(use())


def test_a_second_owner_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001), pytest.raises(LeaseHeld):
        GridLab(tmp_path).start()
    with GridLab(tmp_path, speed=0.001) as again:
        assert again.snapshot.state is EngineState.READY


def test_stopping_leaves_no_thread_and_refuses_later_calls(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    lab = GridLab(tmp_path, speed=0.001).start()
    lab.stop()
    assert set(threading.enumerate()) == before
    assert lab.snapshot.state is EngineState.STOPPED
    with pytest.raises(Conflict, match="stopped"):
        lab.start_grid(SPEC)
    with pytest.raises(Conflict, match="already started"):
        lab.start()


def test_the_recording_ends_and_says_so(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
        assert lab.snapshot.progress == 1.0
        with pytest.raises(Conflict, match="recording has ended"):
            lab.start_grid(replace(SPEC, symbol="ETHUSDT"))
        assert lab.stop_grid("BTCUSDT").status is BotStatus.STOPPED


def test_a_recording_that_had_ended_is_still_ended_after_a_restart(tmp_path: Path) -> None:
    """Found by kills after the last step: the session called itself ready, for ever."""
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        assert lab.snapshot.state is EngineState.FINISHED
        with pytest.raises(Conflict, match="the recording has ended"):
            lab.start_grid(replace(SPEC, symbol="ETHUSDT"))


def ledger_of(lab: GridLab) -> tuple[object, ...]:
    bot = lab.snapshot.bots["BTCUSDT"]
    return bot.money, bot.trade_count, bot.open_orders, lab.snapshot.balances


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    path = tmp_path_factory.mktemp("unbroken")
    with GridLab(path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
        return ledger_of(lab)


def test_a_stopped_replay_goes_on_where_it_was(
    tmp_path: Path, unbroken: tuple[object, ...]
) -> None:
    with GridLab(tmp_path, speed=20_000, first_bot="BTCUSDT", **SHORT) as lab:
        wait_for(lambda: lab.snapshot.bots["BTCUSDT"].trade_count >= 3)
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        recovery = lab.snapshot.bots["BTCUSDT"].recovery
        assert recovery is not None and recovery.recovered and recovery.events_replayed > 10
        play_to_end(lab)
        assert ledger_of(lab) == unbroken


def test_a_session_that_breaks_begins_again_with_recovery(
    tmp_path: Path, unbroken: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PaperExchange.advance
    calls = iter(range(10**9))

    def advance(self: PaperExchange, *arguments: Any) -> None:
        original(self, *arguments)
        if next(calls) == 900:
            raise OSError("the disk hiccups")

    monkeypatch.setattr(PaperExchange, "advance", advance)
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        wait_for(lambda: lab.snapshot.state is EngineState.RECOVERING)
        assert "disk hiccups" in lab.snapshot.reason and lab.snapshot.bots
        with pytest.raises(Conflict, match="recovering"):
            lab.stop_grid("BTCUSDT")
        wait_for(lambda: lab.snapshot.state is EngineState.FINISHED)
        agent = lab.snapshot.agents[0]
        assert agent.restarts == 1 and "disk hiccups" in agent.last_error
        assert ledger_of(lab) == unbroken


def test_fresh_puts_the_old_books_aside(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
    with GridLab(tmp_path, speed=0.001, fresh=True) as lab:
        assert not lab.snapshot.bots
    assert len(list((tmp_path / "archive").glob("*/journal.sqlite"))) == 1


def test_books_of_another_span_are_refused(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
    with pytest.raises(StorageError, match="another replay"):
        GridLab(tmp_path, speed=0).start()


def test_a_lost_journal_is_noticed_by_the_venue(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, first_bot="BTCUSDT"):
        pass
    for path in tmp_path.glob("journal.sqlite*"):
        path.unlink()
    with pytest.raises(StorageError, match="the journal does not know"):
        GridLab(tmp_path, speed=0.001, first_bot="BTCUSDT").start()


def test_a_tampered_journal_is_refused(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, first_bot="BTCUSDT"):
        pass
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("UPDATE entries SET commands = '[]' WHERE seq = 1")
    with pytest.raises(JournalCorrupt):
        GridLab(tmp_path, speed=0.001).start()


def test_a_core_that_answers_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GridLab(tmp_path, speed=0.001, first_bot="BTCUSDT"):
        pass

    def other_plan(*arguments: Any) -> Any:
        plan = original(*arguments)
        return replace(plan, initial_quantity=plan.initial_quantity * 2)

    original = core.plan_grid
    monkeypatch.setattr(core, "plan_grid", other_plan)
    with pytest.raises(JournalMismatch, match="GridStarted"):
        GridLab(tmp_path, speed=0.001).start()


def test_settings_that_cannot_work_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="speed is -1"):
        GridLab(tmp_path, speed=-1)
    with pytest.raises(InvalidConfig, match="no recording reaches"):
        GridLab(tmp_path, start_ms=0, end_ms=60_000).start()


def test_the_kill_switch_stops_every_bot_and_survives_a_restart(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001) as lab:
        lab.start_grid(SPEC)
        lab.start_grid(replace(SPEC, symbol="ETHUSDT"))
        stopped = lab.kill("drill")
        assert {bot.symbol: bot.status for bot in stopped} == {
            "BTCUSDT": BotStatus.STOPPED,
            "ETHUSDT": BotStatus.STOPPED,
        }
        assert lab.snapshot.killed == "drill" and not lab.orders(open_only=True)
    with GridLab(tmp_path, speed=0.001) as lab:
        with pytest.raises(Conflict, match="kill switch is pulled"):
            lab.start_grid(SPEC)
        lab.revive()
        assert lab.start_grid(SPEC).status is BotStatus.RUNNING


def test_orders_fills_and_events_are_read_in_pages(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0, first_bot="BTCUSDT", **SHORT) as lab:
        play_to_end(lab)
        orders, page = [], lab.order_page(limit=7)
        while page.items:
            assert len(page.items) <= 7
            orders += [order for _, order in page.items]
            page = lab.order_page(after=page.next_cursor, limit=7)
        assert [int(order.order_id) for order in orders] == list(range(1, len(orders) + 1))
        assert {o.client_id for o in lab.orders(open_only=True, limit=1000)} == {
            o.client_id for o in lab.snapshot.bots["BTCUSDT"].open_orders
        }
        fills, cursor = [], 0
        while found := lab.fills(after=cursor, limit=2):
            fills += [trade for _, trade in found]
            cursor = found[-1][0]
        assert tuple(fills) == lab.trades("BTCUSDT")
        assert not lab.fills("ETHUSDT")
        (first,) = lab.events(limit=1)
        assert first[0] == 1 and type(first[1].event).__name__ == "GridStarted"
        assert not lab.events("another-run")


def test_a_backtest_is_a_job_with_a_result(slow: GridLab) -> None:
    job = slow.jobs.wait(slow.submit_backtest(SPEC).id, 60)
    assert job.state == "done" and job.result["symbol"] == "BTCUSDT", job.error
    assert slow.submit_backtest(SPEC).id == job.id


def test_a_shadow_test_runs_an_engine_of_its_own(slow: GridLab) -> None:
    job = slow.jobs.wait(slow.submit_shadow_test(1.0).id, 30)
    assert job.state == "done", job.error
    assert job.result["market_data_collected"] > 1
    assert job.result["data_quality"]["valid_price_data"] is True
    assert not slow.snapshot.bots, "the engine under test is another one"


def test_symbols_are_judged_by_a_preflight(slow: GridLab) -> None:
    report = slow.validate_symbol("BTCUSDT")
    assert report.suitable and report.recommended is not None
    least = report.recommended.capital_needed
    assert slow.preflight(replace(SPEC, investment=least + 1)).ok
    assert not slow.preflight(replace(SPEC, investment=least / 2)).ok
    with pytest.raises(NotFound):
        slow.validate_symbol("NOPEUSDT")


def test_figures_of_the_process_are_measured(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=3000) as lab:
        wait_for(lambda: lab.performance()["engine_steps"] > 10)  # type: ignore[operator]
        figures = lab.performance()
    assert 0 < figures["engine_step_p50_ms"] <= figures["engine_step_p99_ms"] < 1000  # type: ignore[operator]
    assert 20 < figures["memory_mb"] < 2000  # type: ignore[operator]


def test_indicators_come_from_the_cache_within_their_bound(slow: GridLab) -> None:
    first = slow.indicator("BTCUSDT", "RSI", interval="1h", limit=10)
    again = slow.indicator("BTCUSDT", "RSI", interval="1h", limit=10)
    assert again is first and len(first.rows()) == 10
    assert slow.cache.metrics().fresh_hits == 1
    other = slow.indicator("BTCUSDT", "RSI", interval="1h", limit=11)
    assert other is not first
    with pytest.raises(NotFound):
        slow.indicator("NOPEUSDT", "RSI")
    with pytest.raises(InvalidInput, match="no indicator"):
        slow.indicator("BTCUSDT", "MAGIC")


def test_pairs_are_judged_by_the_configured_filters(slow: GridLab) -> None:
    table = slow.pair_table()
    assert {row.symbol for row in table.rows} == set(slow.symbols())
    assert len(table.chosen) <= slow.settings.config.trading.max_concurrent_pairs
    blocked = [check for row in table.rows for check in row.checks if check.blocks]
    assert blocked and all(check.limit is not None for check in blocked)
    # A recording knows no spread; in a replay that is told and does not block.
    assert not any(check.blocks for check in blocked if check.value is None)


def test_an_end_that_was_asked_for_comes_although_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def save(self: PaperExchange) -> None:
        raise StorageError("no space left")

    lab = GridLab(tmp_path, speed=0.001).start()
    monkeypatch.setattr(PaperExchange, "save", save)
    stopping = threading.Thread(target=lab.stop, daemon=True)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive(), "the engine did not end"
    assert "not left in order: no space left" in caplog.text
