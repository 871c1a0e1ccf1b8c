"""python-binance's sockets against the twin, with nothing changed but the addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.enums import FuturesType
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from gridlab.domain.market import Market
from gridlab.testing.twin import RunningTwin, running_twin

#: Of the recorded period; orders must lie near the price that stands.
SPOT_PRICE, FUTURES_PRICE = 67_000, 106_000


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    # The pulse keeps streams talking, as a liquid market does.
    with running_twin(symbols=("BTCUSDT", "ETHUSDT"), speed=0, pulse_ms=200) as running:
        yield running


@pytest.fixture(autouse=True)
def _calm(twin: RunningTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket that hears nothing is closed only after this time, 10 s as it comes.
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.5)
    twin.price("BTCUSDT", SPOT_PRICE)
    twin.price("BTCUSDT", FUTURES_PRICE, Market.FUTURES)


@asynccontextmanager
async def pointed_at(twin: RunningTwin) -> AsyncIterator[tuple[Any, Any]]:
    """python-binance's client and socket manager with the twin's addresses."""
    ready = twin.ready

    class Client(AsyncClient):  # type: ignore[misc]
        API_URL = f"{ready['rest_spot']}/api"
        FUTURES_URL = f"{ready['rest_futures']}/fapi"
        WS_API_URL = ready["ws_api_spot"]
        WS_FUTURES_URL = f"{ready['ws_futures']}/ws-fapi/v1"

    class Manager(BinanceSocketManager):  # type: ignore[misc]
        STREAM_URL = f"{ready['ws_spot']}/"
        FSTREAM_URL = f"{ready['ws_futures']}/"

    client = await Client.create(ready["key"], ready["secret"])
    try:
        yield client, Manager(client, max_queue_size=1_000)
    finally:
        await client.close_connection()


def through(twin: RunningTwin, play: Callable[[Any, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        async with pointed_at(twin) as (client, manager):
            await play(client, manager)

    asyncio.run(asyncio.wait_for(run(), 25))


async def until(socket: Any, fits: Callable[[Any], bool]) -> Any:
    """The first message that fits; an error message is an error."""
    for _ in range(500):
        message = await asyncio.wait_for(socket.recv(), 5)
        inner = message.get("data", message) if isinstance(message, dict) else message
        assert not (isinstance(inner, dict) and inner.get("e") == "error"), message
        if fits(inner):
            return message
    raise AssertionError("500 messages and none that fits")


def test_spot_user_data_by_the_websocket_api(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        async with manager.user_socket() as socket:
            placed = await client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.01",
                price="66000.00",
                newClientOrderId="spot-user-1",
            )
            new = await socket.recv()
            assert (new["e"], new["x"], new["i"]) == ("executionReport", "NEW", placed["orderId"])
            position = await socket.recv()
            assert [row["a"] for row in position["B"]] == ["USDT"]
            await asyncio.to_thread(twin.price, "BTCUSDT", 65_900)
            trade = await until(socket, lambda event: event.get("x") == "TRADE")
            assert (trade["X"], trade["c"], Decimal(trade["L"])) == (
                "FILLED",
                "spot-user-1",
                Decimal(66_000),
            )
            assert (await socket.recv())["e"] == "outboundAccountPosition"
            (fill,) = await client.get_my_trades(symbol="BTCUSDT", orderId=placed["orderId"])
            assert (fill["id"], fill["commission"]) == (trade["t"], trade["n"])

    through(twin, play)


def test_spot_orders_by_the_websocket_api(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        order = {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": "70000",
        }
        placed = await client.ws_create_order(**order, newClientOrderId="by-socket")
        assert placed["status"] == "NEW"
        told = await client.ws_get_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert told["clientOrderId"] == "by-socket"
        assert len(await client.ws_get_open_orders(symbol="BTCUSDT")) == 1
        gone = await client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert gone["status"] == "CANCELED"
        assert (await client.ws_get_account())["accountType"] == "SPOT"
        assert (await client.ws_get_order_book(symbol="BTCUSDT", limit=5))["bids"]
        assert (await client.ws_get_time())["serverTime"] > 0

    through(twin, play)


def test_spot_market_sockets(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        async with (
            manager.trade_socket("BTCUSDT") as trades,
            manager.aggtrade_socket("BTCUSDT") as aggregates,
            manager.kline_socket("BTCUSDT") as klines,
            manager.symbol_ticker_socket("BTCUSDT") as ticker,
            manager.symbol_miniticker_socket("BTCUSDT") as mini,
            manager.miniticker_socket() as minis,
            manager.symbol_book_ticker_socket("BTCUSDT") as top,
            manager.depth_socket("BTCUSDT", depth="5", interval=100) as book,
            manager.multiplex_socket(["btcusdt@trade", "ethusdt@bookTicker"]) as many,
        ):
            await asyncio.to_thread(twin.price, "BTCUSDT", 67_321)
            price = Decimal(67_321)
            assert await until(trades, lambda event: Decimal(event["p"]) == price)
            assert await until(aggregates, lambda event: Decimal(event["p"]) == price)
            assert await until(klines, lambda event: Decimal(event["k"]["c"]) == price)
            assert await until(ticker, lambda event: Decimal(event["c"]) == price)
            assert await until(mini, lambda event: Decimal(event["c"]) == price)
            assert await until(minis, lambda rows: any(Decimal(row["c"]) == price for row in rows))
            assert await until(top, lambda event: Decimal(event["b"]) < price)
            assert len((await until(book, lambda event: True))["bids"]) == 5
            assert (await until(many, lambda event: event["s"] == "BTCUSDT"))[
                "stream"
            ] == "btcusdt@trade"

    through(twin, play)


@pytest.mark.parametrize("market", list(Market))
def test_a_local_book_from_rest_and_a_stream_is_the_venues(
    twin: RunningTwin, market: Market
) -> None:
    """The documented recipe with REST's snapshot: what is kept equals the next snapshot."""

    async def play(client: Any, manager: Any) -> None:
        is_spot = market is Market.SPOT
        socket = (
            manager.depth_socket("BTCUSDT", interval=100)
            if is_spot
            else manager.futures_depth_socket("BTCUSDT", depth="")
        )
        base = SPOT_PRICE if is_spot else FUTURES_PRICE
        snapshot_of = client.get_order_book if is_spot else client.futures_order_book

        async def walk() -> None:
            for step in range(20):
                await asyncio.to_thread(twin.price, "BTCUSDT", base + step % 5, market)
                await asyncio.sleep(0.03)

        async with socket as events:
            walking = asyncio.ensure_future(walk())
            first = _inner(await events.recv())
            while True:
                snapshot = await snapshot_of(symbol="BTCUSDT", limit=1000)
                if snapshot["lastUpdateId"] >= first["U"]:
                    break
            start_id = snapshot["lastUpdateId"]
            kept = [first]
            await walking
            target = await snapshot_of(symbol="BTCUSDT", limit=1000)
            while kept[-1]["u"] < target["lastUpdateId"]:
                kept.append(_inner(await asyncio.wait_for(events.recv(), 5)))
            # The pulse goes on: keep only what leads to the second snapshot, and compare where
            # it falls between two events by asking for one that does not.
            for _ in range(50):
                if kept[-1]["u"] == target["lastUpdateId"]:
                    break
                target = await snapshot_of(symbol="BTCUSDT", limit=1000)
                while kept[-1]["u"] < target["lastUpdateId"]:
                    kept.append(_inner(await asyncio.wait_for(events.recv(), 5)))
            assert kept[-1]["u"] == target["lastUpdateId"]
        book = {"b": _side(snapshot["bids"]), "a": _side(snapshot["asks"])}
        _apply(is_spot, start_id, book, kept)
        assert book == {"b": _side(target["bids"]), "a": _side(target["asks"])}

    through(twin, play)


