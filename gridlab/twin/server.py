"""The twin as a server: its ports, its life, and the `gridlab twin` command.

One application serves REST and the sockets of both markets: spot under the root, the futures
sockets under `/fstream`; the control has a port of its own, on loopback whatever the host is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from gridlab.clock import Clock
from gridlab.domain.market import Market
from gridlab.errors import Conflict, GridLabError
from gridlab.twin import rest_routes, spot_account, spot_market, spot_orders
from gridlab.twin.control import Control
from gridlab.twin.fault_runner import FaultRunner
from gridlab.twin.futures_desk import FuturesDesk
from gridlab.twin.options import TwinOptions, add_arguments, from_arguments
from gridlab.twin.rest import Desk, Endpoint
from gridlab.twin.socket_routes import routes as socket_routes
from gridlab.twin.world import World

__all__ = ["FUTURES_SOCKETS", "LOOPBACK", "Twin", "add_arguments", "main"]

LOOPBACK = "127.0.0.1"
#: Clients put hundreds of stream names into one address.
LONGEST_URL = 1 << 16
#: Where the futures sockets lie: both markets have /ws and /stream.
FUTURES_SOCKETS = "/fstream"
_SPOT: tuple[Endpoint, ...] = (
    *spot_market.ENDPOINTS,
    *spot_orders.ENDPOINTS,
    *spot_account.ENDPOINTS,
)


class Twin:
    """A running twin.

    Attributes:
        ready: where everything is, once started; the ready line's object.
    """

    def __init__(self, options: TwinOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.world = World(options, clock)
        self.ready: Mapping[str, str] = {}
        self.desks: dict[Market, Desk] = {}
        self._futures: FuturesDesk | None = None
        self._runner: FaultRunner | None = None
        self._runners: list[web.AppRunner] = []

    async def start(self) -> Mapping[str, str]:
        """Open every port and begin to play; returns the ready line's object.

        Raises:
            Conflict: a port is taken.
        """
        world, options = self.world, self.options
        runner = self._runner = FaultRunner(world)
        sockets = self._add_markets()
        rest = rest_routes.routes(self.desks)
        control = Control(world, runner, self._futures).routes()
        try:
            if options.ws_port is None:
                port = ws_port = await self._open([*rest, *sockets], options.host, options.port)
            else:
                port = await self._open(rest, options.host, options.port)
                ws_port = await self._open(sockets, options.host, options.ws_port)
            control_port = await self._open(control, LOOPBACK, options.control_port)
            await world.start()
            await runner.start()
            if self._futures is not None:
                await self._futures.start()
        except BaseException:
            await self.stop()
            raise
        self.ready = self._addresses(port, ws_port, control_port)
        return self.ready

    async def stop(self) -> None:
        """Close every port and stand still; what was open stays nowhere: the twin forgets."""
        if self._futures is not None:
            await self._futures.stop()
        if self._runner is not None:
            await self._runner.stop()
        await self.world.stop()
        for runner in self._runners:
            await runner.cleanup()
        self._runners = []

    def _add_markets(self) -> list[web.RouteDef]:
        """A desk for each market that is played; returns the routes of their sockets."""
        world = self.world
        sockets: list[web.RouteDef] = []
        if Market.SPOT in world.venues:
            desk = self.desks[Market.SPOT] = Desk(world, Market.SPOT, _SPOT)
            sockets += socket_routes(desk)
        if Market.FUTURES in world.venues:
            futures = self._futures = FuturesDesk(world)
            desk = self.desks[Market.FUTURES] = Desk(world, Market.FUTURES, futures.endpoints())
            sockets += socket_routes(desk, FUTURES_SOCKETS, figures=futures.figures)
        return sockets

    async def _open(self, routes: Iterable[web.RouteDef], host: str, port: int) -> int:
        """Serve `routes`; returns the port, which the system chose when it was 0."""
        app = web.Application(client_max_size=1 << 20)
        app.add_routes(routes)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, max_line_size=LONGEST_URL
        )
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise Conflict(
                f"port {port} of {host} cannot be opened ({error.strerror}); choose another, or 0"
            ) from None
        return int(runner.addresses[0][1])

    def _addresses(self, port: int, ws_port: int, control_port: int) -> dict[str, str]:
        host = self.options.host
        rest, sockets = f"http://{host}:{port}", f"ws://{host}:{ws_port}"
        return {
            "rest_spot": rest,
            "ws_spot": sockets,
            "ws_api_spot": f"{sockets}/ws-api/v3",
            "rest_futures": rest,
            "ws_futures": f"{sockets}{FUTURES_SOCKETS}",
            "control": f"http://{LOOPBACK}:{control_port}",
            "key": self.world.key,
            "secret": self.world.secret,
        }


def main(words: argparse.Namespace) -> int:
    """Run a twin until SIGINT or SIGTERM; prints one JSON line when it is ready."""
    asyncio.run(_serve(Twin(from_arguments(words))))
    return 0


async def _serve(twin: Twin) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    ready = await twin.start()
    # What is there now stays: the collector need not look at it again and again.
    gc.freeze()
    print(json.dumps(dict(ready)), flush=True)
    try:
        await done.wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await twin.stop()


def _command(arguments: Sequence[str] | None = None) -> Any:
    parser = argparse.ArgumentParser(
        prog="gridlab twin", description="A local server that speaks Binance's protocol."
    )
    add_arguments(parser)
    try:
        return main(parser.parse_args(arguments))
    except GridLabError as error:
        print(f"gridlab twin: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(_command())
