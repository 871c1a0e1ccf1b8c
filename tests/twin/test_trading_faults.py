"""Requests that go wrong while grids trade, one kind of fault after the other, on both markets.

Every story begins and ends with equal books (`Stage.play`), and shows that its fault really
happened.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trading import ORDER_PATHS, Stage, Times, settle, stage_on_a_twin
from twin_books import Truth, audit, ours

from gridlab.domain.events import OrderAbsent, OrderFilled, OrderRejected, OrderUnknown
from gridlab.domain.market import Market
from gridlab.domain.orders import ClientId
from gridlab.exchange.base import StreamState
from gridlab.twin.fault_plan import FaultKind

pytestmark = pytest.mark.slow

#: Longer than the engine waits for an answer, and than the venue takes a request for fresh.
TOO_LATE_MS = 1_300
#: As long as a venue may hide something that it has taken in, under the stage's promise.
HIDDEN_MS = 120


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_on_a_twin(tmp_path_factory.mktemp("trading"), Times()) as built:
        yield built


def names(events: list[OrderUnknown] | list[OrderAbsent]) -> set[str]:
    return {event.client_id for event in events}


def expect_lost_and_replaced(stage: Stage, *markets: Market) -> None:
    """An order of each market was in doubt, proved absent, and given again under a new name."""
    for market in markets or Market:
        absent = names(stage.told(market, OrderAbsent))
        assert absent and absent <= names(stage.told(market, OrderUnknown))
        for client_id in absent:
            lost = ClientId.parse(client_id)
            assert lost is not None
            slot = next(b for b in stage.engine.bots if b.market is market).grid.slots[lost.slot]
            assert (slot.cycle, slot.attempt) > (lost.cycle, lost.attempt)


def expect_doubted_and_found(stage: Stage) -> None:
    """On both markets an order was in doubt, and was there."""
    for market in Market:
        assert stage.told(market, OrderUnknown)
        assert not stage.told(market, OrderAbsent)


def expect_refused(stage: Stage, *codes: str) -> None:
    """On both markets an order was refused for good with one of these codes, and none doubted."""
    for market in Market:
        refused = {event.code for event in stage.told(market, OrderRejected)}
        assert refused & set(codes), (market, refused)
        assert not stage.told(market, OrderUnknown)


def test_lost_request(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LOST_REQUEST)
        await stage.rest()
        expect_lost_and_replaced(stage)

    stage.play(story)


def test_lost_reply(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LOST_REPLY)
        await stage.rest()
        expect_doubted_and_found(stage)

    stage.play(story)


def test_late_request(stage: Stage) -> None:
    """A little late it is taken; so late that nobody waits for it any more it is refused there."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LATE_REQUEST, ms=400)
        await stage.rest()
        assert not stage.told(Market.SPOT, OrderUnknown)
        await stage.befall(FaultKind.LATE_REQUEST, times=1, ms=TOO_LATE_MS)
        await stage.rest()
        expect_lost_and_replaced(stage)

    stage.play(story)


def test_a_request_that_overtakes_the_verdict(stage: Stage) -> None:
    """It is on its way when twice nobody knows it; before its horizon that proves nothing."""

    async def story(stage: Stage) -> None:
        patient = stage.times
        hasty = replace(patient, recv_window_ms=2_500, timeout_s=0.4)
        await stage.die_and_rise(hasty)
        await stage.befall(FaultKind.LATE_REQUEST, times=1, ms=2_000)
        await stage.rest()
        expect_doubted_and_found(stage)
        await stage.die_and_rise(patient)

    stage.play(story)


def test_slow_engine(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.SLOW_ENGINE, times=4, ms=HIDDEN_MS)

    stage.play(story)


def test_late_reply(stage: Stage) -> None:
    """The events of an order come before its answer; and when nobody waits for that any more."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LATE_REPLY, ms=400)
        await stage.befall(FaultKind.LATE_REPLY, times=1, ms=TOO_LATE_MS)
        await stage.rest()
        expect_doubted_and_found(stage)

    stage.play(story)


def test_duplicated_request(stage: Stage) -> None:
    """The answer to the second copy says that the name is taken; by whom only a query tells."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.DUPLICATED_REQUEST, times=3)
        await stage.rest()
        expect_doubted_and_found(stage)

    stage.play(story)


