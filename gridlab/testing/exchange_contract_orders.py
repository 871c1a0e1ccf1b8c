"""Contract cases: placing, asking for and cancelling orders that rest; ids; others' orders."""

from __future__ import annotations

import asyncio

from gridlab.domain.events import OrderAccepted, OrderEnded
from gridlab.domain.orders import ClientId, OrderType, Side, VenueStatus
from gridlab.exchange.base import Accepted, RejectCode
from gridlab.money import ZERO
from gridlab.testing.exchange_contract_desk import Desk, case


class OrderCases:
    """What holds for orders before anything trades, on every market."""

    # -- placing --------------------------------------------------------------------------------

    @case
    async def test_an_accepted_order_is_reported_as_it_was_asked(self, desk: Desk) -> None:
        request = desk.buy("-2")
        report = await desk.accepted(request)
        assert report.client_id == request.client_id and report.order_id
        assert (report.symbol, report.side, report.type) == (desk.symbol, Side.BUY, request.type)
        assert (report.price, report.quantity) == (request.price, request.quantity)
        assert (report.status, report.executed) == (VenueStatus.NEW, ZERO)
        assert 0 < report.created_ms <= report.updated_ms

    @case
    async def test_a_query_knows_an_accepted_order(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-2"))
        assert await desk.is_as(report)

    @case
    async def test_an_accepted_order_is_among_the_open_ones(self, desk: Desk) -> None:
        await desk.stock()
        report = await desk.accepted(desk.sell("3"))
        assert await desk.is_open(report)

    @case
    async def test_open_orders_come_oldest_first(self, desk: Desk) -> None:
        names = [(await desk.accepted(desk.buy(p))).client_id for p in ("-3", "-2", "-4")]
        found = [name for name in await desk.open_ids() if name in names]
        assert found == names

    @case
    async def test_order_ids_never_repeat(self, desk: Desk) -> None:
        reports = [await desk.accepted(desk.buy("-2")) for _ in range(3)]
        assert len({report.order_id for report in reports}) == 3

    @case
    async def test_an_id_of_a_grid_and_the_longest_id_are_taken(self, desk: Desk) -> None:
        grid_id = str(ClientId(desk.name().split("-")[1][:12], 7, 3, 1))
        for name in (grid_id, desk.name().ljust(36, "x")):
            report = await desk.accepted(desk.buy("-2", name=name))
            assert report.client_id == name
            assert (await desk.report(name)).order_id == report.order_id

    @case
    async def test_an_order_that_rests_moves_nothing(self, desk: Desk) -> None:
        before = await desk.totals()
        await desk.accepted(desk.buy("-2"))
        assert await desk.totals() == before
        assert await desk.trades() == []

    @case
    async def test_two_orders_at_one_price_live_beside_each_other(self, desk: Desk) -> None:
        first, second = await desk.accepted(desk.buy("-2")), await desk.accepted(desk.buy("-2"))
        assert {first.client_id, second.client_id} <= set(await desk.open_ids())

    # -- asking ---------------------------------------------------------------------------------

    @case
    async def test_an_id_that_was_never_used_is_unknown(self, desk: Desk) -> None:
        assert await desk.exchange.query(desk.symbol, desk.name()) is None

    @case
    async def test_reading_changes_nothing(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-2"))
        await desk.settle()
        told = len(desk.events())
        for _ in range(2):
            assert await desk.is_as(report)
            assert await desk.is_open(report)
            assert await desk.trades() == []
        assert len(desk.events()) == told

    @case
    async def test_the_instrument_is_the_symbols(self, desk: Desk) -> None:
        rules = await desk.exchange.instrument(desk.symbol)
        assert (rules.symbol, rules.market) == (desk.symbol, desk.exchange.market)
        assert rules.status == "TRADING" and rules.max_num_orders > 0
        assert desk.symbol == rules.base + rules.quote
        assert desk.exchange.unseen_horizon_ms >= 0

    # -- cancelling -----------------------------------------------------------------------------

    @case
    async def test_a_cancel_ends_the_order(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        report = await desk.cancelled(placed.client_id)
        assert (report.status, report.executed) == (VenueStatus.CANCELED, ZERO)
        assert report.order_id == placed.order_id
        assert placed.client_id not in await desk.open_ids()

    @case
    async def test_a_cancelled_order_is_still_known(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        await desk.cancelled(placed.client_id)
        report = await desk.report(placed.client_id)
        assert (report.order_id, report.status) == (placed.order_id, VenueStatus.CANCELED)
        assert (report.price, report.quantity) == (placed.price, placed.quantity)

    @case
    async def test_a_second_cancel_is_told_that_nothing_is_open(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        await desk.cancelled(placed.client_id)
        for _ in range(2):
            await desk.not_open(placed.client_id)

    @case
    async def test_a_cancel_of_an_unknown_id_is_told_that_nothing_is_open(self, desk: Desk) -> None:
        await desk.not_open(desk.name())

    @case
    async def test_a_cancel_of_a_filled_order_is_told_that_nothing_is_open(
        self, desk: Desk
    ) -> None:
        placed = await desk.accepted(desk.buy())
        await desk.settle()
        await desk.not_open(placed.client_id)
        assert (await desk.report(placed.client_id)).status is VenueStatus.FILLED

    @case
    async def test_a_cancel_leaves_other_orders_alone(self, desk: Desk) -> None:
        kept, gone = await desk.accepted(desk.buy("-2")), await desk.accepted(desk.buy("-2"))
        await desk.cancelled(gone.client_id)
        assert await desk.is_as(kept)
        assert kept.client_id in await desk.open_ids()

    @case
    async def test_a_cancel_tells_the_end_once(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        await desk.cancelled(placed.client_id)
        await desk.settle()
        ends = {e for e in desk.events(placed.client_id) if isinstance(e, OrderEnded)}
        (end,) = ends
        assert (end.status, end.executed) == (VenueStatus.CANCELED, ZERO)

    @case
    async def test_of_two_cancels_at_once_one_ends_the_order(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        outcomes = await asyncio.gather(
            *(desk.exchange.cancel(desk.symbol, placed.client_id) for _ in range(2))
        )
        if desk.venue.is_exact:
            assert sorted(type(o).__name__ for o in outcomes) == ["Accepted", "Rejected"]
        await desk.settle()
        report = await desk.report(placed.client_id)
        assert not report.status.is_open or not desk.venue.is_exact

    # -- ids ------------------------------------------------------------------------------------

    @case
    async def test_an_open_id_cannot_be_given_twice(self, desk: Desk) -> None:
        request = desk.buy("-2")
        await desk.accepted(request)
        await desk.refused(request, RejectCode.DUPLICATE)

    @case
    async def test_an_open_id_names_one_order_whatever_else_is_asked(self, desk: Desk) -> None:
        placed = await desk.accepted(desk.buy("-2"))
        other = desk.buy("-3", name=placed.client_id, quantity=desk.quantity(5))
        await desk.refused(other, RejectCode.DUPLICATE)
        assert await desk.is_as(placed)
        assert (await desk.open_ids()).count(placed.client_id) == 1

    @case
    async def test_an_id_can_be_given_again_after_a_cancel(self, desk: Desk) -> None:
        first = await desk.accepted(desk.buy("-2"))
        await desk.cancelled(first.client_id)
        second = await desk.accepted(desk.buy("-3", name=first.client_id))
        assert second.order_id != first.order_id
        report = await desk.report(first.client_id)
        assert (report.order_id, report.status) == (second.order_id, VenueStatus.NEW)

    @case
    async def test_an_id_can_be_given_again_after_a_fill(self, desk: Desk) -> None:
        """Why an id may never be sent twice in the hope that the venue would notice."""
        first = await desk.accepted(desk.buy())
        await desk.settle()
        second = await desk.accepted(desk.buy("-2", name=first.client_id))
        assert second.order_id != first.order_id
        assert {t.order_id for t in await desk.trades()} == {first.order_id}

    @case
    async def test_of_two_orders_of_one_id_at_once_one_is_taken(self, desk: Desk) -> None:
        request = desk.buy("-2")
        outcomes = await asyncio.gather(*(desk.exchange.place(request) for _ in range(2)))
        await desk.settle()
        if desk.venue.is_exact:
            taken = [o for o in outcomes if isinstance(o, Accepted)]
            assert len(taken) == 1, outcomes
        assert (await desk.open_ids()).count(request.client_id) <= 1
        accepted = {
            e.order_id for e in desk.events(request.client_id) if isinstance(e, OrderAccepted)
        }
        assert len(accepted) <= 1
        if accepted:
            await desk.adopt(request.client_id)

    # -- post-only ------------------------------------------------------------------------------

    @case
    async def test_a_post_only_order_rests(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-2", kind=OrderType.LIMIT_MAKER))
        assert (report.status, report.type) == (VenueStatus.NEW, OrderType.LIMIT_MAKER)
        assert await desk.is_as(report)

    @case
    async def test_a_post_only_buy_that_would_take_is_refused(self, desk: Desk) -> None:
        request = desk.buy("1", kind=OrderType.LIMIT_MAKER)
        await desk.refused(request, RejectCode.WOULD_TAKE)
        assert await desk.trades() == []

    @case
    async def test_a_post_only_sell_that_would_take_is_refused(self, desk: Desk) -> None:
        await desk.stock()
        request = desk.sell("-1", kind=OrderType.LIMIT_MAKER)
        await desk.refused(request, RejectCode.WOULD_TAKE)
        assert await desk.trades(request.client_id) == []

    @case
    async def test_a_refused_post_only_order_leaves_no_trace(self, desk: Desk) -> None:
        request = desk.buy("1", kind=OrderType.LIMIT_MAKER)
        await desk.refused(request, RejectCode.WOULD_TAKE)
        await desk.settle()
        assert await desk.exchange.query(desk.symbol, request.client_id) is None
        assert request.client_id not in await desk.open_ids()
        assert desk.events(request.client_id) == []

    @case
    async def test_a_refused_id_is_free(self, desk: Desk) -> None:
        request = desk.buy("1", kind=OrderType.LIMIT_MAKER)
        await desk.refused(request, RejectCode.WOULD_TAKE)
        report = await desk.accepted(desk.buy("-2", name=request.client_id))
        assert report.status is VenueStatus.NEW

    # -- other people's orders ------------------------------------------------------------------

    @case
    async def test_foreign_orders_are_seen_under_their_own_names(self, desk: Desk) -> None:
        ours = await desk.accepted(desk.buy("-2"))
        theirs = await desk.accepted(desk.buy("-3", name=f"web_{desk.name()}"))
        assert ClientId.parse(theirs.client_id) is None
        assert await desk.is_open(theirs) and await desk.is_open(ours)

    @case
    async def test_foreign_trades_are_seen_under_their_own_names(self, desk: Desk) -> None:
        theirs = await desk.accepted(desk.buy(name=f"web_{desk.name()}"))
        await desk.settle()
        (trade,) = await desk.trades()
        assert (trade.client_id, trade.order_id) == (theirs.client_id, theirs.order_id)
