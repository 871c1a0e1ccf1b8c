"""Topping up a history over real HTTP: only what is missing, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from klines_server import Asked, Fault, KlinesServer, SkippingClock, without

from gridlab.app.ban_file import remembering_budgets
from gridlab.cli import main
from gridlab.clock import SystemClock
from gridlab.data import command
from gridlab.data.catalog import load
from gridlab.data.download import Fetched, Progress, chunks, fetch
from gridlab.data.history import History
from gridlab.data.manifest import Span
from gridlab.data.rest import PublicRest
from gridlab.domain.market import Interval, Market
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidInput, NotFound

pytestmark = pytest.mark.slow  # seconds each: left out of make check

M1, MINUTE, DAY = Interval.M1, 60_000, 86_400_000
MARCH_MS = 1_772_323_200_000
#: In the middle of a minute, 20 days into the recording.
NOW_MS = MARCH_MS + 20 * DAY + 30_000
HALT = Span(MARCH_MS + DAY, MARCH_MS + DAY + 90 * MINUTE)


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock(NOW_MS)


@pytest.fixture
def server(clock: SkippingClock) -> Iterator[KlinesServer]:
    futures = load("BTCUSDT", Market.FUTURES)
    with KlinesServer([load("BTCUSDT"), futures], clock=clock, halts=[HALT]) as server:
        yield server


@pytest.fixture
def history(tmp_path: Path, clock: SkippingClock) -> History:
    return History(tmp_path / "history", clock=clock)


def run(
    server: KlinesServer,
    history: History,
    start_ms: int,
    end_ms: int,
    *symbols: str,
    interval: Interval = M1,
    market: Market = Market.SPOT,
    **options: Any,
) -> tuple[Fetched, ...]:
    async def fetched() -> tuple[Fetched, ...]:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            rest = PublicRest(server.url, market, clock=server.clock, http=http)
            names = symbols or ("BTCUSDT",)
            return await fetch(history, rest, names, interval, start_ms, end_ms, **options)

    return asyncio.run(fetched())


def test_only_what_is_missing_is_fetched(server: KlinesServer, history: History) -> None:
    recorded = without(load("BTCUSDT"), [HALT])
    end_ms = MARCH_MS + 3 * DAY
    (result,) = run(server, history, MARCH_MS, end_ms)
    assert (result.added, result.confirmed, result.error) == (3 * 1440 - 90, [HALT], None)
    assert history.load("BTCUSDT", M1) == recorded.slice(MARCH_MS, end_ms)
    assert all(gap.is_confirmed for gap in history.gaps("BTCUSDT", M1))
    asked = len(server.pages())
    assert asked == 6, "five pages and the halt by itself"
    (again,) = run(server, history, MARCH_MS, end_ms)
    assert again.added == 0 and len(server.pages()) == asked, "nothing is asked for twice"
    (more,) = run(server, history, MARCH_MS, end_ms + 10 * MINUTE)
    assert more.added == 10 and len(server.pages()) == asked + 1
    assert history.verify().is_ok


def test_a_hole_in_the_store_is_filled_alone(server: KlinesServer, history: History) -> None:
    whole = load("BTCUSDT").slice(MARCH_MS, MARCH_MS + DAY)
    hole = Span(MARCH_MS + 100 * MINUTE, MARCH_MS + 130 * MINUTE)
    history.add(without(whole, [hole]), "file")
    (result,) = run(server, history, MARCH_MS, MARCH_MS + DAY)
    assert result.added == 30 and history.load("BTCUSDT", M1) == whole
    (page,) = server.pages()
    assert (page.query["startTime"], page.query["endTime"]) == (
        str(hole.start_ms),
        str(hole.end_ms - 1),
    )


def test_the_open_candle_is_left_out_and_the_last_ones_are_looked_at_again(
    server: KlinesServer, history: History, clock: SkippingClock
) -> None:
    start_ms = MARCH_MS + 20 * DAY - 10 * MINUTE
    (result,) = run(server, history, start_ms, NOW_MS + DAY)
    assert result.added == 10
    assert history.load("BTCUSDT", M1).end_ms == MARCH_MS + 20 * DAY
    asyncio.run(clock.sleep_until(NOW_MS + 2 * MINUTE))
    (result,) = run(server, history, start_ms, NOW_MS + DAY)
    assert result.added == 2 and len(server.pages()) == 2


def test_a_hole_at_the_end_is_not_believed_yet(clock: SkippingClock, history: History) -> None:
    late = Span(NOW_MS - 20 * MINUTE, NOW_MS + MINUTE)
    with KlinesServer([load("BTCUSDT")], clock=clock, halts=[late]) as server:
        (result,) = run(server, history, MARCH_MS + 19 * DAY, NOW_MS)
    (confirmed,) = result.confirmed
    assert confirmed.end_ms == NOW_MS - 10 * MINUTE
    left = history.missing("BTCUSDT", M1, MARCH_MS + 19 * DAY, NOW_MS - 30_000)
    assert left == [Span(NOW_MS - 10 * MINUTE, NOW_MS - 30_000)]


def test_one_failing_symbol_does_not_stop_the_others(
    server: KlinesServer, history: History
) -> None:
    good, bad, odd = run(server, history, MARCH_MS, MARCH_MS + DAY, "BTCUSDT", "NOPEUSDT", "../x")
    assert good.error is None and good.added == 1440
    assert isinstance(bad.error, NotFound) and isinstance(odd.error, InvalidInput)


def test_what_was_fetched_before_a_failure_is_kept(server: KlinesServer, history: History) -> None:
    server.delay_s = 0.02

    def fail_later(progress: Progress) -> None:
        if progress.done > 11_000:
            server.faults.extend([Fault(503)] * 10)

    end_ms = MARCH_MS + 9 * DAY
    (result,) = run(server, history, MARCH_MS, end_ms, progress=fail_later, concurrency=1)
    assert isinstance(result.error, ExchangeUnavailable) and result.added == 10_000 - 90
    server.faults.clear()
    (result,) = run(server, history, MARCH_MS, end_ms)
    assert result.error is None
    recorded = without(load("BTCUSDT"), [HALT]).slice(MARCH_MS, end_ms)
    assert history.load("BTCUSDT", M1) == recorded


def test_no_more_requests_at_once_than_allowed(server: KlinesServer, history: History) -> None:
    server.delay_s = 0.05
    seen: list[Progress] = []
    end_ms = MARCH_MS + 9 * DAY
    run(server, history, MARCH_MS, end_ms, concurrency=2, progress=seen.append)
    assert server.most_at_once == 2
    done = [progress.done for progress in seen]
    assert done == sorted(done) and (seen[0].done, seen[-1].done) == (0, seen[0].total)
    assert seen[0].total == 9 * 1440


def test_other_markets_and_intervals(server: KlinesServer, history: History) -> None:
    recorded = load("BTCUSDT", Market.FUTURES)
    start_ms = int(recorded.open_time_ms[0])
    end_ms = start_ms + 2 * DAY
    run(server, history, start_ms, end_ms, interval=Interval.H1, market=Market.FUTURES)
    found = history.load("BTCUSDT", Interval.H1, market=Market.FUTURES)
    expected = recorded.slice(start_ms, end_ms).resample(Interval.H1)
    assert len(found) == 48 and (found.close == expected.close).all()


def test_what_cannot_be_fetched_is_refused(server: KlinesServer, history: History) -> None:
    with pytest.raises(InvalidInput, match="not after the start"):
        run(server, history, MARCH_MS, MARCH_MS)
    with pytest.raises(InvalidInput, match="no 1m candle from 2026-03-21T00:00:00Z on has closed"):
        run(server, history, NOW_MS - 30_000, NOW_MS + DAY)
    with pytest.raises(InvalidInput, match="at least one request"):
        run(server, history, MARCH_MS, NOW_MS, concurrency=0)
    with History(history.folder).writing(), pytest.raises(Conflict):
        run(server, history, MARCH_MS, NOW_MS)


def test_chunks_end_with_months() -> None:
    span = Span(MARCH_MS - 5 * MINUTE, MARCH_MS + 25_000 * MINUTE)
    parts = list(chunks(span, M1))
    assert [(b - a) // MINUTE for a, b in parts] == [5, 10_000, 10_000, 5_000]
    assert parts[0].end_ms == parts[1].start_ms == MARCH_MS


# -- the command


def options(server: KlinesServer, folder: Path, **changed: Any) -> Namespace:
    return Namespace(
        **{
            "symbol": ["BTCUSDT"],
            "interval": "1m",
            "start": MARCH_MS,
            "end": MARCH_MS + DAY,
            "market": "spot",
            "folder": folder,
            "base_url": server.url,
            **changed,
        }
    )


def test_fetch_list_and_verify_as_commands(
    server: KlinesServer,
    clock: SkippingClock,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = options(server, tmp_path, end=MARCH_MS + 2 * DAY)
    assert command.run_fetch(asked, clock) == 0
    shown = capsys.readouterr()
    assert "2790 new bars, and 1h 30m for which the exchange has none" in shown.out
    assert "0 of 2880 missing bars" in shown.err and "2880 of 2880" in shown.err
    assert command.run_list(asked) == 0
    shown = capsys.readouterr()
    assert "bundled spot     BTCUSDT    1m     44640 bars" in shown.out
    assert "history spot     BTCUSDT    1m      2790 bars" in shown.out
    assert "gap 2026-03-02T00:00:00Z, 1h 30m (confirmed)" in shown.out
    assert command.run_verify(asked) == 0
    assert "1 files, 0 problems" in capsys.readouterr().out
    (tmp_path / "spot/BTCUSDT/1m/2026-03.parquet").write_bytes(b"")
    assert command.run_verify(asked) == 1
    shown = capsys.readouterr()
    assert "another hash" in shown.err and "BAD" in shown.out
    assert command.run_fetch(options(server, tmp_path, symbol=["NOPEUSDT"]), clock) == 1
    assert "NOPEUSDT: " in capsys.readouterr().err
    monkeypatch.setenv("GRIDLAB_DATA_DIR", str(tmp_path))
    assert command.default_folder() == tmp_path / "history"


def test_a_fetch_asks_nothing_during_a_ban_that_a_bot_was_told_of(
    server: KlinesServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDLAB_DATA_DIR", str(tmp_path))
    clock = SystemClock()
    told = remembering_budgets(tmp_path, clock).silence(server.url)
    told.ban(clock.now_ms() + 3_600_000)
    arguments = ["data", "fetch", "--symbol", "BTCUSDT", "--start", "2026-03-01"]
    arguments += ["--end", "2026-03-02", "--base-url", server.url]
    assert main(arguments) == 1
    assert "banned this address" in capsys.readouterr().err
    assert not server.asked


def test_dates_of_the_command() -> None:
    assert command.moment("2026-03-01") == MARCH_MS
    assert command.moment("2026-03-01T01:00+01:00") == MARCH_MS
    with pytest.raises(ArgumentTypeError, match="2026-01-31T12:00"):
        command.moment("yesterday")


KILLED = """
import sys
from argparse import Namespace
from pathlib import Path
from gridlab.data.command import run_fetch
url, folder, start, end = sys.argv[1:]
sys.exit(run_fetch(Namespace(symbol=["BTCUSDT"], interval="1m", start=int(start), end=int(end),
                             market="spot", folder=Path(folder), base_url=url)))
