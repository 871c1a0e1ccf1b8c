"""A plain HTTP client of the USD-M endpoints for tests: it signs, sends, shows the answer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from gridlab.clock import SystemClock


class Reply(NamedTuple):
    status: int
    body: Any
    headers: httpx.Headers

    @property
    def refusal(self) -> tuple[int, str]:
        """(code, text) of a refusal."""
        return self.body["code"], self.body["msg"]


class FuturesClient:
    """One account of a running twin, asked over real sockets."""

    def __init__(self, ready: Mapping[str, Any], control: Callable[..., Any]) -> None:
        self._ready = ready
        self.base = ready["rest_futures"]
        self.key, self.secret = ready["key"], ready["secret"]
        self._control = control
        self.http = httpx.Client(timeout=20, verify=False)

    def another(self) -> FuturesClient:
        """The same account over a connection of its own."""
        return FuturesClient(self._ready, self._control)

    def public(self, path: str, **params: Any) -> Reply:
        return self._sent("GET", f"{path}?{urlencode(params)}" if params else path, {})

    def signed(self, method: str, path: str, *, in_body: bool = False, **params: Any) -> Reply:
        params.setdefault("timestamp", SystemClock().now_ms())
        query = urlencode({name: value for name, value in params.items() if value is not None})
        signature = hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        query += f"&signature={signature}"
        headers = {"X-MBX-APIKEY": self.key}
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self._sent(method, path, headers, query)
        return self._sent(method, f"{path}?{query}", headers)

    def get(self, name: str, **params: Any) -> Reply:
        return self.signed("GET", f"/fapi/v1/{name}", **params)

    def post(self, name: str, **params: Any) -> Reply:
        return self.signed("POST", f"/fapi/v1/{name}", **params)

    def put(self, name: str, **params: Any) -> Reply:
        return self.signed("PUT", f"/fapi/v1/{name}", **params)

    def delete(self, name: str, **params: Any) -> Reply:
        return self.signed("DELETE", f"/fapi/v1/{name}", **params)

    def order(self, side: str, quantity: str, price: str | None = None, **more: Any) -> Reply:
        """Place an order: limit and GTC with a price, else a market order."""
        terms: dict[str, Any] = {"symbol": "BTCUSDT", "side": side, "quantity": quantity}
        if price is None:
            terms |= {"type": "MARKET", "newOrderRespType": "RESULT"}
        else:
            terms |= {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        return self.post("order", **(terms | more))

    def price(self, price: str, symbol: str = "BTCUSDT") -> None:
        """Let the market trade there."""
        self._control("/price", {"venue": "fut", "symbol": symbol, "price": price})

    def control(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Ask the control port: GET without a document."""
        return self._control(path, document)

    def clear(self) -> None:
        """No orders, no position, no fault."""
        self._control("/faults", {"quiet": True})
        for symbol in ("BTCUSDT", "ETHUSDT"):
            self.delete("allOpenOrders", symbol=symbol)
            self.delete("algoOpenOrders", symbol=symbol)
        if self.get("positionSide/dual").body["dualSidePosition"]:
            self.post("positionSide/dual", dualSidePosition="false")
        for row in self.signed("GET", "/fapi/v3/positionRisk").body:
            amount = row["positionAmt"]
            side = "BUY" if amount.startswith("-") else "SELL"
            self.order(side, amount.lstrip("-"), symbol=row["symbol"], reduceOnly="true")

    def _sent(
        self, method: str, path: str, headers: Mapping[str, str], content: str | None = None
    ) -> Reply:
        reply = self.http.request(method, self.base + path, headers=headers, content=content)
        return Reply(reply.status_code, reply.json(), reply.headers)
