"""`grid` and `plan`: a grid said in one line, and what it would do, before any price has moved.

The notebook's way into `GridSpec` and `plan_grid`. Numbers come as strings, integers or Decimals; a
float has already lost what was typed, so it is refused together with the string to type instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from numbers import Integral
from typing import TYPE_CHECKING, Any

from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument as bundled_instrument
from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.plan import Finding, GridPlan, PlannedOrder
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput, InvalidNumber
from gridlab.grid.preflight import plan_grid
from gridlab.money import ZERO, Number, from_float, parse, rounding
from gridlab.research.venue import rules_for

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

DEFAULT_SPACING = "0.005"
#: What a new account pays on USD-M futures.
FUTURES_FEES = FeeSchedule(Decimal("0.0002"), Decimal("0.0005"), FeeMode.QUOTE)
DEFAULT_INVESTMENT = 1000


def make_grid(
    symbol: str,
    levels: int = 10,
    spacing: Number | None = None,
    *,
    lower: Number | None = None,
    upper: Number | None = None,
    investment: Number | None = None,
    quantity: Number | None = None,
    mode: Spacing | str = Spacing.GEOMETRIC,
    market: Market | str = Market.SPOT,
    fees: FeeSchedule | Number | None = None,
    allow_unprofitable: bool = False,
    leverage: int = 1,
    liquidation_buffer: Number = "0.1",
    **misspelt: Any,
) -> GridSpec:
    """The grid that these words describe.

    Args:
        symbol: such as `BTCUSDT`.
        levels: number of grids, 2 to 1000; one line more, and as many orders.
        spacing: fraction between lines, `"0.005"` or `"0.5%"`; the default when no range is given.
        lower, upper: the lowest and highest line, instead of a spacing.
        investment: quote units for everything; 1000 when no quantity is given.
        quantity: base units of every order, instead of an investment.
        mode: `geometric` (equal ratios) or `arithmetic` (equal differences).
        fees: a `FeeSchedule`, or one rate for maker and taker such as `"0.00075"`; by default 0.1 %
            on spot, and 0.02 % and 0.05 % on futures.
        allow_unprofitable: accept a spacing that cannot pay its fees.
        leverage: futures: how many times the margin a position may be worth, 1 to 125.
        liquidation_buffer: futures: nothing is bought while the liquidation price is nearer than
            this fraction of the mark price; zero switches that off.

    Raises:
        InvalidNumber: a float, or a text that is no number.
        InvalidSpec: a grid that cannot be; every problem is named.
        InvalidInput: a misspelt setting, an unknown mode or market.

    >>> make_grid("BTCUSDT", levels=4, spacing="1%").spacing
    Decimal('0.01')
    """
    if misspelt:
        refuse_unknown(misspelt, setting_names(), "grid")
    if spacing is None and lower is None and upper is None:
        spacing = DEFAULT_SPACING
    if investment is None and quantity is None:
        investment = DEFAULT_INVESTMENT
    where = _choice(Market, market, "market")
    return GridSpec(
        symbol=symbol,
        levels=_whole(levels),
        spacing=_fraction(spacing, "spacing"),
        lower=_number(lower, "lower"),
        upper=_number(upper, "upper"),
        quantity=_number(quantity, "quantity"),
        investment=_number(investment, "investment"),
        mode=_choice(Spacing, mode, "mode"),
        market=where,
        fees=_fees(fees, where),
        allow_unprofitable=allow_unprofitable,
        leverage=_whole(leverage),
        liquidation_buffer=_fraction(liquidation_buffer, "liquidation_buffer") or ZERO,
    )


def plan(
    spec: GridSpec,
    price: Bars | Number,
    *,
    instrument: Instrument | None = None,
    balances: Mapping[str, Number] | None = None,
) -> PlanView:
    """What `spec` would place, what it needs, and every rule that forbids it.

    Args:
        price: the price to lay it at; or bars, which mean their first open, where a backtest of
            them starts.
        instrument: the venue's rules; by default the bundled ones of the symbol, for bars of an
            unbundled symbol rules read off the data.
        balances: free balances by asset; when given, a plan that they cannot pay is refused.

    Raises:
        InvalidSpec: no plan can be drawn at all.
        NotFound: a price alone, of a symbol whose rules are not bundled.
        InvalidInput: bars of another symbol, or none.
    """
    available = None
    if balances is not None:
        available = {a: _exact(v, f"balance of {a}") for a, v in balances.items()}
    if isinstance(price, Bars):
        if price.symbol != spec.symbol or not len(price):
            raise InvalidInput(f"the grid is for {spec.symbol}; {price!r} gives no price for it")
        rules = instrument or rules_for(price).instrument
        reference = from_float(price.open[0])
    else:
        rules = instrument or bundled_instrument(spec.symbol, spec.market)
        reference = _exact(price, "price")
    return PlanView(plan_grid(spec, rules, reference, available))


@dataclass(frozen=True)
class PlanView:
    """A `GridPlan` to look at: a card, a frame, a picture. The plan itself is `.plan`."""

    plan: GridPlan

    @property
    def ok(self) -> bool:
        """Whether the grid may start."""
        return self.plan.ok

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.plan.findings

    @property
    def orders(self) -> tuple[PlannedOrder, ...]:
        return self.plan.orders

    @property
    def lines(self) -> tuple[Decimal, ...]:
        return self.plan.lines

    @property
    def quantity(self) -> Decimal:
        return self.plan.quantity

    @property
    def capital_needed(self) -> Decimal:
        return self.plan.capital_needed

    def to_frame(self) -> pd.DataFrame:
        """The orders, highest first, indexed by slot; Decimals."""
        from gridlab.research.frames import plan_frame

        return plan_frame(self.plan)

    def plot(self, bars: Bars | None = None, height: int = 480) -> go.Figure:
        """The lines, over candles when `bars` are given."""
        from gridlab.research.plots import plan_figure

        return plan_figure(self.plan, bars, height)

    def __repr__(self) -> str:
        from gridlab.research.texts import plan_text

        return plan_text(self.plan)

    def _repr_html_(self) -> str:
        from gridlab.research.cards import plan_card

        return plan_card(self.plan)


def setting_names() -> list[str]:
    """What `make_grid` takes, in its order; the symbol first."""
    words = inspect.signature(make_grid).parameters.items()
    return [name for name, word in words if word.kind is not word.VAR_KEYWORD]


def setting(name: str, value: Any) -> Any:
    """`value` as `make_grid` reads its setting `name`: exact, of that setting's type.

    Raises:
        InvalidNumber: a float, or a text that is no number.
        InvalidInput: an unknown mode or market.
    """
    read = _READERS.get(name)
    return value if read is None or value is None else read(value, name)


def refuse_unknown(names: Iterable[str], known: Sequence[str], owner: str) -> None:
    """Raise `InvalidInput` if `owner` does not know all settings, with the nearest it does."""
    sentences = []
    for name in names:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        sentences.append(f"{owner} has no setting {name!r}; {hint}")
    if sentences:
        raise InvalidInput("; ".join(sentences))


def _whole(levels: Any) -> Any:
    is_foreign = isinstance(levels, Integral) and not isinstance(levels, (int, bool))
    return int(levels) if is_foreign else levels


def _fraction(value: Number | None, name: str) -> Decimal | None:
    if isinstance(value, str) and value.strip().endswith("%"):
        with rounding():
            return parse(value.strip().removesuffix("%").strip(), name) / 100
    return _number(value, name)


def _number(value: Number | None, name: str) -> Decimal | None:
    return None if value is None else _exact(value, name)


def _exact(value: Any, name: str) -> Decimal:
    if isinstance(value, float):
        raise InvalidNumber(
            f"{name} is the float {value!r}, which may differ from what was typed; "
            f"type {name}='{float(value)!r}'"
        )
    return parse(_whole(value), name)


def _choice(kind: Any, value: Any, name: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        near = get_close_matches(str(value), list(kind), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(kind)}"
        raise InvalidInput(f"{name} is {value!r}; {hint}") from None


def _fees(fees: FeeSchedule | Number | None, market: Market) -> FeeSchedule:
    """What is asked for; on futures, where the quote pays, else the usual rates of the market."""
    usual = FeeSchedule() if market is Market.SPOT else FUTURES_FEES
    if fees is None:
        return usual
    if isinstance(fees, FeeSchedule):
        return fees
    rate = _fraction(fees, "fees")
    assert rate is not None
    return FeeSchedule(maker=rate, taker=rate, mode=usual.mode)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "levels": lambda value, name: _whole(value),
    "spacing": _fraction,
    "lower": _number,
    "upper": _number,
    "investment": _number,
    "quantity": _number,
    "mode": lambda value, name: _choice(Spacing, value, name),
    "market": lambda value, name: _choice(Market, value, name),
    "fees": lambda value, name: _fees(value, Market.SPOT),
    "leverage": lambda value, name: _whole(value),
    "liquidation_buffer": _fraction,
}
