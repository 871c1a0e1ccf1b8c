"""A ban outlives the process that heard it, and binds every host of the exchange."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from klines_server import SkippingClock

from gridlab.app import ban_file
from gridlab.app.ban_file import NAME, remembered_ban_ms, remembering_budgets, wait_out_ban
from gridlab.app.modes import Access
from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.exchange.binance.endpoints import PRODUCTION, TESTNET
from gridlab.exchange.silence import DAY_MS, LONGEST_BAN_MS

NOW_MS = 1_773_144_000_000
SPOT, FUTURES = PRODUCTION.rest_spot, PRODUCTION.rest_futures


def test_a_ban_silences_every_host_and_a_pause_only_its_own() -> None:
    budgets = remembering_budgets(Path("/nowhere"), SkippingClock(NOW_MS))
    spot, futures = budgets.silence(SPOT), budgets.silence(FUTURES)
    spot.keep_until(NOW_MS + 5_000)
    assert (spot.until_ms, futures.until_ms) == (NOW_MS + 5_000, 0)
    assert budgets.banned_until_ms == 0


def test_the_next_process_obeys_it_and_another_venue_does_not(tmp_path: Path) -> None:
    clock = SkippingClock(NOW_MS)
    first = remembering_budgets(tmp_path, clock)
    futures = first.weight(Market.FUTURES, FUTURES)
    first.silence(SPOT).ban(NOW_MS + 600_000)
    assert futures.silent_until_ms == NOW_MS + 600_000
    second = remembering_budgets(tmp_path, clock)
    assert second.banned_until_ms == 0, "it has not spoken to anybody yet"
    assert second.weight(Market.FUTURES, f"{FUTURES}/prefix").silent_until_ms == NOW_MS + 600_000
    assert second.banned_until_ms == NOW_MS + 600_000
    other = remembering_budgets(tmp_path, clock)
    assert other.silence(TESTNET.rest_spot).until_ms == 0


def test_a_ban_without_an_end_goes_on_growing_after_a_restart(tmp_path: Path) -> None:
    clock = SkippingClock(NOW_MS)
    remembering_budgets(tmp_path, clock).silence(SPOT).ban(None)
    clock._now_ms += 200_000
    again = remembering_budgets(tmp_path, clock).silence(SPOT)
    assert not again.is_banned
    again.ban(None)
    assert again.until_ms == clock.now_ms() + 240_000


def test_what_is_long_over_is_dropped_and_what_no_ban_can_be_as_well(tmp_path: Path) -> None:
    clock = SkippingClock(NOW_MS)
    old, far = NOW_MS - 2 * DAY_MS, NOW_MS + LONGEST_BAN_MS + 1
    (tmp_path / NAME).write_text(json.dumps({SPOT: [old, 1], FUTURES: [far, 1]}))
    budgets = remembering_budgets(tmp_path, clock)
    assert budgets.silence(SPOT).until_ms == 0
    assert budgets.silence(FUTURES).until_ms == 0, "else no process would ever begin"
    budgets.silence(TESTNET.rest_spot).ban(NOW_MS + 1_000)
    assert old not in {row[0] for row in json.loads((tmp_path / NAME).read_text()).values()}


@pytest.mark.parametrize("text", ["", "[1]", '{"https://api.binance.com": 5}', "no json"])
def test_a_damaged_file_is_told_and_written_anew(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_text(text)
    silence = remembering_budgets(tmp_path, SkippingClock(NOW_MS)).silence(SPOT)
    assert silence.until_ms == 0 and "cannot be read" in caplog.text
    silence.ban(NOW_MS + 60_000)
    assert json.loads((tmp_path / NAME).read_text()) == {SPOT: [NOW_MS + 60_000, 60_000]}


def test_a_folder_that_cannot_be_written_is_told_and_the_ban_still_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    silence = remembering_budgets(tmp_path / "file", SkippingClock(NOW_MS)).silence(SPOT)
    silence.ban(NOW_MS + 60_000)
    assert silence.is_banned and "a restart forgets the ban" in caplog.text


def test_the_next_process_may_have_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's clock was set an hour ahead: this process goes on in its own time."""
    clock = SystemClock()
    monkeypatch.setattr(ban_file, "wall_ms", lambda: clock.now_ms() + 3_600_000)
    until_ms = clock.now_ms() + 60_000
    remembering_budgets(tmp_path, clock).silence(SPOT).ban(until_ms)
    ((told_ms, _),) = json.loads((tmp_path / NAME).read_text()).values()
    assert abs(told_ms - until_ms - 3_600_000) < 1_000
    assert abs(remembering_budgets(tmp_path, clock).silence(SPOT).until_ms - until_ms) < 1_000


def test_a_start_is_told_before_it_asks_anything(tmp_path: Path) -> None:
    clock = SystemClock()
    until_ms = clock.now_ms() + 60_000
    remembering_budgets(tmp_path, clock).silence(SPOT).ban(until_ms)
    found_ms = remembered_ban_ms(tmp_path, Access(Mode.SHADOW, PRODUCTION))
    assert abs(found_ms - until_ms) < 100
    assert remembered_ban_ms(tmp_path, Access(Mode.TESTNET, TESTNET)) == 0
    assert remembered_ban_ms(tmp_path, Access()) == 0


def test_a_start_for_real_money_waits_before_it_asks_for_its_pre_flight(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, access = SystemClock(), Access(Mode.PRODUCTION, PRODUCTION)
    wait_out_ban(tmp_path, access)
    assert capsys.readouterr().out == ""
    until_ms = clock.now_ms() + 300  # a wait ends by the wall clock, which may differ by a tick
    remembering_budgets(tmp_path, clock).silence(FUTURES).ban(until_ms)
    wait_out_ban(tmp_path, access)
    assert clock.now_ms() >= until_ms - 10
    assert "has banned this address until" in capsys.readouterr().out
