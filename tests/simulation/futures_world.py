"""The same world on futures: positions, funding, and settings that somebody changes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from world import START_MS, Violation, World

from gridlab.agents.bot import Bot
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.orders import Trade
from gridlab.exchange.fault_plan import FaultPlan
from gridlab.exchange.faults import FaultyFutures
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook


class Account(PaperFutures):
    """A venue whose account settings somebody else can spoil and mend."""

    spoilt = False

    async def mismatch(self, symbol: str) -> str:
        return "the account is in hedge mode" if self.spoilt else await super().mismatch(symbol)


class FuturesWorld(World):
    """One schedule of a futures grid."""

    market = Market.FUTURES
    venue: Account

    def _fee_mode(self) -> FeeMode:
        return FeeMode.QUOTE

    def _open_venue(self, seed: int, fees: FeeSchedule) -> None:
        self.start_balances.pop("BNB")
        settings = FuturesSettings(
            self.chance.choice([1, 2, 3]), self.chance.choice(list(MarginType))
        )
        book = FuturesBook(
            {"COINUSDT": self.instrument}, self.start_balances, fees=fees, settings=settings
        )
        self.venue = Account(book, self.clock)
        self.network = FaultyFutures(self.venue, self.clock, FaultPlan.from_seed(seed))
        self.funding_rate = self.chance.choice([0.0, 0.1, 0.3])
        self.spoil_rate = self.chance.choice([0.0, 0.0, 0.1])
        self.payments = 0

    def _weather(self) -> None:
        super()._weather()
        if self.chance.random() < self.funding_rate:
            self.payments += 1
            rate = Decimal(self.chance.randint(-30, 30)) / 10_000
            moment_ms = max(self.clock.now_ms(), START_MS + 1)
            self.venue.pay_funding("COINUSDT", rate, f"f{self.payments}", moment_ms)
        if self.chance.random() < self.spoil_rate:
            self.venue.spoilt = not self.venue.spoilt

    async def _compare(self) -> bool:
        """A comparison that saw other settings than the assumed ones has halted the bot.

        Not one that only cancels any more: its end does not depend on them.
        """
        was_spoilt = self.venue.spoilt
        is_read = await super()._compare()
        if is_read and was_spoilt:
            for bot in self.trader.bots.values():
                is_done = bot.is_over or bot.only_cancels
                if bot.started and not is_done and not bot.halted:
                    raise Violation("other settings were read and the bot was not halted")
        return is_read

    async def _calm_down(self) -> None:
        """The settings are mended; a bot that was halted for them goes on in a new process."""
        self.calm = True
        self.network.quiet()
        self.venue.spoilt = False
        if any(bot.halted for bot in self.trader.bots.values()):
            await self._die()
            await self._boot()
        await super()._calm_down()

    def _check_money(self, bot: Bot, trades: Sequence[Trade]) -> None:
        """Held base is the position; cash and position are worth what the wallet and it are."""
        book: Any = self.venue.book
        figures, ledger = book.figures("COINUSDT"), bot.grid.ledger
        if ledger.base_held != figures.quantity:
            raise Violation(f"position {figures.quantity}, ledger {ledger.base_held}")
        (wallet,) = (balance.total for balance in book.balances() if balance.asset == "USDT")
        # What is left in a position after the grid's end pays and gets funding of its own.
        later = [
            paid.amount
            for paid in book.funding("COINUSDT")
            if bot.is_over and paid.time_ms > bot.grid.updated_ms
        ]
        there = wallet - self.start_balances["USDT"] + figures.unrealized - sum(later)
        here = ledger.wallet.get("USDT", Decimal(0)) + ledger.base_held * figures.mark_price
        if here != there:
            raise Violation(f"equity there {there}, here {here}")
