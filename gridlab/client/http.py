"""`Client`: GridLab's API as plain method calls that return the documented JSON, parsed.

The same verbs as the engine's facade, from any process: a notebook, a viewer's kernel, a script.
Every refusal comes back as the exception of `gridlab.errors` that the engine itself would raise,
with the server's own words. Imports nothing of the engine, no pandas and no torch, so that a
viewer's kernel stays small.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeAlias

import httpx

from gridlab.client.ai import AiVerbs
from gridlab.client.events import StreamEvent, follow
from gridlab.client.refusals import refusal
from gridlab.errors import ExchangeUnavailable, InvalidInput

Json: TypeAlias = dict[str, Any]

DEFAULT_URL = "http://127.0.0.1:5000"
#: Seconds for one answer. A start waits for the journal, a stop for every cancel.
READ_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 30.0


class Client(AiVerbs):
    """A connection to one running engine.

    Args:
        base_url: where `gridlab up` answers; by default `GRIDLAB_API_URL`, else port 5000 here.
        token: bearer token, when the server asks for one; by default `GRIDLAB_API_TOKEN`.
        language: of the server's messages, `en` or `pt`.
        transport: an httpx transport, for an engine mounted in this process.

    Raises:
        InvalidInput: `base_url` is not an http address.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        language: str = "en",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        address = base_url or os.environ.get("GRIDLAB_API_URL") or DEFAULT_URL
        if not address.startswith(("http://", "https://")):
            raise InvalidInput(f"base_url is {address!r}; it starts with http://, as {DEFAULT_URL}")
        self.base_url = address.rstrip("/")
        headers = {
            "Accept": "application/json",
            "Accept-Language": language,
            "X-Requested-With": "gridlab",
        }
        key = token or os.environ.get("GRIDLAB_API_TOKEN")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=READ_TIMEOUT_S,
            transport=transport,
            trust_env=False,  # a proxy of the environment has no business between us and loopback
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def close(self) -> None:
        """Give the sockets back."""
        self._http.close()

    # -- the engine

    def health(self) -> Json:
        """The engine's state, mode and ages; an engine that is not ready is an answer, too."""
        response = self._send("GET", "/api/health", None, timeout=READ_TIMEOUT_S)
        answer = _json(response)
        if isinstance(answer, dict) and "ready" in answer:  # 503 where it is not
            return answer
        return self._checked(response)

    def status(self) -> Json:
        """`api_status` and one entry for each active bot."""
        return self._get("/api/status")

    def operation_mode(self) -> Json:
        """The present mode and those that can be chosen."""
        return self._get("/api/operation_mode")

    def change_mode(self, mode: str) -> Json:
        """Enter another mode that the engine's start gave the right to.

        Raises:
            Conflict: there is no such right, or bots with real orders still run.
        """
        response = self._send(
            "POST", "/api/operation_mode", {"mode": mode}, timeout=WRITE_TIMEOUT_S
        )
        return self._checked(response)

    def test_connection(self) -> Json:
        """What each market's venue answers just now."""
        return self._get("/api/test/connection")

    # -- the market

    def market_data(self, market_type: str = "spot") -> list[Json]:
        """One ticker for each symbol of the market that has a price."""
        query = {"market_type": market_type}
        return _rows(self._get_any("/api/market_data", query), "market_data", "data")

    def klines(
        self, symbol: str, interval: str = "1h", limit: int = 100, market_type: str = "spot"
    ) -> list[Json]:
        """The last `limit` candles, oldest first, the open one included.

        Raises:
            NotFound: no such symbol.
            InvalidConfig: the interval, limit or market is not one that the server knows.
        """
        return _rows(self.dated_klines(symbol, interval, limit, market_type), "data")

    def dated_klines(
        self, symbol: str, interval: str = "1h", limit: int = 100, market_type: str = "spot"
    ) -> Json:
        """`klines` under `data`, beside the stamp of their age; raises as it does."""
        query = {"interval": interval, "limit": str(limit), "market_type": market_type}
        answer = _mapping(self._get_any(f"/api/klines/{symbol}", query), "GET /api/klines")
        _rows(answer, "data")
        return answer

    # -- the bots

    def executions(self) -> Json:
        """Every bot with its open orders, books and vacancies, under `executions`."""
        return self._get("/api/trading/executions")

    def pair_table(self, market_type: str = "spot", limit: int = 500) -> Json:
        """Symbols against the filters of pair selection; `left_out` counts those above `limit`.

        Raises:
            NotFound: the engine has no such market.
        """
        query = {"market_type": market_type, "limit": str(limit)}
        return _mapping(self._get_any("/api/pairs", query), "GET /api/pairs")

    def pairs(self) -> list[Json]:
        """The symbols that bots trade, with their prices."""
        return _rows(self._get_any("/api/trading/pairs"), "pairs", "data")

    def grid_status(self, symbol: str) -> Json:
        """One bot; raises `NotFound` when none ever ran on `symbol`."""
        return self._get(f"/api/grid/status/{symbol}")

    def recovery_status(self, symbol: str) -> Json:
        """What the last start of the engine found and did for one bot."""
        return self._get(f"/api/grid/recovery_status/{symbol}")

    def trades(self, symbol: str, limit: int | None = None) -> list[Json]:
        """The bot's latest trades on `symbol`."""
        query = {} if limit is None else {"limit": str(limit)}
        return _rows(self._get_any(f"/api/trades/{symbol}", query), "trades", "data")

    def balance(self) -> Json:
        """Every asset of the account, spot and futures."""
        return self._get("/api/balance")

    def balance_summary(self) -> Json:
        """The account in USDT."""
        return self._get("/api/balance/summary")

    def preflight(
        self,
        symbol: str,
        *,
        initial_levels: int,
        spacing_perc: float | Decimal | str,
        market_type: str = "spot",
        **more: Any,
    ) -> Json:
        """What a grid would place now, and every rule against it; changes nothing.

        A configuration that breaks a rule is an answer here, not an exception: `valid` is False
        and `errors` has all of them.

        Args:
            spacing_perc: percent between neighbouring lines; 0.5 is half a percent.
            more: further fields of the API's `config` object.

        Raises:
            ExchangeUnavailable: no engine answers.
        """
        body = _config_body(symbol, initial_levels, spacing_perc, market_type, more)
        response = self._send("POST", "/api/grid/config", body, timeout=READ_TIMEOUT_S)
        answer = _json(response)
        if isinstance(answer, dict) and "valid" in answer:
            return answer
        return self._checked(response)

    config = preflight

    def start_grid(
        self,
        symbol: str,
        *,
        initial_levels: int,
        spacing_perc: float | Decimal | str,
        market_type: str = "spot",
        **more: Any,
    ) -> Json:
        """Start a bot; returns the server's confirmation, once the start is journalled.

        Raises:
            InvalidConfig: the pre-flight found rules against it; all are in `.problems`.
            NotFound: no such symbol.
            Conflict: a bot already runs on this symbol.
            ExchangeUnavailable: no answer came. If the message says that the request left, look
                at `grid_status` before sending it again.
        """
        body = _config_body(symbol, initial_levels, spacing_perc, market_type, more)
        response = self._send("POST", "/api/grid/start", body, timeout=WRITE_TIMEOUT_S)
        return self._checked(response)

    def stop_grid(self, symbol: str, policy: str = "keep") -> Json:
        """Stop a bot and cancel its orders; `policy` keeps or sells the base asset it holds.

        Raises:
            NotFound, Conflict, ExchangeUnavailable: as `start_grid`.
        """
        body: Json = {"symbol": symbol}
        if policy != "keep":
            body["policy"] = policy
        response = self._send("POST", "/api/grid/stop", body, timeout=WRITE_TIMEOUT_S)
        return self._checked(response)

    # -- the stream

    def stream(self, topics: Iterable[str] = ()) -> Iterator[StreamEvent]:
        """Each event as it happens, for ever; reconnects by itself and goes on where it was.

        The first event, and each one after a gap or a change of the mode, has the topic `resync`
        and holds everything.

        Args:
            topics: of snapshot, bots, fills, orders, prices, jobs, health; all of them when empty.

        Raises:
            InvalidConfig: no such topic.
            ExchangeUnavailable: no engine answers, or it has no room for another stream.
        """
        query = {"topics": ",".join(topics)} if topics else {}
        return follow(self._http, "/api/stream", query)

    # -- the wire

    def _get_any(self, path: str, query: dict[str, str] | None = None) -> Any:
        response = self._send("GET", path, None, timeout=READ_TIMEOUT_S, query=query)
        if response.is_success:
            return _json(response)
        raise refusal(response.status_code, _json(response), f"GET {path}")

    def _get(self, path: str) -> Json:
        return _mapping(self._get_any(path), path)

    def _checked(self, response: httpx.Response) -> Json:
        request = response.request
        what = f"{request.method} {request.url.path}"
        if not response.is_success:
            raise refusal(response.status_code, _json(response), what)
        return _mapping(_json(response), what)

    def _send(
        self,
        method: str,
        path: str,
        body: Json | None,
        *,
        timeout: float,
        query: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body, params=query, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ExchangeUnavailable(
                f"no engine answers at {self.base_url} ({error}); nothing was sent. "
                "Start one with `gridlab up`, or give its address"
            ) from error
        except httpx.TransportError as error:
            fate = (
                "the request had left, so look at its effect before sending it again"
                if method == "POST"
                else "nothing was changed"
            )
            raise ExchangeUnavailable(
                f"{method} {path} at {self.base_url} got no answer within {timeout:g} s "
                f"({type(error).__name__}); {fate}"
            ) from error


def _config_body(
    symbol: str,
    initial_levels: int,
    spacing_perc: float | Decimal | str,
    market_type: str,
    more: Json,
) -> Json:
    """The body that `config` and `start` share; a percentage travels as a JSON number."""
    config: Json = {
        "initial_levels": initial_levels,
        "spacing_perc": float(spacing_perc),
        "market_type": market_type,
    }
    config.update({name: value for name, value in more.items() if value is not None})
    return {"symbol": symbol, "config": config}


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _mapping(answer: Any, what: str) -> Json:
    if isinstance(answer, dict):
        return answer
    raise ExchangeUnavailable(
        f"{what} answered {type(answer).__name__}, not a JSON object; is this a GridLab engine?"
    )


def _rows(answer: Any, *keys: str) -> list[Json]:
    """The list that an answer is, or holds under one of `keys`."""
    if isinstance(answer, dict):
        answer = next((answer[key] for key in keys if key in answer), None)
    if isinstance(answer, list):
        return answer
    raise ExchangeUnavailable(
        f"the answer holds no list under {' or '.join(keys)}; is this a GridLab engine?"
    )
