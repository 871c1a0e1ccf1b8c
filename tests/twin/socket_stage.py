"""A twin's worlds and sockets inside the test's own loop, so that a test can reach into both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp import web

from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.twin import spot_account, spot_market, spot_orders
from gridlab.twin.futures_desk import FuturesDesk
from gridlab.twin.news import OrderExtras
from gridlab.twin.options import TwinOptions
from gridlab.twin.rest import Desk
from gridlab.twin.signing import hmac_hex
from gridlab.twin.socket_routes import MarketSockets
from gridlab.twin.world import World

KEY, SECRET = "k" * 64, "s" * 64
PREFIX = {Market.SPOT: "", Market.FUTURES: "/fstream"}
API = {Market.SPOT: "/ws-api/v3", Market.FUTURES: "/ws-fapi/v1"}


class Client:
    """One socket, with the texts that came."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, stage: Stage) -> None:
        self.socket = socket
        self._stage = stage
        self._next_id = 0

    async def receive(self, timeout: float = 5) -> Any:
        """The next message; a close is an error that names its code."""
        message = await self.socket.receive(timeout)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{message.type.name} {message.data} {message.extra}")
        return json.loads(message.data)

    async def silent_for(self, seconds: float) -> bool:
        """Whether nothing comes in so long."""
        try:
            await self.socket.receive(seconds)
        except TimeoutError:
            return True
        return False

    async def say(self, **request: Any) -> Any:
        """Send a control message and give its answer, the next message that has its id."""
        await self.socket.send_str(json.dumps(request))
        while True:
            answer = await self.receive()
            if answer.get("id") == request.get("id") or "error" in answer:
                return answer

    async def ask(self, method: str, *, signed: bool = False, **params: Any) -> Any:
        """Ask the WebSocket API; events that come meanwhile are passed over."""
        self._next_id += 1
        if signed:
            params = self._stage.signed(params)
        return await self.say(id=self._next_id, method=method, params=params)

    async def event(self, kind: str) -> Any:
        """The next event of that name, unwrapped."""
        while True:
            message = await self.receive()
            event = message.get("event", message.get("data", message))
            if event.get("e") == kind:
                return event


class Stage:
    """Both markets, served."""

    def __init__(self, **options: Any) -> None:
        usual: dict[str, Any] = {
            "symbols": ("BTCUSDT", "ETHUSDT"),
            "speed": 0,
            "pulse_ms": 0,
            "key": KEY,
            "secret": SECRET,
        }
        self.world = World(TwinOptions(**(usual | options)))
        futures = FuturesDesk(self.world)
        spot_endpoints = (
            *spot_market.ENDPOINTS,
            *spot_orders.ENDPOINTS,
            *spot_account.ENDPOINTS,
        )
        self.desks = {
            Market.SPOT: Desk(self.world, Market.SPOT, spot_endpoints),
            Market.FUTURES: Desk(self.world, Market.FUTURES, futures.endpoints()),
        }
        self.sockets = {
            market: MarketSockets(desk, futures.figures if market is Market.FUTURES else None)
            for market, desk in self.desks.items()
        }
        self.base = ""
        self.session: aiohttp.ClientSession

    def signed(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters of a signed WebSocket API request."""
        params = {"apiKey": KEY, "timestamp": self.world.now_ms()} | params
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return params | {"signature": hmac_hex(SECRET, text.encode())}

    def request(self, method: str, params: dict[str, Any]) -> str:
        """The text of a signed WebSocket API request."""
        return json.dumps({"id": "later", "method": method, "params": self.signed(params)})

    @asynccontextmanager
    async def connect(self, market: Market, path: str, **named: Any) -> AsyncIterator[Client]:
        """A client at `path` below the market's base."""
        url = f"{self.base}{PREFIX[market]}{path}"
        async with self.session.ws_connect(url, **named) as socket:
            yield Client(socket, self)

    def api(self, market: Market, query: str = "") -> Any:
        """A client of the WebSocket API."""
        return self.connect(market, f"{API[market]}{query}")

    def trade(self, market: Market, price: str | int, symbol: str = "BTCUSDT") -> None:
        self.world.set_price(market, symbol, Decimal(price))

    async def buy(self, market: Market, client_id: str, price: str, quantity: str = "0.01") -> None:
        """A limit order of the account, placed at the venue itself."""
        request = OrderRequest(
            client_id,
            "BTCUSDT",
            market,
            Side.BUY,
            OrderType.LIMIT,
            Decimal(quantity),
            Decimal(price),
        )
        await self.world.venue(market).place(request, OrderExtras())


async def until(condition: Callable[[], object]) -> None:
    """Return when it is so; what serves a socket needs a few turns of the loop to see its end."""
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.005)


def on_stage(play: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
    """Run `play` with a served stage."""

    async def run() -> None:
        stage = Stage(**options)
        app = web.Application()
        for market, sockets in stage.sockets.items():
            app.add_routes(sockets.routes(PREFIX[market]))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stage.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as stage.session:
                await play(stage)
        finally:
            await stage.world.sockets.disconnect_all()
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(run(), 30))
