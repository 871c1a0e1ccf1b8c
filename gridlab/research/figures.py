"""`Metrics`: the figures of a backtest, each with its unit, its name, or why there is none.

One table of names and units serves text, card, frame and report, so that all say the same. How the
figures come about is said in `measures`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gridlab.clock import iso
from gridlab.money import text
from gridlab.research.parts import LevelFills, Parts
from gridlab.research.words import amount, percent, signed, signed_percent, span, when

if TYPE_CHECKING:
    import pandas as pd

#: What stands where a figure does not exist.
NONE = "–"
_SIGNED, _FRACTION, _RATIO, _SIGNED_RATIO = "signed", "fraction", "ratio", "signed_ratio"
_AMOUNT, _COUNT, _TIME, _SPAN = "amount", "count", "time", "span"
_PARTS = ("grid_profit", "inventory", "fees", "funding", "liquidation", "total")

#: (field, group, name, kind)
_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("total_return", "return", "return", _SIGNED),
    ("hold_return", "return", "holding instead", _SIGNED),
    ("excess_return", "return", "excess over holding", _SIGNED),
    ("cagr", "return", "growth a year (CAGR)", _SIGNED),
    ("max_drawdown", "risk", "max drawdown", _FRACTION),
    ("peak_ms", "risk", "its peak, UTC", _TIME),
    ("trough_ms", "risk", "its trough, UTC", _TIME),
    ("recovery_ms", "risk", "its recovery, UTC", _TIME),
    ("hold_drawdown", "risk", "max drawdown of holding", _FRACTION),
    ("under_water", "risk", "days under water", _FRACTION),
    ("longest_under_water_ms", "risk", "longest under water", _SPAN),
    ("volatility", "risk", "volatility a year", _FRACTION),
    ("var_95", "risk", "VaR 95 %, one day", _FRACTION),
    ("cvar_95", "risk", "CVaR 95 %, one day", _FRACTION),
    ("var_99", "risk", "VaR 99 %, one day", _FRACTION),
    ("cvar_99", "risk", "CVaR 99 %, one day", _FRACTION),
    ("sharpe", "ratios", "Sharpe", _SIGNED_RATIO),
    ("sharpe_error", "ratios", "standard error of Sharpe", _RATIO),
    ("sortino", "ratios", "Sortino", _SIGNED_RATIO),
    ("calmar", "ratios", "Calmar", _SIGNED_RATIO),
    ("beta", "ratios", "beta to holding", _RATIO),
    ("tracking_error", "ratios", "tracking error a year", _FRACTION),
    ("exposure_mean", "trading", "exposure, mean", _FRACTION),
    ("exposure_max", "trading", "exposure, highest", _FRACTION),
    ("traded", "trading", "traded", _AMOUNT),
    ("turnover", "trading", "turnover, times the investment", _RATIO),
    ("fees_of_gross", "trading", "fees, of the grid profit", _FRACTION),
    ("buys", "trading", "buys", _COUNT),
    ("sells", "trading", "sells", _COUNT),
    ("round_trips", "trading", "round trips", _COUNT),
    ("out_of_range", "trading", "out of range", _FRACTION),
    ("above_range", "trading", "above the range", _FRACTION),
    ("below_range", "trading", "below the range", _FRACTION),
)
_UNITS = {
    _SIGNED: "fraction",
    _FRACTION: "fraction",
    _RATIO: "ratio",
    _SIGNED_RATIO: "ratio",
    _AMOUNT: "quote",
    _COUNT: "count",
    _TIME: "UTC ms",
    _SPAN: "ms",
}


class Figure(NamedTuple):
    """One figure as people read it; `why` says why it does not exist, else is empty."""

    key: str
    group: str
    name: str
    value: float
    unit: str
    shown: str
    why: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one backtest.

    Fractions are of 1 (0.05 is five percent); ratios have no unit; times are UTC milliseconds.

    Args:
        days: from the first open to the end of the last bar.
        total_return, hold_return: equity / investment - 1, and that of buying all at the first
            open and holding, taker fee paid; excess_return: their difference.
        cagr: total_return compounded to 365 days; NaN under 90 days.
        volatility, sharpe, sharpe_error, sortino: of daily returns, by the year; NaN under 30.
        calmar: cagr / max_drawdown.
        beta, tracking_error: of daily returns against holding; NaN under 30.
        max_drawdown, peak_ms, trough_ms, recovery_ms: the deepest fall at closes, the investment
            counting as the first height; None while it has not recovered, or if nothing fell.
        hold_drawdown: the same for holding.
        under_water: fraction of days that ended below the end of an earlier day; NaN without a
            whole day. longest_under_water_ms: the longest stay below a height, at closes, until it
            was reached again or the series ended.
        var_95, var_99, cvar_95, cvar_99: losses of one day, fractions; historical, see `returns`.
            NaN where no day lies beyond: under 20 and under 100 days.
        exposure_mean, exposure_max: value of the base held / equity, at closes.
        traded: value of all trades, quote units; turnover: traded / investment.
        fees_of_gross: fees / grid profit before fees; NaN without a profit.
        parts: grid profit, inventory, fees and funding, exactly.
        buys, sells: trades of resting orders; round_trips: purchases that were sold again.
        above_range, below_range: fraction of closes above the highest and below the lowest line;
            out_of_range: their sum.
        levels: each slot's fills and profit.
        why: for each figure that is NaN, the reason.
    """

    days: float
    total_return: float
    hold_return: float
    excess_return: float
    cagr: float
    volatility: float
    sharpe: float
    sharpe_error: float
    sortino: float
    calmar: float
    beta: float
    tracking_error: float
    max_drawdown: float
    peak_ms: int | None
    trough_ms: int | None
    recovery_ms: int | None
    hold_drawdown: float
    under_water: float
    longest_under_water_ms: int
    var_95: float
    var_99: float
    cvar_95: float
    cvar_99: float
    exposure_mean: float
    exposure_max: float
    traded: float
    turnover: float
    fees_of_gross: float
    parts: Parts
    buys: int
    sells: int
    round_trips: int
    above_range: float
    below_range: float
    out_of_range: float
    levels: tuple[LevelFills, ...] = field(repr=False)
    why: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values: NaN is None, times are ISO, exact amounts strings."""
        told: dict[str, Any] = {"days": self.days}
        for figure in self.rows():
            raw = getattr(self, figure.key)
            if figure.unit == "UTC ms":
                told[figure.key.removesuffix("_ms")] = None if raw is None else iso(raw)
            else:
                told[figure.key] = None if math.isnan(figure.value) else raw
        told["parts"] = {name: text(getattr(self.parts, name)) for name in _PARTS}
        told["levels"] = [
            level._asdict() | {"lower": text(level.lower), "upper": text(level.upper)}
            for level in self.levels
        ]
        told["why"] = dict(self.why)
        return told

    def to_frame(self) -> pd.DataFrame:
        """The figures as a frame indexed by their name here.

        Columns: group, name, value (float64; NaN where there is none), unit, shown, why.
        """
        import pandas as pd

        rows = list(self.rows())
        return pd.DataFrame(
            [row[1:] for row in rows],
            index=pd.Index([row.key for row in rows], name="metric"),
            columns=list(Figure._fields[1:]),
        )

    def rows(self) -> Iterator[Figure]:
        """Every figure in order; the exact parts of profit and the levels are not among them."""
        for key, group, name, kind in _ROWS:
            raw = getattr(self, key)
            value = math.nan if raw is None else float(raw)
            why = self.why.get(key, "")
            if raw is None:
                is_open = key == "recovery_ms" and self.max_drawdown
                why = "not yet" if is_open else "nothing fell"
            shown = NONE if math.isnan(value) else _shown(raw, kind)
            yield Figure(key, group, name, value, _UNITS[kind], shown, why)

    def tiles(self) -> Iterator[tuple[str, str]]:
        """The few figures that a card shows beside the result's own, as (name, value)."""
        shown = {figure.key: figure.shown for figure in self.rows()}
        yield "round trips", shown["round_trips"]
        yield "fees, of the grid profit", shown["fees_of_gross"]
        yield "exposure, mean", shown["exposure_mean"]
        if not math.isnan(self.cagr):
            yield "growth a year", shown["cagr"]
        if not math.isnan(self.sharpe):
            yield "Sharpe", f"{shown['sharpe']} ± {shown['sharpe_error']}"
        if not math.isnan(self.var_95):
            yield "VaR 95 %, one day", shown["var_95"]

    def __str__(self) -> str:
        lines = []
        for figure in self.rows():
            reason = f"  ({figure.why})" if figure.why else ""
            lines.append(f"  {figure.name:<32}{figure.shown:>16}{reason}")
        return "\n".join(["Metrics", *lines])

    def _repr_html_(self) -> str:
        from gridlab.research.cards import figures_card

        return figures_card("Metrics", [(f.group, f.name, f.shown, f.why) for f in self.rows()])


def _shown(value: Any, kind: str) -> str:
    if kind == _SIGNED:
        return signed_percent(value)
    if kind == _FRACTION:
        return percent(value)
    if kind == _SIGNED_RATIO:
        return signed(value)
    if kind == _TIME:
        return when(value)
    if kind == _SPAN:
        return span(value)
    return f"{value:,}" if kind == _COUNT else amount(value)
