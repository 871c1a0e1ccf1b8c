"""The reconciler: reads one venue and posts what differs from a bot's books.

Exchange truth wins for orders and positions, the journal wins for attribution. What can differ is
enumerated in `grid.reconcile`; on futures there are besides: settings that are not the assumed ones
(the bot halts), funding not yet booked (it is), the distance to liquidation (told to the grid), and
a position smaller than the books say, which means that somebody else or the venue has closed part
of it (the bot halts). Foreign orders are reported and never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from gridlab.agents.bot import Bot
from gridlab.clock import Clock
from gridlab.domain.account import Position
from gridlab.domain.events import Event, FundingPaid, OrderFilled, PositionReported
from gridlab.domain.market import Market
from gridlab.domain.orders import OrderReport, Trade
from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.base import Exchange, FuturesExchange, VenueEvent
from gridlab.grid.lifecycle import Order, OrderState
from gridlab.grid.reconcile import differences, forgotten, strangers
from gridlab.money import ZERO, text

log = logging.getLogger(__name__)

#: Trades of a run are sought from so long before its start by our clock, which need not be right:
#: one that is kept in local time, or was not set yet, is hours off the venue's.
FLOOR_MARGIN_MS = 86_400_000
#: A bot that is over is read for so long after; a venue books funding some time after it was due.
FILE_AFTER_MS = 120_000
#: Funding is paid once in hours, and to ask for it is dear.
FUNDING_EVERY_MS = 60_000
#: A payment may be booked so long after one that was read already.
FUNDING_LATE_MS = 60_000
#: Funding may be charged on a position that was opened so long after it was due.
#: Source: Binance, introduction to funding rates: a deviation of 15 seconds.
FUNDING_DEVIATION_MS = 15_000
#: Equal readings of a position that is too small before it is believed, and how far apart they
#: are at least: comparisons after a start or a gap come within milliseconds of each other.
READINGS = 3
READINGS_APART_MS = 5_000


@runtime_checkable
class TradeHistory(Protocol):
    """A venue that can tell where in an account's trades a moment lies."""

    async def trade_floor(self, symbol: str, since_ms: int) -> int:
        """The id of the account's last trade on `symbol` before `since_ms`; -1 without one."""
        ...


async def first_unread(bot: Bot, venue: Exchange) -> int:
    """The id after which the bot's unread trades begin.

    An account may have years of trades on a symbol; those before the run are not read.
    """
    if bot.watermark < 0 and bot.started and isinstance(venue, TradeHistory):
        floor = await venue.trade_floor(bot.symbol, bot.grid.started_ms - FLOOR_MARGIN_MS)
        bot.watermark = max(bot.watermark, floor)
    return bot.watermark


def may_be_filed(bot: Bot, now_ms: int) -> bool:
    """Whether nothing of a bot that is over can be found any more: not even late funding."""
    return bot.is_over and now_ms >= bot.grid.updated_ms + FILE_AFTER_MS


