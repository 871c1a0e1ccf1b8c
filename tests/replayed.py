"""One grid through the replay's own parts: trader, player, journal, paper exchange.

The oracle of everything that claims to decide as a live engine does.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridlab.agents.player import Player
from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.clock import ManualClock, SystemClock
from gridlab.data.bars import Bars
from gridlab.data.funding import Funding
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.events import Replan
from gridlab.domain.market import Instrument, Market
from gridlab.domain.spec import GridSpec
from gridlab.exchange.paper import FillRule, PaperBook, PaperExchange
from gridlab.exchange.paper_futures import FuturesBook, PaperFutures
from gridlab.exchange.replay import Replay
from gridlab.store.journal import Journal


def rows_of(funding: Funding) -> list[tuple[int, Decimal]]:
    return list(zip(funding.time_ms.tolist(), funding.rates, strict=True))


class Played:
    """What a replay of `bars` made of one grid.

    Attributes:
        commands, entries: all that was journalled, in order.
        replans: how often vacant slots were tried again.
    """

    def __init__(
        self,
        folder: Path,
        spec: GridSpec,
        bars: Bars,
        *,
        rules: Instrument,
        account: dict[str, Decimal],
        fill_rule: FillRule,
        participation: Decimal | None,
        margin: MarginType = MarginType.ISOLATED,
        funding: Funding | None = None,
    ) -> None:
        clock = ManualClock(int(bars.open_time_ms[0]))
        self.replay = Replay(
            clock,
            {spec.symbol: bars},
            start_ms=int(bars.open_time_ms[0]),
            end_ms=bars.end_ms,
            width_ms=bars.interval.ms,
            participation=participation,
            funding={spec.symbol: rows_of(funding)} if funding is not None else None,
        )
        self.book: PaperBook
        self.venue: PaperExchange
        named: dict[str, Any] = {"fees": spec.fees, "fill_rule": fill_rule}
        if spec.market is Market.FUTURES:
            settings = FuturesSettings(spec.leverage, margin)
            wallet = FuturesBook({spec.symbol: rules}, account, settings=settings, **named)
            self.book, self.venue = wallet, PaperFutures(wallet, clock)
        else:
            self.book = PaperBook({spec.symbol: rules}, account, **named)
            self.venue = PaperExchange(self.book, clock)
        self.journal = Journal.open(folder / "journal.sqlite", lambda: "r")
        self.trader = Trader(self.venue, self.journal, clock)
        self.replay.attach(self.venue)
        self.player = Player(
            self.replay,
            self.trader,
            speed=0,
            wall=SystemClock(),
            market=clock,
            on_step=lambda: None,
        )
        asyncio.run(self._play(spec, rules))
        entries = tuple(self.journal.entries())
        self.journal.close()
        self.commands = [command for entry in entries for command in entry.commands]
        self.entries = entries
        self.replans = sum(isinstance(entry.event, Replan) for entry in entries)
        self.grid = self.trader.bot(spec.symbol).grid

    async def _play(self, spec: GridSpec, rules: Instrument) -> None:
        loop = asyncio.create_task(self.trader.run())
        await recover(self.trader)
        step = self.replay.next_step()
        assert step is not None
        self.replay.play(step)
        price = self.book.price(spec.symbol)
        assert price is not None
        self.trader.start_grid(spec, rules, price)
        await self.trader.idle()
        await self.player.run()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
