"""Planted bugs: what others have shipped, put back into our code, to prove that the net holds.

Each is a world that differs from the real one in one decision. A mutant that no schedule catches
means that the simulation has gone blind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from gridlab.agents import reconciler, resolver
from gridlab.agents.bot import Bot
from gridlab.agents.reconciler import Reconciler
from gridlab.agents.resolver import Resolver
from gridlab.agents.trader import Trader
from gridlab.domain.events import (
    Event,
    FundingPaid,
    OrderAbsent,
    OrderEnded,
    OrderFilled,
    OrderRejected,
)
from gridlab.domain.orders import OrderRequest, Trade, VenueStatus
from gridlab.exchange.base import Accepted, Outcome, Rejected
from gridlab.exchange.faults import FaultyFutures
from gridlab.grid import shifting
from gridlab.grid.engine import Grid
from gridlab.grid.lifecycle import Order, Signal
from gridlab.grid.window import Window
from gridlab.money import ZERO
from gridlab.store.journal import Entry


@contextmanager
def resend_with_the_same_id() -> Iterator[None]:
    """A timeout is answered by sending the order again."""

    async def place(self: Trader, run: str, request: OrderRequest) -> None:
        outcome = await self._send(self.bots[run], request)
        while not isinstance(outcome, (Accepted, Rejected)):
            outcome = await self._send(self.bots[run], request)
        self._digest(run, request.client_id, outcome)

    with patch.object(Trader, "_place", place):
        yield


@contextmanager
def retry_with_a_new_id() -> Iterator[None]:
    """A timeout is taken for a failure, and the slot orders again under the next id."""

    async def resolve(self: Resolver, bot: Bot, client_id: str, sent_ms: int) -> Sequence[Event]:
        return (OrderAbsent(self._clock.now_ms(), client_id),)

    with patch.object(Resolver, "resolve", resolve):
        yield


@contextmanager
def believe_not_found_at_once() -> Iterator[None]:
    """One "no such order" proves absence, however young the request is."""
    original = Resolver.resolve

    async def resolve(self: Resolver, bot: Bot, client_id: str, sent_ms: int) -> Sequence[Event]:
        return await original(self, bot, client_id, sent_ms - 10**9)

    with patch.object(resolver, "PROOFS_OF_ABSENCE", 1), patch.object(Resolver, "resolve", resolve):
        yield


@contextmanager
def count_repeated_trades() -> Iterator[None]:
    """A trade that is told twice is booked twice."""

    def book(self: Order, trade: Trade) -> bool:
        self.signal(Signal.FILL)
        self.trades.add(trade.trade_id)
        self.filled += trade.quantity
        return True

    with patch.object(Order, "book", book), patch.object(Grid, "is_news", lambda *_: True):
        yield


@contextmanager
def send_before_the_commit() -> Iterator[None]:
    """Commands leave first and are written down afterwards."""

    def turn(self: Trader) -> None:
        entries: list[Entry] = []
        while self._inbox:
            run, event = self._inbox.popleft()
            bot = self.bots[run]
            if bot.is_driven and bot.grid.is_news(event):
                entries.append(Entry(run, event, bot.handle(event)))
        for entry in entries:
            for command in entry.commands:
                self._dispatch(entry.stream, command)
        if entries:
            try:
                self.journal.append(entries)
            except BaseException:
                # The requests are on the wire before the process is gone.
                self._tasks.clear()
                raise
        self._check_idle()

    with patch.object(Trader, "turn", turn):
        yield


@contextmanager
def trust_the_cancel() -> Iterator[None]:
    """A cancel that was sent counts as an order that ended unfilled."""
    original: Callable[..., Any] = Trader._cancel

    async def cancel(self: Trader, run: str, command: Any) -> None:
        now_ms = self.clock.now_ms()
        ended = OrderEnded(now_ms, command.client_id, VenueStatus.CANCELED, ZERO)
        self.post(run, ended)
        await original(self, run, command)

    with patch.object(Trader, "_cancel", cancel):
        yield


@contextmanager
def mirror_the_first_partial_fill() -> Iterator[None]:
    """Any fill completes an order."""

    def settled(self: Order) -> bool:
        return bool(self.filled) or original(self)

    original = Order.is_settled.fget  # type: ignore[attr-defined]
    with patch.object(Order, "is_settled", property(settled)):
        yield


@contextmanager
def never_reconcile() -> Iterator[None]:
    """What the stream lost stays lost."""

    async def reconcile(self: Trader) -> None:
        return None

    with patch.object(Trader, "reconcile", reconcile):
        yield


@contextmanager
def take_a_duplicate_for_a_refusal() -> Iterator[None]:
    """ "Duplicate id" means that the order was refused, not that it is already there."""

    def digest(self: Trader, run: str, client_id: str, outcome: Outcome) -> None:
        now_ms = self.clock.now_ms()
        if isinstance(outcome, Rejected):
            self.post(run, OrderRejected(now_ms, client_id, outcome.code, outcome.reason))
        else:
            original(self, run, client_id, outcome)

    original = Trader._digest
    with patch.object(Trader, "_digest", digest):
        yield


@contextmanager
def forget_orders_at_restart() -> Iterator[None]:
    """Orders that were journalled and not answered are simply placed by nobody."""

    def doubt(self: Trader, run: str, client_id: str, reason: str) -> None:
        return None

    with patch.object(Trader, "doubt", doubt):
        yield


@contextmanager
def place_before_the_cancel_is_proved() -> Iterator[None]:
    """A cancel that was asked for counts as room for the next order."""
    with patch.object(Window, "room", property(lambda self: self.cap - self.chosen_count)):
        yield


@contextmanager
def forget_an_order_that_is_being_cancelled() -> Iterator[None]:
    """The order window takes a slot's order for gone when its cancel is sent."""
    original: Callable[..., Any] = shifting.swap

    def swap(grid: Any, window: Window, *rest: Any) -> None:
        original(grid, window, *rest)
        for index in tuple(window.leaving):
            grid.slots[index].order = None
            grid.slots[index].vacancy = "its order was cancelled"
            window.release(index)

    with patch.object(shifting, "swap", swap):
        yield


