"""The twin as a command and as a fixture: the ready line, ports, signals, several at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from decimal import Decimal
from typing import Any

import httpx
import pytest
from spot_client import SpotClient

from gridlab.domain.market import Market
from gridlab.errors import Conflict, NotFound
from gridlab.testing.twin import RunningTwin, running_twin

READY = {
    *("rest_spot", "ws_spot", "ws_api_spot", "rest_futures", "ws_futures"),
    *("control", "key", "secret"),
}


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gridlab.twin.server", "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


class TestCommand:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_one_ready_line_then_service_then_a_clean_end(self, number: int) -> None:
        twin = command("--ws-port", "0", "--key", "abc", "--secret", "def", "--speed", "60")
        try:
            assert twin.stdout is not None
            ready = json.loads(twin.stdout.readline())
            assert set(ready) == READY
            assert (ready["key"], ready["secret"]) == ("abc", "def")
            assert ready["rest_spot"].replace("http", "ws") != ready["ws_spot"]
            time = httpx.get(f"{ready['rest_spot']}/api/v3/time").json()
            assert isinstance(time["serverTime"], int)
            assert httpx.get(f"{ready['rest_futures']}/fapi/v1/ping").status_code == 200
            truth = httpx.get(f"{ready['control']}/account").json()
            assert truth["speed"] == 60
            twin.send_signal(number)
            out, error = twin.communicate(timeout=20)
            assert (twin.returncode, out, error) == (0, "", "")
        finally:
            twin.kill()

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--symbols", "NOPE"], "NOPE is not recorded"),
            (["--funds", "USDT"], "is no amount"),
            (["--speed", "-1"], "speed is -1.0"),
            (["--port", "99999"], "port 99999 does not exist"),
            (["--faults", "nothing-such"], "nothing-such"),
            (["--data", "/nowhere"], "neither a file"),
        ],
    )
    def test_what_cannot_be_is_said_in_words(self, words: list[str], text: str) -> None:
        twin = command(*words)
        out, error = twin.communicate(timeout=30)
        assert (twin.returncode, out) == (1, "")
        assert text in error and "Traceback" not in error

    def test_a_taken_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = str(holder.getsockname()[1])
            twin = command("--ws-port", port)
            _, error = twin.communicate(timeout=30)
        assert twin.returncode == 1 and f"port {port}" in error


class TestFixture:
    def test_several_at_once_know_nothing_of_each_other(self) -> None:
        with running_twin(symbols=("BTCUSDT",), funds={"USDT": "10"}) as one:
            with running_twin(symbols=("BTCUSDT",), funds={"USDT": "20"}) as other:
                first, second = SpotClient(one), SpotClient(other)
                assert first.balance("USDT")[0] == "10.00000000"
                assert second.balance("USDT")[0] == "20.00000000"
                stranger = SpotClient(one)
                stranger.base = second.base
                assert stranger.signed("GET", "/api/v3/account").refusal[0] == -2015
                for client in (first, second, stranger):
                    client.http.close()

    def test_what_keeps_a_twin_from_starting_is_raised(self) -> None:
        with pytest.raises(NotFound, match="NOPE is not recorded"):
            with running_twin(symbols=("NOPE",)):
                pytest.fail("it must not start")

    def test_a_market_that_is_not_played_is_not_there(self) -> None:
        with running_twin(symbols=("SOLUSDT",)) as twin:
            assert httpx.get(f"{twin.ready['rest_spot']}/api/v3/ping").status_code == 200
            assert httpx.get(f"{twin.ready['rest_futures']}/fapi/v1/ping").status_code == 404
            assert "futures" not in twin.account()
            with pytest.raises(Conflict, match="no futures"):
                twin.price("SOLUSDT", "100", Market.FUTURES)


class TestControl:
    def refused(self, twin: RunningTwin, path: str, document: dict[str, Any]) -> str:
        with pytest.raises(Conflict) as caught:
            twin.control(path, document)
        return str(caught.value)

    def test_the_truth(self, spot: SpotClient) -> None:
        spot.limit("BUY", "59000", newClientOrderId="open")
        filled = spot.market("BUY", quantity="0.01").body
        truth = spot.twin.account()
        assert {"spot", "futures", "faults", "requests_in_ban", "speed"} <= set(truth)
        assert [row["client_id"] for row in truth["spot"]["open_orders"]] == ["open"]
        trade = truth["spot"]["trades"][-1]
        assert (trade["id"], trade["client_id"]) == (
            filled["fills"][0]["tradeId"],
            filled["clientOrderId"],
        )
        usdt = truth["spot"]["balances"]["USDT"]
        assert Decimal(usdt["free"]) + Decimal(usdt["locked"]) == Decimal(usdt["total"])
        assert {"balances", "wallets", "positions", "open_orders", "trades"} <= set(
            truth["futures"]
        )

    def test_prices_by_text_and_by_number_on_both_markets(self, twin: RunningTwin) -> None:
        for venue, market in (("spot", Market.SPOT), ("fut", Market.FUTURES)):
            answer = twin.control(
                "/price", {"venue": venue, "symbol": "BTCUSDT", "price": 60123.456}
            )
            tick = Decimal("0.01") if market is Market.SPOT else Decimal("0.1")
            assert Decimal(answer["price"]) == Decimal("60123.456").quantize(tick)
            assert twin.account()[market.value]["prices"]["BTCUSDT"] == answer["price"]

    @pytest.mark.parametrize(
        ("path", "document", "text"),
        [
            ("/price", {"symbol": "BTCUSDT"}, "price is None"),
            ("/price", {"symbol": "NOPE", "price": "1"}, "not listed"),
            ("/price", {"symbol": "BTCUSDT", "price": "cheap"}, "not a number"),
            ("/price", {"symbol": "BTCUSDT", "price": "0"}, "cannot trade at"),
            ("/price", {"venue": "moon", "symbol": "BTCUSDT", "price": "1"}, "spot or fut"),
            ("/price", {"price": "1"}, "symbol is None"),
            ("/speed", {"speed": "fast"}, "a number such as 60"),
            ("/speed", {"speed": -1}, "speed is -1"),
            ("/instrument", {"symbol": "BTCUSDT", "base": "X"}, "no rule that can be changed"),
            ("/instrument", {"symbol": "BTCUSDT", "tick_size": "0"}, "must be > 0"),
            ("/instrument", {"symbol": "BTCUSDT", "max_num_orders": "9"}, "int is meant"),
            ("/order/cancel", {"symbol": "BTCUSDT", "client_id": "never"}, "is not open"),
            ("/faults", {"inject": "nothing_such"}, "nothing_such"),
        ],
    )
    def test_refusals(
        self, twin: RunningTwin, path: str, document: dict[str, Any], text: str
    ) -> None:
        assert text in self.refused(twin, path, document)

    def test_what_is_no_document(self, twin: RunningTwin) -> None:
        for body in (b"[1]", b"{", b"\xff"):
            answer = httpx.post(f"{twin.ready['control']}/price", content=body)
            assert answer.status_code == 400 and "error" in answer.json()

    def test_speed(self, twin: RunningTwin) -> None:
        assert twin.control("/speed", {"speed": 1.5}) == {"speed": 1.5}
        assert twin.account()["speed"] == 1.5
        twin.control("/speed", {"speed": 0})
