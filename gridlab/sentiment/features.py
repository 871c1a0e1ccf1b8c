"""Text into numbers: hashed n-grams of words, concepts and letters, and a few figures of style.

The ids need no vocabulary: a CRC-32 of a feature's name, cut to a table's size, is its row in the
model. What depends on one word alone is kept in a bounded table, so that a common word costs a
look-up. Equal text gives equal features on any machine. Knows no model and no label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gridlab.sentiment.lexicon import Concept, fold, lexicon, stem

#: Part of every manifest: a model reads only the features that it was trained on.
FEATURES_VERSION = 1
BUCKETS = 1 << 17
#: Rows of the table by kind of feature: (first row, rows). A kind never collides with another.
BLOCKS = {
    "concept": (0, 1 << 14),
    "word": (1 << 14, 1 << 14),
    "pair": (1 << 15, 1 << 15),
    "letters": (1 << 16, 1 << 16),
}
#: Letters and words beyond these do not change a judgement: the texts are short by nature.
MAX_LETTERS = 4_000
MAX_WORDS = 256
MAX_WORD_LETTERS = 40
MAX_SIGNS = 6
_KNOWN_WORDS = 50_000
_NEGATION_REACH = 3
#: What parts a direction from a thing: "falls on fears" is no fall of fears.
_PARTS = frozenset(
    (
        *("on", "amid", "despite", "after", "as", "and", "with", "over", "to", "for", "at", "by"),
        *("e", "com", "por", "apos", "apesar", "em", "para", ";", ":", "!", "?", "|", "…"),
    )
)
_PART = re.compile(
    r"(?P<url>(?:https?://|www\.)\S+)|(?P<user>@\w+|\bu/\w+)|(?P<cash>\$[a-z]{1,10}\b)"
    r"|(?P<pct>[+-]?\d[\d.,]*\s?%)|(?P<money>(?:us\$|r\$|[$€£¥])\s?\d[\d.,]*[kmbt]?\b)"
    r"|(?P<num>[+-]?\d[\d.,]*[kmbtx]?\b)|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
    r"|(?P<mark>[!?:;…|]|[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff])"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_HIDDEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]+")
DENSE = (
    *("positive", "negative", "net", "net_share", "hits", "words", "url", "user", "cash"),
    *("percent", "money", "number", "exclaims", "asks", "first_person", "shouts", "portuguese"),
    *("colon", "grade_-3", "grade_-2", "grade_-1", "grade_1", "grade_2", "grade_3"),
    *("more_than", "less_than"),
)
_FIGURES = frozenset(("pct", "money", "num"))
_COMPARED = frozenset(("vs", "versus", "from", "contra", "ante"))
_COMPARED_REACH = 5
_FIRST_PERSON = frozenset(
    (
        *("i", "me", "my", "mine", "im", "ive", "we", "our", "us"),
        *("eu", "meu", "minha", "meus", "minhas", "nos", "nosso"),
    )
)


class Features(NamedTuple):
    """What is known of one text before any model.

    Args:
        ids: rows of the hashed features, repeats included.
        dense: the figures that DENSE names.
        signs: (word, weight) of up to MAX_SIGNS words of the lexicon, weight as meant here: after a
            negation it is turned.
        language: `en` or `pt`.
        has_words: whether there is anything to judge.
    """

    ids: NDArray[np.int32]
    dense: NDArray[np.float32]
    signs: tuple[tuple[str, float], ...]
    language: str
    has_words: bool


class _Word(NamedTuple):
    text: str
    ids: tuple[int, ...]
    core: int
    weight: float
    kind: str


def clean(text: str) -> str:
    """`text` without control and direction signs, NULs or lone surrogates, cut to MAX_LETTERS."""
    text = text[: 2 * MAX_LETTERS]
    if not text.isascii():
        text = _HIDDEN.sub("", text).encode("utf-8", "ignore").decode("utf-8")
    return _CONTROLS.sub(" ", text)[:MAX_LETTERS]


def parts(text: str) -> list[tuple[str, str]]:
    """(kind, folded text) of every part of a cleaned text, at most MAX_WORDS of them."""
    found = []
    for match in _PART.finditer(fold(text)):
        kind = match.lastgroup or "word"
        found.append((kind, match[0][:MAX_WORD_LETTERS].replace("’", "'")))
        if len(found) == MAX_WORDS:
            break
    return found


def language_of(text: str, found: Sequence[tuple[str, str]]) -> str:
    """`pt` when the text's words and accents are more Portuguese than English, else `en`."""
    vote = lexicon().vote
    score = sum(vote(word) for kind, word in found if kind == "word")
    if not text.isascii():
        score += sum(sign in "ãõçáéíóúâêôàÃÕÇÁÉÍÓÚÂÊÔÀ" for sign in text[:400])
    return "pt" if score > 0 else "en"


