"""The account's events: their sequence on both markets, what faults do to them, and listen keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from gridlab.clock import ManualClock
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderRequest, OrderType, Side
from gridlab.twin.account_news import FuturesEvents, spot_events
from gridlab.twin.faults import TwinFaults
from gridlab.twin.futures_figures import FuturesFigures
from gridlab.twin.key_listener import KeyedAccount
from gridlab.twin.listen_keys import ListenKeys
from gridlab.twin.news import (
    EXCHANGE_CANCELED,
    FundingNews,
    OrderExtras,
    SettingsNews,
    VenueNews,
)
from gridlab.twin.options import TwinOptions
from gridlab.twin.user_stream import HOLD_MS, UserStream
from gridlab.twin.world import World

START_MS = 1_700_000_000_000


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Line:
    """A user stream with a listener, and faults that are told."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.faults = TwinFaults()
        self.stream = UserStream(self.clock, self.faults)
        self.heard: list[int] = []
        self.detach = self.stream.attach(lambda event: self.heard.append(event["n"]))

    def tell(self, *numbers: int) -> None:
        self.stream.tell([{"e": "executionReport", "n": number} for number in numbers])

    async def pass_ms(self, duration_ms: int) -> None:
        await settle()
        self.clock.advance_to(self.clock.now_ms() + duration_ms)
        await settle()


def with_line(play: Callable[[Line], Awaitable[None]]) -> None:
    async def run() -> None:
        await play(Line())

    asyncio.run(run())


def test_events_come_in_their_order_and_end_with_the_listener() -> None:
    async def play(line: Line) -> None:
        line.tell(1, 2, 3)
        assert line.heard == [1, 2, 3]
        line.detach()
        line.tell(4)
        assert line.heard == [1, 2, 3]
        assert not line.stream.has_listeners

    with_line(play)


def test_an_event_can_be_lost_or_doubled() -> None:
    async def play(line: Line) -> None:
        line.faults.inject("lost_event", count=2)
        line.tell(1, 2, 3)
        line.faults.inject("duplicated_event")
        line.tell(4, 5)
        assert line.heard == [3, 4, 4, 5]

    with_line(play)


def test_an_event_can_be_late() -> None:
    async def play(line: Line) -> None:
        line.faults.inject("late_event", ms=700)
        line.tell(1, 2)
        assert line.heard == [2]
        await line.pass_ms(699)
        assert line.heard == [2]
        await line.pass_ms(1)
        assert line.heard == [2, 1]

    with_line(play)


def test_an_event_can_be_overtaken_by_the_next() -> None:
    async def play(line: Line) -> None:
        line.faults.inject("reordered_event")
        line.tell(1)
        assert line.heard == []
        line.tell(2, 3)
        assert line.heard == [2, 1, 3]
        await line.pass_ms(HOLD_MS)
        assert line.heard == [2, 1, 3], "it is sent once"
        line.faults.inject("reordered_event")
        line.tell(4)
        await line.pass_ms(HOLD_MS)
        assert line.heard == [2, 1, 3, 4], "and not kept for ever when nothing follows"

    with_line(play)


def test_in_a_silence_events_are_lost_and_no_fault_is_spent() -> None:
    async def play(line: Line) -> None:
        line.faults.silent_until_ms = START_MS + 1_000
        line.faults.inject("duplicated_event")
        line.tell(1)
        await line.pass_ms(1_000)
        line.tell(2)
        assert line.heard == [2, 2]

    with_line(play)


def test_without_a_listener_no_fault_is_spent() -> None:
    async def play(line: Line) -> None:
        line.detach()
        line.faults.inject("lost_event")
        line.tell(1)
        line.stream.attach(lambda event: line.heard.append(event["n"]))
        line.tell(2, 3)
        assert line.heard == [3]

    with_line(play)


# -- listen keys --------------------------------------------------------------------------------


class Keyed:
    """An account behind listen keys."""

    def __init__(self) -> None:
        self.line = Line()
        self.keys = ListenKeys(lifetime_ms=10_000)
        now_ms = self.line.clock.now_ms
        self.account = KeyedAccount(self.line.stream, self.keys, self.line.clock, now_ms)
        self.events: list[str] = []

    def hear(self, listen_key: str, event: dict[str, Any]) -> None:
        self.events.append(event["e"])


