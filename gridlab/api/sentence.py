"""One sentence with holes: whether a text is that sentence, and what stands in the holes.

Texts come from anybody, so the time must not depend on what they say. A regular expression tries
the places of its values in every combination, which a text can be made to exploit; here each place
of each literal is looked at once. Knows no language.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

#: Values that are sentences again, and so may hold anything.
NESTED: Final = frozenset({"reason", "why", "words", "error", "what", "remedy", "note"})
#: What no other value holds: it only stands between sentences.
_SENTENCE_END: Final = re.compile(r"; |\n")
#: What a `field` does not hold: it is one word.
_WORD_END: Final = re.compile(r"\s")


class Sentence:
    """A sentence such as `the price of {symbol} is {price}`; a value is never empty.

    Attributes:
        names: of the values, in their order; no name comes twice.
    """

    __slots__ = ("_literals", "_stops", "names")

    def __init__(self, template: str) -> None:
        parts = re.split(r"\{(\w+)\}", template)
        self.names: tuple[str, ...] = tuple(parts[1::2])
        self._literals = tuple(parts[::2])
        self._stops = tuple(
            None if name in NESTED else _WORD_END if name == "field" else _SENTENCE_END
            for name in self.names
        )

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the holes if `text` is this sentence, else None.

        Where more than one reading fits, the first value is the shortest possible, then the second.
        """
        first, last = self._literals[0], self._literals[-1]
        if not self.names:
            return {} if text == first else None
        if not (text.startswith(first) and text.endswith(last)) or not self._has_all(text):
            return None
        # From the end: at which places each literal may stand so that the rest fits behind it.
        ends = [[len(text) - len(last)]]
        for literal, stop in zip(self._literals[-2:0:-1], self._stops[:0:-1], strict=True):
            ends.append(_places(text, literal, stop, ends[-1]))
            if not ends[-1]:
                return None
        found: dict[str, str] = {}
        begin = len(first)
        for name, stop, literal in zip(self.names, self._stops, self._literals[1:], strict=True):
            end = _end_of(text, begin, stop, ends.pop())
            if end is None:  # only the first value can fail: the places after it fit
                return None
            found[name] = text[begin:end]
            begin = end + len(literal)
        return found

    def _has_all(self, text: str) -> bool:
        """Whether the literals stand in `text` one after another: quick, and mostly untrue."""
        at = 0
        for literal in self._literals:
            at = text.find(literal, at)
            if at < 0:
                return False
            at += len(literal)
        return True


def _places(text: str, literal: str, stop: re.Pattern[str] | None, ends: list[int]) -> list[int]:
    """Where `literal` stands with a value behind it that reaches one of `ends`."""
    found = []
    at = text.find(literal)
    while 0 <= at < ends[-1]:
        if _end_of(text, at + len(literal), stop, ends) is not None:
            found.append(at)
        at = text.find(literal, at + 1)
    return found


def _end_of(text: str, begin: int, stop: re.Pattern[str] | None, ends: list[int]) -> int | None:
    """The nearest of `ends` for a value from `begin`; None where something stops it before."""
    index = bisect_left(ends, begin + 1)
    if index == len(ends):
        return None
    end = ends[index]
    # What stops a value may begin inside it and run over its end.
    stopped = stop.search(text, begin, end + 1) if stop is not None else None
    return end if stopped is None or stopped.start() >= end else None
