"""Everything that can happen to a grid, as the core sees it.

An event is a fact with a time. The core takes nothing else: no clock, no price feed, no venue. The
same events in the same order give the same commands, today and when the journal is replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from gridlab.domain.account import Position
from gridlab.domain.market import Instrument
from gridlab.domain.orders import Trade, VenueStatus
from gridlab.domain.spec import GridSpec


class StopPolicy(StrEnum):
    """What a stop does with the base that the grid holds; open orders are always cancelled."""

    KEEP = "keep"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class GridStarted:
    """A grid was told to start; carries all that its ladder is computed from."""

    time_ms: int
    run: str
    spec: GridSpec
    instrument: Instrument
    reference_price: Decimal


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The venue holds the order."""

    time_ms: int
    client_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The venue refused the order for good; `code` is stable, `reason` is for people."""

    time_ms: int
    client_id: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """A request left and its fate is not known; only a query may resolve it."""

    time_ms: int
    client_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderAbsent:
    """Proof that a request never arrived and no longer can; see law 2."""

    time_ms: int
    client_id: str


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """One trade of one of our orders."""

    time_ms: int
    trade: Trade


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """The venue will not trade this order any more; `executed` is its final traded quantity."""

    time_ms: int
    client_id: str
    status: VenueStatus
    executed: Decimal


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody or something asked the grid to stop."""

    time_ms: int
    reason: str
    policy: StopPolicy = StopPolicy.KEEP


@dataclass(frozen=True, slots=True)
class InstrumentChanged:
    """The venue changed its rules for the symbol."""

    time_ms: int
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class Replan:
    """The moment to try vacant slots again, with the price of that moment."""

    time_ms: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """The venue booked a funding payment; positive when received. `funding_id` never repeats."""

    time_ms: int
    funding_id: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PositionReported:
    """The venue told our futures position; its distance to liquidation guards new orders."""

    time_ms: int
    position: Position


Event: TypeAlias = (
    GridStarted
    | OrderAccepted
    | OrderRejected
    | OrderUnknown
    | OrderAbsent
    | OrderFilled
    | OrderEnded
    | StopRequested
    | InstrumentChanged
    | Replan
    | FundingPaid
    | PositionReported
)
