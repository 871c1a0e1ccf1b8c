"""Market and listen-key sockets over real connections: addresses, routes, wrapping, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from socket_stage import KEY, Stage, on_stage, until

from gridlab.domain.market import Market

SPOT, FUTURES = Market.SPOT, Market.FUTURES
QUIET_S = 0.15


def test_spot_addresses_give_raw_and_combined_payloads() -> None:
    async def play(stage: Stage) -> None:
        names = "btcusdt@trade/ethusdt@trade"
        async with (
            stage.connect(SPOT, f"/ws/{names}") as raw,
            stage.connect(SPOT, f"/stream?streams={names}") as combined,
        ):
            await asyncio.sleep(0.05)
            stage.trade(SPOT, 61000)
            stage.trade(SPOT, 3000, "ETHUSDT")
            assert [(await raw.receive())["s"] for _ in range(2)] == ["BTCUSDT", "ETHUSDT"]
            wrapped = [await combined.receive() for _ in range(2)]
            assert [each["stream"] for each in wrapped] == ["btcusdt@trade", "ethusdt@trade"]
            assert wrapped[0]["data"]["p"] == "61000.00000000"

    on_stage(play)


def test_a_socket_can_be_opened_bare_and_subscribed_later() -> None:
    async def play(stage: Stage) -> None:
        async with stage.connect(SPOT, "/ws") as client:
            assert await client.say(
                method="SUBSCRIBE", params=["btcusdt@trade", "no such stream"], id=1
            ) == {"result": None, "id": 1}
            stage.trade(SPOT, 61000)
            assert (await client.receive())["e"] == "trade"
            listed = await client.say(method="LIST_SUBSCRIPTIONS", id=2)
            assert listed["result"] == ["btcusdt@trade", "no such stream"]
            await client.say(method="SET_PROPERTY", params=["combined", True], id=3)
            stage.trade(SPOT, 61001)
            assert (await client.receive())["stream"] == "btcusdt@trade"
            await client.say(method="UNSUBSCRIBE", params=["btcusdt@trade"], id=4)
            stage.trade(SPOT, 61002)
            assert await client.silent_for(QUIET_S)

    on_stage(play)


def test_an_unknown_name_connects_and_stays_silent() -> None:
    async def play(stage: Stage) -> None:
        async with stage.connect(SPOT, "/ws/0") as client:
            stage.trade(SPOT, 61000)
            assert await client.silent_for(QUIET_S)
            assert (await client.say(method="SUBSCRIBE", params=["btcusdt@trade"], id=1))[
                "result"
            ] is None

    on_stage(play)


def test_what_cannot_be_read_is_answered_and_not_the_end() -> None:
    async def play(stage: Stage) -> None:
        async with stage.connect(SPOT, "/ws") as client:
            await client.socket.send_str("{")
            assert (await client.receive())["error"]["code"] == 3
            answer = await client.say(method="NONSENSE", params=[], id=9)
            assert (answer["error"]["code"], answer["id"]) == (2, 9)
            assert (await client.say(method="LIST_SUBSCRIPTIONS", id=1))["result"] == []

    on_stage(play)


def test_microseconds_when_the_address_asks_for_them() -> None:
    async def play(stage: Stage) -> None:
        async with stage.connect(SPOT, "/ws/btcusdt@trade?timeUnit=microsecond") as client:
            await asyncio.sleep(0.05)
            stage.trade(SPOT, 61000)
            assert (await client.receive())["T"] > 10**15

    on_stage(play)


def test_more_streams_than_a_connection_may_have_end_it() -> None:
    async def play(stage: Stage) -> None:
        async with stage.connect(SPOT, "/ws") as client:
            streams = [f"x{number}@trade" for number in range(1025)]
            answer = await client.say(method="SUBSCRIBE", params=streams, id=1)
            assert answer["error"]["code"] == 2
            assert (await client.say(method="SUBSCRIBE", params=streams[1:], id=2)) == {
                "result": None,
                "id": 2,
            }
        rules = stage.world.sockets.stream_rules
        rules[SPOT] = replace(rules[SPOT], max_streams=2)
        async with stage.connect(SPOT, "/ws/a@trade/b@trade/c@trade") as client:
            with pytest.raises(ConnectionError, match="1008 Too many streams"):
                await client.receive()

    on_stage(play)


FUTURES_ROUTES = [
    ("/public", "btcusdt@trade", True),
    ("/public", "btcusdt@bookTicker", True),
    ("/public", "btcusdt@aggTrade", False),
    ("/market", "btcusdt@aggTrade", True),
    ("/market", "btcusdt@trade", False),
    ("/private", "btcusdt@aggTrade", False),
    ("", "btcusdt@aggTrade", False),
    ("", "btcusdt@trade", False),
]


@pytest.mark.parametrize(("route", "name", "is_heard"), FUTURES_ROUTES)
@pytest.mark.parametrize("form", ["/ws/{}", "/stream?streams={}", "subscribe"])
def test_futures_streams_speak_on_their_route_only(
    route: str, name: str, is_heard: bool, form: str
) -> None:
    async def play(stage: Stage) -> None:
        path = "/ws" if form == "subscribe" else form.format(name)
        async with stage.connect(FUTURES, f"{route}{path}") as client:
            if form == "subscribe":
                answer = await client.say(method="SUBSCRIBE", params=[name], id=1)
                assert answer == {"result": None, "id": 1}, "a wrong route is no error"
            await asyncio.sleep(0.02)
            stage.trade(FUTURES, 61000)
            if not is_heard:
                assert await client.silent_for(QUIET_S)
                await client.socket.ping()
                return
            message = await client.receive()
            assert message.get("data", message)["s"] == "BTCUSDT"
            assert ("stream" in message) is form.startswith("/stream")

    on_stage(play)


def test_an_account_is_heard_under_its_key_in_every_form() -> None:
    async def play(stage: Stage) -> None:
        key = stage.world.listen_keys.create(KEY, stage.world.now_ms())
        async with (
            stage.connect(FUTURES, f"/private/ws?listenKey={key}") as by_query,
            stage.connect(FUTURES, f"/private/ws/{key}") as by_path,
            stage.connect(FUTURES, f"/private/stream?listenKey={key}") as combined,
            stage.connect(FUTURES, "/private/ws") as subscribed,
            stage.connect(
                FUTURES, f"/private/ws?listenKey={key}&events=ACCOUNT_UPDATE"
            ) as filtered,
            stage.connect(FUTURES, f"/ws/{key}") as old,
            stage.connect(FUTURES, f"/market/ws/{key}") as wrong,
            stage.connect(FUTURES, "/private/ws?listenKey=madeup") as unknown,
        ):
            await subscribed.say(method="SUBSCRIBE", params=[key], id=1)
            await asyncio.sleep(0.05)
            await stage.buy(FUTURES, "mine", "50000")
            for client in (by_query, by_path, subscribed):
                event = await client.receive()
                assert (event["e"], event["o"]["c"]) == ("ORDER_TRADE_UPDATE", "mine")
            wrapped = await combined.receive()
            assert (wrapped["stream"], wrapped["data"]["o"]["c"]) == (key, "mine")
            for silent in (old, wrong, unknown, filtered):
                assert await silent.silent_for(0.05)

    on_stage(play)


def test_only_the_events_that_were_asked_for() -> None:
    async def play(stage: Stage) -> None:
        key = stage.world.listen_keys.create(KEY, stage.world.now_ms())
        path = f"/private/ws?listenKey={key}&events=ACCOUNT_UPDATE/TRADE_LITE"
        async with stage.connect(FUTURES, path) as client:
            await asyncio.sleep(0.02)
            await stage.buy(FUTURES, "mine", "110000")
            assert [(await client.receive())["e"] for _ in range(2)] == [
                "TRADE_LITE",
                "ACCOUNT_UPDATE",
            ]

    on_stage(play)


def test_a_key_that_runs_out_is_told_on_the_socket() -> None:
    async def play(stage: Stage) -> None:
        stage.world.listen_keys.lifetime_ms = 150
        key = stage.world.listen_keys.create(KEY, stage.world.now_ms())
        async with stage.connect(FUTURES, f"/private/ws?listenKey={key}") as client:
            event = await client.receive()
            assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
            await stage.buy(FUTURES, "mine", "50000")
            assert await client.silent_for(QUIET_S)

    on_stage(play)


@pytest.mark.parametrize("market", list(Market))
def test_a_silence_leaves_the_connection_and_its_control_alone(market: Market) -> None:
    async def play(stage: Stage) -> None:
        path = "/ws/btcusdt@trade" if market is SPOT else "/public/ws/btcusdt@trade"
        async with stage.connect(market, path) as client:
            await asyncio.sleep(0.02)
            stage.world.faults.silent_until_ms = stage.world.wall_ms() + 60_000
            stage.trade(market, 61000)
            assert await client.silent_for(QUIET_S)
            assert (await client.say(method="LIST_SUBSCRIPTIONS", id=1))["id"] == 1
            stage.world.faults.silent_until_ms = 0
            stage.trade(market, 61001)
            assert (await client.receive())["e"] == "trade"

    on_stage(play)


def test_a_shutdown_is_announced_in_the_form_of_each_connection() -> None:
    async def play(stage: Stage) -> None:
        async with (
            stage.connect(SPOT, "/ws/btcusdt@trade") as raw,
            stage.connect(SPOT, "/stream?streams=btcusdt@trade") as combined,
            stage.api(SPOT) as api,
        ):
            await asyncio.sleep(0.02)
            task = asyncio.ensure_future(stage.world.sockets.announce_shutdown(grace_ms=20))
            assert (await raw.receive())["e"] == "serverShutdown"
            wrapped = await combined.receive()
            assert wrapped["stream"] == "!serverShutdown"
            assert wrapped["data"]["e"] == "serverShutdown"
            assert (await api.receive())["event"]["e"] == "serverShutdown"
            await task
            with pytest.raises(ConnectionError, match="1001"):
                await raw.receive()

    on_stage(play)


def test_listeners_are_forgotten_with_their_connection() -> None:
    async def play(stage: Stage) -> None:
        hub = stage.sockets[SPOT].hub
        async with stage.connect(SPOT, "/ws/btcusdt@ticker/btcusdt@depth@100ms"):
            await asyncio.sleep(0.05)
            assert set(hub.names) == {"btcusdt@ticker", "btcusdt@depth@100ms"}
            assert stage.world.sockets.count == 1
        await until(lambda: hub.names == () and stage.world.sockets.count == 0)

    on_stage(play)


def test_each_market_has_its_own_rules_and_they_are_kept() -> None:
    async def play(stage: Stage) -> None:
        assert stage.sockets[SPOT].streams.rules.messages_per_second == 5
        assert stage.sockets[FUTURES].streams.rules.messages_per_second == 10
        assert stage.sockets[SPOT].streams.rules.ping_ms == 20_000
        assert stage.sockets[FUTURES].streams.rules.ping_ms == 180_000
        counts = {}
        for market, path in ((SPOT, "/ws"), (FUTURES, "/market/ws")):
            async with stage.connect(market, path) as client:
                counts[market] = await answered(client)
        assert counts == {SPOT: 5, FUTURES: 10}

    on_stage(play)


async def answered(client: Any) -> int:
    """How many of twenty messages at once are answered before the connection is closed."""
    for number in range(20):
        await client.socket.send_str(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
    count = 0
    try:
        while True:
            await client.receive()
            count += 1
    except ConnectionError as error:
        assert "1008" in str(error)
    return count


def test_a_lifetime_can_be_shortened_and_ends_a_connection() -> None:
    async def play(stage: Stage) -> None:
        rules = stage.world.sockets.stream_rules
        rules[SPOT] = replace(rules[SPOT], lifetime_ms=100)
        async with stage.connect(SPOT, "/ws/btcusdt@trade") as client:
            with pytest.raises(ConnectionError, match="1008"):
                await client.receive()

    on_stage(play)


def test_stories_are_told() -> None:
    """The helper itself: a story that fails must fail its test."""

    async def broken(stage: Stage) -> None:
        raise ZeroDivisionError

    story: Callable[[Stage], Awaitable[None]] = broken
    with pytest.raises(ZeroDivisionError):
        on_stage(story)
