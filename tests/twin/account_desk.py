"""One account on one market of a twin, for tests of the requests: its truth beside what we see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any

from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Side
from gridlab.domain.snapshot import Mode
from gridlab.exchange.base import Accepted, Outcome, Rejected
from gridlab.exchange.binance.account import BinanceAccount
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport
from gridlab.testing.twin import RunningTwin

D = Decimal
SYMBOL = "BTCUSDT"
ORDER_PATH = {Market.SPOT: "/api/v3/order", Market.FUTURES: "/fapi/v1/order"}
MARKETS = list(Market)
RUNS = count(1)
#: The faults' promise, and the client's: an unseen request takes effect within 1 + 1 + 1 s.
WINDOW_MS, ENGINE_MS, TIMEOUT_S = 1_000, 1_000, 1.0


@dataclass
class Desk:
    """One test's account on one market, and the twin behind it."""

    twin: RunningTwin
    account: BinanceAccount
    run: str

    @property
    def market(self) -> Market:
        return self.account.market

    def request(
        self, slot: int = 0, price: str | None = "50000", side: Side = Side.BUY, **changes: Any
    ) -> OrderRequest:
        fields: dict[str, Any] = {
            "client_id": f"gl-{self.run}-{slot}-1-0", "symbol": SYMBOL, "market": self.market,
            "side": side, "quantity": D("0.01"), "price": None if price is None else D(price),
            "type": OrderType.MARKET if price is None else OrderType.LIMIT_MAKER,
        }  # fmt: skip
        return OrderRequest(**(fields | changes))

    def inject(self, kind: str, method: str = "POST", **detail: Any) -> None:
        path = detail.pop("path", ORDER_PATH[self.market])
        document = {"inject": kind, "path": path, "method": method, **detail}
        self.twin.control("/faults", document)

    def truth(self) -> Any:
        """The twin's own account of this market."""
        return self.twin.account()[self.market.value]

    def venue_has(self, client_id: str) -> bool:
        return any(row["client_id"] == client_id for row in self.truth()["orders"])

    async def found(self, client_id: str) -> OrderReport | None:
        """What a resolver finds: asked until it is there, or until it can no longer come."""
        clock = SystemClock()
        until_ms = clock.now_ms() + self.account.unseen_horizon_ms
        while True:
            now_ms = clock.now_ms()
            report = await self.account.query(SYMBOL, client_id)
            if report is not None or now_ms > until_ms:
                return report
            await clock.sleep_until(now_ms + 100)


def play(twin: RunningTwin, market: Market, work: Callable[[Desk], Awaitable[None]]) -> None:
    """Run `work` with a fresh account object, the price at 60000, nothing open before or after."""

    async def all_of_it() -> None:
        twin.control("/faults", {"quiet": True})
        for each in MARKETS:
            twin.price(SYMBOL, "60000", each)
        transport = new_transport(twin)
        account = BinanceSpot(transport) if market is Market.SPOT else BinanceFutures(transport)
        desk = Desk(twin, account, f"t{next(RUNS)}")
        try:
            if isinstance(account, BinanceFutures):
                await account.prepare(SYMBOL)
            await work(desk)
        finally:
            twin.control("/faults", {"quiet": True})
            if isinstance(account, BinanceFutures) and not account.banned_until_ms:
                await close_position(account, desk)
            for row in desk.truth()["open_orders"]:
                document = {"venue": market.value, "symbol": row["symbol"]}
                twin.control("/order/cancel", document | {"client_id": row["client_id"]})
            await transport.close()

    asyncio.run(all_of_it())


async def close_position(account: BinanceFutures, desk: Desk) -> None:
    """Leave nothing behind that the next test's settings would stumble over."""
    held = (await account.position(SYMBOL)).quantity
    if held:
        side = Side.SELL if held > 0 else Side.BUY
        sale = desk.request(99, None, side, quantity=abs(held), reduce_only=True)
        accepted(await account.place(sale))


def new_transport(twin: RunningTwin, **options: Any) -> SignedTransport:
    ready = {name: twin.ready[name] for name in Endpoints.__dataclass_fields__}
    settings = {"recv_window_ms": WINDOW_MS, "engine_limit_ms": ENGINE_MS, "timeout_s": TIMEOUT_S}
    return SignedTransport(
        LiveRight(Mode.TESTNET),
        Credentials(twin.ready["key"], twin.ready["secret"]),
        Endpoints(**ready),
        clock=SystemClock(),
        **(settings | options),
    )


def accepted(outcome: Outcome) -> OrderReport:
    assert isinstance(outcome, Accepted), outcome
    return outcome.report


def refused(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected), outcome
    return outcome.code
