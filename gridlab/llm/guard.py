"""The guard: every figure in a text must be a fact that was handed in, or the text is refused.

Rules, for one language (English 1,234.5 or Portuguese 1.234,5):

- a figure is a run of digits with its sign, separators and unit. A sign that is shown must be the
  fact's, and a negative fact must show its sign;
- it matches a fact when it is the fact as the prompt shows it, or when the fact rounded to the
  figure's digits is the figure and that changed it by at most a twentieth: 3.24 may be told as 3.2,
  and neither as 3 nor as 3.25;
- `k`, `M`, `bn`, `thousand`, `mil`, `million`, `milhão` scale the figure and the place of its last
  digit, so 64.99k may stand for 64,987.50;
- a unit that is shown (%, h, min, d, s, x, $, an asset's code) must be the fact's, and a percentage
  must show it; in `3 to 5 %` both have it. `$` is any dollar coin;
- names and moments of the facts may stand as they are; a year may when a moment is in it;
- number words from two up are figures too; doubled, half and their like are never facts;
- digits inside other words, fractions, powers, times, digits of other scripts, hidden characters
  and whatever else cannot be read for certain are refused.

What it cannot see: a true figure told of the wrong thing, or a wrong claim without figures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gridlab.errors import ModelAnswerRefused
from gridlab.llm.facts import PERCENT, Fact, Facts, Language
from gridlab.llm.text import clean
from gridlab.money import rounding

DOLLAR: Final = "$"
DOLLARS: Final = frozenset(("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "DAI"))
#: Codes that mean an asset after a figure although no fact is in it.
_ASSETS: Final = DOLLARS | {"BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "BRL", "EUR", "GBP"}
_SCALES: Final = {
    **{"k": 3, "K": 3, "M": 6, "B": 9, "bn": 9, "mi": 6, "bi": 9},
    **{"thousand": 3, "mil": 3, "million": 6, "millions": 6, "milhão": 6, "milhões": 6},
    **{"billion": 9, "billions": 9, "bilhão": 9, "bilhões": 9},
}
_UNITS: Final = {
    **dict.fromkeys(("%", "percent", "per cent", "por cento", "pct"), PERCENT),
    **dict.fromkeys(("h", "hour", "hours", "hora", "horas"), "h"),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "minuto", "minutos"), "min"),
    **dict.fromkeys(("s", "sec", "second", "seconds", "segundo", "segundos"), "s"),
    **dict.fromkeys(("d", "day", "days", "dia", "dias"), "d"),
    **dict.fromkeys(("x",), "x"),
    **dict.fromkeys(("dollars", "dollar", "dólares", "dólar"), DOLLAR),
}
_WORDS: Final = {
    **{"zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8},
    **{"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14},
    **{"fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19},
    **{"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70},
    **{"eighty": 80, "ninety": 90, "hundred": 100, "hundreds": 100},
    **{"dois": 2, "duas": 2, "três": 3, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6},
    **{"sete": 7, "oito": 8, "nove": 9, "dez": 10, "onze": 11, "doze": 12, "treze": 13},
    **{"quatorze": 14, "catorze": 14, "quinze": 15, "dezesseis": 16, "dezessete": 17},
    **{"dezoito": 18, "dezenove": 19, "vinte": 20, "trinta": 30, "quarenta": 40},
    **{"cinquenta": 50, "sessenta": 60, "setenta": 70, "oitenta": 80, "noventa": 90},
    **{"cem": 100, "cento": 100, "duzentos": 200, "trezentos": 300, "quinhentos": 500},
}
_NEVER: Final = frozenset(
    ("half", "halved", "halves", "double", "doubled", "doubles", "twice", "thrice", "triple")
    + ("tripled", "quadruple", "tenfold", "twofold", "threefold", "dozen", "dozens", "quarter")
    + ("third", "thirds", "fifth", "tenth", "thousand", "thousands", "million", "millions")
    + ("billion", "billions", "metade", "dobro", "dobrou", "triplo", "triplicou", "quádruplo")
    + ("dúzia", "dúzias", "terço", "mil", "milhão", "milhões", "bilhão", "bilhões", "décuplo")
)
_FIGURE = re.compile(
    r"(?P<sign>(?<![\w%.)\]\u25a1])[-+\u2212\u2013])?"
    r"(?:(?P<coin>US\$|R\$|[$€£])\s?)?(?P<digits>\d(?:[\d.,]*\d)?)",
    re.ASCII,
)
#: What right before a figure makes it a part of a word or of a fraction.
_TAIL = re.compile(r"[^\W\d][-+\u2013]?$|[._/^\u25a1]$|\u25a1[-+\u2013]$")
_SHAPES: Final[dict[Language, re.Pattern[str]]] = {
    "en": re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<places>\d+))?", re.ASCII),
    "pt": re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,(?P<places>\d+))?", re.ASCII),
}
_SCALE = re.compile(rf"\s?({'|'.join(sorted(_SCALES, key=len, reverse=True))})(?!\w)")
_UNIT = re.compile(
    rf"[\s-]?({'|'.join(re.escape(u) for u in sorted(_UNITS, key=len, reverse=True))})(?!\w)",
    re.IGNORECASE,
)
#: Codes such as 1INCH begin with a digit; they need the space before them.
_CODE = re.compile(r"(?:\s?(?=[A-Z])|\s(?=\d+[A-Z]))([A-Z0-9]{2,12})(?!\w)")
_JOINED = re.compile(r"\s?(?:to|and|or|a|e|ou|até|-|\u2013|\u2014)\s?(?=[-+\u2212$]?\d)", re.I)
#: What after a figure would change how it reads: 1 234, 3/4, 13:00, 10^6, 1'234.
_GLUED = re.compile(r":\d|\s?['\u2019\u00b7\u066c^/*\u00d7]\s?\d|[\s\u00a0\u202f]\d|[_\w]")
#: Stands where a name was; no letter, digit, sign or space.
_BLANK: Final = "\u25a1"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number as a text shows it.

    Args:
        value: its magnitude with its sign, scaled.
        place: the value of one unit of its last digit.
        unit: canonical, empty when none is shown.
        text: what was read.
    """

    value: Decimal
    place: Decimal
    unit: str
    text: str

    def is_of(self, fact: Fact) -> bool:
        """Whether it tells `fact`."""
        if not _units_agree(self.unit, fact.unit):
            return False
        if self.value == fact.rounded:
            return True
        if (self.value < 0) is not (fact.value < 0):
            return False
        with rounding():
            gap = abs(self.value - fact.value)
            return gap <= self.place / 2 and gap <= abs(fact.value) / 20


