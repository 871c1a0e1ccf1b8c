"""Law 9 and secrets: who may sign, where a signed request may go, and what never shows."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import re
import traceback
from pathlib import Path

import pytest
from mypy import api as mypy
from scripted_venue import (
    CANCEL,
    KEY,
    PLACE,
    QUERY,
    SECRET,
    TESTNET_RIGHT,
    ScriptedVenue,
    Told,
    order_answer,
    request,
    run,
)

from gridlab.clock import SystemClock
from gridlab.domain.snapshot import Mode
from gridlab.errors import ExchangeUnavailable, InvalidConfig, InvalidInput
from gridlab.exchange.binance.endpoints import PRODUCTION, TESTNET, Endpoints
from gridlab.exchange.binance.routes import ACCOUNT
from gridlab.exchange.binance.signing import Credentials, LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import PublicTransport, SignedTransport


def test_no_live_right_outside_testnet_and_production() -> None:
    for mode in (Mode.REPLAY, Mode.SHADOW):
        with pytest.raises(InvalidInput, match=mode.value):
            LiveRight(mode)


def test_a_signed_transport_needs_the_right_and_the_right_addresses() -> None:
    keys, clock = Credentials("k", "s"), SystemClock()
    with pytest.raises(InvalidInput, match="LiveRight"):
        SignedTransport(None, keys, TESTNET, clock=clock)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfig, match="real exchange"):
        SignedTransport(TESTNET_RIGHT, keys, PRODUCTION, clock=clock)
    mixed = Endpoints(
        TESTNET.rest_spot, TESTNET.ws_spot, TESTNET.ws_api_spot,
        PRODUCTION.rest_futures, TESTNET.ws_futures,
    )  # fmt: skip
    with pytest.raises(InvalidConfig, match="real exchange"):
        SignedTransport(TESTNET_RIGHT, keys, mixed, clock=clock)
    SignedTransport(LiveRight(Mode.PRODUCTION), keys, PRODUCTION, clock=clock)
    with pytest.raises(InvalidConfig, match="5001"):
        SignedTransport(TESTNET_RIGHT, keys, TESTNET, clock=clock, recv_window_ms=5001)


def test_a_public_transport_can_neither_sign_nor_order() -> None:
    members = {name for name, _ in inspect.getmembers(PublicTransport)}
    assert not {"change", "ask", "orders", "signed_ws_params", "account", "right"} & members
    parameters = inspect.signature(PublicTransport.__init__).parameters
    assert set(parameters) == {"self", "endpoints", "clock", "budgets", "timeout_s"}
    public = PublicTransport(TESTNET, clock=SystemClock())
    with pytest.raises(InvalidInput, match="SignedTransport"):
        BinanceSpot(public)  # type: ignore[arg-type]
    assert not any(isinstance(value, Credentials) for value in vars(public).values())


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # without a cache it reads everything
def test_the_type_checker_sees_an_order_without_the_right(tmp_path: Path) -> None:
    head = (
        "from gridlab.clock import SystemClock\n"
        "from gridlab.exchange.binance.endpoints import TESTNET\n"
        "from gridlab.exchange.binance.routes import ACCOUNT, PUBLIC\n"
        "from gridlab.exchange.binance.spot import BinanceSpot\n"
        "from gridlab.exchange.binance.transport import PublicTransport\n"
        "from gridlab.domain.market import Market\n"
        "public = PublicTransport(TESTNET, clock=SystemClock())\n"
        "async def allowed() -> None:\n"
        "    await public.read(PUBLIC[Market.SPOT].price, {})\n"
    )
    leaks = {
        "order": "    await public.change(ACCOUNT[Market.SPOT].place, {})\n",
        "account": "    await public.read(ACCOUNT[Market.SPOT].account, {})\n",
        "venue": "    BinanceSpot(public)\n",
    }
    (tmp_path / "fine.py").write_text(head, encoding="utf-8")
    for name, line in leaks.items():
        text = head + "async def leak() -> None:\n" + line
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    names = ["fine", *leaks]
    root = str(Path(__file__).parents[2])
    said, trouble, _ = mypy.run(
        ["--strict", "--follow-imports=silent", "--config-file", f"{root}/pyproject.toml",
         "--cache-dir", os.environ.get("MYPY_CACHE_DIR", f"{root}/.mypy_cache"),
         *(str(tmp_path / f"{name}.py") for name in names)]
    )  # fmt: skip
    errors = [name for name in names if f"{name}.py:" in said]
    assert errors == list(leaks), said + trouble


def test_only_the_modes_make_a_live_right() -> None:
    root = Path(__file__).parents[2] / "gridlab"
    makers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"\bLiveRight\(", path.read_text(encoding="utf-8"))
    }
    assert makers <= {"app/modes.py", "testing/twin.py"}


@pytest.mark.slow
def test_no_secret_shows_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """In no repr, log line, reason, error or traceback, however a request fails."""
    shown: list[str] = []

    async def work(venue: ScriptedVenue, spot: BinanceSpot) -> None:
        broken = [Told(status=0), Told(body=b"x" * 50, headers={"Content-Encoding": "gzip"}),
                  Told({}, 302, {"Location": "http://127.0.0.1:1/"}), Told(body=b"<html>"),
                  Told({"code": -2015, "msg": "no"}, 401), Told({"code": -1022, "msg": "no"}, 400),
                  Told(order_answer("other")), Told(delay_s=1)]  # fmt: skip
        for told in broken:
            venue.tell(PLACE, told)
            venue.tell(CANCEL, told)
            spot.transport._refused.clear()
            shown.append(repr(await spot.place(request())))
            shown.append(repr(await spot.cancel("BTCUSDT", "gl-a1-0-1-0")))
        for told in (broken[0], broken[2]):
            venue.tell(QUERY, told)
            try:
                shown.append(repr(await spot.query("BTCUSDT", "gl-a1-0-1-0")))
            except ExchangeUnavailable:
                shown.append(traceback.format_exc())
        shown.extend((repr(spot), repr(spot.transport), repr(venue.credentials)))
        shown.append(f"{venue.credentials}")

    with caplog.at_level(logging.DEBUG):
        run(work, timeout_s=0.3)
        gc.collect()
    everything = "\n".join((*shown, caplog.text))
    assert len(shown) > 18
    assert SECRET not in everything
    assert KEY not in everything
    assert "signature=" not in everything


@pytest.mark.parametrize("bad", ["", "with blank", "line\nbreak", "umläut"])
def test_odd_keys_are_refused_without_being_told(bad: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Credentials("good", bad)
    assert not bad.strip() or bad not in str(caught.value)


def test_endpoints_from_a_ready_line_and_from_a_file(tmp_path: Path) -> None:
    line = (
        '{"rest_spot":"http://127.0.0.1:1/","ws_spot":"ws://127.0.0.1:2",'
        '"ws_api_spot":"ws://127.0.0.1:2/ws-api/v3","rest_futures":"http://127.0.0.1:1",'
        '"ws_futures":"ws://127.0.0.1:2/fstream","control":"http://x","key":"k","secret":"s"}'
    )
    found = Endpoints.from_json(line)
    assert (found.rest_spot, found.is_production) == ("http://127.0.0.1:1", False)
    file = tmp_path / "endpoints.json"
    file.write_text(line, encoding="utf-8")
    assert Endpoints.from_json(str(file)) == found
    credentials = Credentials.from_json(line)
    assert credentials is not None
    assert (credentials.key, credentials.secret) == ("k", "s")
    assert Credentials.from_json('{"a": 1}') is None
    for bad, what in (
        ("{}", "rest_spot"), ("[1", "cannot be read"), ("{", "no JSON"),
        (line.replace("http://127.0.0.1:1/", "ftp://h"), "https"),
        (line.replace("http://127.0.0.1:1/", "http://u:p@h"), "user name"),
        (line.replace("http://127.0.0.1:1/", "http://h:port"), "rest_spot"),
    ):  # fmt: skip
        with pytest.raises(InvalidConfig, match=what):
            Endpoints.from_json(bad)


def test_every_order_route_is_signed() -> None:
    from gridlab.exchange.binance import routes

    found = [v for v in vars(routes).values() if isinstance(v, routes.Route)]
    for table in (*ACCOUNT.values(),):
        found += [getattr(table, name) for name in table.__dataclass_fields__]
    changes = [route for route in found if route.is_change]
    assert changes
    assert not any(isinstance(route, routes.Public) for route in changes)
