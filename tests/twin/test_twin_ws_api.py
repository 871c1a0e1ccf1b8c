"""The WebSocket API of both markets: requests, signatures, limits, and spot's user data."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from socket_stage import KEY, SECRET, Stage, on_stage, until
from waiting import wait_for_room

from gridlab.domain.market import Market
from gridlab.twin.signing import hmac_hex
from gridlab.twin.ws_request import BadRequest, parse

SPOT, FUTURES = Market.SPOT, Market.FUTURES
BUY: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "60000",
}
SUBSCRIBE = "userDataStream.subscribe.signature"


# -- the request as a text ----------------------------------------------------------------------


def test_the_signature_covers_sorted_raw_text() -> None:
    """Not percent-encoded: that would pass ASCII tests and fail for symbols in other scripts."""
    request = parse(
        '{"id":1,"method":"order.place","params":{"timestamp":5,"symbol":"１２３","b":true,'
        '"price":0.10,"signature":"x","a":"y/z"}}'
    )
    assert request.signed_text() == "a=y/z&b=true&price=0.10&symbol=１２３&timestamp=5"


def test_the_parts_of_a_request() -> None:
    request = parse(
        '{"id":"ab-1","method":"v3/ticker.price","params":{"symbols":["A","B"],"n":null,'
        '"returnRateLimits":false}}'
    )
    assert (request.request_id, request.version, request.method) == ("ab-1", "v3/", "ticker.price")
    assert request.params["symbols"] == '["A","B"]'
    assert "n" not in request.params
    assert request.shows_limits is False


@pytest.mark.parametrize(
    ("text", "words", "request_id"),
    [
        ("{", "Invalid JSON", None),
        ("[]", "expected an object", None),
        ('{"id":1,"method":"time","params":NaN}', "Invalid JSON", None),
        ('{"method":"time"}', "Invalid 'id' in JSON request; expected an integer", None),
        ('{"id":1.5,"method":"time"}', "Invalid 'id'", None),
        ('{"id":true,"method":"time"}', "Invalid 'id'", None),
        (f'{{"id":"{"x" * 37}","method":"time"}}', "Invalid 'id'", None),
        ('{"id":"a b","method":"time"}', "Invalid 'id'", None),
        ('{"id":7}', "Invalid 'method' in JSON request; expected a string", 7),
        ('{"id":7,"method":5}', "Invalid 'method'", 7),
        (
            '{"id":7,"method":"time","params":[]}',
            "Invalid 'params' in JSON request; expected an object.",
            7,
        ),
    ],
)
def test_a_text_that_is_no_request(text: str, words: str, request_id: int | None) -> None:
    with pytest.raises(BadRequest, match=words) as bad:
        parse(text)
    assert bad.value.request_id == request_id
    assert bad.value.error.code == -1135


# -- requests and answers -----------------------------------------------------------------------


def test_public_requests_are_answered_as_by_rest() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            pong = await client.ask("ping")
            assert (pong["status"], pong["result"]) == (200, {})
            assert pong["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
            time = await client.ask("v3/time")
            assert abs(time["result"]["serverTime"] - stage.world.now_ms()) < 1_000
            info = await client.ask("exchangeInfo", symbols=["ETHUSDT"])
            assert [row["symbol"] for row in info["result"]["symbols"]] == ["ETHUSDT"]
            book = await client.ask("depth", symbol="BTCUSDT", limit=5)
            assert len(book["result"]["bids"]) == 5
            rows = await client.ask("klines", symbol="BTCUSDT", interval="1m", limit=2)
            assert len(rows["result"]) == 2
            for method in ("ticker.price", "ticker.book", "ticker.24hr", "avgPrice"):
                answer = await client.ask(method, symbol="BTCUSDT")
                assert answer["status"] == 200, answer
            for method in ("trades.recent", "trades.aggregate", "trades.historical"):
                answer = await client.ask(method, symbol="BTCUSDT", limit=1)
                assert answer["status"] == 200, answer

    on_stage(play)


def test_an_order_lives_its_life_over_the_socket() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            placed = await client.ask("order.place", signed=True, newClientOrderId="mine", **BUY)
            assert placed["status"] == 200, placed
            assert placed["result"]["status"] == "NEW"
            kinds = [row["rateLimitType"] for row in placed["rateLimits"]]
            assert kinds == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
            assert placed["rateLimits"][0]["count"] == 1
            told = await client.ask(
                "order.status", signed=True, symbol="BTCUSDT", origClientOrderId="mine"
            )
            assert told["result"]["orderId"] == placed["result"]["orderId"]
            is_open = await client.ask("openOrders.status", signed=True, symbol="BTCUSDT")
            assert [row["clientOrderId"] for row in is_open["result"]] == ["mine"]
            replaced = await client.ask(
                "order.cancelReplace",
                signed=True,
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrigClientOrderId="mine",
                newClientOrderId="next",
                **BUY,
            )
            assert replaced["result"]["newOrderResult"] == "SUCCESS", replaced
            gone = await client.ask(
                "order.cancel", signed=True, symbol="BTCUSDT", origClientOrderId="next"
            )
            assert gone["result"]["status"] == "CANCELED"
            history = await client.ask("allOrders", signed=True, symbol="BTCUSDT")
            assert [row["status"] for row in history["result"]] == ["CANCELED", "CANCELED"]
            assert (await client.ask("myTrades", signed=True, symbol="BTCUSDT"))["result"] == []
            account = await client.ask("account.status", signed=True)
            assert account["result"]["accountType"] == "SPOT"
            tested = await client.ask("order.test", signed=True, **BUY)
            assert tested["result"] == {}

    on_stage(play)


def test_cancelling_all_answers_the_orders_and_nothing_open_is_refused() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            for name in ("one", "two"):
                await client.ask("order.place", signed=True, newClientOrderId=name, **BUY)
            gone = await client.ask("openOrders.cancelAll", signed=True, symbol="BTCUSDT")
            assert [row["status"] for row in gone["result"]] == ["CANCELED", "CANCELED"]
            none = await client.ask("openOrders.cancelAll", signed=True, symbol="BTCUSDT")
            assert (none["status"], none["error"]["code"]) == (400, -2011)

    on_stage(play)


def test_errors_have_the_status_and_code_of_rest() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            answer = await client.ask("order.place", signed=True, **(BUY | {"price": "0.001"}))
            assert (answer["status"], answer["error"]["code"]) == (400, -1013)
            assert answer["error"]["msg"].startswith("Filter failure: ")
            assert "rateLimits" in answer and "result" not in answer
            unknown = await client.ask(
                "order.status", signed=True, symbol="BTCUSDT", origClientOrderId="never"
            )
            assert unknown["error"] == {"code": -2013, "msg": "Order does not exist."}
            failed = await client.ask(
                "order.cancelReplace",
                signed=True,
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrigClientOrderId="never",
                **BUY,
            )
            assert (failed["status"], failed["error"]["code"]) == (400, -2022)
            assert failed["error"]["data"]["cancelResult"] == "FAILURE"
            assert failed["error"]["data"]["newOrderResult"] == "NOT_ATTEMPTED"
            nothing = await client.ask("order.destroy")
            assert nothing["status"] == 400
            await client.socket.send_str('{"id":"bad id!","method":"ping"}')
            bad = await client.receive()
            assert (bad["id"], bad["status"], bad["error"]["code"]) == (None, 400, -1135)

    on_stage(play)


def test_key_signature_and_time_are_checked() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:

            async def code(**params: Any) -> tuple[int, int]:
                answer = await client.ask("account.status", **params)
                return answer["status"], answer["error"]["code"]

            now_ms = stage.world.now_ms()
            good = stage.signed({})
            assert await code() == (401, -2014)
            assert await code(**(good | {"apiKey": "x" * 64})) == (401, -2015)
            assert await code(apiKey=KEY, timestamp=now_ms) == (400, -1102)
            assert await code(**(good | {"signature": "0" * 64})) == (400, -1022)
            assert await code(**(good | {"recvWindow": 1000})) == (400, -1022)
            assert await code(**stage.signed({"timestamp": now_ms - 6_000})) == (400, -1021)
            assert await code(**stage.signed({"timestamp": now_ms + 60_000})) == (400, -1021)
            upper = good | {"signature": good["signature"].upper()}
            assert (await client.ask("account.status", **upper))["status"] == 200

    on_stage(play)


def test_percent_encoding_before_signing_is_refused() -> None:
    """REST demands what this API refuses: the text is signed as it is."""

    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            params = {"apiKey": KEY, "timestamp": stage.world.now_ms(), "symbol": "ＡＢ"}
            raw = f"apiKey={KEY}&symbol=ＡＢ&timestamp={params['timestamp']}"
            encoded = raw.replace("ＡＢ", "%EF%BC%A1%EF%BC%A2")
            refused = await client.ask(
                "openOrders.status", **params, signature=hmac_hex(SECRET, encoded.encode())
            )
            assert refused["error"]["code"] == -1022
            answer = await client.ask(
                "openOrders.status", **params, signature=hmac_hex(SECRET, raw.encode())
            )
            assert answer.get("error", {}).get("code") != -1022

    on_stage(play)


def test_rate_limits_are_shown_unless_they_are_hidden() -> None:
    async def play(stage: Stage) -> None:
        async with (
            stage.api(SPOT) as open_client,
            stage.api(SPOT, "?returnRateLimits=false") as quiet_client,
        ):
            assert "rateLimits" in await open_client.ask("ping")
            assert "rateLimits" not in await open_client.ask("ping", returnRateLimits=False)
            assert "rateLimits" not in await quiet_client.ask("ping")
            assert "rateLimits" in await quiet_client.ask("ping", returnRateLimits=True)

    on_stage(play)


def test_connecting_and_asking_cost_weight() -> None:
    async def play(stage: Stage) -> None:
        wait_for_room(60, 10)
        async with stage.api(SPOT) as client:
            first = await client.ask("ping")
            assert first["rateLimits"][0]["count"] == 3, "2 for connecting, 1 for the ping"
            second = await client.ask("ping")
            assert second["rateLimits"][0]["count"] == 4

    on_stage(play)


def test_a_ban_says_until_when() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            stage.world.faults.inject("banned", ms=120_000)
            banned = await client.ask("ping")
            assert (banned["status"], banned["error"]["code"]) == (418, -1003)
            data = banned["error"]["data"]
            assert 119_000 <= data["retryAfter"] - data["serverTime"] <= 121_000
            assert (await client.ask("time"))["status"] == 418
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with stage.api(SPOT):
                pass
        assert refused.value.status == 418
        assert stage.world.counters["connections_in_ban"] == 1
        assert stage.world.counters["requests_in_ban"] == 1

    on_stage(play)


def test_a_slow_request_does_not_hold_up_the_next() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            stage.world.faults.inject("late_reply", ms=300)
            await client.socket.send_str('{"id":"slow","method":"ping"}')
            await client.socket.send_str('{"id":"fast","method":"time"}')
            assert [(await client.receive())["id"] for _ in range(2)] == ["fast", "slow"]

    on_stage(play)


def test_a_lost_reply_cuts_the_line_after_the_order_was_taken() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            stage.world.faults.inject("lost_reply", path="/api/v3/order")
            params = stage.signed(BUY | {"newClientOrderId": "mine"})
            await client.socket.send_str(
                json.dumps({"id": 1, "method": "order.place", "params": params})
            )
            with pytest.raises(ConnectionError):
                await client.receive()
        assert stage.world.venue(SPOT).find("BTCUSDT", None, "mine") is not None

    on_stage(play)


# -- sessions and user data ---------------------------------------------------------------------


def test_an_hmac_key_cannot_log_on() -> None:
    async def play(stage: Stage) -> None:
        for market in Market:
            async with stage.api(market) as client:
                answer = await client.ask("session.logon", signed=True)
                assert (answer["status"], answer["error"]["code"]) == (400, -4056)
                status = await client.ask("session.status")
                assert status["result"]["apiKey"] is None
                assert status["result"]["authorizedSince"] is None
                assert status["result"]["connectedSince"] <= status["result"]["serverTime"]

    on_stage(play)


def test_the_account_is_heard_after_subscribing() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client, stage.api(SPOT) as other:
            await stage.buy(SPOT, "before", "60000")
            answer = await client.ask(SUBSCRIBE, signed=True)
            assert answer["result"] == {"subscriptionId": 0}, answer
            listed = await client.ask("session.subscriptions")
            assert listed["result"] == [{"subscriptionId": 0}]
            await stage.buy(SPOT, "after", "60000")
            message = await client.receive()
            assert message["subscriptionId"] == 0
            assert (message["event"]["e"], message["event"]["c"]) == ("executionReport", "after")
            assert (await client.receive())["event"]["e"] == "outboundAccountPosition"
            assert await other.silent_for(0.05), "nobody else subscribed"

    on_stage(play)


def test_one_subscription_a_connection_and_how_it_ends() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            none = await client.ask("userDataStream.unsubscribe")
            assert none["error"]["code"] == -2036
            await client.ask(SUBSCRIBE, signed=True)
            twice = await client.ask(SUBSCRIBE, signed=True)
            assert twice["error"]["code"] == -2035
            wrong = await client.ask("userDataStream.unsubscribe", subscriptionId=5)
            assert wrong["error"]["code"] == -2036
            gone = await client.ask("userDataStream.unsubscribe", subscriptionId=0)
            assert (gone["status"], gone["result"]) == (200, {})
            last = await client.receive()
            assert (last["subscriptionId"], last["event"]["e"]) == (0, "eventStreamTerminated")
            await stage.buy(SPOT, "mine", "60000")
            assert await client.silent_for(0.05)
            again = await client.ask(SUBSCRIBE, signed=True)
            assert again["result"] == {"subscriptionId": 1}, "ids are not used twice"

    on_stage(play)


def test_subscribing_needs_a_right_signature() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            wrong = stage.signed({}) | {"signature": "0" * 64}
            assert (await client.ask(SUBSCRIBE, **wrong))["error"]["code"] == -1022
            assert (await client.ask("userDataStream.subscribe"))["status"] == 401
            assert not stage.sockets[SPOT].account.has_listeners

    on_stage(play)


def test_a_subscription_dies_with_its_connection() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as client:
            await client.ask(SUBSCRIBE, signed=True)
            assert stage.sockets[SPOT].account.has_listeners
            await stage.world.sockets.disconnect_all()
            with pytest.raises(ConnectionError):
                await client.receive()
        await until(lambda: not stage.sockets[SPOT].account.has_listeners)

    on_stage(play)


def test_the_event_can_come_before_or_after_the_answer() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(SPOT) as trader, stage.api(SPOT) as listener:
            await listener.ask(SUBSCRIBE, signed=True)
            stage.world.faults.inject("late_reply", ms=200, path="/api/v3/order")
            task = asyncio.ensure_future(
                trader.ask("order.place", signed=True, newClientOrderId="one", **BUY)
            )
            event = await listener.event("executionReport")
            assert event["c"] == "one" and not task.done(), "the event is first"
            await task
            stage.world.faults.inject("late_event", ms=200)
            await trader.ask("order.place", signed=True, newClientOrderId="two", **BUY)
            told = await trader.ask(
                "order.status", signed=True, symbol="BTCUSDT", origClientOrderId="two"
            )
            assert told["status"] == 200
            event = await listener.event("executionReport")
            assert event["c"] == "two", "the answer was first"

    on_stage(play)


# -- futures ------------------------------------------------------------------------------------


def test_futures_requests_over_the_socket() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(FUTURES) as client:
            placed = await client.ask("order.place", signed=True, newClientOrderId="mine", **BUY)
            assert placed["status"] == 200, placed
            assert placed["result"]["status"] == "NEW"
            assert "avgPrice" not in placed["result"]
            told = await client.ask(
                "order.status", signed=True, symbol="BTCUSDT", origClientOrderId="mine"
            )
            assert told["result"]["origQty"] == "0.010"
            changed = await client.ask(
                "order.modify",
                signed=True,
                symbol="BTCUSDT",
                origClientOrderId="mine",
                side="BUY",
                quantity="0.02",
                price="99000",
            )
            assert changed["status"] == 200, changed
            assert changed["result"]["origQty"] == "0.020"
            gone = await client.ask(
                "order.cancel", signed=True, symbol="BTCUSDT", origClientOrderId="mine"
            )
            assert gone["result"]["status"] == "CANCELED"
            for method in (
                "account.status",
                "v2/account.status",
                "account.balance",
                "v2/account.balance",
                "account.position",
                "v2/account.position",
            ):
                answer = await client.ask(method, signed=True)
                assert answer["status"] == 200, (method, answer)
            assert (await client.ask("ticker.price", symbol="BTCUSDT"))["result"]["price"]
            assert (await client.ask("ticker.book", symbol="BTCUSDT"))["result"]["bidPrice"]
            assert (
                len((await client.ask("depth", symbol="BTCUSDT", limit=5))["result"]["bids"]) == 5
            )

    on_stage(play)


def test_futures_has_listen_keys_and_no_subscription_here() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(FUTURES) as client:
            started = await client.ask("userDataStream.start", apiKey=KEY)
            key = started["result"]["listenKey"]
            assert stage.world.listen_keys.owner(key, stage.world.now_ms()) == KEY
            assert (await client.ask("userDataStream.ping", apiKey=KEY))["status"] == 200
            assert (await client.ask("userDataStream.stop", apiKey=KEY))["status"] == 200
            assert stage.world.listen_keys.owner(key, stage.world.now_ms()) is None
            assert (await client.ask(SUBSCRIBE, signed=True))["status"] == 400

    on_stage(play)


def test_a_wrong_quantity_is_refused_as_by_rest() -> None:
    async def play(stage: Stage) -> None:
        async with stage.api(FUTURES) as client:
            order = BUY | {"quantity": "0.0005"}
            answer = await client.ask("order.place", signed=True, **order)
            assert answer["status"] == 400
            assert answer["error"]["code"] in (-4003, -4004, -1111)

    on_stage(play)
