"""`Theory`: a backtest beside what a driftless price without memory would have given its grid.

Two comparisons carry a judgement, and both are free of a guess about volatility:

* Fills. A driftless price fills a grid once for each d^2 of variance that it spends inside the
  range, d the log distance of lines. The variance is summed from the very bars.
* Profit. Against a driftless price no strategy earns before fees: the gain is a fair game, whose
  scale is the root of the summed squares of (base held x change of price).

A backtest far above either is flagged: the price had drift or memory in these bars, or the model
fills orders that a market would not have. The limit is stated where it is set, with what it was
measured on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import expm1, log, log1p
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.research import theory
from gridlab.research.outcome import Outcome
from gridlab.research.words import DAY_MS, amount, percent, signed

if TYPE_CHECKING:
    import pandas as pd

#: Standard deviations above theory at which a backtest is flagged. Of 1,400 simulated driftless
#: markets (docs/bars-and-trades.md) the highest was 2.9, for fills and gains on the stated path.
FLAG_SIGMAS = 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what theory expects, what the backtest has, and the unit.

    Args:
        spread: the standard deviation of the simulated figure under the theory; NaN if not stated.
    """

    name: str
    expected: float
    simulated: float
    unit: str
    spread: float = float("nan")

    @property
    def sigmas(self) -> float:
        """How many standard deviations the backtest lies above theory; NaN without a spread."""
        if not self.spread > 0:
            return float("nan")
        return (self.simulated - self.expected) / self.spread


