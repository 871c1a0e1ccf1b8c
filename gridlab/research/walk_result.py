"""`WalkForward`: an outcome of windows with its words, its card, its frames and its pictures.

The values are `WalkOutcome`; how they are shown is said elsewhere and loaded when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridlab.research.walk_outcome import WalkOutcome

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


class WalkForward(WalkOutcome):
    """What choosing grids by their past earned afterwards; see `WalkOutcome` for its values."""

    @property
    def headline(self) -> str:
        """Whether the grid beat holding, random grids, the ATR rule and cash out of sample."""
        from gridlab.research.walk_words import headline

        return headline(self)

    def report(self) -> str:
        """Plain text; the first line is the verdict."""
        from gridlab.research.walk_words import report

        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values; what is undefined is None."""
        from gridlab.research.walk_words import as_dict

        return as_dict(self)

    def to_frame(self) -> pd.DataFrame:
        """One row for each window, indexed by the trial's start (datetime64[ms, UTC])."""
        from gridlab.research.walk_frames import windows_frame

        return windows_frame(self)

    def equity_frame(self) -> pd.DataFrame:
        """Columns grid, hold, atr at every close of the trials, multiples of the investment."""
        from gridlab.research.walk_frames import equity_frame

        return equity_frame(self)

    def stability_frame(self) -> pd.DataFrame:
        """One row for each tried setting: how often it was chosen and where it ranked."""
        from gridlab.research.walk_frames import stability_frame

        return stability_frame(self)

    def plot(self, height: int = 520) -> go.Figure:
        """Equity out of sample against holding and the ATR rule; beside it the random choices."""
        from gridlab.research.walk_plots import equity_figure

        return equity_figure(self, height)

    def plot_stability(self, height: int = 460) -> go.Figure:
        """Which settings were chosen, over how well each did on the trials it had not seen."""
        from gridlab.research.walk_plots import stability_figure

        return stability_figure(self, height)

    def plot_ranks(self, height: int = 460) -> go.Figure:
        """Where settings ranked in training against where they ranked in the trial after it."""
        from gridlab.research.walk_plots import rank_figure

        return rank_figure(self, height)

    def plot_overfitting(self, height: int = 400) -> go.Figure:
        """Where the best of one half of the record ranked in the other half, and what it made.

        Raises:
            InvalidInput: there are too few windows or settings to choose from.
        """
        from gridlab.research.walk_plots import overfitting_figure

        return overfitting_figure(self, height)

    def __repr__(self) -> str:
        return self.report()

    def _repr_html_(self) -> str:
        from gridlab.research.walk_card import walk_card

        return walk_card(self)
