"""A server on the loopback that answers as a test tells it to, and checks signatures by itself.

Real sockets, real HTTP, no matching: for what the twin cannot do on demand, such as broken bodies,
redirects and limits of any size. Signatures are verified over the bytes that arrived.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.domain.snapshot import Mode
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport

KEY, SECRET = "key-of-the-test", "secret-of-the-test"
PLACE, CANCEL, QUERY = "POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3/order"
TESTNET_RIGHT = LiveRight(Mode.TESTNET)


@dataclass(frozen=True)
class Told:
    """One answer.

    Args:
        status: 0 closes the connection without a word.
        hold: the answer waits until this is set.
    """

    payload: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    hold: asyncio.Event | None = None


@dataclass(frozen=True)
class Asked:
    """One request that arrived; `error` is what a venue would refuse it for."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    raw: str
    error: str
    at_ms: int

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class ScriptedVenue:
    """Use it as an asynchronous context manager.

    Attributes:
        answers: by "METHOD /path": answers in the order of asking; the last one stays.
        clock_ahead_ms: how far its clock is ahead of ours.
    """

    def __init__(self) -> None:
        self.answers: dict[str, deque[Told]] = {}
        self.asked: list[Asked] = []
        self.clock_ahead_ms = 0
        self.most_at_once = 0
        self._at_once = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> ScriptedVenue:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def endpoints(self) -> Endpoints:
        http, ws = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}"
        return Endpoints(http, ws, f"{ws}/ws-api/v3", http, ws)

    @property
    def credentials(self) -> Credentials:
        return Credentials(KEY, SECRET)

    def tell(self, name: str, *answers: Told) -> None:
        self.answers[name] = deque(answers)

    def of(self, name: str) -> list[Asked]:
        """The requests of one kind, in the order in which they came."""
        return [asked for asked in self.asked if asked.name == name]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._answer(request)
        finally:
            self._at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raw = request.rel_url.raw_query_string + (await request.read()).decode()
        asked = Asked(
            request.method,
            request.path,
            dict(parse_qsl(raw, keep_blank_values=True)),
            dict(request.headers),
            raw,
            self._problem(raw, request.headers),
            SystemClock().now_ms(),
        )
        self.asked.append(asked)
        if request.path.endswith("/time"):
            await asyncio.sleep(0)
            if asked.name not in self.answers:
                return web.json_response(
                    {"serverTime": SystemClock().now_ms() + self.clock_ahead_ms}
                )
        script = self.answers.get(asked.name)
        if not script:
            return web.json_response({"code": -1, "msg": f"no script for {asked.name}"}, status=500)
        told = script[0] if len(script) == 1 else script.popleft()
        if told.hold is not None:
            await told.hold.wait()
        await asyncio.sleep(told.delay_s)
        if told.status == 0:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        body = json.dumps(told.payload).encode() if told.body is None else told.body
        return web.Response(
            status=told.status,
            body=body,
            headers={"Content-Type": "application/json", **told.headers},
        )

    def _problem(self, raw: str, headers: Mapping[str, str]) -> str:
        payload, _, signature = raw.rpartition("&signature=")
        if not payload:
            return "unsigned"
        if headers.get("X-MBX-APIKEY") != KEY:
            return "wrong key"
        expected = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if signature != expected:
            return "wrong signature"
        params = dict(parse_qsl(payload))
        age_ms = SystemClock().now_ms() + self.clock_ahead_ms - int(params["timestamp"])
        if age_ms <= -1000 or age_ms > int(params["recvWindow"]):
            return f"its time is {age_ms} ms old"
        return ""


def order_answer(client_id: str, **changes: Any) -> dict[str, Any]:
    """What a venue answers to a placement, spot."""
    return {
        "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": client_id,
        "transactTime": 1_507_725_176_595, "price": "100.00", "origQty": "1.000",
        "executedQty": "0.000", "cummulativeQuoteQty": "0.0", "status": "NEW",
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
    } | changes  # fmt: skip


def request(client_id: str = "gl-a1-0-1-0", price: str | None = "100", **changes: Any) -> Any:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT_MAKER
    fields: dict[str, Any] = {
        "client_id": client_id, "symbol": "BTCUSDT", "market": Market.SPOT, "side": Side.BUY,
        "type": kind, "quantity": Decimal(1), "price": None if price is None else Decimal(price),
    }  # fmt: skip
    return OrderRequest(**(fields | changes))


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[ScriptedVenue, BinanceSpot]]:
    async with ScriptedVenue() as venue:
        transport = signed(venue, **options)
        try:
            yield venue, BinanceSpot(transport)
        finally:
            await transport.close()


def signed(venue: ScriptedVenue, **options: Any) -> SignedTransport:
    return SignedTransport(
        TESTNET_RIGHT, venue.credentials, venue.endpoints, clock=SystemClock(), **options
    )


def run(work: Callable[[ScriptedVenue, BinanceSpot], Awaitable[None]], **options: Any) -> None:
    async def all_of_it() -> None:
        async with world(**options) as (venue, spot):
            await work(venue, spot)

    asyncio.run(all_of_it())
