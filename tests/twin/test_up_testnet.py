"""`gridlab up --testnet` against `gridlab twin`: two real processes, real sockets, a real SIGKILL.

The twin's own account is the truth. After fills, a kill, moves in the dead time and a restart the
ledgers must account for every change of it to the last digit, and a stop must leave nothing open.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from waiting import wait_for

from gridlab.app.audit import audit_journal
from gridlab.domain.snapshot import Mode

SPOT = {"initial_levels": 6, "spacing_perc": 0.5, "market_type": "spot"}
FUTURES = {"initial_levels": 6, "spacing_perc": 0.5, "market_type": "futures"}
FUNDS = {"USDT": Decimal(50_000), "BTC": Decimal(1)}


def ask(url: str, body: Any = None) -> Any:
    """The JSON answer; a refusal comes back as its JSON too, with its status under `status`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {**json.load(error), "status": error.code}


@dataclass
class Twin:
    """A twin in a process of its own, and what its control port offers."""

    process: subprocess.Popen[str]
    line: str

    @property
    def ready(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.line)
        return found

    def price(self, venue: str, symbol: str, price: str) -> None:
        body = {"venue": venue, "symbol": symbol, "price": price}
        answer = ask(self.ready["control"] + "/price", body)
        assert "status" not in answer, answer

    def account(self) -> Any:
        return ask(self.ready["control"] + "/account")


@dataclass
class Up:
    """A `gridlab up` in a process of its own."""

    words: list[str]
    home: Path
    port: int
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Run it; everything that it printed up to `ready`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gridlab", "up", "--headless", *self.words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(self.home),
        )
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line == "ready\n":
                return "".join(lines)
        raise AssertionError("it ended before it was ready: " + "".join(lines))

    def end(self, number: signal.Signals) -> str:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.communicate(timeout=90)[0]

    def get(self, path: str) -> Any:
        return ask(f"http://127.0.0.1:{self.port}{path}")

    def post(self, path: str, body: Any) -> Any:
        return ask(f"http://127.0.0.1:{self.port}{path}", body)

    def bots(self) -> dict[str, Any]:
        return {bot["symbol"]: bot for bot in self.get("/api/trading/executions")["executions"]}


