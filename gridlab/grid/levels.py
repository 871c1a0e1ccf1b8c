"""Where the price lines of a grid lie. Pure arithmetic; knows no order and no fee."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidSpec
from gridlab.money import ONE, round_to, rounding, text

_HALF = Decimal("0.5")
#: Ticks; far above what a thousand products lose of 64 digits, far below what a price can show.
_DOUBT = Decimal("1e-30")


def lay_lines(spec: GridSpec, tick_size: Decimal, reference_price: Decimal) -> tuple[Decimal, ...]:
    """The grid's price lines, ascending, on the tick; `spec.levels + 1` of them.

    With `spec.spacing`, the reference price is one of the lines and the others are laid around it,
    an odd one below. With `spec.lower` and `spec.upper`, the range is divided from end to end.

    Raises:
        InvalidSpec: a line is not above zero, or two lines fall on the same tick.
    """
    with rounding():
        around = spec.spacing is not None
        raw = _around(spec, reference_price) if around else _between(spec, tick_size)
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


def _between(spec: GridSpec, tick_size: Decimal) -> list[Decimal]:
    assert spec.lower is not None and spec.upper is not None
    count = spec.levels
    if spec.mode is Spacing.GEOMETRIC:
        return _geometric(spec.lower, spec.upper, count, tick_size)
    return [spec.lower + (spec.upper - spec.lower) * i / count for i in range(count + 1)]


def _geometric(lower: Decimal, upper: Decimal, count: int, tick_size: Decimal) -> list[Decimal]:
    """lower x (upper / lower) ** (i / count): products of one root, for a root costs 100 products.

    A product has lost a few of 64 digits. Where that might decide to which of two ticks the line
    goes, it is taken by its own power.
    """
    ratio = upper / lower
    root = ratio ** (ONE / count)
    prices, price = [], lower
    for i in range(count + 1):
        ticks = price / tick_size
        if abs(ticks - int(ticks) - _HALF) < _DOUBT:
            prices.append(lower * ratio ** (Decimal(i) / count))
        else:
            prices.append(price)
        price *= root
    return prices


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
