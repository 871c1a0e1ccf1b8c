"""The simulated venues that keep the exchange contract, with the levers of their markets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from gridlab.clock import ManualClock
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Kline, Market, PercentPrice
from gridlab.exchange.base import Exchange
from gridlab.exchange.fault_plan import FaultPlan
from gridlab.exchange.faults import FaultyExchange, FaultyFutures
from gridlab.exchange.paper import PaperBook, PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.exchange.paper_futures_book import FuturesBook
from gridlab.exchange.replay import Replay
from gridlab.testing.exchange_contract import InProcessVenue

D = Decimal
START_MS = 1_700_000_040_000
PRICE = D("60000")
SPOT_FEES = FeeSchedule(D("0.001"), D("0.001"))
FUTURES_FEES = FeeSchedule(D("0.0002"), D("0.0005"), FeeMode.QUOTE)


def rules(market: Market) -> Instrument:
    """Rules of a size as real symbols have them, with few open orders allowed."""
    is_spot = market is Market.SPOT
    return Instrument(
        symbol="BTCUSDT",
        market=market,
        base="BTC",
        quote="USDT",
        tick_size=D("0.01") if is_spot else D("0.1"),
        lot_size=D("0.00001") if is_spot else D("0.001"),
        min_notional=D(5) if is_spot else D(100),
        min_quantity=D("0.00001") if is_spot else D("0.001"),
        max_quantity=D(9000) if is_spot else D(1000),
        min_price=D("0.01") if is_spot else D("0.1"),
        max_price=D(1_000_000),
        max_num_orders=8,
        percent_price=PercentPrice(D("0.2"), D(5), D("0.2"), D(5)) if is_spot else None,
    )


def paper(market: Market, clock: ManualClock) -> PaperExchange:
    funds = {"USDT": D(30_000)}
    if market is Market.SPOT:
        book = PaperBook({"BTCUSDT": rules(market)}, funds, fees=SPOT_FEES)
        book.set_price("BTCUSDT", PRICE)
        return PaperExchange(book, clock)
    wallet = FuturesBook({"BTCUSDT": rules(market)}, funds, fees=FUTURES_FEES)
    wallet.set_price("BTCUSDT", PRICE)
    return PaperFutures(wallet, clock)


def under_test(
    venue: PaperExchange, clock: ManualClock, exchange: Exchange | None = None, **options: object
) -> InProcessVenue:
    """A paper venue with its levers; `exchange` is what is tested when that stands before it."""

    def move(price: Decimal) -> None:
        clock.advance_to(clock.now_ms() + 1_000)
        venue.advance("BTCUSDT", price, clock.now_ms())

    levers: dict[str, object] = {
        "move": move,
        "price": lambda: venue.book.price("BTCUSDT"),
        "fill_part": lambda name, quantity: venue.fill_part("BTCUSDT", name, quantity),
    }
    if isinstance(venue, PaperFutures):

        def pay_funding(rate: Decimal, funding_id: str) -> None:
            clock.advance_to(clock.now_ms() + 1_000)
            venue.pay_funding("BTCUSDT", rate, funding_id)

        levers["pay_funding"] = pay_funding
        levers["set_leverage"] = lambda leverage: venue.set_leverage("BTCUSDT", leverage)
    fees = SPOT_FEES if venue.market is Market.SPOT else FUTURES_FEES
    return InProcessVenue(
        exchange or venue,
        "BTCUSDT",
        fees,
        **{**levers, **options},  # type: ignore[arg-type]
    )


def on_paper(market: Market) -> InProcessVenue:
    """A paper venue as it is."""
    clock = ManualClock(START_MS)
    return under_test(paper(market, clock), clock)


class Script:
    """A recording that is written while it is played: one flat candle for each move."""

    def __init__(self) -> None:
        self.candles: list[Kline] = []

    def __len__(self) -> int:
        return len(self.candles)

    def kline(self, i: int) -> Kline:
        return self.candles[i]

    def index_at(self, time_ms: int) -> int:
        opens = [candle.open_time_ms for candle in self.candles]
        return sum(open_ms <= time_ms for open_ms in opens) - 1

    def add(self, price: Decimal) -> None:
        open_ms = START_MS + 60_000 * len(self.candles)
        prices = (price, price, price, price)
        self.candles.append(Kline(open_ms, *prices, D(1), open_ms + 59_999))


def replayed(market: Market) -> InProcessVenue:
    """A paper venue whose market moves only by a replay's steps."""
    clock, script = ManualClock(START_MS), Script()
    venue = paper(market, clock)
    replay = Replay(
        clock, {"BTCUSDT": script}, start_ms=START_MS, end_ms=START_MS + 60_000 * 10_000
    )
    replay.attach(venue)

    def move(price: Decimal) -> None:
        script.add(price)
        for _ in range(4):
            step = replay.next_step()
            assert step is not None
            replay.play(step)

    move(PRICE)
    return under_test(venue, clock, move=move, price=lambda: replay.price("BTCUSDT"))


def noise(seed: int) -> FaultPlan:
    """Requests and events come late, twice and in another order; none is lost, no read fails."""
    return FaultPlan(
        seed,
        late_request=0.3,
        late_reply=0.3,
        duplicated_request=0.2,
        late_event=0.3,
        duplicated_event=0.3,
        reordered_event=0.3,
    )


def faulty(market: Market, plan: FaultPlan, *, is_exact: bool) -> InProcessVenue:
    clock = ManualClock(START_MS)
    venue = paper(market, clock)
    network: FaultyExchange
    if isinstance(venue, PaperFutures):
        network = FaultyFutures(venue, clock, plan)
    else:
        network = FaultyExchange(venue, clock, plan)

    @asynccontextmanager
    async def time_passes() -> AsyncIterator[None]:
        passing = asyncio.create_task(_let_time_pass(clock))
        try:
            yield
            await network.drain()
        finally:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
            await network.close()

    async def settle() -> None:
        """Past the horizon nothing can take effect any more; and what is late is awaited."""
        if not is_exact:
            await clock.sleep_until(clock.now_ms() + network.unseen_horizon_ms)
        while network.busy_until_ms:
            await clock.sleep_until(network.busy_until_ms)
            await network.drain()

    return under_test(venue, clock, network, around=time_passes, settle=settle, is_exact=is_exact)


async def _let_time_pass(clock: ManualClock) -> None:
    """Wake whoever sleeps, the earliest first, whenever nobody else has anything to do."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(0)
        wake_ms = clock.next_wake_ms
        if wake_ms is not None and not loop._ready:  # type: ignore[attr-defined]
            clock.advance_to(max(wake_ms, clock.now_ms()))
