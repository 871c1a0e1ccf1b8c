"""`LiveChart`: candles with grid lines, fills and profit, drawn by our own module in the browser.

The history travels once, as traits; after that one small message goes out for each update. The
module asks for everything again when a browser attaches late or comes back. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from gridlab.widgets.view import Candle, FillRow, Level, ProfitPoint

MODULE = Path(__file__).with_name("live_chart.js")
MAX_BARS = 3_000
MAX_FILLS = 2_000


class LiveChart(anywidget.AnyWidget):
    """A chart that can stand still or be fed.

    Args:
        bars: candles, oldest first.
        levels: the grid's price lines.
        fills: trades to mark.
        profit: points of the profit pane.
        options: `symbol`, `interval`, `quote`, `digits`, `tag` (text at the top right).
    """

    _esm = MODULE
    history: traitlets.List[Any] = traitlets.List().tag(sync=True)
    levels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    fills: traitlets.List[Any] = traitlets.List().tag(sync=True)
    profit: traitlets.List[Any] = traitlets.List().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        bars: Sequence[Candle] = (),
        *,
        levels: Sequence[Level] = (),
        fills: Sequence[FillRow] = (),
        profit: Sequence[ProfitPoint] = (),
        **options: Any,
    ) -> None:
        self._bars = {bar[0]: bar for bar in bars}
        self._levels = [level.to_js() for level in levels]
        self._fills = {fill.trade_id: fill.to_js() for fill in fills}
        self._profit = {point[0]: point for point in profit}
        self._preview: list[dict[str, Any]] = []
        self._options = dict(options)
        self._watchers: list[Callable[[dict[str, Any]], None]] = []
        super().__init__(
            history=[list(bar) for bar in bars],
            levels=self._levels,
            fills=list(self._fills.values()),
            profit=[list(point) for point in profit],
            options=self._options,
        )
        self.layout.width = "100%"
        self.layout.height = "460px"
        self.on_msg(self._heard)

    def on_view(self, watcher: Callable[[dict[str, Any]], None]) -> None:
        """Have `watcher` called with each message of a browser: `hello`, `ping`, `interval`."""
        self._watchers.append(watcher)

    def replace(
        self,
        bars: Sequence[Candle],
        *,
        levels: Sequence[Level] = (),
        fills: Iterable[FillRow] = (),
        profit: Iterable[ProfitPoint] = (),
        **options: Any,
    ) -> None:
        """Show another series; the preview stays."""
        self._bars = {bar[0]: bar for bar in bars}
        self._levels = [level.to_js() for level in levels]
        self._fills = {fill.trade_id: fill.to_js() for fill in fills}
        self._profit = {point[0]: point for point in profit}
        self._options.update(options)
        self.send(self._everything())

    def push(
        self,
        bars: Sequence[Candle] = (),
        *,
        levels: Sequence[Level] | None = None,
        fills: Sequence[FillRow] = (),
        profit: Sequence[ProfitPoint] = (),
        **options: Any,
    ) -> None:
        """Send what is new: changed or added bars, the lines if they changed, new fills."""
        message: dict[str, Any] = {"type": "update", **options}
        self._options.update(options)
        if bars:
            self._bars.update((bar[0], bar) for bar in bars)
            message["bars"] = [list(bar) for bar in bars]
        drawn = self._levels if levels is None else [level.to_js() for level in levels]
        if drawn != self._levels:
            self._levels = drawn
            message["levels"] = drawn
        fresh = [fill.to_js() for fill in fills if fill.trade_id not in self._fills]
        if fresh:
            self._fills.update((one["id"], one) for one in fresh)
            message["fills"] = fresh
        if profit:
            self._profit.update((point[0], point) for point in profit)
            message["profit"] = [list(point) for point in profit]
        self._trim()
        self.send(message)

    def show_preview(self, prices: Sequence[float]) -> None:
        """Draw the lines of a grid that is not placed; an empty sequence removes them."""
        drawn = [{"price": price} for price in prices]
        if drawn != self._preview:
            self._preview = drawn
            self.send({"type": "preview", "lines": drawn})

    def _everything(self) -> dict[str, Any]:
        return {
            "type": "reset",
            "bars": [list(self._bars[time_ms]) for time_ms in sorted(self._bars)],
            "levels": self._levels,
            "fills": list(self._fills.values()),
            "profit": [list(self._profit[time_ms]) for time_ms in sorted(self._profit)],
            "preview": self._preview,
            **self._options,
        }

    def _trim(self) -> None:
        """Forget the oldest of what has grown too long, as the browser does."""
        for kept, limit in ((self._bars, MAX_BARS), (self._profit, 2 * MAX_BARS)):
            _drop_oldest(kept, limit)
        _drop_oldest(self._fills, MAX_FILLS)

    def _heard(self, widget: Any, content: Mapping[str, Any], buffers: Any) -> None:
        kind = content.get("type")
        if kind not in ("hello", "ping", "interval"):
            return
        if kind == "hello":
            self.send(self._everything())
        for watcher in self._watchers:
            watcher(dict(content))


def _drop_oldest(kept: dict[Any, Any], limit: int) -> None:
    for key in list(kept)[: max(0, len(kept) - limit)]:
        del kept[key]
