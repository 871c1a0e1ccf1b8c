"""`compiled`: how this package has its loops compiled, cached where that is possible.

numba keeps compiled code beside the module, or below the user's cache folder where the package may
not be written, or in `NUMBA_CACHE_DIR`. Where none of these can be written it refuses to import the
module at all; then every process compiles anew, which takes seconds and changes no figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled when first called, without the interpreter's lock."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return njit(nogil=True)(function)
