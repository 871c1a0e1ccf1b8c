"""What became of an UNKNOWN request: asked, never assumed, and never sent again.

Law 2. An order is *found* when one query knows it. It is *absent* only when the venue said so
twice, both times after the moment when the request could no longer take effect, and no trade
carries its id. Reads that fail prove nothing and are repeated with growing pauses for as long as it
takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridlab.agents.bot import Bot
from gridlab.agents.reconciler import first_unread
from gridlab.clock import Clock
from gridlab.domain.events import Event, OrderAbsent
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import Exchange
from gridlab.grid.lifecycle import OrderState
from gridlab.grid.reconcile import differences

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 30_000
PROOFS_OF_ABSENCE = 2


class Resolver:
    """Looks one account's unknown orders up at its venue."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    async def resolve(self, bot: Bot, client_id: str, sent_ms: int) -> Sequence[Event]:
        """The events that settle what became of the request; none when it settled meanwhile.

        Args:
            sent_ms: a moment after the request left; the horizon is counted from it.
        """
        absent_from_ms = sent_ms + self._exchange.unseen_horizon_ms
        proofs, pause_ms = 0, FIRST_PAUSE_MS
        while True:
            asked_ms = self._clock.now_ms()
            found = await self._look(bot, client_id)
            if found is not None and found:
                return found
            if not _is_in_doubt(bot, client_id):
                return ()
            if found is not None and asked_ms >= absent_from_ms:
                proofs += 1
                if proofs >= PROOFS_OF_ABSENCE:
                    return (OrderAbsent(self._clock.now_ms(), client_id),)
                pause_ms = FIRST_PAUSE_MS
            if self._exchange.unseen_horizon_ms:
                next_ms = asked_ms + pause_ms
                if asked_ms < absent_from_ms < next_ms:
                    next_ms = absent_from_ms  # from here on an answer proves something
                await self._clock.sleep_until(next_ms)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)

    async def _look(self, bot: Bot, client_id: str) -> list[Event] | None:
        """Differences to the venue; empty when it knows nothing of the id, None when unreadable."""
        try:
            report = await self._exchange.query(bot.symbol, client_id)
            trades = await self._exchange.trades(
                bot.symbol, await first_unread(bot, self._exchange)
            )
        except ExchangeUnavailable:
            return None
        order = bot.grid.find(client_id)
        if order is None:
            return None
        if report is not None:
            return list(differences(order, report, trades))
        if any(trade.client_id == client_id for trade in trades):
            return None  # it traded, so it is there; the query lags behind
        return []


def _is_in_doubt(bot: Bot, client_id: str) -> bool:
    """Whether the order still waits to be resolved; SUBMITTED counts, its event may be queued."""
    order = bot.grid.find(client_id)
    return (
        bot.is_driven
        and order is not None
        and order.state in (OrderState.SUBMITTED, OrderState.UNKNOWN)
    )
