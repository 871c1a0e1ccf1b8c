"""`FaultyExchange`: any venue, seen through a network and a user stream that misbehave by a plan.

`FaultyFutures` is the same for a futures venue.

One seed decides every fault, so a schedule that broke something is a number to be kept. What it may
not do is break the venue's promises, which recovery rests on: a request that arrives after its
receive window is refused, one that arrived takes at most `ENGINE_LIMIT_MS` more, and so nothing
takes effect `unseen_horizon_ms` after it was sent; an event may be dropped from the stream, but its
fill can always be found by `trades`, and its end by `query`, unless the order ended untraded long
ago. Knows no trader and no grid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any, TypeAlias

from gridlab.clock import Clock
from gridlab.domain.account import Position
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Balance, Instrument
from gridlab.domain.orders import OrderReport, OrderRequest, Trade, VenueStatus
from gridlab.errors import VenueAway
from gridlab.exchange.base import (
    Accepted,
    Exchange,
    FuturesExchange,
    Outcome,
    RejectCode,
    Rejected,
    Sink,
    Unknown,
    VenueEvent,
)
from gridlab.exchange.fault_plan import (
    ENGINE_LIMIT_MS,
    FORGOTTEN_AFTER_MS,
    FaultPlan,
    RequestFate,
    draw_delay,
)

_Action: TypeAlias = Callable[[], Awaitable[Outcome]]


class FaultyExchange:
    """`inner` with faults; satisfies `exchange.base.Exchange`.

    Needs a running event loop wherever events can arise, the replay's `advance` included, because
    late deliveries are tasks. Under a `ManualClock`, move the clock to `busy_until_ms` and await
    `drain` to see all of them made.

    Args:
        inner: the venue; this object becomes the only subscriber of its events.
        clock: what delays and time limits are measured by.
        plan: which faults, how often, and the seed.
    """

    def __init__(self, inner: Exchange, clock: Clock, plan: FaultPlan) -> None:
        self.market = inner.market
        self.unseen_horizon_ms = plan.recv_window_ms + ENGINE_LIMIT_MS
        self.plan = plan
        self._inner = inner
        self._clock = clock
        self._random = Random(plan.seed)
        self._is_quiet = False
        self._sink: Sink | None = None
        self._held: list[VenueEvent] = []
        self._sent_ms: dict[tuple[str, str], int] = {}
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self._error: BaseException | None = None
        inner.subscribe(self._on_event)

    # -- control --------------------------------------------------------------------------------

    def quiet(self) -> None:
        """End all faults: what is under way still arrives, all that is new passes straight."""
        self._is_quiet = True
        self._release_held()

    @property
    def busy_until_ms(self) -> int:
        """When the last delivery that is under way now is due; zero when there is none."""
        return max(self._tasks.values(), default=0)

    async def drain(self) -> None:
        """Return when everything that is due by now has been delivered.

        Raises:
            BaseException: what a background delivery died of, such as a failed commit inside.
        """
        while due := [t for t, due_ms in self._tasks.items() if due_ms <= self._clock.now_ms()]:
            await asyncio.wait(due)
        self._raise_background_error()

    async def close(self) -> None:
        """Drop everything that is still under way, as when the simulated world ends."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def subscribe(self, sink: Sink) -> None:
        """Push every later event into `sink`, and no longer into the one before."""
        self._sink = sink

    # -- requests -------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Outcome:
        """Send one order through the network; UNKNOWN when no answer came in time."""
        key = (request.symbol, request.client_id)
        self._sent_ms.setdefault(key, self._clock.now_ms())
        return await self._send(lambda: self._place_inside(request))

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        """Send one cancel through the network; UNKNOWN when no answer came in time."""
        return await self._send(lambda: self._inner.cancel(symbol, client_id))

    async def _send(self, action: _Action) -> Outcome:
        self._raise_background_error()
        fate = self._draw_fate()
        sent_ms = self._clock.now_ms()
        limit_ms = sent_ms + self.plan.timeout_ms
        if fate.is_request_lost:
            return await self._time_out(limit_ms)
        work = self._carry_out(action, fate, sent_ms)
        if not fate.is_delayed:
            return await work
        answer_ms = sent_ms + fate.answer_after_ms
        task = self._spawn(work, answer_ms)
        if fate.is_reply_lost or answer_ms > limit_ms:
            return await self._time_out(limit_ms)
        # Shielded: a caller that dies does not take back what is on the wire.
        return await asyncio.shield(task)

    async def _time_out(self, limit_ms: int) -> Unknown:
        await self._clock.sleep_until(limit_ms)
        self._raise_background_error()
        return Unknown(f"no answer within {self.plan.timeout_ms} ms")

    async def _carry_out(self, action: _Action, fate: RequestFate, sent_ms: int) -> Outcome:
        """What the venue answers, at the moment when its answer arrives."""
        if fate.travel_ms > self.plan.recv_window_ms:
            await self._clock.sleep_until(sent_ms + fate.travel_ms)
            return Rejected(
                RejectCode.CLOCK,  # Binance: -1021
                "Timestamp for this request is outside of the recvWindow: it took "
                f"{fate.travel_ms} ms and {self.plan.recv_window_ms} are allowed",
            )
        await self._clock.sleep_until(sent_ms + fate.executes_after_ms)
        if self._clock.now_ms() - sent_ms >= self.unseen_horizon_ms:
            # The clock jumped over the moment; the promise of the horizon holds all the same.
            return Unknown("the venue gave the request up unserved")
        outcome = await action()
        if fate.is_duplicated and _can_be_repeated(outcome):
            outcome = await action()
        await self._clock.sleep_until(sent_ms + fate.answer_after_ms)
        return outcome

    async def _place_inside(self, request: OrderRequest) -> Outcome:
        outcome = await self._inner.place(request)
        if (
            isinstance(outcome, Accepted)
            and outcome.report.status.is_open
            and self._happens(self.plan.venue_cancel)
        ):
            at_ms = self._clock.now_ms() + draw_delay(self._random, self.plan.max_venue_cancel_ms)
            self._spawn(self._cancel_by_venue(request.symbol, request.client_id, at_ms), at_ms)
        return outcome

    async def _cancel_by_venue(self, symbol: str, client_id: str, at_ms: int) -> None:
        await self._clock.sleep_until(at_ms)
        if not self._is_quiet:
            await self._inner.cancel(symbol, client_id)

    # -- events ---------------------------------------------------------------------------------

    def _on_event(self, event: VenueEvent) -> None:
        """Deliver an event, or do worse to it."""
        if self._happens(self.plan.lost_event):
            return
        copies = 2 if self._happens(self.plan.duplicated_event) else 1
        for _ in range(copies):
            if self._happens(self.plan.late_event):
                delay_ms = draw_delay(self._random, self.plan.max_event_delay_ms)
                self._deliver_later(lambda: self._deliver(event), delay_ms)
            elif self._happens(self.plan.reordered_event):
                # Overtaken by the next event; the timer sees to it when none comes.
                self._held.append(event)
                self._deliver_later(self._release_held, self.plan.max_event_delay_ms)
            else:
                self._deliver(event)
                self._release_held()

    def _deliver(self, event: VenueEvent) -> None:
        if self._sink is not None:
            self._sink(event)

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for event in reversed(held):
            self._deliver(event)

    def _deliver_later(self, deliver: Callable[[], None], delay_ms: int) -> None:
        at_ms = self._clock.now_ms() + delay_ms

        async def wait() -> None:
            await self._clock.sleep_until(at_ms)
            deliver()

        self._spawn(wait(), at_ms)

    # -- reads ----------------------------------------------------------------------------------

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        """What the venue knows; a stale None only while the id may still be on its way."""
        self._fail_read("query")
        report = await self._inner.query(symbol, client_id)
        if report is not None and self._is_forgotten(report):
            return None
        if report is not None and self._happens(self.plan.stale_read):
            sent_ms = self._sent_ms.get((symbol, client_id))
            if sent_ms is not None and self._clock.now_ms() < sent_ms + self.unseen_horizon_ms:
                return None
        return report

    def _is_forgotten(self, report: OrderReport) -> bool:
        if report.status.is_open or report.executed:
            return False
        is_old = self._clock.now_ms() >= report.updated_ms + FORGOTTEN_AFTER_MS
        return is_old and self.plan.forgets(report.client_id)

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        self._fail_read("open_orders")
        return await self._inner.open_orders(symbol)

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        self._fail_read("trades")
        return await self._inner.trades(symbol, after_id)

    async def balances(self) -> tuple[Balance, ...]:
        self._fail_read("balances")
        return await self._inner.balances()

    async def instrument(self, symbol: str) -> Instrument:
        self._fail_read("instrument")
        return await self._inner.instrument(symbol)

    def _fail_read(self, name: str) -> None:
        self._raise_background_error()
        if self._happens(self.plan.failed_read):
            raise VenueAway(f"{name}: the venue did not answer; ask again later")

    # -- inside ---------------------------------------------------------------------------------

    def _happens(self, probability: float) -> bool:
        # Drawn even when quiet or impossible, so that switching one fault leaves the others alone.
        return self._random.random() < probability and not self._is_quiet

    def _draw_fate(self) -> RequestFate:
        fate = self.plan.draw_fate(self._random)
        return RequestFate() if self._is_quiet else fate

    def _spawn(self, work: Coroutine[Any, Any, Any], due_ms: int) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = due_ms
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled() and self._error is None:
            self._error = task.exception()

    def _raise_background_error(self) -> None:
        if self._error is not None:
            raise self._error


