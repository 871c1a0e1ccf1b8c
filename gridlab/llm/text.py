"""Text on its way to a model and back: without thoughts, and without characters that hide.

Some models write their reasoning between `<think>` and `</think>` before they answer.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class Thoughts:
    """Takes the thoughts out of a text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._is_inside = False

    def without(self, piece: str) -> str:
        """What of the text up to now is certainly no thought and was not given yet."""
        self._held += piece
        seen = ""
        while True:
            mark = _CLOSE if self._is_inside else _OPEN
            before, found, after = self._held.partition(mark)
            if not found:
                break
            if not self._is_inside:
                seen += before
            self._held, self._is_inside = after, not self._is_inside
        kept = _overlap(self._held, mark)
        if not self._is_inside:
            seen += self._held[: len(self._held) - kept]
        self._held = self._held[len(self._held) - kept :]
        return seen

    def rest(self) -> str:
        """What was held back as the possible beginning of a thought."""
        held, self._held = self._held, ""
        return "" if self._is_inside else held


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if mark.startswith(text[-n:])), 0)


def clean(text: str) -> str:
    """`text` without control and format characters (but for line ends and tabs) and half pairs.

    >>> clean("up\\u202e\\x00 10 %\\n")
    'up 10 %\\n'
    """
    return "".join(
        letter
        for letter in text
        if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")
    )
