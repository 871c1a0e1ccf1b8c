"""One bot: a grid and what the shell knows about it beside the grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gridlab.agents.restraint import Restraint
from gridlab.domain.commands import CancelOrder, Command
from gridlab.domain.events import Event, FundingPaid, OrderFilled, StopPolicy, StopRequested
from gridlab.domain.market import Instrument, Market
from gridlab.domain.snapshot import Recovery
from gridlab.errors import BugError, ExchangeUnavailable, InvalidInput, NotFound, VenueAway
from gridlab.grid.engine import Grid, Phase
from gridlab.grid.lifecycle import Order

log = logging.getLogger(__name__)


class Bot:
    """One run of one grid.

    Attributes:
        market: where the grid trades, and so which venue its requests go to.
        halted: why the shell stopped driving it; else empty. A halt is not journalled: what caused
            it is still there after a restart, or is found no more, and then the bot goes on.
        may_end: whether a halted bot may still be stopped with what it holds kept: its books are
            sound, it is the account that is not what they assume.
        watermark: trades up to this id are known to be booked; reads ask for later ones.
        funding_ms: funding up to this moment is known to be booked.
        funding_read_ms: when funding was last asked for.
        first_trade_ms: the venue's time of the first trade; None before there was one.
        payments: ids of the funding that is booked here, or about to be.
        is_filed: it is over and was compared with the venue once more after that.
        unread: why the venue could not be read about its symbol the last time; else empty.
        is_compared: whether books and venue were compared since this process has the bot. One that
            it started itself has nothing to compare.
        rules: the venue's rules that the grid was last told.
        restraint: what the venue lately refused for reasons that hold for the next order too.
        recovery: what the last start of the process found, if the bot existed before it.
    """

    def __init__(
        self, run: str, symbol: str, market: Market = Market.SPOT, *, audit: bool = True
    ) -> None:
        self.run = run
        self.symbol = symbol
        self.market = market
        self.grid = Grid(audit=audit)
        self.halted = ""
        self.may_end = False
        self.watermark = -1
        self.funding_ms = -1
        self.funding_read_ms = -1
        self.first_trade_ms: int | None = None
        self.payments: set[str] = set()
        self.is_filed = False
        self.unread = ""
        self.is_compared = False
        self.recovery: Recovery | None = None
        self.rules: Instrument | None = None
        self.restraint = Restraint()
        self._cancels: dict[str, CancelOrder] = {}

    @property
    def started(self) -> bool:
        return self.grid.phase is not Phase.IDLE

    @property
    def is_over(self) -> bool:
        return self.grid.is_over

    @property
    def is_stopping(self) -> bool:
        """Whether it waits for the end of every order, and may send none."""
        return self.grid.phase is Phase.STOPPING

    @property
    def only_cancels(self) -> bool:
        """Whether it is being stopped and keeps what it holds, whatever the account is like."""
        return self.is_stopping and self.grid.policy is StopPolicy.KEEP

    @property
    def is_driven(self) -> bool:
        """Whether events still go to the grid."""
        return not self.halted

    def live(self) -> Iterator[Order]:
        return self.grid.live_orders()

    def halt(self, words: str, *, may_end: bool = False) -> None:
        """Stop driving the bot: nothing more is booked or sent; its orders stay at the venue."""
        if not self.halted:
            self.halted, self.may_end = words, may_end
            log.critical("bot %s on %s is halted: %s", self.run, self.symbol, words)

    @property
    def can_be_ended(self) -> bool:
        """Whether it is halted and a stop with the policy keep may still end it.

        One that was told to sell what it holds would go on to do so, and is left alone.
        """
        is_selling = self.grid.phase is Phase.EMPTYING or (
            self.is_stopping and not self.only_cancels
        )
        return bool(self.halted) and self.may_end and not is_selling

    def let_end(self, event: Event) -> bool:
        """Drive a halted bot again for its end, if `event` asks for one that it may have.

        What was answered while it was halted has passed it by.
        """
        if not isinstance(event, StopRequested) or event.policy is not StopPolicy.KEEP:
            return False
        if not self.can_be_ended:
            return False
        self.halted, self.may_end = "", False
        return True

    @contextmanager
    def halting_if_unlisted(self) -> Iterator[None]:
        """Halt the bot, and raise nothing, when its venue does not list its symbol any more.

        A bot that is over has nothing to be found there any more, and is filed.
        """
        try:
            yield
        except NotFound as error:
            if self.is_over:
                self.is_filed = True
                log.warning("bot %s is over and not read any more: %s", self.run, error)
                return
            self.halt(
                f"{error} any more: {self.symbol} was removed there, or this account may not trade "
                "it. Look at the venue for what is left of its orders and holdings, and cancel and "
                "sell them by hand; should it be listed again, restart GridLab and the bot goes on"
            )

    @contextmanager
    def noting_refusals(self) -> Iterator[None]:
        """Keep, and raise nothing, when the venue refuses to be read about this bot's symbol.

        That is its own affair: the other bots of the market are read all the same.

        Raises:
            VenueAway: the venue answers nobody.
        """
        try:
            with self.halting_if_unlisted():
                yield
        except VenueAway:
            raise
        except ExchangeUnavailable as error:
            self.unread = str(error)
            log.warning("bot %s on %s could not be compared: %s", self.run, self.symbol, error)
        else:
            self.unread = ""

    def handle(self, event: Event) -> tuple[Command, ...]:
        """The grid's commands; none, and the bot halted, when the event contradicts what is known.

        The event is journalled all the same, so that the contradiction can be replayed and studied.
        """
        try:
            commands = self.grid.handle(event)
        except (BugError, InvalidInput, ArithmeticError) as error:
            self.halt(str(error) or type(error).__name__)
            return ()
        self._note(event)
        self.note_cancels(commands)
        return commands

    def _note(self, event: Event) -> None:
        """Keep when the first trade was, and which payments are booked."""
        if isinstance(event, OrderFilled):
            time_ms = event.trade.time_ms
            self.first_trade_ms = min(time_ms, self.first_trade_ms or time_ms)
        elif isinstance(event, FundingPaid):
            self.payments.add(event.funding_id)

    def note_cancels(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, CancelOrder):
                self._cancels[command.client_id] = command

    def open_cancels(self) -> list[CancelOrder]:
        """Cancels that the grid asked for and whose order has not provably ended yet."""
        self._cancels = {
            client_id: command
            for client_id, command in self._cancels.items()
            if self.grid.find(client_id) is not None
        }
        return list(self._cancels.values())
