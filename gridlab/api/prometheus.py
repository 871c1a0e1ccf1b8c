"""`/metrics`: the engine's and the API's figures in Prometheus' text format.

The engine's figures are read from its snapshot when they are asked for; requests are counted as
they are answered. The registry is our own, so nothing of the host's process is mixed in.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Final

from flask import Blueprint, Response, g, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gridlab._version import __version__
from gridlab.api.requests import NoQuery
from gridlab.api.wire import now_ms, read_query
from gridlab.app.facade import GridLab
from gridlab.clock import monotonic_s
from gridlab.domain.snapshot import BotSnapshot, EngineState, Snapshot
from gridlab.errors import Conflict

_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
_MONEY: Final[tuple[tuple[str, Callable[[BotSnapshot], Any]], ...]] = (
    ("grid_profit", lambda bot: bot.money.grid_profit),
    ("liquidation", lambda bot: bot.money.liquidation),
    ("floating", lambda bot: bot.money.floating),
    ("fees", lambda bot: bot.money.fees),
    ("funding", lambda bot: bot.money.funding),
)


class Figures:
    """Counts requests, and gives everything as Prometheus reads it.

    Args:
        lab: the engine.
        streams: how many event streams are open.
    """

    def __init__(self, lab: GridLab, streams: Callable[[], int]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = _Requests()
        self._registry.register(self._requests)
        self._registry.register(_Engine(lab, streams))

    def begin(self) -> None:
        """Note when the request began."""
        g.begun_s = monotonic_s()

    def count(self, status: int) -> None:
        """Count the answer to the present request."""
        endpoint = (request.endpoint or "none").rpartition(".")[2]
        method = request.method if request.method in _METHODS else "other"
        self._requests.count((endpoint, method, status), monotonic_s() - g.get("begun_s", 0.0))

    def count_repeat(self, endpoint: str, seconds: float) -> None:
        """Count an answer that was given without running the endpoint again."""
        self._requests.count((endpoint, "GET", 200), seconds)

    def text(self) -> bytes:
        """Every figure, in the text format."""
        return generate_latest(self._registry)


class _Requests(Collector):
    """Counts of answers, and how long they took.

    Kept by hand: the library's counters take three locks and two label look-ups an answer, which
    shows in the rate of the shortest answers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, str, int], list[float]] = {}

    def count(self, key: tuple[str, str, int], seconds: float) -> None:
        """One more answer with this endpoint, method and status."""
        place = bisect_left(_BUCKETS_S, seconds)
        with self._lock:
            cell = self._cells.get(key)
            if cell is None:
                cell = self._cells[key] = [0.0] * (len(_BUCKETS_S) + 2)
            cell[place] += 1
            cell[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            cells = {key: list(cell) for key, cell in self._cells.items()}
        requests = CounterMetricFamily(
            "gridlab_http_requests",
            "Answers by endpoint, method and status",
            labels=["endpoint", "method", "status"],
        )
        latency = HistogramMetricFamily(
            "gridlab_http_request_seconds",
            "Seconds from a request's head to its answer",
            labels=["endpoint", "method", "status"],
        )
        bounds = [*map(str, _BUCKETS_S), "+Inf"]
        for (endpoint, method, status), (*counts, spent) in cells.items():
            labels = [endpoint, method, str(status)]
            below = list(itertools.accumulate(counts))
            requests.add_metric(labels, below[-1])
            latency.add_metric(labels, list(zip(bounds, below, strict=True)), spent)
        yield requests
        yield latency


class _Engine(Collector):
    """The engine's figures at the moment of asking."""

    def __init__(self, lab: GridLab, streams: Callable[[], int]) -> None:
        self._lab = lab
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("gridlab_build", "The version", {"version": __version__})
        yield GaugeMetricFamily("gridlab_streams", "Open event streams", self._streams())
        try:
            snapshot = self._lab.snapshot
        except Conflict:  # not started yet; there is nothing to tell
            return
        yield from _engine(snapshot)
        yield from _bots(snapshot)
        yield from _cache(self._lab)


def _engine(snapshot: Snapshot) -> Iterator[Metric]:
    states = {state.value: state is snapshot.state for state in EngineState}
    yield StateSetMetricFamily("gridlab_engine_state", "The engine's state", states)
    yield InfoMetricFamily("gridlab_mode", "The operation mode", {"mode": snapshot.mode.value})
    for name, text, value in (
        ("snapshot_sequence", "Number of the last published step", snapshot.sequence),
        (
            "snapshot_age_seconds",
            "Since the engine last published a step",
            max(0, now_ms() - snapshot.wall_ms) / 1000,
        ),
        ("market_time_seconds", "Market time, UTC seconds", snapshot.time_ms / 1000),
        ("started_time_seconds", "Start of the engine, UTC seconds", snapshot.started_ms / 1000),
        ("killed", "1 while the kill switch refuses new grids", bool(snapshot.killed)),
    ):
        yield GaugeMetricFamily(f"gridlab_{name}", text, value)
    ages = GaugeMetricFamily(
        "gridlab_agent_heartbeat_age_seconds", "Since an agent's heartbeat", labels=["agent"]
    )
    restarts = CounterMetricFamily("gridlab_agent_restarts", "Restarts", labels=["agent"])
    for agent in snapshot.agents:
        ages.add_metric([agent.name], max(0, now_ms() - agent.heartbeat_ms) / 1000)
        restarts.add_metric([agent.name], agent.restarts)
    yield ages
    yield restarts
    prices = GaugeMetricFamily("gridlab_price", "Last price", labels=["market", "symbol"])
    for (market, symbol), price in snapshot.prices.items():
        prices.add_metric([market.value, symbol], float(price))
    yield prices


def _bots(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["symbol", "market", "run"]
    phase = GaugeMetricFamily("gridlab_bot", "1 for the bot's phase", labels=[*labels, "phase"])
    orders = GaugeMetricFamily("gridlab_bot_open_orders", "Orders that may be live", labels=labels)
    fills = CounterMetricFamily("gridlab_bot_fills", "Fills of this run", labels=labels)
    vacant = GaugeMetricFamily("gridlab_bot_vacancies", "Slots without an order", labels=labels)
    equity = GaugeMetricFamily("gridlab_bot_equity", "Investment and profit, quote", labels=labels)
    profit = GaugeMetricFamily(
        "gridlab_bot_profit", "Parts of the profit, quote units", labels=[*labels, "part"]
    )
    for bot in snapshot.bots.values():
        who = [bot.symbol, bot.market.value, bot.run]
        phase.add_metric([*who, bot.status.value], 1)
        orders.add_metric(who, len(bot.open_orders))
        fills.add_metric(who, bot.trade_count)
        vacant.add_metric(who, len(bot.vacancies))
        equity.add_metric(who, float(bot.money.investment) + float(bot.money.total))
        for part, value in _MONEY:
            profit.add_metric([*who, part], float(value(bot)))
    yield from (phase, orders, fills, vacant, equity, profit)


def _cache(lab: GridLab) -> Iterator[Metric]:
    """The data cache's own figures, where the engine has one."""
    cache = getattr(lab, "cache", None)
    if cache is None:
        return
    found = cache.metrics()
    held = found if isinstance(found, dict) else getattr(found, "__dict__", {})
    figures = GaugeMetricFamily("gridlab_cache", "The cache's figures", labels=["figure"])
    for name, value in held.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            figures.add_metric([str(name)], float(value))
    yield figures


def add_routes(blueprint: Blueprint, figures: Figures) -> None:
    """Put `/metrics` on `blueprint`."""

    @blueprint.get("/metrics")
    def prometheus() -> Response:
        read_query(NoQuery)
        return Response(figures.text(), content_type=CONTENT_TYPE_LATEST)
