"""A kill holds in every mode: whichever is entered while the switch is pulled trades no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from waiting import wait_for

from gridlab.app.facade import GridLab
from gridlab.app.killswitch import KillSwitch
from gridlab.domain.market import Market
from gridlab.domain.snapshot import BotStatus, Mode
from gridlab.testing.twin import RunningTwin, running_twin

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin(has_limits=False, pulse_ms=1_000) as running:
        yield running


def engine(folder: Path, twin: RunningTwin, mode: Mode) -> GridLab:
    return GridLab(folder, mode=mode, endpoints=json.dumps(twin.ready), speed=0.001)


def status_of(lab: GridLab) -> tuple[BotStatus, str]:
    bot = lab.snapshot.bots["BTCUSDT"]
    return bot.status, bot.reason


def test_a_mode_entered_while_killed_stops_the_bots_that_it_finds(
    tmp_path: Path, twin: RunningTwin
) -> None:
    dead = (BotStatus.STOPPED, "kill switch: drill")
    with engine(tmp_path / "data", twin, Mode.SHADOW) as lab:
        lab.start_grid(lab.default_spec("BTCUSDT"))
        lab.switch_mode(Mode.REPLAY)
        assert lab.kill("drill") == ()
        lab.switch_mode(Mode.SHADOW)
        assert lab.snapshot.killed == "drill"
        wait_for(lambda: status_of(lab) == dead, "the bot of Shadow is stopped")
        assert not lab.orders(open_only=True)
        lab.revive()
        lab.switch_mode(Mode.REPLAY)
        lab.switch_mode(Mode.SHADOW)
        assert status_of(lab) == dead


def test_fills_that_came_after_a_kill_and_a_crash_are_booked_and_not_answered(
    tmp_path: Path, twin: RunningTwin
) -> None:
    with engine(tmp_path / "data", twin, Mode.TESTNET) as lab:
        start = lab.snapshot.prices[Market.SPOT, "BTCUSDT"]
        lab.start_grid(lab.default_spec("BTCUSDT"))
    truth = twin.account()["spot"]
    before, traded = {order["client_id"] for order in truth["orders"]}, len(truth["trades"])
    KillSwitch(lab.settings.kill_path).pull("drill")
    twin.price("BTCUSDT", round(start * Decimal("0.992"), 2))
    wait_for(
        lambda: len(twin.account()["spot"]["trades"]) > traded,
        "a buy is filled while nobody watches",
    )
    with engine(tmp_path / "data", twin, Mode.TESTNET) as lab:
        wait_for(lambda: status_of(lab)[0] is BotStatus.STOPPED, "the bot is stopped")
        recovery = lab.snapshot.bots["BTCUSDT"].recovery
        assert recovery is not None and recovery.fills_found > 0
    truth = twin.account()["spot"]
    assert not truth["open_orders"]
    assert {order["client_id"] for order in truth["orders"]} == before
