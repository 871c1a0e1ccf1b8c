"""`ranges_of`: what a study may choose from, as people write it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridlab.domain.spec import Spacing
from gridlab.errors import InvalidInput, InvalidNumber
from gridlab.research.ranges import Choice, Range, ranges_of
from gridlab.research.space import space


def test_ranges_choices_and_fixed_settings_are_told_apart() -> None:
    found = ranges_of(
        {
            "levels": (8, 100),
            "spacing": "0.3%..2% log",
            "mode": ["geometric", "arithmetic"],
            "investment": "1000:3000:1000",
            "fees": "0.00075",
        },
        "BTCUSDT",
    )
    assert found.symbol == "BTCUSDT" and list(found.fixed) == ["fees"]
    assert found.sources["levels"] == Range("levels", 8, 100)
    assert found.sources["spacing"] == Range("spacing", Decimal("0.003"), Decimal("0.02"), log=True)
    assert found.sources["mode"] == Choice("mode", (Spacing.GEOMETRIC, Spacing.ARITHMETIC))
    assert found.sources["investment"] == Choice("investment", (1000, 2000, 3000))
    assert ranges_of({"levels": "8..100", "symbol": "ETHUSDT"}, "BTCUSDT").symbol == "ETHUSDT"


def test_a_space_gives_its_axes_as_choices() -> None:
    many = space("BTCUSDT", levels=[4, 8], spacing=["1%"], investment=900)
    found = ranges_of(many, None)
    assert found.sources == {"levels": Choice("levels", (4, 8))}
    assert found.fixed == {"investment": 900, "spacing": Decimal("0.01")}
    with pytest.raises(InvalidInput, match="is a sample"):
        ranges_of(many.sample(1, seed=0), None)


def test_parameters_become_settings_of_six_digits_inside_the_range() -> None:
    spacing = Range("spacing", Decimal("0.003"), Decimal("0.0200001"), log=True)
    assert spacing.setting({"spacing": 0.0123456789}) == Decimal("0.0123457")
    assert spacing.setting({"spacing": 0.0030000001}) == Decimal("0.003")
    assert spacing.setting({"spacing": 0.02000009}) == Decimal("0.0200001")
    assert Range("levels", 8, 100).setting({"levels": 9}) == 9
    assert Choice("levels", (4, 8, 9)).setting({"levels (place)": 2}) == 9
    assert Choice("levels", (8, 4)).setting({"levels": "4"}) == 4


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"levles": (8, 100)}, "study has no setting 'levles'; did you mean levels"),
        ({"levels": (100, 8)}, "goes from 100 to 8"),
        ({"levels": (8, 8)}, "the first must be below the last"),
        ({"levels": "8..100 logarithmic"}, "a range is low..high"),
        ({"spacing": "0.3%..2"}, "a range is low..high"),
        ({"lower": "0..5 log"}, "begins above zero"),
        ({"levels": 10}, "nothing varies"),
        ({"market": ["spot", "futures"]}, "market varies"),
        ({"mode": ["geometrical"]}, "did you mean geometric"),
    ],
)
def test_slips_are_answered(what: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ranges_of(what, "BTCUSDT")


def test_floats_and_a_missing_symbol_are_refused() -> None:
    with pytest.raises(InvalidNumber, match="type spacing='0.003'"):
        ranges_of({"spacing": (0.003, 0.02)}, "BTCUSDT")
    with pytest.raises(InvalidInput, match="symbol is missing"):
        ranges_of({"levels": (8, 100)}, None)
