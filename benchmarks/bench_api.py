"""How fast the API answers, beside a bare Flask route, and what a greedy reader costs the engine.

Both applications are served by the same kind of server in this process; the readers are processes
of their own with one keep-alive connection each. The second part times the engine's steps while
nobody reads and while one reader asks as fast as it can, in turns, so that a change of the
machine's mood meets both alike.

    python benchmarks/bench_api.py [--seconds 3] [--rounds 5]
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


def read_for(port: int, path: str, seconds: float, out: Any) -> None:
    """Ask for `path` over one connection as fast as it goes; puts a `Load` into `out`.

    A socket and no library: what a reader spends on parsing would hide what the server does.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode()
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        begun = time.perf_counter()
        while (before := time.perf_counter()) - begun < seconds:
            line.sendall(request)
            read_answer(line, path)
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

    def load(self, port: int, path: str, seconds: float) -> Load:
        out = self._context.Queue()
        reader = self._context.Process(target=read_for, args=(port, path, seconds, out))
        reader.start()
        found: Load = out.get(timeout=seconds + 60)
        reader.join()
        return found


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


def fetched(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def compare_rates(readers: Readers, seconds: float, rounds: int) -> bool:
    """Print each route's rate beside a bare one that sends as many bytes; whether all keep up."""
    is_good = True
    with started_lab(300) as lab:
        with Server(lab, port=0) as server:
            for path in PATHS:
                body = fetched(server.port, path)
                with bare_server(body) as bare_port:
                    ours, bare = turns(
                        rounds,
                        lambda path=path: readers.load(server.port, path, seconds),
                        lambda port=bare_port: readers.load(port, BARE, seconds),
                    )
                ratio = ours.per_second / bare.per_second
                is_good &= ratio >= LEAST_RATIO
                print(
                    f"{path.partition('?')[0]:26} {len(body):7} bytes  {ours.per_second:7.0f}/s  "
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


def step_p99_ms(lab: GridLab, seconds: float) -> tuple[float, float, int]:
    """(p50, p99, count) of the engine's steps in the next seconds."""
    session = lab._running().session
    assert session is not None
    session.step_seconds.clear()  # type: ignore[attr-defined]  # a deque, told as a sequence
    time.sleep(seconds)
    ordered = sorted(session.step_seconds)
    at = lambda fraction: 1000 * ordered[int(fraction * len(ordered))]  # noqa: E731
    return at(0.5), at(0.99), len(ordered)


def compare_steps(seconds: float, rounds: int) -> bool:
    """Print the engine's steps without and with a greedy reader; whether they are as fast."""
    context = multiprocessing.get_context("spawn")
    quiet: list[tuple[float, float, int]] = []
    busy: list[tuple[float, float, int]] = []
    with started_lab(STEP_SPEED) as lab:
        with Server(lab, port=0) as server:
            for _ in range(rounds):
                quiet.append(step_p99_ms(lab, seconds))
                out = context.Queue()
                reader = context.Process(
                    target=read_for, args=(server.port, PATHS[0], seconds + 1.0, out)
                )
                reader.start()
                time.sleep(0.8)  # the process is up by then
                busy.append(step_p99_ms(lab, seconds))
                out.get(timeout=60)
                reader.join()
    medians = [
        [statistics.median(column) for column in zip(*one, strict=True)] for one in (quiet, busy)
    ]
    (q50, q99, count), (b50, b99, _) = medians
    print(
        f"engine steps ({count:.0f} a turn): quiet p50 {q50:.3f} p99 {q99:.3f} ms | greedy reader "
        f"p50 {b50:.3f} p99 {b99:.3f} ms | p99 x {b99 / q99:.2f} (at most {MOST_SLOWER})"
    )
    print("  p99 of each turn, quiet: " + " ".join(f"{one[1]:.2f}" for one in quiet))
    print("  p99 of each turn, busy:  " + " ".join(f"{one[1]:.2f}" for one in busy))
    return b99 <= MOST_SLOWER * q99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("rates", "steps"), default=None)
    options = parser.parse_args()
    is_good = True
    if options.only != "steps":
        is_good &= compare_rates(Readers(), options.seconds, options.rounds)
    if options.only != "rates":
        is_good &= compare_steps(options.seconds, options.rounds)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
