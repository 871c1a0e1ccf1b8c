"""The two ways to Binance: `PublicTransport` for everybody, `SignedTransport` for the entitled.

Each request goes the same road: clock, allowance, client, counts, and the meaning of the answer by
`codes`. A read answers or raises, and is asked again when it may help. A change is sent once and
has one of three outcomes; only a refusal for its time, which provably did nothing, is repeated.

Law 9: `PublicTransport` holds no key, cannot sign, and takes `Public` routes only.
`SignedTransport` is not built without a `LiveRight`. No message, log line or error of these holds a
query, a key or a signature.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp

from gridlab.clock import Clock, monotonic_s
from gridlab.domain.market import Market
from gridlab.domain.snapshot import Mode
from gridlab.errors import ExchangeUnavailable, InvalidConfig, InvalidInput, VenueAway
from gridlab.exchange.base import RejectCode, Rejected, Unknown
from gridlab.exchange.binance import codes
from gridlab.exchange.binance.client import Answer, Client
from gridlab.exchange.binance.clock_offset import TOLERANCE_MS, ServerClock
from gridlab.exchange.binance.codes import Action, Meaning, Reaction
from gridlab.exchange.binance.endpoints import Endpoints
from gridlab.exchange.binance.fields import record, whole
from gridlab.exchange.binance.mapping import RateLimit
from gridlab.exchange.binance.routes import PUBLIC, Keyed, Public, Route, Signed
from gridlab.exchange.binance.signing import Credentials, LiveRight, sign_ws
from gridlab.exchange.binance.throttle import Throttle
from gridlab.exchange.budgets import MINUTE_MS, Budgets, OrderBudget, OrderLimit, WeightBudget
from gridlab.exchange.silence import Silence

log = logging.getLogger(__name__)

TIMEOUT_S = 12.0
RECV_WINDOW_MS = 5_000
#: The venue gives up on a request that it has taken in after so long.
ENGINE_LIMIT_MS = 10_000
#: Requests under way at once, apart from placements, whose queue has its own bound.
CHANGES_AT_ONCE = 16
READS_AT_ONCE = 8
#: Pauses before a read is asked again, and how long all attempts may take before the last.
READ_PAUSES_MS = (250, 1_000)
READ_AGAIN_S = 6.0
#: After the venue refused our keys no order leaves for so long, twice as long after each refusal
#: in a row, and at most for the second; reads may find out why.
KEYS_REFUSED_MS = 60_000
LONGEST_KEYS_REFUSED_MS = 3_600_000


class VenueRefused(ExchangeUnavailable):
    """The venue answered a read with a refusal.

    Args:
        code: the venue's own; None where it gave none.
    """

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


class AllRefused(VenueRefused, VenueAway):
    """A refusal that every other question would meet as well: of the keys, or of the clock."""


class _Unsent(VenueAway):
    """A request never left: the address is silent, or the venue's time is not known."""


@dataclass(frozen=True, slots=True)
class Done:
    """A change was carried out; `payload` is what the venue answered."""

    payload: Any


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """Why there is none, in words that hold no address."""

    reason: str


@dataclass(frozen=True, slots=True)
class _KeysRefused:
    """The venue does not take our keys: until when it is left alone, and for how long by then."""

    until_ms: int
    pause_ms: int
    reason: str


#: What became of a change.
Change: TypeAlias = Done | Rejected | Unknown


