"""python-binance's USD-M methods against the twin, unmodified but for the base address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from binance import AsyncClient, Client
from binance.exceptions import BinanceAPIException
from futures_client import FuturesClient

from gridlab.testing.twin import RunningTwin, running_twin

SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin(speed=0, has_limits=False) as twin:
        yield twin


@pytest.fixture
def client(twin: RunningTwin) -> Iterator[Client]:
    plain = FuturesClient(twin.ready, twin.control)
    plain.clear()
    plain.price("100000")
    made = _pointed(Client, twin)(twin.ready["key"], twin.ready["secret"])
    yield made
    made.close_connection()


def _pointed(kind: type, twin: RunningTwin) -> type:
    """The client's class with the twin's addresses, and nothing else changed."""
    addresses = {
        "API_URL": f"{twin.ready['rest_spot']}/api",
        "FUTURES_URL": f"{twin.ready['rest_futures']}/fapi",
    }
    return type(kind.__name__, (kind,), addresses)


def limit(client: Client, side: str, price: str, **more: Any) -> dict[str, Any]:
    terms = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC"}
    return client.futures_create_order(**terms | {"quantity": "0.010", "price": price} | more)


class TestSync:
    def test_public_data(self, client):
        assert client.futures_ping() == {}
        assert client.futures_time()["serverTime"] > 1_700_000_000_000
        symbols = {row["symbol"] for row in client.futures_exchange_info()["symbols"]}
        assert symbols == {"BTCUSDT", "ETHUSDT"}
        assert Decimal(client.futures_symbol_ticker(symbol=SYMBOL)["price"]) == 100_000
        assert Decimal(client.futures_mark_price(symbol=SYMBOL)["markPrice"]) == 100_000
        assert len(client.futures_klines(symbol=SYMBOL, interval="1m", limit=5)) == 5
        assert len(client.futures_order_book(symbol=SYMBOL, limit=10)["bids"]) == 10
        assert client.futures_recent_trades(symbol=SYMBOL, limit=1)
        assert client.futures_aggregate_trades(symbol=SYMBOL, limit=1)
        assert client.futures_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
        assert client.futures_orderbook_ticker(symbol=SYMBOL)["symbol"] == SYMBOL
        kind = {"pair": SYMBOL, "contractType": "PERPETUAL", "interval": "1h"}
        assert client.futures_continuous_klines(**kind)
        assert client.futures_mark_price_klines(symbol=SYMBOL, interval="1h")
        assert isinstance(client.futures_funding_rate(symbol=SYMBOL), list)
        assert len(client.futures_v1_get_funding_info()) == 2

    def test_an_order_from_placement_to_cancel(self, client):
        placed = limit(client, "BUY", "90000", newClientOrderId="pb-1")
        assert placed["status"] == "NEW"
        by_name = {"symbol": SYMBOL, "origClientOrderId": "pb-1"}
        assert client.futures_get_order(**by_name)["orderId"] == placed["orderId"]
        assert [row["clientOrderId"] for row in client.futures_get_open_orders()] == ["pb-1"]
        terms = {"side": "BUY", "quantity": "0.020", "price": "91000"}
        changed = client.futures_modify_order(**by_name, **terms)
        assert changed["price"] == "91000.00"
        assert client.futures_cancel_order(**by_name)["status"] == "CANCELED"
        with pytest.raises(BinanceAPIException) as caught:
            client.futures_cancel_order(**by_name)
        assert (caught.value.code, caught.value.message) == (-2011, "Unknown order sent.")
        assert placed["orderId"] in [
            row["orderId"] for row in client.futures_get_all_orders(symbol=SYMBOL)
        ]

    def test_batches_and_cancelling_all(self, client):
        order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        orders = [order | {"quantity": "0.010", "price": price} for price in ("90000", "89000")]
        placed = client.futures_place_batch_order(batchOrders=orders)
        assert [row["status"] for row in placed] == ["NEW", "NEW"]
        # The client signs a list otherwise than it sends it; the venue refuses that as well.
        with pytest.raises(BinanceAPIException) as caught:
            client.futures_cancel_orders(symbol=SYMBOL, orderIdList=[placed[0]["orderId"]])
        assert caught.value.code == -1022
        assert client.futures_cancel_all_open_orders(symbol=SYMBOL)["code"] == 200
        assert client.futures_countdown_cancel_all(symbol=SYMBOL, countdownTime=0)

    def test_a_position_and_its_account(self, client):
        client.futures_change_leverage(symbol=SYMBOL, leverage=20)
        client.futures_create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.010")
        (row,) = client.futures_position_information(symbol=SYMBOL)
        assert row["positionAmt"] == "0.010"
        account = client.futures_account()
        assert account["canTrade"] is True
        assert Decimal(account["totalPositionInitialMargin"]) == 50
        assert [row["asset"] for row in client.futures_account_balance()] == ["BTC", "ETH", "USDT"]
        assert client.futures_account_trades(symbol=SYMBOL)
        assert client.futures_income_history(symbol=SYMBOL)
        closing = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": "0.010"}
        client.futures_create_order(**closing, reduceOnly="true")
        assert client.futures_position_information(symbol=SYMBOL) == []

    def test_settings(self, client):
        assert client.futures_change_leverage(symbol=SYMBOL, leverage=10)["leverage"] == 10
        client.futures_change_margin_type(symbol=SYMBOL, marginType="ISOLATED")
        with pytest.raises(BinanceAPIException) as caught:
            client.futures_change_margin_type(symbol=SYMBOL, marginType="ISOLATED")
        assert caught.value.code == -4046
        client.futures_change_margin_type(symbol=SYMBOL, marginType="CROSSED")
        assert client.futures_get_position_mode() == {"dualSidePosition": False}
        with pytest.raises(BinanceAPIException) as caught:
            client.futures_change_position_mode(dualSidePosition="false")
        assert caught.value.code == -4059
        assert client.futures_leverage_bracket(symbol=SYMBOL)[0]["brackets"]
        assert client.futures_get_multi_assets_mode() == {"multiAssetsMargin": False}
        assert client.futures_commission_rate(symbol=SYMBOL)["makerCommissionRate"] == "0.000200"
        assert client.futures_symbol_config(symbol=SYMBOL)[0]["leverage"] == 10
        assert client.futures_account_config()["dualSidePosition"] is False
        assert client.futures_v1_get_rate_limit_order()

    def test_a_conditional_order_is_rerouted_by_the_client(self, client):
        placed = client.futures_create_order(
            symbol=SYMBOL, side="SELL", type="STOP_MARKET", quantity="0.010", stopPrice="90000"
        )
        number = placed["algoId"]
        assert client.futures_get_algo_order(algoId=number)["algoStatus"] == "NEW"
        opened = client.futures_get_open_orders(conditional=True)
        assert [row["algoId"] for row in opened] == [number]
        assert client.futures_cancel_order(algoId=number, conditional=True)["code"] == "200"
        assert client.futures_cancel_all_algo_open_orders(symbol=SYMBOL)["code"] == 200

    def test_a_stream_key(self, client):
        key = client.futures_stream_get_listen_key()
        assert len(key) == 64
        client.futures_stream_keepalive(key)
        client.futures_stream_close(key)
        with pytest.raises(BinanceAPIException) as caught:
            client.futures_stream_keepalive(key)
        assert caught.value.code == -1125


class TestAsync:
    def test_the_whole_way_of_an_order(self, client, twin):
        async def run() -> list[dict[str, Any]]:
            made = await _pointed(AsyncClient, twin).create(twin.ready["key"], twin.ready["secret"])
            try:
                terms = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
                placed = await made.futures_create_order(
                    **terms, quantity="0.010", price="95000", newClientOrderId="async-1"
                )
                by_number = {"symbol": SYMBOL, "orderId": placed["orderId"]}
                await asyncio.to_thread(twin.control, "/price", _at("94990"))
                return [
                    await made.futures_get_order(**by_number),
                    *await made.futures_account_trades(symbol=SYMBOL),
                    *await made.futures_position_information(symbol=SYMBOL),
                ]
            finally:
                await made.close_connection()

        order, *_, trade, position = asyncio.run(run())
        assert (order["status"], order["clientOrderId"]) == ("FILLED", "async-1")
        assert (trade["price"], trade["maker"]) == ("95000.00", True)
        assert position["positionAmt"] == "0.010"


def _at(price: str) -> dict[str, str]:
    return {"venue": "fut", "symbol": SYMBOL, "price": price}
