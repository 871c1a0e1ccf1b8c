"""The pages for people: the status page, the page that tries every endpoint, the documentation.

Addresses in the pages are relative, so that they work behind a proxy's prefix; nothing is loaded
from elsewhere and no script stands inside a page. A browser cannot send a token when it opens a
page, so where tokens are asked for the pages come without data and their scripts ask for one.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Response, render_template

from gridlab.api.errors import language, teller
from gridlab.api.messages import PORTUGUESE
from gridlab.api.schemas import grid_state, uptime
from gridlab.api.security import Guard
from gridlab.api.wire import bot_stamp
from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import BotStatus
from gridlab.money import text

#: The endpoints that the start page lists: method, address, what it gives (English, Portuguese).
ENDPOINTS = (
    ("GET", "api/status", "engine and bots", "motor e bots"),
    ("GET", "api/health", "live, ready, ages", "vivo, pronto, idades"),
    ("GET", "api/operation_mode", "operation mode", "modo de operação"),
    ("GET", "api/market_data", "24 h tickers", "tickers de 24 h"),
    ("GET", "api/klines/BTCUSDT?interval=1m&limit=5", "candles", "candles"),
    ("POST", "api/grid/config", "validate a grid", "validar um grid"),
    ("POST", "api/grid/start", "start a grid", "iniciar um grid"),
    ("POST", "api/grid/stop", "stop a grid", "parar um grid"),
    ("GET", "api/grid/status/BTCUSDT", "one bot in full", "um bot por completo"),
    ("GET", "api/grid/recovery_status/BTCUSDT", "what a restart found", "o que o reinício achou"),
    ("GET", "api/trading/executions", "bots, orders, profit", "bots, ordens, lucro"),
    ("GET", "api/trading/pairs", "symbols with prices", "símbolos com preços"),
    ("GET", "api/trades/BTCUSDT", "executed trades", "trades executados"),
    ("GET", "api/balance", "balances", "saldos"),
    ("GET", "api/balance/summary", "balances in short", "resumo dos saldos"),
)
#: Portuguese for the states of the engine and of bots, which the API tells by name.
_STATES: Final[dict[str, str]] = {
    **{"recovering": "recuperando", "ready": "pronto", "finished": "terminado"},
    **{"starting": "iniciando", "running": "em execução", "stopping": "parando"},
    **{"stopped": "parado", "failed": "falhou", "error": "erro"},
}
#: What the status page shows to a reader without a token: its frame, and nothing of the engine.
_BLANK: dict[str, Any] = {
    "snapshot": {"mode": {"value": ""}, "speed": None, "progress": 0},
    "stamp": {"mode": "GridLab", "as_of": "–", "engine_state": "–", "data_source": ""},
    "bots": [],
    "reason": "",
}


def add_routes(blueprint: Blueprint, lab: GridLab, dashboard_url: str | None, guard: Guard) -> None:
    """Put the pages on `blueprint`."""

    @blueprint.get("/")
    def home() -> str:
        is_locked = guard.shown_scope() is None
        return render_template(
            "gridlab/status.html",
            **(_BLANK if is_locked else _seen(lab)),
            is_locked=is_locked,
            endpoints=ENDPOINTS,
            dashboard_url=dashboard_url,
            pt=language() == PORTUGUESE,
            states=_STATES if language() == PORTUGUESE else {},
        )

    @blueprint.get("/test")
    def test_page() -> Response:
        return blueprint.send_static_file("index.html")

    @blueprint.get("/api/docs")
    def docs_page() -> str:
        return render_template("gridlab/docs.html", pt=language() == PORTUGUESE)


def _seen(lab: GridLab) -> dict[str, Any]:
    """What the status page shows of the engine."""
    snapshot = lab.snapshot
    bots = [
        {
            "bot": bot,
            "shown_price": text(snapshot.prices.get((bot.market, bot.symbol), bot.price)),
            "state": bot.status.value if bot.status is BotStatus.STARTING else grid_state(bot),
            "uptime": uptime(bot, snapshot),
        }
        for _, bot in sorted(snapshot.bots.items())
    ]
    stamp = bot_stamp(lab, snapshot, snapshot.bots.values())
    reason = teller()(snapshot.reason)
    return {"snapshot": snapshot, "stamp": stamp, "bots": bots, "reason": reason}
