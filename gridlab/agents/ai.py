"""The AI agent: runs the language model's tasks now and then, and emits texts and `Advice`.

It reads pictures of the engine and market data, in a bounded pool; it holds no order, no exchange
and no grid, and nothing reads its texts but people. Its advice follows from computed figures and a
number between 0 and 3, which a model may raise and never lower, so that the worst a model can do
is to make somebody more careful for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from gridlab.agents.pool import BoundedPool, Unwanted
from gridlab.clock import Clock
from gridlab.domain.advice import Advice, AdviceKind, advise
from gridlab.domain.market import Market
from gridlab.errors import GridLabError
from gridlab.llm.facts import Language
from gridlab.llm.render import Report
from gridlab.llm.tasks.grid import Shape
from gridlab.llm.tasks.market import KIND as MARKET_KIND
from gridlab.llm.tasks.reports import ReportKind
from gridlab.llm.writing import Written

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

#: Texts and pieces of advice that are remembered.
REMEMBERED: Final = 50
DAY_MS: Final = 86_400_000
#: Exposure taken away for each step of caution.
STEP: Final = Decimal("0.25")
_LOOK_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class Proposed:
    """The outcome of one grid optimisation, as far as the agent needs it."""

    symbol: str
    present: Shape
    shape: Shape
    is_startable: bool
    written: Written


class Desk(Protocol):
    """What the agent may ask for; each call blocks, and ends when `still_wanted` raises."""

    def running(self) -> tuple[tuple[str, Market], ...]:
        """The pairs on which bots run now; none while the engine is not ready."""
        ...

    def now_ms(self) -> int:
        """Market time."""
        ...

    def analyse(
        self, symbol: str, market: Market, language: Language, still_wanted: Callable[[], None]
    ) -> Written: ...

    def optimise(
        self, symbol: str, market: Market, language: Language, still_wanted: Callable[[], None]
    ) -> Proposed: ...

    def report(
        self, kind: ReportKind, language: Language, still_wanted: Callable[[], None]
    ) -> Report: ...


@dataclass(frozen=True, slots=True)
class AiPlan:
    """What the agent does, and how often, by the machine's clock; 0 is never."""

    analyse_every_ms: int
    optimise_every_ms: int
    report_every_ms: int = DAY_MS
    reports: tuple[ReportKind, ...] = (ReportKind.DAILY,)
    language: Language = "en"


