"""Market streams over real venues with a clock that the test moves: what is told, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.twin.news import BookNews, MarketNews, OrderExtras, VenueNews
from gridlab.twin.options import TwinOptions
from gridlab.twin.stream_hub import StreamHub
from gridlab.twin.venue import Venue
from gridlab.twin.widths import WIDTHS
from gridlab.twin.world import World

START_MS = 1_700_000_040_000  # a minute begins
BOTH = pytest.mark.parametrize("market", list(Market))


class Stage:
    """A market, its hub, and everything that was heard."""

    def __init__(self, market: Market) -> None:
        self.clock = ManualClock(START_MS)
        options = TwinOptions(symbols=("BTCUSDT", "ETHUSDT"), speed=0, pulse_ms=0)
        self.world = World(options, self.clock)
        self.venue: Venue = self.world.venue(market)
        self.is_silent = False
        self.hub = StreamHub(
            self.venue, self.clock, self.world.now_ms, is_silent=lambda: self.is_silent
        )
        self.heard: list[tuple[str, Any]] = []
        self.venue.subscribe(self._on_news)

    def _on_news(self, news: VenueNews) -> None:
        if isinstance(news, MarketNews):
            self.hub.on_trade(news.trade)
        elif isinstance(news, BookNews):
            self.hub.on_book(news.symbol)

    def hear(self, name: str, text: str) -> None:
        self.heard.append((name, json.loads(text)))

    def listen(self, *names: str) -> None:
        for name in names:
            self.hub.add(name, self.hear)

    def take(self, name: str | None = None) -> list[Any]:
        """What was heard since the last time, of one stream or of all."""
        heard, self.heard = self.heard, []
        return [payload for each, payload in heard if name in (None, each)]

    def trade(self, price: str, symbol: str = "BTCUSDT") -> None:
        self.world.set_price(self.venue.market, symbol, Decimal(price))

    async def pass_ms(self, duration_ms: int) -> None:
        """Let time go by, waking everybody in order."""
        end_ms = self.clock.now_ms() + duration_ms
        await settle()
        while (wake_ms := self.clock.next_wake_ms) is not None and wake_ms <= end_ms:
            self.clock.advance_to(wake_ms)
            await settle()
        self.clock.advance_to(end_ms)
        await settle()

    async def buy(self, client_id: str, price: str, quantity: str = "0.01") -> None:
        request = OrderRequest(
            client_id,
            "BTCUSDT",
            self.venue.market,
            Side.BUY,
            OrderType.LIMIT,
            Decimal(quantity),
            Decimal(price),
        )
        await self.venue.place(request, OrderExtras())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def on_stage(market: Market, play: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = Stage(market)
        await play(stage)
        for name in stage.hub.names:
            stage.hub.remove(name, stage.hear)
        await settle()

    asyncio.run(run())


@BOTH
def test_a_trade_is_told_at_once_and_once(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.listen("btcusdt@trade", "btcusdt@aggTrade", "ethusdt@trade")
        stage.trade("61000.5")
        (trade, agg) = stage.take()
        assert Decimal(trade["p"]) == Decimal(agg["p"]) == Decimal("61000.5")
        assert trade["t"] == agg["a"] == agg["f"] == agg["l"]
        stage.trade("61001.5")
        assert stage.take()[0]["t"] == trade["t"] + 1, "ids rise by one"

    on_stage(market, play)


@BOTH
def test_the_best_prices_are_told_when_they_change(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@bookTicker")
        stage.trade("61010")
        (first,) = stage.take()
        assert Decimal(first["b"]) < 61010 < Decimal(first["a"])
        assert "e" not in first if market is Market.SPOT else first["e"] == "bookTicker"
        stage.trade("61010")
        assert stage.take() == [], "a trade that leaves the best prices alone is no news"
        await stage.buy("mine", "61009.9")
        assert all(Decimal(each["B"]) >= Decimal("0.01") for each in stage.take())

    on_stage(market, play)


@BOTH
@pytest.mark.parametrize("speed", ["100", "500"])
def test_a_local_book_kept_by_the_recipe_is_the_venues(market: Market, speed: str) -> None:
    """Binance's own recipe, step by step; it must end with the very book that the venue has."""

    async def play(stage: Stage) -> None:
        if market is Market.SPOT and speed != "100":
            return
        name = f"btcusdt@depth@{speed}ms"
        stage.trade("61000")
        stage.listen(name)
        stage.trade("61000.3")
        await stage.pass_ms(int(speed))
        snapshot_id, bids, asks = stage.venue.book("BTCUSDT")
        book = {"b": dict(bids), "a": dict(asks)}
        for step in range(30):
            stage.trade(str(61000 + Decimal(step % 7) / 2 - Decimal(step) / 5))
            if step % 5 == 0:
                await stage.buy(f"mine-{step}", str(60990 - step))
            await stage.pass_ms(int(speed) // 2)
        await stage.pass_ms(int(speed))
        events = stage.take(name)
        assert apply(market, snapshot_id, book, events) > 5
        last_id, bids, asks = stage.venue.book("BTCUSDT")
        assert events[-1]["u"] == last_id
        assert book["b"] == dict(bids)
        assert book["a"] == dict(asks)

    on_stage(market, play)


def apply(
    market: Market,
    snapshot_id: int,
    book: dict[str, dict[Decimal, Decimal]],
    events: list[Any],
) -> int:
    """Keep a local book by the documented rules; returns how many events were applied."""
    is_spot = market is Market.SPOT
    kept = [e for e in events if (e["u"] > snapshot_id if is_spot else e["u"] >= snapshot_id)]
    first = kept[0]
    if is_spot:
        assert first["U"] <= snapshot_id + 1 <= first["u"]
    else:
        assert first["U"] <= snapshot_id <= first["u"]
    for before, event in zip(kept, kept[1:], strict=False):
        if is_spot:
            assert event["U"] == before["u"] + 1
        else:
            assert event["pu"] == before["u"]
    for event in kept:
        for side in ("b", "a"):
            for price, quantity in event[side]:
                if Decimal(quantity):
                    book[side][Decimal(price)] = Decimal(quantity)
                else:
                    book[side].pop(Decimal(price), None)
    return len(kept)


@BOTH
def test_a_partial_book_shows_the_best_levels(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@depth5@100ms")
        await stage.pass_ms(100)
        (shown,) = stage.take()
        bids = shown["bids" if market is Market.SPOT else "b"]
        asks = shown["asks" if market is Market.SPOT else "a"]
        last_id, best_bids, best_asks = stage.venue.book("BTCUSDT", 5)
        assert shown["lastUpdateId" if market is Market.SPOT else "u"] == last_id
        assert [Decimal(price) for price, _ in bids] == [price for price, _ in best_bids]
        assert [Decimal(price) for price, _ in asks] == [price for price, _ in best_asks]

    on_stage(market, play)


@BOTH
def test_a_candle_is_told_while_it_grows_and_once_when_it_closes(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@kline_1m")
        for second in range(125):
            stage.trade(str(61000 + second))
            await stage.pass_ms(1_000)
        klines = [payload["k"] for payload in stage.take()]
        closed = [kline for kline in klines if kline["x"]]
        assert [kline["t"] for kline in closed] == [START_MS, START_MS + 60_000]
        assert [kline["T"] for kline in closed] == [START_MS + 59_999, START_MS + 119_999]
        assert Decimal(closed[0]["c"]) == 61059
        assert Decimal(closed[1]["o"]) == Decimal(closed[1]["l"])
        assert len(klines) > 2 * len(closed)
        order = [kline["t"] for kline in klines]
        assert order == sorted(order)
        for before, after in zip(klines, klines[1:], strict=False):
            assert not (before["x"] and before["t"] == after["t"]), "nothing after the close"

    on_stage(market, play)


def test_a_candle_closes_also_when_nothing_trades_and_at_its_very_end() -> None:
    async def play(stage: Stage) -> None:
        stage.listen("btcusdt@kline_1m")
        await stage.pass_ms(59_999)
        assert not any(payload["k"]["x"] for payload in stage.take())
        await stage.pass_ms(1)
        (closed,) = [payload for payload in stage.take() if payload["k"]["x"]]
        assert closed["E"] == START_MS + 60_000

    on_stage(Market.SPOT, play)


def test_a_candle_closes_by_the_venues_clock_and_not_by_the_machines() -> None:
    async def play(stage: Stage) -> None:
        stage.world.faults.drift_to(700, stage.clock.now_ms(), at_once=True)
        assert stage.world.now_ms() == stage.clock.now_ms() + 700
        stage.listen("btcusdt@kline_1m")
        await stage.pass_ms(60_000)
        (closed,) = [payload for payload in stage.take() if payload["k"]["x"]]
        assert closed["E"] == START_MS + 60_000

    on_stage(Market.SPOT, play)


def test_spot_tells_a_candle_every_two_seconds_and_futures_four_times_a_second() -> None:
    counts = {}
    for market in Market:

        async def play(stage: Stage, market: Market = market) -> None:
            stage.listen("btcusdt@kline_1m")
            for tenth in range(100):
                stage.trade(str(61000 + tenth))
                await stage.pass_ms(100)
            counts[market] = len(stage.take())

        on_stage(market, play)
    assert counts == {Market.SPOT: 5, Market.FUTURES: 40}


@BOTH
def test_tickers_come_every_second(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@ticker", "btcusdt@miniTicker", "!miniTicker@arr")
        await stage.pass_ms(3_000)
        heard, stage.heard = stage.heard, []
        by_name = {name: [p for each, p in heard if each == name] for name, _ in heard}
        assert {name: len(rows) for name, rows in by_name.items()} == {
            "btcusdt@ticker": 3,
            "btcusdt@miniTicker": 3,
            "!miniTicker@arr": 3,
        }
        ticker, mini = by_name["btcusdt@ticker"][-1], by_name["btcusdt@miniTicker"][-1]
        assert Decimal(ticker["c"]) == Decimal(mini["c"]) == 61000
        assert Decimal(ticker["p"]) == Decimal(ticker["c"]) - Decimal(ticker["o"])
        assert [row["s"] for row in by_name["!miniTicker@arr"][-1]] == ["BTCUSDT", "ETHUSDT"]
        if market is Market.SPOT:
            assert Decimal(ticker["b"]) < 61000 < Decimal(ticker["a"])
        else:
            assert "b" not in ticker and "x" not in ticker

    on_stage(market, play)


@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_candles_of_every_width(width: str) -> None:
    async def play(stage: Stage) -> None:
        stage.listen(f"btcusdt@kline_{width}")
        stage.trade("61000")
        await stage.pass_ms(2_000)
        kline = stage.take()[-1]["k"]
        assert kline["i"] == width
        assert kline["t"] <= START_MS <= kline["T"]
        assert Decimal(kline["l"]) <= 61000 <= Decimal(kline["h"])

    on_stage(Market.SPOT, play)


def test_spot_tells_the_average_price() -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@avgPrice")
        await stage.pass_ms(1_000)
        (average,) = stage.take()
        assert average["i"] == "5m"
        assert Decimal(average["w"]) > 0
        assert average["T"] == START_MS

    on_stage(Market.SPOT, play)


def test_an_unknown_name_is_silent_and_starts_nothing() -> None:
    async def play(stage: Stage) -> None:
        stage.listen("0", "btcusdt@nothing", "dogeusdt@trade", "BTCUSDT@trade", "!ticker@arr")
        assert stage.hub.names == ()
        stage.trade("61000")
        await stage.pass_ms(5_000)
        assert stage.take() == []

    on_stage(Market.SPOT, play)


def test_a_feed_ends_with_its_last_listener() -> None:
    async def play(stage: Stage) -> None:
        others: list[str] = []

        def other(name: str, text: str) -> None:
            others.append(text)

        stage.listen("btcusdt@ticker")
        stage.hub.add("btcusdt@ticker", other)
        stage.hub.remove("btcusdt@ticker", stage.hear)
        await stage.pass_ms(1_000)
        assert (len(stage.take()), len(others)) == (0, 1)
        stage.hub.remove("btcusdt@ticker", other)
        assert stage.hub.names == ()
        await settle()
        assert stage.clock.next_wake_ms is None, "nobody waits for a next second"

    on_stage(Market.SPOT, play)


def test_microseconds_are_for_those_who_asked() -> None:
    async def play(stage: Stage) -> None:
        finer: list[Any] = []
        stage.listen("btcusdt@trade")
        stage.hub.add(
            "btcusdt@trade", lambda _, text: finer.append(json.loads(text)), is_micro=True
        )
        stage.trade("61000")
        (coarse,) = stage.take()
        assert finer[0]["T"] == coarse["T"] * 1000
        assert finer[0]["t"] == coarse["t"]

    on_stage(Market.SPOT, play)


@BOTH
def test_what_happens_in_a_silence_is_lost_and_the_gap_can_be_seen(market: Market) -> None:
    async def play(stage: Stage) -> None:
        stage.trade("61000")
        stage.listen("btcusdt@trade", "btcusdt@depth@100ms")
        stage.trade("61001")
        await stage.pass_ms(100)
        before = stage.take()
        stage.is_silent = True
        stage.trade("61002")
        await stage.pass_ms(500)
        assert stage.take() == []
        stage.is_silent = False
        stage.trade("61003")
        await stage.pass_ms(100)
        after = stage.take()
        ids = [event["t"] for event in before + after if event["e"] == "trade"]
        assert ids[1] == ids[0] + 2
        depth = [event for event in before + after if event["e"] == "depthUpdate"]
        if market is Market.SPOT:
            assert depth[1]["U"] > depth[0]["u"] + 1
        else:
            assert depth[1]["pu"] > depth[0]["u"]

    on_stage(market, play)


def test_futures_tell_mark_prices_at_both_paces() -> None:
    async def play(stage: Stage) -> None:
        if stage.venue.mark("BTCUSDT") is None:
            stage.venue.mark_source = marks
        stage.listen("btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr@1s")
        await stage.pass_ms(6_000)
        heard, stage.heard = stage.heard, []
        counts = [sum(1 for each, _ in heard if each == name) for name in dict(heard)]
        assert sorted(counts) == [2, 6, 6]
        rows = next(payload for name, payload in heard if name == "!markPrice@arr@1s")
        assert [row["s"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
        assert all(row["e"] == "markPriceUpdate" for row in rows)

    on_stage(Market.FUTURES, play)


def marks(symbol: str) -> Any:
    from gridlab.twin.stream_payloads import Mark

    price = Decimal(61000)
    return Mark(price, price, price, Decimal("0.0001"), START_MS + 1)
