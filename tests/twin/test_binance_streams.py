"""The live engine over the twin's sockets: whatever the stream does, the books end up equal.

Each story trades through a fault and then asks for the same: no event counted twice, none lost, and
our ledger the same as the venue's own books to the last digit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from live_desk import Desk, over

from gridlab.domain.events import FundingPaid, InstrumentChanged, OrderFilled, StopPolicy
from gridlab.domain.market import Market
from gridlab.exchange.base import FuturesExchange, LiveExchange, StreamState
from gridlab.testing.twin import RunningTwin, running_twin

FUNDS = {"USDT": "100000"}
MARKETS = list(Market)


@pytest.fixture
def twin() -> Iterator[RunningTwin]:
    with running_twin(symbols=("BTCUSDT",), funds=FUNDS, has_limits=False) as running:
        yield running


@pytest.mark.parametrize("market", MARKETS)
def test_fills_come_as_events_once_each(twin: RunningTwin, tmp_path: Path, market: Market) -> None:
    async def story(desk: Desk) -> None:
        assert isinstance(desk.venues[market], LiveExchange)
        assert isinstance(desk.venues[market], FuturesExchange) is (market is Market.FUTURES)
        bot = await desk.grid(market)
        await desk.agree()
        gaps = len(desk.gaps)
        for fraction in ("0.985", "1.02", "1.01", "0.98", "0.99", "1.02"):
            await desk.move(fraction, market)
        await desk.agree()
        assert bot.grid.trade_count >= 6 and len(desk.gaps) == gaps
        fills = [e.event for e in desk.journal.entries() if isinstance(e.event, OrderFilled)]
        assert len({fill.trade.trade_id for fill in fills}) == len(fills) == bot.grid.trade_count

    # No reconciliation within the story: what is booked came by the stream.
    over(twin, tmp_path, story, markets=(market,), reconcile_ms=600_000)


@pytest.mark.parametrize("market", MARKETS)
def test_a_disconnection_is_a_gap_a_catch_up_and_ready(
    twin: RunningTwin, tmp_path: Path, market: Market
) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(market)
        venue = desk.venues[market]
        await desk.fault("disconnect")
        await desk.move("0.985", market)
        await desk.until(lambda: any("connection ended" in gap for gap in desk.gaps))
        await desk.until(lambda: venue.health.state is StreamState.READY)
        await desk.agree()
        assert bot.grid.trade_count >= 2

    over(twin, tmp_path, story, markets=(market,), reconcile_ms=600_000)


@pytest.mark.parametrize("market", MARKETS)
def test_a_dropped_fill_is_found(twin: RunningTwin, tmp_path: Path, market: Market) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(market)
        await desk.agree()
        await desk.fault("lost_event", count=6)
        await desk.move("0.985", market)
        await desk.agree()
        assert bot.grid.trade_count >= 2 and await desk.happened("lost_event")

    over(twin, tmp_path, story, markets=(market,))


def test_a_stream_that_owes_events_is_replaced(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.grid(Market.SPOT)
        await desk.agree()
        venue = desk.venues[Market.SPOT]
        venue._missing._after_ms = 500
        await desk.fault("silent_stream", ms=3_000)
        await desk.move("0.985", Market.SPOT)
        await desk.until(lambda: any("no event of" in gap for gap in desk.gaps))
        await desk.agree()

    over(twin, tmp_path, story, markets=(Market.SPOT,))


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", ["duplicated_event", "reordered_event", "late_event"])
def test_repeated_shuffled_and_late_events_change_nothing(
    twin: RunningTwin, tmp_path: Path, market: Market, kind: str
) -> None:
    async def story(desk: Desk) -> None:
        more = {"ms": 300} if kind == "late_event" else {}
        bot = await desk.grid(market)
        await desk.agree()
        await desk.fault(kind, count=40, **more)
        for fraction in ("0.985", "1.02", "0.98", "1.01"):
            await desk.move(fraction, market)
        await desk.agree()
        assert bot.grid.trade_count >= 4

    over(twin, tmp_path, story, markets=(market,))


def test_an_announced_shutdown_costs_no_event(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(Market.SPOT)
        await desk.agree()
        gaps = list(desk.gaps)
        await desk.fault("server_shutdown")
        for fraction in ("0.985", "1.02", "0.98", "1.01"):
            await desk.move(fraction, Market.SPOT)
            await asyncio.sleep(0.4)
        await desk.agree()
        assert desk.gaps == gaps, "the new connection was up before the old one was closed"
        assert bot.grid.trade_count >= 4

    over(twin, tmp_path, story, markets=(Market.SPOT,), reconcile_ms=600_000)


def test_a_listen_key_that_expires_is_replaced(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.grid(Market.FUTURES)
        await desk.agree()
        desk.venues[Market.FUTURES]._missing._after_ms = 500
        await desk.close_listen_key()
        await desk.move("0.985", Market.FUTURES)
        await desk.until(lambda: any("no event of" in gap for gap in desk.gaps))
        await desk.agree()

    over(twin, tmp_path, story, markets=(Market.FUTURES,))


def test_funding_is_booked_once_and_the_wallet_agrees(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(Market.FUTURES)
        bot.funding_read_ms = -1
        body = {"symbol": "BTCUSDT", "rate": "0.0003"}
        await asyncio.to_thread(twin.control, "/funding", body)
        await desk.until(
            lambda: any(isinstance(e.event, FundingPaid) for e in desk.journal.entries())
        )
        for _ in range(3):
            bot.funding_read_ms = -1
            await desk.until(lambda: bot.funding_read_ms > 0)
        paid = [e.event for e in desk.journal.entries() if isinstance(e.event, FundingPaid)]
        assert len(paid) == 1
        incomes = twin.account()["futures"]["income"]
        (there,) = [row for row in incomes if row["type"] == "FUNDING_FEE"]
        assert Decimal(there["amount"]) == paid[0].amount

    over(twin, tmp_path, story, markets=(Market.FUTURES,))


def test_settings_changed_elsewhere_halt_the_bot_at_once(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(Market.FUTURES)
        await desk.agree()
        await desk.change_leverage("BTCUSDT", 5)
        await desk.until(lambda: bool(bot.halted))
        assert "leverage" in bot.halted

    over(twin, tmp_path, story, markets=(Market.FUTURES,), reconcile_ms=600_000)


def test_rules_that_change_cost_no_second_refusal(twin: RunningTwin, tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(Market.SPOT)
        await desk.agree()
        body = {"venue": "spot", "symbol": "BTCUSDT", "tick_size": "10"}
        await asyncio.to_thread(twin.control, "/instrument", body)
        await desk.move("0.985", Market.SPOT)
        await desk.until(
            lambda: any(isinstance(e.event, InstrumentChanged) for e in desk.journal.entries())
        )
        await desk.until(lambda: all(slot.order for slot in bot.grid.slots))
        assert bot.grid.instrument.tick_size == 10
        await desk.agree()

    over(twin, tmp_path, story, markets=(Market.SPOT,))


@pytest.mark.parametrize(
    ("market", "kind"),
    [
        (Market.SPOT, "lost_reply"),
        (Market.FUTURES, "lost_reply"),
        (Market.SPOT, "lost_request"),
        pytest.param(Market.FUTURES, "lost_request", marks=pytest.mark.slow),
        *(
            pytest.param(market, kind, marks=pytest.mark.slow)
            for market in MARKETS
            for kind in ("unknown_503", "unavailable_503", "unexpected_response", "timed_out")
        ),
    ],
)
def test_requests_without_an_answer_are_resolved(
    twin: RunningTwin, tmp_path: Path, market: Market, kind: str
) -> None:
    async def story(desk: Desk) -> None:
        bot = await desk.grid(market)
        await desk.agree()
        path = {Market.SPOT: "/api/v3/order", Market.FUTURES: "/fapi/v1/order"}[market]
        await desk.fault(kind, count=2, path=path, method="POST")
        await desk.move("0.985", market)
        await desk.until(lambda: bot.grid.trade_count >= 3)
        await desk.until(lambda: all(slot.order for slot in bot.grid.slots))
        await desk.agree()
        assert await desk.happened(kind) == 2

    over(twin, tmp_path, story, markets=(market,))


@pytest.mark.parametrize("market", MARKETS)
def test_a_restart_finds_what_happened_meanwhile(
    twin: RunningTwin, tmp_path: Path, market: Market
) -> None:
    async def before(desk: Desk) -> None:
        await desk.grid(market)
        await desk.agree()

    async def after(desk: Desk) -> None:
        (bot,) = desk.trader.bots.values()
        assert bot.recovery is not None and bot.recovery.fills_found + bot.grid.trade_count > 0
        await desk.agree()
        assert bot.grid.trade_count >= 3
        desk.trader.stop_grid("BTCUSDT", "the end", StopPolicy.SELL)
        await desk.until(lambda: bot.is_over)
        await desk.agree()

    over(twin, tmp_path, before, markets=(market,))
    price = Decimal(twin.account()[market.value]["prices"]["BTCUSDT"])
    twin.price("BTCUSDT", (price * Decimal("0.985")).quantize(Decimal("0.1")), market)
    over(twin, tmp_path, after, markets=(market,))


def test_both_markets_at_once(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.grid(Market.SPOT, "BTCUSDT")
        await desk.grid(Market.FUTURES, "ETHUSDT")
        for fraction in ("0.985", "1.02", "0.98"):
            await desk.move(fraction, Market.SPOT, "BTCUSDT")
            await desk.move(fraction, Market.FUTURES, "ETHUSDT")
        await desk.fault("disconnect")
        await desk.move("1.01", Market.SPOT, "BTCUSDT")
        await desk.agree()
        assert all(bot.grid.trade_count > 3 for bot in desk.trader.bots.values())

    with running_twin(symbols=("BTCUSDT", "ETHUSDT"), has_limits=False) as twin:
        over(twin, tmp_path, story, symbols=("BTCUSDT", "ETHUSDT"))
