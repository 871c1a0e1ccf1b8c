"""Stream payloads against the keys and JSON types that Binance sends.

The shapes are facts taken from recorded payloads of both markets: a key, and what JSON type stands
behind it (`s` text, `i` integer, `b` flag, `n` null).
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridlab.domain.account import MarginType
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.twin import stream_payloads as stream
from gridlab.twin import user_payloads as user
from gridlab.twin.stream_payloads import Bar, Day, Digits, Mark, Printed, Top
from gridlab.twin.wire_futures import AssetFigures, PositionFigures

NOW = 1_700_000_000_123
SPOT, FUTURES = Market.SPOT, Market.FUTURES


def instrument(market: Market) -> Instrument:
    return Instrument(
        symbol="BTCUSDT",
        market=market,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.10"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(5),
        min_quantity=Decimal("0.001"),
        max_quantity=Decimal(1000),
        min_price=Decimal("0.1"),
        max_price=Decimal(1_000_000),
    )


DIGITS = {market: Digits.of(instrument(market)) for market in Market}
PRINTED = Printed("BTCUSDT", 77, Decimal("61000.5"), Decimal("0.25"), NOW - 5, True)
BAR = Bar(
    open_ms=1_699_999_980_000,
    close_ms=1_700_000_039_999,
    open=Decimal(61000),
    high=Decimal("61010.5"),
    low=Decimal(60990),
    close=Decimal("61000.5"),
    volume=Decimal("12.5"),
    quote_volume=Decimal("762506.25"),
    trades=9,
    taker_volume=Decimal(6),
    taker_quote_volume=Decimal(366000),
    first_trade_id=70,
    last_trade_id=78,
)
DAY = Day(
    open=Decimal(60000),
    high=Decimal(62000),
    low=Decimal(59000),
    last=Decimal("61000.5"),
    last_quantity=Decimal("0.25"),
    previous_close=Decimal(60001),
    volume=Decimal(1000),
    quote_volume=Decimal(60_500_000),
    weighted_average=Decimal(60500),
    open_ms=NOW - 86_400_000,
    close_ms=NOW,
    first_trade_id=1,
    last_trade_id=78,
    trades=78,
)
TOP = Top(900, Decimal(61000), Decimal("1.5"), Decimal("61000.1"), Decimal(2))
MARK = Mark(Decimal("61001.23456789"), Decimal(61002), Decimal(61003), Decimal("0.0001"), NOW + 1)

_BOOK = {"u": "i", "s": "s", "b": "s", "B": "s", "a": "s", "A": "s"}
_AGG = dict.fromkeys("EafTl", "i") | {"e": "s", "s": "s", "p": "s", "q": "s", "m": "b"}
_CANDLE = dict.fromkeys("tTfLn", "i") | dict.fromkeys("siochlvqVQB", "s") | {"x": "b"}
_DAY = dict.fromkeys("EOCFLn", "i") | dict.fromkeys("espPwcQohlvq", "s")
_REPORT = (
    dict.fromkeys("EgiTtIOW", "i")
    | dict.fromkeys("escSofqpPFCxXrlzLnZYQV", "s")
    | {"N": "s", "w": "b", "m": "b", "M": "b"}
)
_FUTURES_ORDER = dict.fromkeys(
    ("s", "c", "S", "o", "f", "q", "p", "ap", "sp", "x", "X", "l", "z", "L", "n", "N", "b", "a")
    + ("wt", "ot", "ps", "rp", "V", "pm", "er"),
    "s",
) | {
    **dict.fromkeys(("i", "T", "t", "si", "ss", "gtd"), "i"),
    **dict.fromkeys(("m", "R", "cp", "pP"), "b"),
}


def shape(value: Any) -> Any:
    """Keys and JSON types of `value`; of a list, those of its first element."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return {bool: "b", int: "i", str: "s", type(None): "n"}[type(value)]


