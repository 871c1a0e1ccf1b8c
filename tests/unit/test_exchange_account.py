"""Pages of a real account's orders: ids that repeat from symbol to symbol lose none of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from driftless import RULES

from gridlab.agents.trader import Trader
from gridlab.app import exchange_account, own_orders
from gridlab.app.exchange_account import ExchangeAccount
from gridlab.app.order_pages import OrderPage, OrderQuery
from gridlab.clock import ManualClock
from gridlab.domain.account import MarginType, Position
from gridlab.domain.commands import PlaceOrder
from gridlab.domain.events import GridStarted, OrderAccepted, OrderEnded, Replan
from gridlab.domain.market import Balance, Market
from gridlab.domain.orders import (
    ClientId,
    OrderReport,
    OrderRequest,
    OrderType,
    Side,
    VenueStatus,
)
from gridlab.domain.pages import BEGINNING, OrderCursor
from gridlab.domain.spec import GridSpec
from gridlab.errors import ExchangeUnavailable, InvalidInput, NotFound
from gridlab.store.journal import Entry, Journal

ONE, PRICE = Decimal(1), Decimal(100)
RUNS = {"BTCUSDT": "a1", "ETHUSDT": "a2"}


class Books:
    """An account over a journal that a test writes, and over strangers' orders that it names."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = ManualClock(1_000)
        self._orders = 0
        if not journal.length:
            for symbol, run in RUNS.items():
                spec = GridSpec(symbol, levels=10, spacing=Decimal("0.01"), investment=PRICE)
                rules = replace(RULES, symbol=symbol)
                journal.append([Entry(run, GridStarted(1, run, spec, rules, PRICE), ())])
        self.trader = Trader({}, journal, self.clock)
        self.account = ExchangeAccount({}, self.trader, journal.path, self.clock)

    def own(self, symbol: str, order_id: str, time_ms: int = 50) -> tuple[str, str]:
        """An order of ours that the venue has taken."""
        self._orders += 1
        run = RUNS[symbol]
        client_id = str(ClientId(run, 0, self._orders, 1))
        request = OrderRequest(
            client_id, symbol, Market.SPOT, Side.BUY, OrderType.LIMIT, ONE, PRICE
        )
        self.journal.append(
            [
                Entry(run, Replan(time_ms, PRICE), (PlaceOrder(request),)),
                Entry(run, OrderAccepted(time_ms, client_id, order_id), ()),
            ]
        )
        return symbol, order_id

    def end_last(self, symbol: str) -> None:
        client_id = str(ClientId(RUNS[symbol], 0, self._orders, 1))
        ended = OrderEnded(60, client_id, VenueStatus.CANCELED, Decimal(0))
        self.journal.append([Entry(RUNS[symbol], ended, ())])

    def strangers(self, *places: tuple[str, str]) -> None:
        """Other people's open orders, as the next reconciliation finds them."""
        foreign = self.trader._reconciler.foreign
        for symbol in RUNS:
            foreign[Market.SPOT, symbol] = tuple(
                stranger(symbol, order_id) for where, order_id in places if where == symbol
            )

    def page(self, after: OrderCursor = BEGINNING, limit: int = 100, **more: object) -> OrderPage:
        query = OrderQuery(after=after, limit=limit, **more)  # type: ignore[arg-type]
        return asyncio.run(self.account.orders(query))


def stranger(symbol: str, order_id: str) -> OrderReport:
    return OrderReport(
        *(order_id, f"web_{order_id}", symbol, Side.BUY, OrderType.LIMIT, ONE, Decimal(0)),
        VenueStatus.NEW,
        created_ms=10,
        updated_ms=10,
        price=PRICE,
    )


def told(page: OrderPage) -> list[tuple[str, str]]:
    return [(order.symbol, order.order_id) for _, order in page.items]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with Journal.open(tmp_path / "journal.sqlite", lambda: "a") as journal:
        yield Books(journal)


def test_equal_ids_on_two_symbols_are_two_orders(books: Books) -> None:
    expected = [books.own("BTCUSDT", "7"), books.own("ETHUSDT", "7")]
    books.strangers(("BTCUSDT", "8"), ("ETHUSDT", "8"))
    assert told(books.page()) == [*expected, ("BTCUSDT", "8"), ("ETHUSDT", "8")]


def test_a_symbol_with_low_ids_comes_after_a_cursor_of_one_with_high_ids(books: Books) -> None:
    first = [books.own("BTCUSDT", "9000000001"), books.own("BTCUSDT", "9000000002")]
    page = books.page()
    assert told(page) == first and not page.has_more
    late = books.own("ETHUSDT", "12", time_ms=40)  # created before, told after
    page = books.page(page.next_cursor)
    assert told(page) == [late]
    books.strangers(("ETHUSDT", "3"))
    page = books.page(page.next_cursor)
    assert told(page) == [("ETHUSDT", "3")]
    books.strangers(("ETHUSDT", "3"), ("BTCUSDT", "2"))
    assert told(books.page(page.next_cursor)) == [("BTCUSDT", "2")]
    newest = books.own("ETHUSDT", "13")
    page = books.page(page.next_cursor)
    assert told(page) == [("BTCUSDT", "2"), newest]
    assert books.page(page.next_cursor) == OrderPage((), page.next_cursor, has_more=False)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_join_however_large_they_are(books: Books, limit: int) -> None:
    expected = [books.own(symbol, str(n)) for n in (5, 6, 7) for symbol in RUNS]
    books.strangers(("BTCUSDT", "1"), ("ETHUSDT", "1"))
    found, page = [], OrderPage((), BEGINNING, has_more=True)
    while page.has_more:
        page = books.page(OrderCursor.parse(str(page.next_cursor)), limit)
        found += told(page)
    assert found == [*expected, ("BTCUSDT", "1"), ("ETHUSDT", "1")]