@contextmanager
def book_funding_at_every_reading() -> Iterator[None]:
    """A payment is known by the moment when it was read, not by its own id."""
    original: Callable[..., Any] = Reconciler._book_funding

    async def book(self: Reconciler, bot: Bot, venue: Any) -> None:
        post = self._post

        def anew(run: str, event: Event) -> None:
            assert isinstance(event, FundingPaid)
            name = f"{event.funding_id}@{self._clock.now_ms()}"
            post(run, replace(event, funding_id=name))

        with patch.object(self, "_post", anew):
            await original(self, bot, venue)

    with patch.object(Reconciler, "_book_funding", book):
        yield


@contextmanager
def drive_a_halted_bot() -> Iterator[None]:
    """A halt is only a word on the screen."""
    with patch.object(Bot, "is_driven", property(lambda self: True)):
        yield


@contextmanager
def reconcile_orders_without_trades() -> Iterator[None]:
    """Comparing reads the open orders and believes that every trade is known."""

    async def latest(bot: Bot, venue: Any) -> int:
        return 10**15

    with patch.object(reconciler, "first_unread", latest):
        yield


@contextmanager
def trust_the_stream_for_the_watermark() -> Iterator[None]:
    """A trade that the stream told means that all before it were told, too."""
    original: Callable[..., Any] = Trader.on_venue_event

    def listen(self: Trader, event: Any) -> None:
        if isinstance(event, OrderFilled) and self.bots:
            bot = next(reversed(self.bots.values()))
            bot.watermark = max(bot.watermark, event.trade.trade_id)
        original(self, event)

    with patch.object(Trader, "on_venue_event", listen):
        yield


@contextmanager
def ignore_changed_rules() -> Iterator[None]:
    """A refusal by a filter is taken for bad luck, and the same order is sent again."""

    async def read_rules(self: Trader, bot: Bot) -> None:
        return None

    with patch.object(Trader, "_read_rules", read_rules):
        yield


@contextmanager
def overlook_other_settings() -> Iterator[None]:
    """Settings are asserted once at the start and never again."""

    async def mismatch(self: FaultyFutures, symbol: str) -> str:
        return ""

    with patch.object(FaultyFutures, "mismatch", mismatch):
        yield


@contextmanager
def wait_for_the_end_of_a_forgotten_order() -> Iterator[None]:
    """An order that the venue does not know any more counts as open for ever."""
    with patch.object(reconciler, "forgotten", lambda *_: ()):
        yield


MUTANTS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    resend_with_the_same_id,
    retry_with_a_new_id,
    believe_not_found_at_once,
    count_repeated_trades,
    send_before_the_commit,
    trust_the_cancel,
    mirror_the_first_partial_fill,
    never_reconcile,
    take_a_duplicate_for_a_refusal,
    forget_orders_at_restart,
    place_before_the_cancel_is_proved,
    forget_an_order_that_is_being_cancelled,
    book_funding_at_every_reading,
    drive_a_halted_bot,
    reconcile_orders_without_trades,
    trust_the_stream_for_the_watermark,
    ignore_changed_rules,
    overlook_other_settings,
    wait_for_the_end_of_a_forgotten_order,
)
