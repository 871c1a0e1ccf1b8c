"""A twin in a thread of its own, for tests and notebooks: any client can be pointed at it.

>>> with running_twin(symbols=("BTCUSDT",), speed=0) as twin:  # doctest: +SKIP
...     twin.ready["rest_spot"]
"""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from gridlab.domain.market import Market
from gridlab.errors import Conflict
from gridlab.money import Number, parse
from gridlab.twin.options import DEFAULT_SYMBOLS, TwinOptions
from gridlab.twin.server import Twin
from gridlab.twin.world import World

START_S = 30.0

Result = TypeVar("Result")


class RunningTwin:
    """A twin that runs in another thread.

    Attributes:
        ready: the ready line's object: addresses, key and secret.
        world: the twin's inside; touch it only through `do`.
    """

    def __init__(self, twin: Twin, loop: asyncio.AbstractEventLoop) -> None:
        self.ready = dict(twin.ready)
        self.world: World = twin.world
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the twin's own loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    def control(self, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Ask the control port: GET without a document, POST with one.

        Raises:
            Conflict: it refused, with its words.
        """
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.ready["control"] + path, body)
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Conflict(f"the twin's control refused {path}: {error.read().decode()}") from None

    def price(self, symbol: str, price: Number, market: Market = Market.SPOT) -> None:
        """Let the market trade at `price`."""
        self.control("/price", {"venue": market.value, "symbol": symbol, "price": str(price)})

    def account(self) -> Any:
        """The twin's own truth of both accounts."""
        return self.control("/account")


@contextmanager
def running_twin(
    *,
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS,
    speed: float = 0,
    funds: Mapping[str, Number] | None = None,
    data: Path | None = None,
    start_ms: int | None = None,
    pulse_ms: int = 0,
    faults: str | None = None,
    seed: int = 0,
    has_limits: bool = True,
    ws_port: int | None = None,
) -> Iterator[RunningTwin]:
    """A twin on free ports of this machine, for the length of the `with` block.

    Unlike the command's, it stands still and is silent unless it is told otherwise: a test moves
    the price itself. Any number may run at once.

    Args:
        funds: what both wallets hold at the start; the twin's usual amounts when None.

    Raises:
        GridLabError: the twin could not be started, in words.
    """
    amounts = None if funds is None else {a: parse(n, f"funds of {a}") for a, n in funds.items()}
    options = _options(
        amounts,
        symbols=symbols,
        speed=speed,
        data=data,
        start_ms=start_ms,
        pulse_ms=pulse_ms,
        faults=faults,
        seed=seed,
        has_limits=has_limits,
        ws_port=ws_port,
    )
    host = _Host(options)
    host.start()
    try:
        yield host.running()
    finally:
        host.stop()


def _options(funds: Mapping[str, Decimal] | None, **rest: Any) -> TwinOptions:
    return TwinOptions(**rest) if funds is None else TwinOptions(funds=funds, **rest)


class _Host(threading.Thread):
    """The thread: starts the twin in a loop of its own, and ends it when told to."""

    def __init__(self, options: TwinOptions) -> None:
        super().__init__(name="twin", daemon=True)
        self._options = options
        self._is_up = threading.Event()
        self._running: RunningTwin | None = None
        self._error: BaseException | None = None
        self._end: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        twin = Twin(self._options)
        await twin.start()
        self._running = RunningTwin(twin, self._loop)
        self._is_up.set()
        try:
            await self._end.wait()
        finally:
            await twin.stop()

    def running(self) -> RunningTwin:
        """The twin once it is ready; raises what kept it from that."""
        self._is_up.wait(START_S)
        if self._error is not None:
            raise self._error
        if self._running is None:
            raise Conflict(f"the twin was not ready within {START_S} s")
        return self._running

    def stop(self) -> None:
        """End it; raises what it died of, if it did."""
        if self._loop is not None and self._end is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self.join(START_S)
        if self._error is not None:
            raise self._error