def test_filters_come_before_the_limit(books: Books) -> None:
    for n in range(20):
        books.own("BTCUSDT", str(n))
        books.end_last("BTCUSDT")
    wanted = books.own("ETHUSDT", "1")
    assert told(books.page(limit=1, open_only=True)) == [wanted]
    assert told(books.page(limit=1, symbol="ETHUSDT")) == [wanted]
    empty = books.page(limit=1, symbol="SOLUSDT")
    assert not empty.items and not empty.has_more


def test_after_a_restart_a_cursor_still_holds_and_strangers_are_told_once_more(
    books: Books,
) -> None:
    books.own("BTCUSDT", "7")
    books.strangers(("BTCUSDT", "8"))
    cursor = books.page().next_cursor
    again = Books(books.journal)
    again.clock.advance_to(2_000)
    again.strangers(("BTCUSDT", "8"), ("BTCUSDT", "9"))
    assert told(again.page(cursor)) == [("BTCUSDT", "8"), ("BTCUSDT", "9")]


@pytest.mark.parametrize("written", ["", "x", "-1", "1.", "1.2.3", "1\n", "٣", "9" * 16])
def test_what_is_no_cursor(written: str) -> None:
    with pytest.raises(InvalidInput, match="next_cursor"):
        OrderCursor.parse(written)


def test_a_page_has_at_least_one_order() -> None:
    with pytest.raises(InvalidInput, match="limit is 0"):
        OrderQuery(limit=0)


def test_the_journal_is_read_beside_the_loop_that_trades(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[int] = []
    original = own_orders.read_entries

    def read_entries(*arguments: Any) -> Any:
        readers.append(threading.get_ident())
        return original(*arguments)

    monkeypatch.setattr(own_orders, "read_entries", read_entries)
    books.page()
    asyncio.run(books.account.trades(Market.SPOT, "BTCUSDT"))
    assert len(readers) == 2 and threading.get_ident() not in readers


class Futures:
    """The futures venue of three grids: a position each, and which of them it refuses to tell."""

    market = Market.FUTURES

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.held = dict.fromkeys(("AUSDT", "BUSDT", "CUSDT"), ONE)
        self.refused: dict[str, Exception] = {}

    async def balances(self) -> tuple[Balance, ...]:
        return (Balance("USDT", ONE, Decimal(0)),)

    async def all_open_orders(self) -> tuple[OrderReport, ...]:
        return ()

    async def position(self, symbol: str) -> Position:
        if symbol in self.refused:
            raise self.refused[symbol]
        return Position(
            *(symbol, self.held[symbol], PRICE, PRICE, None, 1, MarginType.ISOLATED), updated_ms=0
        )


@pytest.fixture
def futures(books: Books, monkeypatch: pytest.MonkeyPatch) -> Futures:
    venue = Futures(books.clock)
    monkeypatch.setattr(exchange_account, "FuturesExchange", Futures)
    bots = {
        name: SimpleNamespace(symbol=name, market=Market.FUTURES, started=True)
        for name in venue.held
    }
    trader: Any = SimpleNamespace(bots=bots, exchanges={Market.FUTURES: venue}, foreign={})
    books.account = ExchangeAccount(
        {Market.FUTURES: venue}, trader, books.journal.path, books.clock
    )
    return venue


def positions(account: ExchangeAccount) -> dict[str, Decimal]:
    return {position.symbol: position.quantity for position in account.positions()}


def test_one_refused_position_leaves_the_others_theirs_and_shows_its_age(
    books: Books, futures: Futures
) -> None:
    """A symbol that the venue will not tell about: its own figure stands still, and says so."""
    account, clock = books.account, books.clock
    asyncio.run(account.refresh())
    assert account.read_ms(Market.FUTURES) == 1_000
    clock.advance_to(9_000)
    futures.refused["BUSDT"] = ExchangeUnavailable("-1121: Invalid symbol.")
    futures.held |= {"AUSDT": Decimal(2), "BUSDT": Decimal(2), "CUSDT": Decimal(0)}
    asyncio.run(account.try_to_refresh())
    assert positions(account) == {"AUSDT": Decimal(2), "BUSDT": ONE}
    assert account.read_ms(Market.FUTURES) == 1_000, "as old as the oldest that is shown"
    del futures.refused["BUSDT"]
    asyncio.run(account.try_to_refresh())
    assert positions(account) == {"AUSDT": Decimal(2), "BUSDT": Decimal(2)}
    assert account.read_ms(Market.FUTURES) == 9_000


def test_a_position_that_was_never_told_ages_from_when_it_was_asked_for(
    books: Books, futures: Futures
) -> None:
    account = books.account
    futures.refused["BUSDT"] = ExchangeUnavailable("-1121: Invalid symbol.")
    futures.refused["CUSDT"] = NotFound("CUSDT is not listed on futures")
    for now_ms in (1_000, 50_000):
        books.clock.advance_to(now_ms)
        asyncio.run(account.try_to_refresh())
        assert positions(account) == {"AUSDT": ONE}
        assert account.read_ms(Market.FUTURES) == 1_000
