"""Every documented answer, field by field: the names, the JSON types, and that they agree."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from gridlab.app.facade import GridLab
from gridlab.domain.market import Market
from gridlab.domain.snapshot import BotStatus
from gridlab.exchange.base import Dated

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
GRID = {
    "symbol": "BTCUSDT",
    "config": {"initial_levels": 10, "spacing_perc": 0.5, "market_type": "spot"},
}


class Null:
    """A type, or null."""

    def __init__(self, inner: object) -> None:
        self.inner = inner


class Uptime:
    """A text such as `2h 15m`."""


class Iso:
    """An ISO time in UTC, to the second."""


class Digits:
    """A number written as text."""


TRADE = {"type": str, "price": float, "quantity": float, "timestamp": int}
ORDER = {
    **{"order_id": str, "type": str, "side": str, "price": float, "quantity": float},
    **{"status": str, "timestamp": int},
}
BALANCE = {"asset": str, "free": float, "locked": float, "total": float, "usdt_value": float}
TICKER = {
    **{"symbol": str, "price": Digits, "volume": Digits, "change_24h": Digits},
    **{"high_24h": Digits, "low_24h": Digits, "quote_volume": Null(Digits)},
}
CANDLE = {
    **{"timestamp": int, "open": float, "high": float, "low": float, "close": float},
    **{"volume": float, "close_time": int, "quote_volume": Null(float), "trades": Null(int)},
}
BOT = {
    **{"symbol": str, "status": str, "current_price": float, "grid_levels": int},
    **{"active_orders": int, "total_trades": int, "realized_pnl": float},
    **{"unrealized_pnl": float, "uptime": Uptime, "last_update": Iso, "market_type": str},
}
#: address -> the documented shape of its answer; a list of one shape is an array of it.
READS: dict[str, Any] = {
    "/api/status": {
        "api_status": str,
        "active_bots": {
            "BTCUSDT": {
                **{"status": str, "current_price": float, "grid_levels": int},
                **{"active_orders": int, "uptime": Uptime},
            }
        },
    },
    "/api/operation_mode": {
        "current_mode": str,
        "available_modes": [str],
        "description": {"Replay": str},
    },
    "/api/market_data": [TICKER],
    "/api/klines/BTCUSDT": {"symbol": str, "interval": str, "data": [CANDLE]},
    "/api/grid/status/BTCUSDT": {**BOT, "spacing_percentage": float},
    "/api/grid/recovery_status/BTCUSDT": {"symbol": str, "recovered": bool, "message": str},
    "/api/trading/executions": {
        "executions": [
            {
                **BOT,
                "last_trade": Null(TRADE),
                "open_orders": [ORDER],
                "grid_config": {"levels": int, "spacing": Digits, "leverage": int},
            }
        ],
        "total_active": int,
        "timestamp": int,
    },
    "/api/pairs": {
        **{"market_type": str, "max_pairs": int, "unknown_facts": str, "chosen": [str]},
        "pairs": [
            {
                **{"symbol": str, "market_type": str, "chosen": bool, "rank": Null(int)},
                **{"score": Null(float), "reason": str},
                "checks": [
                    {
                        **{"filter": str, "verdict": str, "value": Null(float)},
                        **{"limit": Null(float), "missing": Null(float), "note": Null(str)},
                    }
                ],
            }
        ],
    },
    "/api/trading/pairs": [{"symbol": str, "price": float, "market_type": str, "active": bool}],
    "/api/trades/BTCUSDT": [TRADE],
    "/api/balance": {
        "spot": {"balances": [BALANCE], "total_usdt": float, "error": Null(str)},
        "futures": {
            **{"balances": [BALANCE], "total_usdt": float, "margin_balance": float},
            **{"available_balance": float, "error": Null(str)},
        },
        "timestamp": Iso,
    },
    "/api/balance/summary": {
        **{"spot_usdt": float, "futures_usdt": float, "total_usdt": float},
        **{"spot_available": bool, "futures_available": bool, "last_updated": Iso},
    },
}


def differences(shape: Any, value: Any, where: str = "$") -> list[str]:
    """Every place where `value` is not of `shape`."""
    if isinstance(shape, Null):
        return [] if value is None else differences(shape.inner, value, where)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        missing = [f"{where}.{name} is missing" for name in shape if name not in value]
        return missing + [
            found
            for name, inner in shape.items()
            if name in value
            for found in differences(inner, value[name], f"{where}.{name}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where} is no array"]
        return [
            found
            for number, one in enumerate(value)
            for found in differences(shape[0], one, f"{where}[{number}]")
        ]
    return [] if _is(shape, value) else [f"{where} is {value!r}, not {shape.__name__}"]


def _is(kind: Any, value: Any) -> bool:
    if kind in (Iso, Uptime, Digits):
        patterns = {Iso: ISO.pattern, Uptime: r"\d+h \d{1,2}m", Digits: r"-?\d+(\.\d+)?"}
        return isinstance(value, str) and re.fullmatch(patterns[kind], value) is not None
    return type(value) is kind


def read(client: FlaskClient, path: str) -> Any:
    """The parsed answer; no NaN or Infinity may be in it."""
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    assert reply.mimetype == "application/json"
    return json.loads(reply.text, parse_constant=lambda text: pytest.fail(f"{path} has {text}"))


@pytest.mark.parametrize("path", READS)
def test_documented_fields_and_types(client: FlaskClient, running: str, path: str) -> None:
    assert differences(READS[path], read(client, path)) == []


def test_the_checker_sees_a_missing_field_and_a_wrong_type() -> None:
    shape = {"a": int, "b": [float], "c": Digits}
    assert differences(shape, {"b": [1.0, 2], "c": 3}) == [
        "$.a is missing",
        "$.b[1] is 2, not float",
        "$.c is 3, not Digits",
    ]


def test_arrays_are_not_empty(client: FlaskClient, running: str) -> None:
    for path in ("/api/market_data", "/api/trading/pairs"):
        assert read(client, path)
    assert read(client, "/api/klines/BTCUSDT")["data"]
    assert read(client, "/api/trading/executions")["executions"][0]["open_orders"]


def test_documented_words(client: FlaskClient, running: str) -> None:
    status = read(client, "/api/status")
    assert status["api_status"] == "online"
    assert status["active_bots"]["BTCUSDT"]["status"] == "running"
    assert read(client, "/api/grid/status/BTCUSDT")["status"] == "running"
    trading = read(client, "/api/trading/executions")
    first = trading["executions"][0]
    assert (first["status"], trading["total_active"]) == ("active", 1)
    assert first["grid_config"] == {"levels": 10, "spacing": "0.5", "leverage": 1}
    assert {order["status"] for order in first["open_orders"]} == {"new"}
    assert {order["type"] for order in first["open_orders"]} == {"limit"}
    assert {order["side"] for order in first["open_orders"]} <= {"buy", "sell"}


def test_profit_adds_up(client: FlaskClient, running: str) -> None:
    bot = read(client, "/api/grid/status/BTCUSDT")
    after_fees = bot["grid_profit"] + bot["fees"] + bot["funding"]
    assert bot["realized_pnl"] == pytest.approx(after_fees)
    assert bot["unrealized_pnl"] == bot["floating_pnl"]
    assert bot["total_pnl"] == pytest.approx(bot["realized_pnl"] + bot["unrealized_pnl"])
    assert bot["equity"] == pytest.approx(bot["investment"] + bot["total_pnl"])


def test_every_answer_carries_mode_and_age(client: FlaskClient, running: str) -> None:
    for path, shape in READS.items():
        reply = client.get(path)
        if isinstance(shape, list):
            assert reply.headers["X-GridLab-Mode"] == "Replay"
            assert int(reply.headers["X-GridLab-Age-Ms"]) >= 0
        else:
            assert reply.json["mode"] == "Replay"
            assert reply.json["age_ms"] >= 0
            assert ISO.fullmatch(reply.json["as_of"])


def test_klines_are_those_of_the_lab(client: FlaskClient, lab: GridLab) -> None:
    answer = read(client, "/api/klines/btcusdt?interval=5m&limit=7&market_type=spot")
    assert (answer["symbol"], answer["interval"], len(answer["data"])) == ("BTCUSDT", "5m", 7)
    times = [candle["timestamp"] for candle in answer["data"]]
    assert times == sorted(times)
    assert all(later - sooner == 300_000 for sooner, later in zip(times, times[1:], strict=False))
    candle = answer["data"][0]
    assert candle["low"] <= min(candle["open"], candle["close"])
    assert candle["high"] >= max(candle["open"], candle["close"])
    assert candle["close_time"] == candle["timestamp"] + 299_999


def test_default_interval_and_limit(client: FlaskClient) -> None:
    answer = read(client, "/api/klines/BTCUSDT")
    assert answer["interval"] == "1h"
    assert 1 <= len(answer["data"]) <= 100


def test_ticker_text_is_on_the_tick(client: FlaskClient, lab: GridLab) -> None:
    for ticker in read(client, "/api/market_data"):
        tick = lab.instrument(ticker["symbol"]).tick_size
        decimals = len(f"{tick.normalize():f}".partition(".")[2])
        assert len(ticker["price"].partition(".")[2]) == decimals
        assert float(ticker["low_24h"]) <= float(ticker["price"]) <= float(ticker["high_24h"])


def test_summary_agrees_with_balance(client: FlaskClient) -> None:
    balance = read(client, "/api/balance")
    values = [one["usdt_value"] for one in balance["spot"]["balances"]]
    assert balance["spot"]["total_usdt"] == pytest.approx(sum(values))
    summary = read(client, "/api/balance/summary")
    assert summary["total_usdt"] == summary["spot_usdt"] + summary["futures_usdt"]
    assert (summary["spot_available"], summary["futures_available"]) == (True, False)


def test_trades_of_a_symbol_without_a_bot(client: FlaskClient, lab: GridLab) -> None:
    idle = [symbol for symbol in lab.symbols() if symbol not in lab.snapshot.bots]
    for symbol in idle[:1]:
        assert read(client, f"/api/trades/{symbol}") == []


def test_valid_config(client: FlaskClient) -> None:
    reply = client.post("/api/grid/config", json=GRID, headers={"Accept-Language": "pt-BR"})
    assert reply.status_code == 200, reply.text
    answer = reply.json
    assert (answer["valid"], answer["message"]) == (True, "Configuração válida")
    plan = answer["calculated_params"]
    shape = {"estimated_capital_needed": float, "grid_range": str, "levels_preview": [float]}
    assert differences(shape, plan) == []
    low, high = (float(text) for text in plan["grid_range"].split(" - "))
    assert plan["levels_preview"] == sorted(plan["levels_preview"])
    assert (plan["levels_preview"][0], plan["levels_preview"][-1]) == (low, high)
    assert len(plan["levels_preview"]) == 11
    assert len(plan["orders"]) == 10
    ratios = [
        b / a for a, b in zip(plan["levels_preview"], plan["levels_preview"][1:], strict=False)
    ]
    assert all(ratio == pytest.approx(1.005, abs=1e-5) for ratio in ratios)


def test_each_price_of_a_pair_says_its_age(
    client: FlaskClient, lab: GridLab, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One price past its bound is labelled; the others are not, and the headers tell the worst."""
    known = GridLab.dated_price

    def dated_price(self: GridLab, symbol: str, market: Market = Market.SPOT) -> Dated[Decimal]:
        found = known(self, symbol, market)
        return replace(found, age_ms=95_000, is_stale=True) if symbol == "ETHUSDT" else found

    monkeypatch.setattr(GridLab, "dated_price", dated_price)
    reply = client.get("/api/trading/pairs")
    pairs = {pair["symbol"]: pair for pair in reply.json}
    old, fresh = pairs["ETHUSDT"], pairs["BTCUSDT"]
    assert (old["stale"], fresh["stale"]) == (True, False)
    assert old["age_ms"] >= 95_000 and 0 <= fresh["age_ms"] < 10_000
    assert old["as_of"] < fresh["as_of"]
    assert reply.headers["X-GridLab-Stale"] == "true"
    assert int(reply.headers["X-GridLab-Age-Ms"]) >= 95_000