@dataclass(frozen=True, eq=False)
class Theory:
    """A backtest beside closed forms; see the module for what they assume."""

    result: Outcome

    @cached_property
    def spacing(self) -> float:
        """The fraction between neighbouring lines, geometric mean."""
        lines = self.result.lines
        return expm1(log(float(lines[-1]) / float(lines[0])) / (len(lines) - 1))

    @cached_property
    def volatility(self) -> dict[str, float]:
        """Volatility per square root of a day, by estimator."""
        bars = self.result.bars
        return {
            "close to close": theory.close_to_close(bars),
            "Parkinson": theory.parkinson(bars),
            "Garman-Klass": theory.garman_klass(bars),
        }

    @property
    def days(self) -> float:
        return self.result.duration_ms / DAY_MS

    @cached_property
    def variance_in_range(self) -> float:
        """Summed squared log returns of the bars that began inside the range."""
        result = self.result
        close = result.bars.close
        returns = np.diff(np.log(np.concatenate(([float(result.first_price)], close))))
        before = np.concatenate(([float(result.first_price)], close[:-1]))
        low, high = float(result.lines[0]), float(result.lines[-1])
        inside = (before >= low) & (before <= high)
        return float(np.sum(returns[inside] ** 2))

    @cached_property
    def fills(self) -> Line:
        """Fills of resting orders against variance / d^2."""
        expected = self.variance_in_range / log1p(self.spacing) ** 2
        found = self.result.fills.buys + self.result.fills.sells
        return Line("fills", expected, found, "", theory.fills_spread(expected))

    @cached_property
    def gain(self) -> Line:
        """Profit before fees and funding against the fair game's zero."""
        curve, money = self.result.curve, self.result.money
        moves = np.diff(np.concatenate(([float(self.result.first_price)], curve.close)))
        held = np.concatenate(([float(self.result.plan.initial_quantity)], curve.base[:-1]))
        found = float(money.total) - float(money.fees) - float(money.funding)
        spread = float(np.sqrt(np.sum((held * moves) ** 2)))
        return Line("profit before fees", 0.0, found, self.result.quote, spread)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Every figure side by side."""
        return tuple(self._lines())

    def _lines(self) -> Iterator[Line]:
        result, spec = self.result, self.result.spec
        break_even = float(theory.break_even_spacing(spec.fees.maker, spec.fees.mode))
        yield Line("spacing against break-even", 100 * break_even, 100 * self.spacing, "%")
        yield self.fills
        yield Line(
            "rounds a day",
            theory.rounds_of(self.fills.expected) / self.days,
            min(self.result.fills) / self.days,
            "",
        )
        low, high = float(result.lines[0]), float(result.lines[-1])
        first, volatility = float(result.first_price), self.volatility["close to close"]
        if low <= first <= high and volatility > 0:
            inside = theory.days_in_range(first, low, high, volatility, self.days)
            yield Line("days in range", inside, self.days * (1 - result.out_of_range), "days")
            expected = theory.exit_days(first, low, high, volatility)
            yield Line("first leaves the range after", expected, self._exit_days, "days")
        yield self.gain
        fees = float(result.money.fees)
        yield Line("profit", fees, float(result.money.total), result.quote, self.gain.spread)

    @property
    def _exit_days(self) -> float:
        """Days until a bar first reached beyond the range; NaN when none did."""
        bars, lines = self.result.bars, self.result.lines
        beyond = (bars.low < float(lines[0])) | (bars.high > float(lines[-1]))
        if not beyond.any():
            return float("nan")
        at = int(bars.open_time_ms[int(beyond.argmax())]) - int(bars.open_time_ms[0])
        return at / DAY_MS

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """In words, what is implausibly good; empty when nothing is."""
        found = []
        if self.fills.sigmas > FLAG_SIGMAS:
            found.append(
                f"{amount(self.fills.simulated, 0)} fills, where a driftless price of the same "
                f"variance gives {amount(self.fills.expected, 0)} give or take "
                f"{amount(self.fills.spread, 0)}: the price swings back at the scale of the "
                "spacing, or the bars' path invents fills; look at bracket() and at trades"
            )
        if self.gain.sigmas > FLAG_SIGMAS:
            found.append(
                f"{signed(self.gain.simulated)} {self.result.quote} before fees is "
                f"{self.gain.sigmas:.1f} standard deviations of a fair game "
                f"({amount(self.gain.spread)}): the price had a drift in these bars that need not "
                "come back, or the fills are too kind"
            )
        return tuple(found)

    @property
    def is_plausible(self) -> bool:
        """Whether nothing is flagged."""
        return not self.flags

    @property
    def verdict(self) -> str:
        """In words: what is implausible, or that nothing is."""
        if self.flags:
            return "Implausibly good: " + "; ".join(self.flags) + "."
        return (
            f"Nothing here is more than {FLAG_SIGMAS:g} standard deviations above what a driftless "
            "price gives."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each figure: expected, simulated, spread, sigmas (float64), unit."""
        import pandas as pd

        rows = [
            (line.expected, line.simulated, line.spread, line.sigmas, line.unit)
            for line in self.lines
        ]
        names = [line.name for line in self.lines]
        columns = ["expected", "simulated", "spread", "sigmas", "unit"]
        return pd.DataFrame(rows, index=pd.Index(names, name="figure"), columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values; None where a figure is not stated."""
        return {
            "verdict": self.verdict,
            "is_plausible": self.is_plausible,
            "volatility": self.volatility,
            "lines": {
                line.name: {
                    "expected": _known(line.expected),
                    "simulated": _known(line.simulated),
                    "spread": _known(line.spread),
                    "sigmas": _known(line.sigmas),
                    "unit": line.unit,
                }
                for line in self.lines
            },
        }

    def __repr__(self) -> str:
        rows = [
            f"  {line.name:<32}{_shown(line.expected):>14}{_shown(line.simulated):>14}"
            f"{_shown(line.sigmas):>10}  {line.unit}"
            for line in self.lines
        ]
        head = f"Theory beside the backtest of {self.result.symbol}"
        names = f"  {'':<32}{'expected':>14}{'simulated':>14}{'sigmas':>10}"
        return "\n".join([head, names, *rows, f"  {self._volatilities}", self.verdict])

    @property
    def _volatilities(self) -> str:
        known = ", ".join(f"{percent(value, 3)} {name}" for name, value in self.volatility.items())
        return f"Volatility a day: {known}."

    def _repr_html_(self) -> str:
        from html import escape

        from gridlab.research import cards

        body = "".join(
            f"<tr><td>{escape(line.name)}</td><td>{_shown(line.expected)}</td>"
            f"<td>{_shown(line.simulated)}</td><td>{_shown(line.sigmas)}</td>"
            f"<td>{escape(line.unit)}</td></tr>"
            for line in self.lines
        )
        head = "<th></th><th>expected</th><th>simulated</th><th>sigmas</th><th></th>"
        tone = ' class="gl-warn"' if self.flags else ""
        return cards.card_of(
            f"{self.result.symbol} · theory beside the backtest",
            "expected: a driftless price without memory, of the variance of these bars",
            f"<p{tone}>{escape(self.verdict)}</p>",
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
            cards.note_of([self._volatilities]),
        )


def compare(result: Outcome) -> Theory:
    """The backtest beside the closed forms of `gridlab.research.theory`."""
    return Theory(result)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _shown(value: float) -> str:
    if np.isnan(value):
        return "-"
    return amount(value, 0 if abs(value) >= 1000 else 3 if abs(value) < 10 else 1)
