"""`BanFile`: the bans of an exchange outlive the process that heard them.

A ban is told to an IP address, and every request during it makes it longer; a process that was
started again must not send one because it has forgotten. The file lies at the top of the data
directory, because every mode speaks from the same address. It names hosts, so that a test venue's
ban binds nobody at the real one. Its times are the wall clock's, which the next process reads too.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gridlab.app.modes import Access
from gridlab.clock import Clock, SystemClock, iso, wall_ms
from gridlab.domain.market import Market
from gridlab.exchange.budgets import BanRecord, Budgets
from gridlab.exchange.silence import BAN_MEMORY_MS, LONGEST_BAN_MS

log = logging.getLogger(__name__)

NAME = "bans.json"


class BanFile:
    """Keeps bans in `folder`; what cannot be read or written is told in the log, and goes on."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / NAME
        self._clock = clock

    def recall(self, host: str) -> BanRecord | None:
        """The last ban of `host`, if it is recent enough to matter."""
        return self._recent().get(host)

    def keep(self, hosts: Iterable[str], ban: BanRecord) -> None:
        """Write down that `hosts` are not to be spoken to before the ban ends."""
        found = {**self._recent(), **dict.fromkeys(hosts, ban)}
        ahead_ms = self._wall_ahead_ms()
        rows = {
            host: [one.until_ms + ahead_ms, one.length_ms] for host, one in sorted(found.items())
        }
        log.error("the exchange has banned this address until %s", iso(ban.until_ms))
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(rows, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            log.error("%s cannot be written, so a restart forgets the ban: %s", self._path, error)

    def _recent(self) -> dict[str, BanRecord]:
        """By host, in this process's time; what no ban can be is passed over.

        An end beyond the longest ban was written by a clock that was wrong; cut to that length it
        would be as far away at each start, for ever.
        """
        ahead_ms = self._wall_ahead_ms()
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            found = {str(host): _record(row, ahead_ms) for host, row in rows.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.error("%s cannot be read, and no ban is known from it: %s", self._path, error)
            return {}
        now_ms = self._clock.now_ms()
        return {
            host: ban
            for host, ban in found.items()
            if now_ms - BAN_MEMORY_MS < ban.until_ms <= now_ms + LONGEST_BAN_MS
        }

    def _wall_ahead_ms(self) -> int:
        """How far the wall clock is ahead of ours, which is not set when that one is."""
        return wall_ms() - self._clock.now_ms() if isinstance(self._clock, SystemClock) else 0


def _record(row: Any, ahead_ms: int) -> BanRecord:
    until_ms, length_ms = row
    return BanRecord(int(until_ms) - ahead_ms, int(length_ms))


def remembered_ban_ms(folder: Path, access: Access) -> int:
    """When a ban ends that the addresses of `access` still lie under; 0 when there is none."""
    budgets = remembering_budgets(folder, SystemClock())
    if access.endpoints is not None:
        for market in Market:
            budgets.silence(access.endpoints.rest(market))
    return budgets.banned_until_ms


def wait_out_ban(folder: Path, access: Access) -> None:
    """Return when no ban is remembered any more, and print what is waited for."""
    while until_ms := remembered_ban_ms(folder, access):
        print(f"the exchange has banned this address until {iso(until_ms)}; waiting", flush=True)
        threading.Event().wait(max(0, until_ms - SystemClock().now_ms()) / 1_000)


def remembering_budgets(folder: Path, clock: Clock) -> Budgets:
    """Allowances whose bans are kept in `folder`."""
    return Budgets(clock, BanFile(folder, clock))
