"""USD-M's public endpoints over real HTTP: key sets, JSON types, numbers, exact refusals."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from futures_client import FuturesClient
from waiting import wait_for_room

from gridlab.clock import SystemClock
from gridlab.testing.twin import running_twin

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def venue() -> Iterator[FuturesClient]:
    with running_twin(speed=0, pulse_ms=0) as twin:
        yield FuturesClient(twin.ready, twin.control)


def last_price(venue: FuturesClient, symbol: str = "BTCUSDT") -> Decimal:
    return Decimal(venue.public("/fapi/v2/ticker/price", symbol=symbol).body["price"])


def is_number(value: object) -> bool:
    return isinstance(value, str) and Decimal(value).is_finite()


class TestRules:
    def test_ping_and_time_need_nobody(self, venue):
        assert venue.public("/fapi/v1/ping").body == {}
        served = venue.public("/fapi/v1/time").body["serverTime"]
        assert abs(served - SystemClock().now_ms()) < 2_000

    def test_every_answer_is_json_and_tells_the_weight(self, venue):
        reply = venue.public("/fapi/v1/ticker/24hr")
        assert reply.headers["content-type"].startswith("application/json")
        before = int(reply.headers["x-mbx-used-weight-1m"])
        after = int(venue.public("/fapi/v1/ticker/24hr").headers["x-mbx-used-weight-1m"])
        assert after - before == 40 or after == 40  # a minute may have begun between

    def test_exchange_info_has_the_venues_filters(self, venue):
        info = venue.public("/fapi/v1/exchangeInfo").body
        assert info["futuresType"] == "U_MARGINED"
        order_limit = {"interval": "SECOND", "intervalNum": 10, "limit": 300}
        assert order_limit | {"rateLimitType": "ORDERS"} in info["rateLimits"]
        row = next(each for each in info["symbols"] if each["symbol"] == "BTCUSDT")
        filters = {each["filterType"]: each for each in row["filters"]}
        assert set(filters) == {
            "PRICE_FILTER",
            "LOT_SIZE",
            "MARKET_LOT_SIZE",
            "MAX_NUM_ORDERS",
            "MIN_NOTIONAL",
            "PERCENT_PRICE",
            "POSITION_RISK_CONTROL",
        }
        assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
        assert filters["MIN_NOTIONAL"] == {"filterType": "MIN_NOTIONAL", "notional": "100"}
        assert filters["MAX_NUM_ORDERS"] == {"filterType": "MAX_NUM_ORDERS", "limit": 200}
        assert (row["pricePrecision"], row["quantityPrecision"]) == (2, 3)
        assert "GTX" in row["timeInForce"] and row["contractType"] == "PERPETUAL"
        assert [each["symbol"] for each in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]


class TestPrices:
    def test_one_symbol_is_an_object_and_all_are_a_list(self, venue):
        for path in ("v1/ticker/price", "v2/ticker/price", "v1/ticker/bookTicker"):
            one = venue.public(f"/fapi/{path}", symbol="ETHUSDT").body
            every = venue.public(f"/fapi/{path}").body
            assert one["symbol"] == "ETHUSDT" and type(one["time"]) is int
            assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDT"]

    def test_the_price_is_where_the_market_traded(self, venue):
        price = last_price(venue) + 250
        venue.price(str(price))
        assert last_price(venue) == price
        book = venue.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").body
        assert Decimal(book["bidPrice"]) < price < Decimal(book["askPrice"])
        trade = venue.public("/fapi/v1/trades", symbol="BTCUSDT", limit=1).body[0]
        assert Decimal(trade["price"]) == price
        assert {"id": int, "isBuyerMaker": bool, "time": int, "isRPITrade": bool} == {
            name: type(value) for name, value in trade.items() if not isinstance(value, str)
        }

    def test_the_day_has_no_bid_and_no_ask(self, venue):
        row = venue.public("/fapi/v1/ticker/24hr", symbol="BTCUSDT").body
        assert set(row) == {
            *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice"),
            *("lastQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"),
            *("openTime", "closeTime", "firstId", "lastId", "count"),
        }
        assert row["closeTime"] - row["openTime"] == 24 * HOUR_MS
        low, high, last = (Decimal(row[n]) for n in ("lowPrice", "highPrice", "lastPrice"))
        assert low <= last <= high
        change = Decimal(row["lastPrice"]) - Decimal(row["openPrice"])
        assert Decimal(row["priceChange"]) == change
        assert type(row["count"]) is int and type(row["firstId"]) is int

    def test_the_mark_and_the_next_funding(self, venue):
        row = venue.public("/fapi/v1/premiumIndex", symbol="BTCUSDT").body
        assert Decimal(row["markPrice"]) == last_price(venue)
        assert row["lastFundingRate"] == "0.00010000"
        assert row["nextFundingTime"] % (8 * HOUR_MS) == 0
        assert 0 < row["nextFundingTime"] - row["time"] <= 8 * HOUR_MS
        assert len(venue.public("/fapi/v1/premiumIndex").body) == 2

    def test_open_interest_is_made_up_and_of_one_value(self, venue):
        row = venue.public("/fapi/v1/openInterest", symbol="BTCUSDT").body
        assert set(row) == {"openInterest", "symbol", "time"} and row["symbol"] == "BTCUSDT"
        value = Decimal(row["openInterest"]) * last_price(venue)
        assert abs(value - 100_000_000) < last_price(venue)

    def test_funding_rates_are_those_that_were_paid(self, venue):
        before = venue.public("/fapi/v1/fundingRate", symbol="ETHUSDT").body
        venue.control("/funding", {"symbol": "ETHUSDT", "rate": "-0.0003"})
        after = venue.public("/fapi/v1/fundingRate", symbol="ETHUSDT").body
        assert after[: len(before)] == before
        assert after[-1]["fundingRate"] == "-0.00030000"
        assert Decimal(after[-1]["markPrice"]) == last_price(venue, "ETHUSDT")
        assert venue.public("/fapi/v1/fundingInfo").body[0]["fundingIntervalHours"] == 8

    @pytest.mark.parametrize(
        "path",
        [
            "v1/ticker/price",
            "v1/ticker/24hr",
            "v1/premiumIndex",
            "v1/depth",
            "v1/trades",
            "v1/openInterest",
        ],
    )
    def test_an_unknown_symbol(self, venue, path):
        reply = venue.public(f"/fapi/{path}", symbol="NOPEUSDT")
        assert (reply.status, reply.refusal) == (400, (-1121, "Invalid symbol."))


class TestBooksAndTrades:
    @pytest.mark.parametrize("limit", [5, 10, 20, 50, 100, 500, 1000])
    def test_depth_has_as_many_levels_as_asked_for(self, venue, limit):
        book = venue.public("/fapi/v1/depth", symbol="BTCUSDT", limit=limit).body
        assert set(book) == {"lastUpdateId", "E", "T", "bids", "asks"}
        shown = min(limit, 500)  # the twin makes no more levels up
        assert len(book["bids"]) == len(book["asks"]) == shown
        bids = [Decimal(price) for price, _ in book["bids"]]
        asks = [Decimal(price) for price, _ in book["asks"]]
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
        assert bids[0] < asks[0]

    def test_another_depth_is_refused(self, venue):
        reply = venue.public("/fapi/v1/depth", symbol="BTCUSDT", limit=7)
        assert reply.refusal == (-4021, "7 is not valid depth limit.")

    def test_a_symbol_is_mandatory(self, venue):
        reply = venue.public("/fapi/v1/depth")
        assert reply.refusal == (
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        )

    def test_aggregates_can_be_read_by_id_and_by_time(self, venue):
        for step in range(3):
            venue.price(str(last_price(venue) + step))
        rows = venue.public("/fapi/v1/aggTrades", symbol="BTCUSDT", limit=3).body
        assert set(rows[0]) == {"a", "p", "q", "nq", "f", "l", "T", "m"}
        assert [row["a"] for row in rows] == list(range(rows[0]["a"], rows[0]["a"] + 3))
        from_id = venue.public("/fapi/v1/aggTrades", symbol="BTCUSDT", fromId=rows[1]["a"]).body
        assert from_id[0] == rows[1]
        times = {"startTime": rows[0]["T"], "endTime": rows[2]["T"]}
        assert rows[2] in venue.public("/fapi/v1/aggTrades", symbol="BTCUSDT", **times).body

    def test_aggregates_refuse_what_the_venue_refuses(self, venue):
        both = {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}
        assert venue.public("/fapi/v1/aggTrades", **both).refusal[0] == -1128
        long = {"symbol": "BTCUSDT", "startTime": 1, "endTime": 2 + HOUR_MS}
        assert venue.public("/fapi/v1/aggTrades", **long).refusal[0] == -1127
        back = {"symbol": "BTCUSDT", "startTime": 2, "endTime": 1}
        assert venue.public("/fapi/v1/aggTrades", **back).refusal == (
            -1023,
            "Start time is greater than end time.",
        )

    def test_older_trades_need_a_key(self, venue):
        reply = venue.public("/fapi/v1/historicalTrades", symbol="BTCUSDT")
        assert (reply.status, reply.refusal[0]) == (401, -2014)
        assert venue.get("historicalTrades", symbol="BTCUSDT").status == 200


class TestCandles:
    def test_a_candle_has_twelve_fields_of_the_right_types(self, venue):
        rows = venue.public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=10).body
        assert len(rows) == 10
        for row in rows:
            assert [type(row[i]) for i in (0, 6, 8)] == [int, int, int]
            assert all(is_number(row[i]) for i in (1, 2, 3, 4, 5, 7, 9, 10, 11))
            low, high = Decimal(row[3]), Decimal(row[2])
            assert low <= Decimal(row[1]) <= high and low <= Decimal(row[4]) <= high
            assert row[6] == row[0] + 59_999
        assert all(b[0] - a[0] == 60_000 for a, b in zip(rows, rows[1:], strict=False))
        assert Decimal(rows[-1][4]) == last_price(venue)

    def test_start_reads_forward_and_end_reads_back(self, venue):
        now_ms = venue.public("/fapi/v1/time").body["serverTime"]
        minute_ms = now_ms - now_ms % 60_000
        terms = {"symbol": "BTCUSDT", "interval": "1m", "limit": 3}
        start = venue.public("/fapi/v1/klines", startTime=minute_ms - 600_000, **terms).body
        assert [row[0] - minute_ms for row in start] == [-600_000, -540_000, -480_000]
        end = venue.public("/fapi/v1/klines", endTime=minute_ms - 600_000, **terms).body
        assert [row[0] - minute_ms for row in end] == [-720_000, -660_000, -600_000]

    @pytest.mark.parametrize("interval", ["1m", "5m", "1h", "12h", "1d", "3d", "1w", "1M"])
    def test_every_width_is_served(self, venue, interval):
        assert venue.public("/fapi/v1/klines", symbol="ETHUSDT", interval=interval).body

    def test_an_unknown_width_and_too_many(self, venue):
        reply = venue.public("/fapi/v1/klines", symbol="BTCUSDT", interval="7m")
        assert reply.refusal == (-1120, "Invalid interval.")
        rows = venue.public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=9_999).body
        assert len(rows) == 1_500

    def test_the_weight_grows_with_the_limit(self, venue):
        def used(limit: int) -> int:
            reply = venue.public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=limit)
            return int(reply.headers["x-mbx-used-weight-1m"])

        wait_for_room(60, 10)
        start = used(1)
        costs = [used(limit) for limit in (99, 100, 499, 500, 1_000, 1_500)]
        steps = [b - a for a, b in zip([start, *costs], costs, strict=False)]
        assert steps == [1, 2, 2, 5, 5, 10]

    def test_candles_of_a_pair_and_of_the_mark(self, venue):
        terms = {"interval": "1m", "limit": 2}
        own = venue.public("/fapi/v1/klines", symbol="BTCUSDT", **terms).body
        pair = {"pair": "BTCUSDT", "contractType": "PERPETUAL"}
        assert venue.public("/fapi/v1/continuousKlines", **pair, **terms).body == own
        mark = venue.public("/fapi/v1/markPriceKlines", symbol="BTCUSDT", **terms).body
        assert [row[:5] for row in mark] == [row[:5] for row in own]
        assert {row[5] for row in mark} == {"0"}
        reply = venue.public("/fapi/v1/continuousKlines", pair="NOPE", contractType="PERPETUAL")
        assert reply.refusal == (-4144, "Invalid pair")
