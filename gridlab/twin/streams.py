"""Market sockets of both markets, and futures' private ones: URLs, routes, and who hears what.

Spot serves everything under one address. Futures serves each stream on its own route only: a name
on another route, or on the old address without one, is accepted, answers pings, and stays silent,
as the real venue does since 2026-04-23.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.twin.connection import POLICY_VIOLATION, Connection, SocketRules, Sockets
from gridlab.twin.key_listener import KeyedAccount, KeyListener
from gridlab.twin.stream_control import StreamControl
from gridlab.twin.stream_hub import StreamHub, encode
from gridlab.twin.stream_names import Route, parse
from gridlab.twin.stream_payloads import Payload, in_microseconds
from gridlab.twin.user_payloads import server_shutdown

#: The path of futures sockets that were served before routes came; silent since.
OLD_ROUTE = "old"


class StreamDoor:
    """Opens the market sockets of one market.

    Args:
        now_ms: the venue's time.
        on_handshake: told the address of whoever wants to come in.
        account: who tells the account's events to a listen key; only futures has that here.
    """

    def __init__(
        self,
        hub: StreamHub,
        sockets: Sockets,
        clock: Clock,
        now_ms: Callable[[], int],
        on_handshake: Callable[[str], None],
        *,
        account: KeyedAccount | None = None,
    ) -> None:
        self.hub = hub
        self.account = account
        self.now_ms = now_ms
        self.clock = clock
        self._sockets = sockets
        self._on_handshake = on_handshake

    @property
    def rules(self) -> SocketRules:
        """What the next connection is held to."""
        return self._sockets.stream_rules[self.hub.market]

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Every address under which this market's streams are reached."""
        if self.hub.market is Market.SPOT:
            return self._under(prefix, Route.ALL)
        return [
            *self._under(prefix, OLD_ROUTE),
            *(
                definition
                for route in (Route.PUBLIC, Route.MARKET, Route.PRIVATE)
                for definition in self._under(f"{prefix}/{route}", route)
            ),
        ]

    def _under(self, prefix: str, route: str) -> list[web.RouteDef]:
        async def raw(request: web.Request) -> web.StreamResponse:
            names = request.match_info.get("names", "").split("/")
            return await self._open(request, route, names, is_combined=False)

        async def combined(request: web.Request) -> web.StreamResponse:
            names = request.query.get("streams", "").split("/")
            return await self._open(request, route, names, is_combined=True)

        return [
            web.get(f"{prefix}/ws", raw),
            web.get(prefix + "/ws/{names:.*}", raw),
            web.get(f"{prefix}/stream", combined),
        ]

    async def _open(
        self, request: web.Request, route: str, names: list[str], *, is_combined: bool
    ) -> web.StreamResponse:
        peer = request.remote or ""
        self._on_handshake(peer)
        if not self._sockets.admits(peer):
            return web.Response(status=429, text="Too many connection attempts")
        wanted = [name for name in names if name]
        if route == Route.PRIVATE and (key := request.query.get("listenKey")):
            wanted.append(key)
        socket = _StreamSocket(self, request, route, wanted, is_combined=is_combined)
        return await self._sockets.serve(socket.connection, socket)


class _StreamSocket:
    """One client of the market streams."""

    def __init__(
        self,
        door: StreamDoor,
        request: web.Request,
        route: str,
        names: list[str],
        *,
        is_combined: bool,
    ) -> None:
        self._door = door
        self._route = route
        unit = request.query.get("timeUnit", "").upper()
        self._is_micro = door.hub.market is Market.SPOT and unit == "MICROSECOND"
        self._events = frozenset(filter(None, request.query.get("events", "").split("/")))
        self._keys: dict[str, KeyListener] = {}
        self.connection = Connection(request, door.rules, door.clock, self._shutdown_text)
        self.control = StreamControl(
            names, is_combined=is_combined, most=door.rules.max_streams, on_change=self._change
        )

    async def opened(self) -> None:
        if len(self.control.names) > self.connection.rules.max_streams:
            await self.connection.close(POLICY_VIOLATION, "Too many streams")
            return
        self._change(self.control.names, [])

    async def heard(self, text: str) -> None:
        self.connection.send(encode(self.control.answer(text)))

    def closed(self) -> None:
        self._change([], list(self.control.names))

    def _change(self, added: list[str], removed: list[str]) -> None:
        for name in removed:
            self._door.hub.remove(name, self._hear)
            listener = self._keys.pop(name, None)
            if listener is not None:
                listener.stop()
        for name in added:
            if self._is_served_here(name):
                self._door.hub.add(name, self._hear, is_micro=self._is_micro)
            elif self._route == Route.PRIVATE and self._door.account is not None:
                self._keys[name] = self._door.account.listen(name, self._hear_account)

    def _is_served_here(self, name: str) -> bool:
        stream = parse(self._door.hub.market, name)
        return stream is not None and stream.route(self._door.hub.market) == self._route

    def _hear(self, name: str, text: str) -> None:
        if self.control.is_combined:
            text = f'{{"stream":"{name}","data":{text}}}'
        self.connection.send(text)

    def _hear_account(self, listen_key: str, event: Payload) -> None:
        if not self._events or event["e"] in self._events or event["e"] == "listenKeyExpired":
            self._hear(listen_key, encode(event))

    def _shutdown_text(self) -> str:
        event = server_shutdown(self._door.now_ms())
        text = encode(in_microseconds(event) if self._is_micro else event)
        if self.control.is_combined:
            return f'{{"stream":"!serverShutdown","data":{text}}}'
        return text
