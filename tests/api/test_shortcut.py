"""Answers that are given before Flask wakes: to the same callers, and as Flask would give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from gridlab.api import Server, answers
from gridlab.api.register import ROUTES
from gridlab.api.scopes import GRANTED, Scope
from gridlab.app.facade import GridLab

ADDRESSES = sorted(
    {
        *("/api/status", "/api/market_data", "/api/klines/BTCUSDT?interval=1h&limit=100"),
        *("/api/grid/status/BTCUSDT", "/api/trading/executions", "/api/trading/pairs"),
        *("/api/trades/BTCUSDT", "/api/pairs", "/api/balance", "/api/balance/summary"),
    }
)
WRONG: dict[str, dict[str, str]] = {
    "no token": {},
    "another token": {"Authorization": "Bearer " + "x" * 43},
    "an empty token": {"Authorization": "Bearer "},
    "no scheme": {"Authorization": "x" * 43},
    "another scheme": {"Authorization": "Basic eDp5"},
    "a long token": {"Authorization": "Bearer " + "x" * 2000},
    "no ASCII": {"Authorization": "Bearer \xe9"},
}
Front = tuple[Client, Server, list[str]]


@pytest.fixture
def still(lab: GridLab, running: str, monkeypatch: pytest.MonkeyPatch) -> GridLab:
    """An engine whose present step does not end during a test."""
    present = lab.snapshot
    monkeypatch.setattr(GridLab, "snapshot", property(lambda _: present))
    monkeypatch.setattr(answers, "REBUILD_MS", 60_000)
    return lab


@pytest.fixture
def front_of(still: GridLab) -> Callable[[bool], Front]:
    """A client of what a server serves, the server, and the paths for which Flask woke."""

    def made(require_token: bool) -> Front:
        server, woken = Server(still, port=0, require_token=require_token), []
        inner = server.app.wsgi_app

        def counted(environ: Any, start_response: Any) -> Any:
            woken.append(environ["PATH_INFO"])
            return inner(environ, start_response)

        server.app.wsgi_app = counted  # type: ignore[method-assign]
        return Client(server._blueprint.in_front_of(server.app)), server, woken

    return made


@pytest.fixture
def guarded(front_of: Callable[[bool], Front]) -> Iterator[Front]:
    yield front_of(True)


def bearer(server: Server, scope: Scope) -> dict[str, str]:
    assert server.tokens is not None
    return {"Authorization": f"Bearer {server.tokens.of(scope)}"}


def told(reply: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All of an answer but the id of its request."""
    headers = sorted(line for line in reply.headers if line[0] != "X-Request-Id")
    return reply.status_code, reply.data, headers


def test_every_shared_route_is_asked_here(guarded: Front) -> None:
    shared = {name for name, route in ROUTES.items() if route.is_shared}
    url = guarded[1].app.url_map.bind("localhost")
    assert shared == {
        url.match(address.partition("?")[0])[0].rpartition(".")[2] for address in ADDRESSES
    }


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_repeat_is_the_first_answer(guarded: Front, address: str) -> None:
    client, server, woken = guarded
    first = client.get(address, headers=bearer(server, Scope.READ))
    assert first.status_code == 200 and len(woken) == 1
    for scope in GRANTED:
        again = client.get(address, headers=bearer(server, scope))
        assert told(again) == told(first)
        assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert len(woken) == 1, "Flask slept"


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_wrong_token_gets_no_repeat(guarded: Front, address: str, wrong: str) -> None:
    client, server, woken = guarded
    fresh = client.get(address, headers=WRONG[wrong])
    assert client.get(address, headers=bearer(server, Scope.ADMIN)).status_code == 200
    reply = client.get(address, headers=WRONG[wrong])
    assert reply.status_code == 401 and len(woken) == 3
    assert reply.headers["WWW-Authenticate"] == fresh.headers["WWW-Authenticate"]
    assert reply.json["error"]["code"] == fresh.json["error"]["code"]
    assert set(reply.json) == {"error"}


@pytest.mark.parametrize(
    "other", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Host": ""}]
)
def test_another_host_or_origin_is_checked_anew(guarded: Front, other: dict[str, str]) -> None:
    client, server, woken = guarded
    headers = bearer(server, Scope.READ)
    client.get("/api/status", headers=headers)
    client.get("/api/status", headers={**headers, **other})
    assert len(woken) == 2


def test_a_scope_that_is_too_small_goes_the_long_way(
    guarded: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server, woken = guarded
    monkeypatch.setattr(answers, "scope_of", lambda _: Scope.TRADE)
    for count, scope in enumerate((Scope.ADMIN, Scope.READ), 1):
        client.get("/api/status", headers=bearer(server, scope))
        assert len(woken) == count
    client.get("/api/status", headers=bearer(server, Scope.TRADE))
    assert len(woken) == 2


def test_where_no_token_is_asked_for_any_will_do(front_of: Callable[[bool], Front]) -> None:
    client, _, woken = front_of(False)
    first = client.get("/api/status")
    for headers in WRONG.values():
        assert told(client.get("/api/status", headers=headers)) == told(first)
    assert len(woken) == 1
