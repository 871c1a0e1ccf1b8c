"""The HTTP client against a real server on loopback: what it sends, and what refusals become."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gridlab.client import Client
from gridlab.client.refusals import refusal
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidConfig, InvalidInput, NotFound


@dataclass
class Recorder:
    """Answers from a table, and remembers what was asked."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Recorder]:
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            recorder.asked.append((self.command, self.path, body, dict(self.headers)))
            path = self.path.split("?")[0]
            status, answer = recorder.answers.get(path, (404, {"error": {"message": "no route"}}))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            return

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    recorder.url = f"http://127.0.0.1:{web.server_port}"
    yield recorder
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("health", "/api/health"),
        ("status", "/api/status"),
        ("operation_mode", "/api/operation_mode"),
        ("executions", "/api/trading/executions"),
        ("balance", "/api/balance"),
        ("balance_summary", "/api/balance/summary"),
    ],
)
def test_reads_return_the_parsed_object(server: Recorder, verb: str, path: str) -> None:
    server.answers[path] = (200, {"mode": "Replay", "n": 1.5})
    with Client(server.url) as client:
        assert getattr(client, verb)() == {"mode": "Replay", "n": 1.5}
    assert server.asked[0][:2] == ("GET", path)


def test_an_engine_that_is_not_ready_tells_its_health(server: Recorder) -> None:
    """That is when one asks; only a refusal in the shape of every error is one."""
    told = {"ready": False, "state": "recovering", "reason": "the disk is full"}
    server.answers["/api/health"] = (503, told)
    with Client(server.url) as client:
        assert client.health() == told
        server.answers["/api/health"] = (503, {"error": {"message": "the engine is stopped"}})
        with pytest.raises(ExchangeUnavailable, match="the engine is stopped"):
            client.health()


def test_lists_come_bare_or_under_their_name(server: Recorder) -> None:
    server.answers["/api/market_data"] = (200, [{"symbol": "BTCUSDT"}])
    server.answers["/api/klines/BTCUSDT"] = (200, {"symbol": "BTCUSDT", "data": [{"open": 1.0}]})
    server.answers["/api/trades/BTCUSDT"] = (200, {"trades": [{"price": 2.0}]})
    with Client(server.url) as client:
        assert client.market_data() == [{"symbol": "BTCUSDT"}]
        assert client.klines("BTCUSDT", "5m", 7, "futures") == [{"open": 1.0}]
        assert client.trades("BTCUSDT", 20) == [{"price": 2.0}]
    assert server.asked[1][1] == "/api/klines/BTCUSDT?interval=5m&limit=7&market_type=futures"
    assert server.asked[2][1] == "/api/trades/BTCUSDT?limit=20"


def test_start_sends_the_documented_body_and_leaves_out_what_is_none(server: Recorder) -> None:
    server.answers["/api/grid/start"] = (200, {"status": "started"})
    with Client(server.url, token="s3cret", language="pt") as client:
        answer = client.start_grid(
            "BTCUSDT", initial_levels=10, spacing_perc="0.5", investment=250.0, quantity=None
        )
    assert answer == {"status": "started"}
    method, path, body, headers = server.asked[0]
    assert (method, path) == ("POST", "/api/grid/start")
    assert body == {
        "symbol": "BTCUSDT",
        "config": {
            "initial_levels": 10,
            "spacing_perc": 0.5,
            "market_type": "spot",
            "investment": 250.0,
        },
    }
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Accept-Language"] == "pt"
    assert headers["X-Requested-With"] == "gridlab"


def test_stop_names_a_policy_only_when_it_is_not_the_default(server: Recorder) -> None:
    server.answers["/api/grid/stop"] = (200, {"status": "stopped"})
    with Client(server.url) as client:
        client.stop_grid("BTCUSDT")
        client.stop_grid("BTCUSDT", "sell")
    assert [asked[2] for asked in server.asked] == [
        {"symbol": "BTCUSDT"},
        {"symbol": "BTCUSDT", "policy": "sell"},
    ]


def test_a_refused_configuration_is_an_answer_of_preflight(server: Recorder) -> None:
    refused = {"valid": False, "errors": ["too few"], "error": {"message": "too few"}}
    server.answers["/api/grid/config"] = (422, refused)
    with Client(server.url) as client:
        answer = client.preflight("BTCUSDT", initial_levels=1, spacing_perc=0.5)
    assert answer["valid"] is False
    assert answer["errors"] == ["too few"]


def test_a_refused_start_raises_with_every_problem(server: Recorder) -> None:
    body = {
        "error": {
            "message": "two problems",
            "field_errors": [
                {"field": "config.initial_levels", "message": "one"},
                {"field": "config.spacing_perc", "message": "two"},
            ],
        },
        "valid": False,
        "errors": ["one", "two"],
    }
    server.answers["/api/grid/start"] = (422, body)
    with Client(server.url) as client, pytest.raises(InvalidConfig) as caught:
        client.start_grid("BTCUSDT", initial_levels=1, spacing_perc=200)
    assert caught.value.problems == ("one", "two")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidConfig),
        (404, NotFound),
        (409, Conflict),
        (422, InvalidConfig),
        (429, ExchangeUnavailable),
        (500, ExchangeUnavailable),
        (503, ExchangeUnavailable),
    ],
)
def test_each_status_has_its_exception_with_the_servers_words(status: int, kind: type) -> None:
    error = refusal(status, {"error": {"message": "the words", "hint": "do this"}}, "GET /x")
    assert type(error) is kind
    assert "the words" in str(error) and ("do this" in str(error) or status in (400, 422))


def test_an_answer_that_is_no_json_is_named_by_its_request(server: Recorder) -> None:
    server.answers["/api/status"] = (502, b"<html>proxy</html>")
    with Client(server.url) as client, pytest.raises(ExchangeUnavailable, match="GET /api/status"):
        client.status()
    server.answers["/api/status"] = (200, b"<html>other program</html>")
    with Client(server.url) as client, pytest.raises(ExchangeUnavailable, match="GridLab engine"):
        client.status()


def test_no_engine_says_that_nothing_was_sent_and_what_to_do() -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else gets this port
        taken.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            with pytest.raises(ExchangeUnavailable, match=r"nothing was sent.*gridlab up"):
                client.start_grid("BTCUSDT", initial_levels=10, spacing_perc=0.5)


def test_a_lost_answer_to_a_change_says_that_the_request_left() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def hang_up() -> None:
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            with pytest.raises(ExchangeUnavailable, match="the request had left"):
                client.stop_grid("BTCUSDT")
        thread.join()


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLAB_API_URL", "http://127.0.0.1:5123/")
    assert Client().base_url == "http://127.0.0.1:5123"
    assert repr(Client()) == "Client('http://127.0.0.1:5123')"
    with pytest.raises(InvalidInput, match="ftp://x"):
        Client("ftp://x")
