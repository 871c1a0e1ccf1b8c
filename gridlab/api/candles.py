"""Candles as JSON, each closed one made once: it never changes, and readers ask every second.

A reader's hundred candles differ from those of a second ago in one. So the texts of closed candles
are kept, and the engine is asked for the newest few only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Closed:
    """Texts of a series' latest closed candles, at most MAX_LIMIT, without a hole.

    Args:
        texts: (open time, JSON), oldest first.
        is_whole: no older candle exists.
    """

    texts: tuple[tuple[int, str], ...]
    is_whole: bool


class CandleTexts:
    """The candles of one engine as JSON texts; any thread may ask.

    The engine may wait for a venue, so no lock is held while it is asked: readers of one series do
    not wait for another's. Two readers of the same one may both make its texts; either will do.
    """

    def __init__(self, lab: GridLab) -> None:
        self._lab = lab
        self._known: OrderedDict[Key, _Closed] = OrderedDict()
        self._lock = threading.Lock()

    def array(self, symbol: str, interval: Interval, limit: int, market: Market) -> CandleArray:
        """The last `limit` candles, oldest first, the open one included.

        Raises:
            NotFound, InvalidInput: as the engine says.
        """
        key = (market, symbol, interval)
        known = self._known.get(key)
        if known is not None and limit > _NEWEST:
            newest = self._lab.dated_klines(symbol, interval, _NEWEST, market)
            closed = _grown(known, newest.value)
            if closed is not None and (len(closed.texts) >= limit - 1 or closed.is_whole):
                self._keep(key, closed)
                text = _joined(closed, newest.value[-1], limit)
                return CandleArray(text, newest.age_ms, newest.is_stale)
        found = self._lab.dated_klines(symbol, interval, limit, market)
        if limit > _NEWEST and found.value:
            self._keep(key, _Closed(_texts(found.value[:-1]), is_whole=len(found.value) < limit))
        text = "[" + ",".join(map(_text, found.value)) + "]"
        return CandleArray(text, found.age_ms, found.is_stale)

    def _keep(self, key: Key, closed: _Closed) -> None:
        with self._lock:
            self._known[key] = closed
            self._known.move_to_end(key)
            while len(self._known) > _MOST_SERIES:
                self._known.popitem(last=False)


def _grown(known: _Closed, newest: Sequence[Kline]) -> _Closed | None:
    """`known` with the candles that closed meanwhile; None when it does not reach them."""
    if not known.texts or not newest:
        return None
    last = known.texts[-1][0]
    opened = [candle.open_time_ms for candle in newest[:-1]]
    if last not in opened:  # a long silence, or the market's time was put back
        return None
    more = newest[opened.index(last) + 1 : -1]
    if not more:
        return known
    texts = (*known.texts, *_texts(more))
    return _Closed(texts[-MAX_LIMIT:], known.is_whole and len(texts) <= MAX_LIMIT)


def _texts(candles: Sequence[Kline]) -> tuple[tuple[int, str], ...]:
    return tuple((candle.open_time_ms, _text(candle)) for candle in candles)


def _joined(closed: _Closed, latest: Kline, limit: int) -> str:
    start = max(0, len(closed.texts) - limit + 1)
    return "[" + ",".join((*(text for _, text in closed.texts[start:]), _text(latest))) + "]"


def _text(candle: Kline) -> str:
    return Candle.of(candle).model_dump_json()
