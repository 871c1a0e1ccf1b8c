"""Events that go wrong while grids trade, and what a venue does of its own accord, on both markets.

Every story begins and ends with equal books (`Stage.play`), and shows that its fault really
happened. Between gaps the engine compares its books with the venue's every few seconds only, so
that what a stream loses is seen to be missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from trading import SYMBOLS, Stage, Times, settle, stage_on_a_twin

from gridlab.agents import reconciler
from gridlab.domain.events import (
    FundingPaid,
    InstrumentChanged,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
)
from gridlab.domain.market import Market
from gridlab.domain.orders import VenueStatus
from gridlab.exchange.base import StreamState
from gridlab.twin.fault_plan import FaultKind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    times = Times(reconcile_ms=4_000)
    with pytest.MonkeyPatch.context() as patch:
        # Funding is read once a minute, as it is paid once in hours; here it is waited for.
        patch.setattr(reconciler, "FUNDING_EVERY_MS", 2_000)
        with stage_on_a_twin(tmp_path_factory.mktemp("trading"), times) as built:
            yield built


def expect_filled(stage: Stage) -> None:
    for market in Market:
        assert stage.told(market, OrderFilled), f"nothing was traded on {market}"


def test_lost_event(stage: Stage) -> None:
    """Acknowledgements, fills and ends that are never told are found by reading."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LOST_EVENT, times=6, on_orders=False)
        await stage.rest()
        expect_filled(stage)

    stage.play(story)


def test_duplicated_event(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.DUPLICATED_EVENT, times=10, on_orders=False)
        await stage.rest()
        expect_filled(stage)

    stage.play(story)


def test_late_event(stage: Stage) -> None:
    """They come when the same was read already, and the slot has gone on."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.LATE_EVENT, times=8, on_orders=False, ms=1_500)
        await stage.rest()
        expect_filled(stage)

    stage.play(story)


def test_reordered_event(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.REORDERED_EVENT, times=8, on_orders=False)
        await stage.rest()
        expect_filled(stage)

    stage.play(story)


def test_partial_fill(stage: Stage) -> None:
    """Orders fill in parts; a slot turns when the last one is there."""

    async def story(stage: Stage) -> None:
        await stage.befall(FaultKind.PARTIAL_FILL, times=4, on_orders=False, fraction="0.3")
        await stage.swing()
        await stage.rest()
        parts = Counter(
            event.trade.client_id for market in Market for event in stage.told(market, OrderFilled)
        )
        assert max(parts.values()) > 1

    stage.play(story)


def test_disconnect(stage: Stage) -> None:
    """Every socket is reset, and the market moves before there are new ones."""

    async def story(stage: Stage) -> None:
        for _ in range(2):
            await stage.twin.fault(FaultKind.DISCONNECT)
            await stage.swing()
        assert await stage.happened(FaultKind.DISCONNECT) >= 2
        await stage.rest()
        expect_filled(stage)
        for venue in stage.engine.venues.values():
            assert venue.health.state is StreamState.READY
            assert venue.health.reason != "first connection", "the connection is another one"

    stage.play(story)


def test_silent_stream(stage: Stage) -> None:
    """Sockets that are up, answer pings and tell nothing: what is owed is missed, and read."""

    async def story(stage: Stage) -> None:
        await stage.twin.fault(FaultKind.SILENT_STREAM, ms=60_000)
        await stage.swing()
        await settle(stage.engine, stage.opening, quiet=False)
        expect_filled(stage)
        engine = stage.engine
        await engine.until(
            lambda: all("no event of" in venue.health.reason for venue in engine.venues.values())
        )
        await settle(stage.engine, stage.opening, quiet=False)
        assert await stage.happened(FaultKind.SILENT_STREAM) == 1

    stage.play(story)


def test_server_shutdown(stage: Stage) -> None:
    async def story(stage: Stage) -> None:
        await stage.twin.fault(FaultKind.SERVER_SHUTDOWN)
        for _ in range(4):
            await stage.swing()
        assert await stage.happened(FaultKind.SERVER_SHUTDOWN) == 1
        await stage.rest()
        expect_filled(stage)
        for venue in stage.engine.venues.values():
            assert venue.health.state is StreamState.READY

    stage.play(story)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.VENUE_CANCEL, VenueStatus.CANCELED),
        (FaultKind.VENUE_EXPIRE, VenueStatus.EXPIRED),
    ],
)
def test_the_venue_ends_orders(stage: Stage, kind: FaultKind, status: VenueStatus) -> None:
    """Some before they fill and some after a part; each is placed again at the next cycle."""

    async def story(stage: Stage) -> None:
        await stage.twin.fault(FaultKind.PARTIAL_FILL, 4, fraction="0.6")
        await stage.swing("0.994")
        for market in Market:
            await stage.twin.fault(kind, 4, market=market.value)
        await stage.swing()
        assert await stage.happened(kind) == 8
        await stage.rest()
        for market in Market:
            ended = [e for e in stage.told(market, OrderEnded) if e.status is status]
            assert len(ended) >= 4

    stage.play(story)


def test_filter_change(stage: Stage) -> None:
    """Orders are refused by rules that were not told; the new ones are read, and kept to."""

    async def story(stage: Stage) -> None:
        for market, symbol in SYMBOLS.items():
            where = {"market": market.value, "symbol": symbol}
            await stage.twin.fault(FaultKind.FILTER_CHANGE, 1, ms=60_000, **where)
        await stage.swing()
        assert await stage.happened(FaultKind.FILTER_CHANGE) == 2
        await settle(stage.engine, stage.opening, quiet=False)
        for market in Market:
            (changed,) = stage.told(market, InstrumentChanged)
            refused = [e for e in stage.told(market, OrderRejected) if e.code == "filter"]
            assert refused
            coarse = changed.instrument.tick_size
            for bot in stage.engine.bots:
                if bot.market is market:
                    attempts = {order.client_id: order.request.price for order in bot.live()}
                    assert any(price and price % coarse == 0 for price in attempts.values())

    stage.play(story)


def test_clock_skew(stage: Stage) -> None:
    """The venue's clock leaps ahead and back: refused for its time, measured, and sent again."""

    async def story(stage: Stage) -> None:
        for offset_ms in (4_000, -4_000, 0):
            await stage.twin.fault(FaultKind.CLOCK_SKEW, ms=offset_ms)
            await stage.swing()
            await settle(stage.engine, stage.opening, quiet=False)
            measured = stage.engine.transport.clock_offset_ms(Market.SPOT)
            assert abs(measured - offset_ms) < 500, "the offset was measured anew"
        assert await stage.happened(FaultKind.CLOCK_SKEW) == 3
        expect_filled(stage)
        for market in Market:
            assert not stage.told(market, OrderUnknown)

    stage.play(story)


def test_funding_is_booked_once(stage: Stage) -> None:
    """However often it is read, also when the engine dies between two payments."""

    async def story(stage: Stage) -> None:
        symbol = SYMBOLS[Market.FUTURES]
        for rate in ("0.0001", "-0.0002"):
            await stage.twin.control("/funding", {"symbol": symbol, "rate": rate})
            await stage.swing()
            await stage.rest()
        await stage.twin.control("/funding", {"symbol": symbol, "rate": "0.0003"})
        await stage.die_and_rise()
        await stage.rest()
        paid = stage.told(Market.FUTURES, FundingPaid)
        assert len({event.funding_id for event in paid}) == len(paid) == 3

    stage.play(story)
