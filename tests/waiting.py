"""Waiting for what another thread or process does, and for a moment that disturbs nothing."""

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


def wait_for_room(window_s: float, needed_s: float) -> None:
    """Wait for a venue's next window of `window_s` unless the present one has `needed_s` left.

    Venues count requests, and pay funding, in windows that begin at whole multiples of their length
    by the clock; a test that one of them ends under would see half of its own doings.
    """
    left_s = window_s - time.time() % window_s
    if left_s < needed_s:
        time.sleep(left_s)
