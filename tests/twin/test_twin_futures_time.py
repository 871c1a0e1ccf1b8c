"""What time does to the futures venue, by a clock that the test moves: funding, timers, history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.exchange.base import Rejected
from gridlab.twin.futures_desk import FuturesDesk
from gridlab.twin.history import KEPT_MS
from gridlab.twin.news import OrderExtras, VenueOrder
from gridlab.twin.options import TwinOptions
from gridlab.twin.params import Params
from gridlab.twin.rest import Call, Desk
from gridlab.twin.world import World

HOUR_MS = 3_600_000
#: 2026-08-01 00:00 UTC: a funding moment.
MIDNIGHT_MS = 1_785_542_400_000


class Stage:
    """A futures market in this process, its time in the test's hands."""

    def __init__(self, now_ms: int) -> None:
        self.clock = ManualClock(now_ms)
        self.world = World(TwinOptions(speed=0, pulse_ms=0), self.clock)
        self.futures = FuturesDesk(self.world)
        self.desk = Desk(self.world, Market.FUTURES, self.futures.endpoints())
        self.venue = self.world.venue(Market.FUTURES)
        self.history = self.futures.state.history

    async def place(self, client_id: str, price: str | None = None) -> VenueOrder:
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        at = None if price is None else Decimal(price)
        size = Decimal("0.010")
        request = OrderRequest(client_id, "BTCUSDT", Market.FUTURES, Side.BUY, kind, size, at)
        order = await self.venue.place(request, OrderExtras())
        assert not isinstance(order, Rejected)
        return order

    async def ask(self, method: str, name: str, **params: Any) -> Any:
        endpoint = self.desk.endpoint(method, f"/fapi/v1/{name}")
        assert endpoint is not None
        values = {key: str(value) for key, value in params.items()}
        values["timestamp"] = str(self.world.now_ms())
        call = Call(
            endpoint,
            Params(values, is_case_blind=True),
            "test",
            self.world.key,
            has_signature=True,
            is_signed_by=lambda secret: True,
        )
        return (await self.desk.run(call)).payload

    async def advance(self, by_ms: int) -> None:
        """Move time on, and let what waited for it happen."""
        self.clock.advance_to(self.clock.now_ms() + by_ms)
        for _ in range(20):
            await asyncio.sleep(0)


def run(act: Callable[[Stage], Awaitable[None]], now_ms: int = MIDNIGHT_MS - HOUR_MS) -> None:
    async def staged() -> None:
        stage = Stage(now_ms)
        await stage.futures.start()
        await stage.advance(0)  # its tasks begin to wait
        try:
            await act(stage)
        finally:
            await stage.futures.stop()

    asyncio.run(staged())


