"""A result as pandas frames: UTC indexes, float64 where statistics follow, Decimal in books.

Knows how frames look and nothing of how a backtest runs. Imports pandas, so it is imported last.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gridlab.domain.orders import INITIAL_BUY
from gridlab.domain.plan import GridPlan
from gridlab.errors import InvalidInput
from gridlab.money import ONE, ZERO, exact
from gridlab.research.metrics import underwater
from gridlab.research.outcome import Outcome, slot_of

if TYPE_CHECKING:
    import numpy.typing as npt

#: The purchase that stocks the sells, as `trades_frame` calls its kind.
INITIAL, GRID = "initial", "grid"
#: The venue's own sale of a futures position that it closed by force.
LIQUIDATION = "liquidation"


def trades_frame(result: Outcome) -> pd.DataFrame:
    """Every trade in order, indexed by `time` (datetime64[ms, UTC]).

    Columns: side, kind (`initial`, `grid` or `liquidation`), price, quantity, value, fee,
    fee_asset, profit (what the trade added to the grid profit, quote units before fees), slot (-1
    for the purchase), cycle, client_id.
    """
    places = [slot_of(trade) for trade in result.trades]
    columns: dict[str, Any] = {
        "side": [str(trade.side) for trade in result.trades],
        "kind": [_kind(place.slot) for place in places],
        "price": _floats(trade.price for trade in result.trades),
        "quantity": _floats(trade.quantity for trade in result.trades),
        "value": _floats(trade.price * trade.quantity for trade in result.trades),
        "fee": _floats(trade.fee for trade in result.trades),
        "fee_asset": [trade.fee_asset for trade in result.trades],
        "profit": _floats(result.profits),
        "slot": np.array([place.slot for place in places], np.int64),
        "cycle": np.array([place.cycle for place in places], np.int64),
        "client_id": [trade.client_id for trade in result.trades],
    }
    index = _utc(np.array([trade.time_ms for trade in result.trades], np.int64), "time")
    return pd.DataFrame(columns, index=index)


def _kind(slot: int) -> str:
    if slot >= 0:
        return GRID
    return INITIAL if slot == INITIAL_BUY else LIQUIDATION


def ledger_frame(result: Outcome) -> pd.DataFrame:
    """The books at the last close: components down, assets across, Decimals.

    The column `worth_<quote>` is each row at the last close. The row `wallet` is the sum of the
    others in every column: that is what closed books mean.
    """
    parts: dict[str, dict[str, Decimal]] = {}
    for component, asset, amount in result.ledger_lines:
        parts.setdefault(component, {})[asset] = amount
    assets = list(dict.fromkeys(asset for _, asset, _ in result.ledger_lines))
    marks = {result.quote: ONE, result.instrument.base: result.last_price}
    marks.setdefault(result.spec.fees.third_asset, result.spec.fees.third_price)
    frame = pd.DataFrame(
        [[part.get(asset, ZERO) for asset in assets] for part in parts.values()],
        index=pd.Index(list(parts), name="component"),
        columns=assets,
        dtype=object,
    )
    with exact():
        frame[f"worth_{result.quote}"] = [
            sum((amount * marks[asset] for asset, amount in part.items()), ZERO)
            for part in parts.values()
        ]
    return frame


def equity_frame(result: Outcome, at: str = "close") -> pd.DataFrame:
    """Equity over time, float64, indexed by `time` (datetime64[ms, UTC]).

    Args:
        at: `close`: columns close, cash, base, equity, drawdown (at most 0), hold (the investment
            in base from the first open on), one row for each bar, stamped at its last millisecond.
            `fill`: columns price, equity, one row for each trade.

    Raises:
        InvalidInput: `at` is neither.
    """
    if at == "close":
        curve = result.curve
        columns = {
            "close": curve.close,
            "cash": curve.cash,
            "base": curve.base,
            "equity": curve.equity,
            "drawdown": underwater(curve.equity),
            "hold": curve.hold,
        }
        return pd.DataFrame(columns, index=_utc(curve.time_ms, "time"))
    if at == "fill":
        times = np.array([trade.time_ms for trade in result.trades], np.int64)
        columns = {
            "price": _floats(trade.price for trade in result.trades),
            "equity": result.equity_at_fills,
        }
        return pd.DataFrame(columns, index=_utc(times, "time"))
    raise InvalidInput(f"at is {at!r}; choose 'close' or 'fill'")


def plan_frame(plan: GridPlan) -> pd.DataFrame:
    """The planned orders, highest first, indexed by slot; Decimals, as they will be sent.

    Columns: side, price, quantity, value, net_profit (quote units for one round of this slot).
    """
    orders = sorted(plan.orders, key=lambda order: order.slot, reverse=True)
    with exact():
        rows = [
            (str(o.side), o.price, o.quantity, o.price * o.quantity, o.net_profit) for o in orders
        ]
    return pd.DataFrame(
        rows,
        index=pd.Index([order.slot for order in orders], name="slot"),
        columns=["side", "price", "quantity", "value", "net_profit"],
    )


def _floats(values: Any) -> npt.NDArray[np.float64]:
    return np.array([float(value) for value in values], np.float64)


def _utc(time_ms: npt.NDArray[np.int64], name: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time_ms.astype("datetime64[ms]"), name=name).tz_localize("UTC")