def test_a_key_that_runs_out_says_so_and_then_nothing() -> None:
    async def play() -> None:
        keyed = Keyed()
        key = keyed.keys.create("me", START_MS)
        keyed.account.listen(key, keyed.hear)
        keyed.line.tell(1)
        await keyed.line.pass_ms(9_999)
        assert keyed.keys.keep_alive("me", START_MS + 9_999)
        await keyed.line.pass_ms(9_999)
        assert keyed.events == ["executionReport"], "it was renewed"
        await keyed.line.pass_ms(1)
        assert keyed.events == ["executionReport", "listenKeyExpired"]
        keyed.line.tell(2)
        assert len(keyed.events) == 2

    asyncio.run(play())


def test_a_key_that_is_closed_falls_silent_at_once() -> None:
    async def play() -> None:
        keyed = Keyed()
        key = keyed.keys.create("me", START_MS)
        keyed.account.listen(key, keyed.hear)
        keyed.keys.close("me", START_MS + 1)
        keyed.line.tell(1)
        await keyed.line.pass_ms(20_000)
        assert keyed.events == []

    asyncio.run(play())


def test_a_name_that_is_no_living_key_is_silent() -> None:
    async def play() -> None:
        keyed = Keyed()
        old = keyed.keys.create("me", START_MS)
        await keyed.line.pass_ms(10_000)
        for name in (old, "made up", ""):
            keyed.account.listen(name, keyed.hear)
        keyed.line.tell(1)
        await keyed.line.pass_ms(20_000)
        assert keyed.events == []

    asyncio.run(play())


# -- what a venue's news become -----------------------------------------------------------------


class Account:
    """A market of a real world, and the events that its news become."""

    def __init__(self, market: Market, **options_of_world: Any) -> None:
        self.clock = ManualClock(START_MS)
        options = TwinOptions(symbols=("BTCUSDT",), speed=0, pulse_ms=0, **options_of_world)
        self.world = World(options, self.clock)
        self.venue = self.world.venue(market)
        self.events: list[dict[str, Any]] = []
        self.make: Callable[[VenueNews, int], list[dict[str, Any]]] = spot_events
        self.futures: FuturesEvents | None = None
        if market is Market.FUTURES:
            self.futures = FuturesEvents(self.venue, FuturesFigures(self.venue))
            self.make = self.futures.of
        self.world.set_price(market, "BTCUSDT", Decimal(60000))
        self.venue.subscribe(self._on_news)

    def _on_news(self, news: VenueNews) -> None:
        self.events += self.make(news, self.world.now_ms())

    async def place(
        self,
        client_id: str,
        price: str | None,
        *,
        side: Side = Side.BUY,
        quantity: str = "0.01",
        **extras: Any,
    ) -> None:
        request = OrderRequest(
            client_id,
            "BTCUSDT",
            self.venue.market,
            side,
            OrderType.MARKET if price is None else OrderType.LIMIT,
            Decimal(quantity),
            None if price is None else Decimal(price),
        )
        await self.venue.place(request, OrderExtras(**extras))

    def take(self) -> list[dict[str, Any]]:
        events, self.events = self.events, []
        return events


