"""`StudyResult`: every trial of a study as a row of settings and figures, read from its storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gridlab.errors import InvalidInput
from gridlab.research.ground import Ground
from gridlab.research.ranges import Ranges
from gridlab.research.shown_sheet import ShownSheet

if TYPE_CHECKING:
    import optuna
    import pandas as pd

#: User attributes of a trial: its figures, or why it could not start.
FIGURES_KEY, REASON_KEY = "figures", "reason"


class StudyResult(ShownSheet):
    """What a search tried and found; rows are trials, by their number.

    In-sample throughout: the search fits the bars, and the more trials the better it fits them.

    Args:
        optuna: the study itself, for Optuna's own analyses and pictures.
    """

    kind = "study"

    def __init__(
        self, study: optuna.Study, ranges: Ranges, ground: Ground, objectives: tuple[str, ...]
    ) -> None:
        trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
        super().__init__(ground, _table(trials, ground))
        self.optuna = study
        self.name = study.study_name
        self.ranges = ranges
        self.objectives = objectives
        self._settings = [ranges.settings(trial.params) for trial in trials]

    def settings(self, i: int) -> dict[str, object]:
        """All settings of trial `i`.

        Raises:
            InvalidInput: there is no such trial.
        """
        if not 0 <= i < len(self._settings):
            raise InvalidInput(
                f"trial {i} is not in the study; its trials are 0 to {len(self._settings) - 1}"
            )
        return dict(self._settings[i])

    def _columns(self) -> dict[str, list[object]]:
        return {name: [row[name] for row in self._settings] for name in self.ranges.sources}


def _table(trials: list[optuna.trial.FrozenTrial], ground: Ground) -> pd.DataFrame:
    """The figures that the trials hold, in the columns of `Ground.run`."""
    import pandas as pd

    empty = ground.run([])
    rows = [_row(trial.user_attrs, empty) for trial in trials]
    table = pd.DataFrame(rows, columns=empty.columns)
    for name, column in empty.items():
        table[name] = table[name].astype(column.dtype if column.dtype.kind in "fi" else object)
    table.index = pd.RangeIndex(len(rows), name="trial")
    return table


def _row(attributes: Mapping[str, Any], empty: pd.DataFrame) -> dict[str, Any]:
    figures = attributes.get(FIGURES_KEY)
    if figures is not None:
        return {**figures, "reason": ""}
    absent = {"f": float("nan"), "i": -1}
    row = {name: absent.get(column.dtype.kind, "") for name, column in empty.items()}
    return row | {"reason": attributes.get(REASON_KEY, "it failed outside of gridlab")}
