"""`Budgets`: one allowance for everybody in this process who speaks to the same address.

A venue counts by address and by account, whoever asks. So does this: objects that are handed the
same `Budgets` share weight, silences and the queue of new orders, however many they are.
"""

from __future__ import annotations

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
from gridlab.exchange.weight_budget import (
    DAY_MS,
    DEFAULT_LIMITS,
    FIRST_BAN_MS,
    MINUTE_MS,
    RESERVE,
    SECOND_MS,
    SHARE,
    Silence,
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
    "Budgets",
    "NotSent",
    "OrderBudget",
    "OrderLimit",
    "Silence",
    "WeightBudget",
]


class Budgets:
    """The allowances of one process, by address, market and account.

    A ban is one for all markets of an address: who is banned as a visitor stays away altogether.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silences: dict[str, Silence] = {}
        self._weights: dict[tuple[Market, str], WeightBudget] = {}
        self._orders: dict[tuple[Market, str, str], OrderBudget] = {}

    def silence(self, address: str) -> Silence:
        """When `address` may be spoken to again."""
        return self._silences.setdefault(_host(address), Silence(self._clock))

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