class _Wire:
    """The client and the gates of one event loop."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.loop = asyncio.get_running_loop()
        self.reads = asyncio.Semaphore(READS_AT_ONCE)
        self.changes = asyncio.Semaphore(CHANGES_AT_ONCE)


class PublicTransport:
    """Requests that need no key, to both markets of one venue. Construction connects nothing.

    Args:
        budgets: shared with everything else that speaks to the same addresses; its own by default.
        timeout_s: for a whole request; the venue itself gives up after 10 s.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        clock: Clock,
        budgets: Budgets | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.endpoints = endpoints
        self.clock = clock
        self.budgets = budgets or Budgets(clock)
        self.timeout_s = timeout_s
        self._held: _Wire | None = None
        self._throttles = {market: self._throttle(market) for market in Market}
        self._clocks = {market: self._server_clock(market) for market in Market}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoints.rest_spot!r})"

    # -- what others read ------------------------------------------------------------------------

    def weight(self, market: Market) -> WeightBudget:
        """The request weight of `market`; whoever asks the same address by other means takes it."""
        return self._throttles[market].weight

    def silence(self, market: Market) -> Silence:
        """When the venue may be spoken to again, by whatever means."""
        return self._throttles[market].weight.silence

    def banned_until_ms(self, market: Market) -> int:
        """When the present ban ends; 0 when there is none."""
        silence = self.silence(market)
        return silence.banned_until_ms if silence.is_banned else 0

    def note_refusal(self, market: Market, answer: Answer) -> None:
        """Keep the silence that a refusal asks for which did not come by a request of ours.

        A ban is one for all ways to the venue: who hears of it on a socket sends no request either.
        """
        reaction = codes.reaction(market, answer.status, answer.code, answer.message)
        self._throttles[market].react(answer, reaction, self._clocks[market].offset_ms)

    def server_now_ms(self, market: Market) -> int:
        """The venue's time, as far as is known."""
        return self._clocks[market].now_ms()

    def clock_offset_ms(self, market: Market) -> int:
        """How far the venue's clock is ahead of ours; 0 before it was measured."""
        return self._clocks[market].offset_ms

    async def sync_clock(self, market: Market) -> int:
        """Measure the offset now and return it; raises `ExchangeUnavailable`."""
        return await self._clocks[market].measure()

    async def server_time_ms(self, market: Market) -> int:
        """The venue's clock, asked now."""
        where = f"{market} time"
        # Past the gate: those who stand in it may be waiting for the venue's time.
        return whole(
            record(await self._read(PUBLIC[market].time, {}, None), where), "serverTime", where
        )

    def adopt_limits(self, market: Market, limits: Iterable[RateLimit]) -> None:
        """Plan by the limits that the venue states instead of the documented ones."""
        orders = []
        for limit in limits:
            if limit.kind == "REQUEST_WEIGHT" and limit.interval_ms == MINUTE_MS:
                self.weight(market).set_limit(max(1, limit.limit))
            elif limit.kind == "ORDERS" and limit.interval_ms:
                orders.append(OrderLimit(limit.interval_ms, limit.limit))
        budget = self._throttles[market].orders
        if budget is not None and orders:
            budget.set_limits(orders)

    async def read(self, route: Public, params: Mapping[str, str]) -> Any:
        """The payload of a public request.

        Raises:
            VenueRefused: the venue says that the request is wrong; every request of ours where it
                is an `AllRefused`.
            VenueAway: no answer at all, or one that concerns whatever is asked.
            ExchangeUnavailable: no usable answer to this question.
        """
        return await self._read(route, params, self._wire().reads)

    async def close(self) -> None:
        """Give the sockets back; a later request opens new ones."""
        held, self._held = self._held, None
        if held is not None and held.loop is asyncio.get_running_loop():
            await held.client.close()

    # -- the road --------------------------------------------------------------------------------

    async def _read(
        self, route: Route, params: Mapping[str, str], gate: asyncio.Semaphore | None
    ) -> Any:
        """Ask, and ask again after what may pass by itself."""
        begun_s = monotonic_s()
        for pause_ms in (*READ_PAUSES_MS, None):
            try:
                return await self._once(route, params, gate)
            except (VenueRefused, _Unsent):
                raise
            except ExchangeUnavailable:
                if pause_ms is None or monotonic_s() - begun_s > READ_AGAIN_S:
                    raise
                await self.clock.sleep_until(self.clock.now_ms() + pause_ms)
        raise AssertionError("the last attempt answers or raises")

    async def _once(
        self, route: Route, params: Mapping[str, str], gate: asyncio.Semaphore | None
    ) -> Any:
        answer, reaction = await self._exchange(route, params, gate)
        if isinstance(answer, _NoAnswer):
            raise VenueAway(f"{route} gave no answer: {answer.reason}")
        if reaction is None:
            return answer.payload
        text = f"{route}: {answer.words()}; nothing was changed"
        if reaction.action is Action.BACK_OFF:
            raise VenueAway(f"{text}, try again later")
        if reaction.meaning is Meaning.UNKNOWN:
            # 503 is the whole service's; without a code it is a word of what stands before it.
            is_away = answer.status == 503 or answer.code is None
            raise (VenueAway if is_away else ExchangeUnavailable)(f"{text}, try again later")
        if reaction.action in (Action.STOP_ALL, Action.RESYNC_CLOCK):
            raise AllRefused(text, answer.code)
        raise VenueRefused(text, answer.code)

    async def _exchange(
        self, route: Route, params: Mapping[str, str], gate: asyncio.Semaphore | None
    ) -> tuple[Answer | _NoAnswer, Reaction | None]:
        """One request; the reaction is None for a success. Sent anew once when its time was wrong.

        Raises:
            _Unsent: a ban, or the venue's time is not known.
        """
        throttle, server_clock = self._throttles[route.market], self._clocks[route.market]
        for is_last in (False, True):
            if isinstance(route, Signed):
                try:
                    await server_clock.ready()
                except ExchangeUnavailable as error:
                    raise _Unsent(str(error)) from None
            if gate is None:
                answer = await self._send(route, params)
            else:
                async with gate:
                    answer = await self._send(route, params)
            if isinstance(answer, _NoAnswer):
                return answer, Reaction(Meaning.UNKNOWN, "", Action.QUERY)
            if answer.is_success:
                throttle.calm()
                return answer, None
            reaction = codes.reaction(route.market, answer.status, answer.code, answer.message)
            throttle.react(answer, reaction, server_clock.offset_ms)
            if reaction.action is not Action.RESYNC_CLOCK or is_last:
                break
            server_clock.doubt()
        return answer, reaction

    async def _send(self, route: Route, params: Mapping[str, str]) -> Answer | _NoAnswer:
        """Take the weight, ask the client, book what came back."""
        throttle, client = self._throttles[route.market], self._wire().client
        try:
            minute = await throttle.take(route)
        except ExchangeUnavailable as error:
            raise _Unsent(str(error)) from None
        answer: Answer | None = None
        try:
            answer = await client.ask(route, params, self._clocks[route.market].now_ms())
            return answer
        except TimeoutError:
            return _NoAnswer(f"none within {self.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            # The text of these errors can hold the whole address, signature included.
            return _NoAnswer(f"the connection failed ({type(error).__name__})")
        finally:
            throttle.settle(route, minute, answer)

    # -- parts -----------------------------------------------------------------------------------

    def _wire(self) -> _Wire:
        held = self._held
        if held is None or held.loop is not asyncio.get_running_loop():
            held = self._held = _Wire(self._new_client())
        return held

    def _new_client(self) -> Client:
        return Client(self.endpoints, timeout_s=self.timeout_s)

    def _throttle(self, market: Market) -> Throttle:
        weight = self.budgets.weight(market, self.endpoints.rest(market))
        return Throttle(weight, self._order_budget(market), self.clock)

    def _order_budget(self, market: Market) -> OrderBudget | None:
        return None

    def _server_clock(self, market: Market) -> ServerClock:
        async def ask() -> int:
            return await self.server_time_ms(market)

        return ServerClock(ask, self.clock)


class SignedTransport(PublicTransport):
    """Requests in the name of an account, to both markets of one venue.

    Args:
        right: made by the Testnet and Production modes, and by nothing else.
        recv_window_ms: for how long the venue may still take a request in, at most 5000.
        engine_limit_ms: after how long it gives up on one that it took in.

    Raises:
        InvalidConfig: a window that is too wide, or addresses of the real exchange without the
            right to it.
    """

    def __init__(
        self,
        right: LiveRight,
        credentials: Credentials,
        endpoints: Endpoints,
        *,
        clock: Clock,
        budgets: Budgets | None = None,
        recv_window_ms: int = RECV_WINDOW_MS,
        engine_limit_ms: int = ENGINE_LIMIT_MS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if not isinstance(right, LiveRight):
            raise InvalidInput(
                "a signed transport needs a LiveRight; start in Testnet or Production"
            )
        if not 0 < recv_window_ms <= RECV_WINDOW_MS:
            raise InvalidConfig(
                f"recv_window_ms is {recv_window_ms}; above 0 and at most {RECV_WINDOW_MS}: a "
                "wider one lets lost orders appear later, mend the clock instead"
            )
        if endpoints.is_production and right.mode is not Mode.PRODUCTION:
            raise InvalidConfig(
                f"these are the addresses of the real exchange, and the mode is {right.mode.value};"
                " start with --production, or name the test network's addresses"
            )
        self.right = right
        self.recv_window_ms = recv_window_ms
        #: A time of ours may be wrong by the tolerance, and then counts from that much later.
        self.unseen_horizon_ms = recv_window_ms + engine_limit_ms + TOLERANCE_MS
        self._credentials = credentials
        self._refused: dict[Market, _KeysRefused] = {}
        super().__init__(endpoints, clock=clock, budgets=budgets, timeout_s=timeout_s)

    def orders(self, market: Market) -> OrderBudget:
        """The account's queue of new orders."""
        found = self._throttles[market].orders
        assert found is not None, "an account has a queue on each market"
        return found

    @property
    def account(self) -> str:
        """What tells this account from others without its key: the key's last characters."""
        return self._credentials.tail

    def keys_refused(self, market: Market) -> str:
        """Why no order leaves at present: the venue has just refused our keys; empty otherwise."""
        last = self._refused.get(market)
        return last.reason if last is not None and self.clock.now_ms() < last.until_ms else ""

    async def ask(self, route: Signed | Keyed, params: Mapping[str, str]) -> Any:
        """The payload of a read in the account's name; raises as `read`."""
        return await self._read(route, params, self._wire().reads)

    async def change(
        self, route: Signed | Keyed, params: Mapping[str, str], *, is_placement: bool = False
    ) -> Change:
        """Ask for a change, once. Never raises for what is asked or for what comes of it.

        Args:
            is_placement: it has waited for its turn already and passes the gate of the others.
        """
        gate = None if is_placement else self._wire().changes
        try:
            answer, reaction = await self._exchange(route, params, gate)
        except (_Unsent, InvalidInput) as error:
            return Rejected(RejectCode.NOT_SENT, f"not sent: {error}")
        if isinstance(answer, _NoAnswer):
            return Unknown(f"{route} gave no answer: {answer.reason}")
        if reaction is None or reaction.meaning is Meaning.ACCEPTED:
            if isinstance(route, Signed):
                self._refused.pop(route.market, None)
            return Done(answer.payload)
        if reaction.action is Action.STOP_ALL:
            self._keys_were_refused(route.market, f"{route}: {answer.words()}")
        if reaction.meaning is Meaning.UNKNOWN:
            return Unknown(f"{route}: {answer.words()}")
        return Rejected(reaction.code, answer.message or answer.words())

    async def signed_ws_params(self, market: Market, params: Mapping[str, Any]) -> dict[str, Any]:
        """`params` with key, time, window and signature by the rule of the WebSocket API.

        Raises:
            ExchangeUnavailable: the venue's time is not known well enough.
        """
        server_clock = self._clocks[market]
        await server_clock.ready()
        found = {
            **params,
            "apiKey": self._credentials.key,
            "recvWindow": self.recv_window_ms,
            "timestamp": server_clock.now_ms(),
        }
        texts = {name: str(value) for name, value in found.items()}
        return {**found, "signature": sign_ws(texts, self._credentials.secret)}

    def _keys_were_refused(self, market: Market, reason: str) -> None:
        if self.keys_refused(market):
            return  # heard again from what was on its way
        last = self._refused.get(market)
        twice_ms = KEYS_REFUSED_MS if last is None else 2 * last.pause_ms
        pause_ms = min(twice_ms, LONGEST_KEYS_REFUSED_MS)
        self._refused[market] = _KeysRefused(self.clock.now_ms() + pause_ms, pause_ms, reason)
        log.error("no order leaves for %d s: %s", pause_ms // 1000, reason)

    def _new_client(self) -> Client:
        return Client(
            self.endpoints,
            self._credentials,
            recv_window_ms=self.recv_window_ms,
            timeout_s=self.timeout_s,
        )

    def _order_budget(self, market: Market) -> OrderBudget | None:
        return self.budgets.orders(market, self.endpoints.rest(market), self._credentials.key)
