"""Many clients at once on a fast market with faults: the twin's own books must close."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.testing.twin import RunningTwin, running_twin
from gridlab.twin.signing import hmac_hex

FUNDS = {"USDT": Decimal(50_000), "BTC": Decimal(1), "ETH": Decimal(20)}


async def trade(twin: RunningTwin, draw: random.Random, count: int, name: str) -> list[str]:
    """Send random orders and cancels; returns the ids that the venue answered for with 200."""
    base, key, secret = (twin.ready[part] for part in ("rest_spot", "key", "secret"))
    accepted = []
    async with httpx.AsyncClient(headers={"X-MBX-APIKEY": key}, timeout=20) as http:
        for number in range(count):
            symbol = draw.choice(["BTCUSDT", "ETHUSDT"])
            last = twin.world.venue(Market.SPOT).price(symbol)
            client_id = f"{name}-{number}"
            order: dict[str, Any] = {"symbol": symbol, "side": draw.choice(["BUY", "SELL"])}
            order |= {"quantity": "0.01" if symbol == "BTCUSDT" else "0.2", "type": "MARKET"}
            if draw.random() < 0.8:
                factor = Decimal(draw.randint(-30, 30)) / 10_000 + 1
                price = (last * factor).quantize(Decimal("0.01"))
                tif = draw.choice(["GTC", "GTC", "GTC", "IOC", "FOK"])
                order |= {"type": "LIMIT", "price": str(price), "timeInForce": tif}
            order |= {"newClientOrderId": client_id, "timestamp": SystemClock().now_ms()}
            method, path = "POST", "/api/v3/order"
            if draw.random() < 0.1:
                method, path = "DELETE", "/api/v3/openOrders"
                order = {"symbol": symbol, "timestamp": SystemClock().now_ms()}
            query = urlencode(order)
            query += f"&signature={hmac_hex(secret, query.encode())}"
            try:
                answer = await http.request(method, f"{base}{path}?{query}")
            except httpx.TransportError:
                continue
            if answer.status_code == 200 and method == "POST":
                accepted.append(client_id)
    return accepted


def expected(trades: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What the account must hold after these trades."""
    held = dict(FUNDS)
    for row in trades:
        base = row["symbol"].removesuffix("USDT")
        sign = 1 if row["isBuyer"] else -1
        held[base] += sign * Decimal(row["qty"])
        held["USDT"] -= sign * Decimal(row["price"]) * Decimal(row["qty"])
        held[row["commissionAsset"]] -= Decimal(row["commission"])
    return held


@pytest.mark.parametrize("faults", [False, True])
def test_the_books_close(faults: bool) -> None:
    with running_twin(
        speed=2_000, pulse_ms=50, funds=dict(FUNDS), has_limits=False, seed=3
    ) as twin:
        if faults:
            rates = dict.fromkeys(
                ["lost_request", "lost_reply", "duplicated_request", "unknown_503", "timed_out"],
                0.05,
            )
            twin.control("/faults", {"plan": rates | {"partial_fill": 0.5}})

        async def run() -> list[str]:
            parts = [trade(twin, random.Random(n), 150, f"c{n}") for n in range(4)]
            return [name for part in await asyncio.gather(*parts) for name in part]

        accepted = asyncio.run(run())
        twin.control("/speed", {"speed": 0})
        truth = twin.account()["spot"]
    held = {asset: Decimal(row["total"]) for asset, row in truth["balances"].items()}
    assert held == expected(truth["trades"])
    locked = {asset: Decimal(row["locked"]) for asset, row in truth["balances"].items()}
    wanted = dict.fromkeys(FUNDS, Decimal(0))
    for order in truth["open_orders"]:
        left = Decimal(order["quantity"]) - Decimal(order["executed"])
        is_buy = order["side"] == "buy"
        asset = "USDT" if is_buy else order["symbol"].removesuffix("USDT")
        wanted[asset] += left * (Decimal(order["price"]) if is_buy else 1)
    assert locked == wanted
    known = {order["client_id"] for order in truth["orders"]}
    assert set(accepted) <= known and truth["repeated_client_ids"] == []
    by_order: dict[int, Decimal] = {}
    for row in truth["trades"]:
        by_order[row["orderId"]] = by_order.get(row["orderId"], Decimal(0)) + Decimal(row["qty"])
    for order in truth["orders"]:
        assert by_order.get(order["order_id"], Decimal(0)) == Decimal(order["executed"])
    assert len(truth["trades"]) > 100 and len(known) > len(accepted) * 0.9
    ids = [row["id"] for row in truth["trades"] if row["symbol"] == "BTCUSDT"]
    assert ids == sorted(set(ids))
