"""The goals of the research benchmark as a table, and the verdict on what was measured.

Every goal is a ratio of times, or megabytes: `times` faster where more is better, else a share.
"""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """One line of the table; `is_floor` says that the figure must be at least `must`."""

    name: str
    what: str
    must: float
    stretch: float
    is_floor: bool = True
    unit: str = "x"

    def holds(self, figure: float, bound: float) -> bool:
        return figure >= bound if self.is_floor else figure <= bound


GOALS = (
    Goal("P0", "grids of all P0 checks that differ from the bare kernel", 0, 0, False, ""),
    Goal("P1", "one grid: vectorbt's time, value and drawdown included, over ours", 20, 100),
    Goal("P1b", "one grid: hftbacktest's time over ours", 10, 60),
    Goal("P1c backtesting.py", "one grid: its time over ours", 400, 2000),
    Goal("P1c nautilus_trader", "one grid: its time over ours", 600, 3000),
    Goal("P1d", "one grid: our time over the bare record's", 20, 4, False),
    Goal("P2", "1,000 grids: our time over the bare sweep's, as many threads", 1, 0.25, False),
    Goal("P2 wide", "the same for 3 to 25 % and 8 to 100 intervals", 1, 0.25, False),
    Goal("P2b", "each grid of a sweep: vectorbt's time over ours", 200, 2000),
    Goal("P2c", "memory of that sweep beside bars and plans", 200, 50, False, " MB"),
    Goal("P3 hftbacktest", "whole process, caches warm: our time over its", 0.5, 0.25, False),
    Goal("P3 vectorbt", "whole process, caches warm: our time over its", 0.2, 0.1, False),
    Goal("P3b", "the same without compiled code: our time over hftbacktest's", 1.5, 0.5, False),
    Goal("P4 nautilus_trader", "the event-driven core: its time over ours", 3, 20),
    Goal("P4 backtesting.py", "the event-driven core: its time over ours", 2, 12),
    Goal("P6", "a year from the store: our time over pandas.read_parquet's", 1, 0.1, False),
)


def lines_of(figures: dict[str, float], absent: dict[str, str]) -> list[str]:
    """The table as text, one line for each goal.

    Args:
        figures: by the goal's name.
        absent: why a contender was not there, by the contender's name.
    """
    lines = []
    for goal in GOALS:
        sign = ">=" if goal.is_floor else "<="
        bounds = f"must {sign} {goal.must:g}, stretch {sign} {goal.stretch:g}"
        figure = figures.get(goal.name)
        if figure is None:
            why = next((text for peer, text in absent.items() if peer in goal.what + goal.name), "")
            lines.append(f"{goal.name:20} {'-':>10}  {bounds:36} NOT MEASURED  {why}")
            continue
        verdict = "MISSED"
        if goal.holds(figure, goal.must):
            verdict = "stretch" if goal.holds(figure, goal.stretch) else "must"
        shown = f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"
        lines.append(f"{goal.name:20} {shown + goal.unit:>10}  {bounds:36} {verdict:7} {goal.what}")
    return lines


def missed(figures: dict[str, float]) -> list[str]:
    """The goals that were measured and whose must does not hold."""
    return [
        goal.name
        for goal in GOALS
        if goal.name in figures and not goal.holds(figures[goal.name], goal.must)
    ]
