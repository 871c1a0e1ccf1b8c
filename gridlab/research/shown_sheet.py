"""`ShownSheet`: a sheet with its pictures, its card and its words.

The views live in modules of their own and are imported when they are asked for, so that a sweep
costs no plotly until somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridlab.research.sheet import PROFIT, RISK, Sheet

if TYPE_CHECKING:
    import plotly.graph_objects as go


class ShownSheet(Sheet):
    """What a user sees of a sweep or a study; see `Sheet` for its values."""

    def plot_pareto(self, profit: str = PROFIT, risk: str = RISK, height: int = 480) -> go.Figure:
        """Every row by risk and profit, and the front of those that no other beats."""
        from gridlab.research.sheet_plots import pareto_figure

        return pareto_figure(self, profit, risk, height)

    def heatmap(
        self, x: str, y: str, value: str = PROFIT, how: str = "best", height: int = 520
    ) -> go.Figure:
        """A figure over two settings.

        Args:
            how: what is shown where other settings vary too: `best`, `median`, `mean` or `worst`
                of the rows that ran. The title says which.
        """
        from gridlab.research.sheet_plots import heat_figure

        return heat_figure(self, x, y, value, how, height)

    def parallel(self, value: str = PROFIT, height: int = 480) -> go.Figure:
        """Every row as a line through all its settings, coloured by a figure."""
        from gridlab.research.sheet_plots import parallel_figure

        return parallel_figure(self, value, height)

    def slices(self, value: str = PROFIT, height: int = 360) -> go.Figure:
        """A figure over each setting by itself, one point a row, with the median."""
        from gridlab.research.sheet_plots import slice_figure

        return slice_figure(self, value, height)

    def plot(self, value: str = PROFIT) -> go.Figure:
        """The picture that suits the number of settings: slices, a heat map, parallel lines."""
        names = list(self.axes.columns)
        if len(names) == 2 and self.kind == "sweep":
            return self.heatmap(names[1], names[0], value)
        return self.parallel(value) if len(names) > 2 else self.slices(value)

    def __repr__(self) -> str:
        from gridlab.research.sheet_views import sheet_text

        return sheet_text(self)

    def _repr_html_(self) -> str:
        from gridlab.research.sheet_views import sheet_card

        return sheet_card(self)
