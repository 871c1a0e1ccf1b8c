"""One client's socket: a bounded queue of what leaves, pings, the limit of what comes in, its life.

Knows frames and time only. What a text means is decided by whoever owns the connection.

Source: Binance's WebSocket pages, spot and USD-M ("General WSS information", "Websocket Limits").
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from gridlab.clock import Clock, monotonic_s
from gridlab.domain.market import Market

POLICY_VIOLATION = 1008
GOING_AWAY = 1001
MINUTE_MS = 60_000
DAY_MS = 86_400_000
#: How long a closing connection waits for its reader to take what is queued, and to say goodbye.
FLUSH_S = 1.0


class Talker(Protocol):
    """Who speaks and listens on a connection."""

    async def opened(self) -> None:
        """The handshake is done."""
        ...

    async def heard(self, text: str) -> None:
        """The client sent a text."""
        ...

    def closed(self) -> None:
        """The connection is over; nothing can be sent any more."""
        ...


@dataclass(frozen=True, slots=True)
class SocketRules:
    """What a venue demands of a socket.

    Args:
        messages_per_second: incoming frames that are allowed in any second.
        counts_texts: whether texts count as such frames, or pings and pongs alone.
        max_streams: streams that one connection may listen to.
        ping_ms, pong_ms: how often the server pings, and how long it waits for the same payload.
        lifetime_ms: how long a connection lasts.
        queue_messages: messages that may wait for a slow reader before it is cut off.
    """

    messages_per_second: int = 5
    counts_texts: bool = True
    max_streams: int = 1024
    ping_ms: int = 20_000
    pong_ms: int = MINUTE_MS
    lifetime_ms: int = DAY_MS
    queue_messages: int = 10_000
    max_message_bytes: int = 1 << 20


SPOT_STREAMS = SocketRules()
SPOT_API = SocketRules(counts_texts=False)
FUTURES_STREAMS = SocketRules(messages_per_second=10, ping_ms=3 * MINUTE_MS, pong_ms=10 * MINUTE_MS)
FUTURES_API = SocketRules(
    messages_per_second=10, counts_texts=False, ping_ms=3 * MINUTE_MS, pong_ms=10 * MINUTE_MS
)


class Connection:
    """A client's socket after the handshake.

    Args:
        request: the handshake; its transport is what `abort` cuts.
        clock: the time that lifetime and pings are measured by.
        shutdown_text: makes the `serverShutdown` message in this connection's wrapper.
    """

    def __init__(
        self,
        request: web.Request,
        rules: SocketRules,
        clock: Clock,
        shutdown_text: Callable[[], str],
    ) -> None:
        self.rules = rules
        self.shutdown_text = shutdown_text
        self._request = request
        self._clock = clock
        self._socket = web.WebSocketResponse(
            timeout=FLUSH_S,
            autoping=False,
            compress=False,
            max_msg_size=rules.max_message_bytes,
        )
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(rules.queue_messages)
        self._arrivals: deque[float] = deque(maxlen=rules.messages_per_second)
        self._unanswered: dict[bytes, int] = {}
        self._is_aborted = False

    @property
    def is_open(self) -> bool:
        return not (self._is_aborted or self._socket.closed)

    async def run(self, talker: Talker) -> web.StreamResponse:
        """Shake hands and serve until either side ends it; returns what the handler must return."""
        try:
            await self._socket.prepare(self._request)
        except ConnectionError:
            return web.Response()  # the line was cut during the handshake: nobody reads this
        helpers = [
            asyncio.ensure_future(self._write()),
            asyncio.ensure_future(self._ping()),
            asyncio.ensure_future(self._expire()),
        ]
        for helper in helpers:
            helper.add_done_callback(self._helped)
        try:
            await talker.opened()
            await self._read(talker)
        finally:
            talker.closed()
            for helper in helpers:
                helper.cancel()
            ends = await asyncio.gather(*helpers, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return self._socket

    def send(self, text: str) -> None:
        """Queue a text. A reader so slow that the queue is full is cut off, as the venue does."""
        if not self.is_open:
            return
        try:
            self._outgoing.put_nowait(text)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """End it without a close frame, as a broken line does."""
        self._is_aborted = True
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Send what waits, then the close frame."""
        if not self.is_open:
            return
        try:
            await asyncio.wait_for(self._outgoing.join(), FLUSH_S)
        except TimeoutError:
            self.abort()
            return
        await self._guarded(self._socket.close(code=code, message=reason.encode()))

    def _helped(self, helper: asyncio.Task[None]) -> None:
        """A helper that broke takes its connection with it: nobody may wait for a dead writer."""
        if not helper.cancelled() and helper.exception() is not None:
            self.abort()

    async def _read(self, talker: Talker) -> None:
        while self.is_open:
            message = await self._socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
                is_text = message.type is WSMsgType.TEXT
                if self._is_flooding(is_text):
                    await self.close(POLICY_VIOLATION, "Too many requests")
                    return
                if is_text:
                    await talker.heard(message.data)
                elif message.type is WSMsgType.PING:
                    await self._guarded(self._socket.pong(message.data))
                else:
                    self._note_pong(bytes(message.data))
            elif message.type is WSMsgType.BINARY:
                await self.close(POLICY_VIOLATION, "Invalid request")
                return
            else:
                return

    def _is_flooding(self, is_text: bool) -> bool:
        if is_text and not self.rules.counts_texts:
            return False
        now_s = monotonic_s()
        is_full = len(self._arrivals) == self.rules.messages_per_second
        if is_full and now_s - self._arrivals[0] < 1:
            return True
        self._arrivals.append(now_s)
        return False

    def _note_pong(self, payload: bytes) -> None:
        """A pong answers the ping whose payload it repeats, and those before it; others nothing."""
        if payload not in self._unanswered:
            return
        for earlier in list(self._unanswered):
            del self._unanswered[earlier]
            if earlier == payload:
                return

    async def _write(self) -> None:
        while True:
            text = await self._outgoing.get()
            await self._guarded(self._socket.send_str(text))
            self._outgoing.task_done()

    async def _ping(self) -> None:
        next_ping_ms = self._clock.now_ms() + self.rules.ping_ms
        while True:
            limits = [sent_ms + self.rules.pong_ms for sent_ms in self._unanswered.values()]
            await self._clock.sleep_until(min([next_ping_ms, *limits]))
            now_ms = self._clock.now_ms()
            if any(sent + self.rules.pong_ms <= now_ms for sent in self._unanswered.values()):
                await self.close(POLICY_VIOLATION, "Pong timeout")
                return
            if now_ms >= next_ping_ms:
                payload = str(now_ms).encode()
                self._unanswered[payload] = now_ms
                next_ping_ms = now_ms + self.rules.ping_ms
                await self._guarded(self._socket.ping(payload))

    async def _expire(self) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + self.rules.lifetime_ms)
        await self.close(POLICY_VIOLATION, "disconnected")

    async def _guarded(self, action: Coroutine[Any, Any, object]) -> None:
        """Do it; a peer that is gone meanwhile ends the connection and nothing else."""
        try:
            await action
        except ConnectionError:
            self._is_aborted = True


