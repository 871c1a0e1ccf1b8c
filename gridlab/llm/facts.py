"""Facts: the values that a task hands to a model or a template, and how they are written.

A fact is a named number with a unit, and it is shown with the same digits everywhere: in the
prompt, in the template, and in what the guard expects. Names are words with digits in them that a
text may use (a symbol, an order's id, `RSI(14)`), moments are times that it may tell. English
writes 1,234.50 and Portuguese 1.234,50; nothing else is a number in that language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal

from gridlab.errors import BugError, InvalidInput
from gridlab.money import rounding

Language = Literal["en", "pt"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "pt")
#: Units other than asset codes: a share, times, a factor, and plain counts.
PERCENT: Final = "%"
MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        *("January", "February", "March", "April", "May", "June", "July", "August"),
        *("September", "October", "November", "December"),
    ),
    "pt": (
        *("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto"),
        *("setembro", "outubro", "novembro", "dezembro"),
    ),
}
_NAME = re.compile(r"[\w()/.:@+-]+(?: [\w()/.:@+-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fact:
    """One number that a text may tell.

    Args:
        key: what programs and prompts call it, such as `last_price`.
        value: exact; shares are percentages, so 0.5 % is `Decimal("0.5")`.
        unit: `%`, `x`, `h`, `min`, `s`, `d`, an asset's code, or empty for a count.
        places: digits shown after the separator.
    """

    key: str
    value: Decimal
    unit: str = ""
    places: int = 0

    def __post_init__(self) -> None:
        if not self.value.is_finite():
            raise InvalidInput(f"the fact {self.key} is {self.value}; it must be finite")

    @property
    def rounded(self) -> Decimal:
        """The value that is shown."""
        return rounded_to(self.value, self.places)

    def shown(self, language: Language) -> str:
        """The number with its unit, as texts in `language` write it."""
        number = number_text(self.value, self.places, language)
        if self.unit in ("%", "x"):
            return number + self.unit
        return f"{number} {self.unit}" if self.unit else number


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one text may tell.

    Args:
        names: words with digits in them; each has at least one letter.
        moments: UTC milliseconds.
    """

    items: tuple[Fact, ...] = ()
    names: tuple[str, ...] = ()
    moments: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        keys = [fact.key for fact in self.items]
        if len(set(keys)) < len(keys):
            raise BugError(f"a fact is there twice: {sorted(keys)}")
        for name in self.names:
            if not _NAME.fullmatch(name) or not any(letter.isalpha() for letter in name):
                raise InvalidInput(f"{name!r} is no name that a text may use")

    def __contains__(self, key: object) -> bool:
        return any(fact.key == key for fact in self.items)

    def __getitem__(self, key: str) -> Fact:
        for fact in self.items:
            if fact.key == key:
                return fact
        raise KeyError(key)

    def said(self, key: str, language: Language) -> str:
        """The fact `key` as texts write it."""
        return self[key].shown(language)

    def lines(self, language: Language) -> str:
        """One `key: value` a line, for a prompt."""
        told = [f"{fact.key}: {fact.shown(language)}" for fact in self.items]
        told += [f"moment: {moment_text(moment)}" for moment in self.moments]
        told += [f"name: {name}" for name in self.names]
        return "\n".join(told)

    def spellings(self) -> frozenset[str]:
        """Every form of the names and moments that a text may hold."""
        return frozenset(self.names).union(*map(_spellings_of, self.moments))


def count(key: str, value: int) -> Fact:
    """A fact that is a number of things."""
    return Fact(key, Decimal(value))


def share(key: str, fraction: Decimal, places: int = 2) -> Fact:
    """A fact that is a fraction, told as a percentage."""
    with rounding():
        return Fact(key, fraction * 100, PERCENT, places)


def age(age_ms: int) -> Fact:
    """How old the prices of a text are, in the unit that reads best.

    >>> [age(ms).shown("en") for ms in (4_200, 119_000, 600_000, 7_200_000)]
    ['4 s', '119 s', '10 min', '2 h']
    """
    unit_ms, unit = 1_000, "s"
    if age_ms >= 2 * 3_600_000:
        unit_ms, unit = 3_600_000, "h"
    elif age_ms >= 2 * 60_000:
        unit_ms, unit = 60_000, "min"
    with rounding():
        return Fact("age_of_prices", Decimal(age_ms) / unit_ms, unit)


def number_text(value: Decimal, places: int, language: Language) -> str:
    """`value` with `places` digits, as `language` writes it.

    >>> number_text(Decimal("-1234.565"), 2, "en"), number_text(Decimal("1234.5"), 2, "pt")
    ('-1,234.56', '1.234,50')
    """
    english = f"{rounded_to(value, places):,.{places}f}"
    return english if language == "en" else english.translate(str.maketrans(",.", ".,"))


def rounded_to(value: Decimal, places: int) -> Decimal:
    """`value` with `places` digits after the separator; zero has no sign."""
    with rounding():
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN) + 0


def places_for(value: Decimal) -> int:
    """How many digits show a price well: about five that mean something, at most eight places.

    >>> [places_for(Decimal(v)) for v in ("64987.5", "101.25", "0.5123", "0.00001234")]
    [2, 2, 5, 8]
    """
    size = abs(value)
    if size >= 100 or not size:
        return 2
    return min(8, 4 - size.adjusted())


def moment_text(time_ms: int) -> str:
    """`2026-03-24 13:00 UTC`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _spellings_of(time_ms: int) -> Iterable[str]:
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    english, portuguese = MONTHS["en"][at.month - 1], MONTHS["pt"][at.month - 1]
    day = at.strftime("%Y-%m-%d")
    clock = at.strftime("%H:%M")
    yield from (day, f"{day} {clock}", f"{day}T{clock}", clock, at.strftime("%H:%M:%S"))
    yield from (f"{day}T{at:%H:%M:%S}Z", f"{day} {at:%H:%M:%S}", str(at.year))
    yield from (f"{at:%d/%m/%Y}", f"{at.day}/{at.month}/{at.year}")
    yield from (f"{english} {at.day}, {at.year}", f"{at.day} {english} {at.year}")
    yield from (f"{english} {at.day}", f"{at.day} {english}")
    yield from (f"{at.day} de {portuguese} de {at.year}", f"{at.day} de {portuguese}")
