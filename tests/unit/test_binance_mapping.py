"""Payloads of Binance as values: digits kept, ids right, odd ones refused."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.account import MarginType
from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, FeeMode, Interval, Market
from gridlab.domain.orders import OrderType, Side, VenueStatus
from gridlab.errors import ExchangeUnavailable, InvalidInput
from gridlab.exchange.binance import account_mapping, mapping
from gridlab.exchange.binance.account_mapping import SymbolSettings
from gridlab.exchange.binance.events import market_tick, venue_events
from gridlab.exchange.binance.mapping import Tick

SPOT, FUTURES = Market.SPOT, Market.FUTURES
PAYLOADS = Path(__file__).parent / "payloads"
D = Decimal


@cache
def stored(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def payload(market: str, name: str) -> Any:
    return copy.deepcopy(stored(market)[name]["payload"])


def test_every_sample_names_its_source_and_a_free_licence() -> None:
    for market in ("spot", "futures", "streams"):
        for sample in stored(market).values():
            assert "@" in sample["source"]
            assert sample["licence"] in ("MIT", "MIT OR Apache-2.0")


# -- orders --------------------------------------------------------------------------------------


def test_a_spot_order_that_traded_at_once_says_so() -> None:
    report = mapping.order_report(payload("spot", "place"), SPOT)
    assert (report.order_id, report.client_id) == ("28", "6gCrw2kRUAF9CvJDGP16IP")
    assert (report.side, report.status) == (Side.SELL, VenueStatus.FILLED)
    assert report.executed == report.quantity == D(10)
    assert report.created_ms == report.updated_ms == 1_507_725_176_595


@pytest.mark.parametrize("name", ["cancel", "old_cancel"])
def test_a_spot_cancel_is_about_the_order_and_not_about_itself(name: str) -> None:
    report = mapping.order_report(payload("spot", name), SPOT)
    assert report.client_id == "myOrder1"
    assert (report.status, report.price) == (VenueStatus.CANCELED, D("2.00000000"))


def test_a_query_has_its_times() -> None:
    report = mapping.order_report(payload("spot", "query"), SPOT)
    assert report.created_ms == report.updated_ms == 1_499_827_319_559
    assert (report.type, report.status, report.side) == (
        OrderType.LIMIT, VenueStatus.NEW, Side.BUY,
    )  # fmt: skip
    assert report.status.is_open


@pytest.mark.parametrize(("market", "name"), [("spot", "stop"), ("futures", "place")])
def test_other_peoples_stop_orders_are_told_too(market: str, name: str) -> None:
    """They lie open beside ours, and a list that refused them would hide ours."""
    found = mapping.order_report(payload(market, name), Market(market))
    assert found.type in (OrderType.LIMIT, OrderType.MARKET)
    assert found.quantity > 0


def test_a_futures_order_has_only_one_time() -> None:
    report = mapping.order_report(payload("futures", "edit"), FUTURES)
    assert report.order_id == "20072994037"
    assert report.created_ms == report.updated_ms == 1_629_182_711_600
    assert (report.price, report.executed, report.type) == (D(30005), D(0), OrderType.LIMIT)


def test_post_only_is_told_alike_on_both_markets() -> None:
    spot = payload("spot", "query") | {"type": "LIMIT_MAKER"}
    futures = payload("futures", "edit") | {"timeInForce": "GTX"}
    assert mapping.order_report(spot, SPOT).type is OrderType.LIMIT_MAKER
    assert mapping.order_report(futures, FUTURES).type is OrderType.LIMIT_MAKER


def test_open_orders_come_oldest_first() -> None:
    one = payload("spot", "query")
    rows = [one | {"orderId": i, "time": t} for i, t in ((3, 5), (1, 9), (2, 5))]
    found = mapping.order_reports(rows, SPOT)
    assert [report.order_id for report in found] == ["2", "3", "1"]
    assert len(mapping.order_reports(payload("futures", "open"), FUTURES)) == 1


@pytest.mark.parametrize(
    ("said", "executed", "expected"),
    [
        ("NEW", "0", VenueStatus.NEW),
        ("PENDING_NEW", "0", VenueStatus.NEW),
        ("PARTIALLY_FILLED", "0.5", VenueStatus.PARTIALLY_FILLED),
        ("PENDING_CANCEL", "0.5", VenueStatus.PARTIALLY_FILLED),
        ("PENDING_CANCEL", "0", VenueStatus.NEW),
        ("FILLED", "1", VenueStatus.FILLED),
        ("CANCELED", "0.5", VenueStatus.CANCELED),
        ("EXPIRED", "0", VenueStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", "0.5", VenueStatus.EXPIRED),
        ("REJECTED", "0", VenueStatus.EXPIRED),
    ],
)
def test_states(said: str, executed: str, expected: VenueStatus) -> None:
    entry = payload("spot", "query") | {"status": said, "executedQty": executed}
    report = mapping.order_report(entry, SPOT)
    assert (report.status, report.executed) == (expected, D(executed))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "MAYBE"), ("side", "LONG"), ("orderId", None), ("orderId", True),
        ("executedQty", 0.5), ("executedQty", "NaN"), ("price", "1e"), ("clientOrderId", 7),
        ("symbol", ""),
    ],
)  # fmt: skip
def test_an_odd_order_is_refused_with_its_field(field: str, value: object) -> None:
    with pytest.raises(ExchangeUnavailable, match=field.removeprefix("executed")):
        mapping.order_report(payload("spot", "query") | {field: value}, SPOT)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_is_no_order_is_refused_in_words(odd: object) -> None:
    for market in Market:
        with pytest.raises(ExchangeUnavailable, match="cannot be used"):
            mapping.order_report(odd, market)


# -- trades --------------------------------------------------------------------------------------


def test_a_spot_trade() -> None:
    trade = mapping.trade(payload("spot", "trades")[0], SPOT, "mine")
    assert (trade.trade_id, trade.order_id, trade.client_id) == (28457, "100234", "mine")
    assert (trade.side, trade.is_maker) == (Side.BUY, False)
    assert (trade.price, trade.quantity) == (D("4.00000100"), D("12.00000000"))
    assert (trade.fee, trade.fee_asset) == (D("10.10000000"), "BNB")


def test_a_futures_trade() -> None:
    trade = mapping.trade(payload("futures", "trades")[0], FUTURES, "mine")
    assert (trade.trade_id, trade.order_id, trade.side) == (698759, "25851813", Side.SELL)
    assert (trade.price, trade.quantity, trade.fee_asset) == (D("7819.01"), D("0.002"), "USDT")


# -- the account ---------------------------------------------------------------------------------


def test_spot_balances() -> None:
    entry = payload("spot", "account")
    entry["balances"].append({"asset": "AAA", "free": "0.0", "locked": "0.1"})
    entry["balances"].append({"asset": "ZZZ", "free": "0.00000000", "locked": "0.00000000"})
    assert account_mapping.spot_balances(entry) == (
        Balance("AAA", D("0.0"), D("0.1")),
        Balance("BTC", D("4723846.89208129"), D("0.00000000")),
        Balance("LTC", D("4763368.68006011"), D("0.00000000")),
    )


def test_futures_wallets() -> None:
    found = account_mapping.futures_wallets(payload("futures", "account"))
    assert [wallet.asset for wallet in found] == ["BUSD", "USDT"]
    assert found[1].balance == found[1].margin_balance == D("23.72469206")
    funds = account_mapping.futures_funds(payload("futures", "account"))
    assert funds.wallets == found
    assert (funds.margin_balance, funds.available) == (D("23.72469206"), D("23.72469206"))


def test_a_wallet_as_a_balance_adds_up_to_the_wallet() -> None:
    def of(wallet: str, available: str) -> Balance:
        row = {"asset": "USDT", "walletBalance": wallet, "availableBalance": available,
               "unrealizedProfit": "0"}  # fmt: skip
        return account_mapping.futures_balances({"assets": [row]})[0]

    assert of("100", "40") == Balance("USDT", D(40), D(60))
    assert of("100", "130") == Balance("USDT", D(100), D(0)), "open profit is not in the wallet"
    assert of("100", "-5") == Balance("USDT", D(0), D(100))


SETTINGS = SymbolSettings(3, MarginType.ISOLATED)


def position_row(**changes: str) -> dict[str, Any]:
    row: dict[str, Any] = payload("futures", "positions")[0]
    return row | {"positionSide": "BOTH"} | changes


def test_a_position_has_the_venues_own_liquidation_price() -> None:
    found = account_mapping.position([position_row()], "BTCUSDT", SETTINGS, D(1), 5)
    assert (found.quantity, found.entry_price) == (D("0.001"), D("22185.2"))
    assert (found.mark_price, found.liquidation_price) == (
        D("21123.05052574"), D("19731.45529116"),
    )  # fmt: skip
    assert (found.leverage, found.margin_type) == (3, MarginType.ISOLATED)
    assert found.updated_ms == 1_655_217_461_579
    assert found.liquidation_distance is not None
    assert D("0.065") < found.liquidation_distance < D("0.066")


def test_no_position_is_a_position_of_zero() -> None:
    samples: list[list[Any]] = [[], payload("futures", "flat")]
    for rows in samples:
        found = account_mapping.position(rows, "BTCUSDT", SETTINGS, D(7), 5)
        assert (found.quantity, found.entry_price) == (D(0), D(0))
        assert found.liquidation_price is None
        assert found.mark_price in (D(7), D("6679.50671178"))


def test_no_liquidation_is_written_as_zero_or_below() -> None:
    for written in ("0", "0.00000000", "-12.5", ""):
        row = position_row(liquidationPrice=written)
        found = account_mapping.position([row], "BTCUSDT", SETTINGS, D(1), 5)
        assert found.liquidation_price is None


def test_sides_of_hedge_mode_are_seen_and_not_taken_for_the_net_position() -> None:
    rows = payload("futures", "positions")
    assert account_mapping.hedged_sides(rows, "BTCUSDT") == ("LONG",)
    assert account_mapping.position(rows, "BTCUSDT", SETTINGS, D(7), 5).quantity == 0


def test_settings_of_a_symbol() -> None:
    rows = [
        {"symbol": "ETHUSDT", "marginType": "CROSSED", "leverage": 20, "maxNotionalValue": "1"},
        {"symbol": "BTCUSDT", "marginType": "ISOLATED", "leverage": 25, "maxNotionalValue": "2"},
    ]
    assert account_mapping.symbol_settings(rows, "BTCUSDT") == SymbolSettings(
        25, MarginType.ISOLATED
    )
    assert account_mapping.symbol_settings(rows, "ETHUSDT").margin_type is MarginType.CROSSED
    with pytest.raises(ExchangeUnavailable, match="SOLUSDT"):
        account_mapping.symbol_settings(rows, "SOLUSDT")


def test_funding_is_told_once_for_each_id() -> None:
    def row(tran_id: object, time: int, income: str, kind: str = "FUNDING_FEE") -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT", "incomeType": kind, "income": income, "asset": "USDT",
            "info": kind, "time": time, "tranId": tran_id, "tradeId": "",
        }  # fmt: skip

    rows = [row(9, 20, "-0.25"), row("7", 10, "0.5"), row(9, 20, "-0.25"),
            row(8, 15, "1", "COMMISSION"), row(6, 12, "1") | {"symbol": "ETHUSDT"}]  # fmt: skip
    found = account_mapping.funding(rows, "BTCUSDT")
    assert [(p.funding_id, p.time_ms, p.amount) for p in found] == [
        ("7", 10, D("0.5")), ("9", 20, D("-0.25")),
    ]  # fmt: skip
    assert account_mapping.funding(payload("futures", "income"), "BTCUSDT") == ()


def test_rates_add_up_and_the_dearer_side_counts() -> None:
    part = {"maker": "0.00000010", "taker": "0.00000020", "buyer": "0.00000030",
            "seller": "0.00000040"}  # fmt: skip
    answer = {"symbol": "BTCUSDT", "standardCommission": part, "taxCommission": part,
              "specialCommission": {"maker": "0.01", "taker": "0", "buyer": "0", "seller": "0"},
              "discount": {"enabledForAccount": True, "discount": "0.75"}}  # fmt: skip
    found = account_mapping.spot_fees(answer)
    assert (found.maker, found.taker) == (D("0.01000100"), D("0.00000120"))
    assert found.mode is FeeMode.RECEIVED
    rates = {"symbol": "BTCUSDT", "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0004"}
    futures = account_mapping.futures_fees(rates)
    assert (futures.maker, futures.taker, futures.mode) == (D("0.0002"), D("0.0004"), FeeMode.QUOTE)


# -- rules and prices ----------------------------------------------------------------------------


def test_rules_of_a_spot_symbol() -> None:
    answer = payload("spot", "rules")
    entries = mapping.symbol_entries(answer)
    name, entry = next(iter(entries.items()))
    found = mapping.instrument(entry, SPOT)
    assert found.symbol == name
    rules = {rule["filterType"]: rule for rule in entry["filters"]}
    assert found.tick_size == D(rules["PRICE_FILTER"]["tickSize"])
    assert found.lot_size == D(rules["LOT_SIZE"]["stepSize"])
    assert found.max_num_orders == rules["MAX_NUM_ORDERS"]["maxNumOrders"]
    limits = {(limit.kind, limit.interval_ms): limit.limit for limit in mapping.rate_limits(answer)}
    assert ("REQUEST_WEIGHT", 60_000) in limits
    assert any(kind == "ORDERS" for kind, _ in limits)


def test_rules_of_a_futures_symbol() -> None:
    entry = mapping.symbol_entries(payload("futures", "rules"))["BLZUSDT"]
    found = mapping.instrument(entry, FUTURES)
    assert (found.base, found.quote, found.status) == ("BLZ", "USDT", "TRADING")
    assert (found.tick_size, found.lot_size) == (D("0.0001"), D(1))
    assert (found.min_notional, found.max_num_orders) == (D("5.0"), 200)
    assert found.percent_price is None


def test_a_symbol_without_steps_or_rules_is_refused() -> None:
    entry = dict(mapping.symbol_entries(payload("futures", "rules"))["BLZUSDT"])
    switched_off = dict(copy.deepcopy(entry))
    switched_off["filters"][0]["tickSize"] = "0"
    with pytest.raises(InvalidInput, match="tick_size"):
        mapping.instrument(switched_off, FUTURES)
    entry["filters"] = [rule for rule in entry["filters"] if rule["filterType"] != "LOT_SIZE"]
    with pytest.raises(ExchangeUnavailable, match="LOT_SIZE"):
        mapping.instrument(entry, FUTURES)


@pytest.mark.parametrize("market", list(Market))
def test_tickers_and_candles(market: Market) -> None:
    answer = payload(market, "ticker")
    entry = answer[0] if isinstance(answer, list) else answer
    found = mapping.ticker(entry, market)
    assert found.price == D(entry["lastPrice"])
    assert found.window_ms == entry["closeTime"] - entry["openTime"]
    assert abs(found.change_fraction - (found.price / D(entry["openPrice"]) - 1)) < D("1e-9")
    rows = payload(market, "klines")
    candles = mapping.klines(rows, Interval.M1)
    assert candles[0].open == D(rows[0][1])
    assert candles[0].close_time_ms == rows[0][6]
    with pytest.raises(ExchangeUnavailable, match="follows"):
        mapping.klines([rows[0], rows[0]], Interval.M1)


def test_a_price_of_zero_is_no_price() -> None:
    assert mapping.last_price(payload("spot", "price"), "LTCBTC") == D("4.00000200")
    with pytest.raises(ExchangeUnavailable, match="halted"):
        mapping.last_price({"symbol": "LTCBTC", "price": "0.00000000"}, "LTCBTC")
    assert account_mapping.mark_price(payload("futures", "mark")) == D("11793.63104562")


# -- streams -------------------------------------------------------------------------------------


def spot_event(**changes: object) -> dict[str, Any]:
    event: dict[str, Any] = payload("streams", "spot_order")["event"]
    return event | changes


def futures_event(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = payload("streams", "futures_order")
    found["o"] = found["o"] | changes
    return found


def test_a_new_order_is_an_acknowledgement_wrapped_or_not() -> None:
    wrapped = payload("streams", "spot_order")
    bare = wrapped["event"]
    expected = (OrderAccepted(1_499_405_658_657, "mUvoqJxFIILMdfAW5iGSOW", "4293153"),)
    for message in (wrapped, bare, {"stream": "x", "data": bare}):
        assert venue_events(message, SPOT) == expected
    assert venue_events(bare, FUTURES) == ()
    assert venue_events(payload("streams", "futures_order"), FUTURES) == (
        OrderAccepted(1_568_879_465_650, "TEST", "8886774"),
    )


def test_the_last_fill_comes_before_the_end() -> None:
    traded = spot_event(x="TRADE", X="FILLED", l="0.4", L="0.1026", z="1.0", n="0.0004", N="ETH",
                        t=77, m=True)  # fmt: skip
    fill, end = venue_events(traded, SPOT)
    assert isinstance(fill, OrderFilled)
    assert (fill.trade.trade_id, fill.trade.order_id) == (77, "4293153")
    assert (fill.trade.quantity, fill.trade.price) == (D("0.4"), D("0.1026"))
    assert (fill.trade.fee, fill.trade.fee_asset, fill.trade.is_maker) == (D("0.0004"), "ETH", True)
    assert end == OrderEnded(
        1_499_405_658_657, "mUvoqJxFIILMdfAW5iGSOW", VenueStatus.FILLED, D("1.0")
    )


def test_a_partial_fill_ends_nothing() -> None:
    message = futures_event(o="LIMIT", x="TRADE", X="PARTIALLY_FILLED", l="0.001", L="7100.50",
                            z="0.001", n="0.01", N="USDT", t=12345, S="BUY")  # fmt: skip
    (fill,) = venue_events(message, FUTURES)
    assert isinstance(fill, OrderFilled)
    assert (fill.trade.symbol, fill.trade.side) == ("BTCUSDT", Side.BUY)


def test_a_spot_cancel_is_about_the_order_it_ended() -> None:
    message = spot_event(x="CANCELED", X="CANCELED", c="the-cancel", C="the-order", z="0.25")
    assert venue_events(message, SPOT) == (
        OrderEnded(1_499_405_658_657, "the-order", VenueStatus.CANCELED, D("0.25")),
    )


@pytest.mark.parametrize(
    ("execution", "state", "expected"),
    [
        ("EXPIRED", "EXPIRED", VenueStatus.EXPIRED),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", VenueStatus.EXPIRED),
        ("TRADE", "CANCELED", VenueStatus.CANCELED),
    ],
)
def test_ends_without_a_fill(execution: str, state: str, expected: VenueStatus) -> None:
    (end,) = venue_events(spot_event(x=execution, X=state), SPOT)
    assert isinstance(end, OrderEnded)
    assert end.status is expected


@pytest.mark.parametrize("execution", ["REJECTED", "REPLACED", "PENDING_CANCEL"])
def test_executions_that_change_nothing_for_us(execution: str) -> None:
    assert venue_events(spot_event(x=execution, X="REJECTED"), SPOT) == ()


def test_a_liquidation_is_a_trade_of_somebody_elses_order() -> None:
    message = futures_event(c="autoclose-7654", o="MARKET", x="CALCULATED", X="FILLED", l="0.5",
                            z="0.5", L="90", t=99, n=None, N=None)  # fmt: skip
    fill, end = venue_events(message, FUTURES)
    assert isinstance(fill, OrderFilled)
    assert fill.trade.client_id == "autoclose-7654"
    assert (fill.trade.fee, fill.trade.fee_asset) == (D(0), "")
    assert isinstance(end, OrderEnded)
    # The same with nothing traded, which has been seen, is only an end.
    (end,) = venue_events(
        futures_event(x="CALCULATED", X="FILLED", l="0.000", z="0.000", n=None, N=None), FUTURES
    )
    assert isinstance(end, OrderEnded)


@pytest.mark.parametrize(
    "name",
    ["spot_account", "futures_account", "futures_lite", "futures_algo", "spot_kline", "spot_book"],
)
def test_messages_that_are_about_no_order_of_ours(name: str) -> None:
    message = payload("streams", name)
    for market in Market:
        assert venue_events(message, market) == ()
    assert market_tick(message) is None


def test_a_broken_order_message_is_an_error_and_no_silence() -> None:
    for message in (spot_event(z=None), spot_event(X="MAYBE"), spot_event(i="x")):
        with pytest.raises(ExchangeUnavailable):
            venue_events(message, SPOT)
    with pytest.raises(ExchangeUnavailable):
        venue_events({"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1}, FUTURES)


def test_market_trades() -> None:
    message = payload("streams", "spot_trade")
    expected = Tick("BNBBTC", D("0.001"), D(100), 1_672_515_782_136, 12345)
    assert market_tick(message) == market_tick({"stream": "s", "data": message}) == expected
    single = {"e": "trade", "E": 2, "s": "BTCUSDT", "t": 9, "p": "5", "q": "1", "T": 1, "m": True}
    assert market_tick(single) == Tick("BTCUSDT", D(5), D(1), 1, 9)
    assert market_tick(single | {"p": "0"}) is None
    with pytest.raises(ExchangeUnavailable, match="p is"):
        market_tick(single | {"p": 5.0})


@given(st.dictionaries(st.sampled_from("esxXicCSqzlLntTmNop"), st.text() | st.integers()))
def test_no_message_breaks_the_reader(message: dict[str, object]) -> None:
    for market in Market:
        for kind in ("executionReport", "ORDER_TRADE_UPDATE", "aggTrade", "trade"):
            with suppress(ExchangeUnavailable):
                found = venue_events(message | {"e": kind}, market)
                assert isinstance(found, tuple)
            with suppress(ExchangeUnavailable):
                tick = market_tick(message | {"e": kind})
                assert tick is None or tick.price > 0