def step(**changes: Any) -> user.Execution:
    values: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "order_id": 5,
        "client_id": "mine-1",
        "side": "BUY",
        "order_type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": Decimal("0.5"),
        "price": Decimal(61000),
        "execution_type": "NEW",
        "status": "NEW",
        "executed": Decimal(0),
        "quote_executed": Decimal(0),
        "created_ms": NOW - 50,
        "time_ms": NOW - 2,
        "execution_id": 31,
        "is_on_book": True,
    }
    return user.Execution(**(values | changes))


FILL = user.Fill(88, Decimal(61000), Decimal("0.25"), Decimal("0.00025"), "BTC", True, Decimal(3))
FILLED = step(
    execution_type="TRADE",
    status="PARTIALLY_FILLED",
    executed=Decimal("0.25"),
    quote_executed=Decimal(15250),
    fill=FILL,
)
POSITION = PositionFigures(
    symbol="BTCUSDT",
    quantity=Decimal("0.25"),
    entry=Decimal(61000),
    break_even=Decimal(61010),
    mark=Decimal(61100),
    unrealized=Decimal(25),
    liquidation=Decimal(1000),
    leverage=1,
    margin_type=MarginType.ISOLATED,
    isolated_wallet=Decimal(15250),
    notional=Decimal(15275),
    maintenance=Decimal(61),
    position_initial=Decimal(15250),
    order_initial=Decimal(0),
    max_notional=Decimal(1_000_000),
    bid_notional=Decimal(0),
    ask_notional=Decimal(0),
    updated_ms=NOW,
)
ASSET = AssetFigures(
    asset="USDT",
    wallet=Decimal(100),
    cross_wallet=Decimal(40),
    unrealized=Decimal(25),
    cross_unrealized=Decimal(0),
    maintenance=Decimal(61),
    position_initial=Decimal(0),
    order_initial=Decimal(0),
    available=Decimal(40),
    updated_ms=NOW,
)


def depth(market: Market) -> dict[str, Any]:
    return stream.depth_update(
        market,
        "BTCUSDT",
        first_id=11,
        last_id=14,
        previous_id=10,
        bids=[(Decimal(61000), Decimal("1.5"))],
        asks=[(Decimal(61001), Decimal(0))],
        digits=DIGITS[market],
        now_ms=NOW,
    )


