"""A progress bar with the time left, in a notebook or a terminal, for all that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds of work before a bar is worth its line.
DELAY_S = 1.0


@contextmanager
def meter(
    progress: bool | Callable[[float], None], total: int, name: str, unit: str = "grids"
) -> Iterator[Callable[[int], None]]:
    """A function to be called with how much more is done.

    Args:
        progress: True shows a bar on stderr or in the notebook, after a second; False nothing; a
            function is called with the fraction that is done.
    """
    if callable(progress):
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            if total:
                progress(done / total)

        yield tell
        return
    bar = _bar(total, name, unit) if progress and total else None
    if bar is None:
        yield lambda count: None
        return
    with bar:
        yield lambda count: bar.update(count) and None


def _bar(total: int, name: str, unit: str):  # type: ignore[no-untyped-def]
    """tqdm's bar, the notebook's own where there is one; None where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=name, unit=f" {unit}", delay=DELAY_S)
