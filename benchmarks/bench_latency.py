"""From a trade message on the socket to the mirror order's request at the venue.

The venue is a twin in a process of its own, over real sockets: it lets one resting order fill at a
time, and notes when it tells the fill and when the next order's request comes in. What answers is,
in turns, the whole of GridLab (stream, mapping, core, durable journal, signed request) and a bare
python-binance loop that places an order for each trade message and knows nothing else. Venue,
network and the client library's own work are in both figures; their difference is GridLab's. One
durable commit lies on GridLab's way, so the disk's own sync is timed in the same run: its tail is
in GridLab's tail, and no code can take it out. `--folder /dev/shm` shows what is left without it.

    python benchmarks/bench_latency.py [--fills 150] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from binance import AsyncClient, BinanceSocketManager

from gridlab.agents.live import LiveDriver
from gridlab.agents.recovery import recover
from gridlab.agents.trader import Trader
from gridlab.clock import SystemClock
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.snapshot import Mode
from gridlab.domain.spec import GridSpec
from gridlab.exchange.base import Price
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.live import spot_venue
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.store.journal import Journal
from gridlab.testing.twin import running_twin
from gridlab.twin.news import OrderNews

SYMBOL = "BTCUSDT"
MOST_OVERHEAD_MS = 2.0
LEVELS = 20
SPACING = Decimal("0.004")
#: Seconds between two fills: below the venue's 100 orders in 10 s, which GridLab keeps.
REST_S = 0.2


# --- the venue's side, a process of its own -------------------------------------------------


def serve(pipe: Connection) -> None:
    """Run a twin; for each message a pair of prices, answer how long the mirror order took."""
    with running_twin(
        symbols=(SYMBOL,), speed=0, pulse_ms=0, has_limits=False, funds={"USDT": 10_000_000}
    ) as twin:
        venue = twin.world.venues[Market.SPOT]
        moments: dict[str, float] = {}
        asked = threading.Event()
        place = venue.place

        async def noting(request: Any, extras: Any) -> Any:
            if "told" in moments and "asked" not in moments:
                moments["asked"] = time.perf_counter()
                asked.set()
            return await place(request, extras)

        def note(news: Any) -> None:
            if isinstance(news, OrderNews) and news.trade is not None:
                moments.setdefault("told", time.perf_counter())

        async def move(price: Decimal) -> None:
            twin.world.set_price(Market.SPOT, SYMBOL, price)

        venue.place = noting
        venue.subscribe(note)
        pipe.send(twin.ready | {"price": str(venue.price(SYMBOL))})
        while (price := pipe.recv()) is not None:
            moments.clear()
            asked.clear()
            twin.do(move(Decimal(price)))
            came = asked.wait(5)
            pipe.send(moments["asked"] - moments["told"] if came else None)


def zigzag(lines: list[Decimal], empty: int, fills: int) -> list[Decimal]:
    """Prices that each fill exactly one order: from the empty line down, up, and down again."""
    here, step, prices = empty, -1, []
    while len(prices) < fills:
        if not 1 <= here + step <= len(lines) - 2:
            step = -step
        here += step
        prices.append(lines[here])
    return prices


async def measure(pipe: Connection, prices: list[Decimal]) -> list[float]:
    """Milliseconds from each fill's telling to the next order's arrival."""
    loop, seconds = asyncio.get_running_loop(), []
    for price in prices:
        pipe.send(str(price))
        took = await loop.run_in_executor(None, pipe.recv)
        if took is None:
            raise SystemExit(f"no order came within 5 s after the price went to {price}")
        seconds.append(took)
        await asyncio.sleep(REST_S)
    return [each * 1000 for each in seconds[len(seconds) // 10 :]]  # the first warm the way


# --- the two contenders ----------------------------------------------------------------------


class LastPrice:
    """The price that a grid is placed at, for a driver that never replans in this benchmark."""

    def __init__(self, price: Decimal) -> None:
        self._price = price

    def price(self, market: Market, symbol: str) -> Price:
        return Price(self._price, SystemClock().now_ms())


async def run_gridlab(
    ready: dict[str, Any], pipe: Connection, fills: int, folder: str | None
) -> list[float]:
    """The parts that `gridlab up --testnet` is built of, with the journal on disk."""
    clock = SystemClock()
    price = Decimal(ready["price"])
    transport = SignedTransport(
        LiveRight(Mode.TESTNET),
        Credentials(ready["key"], ready["secret"]),
        Endpoints.from_json(json.dumps(ready)),
        clock=clock,
    )
    requests = BinanceSpot(transport)
    venue = spot_venue(requests, transport, clock)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        journal = Journal.open(Path(place) / "journal.sqlite", lambda: "bench")
        trader = Trader(venue, journal, clock)
        driver = LiveDriver(trader, LastPrice(price), clock, on_step=lambda: None)
        tasks = []
        try:
            await driver.open()
            tasks.append(asyncio.create_task(trader.run()))
            await recover(trader)
            tasks.append(asyncio.create_task(driver.run()))
            await driver.ready()
            spec = GridSpec(
                symbol=SYMBOL,
                levels=LEVELS,
                spacing=SPACING,
                investment=Decimal(100_000),
                fees=FeeSchedule(mode=FeeMode.RECEIVED),
            )
            bot = trader.start_grid(spec, await venue.instrument(SYMBOL), price)
            async with asyncio.timeout(10):
                while sum(1 for order in bot.live() if order.order_id) < LEVELS:
                    await asyncio.sleep(0.01)
            return await measure(
                pipe, zigzag(list(bot.grid.plan.lines), bot.grid.plan.empty_line, fills)
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await driver.close()
            await transport.close()
            journal.close()


async def run_bare(
    ready: dict[str, Any], pipe: Connection, fills: int, folder: str | None
) -> list[float]:
    """python-binance by itself: a trade message in, the opposite order out."""

    class Client(AsyncClient):
        API_URL = ready["rest_spot"] + "/api"
        WS_API_URL = ready["ws_api_spot"]

    price = Decimal(ready["price"])
    lines = [price * (1 + SPACING) ** step for step in range(-LEVELS // 2, LEVELS // 2 + 1)]
    lines = [line.quantize(Decimal("0.01")) for line in lines]
    client = await Client.create(ready["key"], ready["secret"])
    try:
        order = {"symbol": SYMBOL, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.05000"}
        await client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="1")
        middle = LEVELS // 2
        for i, line in enumerate(lines):
            if i != middle:
                side = "BUY" if i < middle else "SELL"
                await client.create_order(side=side, price=str(line), **order)
        async with BinanceSocketManager(client).user_socket() as socket:

            async def echo() -> None:
                while True:
                    message = await socket.recv()
                    event = message.get("event", message)
                    if event.get("x") != "TRADE" or event["o"] != "LIMIT":
                        continue
                    at = lines.index(Decimal(event["p"]))
                    side, line = ("SELL", at + 1) if event["S"] == "BUY" else ("BUY", at - 1)
                    await client.create_order(side=side, price=str(lines[line]), **order)

            echoing = asyncio.create_task(echo())
            await asyncio.sleep(0.3)
            try:
                return await measure(pipe, zigzag(lines, middle, fills))
            finally:
                echoing.cancel()
                await asyncio.gather(echoing, return_exceptions=True)
    finally:
        await client.close_connection()


def contend(run: Any, fills: int, folder: str | None) -> list[float]:
    """One contender against a fresh venue."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    process.start()
    try:
        return asyncio.run(run(here.recv(), here, fills, folder))
    finally:
        here.send(None)
        process.join(10)


