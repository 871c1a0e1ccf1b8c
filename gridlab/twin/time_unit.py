"""Spot's answers in microseconds, for a client that asked for them.

REST is asked by the header `X-MBX-TIME-UNIT`, sockets by `timeUnit` in their address; USD-M knows
neither.

Source: Binance's spot pages "General API Information" and "Errors" (-1194).
"""

from __future__ import annotations

from typing import Any

from gridlab.twin.answers import refuse

HEADER = "X-MBX-TIME-UNIT"
_MOMENTS = frozenset(
    (
        *("serverTime", "time", "updateTime", "workingTime", "transactTime", "timestamp"),
        *("openTime", "closeTime", "T", "connectedSince", "authorizedSince"),
    )
)
_KLINES = ("/klines", "/uiKlines")
#: Where a candle's opening and its end stand in its row.
_OPENS, _CLOSES = 0, 6


def is_microseconds(asked: str | None) -> bool:
    """Whether microseconds are asked for; raises -1194 for a unit that is not known."""
    unit = (asked or "MILLISECOND").upper()
    if unit not in ("MILLISECOND", "MICROSECOND"):
        raise refuse(-1194)
    return unit == "MICROSECOND"


def in_microseconds(path: str, payload: Any) -> Any:
    """What the endpoint at `path` answered, with each of its times in microseconds."""
    return [_candle(row) for row in payload] if path.endswith(_KLINES) else _finer(payload)


def _finer(payload: Any) -> Any:
    if isinstance(payload, list):
        return [_finer(each) for each in payload]
    if not isinstance(payload, dict):
        return payload
    return {
        key: value * 1_000 if key in _MOMENTS and isinstance(value, int) else _finer(value)
        for key, value in payload.items()
    }


def _candle(row: list[Any]) -> list[Any]:
    """The end is the last microsecond of the candle, not of its last millisecond."""
    finer = list(row)
    finer[_OPENS] *= 1_000
    finer[_CLOSES] = (finer[_CLOSES] + 1) * 1_000 - 1
    return finer