class Sockets:
    """Every live connection of the twin, so that all can be told or cut off at once.

    Args:
        attempts_per_window: handshakes that one address may make in `window_ms`.

    Attributes:
        stream_rules, api_rules: by market, for connections that are still to come.
        is_limited: whether handshakes are counted at all.
    """

    def __init__(
        self, clock: Clock, *, attempts_per_window: int = 300, window_ms: int = 5 * MINUTE_MS
    ) -> None:
        self.stream_rules = {Market.SPOT: SPOT_STREAMS, Market.FUTURES: FUTURES_STREAMS}
        self.api_rules = {Market.SPOT: SPOT_API, Market.FUTURES: FUTURES_API}
        self.is_limited = True
        self._clock = clock
        self._live: set[Connection] = set()
        self._attempts: dict[str, deque[int]] = {}
        self._attempts_per_window = attempts_per_window
        self._window_ms = window_ms

    @property
    def count(self) -> int:
        return len(self._live)

    def admits(self, peer: str) -> bool:
        """Whether this address may open one more connection now; counts the attempt."""
        now_ms = self._clock.now_ms()
        attempts = self._attempts.setdefault(peer, deque())
        while attempts and attempts[0] <= now_ms - self._window_ms:
            attempts.popleft()
        if self.is_limited and len(attempts) >= self._attempts_per_window:
            return False
        attempts.append(now_ms)
        return True

    async def serve(self, connection: Connection, talker: Talker) -> web.StreamResponse:
        """Run `connection`, known here while it lives."""
        self._live.add(connection)
        try:
            return await connection.run(talker)
        finally:
            self._live.discard(connection)

    async def disconnect_all(self) -> None:
        """Cut every line without a word."""
        for connection in list(self._live):
            connection.abort()

    async def announce_shutdown(self, grace_ms: int = 1_000) -> None:
        """Tell every client `serverShutdown`, and close its connection after the grace time."""
        told = [connection for connection in self._live if connection.is_open]
        for connection in told:
            connection.send(connection.shutdown_text())
        await self._clock.sleep_until(self._clock.now_ms() + grace_ms)
        await asyncio.gather(*(each.close(GOING_AWAY, "Server shutdown") for each in told))
