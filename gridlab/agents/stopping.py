"""The kill switch's order to a trader: every bot stops, and none of them sends another order."""

from __future__ import annotations

from gridlab.agents.bot import Bot
from gridlab.agents.trader import Trader
from gridlab.domain.events import StopPolicy, StopRequested

#: A kill cancels orders and keeps what is held: it never trades.
KILL_POLICY = StopPolicy.KEEP


def kill_all(trader: Trader, reason: str) -> tuple[Bot, ...]:
    """Ask every bot that is not over to stop; the bots that this concerns, halted ones too.

    From the trader's next turn on, no grid answers anything with a new order, except for the final
    sale of one that was told to sell before. Bots that are halted because their books contradict
    the venue, or while they sell what they held, take no event; their orders rest at the venue.
    Others that are halted, as their account differs, stop too.
    """
    found = tuple(bot for bot in trader.bots.values() if not bot.is_over)
    for bot in found:
        if bot.can_be_ended or (bot.is_driven and not bot.is_stopping):
            words = f"kill switch: {reason}"
            trader.post(bot.run, StopRequested(trader.clock.now_ms(), words, KILL_POLICY))
    return found
