"""The cache of the process, whose it is while engines run, and the decorator over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.data import cache as face
from gridlab.data.cache import (
    IntelligentCache,
    Kind,
    adopt_global_cache,
    cache_decorator,
    configure_global_cache,
    get_global_cache,
    release_global_cache,
)
from gridlab.domain.market import Interval
from gridlab.errors import Conflict, ExchangeUnavailable, InvalidInput


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[ManualClock]:
    """The clock of a global cache that is gone after the test."""
    clock = ManualClock(1_000)
    monkeypatch.setattr(face, "_HOLDER", face._Holder())
    configure_global_cache(
        clock,
        max_size_mb=Decimal(1),
        default_ttl=Decimal(300),
        enable_prefetching=True,
        enable_compression=True,
    )
    yield clock
    get_global_cache().close()


def test_the_documented_lines_work(clock: ManualClock) -> None:
    cache = get_global_cache()
    assert get_global_cache() is cache
    cache.set("market_data_BTCUSDT", {"price": "60000.10"}, ttl=60)
    assert cache.get("market_data_BTCUSDT") == {"price": "60000.10"}
    calls: list[str] = []

    @cache_decorator(ttl=300, key_prefix="api_")
    def expensive_api_call(symbol: str) -> dict[str, str]:
        calls.append(symbol)
        return {"symbol": symbol}

    assert expensive_api_call("BTCUSDT") == expensive_api_call(symbol="BTCUSDT")
    assert expensive_api_call("ETHUSDT") == {"symbol": "ETHUSDT"}
    assert calls == ["BTCUSDT", "ETHUSDT"]
    assert expensive_api_call.__name__ == "expensive_api_call"
    clock.advance_to(301_001)
    expensive_api_call("BTCUSDT")
    assert calls == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]


def test_a_process_has_a_cache_without_being_asked(clock: ManualClock) -> None:
    face._HOLDER.cache = None
    assert get_global_cache().metrics().bytes_max == 100_000_000


def test_an_async_function_is_decorated_too(clock: ManualClock) -> None:
    calls: list[int] = []

    @cache_decorator(ttl=10)
    async def double(number: int, *, plus: int = 0) -> int:
        calls.append(number)
        await asyncio.sleep(0)
        return 2 * number + plus

    async def scene() -> None:
        assert await asyncio.gather(*(double(4) for _ in range(9))) == [8] * 9
        assert await double(4, plus=0) == 8 and await double(4, plus=1) == 9

    assert asyncio.iscoroutinefunction(double)
    asyncio.run(scene())
    assert calls == [4, 4]


def test_what_a_decorated_function_raises_is_raised_each_time(clock: ManualClock) -> None:
    calls: list[int] = []

    @cache_decorator()
    def failing() -> None:
        calls.append(1)
        raise ExchangeUnavailable("down")

    for _ in range(2):
        with pytest.raises(ExchangeUnavailable):
            failing()
    assert len(calls) == 2


def test_arguments_are_told_by_type_and_value(clock: ManualClock) -> None:
    @cache_decorator()
    def told(value: Any) -> tuple[str, str]:
        return (type(value).__name__, repr(value))

    values = [1, 1.0, True, "1", b"1", Decimal(1), None, (1,), [1], {"a": 1}, Interval.M1, "1m"]
    values += [("a", "b"), ("a,str:'b'",), {1, 2}, frozenset(), Kind("k", 1, 2), Kind("k", 1, 3)]
    values += ["x" * 500, "x" * 501]
    for value in values:
        assert told(value) == (type(value).__name__, repr(value))
    for value in values:
        assert told(value) == (type(value).__name__, repr(value))
    told_now = get_global_cache().metrics()
    assert (told_now.loads, told_now.fresh_hits) == (len(values), len(values))


def test_an_argument_without_a_value_is_refused_unless_a_key_is_made_of_it(
    clock: ManualClock,
) -> None:
    class Client:
        name = "spot"

    @cache_decorator()
    def plain(client: Client) -> int:
        return 1

    @cache_decorator(key=lambda client: client.name)
    def keyed(client: Client) -> int:
        return 2

    with pytest.raises(InvalidInput, match="a Client"):
        plain(Client())
    assert keyed(Client()) == keyed(Client()) == 2
    assert get_global_cache().metrics().loads == 1


def test_what_can_be_read_only_once_is_not_kept(clock: ManualClock) -> None:
    """Else the first reader takes every row, and the next one's answer is empty."""

    @cache_decorator(ttl=60)
    def rows(symbol: str) -> Iterator[str]:
        yield symbol

    @cache_decorator(ttl=60)
    def pages(symbol: str) -> AsyncIterator[str]:
        async def read() -> AsyncIterator[str]:
            yield symbol

        return read()

    @cache_decorator(ttl=60)
    async def later(symbol: str) -> Iterator[str]:
        return iter([symbol])

    for _ in range(2):
        for call in (rows, pages, lambda symbol: asyncio.run(later(symbol))):
            with pytest.raises(InvalidInput, match="read only once"):
                call("BTCUSDT")


def test_an_engines_cache_is_the_process_s_while_it_runs(clock: ManualClock) -> None:
    own, first, second = get_global_cache(), IntelligentCache(clock), IntelligentCache(clock)
    adopt_global_cache(first)
    assert get_global_cache() is first
    adopt_global_cache(second)
    assert get_global_cache() is second
    release_global_cache(first)
    assert get_global_cache() is second
    with pytest.raises(Conflict, match="section cache"):
        configure_global_cache(
            clock, max_size_mb=1, default_ttl=1, enable_prefetching=True, enable_compression=True
        )
    release_global_cache(second)
    release_global_cache(second)
    assert get_global_cache() is own


def test_an_answer_ages_by_the_machine_while_a_recording_stands_still(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = ManualClock(50_000)
    monkeypatch.setattr(face, "_WALL", wall)
    calls: list[int] = []

    @cache_decorator(ttl=10)
    def counted() -> int:
        calls.append(1)
        return len(calls)

    @cache_decorator(ttl=10)
    async def awaited() -> int:
        return counted() + 100

    assert counted() == 1 and asyncio.run(awaited()) == 101
    wall.advance_to(60_000)
    assert counted() == 1 and asyncio.run(awaited()) == 101
    wall.advance_to(60_001)
    assert asyncio.run(awaited()) == 102 and counted() == 2

    @cache_decorator(ttl=10)
    def slow() -> int:
        calls.append(1)
        wall.advance_to(wall.now_ms() + 20_000)
        return len(calls)

    assert slow() == 3 and calls == [1, 1, 1]  # one call, although it took longer than its ttl
