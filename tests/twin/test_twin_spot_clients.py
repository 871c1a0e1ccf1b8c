"""Public clients against the twin, unmodified but for their addresses: python-binance and ccxt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException

from gridlab.testing.twin import RunningTwin


def pointed(base: type[Any], twin: RunningTwin) -> type[Any]:
    """The client class with the twin's addresses in place of the venue's."""
    ready = twin.ready
    addresses = {
        "API_URL": f"{ready['rest_spot']}/api",
        "MARGIN_API_URL": f"{ready['rest_spot']}/sapi",
        "FUTURES_URL": f"{ready['rest_futures']}/fapi",
        "FUTURES_DATA_URL": f"{ready['rest_futures']}/futures/data",
        "WS_API_URL": ready["ws_api_spot"],
    }
    return type("Pointed", (base,), addresses)


@pytest.fixture
def client(twin: RunningTwin) -> Iterator[Any]:
    twin.price("BTCUSDT", "60000")
    made = pointed(Client, twin)(twin.ready["key"], twin.ready["secret"])
    yield made
    for order in made.get_open_orders():
        made.cancel_order(symbol=order["symbol"], orderId=order["orderId"])
    made.session.close()


class TestPythonBinance:
    def test_an_orders_life(self, client: Any, twin: RunningTwin) -> None:
        order = client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="59000")
        assert client.get_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "NEW"
        assert len(client.get_open_orders(symbol="BTCUSDT")) == 1
        twin.price("BTCUSDT", "58999")
        assert client.get_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "FILLED"
        assert client.get_my_trades(symbol="BTCUSDT", limit=1)[0]["orderId"] == order["orderId"]
        sold = client.order_market_sell(symbol="BTCUSDT", quantity="0.005")
        assert sold["status"] == "FILLED" and len(sold["fills"]) == 1
        rest = client.create_order(
            symbol="BTCUSDT", side="SELL", type="LIMIT_MAKER", quantity="0.005", price="70000"
        )
        ended = client.cancel_order(symbol="BTCUSDT", orderId=rest["orderId"])
        assert ended["status"] == "CANCELED"
        replaced = client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="50000")
        both = client.cancel_replace_order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price="51000",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=replaced["orderId"],
        )
        assert both["newOrderResult"] == "SUCCESS"
        assert (
            client.create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
            == {}
        )

    def test_the_market(self, client: Any) -> None:
        assert client.get_symbol_info("BTCUSDT")["baseAsset"] == "BTC"
        assert client.get_server_time()["serverTime"] > 0
        assert client.get_avg_price(symbol="BTCUSDT")["mins"] == 5
        assert len(client.get_klines(symbol="BTCUSDT", interval="15m", limit=7)) == 7
        assert client.get_order_book(symbol="BTCUSDT", limit=5)["bids"]
        assert client.get_symbol_ticker(symbol="BTCUSDT")["price"] == "60000.00000000"
        assert len(client.get_all_tickers()) == 2
        assert client.get_orderbook_ticker(symbol="BTCUSDT")["bidPrice"] == "59999.99000000"
        assert client.get_ticker(symbol="ETHUSDT")["count"] > 0
        assert client.get_recent_trades(symbol="BTCUSDT") and client.get_aggregate_trades(
            symbol="BTCUSDT"
        )
        months = client.get_historical_klines("BTCUSDT", "1d", limit=1000)
        assert len(months) >= 26

    def test_the_account(self, client: Any) -> None:
        assert client.get_asset_balance("BTC")["asset"] == "BTC"
        assert client.get_account()["canTrade"] is True
        assert client.get_trade_fee(symbol="BTCUSDT")[0]["makerCommission"] == "0.001"
        assert client.get_all_orders(symbol="ETHUSDT") == []
        moved = client.universal_transfer(type="MAIN_UMFUTURE", asset="USDT", amount="10")
        assert moved["tranId"] > 0
        assert client.futures_account_transfer(asset="USDT", amount="10", type=2)["tranId"] > 0
        assert client.get_account_api_permissions()["enableReading"] is True

    def test_refusals_are_the_clients_own_exceptions(self, client: Any) -> None:
        with pytest.raises(BinanceAPIException) as caught:
            client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="1")
        assert (caught.value.code, caught.value.message) == (
            -1013,
            "Filter failure: PERCENT_PRICE_BY_SIDE",
        )
        with pytest.raises(BinanceAPIException) as caught:
            client.cancel_order(symbol="BTCUSDT", orderId=987654321)
        assert caught.value.code == -2011

    def test_the_async_client(self, twin: RunningTwin) -> None:
        async def run() -> None:
            made = pointed(AsyncClient, twin)
            client = await made.create(twin.ready["key"], twin.ready["secret"])
            try:
                order = await client.order_limit_buy(
                    symbol="BTCUSDT", quantity="0.01", price="50000"
                )
                found = await client.get_order(symbol="BTCUSDT", orderId=order["orderId"])
                assert found["status"] == "NEW"
                rows = await client.get_open_orders(symbol="BTCUSDT")
                assert [row["orderId"] for row in rows] == [order["orderId"]]
                await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
                with pytest.raises(BinanceAPIException) as caught:
                    await client.get_order(symbol="BTCUSDT", orderId=10**9)
                assert caught.value.code == -2013
            finally:
                await client.close_connection()

        asyncio.run(run())


@pytest.fixture
def other(twin: RunningTwin) -> Any:
    """ccxt's client with its addresses changed and nothing else."""
    twin.price("BTCUSDT", "60000")
    made = ccxt.binance({"apiKey": twin.ready["key"], "secret": twin.ready["secret"]})
    for name, address in made.urls["api"].items():
        if isinstance(address, str) and "api.binance.com" in address:
            path = address.split("binance.com", 1)[1]
            made.urls["api"][name] = twin.ready["rest_spot"] + path
    made.options["fetchMarkets"] = {"types": ["spot"]}
    return made


