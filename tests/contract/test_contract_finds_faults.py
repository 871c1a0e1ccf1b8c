"""The contract suite would see a venue that breaks it: each mutant here must fail some case.

A mutant is the paper venue with one thing wrong. The whole suite is run on it, case by case, each
on a fresh venue; the cases that fail must be among those that are about the broken thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from contract_venues import START_MS, paper, under_test

from gridlab.clock import ManualClock
from gridlab.domain.account import Position
from gridlab.domain.events import FundingPaid, OrderAccepted, OrderEnded, OrderFilled
from gridlab.domain.market import Balance, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Trade, VenueStatus
from gridlab.errors import NotFound
from gridlab.exchange.base import Accepted, Outcome, RejectCode, Rejected, Sink, Unknown, VenueEvent
from gridlab.exchange.paper import PaperExchange
from gridlab.exchange.paper_futures import PaperFutures
from gridlab.testing.exchange_contract import (
    ExactEventCases,
    FundingCases,
    FuturesContract,
    OrderCapCases,
    PartialFillCases,
    SettingsCases,
    SpotContract,
)

D = Decimal


class Spot(SpotContract, ExactEventCases, PartialFillCases, OrderCapCases):
    pass


class Futures(
    FuturesContract, ExactEventCases, PartialFillCases, OrderCapCases, FundingCases, SettingsCases
):
    pass


def names_of(suite: type) -> list[str]:
    return sorted(name for name in dir(suite) if name.startswith("test_"))


def failing(suite: type, market: Market, mutant: type[PaperExchange]) -> set[str]:
    """Names of the cases that fail on the mutant."""
    failed = set()
    for name in names_of(suite):
        clock = ManualClock(START_MS)
        venue = mutant(paper(market, clock).book, clock)
        try:
            getattr(suite(), name)(under_test(venue, clock))
        except (AssertionError, ValueError, NotFound, pytest.fail.Exception):
            failed.add(name)
    return failed


# -- mutants of what every venue does ---------------------------------------------------------


class CancelsTwice(PaperExchange):
    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        outcome = await super().cancel(symbol, client_id)
        report = self.book.query(symbol, client_id)
        return Accepted(report) if report is not None else outcome


class ForgetsCancelled(PaperExchange):
    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        report = await super().query(symbol, client_id)
        is_gone = report is not None and report.status is VenueStatus.CANCELED
        return None if is_gone else report


class NewestFirst(PaperExchange):
    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        return (await super().open_orders(symbol))[::-1]


class HidesForeignOrders(PaperExchange):
    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        found = await super().open_orders(symbol)
        return tuple(r for r in found if not r.client_id.startswith("web_"))


class InclusiveCursor(PaperExchange):
    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        return await super().trades(symbol, after_id - 1)


class NewestTradesFirst(PaperExchange):
    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        return (await super().trades(symbol, after_id))[::-1]


class TakesDuplicates(PaperExchange):
    async def place(self, request: OrderRequest) -> Outcome:
        outcome = await super().place(request)
        if isinstance(outcome, Rejected) and outcome.code == RejectCode.DUPLICATE:
            outcome = await super().place(replace(request, client_id=f"{request.client_id}x"))
        return outcome


class TakesPostOnly(PaperExchange):
    async def place(self, request: OrderRequest) -> Outcome:
        if request.type is OrderType.LIMIT_MAKER:
            request = replace(request, type=OrderType.LIMIT)
        return await super().place(request)


class AlwaysUnknown(PaperExchange):
    async def place(self, request: OrderRequest) -> Outcome:
        await super().place(request)
        return Unknown("lost")


class WrongCodes(PaperExchange):
    async def place(self, request: OrderRequest) -> Outcome:
        outcome = await super().place(request)
        return replace(outcome, code="refused") if isinstance(outcome, Rejected) else outcome


class RoundsPrices(PaperExchange):
    """Takes what is off the tick, and makes something else of it."""

    async def place(self, request: OrderRequest) -> Outcome:
        tick = self.book.instrument("BTCUSDT").tick_size
        if request.price is not None and request.price % tick:
            request = replace(request, price=request.price // tick * tick)
        return await super().place(request)


class InventsInstruments(PaperExchange):
    async def instrument(self, symbol: str) -> Instrument:
        return replace(self.book.instrument("BTCUSDT"), symbol=symbol)


class Telling(PaperExchange):
    """A venue whose events go through `tell` first."""

    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        return [event]

    def subscribe(self, sink: Sink) -> None:
        def pass_on(event: VenueEvent) -> None:
            for told in self.tell(event):
                sink(told)

        super().subscribe(pass_on)


class LosesFills(Telling):
    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        return [] if isinstance(event, OrderFilled) else [event]


class LosesEnds(Telling):
    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        return [] if isinstance(event, OrderEnded) else [event]


class RepeatsEvents(Telling):
    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        return [event, event]


class LateAcknowledgement(Telling):
    held: VenueEvent | None = None

    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        if isinstance(event, OrderAccepted):
            self.held = event
            return []
        held, self.held = self.held, None
        return [event] if held is None else [event, held]


class WrongFee(Telling):
    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        if isinstance(event, OrderFilled):
            event = replace(event, trade=replace(event.trade, fee=event.trade.fee * 2))
        return [event]


class WrongEnd(Telling):
    def tell(self, event: VenueEvent) -> list[VenueEvent]:
        return [replace(event, executed=D(0)) if isinstance(event, OrderEnded) else event]


class RoundedBalances(PaperExchange):
    async def balances(self) -> tuple[Balance, ...]:
        return tuple(replace(b, free=b.free.quantize(D("0.01"))) for b in await super().balances())


class UnlockedBalances(PaperExchange):
    async def balances(self) -> tuple[Balance, ...]:
        return tuple(Balance(b.asset, b.total) for b in await super().balances())


COMMON: list[tuple[type[PaperExchange], str]] = [
    (CancelsTwice, "test_a_second_cancel_is_told_that_nothing_is_open"),
    (ForgetsCancelled, "test_a_cancelled_order_is_still_known"),
    (NewestFirst, "test_open_orders_come_oldest_first"),
    (HidesForeignOrders, "test_foreign_orders_are_seen_under_their_own_names"),
    (InclusiveCursor, "test_trades_are_read_from_a_cursor"),
    (NewestTradesFirst, "test_trades_are_read_from_a_cursor"),
    (TakesDuplicates, "test_an_open_id_cannot_be_given_twice"),
    (TakesPostOnly, "test_a_post_only_buy_that_would_take_is_refused"),
    (AlwaysUnknown, "test_a_market_buy_is_filled"),
    (WrongCodes, "test_a_price_off_the_tick_is_refused"),
    (RoundsPrices, "test_a_price_off_the_tick_is_refused"),
    (InventsInstruments, "test_a_symbol_that_is_not_listed_has_no_instrument"),
    (LosesFills, "test_a_told_fill_is_the_trade_that_is_read"),
    (LosesEnds, "test_a_filled_order_is_told_to_have_ended"),
    (RepeatsEvents, "test_a_taker_is_acknowledged_then_filled_then_ended"),
    (LateAcknowledgement, "test_a_taker_is_acknowledged_then_filled_then_ended"),
    (WrongFee, "test_a_told_fill_is_the_trade_that_is_read"),
    (WrongEnd, "test_a_filled_order_is_told_to_have_ended"),
    (RoundedBalances, "test_a_market_buy_is_filled"),
    (UnlockedBalances, "test_a_buy_locks_its_value_in_quote"),
]


@pytest.mark.parametrize(
    ("mutant", "case"), COMMON, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_spot_venue_fails(mutant: type[PaperExchange], case: str) -> None:
    failed = failing(Spot, Market.SPOT, mutant)
    assert case in failed, f"only {sorted(failed)}"


# -- mutants of a futures venue ---------------------------------------------------------------


class IgnoresReduceOnly(PaperFutures):
    async def place(self, request: OrderRequest) -> Outcome:
        return await super().place(replace(request, reduce_only=False))


class AlwaysAgrees(PaperFutures):
    async def mismatch(self, symbol: str) -> str:
        return ""


class PreparesNothing(PaperFutures):
    async def prepare(self, symbol: str) -> None:
        return None


class AllFunding(PaperFutures):
    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        return await super().funding(symbol)


class OneFundingId(PaperFutures):
    async def funding(self, symbol: str, after_ms: int = -1) -> tuple[FundingPaid, ...]:
        return tuple(replace(p, funding_id="f") for p in await super().funding(symbol, after_ms))


class UnsignedPosition(PaperFutures):
    async def position(self, symbol: str) -> Position:
        found = await super().position(symbol)
        return replace(found, quantity=abs(found.quantity))


class OpenProfitInTheWallet(PaperFutures):
    async def balances(self) -> tuple[Balance, ...]:
        profit = self.book.figures("BTCUSDT").unrealized
        return tuple(replace(b, locked=b.locked + profit) for b in await super().balances())


class FeesInBase(PaperFutures):
    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        return tuple(replace(t, fee_asset="BTC") for t in await super().trades(symbol, after_id))


FUTURES: list[tuple[type[PaperFutures], str]] = [
    (IgnoresReduceOnly, "test_reduce_only_without_a_position_is_refused"),
    (AlwaysAgrees, "test_a_changed_leverage_is_told_and_can_be_put_right"),
    (PreparesNothing, "test_a_changed_leverage_is_told_and_can_be_put_right"),
    (AllFunding, "test_payments_have_ids_of_their_own_and_are_read_from_a_time"),
    (OneFundingId, "test_payments_have_ids_of_their_own_and_are_read_from_a_time"),
    (UnsignedPosition, "test_a_sell_opens_a_short"),
    (OpenProfitInTheWallet, "test_open_profit_is_not_in_the_wallet"),
    (FeesInBase, "test_fees_are_paid_in_the_margin_asset"),
]


@pytest.mark.parametrize(
    ("mutant", "case"), FUTURES, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_futures_venue_fails(mutant: type[PaperFutures], case: str) -> None:
    failed = failing(Futures, Market.FUTURES, mutant)
    assert case in failed, f"only {sorted(failed)}"


def test_the_sound_venues_fail_nothing() -> None:
    assert failing(Spot, Market.SPOT, PaperExchange) == set()
    assert failing(Futures, Market.FUTURES, PaperFutures) == set()


@pytest.mark.parametrize(("suite", "least"), [(Spot, 60), (Futures, 60)])
def test_there_are_as_many_cases_as_were_promised(suite: type, least: int) -> None:
    assert len(names_of(suite)) >= least


def test_a_case_of_one_market_is_not_collected_for_the_other() -> None:
    assert "test_a_buy_locks_its_value_in_quote" not in names_of(Futures)
    assert "test_a_buy_opens_a_long" not in names_of(Spot)
    work: Callable[..., Any] = Spot.test_a_market_buy_is_filled
    assert not asyncio.iscoroutinefunction(work)
