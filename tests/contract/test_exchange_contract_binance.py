"""The exchange contract, kept by Binance's protocol over real sockets, on both markets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from binance_venue import BinanceUnderTest, binance_on_a_twin

from gridlab.domain.market import Market
from gridlab.testing.exchange_contract import (
    ExactEventCases,
    FundingCases,
    FuturesContract,
    OrderCapCases,
    PartialFillCases,
    SettingsCases,
    SpotContract,
)


class TestBinanceSpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> Iterator[BinanceUnderTest]:
        with binance_on_a_twin(Market.SPOT) as venue:
            yield venue


class TestBinanceFutures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> Iterator[BinanceUnderTest]:
        with binance_on_a_twin(Market.FUTURES) as venue:
            yield venue
