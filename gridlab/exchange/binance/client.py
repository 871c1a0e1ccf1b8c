"""`Client`: python-binance's asynchronous client, pointed anywhere and made to tell what it heard.

It signs, builds addresses and keeps the HTTP session; that is all that is used of it. Answers of
every status come back as an `Answer`, because a refusal is an answer too. Known traps of the
library (1.0.37) that are met here: it pings in `create`, so the constructor is used; it overwrites
`recvWindow` with ten seconds of its own; it keeps the last response in one attribute for all
requests, so headers are read where the response is at hand; it follows redirects, which would
carry a signed request to another host; it signs a body as raw text but sends it encoded, so values
that encoding would change are refused (PYB#1099, PYB#1402).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
from binance import AsyncClient

from gridlab.clock import wall_ms
from gridlab.errors import InvalidInput
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.routes import Route, Service, Signed
from gridlab.exchange.binance.signing import Credentials

CONNECT_S = 5.0
#: Parsing a larger answer takes milliseconds, which the event loop is spared.
LARGE_BYTES = 1 << 18
#: The largest real answer, the rules of all symbols, has about 20 MiB.
MAX_BYTES = 64 << 20
#: What percent-encoding leaves as it is; `symbol` is the one field that the library encodes.
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; `payload` is None where the body is no JSON."""

    status: int
    headers: Mapping[str, str]
    payload: Any

    @property
    def is_success(self) -> bool:
        """Whether it was done; an error object under a good status does not count as that."""
        is_error = self.code is not None and self.code < 0
        return 200 <= self.status < 300 and self.payload is not None and not is_error

    @property
    def code(self) -> int | None:
        """The venue's own code."""
        code = self.payload.get("code") if isinstance(self.payload, dict) else None
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    @property
    def message(self) -> str:
        """The venue's own words, shortened; empty when there are none."""
        said = self.payload.get("msg") if isinstance(self.payload, dict) else None
        return str(said)[:300] if said else ""

    def words(self) -> str:
        """What a person is told of it."""
        if self.payload is None:
            return f"it answered {self.status} with something that is no JSON"
        about = f" ({self.code}: {self.message})" if self.code is not None else ""
        return f"it answered {self.status}{about}"


class Client(AsyncClient):  # type: ignore[misc]  # the library has no type information
    """One HTTP session to one venue, both markets; made inside a running event loop.

    Where it sends to is a matter of this object alone: addresses are set on the instance, so two
    venues in one process cannot disturb each other.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None = None,
        *,
        recv_window_ms: int = 5000,
        timeout_s: float = 12.0,
    ) -> None:
        self.API_URL = f"{endpoints.rest_spot}/api"
        self.MARGIN_API_URL = f"{endpoints.rest_spot}/sapi"
        self.FUTURES_URL = f"{endpoints.rest_futures}/fapi"
        self.FUTURES_DATA_URL = f"{endpoints.rest_futures}/futures/data"
        self.WS_API_URL = endpoints.ws_api_spot
        self.WS_FUTURES_URL = f"{endpoints.ws_futures}/ws-fapi/v1"
        self.REQUEST_RECVWINDOW = recv_window_ms
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        super().__init__(
            credentials.key if credentials else None,
            credentials.secret if credentials else None,
            requests_params={"timeout": timeout, "allow_redirects": False},
            loop=asyncio.get_running_loop(),
            # Requests must never wait for a connection after they were signed: their time runs.
            session_params={"connector": aiohttp.TCPConnector(limit=0, ttl_dns_cache=300)},
        )

    def _get_headers(self) -> dict[str, str]:
        headers: dict[str, str] = super()._get_headers()
        headers["User-Agent"] = "gridlab"
        return headers

    async def _handle_response(self, response: aiohttp.ClientResponse) -> Answer:
        """The answer as it is, whatever its status."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MAX_BYTES:
                raise aiohttp.ClientPayloadError(f"longer than {MAX_BYTES >> 20} MiB")
        if len(body) > LARGE_BYTES:
            payload = await asyncio.to_thread(_parsed, bytes(body))
        else:
            payload = _parsed(bytes(body))
        return Answer(response.status, response.headers, payload)

    async def ask(
        self, route: Route, params: Mapping[str, str], venue_now_ms: int | None = None
    ) -> Answer:
        """Send one request and return its answer.

        Args:
            venue_now_ms: the venue's time, for a signed request.

        Raises:
            InvalidInput: a value that would be signed otherwise than it is sent.
            aiohttp.ClientError, TimeoutError: no answer, or not a whole one.
        """
        data = dict(params)
        is_signed = isinstance(route, Signed)
        if is_signed or route.is_change:
            _check(data)
        if is_signed and venue_now_ms is not None:
            # The library reads the wall clock; nothing is awaited between this and its reading.
            self.timestamp_offset = venue_now_ms - wall_ms()
        if route.service is Service.SPOT:
            work = self._request_api(route.method, route.path, is_signed, data=data)
        elif route.service is Service.FUTURES:
            work = self._request_futures_api(
                route.method, route.path, is_signed, route.version, data=data
            )
        else:
            work = self._request_margin_api(
                route.method, route.path, is_signed, route.version, data=data
            )
        answer: Answer = await work
        return answer

    async def close(self) -> None:
        """Give the sockets back."""
        await self.session.close()


def _parsed(body: bytes) -> Any:
    """The JSON in `body` with exact numbers; None when it is none."""
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def _check(data: Mapping[str, str]) -> None:
    for name, value in data.items():
        if name != "symbol" and not _PLAIN.fullmatch(value):
            raise InvalidInput(
                f"{name} has a character that percent-encoding changes; letters, digits and ._~- "
                "are sent as they are signed"
            )
