"""`TwinFaults`: what goes wrong next, drawn by a seed and a plan or told by a test.

It decides and counts; the REST desk, the sockets and `fault_runner` carry out what it says. Each
kind has its own stream of draws, so that switching one off leaves the others as they were. Told
faults (`inject`) come before drawn ones, and happen even when the plan is quiet.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from gridlab.domain.market import Market
from gridlab.errors import InvalidInput
from gridlab.money import floor_to, parse, rounding
from gridlab.twin import fault_answers
from gridlab.twin.fault_answers import FaultAnswer
from gridlab.twin.fault_plan import FaultKind, TwinFaultPlan, unknown_key

#: How fast the venue's clock drifts to its next offset, milliseconds a second.
DRIFT_MS_PER_S = 100


@dataclass(frozen=True, slots=True)
class RequestFault:
    """What happens to one request; the default is nothing.

    Args:
        travel_ms: before the venue looks at its timestamp.
        engine_ms: from there to the effect, at most the plan's `longest_hidden_ms`.
        reply_ms: from the effect to the answer.
        stale_ms: a read answers as of so long ago.
        throttle_ms, ban_ms: answer 429 or 418 from now on for so long; nothing is carried out.
        answer: sent in place of the true answer.
        is_executed: whether the request takes effect although `answer` or nothing is sent.
    """

    is_request_lost: bool = False
    is_reply_lost: bool = False
    is_duplicated: bool = False
    travel_ms: int = 0
    engine_ms: int = 0
    reply_ms: int = 0
    stale_ms: int = 0
    throttle_ms: int = 0
    ban_ms: int = 0
    answer: FaultAnswer | None = None
    is_executed: bool = True


@dataclass(frozen=True, slots=True)
class EventFault:
    """What happens to one event of a user-data stream; the default is nothing.

    Args:
        copies: how often it is sent.
        is_held: kept back until the next event has gone out.
    """

    is_dropped: bool = False
    copies: int = 1
    delay_ms: int = 0
    is_held: bool = False


@dataclass(slots=True)
class Injection:
    """A fault that was told: it befalls the next `left` matching chances.

    Args:
        path: part of the request's path that it waits for; empty for any.
        method: HTTP method that it waits for; empty for any.
        detail: `ms`, `executed`, `symbol`, `market`, `fraction`, by the kind.
    """

    kind: FaultKind
    left: int
    path: str = ""
    method: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, method: str, path: str) -> bool:
        return self.path in path and self.method in ("", method)


@dataclass(frozen=True, slots=True)
class Due:
    """A fault that a tick has in store: how long it lasts, its details, and who told it."""

    ms: int
    detail: Mapping[str, Any]
    told: Injection | None


_DETAILS: dict[str, type | tuple[type, ...]] = {
    "ms": int,
    "executed": bool,
    "symbol": str,
    "market": str,
    "client_id": str,
    "fraction": str,
}
_STRAIGHT = EventFault()


class TwinFaults:
    """Draws and counts.

    Args:
        plan: which faults, how often.
        seed: decides every draw.

    Attributes:
        injected: how often each kind really happened.
        silent_until_ms: until then sockets stay open and carry no data, by the machine's clock.
        maintenance_until_ms: until then every request is refused.
    """

    def __init__(self, plan: TwinFaultPlan | None = None, seed: int = 0) -> None:
        self.plan = plan or TwinFaultPlan()
        self.seed = seed
        self.injected: Counter[FaultKind] = Counter()
        self.silent_until_ms = 0
        self.maintenance_until_ms = 0
        self._draws = {kind: Random(f"{seed}:{kind}") for kind in FaultKind}
        self._told: dict[FaultKind, deque[Injection]] = {kind: deque() for kind in FaultKind}
        self._drift_start_ms = 0
        self._drift_from_ms = 0
        self._drift_to_ms = 0

    # -- control --------------------------------------------------------------------------------

    def replace(self, plan: TwinFaultPlan) -> None:
        """Draw by another plan from now on; what was told stays told."""
        self.plan = plan

    def quiet(self) -> None:
        """No fault any more: an empty plan, nothing told, no silence, no maintenance.

        The clock's offset stays where it is: a clock that leaps back would be a fault of its own.
        """
        self.plan = TwinFaultPlan(
            engine_limit_ms=self.plan.engine_limit_ms, tick_ms=self.plan.tick_ms
        )
        for waiting in self._told.values():
            waiting.clear()
        self.silent_until_ms = self.maintenance_until_ms = 0

    def inject(
        self,
        kind: FaultKind | str,
        count: int = 1,
        path: str | None = None,
        method: str | None = None,
        **detail: Any,
    ) -> Injection:
        """Let `kind` befall the next `count` chances, on requests whose path holds `path`.

        Args:
            detail: `ms` in place of a drawn time, signed for a clock's offset; `executed`, whether
                an unknown outcome was carried out; `symbol`, `market`, `client_id` for the venue's
                own doings; `fraction` of what a partial fill reaches.

        Raises:
            InvalidInput: an unknown kind or detail, a count below one, a time that would break the
                plan's promise.
        """
        if kind not in set(FaultKind):
            raise InvalidInput(f"fault {unknown_key(kind, list(FaultKind))}")
        kind = FaultKind(kind)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidInput(f"count is {count!r}; a whole number from 1 is meant")
        self._check_detail(kind, detail)
        told = Injection(kind, count, path or "", (method or "").upper(), detail)
        self._told[kind].append(told)
        return told

    def waiting(self, kind: FaultKind) -> int:
        """How many told faults of this kind have not happened yet."""
        return sum(told.left for told in self._told[kind])

    def counters(self) -> dict[str, int]:
        """How often each kind really happened; only those that did."""
        return {kind.value: n for kind in FaultKind if (n := self.injected[kind])}

    # -- requests -------------------------------------------------------------------------------

    def on_request(
        self,
        market: Market,
        method: str,
        path: str,
        *,
        is_order: bool,
        now_ms: int,
        is_reduce_only: bool = False,
    ) -> RequestFault:
        """What happens to a request that has just come in.

        Args:
            is_order: it changes something; only such are duplicated, and only others are stale.
            now_ms: the machine's time.
            is_reduce_only: exempt from the throttling of USD-M's -1008.
        """
        if now_ms < self.maintenance_until_ms:
            return _refused(FaultKind.MAINTENANCE, market, path, now_ms)
        chance = (method, path)
        if self.happens(FaultKind.LOST_REQUEST, *chance):
            return RequestFault(is_request_lost=True, is_executed=False)
        if ban_ms := self._duration(FaultKind.BANNED, *chance):
            return RequestFault(ban_ms=ban_ms, is_executed=False)
        if throttle_ms := self._duration(FaultKind.THROTTLED, *chance):
            return RequestFault(throttle_ms=throttle_ms, is_executed=False)
        if self.happens(FaultKind.UNAVAILABLE_503, *chance):
            return _refused(FaultKind.UNAVAILABLE_503, market, path, now_ms)
        is_exempt = market is Market.FUTURES and is_reduce_only
        if not is_exempt and self.happens(FaultKind.THROTTLED_503, *chance):
            return _refused(FaultKind.THROTTLED_503, market, path, now_ms)
        answer, is_executed = self._unknown_outcome(market, *chance, now_ms)
        return RequestFault(
            is_reply_lost=answer is None and self.happens(FaultKind.LOST_REPLY, *chance),
            is_duplicated=is_order and self._is_due(FaultKind.DUPLICATED_REQUEST, *chance),
            travel_ms=self._duration(FaultKind.LATE_REQUEST, *chance),
            engine_ms=self._duration(FaultKind.SLOW_ENGINE, *chance),
            reply_ms=self._duration(FaultKind.LATE_REPLY, *chance),
            stale_ms=0 if is_order else self._duration(FaultKind.STALE_READ, *chance),
            answer=answer,
            is_executed=is_executed,
        )

    def may_repeat(self, *, is_open_or_ended: bool) -> bool:
        """Whether a duplicated request is really carried out a second time; counts it if so.

        A venue knows a client id only while its order is open: the copy of an order that filled at
        once would trade again, and no client could defend itself against that.

        Args:
            is_open_or_ended: the first copy was refused, cancelled something, or left an order
                with a client id of the caller's choice open.
        """
        if is_open_or_ended:
            self.count(FaultKind.DUPLICATED_REQUEST)
        return is_open_or_ended

    # -- events, trades, time -------------------------------------------------------------------

    def on_event(self) -> EventFault:
        """What happens to the next event of a user-data stream."""
        if self.happens(FaultKind.LOST_EVENT):
            return EventFault(is_dropped=True)
        copies = 2 if self.happens(FaultKind.DUPLICATED_EVENT) else 1
        delay_ms = self._duration(FaultKind.LATE_EVENT)
        is_held = self.happens(FaultKind.REORDERED_EVENT)
        if copies == 1 and not delay_ms and not is_held:
            return _STRAIGHT
        return EventFault(copies=copies, delay_ms=delay_ms, is_held=is_held)

    def fill_volume(self, resting: Decimal, lot_size: Decimal) -> Decimal | None:
        """How much a market trade that reaches `resting` base units fills; None means all of it.

        At least one lot and less than all; nothing smaller than two lots is filled in parts.
        """
        told = self._take(FaultKind.PARTIAL_FILL)
        draw = self._draws[FaultKind.PARTIAL_FILL]
        if told is None and draw.random() >= self.plan.rate(FaultKind.PARTIAL_FILL).probability:
            return None
        if resting < 2 * lot_size:
            return None
        self.count(FaultKind.PARTIAL_FILL)
        detail = {} if told is None else told.detail
        drawn = Decimal(draw.randrange(100, 901)) / 1000
        with rounding():
            part = floor_to(resting * Decimal(detail.get("fraction", drawn)), lot_size)
            return min(max(part, lot_size), resting - lot_size)

    def clock_offset_ms(self, now_ms: int) -> int:
        """By how much the venue's clock is ahead of the machine's."""
        way = self._drift_to_ms - self._drift_from_ms
        gone = (now_ms - self._drift_start_ms) * DRIFT_MS_PER_S // 1000
        if gone >= abs(way):
            return self._drift_to_ms
        return self._drift_from_ms + (gone if way > 0 else -gone)

    def drift_to(self, offset_ms: int, now_ms: int, *, at_once: bool = False) -> None:
        """Let the venue's clock move to an offset, slowly unless `at_once`."""
        self._drift_from_ms = offset_ms if at_once else self.clock_offset_ms(now_ms)
        self._drift_start_ms = now_ms
        self._drift_to_ms = offset_ms

    # -- draws ----------------------------------------------------------------------------------

    def happens(self, kind: FaultKind, method: str = "", path: str = "") -> bool:
        """Whether `kind` befalls this chance; counted if so."""
        if not self._is_due(kind, method, path):
            return False
        self.count(kind)
        return True

    def take(self, kind: FaultKind) -> Due | None:
        """The fault of this kind that is due at this tick, not counted yet; None if none is."""
        told = self._take(kind)
        draw = self._draws[kind]
        if told is None and draw.random() >= self.plan.rate(kind).probability:
            return None
        detail = {} if told is None else told.detail
        return Due(int(detail.get("ms", self._drawn_ms(kind))), detail, told)

    def give_back(self, due: Due) -> None:
        """It could not happen, such as for want of an order: what was told waits on."""
        told = due.told
        if told is None:
            return
        if not told.left:
            self._told[told.kind].appendleft(told)
        told.left += 1

    def pick(self, kind: FaultKind, count: int) -> int:
        """An index below `count`, drawn for `kind`: which order, symbol or socket it befalls."""
        return self._draws[kind].randrange(count)

    def count(self, kind: FaultKind) -> None:
        """One more of this kind has really happened."""
        self.injected[kind] += 1

    # -- inside ---------------------------------------------------------------------------------

    def _is_due(self, kind: FaultKind, method: str = "", path: str = "") -> bool:
        # Always drawn, so that what is told does not shift what is drawn after it.
        is_drawn = self._draws[kind].random() < self.plan.rate(kind).probability
        return self._take(kind, method, path) is not None or is_drawn

    def _duration(self, kind: FaultKind, method: str = "", path: str = "") -> int:
        """The drawn or told length of `kind` in milliseconds; zero when it does not happen."""
        is_drawn = self._draws[kind].random() < self.plan.rate(kind).probability
        drawn_ms = self._drawn_ms(kind)
        told = self._take(kind, method, path)
        if told is None and not is_drawn:
            return 0
        self.count(kind)
        return drawn_ms if told is None else int(told.detail.get("ms", drawn_ms))

    def _drawn_ms(self, kind: FaultKind) -> int:
        rate = self.plan.rate(kind)
        return self._draws[kind].randint(rate.min_ms, rate.max_ms)

    def _take(self, kind: FaultKind, method: str = "", path: str = "") -> Injection | None:
        waiting = self._told[kind]
        for told in waiting:
            if told.fits(method, path):
                told.left -= 1
                if not told.left:
                    waiting.remove(told)
                return told
        return None

    def _unknown_outcome(
        self, market: Market, method: str, path: str, now_ms: int
    ) -> tuple[FaultAnswer | None, bool]:
        for kind in fault_answers.UNKNOWN_OUTCOMES:
            is_drawn = self._draws[kind].random() < self.plan.rate(kind).probability
            is_executed = self._draws[kind].random() < 0.5
            told = self._take(kind, method, path)
            if told is not None or is_drawn:
                self.count(kind)
                if told is not None:
                    is_executed = told.detail.get("executed", is_executed)
                return fault_answers.answer(kind, market, path, now_ms), is_executed
        return None, True

    def _check_detail(self, kind: FaultKind, detail: Mapping[str, Any]) -> None:
        for name, value in detail.items():
            if name not in _DETAILS:
                raise InvalidInput(f"detail {unknown_key(name, list(_DETAILS))}")
            wanted = _DETAILS[name]
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise InvalidInput(f"{name} is {value!r}; {wanted} is meant")
        parse(detail.get("fraction", "0"), "fraction")
        ms = detail.get("ms", 0)
        if ms < 0 and kind is not FaultKind.CLOCK_SKEW:
            raise InvalidInput(f"ms is {ms}; only a clock's offset may be negative")
        is_hiding = kind in (FaultKind.SLOW_ENGINE, FaultKind.STALE_READ)
        if is_hiding and ms > self.plan.longest_hidden_ms:
            raise InvalidInput(
                f"{kind} of {ms} ms is above {self.plan.longest_hidden_ms}, two fifths of "
                f"engine_limit_ms {self.plan.engine_limit_ms}; raise that in the plan first"
            )


def _refused(kind: FaultKind, market: Market, path: str, now_ms: int) -> RequestFault:
    answer = fault_answers.answer(kind, market, path, now_ms)
    return RequestFault(answer=answer, is_executed=False)
