"""Candles as JSON, each closed one made once: it never changes, and readers ask every second.

A reader's hundred candles differ from those of a second ago in one. So the texts of closed candles
are kept, and the engine is asked for the newest few only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from gridlab.api.requests import MAX_LIMIT
from gridlab.api.schemas import Candle
from gridlab.app.facade import GridLab
from gridlab.domain.market import Interval, Kline, Market

#: Candles that are asked for when the others are known: the open one, and two that may have closed.
_NEWEST: Final = 3
#: Series of which texts are kept; the one that was read longest ago is forgotten first.
_MOST_SERIES: Final = 32

Key = tuple[Market, str, Interval]


@dataclass(frozen=True, slots=True)
class CandleArray:
    """Candles as a JSON array, and how old the newest of them are."""

    text: str
    age_ms: int
    is_stale: bool


@dataclass(slots=True)
class _Closed:
    """Texts of a series' latest closed candles, oldest first, without a hole.

    Args:
        is_whole: no older candle exists.
    """

    texts: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MAX_LIMIT))
    is_whole: bool = False


class CandleTexts:
    """The candles of one engine as JSON texts; any thread may ask."""

    def __init__(self, lab: GridLab) -> None:
        self._lab = lab
        self._known: OrderedDict[Key, _Closed] = OrderedDict()
        self._lock = threading.Lock()

    def array(self, symbol: str, interval: Interval, limit: int, market: Market) -> CandleArray:
        """The last `limit` candles, oldest first, the open one included.

        Raises:
            NotFound, InvalidInput: as the engine says.
        """
        with self._lock:
            return self._array((market, symbol, interval), limit)

    def _array(self, key: Key, limit: int) -> CandleArray:
        market, symbol, interval = key
        closed = self._known.get(key)
        if closed is not None and limit > _NEWEST:
            newest = self._lab.dated_klines(symbol, interval, _NEWEST, market)
            has_enough = len(closed.texts) >= limit - 1 or closed.is_whole
            if has_enough and _append(closed, newest.value):
                self._known.move_to_end(key)
                text = _joined(closed, newest.value[-1], limit)
                return CandleArray(text, newest.age_ms, newest.is_stale)
        found = self._lab.dated_klines(symbol, interval, limit, market)
        if limit > _NEWEST and found.value:
            self._keep(key, found.value, limit)
        text = "[" + ",".join(map(_text, found.value)) + "]"
        return CandleArray(text, found.age_ms, found.is_stale)

    def _keep(self, key: Key, candles: Sequence[Kline], limit: int) -> None:
        closed = _Closed(is_whole=len(candles) < limit)
        closed.texts.extend((candle.open_time_ms, _text(candle)) for candle in candles[:-1])
        self._known[key] = closed
        while len(self._known) > _MOST_SERIES:
            self._known.popitem(last=False)


def _append(closed: _Closed, newest: Sequence[Kline]) -> bool:
    """Add the candles that closed meanwhile; False when what is known does not reach them."""
    if not closed.texts or not newest:
        return False
    last = closed.texts[-1][0]
    opened = [candle.open_time_ms for candle in newest[:-1]]
    if last not in opened:  # a long silence, or the market's time was put back
        return False
    for candle in newest[opened.index(last) + 1 : -1]:
        if len(closed.texts) == closed.texts.maxlen:
            closed.is_whole = False
        closed.texts.append((candle.open_time_ms, _text(candle)))
    return True


def _joined(closed: _Closed, latest: Kline, limit: int) -> str:
    start = max(0, len(closed.texts) - limit + 1)
    texts = [text for _, text in islice(closed.texts, start, None)]
    return "[" + ",".join((*texts, _text(latest))) + "]"


def _text(candle: Kline) -> str:
    return Candle.of(candle).model_dump_json()
