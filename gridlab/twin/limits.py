"""Request weights and order counts in windows fixed to the clock; 429, then a ban with 418.

Weight belongs to an address, order counts to the account. All times are the machine's, in UTC
milliseconds: a fault that moves the venue's clock must not move the end of a ban. Spot counts
orders that are not filled yet: a first fill gives some back.

Source: Binance spot "LIMITS" and its page on the order count's decrement; USD-M "Rate Limits". How
many requests past a 429 bring a ban, and how a ban grows, is not documented; stated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gridlab.domain.market import Market
from gridlab.twin.answers import VenueError

SECOND_MS, MINUTE_MS, DAY_MS = 1_000, 60_000, 86_400_000
#: Requests in a window after its first 429 that are still answered 429; one more bans.
PATIENCE = 10
FIRST_BAN_MS = 2 * MINUTE_MS
LONGEST_BAN_MS = 3 * DAY_MS
#: A ban that comes within so long after the last one ended is twice as long.
MEMORY_MS = DAY_MS
#: Requests that arrive so soon after a ban may have left before it was told.
UNDER_WAY_MS = 250
#: What a first fill gives back of the order count. Source: "a taker 1, a maker 5, at least 0".
TAKER_CREDIT, MAKER_CREDIT = 1, 5

_LETTER = {SECOND_MS: "S", MINUTE_MS: "M", DAY_MS: "D"}
_NAME = {SECOND_MS: "SECOND", MINUTE_MS: "MINUTE", DAY_MS: "DAY"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit: so much in every window of `count` x `unit_ms`."""

    kind: str
    unit_ms: int
    count: int
    limit: int

    @property
    def window_ms(self) -> int:
        return self.unit_ms * self.count

    @property
    def suffix(self) -> str:
        """As headers name the window, such as 10S."""
        return f"{self.count}{_LETTER[self.unit_ms]}"

    @property
    def words(self) -> str:
        """As refusals name the window, such as 10 SECOND."""
        return f"{self.count} {_NAME[self.unit_ms]}"

    def row(self) -> dict[str, Any]:
        """As exchangeInfo states it."""
        return {
            "rateLimitType": self.kind,
            "interval": _NAME[self.unit_ms],
            "intervalNum": self.count,
            "limit": self.limit,
        }


WEIGHT, ORDERS, RAW = "REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"
RULES: dict[Market, tuple[Rule, ...]] = {
    Market.SPOT: (
        Rule(WEIGHT, MINUTE_MS, 1, 6_000),
        Rule(ORDERS, SECOND_MS, 10, 100),
        Rule(ORDERS, DAY_MS, 1, 200_000),
        Rule(RAW, MINUTE_MS, 5, 300_000),
    ),
    Market.FUTURES: (
        Rule(WEIGHT, MINUTE_MS, 1, 2_400),
        Rule(ORDERS, MINUTE_MS, 1, 1_200),
        Rule(ORDERS, SECOND_MS, 10, 300),
    ),
}