class Reconciler:
    """Compares bots with their venues.

    Args:
        bots: every run, by its name; read whenever runs are compared with each other.
        post: takes an event for the grid of a run.
        tell: takes a venue's event, and finds the run that it belongs to.

    Attributes:
        foreign: other people's open orders by market and symbol, as of the last comparison.
    """

    def __init__(
        self,
        bots: Mapping[str, Bot],
        post: Callable[[str, Event], None],
        tell: Callable[[VenueEvent], None],
        clock: Clock,
    ) -> None:
        self._bots = bots
        self._post = post
        self._tell = tell
        self._clock = clock
        self.foreign: dict[tuple[Market, str], tuple[OrderReport, ...]] = {}
        self._ghosts: dict[tuple[Market, str], frozenset[str]] = {}
        self._shortfalls: dict[str, tuple[tuple[Decimal, int], int, int]] = {}
        self._unknown_since_ms: dict[str, dict[str, int]] = {}

    async def compare(self, bot: Bot, venue: Exchange, known: Callable[[], frozenset[str]]) -> None:
        """Read account, trades and orders of `bot` and post what differs, trades first.

        Args:
            known: the ids of every order that some bot holds live, at the moment of asking.

        Raises:
            ExchangeUnavailable: the venue could not be read, and where it is a `VenueAway` not
                about other symbols either; what was posted before stands.
        """
        position = await self.check_account(bot, venue)
        if not bot.is_driven:
            return
        trades = await venue.trades(bot.symbol, await first_unread(bot, venue))
        for trade in trades:
            self._tell(OrderFilled(trade.time_ms, trade))
        open_now = {r.client_id: r for r in await venue.open_orders(bot.symbol)}
        await self._compare_orders(bot, venue, open_now, trades)
        if trades:
            bot.watermark = max(bot.watermark, trades[-1].trade_id)
        self._judge(bot, position)
        bot.is_filed = may_be_filed(bot, self._clock.now_ms())
        self._note_strangers((bot.market, bot.symbol), open_now.values(), known())

    async def _compare_orders(
        self,
        bot: Bot,
        venue: Exchange,
        open_now: Mapping[str, OrderReport],
        trades: Sequence[Trade],
    ) -> None:
        """Post what differs of each order, and end those that the venue has forgotten."""
        began_ms, unknown = self._clock.now_ms(), []
        for order in tuple(bot.grid.live_orders()):
            report = open_now.get(order.client_id)
            if report is None and order.may_be_live:
                report = await venue.query(bot.symbol, order.client_id)
                if report is None and order.state is OrderState.OPEN:
                    unknown.append(order)
            if report is not None:
                self._unknown_since_ms.get(bot.run, {}).pop(order.client_id, None)
                for event in differences(order, report, trades):
                    self._post(bot.run, event)
        self._end_forgotten(bot, venue, unknown, trades, began_ms)

    def _end_forgotten(
        self,
        bot: Bot,
        venue: Exchange,
        unknown: Iterable[Order],
        trades: Sequence[Trade],
        asked_from_ms: int,
    ) -> None:
        """End the open orders that the venue has not known for longer than a reading may lag.

        Law 2 for orders that were there: two comparisons at least, further apart than the horizon,
        and none between them that found the order.
        """
        now_ms = self._clock.now_ms()
        before = self._unknown_since_ms.get(bot.run, {})
        since_ms = {order.client_id: before.get(order.client_id, now_ms) for order in unknown}
        self._unknown_since_ms[bot.run] = since_ms
        for order in unknown:
            proven_from_ms = since_ms[order.client_id] + venue.unseen_horizon_ms
            if order.client_id not in before or asked_from_ms < proven_from_ms:
                continue
            for event in forgotten(order, trades, now_ms):
                log.warning(
                    "the %s venue does not know order %s any more, which was open and is not: it "
                    "counts as ended with %s traded",
                    bot.market,
                    order.client_id,
                    text(order.filled),
                )
                self._post(bot.run, event)

    async def look_up(self, bot: Bot, venue: Exchange, client_id: str) -> None:
        """Compare one order with the venue and post what differs; silent if it cannot be read."""
        order = bot.grid.find(client_id)
        if order is None:
            return
        try:
            report = await venue.query(bot.symbol, client_id)
            if report is None:
                return
            trades = await venue.trades(bot.symbol, await first_unread(bot, venue))
        except ExchangeUnavailable as error:
            log.warning("order %s could not be looked up and will be later: %s", client_id, error)
            return
        for event in differences(order, report, trades):
            self._post(bot.run, event)

    def _note_strangers(
        self,
        place: tuple[Market, str],
        open_now: Iterable[OrderReport],
        known: frozenset[str],
    ) -> None:
        """Keep what is foreign, and call ghosts out: those that two readings in turn have shown.

        One reading proves nothing, because an order may end between the reading and the comparison.
        """
        ghosts, self.foreign[place] = strangers(open_now, known)
        seen = frozenset(report.client_id for report in ghosts)
        for client_id in sorted(seen & self._ghosts.get(place, frozenset())):
            log.critical(
                "the %s venue holds order %s, which no run of this journal gave; look into it "
                "before you go on",
                place[0],
                client_id,
            )
        self._ghosts[place] = seen

    # --- futures ----------------------------------------------------------------------------------

    async def check_account(self, bot: Bot, venue: Exchange) -> Position | None:
        """The position of a futures bot; its settings are asserted and its funding is booked.

        The grid is told the position too. None on spot, for a bot that halts here, and for one
        that only cancels any more.

        Raises:
            ExchangeUnavailable: the venue could not be read.
        """
        if bot.market is not Market.FUTURES or not isinstance(venue, FuturesExchange):
            return None
        needs_settings = not bot.is_over and not bot.only_cancels
        if needs_settings and (words := await venue.mismatch(bot.symbol)):
            if not bot.only_cancels:  # it may have been told to stop while this was asked
                bot.halt(words, may_end=True)
            return None
        now_ms = self._clock.now_ms()
        if bot.is_over or now_ms >= bot.funding_read_ms + FUNDING_EVERY_MS:
            await self._book_funding(bot, venue)
            bot.funding_read_ms = now_ms
        if bot.only_cancels:
            return None  # nothing depends on it, and in hedge mode there is no net one to read
        position = await venue.position(bot.symbol)
        if not bot.is_over:
            self._post(bot.run, PositionReported(self._clock.now_ms(), position))
        return position

    async def _book_funding(self, bot: Bot, venue: FuturesExchange) -> None:
        """Post what was paid since the run first traded, unless another run has booked it.

        The first trade is the venue's own moment, as those of the payments are; ours may be before
        or after it. A minute is read again each time, because a venue may book late.
        """
        if bot.first_trade_ms is None:
            return  # it never held anything that is paid for
        begun_ms = bot.first_trade_ms - FUNDING_DEVIATION_MS
        after_ms = max(begun_ms - 1, bot.funding_ms - FUNDING_LATE_MS)
        for paid in await venue.funding(bot.symbol, after_ms):
            bot.funding_ms = max(bot.funding_ms, paid.time_ms)
            is_late = bot.is_over and paid.time_ms > bot.grid.updated_ms
            if not is_late and not self._is_of_another(bot, paid):
                bot.payments.add(paid.funding_id)
                self._post(bot.run, paid)

    def _is_of_another(self, bot: Bot, paid: FundingPaid) -> bool:
        return any(
            other is not bot and other.symbol == bot.symbol and paid.funding_id in other.payments
            for other in self._bots.values()
        )

    def _judge(self, bot: Bot, position: Position | None) -> None:
        """Halt a bot whose position is smaller than its books say, reading after reading.

        Fills may be on their way between two readings, so one proves nothing: the shortfall must be
        the same `READINGS` times, some seconds apart, while no trade is booked. A position that is
        larger is somebody else's doing and is left alone.
        """
        if position is None or bot.is_over or bot.only_cancels:
            return
        held = bot.grid.ledger.base_held
        seen = (held - position.quantity, bot.grid.trade_count)
        if seen[0] <= ZERO:
            self._shortfalls.pop(bot.run, None)
            return
        now_ms = self._clock.now_ms()
        before, count, read_ms = self._shortfalls.get(bot.run, (seen, 0, 0))
        if before != seen:
            count = 0
        elif count and 0 <= now_ms - read_ms < READINGS_APART_MS:
            return
        count += 1
        self._shortfalls[bot.run] = (seen, count, now_ms)
        if count >= READINGS:
            bot.halt(
                f"the venue holds {text(position.quantity)} of {bot.symbol} and this grid's books "
                f"hold {text(held)}: the position was closed in part by the venue (liquidation) or "
                "by somebody else. Stop the grid with the policy keep and start a new one",
                may_end=True,
            )
