"""`FaultRunner`: carries out the faults that come of their own accord, and obeys the control port.

Once in a tick it asks the plan what befalls the venue: sockets cut or silent, orders ended by the
venue, rules changed, the clock astray, maintenance. Told faults of these kinds happen at once, or
as soon as they can.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

from gridlab.domain.market import Instrument, Market
from gridlab.errors import InvalidInput
from gridlab.exchange.base import Rejected
from gridlab.twin.fault_plan import FaultKind, TwinFaultPlan, unknown_key
from gridlab.twin.news import EXCHANGE_CANCELED, VenueOrder
from gridlab.twin.venue import Venue
from gridlab.twin.world import World

_Detail: TypeAlias = Mapping[str, Any]
_Action: TypeAlias = Callable[[int, _Detail], Awaitable[bool]]

#: What a changed rule is multiplied by: a coarser tick, and a higher minimum.
TICK_FACTOR, NOTIONAL_FACTOR = 10, Decimal("1.5")


class FaultRunner:
    """The faults of one world that need no request to happen."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faults = world.faults
        self._task: asyncio.Task[None] | None = None
        self._shutdowns: set[asyncio.Task[None]] = set()
        self._changed: dict[tuple[Market, str], tuple[int, Instrument]] = {}
        self._actions: dict[FaultKind, _Action] = {
            FaultKind.DISCONNECT: self._disconnect,
            FaultKind.SILENT_STREAM: self._silence,
            FaultKind.SERVER_SHUTDOWN: self._shut_down,
            FaultKind.VENUE_CANCEL: self._cancel,
            FaultKind.VENUE_EXPIRE: self._expire,
            FaultKind.FILTER_CHANGE: self._change_filter,
            FaultKind.CLOCK_SKEW: self._skew,
            FaultKind.MAINTENANCE: self._maintain,
        }

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_report)

    async def stop(self) -> None:
        """End the task; raises what it died of."""
        tasks = [*self._shutdowns] if self._task is None else [self._task, *self._shutdowns]
        self._task = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        clock = self._world.clock
        while True:
            await clock.sleep_until(clock.now_ms() + self._faults.plan.tick_ms)
            await self.tick()

    async def tick(self) -> None:
        """Let happen what this tick has in store."""
        for kind in self._actions:
            await self._try(kind)
        self._restore_filters(self._world.wall_ms())

    async def post(self, document: _Detail) -> dict[str, Any]:
        """Obey one document of the control port, and answer how things stand.

        `{"inject": kind, "count": 1, "path": "", "method": "", ...}` with details such as `ms`;
        `{"plan": name or mapping}`; `{"quiet": true}` ends all faults; `{}` only asks.

        Raises:
            InvalidInput: anything that is not known here, or can't be.
            NotFound: no plan of that name.
        """
        keys = [key for key in ("inject", "plan", "quiet") if key in document]
        if len(keys) > 1 or (document and not keys):
            raise InvalidInput(
                f"{', '.join(map(str, document))}: give one of inject, plan, quiet, or nothing"
            )
        if keys == ["inject"]:
            await self._inject(dict(document))
        elif keys == ["plan"]:
            self._only("plan", document)
            self._faults.replace(_plan(document["plan"]))
        elif keys == ["quiet"]:
            self._only("quiet", document)
            self._quiet(document["quiet"])
        return self.status()

    def status(self) -> dict[str, Any]:
        """What was injected, what waits, by which plan."""
        faults = self._faults
        return {
            "injected": faults.counters(),
            "waiting": {kind.value: left for kind in FaultKind if (left := faults.waiting(kind))},
            "plan": faults.plan.document(),
            "clock_offset_ms": faults.clock_offset_ms(self._world.wall_ms()),
            "silent_until": faults.silent_until_ms,
            "maintenance_until": faults.maintenance_until_ms,
        }

    # -- control --------------------------------------------------------------------------------

    async def _inject(self, document: dict[str, Any]) -> None:
        kind = document.pop("inject")
        count = document.pop("count", 1)
        path, method = document.pop("path", None), document.pop("method", None)
        told = self._faults.inject(kind, count, path, method, **document)
        if told.kind in self._actions:
            for _ in range(count):
                await self._try(told.kind)

    def _quiet(self, wanted: object) -> None:
        if wanted is not True:
            raise InvalidInput(f"quiet is {wanted!r}; true ends all faults")
        self._faults.quiet()
        self._restore_filters(None)

    @staticmethod
    def _only(key: str, document: _Detail) -> None:
        for name in document:
            if name != key:
                raise InvalidInput(unknown_key(name, [key]))

    # -- what happens ---------------------------------------------------------------------------

    async def _try(self, kind: FaultKind) -> None:
        due = self._faults.take(kind)
        if due is None:
            return
        if await self._actions[kind](due.ms, due.detail):
            self._faults.count(kind)
        else:
            self._faults.give_back(due)

    async def _disconnect(self, ms: int, detail: _Detail) -> bool:
        if not self._world.sockets.count:
            return False
        await self._world.sockets.disconnect_all()
        return True

    async def _silence(self, ms: int, detail: _Detail) -> bool:
        self._faults.silent_until_ms = max(self._faults.silent_until_ms, self._world.wall_ms() + ms)
        return True

    async def _shut_down(self, ms: int, detail: _Detail) -> bool:
        if not self._world.sockets.count:
            return False
        # Clients have a moment between the notice and the end; the tick does not wait for it.
        task = asyncio.create_task(self._world.sockets.announce_shutdown())
        self._shutdowns.add(task)
        task.add_done_callback(self._shutdowns.discard)
        return True

    async def _cancel(self, ms: int, detail: _Detail) -> bool:
        return await self._end(FaultKind.VENUE_CANCEL, detail)

    async def _expire(self, ms: int, detail: _Detail) -> bool:
        return await self._end(FaultKind.VENUE_EXPIRE, detail)

    async def _end(self, kind: FaultKind, detail: _Detail) -> bool:
        """End one open order as the venue does; False when there is none that is meant."""
        candidates = [
            (venue, order)
            for venue in self._venues(detail)
            for order in venue.open_orders(None)
            if detail.get("symbol") in (None, order.symbol)
            and detail.get("client_id") in (None, order.client_id)
        ]
        if not candidates:
            return False
        venue, order = candidates[self._faults.pick(kind, len(candidates))]
        ended: VenueOrder | Rejected
        if kind is FaultKind.VENUE_CANCEL:
            ended = await venue.cancel(order.symbol, order.client_id)
        else:
            ended = venue.expire(order.symbol, order.client_id, EXCHANGE_CANCELED)
        return not isinstance(ended, Rejected)

    async def _change_filter(self, ms: int, detail: _Detail) -> bool:
        """Make a symbol's tick coarser and its least order bigger, for a while."""
        choices = [
            (venue, symbol)
            for venue in self._venues(detail)
            for symbol in venue.symbols()
            if detail.get("symbol") in (None, symbol)
            and (venue.market, symbol) not in self._changed
        ]
        if not choices:
            return False
        venue, symbol = choices[self._faults.pick(FaultKind.FILTER_CHANGE, len(choices))]
        before = venue.instrument(symbol)
        self._changed[venue.market, symbol] = (self._world.wall_ms() + ms, before)
        venue.set_instrument(
            replace(
                before,
                tick_size=before.tick_size * TICK_FACTOR,
                min_notional=before.min_notional * NOTIONAL_FACTOR,
            )
        )
        return True

    async def _skew(self, ms: int, detail: _Detail) -> bool:
        is_told = "ms" in detail
        is_behind = not is_told and self._faults.pick(FaultKind.CLOCK_SKEW, 2) == 0
        self._faults.drift_to(-ms if is_behind else ms, self._world.wall_ms(), at_once=is_told)
        return True

    async def _maintain(self, ms: int, detail: _Detail) -> bool:
        self._faults.maintenance_until_ms = max(
            self._faults.maintenance_until_ms, self._world.wall_ms() + ms
        )
        return True

    def _restore_filters(self, now_ms: int | None) -> None:
        """Give back the rules whose change is over; all of them when `now_ms` is None."""
        for (market, symbol), (until_ms, before) in list(self._changed.items()):
            if now_ms is None or until_ms <= now_ms:
                del self._changed[market, symbol]
                self._world.venue(market).set_instrument(before)

    def _venues(self, detail: _Detail) -> list[Venue]:
        wanted = detail.get("market")
        names = [market.value for market in self._world.venues]
        if wanted is not None and wanted not in names:
            raise InvalidInput(f"market {unknown_key(wanted, names)}")
        return [v for m, v in self._world.venues.items() if wanted in (None, m.value)]


def _plan(wanted: object) -> TwinFaultPlan:
    if isinstance(wanted, str):
        return TwinFaultPlan.load(wanted)
    if isinstance(wanted, Mapping):
        return TwinFaultPlan.read(wanted)
    raise InvalidInput(f"plan is {wanted!r}; the name of one, or a mapping of fault kinds")


def _report(task: asyncio.Task[None]) -> None:
    """Raise what ended the task, so that the loop reports it; a cancelled one ended rightly."""
    if not task.cancelled():
        task.result()
