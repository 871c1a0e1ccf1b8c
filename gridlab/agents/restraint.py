"""Restraint: an order that the venue would refuse for what it just refused another is not sent.

When funds or the venue's room for orders have run out, every vacant slot would ask again at every
cycle, and all of them would be refused: dozens of useless requests a minute that count against the
account. Here the first of them asks alone. If it is refused again, the others take its answer for
theirs; if it is accepted, they follow. Knows no grid and no venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gridlab.domain.orders import OrderRequest, Side
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected

#: Refusals that say something about the account, and so about the next order as well.
ONE_SIDE = frozenset({RejectCode.INSUFFICIENT_BALANCE, RejectCode.MARGIN})
BOTH_SIDES = frozenset({RejectCode.TOO_MANY_ORDERS})


class Restraint:
    """What one bot's venue last refused for want of funds or room, by side."""

    def __init__(self) -> None:
        self._refused: dict[Side, Rejected] = {}
        self._asking: dict[Side, asyncio.Future[None]] = {}

    async def send(
        self, request: OrderRequest, place: Callable[[OrderRequest], Awaitable[Outcome]]
    ) -> Outcome:
        """Place the order, or the refusal that it would get."""
        side = request.side
        while side in self._refused and (asking := self._asking.get(side)) is not None:
            await asyncio.shield(asking)
            refusal = self._refused.get(side)
            if refusal is not None:
                return Rejected(refusal.code, f"not sent, as another was refused: {refusal.reason}")
        if side not in self._refused:
            return self._note(side, await place(request))
        self._asking[side] = done = asyncio.get_running_loop().create_future()
        try:
            return self._note(side, await place(request))
        finally:
            del self._asking[side]
            done.set_result(None)

    def _note(self, side: Side, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Rejected):
            if outcome.code in ONE_SIDE:
                self._refused[side] = outcome
            elif outcome.code in BOTH_SIDES:
                self._refused.update({Side.BUY: outcome, Side.SELL: outcome})
        elif isinstance(outcome, Accepted):
            self._refused.pop(side, None)
        return outcome
