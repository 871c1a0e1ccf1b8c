"""Balances, trades, fees, the two wallets, and what the wallet service answers."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations

import pytest
from spot_client import SpotClient

FILTERS = ("orderId", "startTime", "endTime", "fromId")
TAKEN = (
    *((), ("orderId",), ("startTime",), ("endTime",), ("fromId",)),
    *(("startTime", "endTime"), ("orderId", "fromId")),
)


class TestAccount:
    def test_its_form(self, spot: SpotClient) -> None:
        account = spot.signed("GET", "/api/v3/account").body
        assert list(account) == [
            *("makerCommission", "takerCommission", "buyerCommission", "sellerCommission"),
            *("commissionRates", "canTrade", "canWithdraw", "canDeposit", "brokered"),
            *("requireSelfTradePrevention", "preventSor", "updateTime", "accountType"),
            *("balances", "permissions", "uid"),
        ]
        assert account["makerCommission"] == 10
        assert account["commissionRates"]["maker"] == "0.00100000"

    def test_zero_balances_are_left_out_on_request(self, spot: SpotClient) -> None:
        free = spot.balance("ETH")[0]
        spot.market("SELL", symbol="ETHUSDT", quantity=free.rstrip("0").rstrip("."))
        every = spot.signed("GET", "/api/v3/account").body["balances"]
        some = spot.signed("GET", "/api/v3/account", omitZeroBalances="true").body["balances"]
        assert [row["asset"] for row in every] == ["BTC", "ETH", "USDT"]
        assert [row["asset"] for row in some] == ["BTC", "USDT"]
        spot.market("BUY", symbol="ETHUSDT", quantity="5")

    def test_locks_follow_open_orders(self, spot: SpotClient) -> None:
        spot.limit("SELL", "61000", "0.2")
        spot.limit("BUY", "59000", "0.1")
        assert (spot.balance("BTC")[1], spot.balance("USDT")[1]) == ("0.20000000", "5900.00000000")
        spot.clear()
        assert (spot.balance("BTC")[1], spot.balance("USDT")[1]) == ("0.00000000", "0.00000000")

    def test_rates(self, spot: SpotClient) -> None:
        rates = spot.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT").body
        assert rates["standardCommission"] == {
            **{"maker": "0.00100000", "taker": "0.00100000"},
            **{"buyer": "0.00000000", "seller": "0.00000000"},
        }
        fees = spot.signed("GET", "/sapi/v1/asset/tradeFee", symbol="ETHUSDT").body
        assert fees == [
            {"symbol": "ETHUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}
        ]


class TestTrades:
    @pytest.mark.parametrize("chosen", [c for n in range(5) for c in combinations(FILTERS, n)])
    def test_which_parameters_go_together(self, spot: SpotClient, chosen: tuple[str, ...]) -> None:
        values = {"orderId": 1, "startTime": 1_000, "endTime": 2_000, "fromId": 0}
        given = {name: values[name] for name in chosen}
        reply = spot.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", **given)
        if chosen in TAKEN:
            assert reply.status == 200
        else:
            assert reply.refusal == (-1128, "Combination of optional parameters invalid.")

    def test_newest_or_onward(self, spot: SpotClient) -> None:
        for _ in range(5):
            spot.market("BUY", quantity="0.001")
        path, symbol = "/api/v3/myTrades", "BTCUSDT"
        newest = spot.signed("GET", path, symbol=symbol, limit=3).body
        ids = [row["id"] for row in newest]
        assert ids == sorted(ids)
        onward = spot.signed("GET", path, symbol=symbol, fromId=ids[0], limit=2).body
        assert [row["id"] for row in onward] == ids[:2]
        by_order = spot.signed("GET", path, symbol=symbol, orderId=newest[1]["orderId"]).body
        assert [row["id"] for row in by_order] == [ids[1]]

    def test_our_trades_are_the_markets_trades(self, spot: SpotClient) -> None:
        """One id for both, as on the venue."""
        fill = spot.market("BUY", quantity="0.01").body["fills"][0]
        public = spot.public("/api/v3/trades", symbol="BTCUSDT", limit=1).body[0]
        assert (public["id"], public["qty"]) == (fill["tradeId"], fill["qty"])
        assert public["isBuyerMaker"] is False
        spot.limit("BUY", "59000")
        spot.twin.price("BTCUSDT", "58990")
        mine = spot.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", limit=1).body[0]
        ours, after = spot.public("/api/v3/trades", symbol="BTCUSDT", limit=2).body
        assert (ours["id"], ours["price"]) == (mine["id"], "59000.00000000")
        assert ours["isBuyerMaker"] is True
        assert (after["id"], after["price"]) == (mine["id"] + 1, "58990.00000000")


class TestWallets:
    def test_money_moves_between_the_two(self, spot: SpotClient) -> None:
        before = Decimal(spot.balance("USDT")[0])
        futures = Decimal(spot.twin.account()["futures"]["balances"]["USDT"]["total"])
        given = {"asset": "USDT", "amount": "250.5"}
        there = spot.signed("POST", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", **given)
        assert isinstance(there.body["tranId"], int)
        assert Decimal(spot.balance("USDT")[0]) == before - Decimal("250.5")
        now = spot.twin.account()["futures"]["balances"]["USDT"]["total"]
        assert Decimal(now) == futures + Decimal("250.5")
        back = spot.signed("POST", "/sapi/v1/futures/transfer", type=2, **given)
        assert back.body["tranId"] > there.body["tranId"]
        assert Decimal(spot.balance("USDT")[0]) == before

    def test_what_is_no_margin_is_moved_too(self, spot: SpotClient) -> None:
        before = spot.twin.account()["futures"]["balances"]["BTC"]["total"]
        for kind, change in (("MAIN_UMFUTURE", Decimal("0.1")), ("UMFUTURE_MAIN", Decimal(0))):
            terms = {"type": kind, "asset": "BTC", "amount": "0.1"}
            assert spot.signed("POST", "/sapi/v1/asset/transfer", **terms).status == 200
            now = spot.twin.account()["futures"]["balances"]["BTC"]["total"]
            assert Decimal(now) - Decimal(before) == change

    def test_what_is_not_there_cannot_be_moved(self, spot: SpotClient) -> None:
        given = {"type": "MAIN_UMFUTURE", "asset": "USDT"}
        path = "/sapi/v1/asset/transfer"
        short = spot.signed("POST", path, amount="100000000", **given)
        assert short.refusal == (-5013, "Asset transfer failed: insufficient balance")
        assert spot.signed("POST", path, amount="0", **given).refusal[0] == -1130
        odd = spot.signed("POST", path, type="MAIN_MARGIN", asset="USDT", amount="1")
        assert odd.refusal[0] == -1130
        other = spot.signed("POST", path, type="MAIN_UMFUTURE", asset="DOGE", amount="0.1")
        assert other.refusal[0] == -1108

    def test_what_clients_ask_while_they_load(self, spot: SpotClient) -> None:
        coins = spot.signed("GET", "/sapi/v1/capital/config/getall").body
        assert [coin["coin"] for coin in coins] == ["BTC", "ETH", "USDT"]
        assert spot.signed("GET", "/sapi/v1/margin/allPairs").body == []
        assert spot.public("/sapi/v1/system/status").body == {"status": 0, "msg": "normal"}
        rights = spot.signed("GET", "/sapi/v1/account/apiRestrictions").body
        assert rights["enableSpotAndMarginTrading"] and not rights["enableWithdrawals"]
        assets = spot.signed("POST", "/sapi/v3/asset/getUserAsset", asset="BTC").body
        assert [row["asset"] for row in assets] == ["BTC"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_listen_keys_of_spot_are_gone(self, spot: SpotClient, method: str) -> None:
        reply = spot.raw(method, "/api/v3/userDataStream", headers={"X-MBX-APIKEY": spot.key})
        assert reply.status == 410
