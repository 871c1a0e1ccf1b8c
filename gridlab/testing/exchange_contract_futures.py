"""Contract cases of a futures account: positions, reduce-only, margin, settings, funding."""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.orders import Side, VenueStatus
from gridlab.exchange.base import RejectCode
from gridlab.money import ZERO, floor_to, rounding
from gridlab.testing.exchange_contract_desk import Desk, case
from gridlab.testing.exchange_contract_venue import funding_of, futures_of, settings_of


class PositionCases:
    """One net position and its reduce-only orders, under the settings that grids assume."""

    @case
    async def test_without_trades_there_is_no_position(self, desk: Desk) -> None:
        position = await futures_of(desk.venue).position(desk.symbol)
        assert position.symbol == desk.symbol
        assert (position.quantity, position.entry_price) == (ZERO, ZERO)
        assert position.liquidation_price is None and position.mark_price > 0

    @case
    async def test_a_buy_opens_a_long(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        position = await futures_of(desk.venue).position(desk.symbol)
        (trade,) = await desk.trades()
        assert (position.quantity, position.entry_price) == (desk.quantity(), trade.price)

    @case
    async def test_a_sell_opens_a_short(self, desk: Desk) -> None:
        await desk.accepted(desk.sell())
        await desk.settle()
        assert await desk.position() == -desk.quantity()

    @case
    async def test_the_entry_is_the_average_of_what_was_bought(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.accepted(desk.buy("-2"))
        await desk.move("-3")
        trades = await desk.trades()
        with rounding():
            cost = sum((t.quote_quantity for t in trades), ZERO)
            average = cost / sum((t.quantity for t in trades), ZERO)
        position = await futures_of(desk.venue).position(desk.symbol)
        assert abs(position.entry_price - average) < Decimal("0.0001")

    @case
    async def test_closing_a_part_leaves_the_entry(self, desk: Desk) -> None:
        await desk.accepted(desk.buy(quantity=desk.quantity() * 2))
        before = await futures_of(desk.venue).position(desk.symbol)
        await desk.move("1")
        await desk.accepted(desk.sell(reduce_only=True))
        await desk.settle()
        after = await futures_of(desk.venue).position(desk.symbol)
        assert after.quantity == desk.quantity()
        assert abs(after.entry_price - before.entry_price) < Decimal("0.0001")

    @case
    async def test_buys_and_sells_cancel_out(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.accepted(desk.sell())
        await desk.settle()
        assert await desk.position() == 0

    @case
    async def test_a_larger_sell_turns_the_position(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.accepted(desk.sell(quantity=desk.quantity() * 2))
        await desk.settle()
        assert await desk.position() == -desk.quantity()

    @case
    async def test_open_profit_is_not_in_the_wallet(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        before = await desk.totals()
        await desk.move("3")
        position = await futures_of(desk.venue).position(desk.symbol)
        assert position.mark_price > position.entry_price and position.unrealized > 0
        assert await desk.totals() == before

    @case
    async def test_profit_is_realised_by_closing(self, desk: Desk) -> None:
        quote = desk.rules.quote
        before = (await desk.totals())[quote]
        await desk.accepted(desk.buy())
        await desk.move("3")
        await desk.accepted(desk.sell(reduce_only=True))
        await desk.settle()
        bought, sold = await desk.trades()
        gained = sold.quote_quantity - bought.quote_quantity - bought.fee - sold.fee
        assert gained > 0 and (await desk.totals())[quote] == before + gained

    @case
    async def test_fees_are_paid_in_the_margin_asset(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.accepted(desk.sell())
        await desk.settle()
        assert {t.fee_asset for t in await desk.trades()} == {desk.rules.quote}

    @case
    async def test_an_order_ties_up_margin_until_it_is_cancelled(self, desk: Desk) -> None:
        before = await desk.balance(desk.rules.quote)
        report = await desk.accepted(desk.buy("-2"))
        free, locked = await desk.balance(desk.rules.quote)
        assert free < before[0] and free + locked == sum(before)
        await desk.cancelled(report.client_id)
        assert await desk.balance(desk.rules.quote) == before

    @case
    async def test_an_order_beyond_the_margin_is_refused(self, desk: Desk) -> None:
        position = await futures_of(desk.venue).position(desk.symbol)
        free, _ = await desk.balance(desk.rules.quote)
        with rounding():
            most = free * position.leverage / desk.price("-2")
        quantity = floor_to(most, desk.rules.lot_size) + desk.rules.lot_size
        assert quantity <= desk.rules.max_quantity, "an account of ordinary size is meant"
        await desk.refused(desk.buy("-2", quantity=quantity), RejectCode.MARGIN)
        assert (await desk.balance(desk.rules.quote))[0] == free

    # -- reduce-only ----------------------------------------------------------------------------

    @case
    async def test_reduce_only_without_a_position_is_refused(self, desk: Desk) -> None:
        for request in (desk.sell("2", reduce_only=True), desk.buy("-2", reduce_only=True)):
            await desk.refused(request, RejectCode.REDUCE_ONLY)
            assert await desk.exchange.query(desk.symbol, request.client_id) is None

    @case
    async def test_reduce_only_on_the_side_that_grows_is_refused(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        await desk.refused(desk.buy("-2", reduce_only=True), RejectCode.REDUCE_ONLY)

    @case
    async def test_reduce_only_closes_the_position(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        report = await desk.accepted(desk.sell("1", reduce_only=True))
        await desk.move("2")
        assert await desk.position() == 0
        assert (await desk.report(report.client_id)).status is VenueStatus.FILLED

    @case
    async def test_reduce_only_may_be_worth_little(self, desk: Desk) -> None:
        """Else the rest of a position could not be closed."""
        await desk.accepted(desk.buy())
        await desk.settle()
        little = desk.rules.min_quantity
        assert little * desk.price("2") < desk.rules.min_notional
        await desk.accepted(desk.sell("2", quantity=little, reduce_only=True))
        await desk.refused(desk.sell("2", quantity=little), RejectCode.FILTER)

    @case
    async def test_reduce_only_needs_no_margin(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        before = await desk.balance(desk.rules.quote)
        await desk.accepted(desk.sell("2", reduce_only=True))
        assert await desk.balance(desk.rules.quote) == before

    @case
    async def test_reduce_only_never_turns_the_position(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        request = desk.sell(quantity=desk.quantity() * 2, reduce_only=True)
        await desk.accepted(request)
        await desk.settle()
        assert await desk.position() == 0
        report = await desk.report(request.client_id)
        assert not report.status.is_open and report.executed == desk.quantity()

    @case
    async def test_reduce_only_orders_end_with_the_position(self, desk: Desk) -> None:
        await desk.accepted(desk.buy())
        await desk.settle()
        resting = await desk.accepted(desk.sell("3", reduce_only=True))
        await desk.accepted(desk.sell())
        await desk.settle()
        report = await desk.report(resting.client_id)
        assert (report.status, report.executed) == (VenueStatus.EXPIRED, ZERO)

    # -- settings -------------------------------------------------------------------------------

    @case
    async def test_after_preparing_the_settings_agree(self, desk: Desk) -> None:
        futures = futures_of(desk.venue)
        for _ in range(2):  # to prepare what is prepared is no mistake
            await futures.prepare(desk.symbol)
            assert await futures.mismatch(desk.symbol) == ""

    @case
    async def test_without_leverage_a_long_has_no_price_to_fear(self, desk: Desk) -> None:
        await futures_of(desk.venue).prepare(desk.symbol)
        await desk.accepted(desk.buy())
        await desk.settle()
        position = await futures_of(desk.venue).position(desk.symbol)
        assert position.leverage == 1
        price = position.liquidation_price
        assert price is None or price < desk.start_price / 2

    @case
    async def test_no_funding_without_a_payment(self, desk: Desk) -> None:
        paid = await futures_of(desk.venue).funding(desk.symbol)
        last_ms = paid[-1].time_ms if paid else -1
        assert await futures_of(desk.venue).funding(desk.symbol, last_ms) == ()


class SettingsCases:
    """Settings that somebody else changes; for a venue with a `SettingsLever`."""

    @case
    async def test_a_changed_leverage_is_told_and_can_be_put_right(self, desk: Desk) -> None:
        futures = futures_of(desk.venue)
        await futures.prepare(desk.symbol)
        await settings_of(desk.venue).set_leverage(7)
        assert "7" in await futures.mismatch(desk.symbol)
        assert (await futures.position(desk.symbol)).leverage == 7
        await futures.prepare(desk.symbol)
        assert await futures.mismatch(desk.symbol) == ""

    @case
    async def test_leverage_divides_the_margin(self, desk: Desk) -> None:
        futures, quote = futures_of(desk.venue), desk.rules.quote
        await futures.prepare(desk.symbol)
        tied_up = []
        for leverage in (1, 10):
            await settings_of(desk.venue).set_leverage(leverage)
            free, _ = await desk.balance(quote)
            report = await desk.accepted(desk.buy("-2"))
            tied_up.append(free - (await desk.balance(quote))[0])
            await desk.cancelled(report.client_id)
        await futures.prepare(desk.symbol)
        assert tied_up[1] < tied_up[0] / 8

    @case
    async def test_a_position_that_fails_is_closed_by_the_venue(self, desk: Desk) -> None:
        """Orders end, the position is gone, and its trade is read like any other."""
        futures = futures_of(desk.venue)
        await futures.prepare(desk.symbol)
        await settings_of(desk.venue).set_leverage(50)
        await desk.accepted(desk.buy())
        waiting = await desk.accepted(desk.sell("8", reduce_only=True))
        deep = await desk.accepted(desk.buy("-9"))
        await desk.settle()
        position = await futures.position(desk.symbol)
        price = position.liquidation_price
        assert price is not None and desk.price("-3") < price < desk.start_price
        assert position.liquidation_distance is not None
        await desk.move("-4")
        assert await desk.position() == 0
        for name in (waiting.client_id, deep.client_id):
            report = await desk.report(name)
            assert not report.status.is_open and report.executed == 0
        forced = (await desk.trades())[-1]
        assert forced.client_id.startswith("autoclose-") and forced.side is Side.SELL
        await desk.venue.move(desk.start_price)
        await futures.prepare(desk.symbol)


class FundingCases:
    """Funding payments; for a venue with a `FundingLever`."""

    @case
    async def test_a_payment_is_read_and_is_in_the_wallet(self, desk: Desk) -> None:
        futures, quote = futures_of(desk.venue), desk.rules.quote
        await desk.accepted(desk.buy())
        await desk.settle()
        before, known = (await desk.totals())[quote], await futures.funding(desk.symbol)
        await funding_of(desk.venue).pay_funding(Decimal("0.001"), desk.name())
        await desk.settle()
        (paid,) = (await futures.funding(desk.symbol))[len(known) :]
        desk.flows += paid.amount
        assert paid.asset == quote and paid.amount < 0
        assert (await desk.totals())[quote] == before + paid.amount

    @case
    async def test_shorts_receive_what_longs_pay(self, desk: Desk) -> None:
        futures = futures_of(desk.venue)
        known = len(await futures.funding(desk.symbol))
        await desk.accepted(desk.sell())
        await desk.settle()
        await funding_of(desk.venue).pay_funding(Decimal("0.001"), desk.name())
        await desk.settle()
        (paid,) = (await futures.funding(desk.symbol))[known:]
        desk.flows += paid.amount
        assert paid.amount > 0

    @case
    async def test_payments_have_ids_of_their_own_and_are_read_from_a_time(
        self, desk: Desk
    ) -> None:
        futures = futures_of(desk.venue)
        known = len(await futures.funding(desk.symbol))
        await desk.accepted(desk.buy())
        await desk.settle()
        for _ in range(2):
            await funding_of(desk.venue).pay_funding(Decimal("0.0001"), desk.name())
            await desk.settle()
        paid = (await futures.funding(desk.symbol))[known:]
        desk.flows += sum((p.amount for p in paid), ZERO)
        assert len({p.funding_id for p in paid}) == 2
        assert await futures.funding(desk.symbol, paid[-1].time_ms) == ()
        assert paid[-1] in await futures.funding(desk.symbol, paid[-1].time_ms - 1)
        assert (await futures.funding(desk.symbol))[known:] == paid

    @case
    async def test_without_a_position_nothing_is_paid(self, desk: Desk) -> None:
        futures = futures_of(desk.venue)
        known = await futures.funding(desk.symbol)
        await funding_of(desk.venue).pay_funding(Decimal("0.001"), desk.name())
        await desk.settle()
        assert await futures.funding(desk.symbol) == known
