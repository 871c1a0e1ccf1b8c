"""Price lines worked by hand, and the ladders that cannot be laid."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.grid.levels import lay_lines, nearest_line
from gridlab.money import round_to, rounding

D = Decimal
CENT = D("0.01")


def around(levels: int, spacing: str, mode: Spacing) -> GridSpec:
    return GridSpec("XRPUSDT", levels, spacing=D(spacing), quantity=D(1), mode=mode)


def between(levels: int, lower: str, upper: str, mode: Spacing) -> GridSpec:
    return GridSpec("XRPUSDT", levels, lower=D(lower), upper=D(upper), quantity=D(1), mode=mode)


def lines(spec: GridSpec, price: str = "100", tick: Decimal = CENT) -> list[str]:
    return [f"{line:.2f}" for line in lay_lines(spec, tick, D(price))]


def test_arithmetic_around_an_even_count() -> None:
    spec = around(4, "0.01", Spacing.ARITHMETIC)
    assert lines(spec) == ["98.00", "99.00", "100.00", "101.00", "102.00"]


def test_an_odd_count_has_its_extra_line_below() -> None:
    spec = around(3, "0.01", Spacing.ARITHMETIC)
    assert lines(spec) == ["98.00", "99.00", "100.00", "101.00"]


def test_geometric_around_multiplies_and_divides() -> None:
    # 100 / 1.1^2 = 82.6446..., 100 / 1.1 = 90.9090..., 110, 121.
    spec = around(4, "0.1", Spacing.GEOMETRIC)
    assert lines(spec) == ["82.64", "90.91", "100.00", "110.00", "121.00"]


def test_arithmetic_between_divides_the_range() -> None:
    assert lines(between(5, "100", "110", Spacing.ARITHMETIC)) == [
        "100.00",
        "102.00",
        "104.00",
        "106.00",
        "108.00",
        "110.00",
    ]


def test_geometric_between_has_equal_ratios() -> None:
    assert lines(between(3, "100", "800", Spacing.GEOMETRIC)) == [
        "100.00",
        "200.00",
        "400.00",
        "800.00",
    ]


def test_lines_go_to_the_nearest_tick() -> None:
    # 1, 4/3, 5/3, 2 on a tick of 0.05.
    spec = between(3, "1", "2", Spacing.ARITHMETIC)
    assert lines(spec, tick=D("0.05")) == ["1.00", "1.35", "1.65", "2.00"]


def test_a_price_off_the_tick_still_gives_lines_on_it() -> None:
    spec = around(2, "0.01", Spacing.ARITHMETIC)
    assert lines(spec, price="100.004") == ["99.00", "100.00", "101.00"]


def test_a_range_that_does_not_hold_the_price_is_laid_all_the_same() -> None:
    spec = between(2, "100", "102", Spacing.ARITHMETIC)
    assert lines(spec, price="5") == lines(spec, price="500") == ["100.00", "101.00", "102.00"]


@pytest.mark.parametrize("mode", Spacing)
def test_lines_that_collide_are_refused_in_words(mode: Spacing) -> None:
    with pytest.raises(
        InvalidSpec, match=r"two lines fall on the same price .* tick size is 0\.01"
    ):
        lay_lines(between(20, "1.00", "1.10", mode), CENT, D("1.05"))


def test_an_arithmetic_ladder_may_not_reach_zero() -> None:
    with pytest.raises(InvalidSpec, match="lowest line would be 0"):
        lay_lines(around(20, "0.1", Spacing.ARITHMETIC), CENT, D(100))
    with pytest.raises(InvalidSpec, match="lowest line would be -50"):
        lay_lines(around(30, "0.1", Spacing.ARITHMETIC), CENT, D(100))


@pytest.mark.parametrize("mode", Spacing)
def test_a_lowest_line_that_rounds_to_zero_is_refused(mode: Spacing) -> None:
    """0.004 is above zero, and zero on a tick of 0.01."""
    with pytest.raises(InvalidSpec, match=r"lowest line would be 0, on a tick size of 0\.01"):
        lay_lines(between(2, "0.004", "1", mode), CENT, D("0.5"))


@pytest.mark.parametrize(
    ("price", "index"), [("1", 0), ("100", 0), ("104.9", 0), ("105.1", 1), ("170", 2), ("999", 2)]
)
def test_the_nearest_line_by_difference(price: str, index: int) -> None:
    assert nearest_line((D(100), D(110), D(120)), D(price), Spacing.ARITHMETIC) == index


def test_of_two_equally_near_lines_the_lower_is_taken() -> None:
    assert nearest_line((D(100), D(110)), D(105), Spacing.ARITHMETIC) == 0
    assert nearest_line((D(100), D(400)), D(200), Spacing.GEOMETRIC) == 0


def test_a_geometric_grid_measures_by_ratio() -> None:
    ladder = (D(100), D(400))
    assert nearest_line(ladder, D(220), Spacing.ARITHMETIC) == 0
    assert nearest_line(ladder, D(220), Spacing.GEOMETRIC) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"levels": 1}, "levels is 1"),
        ({"levels": 1001}, "levels is 1001"),
        ({"levels": True}, "whole number"),
        ({"levels": 2.5}, "whole number"),
        ({"spacing": D(0)}, "spacing is 0"),
        ({"spacing": D("1.01")}, r"spacing is 1\.01"),
        ({"spacing": None}, "either spacing, or both"),
        ({"lower": D(1)}, "either spacing, or both"),
        ({"spacing": None, "lower": D(1)}, "given together"),
        ({"spacing": None, "lower": D(2), "upper": D(2)}, "0 < lower < upper"),
        ({"spacing": None, "lower": D(-1), "upper": D(2)}, "0 < lower < upper"),
        ({"quantity": None}, "either quantity"),
        ({"investment": D(5)}, "either quantity"),
        ({"quantity": D(0)}, "quantity is 0"),
        ({"quantity": None, "investment": D(-1)}, "investment is -1"),
    ],
)
def test_a_spec_says_what_is_wrong_with_it(change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"levels": 4, "spacing": D("0.01"), "quantity": D(1)}
    with pytest.raises(InvalidSpec, match=words):
        GridSpec("XRPUSDT", **(good | change))  # type: ignore[arg-type]


def test_a_spec_lists_all_its_problems_at_once() -> None:
    with pytest.raises(InvalidSpec) as caught:
        GridSpec("XRPUSDT", 0)
    assert len(caught.value.problems) == 3


def test_products_of_a_root_fall_on_the_ticks_of_powers() -> None:
    """Also where a line lies on the middle of two ticks, which an exact root can bring about."""
    random = np.random.default_rng(5)
    for _ in range(300):
        count, tick = int(random.integers(2, 40)), D(1).scaleb(-int(random.integers(0, 5)))
        lower = int(random.integers(1000, 10**6)) * tick / 2
        upper = lower * int(random.choice([2, 4, 8, 9, 16, 27]))
        spec = between(count, str(lower), str(upper), Spacing.GEOMETRIC)
        with rounding():
            powers = [lower * (upper / lower) ** (D(i) / count) for i in range(count + 1)]
        assert lay_lines(spec, tick, D(100)) == tuple(round_to(price, tick) for price in powers)
