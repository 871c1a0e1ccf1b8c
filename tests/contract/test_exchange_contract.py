"""The exchange contract, kept by every simulated venue: paper, replay, and paper behind faults."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from contract_venues import faulty, noise, on_paper, replayed

from gridlab.domain.market import Market
from gridlab.exchange.base import RejectCode
from gridlab.exchange.fault_plan import FaultPlan
from gridlab.testing.exchange_contract import (
    Desk,
    ExactEventCases,
    FundingCases,
    FuturesContract,
    InProcessVenue,
    OrderCapCases,
    PartialFillCases,
    SettingsCases,
    SpotContract,
)


class TestPaperSpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return on_paper(Market.SPOT)


class TestPaperFutures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return on_paper(Market.FUTURES)


class TestSharedPaperSpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    """One venue for all cases: none may lean on what another left behind, nor leave anything."""

    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> InProcessVenue:
        return on_paper(Market.SPOT)


class TestSharedPaperFutures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture(scope="class")
    @classmethod
    def venue(cls) -> InProcessVenue:
        return on_paper(Market.FUTURES)


class TestReplayedSpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return replayed(Market.SPOT)


class TestReplayedFutures(FuturesContract, ExactEventCases, OrderCapCases, SettingsCases):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return replayed(Market.FUTURES)


class TestQuietlyFaultySpot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return faulty(Market.SPOT, FaultPlan(1), is_exact=True)


class TestQuietlyFaultyFutures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture
    def venue(self) -> InProcessVenue:
        return faulty(Market.FUTURES, FaultPlan(1), is_exact=True)


class TestNoisySpot(SpotContract, PartialFillCases, OrderCapCases):
    @pytest.fixture(params=range(3))
    def venue(self, request: pytest.FixtureRequest) -> InProcessVenue:
        return faulty(Market.SPOT, noise(request.param), is_exact=False)


class TestNoisyFutures(
    FuturesContract, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    @pytest.fixture(params=range(3))
    def venue(self, request: pytest.FixtureRequest) -> InProcessVenue:
        return faulty(Market.FUTURES, noise(request.param), is_exact=False)


@pytest.mark.parametrize("market", Market)
def test_the_noise_is_loud(market: Market) -> None:
    """Most of what the noisy classes above are for happens in a few hundred requests."""
    heard: Counter[str] = Counter()

    async def scenario(venue: InProcessVenue) -> None:
        desk = await Desk.open(venue)
        for _ in range(60):
            request = desk.buy("-2", quantity=desk.quantity(1))
            outcome = await venue.exchange.place(request)
            heard[getattr(outcome, "code", type(outcome).__name__)] += 1
            await venue.settle()
            await venue.exchange.cancel(desk.symbol, request.client_id)
        await venue.settle()
        told = Counter(desk.events())
        heard["repeated"] = sum(count > 1 for count in told.values())

    for seed in range(3):
        venue = faulty(market, noise(seed), is_exact=False)
        venue.run(partial(scenario, venue))
    assert set(heard) == {"Accepted", "Unknown", "repeated", RejectCode.DUPLICATE, RejectCode.CLOCK}
    assert min(heard.values()) >= 5, heard