def check(text: str, facts: Facts, language: Language) -> None:
    """Raise unless every figure in `text` tells a fact.

    Raises:
        ModelAnswerRefused: names the first that does not.
    """
    for figure in figures_in(text, facts, language):
        if not any(figure.is_of(fact) for fact in facts.items):
            raise ModelAnswerRefused(
                f"the text says {figure.text.strip()!r}, which is none of the facts it was given"
            )


def figures_in(text: str, facts: Facts, language: Language) -> Iterator[Figure]:
    """Every figure of `text`, names and moments of `facts` left out.

    Raises:
        ModelAnswerRefused: something with digits or number words cannot be read for certain.
    """
    _check_signs(text)
    rest = _without(text, facts.spellings())
    for found in re.finditer(r"[^\W\d_]+", rest):
        word = found[0].lower()
        if word in _WORDS and not _is_in_unit(rest, found):
            yield Figure(Decimal(_WORDS[word]), Decimal(1), "", found[0])
        elif word in _NEVER and not _is_scale(rest, found):
            raise _refusal(rest, found.start(), found.end())
    at = 0
    while (match := _FIGURE.search(rest, at)) is not None:
        figure, at = _read(rest, match, facts, language)
        yield figure


def _read(rest: str, match: re.Match[str], facts: Facts, language: Language) -> tuple[Figure, int]:
    """The figure at `match`, and where reading goes on."""
    start, end = match.start(), match.end()
    shape = _SHAPES[language].fullmatch(match["digits"])
    if shape is None or _TAIL.search(rest[max(0, start - 2) : start]):
        raise _refusal(rest, start, end)
    places = len(shape["places"] or "")
    digits = match["digits"].replace("," if language == "en" else ".", "").replace(",", ".")
    zeros = 0
    if (scale := _SCALE.match(rest, end)) is not None:
        zeros, end = _SCALES[scale[1]], scale.end()
    unit, end = _unit_at(rest, end, facts)
    if _GLUED.match(rest, end):
        raise _refusal(rest, start, end)
    unit = unit or _coin(match["coin"]) or _shared_unit(rest, end, facts)
    sign = -1 if match["sign"] in ("-", "\u2212", "\u2013") else 1
    with rounding():
        value = sign * Decimal(digits).scaleb(zeros)
        return Figure(value, Decimal(1).scaleb(zeros - places), unit, rest[start:end]), end