def on_account(market: Market, play: Callable[[Account], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        await play(Account(market, **options))

    asyncio.run(run())


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Event names, an order's with its execution type."""
    return [f"{event['e']} {event['x']}" if "x" in event else event["e"] for event in events]


def test_spot_a_resting_order_locks_money_and_says_so() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000")
        new, position = account.take()
        assert (new["x"], new["X"], new["c"], new["w"]) == ("NEW", "NEW", "mine", True)
        assert (new["S"], new["o"], new["f"]) == ("BUY", "LIMIT", "GTC")
        assert [row["a"] for row in position["B"]] == ["USDT"], "only what changed"
        assert Decimal(position["B"][0]["l"]) >= 590

    on_account(Market.SPOT, play)


def test_spot_a_taker_is_new_first_then_trades() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", None)
        events = account.take()
        assert kinds(events) == [
            "executionReport NEW",
            "executionReport TRADE",
            "outboundAccountPosition",
        ]
        new, trade, position = events
        assert trade["i"] == new["i"] and trade["I"] > new["I"]
        assert (trade["X"], trade["m"], trade["w"]) == ("FILLED", False, False)
        assert (trade["N"], trade["n"]) == ("BTC", "0.00001000")
        assert trade["Y"] == trade["Z"] == "600.00000000"
        assert {row["a"] for row in position["B"]} == {"BTC", "USDT"}
        assert trade["t"] == account.venue.trades("BTCUSDT")[-1].trade_id, "the public trade"

    on_account(Market.SPOT, play)


def test_spot_a_maker_fills_under_its_own_name_at_its_own_price() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000")
        account.take()
        account.world.set_price(Market.SPOT, "BTCUSDT", Decimal(58900))
        (trade, position) = account.take()
        assert (trade["x"], trade["X"], trade["c"], trade["m"]) == ("TRADE", "FILLED", "mine", True)
        assert Decimal(trade["L"]) == 59000
        assert position["e"] == "outboundAccountPosition"

    on_account(Market.SPOT, play)


def test_spot_a_cancel_goes_by_a_name_of_its_own() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000")
        account.take()
        await account.venue.cancel("BTCUSDT", "mine", "why-i-cancel")
        (cancel, position) = account.take()
        assert (cancel["x"], cancel["X"]) == ("CANCELED", "CANCELED")
        assert (cancel["c"], cancel["C"]) == ("why-i-cancel", "mine")
        assert (cancel["w"], cancel["t"], cancel["N"]) == (False, -1, None)
        assert Decimal(position["B"][0]["l"]) == 0

    on_account(Market.SPOT, play)


def test_spot_what_the_venue_ends_says_why() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000")
        account.take()
        account.venue.expire("BTCUSDT", "mine", EXCHANGE_CANCELED)
        expired = account.take()[0]
        assert (expired["x"], expired["X"], expired["eR"]) == (
            "EXPIRED",
            "EXPIRED",
            EXCHANGE_CANCELED,
        )
        assert (expired["c"], expired["C"]) == ("mine", "")

    on_account(Market.SPOT, play)


def test_spot_an_ioc_order_that_finds_nothing_is_new_and_then_expired() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000", time_in_force="IOC")
        events = account.take()
        assert kinds(events)[:2] == ["executionReport NEW", "executionReport EXPIRED"]
        assert events[1]["f"] == "IOC"

    on_account(Market.SPOT, play)


def test_spot_money_that_comes_from_elsewhere_is_a_balance_update() -> None:
    async def play(account: Account) -> None:
        account.venue.adjust("USDT", Decimal(-100), "WITHDRAW")
        update, position = account.take()
        assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "USDT", "-100.00000000")
        assert position["e"] == "outboundAccountPosition"

    on_account(Market.SPOT, play)


def test_an_event_tells_what_can_be_queried_already() -> None:
    async def play(account: Account) -> None:
        seen: list[str] = []

        def on_news(news: VenueNews) -> None:
            for event in spot_events(news, account.world.now_ms()):
                if event["e"] == "executionReport":
                    order = account.venue.find("BTCUSDT", event["i"], None)
                    assert order is not None
                    seen.append(f"{event['X']}={order.status}")
                else:
                    free = {each.asset: each.free for each in account.venue.balances()}
                    for row in event["B"]:
                        assert Decimal(row["f"]) == free[row["a"]]

        account.venue.subscribe(on_news)
        await account.place("mine", "59000")
        account.world.set_price(Market.SPOT, "BTCUSDT", Decimal(58900))
        assert seen == ["NEW=NEW", "FILLED=FILLED"]

    on_account(Market.SPOT, play)


def test_futures_a_placement_moves_no_balance() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000")
        (new,) = account.take()
        assert new["e"] == "ORDER_TRADE_UPDATE"
        order = new["o"]
        assert (order["x"], order["X"], order["c"], order["ps"]) == ("NEW", "NEW", "mine", "BOTH")
        assert "n" not in order and "N" not in order

    on_account(Market.FUTURES, play)


def test_futures_a_fill_is_told_in_three_events() -> None:
    async def play(account: Account) -> None:
        await account.place("mine", None, quantity="0.1")
        new, lite, update, trade = account.take()
        assert (new["o"]["x"], trade["o"]["x"]) == ("NEW", "TRADE")
        assert [lite["e"], update["e"], trade["e"]] == [
            "TRADE_LITE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
        ]
        assert lite["t"] == trade["o"]["t"] == account.venue.trades("BTCUSDT")[-1].trade_id
        assert update["a"]["m"] == "ORDER"
        (position,) = update["a"]["P"]
        assert (position["s"], Decimal(position["pa"])) == ("BTCUSDT", Decimal("0.1"))
        assert Decimal(position["ep"]) == 60000
        (wallet,) = update["a"]["B"]
        assert Decimal(wallet["wb"]) == 100_000 - Decimal(trade["o"]["n"])
        assert Decimal(trade["o"]["n"]) == 3, "0.05 % of 6000"

    on_account(Market.FUTURES, play)


def test_futures_a_closing_trade_tells_its_profit() -> None:
    async def play(account: Account) -> None:
        await account.place("in", None, quantity="0.1")
        await account.place("out", "61000", side=Side.SELL, quantity="0.1", is_reduce_only=True)
        account.take()
        account.world.set_price(Market.FUTURES, "BTCUSDT", Decimal(61000))
        trade = [event for event in account.take() if event["e"] == "ORDER_TRADE_UPDATE"][-1]
        assert (trade["o"]["X"], trade["o"]["m"], trade["o"]["R"]) == ("FILLED", True, True)
        assert Decimal(trade["o"]["rp"]) == 100
        assert Decimal(trade["o"]["ap"]) == 61000

    on_account(Market.FUTURES, play)


def test_futures_funding_carries_the_balance_alone() -> None:
    async def play(account: Account) -> None:
        from gridlab.domain.events import FundingPaid

        account.venue.tell(
            FundingNews("BTCUSDT", FundingPaid(START_MS, "f-1", "USDT", Decimal("-1.5")))
        )
        (update,) = account.take()
        assert (update["a"]["m"], update["a"]["S"], update["a"]["P"]) == (
            "FUNDING_FEE",
            "BTCUSDT",
            [],
        )
        assert update["a"]["B"][0]["bc"] == "-1.5"

    on_account(Market.FUTURES, play)


def test_futures_a_new_leverage_is_a_change_of_configuration() -> None:
    async def play(account: Account) -> None:
        account.venue.tell(SettingsNews("BTCUSDT", START_MS, leverage=7))
        (update,) = account.take()
        assert (update["e"], update["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": "BTCUSDT", "l": 7})

    on_account(Market.FUTURES, play)


def test_futures_a_margin_is_called_once_until_it_is_enough_again() -> None:
    async def play(account: Account) -> None:
        assert account.futures is not None

        def called(price: int) -> list[str]:
            assert account.futures is not None
            account.world.set_price(Market.FUTURES, "BTCUSDT", Decimal(price))
            events = account.futures.margin_call("BTCUSDT", account.world.now_ms())
            return [f"{event['e']} {event['p'][0]['s']} {event['cw']}" for event in events]

        assert called(60_000) == [], "no position, no call"
        await account.place("in", None, quantity="0.18")
        assert called(59_000) == []
        (call,) = called(54_720)
        assert call.startswith("MARGIN_CALL BTCUSDT 99")
        assert called(54_715) == [], "it was told already"
        assert called(59_000) == []
        assert len(called(54_720)) == 1

    # What is in another asset backs nothing.
    on_account(Market.FUTURES, play, funds={"USDT": Decimal(1_000), "BTC": Decimal(5_000)})


def test_futures_a_forced_close_goes_by_its_own_name() -> None:
    async def play(account: Account) -> None:
        await account.place("in", None, quantity="0.18")
        await account.place("resting", "50000")
        account.take()
        account.world.set_price(Market.FUTURES, "BTCUSDT", Decimal(54_000))
        orders = [event["o"] for event in account.take() if event["e"] == "ORDER_TRADE_UPDATE"]
        ends = {(order["c"], order["x"]) for order in orders}
        assert ("resting", "EXPIRED") in ends
        forced = [order for order in orders if order["x"] == "CALCULATED"]
        assert forced and all(order["c"].startswith("autoclose-") for order in forced)
        assert (forced[-1]["X"], forced[-1]["o"], forced[-1]["S"]) == ("FILLED", "MARKET", "SELL")

    on_account(Market.FUTURES, play, funds={"USDT": Decimal(1_000)})


@pytest.mark.parametrize("market", list(Market))
def test_a_change_in_place_is_a_step_of_the_order(market: Market) -> None:
    async def play(account: Account) -> None:
        await account.place("mine", "59000", quantity="0.02")
        account.take()
        await account.venue.amend("BTCUSDT", "mine", quantity=Decimal("0.01"))
        step = account.take()[0]
        order = step["o"] if market is Market.FUTURES else step
        assert order["x"] == ("AMENDMENT" if market is Market.FUTURES else "REPLACED")
        assert (order["X"], Decimal(order["q"])) == ("NEW", Decimal("0.01"))

    on_account(market, play)


@pytest.mark.parametrize("market", list(Market))
def test_times_and_ids_of_events_never_go_back(market: Market) -> None:
    async def play(account: Account) -> None:
        for number in range(6):
            await account.place(f"mine-{number}", str(59990 - number))
            account.clock.advance_to(account.clock.now_ms() + 7)
        account.world.set_price(market, "BTCUSDT", Decimal(59000))
        events = account.take()
        times = [event["E"] for event in events]
        assert times == sorted(times)
        ids = [event["I"] for event in events if "I" in event]
        assert ids == sorted(set(ids))

    on_account(market, play)