SHAPES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "spot trade",
        stream.trade(SPOT, PRINTED, DIGITS[SPOT], NOW),
        {"e": "s", "E": "i", "s": "s", "t": "i", "p": "s", "q": "s", "T": "i", "m": "b", "M": "b"},
    ),
    ("spot aggTrade", stream.agg_trade(SPOT, PRINTED, DIGITS[SPOT], NOW), _AGG | {"M": "b"}),
    (
        "futures aggTrade",
        stream.agg_trade(FUTURES, PRINTED, DIGITS[FUTURES], NOW),
        _AGG | {"nq": "s", "st": "i"},
    ),
    (
        "spot kline",
        stream.kline(SPOT, "BTCUSDT", "1m", BAR, DIGITS[SPOT], NOW, is_closed=False),
        {"e": "s", "E": "i", "s": "s", "k": _CANDLE},
    ),
    (
        "continuous kline",
        stream.continuous_kline("BTCUSDT", "1m", BAR, DIGITS[FUTURES], NOW, is_closed=True),
        {"e": "s", "E": "i", "ps": "s", "ct": "s", "st": "i"}
        | {"k": {key: kind for key, kind in _CANDLE.items() if key != "s"}},
    ),
    ("spot bookTicker", stream.book_ticker(SPOT, "BTCUSDT", TOP, DIGITS[SPOT], NOW), _BOOK),
    (
        "futures bookTicker",
        stream.book_ticker(FUTURES, "BTCUSDT", TOP, DIGITS[FUTURES], NOW),
        _BOOK | {"e": "s", "E": "i", "T": "i", "ps": "s", "st": "i"},
    ),
    (
        "spot depth",
        depth(SPOT),
        {"e": "s", "E": "i", "s": "s", "U": "i", "u": "i", "b": [["s"]], "a": [["s"]]},
    ),
    (
        "futures depth",
        depth(FUTURES),
        {"e": "s", "s": "s", "ps": "s", "b": [["s"]], "a": [["s"]]}
        | dict.fromkeys(("E", "T", "U", "u", "pu", "st"), "i"),
    ),
    (
        "spot partial depth",
        stream.partial_depth(9, [(Decimal(1), Decimal(2))], [], DIGITS[SPOT]),
        {"lastUpdateId": "i", "bids": [["s"]], "asks": []},
    ),
    (
        "spot ticker",
        stream.ticker(SPOT, "BTCUSDT", DAY, TOP, DIGITS[SPOT], NOW),
        _DAY | dict.fromkeys("xbBaA", "s"),
    ),
    (
        "futures ticker",
        stream.ticker(FUTURES, "BTCUSDT", DAY, TOP, DIGITS[FUTURES], NOW),
        _DAY | {"st": "i"},
    ),
    (
        "mini ticker",
        stream.mini_ticker(SPOT, "BTCUSDT", DAY, DIGITS[SPOT], NOW),
        {"E": "i"} | dict.fromkeys("escohlvq", "s"),
    ),
    (
        "avgPrice",
        stream.avg_price("BTCUSDT", Decimal(61000), NOW, NOW),
        {"e": "s", "E": "i", "s": "s", "i": "s", "w": "s", "T": "i"},
    ),
    (
        "markPrice",
        stream.mark_price("BTCUSDT", MARK, NOW),
        dict.fromkeys(("e", "s", "p", "ap", "P", "i", "r"), "s") | {"E": "i", "T": "i", "st": "i"},
    ),
    ("executionReport NEW", user.execution_report(step(), NOW), _REPORT | {"N": "n"}),
    ("executionReport TRADE", user.execution_report(FILLED, NOW), _REPORT),
    (
        "executionReport EXPIRED",
        user.execution_report(step(status="EXPIRED", expiry_reason="EXCHANGE_CANCELED"), NOW),
        _REPORT | {"N": "n", "eR": "s"},
    ),
    (
        "outboundAccountPosition",
        user.account_position([Balance("BTC", Decimal(1))], NOW, NOW),
        {"e": "s", "E": "i", "u": "i", "B": [{"a": "s", "f": "s", "l": "s"}]},
    ),
    (
        "balanceUpdate",
        user.balance_update("BTC", Decimal(-1), NOW, NOW),
        {"e": "s", "E": "i", "a": "s", "d": "s", "T": "i"},
    ),
    (
        "ORDER_TRADE_UPDATE fill",
        user.order_trade_update(FILLED, DIGITS[FUTURES], NOW),
        {"e": "s", "E": "i", "T": "i", "o": _FUTURES_ORDER},
    ),
    (
        "ORDER_TRADE_UPDATE new",
        user.order_trade_update(step(), DIGITS[FUTURES], NOW),
        {"e": "s", "E": "i", "T": "i"}
        | {"o": {key: kind for key, kind in _FUTURES_ORDER.items() if key not in ("n", "N")}},
    ),
    (
        "TRADE_LITE",
        user.trade_lite(FILLED, FILL, DIGITS[FUTURES], NOW),
        {"E": "i", "T": "i", "t": "i", "i": "i", "m": "b"} | dict.fromkeys("esqpcSLl", "s"),
    ),
    (
        "ACCOUNT_UPDATE",
        user.account_update(
            user.AccountChange(
                "ORDER",
                NOW,
                (ASSET,),
                (user.position_row(POSITION, DIGITS[FUTURES], Decimal(3)),),
            ),
            NOW,
        ),
        {
            "e": "s",
            "E": "i",
            "T": "i",
            "a": {
                "m": "s",
                "B": [dict.fromkeys(("a", "wb", "cw", "bc"), "s")],
                "P": [dict.fromkeys(("s", "pa", "ep", "bep", "cr", "up", "mt", "iw", "ps"), "s")],
            },
        },
    ),
    (
        "ACCOUNT_CONFIG_UPDATE",
        user.leverage_update("BTCUSDT", 5, NOW, NOW),
        {"e": "s", "E": "i", "T": "i", "ac": {"s": "s", "l": "i"}},
    ),
]


