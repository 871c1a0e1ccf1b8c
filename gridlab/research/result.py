"""`BacktestResult`: an outcome with its frames, its picture, its card and its words.

The views live in modules of their own and are imported when they are asked for, so that a result
costs neither pandas nor plotly until somebody looks.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridlab.research.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from gridlab.research.brackets import Bracket
    from gridlab.research.figures import Metrics
    from gridlab.research.theory_check import Theory


class BacktestResult(Outcome):
    """What one grid did on one series of bars; see `Outcome` for its values and curves."""

    @cached_property
    def metrics(self) -> Metrics:
        """What it amounts to: return, risk, ratios, parts of profit; see `Metrics`."""
        from gridlab.research.measures import measure

        return measure(self)

    def trades_frame(self) -> pd.DataFrame:
        """Every trade, indexed by time (UTC); see `gridlab.research.frames`."""
        from gridlab.research.frames import trades_frame

        return trades_frame(self)

    def ledger_frame(self) -> pd.DataFrame:
        """The books: components down, assets across, and their worth in quote at the last close."""
        from gridlab.research.frames import ledger_frame

        return ledger_frame(self)

    def equity_frame(self, at: str = "close") -> pd.DataFrame:
        """Equity over time (UTC index): at every bar's `close`, or after every `fill`."""
        from gridlab.research.frames import equity_frame

        return equity_frame(self, at)

    def plot(self, what: str = "overview", height: int | None = None) -> go.Figure:
        """A figure: by default price with lines and fills, equity, drawdown and inventory.

        Args:
            what: `overview`, or one of `price`, `equity`, `drawdown`, `inventory`, `levels` (fills
                and profit of each level beside the price), `parts` (grid profit, inventory, fees
                and funding over time).
            height: pixels.

        Raises:
            InvalidInput: there is no figure of that name.
        """
        from gridlab.research.panels import figure_of

        return figure_of(self, what, height)

    def bracket(self, **settings: Any) -> Bracket:
        """The least and the most that this grid earned under all that the bars leave open.

        See `gridlab.research.brackets.make_bracket` for the settings `queue_share`, `latency_ms`
        and `progress`.
        """
        from gridlab.research.brackets import make_bracket

        return make_bracket(self, **settings)

    def theory(self) -> Theory:
        """This backtest beside closed forms, and in words whether it is implausibly good."""
        from gridlab.research.theory_check import compare

        return compare(self)

    def to_html(self, path: Path | str | None = None, *, bracket: Bracket | None = None) -> str:
        """One HTML file that tells all of it, opens anywhere and runs nothing; also written.

        Args:
            path: where to write it; None only returns it.
            bracket: what `bracket()` gave, to be told as well; it is not made here, because it
                takes some dozens of runs.
        """
        from gridlab.research.page import report_page

        page = report_page(self, self.metrics, self.theory(), bracket)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values, `metrics` among them; see `texts.result_dict`."""
        from gridlab.research.texts import result_dict

        return result_dict(self) | {"metrics": self.metrics.to_dict()}

    def __repr__(self) -> str:
        from gridlab.research.texts import result_text

        return result_text(self)

    def _repr_html_(self) -> str:
        from gridlab.research.cards import result_card

        return result_card(self, self.metrics.tiles())
