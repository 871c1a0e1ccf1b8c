"""ccxt trades on the twin, spot and USD-M: only its base addresses are changed.

python examples/twin_with_ccxt.py
"""

import ccxt

from gridlab.domain.market import Market
from gridlab.testing.twin import RunningTwin, running_twin


def pointed_at(kind: type[ccxt.Exchange], ready: dict[str, str]) -> ccxt.Exchange:
    """A ccxt exchange whose every address is the same path on the twin."""
    client = kind({"apiKey": ready["key"], "secret": ready["secret"], "enableRateLimit": False})
    hosts = {
        "https://api.binance.com": ready["rest_spot"],
        "https://fapi.binance.com": ready["rest_futures"],
    }
    for name, address in client.urls["api"].items():
        for host, twin in hosts.items():
            if isinstance(address, str) and address.startswith(host):
                client.urls["api"][name] = twin + address.removeprefix(host)
    return client


def trade_spot(twin: RunningTwin) -> None:
    spot = pointed_at(ccxt.binance, twin.ready)
    spot.options["fetchMarkets"] = {"types": ["spot"]}
    price = spot.fetch_ticker("BTC/USDT")["last"]
    order = spot.create_order("BTC/USDT", "limit", "buy", 0.01, round(price * 0.99, 2))
    print(f"spot: a buy at {order['price']} is {order['status']}")
    twin.price("BTCUSDT", str(order["price"]))  # the market comes down to it
    done = spot.fetch_order(order["id"], "BTC/USDT")
    fee = spot.fetch_my_trades("BTC/USDT")[-1]["fee"]
    print(f"spot: it is {done['status']}, and the fee was {fee['cost']} {fee['currency']}")


def trade_futures(twin: RunningTwin) -> None:
    futures = pointed_at(ccxt.binanceusdm, twin.ready)
    symbol = "BTC/USDT:USDT"
    futures.set_leverage(5, symbol)
    futures.create_order(symbol, "market", "buy", 0.05)
    position = futures.fetch_positions([symbol])[0]
    print(f"futures: {position['side']} {position['contracts']} from {position['entryPrice']}")
    twin.price("BTCUSDT", str(round(position["entryPrice"] * 1.01, 1)), Market.FUTURES)
    futures.create_order(symbol, "market", "sell", 0.05, params={"reduceOnly": True})
    print(f"futures: closed; the wallet holds {futures.fetch_balance()['USDT']['total']} USDT")


def main() -> None:
    with running_twin(symbols=("BTCUSDT",)) as twin:
        trade_spot(twin)
        trade_futures(twin)


if __name__ == "__main__":
    main()