def _inner(message: Any) -> Any:
    return message.get("data", message)


def _side(levels: list[list[str]]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(quantity) for price, quantity in levels}


def _apply(
    is_spot: bool, start_id: int, book: dict[str, dict[Decimal, Decimal]], events: list[Any]
) -> None:
    kept = [e for e in events if (e["u"] > start_id if is_spot else e["u"] >= start_id)]
    if kept:
        assert kept[0]["U"] <= start_id + 1
    for before, event in zip(kept, kept[1:], strict=False):
        assert event["U"] == before["u"] + 1 if is_spot else event["pu"] == before["u"]
    for event in kept:
        for side in ("b", "a"):
            for price, quantity in event[side]:
                if Decimal(quantity):
                    book[side][Decimal(price)] = Decimal(quantity)
                else:
                    book[side].pop(Decimal(price), None)


def test_futures_user_data_by_listen_key(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        async with manager.futures_user_socket() as socket:
            placed = await client.futures_create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.01",
                price="105000",
                newClientOrderId="fut-user-1",
            )
            new = await socket.recv()
            assert (new["e"], new["o"]["x"], new["o"]["i"]) == (
                "ORDER_TRADE_UPDATE",
                "NEW",
                placed["orderId"],
            )
            await asyncio.to_thread(twin.price, "BTCUSDT", 104_900, Market.FUTURES)
            lite, account, trade = [await socket.recv() for _ in range(3)]
            assert [lite["e"], account["e"], trade["e"]] == [
                "TRADE_LITE",
                "ACCOUNT_UPDATE",
                "ORDER_TRADE_UPDATE",
            ]
            assert (trade["o"]["X"], trade["o"]["c"]) == ("FILLED", "fut-user-1")
            (position,) = await client.futures_position_information(symbol="BTCUSDT")
            (told,) = account["a"]["P"]
            assert Decimal(told["pa"]) == Decimal(position["positionAmt"])
            assert Decimal(told["ep"]) == Decimal(position["entryPrice"])
            balances = {row["asset"]: row for row in await client.futures_account_balance()}
            (wallet,) = account["a"]["B"]
            assert Decimal(wallet["wb"]) == Decimal(balances["USDT"]["balance"])
            (fill,) = await client.futures_account_trades(symbol="BTCUSDT")
            assert fill["id"] == trade["o"]["t"] == lite["t"]

    through(twin, play)