class Window:
    """How much was used of one rule in the window that the clock is in."""

    __slots__ = ("_start_ms", "_used", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._start_ms = -1
        self._used = 0

    def used(self, now_ms: int) -> int:
        start_ms = now_ms - now_ms % self.rule.window_ms
        if start_ms != self._start_ms:
            self._start_ms, self._used = start_ms, 0
        return self._used

    def add(self, amount: int, now_ms: int) -> int:
        """Use `amount` more, or give back; returns what is used then."""
        self._used = max(0, self.used(now_ms) + amount)
        return self._used

    def left_s(self, now_ms: int) -> int:
        """Whole seconds until the window ends, at least one."""
        window_ms = self.rule.window_ms
        return -(-(window_ms - now_ms % window_ms) // 1_000)


class _Address:
    """What one address used, and its bans."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.windows = [Window(rule) for rule in rules]
        self.warned: tuple[int, int] = (-1, 0)  # (window of the first 429, requests since)
        self.banned_from_ms = 0
        self.banned_until_ms = 0
        self.last_ban_ms = 0

    def ban(self, from_ms: int, until_ms: int) -> None:
        if from_ms >= self.banned_until_ms:
            self.banned_from_ms = from_ms
        self.banned_until_ms = max(self.banned_until_ms, until_ms)


class Limits:
    """One market's limits.

    Args:
        is_enforced: without it everything is counted and nothing refused, but for told bans.
        server_offset_ms: what a refusal adds to the machine's time when it names a moment.
    """

    def __init__(
        self,
        market: Market,
        *,
        is_enforced: bool = True,
        server_offset_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self.rules = RULES[market]
        self._market = market
        self._is_enforced = is_enforced
        self._offset_ms = server_offset_ms
        self._by_address = tuple(rule for rule in self.rules if rule.kind != ORDERS)
        self._addresses: dict[str, _Address] = {}
        self._orders = [Window(rule) for rule in self.rules if rule.kind == ORDERS]

    # -- weight ---------------------------------------------------------------------------------

    def admit(self, peer: str, weight: int, now_ms: int) -> None:
        """Charge a request, or refuse it.

        Raises:
            VenueError: -1003 with 429 over a limit, with 418 during a ban.
        """
        address = self._address(peer)
        if self.is_banned(peer, now_ms):
            raise self._banned(address, now_ms)
        charges = [weight if w.rule.kind == WEIGHT else 1 for w in address.windows]
        for window, amount in zip(address.windows, charges, strict=True):
            if self._is_enforced and window.used(now_ms) + amount > window.rule.limit:
                raise self._too_much(address, window, now_ms)
        for window, amount in zip(address.windows, charges, strict=True):
            window.add(amount, now_ms)

    def charge(self, peer: str, weight: int, now_ms: int) -> None:
        """Charge without asking, such as for a new WebSocket connection."""
        for window in self._address(peer).windows:
            if window.rule.kind == WEIGHT:
                window.add(weight, now_ms)

    def refund(self, peer: str, weight: int, now_ms: int) -> None:
        """Give weight back: a successful placement or cancel costs nothing."""
        self.charge(peer, -weight, now_ms)

    def is_banned(self, peer: str, now_ms: int) -> bool:
        return now_ms < self._address(peer).banned_until_ms

    def knows_of_ban(self, peer: str, now_ms: int) -> bool:
        """Whether what arrives now was sent when this address had been told of its ban."""
        is_told = now_ms >= self._address(peer).banned_from_ms + UNDER_WAY_MS
        return is_told and self.is_banned(peer, now_ms)

    def ban(self, peer: str, duration_ms: int, now_ms: int) -> VenueError:
        """Refuse this address everything for so long; returns the refusal."""
        address = self._address(peer)
        address.ban(now_ms, now_ms + duration_ms)
        return self._banned(address, now_ms)

    def throttled(self, seconds: int) -> VenueError:
        """The refusal of an address that asks too much for now."""
        weight = next(rule for rule in self.rules if rule.kind == WEIGHT)
        return VenueError(
            -1003,
            f"Too much request weight used; current limit is {weight.limit} request weight per "
            f"{weight.words}. Please use WebSocket Streams for live updates to avoid polling the "
            "API.",
            429,
            headers={"Retry-After": str(seconds)},
        )

    # -- orders ---------------------------------------------------------------------------------

    def check_orders(self, count: int, now_ms: int) -> None:
        """Raise -1015 when `count` more orders are over a limit."""
        for window in self._orders:
            if self._is_enforced and window.used(now_ms) + count > window.rule.limit:
                rule = window.rule
                raise VenueError(
                    -1015,
                    f"Too many new orders; current limit is {rule.limit} orders per {rule.words}.",
                    429,
                    headers={"Retry-After": str(window.left_s(now_ms))},
                )

    def count_orders(self, count: int, now_ms: int) -> None:
        for window in self._orders:
            window.add(count, now_ms)

    def note_first_fill(self, *, is_maker: bool, now_ms: int) -> None:
        """Give back what a first fill is worth; on spot only."""
        if self._market is Market.SPOT:
            self.count_orders(-(MAKER_CREDIT if is_maker else TAKER_CREDIT), now_ms)

    # -- what is told ---------------------------------------------------------------------------

    def headers(self, peer: str, now_ms: int, *, with_orders: bool) -> dict[str, str]:
        """What an answer says of the limits."""
        found = {
            f"X-MBX-USED-WEIGHT-{window.rule.suffix}": str(window.used(now_ms))
            for window in self._address(peer).windows
            if window.rule.kind == WEIGHT
        }
        if self._market is Market.SPOT:
            found["X-MBX-USED-WEIGHT"] = found["X-MBX-USED-WEIGHT-1M"]
        if with_orders:
            for window in self._orders:
                found[f"X-MBX-ORDER-COUNT-{window.rule.suffix}"] = str(window.used(now_ms))
        return found

    def rows(self, peer: str, now_ms: int, *, with_orders: bool) -> list[dict[str, Any]]:
        """The limits with what is used of each: the WebSocket API's `rateLimits`."""
        windows = [w for w in self._address(peer).windows if w.rule.kind == WEIGHT]
        if with_orders:
            windows = [*self._orders, *windows]
        return [window.rule.row() | {"count": window.used(now_ms)} for window in windows]

    def order_rows(self, now_ms: int) -> list[dict[str, Any]]:
        """The order limits with what is used of each."""
        return [window.rule.row() | {"count": window.used(now_ms)} for window in self._orders]

    # -- inside ---------------------------------------------------------------------------------

    def _address(self, peer: str) -> _Address:
        found = self._addresses.get(peer)
        if found is None:
            found = self._addresses[peer] = _Address(self._by_address)
        return found

    def _too_much(self, address: _Address, window: Window, now_ms: int) -> VenueError:
        """429 for the first few requests past the limit, a ban for who does not listen."""
        start = now_ms // window.rule.window_ms
        since = address.warned[1] + 1 if address.warned[0] == start else 1
        address.warned = (start, since)
        if since > PATIENCE:
            return self._begin_ban(address, now_ms)
        return self.throttled(window.left_s(now_ms))

    def _begin_ban(self, address: _Address, now_ms: int) -> VenueError:
        is_known = now_ms < address.banned_until_ms + MEMORY_MS and address.last_ban_ms > 0
        address.last_ban_ms = (
            min(address.last_ban_ms * 2, LONGEST_BAN_MS) if is_known else FIRST_BAN_MS
        )
        address.ban(now_ms, now_ms + address.last_ban_ms)
        return self._banned(address, now_ms)

    def _banned(self, address: _Address, now_ms: int) -> VenueError:
        left_s = -(-(address.banned_until_ms - now_ms) // 1_000)
        return VenueError(
            -1003,
            f"Way too much request weight used; IP banned until "
            f"{address.banned_until_ms + self._offset_ms()}. Please use WebSocket Streams for live "
            "updates to avoid bans.",
            418,
            headers={"Retry-After": str(max(1, left_s))},
        )
