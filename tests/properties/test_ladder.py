"""What holds of every ladder, whatever was asked for."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from gridlab.domain.market import Instrument
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.grid.levels import lay_lines, nearest_line
from gridlab.money import is_multiple, round_to
from gridlab.testing import strategies as gl

D = Decimal


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Instrument, Decimal, GridSpec, tuple[Decimal, ...]]:
    instrument = draw(gl.instruments())
    price = draw(gl.prices(instrument))
    spec = draw(gl.specs(instrument, price, most_levels=60))
    try:
        lines = lay_lines(spec, instrument.tick_size, price)
    except InvalidSpec:
        assume(False)
        raise
    return instrument, price, spec, lines


@given(ladders())
def test_lines_ascend_on_the_tick_and_are_one_more_than_levels(
    ladder: tuple[Instrument, Decimal, GridSpec, tuple[Decimal, ...]],
) -> None:
    instrument, _, spec, lines = ladder
    assert len(lines) == spec.levels + 1
    assert all(below < above for below, above in pairwise(lines))
    assert lines[0] > 0
    assert all(is_multiple(line, instrument.tick_size) for line in lines)


@given(ladders())
def test_the_ends_or_the_price_are_lines(
    ladder: tuple[Instrument, Decimal, GridSpec, tuple[Decimal, ...]],
) -> None:
    instrument, price, spec, lines = ladder
    if spec.spacing is None:
        assert spec.lower is not None and spec.upper is not None
        assert lines[0] == round_to(spec.lower, instrument.tick_size)
        assert lines[-1] == round_to(spec.upper, instrument.tick_size)
    else:
        middle = (spec.levels + 1) // 2
        assert lines[middle] == price
        assert nearest_line(lines, price, spec.mode) == middle


@given(ladders())
def test_neighbours_are_equally_far_within_the_rounding(
    ladder: tuple[Instrument, Decimal, GridSpec, tuple[Decimal, ...]],
) -> None:
    """Each line is off by half a tick at most, so two differences by two ticks at most."""
    instrument, _, spec, lines = ladder
    tick = instrument.tick_size
    if spec.mode is Spacing.ARITHMETIC:
        gaps = [above - below for below, above in pairwise(lines)]
        assert max(gaps) - min(gaps) <= 2 * tick
    else:
        # The ratio of the unrounded ends is held by every pair, up to the half ticks of its ends.
        half = tick / 2
        lowest = max((above - half) / (below + half) for below, above in pairwise(lines))
        highest = min((above + half) / (below - half) for below, above in pairwise(lines))
        assert lowest <= highest * (1 + D("1e-20"))


@given(ladders(), st.data())
def test_the_nearest_line_is_nearest(
    ladder: tuple[Instrument, Decimal, GridSpec, tuple[Decimal, ...]], data: st.DataObject
) -> None:
    instrument, _, spec, lines = ladder
    price = data.draw(gl.prices(instrument))
    index = nearest_line(lines, price, spec.mode)
    if spec.mode is Spacing.ARITHMETIC:
        assert all(abs(lines[index] - price) <= abs(line - price) for line in lines)
    assert all(line < price for line in lines[:index])
    assert all(line > price for line in lines[index + 1 :])
