"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(
    condition: Callable[[], Found], what: str = "what was waited for", seconds: float = 30
) -> Found:
    """What the condition gives as soon as it is true; fails when that is not in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not happen in time: {what}"
        time.sleep(0.005)
    return found
