"""How fast the API answers, beside a bare Flask route, and what greedy readers cost the engine.

It prints, without tokens and again where every request proves itself with one:

- for each of three routes, answers a second and their times, beside those of a bare Flask route
  that sends as many bytes and checks nothing, not even a token; the ratio is to be at least 0.7;
- the engine's step times while nobody reads, and while one reader of each of the three routes asks
  as fast as it can; the 99th percentile is to be at most 1.10 times as long.

Both applications are served by the same kind of server in this process; the readers are processes
of their own with one keep-alive connection each. All that is compared is done in turns, so that a
change of the machine's mood meets all alike. The exit status is 1 where a limit is missed.

    python benchmarks/bench_api.py [--seconds 3] [--rounds 6] [--only rates] [--callers tokens]
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flask import Flask, Response

from gridlab.api import Server
from gridlab.api.scopes import Scope
from gridlab.api.serving import listener
from gridlab.app.facade import GridLab

PATHS = ("/api/status", "/api/klines/BTCUSDT?interval=1h&limit=100", "/api/trading/executions")
BARE = "/bare"
LEAST_RATIO = 0.7
MOST_SLOWER = 1.10
#: Market seconds a second while steps are timed: enough of them for a 99th percentile.
STEP_SPEED = 3000
SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Load(NamedTuple):
    """What one reader saw."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Target(NamedTuple):
    """What a reader asks for; `token` is empty where none is asked for."""

    port: int
    path: str
    token: str = ""

    @property
    def name(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def headers(self) -> dict[str, str]:
        proof = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"Host": f"127.0.0.1:{self.port}", "Accept": "*/*", **proof}


def read_for(target: Target, seconds: float, out: Any) -> None:
    """Ask over one connection as fast as it goes; puts a `Load` into `out`.

    A socket and no library: what a reader spends on parsing would hide what the server does.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    request = f"GET {target.path} HTTP/1.1\r\n{lines}\r\n".encode()
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as line:
        begun = time.perf_counter()
        while (before := time.perf_counter()) - begun < seconds:
            line.sendall(request)
            read_answer(line, target.path)
            times.append(time.perf_counter() - before)
        spent = time.perf_counter() - begun
    ordered = sorted(times)
    p99 = ordered[int(0.99 * len(ordered))]
    out.put(Load(len(times) / spent, 1000 * statistics.median(ordered), 1000 * p99))


def read_answer(line: socket.socket, path: str) -> None:
    """Take one whole answer off the line; ends the process when it is no 200."""
    got = b""
    while (end := got.find(b"\r\n\r\n")) < 0:
        got += line.recv(65536)
    head = got[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"{path} was answered {head[:40]!r}")
    at = head.index(b"content-length:") + 15
    left = int(head[at:].split(b"\r\n", 1)[0]) - (len(got) - end - 4)
    while left > 0:
        left -= len(line.recv(65536))


class Readers:
    """Starts readers in processes of their own."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")

    def load(self, target: Target, seconds: float) -> Load:
        """What a reader of `target` saw in so many seconds."""
        with self.beside(target, seconds) as out:
            found: Load = out.get(timeout=seconds + 60)
        return found

    @contextmanager
    def beside(self, target: Target, seconds: float) -> Iterator[Any]:
        """A reader of `target` at work; gives the queue for its `Load` and waits for its end."""
        out = self._context.Queue()
        reader = self._context.Process(target=read_for, args=(target, seconds, out))
        reader.start()
        yield out
        reader.join()


