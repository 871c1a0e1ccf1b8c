"""`Space`: a product of grid settings, of which each row is one grid.

The settings are those of `make_grid`, and `width`. Spacing and width are relative to the price at
which a grid is laid, so one space serves any stretch of prices. A space holds its axes, not its
rows: rows are made when they are asked for, so a million of them cost nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridlab.data.bars import Bars
from gridlab.data.catalog import instrument as bundled_instrument
from gridlab.domain.market import Instrument, Market
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidNumber
from gridlab.money import Number, from_float, parse
from gridlab.research.grids import refuse_unknown
from gridlab.research.settings import (
    NUMERIC,
    Refusal,
    as_json,
    names,
    plan_of,
    range_of,
    read_setting,
    shown,
    spec_of,
)
from gridlab.research.venue import rules_for


@dataclass(frozen=True)
class Space:
    """A product of settings around one base grid.

    Args:
        axes: the values of each setting that varies, in the order of rows: the last varies fastest.
        fixed: settings of every row.
        chosen: rows of the product that are meant, ascending; all of them when None.

    Settings are those of `make_grid` and `width`: the fraction of the start price by which the
    lowest and the highest line lie below and above it, instead of a spacing or of lower and upper.

    Raises:
        InvalidInput: an unknown setting, an axis without values or with one twice.
        InvalidNumber: a float, or a text that is no number.
    """

    symbol: str
    axes: Mapping[str, tuple[object, ...]]
    fixed: Mapping[str, object] = field(default_factory=dict)
    chosen: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        refuse_unknown([*self.axes, *self.fixed], names(), "space")
        twice = sorted(set(self.axes) & set(self.fixed))
        if twice:
            raise InvalidInput(f"{', '.join(twice)} is both an axis and fixed; choose one")
        axes = {name: _axis(name, values) for name, values in self.axes.items()}
        fixed = {name: read_setting(name, value) for name, value in self.fixed.items()}
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "fixed", fixed)
        if math.prod(self.shape) > sys.maxsize:
            raise InvalidInput(
                f"the space has {math.prod(self.shape):.3g} rows, more than can be counted; use "
                "wider steps"
            )
        self._check_chosen()

    def _check_chosen(self) -> None:
        rows, size = self.chosen, math.prod(self.shape)
        if rows is None:
            return
        object.__setattr__(self, "chosen", tuple(rows))
        if any(b <= a for a, b in zip(rows, rows[1:], strict=False)) or (
            rows and not 0 <= rows[0] <= rows[-1] < size
        ):
            raise InvalidInput(f"chosen rows must ascend and lie from 0 to {size - 1}")

    # --- rows -------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def __len__(self) -> int:
        return math.prod(self.shape) if self.chosen is None else len(self.chosen)

    def coordinates(self, i: int) -> tuple[int, ...]:
        """The place of row `i` on each axis.

        Raises:
            InvalidInput: there is no such row.
        """
        if not 0 <= i < len(self):
            raise InvalidInput(f"row {i} is not in the space; its rows are 0 to {len(self) - 1}")
        rest, places = (i if self.chosen is None else self.chosen[i]), []
        for count in reversed(self.shape):
            rest, place = divmod(rest, count)
            places.append(place)
        return tuple(reversed(places))

    def settings(self, i: int) -> dict[str, object]:
        """All settings of row `i`: what is fixed, then each axis at its value."""
        found = dict(self.fixed)
        for (name, values), place in zip(self.axes.items(), self.coordinates(i), strict=True):
            found[name] = values[place]
        return found

    def sample(self, n: int, seed: int) -> Space:
        """A space of `n` rows drawn at random without repetition, in their order here.

        The same seed draws the same rows. A space that is no larger than `n` is returned whole.
        """
        if n < 1:
            raise InvalidInput(f"n is {n}; a sample has at least one row")
        if n >= len(self):
            return self
        drawn = sorted(random.Random(seed).sample(range(len(self)), n))
        rows = drawn if self.chosen is None else [self.chosen[i] for i in drawn]
        return Space(self.symbol, self.axes, self.fixed, tuple(rows))

    # --- grids ------------------------------------------------------------------------------------

    @property
    def market(self) -> Market:
        """The market of every row.

        Raises:
            InvalidInput: the market is an axis.
        """
        if "market" in self.axes:
            raise InvalidInput("market is an axis; a space is of one market, so fix it")
        return Market(str(self.fixed.get("market", Market.SPOT)))

    def spec(self, i: int, price: Decimal) -> GridSpec:
        """The grid of row `i`, to be laid at `price`.

        Raises:
            InvalidSpec: a grid that cannot be; every problem is named.
        """
        return spec_of(self.symbol, self.settings(i), price)

    def specs(self, price: Decimal) -> list[GridSpec]:
        """The grids of all rows, to be laid at `price`.

        Raises:
            InvalidSpec: the first row that cannot be a grid at all; `plans` names them all.
        """
        return [self.spec(i, price) for i in range(len(self))]

    def plan(self, i: int, price: Decimal, instrument: Instrument) -> GridPlan | Refusal:
        """The plan of row `i` laid at `price`, or why it cannot start there."""
        settings = self.settings(i)
        return plan_of(i, self.symbol, settings, price, instrument)

    def plans(
        self, bars_or_price: Bars | Number, instrument: Instrument | None = None
    ) -> list[GridPlan | Refusal]:
        """The plan of every row, or why it cannot start; `ok` tells them apart.

        Args:
            bars_or_price: bars mean their first open, where a backtest of them starts.
            instrument: the venue's rules; by default those that `plan` takes.

        Raises:
            NotFound: a price alone, of a symbol whose rules are not bundled.
            InvalidInput: bars of another symbol or market, or none.
        """
        if isinstance(bars_or_price, Bars):
            price, rules = self.start_on(bars_or_price, instrument)
        else:
            price = parse(bars_or_price, "price")
            rules = instrument or bundled_instrument(self.symbol, self.market)
        return [self.plan(i, price, rules) for i in range(len(self))]

    def start_on(self, bars: Bars, instrument: Instrument | None) -> tuple[Decimal, Instrument]:
        """The first open of `bars`, and the rules there.

        Raises:
            InvalidInput: bars of another symbol or market, or none.
        """
        if (bars.symbol, bars.market) != (self.symbol, self.market) or not len(bars):
            raise InvalidInput(
                f"the space is for {self.symbol} ({self.market}); {bars!r} gives no price for it"
            )
        return from_float(bars.open[0]), instrument or rules_for(bars).instrument

    # --- what it is -------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The space as plain JSON values, every exact number as its digits."""
        return {
            "symbol": self.symbol,
            "axes": {n: [as_json(value) for value in values] for n, values in self.axes.items()},
            "fixed": {name: as_json(value) for name, value in self.fixed.items()},
            "chosen": None if self.chosen is None else list(self.chosen),
        }

    @property
    def fingerprint(self) -> str:
        """A SHA-256 that two spaces share only if they have the same rows in the same order."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()

    def __repr__(self) -> str:
        axes = " x ".join(f"{len(values)} {name}" for name, values in self.axes.items())
        fixed = ", ".join(f"{name} {shown(value)}" for name, value in self.fixed.items())
        drawn = "" if self.chosen is None else f", {len(self):,} of them chosen"
        return (
            f"Space({self.symbol}: {axes or 'one row'} = {math.prod(self.shape):,} settings"
            f"{drawn}{'; ' + fixed if fixed else ''})"
        )


def space(symbol: str, **axes: Any) -> Space:
    """A space: settings with several values are its axes, the others are fixed.

    Args:
        axes: what `make_grid` takes, and `width`. A list, tuple, range or array is an axis; so is
            the text `"first:last:step"`, both ends included, also in percent. Anything else is
            fixed.

    Raises:
        InvalidInput: an unknown setting, a range that is none, an axis without values.
        InvalidNumber: a float, or a text that is no number.

    >>> space("BTCUSDT", levels=range(10, 61, 10), spacing="0.3%:1.5%:0.1%", investment=5000)
    Space(BTCUSDT: 6 levels x 13 spacing = 78 settings; investment 5000)
    """
    refuse_unknown(axes, names(), "space")
    several: dict[str, tuple[object, ...]] = {}
    fixed: dict[str, object] = {}
    for name, value in axes.items():
        if isinstance(value, str) and ":" in value and name in NUMERIC:
            several[name] = range_of(name, value)
        elif isinstance(value, Iterable) and not isinstance(value, str):
            several[name] = tuple(value)
        else:
            fixed[name] = value
    return Space(symbol, several, fixed)


def _axis(name: str, values: Iterable[object]) -> tuple[object, ...]:
    try:
        found = tuple(read_setting(name, value) for value in values)
    except InvalidNumber as error:
        if name not in NUMERIC:
            raise
        raise InvalidNumber(
            f"{error}; a range is written {name}='first:last:step', exact to its last digit"
        ) from None
    if not found:
        raise InvalidInput(f"the axis {name} has no value; give at least one")
    seen: set[object] = set()
    for value in found:
        if value in seen:
            raise InvalidInput(f"the axis {name} has {shown(value)} twice; give each value once")
        seen.add(value)
    return found
