"""Advice is bounded, expires, and by default can only reduce risk."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridlab.domain.advice import (
    BOUNDS,
    LONGEST_MS,
    NEUTRAL,
    Advice,
    AdviceKind,
    advise,
    bounds_of,
    combined,
)
from gridlab.errors import InvalidInput

HOUR = 3_600_000
kinds = st.sampled_from(AdviceKind)
values = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-999, max_value=999)


def risk_of(kind: AdviceKind, value: Decimal) -> Decimal:
    """Above 1 when `value` adds risk."""
    return value if BOUNDS[kind].is_lower_safer else 1 / value


@given(kinds, values, st.text(max_size=300))
def test_default_advice_never_adds_risk(kind: AdviceKind, value: Decimal, reason: str) -> None:
    one = advise("x", kind, None, value, now_ms=5, lives_ms=HOUR, reason=reason)
    assert risk_of(kind, one.value) <= NEUTRAL
    assert len(one.reason) <= 200 and "\n" not in one.reason
    assert combined([one], kind, "BTCUSDT", 5)[0] == one.value


@given(kinds, st.lists(st.tuples(values, st.booleans(), st.integers(0, 9)), max_size=6))
def test_the_most_careful_valid_voice_is_heard(
    kind: AdviceKind, said: list[tuple[Decimal, bool, int]]
) -> None:
    made = [
        advise("x", kind, None, value, now_ms=at, lives_ms=5, may_add_risk=bold)
        for value, bold, at in said
    ]
    value, by = combined(made, kind, "BTCUSDT", 7)
    valid = [one for one in made if one.created_ms <= 7 < one.expires_ms]
    assert bool(by) is bool(valid)
    assert all(risk_of(kind, value) <= risk_of(kind, one.value) for one in valid)
    assert (value, set(by)) == (lambda v, b: (v, set(b)))(*combined(made[::-1], kind, "BTCUSDT", 7))


def test_bold_advice_has_bounds_too() -> None:
    assert bounds_of(AdviceKind.EXPOSURE) == (Decimal("0.25"), 1)
    assert bounds_of(AdviceKind.EXPOSURE, may_add_risk=True) == (Decimal("0.25"), Decimal("1.25"))
    assert bounds_of(AdviceKind.LEVERAGE, may_add_risk=True) == (Decimal("0.25"), 1)
    assert bounds_of(AdviceKind.SPACING, may_add_risk=True) == (Decimal("0.8"), 2)


def test_it_is_about_its_pair_and_time_only() -> None:
    one = advise("s", AdviceKind.NEW_PAIR, "BTCUSDT", 0, now_ms=100, lives_ms=HOUR)
    assert combined([one], AdviceKind.NEW_PAIR, "BTCUSDT", 100) == (0, (one,))
    for symbol, now_ms in (("ETHUSDT", 100), ("BTCUSDT", 99), ("BTCUSDT", 100 + HOUR)):
        assert combined([one], AdviceKind.NEW_PAIR, symbol, now_ms) == (1, ())
    assert combined([one], AdviceKind.EXPOSURE, "BTCUSDT", 100) == (1, ())


def test_its_life_is_bounded() -> None:
    one = advise("s", AdviceKind.EXPOSURE, None, 1, now_ms=0, lives_ms=10 * LONGEST_MS)
    assert one.expires_ms == LONGEST_MS
    with pytest.raises(InvalidInput, match="lives 0 ms"):
        advise("s", AdviceKind.EXPOSURE, None, 1, now_ms=0, lives_ms=0)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "much", True])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput):
        advise("s", AdviceKind.EXPOSURE, None, value, now_ms=0, lives_ms=1)


def test_values_check_themselves() -> None:
    with pytest.raises(InvalidInput, match="leverage advice is 2, not 0.25 to 1"):
        Advice("s", AdviceKind.LEVERAGE, None, Decimal(2), 0, 1, "")
    with pytest.raises(InvalidInput, match="source"):
        Advice("", AdviceKind.LEVERAGE, None, NEUTRAL, 0, 1, "")
    with pytest.raises(InvalidInput, match="one line"):
        Advice("s", AdviceKind.LEVERAGE, None, NEUTRAL, 0, 1, "a\nb")