class TestFunding:
    def test_it_is_paid_once_at_each_moment(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("held")
            assert stage.futures.state.next_funding_ms == MIDNIGHT_MS
            await stage.advance(HOUR_MS - 1)
            assert stage.futures.state.book.funding("BTCUSDT") == ()
            await stage.advance(1_000)
            await stage.advance(1_000)
            (paid,) = stage.futures.state.book.funding("BTCUSDT")
            value = stage.venue.price("BTCUSDT") * Decimal("0.010")
            assert paid.amount == -(value * Decimal("0.0001")).quantize(Decimal("1e-8"))
            assert stage.futures.state.next_funding_ms == MIDNIGHT_MS + 8 * HOUR_MS
            rows = await stage.ask("GET", "income", incomeType="FUNDING_FEE")
            assert [row["time"] for row in rows] == [MIDNIGHT_MS]
            rates = await stage.ask("GET", "fundingRate", symbol="BTCUSDT")
            assert [row["fundingTime"] for row in rates] == [MIDNIGHT_MS]

        run(act)

    def test_a_machine_that_slept_pays_one_moment_and_goes_on(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("held")
            await stage.advance(30 * HOUR_MS)
            assert len(stage.futures.state.book.funding("BTCUSDT")) == 1
            assert stage.futures.state.next_funding_ms == MIDNIGHT_MS + 32 * HOUR_MS

        run(act)

    def test_two_payments_in_one_millisecond_are_two(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("held")
            for _ in range(2):
                await stage.futures.pay_funding({"symbol": "BTCUSDT"})
            assert len(stage.futures.state.book.funding("BTCUSDT")) == 2

        run(act)


class TestTimers:
    def test_a_countdown_that_is_not_renewed_cancels(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("one", "50000")
            terms = {"symbol": "BTCUSDT", "countdownTime": 5_000}
            await stage.ask("POST", "countdownCancelAll", **terms)
            await stage.advance(4_000)
            await stage.ask("POST", "countdownCancelAll", **terms)
            await stage.advance(4_000)
            assert len(stage.venue.open_orders()) == 1
            await stage.advance(1_100)
            assert stage.venue.open_orders() == []
            assert stage.venue.orders("BTCUSDT")[0].status == "CANCELED"

        run(act)

    def test_a_good_till_date_order_ends_at_its_date(self) -> None:
        async def act(stage: Stage) -> None:
            end_ms = stage.world.now_ms() + 700_000
            terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTD"}
            terms |= {"quantity": "0.010", "price": "60000", "newClientOrderId": "dated"}
            await stage.ask("POST", "order", **terms, goodTillDate=end_ms)
            await stage.advance(699_900)
            assert len(stage.venue.open_orders()) == 1
            await stage.advance(200)
            row = await stage.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="dated")
            assert row["status"] == "EXPIRED"

        run(act)

    def test_an_order_that_never_traded_is_forgotten_after_three_days(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("idle", "50000")
            await stage.venue.cancel("BTCUSDT", "idle")
            await stage.place("traded")
            await stage.advance(72 * HOUR_MS + 1_000)
            gone = await stage.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="idle")
            assert gone["code"] == -2013
            kept = await stage.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="traded")
            assert kept["status"] == "FILLED"

        run(act)


class TestHistory:
    @pytest.mark.parametrize(
        ("stale_ms", "status"),
        [(0, "CANCELED"), (499, "CANCELED"), (500, "CANCELED"), (501, "NEW"), (1_501, None)],
    )
    def test_an_order_is_what_it_was(self, stale_ms: int, status: str | None) -> None:
        async def act(stage: Stage) -> None:
            number = (await stage.place("seen", "50000")).order_id
            await stage.advance(1_000)
            await stage.venue.cancel("BTCUSDT", "seen")
            await stage.advance(500)
            for order_id, name in ((number, None), (None, "seen")):
                then = stage.history.order("BTCUSDT", order_id, name, stale_ms)
                assert (None if then is None else then.status) == status
            opened = stage.history.open_orders(None, stale_ms)
            assert bool(opened) is (status == "NEW")

        run(act)

    def test_a_name_that_was_used_twice_means_the_newer_order_of_that_time(self) -> None:
        async def act(stage: Stage) -> None:
            first = await stage.place("again", "50000")
            await stage.venue.cancel("BTCUSDT", "again")
            await stage.advance(1_000)
            second = await stage.place("again", "51000")
            await stage.advance(100)
            then = stage.history.order("BTCUSDT", None, "again", 500)
            assert then is not None and then.order_id == first.order_id
            now = stage.history.order("BTCUSDT", None, "again", 50)
            assert now is not None and now.order_id == second.order_id

        run(act)

    def test_positions_and_wallet_are_what_they_were(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.advance(1_000)
            await stage.place("bought")
            await stage.advance(1_000)
            assert stage.history.account(500).position("BTCUSDT").quantity == Decimal("0.010")
            assert stage.history.account(1_500).position("BTCUSDT").quantity == 0
            wallets = {row.asset: row.wallet for row in stage.history.account(1_500).assets}
            assert wallets["USDT"] == 100_000
            assert stage.history.trades("BTCUSDT", 1_500) == []
            assert len(stage.history.trades("BTCUSDT", 500)) == 1

        run(act)

    def test_old_changes_are_forgotten_and_the_order_is_still_told(self) -> None:
        async def act(stage: Stage) -> None:
            await stage.place("old", "50000")
            await stage.advance(KEPT_MS + 1_000)
            await stage.place("new", "51000")
            assert len(stage.history._revisions) == 1
            stale = stage.history.open_orders("BTCUSDT", 400_000)
            assert [order.client_id for order in stale] == ["old"]

        run(act)
