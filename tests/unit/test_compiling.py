"""Loops compile also where nothing can be cached."""

from __future__ import annotations

from typing import Any

import pytest

from gridlab.research import compiling
from gridlab.research.compiling import compiled


def test_a_function_without_a_file_is_compiled_and_not_cached() -> None:
    """numba refuses to cache it, as it does where no folder may be written."""
    names: dict[str, Any] = {}
    exec("def twice(x):\n    return 2 * x\n", names)
    twice = compiled(names["twice"])
    assert twice(21) == 42 and twice.signatures


def test_any_other_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**settings: object) -> Any:
        raise RuntimeError("the compiler is broken")

    monkeypatch.setattr(compiling, "njit", fail)
    with pytest.raises(RuntimeError, match="broken"):
        compiled(lambda x: x)