class FaultyFutures(FaultyExchange):
    """A futures venue with faults; satisfies `exchange.base.FuturesExchange`.

    `failed_read` hits the additional reads too, and `prepare` twice: before anything was changed,
    and after all of it was, so that whoever asks again must find the same settings good.
    """

    def __init__(self, inner: FuturesExchange, clock: Clock, plan: FaultPlan) -> None:
        super().__init__(inner, clock, plan)
        self._futures = inner

    async def prepare(self, symbol: str) -> None:
        self._fail_read("prepare")
        await self._futures.prepare(symbol)
        self._fail_read("prepare")

    async def mismatch(self, symbol: str) -> str:
        self._fail_read("mismatch")
        return await self._futures.mismatch(symbol)

    async def position(self, symbol: str) -> Position:
        self._fail_read("position")
        return await self._futures.position(symbol)

    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        self._fail_read("funding")
        return await self._futures.funding(symbol, after_ms)


def _can_be_repeated(outcome: Outcome) -> bool:
    """Whether a second copy of the request does no more than be refused.

    A venue knows a client id only while its order is open, so the copy of one that filled at once
    would trade again; no client could defend itself against that, and it is not what is tested.
    """
    return isinstance(outcome, Accepted) and (
        outcome.report.status.is_open or outcome.report.status is VenueStatus.CANCELED
    )
