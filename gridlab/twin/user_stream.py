"""The account's events of one market, in the order in which they happened, to all who listen.

An event is told after the change it tells of: whoever hears it can query it. Faults decide for each
event whether it is lost, doubled, late or kept back behind the next one; an event carries the time
at which it happened, so that a client can see what came out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from gridlab.clock import Clock
from gridlab.twin.faults import TwinFaults
from gridlab.twin.stream_payloads import Payload

Hear: TypeAlias = Callable[[Payload], None]

#: How long an event is kept back when no other follows it.
HOLD_MS = 2_000


class UserStream:
    """Tells the account's events.

    Args:
        clock: the time that faults and delays are measured by.
    """

    def __init__(self, clock: Clock, faults: TwinFaults) -> None:
        self._clock = clock
        self._faults = faults
        self._listeners: list[Hear] = []
        self._held: list[tuple[Payload, int]] = []
        self._late: set[asyncio.Task[None]] = set()

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def attach(self, hear: Hear) -> Callable[[], None]:
        """Let `hear` be told every later event; returns what ends that."""
        self._listeners.append(hear)

        def detach() -> None:
            if hear in self._listeners:
                self._listeners.remove(hear)

        return detach

    def tell(self, events: Iterable[Payload]) -> None:
        """Tell these events, each as the faults have it."""
        now_ms = self._clock.now_ms()
        for event in events:
            # Nobody listens, or nothing is heard: no fault is spent on the event.
            if not self._listeners or self._faults.silent_until_ms > now_ms:
                continue
            fault = self._faults.on_event()
            if fault.is_dropped:
                continue
            if fault.is_held:
                self._held.append((event, fault.copies))
                self._later(HOLD_MS, self._release)
            elif fault.delay_ms > 0:
                self._later(fault.delay_ms, partial(self._send, event, fault.copies))
            else:
                self._send(event, fault.copies)

    def _send(self, event: Payload, copies: int) -> None:
        self._hand_out(event, copies)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for event, copies in held:
            self._hand_out(event, copies)

    def _hand_out(self, event: Payload, copies: int) -> None:
        for _ in range(copies):
            for hear in list(self._listeners):
                hear(event)

    def _later(self, delay_ms: int, action: Callable[[], None]) -> None:
        task = asyncio.ensure_future(self._after(delay_ms, action))
        self._late.add(task)
        task.add_done_callback(self._sent)

    async def _after(self, delay_ms: int, action: Callable[[], None]) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + delay_ms)
        action()

    def _sent(self, task: asyncio.Task[None]) -> None:
        """Raise what a late event died of, so that the loop reports it."""
        self._late.discard(task)
        if not task.cancelled():
            task.result()
