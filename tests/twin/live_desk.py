"""A whole live engine over a twin: real requests, real sockets, the durable journal, one loop.

What the application composes for Testnet, without the application: so that a test can look at each
part, and say what the twin's own books must then be.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridlab.agents.bot import Bot
from gridlab.agents.live import LiveDriver
from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.clock import SystemClock
from gridlab.domain.account import FuturesSettings
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import GridSpec
from gridlab.errors import NotFound
from gridlab.exchange.base import Exchange, Price
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.live import LiveVenue, futures_venue, spot_venue
from gridlab.exchange.binance.market_stream import MarketStream
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.store.journal import Journal
from gridlab.testing.twin import RunningTwin

FEES = {
    Market.SPOT: FeeSchedule(Decimal("0.001"), Decimal("0.001"), FeeMode.RECEIVED),
    Market.FUTURES: FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE),
}


class Desk:
    """The engine's live parts, started and ended by `async with`.

    Args:
        replan_ms, reconcile_ms: short, so that a test needs not wait for a minute.
    """

    def __init__(
        self,
        twin: RunningTwin,
        path: Path,
        *,
        markets: tuple[Market, ...] = tuple(Market),
        symbols: tuple[str, ...] = ("BTCUSDT",),
        replan_ms: int = 500,
        reconcile_ms: int = 300,
    ) -> None:
        self.twin = twin
        self.clock = SystemClock()
        self.symbols = symbols
        endpoints = Endpoints(**{name: twin.ready[name] for name in Endpoints.__slots__})
        self.transport = SignedTransport(
            LiveRight(Mode.TESTNET),
            Credentials(twin.ready["key"], twin.ready["secret"]),
            endpoints,
            clock=self.clock,
            # Absence takes a moment instead of a quarter of a minute to be proved: loopback is
            # quick, and the twin's engine is slow only when it is told to be.
            recv_window_ms=1_000,
            engine_limit_ms=500,
        )
        made: dict[Market, Callable[[], LiveVenue]] = {
            Market.SPOT: lambda: spot_venue(
                BinanceSpot(self.transport), self.transport, self.clock
            ),
            Market.FUTURES: lambda: futures_venue(
                BinanceFutures(self.transport, FuturesSettings(leverage=2)),
                self.transport,
                self.clock,
            ),
        }
        self.venues = {market: made[market]() for market in markets}
        self.streams = {m: MarketStream(endpoints, m, self.clock) for m in markets}
        self.journal = Journal.open(path / "journal.sqlite", lambda: "twin")
        exchanges: dict[Market, Exchange] = dict(self.venues)
        self.trader = Trader(exchanges, self.journal, self.clock)
        self.driver = LiveDriver(
            self.trader,
            self,  # type: ignore[arg-type]  # a test's market knows the price only
            self.clock,
            replan_ms=replan_ms,
            reconcile_ms=reconcile_ms,
            on_step=lambda: None,
        )
        self.gaps: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def price(self, market: Market, symbol: str) -> Price:
        found = self.streams[market].price(symbol)
        if found is None:
            raise NotFound(symbol)
        return Price(found.value, self.clock.now_ms())

    async def __aenter__(self) -> Desk:
        for stream in self.streams.values():
            await stream.open(self.symbols)
        await self.driver.open()
        for market, venue in self.venues.items():
            self._note_gaps(market, venue)
        self.tasks.append(asyncio.create_task(self.trader.run()))
        await recover(self.trader)
        self.tasks.append(asyncio.create_task(self.driver.run()))
        await self.driver.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.driver.close()
        for stream in self.streams.values():
            await stream.close()
        await self.transport.close()
        self.journal.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def _note_gaps(self, market: Market, venue: LiveVenue) -> None:
        tell = venue._on_gap
        assert tell is not None

        def note(reason: str) -> None:
            self.gaps.append(f"{market}: {reason}")
            tell(reason)

        venue._on_gap = note

    # --- what tests do ----------------------------------------------------------------------------

    async def grid(self, market: Market, symbol: str = "BTCUSDT", **more: Any) -> Bot:
        """Start a grid and wait until every slot's order rests."""
        venue = self.venues[market]
        if market is Market.FUTURES:
            await venue.prepare(symbol)  # type: ignore[attr-defined]
        rules = await venue.instrument(symbol)
        price = Decimal(self.twin.account()[market.value]["prices"][symbol])
        wanted: dict[str, Any] = {
            "levels": 8,
            "spacing": Decimal("0.005"),
            "investment": Decimal(8_000),
            "market": market,
            "fees": FEES[market],
        }
        bot = self.trader.start_grid(GridSpec(symbol, **{**wanted, **more}), rules, price)
        await self.until(
            lambda: bool(bot.grid.slots) and all(slot.order for slot in bot.grid.slots)
        )
        await self.trader.idle()
        return bot

    async def move(self, fraction: str, market: Market, symbol: str = "BTCUSDT") -> None:
        """Let the market trade at its present price times `fraction`."""
        now = Decimal(self.twin.account()[market.value]["prices"][symbol])
        price = (now * Decimal(fraction)).quantize(Decimal("0.1"))
        await asyncio.to_thread(self.twin.price, symbol, price, market)

    async def fault(self, kind: str, **more: Any) -> None:
        await asyncio.to_thread(self.twin.control, "/faults", {"inject": kind, **more})

    async def happened(self, kind: str) -> int:
        """How often a fault has befallen somebody since the twin began."""
        truth = await asyncio.to_thread(self.twin.account)
        return int(truth["faults"].get(kind, 0))

    async def close_listen_key(self) -> None:
        """End the futures stream's key, as another program with the same key can."""
        await BinanceFutures(self.transport).close_listen_key()

    async def change_leverage(self, symbol: str, leverage: int) -> None:
        """What a person does in the venue's own application."""
        requests = BinanceFutures(self.transport, FuturesSettings(leverage=leverage))
        await requests.prepare(symbol)

    async def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        for _ in range(int(seconds * 100)):
            if condition():
                return
            await asyncio.sleep(0.01)
        states = {market: venue.health for market, venue in self.venues.items()}
        raise AssertionError(f"it never came within {seconds} s; {states}; gaps {self.gaps}")

    async def agree(self, seconds: float = 20) -> None:
        """Wait until the books agree with the twin's own; else fail with what differs."""
        found: list[str] = ["not looked yet"]
        for _ in range(int(seconds * 20)):
            if self.trader.is_idle and all(map(self.driver.is_ready, self.venues)):
                found = self.differences(await asyncio.to_thread(self.twin.account))
                if not found:
                    return
            await asyncio.sleep(0.05)
        health = {market: venue.health for market, venue in self.venues.items()}
        raise AssertionError(f"{found}; {health}; gaps {self.gaps}")

    def differences(self, truth: Any) -> list[str]:
        """How our books differ from the twin's, in words."""
        found = []
        for bot in self.trader.bots.values():
            account = truth[bot.market.value]
            trades = [t for t in account["trades"] if t["client_id"].startswith(f"gl-{bot.run}-")]
            if bot.halted:
                found.append(f"{bot.run} is halted: {bot.halted}")
            if bot.grid.trade_count != len(trades):
                found.append(f"{bot.run}: {bot.grid.trade_count} trades here, {len(trades)} there")
            wallet = wallet_of(trades, bot.grid.instrument.base)
            wallet["USDT"] += sum(  # type: ignore[assignment]
                Decimal(row["amount"])
                for row in account.get("income", ())
                if row["type"] == "FUNDING_FEE" and row["symbol"] == bot.symbol
            )
            for asset in {*wallet, *bot.grid.ledger.wallet}:
                here, there = bot.grid.ledger.wallet.get(asset, Decimal(0)), wallet[asset]
                if asset in ("USDT", bot.grid.instrument.base) and here != there:
                    found.append(f"{bot.run}: {here} {asset} here, {there} there")
            live = {order.client_id for order in bot.live()}
            there_now = {
                order["client_id"]
                for order in account["open_orders"]
                if order["client_id"].startswith(f"gl-{bot.run}-")
            }
            if live != there_now:
                found.append(f"{bot.run}: live here {live - there_now}, there {there_now - live}")
            if account["repeated_client_ids"]:
                found.append(f"accepted twice: {account['repeated_client_ids']}")
        if truth["requests_in_ban"]:
            found.append(f"{truth['requests_in_ban']} requests in a ban")
        if truth["connections_despite_ban"]:
            found.append(f"{truth['connections_despite_ban']} connections despite a ban")
        return found


def wallet_of(trades: list[Any], base: str) -> Counter[str]:
    """What the account gained and lost by these trades, by asset, from the twin's own rows."""
    wallet: Counter[str] = Counter()
    for trade in trades:
        quantity, value = Decimal(trade["qty"]), Decimal(trade["qty"]) * Decimal(trade["price"])
        sign = 1 if trade["isBuyer"] else -1
        wallet[base] += sign * quantity  # type: ignore[assignment]
        wallet["USDT"] -= sign * value  # type: ignore[assignment]
        wallet[trade["commissionAsset"]] -= Decimal(trade["commission"])  # type: ignore[assignment]
    return wallet


def over(
    twin: RunningTwin, path: Path, story: Callable[[Desk], Awaitable[None]], **more: Any
) -> None:
    """Play a story on a desk over `twin`."""

    async def run() -> None:
        async with Desk(twin, path, **more) as desk:
            await story(desk)

    asyncio.run(run())
