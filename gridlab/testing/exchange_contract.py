"""The contract that every `Exchange` keeps, as a test suite for whoever writes one.

Write a fixture `venue` that yields a `VenueUnderTest`, and collect the classes of cases that your
venue has the levers for::

    import pytest
    from gridlab.testing.exchange_contract import FundingCases, FuturesContract, SpotContract

    class TestMySpotVenue(SpotContract):
        @pytest.fixture(scope="class")
        @classmethod
        def venue(cls):
            with my_venue() as venue:
                yield venue

    class TestMyFuturesVenue(FuturesContract, FundingCases):
        ...

Every case is a method; one that a market or a venue does not have is not inherited, so nothing is
skipped. A venue may serve one case or a whole class (`scope`): cases use client ids that never
existed, measure balances as differences, and end with no order and no position of their own at the
price that they found. After each case the same oracles judge: what was told by events is what
`trades` and `query` say, and the balances changed by trades, fees and funding alone, to the last
digit.

What it takes of a venue: an account with some fifty times the least order value free, in one-way
mode on futures with the leverage at 1; a market that moves only by `move`; fees by the stated
rates, on spot out of what is received. `OrderCapCases` wants a symbol that allows at most a dozen
open orders. Leave out what a venue cannot do: `ExactEventCases` behind a network that repeats and
reorders, `PartialFillCases`, `FundingCases` and `SettingsCases` without their levers.

For readable failures, before the first import:
`pytest.register_assert_rewrite("gridlab.testing")`.
"""

from __future__ import annotations

from gridlab.testing.exchange_contract_desk import Desk, case
from gridlab.testing.exchange_contract_fills import ExactEventCases, FillCases
from gridlab.testing.exchange_contract_futures import FundingCases, PositionCases, SettingsCases
from gridlab.testing.exchange_contract_orders import OrderCases
from gridlab.testing.exchange_contract_parts import PartialFillCases
from gridlab.testing.exchange_contract_refusals import OrderCapCases, RefusalCases
from gridlab.testing.exchange_contract_spot import SpotBalanceCases
from gridlab.testing.exchange_contract_venue import (
    FundingLever,
    InProcessVenue,
    PartsLever,
    SettingsLever,
    VenueUnderTest,
)

__all__ = [
    "Desk",
    "ExactEventCases",
    "ExchangeContract",
    "FundingCases",
    "FundingLever",
    "FuturesContract",
    "InProcessVenue",
    "OrderCapCases",
    "PartialFillCases",
    "PartsLever",
    "SettingsCases",
    "SettingsLever",
    "SpotContract",
    "VenueUnderTest",
    "case",
]


class ExchangeContract(OrderCases, FillCases, RefusalCases):
    """What every venue keeps, whatever it trades and however bad the way to it is."""


class SpotContract(ExchangeContract, SpotBalanceCases):
    """A spot account."""


class FuturesContract(ExchangeContract, PositionCases):
    """A futures account; its exchange satisfies `FuturesExchange`."""