def test_stale_read(stage: Stage) -> None:
    """Old orders, old trades and no order at all are told, while others are in doubt."""

    async def story(stage: Stage) -> None:
        await stage.twin.fault(FaultKind.STALE_READ, 20, method="GET", ms=HIDDEN_MS)
        await stage.befall(FaultKind.LOST_REPLY, times=3)
        await stage.trade_until(FaultKind.STALE_READ, 20)
        await stage.rest()
        expect_doubted_and_found(stage)

    stage.play(story)


def test_throttled(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.THROTTLED, times=1, ms=1_000)
        await stage.rest()
        expect_refused(stage, "-1003", "not_sent")

    stage.play(story)


def test_banned(stage: Stage) -> None:
    """Nothing leaves during a ban; what filled meanwhile is found after it."""

    async def story(stage: Stage) -> None:
        before = {m: len(stage.told(m, OrderFilled)) for m in Market}
        await stage.befall(FaultKind.BANNED, times=1, ms=5_000)
        states = {venue.health.state for venue in stage.engine.venues.values()}
        assert states == {StreamState.BANNED}
        requests = (await stage.twin.account())["requests"]
        await stage.swing()
        truth = await stage.twin.account()
        states = {venue.health.state for venue in stage.engine.venues.values()}
        assert states == {StreamState.BANNED}, "the ban was too short for what is shown here"
        assert truth["requests"] == requests
        await stage.rest()
        for market in Market:
            assert len(stage.told(market, OrderFilled)) > before[market]

    stage.play(story)


def test_sockets_that_are_cut_in_a_ban_stay_closed_until_it_ends(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.BANNED, times=1, ms=6_000)
        connections = (await stage.twin.account())["connections"]
        await stage.twin.fault(FaultKind.DISCONNECT)
        while not await stage.happened(FaultKind.DISCONNECT):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        states = {venue.health.state for venue in stage.engine.venues.values()}
        assert states == {StreamState.BANNED}, "the ban was too short for what is shown here"
        assert (await stage.twin.account())["connections"] == connections
        await stage.rest()

    stage.play(story)


@pytest.mark.parametrize(
    "kind", [FaultKind.UNKNOWN_503, FaultKind.UNEXPECTED_RESPONSE, FaultKind.TIMED_OUT]
)
def test_answers_that_decide_nothing(stage: Stage, kind: FaultKind) -> None:
    """The same words come when the order is there and when it never will be."""

    async def story(stage: Stage) -> None:
        for market in Market:
            for is_executed in (True, False):
                where = {"path": ORDER_PATHS[market], "method": "POST"}
                await stage.twin.fault(kind, 1, **where, executed=is_executed)
        await stage.trade_until(kind, 4)
        await stage.rest()
        expect_lost_and_replaced(stage)
        for market in Market:
            doubted = names(stage.told(market, OrderUnknown))
            assert doubted > names(stage.told(market, OrderAbsent)), "one of them was there"

    stage.play(story)


def test_throttled_503(stage: Stage) -> None:
    """It was not carried out, and that is certain: the slot tries again at the next cycle."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.THROTTLED_503)
        await stage.rest()
        expect_refused(stage, "-1008")

    stage.play(story)


def test_unavailable_503(stage: Stage) -> None:
    """The same words: on futures documented as a failure, on spot nothing is promised."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.UNAVAILABLE_503)
        await stage.rest()
        assert "503" in {event.code for event in stage.told(Market.FUTURES, OrderRejected)}
        assert not stage.told(Market.FUTURES, OrderUnknown)
        expect_lost_and_replaced(stage, Market.SPOT)

    stage.play(story)


def test_maintenance(stage: Stage) -> None:
    """Every request is refused for a while; fills come by the stream and cannot be answered."""

    async def story(stage: Stage) -> None:
        await stage.twin.fault(FaultKind.MAINTENANCE, ms=1_500)
        await stage.swing()
        assert await stage.happened(FaultKind.MAINTENANCE) == 1
        await stage.rest()
        expect_lost_and_replaced(stage)

    stage.play(story)