def time_syncs(count: int, folder: str | None) -> list[float]:
    """Milliseconds that the disk takes to make one page durable, at the benchmark's own pace."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            file.flush()
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - before) * 1000)
            time.sleep(REST_S / 4)
    return took


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def shown(name: str, values: list[float]) -> str:
    return (
        f"{name:16} {len(values):5} times   p50 {statistics.median(values):6.2f} ms   "
        f"p99 {percentile(values, 0.99):6.2f} ms   worst {max(values):6.2f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=150, help="fills a round (150)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both contenders (3)")
    parser.add_argument(
        "--folder", default=None, help="where the journal lies (the temporary folder)"
    )
    options = parser.parse_args()
    bare: list[float] = []
    ours: list[float] = []
    syncs: list[float] = []
    for _ in range(options.rounds):
        bare += contend(run_bare, options.fills, options.folder)
        ours += contend(run_gridlab, options.fills, options.folder)
        syncs += time_syncs(options.fills, options.folder)
    print(shown("python-binance", bare))
    print(shown("gridlab", ours))
    print(shown("one sync alone", syncs))
    over = percentile(ours, 0.99) - percentile(bare, 0.99)
    middle = statistics.median(ours) - statistics.median(bare)
    verdict = "met" if over <= MOST_OVERHEAD_MS else "MISSED"
    print(
        f"overhead with the durable journal on: p50 {middle:.2f} ms, p99 {over:.2f} ms "
        f"(at most {MOST_OVERHEAD_MS} ms): {verdict}"
    )
    return 0 if over <= MOST_OVERHEAD_MS else 1


if __name__ == "__main__":
    sys.exit(main())