def test_futures_market_sockets(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        async with (
            manager.aggtrade_futures_socket("BTCUSDT") as aggregates,
            manager.kline_futures_socket("BTCUSDT") as klines,
            manager.symbol_mark_price_socket("BTCUSDT") as mark,
            manager.all_mark_price_socket() as marks,
            manager.symbol_ticker_futures_socket("BTCUSDT") as top,
            manager.individual_symbol_ticker_futures_socket("BTCUSDT") as ticker,
            manager.all_ticker_futures_socket("!miniTicker@arr") as minis,
            manager.futures_multiplex_socket(["btcusdt@trade"], category="public") as public,
            manager.futures_multiplex_socket(
                ["btcusdt@aggTrade", "btcusdt@kline_1m"], futures_type=FuturesType.USD_M
            ) as market,
        ):
            await asyncio.to_thread(twin.price, "BTCUSDT", 106_321, Market.FUTURES)
            price = Decimal(106_321)
            assert await until(aggregates, lambda event: Decimal(event["p"]) == price)
            assert await until(klines, lambda event: Decimal(event["k"]["c"]) == price)
            assert (await until(mark, lambda event: True))["data"]["e"] == "markPriceUpdate"
            assert (await until(marks, lambda rows: True))["data"][0]["s"] == "BTCUSDT"
            assert await until(top, lambda event: Decimal(event["b"]) < price)
            assert await until(ticker, lambda event: Decimal(event["c"]) == price)
            assert await until(minis, lambda rows: len(rows) == 2)
            assert await until(public, lambda event: event["e"] == "trade")
            assert await until(market, lambda event: event["e"] == "kline")

    through(twin, play)


def test_futures_orders_by_the_websocket_api(twin: RunningTwin) -> None:
    async def play(client: Any, manager: Any) -> None:
        placed = await client.ws_futures_create_order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price="100000",
        )
        assert placed["status"] == "NEW"
        told = await client.ws_futures_get_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert told["orderId"] == placed["orderId"]
        gone = await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert gone["status"] == "CANCELED"
        assert await client.ws_futures_v2_account_balance()
        assert isinstance(await client.ws_futures_v2_account_position(), list)
        assert (await client.ws_futures_get_order_book(symbol="BTCUSDT"))["bids"]

    through(twin, play)


def test_a_futures_user_socket_survives_a_broken_line(twin: RunningTwin) -> None:
    """It connects again under the same key; what happened meanwhile must be asked for."""

    async def play(client: Any, manager: Any) -> None:
        async with manager.futures_user_socket() as socket:
            await asyncio.to_thread(twin.do, twin.world.sockets.disconnect_all())
            error = await asyncio.wait_for(socket.recv(), 5)
            assert error["e"] == "error"
            for number in range(40):
                placed = await client.futures_create_order(
                    symbol="BTCUSDT",
                    side="BUY",
                    type="LIMIT",
                    timeInForce="GTC",
                    quantity="0.01",
                    price=str(100_000 + number),
                )
                try:
                    event = await asyncio.wait_for(socket.recv(), 0.5)
                except TimeoutError:
                    continue
                if event["e"] == "ORDER_TRADE_UPDATE":
                    assert event["o"]["s"] == "BTCUSDT" and placed["orderId"]
                    return
            raise AssertionError("it never came back")

    through(twin, play)