def _unit_at(rest: str, at: int, facts: Facts) -> tuple[str, int]:
    """The unit that stands at `at`, and where it ends."""
    if (found := _UNIT.match(rest, at)) is not None:
        return _UNITS[found[1].lower()], found.end()
    known = _ASSETS | {fact.unit for fact in facts.items}
    if (found := _CODE.match(rest, at)) is not None and found[1] in known:
        return found[1], found.end()
    return "", at


def _shared_unit(rest: str, at: int, facts: Facts) -> str:
    """The unit of the next figure, when this one is joined to it as in `3 to 5 %`."""
    joined = _JOINED.match(rest, at)
    following = None if joined is None else _FIGURE.match(rest, joined.end())
    return "" if following is None else _unit_at(rest, following.end(), facts)[0]


def _coin(sign: str | None) -> str:
    return {None: "", "R$": "BRL", "€": "EUR", "£": "GBP"}.get(sign, DOLLAR)


def _units_agree(shown: str, of_fact: str) -> bool:
    if shown == DOLLAR:
        return of_fact in DOLLARS
    return shown == of_fact or (not shown and of_fact != PERCENT)


def _check_signs(text: str) -> None:
    """Refuse hidden characters and numbers that are not written in ASCII digits."""
    if clean(text) != text:
        raise ModelAnswerRefused("the text has hidden characters")
    for sign in text:
        if not sign.isascii() and unicodedata.numeric(sign, None) is not None:
            raise ModelAnswerRefused(f"the text has {sign!r}, which is no plain digit")


def _without(text: str, spellings: frozenset[str]) -> str:
    """`text` with each whole occurrence of a spelling blanked, longest first."""
    if not spellings:
        return text
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    pattern = "|".join(map(re.escape, longest_first))
    return re.sub(rf"(?<![\w.,:/-])(?:{pattern})(?![\w/:]|[.,]\d|-\d)", _BLANK, text)


def _is_in_unit(rest: str, found: re.Match[str]) -> bool:
    """Whether the word belongs to a figure's unit: the `cento` of `5 por cento`."""
    return found[0].lower() == "cento" and bool(re.search(r"\d\s?por $", rest[: found.start()]))


def _is_scale(rest: str, found: re.Match[str]) -> bool:
    """Whether the word scales the figure before it."""
    return found[0] in _SCALES and bool(re.search(r"\d\s?$", rest[: found.start()]))


def _refusal(rest: str, start: int, end: int) -> ModelAnswerRefused:
    shown = rest[max(0, start - 10) : end + 10].replace(_BLANK, "…").strip()
    return ModelAnswerRefused(f"the text says {shown!r}, which cannot be read as a given fact")
