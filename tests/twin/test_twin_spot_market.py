"""Public market data over HTTP: rules, prices, candles, trades, the shown book."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from spot_client import SpotClient

from gridlab.clock import iso
from gridlab.data import catalog
from gridlab.domain.market import Market
from gridlab.twin.widths import WIDTHS

MINUTE = 60_000
DAY = 86_400_000


class TestRules:
    def test_the_entry_of_a_symbol(self, spot: SpotClient) -> None:
        info = spot.public("/api/v3/exchangeInfo", symbol="BTCUSDT").body
        assert [row["limit"] for row in info["rateLimits"]] == [6000, 100, 200000, 300000]
        (entry,) = info["symbols"]
        filters = {row["filterType"]: row for row in entry["filters"]}
        assert list(filters) == [
            *("PRICE_FILTER", "LOT_SIZE", "ICEBERG_PARTS", "MARKET_LOT_SIZE", "TRAILING_DELTA"),
            *("PERCENT_PRICE_BY_SIDE", "NOTIONAL", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS"),
        ]
        assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
        assert filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierDown"] == "0.5"
        assert filters["MAX_NUM_ORDERS"] == {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200}
        assert entry["permissionSets"] == [["SPOT"]]
        assert entry["orderTypes"] == ["LIMIT", "LIMIT_MAKER", "MARKET"]

    @pytest.mark.parametrize(
        ("params", "symbols"),
        [
            ({}, ["BTCUSDT", "ETHUSDT"]),
            ({"symbols": '["ETHUSDT"]'}, ["ETHUSDT"]),
            ({"symbols": '["ETHUSDT","BTCUSDT"]'}, ["ETHUSDT", "BTCUSDT"]),
            ({"permissions": "SPOT"}, ["BTCUSDT", "ETHUSDT"]),
            ({"permissions": "LEVERAGED"}, []),
            ({"symbolStatus": "HALT"}, []),
        ],
    )
    def test_which_symbols(
        self, spot: SpotClient, params: dict[str, str], symbols: list[str]
    ) -> None:
        info = spot.public("/api/v3/exchangeInfo", **params).body
        assert [entry["symbol"] for entry in info["symbols"]] == symbols

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"symbol": "NOPE"}, -1121),
            ({"symbol": "b@d"}, -1100),
            ({"symbols": '["NOPE"]'}, -1121),
            ({"symbols": "BTCUSDT"}, -1100),
            ({"symbols": '["BTCUSDT","BTCUSDT"]'}, -1101),
            ({"symbols": '["BTCUSDT"]', "symbol": "BTCUSDT"}, -1128),
            ({"symbol": "BTCUSDT", "permissions": "SPOT"}, -1128),
            ({"symbolStatus": "ODD"}, -1122),
        ],
    )
    def test_refusals(self, spot: SpotClient, params: dict[str, str], code: int) -> None:
        assert spot.public("/api/v3/exchangeInfo", **params).refusal[0] == code

    def test_a_changed_rule_is_shown_and_holds(self, spot: SpotClient) -> None:
        place = {"venue": "spot", "symbol": "BTCUSDT"}
        spot.twin.control("/instrument", place | {"tick_size": "0.1", "min_notional": "20"})
        try:
            entry = spot.public("/api/v3/exchangeInfo", symbol="BTCUSDT").body["symbols"][0]
            filters = {row["filterType"]: row for row in entry["filters"]}
            assert filters["PRICE_FILTER"]["tickSize"] == "0.10000000"
            assert spot.limit("BUY", "59000.01").refusal[1] == "Filter failure: PRICE_FILTER"
            assert spot.limit("BUY", "59000", "0.0003").refusal[1] == "Filter failure: NOTIONAL"
        finally:
            spot.twin.control("/instrument", place | {"tick_size": "0.01", "min_notional": "5"})


class TestPrices:
    def test_one_several_and_all(self, spot: SpotClient) -> None:
        path = "/api/v3/ticker/price"
        one = spot.public(path, symbol="BTCUSDT").body
        assert one == {"symbol": "BTCUSDT", "price": "60000.00000000"}
        assert spot.public(path, symbols='["BTCUSDT"]').body == [one]
        assert [row["symbol"] for row in spot.public(path).body] == ["BTCUSDT", "ETHUSDT"]

    def test_the_day(self, spot: SpotClient) -> None:
        spot.twin.price("BTCUSDT", "60600")
        day = spot.public("/api/v3/ticker/24hr", symbol="BTCUSDT").body
        assert day["lastPrice"] == "60600.00000000"
        change = Decimal(day["lastPrice"]) - Decimal(day["openPrice"])
        assert Decimal(day["priceChange"]) == change
        assert day["lastId"] - day["firstId"] + 1 == day["count"]
        assert day["closeTime"] - day["openTime"] == DAY
        mini = spot.public("/api/v3/ticker/24hr", symbol="BTCUSDT", type="MINI").body
        assert "priceChange" not in mini and mini["highPrice"] == day["highPrice"]

    def test_rolling_windows(self, spot: SpotClient) -> None:
        path = "/api/v3/ticker"
        day = spot.public(path, symbol="BTCUSDT").body
        assert day["volume"] == spot.public("/api/v3/ticker/24hr", symbol="BTCUSDT").body["volume"]
        hour = spot.public(path, symbol="BTCUSDT", windowSize="1h").body
        assert Decimal(hour["volume"]) < Decimal(day["volume"])
        assert spot.public(path, symbol="BTCUSDT", windowSize="61m").refusal[0] == -1130
        assert spot.public(path).refusal[0] == -1128
        both = spot.public("/api/v3/ticker/tradingDay", symbols='["BTCUSDT","ETHUSDT"]').body
        assert [row["symbol"] for row in both] == ["BTCUSDT", "ETHUSDT"]

    def test_average_and_reference(self, spot: SpotClient) -> None:
        average = spot.public("/api/v3/avgPrice", symbol="BTCUSDT").body
        assert average["mins"] == 5 and Decimal(average["price"]) > 1000
        reference = spot.public("/api/v3/referencePrice", symbol="BTCUSDT").body
        assert reference["referencePrice"] == "60000.00000000"


class TestCandles:
    PATH = "/api/v3/klines"

    def candles(self, spot: SpotClient, **params: Any) -> list[list[Any]]:
        body = spot.public(self.PATH, symbol="BTCUSDT", **params).body
        assert isinstance(body, list)
        return body

    def test_history_ends_at_the_start_and_then_the_market_writes(self, spot: SpotClient) -> None:
        started_ms = spot.twin.world.started_ms
        minute = started_ms - started_ms % MINUTE
        recorded = catalog.load("BTCUSDT", Market.SPOT)
        last = recorded.kline(recorded.index_at(catalog.DEFAULT_REPLAY_START_MS) - 1)
        row = self.candles(spot, interval="1m", endTime=minute - 1, limit=1)[0]
        assert row[0] == minute - MINUTE
        assert [Decimal(x) for x in row[1:6]] == [
            last.open,
            last.high,
            last.low,
            last.close,
            last.volume,
        ]
        live = self.candles(spot, interval="1m", startTime=minute)
        assert live[0][0] == minute
        assert any(Decimal(row[2]) >= Decimal("60000") >= Decimal(row[3]) for row in live)

    @pytest.mark.parametrize(
        "interval",
        list(WIDTHS),
    )
    def test_every_width(self, spot: SpotClient, interval: str) -> None:
        rows = self.candles(spot, interval=interval, limit=10)
        # The recorded past is 26 days long, which may be days of one month.
        first_ms = self.candles(spot, interval="1m", startTime=0, limit=1)[0][0]
        is_one_month = iso(first_ms)[:7] == iso(spot.twin.world.started_ms)[:7]
        assert len(rows) >= 2 or (interval == "1M" and is_one_month)
        for row, after in zip(rows, rows[1:], strict=False):
            assert row[6] == after[0] - 1
        assert rows[-1][6] >= spot.twin.world.started_ms
        if len(rows) == 1:
            return
        # What a width sums up is what its minutes sum up.
        day_rows = self.candles(spot, interval="1m", startTime=rows[-2][0], limit=1000)
        inside = [row for row in day_rows if row[0] <= rows[-2][6]]
        if len(inside) == (rows[-2][6] + 1 - rows[-2][0]) // MINUTE:
            assert sum(Decimal(row[5]) for row in inside) == Decimal(rows[-2][5])
            assert max(Decimal(row[2]) for row in inside) == Decimal(rows[-2][2])
            assert sum(row[8] for row in inside) == rows[-2][8]

    def test_bounds_and_limits(self, spot: SpotClient) -> None:
        newest = self.candles(spot, interval="1m")
        assert len(newest) == 500
        first = newest[0][0]
        assert [
            row[0] for row in self.candles(spot, interval="1m", startTime=first + 1, limit=2)
        ] == [
            first + MINUTE,
            first + 2 * MINUTE,
        ]
        both = self.candles(spot, interval="1m", startTime=first, endTime=first + 3 * MINUTE)
        assert len(both) == 4
        assert len(self.candles(spot, interval="1m", limit=5000)) == 1000
        future = newest[-1][0] + DAY
        assert self.candles(spot, interval="1m", startTime=future) == []
        assert self.candles(spot, interval="1m", endTime=1_000) == []

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({}, -1102),
            ({"interval": "7m"}, -1120),
            ({"interval": "1m", "limit": "0"}, -1130),
            ({"interval": "1m", "limit": "x"}, -1100),
            ({"interval": "1m", "timeZone": "99"}, -1130),
        ],
    )
    def test_refusals(self, spot: SpotClient, params: dict[str, str], code: int) -> None:
        reply = spot.public(self.PATH, symbol="BTCUSDT", **params)
        assert reply.refusal[0] == code


class TestTradesAndBook:
    def test_trades_by_id_and_time(self, spot: SpotClient) -> None:
        for price in ("60001", "60002", "60003"):
            spot.twin.price("BTCUSDT", price)
        path = "/api/v3/aggTrades"
        newest = spot.public(path, symbol="BTCUSDT", limit=3).body
        assert [row["p"] for row in newest] == [f"{n}.00000000" for n in (60001, 60002, 60003)]
        onward = spot.public(path, symbol="BTCUSDT", fromId=newest[0]["a"], limit=2).body
        assert onward == newest[:2]
        since = spot.public(path, symbol="BTCUSDT", startTime=newest[0]["T"]).body
        assert newest[0] in since
        old = spot.public("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=newest[1]["a"]).body
        assert [row["id"] for row in old] == [newest[1]["a"], newest[2]["a"]]
        wrong = spot.public(path, symbol="BTCUSDT", fromId=1, startTime=1)
        assert wrong.refusal[0] == -1128

    def test_the_book_surrounds_the_last_price_and_holds_our_orders(self, spot: SpotClient) -> None:
        before = spot.public("/api/v3/depth", symbol="BTCUSDT", limit=5).body
        assert (before["bids"][0][0], before["asks"][0][0]) == (
            "59999.99000000",
            "60000.01000000",
        )
        assert len(before["bids"]) == len(before["asks"]) == 5
        spot.limit("BUY", "59999.98", "0.5")
        after = spot.public("/api/v3/depth", symbol="BTCUSDT", limit=5).body
        assert after["lastUpdateId"] > before["lastUpdateId"]
        grown = Decimal(after["bids"][1][1]) - Decimal(before["bids"][1][1])
        assert (after["bids"][1][0], grown) == ("59999.98000000", Decimal("0.5"))
        assert after["asks"] == before["asks"]
        best = spot.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT").body
        assert [best["bidPrice"], best["bidQty"]] == after["bids"][0]

    @pytest.mark.parametrize(
        ("limit", "weight"), [(None, 5), (100, 5), (101, 25), (500, 25), (1000, 50), (5000, 250)]
    )
    def test_weight_of_the_book(self, spot: SpotClient, limit: int | None, weight: int) -> None:
        used = []
        for params in ({"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT", "limit": limit}):
            given = {k: v for k, v in params.items() if v is not None}
            reply = spot.public("/api/v3/depth", **given)
            used.append(int(reply.headers["x-mbx-used-weight-1m"]))
        assert used[1] - used[0] in (weight, weight - used[0])  # a new minute may begin between


def test_general_endpoints(spot: SpotClient) -> None:
    assert spot.public("/api/v3/ping").body == {}
    assert isinstance(spot.public("/api/v3/time").body["serverTime"], int)
    assert spot.public("/api/v3/executionRules").body == {"symbolRules": []}
    assert json.dumps(spot.public("/api/v3/uiKlines", symbol="BTCUSDT", interval="1d").body)
