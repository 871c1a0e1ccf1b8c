"""USD-M's account endpoints over real HTTP: figures, settings, income, funding, listen keys."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from futures_client import FuturesClient

from gridlab.testing.twin import running_twin

START = Decimal("100000")
FUNDS = Decimal("100000")
#: Keys of the venue's rows, as recorded from it.
ASSET = {
    *("asset", "walletBalance", "unrealizedProfit", "marginBalance", "maintMargin"),
    *("initialMargin", "positionInitialMargin", "openOrderInitialMargin", "crossWalletBalance"),
    *("crossUnPnl", "availableBalance", "maxWithdrawAmount", "updateTime"),
}
POSITION_V3 = {
    *("symbol", "positionSide", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice"),
    *("unRealizedProfit", "liquidationPrice", "isolatedMargin", "notional", "marginAsset"),
    *("isolatedWallet", "initialMargin", "maintMargin", "positionInitialMargin"),
    *("openOrderInitialMargin", "adl", "bidNotional", "askNotional", "updateTime"),
}


@pytest.fixture(scope="module")
def running() -> Iterator[FuturesClient]:
    with running_twin(speed=0, has_limits=False, funds={"USDT": str(FUNDS)}) as twin:
        yield FuturesClient(twin.ready, twin.control)


@pytest.fixture
def venue(running: FuturesClient) -> FuturesClient:
    running.clear()
    running.price(str(START))
    for symbol in ("BTCUSDT", "ETHUSDT"):
        running.post("leverage", symbol=symbol, leverage=20)
        running.post("marginType", symbol=symbol, marginType="CROSSED")
    return running


def position(venue: FuturesClient, symbol: str = "BTCUSDT") -> dict[str, str]:
    (row,) = venue.signed("GET", "/fapi/v3/positionRisk", symbol=symbol).body
    return row


def wallet(venue: FuturesClient) -> Decimal:
    return Decimal(venue.signed("GET", "/fapi/v3/account").body["totalWalletBalance"])


def test_the_wallet_starts_with_all_funds_and_only_the_quote_backs_positions() -> None:
    funds = {"USDT": "1000", "BTC": "1.5"}
    with running_twin(symbols=("BTCUSDT",), has_limits=False, funds=funds) as twin:
        venue = FuturesClient(twin.ready, twin.control)
        venue.price("60000")
        balances = venue.signed("GET", "/fapi/v3/balance").body
        assert [(row["asset"], row["balance"]) for row in balances] == [
            ("BTC", "1.50000000"),
            ("USDT", "1000.00000000"),
        ]
        account = venue.signed("GET", "/fapi/v3/account").body
        assert [row["asset"] for row in account["assets"]] == ["BTC", "USDT"]
        assert account["assets"][0]["walletBalance"] == "1.50000000"
        assert account["totalWalletBalance"] == account["availableBalance"] == "1000.00000000"
        assert venue.order("BUY", "1").refusal == (-2019, "Margin is insufficient.")
        assert twin.account()["futures"]["balances"]["BTC"]["total"] == "1.5"


class TestFigures:
    def test_an_account_without_positions(self, venue):
        account = venue.signed("GET", "/fapi/v3/account").body
        assert account["positions"] == []
        assert [set(row) for row in account["assets"]] == [ASSET]
        assert "canTrade" not in account
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []
        old = venue.signed("GET", "/fapi/v2/account").body
        assert old["canTrade"] is True and old["feeTier"] == 0
        assert [row["leverage"] for row in old["positions"]] == ["20", "20"]
        rows = venue.signed("GET", "/fapi/v2/positionRisk").body
        assert [(row["marginType"], row["leverage"]) for row in rows] == [("cross", "20")] * 2

    def test_a_long_position_in_every_figure(self, venue):
        before = wallet(venue)
        venue.order("BUY", "0.100")
        venue.price("101000")
        row = position(venue)
        assert set(row) == POSITION_V3
        assert (row["positionAmt"], row["entryPrice"]) == ("0.100", "100000.0")
        assert Decimal(row["unRealizedProfit"]) == 100
        assert Decimal(row["notional"]) == 10_100
        assert Decimal(row["positionInitialMargin"]) == 505
        assert Decimal(row["breakEvenPrice"]) == 100_050  # the fee was 0.05 %
        account = venue.signed("GET", "/fapi/v3/account").body
        assert Decimal(account["totalWalletBalance"]) == before - 5
        assert Decimal(account["totalMarginBalance"]) == before + 95
        assert Decimal(account["totalUnrealizedProfit"]) == 100
        assert Decimal(account["availableBalance"]) == before + 95 - 505
        assert [each["symbol"] for each in account["positions"]] == ["BTCUSDT"]
        (balance,) = venue.signed("GET", "/fapi/v3/balance").body
        assert balance["asset"] == "USDT" and balance["marginAvailable"] is True
        assert balance["balance"] == account["totalWalletBalance"]
        assert balance["availableBalance"] == account["availableBalance"]

    def test_a_short_position_is_signed(self, venue):
        venue.order("SELL", "0.100")
        venue.price("101000")
        row = position(venue)
        assert row["positionAmt"] == "-0.100" and Decimal(row["notional"]) == -10_100
        assert Decimal(row["unRealizedProfit"]) == -100
        assert Decimal(row["liquidationPrice"]) > 101_000

    def test_open_orders_tie_up_margin_and_list_their_symbol(self, venue):
        venue.order("BUY", "0.100", "90000")
        row = position(venue)
        assert row["positionAmt"] == "0.000" and Decimal(row["bidNotional"]) == 9_000
        assert Decimal(row["openOrderInitialMargin"]) >= 450
        venue.delete("allOpenOrders", symbol="BTCUSDT")
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []

    def test_the_truth_of_the_control_port_agrees(self, venue):
        venue.order("BUY", "0.100")
        truth = venue.control("/account")["futures"]
        row = position(venue)
        assert {name: truth["positions"][0][name] for name in row} == row
        assert truth["wallets"] == venue.signed("GET", "/fapi/v3/balance").body


class TestSettings:
    def test_leverage_changes_what_orders_need(self, venue):
        reply = venue.post("leverage", symbol="BTCUSDT", leverage=5)
        assert reply.body == {
            "leverage": 5,
            "maxNotionalValue": "100000000",
            "symbol": "BTCUSDT",
        }
        assert venue.post("leverage", symbol="BTCUSDT", leverage=5).status == 200
        venue.order("BUY", "0.100")
        assert Decimal(position(venue)["positionInitialMargin"]) == 2_000
        config = venue.get("symbolConfig", symbol="BTCUSDT").body
        assert config == [
            {
                "symbol": "BTCUSDT",
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": 5,
                "maxNotionalValue": "100000000",
            }
        ]

    @pytest.mark.parametrize("leverage", [0, 126])
    def test_leverage_out_of_range(self, venue, leverage):
        reply = venue.post("leverage", symbol="BTCUSDT", leverage=leverage)
        assert reply.refusal == (-4028, f"Leverage {leverage} is not valid")

    def test_leverage_that_the_wallet_can_not_back(self, venue):
        venue.order("BUY", "5")
        reply = venue.post("leverage", symbol="BTCUSDT", leverage=2)
        assert reply.refusal[0] == -2028
        assert position(venue)["positionAmt"] == "5.000"

    def test_leverage_is_not_lowered_on_an_isolated_position(self, venue):
        venue.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        venue.order("BUY", "0.100")
        reply = venue.post("leverage", symbol="BTCUSDT", leverage=10)
        assert reply.refusal == (
            -4161,
            "Leverage reduction is not supported in Isolated Margin Mode with open positions",
        )
        assert venue.post("leverage", symbol="BTCUSDT", leverage=25).status == 200

    def test_margin_type_and_what_blocks_it(self, venue):
        terms = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
        assert venue.post("marginType", **terms).body == {"code": 200, "msg": "success"}
        assert venue.post("marginType", **terms).refusal == (
            -4046,
            "No need to change margin type.",
        )
        back = terms | {"marginType": "CROSSED"}
        venue.order("BUY", "0.010", "90000")
        assert venue.post("marginType", **back).refusal == (
            -4047,
            "Margin type cannot be changed if there exists open orders.",
        )
        venue.delete("allOpenOrders", symbol="BTCUSDT")
        venue.order("BUY", "0.010")
        assert venue.post("marginType", **back).refusal == (
            -4048,
            "Margin type cannot be changed if there exists position.",
        )
        wrong = terms | {"marginType": "BOTH"}
        assert venue.post("marginType", **wrong).refusal == (
            -1130,
            "Data sent for parameter 'margintype' is not valid.",
        )

    def test_position_mode_and_what_blocks_it(self, venue):
        assert venue.get("positionSide/dual").body == {"dualSidePosition": False}
        same = venue.post("positionSide/dual", dualSidePosition="false")
        assert same.refusal == (-4059, "No need to change position side.")
        venue.order("BUY", "0.010", "90000")
        assert venue.post("positionSide/dual", dualSidePosition="true").refusal[0] == -4067
        venue.delete("allOpenOrders", symbol="BTCUSDT")
        venue.order("BUY", "0.010")
        assert venue.post("positionSide/dual", dualSidePosition="true").refusal[0] == -4068
        venue.order("SELL", "0.010")
        done = venue.post("positionSide/dual", dualSidePosition="true")
        assert done.body == {"code": 200, "msg": "success"}
        assert venue.get("positionSide/dual").body == {"dualSidePosition": True}
        assert venue.get("accountConfig").body["dualSidePosition"] is True

    def test_margin_of_an_isolated_position(self, venue):
        terms = {"symbol": "BTCUSDT", "amount": "100", "type": 1}
        assert venue.post("positionMargin", **terms).refusal[0] == -4049
        venue.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        assert venue.post("positionMargin", **terms).refusal[0] == -4054
        venue.order("BUY", "0.100")
        before = Decimal(position(venue)["isolatedWallet"])
        assert venue.post("positionMargin", **terms).body == {
            "amount": 100.0,
            "code": 200,
            "msg": "Successfully modify position margin.",
            "type": 1,
        }
        assert Decimal(position(venue)["isolatedWallet"]) == before + 100
        assert venue.post("positionMargin", **terms | {"type": 2}).status == 200
        assert Decimal(position(venue)["isolatedWallet"]) == before
        too_much = {"amount": "200000"}
        assert venue.post("positionMargin", **terms | too_much).refusal[0] == -4050
        assert venue.post("positionMargin", **terms | too_much | {"type": 2}).refusal[0] == -4051
        assert venue.post("positionMargin", **terms | {"amount": "0"}).refusal[0] == -4055

    def test_the_small_ones(self, venue):
        assert venue.get("multiAssetsMargin").body == {"multiAssetsMargin": False}
        assert venue.post("multiAssetsMargin", multiAssetsMargin="false").refusal[0] == -4171
        rate = venue.get("commissionRate", symbol="BTCUSDT").body
        assert (rate["makerCommissionRate"], rate["takerCommissionRate"]) == (
            "0.000200",
            "0.000500",
        )
        (bracket,) = venue.get("leverageBracket", symbol="BTCUSDT").body
        (only,) = bracket["brackets"]
        assert only["initialLeverage"] == 125 and type(only["maintMarginRatio"]) is float
        limits = venue.get("rateLimit/order").body
        assert [row["limit"] for row in limits] == [300, 1_200]
        assert "indicators" in venue.get("apiTradingStatus").body


class TestIncome:
    def test_every_change_of_the_wallet_is_a_row(self, venue):
        before = wallet(venue)
        known = {row["tranId"] for row in venue.get("income", limit=1_000).body}
        venue.order("BUY", "0.100")
        venue.control("/funding", {"symbol": "BTCUSDT", "rate": "0.0002"})
        venue.price("100500")
        venue.order("SELL", "0.100")
        rows = [r for r in venue.get("income", limit=1_000).body if r["tranId"] not in known]
        assert [(row["incomeType"], row["income"]) for row in rows] == [
            ("COMMISSION", "-5.00000000"),
            ("FUNDING_FEE", "-2.00000000"),
            ("REALIZED_PNL", "50.00000000"),
            ("COMMISSION", "-5.02500000"),
        ]
        assert wallet(venue) - before == sum(Decimal(row["income"]) for row in rows)
        assert len({row["tranId"] for row in rows}) == 4
        trade_ids = {str(row["id"]) for row in venue.get("userTrades", symbol="BTCUSDT").body}
        assert {row["tradeId"] for row in rows if row["tradeId"]} <= trade_ids

    def test_a_kind_a_symbol_and_pages(self, venue):
        venue.order("BUY", "1", symbol="ETHUSDT")
        venue.control("/funding", {"rate": "-0.0001"})
        kinds = {"incomeType": "FUNDING_FEE", "symbol": "ETHUSDT"}
        (last,) = venue.get("income", limit=1, **kinds).body
        assert last["symbol"] == "ETHUSDT" and Decimal(last["income"]) > 0
        first = venue.get("income", startTime=1, limit=1, page=1).body
        second = venue.get("income", startTime=1, limit=1, page=2).body
        assert first[0]["tranId"] < second[0]["tranId"]
        assert venue.get("income", startTime=last["time"] + 60_000).body == []

    def test_funding_without_a_position_books_nothing(self, venue):
        before = wallet(venue)
        answer = venue.control("/funding", {"symbol": "BTCUSDT"})
        assert answer["paid"] == [] and wallet(venue) == before


class TestLiquidation:
    def test_a_position_that_fails_is_closed_and_its_orders_end(self, venue):
        venue.post("marginType", symbol="BTCUSDT", marginType="ISOLATED")
        venue.order("BUY", "0.100")
        venue.order("BUY", "0.010", "60000", newClientOrderId="far")
        price = Decimal(position(venue)["liquidationPrice"])
        assert 94_000 < price < 97_000
        venue.price(str(price.to_integral_value() + 10))
        assert position(venue)["positionAmt"] == "0.100"
        venue.price(str(price.to_integral_value() - 10))
        assert venue.signed("GET", "/fapi/v3/positionRisk").body == []
        far = venue.get("order", symbol="BTCUSDT", origClientOrderId="far").body
        assert far["status"] == "EXPIRED"
        closing = venue.get("allOrders", symbol="BTCUSDT").body[-1]
        assert closing["clientOrderId"].startswith("autoclose-")
        assert (closing["status"], closing["side"]) == ("FILLED", "SELL")


class TestListenKeys:
    def test_one_key_while_it_lives(self, venue):
        headers = {"X-MBX-APIKEY": venue.key}
        url = f"{venue.base}/fapi/v1/listenKey"
        first = venue.http.post(url, headers=headers).json()
        assert set(first) == {"listenKey"}
        assert venue.http.post(url, headers=headers).json() == first
        assert venue.http.put(url, headers=headers).status_code == 200
        assert venue.http.delete(url, headers=headers).json() == {}
        gone = venue.http.put(url, headers=headers)
        assert (gone.status_code, gone.json()) == (
            400,
            {"code": -1125, "msg": "This listenKey does not exist."},
        )
        assert venue.http.post(url, headers=headers).json() != first

    def test_a_key_is_needed_and_no_signature(self, venue):
        reply = venue.http.post(f"{venue.base}/fapi/v1/listenKey")
        assert (reply.status_code, reply.json()["code"]) == (401, -2014)
