"""The Decimal policy: nothing is lost when parsing, writing or rounding to a step."""

from __future__ import annotations

import decimal
import doctest
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridlab import money
from gridlab.errors import InvalidNumber

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=12, max_value=10**12).map(abs)
SIGNED = st.decimals(
    allow_nan=False, allow_infinity=False, places=10, min_value=-(10**10), max_value=10**10
)
STEPS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(1, 999),
    st.integers(0, 8),
)


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(money)
    assert result.attempted >= 3 and result.failed == 0


@given(SIGNED)
def test_text_reads_back_as_the_same_number(value: Decimal) -> None:
    written = money.text(value)
    assert money.parse(written) == value
    assert "E" not in written.upper()
    assert not ("." in written and written.endswith(("0", ".")))


@given(st.integers(-(10**30), 10**30))
def test_integers_are_exact(value: int) -> None:
    assert money.parse(value) == value
    assert money.text(money.parse(value)) == str(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_recorded_floats_keep_their_shortest_text(value: float) -> None:
    assert float(money.from_float(value)) == value


@given(SIGNED, STEPS)
def test_rounding_to_a_step_brackets_the_value(value: Decimal, step: Decimal) -> None:
    low, high = money.floor_to(value, step), money.ceil_to(value, step)
    assert low <= value <= high
    assert value - low < step and high - value < step
    assert money.is_multiple(low, step) and money.is_multiple(high, step)
    assert high - low in (0, step)
    assert (low == high) == money.is_multiple(value, step)


@given(SIGNED, STEPS)
def test_the_nearest_multiple_is_one_of_the_two(value: Decimal, step: Decimal) -> None:
    near = money.round_to(value, step)
    assert near in (money.floor_to(value, step), money.ceil_to(value, step))
    assert abs(value - near) * 2 <= step


@given(AMOUNTS, STEPS)
def test_rounding_twice_is_rounding_once(value: Decimal, step: Decimal) -> None:
    for how in (money.floor_to, money.ceil_to, money.round_to):
        assert how(how(value, step), step) == how(value, step)


def test_a_tie_goes_to_the_even_multiple() -> None:
    assert money.round_to(Decimal("0.25"), Decimal("0.1")) == Decimal("0.2")
    assert money.round_to(Decimal("0.35"), Decimal("0.1")) == Decimal("0.4")


@pytest.mark.parametrize("value", [0.1, True, None, b"1", [1], "", "abc", "NaN", "inf", "1,5"])
def test_what_is_no_exact_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidNumber, match="price is"):
        money.parse(value, "price")  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [Decimal(0), Decimal("-0.1")])
def test_a_step_must_be_above_zero(step: Decimal) -> None:
    with pytest.raises(InvalidNumber, match="above zero"):
        money.floor_to(Decimal(1), step)


def test_exact_work_raises_where_it_would_round() -> None:
    with money.exact(), pytest.raises(decimal.Inexact):
        Decimal(1) / Decimal(3)
    with money.exact(), pytest.raises(decimal.FloatOperation):
        Decimal(0.5)
    with money.exact(), pytest.raises(decimal.FloatOperation):
        assert Decimal(1) > 0.5
    with money.rounding():
        assert len((Decimal(1) / Decimal(3)).as_tuple().digits) == money.PRECISION


@given(SIGNED, SIGNED, SIGNED)
def test_exact_work_conserves(a: Decimal, b: Decimal, c: Decimal) -> None:
    assume(a != b)
    with money.exact():
        assert (a - b) * c == a * c - b * c
        assert (a + b) - b == a