class Featurizer:
    """Makes features; holds a table of words it has met, cleared when it is full."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, str], _Word] = {}

    def features(self, text: str) -> Features:
        """The features of any string, the empty one and a hostile one included."""
        text = clean(text)
        found = parts(text)
        language = language_of(text, found)
        words = self._look_up(found, language)
        ids: list[int] = []
        cores = [word.core for word in words]
        weights, turned = _meant(words)
        for word, is_turned in zip(words, turned, strict=True):
            ids += word.ids
            if is_turned:
                ids.append(_row("concept", word.core * 0x85EBCA6B + 0x27D4EB2F))
        before = 0x3C6EF372
        for core in (*cores, 0x1F83D9AB):
            ids.append(_row("pair", before * 0x9E3779B1 ^ core * 0xC2B2AE35))
            before = core
        signs = [(word.text, weight) for word, weight in zip(words, weights, strict=True) if weight]
        return Features(
            np.array(ids, np.int32),
            _dense(text, found, words, weights, language),
            tuple(signs[:MAX_SIGNS]),
            language,
            any(kind in ("word", "cash") or word > "\u2600" for kind, word in found),
        )

    def _look_up(self, found: Sequence[tuple[str, str]], language: str) -> list[_Word]:
        if len(self._words) > _KNOWN_WORDS:
            self._words.clear()
        table, phrases, out = self._words, lexicon().phrases[language], []
        at, count = 0, len(found)
        while at < count:
            kind, word = found[at]
            step = 1
            if kind == "word" and word in phrases:
                for phrase in phrases[word]:
                    if tuple(part for _, part in found[at : at + len(phrase)]) == phrase:
                        word, step = "_".join(phrase), len(phrase)
                        break
            # Brackets keep "user" the word and <user> the kind of part apart in the table.
            key = (word if kind in ("word", "mark", "cash") else f"<{kind}>", language)
            known = table.get(key)
            if known is None:
                known = table[key] = _describe(key[0], kind, language)
            out.append(known)
            at += step
        return out


def _row(block: str, value: int) -> int:
    first, rows = BLOCKS[block]
    return first + value % 4_294_967_291 % rows


def _describe(word: str, kind: str, language: str) -> _Word:
    """What one word, mark or kind of part gives on its own."""
    if kind not in ("word", "mark"):
        core = crc32(f"k:{kind}".encode())
        names = (_row("word", crc32(f"w:{word}".encode())),) if kind == "cash" else ()
        return _Word(word, (_row("concept", core), *names), core, 0.0, "")
    concept = lexicon().find(word, language)
    core = crc32((f"c:{concept.number}" if concept else f"s:{stem(word, language)}").encode())
    surface = crc32(f"{'p' if language == 'pt' else 'w'}:{word}".encode())
    padded = f"<{word}>"
    grams = [
        crc32(padded[at : at + size].encode())
        for size in (3, 4, 5)
        for at in range(max(0, len(padded) - size + 1))
    ]
    ids = (_row("concept", core), _row("word", surface), *(_row("letters", gram) for gram in grams))
    return _Word(word.replace("_", " "), ids, core, *_tone(concept))


def _tone(concept: Concept | None) -> tuple[float, str]:
    return (concept.weight, concept.kind) if concept else (0.0, "")


def _meant(words: Sequence[_Word]) -> tuple[list[float], list[bool]]:
    """Each word's weight as meant here, and which words mean their opposite.

    A negation turns and halves what follows soon. A direction next to a bad thing turns ("losses
    fall", "queda do desemprego") and the thing itself counts no more; nor does a good thing that
    falls ("profit drops").
    """
    weights, turned = [word.weight for word in words], [False] * len(words)
    for at, word in enumerate(words):
        if word.kind == "v":
            near = [words[place] for place in _beside(words, at)]
            turned[at] = any(other.kind == "u" for other in near)
            weights[at] = -word.weight if turned[at] else word.weight
            for place, other in zip(_beside(words, at), near, strict=True):
                if other.kind == "u" or (other.kind != "v" and other.weight > 0 > weights[at]):
                    weights[place] = 0.0
    reach = 0
    for at, word in enumerate(words):
        if reach:
            weights[at] *= -0.5
            turned[at] = not turned[at]
        reach = _NEGATION_REACH if word.kind == "n" else max(0, reach - 1)
    return weights, turned


def _beside(words: Sequence[_Word], at: int) -> list[int]:
    """The places next to `at`, and one further over a word that means nothing and joins nothing."""
    places = []
    for step in (-1, 1):
        near = at + step
        if 0 <= near < len(words):
            places.append(near)
            word = words[near]
            if not (word.weight or word.kind or word.text in _PARTS) and 0 <= near + step < len(
                words
            ):
                places.append(near + step)
    return places


def _dense(
    text: str,
    found: Sequence[tuple[str, str]],
    words: Sequence[_Word],
    weights: Sequence[float],
    language: str,
) -> NDArray[np.float32]:
    """The figures that DENSE names: the lexicon's count, length and style."""
    good, bad, hits = tally(words, weights)
    kinds = [kind for kind, _ in found]
    count = max(1, len(found))
    grades = [0.0] * 7
    for weight in weights:
        grades[3 + round(weight)] += 1
    more, less = _comparison(found)
    letters = [sign for sign in text[:200] if sign.isalpha()]
    return np.array(
        [
            *(np.log1p(good), np.log1p(bad), np.tanh((good - bad) / 3), (good - bad) / count),
            *(hits / count, np.log1p(len(found)) / 3, "url" in kinds, "user" in kinds),
            *("cash" in kinds, "pct" in kinds, "money" in kinds, "num" in kinds),
            *("!" in text, "?" in text, any(word in _FIRST_PERSON for _, word in found)),
            sum(sign.isupper() for sign in letters) > 0.6 * max(1, len(letters)),
            *(language == "pt", ":" in text),
            *(np.sqrt(grade) for grade in (*grades[:3], *grades[4:])),
            *(more, less),
        ],
        np.float32,
    )


def _comparison(found: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Whether a figure stands above, and whether one stands below, that it is compared with."""
    figures = [(at, word) for at, (kind, word) in enumerate(found) if kind in _FIGURES]
    signs = []
    for (left, first), (right, second) in pairwise(figures):
        between = {word for _, word in found[left + 1 : right]}
        if right - left <= _COMPARED_REACH and between & _COMPARED:
            signs.append(_figure(first) - _figure(second))
    return int(any(sign > 0 for sign in signs)), int(any(sign < 0 for sign in signs))


def _figure(word: str) -> float:
    digits = "".join(sign for sign in word if sign.isdigit() or sign == ".").strip(".")
    return float(digits) if digits.count(".") <= 1 and digits else 0.0


def tally(words: Sequence[_Word], weights: Sequence[float]) -> tuple[float, float, int]:
    """Positive and negative weight of a text by the lexicon alone, and how many words had one.

    After "but" words count half again more; a word after an intensifier counts half more, after a
    weakener half, after a hedge a fifth less.
    """
    good = bad = 0.0
    hits, turn, scale = 0, 1.0, 1.0
    for word, weight in zip(words, weights, strict=True):
        if weight:
            hits += 1
            points = weight * scale * turn
            good += max(0.0, points)
            bad += max(0.0, -points)
        turn = 1.5 if word.kind == "b" else turn
        scale = {"i": 1.5, "d": 0.5, "h": 0.8}.get(word.kind, 1.0)
    return good, bad, hits
