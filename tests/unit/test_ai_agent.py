"""The AI agent: its schedule, its pool, and advice that only asks for more care."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from gridlab.agents.ai import AiAgent, AiPlan, Proposed, advice_of, spacing_advice
from gridlab.agents.pool import BoundedPool, Unwanted
from gridlab.agents.supervisor import Supervisor
from gridlab.clock import ManualClock
from gridlab.domain.advice import AdviceKind
from gridlab.domain.market import Market
from gridlab.errors import Conflict, NotFound
from gridlab.llm.facts import Language
from gridlab.llm.render import Report
from gridlab.llm.tasks import market, reports
from gridlab.llm.tasks.grid import GridFacts, Shape, brief_for
from gridlab.llm.tasks.market import MarketFacts
from gridlab.llm.tasks.reports import ReportFacts, ReportKind
from gridlab.llm.writing import Written

pytestmark = pytest.mark.slow  # seconds each: left out of make check

D = Decimal
NOON = 1_774_353_600_000
MINUTE = 60_000
FALLING = MarketFacts(
    *("BTCUSDT", "USDT", NOON, 168, D(100), D("-0.1"), D(110), D(99), D("0.02"), D("0.01")),
    *(D(30), D(40), D(10), D(30)),
)
CALM = MarketFacts("BTCUSDT", "USDT", NOON, 168, D(100), D(0), D(101), D(99))


def written_of(facts: MarketFacts) -> Written:
    return market.brief_for(facts, "en").by_template("no model")


@dataclass
class Desk:
    """Answers at once, from templates, and counts."""

    facts: MarketFacts = FALLING
    asked: list[str] = field(default_factory=list)
    breaks: Exception | None = None

    def running(self) -> tuple[tuple[str, Market], ...]:
        return (("BTCUSDT", Market.SPOT),)

    def now_ms(self) -> int:
        return NOON

    def analyse(self, symbol: str, where: Market, language: Language, wanted: object) -> Written:
        self.asked.append(f"analyse {symbol}")
        if self.breaks is not None:
            raise self.breaks
        return written_of(self.facts)

    def optimise(self, symbol: str, where: Market, language: Language, wanted: object) -> Proposed:
        self.asked.append(f"optimise {symbol}")
        return proposed(Shape(20, D("0.009")))

    def report(self, kind: ReportKind, language: Language, wanted: object) -> Report:
        self.asked.append(f"report {kind}")
        facts = ReportFacts(kind, "Replay", NOON, 24, ())
        return reports.assemble(facts, reports.brief_for(facts, language).by_template("no model"))


def proposed(shape: Shape, startable: bool = True) -> Proposed:
    present = Shape(10, D("0.005"))
    facts = GridFacts(
        *("BTCUSDT", "USDT", NOON, D(100), D(110), D(99), 168, present, D("0.002"), None, True)
    )
    written = brief_for(facts, "en").by_template("no model")
    return Proposed("BTCUSDT", present, shape, startable, written)


async def passing(
    clock: ManualClock, agent: AiAgent, minutes: int, seen: Callable[[], bool]
) -> None:
    """Run the agent over `minutes` of its clock, each after the work of the one before."""
    task = asyncio.create_task(agent.run())
    await asleep(clock)
    for _ in range(minutes):
        clock.advance_to(clock.now_ms() + MINUTE)
        await asleep(clock)
    assert seen()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def asleep(clock: ManualClock) -> None:
    """Return when somebody waits for the clock: while the pool works, the agent does not."""
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        while clock.next_wake_ms is None:
            await asyncio.sleep(0.001)


def agent_of(desk: Desk, clock: ManualClock) -> AiAgent:
    return AiAgent(desk, AiPlan(15 * MINUTE, 240 * MINUTE, 60 * MINUTE), clock)


def test_nothing_is_due_before_its_interval_and_all_comes_in_time() -> None:
    desk, clock = Desk(), ManualClock(NOON)
    agent = agent_of(desk, clock)
    asyncio.run(passing(clock, agent, 14, lambda: True))
    assert desk.asked == [] and agent.advice() == ()
    desk, clock = Desk(), ManualClock(NOON)
    agent = agent_of(desk, clock)
    asyncio.run(passing(clock, agent, 61, lambda: "report daily" in desk.asked))
    assert desk.asked.count("analyse BTCUSDT") == 4
    assert "report daily" in desk.asked and ReportKind.DAILY in agent.reports
    assert list(agent.texts) == [("market_analysis", "BTCUSDT")]
    kinds = {advice.kind for advice in agent.advice()}
    assert kinds == {AdviceKind.EXPOSURE, AdviceKind.NEW_PAIR}
    assert agent.beat_ms > NOON


def test_a_feature_that_is_off_is_never_due() -> None:
    desk, clock = Desk(), ManualClock(NOON)
    agent = AiAgent(desk, AiPlan(0, 0, MINUTE, reports=()), clock)
    asyncio.run(passing(clock, agent, 5, lambda: True))
    assert desk.asked == []


def test_what_fails_for_a_stated_reason_is_tried_again_next_time() -> None:
    desk, clock = Desk(breaks=NotFound("no such symbol")), ManualClock(NOON)
    agent = agent_of(desk, clock)
    asyncio.run(passing(clock, agent, 46, lambda: len(desk.asked) >= 2))
    assert len(desk.asked) >= 2 and agent.texts == {} and agent.advice() == ()


def test_what_breaks_is_restarted_by_its_supervisor() -> None:
    desk, clock = Desk(breaks=ZeroDivisionError("broken")), ManualClock(NOON)
    agent = agent_of(desk, clock)
    supervisor = Supervisor("ai", agent.run, clock)

    async def watched() -> None:
        task = asyncio.create_task(supervisor.run())
        await asleep(clock)
        for _ in range(400):
            clock.advance_to(clock.now_ms() + MINUTE)
            await asleep(clock)
            if supervisor.health(0).restarts:
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watched())
    assert supervisor.health(0).restarts == 1 and "broken" in supervisor.last_error


# --- advice ---------------------------------------------------------------------------------------


def test_caution_becomes_less_exposure() -> None:
    found = advice_of("BTCUSDT", written_of(FALLING), NOON, 30 * MINUTE)
    assert [(one.kind, one.value) for one in found] == [
        (AdviceKind.EXPOSURE, D("0.25")),
        (AdviceKind.NEW_PAIR, D(0)),
    ]
    assert found[0].reason == "caution 3 of 3: trend down, volatility high"
    assert found[0].source == "ai:template" and found[0].expires_ms == NOON + 30 * MINUTE
    assert advice_of("BTCUSDT", written_of(CALM), NOON, MINUTE) == []


@pytest.mark.parametrize(
    ("spacing", "startable", "value"),
    [("0.009", True, "1.8"), ("0.05", True, "2"), ("0.009", False, None), ("0.004", True, None)],
)
def test_only_a_wider_spacing_is_advised(spacing: str, startable: bool, value: str | None) -> None:
    found = spacing_advice(proposed(Shape(9, D(spacing)), startable), NOON, MINUTE)
    assert [str(one.value.normalize()) for one in found] == ([] if value is None else [value])
    assert all(not one.may_add_risk for one in found)


# --- the pool -------------------------------------------------------------------------------------


def test_a_pool_has_bounds_and_never_blocks_the_loop() -> None:
    async def filled() -> None:
        pool, gate = BoundedPool("test", workers=1, most_waiting=1), threading.Event()
        tasks = [asyncio.create_task(pool.run(gate.wait, 60)) for _ in range(2)]
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - began < 30, "the loop goes on while the pool works"
        with pytest.raises(Conflict, match="2 pieces of work"):
            await pool.run(gate.wait, 60)
        gate.set()
        assert await asyncio.gather(*tasks) == [True, True]
        assert await pool.run(lambda: 7) == 7
        pool.close()

    asyncio.run(filled())


def test_work_hears_that_its_pool_is_closing() -> None:
    begun, heard = threading.Event(), threading.Event()

    async def closed() -> None:
        pool = BoundedPool("test")

        def work() -> None:
            begun.set()
            try:
                while True:
                    pool.still_wanted()
                    time.sleep(0.01)
            except Unwanted:
                heard.set()
                raise

        task = asyncio.create_task(pool.run(work))
        assert await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        pool.close()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(closed())
    assert heard.wait(30)
