"""The doctor: what it looks at, what it says, and that it breaks nothing."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from gridlab.app.ban_file import remembering_budgets
from gridlab.app.checks import Check, Verdict
from gridlab.app.doctor import DoctorOptions, examine, run
from gridlab.app.facade import GridLab
from gridlab.cli import main
from gridlab.clock import SystemClock
from gridlab.domain.snapshot import Mode

WRONG = "grid: {inital_levels: 5}\n"
#: Addresses at which nobody listens.
SILENT = "http://127.0.0.1:9"
NOBODY = {
    **{"rest_spot": SILENT, "rest_futures": SILENT, "ws_spot": "ws://127.0.0.1:9"},
    **{"ws_api_spot": "ws://127.0.0.1:9/x", "ws_futures": "ws://127.0.0.1:9/f"},
}


def found(options: DoctorOptions) -> dict[str, list[Check]]:
    by_name: dict[str, list[Check]] = {}
    for check in examine(options):
        by_name.setdefault(check.name, []).append(check)
    return by_name


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BINANCE_")]:
        monkeypatch.delenv(name)


def test_a_sound_machine_passes_and_nothing_is_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    checks = found(DoctorOptions(data_dir=folder))
    assert all(c.verdict is not Verdict.FAIL for all_of in checks.values() for c in all_of)
    assert {"python", "packages", "recordings", "config", "data", "disk", "ports", "modes"} <= {
        *checks
    }
    assert not folder.exists()
    folder.mkdir(mode=0o700)
    assert found(DoctorOptions(data_dir=folder))["data"][0].verdict is Verdict.OK
    assert list(folder.iterdir()) == []


def test_a_wrong_configuration_fails_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(WRONG)
    (check,) = found(DoctorOptions(data_dir=tmp_path, config=path))["config"]
    assert check.verdict is Verdict.FAIL and "the nearest known one" in check.words


def test_a_folder_that_others_can_read_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (check,) = found(DoctorOptions(data_dir=tmp_path))["data"]
    assert check.verdict is Verdict.WARN and "chmod 700" in check.words


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (check,) = found(DoctorOptions(data_dir=tmp_path / "file"))["data"]
    assert check.verdict is Verdict.FAIL


def test_a_taken_port_is_named_with_its_option(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        (check,) = found(DoctorOptions(data_dir=tmp_path, port=port))["ports"]
    assert check.verdict is Verdict.WARN and f"{port} (--port)" in check.words


def test_books_are_verified_unless_somebody_writes_them(tmp_path: Path) -> None:
    with GridLab(tmp_path, mode=Mode.REPLAY, speed=0.001, first_bot="BTCUSDT"):
        (busy,) = found(DoctorOptions(data_dir=tmp_path))["books"]
        assert busy.verdict is Verdict.WARN and "in use by" in busy.words
    (idle,) = found(DoctorOptions(data_dir=tmp_path))["books"]
    assert idle.verdict is Verdict.OK and "entries verify" in idle.words
    path = tmp_path / "journal.sqlite"
    body = bytearray(path.read_bytes())
    at = body.index(b"GridStarted")
    body[at : at + 4] = b"Brid"
    path.write_bytes(body)
    (damaged,) = found(DoctorOptions(data_dir=tmp_path))["books"]
    assert damaged.verdict is Verdict.FAIL and "altered" in damaged.words


def test_a_mode_without_its_keys_fails_with_the_variables_to_set(tmp_path: Path) -> None:
    checks = found(DoctorOptions(data_dir=tmp_path, mode=Mode.TESTNET))["modes"]
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    assert len(failed) == 1 and "BINANCE_TESTNET_API_KEY" in failed[0].words


def test_under_a_ban_that_is_remembered_no_venue_is_asked(tmp_path: Path) -> None:
    clock = SystemClock()
    remembering_budgets(tmp_path, clock).silence(SILENT).ban(clock.now_ms() + 60_000)
    options = DoctorOptions(data_dir=tmp_path, mode=Mode.SHADOW, endpoints=json.dumps(NOBODY))
    checks = found(options)
    (told,) = checks["venues"]
    assert told.verdict is Verdict.FAIL and "has banned this address until" in told.words
    assert not {"spot", "futures"} & set(checks)


@pytest.mark.slow
def test_a_venue_that_does_not_answer_fails_and_is_named(tmp_path: Path) -> None:
    options = DoctorOptions(data_dir=tmp_path, mode=Mode.SHADOW, endpoints=json.dumps(NOBODY))
    checks = found(options)
    for market in ("spot", "futures"):
        (check,) = checks[market]
        assert check.verdict is Verdict.FAIL and SILENT in check.words


def test_the_command_prints_a_line_each_and_its_status_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(DoctorOptions(data_dir=tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("0 failed") and all(
        line.split()[0] in ("OK", "WARN", "FAIL") for line in lines[:-1]
    )
    assert main(["doctor", "--testnet", "--data-dir", str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {"FAIL"} < {check["verdict"] for check in told}
