"""The desk: every request's way from what came in to what goes out, for REST and the WebSocket API.

Order of refusals: what the faults have in store, a ban or a full window, the API key, the
signature, the timestamp, then whatever the endpoint's handler says. What changes something has its
timestamp looked at once more, just before the engine takes it. Handlers are plain async functions
of a `TwinRequest`; they know no transport.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

from gridlab.domain.market import Balance, Market
from gridlab.twin import futures_refusals
from gridlab.twin.answers import VenueError, refuse
from gridlab.twin.faults import RequestFault
from gridlab.twin.history import History
from gridlab.twin.limits import Limits
from gridlab.twin.news import OrderNews, VenueNews
from gridlab.twin.params import Params
from gridlab.twin.venue import Venue
from gridlab.twin.world import World

#: What a key looks like; the twin's own may look as its owner likes.
_KEY = re.compile(r"[A-Za-z0-9]{64}")
#: A timestamp may be ahead of the venue's time by less than this.
FUTURE_MS = 1_000
USUAL_WINDOW_MS = 5_000
LONGEST_WINDOW_MS = 60_000


class Security(Enum):
    """What a request must carry."""

    NONE = "none"
    KEY = "key"  # the API key alone
    SIGNED = "signed"  # key, timestamp and signature


@dataclass(slots=True)
class TwinRequest:
    """What a handler is given.

    Args:
        now_ms: the venue's time when the handler runs.
        as_of_ms: the moment that a read answers for; None for now.
        transport: `rest` or `ws`.
    """

    world: World
    venue: Venue
    params: Params
    now_ms: int
    api_key: str
    transport: str
    peer: str
    limits: Limits
    as_of_ms: int | None = None

    @property
    def history(self) -> History[tuple[Balance, ...]]:
        """Orders, trades and balances of this spot venue, now or a little while ago."""
        return self.world.histories[self.venue.market]

    @property
    def stale_ms(self) -> int:
        """How old the answer of a read is; zero unless a fault has it so."""
        return 0 if self.as_of_ms is None else self.now_ms - self.as_of_ms


Handler: TypeAlias = Callable[[TwinRequest], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path.

    Args:
        weight: what a request costs, or what computes it of the parameters.
        order_count: how many orders it counts as when it succeeds, or what computes it.
        is_order: it changes something: it may be duplicated and is never stale.
        is_free: a success gives the weight back.
        shows_orders: an answer tells the order counts although `order_count` is zero.
    """

    method: str
    path: str
    handler: Handler
    weight: int | Callable[[Params], int] = 1
    security: Security = Security.NONE
    order_count: int | Callable[[Params], int] = 0
    is_order: bool = False
    is_free: bool = False
    shows_orders: bool = False

    def weight_of(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)

    def orders_of(self, params: Params) -> int:
        return self.order_count if isinstance(self.order_count, int) else self.order_count(params)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its transport understood it.

    Args:
        api_key: as it was sent; None when it was not.
        has_signature: whether a signature was sent.
        is_signed_by: whether the signature is that of a secret.
    """

    endpoint: Endpoint
    params: Params
    peer: str
    api_key: str | None = None
    has_signature: bool = False
    is_signed_by: Callable[[str], bool] = lambda secret: False
    transport: str = "rest"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back.

    Args:
        is_lost: nothing does: the connection is cut.
        has_orders: whether order counts belong to what is told of the limits.
    """

    status: int
    payload: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    is_lost: bool = False
    has_orders: bool = False


LOST = Answer(0, None, is_lost=True)


