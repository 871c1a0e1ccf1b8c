"""`Flows`: trades and funding of a backtest as columns, for curves and statistics; no books.

Made from the core's trades or from the kernel's fills; equal trades give equal columns, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gridlab.data.bars import Bars
from gridlab.domain.events import FundingPaid
from gridlab.domain.market import Instrument
from gridlab.domain.orders import ClientId, Side, Trade
from gridlab.errors import InvariantError
from gridlab.research.metrics import FloatArray


def _no_floats() -> FloatArray:
    return np.zeros(0)


def _no_ints() -> npt.NDArray[Any]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Flows:
    """Columns of one length, one row for each trade, in order; and those of funding.

    Args:
        bar: the bar in which it happened; time_ms: when.
        slot: below zero for the purchase at the start.
        side: 1 a buy, -1 a sale.
        is_base_fee, is_token_fee: which asset paid the fee; the quote if neither.
        paid: funding, quote units, positive when received, one row for each payment, in order;
            paid_bar: the bar before or in which it was paid; paid_ms: when.
    """

    bar: npt.NDArray[Any]
    time_ms: npt.NDArray[Any]
    slot: npt.NDArray[Any]
    side: npt.NDArray[Any]
    price: npt.NDArray[Any]
    quantity: npt.NDArray[Any]
    fee: npt.NDArray[Any]
    is_base_fee: npt.NDArray[Any]
    is_token_fee: npt.NDArray[Any]
    paid: FloatArray = field(default_factory=_no_floats)
    paid_bar: npt.NDArray[Any] = field(default_factory=_no_ints)
    paid_ms: npt.NDArray[Any] = field(default_factory=_no_ints)

    def __len__(self) -> int:
        return len(self.time_ms)

    @classmethod
    def of(
        cls,
        trades: Sequence[Trade],
        bars: Bars,
        instrument: Instrument,
        payments: Sequence[FundingPaid] = (),
    ) -> Flows:
        """The columns of the core's trades and payments."""
        paid_ms = np.array([paid.time_ms for paid in payments], np.int64)
        times = np.array([trade.time_ms for trade in trades], np.int64)
        assets = [trade.fee_asset for trade in trades]
        return cls(
            bar=np.searchsorted(bars.open_time_ms, times, side="right") - 1,
            time_ms=times,
            slot=np.array([slot_of(trade).slot for trade in trades], np.int64),
            side=np.array([1 if t.side is Side.BUY else -1 for t in trades], np.int8),
            price=np.array([float(trade.price) for trade in trades], np.float64),
            quantity=np.array([float(trade.quantity) for trade in trades], np.float64),
            fee=np.array([float(trade.fee) for trade in trades], np.float64),
            is_base_fee=np.array([a == instrument.base for a in assets], np.bool_),
            is_token_fee=np.array(
                [a not in (instrument.base, instrument.quote) for a in assets], np.bool_
            ),
            paid=np.array([float(paid.amount) for paid in payments], np.float64),
            paid_bar=bars_of_payments(paid_ms, bars),
            paid_ms=paid_ms,
        )

    def paid_by_bar(self, count: int) -> FloatArray:
        """Funding paid so far at each of `count` closes."""
        paid: FloatArray = np.bincount(self.paid_bar, self.paid, count).cumsum()
        return paid

    def paid_at_trades(self) -> FloatArray:
        """Funding paid so far at each trade: a payment comes before what happens at its time."""
        sums: FloatArray = np.concatenate((np.zeros(1), self.paid.cumsum()))
        return sums[np.searchsorted(self.paid_ms, self.time_ms, side="right")]

    def balances(
        self, investment: float, token_price: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cash, base and the worth of fee tokens, before any trade and after each: n + 1 values.

        Funding is not in them: it comes between trades.
        """
        steps = np.zeros((3, len(self) + 1))
        steps[0, 0] = investment
        is_quote_fee = ~(self.is_base_fee | self.is_token_fee)
        side = self.side.astype(np.float64)
        steps[0, 1:] = -side * self.quantity * self.price - self.fee * is_quote_fee
        steps[1, 1:] = side * self.quantity - self.fee * self.is_base_fee
        steps[2, 1:] = -self.fee * token_price * self.is_token_fee
        cash, base, tokens = steps.cumsum(axis=1)
        return cash, base, tokens

    def difference(self, other: Flows) -> str:
        """The first trade in which two runs differ, in words; empty when none does."""
        if len(self) != len(other):
            return f"{len(self)} trades against {len(other)}"
        for name in self.__dataclass_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            if len(mine) != len(its):
                return f"{name} has {len(mine)} rows against {len(its)}"
            odd = np.flatnonzero(mine != its)
            if len(odd):
                at = int(odd[0])
                return f"trade {at + 1}: {name} is {mine[at]} against {its[at]}"
        return ""


def bars_of_payments(time_ms: npt.NDArray[Any], bars: Bars) -> npt.NDArray[Any]:
    """The bar before or in which each payment is made: the first that ends after its time."""
    return np.searchsorted(bars.open_time_ms + (bars.interval.ms - 1), time_ms, side="left")


def slot_of(trade: Trade) -> ClientId:
    """Where a trade belongs: its run, slot, cycle and attempt.

    Raises:
        InvariantError: the trade is of somebody else.
    """
    parsed = ClientId.parse(trade.client_id)
    if parsed is None:
        raise InvariantError(f"{trade.client_id} is not of a grid, and only the grid trades here")
    return parsed
