"""The WebSocket API: requests and answers on one socket, and on spot the account's events.

A request goes through the desk that serves REST, so that both ways have one set of rules. Requests
of one connection are answered as they become ready; a client tells them apart by their ids.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from gridlab.domain.market import Market
from gridlab.twin import time_unit
from gridlab.twin.answers import VenueError
from gridlab.twin.connection import Connection, SocketRules, Sockets
from gridlab.twin.params import Params
from gridlab.twin.rest import Answer, Call, Desk, Endpoint
from gridlab.twin.signing import is_signature
from gridlab.twin.stream_hub import encode
from gridlab.twin.stream_payloads import Payload, in_microseconds
from gridlab.twin.user_payloads import server_shutdown
from gridlab.twin.user_stream import UserStream
from gridlab.twin.ws_methods import rest_of
from gridlab.twin.ws_request import BadRequest, RequestId, WsRequest, parse
from gridlab.twin.ws_session import ApiSession

PATHS = {Market.SPOT: "/ws-api/v3", Market.FUTURES: "/ws-fapi/v1"}
CONNECT_WEIGHT = {Market.SPOT: 2, Market.FUTURES: 5}
UNSUPPORTED = (-1020, "This operation is not supported.")


class ApiDoor:
    """Opens connections of the WebSocket API of one market."""

    def __init__(self, desk: Desk, stream: UserStream, sockets: Sockets) -> None:
        self.desk = desk
        self.stream = stream
        self._sockets = sockets

    @property
    def rules(self) -> SocketRules:
        """What the next connection is held to."""
        return self._sockets.api_rules[self.desk.market]

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Its address; once more below itself for clients that append the path to whatever base."""
        path = PATHS[self.desk.market]
        return [
            web.get(f"{prefix}{path}", self._open),
            web.get(f"{prefix}{path}{path}", self._open),
        ]

    async def _open(self, request: web.Request) -> web.StreamResponse:
        peer, desk = request.remote or "", self.desk
        desk.note_handshake(peer)
        if not self._sockets.admits(peer):
            return web.Response(status=429, text="Too many connection attempts")
        try:
            asked = request.query.get("timeUnit") if desk.market is Market.SPOT else None
            is_micro = time_unit.is_microseconds(asked)
            desk.limits.admit(peer, CONNECT_WEIGHT[desk.market], desk.world.wall_ms())
        except VenueError as error:
            return web.json_response(error.refusal.body(), status=error.status)
        socket = _ApiSocket(self, request, is_micro=is_micro)
        return await self._sockets.serve(socket.connection, socket)


class _ApiSocket:
    """One client of the WebSocket API."""

    def __init__(self, door: ApiDoor, request: web.Request, *, is_micro: bool) -> None:
        self._desk = door.desk
        self._world = door.desk.world
        self._peer = request.remote or ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection = Connection(
            request, door.rules, self._world.clock, lambda: encode(self._shutdown())
        )
        self._session = ApiSession(
            door.desk.market,
            door.stream,
            self._hear,
            connected_ms=self._world.now_ms(),
            shows_limits=request.query.get("returnRateLimits", "").lower() != "false",
        )
        self._is_micro = is_micro

    async def opened(self) -> None:
        """Nothing is said before the first request."""

    async def heard(self, text: str) -> None:
        self._desk.note_request(self._peer)
        try:
            request = parse(text)
        except BadRequest as bad:
            self._reply(bad.request_id, bad.error.status, {"error": bad.error.refusal.body()})
            return
        # An order that has arrived is carried out, whether its sender still listens or not.
        task = asyncio.ensure_future(self._serve(request))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def closed(self) -> None:
        self._session.close()

    def _served(self, task: asyncio.Task[None]) -> None:
        """Raise what a request died of, so that the loop reports it; its client waits for long."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.connection.abort()
            task.result()

    async def _serve(self, request: WsRequest) -> None:
        endpoint = self._endpoint(request)
        if endpoint is None:
            refusal = VenueError(*UNSUPPORTED).refusal
            self._reply(request.request_id, refusal.status, {"error": refusal.body()})
            return
        answer = await self._desk.run(self._call(endpoint, request))
        if answer.is_lost:
            self.connection.abort()
            return
        body = self._body(answer)
        if self._is_micro and "result" in body:
            body["result"] = time_unit.in_microseconds(endpoint.path, body["result"])
        if self._session.shows_limits if request.shows_limits is None else request.shows_limits:
            body["rateLimits"] = self._desk.limits.rows(
                self._peer, self._world.wall_ms(), with_orders=answer.has_orders
            )
        self._reply(request.request_id, answer.status, body)
        for subscription, event in self._session.take_ended(self._world.now_ms()):
            self._hear(subscription, event)

    def _endpoint(self, request: WsRequest) -> Endpoint | None:
        own = self._session.endpoint(request.method)
        if own is not None:
            return own
        found = rest_of(self._desk.market, request.version, request.method)
        return None if found is None else self._desk.endpoint(*found)

    def _call(self, endpoint: Endpoint, request: WsRequest) -> Call:
        signature = request.params.get("signature")
        payload = request.signed_text().encode()

        def is_signed_by(secret: str) -> bool:
            return signature is not None and is_signature(secret, payload, signature)

        return Call(
            endpoint=endpoint,
            params=Params(request.params, is_case_blind=self._desk.market is Market.FUTURES),
            peer=self._peer,
            api_key=request.params.get("apiKey"),
            has_signature=signature is not None,
            is_signed_by=is_signed_by,
            transport="ws",
        )

    def _body(self, answer: Answer) -> dict[str, Any]:
        if answer.status == 200:
            return {"result": answer.payload}
        error = dict(answer.payload)
        if answer.status in (418, 429):
            now_ms = self._world.now_ms()
            wait_ms = int(answer.headers.get("Retry-After", "0")) * 1_000
            error["data"] = {"serverTime": now_ms, "retryAfter": now_ms + wait_ms}
        return {"error": error}

    def _reply(self, request_id: RequestId, status: int, body: dict[str, Any]) -> None:
        self.connection.send(encode({"id": request_id, "status": status} | body))

    def _hear(self, subscription: int, event: Payload) -> None:
        if self._is_micro:
            event = in_microseconds(event)
        self.connection.send(encode({"subscriptionId": subscription, "event": event}))

    def _shutdown(self) -> Payload:
        return {"event": server_shutdown(self._world.now_ms())}
