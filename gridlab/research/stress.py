"""`stress`: one grid through seven bad days, each run by the very core that trades live.

The days are in `scenarios`. A card holds what each did to the grid, worst first, in figures and one
sentence; it can be stored beside the grid's configuration and says when it no longer speaks of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.data.bars import Bars
from gridlab.data.catalog import catalog, load
from gridlab.data.catalog import instrument as bundled_instrument
from gridlab.domain import codec
from gridlab.domain.account import MarginType
from gridlab.domain.market import Instrument, Market
from gridlab.domain.plan import Severity
from gridlab.domain.spec import GridSpec
from gridlab.errors import InvalidInput, InvalidSpec, NotFound
from gridlab.grid.preflight import plan_grid
from gridlab.money import Number, exact, from_float, parse, round_to, text
from gridlab.research.backtest import shocked
from gridlab.research.futures_run import FuturesSide, margin_type_of
from gridlab.research.outcome import Outcome
from gridlab.research.scenarios import SCENARIOS, Scenario, Stage, volatility_of
from gridlab.research.strains import Strain, StrainCard
from gridlab.research.stress_words import sentence_of
from gridlab.research.venue import Rules, rules_for

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Strain", "StressCard", "stress"]

KIND = "gridlab stress card"
SUFFIX = ".stress.json"
#: Amounts of a strain, quote units.
AMOUNTS = ("grid_profit", "inventory", "liquidation", "fees", "funding", "total")


def stress(
    grid: GridSpec,
    bars: Bars | None = None,
    *,
    price: Number | None = None,
    instrument: Instrument | None = None,
    seed: int = 0,
    margin: MarginType | str = MarginType.ISOLATED,
    store: Path | str | None = None,
) -> StressCard:
    """What seven bad days would do to `grid`, worst first.

    Args:
        bars: the grid starts at their first open, and the paths tremble as they do; without them
            the bundled recording of the symbol serves, if there is one.
        price: another start price, quote units.
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        seed: of the noise; the same seed, grid and bars give the same card.
        margin: futures: `isolated` or `crossed`.
        store: a card's file, or the configuration beside which it lies: a card there that still
            speaks of this grid is returned as it is, else the new one is written.

    Raises:
        InvalidSpec: the grid cannot start at this price.
        InvalidInput: bars of another symbol or market, or nothing that tells a price.
    """
    kind = margin_type_of(margin)
    stage, rules = _stage_of(grid, bars, price, instrument, seed)
    if store is not None:
        kept = _kept(card_path(store), stage, str(kind))
        if kept is not None:
            return kept
    results: dict[str, Outcome] = {}
    strains = [_strain(scenario, stage, rules, kind, results) for scenario in SCENARIOS]
    strains.sort(key=lambda strain: (not strain.applies, strain.total))
    card = StressCard(
        spec=grid,
        price=stage.plan.reference_price,
        rules=rules.source,
        volatility=stage.volatility,
        seed=seed,
        margin=str(kind) if grid.market is Market.FUTURES else "",
        strains=tuple(strains),
        results=results,
    )
    if store is not None:
        card.save(store)
    return card


class StressCard(StrainCard):
    """Seven strains of one grid, worst first, to look at and to keep; see `StrainCard`."""

    # --- stored with a configuration --------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything but the backtests as plain JSON values; exact amounts are strings."""
        return {
            "kind": KIND,
            "version": self.version,
            "edition": self.edition,
            "spec": json.loads(codec.encode(self.spec)),
            "price": text(self.price),
            "rules": self.rules,
            "volatility": self.volatility,
            "seed": self.seed,
            "margin": self.margin,
            "scenarios": [_plain(strain) for strain in self.strains],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> StressCard:
        """The card that `to_dict` gave; raises `InvalidInput` for anything else."""
        try:
            if document["kind"] != KIND:
                raise InvalidInput(f"kind is {document['kind']!r} and {KIND!r} is meant")
            return cls(
                spec=codec.decode(json.dumps(document["spec"])),
                price=parse(document["price"], "price"),
                rules=document["rules"],
                volatility=document["volatility"],
                seed=document["seed"],
                margin=document["margin"],
                strains=tuple(_strain_of(row) for row in document["scenarios"]),
                version=document["version"],
                edition=document["edition"],
            )
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"not a stored stress card: {error!r}") from error

    def save(self, path: Path | str) -> Path:
        """Write the card to `path`, or beside the configuration at `path`; returns where it lies.

        A configuration `my_grid.yaml` gets `my_grid.stress.json`.
        """
        target = card_path(path)
        part = target.with_name(target.name + ".part")
        part.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        os.replace(part, target)
        return target

    @classmethod
    def load(cls, path: Path | str) -> StressCard:
        """The card at `path`, or beside the configuration at `path`; ask `stale` before use.

        Raises:
            NotFound: no such file.
            InvalidInput: it holds no stress card.
        """
        source = card_path(path)
        if not source.is_file():
            raise NotFound(f"{source}: no stress card is stored there; save one, or run stress")
        try:
            document = json.loads(source.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidInput(f"{source}: {error}") from error
        return cls.from_dict(document)

    # --- looking at it ----------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """One row for each scenario by name, worst first; amounts as float64, then the sentence."""
        import pandas as pd

        rows = [
            {
                one.name: float(value) if isinstance(value, Decimal) else value
                for one in fields(Strain)
                if one.name not in ("name", "words", "parameters", "sentence")
                for value in [getattr(strain, one.name)]
            }
            | {"sentence": strain.sentence}
            for strain in self.strains
        ]
        index = pd.Index([strain.name for strain in self.strains], name="scenario")
        return pd.DataFrame(rows, index=index)

    def __repr__(self) -> str:
        from gridlab.research.stress_words import card_text

        return card_text(self)

    def _repr_html_(self) -> str:
        from gridlab.research.stress_words import card_html

        return card_html(self)


def card_path(path: Path | str) -> Path:
    """Where a card lies: at `path` itself, or beside the configuration that `path` is."""
    path = Path(path)
    return path if path.name.endswith(SUFFIX) else path.with_suffix(SUFFIX)


# --- running --------------------------------------------------------------------------------------


def _stage_of(
    grid: GridSpec,
    bars: Bars | None,
    price: Number | None,
    instrument: Instrument | None,
    seed: int,
) -> tuple[Stage, Rules]:
    if bars is not None and ((bars.symbol, bars.market) != (grid.symbol, grid.market)):
        raise InvalidInput(
            f"the grid is for {grid.symbol} ({grid.market}) and the bars are of {bars.symbol} "
            f"({bars.market}); load the bars of the same symbol and market"
        )
    if bars is None and price is None:
        bars = _recorded(grid)
    if instrument is not None:
        rules = Rules(instrument, "the instrument handed in")
    elif bars is not None:
        rules = rules_for(bars)
    else:
        found = bundled_instrument(grid.symbol, grid.market)
        rules = Rules(found, f"the exchange's rules for {grid.symbol}, as bundled")
    if price is not None:
        start = parse(price, "price")
    else:
        assert bars is not None and len(bars), "without a price there are bars"
        start = from_float(bars.open[0])
    start = max(round_to(start, rules.instrument.tick_size), rules.instrument.tick_size)
    plan = plan_grid(grid, rules.instrument, start)
    failures = [f.message for f in plan.findings if f.severity is Severity.FAIL]
    if failures:
        raise InvalidSpec(*failures)
    return Stage(plan, volatility_of(bars), seed), rules


def _recorded(grid: GridSpec) -> Bars:
    if any((s.symbol, s.market) == (grid.symbol, grid.market) for s in catalog()):
        return load(grid.symbol, grid.market)
    raise InvalidInput(
        f"nothing tells a price of {grid.symbol} ({grid.market}): no recording is bundled; give "
        "bars or a price"
    )


def _kept(path: Path, stage: Stage, margin: str) -> StressCard | None:
    """The stored card, if it is of the same grid, price, noise and scenarios."""
    if not path.is_file():
        return None
    card, spec = StressCard.load(path), stage.plan.spec
    same = (card.price, card.volatility, card.seed) == (
        stage.plan.reference_price,
        stage.volatility,
        stage.seed,
    )
    is_margin_same = spec.market is Market.SPOT or card.margin == margin
    return card if same and is_margin_same and not card.stale(spec) else None


def _strain(
    scenario: Scenario,
    stage: Stage,
    rules: Rules,
    margin: MarginType,
    results: dict[str, Outcome],
) -> Strain:
    """Run one scenario; its backtest is put into `results`."""
    told: dict[str, Any] = {
        "name": scenario.name,
        "title": scenario.title,
        "words": scenario.words,
        "parameters": tuple(scenario.parameters.items()),
    }
    market = stage.plan.spec.market
    if scenario.only not in (None, market):
        return Strain(**told, applies=False, sentence=f"Does not apply: {scenario.why_not}.")
    script = scenario.script(stage)
    side = FuturesSide(script.funding, margin) if market is Market.FUTURES else None
    result = shocked(stage.plan, script.bars, script.shocks, rules=rules.source, side=side)
    results[scenario.name] = result
    compared = None
    if script.is_compared:
        plain = replace(side, funding=None) if side is not None else None
        compared = shocked(stage.plan, script.bars, rules=rules.source, side=plain).money.total
    money = result.money
    with exact():
        value = money.base_held * result.last_price
    strain = Strain(
        **told,
        applies=True,
        sentence="",
        grid_profit=money.grid_profit,
        inventory=money.floating,
        liquidation=money.liquidation,
        fees=money.fees,
        funding=money.funding,
        total=money.total,
        total_fraction=result.total_return,
        max_drawdown=result.max_drawdown,
        buys=result.fills.buys,
        sells=result.fills.sells,
        held=money.base_held,
        held_value=value,
        last_price=result.last_price,
        compared=compared,
        is_liquidated=result.liquidation is not None,
    )
    return replace(strain, sentence=sentence_of(strain, result))


# --- plain values ---------------------------------------------------------------------------------


def _plain(strain: Strain) -> dict[str, Any]:
    row = {one.name: getattr(strain, one.name) for one in fields(Strain)}
    plain = {n: text(v) if isinstance(v, Decimal) else v for n, v in row.items()}
    return plain | {"parameters": dict(strain.parameters)}


def _strain_of(row: dict[str, Any]) -> Strain:
    exactly = (*AMOUNTS, "held", "held_value", "last_price", "compared")
    values = {
        name: parse(value, name) if name in exactly and value is not None else value
        for name, value in row.items()
    }
    return Strain(**(values | {"parameters": tuple(row["parameters"].items())}))
