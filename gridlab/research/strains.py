"""`Strain` and `StrainCard`: what bad days did to one grid, as values; see `stress`.

Knows nothing of how the days are made, stored or shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from decimal import Decimal

from gridlab._version import __version__
from gridlab.domain.spec import GridSpec
from gridlab.errors import NotFound
from gridlab.money import ZERO, text
from gridlab.research.outcome import Outcome
from gridlab.research.scenarios import EDITION


@dataclass(frozen=True, slots=True)
class Strain:
    """What one scenario did to the grid.

    Args:
        applies: False where it cannot happen to this grid; then `sentence` says why, and every
            figure is zero.
        grid_profit, inventory, liquidation, fees, funding: the parts of `total`, quote units.
        total_fraction, max_drawdown: of the investment; of the height before, measured at closes.
        buys, sells: fills of resting orders; held: base left, worth `held_value` at `last_price`.
        compared: total of the same path without the venue's change; None where nothing changed.
        is_liquidated: whether the venue closed the position by force.
    """

    name: str
    title: str
    words: str
    parameters: tuple[tuple[str, str], ...]
    applies: bool
    sentence: str
    grid_profit: Decimal = ZERO
    inventory: Decimal = ZERO
    liquidation: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    total: Decimal = ZERO
    total_fraction: float = 0.0
    max_drawdown: float = 0.0
    buys: int = 0
    sells: int = 0
    held: Decimal = ZERO
    held_value: Decimal = ZERO
    last_price: Decimal = ZERO
    compared: Decimal | None = None
    is_liquidated: bool = False


@dataclass(frozen=True, eq=False)
class StrainCard:
    """Seven strains of one grid, worst first; those that do not apply come last.

    Args:
        price: where every path starts; volatility: of a minute's log return in the noise.
        rules: where the instrument's rules came from, in words.
        results: the backtest of each scenario by name; empty for a card that was loaded.
        version, edition: of the package and of the scenarios that made it.
    """

    spec: GridSpec
    price: Decimal
    rules: str
    volatility: float
    seed: int
    margin: str
    strains: tuple[Strain, ...]
    results: dict[str, Outcome] = field(default_factory=dict, repr=False)
    version: str = __version__
    edition: int = EDITION

    def __len__(self) -> int:
        return len(self.strains)

    def __iter__(self) -> Iterator[Strain]:
        return iter(self.strains)

    def __getitem__(self, name: str) -> Strain:
        """The strain of this scenario; raises `NotFound`."""
        for strain in self.strains:
            if strain.name == name:
                return strain
        raise NotFound(
            f"no scenario is called {name!r}; there are {', '.join(s.name for s in self.strains)}"
        )

    @property
    def worst(self) -> Strain:
        return self.strains[0]

    def stale(self, spec: GridSpec) -> str:
        """Why the card does not speak of `spec` as it is today, in words; empty when it does."""
        changed = [
            f"{one.name} was {_shown(before)} and is {_shown(now)}"
            for one in fields(GridSpec)
            if (before := getattr(self.spec, one.name)) != (now := getattr(spec, one.name))
        ]
        if self.edition != EDITION:
            changed.append(f"the scenarios were of edition {self.edition} and are of {EDITION}")
        return f"stale: {'; '.join(changed)}; run stress again" if changed else ""


def _shown(value: object) -> str:
    return text(value) if isinstance(value, Decimal) else str(value)
