"""One stream of a venue, kept alive over WebSocket connections that come and go.

What is said on a stream is the affair of whoever dials it. Here is only life: a connection that
ends is replaced; one that is silent too long or answers no ping is given up; one that grows old, or
that the venue announces to shut down, is replaced before it ends, the new one being up and
subscribed before the old one is let go, so that nothing is missed. Whenever something may have been
missed, `on_gap` is told, after the new connection is up.

The `websockets` package is used directly, because python-binance's own sockets cannot be trusted
with an account: after a reconnect of the WebSocket API its user stream is never subscribed again
and stays silent (sammchardy/python-binance#1682), a full queue of 100 messages ends its reader
(#1295, #1647), and a connection that died silently is not noticed (#1057). Here a message goes from
the socket to its receiver without a queue of ours in between, and a slow receiver slows the socket
down: nothing is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from gridlab.clock import Clock
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import StreamState
from gridlab.exchange.silence import Silence, ahead_by_date_ms, stated_end_ms

log = logging.getLogger(__name__)

#: Binance ends connections after 24 h.
LIFE_MS = (23 * 60 + 50) * 60_000
CHECK_EVERY_MS = 1_000
PING_EVERY_MS = 10_000
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 30_000
LONGEST_PATIENCE_MS = 300_000
#: A connection that lasted so long was a good one: the next pause is short again.
GOOD_AFTER_MS = 30_000
#: An old connection is still read for so long after its successor is up.
LINGER_S = 1.0
_OPEN_S = 10.0
_CLOSE_S = 1.0

Dial: TypeAlias = Callable[[], Awaitable[ClientConnection]]
Receive: TypeAlias = Callable[[str | bytes], None]


class SocketRefused(ExchangeUnavailable):
    """The venue answered a connection with something else, as it does under a ban.

    Args:
        status, headers, body: of that answer.
    """

    def __init__(
        self, words: str, status: int, headers: Mapping[str, str], body: bytes | bytearray
    ) -> None:
        self.status, self.headers, self.body = status, headers, bytes(body)
        super().__init__(words)


async def open_socket(address: str, silence: Silence, clock: Clock) -> ClientConnection:
    """A connection to `address`, unless a ban forbids it; a ban that is answered is kept.

    Raises:
        SocketRefused: the venue answers, and not with a connection.
        ExchangeUnavailable: there is none to be had.
    """
    if silence.is_banned:
        raise ExchangeUnavailable(f"no connection is asked for: {silence.words()}")
    try:
        return await _connected(address)
    except SocketRefused as error:
        if error.status == 418:
            now_ms = clock.now_ms()
            ahead_ms = ahead_by_date_ms(error.headers, now_ms)
            words = error.body.decode(errors="replace")
            silence.ban(stated_end_ms(error.headers, words, now_ms, ahead_ms))
        raise


async def _connected(address: str) -> ClientConnection:
    try:
        return await connect(
            address,
            compression=None,  # small messages: time matters and bytes do not
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=None,  # `Stream` pings
            max_size=8 * 2**20,
            proxy=None,
        )
    except InvalidStatus as error:
        answer = error.response
        raise SocketRefused(
            f"no connection to {address.partition('?')[0]}: the venue answers {answer.status_code}",
            answer.status_code,
            dict(answer.headers.raw_items()),
            answer.body or b"",
        ) from error
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise ExchangeUnavailable(
            f"no connection to {address.partition('?')[0]}: {str(error) or type(error).__name__}"
        ) from error


@dataclass(slots=True)
class _Line:
    """One connection that is read, since when, and when it last gave a sign of life."""

    connection: ClientConnection
    up_ms: int
    heard_ms: int
    pinged_ms: int
    reader: asyncio.Task[None]
    pong: Awaitable[float] | None = None


class Stream:
    """Keeps one stream alive.

    Args:
        name: what people call it in the log.
        dial: gives a connection on which the stream already flows; raises `ExchangeUnavailable`.
        receive: takes each message; what it raises is logged and told as a gap.
        on_gap: told why messages may have been missed, each time that the stream flows again.
        silence_ms: without a message for so long the stream is STALE and dialled again; None for a
            stream that may rightly be silent. A connection that answers no ping is always given up.
        life_ms: age at which a connection is replaced by a new one.

    Attributes:
        state: CONNECTING, READY (it flows), STALE or CLOSED.
        reason: why it is in that state.
        heard_ms: the last message or pong.
    """

    def __init__(
        self,
        name: str,
        dial: Dial,
        receive: Receive,
        on_gap: Callable[[str], None],
        clock: Clock,
        *,
        silence_ms: int | None = None,
        life_ms: int = LIFE_MS,
    ) -> None:
        self.name = name
        self.state = StreamState.CONNECTING
        self.reason = "not connected yet"
        self.heard_ms = clock.now_ms()
        self.message_ms = self.heard_ms
        self._dial = dial
        self._receive = receive
        self._on_gap = on_gap
        self._clock = clock
        self._silence_ms = silence_ms
        self._life_ms = life_ms
        self._line: _Line | None = None
        self._ended = asyncio.Event()
        self._renewal = ""
        self._renew_from_ms = 0
        self._silences = 0
        self._keeper: asyncio.Task[None] | None = None
        self._lingering: set[asyncio.Task[None]] = set()

    # --- what its owner does ----------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and keep connected; returns when the stream flows.

        Raises:
            ExchangeUnavailable: the first connection failed; nothing is kept up.
        """
        await self._replace("first connection")
        self._keeper = asyncio.create_task(self._keep(), name=f"{self.name} stream")

    async def close(self) -> None:
        """End it for good."""
        self.state, self.reason = StreamState.CLOSED, "closed by us"
        tasks = [task for task in (self._keeper, *self._lingering) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        line, self._line = self._line, None
        if line is not None:
            await _hang_up(line)

    def give_up(self, reason: str) -> None:
        """End the connection that is up and dial again: what came by it cannot be trusted."""
        if self._line is not None and self.state is not StreamState.CLOSED:
            self._lose(reason)

    def renew(self, reason: str) -> None:
        """Replace the connection soon, without missing anything."""
        self._renewal = self._renewal or reason

    async def send(self, text: str) -> None:
        """Say something on the connection that is up; lost when there is none."""
        if self._line is not None:
            try:
                await self._line.connection.send(text)
            except ConnectionClosed as error:
                log.info("%s: not sent, the connection has ended: %s", self.name, error)

    @property
    def is_up(self) -> bool:
        return self._line is not None

    @property
    def up_ms(self) -> int:
        """Since when the present connection is up; 0 when there is none."""
        return 0 if self._line is None else self._line.up_ms

    # --- connections ------------------------------------------------------------------------------

    async def _replace(self, reason: str) -> None:
        """Dial, and make the new connection the one that counts; the old one lingers a little.

        Raises:
            ExchangeUnavailable: no new connection; the old one, if any, goes on.
        """
        connection = await self._dial()
        now_ms = self._clock.now_ms()
        old, was_whole = self._line, self._line is not None
        reader = asyncio.create_task(self._read(connection), name=f"{self.name} reader")
        self._line = _Line(connection, now_ms, now_ms, now_ms, reader)
        self._ended.clear()
        self._renewal, self._renew_from_ms = "", now_ms + self._life_ms
        self.heard_ms = now_ms
        # After a silence only a message is a sign of life, a connection is none.
        self.state = StreamState.STALE if self._silences else StreamState.READY
        self.reason = reason
        if old is not None:
            task = asyncio.create_task(self._linger(old))
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)
        if not was_whole:
            self._on_gap(reason)

    async def _linger(self, line: _Line) -> None:
        await asyncio.sleep(LINGER_S)
        await _hang_up(line)

    async def _read(self, connection: ClientConnection) -> None:
        """Hand over every message of one connection until it ends."""
        try:
            while True:
                message = await connection.recv()
                self.message_ms = self.heard_ms = self._clock.now_ms()
                self._silences = 0
                if self._line is not None and self._line.connection is connection:
                    self._line.heard_ms = self.heard_ms
                    if self.state is StreamState.STALE:
                        self.state, self.reason = StreamState.READY, "messages come again"
                try:
                    self._receive(message)
                except Exception as error:
                    log.exception("%s: a message could not be used", self.name)
                    self._on_gap(f"a message could not be used ({type(error).__name__}: {error})")
        except ConnectionClosed as error:
            if self._line is not None and self._line.connection is connection:
                self._lose(f"the connection ended: {error}")

    def _lose(self, reason: str) -> None:
        """The present connection is no good any more: the keeper dials again."""
        line, self._line = self._line, None
        self.state, self.reason = StreamState.CONNECTING, reason
        log.warning("%s: %s", self.name, reason)
        if line is not None:
            task = asyncio.create_task(_hang_up(line))
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)
        self._ended.set()

    # --- keeping ----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Watch the connection; replace it when it ended, or is about to."""
        pause_ms, up_ms = FIRST_PAUSE_MS, self._clock.now_ms()
        while True:
            if self._line is not None:
                up_ms = self._line.up_ms
                await self._watch_for_a_while()
                continue
            if self._clock.now_ms() - up_ms >= GOOD_AFTER_MS:
                pause_ms = FIRST_PAUSE_MS
            reason = self.reason
            try:
                await self._replace(reason)
                up_ms = self._clock.now_ms()
            except ExchangeUnavailable as error:
                self.reason = f"{reason}; {error}"
                log.warning("%s: %s", self.name, error)
                await self._clock.sleep_until(self._clock.now_ms() + pause_ms)
                self.reason = reason
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)

    async def _watch_for_a_while(self) -> None:
        """Wait a second or until the connection ends; then ping, and judge silence and age."""
        sleeping = asyncio.ensure_future(
            self._clock.sleep_until(self._clock.now_ms() + CHECK_EVERY_MS)
        )
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({sleeping, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            ending.cancel()
        line, now_ms = self._line, self._clock.now_ms()
        if line is None:
            return
        await self._check_pings(line, now_ms)
        if self._line is line:
            self._check_silence(line, now_ms)
        if self._line is line and (self._renewal or now_ms >= self._renew_from_ms):
            await self._try_renewal(now_ms)

    def _check_silence(self, line: _Line, now_ms: int) -> None:
        """Call a silent stream STALE, and dial again; a market that rests is dialled less often.

        Each silence in a row doubles the patience, up to five minutes: a symbol that nobody trades
        must not make us dial for ever.
        """
        silent_ms = now_ms - line.heard_ms
        if self._silence_ms is None or silent_ms < self._silence_ms:
            return
        patience_ms = min(self._silence_ms << min(self._silences, 8), LONGEST_PATIENCE_MS)
        if silent_ms >= patience_ms:
            self._silences += 1
            self._lose(f"no message for {silent_ms // 1000} s")
        self.state, self.reason = StreamState.STALE, f"no message for {silent_ms // 1000} s"

    async def _check_pings(self, line: _Line, now_ms: int) -> None:
        if now_ms - line.pinged_ms < PING_EVERY_MS:
            return
        if line.pong is not None:
            self._lose(f"no answer to a ping for {(now_ms - line.pinged_ms) // 1000} s")
            self.state = StreamState.STALE
            return
        try:
            pong = await line.connection.ping()
        except ConnectionClosed:
            return  # the reader tells
        line.pong, line.pinged_ms = pong, now_ms
        asyncio.ensure_future(pong).add_done_callback(lambda done: self._on_pong(line, done))

    def _on_pong(self, line: _Line, done: asyncio.Future[float]) -> None:
        line.pong = None
        if not done.cancelled() and done.exception() is None:
            self.heard_ms = self._clock.now_ms()

    async def _try_renewal(self, now_ms: int) -> None:
        """A new connection before the old one ends; when it fails, the old one serves on."""
        reason = self._renewal or f"the connection was {self._life_ms // 60_000} min old"
        try:
            await self._replace(reason)
        except ExchangeUnavailable as error:
            log.warning("%s: not renewed yet (%s): %s", self.name, reason, error)
            self._renewal, self._renew_from_ms = "", now_ms + LONGEST_PAUSE_MS


async def _hang_up(line: _Line) -> None:
    """Close one connection and its reader; the venue may be gone, so nothing is waited for long."""
    line.reader.cancel()
    await asyncio.gather(line.reader, return_exceptions=True)
    await line.connection.close()
