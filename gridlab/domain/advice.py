"""Advice: what sentiment, a language model or a policy would like, bounded and for a while.

Law 7. Each kind of advice is one factor with a neutral value, a safe side and two stated bounds. By
default the bound on the unsafe side is the neutral value, so that advice can only reduce risk. Who
acts on it asks `combined`, which gives the most careful of what is still valid, and the neutral
value when nothing is. A value is never an order: nobody who makes advice can reach one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from gridlab.errors import InvalidInput
from gridlab.money import ONE, ZERO, Number, parse

#: Longest life of advice: what is older is forgotten, whatever its source said.
LONGEST_MS: Final = 86_400_000
LONGEST_REASON: Final = 200


class AdviceKind(StrEnum):
    """What the value is a factor on."""

    EXPOSURE = "exposure"  # the quote units that a new grid may use
    LEVERAGE = "leverage"  # the leverage that a new futures grid may use
    NEW_PAIR = "new_pair"  # whether a new grid may start on the pair: 0 no, 1 yes
    SPACING = "spacing"  # the distance between two lines of a new grid


class Bounds(NamedTuple):
    """What a value may be.

    Args:
        least, most: by default; one of them is the neutral 1.
        bold: the bound on the unsafe side for a source that was allowed to add risk.
    """

    least: Decimal
    most: Decimal
    bold: Decimal

    @property
    def is_lower_safer(self) -> bool:
        return self.most == ONE


#: No source may cut exposure below a quarter by itself: stopping is the risk guards' business.
BOUNDS: Final = {
    AdviceKind.EXPOSURE: Bounds(Decimal("0.25"), ONE, Decimal("1.25")),
    AdviceKind.LEVERAGE: Bounds(Decimal("0.25"), ONE, ONE),
    AdviceKind.NEW_PAIR: Bounds(ZERO, ONE, ONE),
    AdviceKind.SPACING: Bounds(ONE, Decimal(2), Decimal("0.8")),
}
#: What changes nothing.
NEUTRAL: Final = ONE


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice; made by `advise`, which clamps instead of refusing.

    Args:
        source: who says it, such as `sentiment` or `llm:gemma3:1b`.
        symbol: the pair it is about; None for all.
        value: a factor within the bounds of its kind.
        created_ms, expires_ms: market time; it holds from the first up to, not including, the last.
        reason: for people, one line; never read by a program and never put into a prompt.
        may_add_risk: whether the bound on the unsafe side is `Bounds.bold`.

    Raises:
        InvalidInput: a value out of bounds, an empty source, or a life that is empty or too long.
    """

    source: str
    kind: AdviceKind
    symbol: str | None
    value: Decimal
    created_ms: int
    expires_ms: int
    reason: str
    may_add_risk: bool = False

    def __post_init__(self) -> None:
        least, most = bounds_of(self.kind, self.may_add_risk)
        if not least <= self.value <= most:
            raise InvalidInput(f"{self.kind} advice is {self.value}, not {least} to {most}")
        if not self.source or len(self.source) > LONGEST_REASON:
            raise InvalidInput(f"advice needs a source of 1 to {LONGEST_REASON} characters")
        if not 0 < self.expires_ms - self.created_ms <= LONGEST_MS:
            raise InvalidInput(
                f"advice lives {self.expires_ms - self.created_ms} ms; more than 0 and at most "
                f"{LONGEST_MS} are meant"
            )
        if self.reason != _one_line(self.reason):
            raise InvalidInput(f"a reason is one line of at most {LONGEST_REASON} characters")

    def is_valid(self, now_ms: int) -> bool:
        """Whether it holds at `now_ms`."""
        return self.created_ms <= now_ms < self.expires_ms


def bounds_of(kind: AdviceKind, may_add_risk: bool = False) -> tuple[Decimal, Decimal]:
    """The least and the greatest value of `kind`."""
    bounds = BOUNDS[kind]
    if not may_add_risk:
        return bounds.least, bounds.most
    return (bounds.least, bounds.bold) if bounds.is_lower_safer else (bounds.bold, bounds.most)


def advise(
    source: str,
    kind: AdviceKind,
    symbol: str | None,
    value: Number,
    *,
    now_ms: int,
    lives_ms: int,
    reason: str = "",
    may_add_risk: bool = False,
) -> Advice:
    """Advice with `value` brought within its bounds, its life within a day, its reason to a line.

    >>> advise("sentiment", AdviceKind.LEVERAGE, "BTCUSDT", 3, now_ms=0, lives_ms=1).value
    Decimal('1')

    Raises:
        InvalidInput: `value` is no number, or `lives_ms` is not above zero.
    """
    least, most = bounds_of(kind, may_add_risk)
    clamped = min(max(parse(value, "advice"), least), most)
    expires_ms = now_ms + min(lives_ms, LONGEST_MS)
    return Advice(
        source, kind, symbol, clamped, now_ms, expires_ms, _one_line(reason), may_add_risk
    )


def combined(
    advice: Iterable[Advice], kind: AdviceKind, symbol: str, now_ms: int
) -> tuple[Decimal, tuple[Advice, ...]]:
    """The most careful valid value for `symbol`, and the advice that says so; neutral without any.

    Careful advice beats bold, so a source that may add risk is heard only when no other objects.
    """
    heard = [
        one
        for one in advice
        if one.kind is kind and one.symbol in (None, symbol) and one.is_valid(now_ms)
    ]
    if not heard:
        return NEUTRAL, ()
    careful = min if BOUNDS[kind].is_lower_safer else max
    value = careful(one.value for one in heard)
    return value, tuple(one for one in heard if one.value == value)


def _one_line(reason: str) -> str:
    """`reason` without control and format characters, on one line, cut to its longest."""
    words = " ".join(reason.split())
    shown = "".join(sign for sign in words if unicodedata.category(sign)[0] != "C")
    return " ".join(shown.split())[:LONGEST_REASON].strip()
