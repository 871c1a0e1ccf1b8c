"""Leaving one mode for another while the process runs: one wish at a time, and its outcome.

The wish ends the running session from inside; the next one recovers in the wished mode. Where that
fails, whoever wished is told why, and the engine goes back to where it came from.
"""

from __future__ import annotations

import asyncio

from gridlab.domain.snapshot import Mode
from gridlab.errors import Conflict


class ModeSwitch(Exception):
    """Ends a session because somebody asked for another mode; no error."""


class ModeDoor:
    """The way from one mode to another; used by one event loop.

    Attributes:
        came_from: the mode that a switch under way left; None when none is under way.
    """

    def __init__(self) -> None:
        self.came_from: Mode | None = None
        self._wish: Mode | None = None
        self._knocked = asyncio.Event()
        self._outcome: asyncio.Future[None] | None = None

    async def ask(self, mode: Mode) -> None:
        """Ask for `mode` and wait until it is ready, or raise what kept it from being.

        Raises:
            Conflict: another change is under way.
        """
        if self._outcome is not None:
            raise Conflict(f"the mode is already changing to {self._wish}; try again when it has")
        self._outcome = asyncio.get_running_loop().create_future()
        self._wish = mode
        self._knocked.set()
        try:
            await self._outcome
        finally:
            self._outcome = self._wish = None

    async def opened(self) -> None:
        """Wait for a wish; raises `ModeSwitch` when there is one."""
        await self._knocked.wait()
        raise ModeSwitch

    def leave(self, mode: Mode) -> Mode:
        """The wished mode, when the session of `mode` has ended for it."""
        self._knocked.clear()
        self.came_from = mode
        return mode if self._wish is None else self._wish

    def arrive(self) -> None:
        """The present mode is ready."""
        self.came_from = None
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(None)

    def turn_back(self, error: Exception) -> Mode | None:
        """The mode to go back to when the wished one cannot start; None when no switch began it."""
        back, self.came_from = self.came_from, None
        if back is not None and self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(error)
        return back
