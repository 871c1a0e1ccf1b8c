"""The only start there is: the journal rebuilds every grid, then the venue is asked what happened.

1. Each stream's events go through a new `Grid`; its commands must equal the stored ones, or the
   start refuses (law 4).
2. Each journalled order without an answer is looked up. Where the venue cannot have acted without
   us (`unseen_horizon_ms == 0`) an unseen order provably never left and is delivered as it stands
   in the journal, unless its bot is stopping; elsewhere, and then, it is UNKNOWN and goes to the
   resolver (ADR 0005).
3. Trades and ends that happened meanwhile are read and handled, before any new decision. A bot
   about whose symbol the venue refuses to be read gives no new order until it has been read.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from gridlab.agents.bot import Bot
from gridlab.agents.reconciler import may_be_filed
from gridlab.agents.stopping import kill_all
from gridlab.agents.trader import EventStore, Trader
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import GridStarted
from gridlab.domain.orders import OrderRequest
from gridlab.domain.snapshot import Recovery
from gridlab.errors import JournalMismatch
from gridlab.grid.lifecycle import Order, OrderState

log = logging.getLogger(__name__)


def rebuild(journal: EventStore) -> dict[str, Bot]:
    """Every bot of the journal, as it was when the last entry was written.

    Raises:
        JournalMismatch: this code answers an event with other commands than the journal holds.
    """
    bots: dict[str, Bot] = {}
    counts: dict[str, int] = {}
    for entry in journal.entries():
        bot = bots.get(entry.stream)
        if bot is None:
            if not isinstance(entry.event, GridStarted):
                raise JournalMismatch(f"run {entry.stream} does not begin with its start")
            spec = entry.event.spec
            bot = bots[entry.stream] = Bot(entry.stream, spec.symbol, spec.market)
        counts[entry.stream] = counts.get(entry.stream, 0) + 1
        commands = bot.handle(entry.event)
        if commands != entry.commands:
            raise JournalMismatch(
                f"run {entry.stream}, entry {counts[entry.stream]} ({type(entry.event).__name__}): "
                f"the journal holds {entry.commands!r} and this version answers {commands!r}. "
                "Start it with the version that wrote it, or begin anew with --fresh"
            )
    for bot in bots.values():
        bot.recovery = Recovery(True, 0, counts[bot.run], 0, 0, 0)
        bot.rules = bot.grid.instrument
    return bots


async def recover(trader: Trader, killed: str = "") -> None:
    """Bring the trader's grids and the venue to agree; returns when nothing is left to do.

    The trader's loop must be running. Raises what `rebuild` raises, and `VenueAway`.

    Args:
        killed: why every bot is to stop before it may send an order; empty when none is.
    """
    trader.bots.update(rebuild(trader.journal))
    for bot in trader.bots.values():
        bot.is_filed = may_be_filed(bot, trader.clock.now_ms())
    for venue in trader.exchanges.values():
        venue.subscribe(trader.on_venue_event)
    _halt_homeless(trader)
    if killed:
        kill_all(trader, killed)
        trader.turn()
    await trader.check_accounts()
    undelivered = await _undelivered(trader)
    trades_before = {run: bot.grid.trade_count for run, bot in trader.bots.items()}
    checked = {run: sum(1 for _ in bot.live()) for run, bot in trader.bots.items()}
    delivered = await trader.resume(undelivered)
    await trader.reconcile()
    if not any(venue.unseen_horizon_ms for venue in trader.exchanges.values()):
        await trader.idle()
    for run, bot in trader.bots.items():
        assert bot.recovery is not None
        bot.recovery = replace(
            bot.recovery,
            time_ms=trader.clock.now_ms(),
            orders_checked=checked[run],
            fills_found=bot.grid.trade_count - trades_before[run],
            orders_resent=delivered.count(run),
        )
        log.info("grid %s on %s recovered: %s", run, bot.symbol, bot.recovery)


async def _undelivered(trader: Trader) -> list[tuple[str, OrderRequest]]:
    """Orders that provably never left, in the journal's order; the others are doubted."""
    pending: list[tuple[str, OrderRequest]] = []
    for entry in trader.journal.entries():
        bot = trader.bots[entry.stream]
        for command in entry.commands:
            if isinstance(command, PlaceOrder) and bot.is_driven:
                order = bot.grid.find(command.client_id)
                if order is not None and order.state is OrderState.SUBMITTED:
                    pending.append((entry.stream, command.request))
    absent = []
    for run, request in pending:
        bot = trader.bots[run]
        venue = trader.venue_of(bot)
        if venue.unseen_horizon_ms:
            trader.doubt(run, request.client_id, "the process ended before an answer was stored")
            continue
        with bot.halting_if_unlisted():
            if await venue.query(request.symbol, request.client_id) is None:
                absent.append((run, request))
    for run, order in _in_doubt(trader):
        trader.doubt(run, order.client_id, "still unknown when the process ended")
    return absent


def _in_doubt(trader: Trader) -> list[tuple[str, Order]]:
    return [
        (run, order)
        for run, bot in trader.bots.items()
        if bot.is_driven
        for order in bot.live()
        if order.state is OrderState.UNKNOWN
    ]


def _halt_homeless(trader: Trader) -> None:
    """Halt bots of a market on which there is no account here; they go on when there is one."""
    for bot in trader.bots.values():
        if bot.market not in trader.exchanges and not bot.is_over:
            bot.halt(
                f"this engine has no account on {bot.market}; start GridLab with one, or cancel "
                "the bot's orders at the venue"
            )
