"""One bot: a grid and what the shell knows about it beside the grid."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from gridlab.domain.commands import Command
from gridlab.domain.events import Event
from gridlab.domain.snapshot import Recovery
from gridlab.errors import BugError, InvalidInput
from gridlab.grid.engine import Grid, Phase
from gridlab.grid.lifecycle import Order

log = logging.getLogger(__name__)


class Bot:
    """One run of one grid.

    Attributes:
        halted: why the shell stopped driving it, after a contradiction; else empty.
        watermark: trades up to this id are known to be booked; reads ask for later ones.
        recovery: what the last start of the process found, if the bot existed before it.
    """

    def __init__(self, run: str, symbol: str, *, audit: bool = True) -> None:
        self.run = run
        self.symbol = symbol
        self.grid = Grid(audit=audit)
        self.halted = ""
        self.watermark = -1
        self.recovery: Recovery | None = None

    @property
    def started(self) -> bool:
        return self.grid.phase is not Phase.IDLE

    @property
    def is_over(self) -> bool:
        return self.grid.is_over

    @property
    def is_driven(self) -> bool:
        """Whether events still go to the grid."""
        return not self.halted

    def live(self) -> Iterator[Order]:
        return self.grid.live_orders()

    def handle(self, event: Event) -> tuple[Command, ...]:
        """The grid's commands; none, and the bot halted, when the event contradicts what is known.

        The event is journalled all the same, so that the contradiction can be replayed and studied.
        """
        try:
            return self.grid.handle(event)
        except (BugError, InvalidInput, ArithmeticError) as error:
            self.halted = str(error) or type(error).__name__
            log.critical("bot %s on %s is halted: %s", self.run, self.symbol, error)
            return ()
