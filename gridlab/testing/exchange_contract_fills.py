"""Contract cases: who trades, at what price, in what order, and what is told of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from gridlab.domain.events import OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.orders import Side, Trade, VenueStatus
from gridlab.exchange.base import Accepted
from gridlab.money import ZERO
from gridlab.testing.exchange_contract_desk import Desk, case


class FillCases:
    """Trades of orders that take and of orders that rest, on every market."""

    # -- taking ---------------------------------------------------------------------------------

    @case
    async def test_a_market_buy_is_filled(self, desk: Desk) -> None:
        request = desk.buy()
        await desk.accepted(request)
        await desk.settle()
        report = await desk.report(request.client_id)
        assert (report.status, report.executed) == (VenueStatus.FILLED, request.quantity)
        assert report.price is None

    @case
    async def test_a_market_sell_is_filled(self, desk: Desk) -> None:
        await desk.stock()
        request = desk.sell()
        await desk.accepted(request)
        await desk.settle()
        report = await desk.report(request.client_id)
        assert (report.status, report.executed) == (VenueStatus.FILLED, request.quantity)

    @case
    async def test_the_answer_to_a_market_order_shows_the_fill(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy())
        assert report.status is VenueStatus.FILLED and report.executed == report.quantity

    @case
    async def test_a_limit_that_crosses_takes_at_the_market(self, desk: Desk) -> None:
        request = desk.buy("2")
        await desk.accepted(request)
        await desk.settle()
        trades = await desk.trades(request.client_id)
        assert sum((t.quantity for t in trades), ZERO) == request.quantity
        assert all(t.price < desk.price("1") and not t.is_maker for t in trades)
        assert (await desk.report(request.client_id)).price == request.price

    @case
    async def test_a_sell_limit_that_crosses_takes_at_the_market(self, desk: Desk) -> None:
        await desk.stock()
        request = desk.sell("-2")
        await desk.accepted(request)
        await desk.settle()
        trades = await desk.trades(request.client_id)
        assert all(t.price > desk.price("-1") and not t.is_maker for t in trades)
        assert sum((t.quantity for t in trades), ZERO) == request.quantity

    # -- resting --------------------------------------------------------------------------------

    @case
    async def test_a_resting_buy_fills_when_the_market_goes_through_it(self, desk: Desk) -> None:
        request = desk.buy("-2")
        await desk.accepted(request)
        await desk.move("-3")
        report = await desk.report(request.client_id)
        assert (report.status, report.executed) == (VenueStatus.FILLED, request.quantity)

    @case
    async def test_a_resting_sell_fills_when_the_market_goes_through_it(self, desk: Desk) -> None:
        await desk.stock()
        request = desk.sell("2")
        await desk.accepted(request)
        await desk.move("3")
        report = await desk.report(request.client_id)
        assert (report.status, report.executed) == (VenueStatus.FILLED, request.quantity)

    @case
    async def test_a_resting_order_trades_at_its_own_price_as_maker(self, desk: Desk) -> None:
        request = desk.buy("-2")
        await desk.accepted(request)
        await desk.move("-3")
        trades = await desk.trades(request.client_id)
        assert {(t.price, t.is_maker) for t in trades} == {(request.price, True)}

    @case
    async def test_a_market_that_does_not_come_near_fills_nothing(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-3"))
        await desk.move("-2")
        await desk.move("3")
        assert await desk.is_as(report)
        assert await desk.trades() == []

    @case
    async def test_a_market_that_comes_and_goes_fills_all_the_same(self, desk: Desk) -> None:
        request = desk.buy("-1")
        await desk.accepted(request)
        await desk.move("-2")
        await desk.move("1")
        assert (await desk.report(request.client_id)).status is VenueStatus.FILLED

    @case
    async def test_a_filled_order_is_open_no_longer(self, desk: Desk) -> None:
        filled, open_ = await desk.accepted(desk.buy("-1")), await desk.accepted(desk.buy("-4"))
        await desk.move("-2")
        ids = await desk.open_ids()
        assert open_.client_id in ids and filled.client_id not in ids

    @case
    async def test_one_move_fills_all_that_it_crosses_the_best_first(self, desk: Desk) -> None:
        names = [(await desk.accepted(desk.buy(p))).client_id for p in ("-3", "-1", "-2")]
        await desk.move("-4")
        assert _in_order(await desk.trades()) == [names[1], names[2], names[0]]

    @case
    async def test_of_sells_the_lowest_fills_first(self, desk: Desk) -> None:
        await desk.stock(desk.quantity(6))
        high, low = await desk.accepted(desk.sell("2")), await desk.accepted(desk.sell("1"))
        await desk.move("3")
        sold = [t for t in await desk.trades() if t.side is Side.SELL]
        assert _in_order(sold) == [low.client_id, high.client_id]

    @case
    async def test_at_one_price_the_oldest_fills_first(self, desk: Desk) -> None:
        names = [(await desk.accepted(desk.buy("-2"))).client_id for _ in range(3)]
        await desk.move("-3")
        assert _in_order(await desk.trades()) == names

    @case
    async def test_both_sides_fill_as_the_market_swings(self, desk: Desk) -> None:
        await desk.stock()
        buy, sell = await desk.accepted(desk.buy("-1")), await desk.accepted(desk.sell("1"))
        await desk.move("-2")
        await desk.move("2")
        for name in (buy.client_id, sell.client_id):
            assert (await desk.report(name)).status is VenueStatus.FILLED

    # -- trades ---------------------------------------------------------------------------------

    @case
    async def test_a_trade_names_its_order(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-1"))
        await desk.move("-2")
        trades = await desk.trades(report.client_id)
        assert trades
        for trade in trades:
            assert (trade.order_id, trade.symbol) == (report.order_id, desk.symbol)
            assert trade.side is Side.BUY and trade.quantity > 0
            assert trade.time_ms >= report.created_ms

    @case
    async def test_trades_are_read_from_a_cursor(self, desk: Desk) -> None:
        for _ in range(3):
            await desk.accepted(desk.buy())
        await desk.settle()
        trades = await desk.trades()
        ids = [t.trade_id for t in trades]
        assert len(ids) >= 3 and ids == sorted(set(ids))
        for number, trade in enumerate(trades):
            later = await desk.exchange.trades(desk.symbol, trade.trade_id)
            assert list(later) == trades[number + 1 :]

    @case
    async def test_without_a_cursor_all_trades_are_read(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        own = await desk.trades()
        assert own and list(await desk.exchange.trades(desk.symbol))[-len(own) :] == own

    @case
    async def test_an_ended_orders_trades_add_up_to_what_it_executed(self, desk: Desk) -> None:
        names = [(await desk.accepted(desk.buy(p))).client_id for p in ("-1", "2", None)]
        await desk.move("-2")
        for name in names:
            done = sum((t.quantity for t in await desk.trades(name)), ZERO)
            assert done == (await desk.report(name)).executed == desk.quantity()

    @case
    async def test_fees_are_the_accounts_rates(self, desk: Desk) -> None:
        """Up to the rounding of the last digit that the venue books."""
        await desk.accepted(desk.buy())
        await desk.accepted(desk.buy("-1"))
        await desk.move("-2")
        step = Decimal((0, (1,), -desk.rules.commission_precision))
        for trade in await desk.trades():
            rate = desk.venue.fees.maker if trade.is_maker else desk.venue.fees.taker
            in_base = trade.fee_asset == desk.rules.base
            due = rate * (trade.quantity if in_base else trade.quote_quantity)
            assert abs(trade.fee - due) < step, f"{trade} pays where {due} is due"

    # -- races ----------------------------------------------------------------------------------

    @case
    async def test_a_cancel_against_a_fill_ends_in_one_of_the_two(self, desk: Desk) -> None:
        request = desk.buy("-1")
        await desk.accepted(request)
        outcome, _ = await asyncio.gather(
            desk.exchange.cancel(desk.symbol, request.client_id),
            desk.venue.move(desk.price("-2")),
        )
        await desk.settle()
        report = await desk.report(request.client_id)
        assert report.status in (VenueStatus.CANCELED, VenueStatus.FILLED)
        if desk.venue.is_exact:
            assert isinstance(outcome, Accepted) is (report.status is VenueStatus.CANCELED)

    @case
    async def test_a_fill_against_a_cancel_ends_in_one_of_the_two(self, desk: Desk) -> None:
        request = desk.buy("-1")
        await desk.accepted(request)
        _, outcome = await asyncio.gather(
            desk.venue.move(desk.price("-2")),
            desk.exchange.cancel(desk.symbol, request.client_id),
        )
        await desk.settle()
        report = await desk.report(request.client_id)
        assert report.executed in (ZERO, request.quantity)
        if desk.venue.is_exact:
            assert isinstance(outcome, Accepted) is (report.status is VenueStatus.CANCELED)

    # -- what is told ---------------------------------------------------------------------------

    @case
    async def test_the_acknowledgement_carries_the_order_id(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-2"))
        await desk.settle()
        told = {e for e in desk.events(report.client_id) if isinstance(e, OrderAccepted)}
        assert {e.order_id for e in told} == {report.order_id}

    @case
    async def test_a_told_fill_is_the_trade_that_is_read(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-1"))
        await desk.move("-2")
        told = {e.trade for e in desk.events(report.client_id) if isinstance(e, OrderFilled)}
        assert told and told == set(await desk.trades(report.client_id))

    @case
    async def test_a_filled_order_is_told_to_have_ended(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-1"))
        await desk.move("-2")
        (end,) = {e for e in desk.events(report.client_id) if isinstance(e, OrderEnded)}
        assert (end.status, end.executed) == (VenueStatus.FILLED, report.quantity)


class ExactEventCases:
    """The order in which things are told; for venues that are exact."""

    @case
    async def test_a_taker_is_acknowledged_then_filled_then_ended(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy())
        await desk.settle()
        first, *fills, last = desk.events(report.client_id)
        assert isinstance(first, OrderAccepted) and isinstance(last, OrderEnded)
        assert fills and all(isinstance(event, OrderFilled) for event in fills)

    @case
    async def test_a_maker_is_acknowledged_then_filled_then_ended(self, desk: Desk) -> None:
        report = await desk.accepted(desk.buy("-1"))
        await desk.settle()
        assert [type(e) for e in desk.events(report.client_id)] == [OrderAccepted]
        await desk.move("-2")
        first, *fills, last = desk.events(report.client_id)
        assert isinstance(first, OrderAccepted) and isinstance(last, OrderEnded)
        assert fills and all(isinstance(event, OrderFilled) for event in fills)

    @case
    async def test_fills_of_several_orders_are_told_as_they_happened(self, desk: Desk) -> None:
        for percent in ("-3", "-1", "-2"):
            await desk.accepted(desk.buy(percent))
        await desk.move("-4")
        told = [e.trade for e in desk.events() if isinstance(e, OrderFilled)]
        assert told == await desk.trades()

    @case
    async def test_times_of_what_is_told_do_not_go_back(self, desk: Desk) -> None:
        await desk.accepted(desk.buy("-1"))
        gone = await desk.accepted(desk.buy("-3"))
        await desk.move("-2")
        await desk.cancelled(gone.client_id)
        await desk.settle()
        times = [event.time_ms for event in desk.events()]
        assert times == sorted(times) and len(times) >= 5

    @case
    async def test_reading_and_refusals_tell_nothing(self, desk: Desk) -> None:
        await desk.exchange.open_orders(desk.symbol)
        await desk.exchange.balances()
        await desk.not_open(desk.name())
        await desk.settle()
        assert desk.events() == []


def _in_order(trades: list[Trade]) -> list[str]:
    """Client ids in the order of their first trade."""
    return list(dict.fromkeys(trade.client_id for trade in trades))