class TestCcxt:
    def test_an_orders_life(self, other: Any, twin: RunningTwin) -> None:
        other.load_markets()
        assert other.markets["BTC/USDT"]["limits"]["cost"]["min"] == 5.0
        placed = other.create_order("BTC/USDT", "limit", "buy", 0.01, 59000)
        assert placed["status"] == "open"
        assert [order["id"] for order in other.fetch_open_orders("BTC/USDT")] == [placed["id"]]
        edited = other.edit_order(placed["id"], "BTC/USDT", "limit", "buy", 0.01, 58500)
        assert edited["price"] == 58500
        twin.price("BTCUSDT", "58000")
        done = other.fetch_order(edited["id"], "BTC/USDT")
        assert (done["status"], done["filled"]) == ("closed", 0.01)
        assert other.fetch_my_trades("BTC/USDT")[-1]["order"] == edited["id"]
        maker = other.create_order("BTC/USDT", "limit", "sell", 0.01, 70000, {"postOnly": True})
        assert other.cancel_order(maker["id"], "BTC/USDT")["status"] == "canceled"
        bought = other.create_market_buy_order_with_cost("BTC/USDT", 100)
        assert bought["status"] == "closed"
        assert Decimal(str(other.fetch_balance()["BTC"]["total"])) > 1

    def test_its_exceptions_by_our_texts(self, other: Any) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            other.create_order("BTC/USDT", "limit", "buy", 50, 59000)
        with pytest.raises(ccxt.OrderNotFound):
            other.cancel_order("987654321", "BTC/USDT")
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            other.create_order("BTC/USDT", "limit", "sell", 0.01, 50000, {"postOnly": True})

    def test_the_market(self, other: Any) -> None:
        assert other.fetch_ticker("BTC/USDT")["last"] == 60000.0
        assert len(other.fetch_ohlcv("BTC/USDT", "5m", limit=12)) == 12
        assert other.fetch_order_book("BTC/USDT", 5)["asks"][0][0] == 60000.01
        assert other.fetch_trades("BTC/USDT")
        assert other.fetch_trading_fee("BTC/USDT")["maker"] == 0.001
