"""The trader: carries grids' commands to their venues and the venues' events back to the grids.

One turn of its loop takes everything in the inbox, hands each event to its grid, writes all of it
with the commands it caused as one durable commit, and only then lets the commands leave (law 4). It
decides nothing about orders: that is the grid's. It owns every grid and is used by one asyncio
loop.

An UNKNOWN outcome goes to the `Resolver`, comparing books to the `Reconciler`; a contradiction
halts its grid and leaves the others alone; a journal that cannot be written halts everything,
because nothing may leave unwritten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from gridlab.agents.bot import Bot
from gridlab.agents.reconciler import Reconciler
from gridlab.agents.resolver import Resolver
from gridlab.clock import Clock, monotonic_s
from gridlab.domain.commands import CancelOrder, Command, PlaceOrder
from gridlab.domain.events import (
    Event,
    GridStarted,
    InstrumentChanged,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Replan,
    StopPolicy,
    StopRequested,
)
from gridlab.domain.market import Instrument, Market
from gridlab.domain.orders import ClientId, OrderReport, OrderRequest, OrderType
from gridlab.domain.spec import GridSpec
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidSpec, NotFound
from gridlab.exchange.base import (
    Accepted,
    Exchange,
    LiveExchange,
    Outcome,
    RejectCode,
    Rejected,
    VenueEvent,
)
from gridlab.grid.lifecycle import OrderState
from gridlab.store.journal import Entry

log = logging.getLogger(__name__)

#: Turns whose durations are kept.
TIMED_TURNS = 2_000
#: Refusals after which the symbol's rules may not be what they were.
RULE_CODES = frozenset({RejectCode.FILTER, RejectCode.TOO_MANY_ORDERS})


class EventStore(Protocol):
    """The part of `store.journal.Journal` that the trader writes to and recovery reads."""

    identity: str

    def append(self, entries: Sequence[Entry]) -> None: ...

    def entries(self, stream: str | None = None) -> Iterator[Entry]: ...

    def streams(self) -> tuple[str, ...]: ...


class Trader:
    """Drives every grid of one account, on one venue for each market.

    Args:
        exchanges: the venues by market; one venue alone serves its own market.

    Attributes:
        bots: every run that the journal knows, by run id, in order of their start.
        failure: why the trader stopped, once it has; it then sends nothing more.
        commands_sent: commands that left since this object was made.
        turn_seconds: how long the latest turns took, the commit included.
        on_turn: called at the end of each turn, before its commands leave; must not take long.
    """

    def __init__(
        self,
        exchanges: Exchange | Mapping[Market, Exchange],
        journal: EventStore,
        clock: Clock,
    ) -> None:
        self.exchanges: Mapping[Market, Exchange] = (
            exchanges if isinstance(exchanges, Mapping) else {exchanges.market: exchanges}
        )
        self.journal = journal
        self.clock = clock
        self.bots: dict[str, Bot] = {}
        self.failure: BaseException | None = None
        self.commands_sent = 0
        self.turn_seconds: deque[float] = deque(maxlen=TIMED_TURNS)
        self.on_turn: Callable[[], None] = _nothing
        self._inbox: deque[tuple[str, Event]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[str] = set()
        self._reconciler = Reconciler(self.bots, self.post, self.on_venue_event, clock)

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

    def venue_of(self, bot: Bot) -> Exchange:
        """Where the bot trades; `recover` has halted bots that have no venue here."""
        return self.exchanges[bot.market]

    def start_grid(self, spec: GridSpec, instrument: Instrument, price: Decimal) -> Bot:
        """Begin a run; its start is journalled by the loop's next turn.

        Raises:
            Conflict: a bot already works on this symbol, or the venue's stream is not ready.
            InvalidSpec: there is no account on the spec's market here.
        """
        self._check_venue(spec)
        for bot in self.bots.values():
            if bot.symbol == spec.symbol and not bot.is_over:
                raise Conflict(
                    f"a bot already runs on {spec.symbol} (run {bot.run}, {bot.grid.phase}); stop "
                    "it first"
                )
        run = f"{self.journal.identity}{len(self.bots) + 1}"
        bot = Bot(run, spec.symbol, spec.market)
        bot.rules, bot.is_compared = instrument, True
        self.bots[run] = bot
        self.post(run, GridStarted(self.clock.now_ms(), run, spec, instrument, price))
        return bot

    def _check_venue(self, spec: GridSpec) -> None:
        venue = self.exchanges.get(spec.market)
        if venue is None:
            raise InvalidSpec(
                f"market_type is {spec.market}; this engine has an account on "
                f"{', '.join(self.exchanges)} only"
            )
        if isinstance(venue, LiveExchange) and not venue.health.is_ready:
            raise Conflict(
                f"the {spec.market} venue is {venue.health.state} ({venue.health.reason}); try "
                "again when it is ready"
            )

    def stop_grid(self, symbol: str, reason: str, policy: StopPolicy) -> Bot:
        """Ask a bot to stop; it is over when every order has provably ended.

        Raises:
            NotFound: no bot ever ran on `symbol`.
            Conflict: it is already over; or it is halted and may not be stopped, or not with this
                policy.
        """
        bot = self.bot(symbol)
        if bot.is_over:
            raise Conflict(f"the bot on {symbol} (run {bot.run}) is already stopped")
        if bot.halted and not bot.can_be_ended:
            raise Conflict(
                f"the bot on {symbol} is halted ({bot.halted}); cancel its orders at the venue"
            )
        if bot.halted and policy is not StopPolicy.KEEP:
            raise Conflict(
                f"the bot on {symbol} is halted ({bot.halted}); stop it with the policy keep, and "
                "sell what is left by hand"
            )
        self.post(bot.run, StopRequested(self.clock.now_ms(), reason, policy))
        return bot

    def replan(self, symbol: str, price: Decimal) -> None:
        """Tell the grid of `symbol`, if it waits for it, that a cycle has passed."""
        for bot in self.bots.values():
            if bot.symbol == symbol and bot.is_driven and bot.grid.wants_replan:
                self.post(bot.run, Replan(self._cycle_ms(bot), price))

    def _cycle_ms(self, bot: Bot) -> int:
        """The moment of the bot's next cycle.

        A grid takes a moment that is not later than its last cycle for a repeat, as a replay that
        goes on tells it. At a real venue it means that the machine's clock was set back before
        this start, and the slots may not wait until it has caught up.
        """
        now_ms = self.clock.now_ms()
        if not self.venue_of(bot).unseen_horizon_ms:
            return now_ms
        return max(now_ms, bot.grid.replanned_ms + 1)

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
        began_s = monotonic_s()
        entries: list[Entry] = []
        while self._inbox:
            run, event = self._inbox.popleft()
            bot = self.bots[run]
            if bot.let_end(event):
                self._look_up_missed(bot)
            if bot.is_driven and bot.grid.is_news(event):
                entries.append(Entry(run, event, bot.handle(event)))
        if entries:
            self.journal.append(entries)
        for entry in entries:
            for command in entry.commands:
                self._dispatch(entry.stream, command)
        if entries:
            self.turn_seconds.append(monotonic_s() - began_s)
            self.on_turn()
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
            self._under_way.add(command.client_id)
            self._spawn(self._place(run, command.request))
        else:
            self._spawn(self._cancel(run, command))

    async def _place(self, run: str, request: OrderRequest) -> None:
        bot = self.bots[run]
        self._under_way.add(request.client_id)
        outcome = await self._send(bot, request)
        self._digest(run, request.client_id, outcome)
        self._under_way.discard(request.client_id)
        if _is_unknown(outcome):
            # Counted from here, because the request may have waited its turn before it left.
            await self._resolve(run, request.client_id, self.clock.now_ms())
        elif isinstance(outcome, Rejected) and outcome.code in RULE_CODES:
            await self._read_rules(bot)

    async def _send(self, bot: Bot, request: OrderRequest) -> Outcome:
        venue = self.venue_of(bot)
        if not venue.unseen_horizon_ms:
            return await venue.place(request)  # in this process; asking it costs nothing

        async def place(request: OrderRequest) -> Outcome:
            if bot.is_stopping:  # it was told while this one waited for another's answer
                return Rejected(RejectCode.NOT_SENT, "not sent: the grid is stopping")
            if bot.unread and not bot.is_compared and request.type is not OrderType.MARKET:
                return Rejected(RejectCode.NOT_SENT, f"not sent: {bot.unread}")
            return await venue.place(request)

        return await bot.restraint.send(request, place, self.clock)

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
        bot = self.bots[run]
        venue = self.venue_of(bot)
        outcome = await venue.cancel(command.symbol, command.client_id)
        if not isinstance(outcome, Accepted):
            with bot.halting_if_unlisted():
                await self._reconciler.look_up(bot, venue, command.client_id)

    async def _resolve(self, run: str, client_id: str, sent_ms: int) -> None:
        bot = self.bots[run]
        resolver = Resolver(self.venue_of(bot), self.clock)
        with bot.halting_if_unlisted():
            for event in await resolver.resolve(bot, client_id, sent_ms):
                self.post(run, event)

    async def _read_rules(self, bot: Bot) -> None:
        """After a refusal by a rule: tell the grid the rules if they are not what it believes."""
        try:
            rules = await self.venue_of(bot).instrument(bot.symbol)
        except (ExchangeUnavailable, NotFound) as error:
            log.warning("the rules of %s could not be read again: %s", bot.symbol, error)
            return
        if rules != bot.rules:
            bot.rules = rules
            log.warning("the venue changed its rules for %s", bot.symbol)
            self.post(bot.run, InstrumentChanged(self.clock.now_ms(), rules))

    # --- reconciliation ---------------------------------------------------------------------------

    async def reconcile(self, market: Market | None = None) -> None:
        """Compare every driven bot with its venue and post what differs; foreign orders are left.

        Cancels whose order is still there are asked again. A bot whose symbol is no longer listed
        is halted, one about whose symbol the venue refuses to be read is `unread`, and the others
        are compared all the same.

        Args:
            market: compare only the bots of one market.

        Raises:
            VenueAway: the venue answers nobody; what was posted before stands.
        """
        for bot in self._to_compare():
            if market in (None, bot.market):
                with bot.noting_refusals():
                    await self._reconciler.compare(bot, self.venue_of(bot), self._known_ids)
                    bot.is_compared = True
                self.repeat_cancels(bot)

    def unread(self, market: Market) -> list[Bot]:
        """The bots of `market` about whose symbols the venue lastly refused to be read."""
        return [bot for bot in self._to_compare() if bot.market is market and bot.unread]

    async def check_accounts(self) -> None:
        """Read settings, funding and positions of futures bots; raises as `reconcile` does."""
        for bot in self._to_compare():
            with bot.noting_refusals():
                await self._reconciler.check_account(bot, self.venue_of(bot))

    def _to_compare(self) -> list[Bot]:
        return [
            bot for bot in self.bots.values() if bot.is_driven and bot.started and not bot.is_filed
        ]

    def _known_ids(self) -> frozenset[str]:
        return frozenset(
            order.client_id for bot in self.bots.values() if bot.started for order in bot.live()
        )

    @property
    def foreign(self) -> Mapping[tuple[Market, str], tuple[OrderReport, ...]]:
        """Other people's open orders by market and symbol, as of the last reconciliation."""
        return MappingProxyType(self._reconciler.foreign)

    async def resume(self, undelivered: Iterable[tuple[str, OrderRequest]]) -> list[str]:
        """Deliver, in the journal's order, orders that provably never left (ADR 0005).

        A bot that is stopping gets none delivered: a resolver proves that they are absent.

        Returns:
            The run of each order that was delivered.
        """
        delivered = []
        for run, request in undelivered:
            if self.bots[run].is_stopping:
                self.doubt(run, request.client_id, "the bot stopped before it was sent")
            else:
                self.commands_sent += 1
                await self._place(run, request)
                delivered.append(run)
        return delivered

    def doubt(self, run: str, client_id: str, reason: str) -> None:
        """Treat a journalled order as UNKNOWN from now on and look it up until it is resolved."""
        now_ms = self.clock.now_ms()
        self.post(run, OrderUnknown(now_ms, client_id, reason))
        self._spawn(self._resolve(run, client_id, now_ms))

    def _look_up_missed(self, bot: Bot) -> None:
        """Settle the orders of a bot that is driven again whose answers came while it was not.

        One that is still under way brings its own answer, and may leave only now.
        """
        for order in tuple(bot.live()):
            is_open = order.state in (OrderState.SUBMITTED, OrderState.UNKNOWN)
            if is_open and order.client_id not in self._under_way:
                self.doubt(bot.run, order.client_id, "its answer came while the bot was halted")
        self.repeat_cancels(bot)

    def repeat_cancels(self, bot: Bot) -> None:
        """Send cancels again whose order has not ended; to cancel twice ends nothing twice."""
        if bot.is_driven:
            for command in bot.open_cancels():
                self._dispatch(bot.run, command)


def _nothing() -> None:
    """Nobody wants to hear of turns."""


def _is_unknown(outcome: Outcome) -> bool:
    return not isinstance(outcome, Accepted) and not (
        isinstance(outcome, Rejected) and outcome.code != RejectCode.DUPLICATE
    )
