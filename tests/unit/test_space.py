"""`space`: which settings it means, in which order, and what is answered to a slip."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from gridlab.data.catalog import instrument, load
from gridlab.domain.market import FeeSchedule
from gridlab.domain.plan import GridPlan
from gridlab.domain.spec import Spacing
from gridlab.errors import InvalidInput, InvalidNumber, InvalidSpec, NotFound
from gridlab.research.grids import make_grid
from gridlab.research.grids import plan as plan_view
from gridlab.research.settings import Refusal, range_of, spec_of
from gridlab.research.space import Space, space

START_MS = 1_772_323_200_000  # 2026-03-01 00:00 UTC
BARS = load("BTCUSDT", start_ms=START_MS, end_ms=START_MS + 3_600_000)


def test_the_last_axis_is_the_fastest() -> None:
    many = space("BTCUSDT", levels=[10, 20], spacing=["0.5%", "1%", "2%"], investment=5000)
    assert (len(many), many.shape) == (6, (2, 3))
    rows = [(many.settings(i)["levels"], many.settings(i)["spacing"]) for i in range(6)]
    assert rows == [
        *((10, Decimal(words)) for words in ("0.005", "0.01", "0.02")),
        *((20, Decimal(words)) for words in ("0.005", "0.01", "0.02")),
    ]
    assert all(many.settings(i)["investment"] == 5000 for i in range(6))
    with pytest.raises(InvalidInput, match="rows are 0 to 5"):
        many.settings(6)


def test_scalars_are_fixed_and_one_row_is_a_space() -> None:
    one = space("BTCUSDT", levels=10, mode="arithmetic", fees="0.00075")
    assert (len(one), one.axes) == (1, {})
    assert one.spec(0, Decimal(70_000)) == make_grid(
        "BTCUSDT", 10, mode="arithmetic", fees="0.00075"
    )
    assert one.fixed["mode"] is Spacing.ARITHMETIC and isinstance(one.fixed["fees"], FeeSchedule)


def test_axes_come_as_ranges_arrays_and_words() -> None:
    many = space("BTCUSDT", levels=np.arange(10, 31, 10), width="2%:4%:1%", mode=["geometric"])
    assert many.axes["levels"] == (10, 20, 30)
    assert many.axes["width"] == tuple(Decimal(w) for w in ("0.02", "0.03", "0.04"))
    assert range_of("levels", "3:5") == (3, 4, 5)
    assert range_of("spacing", "0.003:0.0045:0.001") == (Decimal("0.003"), Decimal("0.004"))


def test_width_is_laid_on_both_sides_of_the_price() -> None:
    spec = spec_of("BTCUSDT", {"levels": 20, "width": Decimal("0.1")}, Decimal(70_000))
    assert (spec.lower, spec.upper, spec.spacing) == (63_000, 77_000, None)
    with pytest.raises(InvalidSpec, match="width and spacing are given"):
        spec_of("BTCUSDT", {"width": Decimal("0.1"), "spacing": Decimal("0.1")}, Decimal(70_000))
    with pytest.raises(InvalidSpec, match="above 0 and below 1"):
        spec_of("BTCUSDT", {"width": Decimal(1)}, Decimal(70_000))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"levles": [10]}, "space has no setting 'levles'; did you mean levels"),
        ({"widht": ["1%"]}, "did you mean width"),
        ({"symbol": ["BTCUSDT"]}, "no setting 'symbol'|multiple values"),
        ({"levels": []}, "the axis levels has no value"),
        ({"levels": [10, 10]}, "has 10 twice"),
        ({"spacing": ["0.5%", "0.005"]}, r"has 0\.005 twice"),
        ({"mode": ["geometrical"]}, "did you mean geometric"),
        ({"spacing": "1%:2:0.1%"}, "first:last:step"),
        ({"spacing": "1%:2%"}, "first:last:step"),
        ({"levels": "20:10:5"}, "step is above zero"),
        ({"spacing": "0.001:0.9:0.000001"}, "899,001 values; use a wider step"),
    ],
)
def test_slips_are_answered(settings: dict[str, Any], words: str) -> None:
    with pytest.raises((InvalidInput, TypeError), match=words):
        space("BTCUSDT", **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spacing": np.linspace(0.003, 0.01, 3)}, "spacing='first:last:step'"),
        ({"width": 0.1}, "width is the float 0.1.*type width='0.1'"),
        ({"investment": ["much"]}, "not a number"),
    ],
)
def test_floats_are_refused_with_the_remedy(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidNumber, match=words):
        space("BTCUSDT", **settings)


def test_a_setting_is_an_axis_or_fixed() -> None:
    with pytest.raises(InvalidInput, match="both an axis and fixed"):
        Space("BTCUSDT", {"levels": (10,)}, {"levels": 12})
    with pytest.raises(InvalidInput, match="more than can be counted"):
        space(
            "BTCUSDT",
            **{n: range(1, 90_000) for n in ("levels", "investment", "quantity", "lower")},
        )


def test_plans_and_refusals_keep_their_rows() -> None:
    many = space("BTCUSDT", levels=[10, 1], spacing=["0.5%", "0.01%"], investment=2000)
    found = many.plans(BARS)
    assert [plan.ok for plan in found] == [True, False, False, False]
    assert isinstance(found[0], GridPlan)
    assert found[0] == plan_view(many.spec(0, found[0].reference_price), BARS).plan
    refused = [entry for entry in found if isinstance(entry, Refusal)]
    assert [refusal.row for refusal in refused] == [1, 2, 3]
    assert "fees" in str(refused[0]) and "levels is 1" in str(refused[1])
    assert refused[0].settings == many.settings(1)


def test_plans_at_a_price_take_the_bundled_rules() -> None:
    many = space("BTCUSDT", levels=[10, 12])
    assert many.plans("70000") == many.plans("70000", instrument("BTCUSDT"))
    with pytest.raises(NotFound, match="not bundled"):
        space("FOOUSDT", levels=10).plans(5)
    with pytest.raises(InvalidInput, match="the space is for ETHUSDT"):
        space("ETHUSDT", levels=10).plans(BARS)


def test_a_sample_is_drawn_by_its_seed_and_keeps_the_order() -> None:
    many = space("BTCUSDT", levels=range(2, 1001), spacing="0.001:0.9:0.0001", width="1%:9%:1%")
    few = many.sample(50, seed=7)
    assert len(many) == 999 * 8991 * 9 and len(few) == 50
    assert few == many.sample(50, seed=7) != many.sample(50, seed=8)
    assert few.chosen is not None and list(few.chosen) == sorted(set(few.chosen))
    assert few.settings(3) == many.settings(few.chosen[3])
    fewer = few.sample(5, seed=1)
    assert set(fewer.chosen or ()) < set(few.chosen) and fewer.sample(9, seed=1) is fewer
    with pytest.raises(InvalidInput, match="at least one row"):
        many.sample(0, seed=1)


def test_the_fingerprint_knows_rows_and_their_order() -> None:
    one = space("BTCUSDT", levels=[10, 20], spacing="1%")
    same = space("BTCUSDT", levels="10:20:10", spacing="0.0100")
    assert one.fingerprint == same.fingerprint
    others = [
        space("ETHUSDT", levels=[10, 20], spacing="1%"),
        space("BTCUSDT", levels=[20, 10], spacing="1%"),
        space("BTCUSDT", levels=[10, 20], spacing="1.1%"),
        space("BTCUSDT", levels=[10, 20], spacing=["1%"]),
        one.sample(1, seed=0),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert "2 levels = 2 settings; spacing 0.01" in repr(one)
