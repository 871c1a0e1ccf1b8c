"""The supervisor: runs one piece of work, and runs it again when it breaks, within bounds.

Crash-only: what broke is not repaired but thrown away, and the work begins again at its only start,
which for the trader is recovery. Pauses grow from 1 to 60 seconds; after five breaks within ten
minutes the work is FAILED, which is shown, and nobody tries again behind the user's back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from gridlab.clock import Clock
from gridlab.domain.snapshot import AgentHealth

log = logging.getLogger(__name__)

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 60_000
MOST_BREAKS = 5
WITHIN_MS = 600_000


class Supervisor:
    """Keeps one agent alive.

    Args:
        name: what people call the agent.
        work: runs until it is done; each call is a fresh start.
        clock: the machine's clock.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._state = "starting"
        self._breaks: deque[int] = deque(maxlen=MOST_BREAKS)
        self._restarts = 0
        self._last_error = ""

    async def run(self) -> None:
        """Run the work to its end, restarting it after breaks; returns when done or FAILED."""
        pause_ms = FIRST_PAUSE_MS
        while True:
            self._state = "running"
            try:
                await self._work()
            except asyncio.CancelledError:
                self._state = "stopped"
                raise
            except Exception as error:
                pause_ms = await self._after_break(error, pause_ms)
                if not pause_ms:
                    return
            else:
                self._state = "finished"
                return

    async def _after_break(self, error: Exception, pause_ms: int) -> int:
        """Wait before the next try and return the pause after that; 0 when there is none."""
        now_ms = self._clock.now_ms()
        self._last_error = f"{type(error).__name__}: {error}"
        log.error("agent %s broke: %s", self._name, self._last_error, exc_info=error)
        full = len(self._breaks) == MOST_BREAKS - 1
        if full and now_ms - self._breaks[0] < WITHIN_MS:
            self._state = "failed"
            return 0
        if self._breaks and now_ms - self._breaks[-1] > WITHIN_MS:
            pause_ms = FIRST_PAUSE_MS
        if full:
            self._breaks.popleft()
        self._breaks.append(now_ms)
        self._state = "waiting"
        await self._clock.sleep_until(now_ms + pause_ms)
        self._restarts += 1
        return min(2 * pause_ms, LONGEST_PAUSE_MS)

    @property
    def is_failed(self) -> bool:
        return self._state == "failed"

    @property
    def last_error(self) -> str:
        return self._last_error

    def health(self, beat_ms: int) -> AgentHealth:
        """The agent's state; `beat_ms` is when its work last showed that it lives."""
        return AgentHealth(self._name, self._state, beat_ms, self._restarts, self._last_error)
