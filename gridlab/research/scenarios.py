"""The seven scenarios of a stress card: each a synthetic path from the grid's start price.

A path is a skeleton of stated anchors in log price, seeded Brownian noise between them that is zero
at every anchor, and wicks of the same size; prices are rounded to the tick. The noise has the
volatility of the user's own bars if there are any. What the venue does besides (halts, other fees)
is a `Shock`; what it takes besides is `Funding`. Nothing here is a forecast: depth and duration are
stated parameters, the same for every grid, so that grids can be compared. Knows no result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from gridlab.data.bars import Bars
from gridlab.data.funding import Funding
from gridlab.domain.market import FeeSchedule, Interval, Market
from gridlab.domain.plan import GridPlan
from gridlab.exchange.paper import PaperBook
from gridlab.money import rounding, text
from gridlab.research.core_run import Shock
from gridlab.research.metrics import FloatArray

#: Rises when a scenario gives another path than before for the same grid and seed.
EDITION = 1
#: 2024-01-01 00:00 UTC: where every path begins; a moment of funding, and no recording.
START_MS = 1_704_067_200_000
MINUTE_MS, HOUR = 60_000, 60
#: Volatility of a minute where nobody gave bars: some 2 % a day.
DEFAULT_VOLATILITY = 0.0005
VOLUME = 100.0
#: Parameters that are fractions, and percentages in words.
FRACTIONS = frozenset(
    {"below_bottom", "above_top", "of_way_to_bottom", "recovers", "falls", "at_least", "rate"}
)


@dataclass(frozen=True, eq=False)
class Stage:
    """What a path is made from: a plan at its start price, volatility of a minute, a seed."""

    plan: GridPlan
    volatility: float
    seed: int

    @property
    def start(self) -> float:
        return float(self.plan.reference_price)

    def log_to(self, price: float) -> float:
        """Log distance from the start to a price."""
        return math.log(price / self.start)

    @property
    def spacing(self) -> float:
        """Mean log distance of neighbouring lines."""
        lines = self.plan.lines
        return math.log(float(lines[-1]) / float(lines[0])) / (len(lines) - 1)


@dataclass(frozen=True, eq=False)
class Script:
    """What happens in one scenario; `is_compared`: a run without shocks and funding tells more."""

    bars: Bars
    shocks: tuple[Shock, ...] = ()
    funding: Funding | None = None
    is_compared: bool = False


@dataclass(frozen=True, eq=False)
class Scenario:
    """One scenario: its name, what happens in words, the numbers in it, and how it is made.

    Args:
        only: the one market on which it can happen; None for both.
    """

    name: str
    title: str
    words: str
    parameters: Mapping[str, str]
    build: Callable[[Stage, Mapping[str, str]], Script]
    only: Market | None = None
    why_not: str = ""

    def script(self, stage: Stage) -> Script:
        """What happens to the grid of `stage`."""
        return self.build(stage, self.parameters)


# --- paths ----------------------------------------------------------------------------------------


def _noise(stage: Stage, name: str) -> np.random.Generator:
    """A generator of its own for each scenario, so that one more changes none of the others."""
    return np.random.default_rng([stage.seed, *name.encode()])


def _path(
    stage: Stage, random: np.random.Generator, anchors: list[tuple[int, float]], size: float = 1.0
) -> FloatArray:
    """Closes of minutes 1 to the last anchor's, in log distance from the start.

    Args:
        anchors: (minute, log distance), ascending, minute 0 left out.
        size: of the noise, in volatilities of a minute.
    """
    minutes, levels = (np.array(column) for column in zip((0, 0.0), *anchors, strict=True))
    every = np.arange(int(minutes[-1]) + 1)
    walk = np.concatenate(([0.0], np.cumsum(random.standard_normal(len(every) - 1))))
    bridged = walk - np.interp(every, minutes, walk[minutes.astype(np.int64)])
    skeleton = np.interp(every, minutes, levels)
    path: FloatArray = (skeleton + size * stage.volatility * bridged)[1:]
    return path


def _candles(
    stage: Stage,
    closes: FloatArray,
    random: np.random.Generator,
    *,
    wicks: float = 0.5,
    gap: int | None = None,
) -> Bars:
    """Minutes through these closes (log distances); at bar `gap` nothing trades on the way."""
    opens = np.concatenate(([0.0], closes[:-1]))
    if gap is not None:
        opens[gap] = closes[gap]
    reach = wicks * stage.volatility * np.abs(random.standard_normal((2, len(closes))))
    high, low = np.maximum(opens, closes) + reach[0], np.minimum(opens, closes) - reach[1]
    tick = stage.plan.instrument.tick_size

    def on_tick(logs: FloatArray) -> FloatArray:
        ticks = np.maximum(np.rint(stage.start * np.exp(logs) / float(tick)), 1)
        return np.array([float(int(count) * tick) for count in ticks])

    count = len(closes)
    return Bars(
        symbol=stage.plan.spec.symbol,
        market=stage.plan.spec.market,
        interval=Interval.M1,
        open_time_ms=START_MS + MINUTE_MS * np.arange(count, dtype=np.int64),
        open=on_tick(opens),
        high=on_tick(high),
        low=on_tick(low),
        close=on_tick(closes),
        volume=np.full(count, VOLUME),
        quote_volume=np.full(count, np.nan),
        trades=np.full(count, -1, np.int64),
    )


def _swings(stage: Stage, random: np.random.Generator, days: int, spacings: float) -> FloatArray:
    """Log distances that return to the start: half of a distance is gone after an hour.

    Source: the Ornstein-Uhlenbeck process, exactly discretised.
    """
    kept = 0.5 ** (1 / HOUR)
    push = spacings * stage.spacing * math.sqrt(1 - kept * kept)
    steps = push * random.standard_normal(days * 24 * HOUR)
    level, levels = 0.0, np.empty(len(steps))
    for minute, step in enumerate(steps):
        level = kept * level + step
        levels[minute] = level
    return levels


# --- the seven ------------------------------------------------------------------------------------


def _crash(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "crash")
    quiet, falls, stays = (int(of[k]) * HOUR for k in ("quiet_hours", "hours", "after_hours"))
    bottom = stage.log_to(float(stage.plan.lines[0]) * (1 - float(of["below_bottom"])))
    anchors = [(quiet, 0.0), (quiet + falls, bottom), (quiet + falls + stays, bottom)]
    return Script(_candles(stage, _path(stage, random, anchors), random))


def _pump(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "pump")
    rises, stays = int(of["hours"]) * HOUR, int(of["after_hours"]) * HOUR
    top = stage.log_to(float(stage.plan.lines[-1]) * (1 + float(of["above_top"])))
    path = _path(stage, random, [(rises, top), (rises + stays, top)], size=0.0)
    return Script(_candles(stage, path, random, wicks=0.0))


def _chop(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "chop")
    levels = _swings(stage, random, int(of["days"]), float(of["spacings"]))
    return Script(_candles(stage, levels, random))


def _gap(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "gap")
    before, after = int(of["quiet_hours"]) * HOUR, int(of["after_hours"]) * HOUR
    depth = float(of["of_way_to_bottom"]) * stage.log_to(float(stage.plan.lines[0]))
    depth = min(depth, -2 * stage.spacing)
    back = depth * (1 - float(of["recovers"]))
    anchors = [(before, 0.0), (before + 1, depth), (before + 1 + after, back)]
    return Script(_candles(stage, _path(stage, random, anchors), random, gap=before))


def _delisting(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "delisting")
    quiet, falls, halted = int(of["quiet_hours"]) * HOUR, int(of["hours"]) * HOUR, 10
    end = math.log(1 - float(of["falls"]))
    path = _path(stage, random, [(quiet, 0.0), (quiet + falls, end)])
    path = np.concatenate((path, np.full(halted, path[-1])))
    bars = _candles(stage, path, random)
    flat = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for column in flat.values():
        column[-halted:] = flat["close"][-halted - 1]
    return Script(replace(bars, **flat), (Shock(len(bars) - halted, halt_of(stage.plan)),))


def halt_of(plan: GridPlan) -> Callable[[PaperBook, int], None]:
    """The venue closes the market: it ends every open order and takes none any more."""

    def halt(book: PaperBook, time_ms: int) -> None:
        symbol = plan.spec.symbol
        book.set_instrument(replace(plan.instrument, status="BREAK"))
        for order in book.open_orders(symbol):
            book.expire(symbol, order.client_id, time_ms)

    return halt


def _fee_change(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "fee_change")
    levels = _swings(stage, random, int(of["days"]), float(of["spacings"]))
    bars = _candles(stage, levels, random)
    fees = raised(stage.plan.spec.fees, of)

    def change(book: PaperBook, time_ms: int) -> None:
        book.set_fees(fees)

    return Script(bars, (Shock(len(bars) // 2, change),), is_compared=True)


def raised(fees: FeeSchedule, of: Mapping[str, str]) -> FeeSchedule:
    """The schedule after the change: so many times the old rates, and no less than the floor."""
    factor, floor = Decimal(of["times"]), Decimal(of["at_least"])
    with rounding():
        maker, taker = (max(rate * factor, floor) for rate in (fees.maker, fees.taker))
    return replace(fees, maker=maker, taker=taker)


def _funding_spike(stage: Stage, of: Mapping[str, str]) -> Script:
    random = _noise(stage, "funding_spike")
    days, every = int(of["days"]), int(of["every_hours"])
    bars = _candles(stage, _swings(stage, random, days, float(of["spacings"])), random)
    times = START_MS + MINUTE_MS * HOUR * every * np.arange(1, days * 24 // every, dtype=np.int64)
    rates = (Decimal(of["rate"]),) * len(times)
    spike = Funding(stage.plan.spec.symbol, times, rates, "the scenario")
    return Script(bars, funding=spike, is_compared=True)


def _scenario(
    name: str,
    title: str,
    words: str,
    build: Callable[[Stage, Mapping[str, str]], Script],
    *,
    only: Market | None = None,
    why_not: str = "",
    **parameters: str,
) -> Scenario:
    shown = {key: _percent(v) if key in FRACTIONS else v for key, v in parameters.items()}
    frozen = MappingProxyType(parameters)
    return Scenario(name, title, words.format(**shown), frozen, build, only, why_not)


def _percent(fraction: str) -> str:
    with rounding():
        return f"{text(Decimal(fraction) * 100)} %"


SCENARIOS: tuple[Scenario, ...] = (
    _scenario(
        "crash",
        "crash through the bottom",
        "After {quiet_hours} quiet hours the price falls for {hours} hours, to {below_bottom} "
        "below the lowest line, and stays there for {after_hours} hours.",
        _crash,
        quiet_hours="6",
        hours="12",
        after_hours="12",
        below_bottom="0.2",
    ),
    _scenario(
        "pump",
        "one-way pump",
        "The price rises for {hours} hours without one step back, to {above_top} above the highest "
        "line, and stays there for {after_hours} hours.",
        _pump,
        hours="24",
        after_hours="12",
        above_top="0.2",
    ),
    _scenario(
        "chop",
        "chop",
        "For {days} days the price swings around the start, within {spacings} spacings of it two "
        "thirds of the time, and half of each distance is gone after an hour.",
        _chop,
        days="3",
        spacings="1.5",
    ),
    _scenario(
        "gap",
        "gap",
        "After {quiet_hours} quiet hours the price opens {of_way_to_bottom} of the way to the "
        "lowest line below, at least two spacings, with no trade between; in {after_hours} hours "
        "it recovers {recovers} of that.",
        _gap,
        quiet_hours="6",
        after_hours="18",
        of_way_to_bottom="0.6",
        recovers="0.5",
    ),
    _scenario(
        "delisting",
        "delisting",
        "After {quiet_hours} quiet hours a delisting is announced and the price falls by {falls} "
        "in {hours} hours; then the venue ends all orders and takes none.",
        _delisting,
        quiet_hours="6",
        hours="6",
        falls="0.6",
    ),
    _scenario(
        "fee_change",
        "fee change",
        "The price swings as in the chop for {days} days; half-way the venue takes {times} times "
        "its fees, at least {at_least} of each trade, and the grid does not know.",
        _fee_change,
        days="3",
        spacings="1.5",
        times="2",
        at_least="0.0005",
    ),
    _scenario(
        "funding_spike",
        "funding spike",
        "The price swings as in the chop for {days} days while longs pay {rate} of the "
        "position each {every_hours} hours.",
        _funding_spike,
        only=Market.FUTURES,
        why_not="a spot grid owns what it holds and pays no funding; it applies to a futures grid",
        days="3",
        spacings="1.5",
        rate="0.0075",
        every_hours="8",
    ),
)


def volatility_of(bars: Bars | None) -> float:
    """Standard deviation of a minute's log return; of wider bars scaled by the root of time."""
    if bars is None or len(bars) < 30:
        return DEFAULT_VOLATILITY
    steps = np.diff(np.log(bars.close))
    found = float(np.std(steps)) / math.sqrt(bars.interval.ms / MINUTE_MS)
    return found if found > 0 else DEFAULT_VOLATILITY
