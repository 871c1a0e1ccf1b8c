"""Nonsense at every spot endpoint: each request is answered, none breaks the venue."""

from __future__ import annotations

import random
from typing import Any

from spot_client import SpotClient

from gridlab.twin import spot_account, spot_market, spot_orders
from gridlab.twin.rest import Security

ENDPOINTS = (*spot_market.ENDPOINTS, *spot_orders.ENDPOINTS, *spot_account.ENDPOINTS)
NAMES = (
    *("symbol", "symbols", "permissions", "symbolStatus", "interval", "limit", "startTime"),
    *("endTime", "fromId", "orderId", "origClientOrderId", "side", "type", "timeInForce"),
    *("quantity", "price", "quoteOrderQty", "newClientOrderId", "newOrderRespType", "newQty"),
    *("cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId"),
    *("orderRateLimitExceededMode", "cancelRestrictions", "strategyId", "strategyType"),
    *("windowSize", "timeZone", "asset", "amount", "omitZeroBalances", "recvWindow", "icebergQty"),
    *("selfTradePreventionMode", "computeCommissionRates"),
)
VALUES = (
    *("", "0", "1", "-1", "0.01", "0.00001", "59000", "59000.01", "1e5", "99999999999999999999"),
    *("9" * 40, "BTCUSDT", "ETHUSDT", "btcusdt", "ＢＴＣ", "NOPE", '["BTCUSDT"]', "[]", "[1]"),
    *("{}", "BUY", "SELL", "LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "GTC", "IOC", "FOK"),
    *("FULL", "MINI", "ACK", "1m", "1M", "1d", "7d", "true", "false", "SPOT", "TRADING", "HALT"),
    *("STOP_ON_FAILURE", "ALLOW_FAILURE", "CANCEL_ONLY", "ONLY_NEW", "named", "x" * 300, "\x00"),
    *("+1:00", "-12:59", "MAIN_UMFUTURE", "UMFUTURE_MAIN", "USDT", "BTC", "NONE", "5:45"),
)


def sensible(draw: random.Random) -> dict[str, str]:
    """Parameters of an order that passes, of which some will be replaced."""
    chosen = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    chosen |= {"quantity": "0.01", "price": "59000", "interval": "1m", "orderId": "1"}
    chosen |= {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": "1", "newQty": "0.005"}
    chosen |= {"type": draw.choice(["LIMIT", "MARKET", "LIMIT_MAKER"])}
    return {name: value for name, value in chosen.items() if draw.random() < 0.8}


def test_every_request_is_answered(spot: SpotClient) -> None:
    draw = random.Random(11)
    codes: dict[int, int] = {}
    for _ in range(2_500):
        endpoint = draw.choice(ENDPOINTS)
        params: dict[str, Any] = sensible(draw)
        for name in draw.sample(NAMES, draw.randint(0, 3)):
            params[name] = draw.choice(VALUES)
        if endpoint.security is Security.SIGNED:
            reply = spot.signed(endpoint.method, endpoint.path, **params)
        else:
            query = "&".join(f"{k}={v}" for k, v in params.items() if v.isascii() and v.isalnum())
            reply = spot.raw(endpoint.method, f"{endpoint.path}?{query}")
        assert reply.status < 500, (endpoint.path, params, reply)
        if reply.status != 200:
            assert reply.body["code"] < -1000 and reply.body["msg"], (endpoint.path, params)
            codes[reply.body["code"]] = codes.get(reply.body["code"], 0) + 1
    # It was not one wall that stopped them all.
    assert {-1100, -1102, -1121, -1128, -1013, -2011, -2013} <= set(codes)
    truth = spot.twin.account()["spot"]
    assert all(float(row["free"]) >= 0 for row in truth["balances"].values())
