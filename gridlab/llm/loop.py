"""One event loop in a thread of its own, where blocking calls run their asynchronous twins.

So there is one implementation of each call, with one deadline and one way to cancel it, and the
blocking form works in a notebook's cell, where the thread already has a running loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def wait(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; an interrupt of this thread cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _loop() -> asyncio.AbstractEventLoop:
    """The loop, started when it is first wanted; a forked child starts its own."""
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="gridlab-llm", daemon=True).start()
            _running = (os.getpid(), loop)
        return _running[1]