@pytest.mark.parametrize(("name", "payload", "expected"), SHAPES, ids=[row[0] for row in SHAPES])
def test_keys_and_types_are_those_of_the_venue(
    name: str, payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert shape(json.loads(json.dumps(payload))) == expected


def test_spot_writes_eight_decimals_and_futures_those_of_tick_and_lot() -> None:
    assert stream.trade(SPOT, PRINTED, DIGITS[SPOT], NOW)["p"] == "61000.50000000"
    futures = stream.trade(FUTURES, PRINTED, DIGITS[FUTURES], NOW)
    assert (futures["p"], futures["q"]) == ("61000.5", "0.250")


def test_a_fill_tells_what_it_was_and_what_it_cost() -> None:
    report = user.execution_report(FILLED, NOW)
    assert (report["l"], report["z"], report["L"]) == ("0.25000000", "0.25000000", "61000.00000000")
    assert (report["Y"], report["Z"]) == ("15250.00000000", "15250.00000000")
    assert (report["n"], report["N"], report["t"], report["I"]) == ("0.00025000", "BTC", 88, 31)
    new = user.execution_report(step(), NOW)
    assert (new["n"], new["N"], new["t"], new["r"], new["C"]) == ("0", None, -1, "NONE", "")
    order = user.order_trade_update(FILLED, DIGITS[FUTURES], NOW)["o"]
    assert (order["ap"], order["rp"], order["n"]) == ("61000.0", "3.00000000", "0.00025")


def test_microseconds_reach_every_time_of_an_event() -> None:
    kline = stream.kline(SPOT, "BTCUSDT", "1m", BAR, DIGITS[SPOT], NOW, is_closed=True)
    finer = stream.in_microseconds(kline)
    assert finer["E"] == NOW * 1000
    assert finer["k"]["t"] == BAR.open_ms * 1000
    assert finer["k"]["T"] == 1_700_000_039_999_999
    assert kline["k"]["t"] == BAR.open_ms, "the other listeners' payload is not changed"
    report = stream.in_microseconds(user.execution_report(FILLED, NOW))
    assert (report["T"], report["O"], report["t"]) == ((NOW - 2) * 1000, (NOW - 50) * 1000, 88)


def test_an_account_update_tells_wallets_and_positions() -> None:
    change = user.AccountChange(
        "DEPOSIT",
        NOW,
        (ASSET,),
        (user.position_row(POSITION, DIGITS[FUTURES], Decimal(0)),),
        changes={"USDT": Decimal("-1.50")},
    )
    account = user.account_update(change, NOW)["a"]
    assert account["B"] == [{"a": "USDT", "wb": "100.00000000", "cw": "40.00000000", "bc": "-1.5"}]
    (row,) = account["P"]
    assert (row["pa"], row["ep"], row["mt"], row["iw"]) == (
        "0.250",
        "61000",
        "isolated",
        "15250.00000000",
    )


def test_a_margin_call_names_cross_wallet_only_for_cross_positions() -> None:
    call = user.margin_call(POSITION, DIGITS[FUTURES], Decimal(10), NOW)
    assert "cw" not in call
    assert call["p"][0]["mt"] == "ISOLATED"
    assert call["p"][0]["up"] == "25.00000000"
    crossed = replace(POSITION, margin_type=MarginType.CROSSED)
    assert user.margin_call(crossed, DIGITS[FUTURES], Decimal(10), NOW)["cw"] == "10.00000000"
