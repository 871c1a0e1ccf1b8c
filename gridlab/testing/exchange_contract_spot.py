"""Contract cases of a spot account: what orders lock, what fills move, what funds forbid."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridlab.domain.market import FeeMode
from gridlab.domain.orders import Side
from gridlab.exchange.base import RejectCode
from gridlab.money import ZERO, exact
from gridlab.testing.exchange_contract_desk import Desk, case


class SpotBalanceCases:
    """Free and locked, to the last digit, as differences from what was there."""

    @case
    async def test_a_buy_locks_its_value_in_quote(self, desk: Desk) -> None:
        free, locked = await desk.balance(desk.rules.quote)
        request = desk.buy("-2")
        await desk.accepted(request)
        assert request.price is not None
        value = request.price * request.quantity
        assert await desk.balance(desk.rules.quote) == (free - value, locked + value)

    @case
    async def test_a_sell_locks_its_quantity_in_base(self, desk: Desk) -> None:
        await desk.stock()
        free, locked = await desk.balance(desk.rules.base)
        request = desk.sell("2")
        await desk.accepted(request)
        expected = (free - request.quantity, locked + request.quantity)
        assert await desk.balance(desk.rules.base) == expected

    @case
    async def test_locks_add_up(self, desk: Desk) -> None:
        free, locked = await desk.balance(desk.rules.quote)
        requests = [desk.buy(percent) for percent in ("-2", "-3", "-4")]
        for request in requests:
            await desk.accepted(request)
        total = sum((r.price * r.quantity for r in requests if r.price is not None), ZERO)
        assert await desk.balance(desk.rules.quote) == (free - total, locked + total)

    @case
    async def test_a_cancel_gives_the_lock_back(self, desk: Desk) -> None:
        before = await desk.balance(desk.rules.quote)
        report = await desk.accepted(desk.buy("-2"))
        await desk.cancelled(report.client_id)
        assert await desk.balance(desk.rules.quote) == before

    @case
    async def test_a_fill_moves_both_assets(self, desk: Desk) -> None:
        quote, base = await desk.balance(desk.rules.quote), await desk.balance(desk.rules.base)
        request = desk.buy("-1")
        await desk.accepted(request)
        await desk.move("-2")
        fees = await _fees(desk)
        assert request.price is not None
        with exact():
            paid = request.price * request.quantity + fees.get(desk.rules.quote, ZERO)
            got = request.quantity - fees.get(desk.rules.base, ZERO)
            expected = (quote[0] - paid, quote[1]), (base[0] + got, base[1])
        found = await desk.balance(desk.rules.quote), await desk.balance(desk.rules.base)
        assert found == expected

    @case
    async def test_a_limit_that_takes_gets_the_better_price_back(self, desk: Desk) -> None:
        free, locked = await desk.balance(desk.rules.quote)
        await desk.accepted(desk.buy("2"))
        await desk.settle()
        paid = sum((t.quote_quantity for t in await desk.trades()), ZERO)
        paid += (await _fees(desk)).get(desk.rules.quote, ZERO)
        assert await desk.balance(desk.rules.quote) == (free - paid, locked)

    @case
    async def test_fees_are_paid_out_of_what_is_received(self, desk: Desk) -> None:
        assert desk.venue.fees.mode is FeeMode.RECEIVED
        await desk.stock()
        await desk.accepted(desk.sell())
        await desk.settle()
        for trade in await desk.trades():
            bought = trade.side is Side.BUY
            assert trade.fee_asset == (desk.rules.base if bought else desk.rules.quote)

    @case
    async def test_balances_are_whole_and_by_name(self, desk: Desk) -> None:
        await desk.accepted(desk.buy("-2"))
        balances = await desk.exchange.balances()
        names = [balance.asset for balance in balances]
        assert names == sorted(set(names))
        for balance in balances:
            assert balance.free >= 0 and balance.locked >= 0
            assert balance.total == balance.free + balance.locked

    @case
    async def test_a_buy_beyond_the_funds_is_refused(self, desk: Desk) -> None:
        await self._poor(desk, Side.BUY)

    @case
    async def test_a_sell_beyond_what_is_held_is_refused(self, desk: Desk) -> None:
        await self._poor(desk, Side.SELL)

    @staticmethod
    async def _poor(desk: Desk, side: Side) -> None:
        """Ask for one lot more than the account can pay."""
        percent = "-2" if side is Side.BUY else "2"
        price = desk.price(percent)
        asset = desk.rules.quote if side is Side.BUY else desk.rules.base
        free, _ = await desk.balance(asset)
        lot = desk.rules.lot_size
        lots = int((free / price if side is Side.BUY else free) / lot) + 1
        quantity = max(lots * lot, desk.quantity())
        assert quantity <= desk.rules.max_quantity, "an account of ordinary size is meant"
        before = await desk.exchange.balances()
        await desk.refused(
            desk.order(side, percent, quantity=quantity), RejectCode.INSUFFICIENT_BALANCE
        )
        assert await desk.exchange.balances() == before

    @case
    async def test_a_price_outside_of_the_band_is_refused(self, desk: Desk) -> None:
        band = desk.rules.percent_price
        assert band is not None, "spot symbols have a price band"
        bounds = (
            (Side.BUY, desk.start_price * band.bid_down * Decimal("0.8")),
            (Side.SELL, desk.start_price * band.ask_up * Decimal("1.2")),
        )
        for side, price in bounds:
            tick = desk.rules.tick_size
            limit = price // tick * tick
            quantity = desk.quantity() if side is Side.SELL else desk.quantity(20)
            request = replace(desk.order(side, "1", quantity=quantity), price=limit)
            await desk.refused(request, RejectCode.FILTER)


async def _fees(desk: Desk) -> dict[str, Decimal]:
    """What the trades of this case paid, by asset."""
    fees: dict[str, Decimal] = {}
    for trade in await desk.trades():
        fees[trade.fee_asset] = fees.get(trade.fee_asset, ZERO) + trade.fee
    return fees
