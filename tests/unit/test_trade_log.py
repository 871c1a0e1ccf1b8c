"""The CSV of fills: level with the journal after crashes, deletions, other books and full disks."""

from __future__ import annotations

import asyncio
import csv
import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from gridlab.agents.supervisor import Supervisor
from gridlab.app import trade_log
from gridlab.app.facade import GridLab
from gridlab.app.record_verbs import fills_in
from gridlab.app.trade_log import COLUMNS, LAST_PAGES, TradeFile, TradeLog, _append
from gridlab.clock import SystemClock
from gridlab.domain.events import OrderEnded, OrderFilled
from gridlab.domain.orders import Side, Trade, VenueStatus
from gridlab.domain.pages import Page
from gridlab.errors import StorageError
from gridlab.money import text
from gridlab.store.journal import Entry, Journal


def filled(number: int, quantity: str = "0.0015") -> Entry:
    side = Side.BUY if number % 2 else Side.SELL
    trade = Trade(
        trade_id=number,
        order_id=f"o{number}",
        client_id=f"gl-r1-{number}-0-1",
        symbol="BTCUSDT",
        side=side,
        price=Decimal("67373.76"),
        quantity=Decimal(quantity),
        fee=Decimal("0.0000015"),
        fee_asset="BTC",
        is_maker=True,
        time_ms=1_774_607_640_123 + number,
    )
    return Entry("r1", OrderFilled(trade.time_ms, trade), ())


@pytest.fixture
def file(tmp_path: Path) -> TradeFile:
    return TradeFile(tmp_path / "logs" / "trades.csv", tmp_path / "journal.sqlite")


@pytest.fixture
def journal(file: TradeFile) -> Iterator[Journal]:
    with Journal.open(file.journal, lambda: "r") as opened:
        yield opened


@pytest.fixture
def make(file: TradeFile) -> Callable[[], TradeLog]:
    """A log as a new process has it."""
    return lambda: TradeLog(lambda: file, SystemClock())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


def ids(path: Path) -> list[int]:
    return [int(row["trade_id"]) for row in rows(path)]


def test_a_line_is_exact_and_names_its_order(
    file: TradeFile, journal: Journal, make: Callable[[], TradeLog]
) -> None:
    journal.append([filled(1, "0.12345678901234567890")])
    assert make().catch_up() == 1
    assert rows(file.path) == [
        {
            "seq": "1",
            "time": "2026-03-27T10:34:00Z",
            "time_ms": "1774607640124",
            "symbol": "BTCUSDT",
            "side": "buy",
            "price": "67373.76",
            "quantity": "0.1234567890123456789",
            "quote_quantity": "8317.748073288414807245664",
            "fee": "0.0000015",
            "fee_asset": "BTC",
            "is_maker": "true",
            "trade_id": "1",
            "order_id": "o1",
            "client_order_id": "gl-r1-1-0-1",
        }
    ]


