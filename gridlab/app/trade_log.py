"""A line of CSV for every fill, written from the journal and never in the trader's way.

The journal is the truth and this is its copy for spreadsheets: the file may be deleted at any time
and is written anew. A file that was written from another journal, as one that a `--fresh` start put
aside, is put aside too. Numbers are exact, times are the venue's.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gridlab.app.record_verbs import fills_in
from gridlab.clock import Clock, iso
from gridlab.domain.orders import Trade
from gridlab.errors import StorageError
from gridlab.money import exact, text

log = logging.getLogger(__name__)

#: `seq` is the fill's entry in the journal, which `/api/fills` calls its cursor.
COLUMNS: Final = (
    *("seq", "time", "time_ms", "symbol", "side", "price", "quantity", "quote_quantity"),
    *("fee", "fee_asset", "is_maker", "trade_id", "order_id", "client_order_id"),
)
HEADING: Final = ",".join(COLUMNS)
EVERY_S: Final = 5.0
#: Fills of one look into the journal; others may read between two.
PAGE: Final = 500
#: Pages that a stop still waits for; the next start writes the rest.
LAST_PAGES: Final = 2
#: Longer than any line.
TAIL_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class TradeFile:
    """Where the lines go, and the journal that they come from. Each mode has its own."""

    path: Path
    journal: Path


class TradeLog:
    """Keeps the present mode's file level with its journal.

    Args:
        file: the present mode's.
        clock: the machine's.

    Attributes:
        beat_ms: when it last looked.
    """

    def __init__(self, file: Callable[[], TradeFile], clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._guard = threading.Lock()
        self._written: tuple[TradeFile, int] | None = None  # this and the next two: under the guard
        self._is_begun = False
        self._trouble = ""
        self._is_stopping = False
        self.beat_ms = clock.now_ms()

    async def run(self) -> None:
        """Write what is new, again and again, until it is cancelled, and the last of it then."""
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await asyncio.to_thread(self._try_to_catch_up)
                self.beat_ms = self._clock.now_ms()
        except asyncio.CancelledError:
            self._is_stopping = True
            try:
                self._try_to_catch_up()
            except Exception:  # in the place of the cancellation, it would be taken for a break
                log.exception("the trade log lacks its last lines; the next start writes them")
            raise

    def _try_to_catch_up(self) -> None:
        """A full disk is no reason to stop: what is missing is written when there is room."""
        with self._guard:  # a cancelled `run` does not wait for the thread that it had sent
            try:
                self._catch_up()
            except (OSError, StorageError) as error:
                if str(error) != self._trouble:
                    log.warning("the trade log is behind and will be tried again: %s", error)
                self._trouble = str(error)
            else:
                self._trouble = ""

    def catch_up(self) -> int:
        """Append every fill that the file lacks; how many. A stop makes it leave a long rest.

        Raises:
            OSError: the file cannot be written.
            StorageError: the journal cannot be read.
        """
        with self._guard:
            return self._catch_up()

    def _catch_up(self) -> int:
        file = self._file()
        if not file.journal.exists():
            return 0
        was_deleted = self._is_begun and not file.path.exists()
        # Whatever breaks below leaves None: the file itself is asked then how far it goes.
        written, self._written = self._written, None
        if written is None or written[0] != file or was_deleted:
            seq = _last_seq(file, self._clock)
        else:
            seq = written[1]
        count = 0
        for pages in itertools.count(1):
            page = fills_in(file.journal, None, seq, PAGE)
            _append(file.path, page.items)
            seq, count = page.next_cursor, count + len(page.items)
            if not page.has_more or (self._is_stopping and pages >= LAST_PAGES):
                break
        self._written, self._is_begun = (file, seq), file.path.exists()
        return count


def _last_seq(file: TradeFile, clock: Clock) -> int:
    """The seq of the file's last line; 0 where the file is to be begun.

    What a crash or a full disk may leave, a line or a heading without its end, is cut off. A file
    whose last line is not in the journal is put aside.
    """
    if not file.path.exists():
        return 0
    with file.path.open("r+b") as opened:
        heading = opened.readline().decode("utf-8", "replace")
        if HEADING.startswith(heading):  # its end is not there, or nothing is
            opened.truncate(0)
            return 0
        is_ours = heading == f"{HEADING}\n"
        size = opened.seek(0, 2)
        opened.seek(max(0, size - TAIL_BYTES))
        tail = opened.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        if is_ours and len(whole) < len(tail):
            opened.truncate(size - len(tail) + len(whole))
    last = next(csv.reader(whole.decode("utf-8", "replace").splitlines()[-1:]), [])
    if is_ours and last == list(COLUMNS):
        return 0
    if is_ours and _is_in(file.journal, last):
        return int(last[0])
    stamp = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = file.path.with_name(f"{file.path.stem}.{stamp}{file.path.suffix}")
    file.path.rename(aside)
    log.warning("%s was of other books; it is kept as %s", file.path, aside.name)
    return 0


def _is_in(journal: Path, row: list[str]) -> bool:
    """Whether the journal has the fill of this row, at the row's seq."""
    if not row or not row[0].isdecimal() or row[0] == "0":
        return False
    found = fills_in(journal, None, int(row[0]) - 1, 1).items
    return bool(found) and _row(*found[0]) == row


def _append(path: Path, fills: tuple[tuple[int, Trade], ...]) -> None:
    """Add the fills, under a heading where the file is new."""
    if not fills:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        if not opened.tell():
            writer.writerow(COLUMNS)
        writer.writerows(_row(seq, trade) for seq, trade in fills)


def _row(seq: int, trade: Trade) -> list[str]:
    with exact():
        worth = text(trade.quote_quantity)
    return [
        str(seq),
        iso(trade.time_ms),
        str(trade.time_ms),
        trade.symbol,
        trade.side.value,
        text(trade.price),
        text(trade.quantity),
        worth,
        text(trade.fee),
        trade.fee_asset,
        "true" if trade.is_maker else "false",
        str(trade.trade_id),
        trade.order_id,
        trade.client_id,
    ]
