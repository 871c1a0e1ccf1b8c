"""python-binance trades on the twin: requests, and the user's own events as they happen.

python examples/twin_with_python_binance.py
"""

import asyncio

from binance import AsyncClient, BinanceSocketManager

from gridlab.testing.twin import RunningTwin, running_twin


def client_of(ready: dict[str, str]) -> type[AsyncClient]:
    """python-binance's client with the twin's addresses in the place of Binance's."""

    class TwinClient(AsyncClient):
        API_URL = ready["rest_spot"] + "/api"
        MARGIN_API_URL = ready["rest_spot"] + "/sapi"
        FUTURES_URL = ready["rest_futures"] + "/fapi"
        WS_API_URL = ready["ws_api_spot"]

    return TwinClient


async def trade(twin: RunningTwin) -> None:
    client = await client_of(twin.ready).create(twin.ready["key"], twin.ready["secret"])
    sockets = BinanceSocketManager(client)
    sockets.STREAM_URL = twin.ready["ws_spot"] + "/"
    sockets.FSTREAM_URL = twin.ready["ws_futures"] + "/"
    try:
        async with sockets.user_socket() as mine, sockets.trade_socket("BTCUSDT") as market:
            price = float((await client.get_symbol_ticker(symbol="BTCUSDT"))["price"])
            order = await client.order_limit_buy(
                symbol="BTCUSDT", quantity="0.01", price=f"{price * 0.99:.2f}"
            )
            await asyncio.to_thread(twin.price, "BTCUSDT", order["price"])
            while (traded := await market.recv())["p"] != order["price"]:
                pass  # the pulses, at the old price
            print(f"the market traded at {traded['p']}")
            while True:
                message = await mine.recv()
                event = message.get("event", message)
                if event.get("x") == "TRADE":
                    print(f"our {event['S']} filled {event['l']} at {event['L']}")
                    break
        position = await client.futures_position_information(symbol="BTCUSDT")
        print(f"futures: {len(position)} open positions")
    finally:
        await client.close_connection()


def main() -> None:
    # python-binance's sockets close at their next message or after 10 s: pulses keep some coming.
    with running_twin(symbols=("BTCUSDT",), pulse_ms=200) as twin:
        asyncio.run(trade(twin))


if __name__ == "__main__":
    main()