"""


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(
    server: KlinesServer, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real processes, killed while pages are under way; the last one is left alone."""
    server.delay_s = 0.01
    end_ms = MARCH_MS + 12 * DAY
    arguments = [server.url, str(history.folder), str(MARCH_MS), str(end_ms)]
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    before, stored, over = 0, [], threading.Event()
    # When it is time for the kill, and which pages are not answered before it.
    moments: list[tuple[Callable[[], bool], Callable[[int], bool]]] = [
        (lambda: len(server.pages()) >= 4, lambda _: len(server.pages()) >= 4),
        (lambda: bool(history.series()), lambda start_ms: start_ms < MARCH_MS + DAY),
        (lambda: False, lambda _: False),
    ]
    is_time, is_held = moments[0]
    begin = server.begin

    def held(asked: Asked) -> Fault | None:
        fault = begin(asked)
        if "startTime" in asked.query and is_held(int(asked.query["startTime"])):
            over.wait(60)
        return fault

    monkeypatch.setattr(server, "begin", held)
    for is_time, is_held in moments:
        before = len(server.pages())
        over.clear()
        child = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], env=environment)
        while child.poll() is None and not is_time():
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        code = child.wait(60)
        over.set()
        assert code == (0 if is_held is moments[-1][1] else -signal.SIGKILL)
        assert history.verify().is_ok
        stored.append(sum(series.rows for series in history.series()))
    expected = without(load("BTCUSDT"), [HALT]).slice(MARCH_MS, end_ms)
    assert history.load("BTCUSDT", M1) == expected
    assert stored[0] == 0 < stored[1] <= stored[2] == len(expected)
    assert len(server.pages()) - before <= 11, "what was stored before the kill is not asked again"
