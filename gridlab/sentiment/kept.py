"""Verdicts that were given, by a hash of their text, so that an equal text is judged once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TypeAlias

from gridlab.errors import InvalidInput
from gridlab.sentiment.judges import Verdict

#: A verdict, and whether its text is about crypto.
Judged: TypeAlias = tuple[Verdict, bool]


class Kept:
    """The latest verdicts, at most `size` of them; any thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._items: OrderedDict[bytes, Judged] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: bytes) -> Judged | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: bytes, kept: Judged) -> None:
        with self._lock:
            self._items[key] = kept
            while len(self._items) > self._size:
                self._items.popitem(last=False)


def key_of(text: str) -> bytes:
    """The hash of a text.

    Raises:
        InvalidInput: `text` is no string.
    """
    if not isinstance(text, str):
        raise InvalidInput(f"a text is a string, not a {type(text).__name__}")
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
