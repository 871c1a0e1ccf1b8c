"""Shadow over the twin's public sockets: every market trade is printed once, gaps included."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from gridlab.agents.shadow import Shadow
from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.exchange.base import StreamState
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.market_stream import MarketStream
from gridlab.exchange.binance.public import BinancePublic
from gridlab.exchange.binance.transport import PublicTransport
from gridlab.testing.twin import RunningTwin, running_twin


class Prints:
    """Notes what is printed."""

    def __init__(self) -> None:
        self.prices: list[Decimal] = []

    def print_trade(self, symbol: str, price: Decimal, quantity: Decimal, time_ms: int) -> None:
        self.prices.append(price)


async def until(condition: object, what: str) -> None:
    assert callable(condition)
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it never came: {what}")


def trade(twin: RunningTwin, market: Market, count: int, base: Decimal) -> list[Decimal]:
    """Let the market trade `count` times, each at a price of its own."""
    prices = [base + number for number in range(count)]
    for price in prices:
        twin.price("BTCUSDT", price, market)
    return prices


@pytest.mark.parametrize("market", list(Market))
def test_no_print_is_lost_and_none_comes_twice(market: Market) -> None:
    async def story(twin: RunningTwin) -> None:
        clock = SystemClock()
        endpoints = Endpoints(**{name: twin.ready[name] for name in Endpoints.__slots__})
        transport = PublicTransport(endpoints, clock=clock)
        stream, prints = MarketStream(endpoints, market, clock), Prints()
        public = BinancePublic(transport, market)
        shadow = Shadow(market, stream, public, prints, clock)
        await stream.open(["BTCUSDT"])
        running = asyncio.create_task(shadow.run())
        wanted = await asyncio.to_thread(trade, twin, market, 20, Decimal(60_000))
        await until(lambda: prices_of(prints) == wanted, "the first trades")
        dialling = asyncio.Event()
        dial = stream.stream._dial

        async def late_dial() -> object:
            await dialling.wait()  # so that trades happen while nobody listens
            return await dial()

        stream.stream._dial = late_dial  # type: ignore[assignment]
        await asyncio.to_thread(twin.control, "/faults", {"inject": "disconnect"})
        await until(lambda: stream.health.state is StreamState.CONNECTING, "the disconnection")
        wanted += await asyncio.to_thread(trade, twin, market, 30, Decimal(61_000))
        dialling.set()
        await until(lambda: stream.health.state is StreamState.READY, "the reconnection")
        wanted += await asyncio.to_thread(trade, twin, market, 20, Decimal(62_000))
        await until(lambda: prices_of(prints) == wanted, "the trades around the gap")
        assert shadow.recovered >= 30 and shadow.skipped == 0
        assert stream.price("BTCUSDT") is not None
        running.cancel()
        await stream.close()
        await transport.close()

    with running_twin(symbols=("BTCUSDT",), has_limits=False) as twin:
        asyncio.run(story(twin))


def test_a_symbol_subscribed_later_is_told_now_and_after_a_reconnection() -> None:
    async def story(twin: RunningTwin) -> None:
        clock = SystemClock()
        endpoints = Endpoints(**{name: twin.ready[name] for name in Endpoints.__slots__})
        stream = MarketStream(endpoints, Market.SPOT, clock)
        ids: list[int] = []
        gaps: list[str] = []
        stream.listen(
            lambda tick: ids.append(tick.trade_id) if tick.symbol == "ETHUSDT" else None,
            gaps.append,
        )
        await stream.open(["BTCUSDT"])
        await stream.subscribe(["ETHUSDT"])
        await stream.subscribe(["ETHUSDT"])
        for price in ("2500", "2501"):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(twin.price, "ETHUSDT", price)
        await until(lambda: len(ids) == 2, "trades of the symbol that came later")
        await asyncio.to_thread(twin.control, "/faults", {"inject": "disconnect"})
        await until(lambda: len(gaps) == 2, "the reconnection")
        await asyncio.to_thread(twin.price, "ETHUSDT", "2502")
        await until(lambda: len(ids) == 3, "a trade after the reconnection")
        assert ids == sorted(set(ids)), "asked for twice, it is told once"
        await stream.close()

    with running_twin(symbols=("BTCUSDT", "ETHUSDT"), has_limits=False) as twin:
        asyncio.run(story(twin))


def test_a_symbol_that_is_let_go_is_told_no_more_also_after_a_reconnection() -> None:
    async def story(twin: RunningTwin) -> None:
        endpoints = Endpoints(**{name: twin.ready[name] for name in Endpoints.__slots__})
        stream = MarketStream(endpoints, Market.SPOT, SystemClock())
        told: list[str] = []
        gaps: list[str] = []
        stream.listen(lambda tick: told.append(tick.symbol), gaps.append)

        async def trade_both() -> None:
            """BTCUSDT last, so that a trade of ETHUSDT would have come before it."""
            told.clear()
            await asyncio.to_thread(twin.price, "ETHUSDT", "2500")
            await asyncio.to_thread(twin.price, "BTCUSDT", "67000")
            await until(lambda: "BTCUSDT" in told, "a trade of the symbol that is left")

        await stream.open(["BTCUSDT", "ETHUSDT"])
        await trade_both()
        assert "ETHUSDT" in told
        await stream.unsubscribe(["ETHUSDT"])
        assert stream.price("ETHUSDT") is None
        await asyncio.sleep(0.1)
        await trade_both()
        assert "ETHUSDT" not in told
        await asyncio.to_thread(twin.control, "/faults", {"inject": "disconnect"})
        await until(lambda: len(gaps) == 2, "the reconnection")
        await trade_both()
        assert "ETHUSDT" not in told
        await stream.close()

    with running_twin(symbols=("BTCUSDT", "ETHUSDT"), has_limits=False) as twin:
        asyncio.run(story(twin))


def prices_of(prints: Prints) -> list[Decimal]:
    return list(prints.prices)
