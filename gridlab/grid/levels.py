"""Where the price lines of a grid lie. Pure arithmetic; knows no order and no fee."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.money import ONE, round_to, rounding, text


def lay_lines(spec: GridSpec, tick_size: Decimal, reference_price: Decimal) -> tuple[Decimal, ...]:
    """The grid's price lines, ascending, on the tick; `spec.levels + 1` of them.

    With `spec.spacing`, the reference price is one of the lines and the others are laid around it,
    an odd one below. With `spec.lower` and `spec.upper`, the range is divided from end to end.

    Raises:
        InvalidSpec: a line is not above zero, or two lines fall on the same tick.
    """
    with rounding():
        raw = _around(spec, reference_price) if spec.spacing is not None else _between(spec)
    lines = tuple(round_to(price, tick_size) for price in raw)
    if lines[0] <= 0:
        raise InvalidSpec(
            f"the lowest line would be {text(lines[0])}, on a tick size of {text(tick_size)}; use "
            "fewer levels, a smaller spacing or a geometric grid"
        )
    for below, above in pairwise(lines):
        if below >= above:
            raise InvalidSpec(
                f"two lines fall on the same price {text(below)} because the tick size is "
                f"{text(tick_size)}; use fewer levels or a wider spacing"
            )
    return lines


def _around(spec: GridSpec, price: Decimal) -> list[Decimal]:
    assert spec.spacing is not None
    below = (spec.levels + 1) // 2
    steps = range(-below, spec.levels - below + 1)
    if spec.mode is Spacing.GEOMETRIC:
        return [price * (ONE + spec.spacing) ** step for step in steps]
    return [price + price * spec.spacing * step for step in steps]


def _between(spec: GridSpec) -> list[Decimal]:
    assert spec.lower is not None and spec.upper is not None
    count = spec.levels
    if spec.mode is Spacing.GEOMETRIC:
        ratio = spec.upper / spec.lower
        return [spec.lower * ratio ** (Decimal(i) / count) for i in range(count + 1)]
    return [spec.lower + (spec.upper - spec.lower) * i / count for i in range(count + 1)]


def nearest_line(lines: tuple[Decimal, ...], price: Decimal, mode: Spacing) -> int:
    """The index of the line nearest to `price`: by ratio on a geometric grid, else by difference.

    Of two equally near lines the lower one is taken. Slots below this line start as buys, slots
    above it as sells.
    """
    with rounding():
        if mode is Spacing.GEOMETRIC:
            distances = [max(line / price, price / line) for line in lines]
        else:
            distances = [abs(line - price) for line in lines]
    return distances.index(min(distances))
