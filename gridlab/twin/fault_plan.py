"""`TwinFaultPlan`: which faults the twin shows, how often, and within which bounds.

Values and their reading from YAML only; `gridlab.twin.faults` draws them. Each kind of fault is one
key of the document, with a probability or with a mapping of `probability`, `min_ms` and `max_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import yaml

from gridlab.errors import InvalidInput, NotFound

#: Where the plans that come with the package lie, one YAML file each.
SHIPPED = Path(__file__).with_name("plans")


class FaultKind(StrEnum):
    """Every fault that the twin knows; what its probability counts is said in each line."""

    # For each request.
    LOST_REQUEST = "lost_request"  # the connection dies before the venue has read it
    LOST_REPLY = "lost_reply"  # it is carried out and the connection dies
    LATE_REQUEST = "late_request"  # travels for so long before the venue looks at its timestamp
    SLOW_ENGINE = "slow_engine"  # accepted at the door, matched so much later
    LATE_REPLY = "late_reply"  # the answer takes so long
    DUPLICATED_REQUEST = "duplicated_request"  # the venue gets an order request twice
    STALE_READ = "stale_read"  # a signed read answers as of so long ago
    THROTTLED = "throttled"  # 429 with Retry-After
    BANNED = "banned"  # 418 for so long
    UNKNOWN_503 = "unknown_503"  # "Unknown error": carried out or not
    UNAVAILABLE_503 = "unavailable_503"  # "Service Unavailable.": not carried out
    THROTTLED_503 = "throttled_503"  # -1008: not carried out
    UNEXPECTED_RESPONSE = "unexpected_response"  # -1006: carried out or not
    TIMED_OUT = "timed_out"  # -1007: carried out or not
    # For each event of a user-data stream.
    LOST_EVENT = "lost_event"
    DUPLICATED_EVENT = "duplicated_event"
    LATE_EVENT = "late_event"
    REORDERED_EVENT = "reordered_event"  # overtaken by the one after it
    # For each trade of the market.
    PARTIAL_FILL = "partial_fill"  # it fills only a part of what it reaches
    # For each tick, of `tick_ms`.
    DISCONNECT = "disconnect"  # every socket is reset
    SILENT_STREAM = "silent_stream"  # sockets stay up and say nothing for so long
    SERVER_SHUTDOWN = "server_shutdown"  # announced, then every socket is closed
    VENUE_CANCEL = "venue_cancel"  # an open order is cancelled by the venue
    VENUE_EXPIRE = "venue_expire"  # an open order expires
    FILTER_CHANGE = "filter_change"  # a symbol has another tick and minimum for so long
    CLOCK_SKEW = "clock_skew"  # the venue's clock drifts to an offset of so much, either way
    MAINTENANCE = "maintenance"  # every request is refused for so long


@dataclass(frozen=True, slots=True)
class FaultRate:
    """How often one kind of fault happens, and how long it may take.

    Args:
        probability: from 0 to 1, for each request, event, market trade or tick.
        min_ms, max_ms: bounds of a delay, a duration or a clock's offset, both included.
    """

    probability: float = 0.0
    min_ms: int = 0
    max_ms: int = 0


_Bounds: TypeAlias = tuple[int, int]

#: Bounds of the kinds that last, where a plan states none. Real bans start at two minutes; here
#: they are shorter, so that a run of minutes can hold several.
_BOUNDS: dict[FaultKind, _Bounds] = {
    FaultKind.LATE_REQUEST: (50, 7_500),
    FaultKind.SLOW_ENGINE: (50, 3_000),
    FaultKind.LATE_REPLY: (50, 12_000),
    FaultKind.STALE_READ: (200, 3_000),
    FaultKind.THROTTLED: (1_000, 5_000),
    FaultKind.BANNED: (3_000, 15_000),
    FaultKind.LATE_EVENT: (50, 5_000),
    FaultKind.SILENT_STREAM: (12_000, 30_000),
    FaultKind.FILTER_CHANGE: (20_000, 60_000),
    FaultKind.CLOCK_SKEW: (200, 3_000),
    FaultKind.MAINTENANCE: (3_000, 15_000),
}
#: Share of `engine_limit_ms` that a slow engine, and a stale read, may use at most. Together they
#: leave a fifth for the machine's own slowness: a request can't be unseen after its horizon.
_ENGINE_SHARE = (2, 5)
_LONGEST_MS = 86_400_000
#: Two fifths of it are as far back as the venue's history goes.
_LONGEST_ENGINE_MS = 1_500_000


def _default_rates() -> Mapping[FaultKind, FaultRate]:
    return MappingProxyType(
        {kind: FaultRate(0.0, *_BOUNDS.get(kind, (0, 0))) for kind in FaultKind}
    )


@dataclass(frozen=True, slots=True)
class TwinFaultPlan:
    """Every fault's rate, and the promise that all of them keep.

    Whatever the faults do, a request takes effect at most `recvWindow + engine_limit_ms` after its
    timestamp, and a read after that shows it. So a plan's slow engine and its stale reads may each
    use two fifths of `engine_limit_ms` and no more.

    Args:
        rates: the rate of every kind.
        engine_limit_ms: how long the venue may work on a request that it has taken in.
        tick_ms: how often the kinds that are drawn by ticks are drawn.

    Raises:
        InvalidInput: with every bound that is broken.
    """

    rates: Mapping[FaultKind, FaultRate] = field(default_factory=_default_rates)
    engine_limit_ms: int = 10_000
    tick_ms: int = 1_000

    def __post_init__(self) -> None:
        problems = [*self._own_problems(), *self._rate_problems()]
        if problems:
            raise InvalidInput("; ".join(problems))

    def rate(self, kind: FaultKind) -> FaultRate:
        """How often `kind` happens."""
        return self.rates[kind]

    @property
    def longest_hidden_ms(self) -> int:
        """The most that a slow engine may take, and the most that a stale read may look back."""
        share, of = _ENGINE_SHARE
        return self.engine_limit_ms * share // of

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> TwinFaultPlan:
        """The plan that a document, such as a YAML file's, describes.

        Raises:
            InvalidInput: an unknown key, with the nearest known one; a value that can't be used.
        """
        rates = dict(_default_rates())
        numbers: dict[str, int] = {}
        for key, value in document.items():
            if key in _OWN_KEYS:
                numbers[key] = _whole(key, value)
            elif key in set(FaultKind):
                rates[FaultKind(key)] = _rate(FaultKind(key), value)
            elif key != "about":
                raise InvalidInput(unknown_key(key, [*FaultKind, *_OWN_KEYS, "about"]))
        return cls(MappingProxyType(rates), **numbers)

    @classmethod
    def load(cls, name: str | Path) -> TwinFaultPlan:
        """The plan of a YAML file, or the shipped one of that name (`default`, `storm.yaml`).

        Raises:
            NotFound: neither a file nor a shipped plan; the message lists those.
            InvalidInput: the file is not YAML, or as `read`.
        """
        path = _find(Path(name))
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is not YAML: {error}") from None
        if not isinstance(document, Mapping):
            raise InvalidInput(f"{path} holds no mapping of fault kinds; see {SHIPPED}")
        return cls.read(document)

    def document(self) -> dict[str, Any]:
        """What `read` makes this plan of; only the kinds that can happen."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _OWN_KEYS}
        for kind, rate in self.rates.items():
            if rate.probability > 0:
                names = [f.name for f in fields(rate)] if kind in _BOUNDS else ["probability"]
                found[kind.value] = {name: getattr(rate, name) for name in names}
        return found

    def _own_problems(self) -> list[str]:
        return [
            f"{name} is {getattr(self, name)}; from {least} to {most} is meant"
            for name, least, most in (
                ("engine_limit_ms", 100, _LONGEST_ENGINE_MS),
                ("tick_ms", 10, _LONGEST_MS),
            )
            if not least <= getattr(self, name) <= most
        ]

    def _rate_problems(self) -> list[str]:
        problems = []
        for kind, rate in self.rates.items():
            if not 0.0 <= rate.probability <= 1.0:
                problems.append(f"{kind}: probability {rate.probability} is not from 0 to 1")
            if not 0 <= rate.min_ms <= rate.max_ms <= _LONGEST_MS:
                problems.append(
                    f"{kind}: min_ms {rate.min_ms} and max_ms {rate.max_ms} must ascend from 0 to "
                    f"{_LONGEST_MS}"
                )
            is_hiding = kind in (FaultKind.SLOW_ENGINE, FaultKind.STALE_READ)
            if is_hiding and rate.probability > 0 and rate.max_ms > self.longest_hidden_ms:
                problems.append(
                    f"{kind}: max_ms {rate.max_ms} is above {self.longest_hidden_ms}, two fifths "
                    f"of engine_limit_ms {self.engine_limit_ms}; a client that waited for the "
                    "horizon would miss its order: lower the one or raise the other"
                )
        return problems


