"""English training texts put into rough Portuguese, word by word, by the lexicon.

There is no labelled Portuguese text to learn from. A text whose words are replaced by Portuguese
ones keeps its label and teaches the model the letters, the word pairs and the function words of the
other language. It reads badly and need not read well. Words that the lexicon lacks are turned by
their endings where English and Portuguese share a Latin root, else left alone: most are names.
Knows no model.
"""

from __future__ import annotations

import random
import re

from gridlab.sentiment.lexicon import Concept, fold, lexicon, stem

_WORD = re.compile(r"https?://\S+|[@$]\w+|[^\W\d_]+(?:['’][^\W\d_]+)?|\S")
_ROOTS = (
    ("tions", "coes"),
    ("tion", "cao"),
    ("sions", "soes"),
    ("sion", "sao"),
    ("ities", "idades"),
    ("ity", "idade"),
    ("ments", "mentos"),
    ("ment", "mento"),
    ("ances", "ancias"),
    ("ance", "ancia"),
    ("ences", "encias"),
    ("ence", "encia"),
    ("ives", "ivos"),
    ("ive", "ivo"),
    ("ists", "istas"),
    ("ist", "ista"),
    ("isms", "ismos"),
    ("ism", "ismo"),
    ("ically", "icamente"),
    ("ally", "almente"),
    ("ics", "icas"),
    ("ic", "ico"),
    ("ous", "oso"),
    ("able", "avel"),
    ("ible", "ivel"),
    ("ency", "encia"),
    ("ancy", "ancia"),
    ("ology", "ologia"),
    ("ent", "ente"),
    ("ant", "ante"),
)
_LEAST_ROOT = 4
_LONGEST_PHRASE = 3
#: English says "record loss", Portuguese "loss record"; where, a table of words cannot know.
_SWAP_CHANCE = 0.15


def portuguese(text: str, chance: random.Random) -> str:
    """`text` with its words in Portuguese, folded; which of several words is up to `chance`."""
    words = _WORD.findall(fold(text).replace("’", "'"))
    out: list[str] = []
    at = 0
    while at < len(words):
        size, said = _phrase(words[at : at + _LONGEST_PHRASE], chance)
        out.append(said)
        at += size
    for place in range(len(out) - 1):
        if chance.random() < _SWAP_CHANCE and out[place].isalpha() and out[place + 1].isalpha():
            out[place], out[place + 1] = out[place + 1], out[place]
    return " ".join(out)


def _phrase(words: list[str], chance: random.Random) -> tuple[int, str]:
    """How many words were used, and what they are in Portuguese."""
    table = lexicon()
    for size in range(min(len(words), _LONGEST_PHRASE), 0, -1):
        concept = table.exact["en"].get("_".join(words[:size]))
        if concept is None and size == 1:
            concept = table.stems["en"].get(stem(words[0], "en"))
        if concept is not None:
            return size, _say(concept, chance)
    return 1, _by_ending(words[0])


def _say(concept: Concept, chance: random.Random) -> str:
    said = lexicon().portuguese[concept.number]
    # A list begins with its commonest words, so that the squared draw leans to them.
    return said[int(len(said) * chance.random() ** 2)]


def _by_ending(word: str) -> str:
    for english, ending in _ROOTS:
        if word.endswith(english) and len(word) - len(english) >= _LEAST_ROOT:
            return word[: -len(english)] + ending
    return word