def test_pages_and_processes_follow_each_other_without_a_gap_or_a_second_line(
    file: TradeFile, journal: Journal, make: Callable[[], TradeLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade_log, "PAGE", 3)
    ended = Entry("r1", OrderEnded(5, "gl-r1-9-0-1", VenueStatus.CANCELED, Decimal(0)), ())
    first = make()
    for begin in range(1, 31, 10):
        journal.append([entry for n in range(begin, begin + 10) for entry in (filled(n), ended)])
        assert first.catch_up() == 10
    assert first.catch_up() == 0
    journal.append([filled(31)])
    assert make().catch_up() == 1
    assert ids(file.path) == list(range(1, 32))


def test_a_torn_line_is_written_again(
    file: TradeFile, journal: Journal, make: Callable[[], TradeLog]
) -> None:
    journal.append([filled(n) for n in (1, 2, 3)])
    make().catch_up()
    whole = file.path.read_bytes()
    for cut in range(len(whole)):
        file.path.write_bytes(whole[:cut])
        make().catch_up()
        assert file.path.read_bytes() == whole, cut
        assert [path.name for path in file.path.parent.iterdir()] == ["trades.csv"], cut


@pytest.mark.parametrize("room", [0, 10])
def test_a_disk_without_room_for_the_heading_leaves_one_file(
    file: TradeFile,
    journal: Journal,
    make: Callable[[], TradeLog],
    monkeypatch: pytest.MonkeyPatch,
    room: int,
) -> None:
    def full(path: Path, _: object) -> None:
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as opened:
            opened.write(",".join(COLUMNS)[:room])
        raise OSError("no space left")

    journal.append([filled(1)])
    log = make()
    with monkeypatch.context() as patch:
        patch.setattr(trade_log, "_append", full)
        for _ in range(5):
            log._try_to_catch_up()
    log._try_to_catch_up()
    assert ids(file.path) == [1]
    assert [path.name for path in file.path.parent.iterdir()] == ["trades.csv"]


def test_a_deleted_file_is_written_anew(
    file: TradeFile, journal: Journal, make: Callable[[], TradeLog]
) -> None:
    running = make()
    assert running.catch_up() == 0 and not file.path.exists()
    journal.append([filled(1), filled(2)])
    running.catch_up()
    file.path.unlink()
    assert running.catch_up() == 2
    assert ids(file.path) == [1, 2]


@pytest.mark.parametrize(
    "foreign", ["longer books", "another fill", "other columns", "no text", "one line"]
)
def test_what_is_not_of_these_books_is_kept_aside(
    file: TradeFile, journal: Journal, make: Callable[[], TradeLog], foreign: str
) -> None:
    journal.append([filled(1), filled(2)])
    make().catch_up()
    lines = file.path.read_text().splitlines(keepends=True)
    before = {
        "longer books": "".join(lines).replace("\n2,", "\n7,"),
        "another fill": "".join(lines).replace("67373.76", "67373.77"),
        "other columns": "".join(lines).replace("order_id", "orders_id"),
        "no text": "\x00\x01\n\x02",
        "one line": "a note of the user's, without an end",
    }[foreign]
    file.path.write_text(before)
    assert make().catch_up() == 2
    assert ids(file.path) == [1, 2]
    (aside,) = file.path.parent.glob("trades.*.csv")
    assert aside.read_text() == before


def test_another_mode_has_another_file(file: TradeFile, journal: Journal, tmp_path: Path) -> None:
    other = TradeFile(tmp_path / "testnet" / "trades.csv", tmp_path / "testnet" / "j.sqlite")
    (tmp_path / "testnet").mkdir()
    now = file
    log = TradeLog(lambda: now, SystemClock())
    journal.append([filled(1)])
    log.catch_up()
    with Journal.open(other.journal, lambda: "t") as live:
        live.append([filled(8), filled(9)])
        now = other
        assert log.catch_up() == 2
        now = file
        assert log.catch_up() == 0
        journal.append([filled(2)])
        assert log.catch_up() == 1
    assert (ids(file.path), ids(other.path)) == ([1, 2], [8, 9])


def test_what_the_disk_refuses_is_told_once_and_written_later(
    file: TradeFile,
    journal: Journal,
    make: Callable[[], TradeLog],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(trade_log, "EVERY_S", 0.01)
    journal.append([filled(1)])
    file.path.parent.write_text("a file where the folder should be")

    async def in_turn() -> None:
        log = make()
        work = asyncio.create_task(log.run())
        began_ms = log.beat_ms
        while log.beat_ms == began_ms or not caplog.records:
            await asyncio.sleep(0.01)
        file.path.parent.unlink()
        while not file.path.exists():
            await asyncio.sleep(0.01)
        monkeypatch.setattr(trade_log, "EVERY_S", 3600)
        await asyncio.sleep(0.05)
        journal.append([filled(2)])
        work.cancel()  # what came last is written before the end
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(asyncio.wait_for(in_turn(), 60))
    assert ids(file.path) == [1, 2]
    assert len([r for r in caplog.records if "trade log is behind" in r.message]) == 1


def test_a_stop_goes_on_whatever_breaks_in_the_last_look(
    file: TradeFile,
    journal: Journal,
    make: Callable[[], TradeLog],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("nobody foresaw it")

    journal.append([filled(1)])
    monkeypatch.setattr(trade_log, "_append", broken)

    async def stopped() -> None:
        supervisor = Supervisor("trade_log", make().run, SystemClock())
        work = asyncio.create_task(supervisor.run())
        await asyncio.sleep(0.05)
        work.cancel()
        done, _ = await asyncio.wait([work], timeout=5)
        assert done and work.cancelled()
        assert supervisor.health(0).state == "stopped"

    asyncio.run(stopped())
    assert "nobody foresaw it" in caplog.text


def test_a_stop_does_not_wait_for_a_long_backlog(
    file: TradeFile,
    journal: Journal,
    make: Callable[[], TradeLog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_in_the_midst, may_go_on, whole_append = threading.Event(), threading.Event(), _append

    def append(*given: Any) -> None:
        whole_append(*given)
        is_in_the_midst.set()
        may_go_on.wait(10)

    journal.append([filled(n) for n in range(1, 41)])
    monkeypatch.setattr(trade_log, "PAGE", 1)
    monkeypatch.setattr(trade_log, "EVERY_S", 0.01)
    monkeypatch.setattr(trade_log, "_append", append)

    async def stopped() -> None:
        work = asyncio.create_task(make().run())
        await asyncio.to_thread(is_in_the_midst.wait, 10)
        work.cancel()
        threading.Timer(0.1, may_go_on.set).start()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(stopped())
    assert 1 <= len(ids(file.path)) <= 2 * LAST_PAGES
    make().catch_up()
    assert ids(file.path) == list(range(1, 41))


def test_a_look_that_fails_takes_nothing_from_the_next(
    file: TradeFile,
    journal: Journal,
    make: Callable[[], TradeLog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancelled `run` looks once more while the thread that it had sent still tells its error."""
    journal.append([filled(1), filled(2)])
    log, broken = make(), []
    is_telling, may_go_on = threading.Event(), threading.Event()

    def full(*_: object) -> None:
        raise OSError("no space left")

    def telling(*_: object) -> None:
        is_telling.set()
        may_go_on.wait(10)

    class Between(Page[int, Trade]):
        """A page between which and the next one the first look ends, if it is not kept out."""

        @property
        def has_more(self) -> bool:
            may_go_on.set()
            first.join(10)
            return bool(self.items)

        @has_more.setter
        def has_more(self, _: bool) -> None: ...

    def page_of(*given: Any) -> Page[int, Trade]:
        page = fills_in(*given)
        return Between(page.items, page.next_cursor, page.has_more)

    def again() -> None:
        try:
            log._try_to_catch_up()
        except Exception as error:
            broken.append(error)

    monkeypatch.setattr(trade_log.log, "warning", telling)
    with monkeypatch.context() as patch:
        patch.setattr(trade_log, "_append", full)
        first = threading.Thread(target=log._try_to_catch_up)
        first.start()
        assert is_telling.wait(10)
    monkeypatch.setattr(trade_log, "PAGE", 1)
    monkeypatch.setattr(trade_log, "fills_in", page_of)
    second = threading.Thread(target=again)
    second.start()
    second.join(0.5)
    may_go_on.set()
    second.join(10)
    assert not broken
    assert ids(file.path) == [1, 2]


def test_a_journal_that_cannot_be_read_is_an_error(
    file: TradeFile, make: Callable[[], TradeLog]
) -> None:
    file.journal.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(StorageError):
        make().catch_up()


def test_a_replay_leaves_every_fill_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    for fresh in (False, True):
        with GridLab(folder, speed=0, first_bot="BTCUSDT", fresh=fresh) as lab:
            wait_for(lambda: len(lab.fill_page(limit=20).items) >= 12)
            path = lab.settings.trade_log_path
        page = lab.fill_page(limit=5_000)
        found = [(int(r["seq"]), r["client_order_id"], r["quantity"]) for r in rows(path)]
        told = [(seq, trade.client_id, text(trade.quantity)) for seq, trade in page.items]
        assert found == told and len(found) >= 12
    assert len(list((folder / "archive").rglob("trades.csv"))) == 1


@pytest.mark.parametrize("is_full", [False, True])
def test_a_fresh_start_whose_trade_log_lies_on_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_full: bool
) -> None:
    lab = GridLab(tmp_path, fresh=True)
    books, trades = lab.settings.journal_path, lab.settings.trade_log_path
    trades.parent.mkdir()
    books.write_text("books")
    trades.write_text("trades")
    rename = os.rename

    def within_a_disk(source: Path, target: Path, **given: Any) -> None:
        if Path(source) == trades:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, **given)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", within_a_disk)
    if is_full:
        monkeypatch.setattr(shutil, "copyfile", full)
    lab._archive()
    (archive,) = (tmp_path / "archive").iterdir()
    assert not books.exists() and (archive / books.name).read_text() == "books"
    where, other = (trades, archive / trades.name)[:: 1 if is_full else -1]
    assert where.read_text() == "trades" and not other.exists()
    assert ("the former trade log stays" in caplog.text) is is_full
