"""`BinanceAccount`: orders and trades of one account on one market; spot and futures build on it.

Requests only: events come over the user stream, which pushes them in here (`push`). An order waits
for its turn in the account's queue and then leaves once. A cancel never overtakes the order that it
is for: one that still waits is taken back, one that is under way is waited for.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from gridlab.domain.market import Balance, FeeSchedule, Instrument, Market
from gridlab.domain.orders import OrderReport, OrderRequest, OrderType, Trade
from gridlab.errors import BugError, ExchangeUnavailable, InvalidInput
from gridlab.exchange.base import (
    Accepted,
    Outcome,
    RejectCode,
    Rejected,
    Sink,
    Unknown,
    VenueEvent,
)
from gridlab.exchange.binance import mapping
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.fields import record, rows, whole
from gridlab.exchange.binance.mapping import RateLimit
from gridlab.exchange.binance.order_names import OrderNames
from gridlab.exchange.binance.public import (
    PAGE,
    RULES_MS,
    UNKNOWN_SYMBOL,
    BinancePublic,
    Ping,
    unlisted,
)
from gridlab.exchange.binance.routes import ACCOUNT, Signed
from gridlab.exchange.binance.transport import (
    Change,
    Done,
    SignedTransport,
    VenueRefused,
)
from gridlab.exchange.budgets import FIRST, NotSent
from gridlab.money import ZERO, rounding, text

#: The venue says that it does not know an order, or that it knew it very long ago.
_NO_SUCH_ORDER = {Market.SPOT: (-2013, -2026), Market.FUTURES: (-2013,)}
#: A trade younger than this has an order that the venue must know.
_RECENT_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an account and its key may do; None where the venue does not tell.

    Args:
        words: the same for people, one sentence each.
    """

    can_trade: bool | None
    can_withdraw: bool | None
    is_ip_restricted: bool | None
    words: tuple[str, ...]


