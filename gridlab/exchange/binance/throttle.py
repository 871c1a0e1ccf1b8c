"""`Throttle`: how one market's answers bind the next requests: counts, pauses, bans.

Reads headers and error texts; sends nothing. Everything that is not a limit is somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gridlab.clock import Clock
from gridlab.exchange.binance.client import Answer
from gridlab.exchange.binance.codes import Action, Reaction
from gridlab.exchange.binance.routes import Route
from gridlab.exchange.budgets import (
    DAY_MS,
    FIRST_BAN_MS,
    MINUTE_MS,
    SECOND_MS,
    OrderBudget,
    WeightBudget,
)
from gridlab.exchange.silence import stated_end_ms

#: A silence longer than this is told to who asks instead of slept through.
PATIENCE_MS = 15_000
#: Pauses after one "overloaded" after another. Source: USD-M general information.
OVERLOAD_MS = (200, 400, 800)
_COUNTS = (("S", SECOND_MS), ("M", MINUTE_MS), ("H", 60 * MINUTE_MS), ("D", DAY_MS))
_COUNT_HEADER = re.compile(r"x-mbx-order-count-(\d+)([smhd])", re.IGNORECASE)
_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"


class Throttle:
    """The limits of one market at one address.

    Args:
        orders: the account's queue of new orders; None where there is no account.
    """

    def __init__(self, weight: WeightBudget, orders: OrderBudget | None, clock: Clock) -> None:
        self.weight = weight
        self.orders = orders
        self._clock = clock
        self._overloads = 0

    async def take(self, route: Route) -> int:
        """Wait until `route` may be sent and book it; raises `ExchangeUnavailable` under a ban."""
        return await self.weight.take(
            route.weight, is_urgent=route.is_change, patience_ms=PATIENCE_MS
        )

    def settle(self, route: Route, minute: int, answer: Answer | None) -> None:
        """Book what the answer tells of counts; None when there was none."""
        used = _digits(answer.headers.get(_WEIGHT_HEADER, "")) if answer else None
        self.weight.settle(route.weight, minute, used)
        if answer is not None and self.orders is not None:
            counts = order_counts(answer.headers)
            if counts:
                self.orders.report(counts)

    def calm(self) -> None:
        """A request was served: the venue is not overloaded."""
        self._overloads = 0

    def react(self, answer: Answer, reaction: Reaction, offset_ms: int) -> None:
        """Keep the silence that a refusal asks for.

        Args:
            offset_ms: how far the venue's clock is ahead of ours; its texts name its own times.
        """
        now_ms = self._clock.now_ms()
        stated_ms = stated_end_ms(answer.headers, answer.message, now_ms, offset_ms)
        if answer.status == 418:
            self.weight.silence.ban(stated_ms)
        elif reaction.action is not Action.BACK_OFF:
            return
        elif answer.code == -1015:
            end_ms = now_ms - now_ms % (10 * SECOND_MS) + 10 * SECOND_MS
            if self.orders is not None:
                self.orders.keep_silent_until(stated_ms or end_ms)
        elif answer.status == 429 or answer.code == -1003:
            end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
            self.weight.keep_silent_until(stated_ms or end_ms)
        elif answer.status == 403:
            self.weight.keep_silent_until(now_ms + FIRST_BAN_MS)
        else:
            pause_ms = OVERLOAD_MS[min(self._overloads, len(OVERLOAD_MS) - 1)]
            self._overloads += 1
            self.weight.keep_silent_until(stated_ms or now_ms + pause_ms)


def order_counts(headers: Mapping[str, str]) -> dict[int, int]:
    """New orders that the venue has counted, by the window's length in milliseconds."""
    units = dict(_COUNTS)
    found = {}
    for name, value in headers.items():
        parts = _COUNT_HEADER.fullmatch(name)
        count = _digits(value) if parts else None
        if parts and count is not None:
            found[int(parts[1]) * units[parts[2].upper()]] = count
    return found


def _digits(text: str) -> int | None:
    said = text.strip()
    return int(said) if said.isascii() and said.isdigit() and len(said) < 12 else None
