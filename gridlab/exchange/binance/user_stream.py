"""The account's own events, from both markets, as their sockets give them.

Spot: a subscription by the WebSocket API, signed, and gone with its connection (the listenKey of
old was removed in February 2026). USD-M futures: still a listenKey, renewed every half hour, on the
`private` route; a stream asked for on another route is silent for ever. What the events mean is
`events`' affair, what to do about a gap its owner's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.binance.client import Answer
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.stream import LIFE_MS, SocketRefused, Stream, open_socket
from gridlab.exchange.silence import Silence

log = logging.getLogger(__name__)

KEEP_KEY_EVERY_MS = 30 * 60_000
_ANSWER_S = 10.0
#: The venue's code for a timestamp outside the receive window.
_CLOCK = -1021


class Signer(Protocol):
    """What a subscription needs of the signed transport."""

    endpoints: Endpoints

    async def signed_ws_params(self, market: Market, params: dict[str, str]) -> dict[str, str]: ...

    async def sync_clock(self, market: Market) -> int: ...

    def silence(self, market: Market) -> Silence: ...

    def note_refusal(self, market: Market, answer: Answer) -> None: ...


class KeyHolder(Protocol):
    """What a listenKey stream needs of the futures requests."""

    @property
    def silence(self) -> Silence: ...

    async def start_listen_key(self) -> str: ...

    async def keep_listen_key(self) -> bool: ...


class UserStream(Protocol):
    """The account's events of one market.

    Attributes:
        stream: the connection that is kept up.
    """

    stream: Stream

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class SpotUserStream:
    """User data by the WebSocket API's signed subscription.

    Args:
        on_event: takes each event, unwrapped.
        on_gap: told why events may have been missed, each time that they flow again.
    """

    def __init__(
        self,
        signer: Signer,
        on_event: Callable[[dict[str, Any]], None],
        on_gap: Callable[[str], None],
        clock: Clock,
        *,
        life_ms: int = LIFE_MS,
    ) -> None:
        self._signer = signer
        self._on_event = on_event
        self._clock = clock
        self._numbers = itertools.count(1)
        self.stream = Stream("spot user", self._dial, self._receive, on_gap, clock, life_ms=life_ms)

    async def open(self) -> None:
        """Subscribe and stay subscribed; raises `ExchangeUnavailable`."""
        await self.stream.open()

    async def close(self) -> None:
        await self.stream.close()

    async def _dial(self) -> ClientConnection:
        connection = await self._connected()
        try:
            refusal = await self._subscribe(connection)
            if refusal is not None and refusal.code == _CLOCK:
                await self._signer.sync_clock(Market.SPOT)
                refusal = await self._subscribe(connection)
        except BaseException:
            await connection.close()
            raise
        if refusal is not None:
            self._signer.note_refusal(Market.SPOT, refusal)
            await connection.close()
            raise ExchangeUnavailable(
                f"the spot user stream was refused: {refusal.code} {refusal.message}; if it "
                "stays so, look into the key's permissions and its list of addresses"
            )
        return connection

    async def _connected(self) -> ClientConnection:
        address, silence = self._signer.endpoints.ws_api_spot, self._signer.silence(Market.SPOT)
        try:
            return await open_socket(address, silence, self._clock)
        except SocketRefused as error:
            if error.status != 418:  # a ban is noted already
                refusal = Answer(error.status, error.headers, _decoded(error.body))
                self._signer.note_refusal(Market.SPOT, refusal)
            raise

    async def _subscribe(self, connection: ClientConnection) -> Answer | None:
        """Ask for the events of the account; None when they flow, else what the venue says."""
        number = next(self._numbers)
        params = await self._signer.signed_ws_params(Market.SPOT, {})
        method = "userDataStream.subscribe.signature"
        request = {"id": number, "method": method, "params": _typed(params)}
        try:
            async with asyncio.timeout(_ANSWER_S):
                await connection.send(json.dumps(request))
                while True:
                    answer = json.loads(await connection.recv())
                    if answer.get("id") == number:
                        break
                    self._take(answer)
        except (TimeoutError, ConnectionClosed, ValueError) as error:
            raise ExchangeUnavailable(
                f"no answer to the spot user stream's subscription: {error or 'too late'}"
            ) from error
        return None if answer.get("status") == 200 else _refusal(answer)

    def _receive(self, message: str | bytes) -> None:
        self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        event = message.get("event")
        if not isinstance(event, dict):
            return  # an answer to a request
        kind = event.get("e")
        if kind == "eventStreamTerminated":
            self.stream.give_up("the venue ended the user stream")
        elif kind == "serverShutdown":
            self.stream.renew("the venue's server shuts down")
        else:
            self._on_event(event)


class FuturesUserStream:
    """User data by listenKey; arguments as `SpotUserStream`, and who holds the key."""

    def __init__(
        self,
        keys: KeyHolder,
        endpoints: Endpoints,
        on_event: Callable[[dict[str, Any]], None],
        on_gap: Callable[[str], None],
        clock: Clock,
        *,
        life_ms: int = LIFE_MS,
        keep_key_ms: int = KEEP_KEY_EVERY_MS,
    ) -> None:
        self._keys = keys
        self._address = endpoints.ws_futures
        self._on_event = on_event
        self._clock = clock
        self._keep_key_ms = keep_key_ms
        self._keeper: asyncio.Task[None] | None = None
        self.stream = Stream(
            "futures user", self._dial, self._receive, on_gap, clock, life_ms=life_ms
        )

    async def open(self) -> None:
        """Connect and stay connected; raises `ExchangeUnavailable`."""
        await self.stream.open()
        self._keeper = asyncio.create_task(self._keep_key(), name="listenKey keeper")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.stream.close()

    async def _dial(self) -> ClientConnection:
        key = await self._keys.start_listen_key()
        address = f"{self._address}/private/ws?listenKey={key}"
        return await open_socket(address, self._keys.silence, self._clock)

    async def _keep_key(self) -> None:
        """Renew the key; when the venue no longer knows it, dial again with a new one."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + self._keep_key_ms)
            try:
                if not await self._keys.keep_listen_key():
                    self.stream.give_up("the venue does not know the listenKey any more")
            except ExchangeUnavailable as error:
                log.warning("the listenKey was not renewed, and is tried again: %s", error)

    def _receive(self, message: str | bytes) -> None:
        event = json.loads(message)
        kind = event.get("e")
        if kind == "listenKeyExpired":
            self.stream.give_up("the listenKey expired")
        elif kind == "serverShutdown":
            self.stream.renew("the venue's server shuts down")
        else:
            self._on_event(event)


def _refusal(message: dict[str, Any]) -> Answer:
    """An error on the WebSocket API, as the same error by a request would look."""
    status, error = message.get("status"), message.get("error")
    data = error.get("data") if isinstance(error, dict) else None
    headers = {}
    if isinstance(data, dict) and isinstance(until_ms := data.get("retryAfter"), int):
        wait_ms = until_ms - int(data.get("serverTime") or until_ms)
        headers["Retry-After"] = str(max(1, -(-wait_ms // 1000)))
    return Answer(status if isinstance(status, int) else 400, headers, error or message)


def _decoded(body: bytes) -> Any:
    """The JSON in `body`; None when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _typed(params: dict[str, str]) -> dict[str, str | int]:
    """The parameters as JSON wants them: times are numbers."""
    whole = ("timestamp", "recvWindow")
    return {name: int(value) if name in whole else value for name, value in params.items()}
