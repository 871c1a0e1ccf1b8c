"""What a key may do, by the answers that a real exchange gives, and what the doctor says of it."""

from __future__ import annotations

import asyncio

import pytest
from scripted_venue import ScriptedVenue, Told

from gridlab.app.checks import Verdict
from gridlab.app.doctor_venue import key_checks
from gridlab.clock import SystemClock
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.exchange.binance.account import Permissions
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.futures import BinanceFutures
from gridlab.exchange.binance.signing import LiveRight
from gridlab.exchange.binance.spot import BinanceSpot
from gridlab.exchange.binance.transport import SignedTransport

#: An account that may withdraw, as both markets tell it of nearly everybody.
ACCOUNT = {"canTrade": True, "canDeposit": True, "canWithdraw": True}
MARKETS = tuple(Market)


def rights(**changes: bool) -> Told:
    given = {
        "ipRestrict": True,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableFutures": True,
        "enableSpotAndMarginTrading": True,
    }
    return Told(given | changes)


@pytest.fixture
def real_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address counts as the real exchange's."""
    monkeypatch.setattr(Endpoints, "is_production", True)


def permissions(market: Market, told: Told) -> Permissions:
    """Those of `market`, where the venue answers a question for the key's rights so."""

    async def asked() -> Permissions:
        async with ScriptedVenue() as venue:
            venue.tell("GET /api/v3/account", Told(ACCOUNT | {"balances": []}))
            venue.tell("GET /fapi/v1/accountConfig", Told(ACCOUNT | {"dualSidePosition": False}))
            venue.tell("GET /sapi/v1/account/apiRestrictions", told)
            transport = SignedTransport(
                LiveRight(Mode.PRODUCTION), venue.credentials, venue.endpoints, clock=SystemClock()
            )
            account = (BinanceSpot if market is Market.SPOT else BinanceFutures)(transport)
            try:
                return await account.permissions()
            finally:
                await transport.close()

    return asyncio.run(asked())


@pytest.mark.usefixtures("real_exchange")
@pytest.mark.parametrize("market", MARKETS)
class TestRealExchange:
    def test_an_account_that_may_withdraw_is_no_key_that_may(self, market: Market) -> None:
        found = permissions(market, rights())
        assert (found.can_trade, found.can_withdraw, found.is_ip_restricted) == (True, False, True)
        (check,) = key_checks(market, found, Mode.PRODUCTION)
        assert check.verdict is Verdict.OK

    def test_a_key_that_may_withdraw_fails(self, market: Market) -> None:
        found = permissions(market, rights(enableWithdrawals=True))
        assert found.can_withdraw is True
        first, _ = key_checks(market, found, Mode.PRODUCTION)
        assert (first.verdict, "may withdraw" in first.words) == (Verdict.FAIL, True)

    def test_each_market_has_a_right_of_its_own_to_trade(self, market: Market) -> None:
        only_spot = permissions(market, rights(enableFutures=False))
        assert only_spot.can_trade is (market is Market.SPOT)
        only_futures = permissions(market, rights(enableSpotAndMarginTrading=False))
        assert only_futures.can_trade is (market is Market.FUTURES)

    @pytest.mark.parametrize("told", [Told({"code": -1002, "msg": "no"}, 401), Told({"odd": 1})])
    def test_rights_that_cannot_be_read_are_unknown(self, market: Market, told: Told) -> None:
        found = permissions(market, told)
        assert (found.can_trade, found.can_withdraw) == (True, None)
        first, _ = key_checks(market, found, Mode.PRODUCTION)
        assert (first.verdict, "is not known" in first.words) == (Verdict.FAIL, True)


@pytest.mark.parametrize("market", MARKETS)
def test_a_test_network_tells_no_rights_and_nothing_is_claimed_of_them(market: Market) -> None:
    found = permissions(market, Told({"code": -1, "msg": "not asked for"}, 400))
    assert (found.can_trade, found.can_withdraw) == (True, None)
    (check,) = key_checks(market, found, Mode.TESTNET)
    assert (check.verdict, "does not tell" in check.words) == (Verdict.OK, True)