class Desk:
    """One market's endpoints, its limits, and who may ask.

    Attributes:
        limits: weights and order counts; what a transport shows of them is its own affair.
    """

    def __init__(self, world: World, market: Market, endpoints: Iterable[Endpoint]) -> None:
        self.world = world
        self.market = market
        self.venue = world.venue(market)
        self.limits = Limits(
            market,
            is_enforced=world.options.has_limits,
            server_offset_ms=lambda: world.now_ms() - world.wall_ms(),
        )
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        for endpoint in endpoints:
            self._endpoints[endpoint.method, endpoint.path] = endpoint
        self.venue.subscribe(self._on_news)

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return self._endpoints.get((method, path))

    def paths(self) -> frozenset[str]:
        """Every path that some method has."""
        return frozenset(path for _, path in self._endpoints)

    def note_request(self, peer: str) -> None:
        """Count what a client sent, whatever becomes of it."""
        self._note("requests", peer)

    def note_handshake(self, peer: str) -> None:
        """Count a socket that a client wants to open, of whichever kind."""
        self._note("connections", peer)

    async def run(self, call: Call) -> Answer:
        """Let a request happen, with the fault that is in store for it."""
        endpoint, world = call.endpoint, self.world
        world.check()
        fault = world.faults.on_request(
            self.market,
            endpoint.method,
            endpoint.path,
            is_order=endpoint.is_order,
            now_ms=world.wall_ms(),
            is_reduce_only=(call.params.get("reduceOnly") or "").lower() == "true",
        )
        if fault.is_request_lost:
            return LOST
        arrived_ms, weight = world.now_ms(), 0
        try:
            self._check_throttled(call, fault)
            weight = endpoint.weight_of(call.params)
            self.limits.admit(call.peer, weight, world.wall_ms())
            key = self._checked_key(call)
            if fault.travel_ms:
                await self._wait(fault.travel_ms)
            if endpoint.security is Security.SIGNED:
                self._check_signed(call, arrived_ms + fault.travel_ms)
            if fault.answer is not None and not fault.is_executed:
                return self._instead(call, fault)
            if fault.engine_ms:
                await self._wait(fault.engine_ms)
            if endpoint.is_order and endpoint.security is Security.SIGNED:
                self._check_engine_window(call, arrived_ms + fault.travel_ms + fault.engine_ms)
            answer = await self._carried_out(call, fault, key, weight)
        except VenueError as error:
            answer = self._refused(call, error)
        if fault.reply_ms:
            await self._wait(fault.reply_ms)
        if fault.is_reply_lost:
            return LOST
        return answer if fault.answer is None else self._instead(call, fault)

    def _on_news(self, news: VenueNews) -> None:
        """A first fill gives order count back."""
        if isinstance(news, OrderNews) and news.trade is not None and len(news.order.fills) == 1:
            wall_ms = self.world.wall_ms()
            self.limits.note_first_fill(is_maker=news.trade.is_maker, now_ms=wall_ms)

    # -- before the handler ---------------------------------------------------------------------

    def _note(self, what: str, peer: str) -> None:
        counters, wall_ms = self.world.counters, self.world.wall_ms()
        counters[what] += 1
        if self.limits.is_banned(peer, wall_ms):
            counters[f"{what}_in_ban"] += 1
            if self.limits.knows_of_ban(peer, wall_ms):
                counters[f"{what}_despite_ban"] += 1

    def _check_throttled(self, call: Call, fault: RequestFault) -> None:
        """Begin the ban or the pause that a fault has in store; a ban that runs takes no other."""
        wall_ms = self.world.wall_ms()
        if self.limits.is_banned(call.peer, wall_ms):
            return
        if fault.ban_ms:
            raise self.limits.ban(call.peer, fault.ban_ms, wall_ms)
        if fault.throttle_ms:
            raise self.limits.throttled(-(-fault.throttle_ms // 1_000))

    def _checked_key(self, call: Call) -> str:
        """The API key of who asks; empty where none is needed."""
        if call.endpoint.security is Security.NONE:
            return ""
        key = call.api_key or ""
        if key != self.world.key:
            raise refuse(-2015 if _KEY.fullmatch(key) else -2014)
        return key

    def _check_signed(self, call: Call, at_least_ms: int) -> None:
        """Signature, then timestamp.

        Args:
            at_least_ms: when the request was taken in by the venue's time at its arrival: a clock
                that a fault moves meanwhile must not lengthen the window.
        """
        params = call.params
        if not call.has_signature:
            raise refuse(-1102, "signature")
        if "timestamp" not in params:
            raise refuse(-1102, "timestamp")
        if not call.is_signed_by(self.world.secret):
            raise refuse(-1022)
        if _recv_window_ms(params) > LONGEST_WINDOW_MS:
            raise refuse(-1131)
        if self._sent_ms(params) >= self.world.now_ms() + FUTURE_MS:
            raise VenueError(
                -1021,
                f"Timestamp for this request was {FUTURE_MS}ms ahead of the server's time.",
            )
        if self._is_late(params, at_least_ms):
            raise refuse(-1021)

    def _check_engine_window(self, call: Call, at_least_ms: int) -> None:
        """The timestamp again; USD-M's engine has a code of its own for who comes too late."""
        if self._is_late(call.params, at_least_ms):
            raise refuse(-1021) if self.market is Market.SPOT else futures_refusals.refuse(-5028)

    def _is_late(self, params: Params, at_least_ms: int) -> bool:
        now_ms = max(self.world.now_ms(), at_least_ms)
        return now_ms - self._sent_ms(params) > _recv_window_ms(params)

    def _sent_ms(self, params: Params) -> int:
        sent_ms = params.integer("timestamp")
        if self.market is Market.SPOT and sent_ms > 10**15:
            sent_ms //= 1_000  # microseconds are taken too
        return sent_ms

    # -- the handler ----------------------------------------------------------------------------

    async def _carried_out(self, call: Call, fault: RequestFault, key: str, weight: int) -> Answer:
        endpoint = call.endpoint
        orders = endpoint.orders_of(call.params)
        if orders:
            self.limits.check_orders(orders, self.world.wall_ms())
        answer = await self._once(call, fault, key)
        if fault.is_duplicated and self.world.faults.may_repeat(
            is_open_or_ended=self._is_safe_to_repeat(call, answer)
        ):
            answer = await self._once(call, fault, key)
        if answer.status != 200:
            return answer
        wall_ms = self.world.wall_ms()
        if orders:
            self.limits.count_orders(orders, wall_ms)
        if endpoint.is_free:
            self.limits.refund(call.peer, weight, wall_ms)
        shows = orders > 0 or endpoint.shows_orders
        headers = self.limits.headers(call.peer, wall_ms, with_orders=shows)
        return Answer(200, answer.payload, headers, has_orders=shows)

    async def _once(self, call: Call, fault: RequestFault, key: str) -> Answer:
        now_ms = self.world.now_ms()
        request = TwinRequest(
            self.world,
            self.venue,
            call.params,
            now_ms,
            key,
            call.transport,
            call.peer,
            self.limits,
            now_ms - fault.stale_ms if fault.stale_ms else None,
        )
        try:
            return Answer(200, await call.endpoint.handler(request))
        except VenueError as error:
            return self._refused(call, error)

    def _is_safe_to_repeat(self, call: Call, first: Answer) -> bool:
        """Whether a second copy can't do what no client could have foreseen.

        Refused ones, cancels, and an order that rests under a name of the caller's choice, which
        the venue will know again.
        """
        if first.status != 200 or call.endpoint.method == "DELETE":
            return True
        client_id = call.params.get("newClientOrderId")
        if call.endpoint.method != "POST" or client_id is None:
            return False
        order = self.venue.find(call.params.get("symbol") or "", None, client_id)
        return order is not None and order.is_open

    # -- answers --------------------------------------------------------------------------------

    def _refused(self, call: Call, error: VenueError) -> Answer:
        refusal = error.refusal
        headers = self.limits.headers(call.peer, self.world.wall_ms(), with_orders=False)
        return Answer(refusal.status, refusal.body(), headers | dict(refusal.headers))

    def _instead(self, call: Call, fault: RequestFault) -> Answer:
        assert fault.answer is not None, "asked for only where a fault answers"
        headers = self.limits.headers(call.peer, self.world.wall_ms(), with_orders=False)
        return Answer(
            fault.answer.status, dict(fault.answer.body), headers | dict(fault.answer.headers)
        )

    async def _wait(self, duration_ms: int) -> None:
        clock = self.world.clock
        await clock.sleep_until(clock.now_ms() + duration_ms)


def _recv_window_ms(params: Params) -> Decimal:
    asked = params.maybe_decimal("recvWindow")
    return Decimal(USUAL_WINDOW_MS) if asked is None else asked
