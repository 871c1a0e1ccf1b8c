"""`FaultPlan`: how often each fault of a simulated network happens, and how long delays last.

Values and draws only; `gridlab.exchange.faults` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

from gridlab.errors import InvalidInput

#: How long a venue may work on a request that it has taken in (Binance gives up after 10 s).
ENGINE_LIMIT_MS = 10_000
#: A venue knows an order for so long after its end, at least (Binance for days).
FORGOTTEN_AFTER_MS = 60_000


@dataclass(frozen=True, slots=True)
class RequestFate:
    """What happens to one request.

    Args:
        travel_ms: from the caller to the venue's door.
        engine_ms: from the door to the effect.
        reply_ms: from the effect to the caller.
    """

    is_request_lost: bool = False
    is_reply_lost: bool = False
    is_duplicated: bool = False
    travel_ms: int = 0
    engine_ms: int = 0
    reply_ms: int = 0

    @property
    def executes_after_ms(self) -> int:
        return self.travel_ms + self.engine_ms

    @property
    def answer_after_ms(self) -> int:
        return self.executes_after_ms + self.reply_ms

    @property
    def is_delayed(self) -> bool:
        """Whether the caller has to wait at all."""
        return self.is_reply_lost or self.answer_after_ms > 0


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Probabilities of faults, each on its own draw; all zero is a perfect network.

    Args:
        seed: decides every draw.
        lost_request, lost_reply: for each request; either way the caller gets UNKNOWN.
        late_request: travels up to 1.5 receive windows, then up to 10 s inside the venue.
        late_reply: the answer takes up to `max_reply_delay_ms`.
        duplicated_request: the venue gets it twice, and the caller sees the second answer.
        lost_event, late_event, duplicated_event, reordered_event: for each event of the stream.
        stale_read: `query` says None of an order that exists, while it may still be on its way.
        failed_read: any read raises `ExchangeUnavailable`.
        venue_cancel: for each order that rests: the venue ends it, within `max_venue_cancel_ms`.
        forgotten_order: for each order that ended untraded: `query` does not know it any more, from
            `FORGOTTEN_AFTER_MS` after its end.
        recv_window_ms: a request that travels longer is refused.
        timeout_ms: when a caller without an answer gives up.

    Raises:
        InvalidInput: a probability outside 0 to 1, or a duration that is not above zero.
    """

    seed: int
    lost_request: float = 0.0
    lost_reply: float = 0.0
    late_request: float = 0.0
    late_reply: float = 0.0
    duplicated_request: float = 0.0
    lost_event: float = 0.0
    late_event: float = 0.0
    duplicated_event: float = 0.0
    reordered_event: float = 0.0
    stale_read: float = 0.0
    failed_read: float = 0.0
    venue_cancel: float = 0.0
    forgotten_order: float = 0.0
    recv_window_ms: int = 5_000
    timeout_ms: int = 10_000
    max_reply_delay_ms: int = 15_000
    max_event_delay_ms: int = 5_000
    max_venue_cancel_ms: int = 600_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_ms"):
                if value <= 0:
                    raise InvalidInput(f"{field.name} is {value}; it must be above zero")
            elif field.name != "seed" and not 0.0 <= value <= 1.0:
                raise InvalidInput(f"{field.name} is {value}; a probability from 0 to 1 is meant")

    @classmethod
    def from_seed(cls, seed: int) -> FaultPlan:
        """A plan that the seed picks: about half of the faults, each at a rate that it can survive.

        Leaving some out altogether finds more than always using all: one fault hides another.
        """
        random = Random(seed)
        return cls(
            seed,
            lost_request=_draw_rate(random, 0.2),
            lost_reply=_draw_rate(random, 0.2),
            late_request=_draw_rate(random, 0.2),
            late_reply=_draw_rate(random, 0.2),
            duplicated_request=_draw_rate(random, 0.1),
            lost_event=_draw_rate(random, 0.2),
            late_event=_draw_rate(random, 0.3),
            duplicated_event=_draw_rate(random, 0.3),
            reordered_event=_draw_rate(random, 0.3),
            stale_read=_draw_rate(random, 0.5),
            failed_read=_draw_rate(random, 0.3),
            venue_cancel=_draw_rate(random, 0.05),
            forgotten_order=_draw_rate(random, 1.0),
        )

    def forgets(self, client_id: str) -> bool:
        """Whether the venue forgets that order after it ended untraded; always the same answer."""
        return Random(f"{self.seed}:{client_id}").random() < self.forgotten_order

    def draw_fate(self, random: Random) -> RequestFate:
        """The fate of the next request; always takes the same number of draws."""
        lost_request, lost_reply, duplicated, late, late_reply = (random.random() for _ in range(5))
        travel_ms = draw_delay(random, self.recv_window_ms * 3 // 2)
        engine_ms = draw_delay(random, ENGINE_LIMIT_MS) - 1
        reply_ms = draw_delay(random, self.max_reply_delay_ms)
        is_late = late < self.late_request
        return RequestFate(
            is_request_lost=lost_request < self.lost_request,
            is_reply_lost=lost_reply < self.lost_reply,
            is_duplicated=duplicated < self.duplicated_request,
            travel_ms=travel_ms if is_late else 0,
            engine_ms=engine_ms if is_late else 0,
            reply_ms=reply_ms if late_reply < self.late_reply else 0,
        )


def draw_delay(random: Random, longest_ms: int) -> int:
    """From 1 to `longest_ms`, evenly; always one draw, so that draws after it do not shift."""
    return 1 + int(random.random() * longest_ms)


def _draw_rate(random: Random, highest: float) -> float:
    is_used, rate = random.random() < 0.5, random.random() * highest
    return rate if is_used else 0.0
