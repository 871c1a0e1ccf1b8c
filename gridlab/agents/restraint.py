"""Restraint: an order that the venue would refuse for what it just refused another is not sent.

When funds or the venue's room for orders have run out, every vacant slot would ask again at every
cycle, and all of them would be refused: dozens of useless requests a minute that count against the
account. Here the first of them asks alone. If it is refused again, the others take its answer for
theirs; if it is accepted, they follow. Where the whole symbol is out of bounds, such as a market
that is closed, not even the first asks before a pause is over, which doubles with each refusal.
Knows no grid and no venue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gridlab.clock import Clock, iso
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected

log = logging.getLogger(__name__)

#: Refusals that say something about the account, and so about the next order as well.
ONE_SIDE = frozenset({RejectCode.INSUFFICIENT_BALANCE, RejectCode.MARGIN})
BOTH_SIDES = frozenset({RejectCode.TOO_MANY_ORDERS})
#: Refusals after which no order on the symbol can succeed until somebody has done something.
WHOLE_SYMBOL = frozenset(
    {
        RejectCode.MARKET_CLOSED,
        RejectCode.INVALID_SYMBOL,
        RejectCode.PERMISSION,
        RejectCode.POSITION_MODE,
        RejectCode.LIQUIDATION,
    }
)
#: How long such a symbol is left alone, at first and at most.
FIRST_PAUSE_MS = 60_000
LONGEST_PAUSE_MS = 900_000


class Restraint:
    """What one bot's venue last refused for reasons that hold for its next orders too."""

    def __init__(self) -> None:
        self._refused: dict[Side, Rejected] = {}
        self._asking: dict[Side, asyncio.Future[None]] = {}
        self._held_until_ms = 0
        self._pause_ms = 0
        self._held_for = ""

    async def send(
        self,
        request: OrderRequest,
        place: Callable[[OrderRequest], Awaitable[Outcome]],
        clock: Clock,
    ) -> Outcome:
        """Place the order, or the refusal that it would get.

        A market order is nobody's vacant slot but the beginning or the end of a grid, and is not
        held back.
        """
        side = request.side
        if request.type is not OrderType.MARKET and (words := self.words(clock.now_ms())):
            return Rejected(self._refused[side].code, f"not sent: {words}")
        while side in self._refused and (asking := self._asking.get(side)) is not None:
            await asyncio.shield(asking)
            refusal = self._refused.get(side)
            if refusal is not None:
                return Rejected(refusal.code, f"not sent, as another was refused: {refusal.reason}")
        if side not in self._refused:
            return self._note(side, await place(request), clock)
        self._asking[side] = done = asyncio.get_running_loop().create_future()
        try:
            return self._note(side, await place(request), clock)
        finally:
            del self._asking[side]
            done.set_result(None)

    def words(self, now_ms: int) -> str:
        """Why no order leaves at present, and until when; empty when they do."""
        if now_ms >= self._held_until_ms:
            return ""
        return f"orders are held back until {iso(self._held_until_ms)}: {self._held_for}"

    def _note(self, side: Side, outcome: Outcome, clock: Clock) -> Outcome:
        if isinstance(outcome, Rejected):
            if outcome.code in ONE_SIDE:
                self._refused[side] = outcome
            elif outcome.code in BOTH_SIDES | WHOLE_SYMBOL:
                self._refused.update({Side.BUY: outcome, Side.SELL: outcome})
            if outcome.code in WHOLE_SYMBOL:
                self._hold(outcome, clock.now_ms())
        elif isinstance(outcome, Accepted):
            self._refused.pop(side, None)
            self._held_until_ms = self._pause_ms = 0
        return outcome

    def _hold(self, refusal: Rejected, now_ms: int) -> None:
        """Leave the symbol alone; refusals that were on their way already add nothing."""
        if now_ms < self._held_until_ms:
            return
        self._pause_ms = min(2 * self._pause_ms or FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        self._held_until_ms = now_ms + self._pause_ms
        self._held_for = f"{refusal.code}: {refusal.reason}"
        log.warning("%s", self.words(now_ms))
