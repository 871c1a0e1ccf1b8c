"""Long work that the facade offers as jobs: backtests, and a bounded run of a simulated engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from gridlab.app.jobs import JobHandle
from gridlab.app.settings import Settings
from gridlab.clock import monotonic_s
from gridlab.data.cache_core import IntelligentCache
from gridlab.domain.market import Market
from gridlab.domain.snapshot import EngineState, Mode, Snapshot
from gridlab.domain.spec import GridSpec
from gridlab.errors import GridLabError, InvalidInput


class Watched(Protocol):
    """What a bounded run looks at; `GridLab` is one."""

    cache: IntelligentCache

    @property
    def settings(self) -> Settings: ...

    @property
    def snapshot(self) -> Snapshot: ...

    def start_grid(self, spec: GridSpec) -> object: ...

    def indicator(
        self, symbol: str, name: str, *, interval: str, limit: int, market: Market
    ) -> object: ...


LONGEST_SHADOW_S = 60.0
#: Real seconds between two looks at the running test.
LOOK_EVERY_S = 0.1


def backtest_work(
    spec: GridSpec, start_ms: int | None, end_ms: int | None, fill_rule: str
) -> Callable[[JobHandle], dict[str, Any]]:
    """The work of one backtest over the bundled recording of the grid's symbol."""

    def work(handle: JobHandle) -> dict[str, Any]:
        from gridlab.data.catalog import load
        from gridlab.research.backtest import backtest

        bars = load(spec.symbol, spec.market, start_ms, end_ms)
        handle.progress(0.0, f"{len(bars)} bars of {spec.symbol}")
        result = backtest(
            spec, bars, fill_rule=fill_rule, progress=lambda done: handle.progress(done)
        )
        return result.to_dict()

    return work


def shadow_work(
    make: Callable[[Path], AbstractContextManager[Watched]], spec: GridSpec, seconds: float
) -> Callable[[JobHandle], dict[str, Any]]:
    """The work of a bounded run: an engine of its own, in a folder that goes away with it.

    Args:
        make: a new, not started engine on a folder, without a key.
        spec: the grid to run; a replay starts it by itself, see `Settings.first_bot`.
        seconds: real time to run, above 0 and at most 60.

    Raises:
        InvalidInput: `seconds` out of range.
    """
    if not 0 < seconds <= LONGEST_SHADOW_S:
        raise InvalidInput(
            f"seconds is {seconds:g}; a test runs for more than 0 and at most "
            f"{LONGEST_SHADOW_S:g} seconds"
        )

    def work(handle: JobHandle) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="gridlab-shadow-") as folder:
            with make(Path(folder)) as lab:
                if spec.symbol not in lab.snapshot.bots:
                    lab.start_grid(spec)
                return _observe(lab, handle, spec, seconds)

    return work


def _observe(lab: Watched, handle: JobHandle, spec: GridSpec, seconds: float) -> dict[str, Any]:
    """Watch a running engine for `seconds` and count what it did."""
    began_s = monotonic_s()
    states: dict[int, Snapshot] = {}
    while (ran_s := monotonic_s() - began_s) < seconds:
        snapshot = lab.snapshot
        states[snapshot.time_ms] = snapshot
        if snapshot.state not in (EngineState.READY, EngineState.FINISHED):
            raise GridLabError(f"the engine became {snapshot.state}: {snapshot.reason}")
        handle.progress(ran_s / seconds, f"{len(states)} market states seen")
        handle.wait(LOOK_EVERY_S)
    last = lab.snapshot
    caching = _cache_performance(lab, last.mode)  # before the test itself reads anything
    complete = [state for state in states.values() if _is_complete(state)]
    return {
        "mode": str(last.mode),
        "price_source": _price_source(lab, last.mode),
        "duration_seconds": round(monotonic_s() - began_s, 3),
        "market_data_collected": len(states),
        "simulated_trades": sum(bot.trade_count for bot in last.bots.values()),
        # No RL agent acts in this version, and none is invented.
        "rl_actions_generated": 0,
        "cache_performance": caching,
        "data_quality": {
            "complete_market_states": len(complete),
            "valid_price_data": all(_has_valid_prices(state) for state in states.values()),
            "indicator_calculations": _indicator_verdict(lab, spec),
        },
    }


def _cache_performance(lab: Watched, mode: Mode) -> dict[str, Any]:
    """What the engine's own reads were spared; null, and why, where it asks no venue."""
    unknown = {"hit_rate": None, "api_calls_saved": None}
    if mode is Mode.REPLAY:
        return unknown | {"reason": "a recording is read from disk; there is no call to save"}
    counted = lab.cache.metrics()
    if not counted.reads:
        return unknown | {"reason": "nothing was read through the cache"}
    return {
        "hit_rate": round(counted.hit_rate, 4),
        "api_calls_saved": counted.calls_saved,
        "reason": None,
    }


def _price_source(lab: Watched, mode: Mode) -> str:
    """Where the prices came from, in words."""
    access = lab.settings.access
    if access.endpoints is None:
        return "a recording"
    return access.source(mode) or access.endpoints.rest_spot


def _is_complete(snapshot: Snapshot) -> bool:
    return bool(snapshot.prices and snapshot.balances and snapshot.bots)


def _has_valid_prices(snapshot: Snapshot) -> bool:
    return bool(snapshot.prices) and all(price > 0 for price in snapshot.prices.values())


def _indicator_verdict(lab: Watched, spec: GridSpec) -> str:
    """`success` when an indicator can really be computed on what is here; else the reason."""
    try:
        lab.indicator(spec.symbol, "RSI", interval="1m", limit=100, market=spec.market)
    except GridLabError as error:
        return f"failed: {error}"
    return "success"