def environment(home: Path) -> dict[str, str]:
    """Our own variables without anybody's keys, and a home where accounts can be locked."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BINANCE_")}
    return {**kept, "HOME": str(home)}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    words = ["twin", "--port", "0", "--speed", "0", "--symbols", "BTCUSDT,ETHUSDT"]
    funds = ",".join(f"{asset}={amount}" for asset, amount in FUNDS.items())
    process = subprocess.Popen(
        [sys.executable, "-m", "gridlab", *words, "--funds", funds],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path_factory.mktemp("home")),
    )
    assert process.stdout is not None
    yield Twin(process, process.stdout.readline())
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def endpoints(twin: Twin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("endpoints") / "twin.json"
    path.write_text(twin.line, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def up(endpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    port = free_port()
    words = ["--testnet", "--endpoints", str(endpoints), "--port", str(port)]
    running = Up([*words, "--data-dir", str(folder / "data")], folder, port)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.communicate()


def test_a_life_on_the_testnet(twin: Twin, up: Up, tmp_path: Path, endpoints: Path) -> None:
    """One story, because each chapter needs the one before: start, fills, kill, restart, stop."""
    banner = up.start()
    assert "TESTNET" in banner and twin.ready["rest_spot"] in banner
    assert twin.ready["secret"] not in banner and twin.ready["key"] not in banner

    _both_grids_start(up, twin)
    _fills_are_seen(up, twin)
    _a_second_owner_is_refused(twin, endpoints, up.home, tmp_path)
    before = {symbol: bot["total_trades"] for symbol, bot in up.bots().items()}

    up.end(signal.SIGKILL)
    _the_market_moves_while_nobody_watches(twin)
    up.start()
    for symbol, count in before.items():
        found = up.get(f"/api/grid/recovery_status/{symbol}")
        assert found["recovered"] is True and found["fills_found"] > 0, found
        assert up.bots()[symbol]["total_trades"] > count
    _every_slot_is_filled(up)
    _the_ledgers_explain_the_account(up, twin)

    for symbol in ("BTCUSDT", "ETHUSDT"):
        stopped = up.post("/api/grid/stop", {"symbol": symbol, "policy": "sell"})
        assert stopped["status"] in ("stopped", "stopping"), stopped
    wait_for(lambda: all(b["phase"] == "stopped" for b in up.bots().values()), "both stop")
    truth = twin.account()
    assert truth["spot"]["open_orders"] == [] and truth["futures"]["open_orders"] == []
    assert all(Decimal(p["positionAmt"]) == 0 for p in truth["futures"]["positions"])
    _the_ledgers_explain_the_account(up, twin)
    assert _client_ids(truth) and len(_client_ids(truth)) == len(set(_client_ids(truth)))

    words = up.end(signal.SIGTERM)
    assert up.process is not None and up.process.returncode == 0, words
    assert "0 orders stay open at the exchange" in words
    _the_books_agree_to_the_last_digit(truth, up.home / "data")
    journal = (up.home / "data" / "testnet" / "journal.sqlite").read_bytes()
    log = (up.home / "data" / "logs" / "bot.log").read_bytes()
    for secret in (twin.ready["key"], twin.ready["secret"]):
        assert secret.encode() not in journal + log


def _both_grids_start(up: Up, twin: Twin) -> None:
    for symbol, config in (("BTCUSDT", SPOT), ("ETHUSDT", FUTURES)):
        started = up.post("/api/grid/start", {"symbol": symbol, "config": config})
        assert started.get("status") == "started", started
    wait_for(lambda: all(b["phase"] == "running" for b in up.bots().values()), "both run")
    _every_slot_is_filled(up)
    truth = twin.account()
    for symbol, market in (("BTCUSDT", "spot"), ("ETHUSDT", "futures")):
        ours = {order["client_order_id"] for order in up.bots()[symbol]["open_orders"]}
        theirs = {order["client_id"] for order in truth[market]["open_orders"]}
        assert ours == theirs and len(ours) == 6
    sells = [o for o in truth["futures"]["open_orders"] if o["side"] == "sell"]
    assert sells and all(order["reduce_only"] for order in sells)


def _every_slot_is_filled(up: Up) -> None:
    wait_for(
        lambda: all(
            b["active_orders"] == 6 and all(o["state"] == "open" for o in b["open_orders"])
            for b in up.bots().values()
        ),
        "every slot has its order",
    )


def _moved(twin: Twin, venue: str, symbol: str, *shares: str) -> None:
    """Let the market trade at these fractions of the price that the story began with."""
    for share in shares:
        twin.price(venue, symbol, str(round(START[venue] * Decimal(share), 2)))


#: The recorded prices at which the twin stands.
START = {"spot": Decimal("67710.63"), "fut": Decimal("2578.10")}


def _fills_are_seen(up: Up, twin: Twin) -> None:
    before = {symbol: bot["total_trades"] for symbol, bot in up.bots().items()}
    _moved(twin, "spot", "BTCUSDT", "0.993", "1.004")
    _moved(twin, "fut", "ETHUSDT", "0.993", "1.004")
    for symbol, count in before.items():
        wait_for(lambda s=symbol, c=count: up.bots()[s]["total_trades"] >= c + 2, "fills")
    wait_for(lambda: up.bots()["BTCUSDT"]["grid_profit"] > 0, "a pair on spot")
    wait_for(lambda: up.bots()["ETHUSDT"]["grid_profit"] > 0, "a pair on futures")
    _every_slot_is_filled(up)
    fills = up.get("/api/fills?limit=1000")["fills"]
    truth = twin.account()
    for market in ("spot", "futures"):
        theirs = {(t["symbol"], t["id"]) for t in truth[market]["trades"]}
        symbols = {symbol for symbol, _ in theirs}
        ours = {(f["symbol"], f["trade_id"]) for f in fills if f["symbol"] in symbols}
        assert ours == theirs and theirs


def _a_second_owner_is_refused(twin: Twin, endpoints: Path, home: Path, tmp_path: Path) -> None:
    words = ["up", "--headless", "--testnet", "--endpoints", str(endpoints)]
    words += ["--port", str(free_port()), "--data-dir", str(tmp_path / "other")]
    second = subprocess.run(
        [sys.executable, "-m", "gridlab", *words],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment(home),
        check=False,
    )
    assert second.returncode == 1
    assert "two owners would take each other's orders" in second.stderr, second.stderr
    assert twin.ready["secret"] not in second.stderr and twin.ready["key"] not in second.stderr


def _the_market_moves_while_nobody_watches(twin: Twin) -> None:
    _moved(twin, "spot", "BTCUSDT", "1.012", "0.996")
    _moved(twin, "fut", "ETHUSDT", "1.012", "0.996")


def _the_ledgers_explain_the_account(up: Up, twin: Twin) -> None:
    """What each account is worth now minus what it held is the ledger's total, exactly."""
    truth = twin.account()
    mark = Decimal(truth["spot"]["prices"]["BTCUSDT"])
    held = {a: Decimal(b["total"]) for a, b in truth["spot"]["balances"].items()}
    spot = held["USDT"] - FUNDS["USDT"] + (held["BTC"] - FUNDS["BTC"]) * mark
    bots = wait_for(
        lambda: next(
            (
                found
                for found in [up.bots()]
                if Decimal(str(found["BTCUSDT"]["current_price"])) == mark
            ),
            None,
        ),
        "the price reaches the engine",
    )
    assert abs(Decimal(str(bots["BTCUSDT"]["total_pnl"])) - spot) < Decimal("1e-8")
    wallet = Decimal(truth["futures"]["balances"]["USDT"]["total"])
    floating = sum(
        (Decimal(p["unRealizedProfit"]) for p in truth["futures"]["positions"]), Decimal(0)
    )
    futures = wallet - FUNDS["USDT"] + floating
    assert abs(Decimal(str(bots["ETHUSDT"]["total_pnl"])) - futures) < Decimal("1e-7")
    position = sum((Decimal(p["positionAmt"]) for p in truth["futures"]["positions"]), Decimal(0))
    assert Decimal(str(bots["ETHUSDT"]["base_held"])) == position


def _the_books_agree_to_the_last_digit(truth: Any, data_dir: Path) -> None:
    """The journal, replayed through the core, against the twin: exact Decimals, both grids sold."""
    runs = audit_journal(data_dir, Mode.TESTNET)["runs"]
    ledgers = {run["symbol"]: run["ledger"] for run in runs.values()}  # type: ignore[attr-defined]
    held = {asset: Decimal(b["total"]) for asset, b in truth["spot"]["balances"].items()}
    for asset in ("USDT", "BTC"):
        assert Decimal(ledgers["BTCUSDT"][f"wallet.{asset}"]) == held[asset] - FUNDS[asset]
    wallet = Decimal(truth["futures"]["balances"]["USDT"]["total"])
    assert Decimal(ledgers["ETHUSDT"]["wallet.USDT"]) == wallet - FUNDS["USDT"]
    assert Decimal(ledgers["ETHUSDT"]["wallet.ETH"]) == 0


def _client_ids(truth: Any) -> list[str]:
    return [
        order["client_id"] for market in ("spot", "futures") for order in truth[market]["orders"]
    ]
