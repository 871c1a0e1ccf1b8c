"""`Ground`: what all rows of a sweep share, and the figures of some rows on it.

The bars, the price and the rules at which every grid is laid, and how orders fill. A part of a
sweep, of a study or of another machine's work is `Ground.run` of some settings: rows depend on
nothing but their settings and the ground, so parts may be cut and joined at will.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab._version import __version__
from gridlab.data.bars import Bars
from gridlab.data.funding import Funding, FundingData
from gridlab.domain.account import MarginType
from gridlab.domain.market import Instrument, Market
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.money import from_float, text
from gridlab.research.backtest import BacktestResult, backtest, fill_rule_of
from gridlab.research.batch import FIGURES, run_many
from gridlab.research.feed import Wanted, bars_of
from gridlab.research.futures_rows import FUTURES_FIGURES, futures_rows
from gridlab.research.futures_run import FuturesSide, margin_type_of
from gridlab.research.settings import as_json, plan_of
from gridlab.research.venue import Rules, rules_for

if TYPE_CHECKING:
    import pandas as pd

#: What stands in a column for a row that could not start.
_ABSENT = {"f": np.nan, "i": -1}


@dataclass(frozen=True, eq=False)
class Ground:
    """Where grids are laid.

    Args:
        price: the first open; the reference price of every plan.
        market: spot or futures; margin: futures: what stands behind the position.
        funding: futures: rates that are paid; None books none.
        given: the instrument that was handed in; None where rules were found.
        rules: in words, where the instrument's rules come from.
    """

    symbol: str
    bars: Bars
    price: Decimal
    instrument: Instrument
    given: Instrument | None
    rules: str
    fill_rule: FillRule
    market: Market = Market.SPOT
    funding: Funding | None = None
    margin: MarginType = MarginType.ISOLATED

    @classmethod
    def of(
        cls,
        wanted: Wanted,
        data: Any,
        instrument: Instrument | None,
        fill_rule: FillRule | str,
        funding: FundingData | None = None,
        margin: MarginType | str = MarginType.ISOLATED,
    ) -> Ground:
        """The ground that `data` gives: bars, a DataFrame or a file of them.

        Raises:
            InvalidInput: bars of another symbol or market, none at all, or what is no bars.
        """
        symbol, market = wanted.symbol, wanted.market
        if funding is not None and market is Market.SPOT:
            raise InvalidInput(
                "funding is paid on futures and these grids trade spot; leave it out, or choose "
                "market='futures'"
            )
        bars = bars_of(data, wanted)
        if (bars.symbol, bars.market) != (symbol, market):
            raise InvalidInput(
                f"the grids are for {symbol} ({market}) and the bars are of {bars.symbol} "
                f"({bars.market}); load the bars of the same symbol and market"
            )
        if not len(bars):
            raise InvalidInput(f"there is no bar of {bars.symbol} to run over; widen the span")
        rules = Rules(instrument, "the instrument handed in") if instrument else rules_for(bars)
        return cls(
            symbol=symbol,
            bars=bars,
            price=from_float(bars.open[0]),
            instrument=rules.instrument,
            given=instrument,
            rules=rules.source,
            fill_rule=fill_rule_of(fill_rule),
            market=market,
            funding=None if funding is None else Funding.of(funding, symbol),
            margin=margin_type_of(margin),
        )

    def run(
        self, rows: Sequence[Mapping[str, object]], first: int = 0, threads: int | None = None
    ) -> pd.DataFrame:
        """The figures of some settings, one row each, indexed from `first` on.

        Columns are those of `BatchResult.to_frame`, and `reason`: why the row could not start,
        empty where it ran. In a row that did not, floats are NaN, counts -1 and texts empty.
        """
        import pandas as pd

        found = [
            plan_of(first + k, self.symbol, settings, self.price, self.instrument)
            for k, settings in enumerate(rows)
        ]
        plans = [plan for plan in found if isinstance(plan, GridPlan)]
        figures = self._figures(plans, threads)
        ran = np.array([plan.ok for plan in found], np.bool_)
        columns: dict[str, Any] = {}
        for name, column in figures.items():
            values = column.to_numpy()
            # Of no plan at all pandas cannot tell that the column is one of texts.
            kind = "O" if name == "engine" else values.dtype.kind
            whole = np.full(len(rows), _ABSENT.get(kind, ""), values.dtype if kind in "fi" else "O")
            whole[ran] = values
            columns[str(name)] = whole
        reasons = ["" if plan.ok else str(plan) for plan in found]
        columns["reason"] = np.array(reasons, object)
        return pd.DataFrame(columns, index=pd.RangeIndex(first, first + len(rows), name="row"))

    def _figures(self, plans: Sequence[GridPlan], threads: int | None) -> pd.DataFrame:
        if self.market is Market.SPOT:
            batch = run_many(plans, self.bars, fill_rule=self.fill_rule, threads=threads)
            return batch.to_frame()
        return futures_rows(plans, self.backtest)

    def backtest(self, spec: GridSpec) -> BacktestResult:
        """The whole backtest of one grid on this ground.

        Raises:
            InvalidSpec: the grid cannot start here; every rule that forbids it is named.
        """
        return backtest(
            spec,
            self.bars,
            instrument=self.given,
            fill_rule=self.fill_rule,
            funding=self.funding,
            margin=self.margin,
        )

    @property
    def terms(self) -> list[str]:
        """The rules, and on futures margin and funding, each as a sentence."""
        found = [f"Rules: {self.rules}."]
        if self.market is Market.FUTURES:
            words = FuturesSide(self.funding, self.margin).named(self.bars)
            found += [f"Margin is {words['margin']}.", f"Funding: {words['funding_words']}."]
        return found

    @property
    def identity(self) -> dict[str, Any]:
        """What the figures depend on beside the settings, as plain JSON values."""
        return {
            "gridlab": __version__,
            "bars": f"{self.bars!r}, SHA-256 {_hash(self.bars)}",
            "price": text(self.price),
            "instrument": {name: _plain(rule) for name, rule in asdict(self.instrument).items()},
            "fill rule": str(self.fill_rule),
            "margin": None if self.market is Market.SPOT else str(self.margin),
            "funding": None if self.funding is None else _funding_words(self.funding),
        }


def check_figures(names: Iterable[str], market: Market) -> None:
    """Raise `InvalidInput` for names that are no figure of a row, with the nearest that is."""
    known = [*FIGURES, "buys", "sells", *(FUTURES_FIGURES if market is Market.FUTURES else ())]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InvalidInput(f"there is no figure {name!r}; {hint}")


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In words the first thing in which two identities differ; empty where they are the same."""
    for name in dict.fromkeys([*there, *here]):
        if there.get(name) != here.get(name):
            return f"its {name} is {_short(there.get(name))}, and here {_short(here.get(name))}"
    return ""


def _short(value: Any) -> str:
    words = value if isinstance(value, str) else json.dumps(value)
    return words if len(words) <= 160 else f"{words[:120]} ... {words[-30:]}"


def _funding_words(funding: Funding) -> str:
    rows = zip(funding.time_ms.tolist(), funding.rates, strict=True)
    words = "\n".join(f"{time_ms} {text(rate)}" for time_ms, rate in rows)
    return f"{len(funding.rates)} rates, SHA-256 {hashlib.sha256(words.encode()).hexdigest()}"


def _hash(bars: Bars) -> str:
    found = hashlib.sha256()
    for column in fields(bars)[3:]:
        found.update(np.ascontiguousarray(getattr(bars, column.name)).tobytes())
    return found.hexdigest()


def _plain(rule: Any) -> Any:
    """A rule of an instrument in JSON; of one in parts, each part."""
    if isinstance(rule, dict):
        return {name: as_json(part) for name, part in rule.items()}
    return as_json(rule)
