"""The market's trades, from a venue's public streams: prices as they are made.

One combined stream a market, by aggregated trades, whose ids rise by one for each symbol, so that a
reader can tell what it missed and ask for it. Needs no key. On futures the `market` route carries
them; the same name on another route is accepted and silent for ever.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import Price, StreamHealth, StreamState
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.events import Tick, market_tick
from gridlab.exchange.binance.stream import LIFE_MS, Stream, open_socket
from gridlab.exchange.silence import Silence

log = logging.getLogger(__name__)

#: A stream of liquid symbols that says nothing for so long is not to be trusted.
SILENCE_MS = 10_000
#: Names in one request; a venue takes a handful of requests a second.
NAMES_A_REQUEST = 100
_ANSWER_S = 10.0

OnTick: TypeAlias = Callable[[Tick], None]


class MarketStream:
    """The trades of some symbols of one market.

    Args:
        silence: whether the venue may be spoken to; a ban forbids new connections too.

    Attributes:
        market: spot or futures.
        last: the last trade of each symbol that had one.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        market: Market,
        clock: Clock,
        *,
        silence: Silence | None = None,
        silence_ms: int = SILENCE_MS,
        life_ms: int = LIFE_MS,
    ) -> None:
        self.market = market
        self.last: dict[str, Tick] = {}
        base = endpoints.ws_spot if market is Market.SPOT else f"{endpoints.ws_futures}/market"
        self._address = f"{base}/stream"
        self._clock = clock
        self._silence = silence or Silence(clock)
        self._last_ids: dict[str, int] = {}
        self._names: dict[str, None] = {}
        self._listeners: list[OnTick] = []
        self._on_gaps: list[Callable[[str], None]] = []
        self._numbers = itertools.count(1)
        self._is_open = False
        self.stream = Stream(
            f"{market} market",
            self._dial,
            self._receive,
            self._on_gap,
            clock,
            silence_ms=silence_ms,
            life_ms=life_ms,
        )

    # --- what its owner does ----------------------------------------------------------------------

    def listen(self, on_tick: OnTick, on_gap: Callable[[str], None] | None = None) -> None:
        """Call `on_tick` for every later trade, and `on_gap` when some may have been missed."""
        self._listeners.append(on_tick)
        if on_gap is not None:
            self._on_gaps.append(on_gap)

    async def open(self, symbols: Iterable[str] = ()) -> None:
        """Connect and stay connected.

        Raises:
            ExchangeUnavailable: the first connection failed.
        """
        self._names.update({_name(symbol): None for symbol in symbols})
        await self.stream.open()
        self._is_open = True

    async def subscribe(self, symbols: Iterable[str]) -> None:
        """Have the trades of these symbols too, from now on and after every reconnection."""
        new = [name for name in map(_name, symbols) if name not in self._names]
        self._names.update(dict.fromkeys(new))
        if self._is_open:
            for request in self._requests(new):
                await self.stream.send(request)

    async def unsubscribe(self, symbols: Iterable[str]) -> None:
        """Have the trades of these symbols no more, and forget their prices."""
        gone = [symbol for symbol in symbols if _name(symbol) in self._names]
        for symbol in gone:
            del self._names[_name(symbol)]
            self.last.pop(symbol, None)
        if self._is_open:
            for request in self._requests(list(map(_name, gone)), "UNSUBSCRIBE"):
                await self.stream.send(request)

    async def close(self) -> None:
        await self.stream.close()

    @property
    def health(self) -> StreamHealth:
        """BANNED while a ban keeps it from connecting; what is connected may go on."""
        if self.stream.state is StreamState.CONNECTING and self._silence.is_banned:
            words = self._silence.words()
            return StreamHealth(StreamState.BANNED, words, self.stream.message_ms)
        return StreamHealth(self.stream.state, self.stream.reason, self.stream.message_ms)

    def price(self, symbol: str) -> Price | None:
        """The last trade's price and time; None when there was none yet."""
        tick = self.last.get(symbol)
        return None if tick is None else Price(tick.price, tick.time_ms)

    # --- the stream -------------------------------------------------------------------------------

    async def _dial(self) -> ClientConnection:
        """A connection with every symbol subscribed and confirmed."""
        connection = await open_socket(self._address, self._silence, self._clock)
        try:
            async with asyncio.timeout(_ANSWER_S):
                for request in self._requests(list(self._names)):
                    await connection.send(request)
                    await self._confirmed(connection, json.loads(request)["id"])
        except (TimeoutError, ConnectionClosed, ValueError) as error:
            await connection.close()
            raise ExchangeUnavailable(
                f"the {self.market} market stream did not confirm: {error or 'too late'}"
            ) from error
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _confirmed(self, connection: ClientConnection, number: int) -> None:
        while True:
            answer = json.loads(await connection.recv())
            if answer.get("id") == number:
                if answer.get("result") is None and "error" not in answer:
                    return
                raise ExchangeUnavailable(f"the {self.market} market stream refused: {answer}")
            self._take(answer)

    def _requests(self, names: list[str], method: str = "SUBSCRIBE") -> list[str]:
        """Requests of `method` for these stream names."""
        return [
            json.dumps(
                {
                    "method": method,
                    "params": names[first : first + NAMES_A_REQUEST],
                    "id": next(self._numbers),
                }
            )
            for first in range(0, len(names), NAMES_A_REQUEST)
        ]

    def _receive(self, message: str | bytes) -> None:
        self._take(json.loads(message))

    def _take(self, message: object) -> None:
        tick = market_tick(message)
        if tick is not None:
            self._on_tick(tick)
        elif isinstance(message, dict) and _is_shutdown(message):
            self.stream.renew("the venue's server shuts down")
        elif isinstance(message, dict) and "error" in message:
            log.warning("%s: the venue refused a subscription: %s", self.stream.name, message)

    def _on_tick(self, tick: Tick) -> None:
        if tick.trade_id <= self._last_ids.get(tick.symbol, -1):
            return  # told twice, by an old and a new connection
        self._last_ids[tick.symbol] = tick.trade_id
        self.last[tick.symbol] = tick
        for listener in self._listeners:
            listener(tick)

    def _on_gap(self, reason: str) -> None:
        self._last_ids.clear()  # a test venue that began anew counts from one again
        for listener in self._on_gaps:
            listener(reason)


def _name(symbol: str) -> str:
    return f"{symbol.lower()}@aggTrade"


def _is_shutdown(message: dict[str, object]) -> bool:
    data = message.get("data", message)
    return isinstance(data, dict) and data.get("e") == "serverShutdown"