_OWN_KEYS = tuple(f.name for f in fields(TwinFaultPlan) if f.name != "rates")


def unknown_key(key: object, known: list[str]) -> str:
    """The sentence that refuses `key`, with the nearest known one."""
    near = get_close_matches(str(key), [str(name) for name in known], n=1)
    hint = f"; {near[0]!r} is the nearest" if near else ""
    return f"{key!r} is not known{hint}; known are {', '.join(map(str, known))}"


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    shipped = SHIPPED / path.name if path.suffix else SHIPPED / f"{path.name}.yaml"
    if path.parent == Path(".") and shipped.is_file():
        return shipped
    names = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.yaml")))
    raise NotFound(f"{path} is neither a file nor one of the shipped fault plans ({names})")


def _rate(kind: FaultKind, value: object) -> FaultRate:
    if not isinstance(value, Mapping):
        return FaultRate(_fraction(kind, value), *_BOUNDS.get(kind, (0, 0)))
    known = ["probability", "min_ms", "max_ms"] if kind in _BOUNDS else ["probability"]
    for name in value:
        if name not in known:
            raise InvalidInput(f"{kind}: {unknown_key(name, known)}")
    low, high = _BOUNDS.get(kind, (0, 0))
    longest = _whole(f"{kind}.max_ms", value.get("max_ms", high))
    shortest = _whole(f"{kind}.min_ms", value.get("min_ms", min(low, longest)))
    return FaultRate(_fraction(kind, value.get("probability", 0)), shortest, longest)


def _fraction(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInput(f"{name} is {value!r}; a probability from 0 to 1 is meant")
    return float(value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} is {value!r}; a whole number of milliseconds is meant")
    return value
