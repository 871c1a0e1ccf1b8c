"""One immutable picture of a session, for everybody outside the engine's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from gridlab.agents.bot import Bot
from gridlab.app.session import Session
from gridlab.domain.market import Market
from gridlab.domain.snapshot import AgentHealth, BotSnapshot, Snapshot
from gridlab.grid.view import bot_snapshot


def picture_of(session: Session, frame: Snapshot) -> Snapshot:
    """`frame`, which says what the engine does, with all that the session holds."""
    prices = session.prices()
    return replace(
        frame,
        mode=session.mode,
        time_ms=session.clock.now_ms(),
        speed=session.speed,
        progress=session.progress,
        prices=MappingProxyType(dict(prices)),
        bots=MappingProxyType(_bots(session, prices)),
        balances=session.account.balances(Market.SPOT),
        futures_balances=session.account.balances(Market.FUTURES),
        positions=session.account.positions(),
        venues=session.health(),
        agents=(*frame.agents, *_data_agent(session, frame.agents)),
    )


def _data_agent(session: Session, others: tuple[AgentHealth, ...]) -> tuple[AgentHealth, ...]:
    """The health of the data agents, of which one runs for all; none where none is asked.

    It lives in the trader's session, and restarts with it.
    """
    if not session.agents:
        return ()
    beat_ms = max(agent.beat_ms for agent in session.agents.values())
    return (AgentHealth("data", "running", beat_ms, others[0].restarts),)


def _unread(bot: Bot) -> str:
    """Why the bot's vacant slots wait although its market is ready; empty when they do not."""
    return f"vacant slots wait, the venue could not be read: {bot.unread}" if bot.unread else ""


def _bots(session: Session, prices: Mapping[tuple[Market, str], Decimal]) -> dict[str, BotSnapshot]:
    """The latest bot of each symbol; without a price, valued at what its grid saw last."""
    now_ms = session.clock.now_ms()
    return {
        bot.symbol: bot_snapshot(
            bot.grid,
            prices.get((bot.market, bot.symbol)) or bot.grid.mark,
            halted=bot.halted,
            waiting="" if bot.is_over else bot.restraint.words(now_ms) or _unread(bot),
            recovery=bot.recovery,
        )
        for bot in session.trader.bots.values()
        if bot.started
    }
