"""One event loop in a thread of its own, where blocking calls run their asynchronous twins.

So there is one implementation of each call, with one deadline and one way to cancel it, and the
blocking form works in a notebook's cell, where the thread already has a running loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Seconds between two questions whether a call is still wanted.
_LOOK_EVERY_S: Final = 0.1
_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def wait(work: Coroutine[Any, Any, T], still_wanted: Callable[[], None] | None = None) -> T:
    """What `work` returns.

    Args:
        still_wanted: called now and then; what it raises cancels the work and passes, as an
            interrupt of this thread does.
    """
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        while still_wanted is not None:
            still_wanted()
            done, _ = concurrent.futures.wait((future,), _LOOK_EVERY_S)
            if done:
                break
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, run in the other loop; this one only waits. Cancelling cancels both."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))


def _loop() -> asyncio.AbstractEventLoop:
    """The loop, started when it is first wanted; a forked child starts its own."""
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="gridlab-llm", daemon=True).start()
            _running = (os.getpid(), loop)
        return _running[1]
