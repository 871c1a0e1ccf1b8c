"""The shapes of the API's answers. The documented field names live in this package and
nowhere else.

Numbers are floats and times ISO texts or integer UTC milliseconds, as the API's document has them
(tickers write numbers as text); Decimals become floats at this edge only. Fields beyond the
documented ones say where a number comes from, how old it is, and what it is made of.

Two documented words need a meaning:

- `realized_pnl` is what can no longer change, in quote units: the grid profit of completed pairs,
  the result of a final sale (`liquidation`), the fees (negative), the funding.
- `unrealized_pnl` is the floating profit: the held base at the current price minus what it cost.

Their sum is `total_pnl`, exactly, and `equity = investment + total_pnl`.
"""

from __future__ import annotations

from gridlab.api.schemas.balances import (
    AccountBalance,
    BalanceShape,
    BalanceSummary,
    FuturesBalance,
    PositionShape,
    SpotBalance,
)
from gridlab.api.schemas.base import (
    ConfigRefusal,
    ErrorBody,
    ErrorObject,
    FieldError,
    Shape,
    Stamp,
    at_step,
    percent,
)
from gridlab.api.schemas.bots import (
    BotShape,
    Execution,
    Executions,
    GridConfigShape,
    GridStatus,
    OrderShape,
    Pair,
    RecoveryStatus,
    TradeShape,
    VacancyShape,
    grid_state,
    is_active,
    uptime,
)
from gridlab.api.schemas.grids import (
    CalculatedParams,
    ConfigAnswer,
    FindingShape,
    GridStarted,
    GridStopped,
    PlannedOrderShape,
    finding_shape,
)
from gridlab.api.schemas.market import (
    Candle,
    Candles,
    TickerShape,
)
from gridlab.api.schemas.system import (
    ActiveBot,
    AgentShape,
    ApiStatus,
    Health,
    ModeConfirmation,
    OperationMode,
    VenueShape,
)

__all__ = [
    "AccountBalance",
    "ActiveBot",
    "AgentShape",
    "ApiStatus",
    "BalanceShape",
    "BalanceSummary",
    "BotShape",
    "CalculatedParams",
    "Candle",
    "Candles",
    "ConfigAnswer",
    "ConfigRefusal",
    "ErrorBody",
    "ErrorObject",
    "Execution",
    "Executions",
    "FieldError",
    "FindingShape",
    "FuturesBalance",
    "GridConfigShape",
    "GridStarted",
    "GridStatus",
    "GridStopped",
    "Health",
    "ModeConfirmation",
    "OperationMode",
    "OrderShape",
    "Pair",
    "PlannedOrderShape",
    "PositionShape",
    "RecoveryStatus",
    "Shape",
    "SpotBalance",
    "Stamp",
    "TickerShape",
    "TradeShape",
    "VacancyShape",
    "VenueShape",
    "at_step",
    "finding_shape",
    "grid_state",
    "is_active",
    "percent",
    "uptime",
]
