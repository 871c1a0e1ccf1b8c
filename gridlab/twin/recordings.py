"""Which recorded prices the twin plays, from the bundle or from the user's data, and from where.

Only reads and cuts; who plays the steps is `playback`'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from gridlab.data import catalog
from gridlab.data.bars import Bars, read_bars
from gridlab.data.history import History
from gridlab.domain.market import Instrument, Interval, Market
from gridlab.errors import InvalidInput, NotFound
from gridlab.twin.options import TwinOptions
from gridlab.twin.widths import DAY_MS, MINUTE_MS

#: What must lie before the start at least, where the recording has it: tickers are full at once.
_LEAST_PAST_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Recording:
    """One symbol's prices: what lies before the start, and what will be played.

    Args:
        future: one-minute candles, played from the first; never empty.
    """

    instrument: Instrument
    past: Bars
    future: Bars

    @property
    def start_ms(self) -> int:
        """The recorded moment at which the play begins."""
        return int(self.future.open_time_ms[0])

    @property
    def opening(self) -> Decimal:
        return self.future.kline(0).open


def recordings(options: TwinOptions) -> dict[tuple[Market, str], Recording]:
    """What `options` ask for, each market with those of the symbols that it has.

    Raises:
        NotFound: a symbol of which there is no recording at all, or no instrument.
        InvalidInput: data that cannot be played.
    """
    found = {}
    for symbol in options.symbols:
        for market in Market:
            bars = _bars(options.data, market, symbol)
            if bars is not None:
                found[market, symbol] = _cut(bars, catalog.instrument(symbol, market), options)
        if not any(name == symbol for _, name in found):
            where = "the bundle" if options.data is None else str(options.data)
            known = ", ".join(f"{s.symbol} ({s.market})" for s in catalog.catalog())
            raise NotFound(
                f"{symbol} is not recorded in {where}; bundled are {known}; name others by --data"
            )
    return found


def _bars(data: Path | None, market: Market, symbol: str) -> Bars | None:
    """The recording of one symbol on one market; None when there is none there."""
    if data is None:
        return _bundled(market, symbol)
    if data.is_dir():
        return _stored(data, market, symbol)
    if not data.is_file():
        raise NotFound(f"{data} is neither a file of candles nor a folder of gridlab data")
    # One file is one symbol's: it plays on both markets where the symbol has rules.
    return read_bars(data, symbol=symbol, market=market) if _is_known(symbol, market) else None


def _bundled(market: Market, symbol: str) -> Bars | None:
    names = {(series.market, series.symbol) for series in catalog.catalog()}
    return catalog.load(symbol, market) if (market, symbol) in names else None


def _stored(folder: Path, market: Market, symbol: str) -> Bars | None:
    history = History(folder)
    for stored in history.series():
        if stored.key == (market, symbol, Interval.M1) and _is_known(symbol, market):
            return history.load(symbol, Interval.M1, market=market)
    return None


def _is_known(symbol: str, market: Market) -> bool:
    try:
        catalog.instrument(symbol, market)
    except NotFound:
        return False
    return True


def _cut(bars: Bars, instrument: Instrument, options: TwinOptions) -> Recording:
    if len(bars) < 2:
        raise InvalidInput(f"{bars.symbol}: {len(bars)} candles are too few to play")
    if bars.interval is not Interval.M1:
        raise InvalidInput(
            f"{bars.symbol}: the twin plays candles of 1m, these are of {bars.interval}"
        )
    whole = _without_holes(bars)
    first, last = int(whole.open_time_ms[0]), int(whole.open_time_ms[-1])
    start_ms = _start(first, last, options.start_ms)
    return Recording(instrument, whole.slice(None, start_ms), whole.slice(start_ms, None))


def _start(first_ms: int, last_ms: int, wished_ms: int | None) -> int:
    if wished_ms is not None:
        start_ms = wished_ms - wished_ms % MINUTE_MS
        if not first_ms < start_ms <= last_ms:
            raise InvalidInput(
                f"the play cannot start at {wished_ms}: the recording goes from {first_ms} to "
                f"{last_ms}, and a candle must lie before the start"
            )
        return start_ms
    if first_ms + _LEAST_PAST_MS <= catalog.DEFAULT_REPLAY_START_MS <= last_ms:
        return catalog.DEFAULT_REPLAY_START_MS
    # Elsewhere: half of it, and at most four days, is history.
    return first_ms + max(min((last_ms - first_ms) // 2, 4 * DAY_MS) // MINUTE_MS, 1) * MINUTE_MS


def _without_holes(bars: Bars) -> Bars:
    """The bars after the last hole: a past that is moved in time must have none."""
    gaps = bars.gaps()
    return bars.slice(gaps[-1][1] + MINUTE_MS, None) if gaps else bars


def shifted(bars: Bars, end_ms: int) -> Bars:
    """The same candles, moved so that the minute after the last one is `end_ms`."""
    if not len(bars):
        return bars
    return replace(bars, open_time_ms=bars.open_time_ms + (end_ms - bars.end_ms))
