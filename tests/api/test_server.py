"""The server over a real socket: ports, stopping, requests that are not HTTP, and speed."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ports import free_port

from gridlab.api import Server, create_app
from gridlab.app.facade import GridLab
from gridlab.errors import Conflict, InvalidConfig


@pytest.fixture
def server(lab: GridLab) -> Iterator[Server]:
    with Server(lab, port=0) as running:
        yield running


def get(server: Server, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def test_serves_and_stops(lab: GridLab, capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    server = Server(lab, port=port).start()
    assert server.url == f"http://127.0.0.1:{port}"
    assert get(server, "/api/health")[0] == 200
    with pytest.raises(Conflict, match="already runs"):
        server.start()
    server.stop()
    server.stop()
    with pytest.raises(OSError):
        get(server, "/api/health")
    with Server(lab, port=port) as again:
        assert get(again, "/api/status")[1]["api_status"] == "online"
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_told_in_words(lab: GridLab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} is taken by another program.*--port"):
            Server(lab, port=port).start()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])
def test_other_addresses_need_tokens(lab: GridLab, host: str) -> None:
    server = Server(lab, host=host)
    assert server.tokens is not None
    assert server.app.test_client().get("/api/status").status_code == 401


@pytest.mark.parametrize("host", ["", "a b", "x/y", "host:1"])
def test_hosts_that_are_none(lab: GridLab, host: str) -> None:
    with pytest.raises(InvalidConfig, match="give an address of this machine"):
        Server(lab, host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_that_are_none(lab: GridLab, port: int) -> None:
    with pytest.raises(InvalidConfig, match="0 to 65535"):
        Server(lab, port=port)


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_not_http_gets_json(server: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        line.sendall(raw)
        reply = b""
        while part := line.recv(4096):
            reply += part
    body = reply.partition(b"\r\n\r\n")[2] or reply
    assert json.loads(body)["error"]["code"] == "bad_request"


def test_a_large_body_is_answered_not_cut_off(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/grid/config", b"x" * 3_000_000, headers)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_is_read_and_bounded(server: Server) -> None:
    for pieces, status in (([b'{"symbol":', b'"NOSUCH"}'], 404), ([b" " * 40_000] * 3, 413)):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        connection.request("POST", "/api/grid/stop", iter(pieces), headers, encode_chunked=True)
        assert connection.getresponse().status == status
        connection.close()


def test_many_at_once(server: Server) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(get(server, "/api/status")[0]))
        for _ in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 24


def test_half_of_the_calls_take_a_few_milliseconds(lab: GridLab, running: str) -> None:
    client = create_app(lab).test_client()
    for path in ("/api/status", "/api/trading/executions", "/api/klines/BTCUSDT"):
        times = []
        for _ in range(25):
            begun = time.perf_counter()
            client.get(path)
            times.append(time.perf_counter() - begun)
        assert statistics.median(times) < 0.015, path
