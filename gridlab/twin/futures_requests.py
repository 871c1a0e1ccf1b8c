"""What USD-M handlers read from requests, and how they write prices.

Shared by the modules of endpoints; knows no endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal

from gridlab.twin.futures_refusals import refuse
from gridlab.twin.futures_rules import fixed
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.params import Params

FOREVER_MS = 253_402_300_799_000


def listed(state: FuturesState, params: Params) -> str:
    """The symbol that is named; raises -1102 without one, -1121 for an unknown one."""
    symbol = params.text("symbol")
    if not state.venue.has(symbol):
        raise refuse(-1121)
    return symbol


def maybe_listed(state: FuturesState, params: Params) -> str | None:
    """The symbol that is named, if one is."""
    return listed(state, params) if "symbol" in params else None


def member(params: Params, name: str, allowed: Collection[str], code: int) -> str:
    """One of `allowed`; raises -1102 without one, and `code` for another word."""
    value = params.text(name)
    if value not in allowed:
        raise refuse(code, name.lower())
    return value


def maybe_member(params: Params, name: str, allowed: Collection[str], code: int) -> str | None:
    """One of `allowed` or None when it was not sent."""
    return member(params, name, allowed, code) if name in params else None


def times(params: Params) -> tuple[int | None, int | None]:
    """`startTime` and `endTime`; raises -1023 when they are the wrong way round."""
    start_ms, end_ms = params.maybe_integer("startTime"), params.maybe_integer("endTime")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise refuse(-1023)
    return start_ms, end_ms


def price_text(state: FuturesState, symbol: str, value: Decimal) -> str:
    return fixed(value, state.rules(symbol).price_precision)


def by_limit(usual: int, steps: tuple[tuple[int, int], ...], above: int) -> Callable[[Params], int]:
    """Weight by `limit`: that of the first step that the limit does not exceed."""

    def weight(params: Params) -> int:
        limit = params.get("limit")
        asked = int(limit) if limit is not None and limit.isdecimal() else usual
        return next((cost for most, cost in steps if asked <= most), above)

    return weight


def by_symbol(one: int, all_of_them: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else all_of_them
