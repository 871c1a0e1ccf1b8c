"""The trader: carries grids' commands to one venue and the venue's events back to the grids.

One turn of its loop takes everything in the inbox, hands each event to its grid, writes all of it
with the commands it caused as one durable commit, and only then lets the commands leave (law 4). It
decides nothing about orders: that is the grid's. It owns every grid and is used by one asyncio
loop.

An UNKNOWN outcome goes to the `Resolver`; a contradiction halts its grid and leaves the others
alone; a journal that cannot be written halts everything, because nothing may leave unwritten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

from gridlab.agents.bot import Bot
from gridlab.agents.resolver import Resolver
from gridlab.clock import Clock
from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import (
    Event,
    GridStarted,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import Instrument
from gridlab.domain.orders import ClientId, OrderRequest
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, NotFound
from gridlab.exchange.base import Accepted, Exchange, Outcome, RejectCode, Rejected, VenueEvent
from gridlab.grid.reconcile import differences, strangers
from gridlab.store.journal import Entry

log = logging.getLogger(__name__)


class EventStore(Protocol):
    """The part of `store.journal.Journal` that the trader writes to and recovery reads."""

    identity: str

    def append(self, entries: Sequence[Entry]) -> None: ...

    def entries(self, stream: str | None = None) -> Iterator[Entry]: ...

    def streams(self) -> tuple[str, ...]: ...


class Trader:
    """Drives every grid of one account at one venue.

    Attributes:
        bots: every run that the journal knows, by run id, in order of their start.
        failure: why the trader stopped, once it has; it then sends nothing more.
        commands_sent: commands that left since this object was made.
    """

    def __init__(self, exchange: Exchange, journal: EventStore, clock: Clock) -> None:
        self.exchange = exchange
        self.journal = journal
        self.clock = clock
        self.bots: dict[str, Bot] = {}
        self.failure: BaseException | None = None
        self.commands_sent = 0
        self._inbox: deque[tuple[str, Event]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._resolver = Resolver(exchange, clock)

    # --- what the rest of the engine asks for -----------------------------------------------------

    def bot(self, symbol: str) -> Bot:
        """The latest bot on `symbol`.

        Raises:
            NotFound: none ever ran.
        """
        for bot in reversed(self.bots.values()):
            if bot.symbol == symbol:
                return bot
        raise NotFound(f"no bot has run on {symbol}; start one with POST /api/grid/start")

    def start_grid(self, spec: GridSpec, instrument: Instrument, price: Decimal) -> Bot:
        """Begin a run; its start is journalled by the loop's next turn.

        Raises:
            Conflict: a bot already works on this symbol.
        """
        for bot in self.bots.values():
            if bot.symbol == spec.symbol and not bot.is_over:
                raise Conflict(
                    f"a bot already runs on {spec.symbol} (run {bot.run}, {bot.grid.phase}); stop "
                    "it first"
                )
        run = f"{self.journal.identity}{len(self.bots) + 1}"
        bot = Bot(run, spec.symbol)
        self.bots[run] = bot
        self.post(run, GridStarted(self.clock.now_ms(), run, spec, instrument, price))
        return bot

    def stop_grid(self, symbol: str, reason: str, policy: StopPolicy) -> Bot:
        """Ask a bot to stop; it is over when every order has provably ended.

        Raises:
            NotFound: no bot ever ran on `symbol`.
            Conflict: it is already over, or halted.
        """
        bot = self.bot(symbol)
        if bot.is_over:
            raise Conflict(f"the bot on {symbol} (run {bot.run}) is already stopped")
        if bot.halted:
            raise Conflict(
                f"the bot on {symbol} is halted ({bot.halted}); cancel its orders at the venue"
            )
        self.post(bot.run, StopRequested(self.clock.now_ms(), reason, policy))
        return bot

    def replan(self, symbol: str, price: Decimal) -> None:
        """Tell the grid of `symbol`, if it waits for it, that a cycle has passed."""
        for bot in self.bots.values():
            if bot.symbol == symbol and bot.is_driven and bot.grid.wants_replan:
                self.post(bot.run, Replan(self.clock.now_ms(), price))

    def post(self, run: str, event: Event) -> None:
        """Put an event in the inbox; it is handled by the loop's next turn."""
        self._inbox.append((run, event))
        self._idle.clear()
        self._wake.set()

    def on_venue_event(self, event: VenueEvent) -> None:
        """The sink for the venue's stream; other people's orders are passed over."""
        client_id = event.trade.client_id if isinstance(event, OrderFilled) else event.client_id
        parsed = ClientId.parse(client_id)
        if parsed is not None and parsed.run in self.bots:
            self.post(parsed.run, event)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued or on its way."""
        return self._idle.is_set() and self.failure is None

    async def idle(self) -> None:
        """Return when the inbox is empty and every command has its outcome; raise if it failed."""
        await self._idle.wait()
        if self.failure is not None:
            raise self.failure

    # --- the loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Handle events until cancelled.

        Raises:
            StorageError: the journal could not be written; nothing was sent for those events.
        """
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self.failure is not None:
                    raise self.failure
                self.turn()
        except BaseException as error:
            self.failure = error
            self._idle.set()
            raise
        finally:
            for task in tuple(self._tasks):
                task.cancel()

    def turn(self) -> None:
        """Handle the whole inbox as one commit, then let its commands leave."""
        entries: list[Entry] = []
        while self._inbox:
            run, event = self._inbox.popleft()
            bot = self.bots[run]
            if bot.is_driven and bot.grid.is_news(event):
                entries.append(Entry(run, event, bot.handle(event)))
        if entries:
            self.journal.append(entries)
        for entry in entries:
            for command in entry.commands:
                self._dispatch(entry.stream, command)
        self._check_idle()

    def _check_idle(self) -> None:
        if not self._inbox and not self._tasks:
            self._idle.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._idle.clear()
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = error
            self._idle.set()
            self._wake.set()
        self._check_idle()

    # --- commands and their outcomes --------------------------------------------------------------

    def _dispatch(self, run: str, command: Command) -> None:
        self.commands_sent += 1
        if isinstance(command, PlaceOrder):
            self._spawn(self._place(run, command.request))
        else:
            self._spawn(self._cancel(run, command))

    async def _place(self, run: str, request: OrderRequest) -> None:
        sent_ms = self.clock.now_ms()
        outcome = await self.exchange.place(request)
        self._digest(run, request.client_id, outcome)
        if _is_unknown(outcome):
            await self._resolve(run, request.client_id, sent_ms)

    def _digest(self, run: str, client_id: str, outcome: Outcome) -> None:
        now_ms = self.clock.now_ms()
        match outcome:
            case Accepted(report):
                self.post(run, OrderAccepted(report.created_ms, client_id, report.order_id))
            case Rejected(code, reason) if code != RejectCode.DUPLICATE:
                self.post(run, OrderRejected(now_ms, client_id, code, reason))
            case _:
                self.post(run, OrderUnknown(now_ms, client_id, outcome.reason))

    async def _cancel(self, run: str, command: CancelOrder) -> None:
        """Ask for the end of an order. Whatever is answered, only the order's own state counts."""
        outcome = await self.exchange.cancel(command.symbol, command.client_id)
        if not isinstance(outcome, Accepted):
            await self._look_up(run, command.client_id)

    async def _resolve(self, run: str, client_id: str, sent_ms: int) -> None:
        bot = self.bots[run]
        for event in await self._resolver.resolve(bot, client_id, sent_ms):
            self.post(run, event)

    async def _look_up(self, run: str, client_id: str) -> None:
        """Compare one order with the venue and post what differs."""
        bot = self.bots[run]
        order = bot.grid.find(client_id)
        if order is None:
            return
        try:
            report = await self.exchange.query(bot.symbol, client_id)
            if report is None:
                return
            trades = await self.exchange.trades(bot.symbol, bot.watermark)
        except ExchangeUnavailable:
            return  # the next reconciliation asks again
        for event in differences(order, report, trades):
            self.post(run, event)

    # --- reconciliation ---------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare every driven bot with the venue and post what differs; foreign orders are left.

        Raises:
            ExchangeUnavailable: the venue could not be read; nothing was changed.
        """
        for bot in tuple(self.bots.values()):
            if bot.is_driven:
                await self._reconcile(bot)

    async def _reconcile(self, bot: Bot) -> None:
        trades = await self.exchange.trades(bot.symbol, bot.watermark)
        for trade in trades:
            self.on_venue_event(OrderFilled(trade.time_ms, trade))
        open_now = {r.client_id: r for r in await self.exchange.open_orders(bot.symbol)}
        for order in tuple(bot.grid.live_orders()):
            report = open_now.get(order.client_id)
            if report is None and order.may_be_live:
                report = await self.exchange.query(bot.symbol, order.client_id)
            if report is not None:
                for event in differences(order, report, trades):
                    self.post(bot.run, event)
        if trades:
            bot.watermark = max(bot.watermark, trades[-1].trade_id)
        ghosts, _ = strangers(open_now.values(), self._known_ids())
        for report in ghosts:
            log.critical(
                "the venue holds order %s, which no run of this journal gave; look into it before "
                "you go on",
                report.client_id,
            )

    def _known_ids(self) -> frozenset[str]:
        return frozenset(
            order.client_id for bot in self.bots.values() if bot.started for order in bot.live()
        )

    async def resume(self, undelivered: Iterable[tuple[str, OrderRequest]]) -> None:
        """Deliver, in the journal's order, orders that provably never left (ADR 0005)."""
        for run, request in undelivered:
            self.commands_sent += 1
            await self._place(run, request)

    def doubt(self, run: str, client_id: str, reason: str) -> None:
        """Treat a journalled order as UNKNOWN from now on and look it up until it is resolved."""
        now_ms = self.clock.now_ms()
        self.post(run, OrderUnknown(now_ms, client_id, reason))
        self._spawn(self._resolve(run, client_id, now_ms))

    def repeat_cancels(self, run: str, commands: Iterable[CancelOrder]) -> None:
        """Send cancels again; to cancel twice ends nothing more than once."""
        for command in commands:
            self._dispatch(run, command)


def _is_unknown(outcome: Outcome) -> bool:
    return not isinstance(outcome, Accepted) and not (
        isinstance(outcome, Rejected) and outcome.code != RejectCode.DUPLICATE
    )
