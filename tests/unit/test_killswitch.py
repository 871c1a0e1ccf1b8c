"""A pulled kill switch is obeyed whatever the engine does just then, and whatever it does next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from gridlab.api import create_app
from gridlab.app.facade import GridLab
from gridlab.app.killswitch import KillSwitch
from gridlab.app.paper_account import PaperAccount
from gridlab.app.replay_session import ReplaySession
from gridlab.data.catalog import DEFAULT_REPLAY_START_MS
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import StopRequested
from gridlab.domain.snapshot import BotStatus, EngineState
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, StorageError
from gridlab.exchange.paper import PaperExchange
from gridlab.store.journal import read_entries

SPEC = GridSpec("BTCUSDT", levels=10, spacing=Decimal("0.005"), investment=Decimal(1000))
SPAN: dict[str, Any] = {
    "start_ms": DEFAULT_REPLAY_START_MS,
    "end_ms": DEFAULT_REPLAY_START_MS + 6 * 3_600_000,
    "first_bot": "BTCUSDT",
}


def break_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the session break once, at the `step`-th movement of the market."""
    original, calls = PaperExchange.advance, iter(range(10**9))

    def advance(self: PaperExchange, *arguments: Any) -> None:
        original(self, *arguments)
        if next(calls) == step:
            raise OSError("the disk hiccups")

    monkeypatch.setattr(PaperExchange, "advance", advance)


def stops(lab: GridLab) -> Iterator[StopRequested]:
    for _, entry in read_entries(lab.settings.journal_path):
        if isinstance(entry.event, StopRequested):
            yield entry.event


def placed_after_the_stop(lab: GridLab) -> Iterator[str]:
    """The client ids of orders that a grid made after it was told to stop."""
    is_stopped = False
    for _, entry in read_entries(lab.settings.journal_path):
        is_stopped = is_stopped or isinstance(entry.event, StopRequested)
        if is_stopped:
            yield from (c.client_id for c in entry.commands if isinstance(c, PlaceOrder))


def is_dead(lab: GridLab) -> bool:
    """Whether the bot was stopped by the switch and nothing of it is left at the venue."""
    bot = lab.snapshot.bots["BTCUSDT"]
    assert bot.reason == "kill switch: drill" and not list(placed_after_the_stop(lab))
    return bot.status is BotStatus.STOPPED and not lab.orders(open_only=True)


def test_a_kill_between_two_sessions_stops_the_bots_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 900)
    with GridLab(tmp_path, speed=0, **SPAN) as lab:
        wait_for(lambda: lab.snapshot.state is EngineState.RECOVERING)
        api = create_app(lab).test_client()
        reply = api.post("/api/kill", json={"reason": "drill"}, headers={"Idempotency-Key": "k"})
        assert reply.status_code == 200 and reply.json["killed"] is True
        assert [bot["symbol"] for bot in reply.json["pending"]] == ["BTCUSDT"]
        assert not reply.json["stopped"] and "recovering" in reply.json["message"]
        assert api.get("/api/kill").json["reason"] == "drill"
        wait_for(lambda: lab.snapshot.state is EngineState.FINISHED)
        assert is_dead(lab)


def test_a_kill_while_recovery_is_under_way_stops_its_bots_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 900)
    original, looks = PaperAccount.ghosts, iter(range(10))
    is_looking, may_go_on = threading.Event(), threading.Event()

    async def ghosts(self: PaperAccount) -> Any:
        if next(looks) == 1:  # the second start
            is_looking.set()
            while not may_go_on.is_set():
                await asyncio.sleep(0.005)
        return await original(self)

    monkeypatch.setattr(PaperAccount, "ghosts", ghosts)
    with GridLab(tmp_path, speed=0, **SPAN) as lab:
        assert is_looking.wait(10)
        (bot,) = lab.kill("drill")
        assert bot.may_trade and lab.snapshot.killed == "drill"
        wait_for(lambda: len(list(stops(lab))) == 1)
        may_go_on.set()
        wait_for(lambda: lab.snapshot.state is EngineState.FINISHED)
        assert is_dead(lab)


def test_a_crash_between_the_pull_and_the_stop_leaves_no_bot_alive(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=20_000, **SPAN) as lab:
        wait_for(lambda: lab.snapshot.bots["BTCUSDT"].trade_count >= 2)
    KillSwitch(lab.settings.kill_path).pull("drill")
    with GridLab(tmp_path, speed=0, **SPAN) as lab:
        wait_for(lambda: is_dead(lab))
    with GridLab(tmp_path, speed=0, **SPAN) as lab:  # and it is told to stop once only
        assert len(list(stops(lab))) == 1 and is_dead(lab)


def test_orders_that_never_left_are_not_delivered_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends with orders in the journal that the venue has not seen."""
    original, calls = PaperExchange.place, iter(range(10**9))

    async def place(self: PaperExchange, request: Any) -> Any:
        if next(calls) >= 5:
            raise OSError("the power is gone")
        return await original(self, request)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="power"):
        patch.setattr(PaperExchange, "place", place)
        GridLab(tmp_path, speed=0.001, **SPAN).start()
    lab = GridLab(tmp_path, speed=0.001, **SPAN)
    KillSwitch(lab.settings.kill_path).pull("drill")
    with lab:
        assert is_dead(lab) and len(lab.orders()) == 5
        recovery = lab.snapshot.bots["BTCUSDT"].recovery
        assert recovery is not None and recovery.orders_resent == 0


def test_a_start_that_is_under_way_does_not_outlive_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ReplaySession.prepare

    async def prepare(self: ReplaySession, spec: GridSpec) -> None:
        await original(self, spec)
        assert lab._engine is not None
        await lab._engine.kill("drill")

    monkeypatch.setattr(ReplaySession, "prepare", prepare)
    with GridLab(tmp_path, speed=0.001) as lab:
        with pytest.raises(Conflict, match="kill switch is pulled"):
            lab.start_grid(SPEC)
        assert not lab.snapshot.bots and not lab.orders()


def test_a_first_bot_does_not_start_while_the_switch_is_pulled(tmp_path: Path) -> None:
    lab = GridLab(tmp_path, speed=0.001, **SPAN)
    KillSwitch(lab.settings.kill_path).pull("drill")
    with lab:
        assert not lab.snapshot.bots and lab.snapshot.killed == "drill"


def test_a_trader_that_breaks_while_its_bots_stop_is_killed_again_by_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = PaperExchange.cancel, iter(range(10**9))

    async def cancel(self: PaperExchange, symbol: str, client_id: str) -> Any:
        if next(calls) == 3:
            raise OSError("the disk hiccups")
        return await original(self, symbol, client_id)

    monkeypatch.setattr(PaperExchange, "cancel", cancel)
    with GridLab(tmp_path, speed=0.001, **SPAN) as lab:
        (bot,) = lab.kill("drill")
        assert bot.may_trade
        wait_for(lambda: lab.snapshot.state is EngineState.READY and is_dead(lab))


def test_a_switch_that_cannot_be_saved_stops_the_bots_and_says_so(tmp_path: Path) -> None:
    with GridLab(tmp_path, speed=0.001, **SPAN) as lab:
        (tmp_path / "killed.new").mkdir()  # in the way of the file
        with pytest.raises(StorageError, match="holds until this process ends"):
            lab.kill("drill")
        assert lab.snapshot.killed == "drill"
        wait_for(lambda: lab.snapshot.bots["BTCUSDT"].status is BotStatus.STOPPED)
        assert is_dead(lab)
        with pytest.raises(Conflict, match="kill switch is pulled"):
            lab.start_grid(SPEC)