def test_the_engine_dies_with_orders_in_doubt(stage: Stage) -> None:
    """Some are at the venue and some are not; the next engine finds out, from its journal."""

    async def story(stage: Stage) -> None:
        for market in Market:
            where = {"path": ORDER_PATHS[market], "method": "POST"}
            await stage.twin.fault(FaultKind.LOST_REPLY, 2, **where)
            await stage.twin.fault(FaultKind.UNKNOWN_503, 2, **where, executed=False)
        await stage.swing()
        await stage.die_and_rise()
        await stage.swing()
        await stage.die_and_rise()
        assert await stage.happened(FaultKind.LOST_REPLY) == 4
        assert await stage.happened(FaultKind.UNKNOWN_503) == 4
        await stage.rest()

    stage.play(story)


def test_a_stop_whose_cancels_are_lost(stage: Stage) -> None:
    """A stopped grid is over when every order has provably ended, however often it is asked for."""

    async def story(stage: Stage) -> None:
        for market in Market:
            where = {"path": ORDER_PATHS[market], "method": "DELETE"}
            for kind in (FaultKind.LOST_REQUEST, FaultKind.LOST_REPLY, FaultKind.UNKNOWN_503):
                await stage.twin.fault(kind, 2, **where)
            await stage.twin.fault(FaultKind.LOST_EVENT, 3)
        await stage.finish()
        assert await stage.happened(FaultKind.LOST_REQUEST) == 4
        truth = await settle(stage.engine, stage.opening)
        for market in Market:
            assert not ours(truth[market.value], stage.opening[market.value], "open_orders")

    stage.play(story)


def tampered(truth: Truth) -> Iterator[tuple[str, Truth]]:
    """Copies of the truth, each wrong in one thing."""
    for market in Market:
        for name, change in TAMPERINGS.items():
            copied = copy.deepcopy(dict(truth))
            change(copied[market.value])
            yield f"{market} {name}", copied


def _one_digit(row: dict[str, Any], name: str) -> None:
    row[name] = str(Decimal(row[name]) + Decimal("0.00000001"))


TAMPERINGS: dict[str, Callable[[Any], object]] = {
    "a trade is missing": lambda account: account["trades"].pop(),
    "a trade is another one": lambda account: account["trades"][-1].update(id=10**9),
    "a trade has another fee": lambda account: _one_digit(account["trades"][-1], "commission"),
    "a trade has another price": lambda account: _one_digit(account["trades"][-1], "price"),
    "a balance differs": lambda account: _one_digit(account["balances"]["USDT"], "total"),
    "an order is missing": lambda account: account["open_orders"].pop(),
    "an orphan rests": lambda account: account["open_orders"].append(
        account["open_orders"][-1] | {"client_id": "gl-zz-1-1-1", "order_id": 10**9}
    ),
    "an order was taken twice": lambda account: account["orders"].append(
        account["orders"][-1] | {"order_id": 10**9}
    ),
    "an order is larger": lambda account: _one_digit(account["orders"][-1], "quantity"),
    "an id was repeated": lambda account: account["repeated_client_ids"].append("gl-st1-1-1-1"),
}


def test_the_audit_sees_every_difference(stage: Stage) -> None:
    """The proof of the proof: books that differ in one digit are not equal."""

    async def story(stage: Stage) -> None:
        await stage.swing()
        truth = await settle(stage.engine, stage.opening)
        engine = stage.engine
        assert not audit(truth, stage.opening, engine.bots, engine.journal)
        for name, wrong in tampered(truth):
            assert audit(wrong, stage.opening, engine.bots, engine.journal), name

    stage.play(story)


def test_no_kind_of_fault_is_without_a_story() -> None:
    told = "".join(path.read_text() for path in Path(__file__).parent.glob("test_trading_*.py"))
    assert not [kind for kind in FaultKind if f"FaultKind.{kind.name}" not in told]
