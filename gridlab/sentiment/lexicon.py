"""The bilingual lexicon: each line of `words/lexicon.csv` is one concept, said in two languages.

A line holds a weight, English words and Portuguese words; `_` joins the words of a phrase. The
weight is a number from -3 to 3, or a letter: n negates, i intensifies, d weakens, h hedges, b turns
("but"). After a number, v marks a word of direction ("falls") and u a thing whose rise is bad
("losses"), so that a fall of it counts as good. A word is found as it stands, else by its stem, in
the language that the text seems to be in, else in the other: traders mix them. The first line that
names a word owns it. The list is our own. Knows no model.
"""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

LANGUAGES = ("en", "pt")
_PT_ENDINGS = tuple(
    sorted(
        (
            *("amentos", "imentos", "amento", "imento", "acoes", "acao", "icoes", "icao"),
            *("ando", "endo", "indo", "aram", "eram", "iram", "arao", "erao", "irao"),
            *("avam", "ava", "ariam", "aria", "ados", "adas", "idos", "idas", "ado", "ada"),
            *("ido", "ida", "amos", "emos", "imos", "ou", "eu", "iu", "am", "em", "ar", "er", "ir"),
            *("ei", "os", "as", "es", "a", "o", "e", "s"),
        ),
        key=len,
        reverse=True,
    )
)
_LEAST_STEM = 4


class Concept(NamedTuple):
    """One line of the lexicon: its number, its weight, and its letter or ''."""

    number: int
    weight: float
    kind: str


class Lexicon(NamedTuple):
    """The lexicon, ready to be asked; `exact` and `stems` are tables by language.

    `phrases` holds, by language, each first word of a phrase and the phrases that it begins, as
    tuples of words, longest first.
    """

    exact: dict[str, dict[str, Concept]]
    stems: dict[str, dict[str, Concept]]
    phrases: dict[str, dict[str, list[tuple[str, ...]]]]
    english: dict[int, list[str]]
    portuguese: dict[int, list[str]]

    def find(self, word: str, language: str) -> Concept | None:
        """The concept of a folded word, or None."""
        other = "en" if language == "pt" else "pt"
        return (
            self.exact[language].get(word)
            or self.stems[language].get(stem(word, language))
            or self.exact[other].get(word)
        )

    def vote(self, word: str) -> int:
        """1 when only Portuguese has this folded word, -1 when only English has it, else 0."""
        return (word in self.exact["pt"]) - (word in self.exact["en"])


def fold(text: str) -> str:
    """`text` in lower case and without accents.

    >>> fold("Não há AÇÕES")
    'nao ha acoes'
    """
    text = text.lower()
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFD", text)
    return "".join(sign for sign in parts if not "\u0300" <= sign <= "\u036f")


@lru_cache(maxsize=65_536)
def stem(word: str, language: str) -> str:
    """A crude stem of a folded word: enough to join the forms of one verb or noun.

    >>> [stem(word, "en") for word in ("plunges", "plunged", "plunging", "rallies")]
    ['plung', 'plung', 'plung', 'rally']
    >>> [stem(word, "pt") for word in ("despencou", "despencando", "despencam")]
    ['despenc', 'despenc', 'despenc']
    """
    return _portuguese_stem(word) if language == "pt" else _english_stem(word)


def _english_stem(word: str) -> str:
    if len(word) < _LEAST_STEM:
        return word
    for ending in ("ies", "ied"):
        if word.endswith(ending):
            return word[:-3] + "y"
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            return word[:-1] if word[-1] == word[-2] and word[-1] not in "ls" else word
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > _LEAST_STEM else word


def _portuguese_stem(word: str) -> str:
    for ending in _PT_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word[: -len(ending)]
    return word


def _source() -> str:
    return files("gridlab.sentiment.words").joinpath("lexicon.csv").read_text("utf-8")


@cache
def lexicon_hash() -> str:
    """The SHA-256 of the lexicon's text: a model's features mean nothing under another one."""
    return hashlib.sha256(_source().encode()).hexdigest()


@cache
def lexicon() -> Lexicon:
    """The lexicon of the package, read once."""
    exact: dict[str, dict[str, Concept]] = {language: {} for language in LANGUAGES}
    stems: dict[str, dict[str, Concept]] = {language: {} for language in LANGUAGES}
    phrases: dict[str, dict[str, list[tuple[str, ...]]]] = {name: {} for name in LANGUAGES}
    spoken: dict[str, dict[int, list[str]]] = {language: {} for language in LANGUAGES}
    for number, row in enumerate(csv.DictReader(_source().splitlines())):
        figure = row["weight"].rstrip("nidhbuv")
        concept = Concept(number, float(figure or 0), row["weight"].removeprefix(figure))
        for language in LANGUAGES:
            words = row[language].split()
            spoken[language][number] = [word.replace("_", " ") for word in words]
            for word in words:
                exact[language].setdefault(word, concept)
                if "_" in word:
                    first, *_ = parts = tuple(word.split("_"))
                    phrases[language].setdefault(first, []).append(parts)
    for language in LANGUAGES:
        for word, concept in exact[language].items():
            if "_" not in word and len(word) >= _LEAST_STEM:
                stems[language].setdefault(stem(word, language), concept)
        for found in phrases[language].values():
            found.sort(key=len, reverse=True)
    return Lexicon(exact, stems, phrases, spoken["en"], spoken["pt"])