def test_config_by_range_and_mode(client: FlaskClient) -> None:
    config = {
        **{"initial_levels": 4, "market_type": "spot", "grid_mode": "arithmetic"},
        **{"investment": 2000},
    }
    now = read(client, "/api/trading/pairs")[0]["price"]
    config["lower_price"], config["upper_price"] = round(now * 0.96), round(now * 1.04)
    symbol = read(client, "/api/trading/pairs")[0]["symbol"]
    reply = client.post("/api/grid/config", json={"symbol": symbol.lower(), "config": config})
    assert reply.status_code == 200, reply.text
    lines = reply.json["calculated_params"]["levels_preview"]
    assert (lines[0], lines[-1]) == (config["lower_price"], config["upper_price"])
    steps = [b - a for a, b in zip(lines, lines[1:], strict=False)]
    assert max(steps) == pytest.approx(min(steps), abs=0.05)


def test_health(client: FlaskClient) -> None:
    answer = read(client, "/api/health")
    assert (answer["live"], answer["ready"], answer["state"]) == (True, True, "ready")
    assert all(age >= 0 for age in answer["ages"].values())


def test_a_stop_that_waits_for_the_venue_does_not_say_that_orders_are_cancelled(
    client: FlaskClient, lab: GridLab, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = lab.snapshot.bots[running]
    for status, english, portuguese in (
        (BotStatus.STOPPING, "not all of its orders have ended", "nem todas as suas ordens"),
        (BotStatus.STOPPED, "its open orders are cancelled", "foram canceladas"),
    ):
        monkeypatch.setattr(GridLab, "stop_grid", lambda *_, now=status: replace(bot, status=now))
        for tongue, words in (("en", english), ("pt", portuguese)):
            asked = {"json": {"symbol": running}, "headers": {"Accept-Language": tongue}}
            reply = client.post("/api/grid/stop", **asked)
            assert reply.json["status"] == status.value and words in reply.json["message"]


def test_start_status_stop(client: FlaskClient, lab: GridLab) -> None:
    symbol = "ETHUSDT"
    started = client.post("/api/grid/start", json={**GRID, "symbol": symbol})
    assert started.status_code == 201, started.text
    assert started.json["status"] == "started"
    assert started.json["symbol"] == symbol
    assert started.json["run"] == lab.snapshot.bots[symbol].run
    assert differences(READS["/api/grid/status/BTCUSDT"], started.json["grid"]) == []

    again = client.post("/api/grid/start", json={**GRID, "symbol": symbol})
    assert (again.status_code, again.json["error"]["code"]) == (409, "conflict")
    assert symbol in again.json["error"]["message"]

    stopped = client.post("/api/grid/stop", json={"symbol": symbol, "policy": "keep"})
    assert stopped.status_code == 200, stopped.text
    assert stopped.json["status"] == "stopped"
    status = read(client, f"/api/grid/status/{symbol}")
    assert (status["status"], status["active_orders"]) == ("stopped", 0)
    assert symbol not in read(client, "/api/status")["active_bots"]
    executions = {
        one["symbol"]: one for one in read(client, "/api/trading/executions")["executions"]
    }
    assert executions[symbol]["status"] == "stopped"

    once_more = client.post("/api/grid/stop", json={"symbol": symbol})
    assert once_more.status_code == 409
    assert "already stopped" in once_more.json["error"]["message"]


def test_operation_mode(client: FlaskClient) -> None:
    modes = read(client, "/api/operation_mode")
    assert (modes["current_mode"], modes["available_modes"]) == ("Replay", ["Replay"])
    same = client.post("/api/operation_mode", json={"mode": "Replay"})
    assert (same.status_code, same.json["current_mode"], same.json["changed"]) == (
        200,
        "Replay",
        False,
    )
    for mode in ("Shadow", "Testnet", "Production"):
        refused = client.post("/api/operation_mode", json={"mode": mode})
        assert refused.status_code == 409
        assert mode in refused.json["error"]["hint"]
    for mode in ("production", "Live", "", 3, None, ["Replay"]):
        unknown = client.post("/api/operation_mode", json={"mode": mode})
        assert unknown.status_code == 400
        assert unknown.json["error"]["field_errors"][0]["field"] == "mode"
    assert read(client, "/api/operation_mode")["current_mode"] == "Replay"
