"""The cache of this process, and the decorator over it: what most callers need.

    cache = get_global_cache()
    cache.set("market_data_BTCUSDT", data, ttl=60)
    data = cache.get("market_data_BTCUSDT")

    answer = await cache.fetch("klines:BTCUSDT:1m", open_candle(Interval.M1), load)
    answer.value, answer.age_ms, answer.is_stale

While an engine runs in this process its cache is this one, so that its configuration,
`/api/debug/cache/clear` and `/api/metrics` hold for it too; seconds are then those of its market,
which in a replay are not the machine's. Knows no configuration file and no engine.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, ParamSpec, TypeVar, cast

from gridlab.clock import Clock, SystemClock
from gridlab.data.cache_core import IntelligentCache
from gridlab.data.cache_metrics import CacheMetrics
from gridlab.data.cache_policy import KINDS, Kind, Seconds, candles, lasting, open_candle
from gridlab.data.cache_state import Cached, Source
from gridlab.errors import Conflict, InvalidInput

__all__ = [
    "KINDS",
    "CacheMetrics",
    "Cached",
    "IntelligentCache",
    "Kind",
    "Source",
    "adopt_global_cache",
    "cache_decorator",
    "candles",
    "configure_global_cache",
    "get_global_cache",
    "open_candle",
    "release_global_cache",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_WALL: Final = SystemClock()
#: A longer key is replaced by its digest: keys count as bytes too.
MAX_KEY_LENGTH = 200
_PLAIN: Final = (str, int, float, bytes, Decimal, Enum, date, time, timedelta, type(None))


class _Holder:
    """The caches that are the process's: its own, made at first use, and those of its engines."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cache: IntelligentCache | None = None
        self.adopted: list[IntelligentCache] = []


_HOLDER: Final = _Holder()


def get_global_cache() -> IntelligentCache:
    """The cache of this process: that of the engine that started last of those that run.

    Without one the cache that was configured, or one with the default limits.
    """
    with _HOLDER.lock:
        if _HOLDER.adopted:
            return _HOLDER.adopted[-1]
        if _HOLDER.cache is None:
            _HOLDER.cache = IntelligentCache(SystemClock())
        return _HOLDER.cache


def configure_global_cache(
    clock: Clock,
    *,
    max_size_mb: int | float | Decimal,
    default_ttl: Seconds,
    enable_prefetching: bool,
    enable_compression: bool,
) -> IntelligentCache:
    """Replace the cache of this process by an empty one, and return it; the old one is closed.

    The keyword arguments are the keys of the configuration's `cache` section.

    Raises:
        Conflict: an engine runs, whose own configuration counts.
    """
    made = IntelligentCache(
        clock,
        max_size_mb=max_size_mb,
        default_ttl=default_ttl,
        enable_prefetching=enable_prefetching,
        enable_compression=enable_compression,
    )
    with _HOLDER.lock:
        if _HOLDER.adopted:
            raise Conflict(
                "an engine runs in this process and its cache is the process's; set the section "
                "cache of its configuration, or stop it"
            )
        former, _HOLDER.cache = _HOLDER.cache, made
    if former is not None:
        former.close()
    return made


def adopt_global_cache(cache: IntelligentCache) -> None:
    """Make `cache`, an engine's, the one of this process until it is released."""
    with _HOLDER.lock:
        _HOLDER.adopted.append(cache)


def release_global_cache(cache: IntelligentCache) -> None:
    """Make what was the cache of this process before `cache` that again; a stranger is ignored."""
    with _HOLDER.lock:
        _HOLDER.adopted = [one for one in _HOLDER.adopted if one is not cache]


def cache_decorator(
    ttl: Seconds = 300, key_prefix: str = "", key: Callable[..., str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that keeps a function's answers for `ttl` seconds in the cache of this process.

    Works on plain and on async functions. Calls that mean the same arguments share one key, and
    while one of them runs the others wait for it. An answer older than `ttl` is never returned,
    unless the function itself took longer than that: neither by the cache's clock nor by the
    machine's, because a recording may stand still. What it raises is raised and not kept.

    Args:
        key_prefix: put before the key, so that keys of one subject can be told.
        key: makes the key from the arguments; without it they must be plain values.

    Raises:
        InvalidInput: at decoration, a ttl that is not above zero; at a call, an argument that
            cannot be told by its value, or an answer that can be read only once.
    """
    kind = lasting(ttl)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{key_prefix}{function.__module__}.{function.__qualname__}"
        signature = inspect.signature(function)

        def key_of(*args: P.args, **kwargs: P.kwargs) -> str:
            if key is not None:
                return f"{name}:{key(*args, **kwargs)}"
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return _short(f"{name}({_told(bound.arguments, name)})")

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                async def load() -> list[Any]:
                    left_ms = _WALL.now_ms()
                    answer = await cast(Awaitable[Any], function(*args, **kwargs))
                    return [left_ms, _keepable(answer, name)]

                cache, told = get_global_cache(), key_of(*args, **kwargs)
                found = await cache.fetch(told, kind, load)
                if _is_overdue(found, kind):
                    cache.invalidate(told)
                    found = await cache.fetch(told, kind, load)
                return found.value[1]

            return cast(Callable[P, R], awaited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            def load() -> list[Any]:
                return [_WALL.now_ms(), _keepable(function(*args, **kwargs), name)]

            cache, told = get_global_cache(), key_of(*args, **kwargs)
            found = cache.fetch_sync(told, kind, load)
            if _is_overdue(found, kind):
                cache.invalidate(told)
                found = cache.fetch_sync(told, kind, load)
            return cast(R, found.value[1])

        return called

    return decorate


def _is_overdue(found: Cached[list[Any]], kind: Kind) -> bool:
    """Whether a kept answer is too old by the machine's clock."""
    left_ms: int = found.value[0]
    return found.source is Source.STORED and _WALL.now_ms() - left_ms > kind.fresh_ms


def _keepable(answer: T, name: str) -> T:
    """`answer`, unless its first reader would leave nothing of it for the next."""
    if isinstance(answer, (Iterator, AsyncIterator)):
        raise InvalidInput(
            f"{name}: the answer is a {type(answer).__name__}, which can be read only once and so "
            "not be kept; return a list or a tuple"
        )
    return answer


def _told(value: Any, name: str) -> str:
    """`value` as text that no other value has; refuses what could be told by its address only."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}[{','.join(_told(item, name) for item in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"set[{','.join(sorted(_told(item, name) for item in value))}]"
    if isinstance(value, dict):
        pairs = (f"{_told(k, name)}={_told(v, name)}" for k, v in value.items())
        return f"dict[{','.join(sorted(pairs))}]"
    if is_dataclass(value) and not isinstance(value, type):
        told = (
            f"{field.name}={_told(getattr(value, field.name), name)}" for field in fields(value)
        )
        return f"{type(value).__qualname__}({','.join(told)})"
    raise InvalidInput(
        f"{name}: an argument is a {type(value).__name__}, which has no value to make a key of; "
        "hand over plain values, or give cache_decorator a key function"
    )


def _short(key: str) -> str:
    if len(key) <= MAX_KEY_LENGTH:
        return key
    return f"{key[:80]}...{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
