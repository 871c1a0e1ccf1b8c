"""Contract cases: what a venue refuses, under which code, and that a refusal leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridlab.domain.orders import OrderRequest, Side
from gridlab.errors import NotFound
from gridlab.exchange.base import RejectCode
from gridlab.money import floor_to, rounding
from gridlab.testing.exchange_contract_desk import Desk, case


class RefusalCases:
    """Filters and unknown symbols, on every market."""

    @case
    async def test_a_price_off_the_tick_is_refused(self, desk: Desk) -> None:
        await self._filtered(desk, _priced(desk, desk.rules.tick_size / 2))

    @case
    async def test_a_quantity_off_the_lot_is_refused(self, desk: Desk) -> None:
        request = desk.buy("-2", quantity=desk.quantity() + desk.rules.lot_size / 2)
        await self._filtered(desk, request)

    @case
    async def test_a_quantity_below_the_minimum_is_refused(self, desk: Desk) -> None:
        below = desk.rules.min_quantity - desk.rules.lot_size
        await self._filtered(desk, desk.buy("-2", quantity=below or desk.rules.lot_size / 2))

    @case
    async def test_a_quantity_above_the_maximum_is_refused(self, desk: Desk) -> None:
        above = desk.rules.max_quantity + desk.rules.lot_size
        await self._filtered(desk, desk.buy("-2", quantity=above))

    @case
    async def test_an_order_worth_too_little_is_refused(self, desk: Desk) -> None:
        await self._filtered(desk, desk.buy("-2", quantity=_worth_too_little(desk)))

    @case
    async def test_a_market_order_worth_too_little_is_refused(self, desk: Desk) -> None:
        await self._filtered(desk, desk.buy(quantity=_worth_too_little(desk)))

    @case
    async def test_a_price_above_the_maximum_is_refused(self, desk: Desk) -> None:
        request = desk.buy("-2")
        above = desk.rules.max_price + desk.rules.tick_size
        await self._filtered(desk, replace(request, price=above))

    @case
    async def test_a_symbol_that_is_not_listed_is_refused(self, desk: Desk) -> None:
        request = replace(desk.buy("-2"), symbol=desk.venue.unknown_symbol)
        await desk.refused(request, RejectCode.INVALID_SYMBOL)

    @case
    async def test_a_symbol_that_is_not_listed_has_no_instrument(self, desk: Desk) -> None:
        with pytest.raises(NotFound):
            await desk.exchange.instrument(desk.venue.unknown_symbol)

    @case
    async def test_refusals_tie_up_no_funds(self, desk: Desk) -> None:
        before = await desk.exchange.balances()
        for _ in range(3):
            await desk.refused(_priced(desk, desk.rules.tick_size / 2), RejectCode.FILTER)
        assert await desk.exchange.balances() == before

    @staticmethod
    async def _filtered(desk: Desk, request: OrderRequest) -> None:
        """Refused by a filter: not known afterwards, not open, and nothing was told of it."""
        await desk.refused(request, RejectCode.FILTER)
        await desk.settle()
        assert await desk.exchange.query(desk.symbol, request.client_id) is None
        assert request.client_id not in await desk.open_ids()
        assert desk.events(request.client_id) == []


class OrderCapCases:
    """The number of open orders; for a venue whose symbol allows at most a dozen."""

    @case
    async def test_more_open_orders_than_allowed_are_refused(self, desk: Desk) -> None:
        room = desk.rules.max_num_orders - len(await desk.open_ids())
        assert 0 < room <= 12, "a symbol with a small cap is meant"
        names = []
        for _ in range(room):
            names.append((await desk.accepted(desk.buy("-2", quantity=desk.quantity(1)))).client_id)
        await desk.refused(desk.buy("-2", quantity=desk.quantity(1)), RejectCode.TOO_MANY_ORDERS)
        await desk.cancelled(names[0])
        await desk.accepted(desk.buy("-2", quantity=desk.quantity(1)))

    @case
    async def test_a_market_order_needs_no_place_among_the_open_ones(self, desk: Desk) -> None:
        room = desk.rules.max_num_orders - len(await desk.open_ids())
        for _ in range(room):
            await desk.accepted(desk.buy("-2", quantity=desk.quantity(1)))
        await desk.accepted(desk.buy())


def _priced(desk: Desk, off: Decimal) -> OrderRequest:
    request = desk.order(Side.BUY, "-2")
    assert request.price is not None
    return replace(request, price=request.price + off)


def _worth_too_little(desk: Desk) -> Decimal:
    """About half the least value, and still a quantity that the lot filter takes."""
    with rounding():
        half = floor_to(desk.rules.min_notional / desk.start_price / 2, desk.rules.lot_size)
    quantity = max(half, desk.rules.min_quantity)
    assert quantity * desk.start_price < desk.rules.min_notional, "no order can be worth too little"
    return quantity
