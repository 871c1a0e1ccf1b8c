"""Small charts as SVG text: scales, axes, curves, areas, candles, marks, bars.

Made for pages that must open anywhere and run nothing: no script, no outside reference, colours by
class, so that the page's style sheet decides them and a dark page darkens the charts with it.
Coordinates are in units of the picture; the page scales it. Knows no backtest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np
import numpy.typing as npt

from gridlab.research.metrics import FloatArray
from gridlab.research.words import DAY_MS

Times = npt.NDArray[np.int64]
HOUR_MS = 3_600_000
#: Steps of a time axis below a month.
_STEPS_MS = tuple(HOUR_MS * hours for hours in (1, 3, 6, 12, 24, 48, 7 * 24, 14 * 24))
_STEPS_MONTHS = (1, 2, 3, 6, 12, 24, 60)


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle of a picture, and the values at its edges.

    Args:
        left, top, width, height: units of the picture.
        x0, x1: values at the left and the right edge; y0, y1: at the bottom and the top.
    """

    left: float
    top: float
    width: float
    height: float
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, values: npt.ArrayLike) -> FloatArray:
        """Where values lie across."""
        share = (np.asarray(values, np.float64) - self.x0) / ((self.x1 - self.x0) or 1.0)
        return self.left + share * self.width

    def y(self, values: npt.ArrayLike) -> FloatArray:
        """Where values lie downwards."""
        share = (np.asarray(values, np.float64) - self.y0) / ((self.y1 - self.y0) or 1.0)
        return self.top + (1.0 - share) * self.height


def svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """One picture; `title` is what a screen reader says."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def room(values: Iterable[FloatArray], share: float = 0.05) -> tuple[float, float]:
    """The least and the greatest of all values, with a margin on both sides."""
    low = min(float(one.min()) for one in values)
    high = max(float(one.max()) for one in values)
    margin = share * (high - low) or abs(high) * share or 1.0
    return low - margin, high + margin


def value_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values from `low` to `high`, at most about `most`."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * n for n in (1, 2, 5, 10) if span / (power * n) <= most)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(first_ms: int, last_ms: int, most: int = 8) -> list[tuple[int, str]]:
    """Round moments with their labels: hours, days or months, whichever leaves at most `most`."""
    for step in _STEPS_MS:
        if (last_ms - first_ms) / step <= most:
            shown = "%d %b" if step >= DAY_MS else "%d %b %H:%M"
            start = -(-first_ms // step) * step
            return [(t, _moment(t, shown)) for t in range(start, last_ms + 1, step)]
    opened = datetime.fromtimestamp(first_ms / 1000, UTC)
    months = (last_ms - first_ms) / (30.4 * DAY_MS)
    step = next((one for one in _STEPS_MONTHS if months / one <= most), 120)
    number = -(-(opened.year * 12 + opened.month - 1) // step) * step
    found = []
    while (time_ms := _month_ms(number)) <= last_ms:
        if time_ms >= first_ms:
            found.append((time_ms, _moment(time_ms, "%b %Y" if step < 12 else "%Y")))
        number += step
    return found


def frame(panel: Panel, labels: Sequence[tuple[float, str]]) -> str:
    """Horizontal rules with their labels left of the panel."""
    parts = []
    for value, words in labels:
        y = float(panel.y(value))
        parts.append(
            f'<path class="rule" d="M{panel.left:.1f} {y:.1f}h{panel.width:.1f}"/>'
            f'<text x="{panel.left - 6:.1f}" y="{y + 3.5:.1f}" text-anchor="end">'
            f"{escape(words)}</text>"
        )
    return "".join(parts)


def time_axis(panel: Panel, most: int = 8) -> str:
    """Labels of moments below the panel, and a faint rule at each."""
    parts, bottom = [], panel.top + panel.height
    for time_ms, words in time_ticks(int(panel.x0), int(panel.x1), most):
        x = float(panel.x(time_ms))
        is_last = x > panel.left + panel.width - 24
        parts.append(
            f'<path class="rule" d="M{x:.1f} {panel.top:.1f}V{bottom:.1f}"/>'
            f'<text x="{x:.1f}" y="{bottom + 15:.1f}" '
            f'text-anchor="{"end" if is_last else "middle"}">{escape(words)}</text>'
        )
    return "".join(parts)


def curve(panel: Panel, x: npt.ArrayLike, y: FloatArray, name: str) -> str:
    """A line through the points, broken where a value is NaN."""
    return f'<path class="line {name}" d="{_path(panel.x(x), panel.y(y))}"/>'


def area(panel: Panel, x: npt.ArrayLike, low: FloatArray, high: FloatArray, name: str) -> str:
    """What lies between two curves over the same points; NaN makes a hole."""
    across, parts = panel.x(x), []
    is_known = ~(np.isnan(low) | np.isnan(high))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_known.astype(np.int8), [0]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        there = _path(across[start:end], panel.y(high[start:end]))
        back = _path(across[start:end][::-1], panel.y(low[start:end][::-1]))
        parts.append(f"{there}L{back.removeprefix('M')}Z")
    return f'<path class="area {name}" d="{"".join(parts)}"/>'


def candles(
    panel: Panel, x: Times, prices: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
) -> str:
    """Candles of (open, high, low, close), the rising ones and the falling ones a path each."""
    opened, high, low, close = (panel.y(column) for column in prices)
    across = panel.x(x)
    wide = max(0.8, 0.6 * panel.width / max(1, len(across)))
    is_up, parts = close <= opened, []
    for name, chosen in (("buy", np.flatnonzero(is_up)), ("sell", np.flatnonzero(~is_up))):
        steps = [
            f"M{across[i]:.1f} {high[i]:.1f}V{low[i]:.1f}"
            f"M{across[i] - wide / 2:.1f} {min(opened[i], close[i]):.1f}"
            f"h{wide:.1f}v{max(0.6, abs(opened[i] - close[i])):.1f}h{-wide:.1f}z"
            for i in chosen.tolist()
        ]
        parts.append(f'<path class="candle {name}" d="{"".join(steps)}"/>')
    return "".join(parts)


def marks(panel: Panel, x: npt.ArrayLike, y: FloatArray, name: str, size: float = 4.0) -> str:
    """Triangles: upwards for the class `buy`, downwards for any other."""
    tip = -size if name == "buy" else size
    small = " small" if size < 4 else ""
    steps = [
        f"M{left:.1f} {down + tip:.1f}l{size:.1f} {-1.7 * tip:.1f}h{-2 * size:.1f}z"
        for left, down in zip(panel.x(x).tolist(), panel.y(y).tolist(), strict=True)
    ]
    return f'<path class="mark {name}{small}" d="{"".join(steps)}"/>'


def rules(panel: Panel, values: Sequence[float], name: str) -> str:
    """Dotted horizontal lines."""
    steps = [f"M{panel.left:.1f} {y:.1f}h{panel.width:.1f}" for y in panel.y(values).tolist()]
    return f'<path class="level {name}" d="{"".join(steps)}"/>'


def bar(panel: Panel, start: float, end: float, low: float, high: float, name: str) -> str:
    """A horizontal bar from `start` to `end`, between two heights."""
    x0, x1 = float(panel.x(start)), float(panel.x(end))
    y0, y1 = float(panel.y(high)), float(panel.y(low))
    pad = 0.1 * (y1 - y0)
    return (
        f'<rect class="bar {name}" x="{min(x0, x1):.1f}" y="{y0 + pad:.1f}" '
        f'width="{abs(x1 - x0):.1f}" height="{max(0.4, y1 - y0 - 2 * pad):.1f}"/>'
    )


def label(x: float, y: float, words: str, anchor: str = "start", name: str = "") -> str:
    """A piece of text."""
    return (
        f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}'
        "</text>"
    )


def _path(x: FloatArray, y: FloatArray) -> str:
    steps, pen = [], "M"
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if down != down:
            pen = "M"
            continue
        steps.append(f"{pen}{across:.1f} {down:.1f}")
        pen = "L"
    return "".join(steps)


def _moment(time_ms: int, form: str) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime(form).lstrip("0")


def _month_ms(number: int) -> int:
    """The first millisecond of a month counted as year x 12 + months before it."""
    year, month = divmod(number, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
