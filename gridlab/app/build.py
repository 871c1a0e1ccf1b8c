"""The composition root: which venue, which books and which agents make up an engine.

The only place that knows concrete classes of every room at once. A mode is what is built here;
there is no signed order transport in what Replay builds (law 9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridlab.agents.player import Player
from gridlab.agents.trader import Trader
from gridlab.app.settings import Settings
from gridlab.clock import ManualClock, SystemClock
from gridlab.data.catalog import catalog, instrument, load
from gridlab.data.recorded import RecordedMarket
from gridlab.domain.market import Market
from gridlab.errors import InvalidConfig
from gridlab.exchange.paper import FillRule, PaperBook, PaperExchange
from gridlab.exchange.replay import Replay, Step
from gridlab.store.journal import Journal
from gridlab.store.records import SqliteRecords


@dataclass(slots=True)
class Session:
    """One life between two starts: everything that is thrown away when something breaks."""

    clock: ManualClock
    market: RecordedMarket
    journal: Journal
    records: SqliteRecords
    replay: Replay
    venue: PaperExchange
    trader: Trader
    player: Player[Step]

    def close(self) -> None:
        """Close both books; everything in them is already durable."""
        self.journal.close()
        self.records.close()


def open_session(settings: Settings, wall: SystemClock, on_step: Callable[[], None]) -> Session:
    """A session over the books in the data directory, not yet recovered.

    Raises:
        JournalCorrupt, StorageError: the books on disk do not verify, or belong to another replay.
        InvalidConfig: nothing is recorded in the span to play.
    """
    span = (settings.start_ms, settings.end_ms)
    here = [s for s in catalog() if s.last_ms >= span[0] and s.first_ms < span[1]]
    spot = {s.symbol: load(s.symbol, s.market) for s in here if s.market is Market.SPOT}
    if not spot:
        raise InvalidConfig(
            f"no recording reaches into {span[0]} to {span[1]} ms; gridlab has "
            + "; ".join(f"{s.market} {s.symbol} {s.first_ms} to {s.last_ms}" for s in catalog())
        )
    clock = ManualClock(settings.start_ms)
    bars = {(Market.SPOT, symbol): series for symbol, series in spot.items()}
    bars |= {
        (s.market, s.symbol): load(s.symbol, s.market) for s in here if s.market is not Market.SPOT
    }
    rules = {(market, symbol): instrument(symbol, market) for market, symbol in bars}
    options = settings.config.replay
    replay = Replay(
        clock,
        spot,
        start_ms=settings.start_ms,
        end_ms=settings.end_ms,
        participation=options.participation,
    )
    journal = Journal.open(settings.journal_path, lambda: "r")
    records = SqliteRecords.open(settings.venue_path)
    stored = list(records.load())
    replay.restore(stored)
    book = PaperBook.restore(
        stored,
        {symbol: rules[Market.SPOT, symbol] for symbol in spot},
        options.initial_balances,
        fees=options.fees,
        fill_rule=FillRule(options.fill_rule),
    )
    venue = PaperExchange(book, clock, records, cursor=replay.records)
    replay.attach(venue)
    trader = Trader(venue, journal, clock)
    player = Player(replay, trader, speed=settings.speed, wall=wall, market=clock, on_step=on_step)
    market = RecordedMarket(bars, rules, clock)
    return Session(clock, market, journal, records, replay, venue, trader, player)
