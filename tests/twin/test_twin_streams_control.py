"""Names of streams, and what a client may say on a market socket: the documented answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridlab.domain.market import Market
from gridlab.twin.listen_keys import ListenKeys
from gridlab.twin.stream_control import StreamControl
from gridlab.twin.stream_names import Kind, Route, parse

SPOT, FUTURES = Market.SPOT, Market.FUTURES


@pytest.mark.parametrize(
    ("market", "name", "kind", "every_ms"),
    [
        (SPOT, "btcusdt@trade", Kind.TRADE, 0),
        (SPOT, "btcusdt@aggTrade", Kind.AGG_TRADE, 0),
        (SPOT, "btcusdt@bookTicker", Kind.BOOK_TICKER, 0),
        (SPOT, "btcusdt@kline_1m", Kind.KLINE, 2_000),
        (SPOT, "btcusdt@kline_1M", Kind.KLINE, 2_000),
        (SPOT, "btcusdt@kline_3d", Kind.KLINE, 2_000),
        (SPOT, "btcusdt@depth", Kind.DEPTH, 1_000),
        (SPOT, "btcusdt@depth@100ms", Kind.DEPTH, 100),
        (SPOT, "btcusdt@depth20", Kind.PARTIAL_DEPTH, 1_000),
        (SPOT, "btcusdt@depth5@100ms", Kind.PARTIAL_DEPTH, 100),
        (SPOT, "btcusdt@ticker", Kind.TICKER, 1_000),
        (SPOT, "btcusdt@miniTicker", Kind.MINI_TICKER, 1_000),
        (SPOT, "btcusdt@avgPrice", Kind.AVG_PRICE, 1_000),
        (SPOT, "!miniTicker@arr", Kind.MINI_TICKER, 1_000),
        (FUTURES, "btcusdt@kline_1h", Kind.KLINE, 250),
        (FUTURES, "btcusdt_perpetual@continuousKline_1m", Kind.CONTINUOUS_KLINE, 250),
        (FUTURES, "btcusdt@depth", Kind.DEPTH, 250),
        (FUTURES, "btcusdt@depth10@500ms", Kind.PARTIAL_DEPTH, 500),
        (FUTURES, "btcusdt@markPrice", Kind.MARK_PRICE, 3_000),
        (FUTURES, "btcusdt@markPrice@1s", Kind.MARK_PRICE, 1_000),
        (FUTURES, "!markPrice@arr@1s", Kind.MARK_PRICE, 1_000),
        (FUTURES, "!ticker@arr", Kind.TICKER, 1_000),
        (FUTURES, "!bookTicker", Kind.BOOK_TICKER, 0),
    ],
)
def test_every_documented_name_is_understood(
    market: Market, name: str, kind: Kind, every_ms: int
) -> None:
    stream = parse(market, name)
    assert stream is not None
    assert (stream.kind, stream.every_ms, stream.name) == (kind, every_ms, name)
    assert stream.symbol == ("" if name.startswith("!") else "BTCUSDT")


def test_a_name_tells_its_interval_and_its_levels() -> None:
    kline, book = parse(SPOT, "ethusdt@kline_15m"), parse(FUTURES, "ethusdt@depth10")
    assert kline is not None and kline.interval == "15m"
    assert book is not None and book.levels == 10


@pytest.mark.parametrize(
    ("market", "name"),
    [
        (SPOT, "BTCUSDT@trade"),  # names are lower case
        (SPOT, "btcusdt@aggtrade"),
        (SPOT, "btcusdt@kline_7m"),
        (SPOT, "btcusdt@depth7"),
        (SPOT, "btcusdt@depth@250ms"),  # futures has that speed
        (FUTURES, "btcusdt@depth@1000ms"),
        (SPOT, "btcusdt@markPrice"),
        (FUTURES, "btcusdt@avgPrice"),
        (SPOT, "!ticker@arr"),  # gone since March 2026
        (SPOT, "!bookTicker"),
        (SPOT, "0"),  # ccxt.pro opens /ws/0
        (SPOT, ""),
        (FUTURES, "btcusdt_current_quarter@continuousKline_1m"),
    ],
)
def test_a_name_of_no_stream_is_none(market: Market, name: str) -> None:
    assert parse(market, name) is None


def test_futures_streams_have_their_routes() -> None:
    routes = {
        "btcusdt@trade": Route.PUBLIC,
        "btcusdt@bookTicker": Route.PUBLIC,
        "btcusdt@depth": Route.PUBLIC,
        "btcusdt@depth5": Route.PUBLIC,
        "btcusdt@aggTrade": Route.MARKET,
        "btcusdt@kline_1m": Route.MARKET,
        "btcusdt@ticker": Route.MARKET,
        "btcusdt@markPrice": Route.MARKET,
        "!miniTicker@arr": Route.MARKET,
    }
    for name, route in routes.items():
        stream = parse(FUTURES, name)
        assert stream is not None and stream.route(FUTURES) is route
    spot = parse(SPOT, "btcusdt@depth")
    assert spot is not None and spot.route(SPOT) is Route.ALL


class Changes:
    """A control whose changes are kept."""

    def __init__(self, *names: str, most: int = 4) -> None:
        self.made: list[tuple[list[str], list[str]]] = []
        self.control = StreamControl(
            names,
            is_combined=False,
            most=most,
            on_change=lambda new, old: self.made.append((new, old)),
        )

    def say(self, **request: Any) -> dict[str, Any]:
        return self.control.answer(json.dumps(request))


def test_subscribing_listing_and_leaving() -> None:
    changes = Changes("a@trade")
    assert changes.say(method="SUBSCRIBE", params=["b@trade", "a@trade", "b@trade"], id=1) == {
        "result": None,
        "id": 1,
    }
    assert changes.say(method="LIST_SUBSCRIPTIONS", id="two") == {
        "result": ["a@trade", "b@trade"],
        "id": "two",
    }
    assert changes.say(method="UNSUBSCRIBE", params=["a@trade", "never"], id=None) == {
        "result": None,
        "id": None,
    }
    assert changes.say(method="LIST_SUBSCRIPTIONS", id=4)["result"] == ["b@trade"]
    assert changes.made == [(["b@trade"], []), ([], ["a@trade"])]


def test_the_combined_property() -> None:
    changes = Changes()
    assert changes.say(method="GET_PROPERTY", params=["combined"], id=1)["result"] is False
    assert changes.say(method="SET_PROPERTY", params=["combined", True], id=2)["result"] is None
    assert changes.say(method="GET_PROPERTY", params=["combined"], id=3)["result"] is True


@pytest.mark.parametrize(
    ("text", "code", "words", "request_id"),
    [
        ("{", 3, "Invalid JSON: expected value at line 1 column 2", None),
        ("[" * 5000, 3, "Invalid JSON: ", None),
        ("[1]", 2, "Invalid request: ", None),
        ('{"params":[],"id":7}', 2, "Invalid request: missing field `method` at line 1 ", 7),
        (
            '{"method":"SUBSCRIB","params":["a"],"id":7}',
            2,
            "Invalid request: unknown variant `SUBSCRIB`, expected one of `SUBSCRIBE`, "
            "`UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1",
            7,
        ),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2, "request ID must be", None),
        ('{"method":"SUBSCRIBE","params":["a"],"id":true}', 2, "request ID must be", None),
        ('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', 2, "request ID must be", None),
        (
            f'{{"method":"SUBSCRIBE","params":["a"],"id":"{"x" * 37}"}}',
            2,
            "request ID must be",
            None,
        ),
        ('{"method":"SUBSCRIBE","params":[1],"id":7}', 2, "Invalid request: ", 7),
        ('{"method":"SUBSCRIBE","params":"a","id":7}', 2, "Invalid request: ", 7),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":7}', 2, "too many parameters", 7),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":7}', 1, "expected Boolean", 7),
        ('{"method":"SET_PROPERTY","params":["other",true],"id":7}', 0, "Unknown property", 7),
        ('{"method":"GET_PROPERTY","params":[],"id":7}', 2, "property name must be a string", 7),
        ('{"method":"GET_PROPERTY","params":[5],"id":7}', 2, "property name must be", 7),
        ('{"method":"GET_PROPERTY","params":["combined","x"],"id":7}', 2, "too many", 7),
    ],
)
def test_what_cannot_be_done_is_answered_with_its_code(
    text: str, code: int, words: str, request_id: int | None
) -> None:
    changes = Changes()
    answer = changes.control.answer(text)
    assert answer["error"]["code"] == code
    assert words in answer["error"]["msg"]
    assert answer.get("id") == request_id
    assert changes.made == []


def test_a_connection_has_room_for_so_many_streams() -> None:
    changes = Changes("a", "b", "c", most=4)
    assert "error" in changes.say(method="SUBSCRIBE", params=["d", "e"], id=1)
    assert changes.say(method="LIST_SUBSCRIPTIONS", id=2)["result"] == ["a", "b", "c"]
    assert "error" not in changes.say(method="SUBSCRIBE", params=["d", "a"], id=3)


def test_a_listen_key_stays_the_same_until_it_ends() -> None:
    keys = ListenKeys(lifetime_ms=1_000)
    key = keys.create("me", now_ms=0)
    assert len(key) == 64
    assert keys.create("me", now_ms=900) == key, "asking again renews it"
    assert keys.owner(key, now_ms=1_500) == "me"
    assert keys.keep_alive("me", now_ms=1_899)
    assert not keys.keep_alive("you", now_ms=1_899)
    assert keys.owner(key, now_ms=2_899) is None
    assert not keys.keep_alive("me", now_ms=2_899), "a key that ran out cannot be renewed"
    other = keys.create("me", now_ms=3_000)
    assert other != key
    closed: list[str] = []
    stop = keys.on_close(closed.append)
    assert keys.close("me", now_ms=3_001)
    assert not keys.close("me", now_ms=3_002)
    stop()
    keys.create("me", now_ms=3_003)
    keys.close("me", now_ms=3_004)
    assert closed == [other]