class AiAgent:
    """Runs the plan until it is cancelled; `gridlab.agents.supervisor` keeps it alive.

    Attributes:
        beat_ms: the last sign of life, by the machine's clock.
    """

    def __init__(self, desk: Desk, plan: AiPlan, clock: Clock) -> None:
        self._desk = desk
        self._plan = plan
        self._clock = clock
        self._texts: OrderedDict[tuple[str, str], Written] = OrderedDict()
        self._reports: dict[ReportKind, Report] = {}
        self._proposals: dict[str, Proposed] = {}
        self._advice: deque[Advice] = deque(maxlen=REMEMBERED)
        self.beat_ms = clock.now_ms()

    async def run(self) -> None:
        """Do what is due, for ever; the first of each comes after its whole interval."""
        pool = BoundedPool("gridlab-ai")
        plan, now_ms = self._plan, self._clock.now_ms()
        due = {
            self._analyse_all: plan.analyse_every_ms,
            self._optimise_all: plan.optimise_every_ms,
            self._report_all: plan.report_every_ms if plan.reports else 0,
        }
        next_ms = {work: now_ms + every_ms for work, every_ms in due.items() if every_ms}
        try:
            while True:
                self.beat_ms = self._clock.now_ms()
                for work in [one for one, at_ms in next_ms.items() if at_ms <= self.beat_ms]:
                    next_ms[work] = self.beat_ms + due[work]
                    await self._beating(pool.run(work, pool.still_wanted))
                await self._clock.sleep_until(self._clock.now_ms() + _LOOK_EVERY_MS)
        finally:
            pool.close()

    async def _beating(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work of the pool, alive meanwhile; its own deadlines bound how long it takes."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_EVERY_MS / 1000))[0]:
                self.beat_ms = self._clock.now_ms()
        finally:
            task.cancel()
        task.result()

    # --- what it has to say -----------------------------------------------------------------------

    @property
    def texts(self) -> Mapping[tuple[str, str], Written]:
        """The latest text by (kind, symbol)."""
        return MappingProxyType(dict(self._texts))

    @property
    def reports(self) -> Mapping[ReportKind, Report]:
        return MappingProxyType(dict(self._reports))

    @property
    def proposals(self) -> Mapping[str, Proposed]:
        """The latest proposal by symbol; none of them is ever applied from here."""
        return MappingProxyType(dict(self._proposals))

    def advice(self) -> tuple[Advice, ...]:
        """What still holds, oldest first."""
        now_ms = self._desk.now_ms()
        return tuple(one for one in tuple(self._advice) if one.is_valid(now_ms))

    # --- the work, in a thread of the pool --------------------------------------------------------

    def _analyse_all(self, still_wanted: Callable[[], None]) -> None:
        for symbol, market in self._desk.running():
            if written := _tried(self._analyse, symbol, market, still_wanted):
                self._texts[MARKET_KIND, symbol] = written
                self._texts.move_to_end((MARKET_KIND, symbol))
                while len(self._texts) > REMEMBERED:
                    self._texts.popitem(last=False)

    def _analyse(self, symbol: str, market: Market, still_wanted: Callable[[], None]) -> Written:
        written = self._desk.analyse(symbol, market, self._plan.language, still_wanted)
        lives_ms = 2 * self._plan.analyse_every_ms
        self._advice += advice_of(symbol, written, self._desk.now_ms(), lives_ms)
        return written

    def _optimise_all(self, still_wanted: Callable[[], None]) -> None:
        for symbol, market in self._desk.running():
            if proposed := _tried(self._optimise, symbol, market, still_wanted):
                self._proposals[symbol] = proposed

    def _optimise(self, symbol: str, market: Market, still_wanted: Callable[[], None]) -> Proposed:
        proposed = self._desk.optimise(symbol, market, self._plan.language, still_wanted)
        lives_ms = 2 * self._plan.optimise_every_ms
        self._advice += spacing_advice(proposed, self._desk.now_ms(), lives_ms)
        return proposed

    def _report_all(self, still_wanted: Callable[[], None]) -> None:
        for kind in self._plan.reports:
            if report := _tried(self._desk.report, kind, self._plan.language, still_wanted):
                self._reports[kind] = report


def advice_of(symbol: str, written: Written, now_ms: int, lives_ms: int) -> list[Advice]:
    """What follows from the caution of a market analysis: less exposure, at most no new grid."""
    caution = int(written.values["caution"])
    if not caution:
        return []
    reason = (
        f"caution {caution} of 3: trend {written.values['trend']}, volatility "
        f"{written.values['volatility']}"
    )
    found = [(AdviceKind.EXPOSURE, 1 - STEP * caution)]
    if caution == 3:
        found.append((AdviceKind.NEW_PAIR, Decimal(0)))
    return [
        advise(
            f"ai:{written.author}"[:100],
            kind,
            symbol,
            value,
            now_ms=now_ms,
            lives_ms=lives_ms,
            reason=reason,
        )
        for kind, value in found
    ]


def spacing_advice(proposed: Proposed, now_ms: int, lives_ms: int) -> list[Advice]:
    """A wider spacing, where the proposal is wider and could start; a narrower one is no advice."""
    present, shape = proposed.present.spacing, proposed.shape.spacing
    if not proposed.is_startable or not present or shape <= present:
        return []
    factor = (shape / present).quantize(Decimal("0.001"))
    return [
        advise(
            f"ai:{proposed.written.author}"[:100],
            AdviceKind.SPACING,
            proposed.symbol,
            factor,
            now_ms=now_ms,
            lives_ms=lives_ms,
            reason="the hours are rougher than the present spacing",
        )
    ]


def _tried(work: Callable[P, T], *values: P.args, **named: P.kwargs) -> T | None:
    """What `work` gives; None when it fails for a stated reason, which goes to the log."""
    try:
        return work(*values, **named)
    except Unwanted:
        raise
    except GridLabError as error:
        log.warning("the AI agent could not do its work: %s", error)
        return None
