"""Hypothesis strategies for markets, grids and price paths.

Everything drawn is exact: prices lie on the tick, quantities on the lot. Knows no venue and no grid
in action; `paper_run` plays what is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import assume
from hypothesis import strategies as st

from gridlab.domain.market import FeeMode, FeeSchedule, Instrument, Market
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.grid.guards import smallest_quantity
from gridlab.grid.preflight import plan_grid
from gridlab.money import floor_to, round_to, rounding

BASE, QUOTE, TOKEN = "XRP", "USDT", "BNB"
SYMBOL = f"{BASE}{QUOTE}"
#: Rates of real fee tables, none that a random one would miss: nothing, BNB rate, full rate, more.
RATES = tuple(Decimal(rate) for rate in ("0", "0.0002", "0.00075", "0.001", "0.005"))

#: What some venues pay to makers.
REBATE = Decimal("-0.0001")


@dataclass(frozen=True, slots=True)
class Setting:
    """A grid that may start: the market, the price of the moment, what was asked, the plan."""

    instrument: Instrument
    price: Decimal
    spec: GridSpec
    plan: GridPlan


def multiples(step: Decimal, least: int, most: int) -> st.SearchStrategy[Decimal]:
    """`least` to `most` times `step`, exactly."""
    return st.integers(least, most).map(lambda count: count * step)


@st.composite
def instruments(draw: st.DrawFn, market: Market = Market.SPOT) -> Instrument:
    """A symbol with ticks of 1 to 0.00001, lots of 10 to 0.00000001 and its own minimum."""
    tick = Decimal((0, (1,), -draw(st.integers(0, 5))))
    lot = Decimal((0, (1,), -draw(st.integers(-1, 8))))
    return Instrument(
        symbol=SYMBOL,
        market=market,
        base=BASE,
        quote=QUOTE,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(draw(st.sampled_from((0, 1, 5, 10)))),
        min_quantity=lot * draw(st.sampled_from((1, 2, 10))),
        max_quantity=Decimal(10) ** 12,
        min_price=tick,
        max_price=Decimal(10) ** 9,
        max_notional=Decimal(10) ** 12,
    )


def prices(instrument: Instrument) -> st.SearchStrategy[Decimal]:
    """Prices of 500 to 500,000 ticks: coarse enough that lines round, fine enough for a grid."""
    return multiples(instrument.tick_size, 500, 500_000)


@st.composite
def fee_schedules(draw: st.DrawFn, market: Market = Market.SPOT) -> FeeSchedule:
    """Maker (a rebate among them) and taker rates of `RATES`, in each asset that the market takes.

    On spot the quote, what is received, or a token; on futures the quote.
    """
    mode = FeeMode.QUOTE if market is Market.FUTURES else draw(st.sampled_from(FeeMode))
    maker, taker = draw(st.sampled_from((*RATES, REBATE))), draw(st.sampled_from(RATES))
    if mode is FeeMode.THIRD:
        return FeeSchedule(maker, taker, mode, TOKEN, draw(multiples(Decimal("0.1"), 1, 9999)))
    return FeeSchedule(maker, taker, mode)


@st.composite
def specs(
    draw: st.DrawFn,
    instrument: Instrument,
    price: Decimal,
    most_levels: int = 24,
    least_levels: int = 2,
) -> GridSpec:
    """A grid as somebody could ask for it around `price`; its pre-flight may still refuse it."""
    mode = draw(st.sampled_from(Spacing))
    levels = draw(st.integers(least_levels, most_levels))
    shape: dict[str, Decimal]
    if draw(st.booleans()):
        shape = {"spacing": draw(multiples(Decimal("0.001"), 2, 40))}
    else:
        tick = instrument.tick_size
        lower = floor_to(price * draw(multiples(Decimal("0.01"), 50, 105)), tick)
        upper = floor_to(price * draw(multiples(Decimal("0.01"), 95, 200)), tick)
        assume(0 < lower < upper)
        shape = {"lower": lower, "upper": upper}
    with rounding():
        # Above the minimum by enough that a fee in base leaves a sale that the venue takes.
        least = smallest_quantity(instrument, price * Decimal("0.4")) * 2
        size = floor_to(least * draw(multiples(Decimal("0.1"), 10, 200)), instrument.lot_size)
        if draw(st.booleans()):
            shape["quantity"] = size
        else:
            shape["investment"] = round_to(size * price * levels, Decimal("0.01")) + 1
    return GridSpec(
        symbol=instrument.symbol,
        levels=levels,
        mode=mode,
        market=instrument.market,
        fees=draw(fee_schedules(instrument.market)),
        allow_unprofitable=True,
        leverage=draw(st.integers(1, 3)) if instrument.market is Market.FUTURES else 1,
        spacing=shape.get("spacing"),
        lower=shape.get("lower"),
        upper=shape.get("upper"),
        quantity=shape.get("quantity"),
        investment=shape.get("investment"),
    )


@st.composite
def settings_that_start(
    draw: st.DrawFn,
    most_levels: int = 24,
    *,
    market: Market = Market.SPOT,
    is_windowed: bool = False,
) -> Setting:
    """An instrument, a price and a spec whose plan is `ok`.

    On futures the leverage is such that what is bought at the highest line is not liquidated at the
    lowest, or a little below it.

    Args:
        is_windowed: the venue takes fewer orders than the grid has levels.
    """
    instrument = draw(instruments(market))
    price = draw(prices(instrument))
    spec = draw(specs(instrument, price, most_levels, 4 if is_windowed else 2))
    if is_windowed:
        instrument = replace(instrument, max_num_orders=draw(st.integers(2, spec.levels - 1)))
    try:
        plan = plan_grid(spec, instrument, price)
    except InvalidSpec:
        assume(False)
        raise
    assume(plan.ok)
    if plan.lines[0] * spec.leverage * Decimal("0.9") < plan.lines[-1] * (spec.leverage - 1):
        spec = replace(spec, leverage=1)
        plan = plan_grid(spec, instrument, price)
    return Setting(instrument, price, spec, plan)


@st.composite
def paths(draw: st.DrawFn, plan: GridPlan, least: int = 1, most: int = 40) -> tuple[Decimal, ...]:
    """Prices on the tick from a little below the plan's lowest line to a little above its highest.

    Half of them lie exactly on a line, where a touch decides.
    """
    tick = plan.instrument.tick_size
    low = int(plan.lines[0] * Decimal("0.98") / tick)
    high = int(plan.lines[-1] * Decimal("1.02") / tick) + 1
    anywhere = multiples(tick, max(low, 1), high)
    points = st.one_of(st.sampled_from(plan.lines), anywhere)
    return tuple(draw(st.lists(points, min_size=least, max_size=most)))