@contextmanager
def bare_server(body: bytes) -> Iterator[int]:
    """The port of a Flask application with one route, which gives `body`."""
    app = Flask("bare")

    @app.get(BARE)
    def bare() -> Response:
        return Response(body, mimetype="application/json")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = listener(app, "127.0.0.1", 0, listening.fileno())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def started_lab(speed: float) -> Iterator[GridLab]:
    """An engine with two bots on recorded prices, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, GridLab(folder, speed=speed) as lab:
        for symbol in SYMBOLS:
            lab.start_grid(lab.default_spec(symbol))
        yield lab


@contextmanager
def served(lab: GridLab, require_token: bool) -> Iterator[list[Target]]:
    """The routes that are measured, at a server of `lab`."""
    with Server(lab, port=0, require_token=require_token) as server:
        token = "" if server.tokens is None else server.tokens.of(Scope.READ)
        yield [Target(server.port, path, token) for path in PATHS]


def fetched(target: Target) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    connection.request("GET", target.path, headers=target.headers)
    body = connection.getresponse().read()
    connection.close()
    return body


def compare_rates(readers: Readers, require_token: bool, seconds: float, rounds: int) -> bool:
    """Print each route's rate beside a bare one that sends as many bytes; whether all keep up."""
    is_good = True
    with started_lab(300) as lab, served(lab, require_token) as targets:
        for target in targets:
            body = fetched(target)
            with bare_server(body) as bare_port:
                ours, bare = turns(
                    rounds,
                    lambda target=target: readers.load(target, seconds),
                    lambda port=bare_port: readers.load(Target(port, BARE), seconds),
                )
            ratio = ours.per_second / bare.per_second
            is_good &= ratio >= LEAST_RATIO
            print(
                f"{target.name:26} {len(body):7} bytes  {ours.per_second:7.0f}/s  "
                f"p50 {ours.p50_ms:5.2f} ms  p99 {ours.p99_ms:6.2f} ms | bare "
                f"{bare.per_second:7.0f}/s  p99 {bare.p99_ms:6.2f} ms | ratio {ratio:.2f} "
                f"(at least {LEAST_RATIO})"
            )
    return is_good


def turns(rounds: int, *works: Callable[[], Load]) -> list[Load]:
    """The medians of what each work gives, done in turns."""
    found: list[list[Load]] = [[] for _ in works]
    for _ in range(rounds):
        for place, work in zip(found, works, strict=True):
            place.append(work())
    return [
        Load(*(statistics.median(column) for column in zip(*one, strict=True))) for one in found
    ]


class Steps(NamedTuple):
    """The engine's steps in one turn."""

    p50_ms: float
    p99_ms: float
    count: float


def steps_of(lab: GridLab, seconds: float) -> Steps:
    """The engine's steps in the next seconds."""
    session = lab._running().session
    assert session is not None
    session.step_seconds.clear()  # type: ignore[attr-defined]  # a deque, told as a sequence
    time.sleep(seconds)
    ordered = sorted(session.step_seconds)
    at = lambda fraction: 1000 * ordered[int(fraction * len(ordered))]  # noqa: E731
    return Steps(at(0.5), at(0.99), len(ordered))


def compare_steps(readers: Readers, require_token: bool, seconds: float, rounds: int) -> bool:
    """Print the engine's steps without and with each greedy reader; whether they are as fast."""
    quiet: list[Steps] = []
    with started_lab(STEP_SPEED) as lab, served(lab, require_token) as targets:
        busy: dict[Target, list[Steps]] = {target: [] for target in targets}
        steps_of(lab, seconds)  # the first ones load what the later ones find
        for _ in range(rounds):
            quiet.append(steps_of(lab, seconds))
            for target, found in busy.items():
                with readers.beside(target, seconds + 1.0) as out:
                    time.sleep(0.8)  # the process is up by then
                    found.append(steps_of(lab, seconds))
                    out.get(timeout=60)
    usual = typical(quiet)
    print(
        f"engine steps, nobody reads ({usual.count:.0f} a turn): p50 {usual.p50_ms:.3f} p99 "
        f"{usual.p99_ms:.3f} ms; p99 of each turn: {p99s(quiet)}"
    )
    is_good = True
    for target, found in busy.items():
        read = typical(found)
        slower = read.p99_ms / usual.p99_ms
        is_good &= slower <= MOST_SLOWER
        print(
            f"  greedy reader of {target.name:24} p50 {read.p50_ms:.3f} p99 {read.p99_ms:.3f} ms "
            f"| p99 x {slower:.2f} (at most {MOST_SLOWER}); p99 of each turn: {p99s(found)}"
        )
    return is_good


def typical(found: list[Steps]) -> Steps:
    """The medians over the turns."""
    return Steps(*(statistics.median(column) for column in zip(*found, strict=True)))


def p99s(found: list[Steps]) -> str:
    return " ".join(f"{one.p99_ms:.2f}" for one in found)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=6, help="turns, of which the median counts")
    parser.add_argument("--only", choices=("rates", "steps"), help="one half of the work")
    parser.add_argument("--callers", choices=("anyone", "tokens"), help="by default both")
    options = parser.parse_args()
    works = {"rates": compare_rates, "steps": compare_steps}
    is_good = True
    for callers in ("anyone", "tokens"):
        if options.callers in (None, callers):
            print({"anyone": "without tokens", "tokens": "each request with its token"}[callers])
            for name, work in works.items():
                if options.only in (None, name):
                    is_good &= work(Readers(), callers == "tokens", options.seconds, options.rounds)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
