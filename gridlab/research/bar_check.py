"""`check_bars`: how far the bar models are from the trades of the same days.

Bars are made of the very trades that are replayed, so that nothing differs but the model: the four
paths, both fill rules, a latency. Each row is a real run through the core or the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.data.trades import Trades
from gridlab.domain.market import BarPath, Instrument, Interval
from gridlab.domain.spec import GridSpec
from gridlab.exchange.paper import FillRule
from gridlab.money import Number, exact, parse, text
from gridlab.research.backtest import backtest
from gridlab.research.brackets import DEFAULT_LATENCY_MS
from gridlab.research.outcome import Outcome
from gridlab.research.trades_replay import backtest_trades
from gridlab.research.words import percent, signed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Row:
    """One model: how it was run, what came of it, and the run over trades that it is held to."""

    source: str
    fill_rule: FillRule
    path: str
    latency_ms: int
    result: Outcome
    truth: Outcome
    by_side: bool = False

    @property
    def fills(self) -> int:
        return self.result.fills.buys + self.result.fills.sells

    @property
    def error(self) -> float:
        """Profit above what the trades say, quote units."""
        with exact():
            return float(self.result.money.total - self.truth.money.total)

    @property
    def found(self) -> float:
        """The part of the fills over trades that the model has in the same bar, slot and side."""
        theirs, mine = _places(self.truth), _places(self.result)
        count = theirs.total()
        return (theirs & mine).total() / count if count else 1.0

    @property
    def invented(self) -> float:
        """The part of the model's fills that the run over trades has not."""
        theirs, mine = _places(self.truth), _places(self.result)
        count = mine.total()
        return (mine - theirs).total() / count if count else 0.0


def _places(result: Outcome) -> Counter[tuple[int, int, int]]:
    flows = result.flows
    resting = flows.slot >= 0
    columns = (flows.bar[resting], flows.slot[resting], flows.side[resting])
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True, eq=False)
class BarCheck:
    """The models of one grid on the bars of some trades, beside the runs over these trades."""

    trades: Trades
    interval: Interval
    rows: tuple[Row, ...]

    def row(
        self,
        source: str,
        fill_rule: str = "touch",
        path: str = "",
        latency_ms: int = 0,
        by_side: bool = False,
    ) -> Row:
        """The row of this model; the path is empty for runs over trades."""
        wanted = (source, fill_rule, path, latency_ms, by_side)
        return next(
            row
            for row in self.rows
            if (row.source, row.fill_rule, row.path, row.latency_ms, row.by_side) == wanted
        )

    @property
    def verdict(self) -> str:
        """In words: how far the stated path is from the trades, and what the queue leaves open."""
        stated, truth = self.row("bars", path="stated"), self.row("trades")
        through = self.row("trades", "through")
        quote = truth.result.quote
        return (
            f"Over trades the grid earns {signed(truth.result.money.total)} {quote} at the head of "
            f"the queue and {signed(through.result.money.total)} at its end. Bars of "
            f"{self.interval} on the stated path have {percent(stated.found, 0)} of the fills at "
            f"the head, {percent(stated.invented, 0)} of theirs are invented, and the profit is "
            f"off by {signed(stated.error)} {quote}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each run.

        Columns: source, fill_rule, path, latency_ms, by_side, buys, sells, grid_profit, floating,
        fees, total, error (total less that of the trades under the same fill rule and latency,
        quote units), found, invented (fractions of fills, see `Row`).
        """
        import pandas as pd

        return pd.DataFrame([_record(row) for row in self.rows])

    def __repr__(self) -> str:
        lines = [
            f"  {row.source:<7}{row.fill_rule:<8}{'by side' if row.by_side else row.path:<11}"
            f"{row.latency_ms:>5} ms "
            f"{row.fills:>7,} fills {signed(row.result.money.total):>11}"
            + ("" if row.result is row.truth else f"  off by {signed(row.error)}")
            for row in self.rows
        ]
        head = f"{self.trades.symbol}: bars of {self.interval} against {len(self.trades):,} trades"
        return "\n".join([head, *lines, self.verdict])


def _record(row: Row) -> dict[str, Any]:
    money = row.result.money
    return {
        "source": row.source,
        "fill_rule": str(row.fill_rule),
        "path": str(row.path),
        "latency_ms": row.latency_ms,
        "by_side": row.by_side,
        "buys": row.result.fills.buys,
        "sells": row.result.fills.sells,
        **{n: float(getattr(money, n)) for n in ("grid_profit", "floating", "fees", "total")},
        "error": row.error,
        "found": row.found,
        "invented": row.invented,
    }


def check_bars(
    spec: GridSpec,
    trades: Trades,
    interval: Interval | str = Interval.M1,
    *,
    latency_ms: int = DEFAULT_LATENCY_MS,
    instrument: Instrument | None = None,
) -> BarCheck:
    """One grid over `trades`, and over the bars that they make, under every bar model.

    Raises:
        InvalidSpec, InvalidInput: as `backtest_trades`.
    """
    width = Interval(interval)
    bars = trades.to_bars(width)
    rows: list[Row] = []
    for rule in FillRule:
        for latency in dict.fromkeys((0, latency_ms)):
            options: dict[str, Any] = {
                "fill_rule": rule,
                "latency_ms": latency,
                "instrument": instrument,
            }
            truth = backtest_trades(spec, trades, interval=width, **options)
            rows.append(Row("trades", rule, "", latency, truth, truth))
            if rule is FillRule.THROUGH and not latency and trades.has_sides:
                sure = backtest_trades(spec, trades, interval=width, by_side=True, **options)
                rows.append(Row("trades", rule, "", 0, sure, sure, by_side=True))
            for path in BarPath if not latency else (BarPath.STATED, BarPath.CONTRARY):
                found = backtest(spec, bars, path=path, **options)
                rows.append(Row("bars", rule, path, latency, found, truth))
    return BarCheck(trades, width, tuple(rows))


def spacings_frame(
    spec: GridSpec,
    trades: Trades,
    spacings: Iterable[Number],
    interval: Interval | str = Interval.M1,
    *,
    range_fraction: Number | None = None,
    instrument: Instrument | None = None,
) -> pd.DataFrame:
    """The check of one grid at several spacings: a row for each model and spacing.

    Args:
        spec: a grid with a spacing, which is replaced.
        range_fraction: keep lines over so much of the price (0.04 is 2 % to either side), so that
            narrower grids have more of them; None keeps the number of lines.

    Returns:
        the columns of `BarCheck.to_frame` after `spacing`, `levels` and `bar_height` (the median
        bar's range as a fraction of the spacing).
    """
    import pandas as pd

    frames = []
    for given in spacings:
        spacing = parse(given, "spacing")
        levels = spec.levels
        if range_fraction is not None:
            levels = max(2, round(float(parse(range_fraction, "range_fraction") / spacing)))
        check = check_bars(
            replace(spec, spacing=spacing, levels=levels), trades, interval, instrument=instrument
        )
        bars = check.rows[0].result.bars
        frame = check.to_frame()
        frame.insert(0, "spacing", text(spacing))
        frame.insert(1, "levels", levels)
        height = float(np.median((bars.high - bars.low) / bars.close)) / float(spacing)
        frame.insert(2, "bar_height", height)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