class BinanceAccount(ABC):
    """One account on one market; with a user stream it is the whole `Exchange`.

    Args:
        rules_ms: how long a symbol's rules may be used before they are asked for again.
    """

    #: The longest span that one question for trades may cover.
    trades_window_ms: int

    def __init__(
        self, transport: SignedTransport, market: Market, *, rules_ms: int = RULES_MS
    ) -> None:
        if not isinstance(transport, SignedTransport):
            raise InvalidInput(
                "an account needs a SignedTransport; Shadow reads the market and has no account"
            )
        self.market = market
        self.unseen_horizon_ms = transport.unseen_horizon_ms
        self.public = BinancePublic(transport, market, rules_ms=rules_ms)
        self._transport = transport
        self._routes = ACCOUNT[market]
        self._orders = transport.orders(market)
        self._names = OrderNames(self.find_order, self._history_from)
        self._prices: dict[str, Decimal] = {}
        self._placing: dict[str, asyncio.Event] = {}
        self._sink: Sink | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport!r})"

    # -- about the connection --------------------------------------------------------------------

    @property
    def transport(self) -> SignedTransport:
        return self._transport

    @property
    def endpoints(self) -> Endpoints:
        return self._transport.endpoints

    @property
    def banned_until_ms(self) -> int:
        """When the present ban ends; 0 when there is none."""
        return self._transport.banned_until_ms(self.market)

    @property
    def clock_offset_ms(self) -> int:
        """How far the venue's clock is ahead of ours."""
        return self._transport.clock_offset_ms(self.market)

    def venue_now_ms(self) -> int:
        """The venue's time, as far as is known."""
        return self._transport.server_now_ms(self.market)

    async def ping(self) -> Ping:
        return await self.public.ping()

    async def limits(self) -> tuple[RateLimit, ...]:
        """What the venue limits: weight and new orders, by window."""
        return await self.public.limits()

    # -- events ----------------------------------------------------------------------------------

    def subscribe(self, sink: Sink) -> None:
        """Push every later event into `sink`, and no longer into the one before."""
        self._sink = sink

    def push(self, event: VenueEvent) -> None:
        """Hand an event of the user stream to whoever subscribed."""
        if self._sink is not None:
            self._sink(event)

    def learn(self, symbol: str, order_id: str, client_id: str) -> None:
        """Remember whose order that is; saves a question when its trades are read."""
        self._names.learn(symbol, order_id, client_id)

    def note_price(self, symbol: str, price: Decimal) -> None:
        """The last price, by which waiting orders are ranked: the nearest goes first."""
        self._prices[symbol] = price

    # -- orders ----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Outcome:
        """Send one order when it is its turn."""
        if request.market is not self.market:
            raise BugError(f"{request.client_id} is for {request.market}, this is {self.market}")
        if request.client_id in self._placing:
            return Rejected(RejectCode.DUPLICATE, f"{request.client_id} is being sent already")
        is_over = self._placing[request.client_id] = asyncio.Event()
        try:
            return await self._place(request)
        finally:
            is_over.set()
            del self._placing[request.client_id]

    async def cancel(self, symbol: str, client_id: str) -> Outcome:
        """End one order; `NOT_OPEN` when the venue holds no such open order."""
        if self._orders.withdraw(client_id):
            return Rejected(RejectCode.NOT_OPEN, "it was still waiting here and never left")
        placing = self._placing.get(client_id)
        if placing is not None:
            await placing.wait()
        params = {"symbol": symbol, "origClientOrderId": client_id}
        change = await self._transport.change(self._routes.cancel, params)
        return self._outcome(change, symbol, client_id)

    async def cancel_by_number(self, symbol: str, order_id: str, client_id: str) -> Outcome:
        """As `cancel`, by the venue's own number: a stranger's id may not be fit to be signed."""
        params = {"symbol": symbol, "orderId": order_id}
        change = await self._transport.change(self._routes.cancel, params)
        return self._outcome(change, symbol, client_id)

    async def query(self, symbol: str, client_id: str) -> OrderReport | None:
        """What the venue knows of this id; None when it never saw it, or has forgotten it."""
        return await self._find(symbol, {"origClientOrderId": client_id})

    async def find_order(self, symbol: str, order_id: str) -> OrderReport | None:
        """As `query`, by the venue's own number of the order."""
        return await self._find(symbol, {"orderId": order_id})

    async def open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        """Every open order of the account on `symbol`, other people's included, oldest first."""
        return self._reports(await self.ask_about(symbol, self._routes.open))

    async def all_open_orders(self) -> tuple[OrderReport, ...]:
        """The open orders of every symbol, oldest first; weight 80 on spot, 40 on futures."""
        return self._reports(await self._transport.ask(self._routes.all_open, {}))

    # -- trades ----------------------------------------------------------------------------------

    async def trades(self, symbol: str, after_id: int = -1) -> tuple[Trade, ...]:
        """The account's trades on `symbol` with `trade_id > after_id`, oldest first.

        By ids and never by times: only an id tells where the next page begins, and USD-M answers a
        question without either with the oldest trades of seven days.
        """
        found: dict[int, Mapping[str, Any]] = {}
        next_id = max(0, after_id + 1)
        while True:
            page = await self._trade_page(symbol, {"fromId": str(next_id)}, PAGE)
            ids = [trade_id for trade_id, _ in page]
            found.update((i, row) for i, row in page if i > after_id)
            if len(page) < PAGE or max(ids) < next_id:
                break
            next_id = max(ids) + 1
        return await self._trades_of(symbol, [found[trade_id] for trade_id in sorted(found)])

    async def last_trade_id(self, symbol: str) -> int:
        """The newest trade of the account on `symbol`; -1 when there is none."""
        newest = await self._newest_trade(symbol)
        return -1 if newest is None else newest[0]

    async def trade_floor(self, symbol: str, since_ms: int) -> int:
        """The highest trade id of the account on `symbol` before that moment, -1 if there is none.

        Everything since then has a higher one. Where the moment lies too far back to find out
        cheaply, -1 is told, which is never wrong: it means to read all that the venue still has.
        """
        newest = await self._newest_trade(symbol)
        if newest is None:
            return -1
        if newest[1] < since_ms:
            return newest[0]
        start_ms, windows = since_ms, 0
        while windows < 30 and start_ms <= newest[1]:
            span = {
                "startTime": str(start_ms),
                "endTime": str(start_ms + self.trades_window_ms - 1),
            }
            page = await self._trade_page(symbol, span, 1)
            if page:
                return page[0][0] - 1
            start_ms += self.trades_window_ms
            windows += 1
        return -1

    # -- the account -----------------------------------------------------------------------------

    @abstractmethod
    async def balances(self) -> tuple[Balance, ...]:
        """What the account holds, by asset name."""

    @abstractmethod
    async def fees(self, symbol: str) -> FeeSchedule:
        """The account's own rates on `symbol`."""

    async def instrument(self, symbol: str, *, refresh: bool = False) -> Instrument:
        """The rules of `symbol`; raises `NotFound` when the venue has none.

        Args:
            refresh: ask now; an order that was refused by a rule does so by itself.
        """
        return await self.public.instrument(symbol, refresh=refresh)

    async def ask_about(
        self, symbol: str, route: Signed, params: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """The payload of a read in the account's name about one symbol.

        Raises:
            NotFound: the venue does not list the symbol, or no longer.
            ExchangeUnavailable: no usable answer.
        """
        try:
            return await self._transport.ask(route, {"symbol": symbol, **params})
        except VenueRefused as error:
            if error.code in UNKNOWN_SYMBOL:
                raise unlisted(symbol, self.market) from None
            raise

    # -- what the markets do differently ---------------------------------------------------------

    @abstractmethod
    def _order_params(self, request: OrderRequest) -> dict[str, str]:
        """Type, time in force and what else this market wants to know of an order."""

    @abstractmethod
    async def _newest_trade(self, symbol: str) -> tuple[int, int] | None:
        """(id, time) of the account's newest trade on `symbol`."""

    # -- inside ----------------------------------------------------------------------------------

    async def _place(self, request: OrderRequest) -> Outcome:
        refused = self._transport.keys_refused(self.market)
        # Whether a grid's last sale is taken is for the venue to say: it is not tried twice.
        if refused and request.type is not OrderType.MARKET:
            return Rejected(RejectCode.NOT_SENT, f"not sent: {refused}")
        try:
            await self._orders.enter(request.client_id, self._urgency(request))
        except NotSent as error:
            return Rejected(RejectCode.NOT_SENT, f"not sent: {error}")
        try:
            params = {
                "symbol": request.symbol,
                "side": request.side.value.upper(),
                "quantity": text(request.quantity),
                "newClientOrderId": request.client_id,
                # With the default a LIMIT_MAKER or a futures order would not tell what it traded.
                "newOrderRespType": "RESULT",
                **self._order_params(request),
            }
            change = await self._transport.change(self._routes.place, params, is_placement=True)
        finally:
            self._orders.leave()
        if isinstance(change, Rejected) and change.code == RejectCode.FILTER:
            self.public.forget_rules(request.symbol)
        return self._outcome(change, request.symbol, request.client_id)

    def _urgency(self, request: OrderRequest) -> Decimal:
        """Distance to the last price as a fraction of it; what trades at once goes first."""
        if request.price is None or request.type is OrderType.MARKET:
            return FIRST
        last = self._prices.get(request.symbol, ZERO)
        if last <= ZERO:
            return ZERO
        with rounding():
            return abs(request.price - last) / last

    def _outcome(self, change: Change, symbol: str, client_id: str) -> Outcome:
        if not isinstance(change, Done):
            return change
        try:
            report = mapping.order_report(change.payload, self.market)
        except ExchangeUnavailable as error:
            return Unknown(f"it was done, and its answer is unusable: {error}")
        if (report.symbol, report.client_id) != (symbol, client_id):
            return Unknown(f"the answer is about {report.client_id} on {report.symbol}")
        self.learn(symbol, report.order_id, client_id)
        return Accepted(report)

    async def _find(self, symbol: str, by: Mapping[str, str]) -> OrderReport | None:
        try:
            payload = await self.ask_about(symbol, self._routes.query, by)
        except VenueRefused as error:
            if error.code in _NO_SUCH_ORDER[self.market]:
                return None
            raise
        return mapping.order_report(payload, self.market)

    async def _history_from(self, symbol: str, order_id: str) -> tuple[OrderReport, ...]:
        params = {"orderId": order_id, "limit": str(PAGE)}
        return self._reports(await self.ask_about(symbol, self._routes.history, params))

    def _reports(self, payload: Any) -> tuple[OrderReport, ...]:
        found = mapping.order_reports(payload, self.market)
        for report in found:
            self.learn(report.symbol, report.order_id, report.client_id)
        return found

    async def _trade_page(
        self, symbol: str, where: Mapping[str, str], limit: int
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """(id, row) of one answer about trades, ascending."""
        params = {"limit": str(limit), **where}
        payload = await self.ask_about(symbol, self._routes.trades, params)
        name = f"{self.market} trades {symbol}"
        page = [(whole(record(row, name), "id", name), row) for row in rows(payload, name)]
        return sorted(page, key=lambda entry: entry[0])

    async def _trades_of(self, symbol: str, found: list[Mapping[str, Any]]) -> tuple[Trade, ...]:
        nameless = [mapping.trade(row, self.market, "") for row in found]
        since_ms = self.venue_now_ms() - _RECENT_MS
        names = await self._names.of(symbol, ((t.order_id, t.time_ms > since_ms) for t in nameless))
        return tuple(
            mapping.trade(row, self.market, names[trade.order_id])
            for row, trade in zip(found, nameless, strict=True)
        )
