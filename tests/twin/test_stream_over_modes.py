"""One event stream across changes of the mode: each mode has books of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridlab.api.stream import Hub, Stream
from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.testing.twin import RunningTwin, running_twin

Event = tuple[str, Any]
WITHIN_S = 15.0


def wait_for_trades(lab: GridLab, count: int) -> None:
    end = time.monotonic() + WITHIN_S
    while lab.snapshot.bots["BTCUSDT"].trade_count < count:
        assert time.monotonic() < end, f"{count} trades were not made in time"
        time.sleep(0.02)


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin(has_limits=False, pulse_ms=1_000) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path, twin: RunningTwin, monkeypatch: pytest.MonkeyPatch) -> Iterator[GridLab]:
    """In Replay, with the right to Shadow; its bot has filled orders."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # accounts are locked there
    shadow: dict[str, Any] = {"mode": Mode.SHADOW, "endpoints": json.dumps(twin.ready)}
    with GridLab(tmp_path / "data", speed=10_000, **shadow) as running:
        running.switch_mode(Mode.REPLAY)
        running.start_grid(running.default_spec("BTCUSDT"))
        wait_for_trades(running, 5)
        yield running


@pytest.fixture
def hub(lab: GridLab) -> Iterator[Hub]:
    made = Hub(lab, heartbeat_s=0.3)
    yield made
    made.close()


def until(stream: Stream, is_met: Callable[[Event], bool]) -> list[Event]:
    """(topic, data) of the events up to the one that is met, and of those that came with it."""
    end = time.monotonic() + WITHIN_S
    found: list[Event] = []
    while not any(map(is_met, found)):
        assert time.monotonic() < end, f"it was not told in time; the last were {found[-3:]}"
        for block in next(stream).decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
            if "data" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
    return found


def anew_in(mode: Mode) -> Callable[[Event], bool]:
    return lambda event: event[0] == "resync" and event[1]["snapshot"]["mode"] == mode.value


def cursors(events: list[Event]) -> list[int]:
    return [data["cursor"] for topic, data in events if topic == "fills"]


def test_each_mode_tells_its_own_fills(lab: GridLab, twin: RunningTwin, hub: Hub) -> None:
    with hub._news:  # so that nothing is told before the stream has begun
        stream = hub.open(("snapshot", "bots", "fills"), "")
        until(stream, anew_in(Mode.REPLAY))
        assert hub._picture is not None
        begun = hub._picture.fill_cursor
    wait_for_trades(lab, lab.snapshot.bots["BTCUSDT"].trade_count + 1)
    lab.switch_mode(Mode.SHADOW)
    before = until(stream, anew_in(Mode.SHADOW))
    booked = [seq for seq, _ in lab.fills(after=begun, limit=10_000, mode=Mode.REPLAY)]
    assert booked and cursors(before) == booked, (
        "the last fills of the mode that is left, and no other"
    )
    end_of_replay = lab.events(mode=Mode.REPLAY, limit=100_000)[-1][0]

    price = lab.snapshot.prices[Market.SPOT, "BTCUSDT"]
    lab.start_grid(lab.default_spec("BTCUSDT"))
    twin.price("BTCUSDT", round(price * Decimal("0.992"), 2))
    told = until(stream, lambda event: event[0] == "fills")
    assert cursors(told)[0] == lab.fills(limit=1)[0][0] < end_of_replay

    lab.switch_mode(Mode.REPLAY)
    until(stream, anew_in(Mode.REPLAY))
    told = until(stream, lambda event: event[0] == "fills")
    assert min(cursors(told)) > end_of_replay, "what was told before is not told again"
    stream.close()


def test_a_reader_that_was_away_is_told_of_the_change(
    lab: GridLab, twin: RunningTwin, hub: Hub
) -> None:
    stream = hub.open(("snapshot",), "")
    next(stream)
    last = next(stream).decode().partition("\n")[0].removeprefix("id: ")
    stream.close()
    lab.switch_mode(Mode.SHADOW)
    again = hub.open(("snapshot",), last)
    found = until(again, anew_in(Mode.SHADOW))
    modes = [data["mode"] for topic, data in found if topic == "snapshot"]
    assert set(modes) <= {"Replay", "Shadow"} and modes == sorted(modes)
    again.close()
