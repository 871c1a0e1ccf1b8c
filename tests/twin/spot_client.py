"""A plain HTTP client of the twin's spot REST for tests: it signs, sends, and shows the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from gridlab.clock import SystemClock
from gridlab.testing.twin import RunningTwin
from gridlab.twin.signing import hmac_hex


class Reply(NamedTuple):
    status: int
    body: Any
    headers: httpx.Headers

    @property
    def refusal(self) -> tuple[int, str]:
        """(code, text) of a refusal."""
        return self.body["code"], self.body["msg"]


class SpotClient:
    """One account of a running twin, asked over real sockets."""

    def __init__(self, twin: RunningTwin) -> None:
        self.twin = twin
        self.base = twin.ready["rest_spot"]
        self.key, self.secret = twin.ready["key"], twin.ready["secret"]
        self.http = httpx.Client(timeout=20)

    def public(self, path: str, **params: Any) -> Reply:
        return self.raw("GET", f"{path}?{urlencode(params)}" if params else path)

    def signed(self, method: str, path: str, **params: Any) -> Reply:
        """Parameters in the query; those that are None are left out."""
        query = self.query(**params)
        return self.raw(method, f"{path}?{query}", headers={"X-MBX-APIKEY": self.key})

    def query(self, **params: Any) -> str:
        """A signed query string."""
        params.setdefault("timestamp", SystemClock().now_ms())
        query = urlencode({name: value for name, value in params.items() if value is not None})
        return f"{query}&signature={hmac_hex(self.secret, query.encode())}"

    def raw(
        self, method: str, target: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        answer = self.http.request(
            method, self.base + target, content=body or None, headers=dict(headers or {})
        )
        assert answer.headers["content-type"].startswith("application/json")
        return Reply(answer.status_code, answer.json(), answer.headers)

    # -- the usual orders -----------------------------------------------------------------------

    def limit(self, side: str, price: str, quantity: str = "0.01", **more: Any) -> Reply:
        given = {"timeInForce": "GTC", "symbol": "BTCUSDT"} | more
        return self.signed(
            "POST",
            "/api/v3/order",
            side=side,
            type="LIMIT",
            price=price,
            quantity=quantity,
            **given,
        )

    def market(self, side: str, **more: Any) -> Reply:
        given = {"symbol": "BTCUSDT"} | more
        return self.signed("POST", "/api/v3/order", side=side, type="MARKET", **given)

    def order(self, **which: Any) -> Reply:
        return self.signed("GET", "/api/v3/order", symbol="BTCUSDT", **which)

    def cancel(self, **which: Any) -> Reply:
        return self.signed("DELETE", "/api/v3/order", **({"symbol": "BTCUSDT"} | which))

    def clear(self) -> None:
        """Cancel whatever is open on BTCUSDT."""
        self.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")

    def balance(self, asset: str) -> tuple[str, str]:
        """(free, locked)."""
        rows = self.signed("GET", "/api/v3/account").body["balances"]
        row = next(row for row in rows if row["asset"] == asset)
        return row["free"], row["locked"]
