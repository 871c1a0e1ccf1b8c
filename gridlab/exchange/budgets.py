"""`Budgets`: one allowance for everybody in this process who speaks to the same address.

A venue counts by address and by account, whoever asks. So does this: objects that are handed the
same `Budgets` share weight, silences and the queue of new orders, however many they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import urlsplit

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.exchange.order_budget import (
    DEFAULT_ORDER_LIMITS,
    FIRST,
    NotSent,
    OrderBudget,
    OrderLimit,
)
from gridlab.exchange.silence import (
    DAY_MS,
    FIRST_BAN_MS,
    SECOND_MS,
    Ban,
    BanRecord,
    Silence,
    ahead_by_date_ms,
    stated_end_ms,
)
from gridlab.exchange.weight_budget import (
    DEFAULT_LIMITS,
    MINUTE_MS,
    RESERVE,
    SHARE,
    WeightBudget,
)

__all__ = [
    "DAY_MS",
    "DEFAULT_LIMITS",
    "DEFAULT_ORDER_LIMITS",
    "FIRST",
    "FIRST_BAN_MS",
    "MINUTE_MS",
    "RESERVE",
    "SECOND_MS",
    "SHARE",
    "Ban",
    "BanMemory",
    "BanRecord",
    "Budgets",
    "NotSent",
    "OrderBudget",
    "OrderLimit",
    "Silence",
    "WeightBudget",
    "ahead_by_date_ms",
    "stated_end_ms",
]


class BanMemory(Protocol):
    """Keeps bans for the next process, by host; neither method raises."""

    def recall(self, host: str) -> BanRecord | None: ...

    def keep(self, hosts: Iterable[str], ban: BanRecord) -> None: ...


class Budgets:
    """The allowances of one process, by address, market and account.

    A pause is the affair of the host that asked for it. A ban is one for everything: it is told to
    the machine's address, so whoever is banned by one host stays away from all of them.

    Args:
        memory: where bans outlive the process; by default nowhere.
    """

    def __init__(self, clock: Clock, memory: BanMemory | None = None) -> None:
        self._clock = clock
        self._memory = memory
        self._ban = Ban(clock, self._keep_ban)
        self._silences: dict[str, Silence] = {}
        self._weights: dict[tuple[Market, str], WeightBudget] = {}
        self._orders: dict[tuple[Market, str, str], OrderBudget] = {}

    @property
    def banned_until_ms(self) -> int:
        """When the present ban ends; 0 when there is none."""
        until_ms = self._ban.until_ms
        return until_ms if until_ms > self._clock.now_ms() else 0

    def silence(self, address: str) -> Silence:
        """When `address` may be spoken to again; obeys a ban that is remembered of its host."""
        host = _host(address)
        if host not in self._silences:
            self._silences[host] = Silence(self._clock, self._ban)
            if self._memory is not None and (known := self._memory.recall(host)) is not None:
                self._ban.recall(known)
        return self._silences[host]

    def _keep_ban(self, ban: BanRecord) -> None:
        if self._memory is not None:
            self._memory.keep(self._silences, ban)

    def weight(self, market: Market, address: str) -> WeightBudget:
        """The request weight of `market` at `address`; reads leave a reserve to orders there."""
        key = (market, _host(address))
        if key not in self._weights:
            self._weights[key] = WeightBudget(
                DEFAULT_LIMITS[market],
                clock=self._clock,
                silence=self.silence(address),
                reserve=RESERVE,
            )
        return self._weights[key]

    def orders(self, market: Market, address: str, account: str) -> OrderBudget:
        """The new orders of `account` (its API key) on `market` at `address`."""
        key = (market, _host(address), account)
        if key not in self._orders:
            self._orders[key] = OrderBudget(DEFAULT_ORDER_LIMITS[market], clock=self._clock)
        return self._orders[key]


def _host(address: str) -> str:
    """Scheme, host and port: what a venue tells visitors apart by ends there."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc}".lower()
