"""The Replay session: recorded real prices played into paper venues, with no key and no network.

There is no signed order transport in anything that is built here (law 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from gridlab.agents.data import DataAgent
from gridlab.agents.player import Player
from gridlab.agents.trader import Trader
from gridlab.app.joint_replay import JointReplay, JointStep
from gridlab.app.paper_account import PaperAccount, at_account_leverage, paper_venue
from gridlab.app.session import Probe
from gridlab.app.settings import Settings
from gridlab.app.shared_books import SharedBooks
from gridlab.clock import ManualClock, SystemClock
from gridlab.data.bars import Bars
from gridlab.data.catalog import catalog, funding, instrument, load
from gridlab.data.recorded import RecordedMarket
from gridlab.domain.market import Instrument, Market
from gridlab.domain.snapshot import Mode, VenueHealth
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidConfig, InvalidSpec, NotFound
from gridlab.exchange.base import FuturesExchange
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.replay import Replay
from gridlab.store.journal import Journal
from gridlab.store.records import SqliteRecords


class ReplaySession:
    """Everything of one replay between two starts; satisfies `session.Session`."""

    mode = Mode.REPLAY
    is_recorded = True
    agents: Mapping[Market, DataAgent] = MappingProxyType({})
    ghost_remedy = "Restore the newer journal, or begin anew with --fresh"

    def __init__(self, settings: Settings, wall: SystemClock, on_step: Callable[[], None]) -> None:
        """Open the books in the data directory; they are not yet recovered.

        Raises:
            JournalCorrupt, StorageError: the books on disk do not verify, or are another replay's.
            InvalidConfig: nothing is recorded in the span to play.
        """
        bars = _recordings(settings)
        rules = {(market, symbol): instrument(symbol, market) for market, symbol in bars}
        self._settings = settings
        self.speed = settings.speed
        self.clock = ManualClock(settings.start_ms)
        self.market = RecordedMarket(bars, rules, self.clock)
        self._wall = wall
        self._started_ms = wall.now_ms()
        self.journal = Journal.open(settings.journal_path, lambda: "r")
        self._records = SqliteRecords.open(settings.venue_path)
        books = SharedBooks(self._records)
        self._venues: dict[Market, PaperExchange] = {}
        replays: dict[Market, Replay] = {}
        for market in (one for one in Market if any(where is one for where, _ in bars)):
            series = {symbol: found for (where, symbol), found in bars.items() if where is market}
            own_rules = {symbol: rules[market, symbol] for symbol in series}
            replay = _replay(settings, self.clock, series, market)
            self._venues[market] = _venue(settings, market, own_rules, books, replay, self.clock)
            replays[market] = replay
        self.trader = Trader(self._venues, self.journal, self.clock)
        self.account = PaperAccount(self._venues, self.trader)
        self._stage = JointReplay(
            replays,
            self.clock,
            self._market_of,
            start_ms=settings.start_ms,
            end_ms=settings.end_ms,
        )
        self._player: Player[JointStep] = Player(
            self._stage,
            self.trader,
            speed=settings.speed,
            wall=wall,
            market=self.clock,
            on_step=on_step,
        )

    @property
    def progress(self) -> float:
        return self._stage.progress

    @property
    def beat_ms(self) -> int:
        return self._player.beat_ms

    @property
    def step_seconds(self) -> Sequence[float]:
        return self._player.step_seconds

    def prices(self) -> Mapping[tuple[Market, str], Decimal]:
        return {
            (market, symbol): self.market.price(market, symbol).value
            for market in Market
            for symbol in self.market.symbols(market)
        }

    def health(self) -> Mapping[Market, VenueHealth]:
        now_ms = self._wall.now_ms()
        here = VenueHealth("ready", "", now_ms, now_ms)
        return MappingProxyType(dict.fromkeys(self._venues, here))

    async def open(self) -> None:
        """Nothing to connect to."""

    async def prime(self) -> None:
        """Play the first point of every symbol: a market needs a price for grids to start at."""
        first = self._stage.next_step()
        while (step := self._stage.next_step()) is not None and first is not None:
            if step.time_ms > first.time_ms:
                break
            self._stage.play(step)

    async def quote(self, market: Market, symbol: str) -> tuple[Instrument, Decimal]:
        if market not in self._venues:
            raise InvalidSpec(
                f"market_type is {market}, and nothing of {market} is recorded in the span that is "
                f"played; choose {', '.join(self._venues)}, or start with a replay.start and "
                "replay.end that hold such a recording (gridlab data list names them)"
            )
        rules = self.market.instrument(market, symbol)
        return rules, self.market.price(market, symbol).value

    async def fitted(self, spec: GridSpec) -> GridSpec:
        """`spec` at the account's leverage; whoever asks a paper venue chooses the fees."""
        return at_account_leverage(spec, self._settings.config)

    async def prepare(self, spec: GridSpec) -> None:
        venue = self._venues[spec.market]
        if isinstance(venue, FuturesExchange):
            await venue.prepare(spec.symbol)

    async def probe(self) -> Mapping[Market, Probe]:
        """Replay asks nobody."""
        return {}

    async def settled(self) -> None:
        """At once: the venues are in this process."""

    async def run(self) -> None:
        await self._player.run()

    def save(self) -> None:
        self._stage.save()

    async def close(self) -> None:
        self.journal.close()
        self._records.close()

    def _market_of(self, symbol: str) -> Market:
        try:
            return self.trader.bot(symbol).market
        except NotFound:
            return Market.SPOT


def _recordings(settings: Settings) -> dict[tuple[Market, str], Bars]:
    start_ms, end_ms = settings.start_ms, settings.end_ms
    here = [s for s in catalog() if s.last_ms >= start_ms and s.first_ms < end_ms]
    if not here:
        raise InvalidConfig(
            f"no recording reaches into {start_ms} to {end_ms} ms; gridlab has "
            + "; ".join(f"{s.market} {s.symbol} {s.first_ms} to {s.last_ms}" for s in catalog())
        )
    return {(s.market, s.symbol): load(s.symbol, s.market) for s in here}


def _replay(
    settings: Settings, clock: ManualClock, series: Mapping[str, Bars], market: Market
) -> Replay:
    return Replay(
        clock,
        series,
        start_ms=settings.start_ms,
        end_ms=settings.end_ms,
        participation=settings.config.replay.participation,
        funding=_funding(series) if market is Market.FUTURES else None,
    )


def _funding(series: Mapping[str, Bars]) -> dict[str, list[tuple[int, Decimal]]]:
    """What is recorded of the symbols' funding rates; nothing is paid where none is."""
    found = {}
    for symbol in series:
        try:
            rates = funding(symbol)
        except NotFound:
            continue
        found[symbol] = list(zip(rates.time_ms.tolist(), rates.rates, strict=True))
    return found


def _venue(
    settings: Settings,
    market: Market,
    rules: Mapping[str, Instrument],
    books: SharedBooks,
    replay: Replay,
    clock: ManualClock,
) -> PaperExchange:
    """The paper venue of one market, over what the store holds of it, with its recording."""
    replay.restore(books.stored(market))
    venue = paper_venue(settings.config, market, rules, books, clock)
    books.join(market, venue.book, replay.records)
    replay.attach(venue)
    return venue
