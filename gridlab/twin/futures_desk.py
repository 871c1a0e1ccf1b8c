"""`FuturesDesk`: the futures market of a twin as one thing: its endpoints, and what time does.

Funding falls due, countdowns run out, GTD orders end, conditional orders trigger: one task looks
after all of it. What each of these does stands in the modules that this one puts together.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.money import parse, text
from gridlab.twin import (
    futures_account,
    futures_charts,
    futures_conditional,
    futures_market,
    futures_orders,
)
from gridlab.twin import wire_futures as wire
from gridlab.twin.fault_plan import unknown_key
from gridlab.twin.futures_figures import FuturesFigures
from gridlab.twin.futures_state import FuturesState
from gridlab.twin.news import MarketNews, OrderNews, VenueNews
from gridlab.twin.rest import Endpoint
from gridlab.twin.world import World

#: How exactly timers are kept.
TICK_MS = 50
#: Largest rate that funding may be paid at, either way.
MOST_RATE = Decimal("0.03")
GTD_ENDED = "GTD_EXPIRED"


class FuturesDesk:
    """The futures side of one twin; `start` it with the world and `stop` it before."""

    def __init__(self, world: World) -> None:
        self._world = world
        venue = world.venue(Market.FUTURES)
        self.state = FuturesState(venue, world.wall_ms, world.listen_keys)
        self._traded: set[str] = set()
        self._has_work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        venue.subscribe(self._on_news)

    @property
    def figures(self) -> FuturesFigures:
        """What the account is; for whoever tells of it."""
        return self.state.figures

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every USD-M REST endpoint."""
        modules = (
            futures_market,
            futures_charts,
            futures_orders,
            futures_conditional,
            futures_account,
        )
        return tuple(row for module in modules for row in module.endpoints(self.state))

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep_time()),
            asyncio.create_task(self._watch_triggers()),
        ]
        for task in self._tasks:
            task.add_done_callback(_report)

    async def stop(self) -> None:
        """End both tasks; raises what one of them died of."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # -- control --------------------------------------------------------------------------------

    async def pay_funding(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Pay funding now: `symbol` (all without), `rate` (the usual without).

        Raises:
            InvalidInput: an unknown key or symbol, a rate beyond the venue's cap.
        """
        for name in document:
            if name not in ("symbol", "rate"):
                raise InvalidInput(unknown_key(name, ["symbol", "rate"]))
        state = self.state
        symbols = list(state.rates)
        named = document.get("symbol")
        if named is not None and named not in symbols:
            raise InvalidInput(f"symbol {named!r} is not listed; listed are {', '.join(symbols)}")
        now_ms, paid = state.venue.now_ms(), []
        for symbol in [named] if named is not None else symbols:
            rate = parse(document.get("rate", state.rates[symbol]), "rate")
            if abs(rate) > MOST_RATE:
                raise InvalidInput(f"rate is {rate}; at most {MOST_RATE} either way")
            payment = state.pay_funding(symbol, rate, now_ms)
            if payment is not None:
                paid.append({"symbol": symbol, "amount": text(payment.amount)})
        return {"time": now_ms, "paid": paid}

    def truth(self) -> dict[str, Any]:
        """The account as the engine has it: wallets, positions, income, conditional orders."""
        account = self.figures.account()
        rules = self.state.all_rules()
        asset = self.state.margin_asset()
        return {
            "balances": [wire.balance(row) for row in account.assets],
            "positions": [
                wire.position_v3(row, rules[row.symbol], asset)
                | {
                    "leverage": row.leverage,
                    "marginType": row.margin_type.upper(),
                    # To the last digit, which the entry price is not.
                    "cost": text(self.state.book.figures(row.symbol).cost),
                }
                for row in account.positions
                if row.is_used
            ],
            "dual_side": self.state.is_hedged,
            "income": [
                {
                    "number": row.number,
                    "time": row.time_ms,
                    "symbol": row.symbol,
                    "type": row.kind.value,
                    "asset": row.asset,
                    "amount": text(row.amount),
                }
                for row in self.state.book.incomes()
            ],
            "open_conditional_orders": [
                order.client_id for order in self.state.algo.orders(open_only=True)
            ],
            "next_funding": self.state.next_funding_ms,
        }

    # -- what time does -------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        clock = self._world.clock
        while True:
            await clock.sleep_until(clock.now_ms() + TICK_MS)
            self.state.pay_due_funding()
            await self._count_down()
            self._end_good_till()

    async def _count_down(self) -> None:
        countdowns, now_ms = self.state.countdowns, self._world.wall_ms()
        for symbol in [each for each, due_ms in countdowns.items() if due_ms <= now_ms]:
            del countdowns[symbol]
            await futures_orders.end_all(self.state, symbol)
            futures_conditional.end_all(self.state, symbol)

    def _end_good_till(self) -> None:
        good_till, now_ms = self.state.good_till, self.state.venue.now_ms()
        for name in [each for each, end_ms in good_till.items() if end_ms <= now_ms]:
            del good_till[name]
            self.state.venue.expire(*name, GTD_ENDED)

    # -- what prices do -------------------------------------------------------------------------

    def _on_news(self, news: VenueNews) -> None:
        """Only note it: the venue is in the midst of its own work here."""
        if isinstance(news, MarketNews):
            self._traded.add(news.trade.symbol)
            self._has_work.set()
        elif isinstance(news, OrderNews) and not news.order.is_open:
            self.state.good_till.pop((news.order.symbol, news.order.client_id), None)
            futures_conditional.note_end(self.state, news.order)

    async def _watch_triggers(self) -> None:
        state = self.state
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            symbols, self._traded = self._traded, set()
            for symbol in sorted(symbols):
                for order in futures_conditional.triggered(state, symbol):
                    await futures_conditional.carry_out(state, order)


def _report(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, so that the loop reports it; a cancelled one ended rightly."""
    if not task.cancelled():
        task.result()
