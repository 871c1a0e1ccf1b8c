"""The twin's world: both markets, their time, their prices, and what is wrong with them.

Composition only: recordings become venues, a clock that faults may skew drives them, a playback
moves them. Knows no request and no socket; those ask it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from gridlab.clock import Clock, SystemClock
from gridlab.domain.account import FuturesSettings, MarginType
from gridlab.domain.market import Balance, FeeMode, FeeSchedule, Market
from gridlab.errors import InvalidInput, NotFound
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.money import round_to
from gridlab.twin.connection import Sockets
from gridlab.twin.fault_plan import TwinFaultPlan
from gridlab.twin.faults import TwinFaults
from gridlab.twin.history import History
from gridlab.twin.listen_keys import ListenKeys
from gridlab.twin.options import TwinOptions
from gridlab.twin.playback import Playback
from gridlab.twin.recordings import Recording, recordings, shifted
from gridlab.twin.self_trades import PreventingBook, PreventingFuturesBook
from gridlab.twin.signing import new_secret
from gridlab.twin.stream_payloads import Printed
from gridlab.twin.tape import Past, Tape
from gridlab.twin.venue import Venue
from gridlab.twin.widths import MINUTE_MS

SPOT_FEES = FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.RECEIVED)
FUTURES_FEES = FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE)
#: What an account on USD-M starts with.
FUTURES_SETTINGS = FuturesSettings(leverage=20, margin_type=MarginType.CROSSED)


class ServerClock:
    """The venue's time: the machine's, ahead or behind by what the faults have made of it."""

    def __init__(self, wall: Clock, faults: TwinFaults) -> None:
        self._wall = wall
        self._faults = faults

    def now_ms(self) -> int:
        wall_ms = self._wall.now_ms()
        return wall_ms + self._faults.clock_offset_ms(wall_ms)

    async def sleep_until(self, time_ms: int) -> None:
        while (left_ms := time_ms - self.now_ms()) > 0:
            await self._wall.sleep_until(self._wall.now_ms() + left_ms)


class World:
    """Both markets of one twin.

    Args:
        clock: the machine's time.

    Attributes:
        venues: by market; a market without any recorded symbol is not there.
        faults: what is wrong; a quiet plan when nothing was asked for.
        counters: what the desks counted, such as requests during a ban.
        recorded_from_ms: where in its recording each symbol began, by market and symbol.
        transfers: how often money was moved between the two wallets.

    Raises:
        NotFound, InvalidInput: as `recordings` and the fault plan.
    """

    def __init__(self, options: TwinOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.clock: Clock = clock or SystemClock()
        plan = TwinFaultPlan() if options.faults is None else TwinFaultPlan.load(options.faults)
        self.faults = TwinFaults(plan, options.seed)
        self.server_clock = ServerClock(self.clock, self.faults)
        self.sockets = Sockets(self.clock)
        self.listen_keys = ListenKeys()
        self.key = options.key or new_secret()
        self.secret = options.secret or new_secret()
        self.counters: Counter[str] = Counter()
        self.transfers = 0
        self.started_ms = self.clock.now_ms()
        played = recordings(options)
        self.recorded_from_ms = {f"{m} {s}": r.start_ms for (m, s), r in played.items()}
        self.venues: Mapping[Market, Venue] = {
            market: self._venue(market, {s: r for (m, s), r in played.items() if m is market})
            for market in Market
            if any(m is market for m, _ in played)
        }
        spot = self.venues.get(Market.SPOT)
        self.histories: dict[Market, History[tuple[Balance, ...]]] = {}
        if spot is not None:
            self.histories[Market.SPOT] = History(spot, self.wall_ms, spot.balances)
        self.playback = Playback(
            played, self.venues, self.clock, speed=options.speed, pulse_ms=options.pulse_ms
        )
        self._player: asyncio.Task[None] | None = None

    # -- time and prices ------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The venue's time."""
        return self.server_clock.now_ms()

    def wall_ms(self) -> int:
        """The machine's time."""
        return self.clock.now_ms()

    @property
    def speed(self) -> float:
        return self.playback.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not 0 <= speed < 1_000_000:
            raise InvalidInput(f"speed is {speed}; from 0 (stands still) to 1000000 is meant")
        self.playback.set_speed(speed)

    def venue(self, market: Market) -> Venue:
        """One market; raises `NotFound` when no symbol of it is played."""
        found = self.venues.get(market)
        if found is None:
            raise NotFound(f"this twin has no {market}: none of its symbols is recorded there")
        return found

    def set_price(
        self, market: Market, symbol: str, price: Decimal, quantity: Decimal | None = None
    ) -> Printed:
        """Let a market trade at `price`, rounded to its tick; it fills what it crosses.

        Raises:
            NotFound: no such market or symbol.
            InvalidInput: a price that is not above zero, or more than the market may have.
        """
        venue = self.venue(market)
        venue.tape(symbol)
        instrument = venue.instrument(symbol)
        price = round_to(price, instrument.tick_size)
        if not instrument.min_price <= price or 0 < instrument.max_price < price:
            raise InvalidInput(
                f"{symbol} cannot trade at {price}: its prices go from {instrument.min_price} to "
                f"{instrument.max_price}"
            )
        trade = venue.market_trade(symbol, price, quantity)
        self.playback.note_print(market, symbol)
        return trade

    # -- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to play."""
        self._player = asyncio.create_task(self.playback.run())

    async def stop(self) -> None:
        """Stand still, and cut every socket."""
        if self._player is not None:
            self._player.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._player
            self._player = None
        await self.sockets.disconnect_all()

    def check(self) -> None:
        """Raise what ended the player, if anything did."""
        if self._player is not None and self._player.done() and not self._player.cancelled():
            self._player.result()

    # -- making ---------------------------------------------------------------------------------

    def _venue(self, market: Market, played: Mapping[str, Recording]) -> Venue:
        start_ms = self.started_ms - self.started_ms % MINUTE_MS
        tapes = {
            symbol: Tape(symbol, Past(shifted(r.past, start_ms), start_ms), r.opening)
            for symbol, r in played.items()
        }
        venue = Venue(self._paper(market, played), tapes, self.server_clock, self.faults)
        for symbol, recording in played.items():
            venue.market_trade(symbol, recording.opening)
        return venue

    def _paper(self, market: Market, played: Mapping[str, Recording]) -> PaperExchange:
        instruments = {symbol: recording.instrument for symbol, recording in played.items()}
        funds = dict(self.options.funds)
        if market is Market.SPOT:
            spot = PreventingBook(instruments, funds, fees=SPOT_FEES)
            return PaperExchange(spot, self.server_clock)
        book = PreventingFuturesBook(
            instruments, funds, fees=FUTURES_FEES, settings=FUTURES_SETTINGS
        )
        return PaperFutures(book, self.server_clock)
