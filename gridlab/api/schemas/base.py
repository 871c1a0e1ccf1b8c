"""What every answer is made of: the base shape, the stamp of mode and age, the error object."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from gridlab.clock import iso
from gridlab.domain.snapshot import STALE_AFTER_MS, Mode, Snapshot
from gridlab.money import rounding, text

_SOURCES = {
    Mode.REPLAY: "recorded Binance klines",
    Mode.SHADOW: "Binance market streams",
    Mode.TESTNET: "Binance testnet",
    Mode.PRODUCTION: "Binance",
}


#: Puts a sentence of the engine into the reader's language.
Say: TypeAlias = Callable[[str], str]


class Shape(BaseModel):
    """Base of every answer; NaN and infinity cannot pass."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    @property
    def parts(self) -> dict[str, Any]:
        """The fields, to build a larger shape from."""
        return dict(self.__dict__)


class Stamp(Shape):
    """Where the numbers beside it come from, and how old they are.

    `as_of` is market time; `age_ms` is how long ago, by the machine's clock, the engine said so, or
    a venue where its data are older than that. `stale`: the engine stands still, or the data are
    past the bound of their kind.
    """

    mode: str
    data_source: str
    engine_state: str
    sequence: int
    as_of: str
    as_of_ms: int
    age_ms: int
    stale: bool

    @classmethod
    def at(cls, snapshot: Snapshot, now_ms: int) -> Stamp:
        """The stamp of `snapshot` at the machine's time `now_ms`."""
        age_ms = max(0, now_ms - snapshot.wall_ms)
        return cls(
            mode=snapshot.mode.value,
            data_source=snapshot.source or _SOURCES[snapshot.mode],
            engine_state=snapshot.state.value,
            sequence=snapshot.sequence,
            as_of=iso(snapshot.time_ms),
            as_of_ms=snapshot.time_ms,
            age_ms=age_ms,
            stale=age_ms > STALE_AFTER_MS,
        )

    def of_data(self, age_ms: int, is_stale: bool) -> Stamp:
        """The stamp of data of that age, shown beside what this one is of."""
        older_ms = max(0, age_ms - self.age_ms)
        as_of_ms = self.as_of_ms - older_ms
        return self.model_copy(
            update={
                "as_of": iso(as_of_ms),
                "as_of_ms": as_of_ms,
                "age_ms": self.age_ms + older_ms,
                "stale": self.stale or is_stale,
            }
        )


class FieldError(Shape):
    """One problem with one field; `received` is what was sent, shortened."""

    field: str
    message: str
    received: str | None = None


class ErrorObject(Shape):
    code: str
    message: str
    field_errors: list[FieldError]
    hint: str | None
    request_id: str


class ErrorBody(Shape):
    """Every error of the API."""

    error: ErrorObject


class ConfigRefusal(Shape):
    """A grid configuration that cannot be used, with every reason, beside the error object."""

    valid: Literal[False]
    errors: list[str]
    error: ErrorObject


def percent(fraction: Decimal) -> Decimal:
    """A fraction as a percentage, rounded to six decimals."""
    with rounding():
        return (fraction * 100).quantize(Decimal("0.000001"))


def at_step(value: Decimal, step: Decimal) -> str:
    """`value` with as many decimals as its step has, and never fewer than it needs."""
    plain = text(value)
    decimals = len(text(step).partition(".")[2])
    return plain if len(plain.partition(".")[2]) > decimals else f"{value:.{decimals}f}"
