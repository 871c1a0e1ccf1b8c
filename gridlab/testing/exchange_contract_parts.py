"""Contract cases: orders that fill in parts; for a venue with a `PartsLever`."""

from __future__ import annotations

from decimal import Decimal

from gridlab.domain.events import OrderEnded, OrderFilled
from gridlab.domain.orders import VenueStatus
from gridlab.money import ZERO
from gridlab.testing.exchange_contract_desk import Desk, case
from gridlab.testing.exchange_contract_venue import parts_of


class PartialFillCases:
    """A part, the rest, and a cancel between them."""

    @case
    async def test_a_part_leaves_the_order_open(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        report = await desk.report(name)
        assert (report.status, report.executed) == (VenueStatus.PARTIALLY_FILLED, _part(desk))
        assert await desk.is_open(report)

    @case
    async def test_a_part_is_told_without_an_end(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        events = desk.events(name)
        fills = {e.trade for e in events if isinstance(e, OrderFilled)}
        assert [t.quantity for t in fills] == [_part(desk)]
        assert not any(isinstance(event, OrderEnded) for event in events)

    @case
    async def test_parts_are_trades_of_their_own(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        await _fill_part(desk, name, _part(desk))
        trades = await desk.trades(name)
        assert [t.quantity for t in trades] == [_part(desk)] * 2
        assert len({t.trade_id for t in trades}) == 2
        assert {(t.is_maker, t.price) for t in trades} == {(True, (await desk.report(name)).price)}

    @case
    async def test_the_rest_fills_when_the_market_comes(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        await desk.move("-3")
        report = await desk.report(name)
        assert (report.status, report.executed) == (VenueStatus.FILLED, report.quantity)
        assert len(await desk.trades(name)) >= 2

    @case
    async def test_a_cancel_keeps_what_was_executed(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        report = await desk.cancelled(name)
        assert (report.status, report.executed) == (VenueStatus.CANCELED, _part(desk))
        await desk.settle()
        (end,) = {e for e in desk.events(name) if isinstance(e, OrderEnded)}
        assert (end.status, end.executed) == (VenueStatus.CANCELED, _part(desk))

    @case
    async def test_a_cancel_gives_back_only_what_is_left(self, desk: Desk) -> None:
        """All that stays changed afterwards is the part's own trade."""
        name = await _order_with_a_part(desk)
        await desk.cancelled(name)
        await desk.settle()
        (trade,) = await desk.trades(name)
        assert trade.quantity == _part(desk)
        if desk.exchange.market == "spot":
            _, locked = await desk.balance(desk.rules.quote)
            assert locked == ZERO

    @case
    async def test_an_id_stays_taken_while_a_part_is_open(self, desk: Desk) -> None:
        name = await _order_with_a_part(desk)
        await desk.refused(desk.buy("-2", name=name), "duplicate_client_id")


def _part(desk: Desk) -> Decimal:
    return desk.quantity(2)


async def _order_with_a_part(desk: Desk) -> str:
    """The name of a buy of which a part was filled."""
    report = await desk.accepted(desk.buy("-2", quantity=desk.quantity(2) * 3))
    await _fill_part(desk, report.client_id, _part(desk))
    return report.client_id


async def _fill_part(desk: Desk, name: str, quantity: Decimal) -> None:
    await parts_of(desk.venue).fill_part(name, quantity)
    await desk.settle()
