"""`Ranges`: from which settings a study may choose, and how each is asked of Optuna.

A range of whole levels is asked for as a whole number, any other as a float that is written with
six digits before it becomes a setting: the seventh digit of a spacing decides nothing, and a grid
should be one that can be typed again. Ordered choices are asked for by their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.money import parse
from gridlab.research.grids import refuse_unknown
from gridlab.research.settings import NUMERIC, WHOLE, as_json, names, range_of, read_setting, shown
from gridlab.research.space import Space

if TYPE_CHECKING:
    from optuna.trial import Trial

#: Significant digits of a setting that is not a whole number.
DIGITS = 6


@dataclass(frozen=True)
class Range:
    """A stretch of numbers, both ends included.

    Args:
        log: whether the search takes equal ratios, not equal differences, for equally far.

    Raises:
        InvalidInput: the ends are not in order, or a logarithm of what is not above zero.
    """

    name: str
    low: Decimal | int
    high: Decimal | int
    log: bool = False

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise InvalidInput(
                f"{self.name} goes from {shown(self.low)} to {shown(self.high)}; the first must "
                "be below the last"
            )
        if self.log and self.low <= 0:
            raise InvalidInput(
                f"{self.name} begins at {shown(self.low)}; a logarithmic range begins above zero"
            )

    def ask(self, trial: Trial) -> None:
        """Have the sampler choose this trial's value."""
        if self._is_whole:
            trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        else:
            trial.suggest_float(self.name, float(self.low), float(self.high), log=self.log)

    def setting(self, params: Mapping[str, Any]) -> object:
        """The setting that a trial's parameters mean."""
        asked = params[self.name]
        if self._is_whole:
            return int(asked)
        return min(max(Decimal(f"{asked:.{DIGITS}g}"), Decimal(self.low)), Decimal(self.high))

    @property
    def _is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def to_json(self) -> Any:
        ends = f"{shown(self.low)}..{shown(self.high)}"
        return f"{ends} log" if self.log else ends


@dataclass(frozen=True)
class Choice:
    """Some values, of which numbers in ascending order are near each other in their order."""

    name: str
    values: tuple[object, ...]

    def ask(self, trial: Trial) -> None:
        """Have the sampler choose this trial's value."""
        if _is_ordered(self.values):
            trial.suggest_int(self._place, 0, len(self.values) - 1)
        else:
            trial.suggest_categorical(self.name, [shown(value) for value in self.values])

    def setting(self, params: Mapping[str, Any]) -> object:
        """The setting that a trial's parameters mean."""
        if _is_ordered(self.values):
            return self.values[int(params[self._place])]
        return self.values[[shown(value) for value in self.values].index(params[self.name])]

    @property
    def _place(self) -> str:
        return f"{self.name} (place)"

    def to_json(self) -> Any:
        return [as_json(value) for value in self.values]


Source: TypeAlias = Range | Choice


@dataclass(frozen=True)
class Ranges:
    """What varies, by name, and what is fixed in every trial.

    Raises:
        InvalidInput: nothing varies, or the market does.
    """

    symbol: str
    sources: Mapping[str, Source]
    fixed: Mapping[str, object]

    def __post_init__(self) -> None:
        if not self.sources:
            raise InvalidInput(
                "nothing varies; give a range such as levels=(8, 100) or spacing='0.3%..2% log'"
            )
        if "market" in self.sources:
            raise InvalidInput("market varies; a study is of one market, so fix it")

    @property
    def market(self) -> Market:
        return Market(str(self.fixed.get("market", Market.SPOT)))

    def ask(self, trial: Trial) -> dict[str, object]:
        """Have the sampler choose a trial's values; return all its settings."""
        for source in self.sources.values():
            source.ask(trial)
        return self.settings(trial.params)

    def settings(self, params: Mapping[str, Any]) -> dict[str, object]:
        """All settings that a trial's parameters mean."""
        return dict(self.fixed) | {n: s.setting(params) for n, s in self.sources.items()}

    def to_json(self) -> dict[str, Any]:
        """The ranges as plain JSON values."""
        return {
            "symbol": self.symbol,
            "ranges": {name: source.to_json() for name, source in self.sources.items()},
            "fixed": {name: as_json(value) for name, value in self.fixed.items()},
        }


def ranges_of(what: Space | Mapping[str, Any], symbol: str | None) -> Ranges:
    """The ranges that a user means.

    Args:
        what: a space, whose axes become choices; or settings by name: a tuple of two, or the text
            `"low..high"` with `log` behind it if wanted, is a range; a list or another series are
            choices; anything else is fixed. Percents are written as text, `"0.3%..2% log"`.
        symbol: of the data, where `what` names none.

    Raises:
        InvalidInput: an unknown setting, a range that is none, or a sample of a space.
        InvalidNumber: a float, or a text that is no number.
    """
    if isinstance(what, Space):
        return _of_space(what)
    given = dict(what)
    wanted = str(given.pop("symbol", symbol or ""))
    if not wanted:
        raise InvalidInput("the symbol is missing; name it beside the ranges: symbol='BTCUSDT'")
    refuse_unknown(given, names(), "study")
    sources: dict[str, Source] = {}
    fixed: dict[str, object] = {}
    for name, value in given.items():
        found = _source_of(name, value)
        if found is None:
            fixed[name] = read_setting(name, value)
        else:
            sources[name] = found
    return Ranges(wanted, sources, fixed)


def _of_space(space: Space) -> Ranges:
    if space.chosen is not None:
        raise InvalidInput(
            f"{space!r} is a sample, and a study chooses from whole axes; hand in the space that "
            "it was drawn from"
        )
    several = {n: Choice(n, values) for n, values in space.axes.items() if len(values) > 1}
    single = {n: values[0] for n, values in space.axes.items() if len(values) == 1}
    return Ranges(space.symbol, several, dict(space.fixed) | single)


def _source_of(name: str, value: Any) -> Source | None:
    """The range or the choices that `value` writes; None for a single value."""
    if isinstance(value, str):
        if name in NUMERIC and ".." in value:
            return _range_of(name, value)
        return Choice(name, range_of(name, value)) if name in NUMERIC and ":" in value else None
    if isinstance(value, tuple) and len(value) == 2 and name in NUMERIC and name != "fees":
        return _range(name, *value)
    if isinstance(value, Iterable):
        return Choice(name, Space("any", {name: tuple(value)}).axes[name])
    return None


def _range_of(name: str, words: str) -> Range:
    ends, _, scale = words.strip().partition(" ")
    low, _, high = ends.partition("..")
    if scale.strip() not in ("", "log") or low.endswith("%") != high.endswith("%"):
        raise InvalidInput(
            f"{name} is {words!r}; a range is low..high, such as 8..100 or '0.3%..2% log'"
        )
    if name in WHOLE:
        return _range(name, int(parse(low, name)), int(parse(high, name)), bool(scale))
    return _range(name, low, high, bool(scale))


def _range(name: str, low: Any, high: Any, log: bool = False) -> Range:
    return Range(name, read_setting(name, low), read_setting(name, high), log)


def _is_ordered(values: tuple[object, ...]) -> bool:
    numbers = [v for v in values if isinstance(v, (int, Decimal)) and not isinstance(v, bool)]
    return len(numbers) == len(values) and numbers == sorted(numbers)
