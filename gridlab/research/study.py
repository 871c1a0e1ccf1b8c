"""`study`: a search through ranges of settings, for several objectives, by Optuna over the kernel.

Trials are asked for in batches and a batch runs as one sweep. The search itself is in memory, and
each finished trial goes to the storage in one transaction. The sampler is made anew for each trial
from the seed and the trial's number, so a study that was killed, or is to be longer, makes the
batch in which it stood once more and goes on to the very trials it would have had. Settings that
cannot start are told as infeasible, which steers the search away from them and leaves no figure
behind. `optuna` is imported when a study is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gridlab.data.bars import Bars
from gridlab.data.funding import FundingData
from gridlab.domain.account import MarginType
from gridlab.domain.market import Instrument, Market
from gridlab.errors import Conflict, InvalidInput, StorageError
from gridlab.exchange.paper import FillRule
from gridlab.research.ground import Ground, check_figures, difference
from gridlab.research.progress import meter
from gridlab.research.ranges import Ranges, ranges_of
from gridlab.research.sheet import LESS_IS_BETTER, PROFIT, RISK
from gridlab.research.space import Space
from gridlab.research.study_result import FIGURES_KEY, REASON_KEY, StudyResult
from gridlab.research.sweep import joined
from gridlab.research.workers import Workers, workers_of

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from distributed import Client
    from optuna.trial import Trial

Direction: TypeAlias = Literal["minimize", "maximize"]
#: Trials that are asked for before any of them is known.
BATCH = 16
#: Trials at random before the search learns from them.
STARTUP = 16
IDENTITY_KEY = "gridlab"


def study(
    space_or_ranges: Space | Mapping[str, Any],
    data: Any,
    *,
    objectives: Sequence[str] = (PROFIT, RISK),
    trials: int = 128,
    storage: str | None = None,
    name: str = "gridlab",
    seed: int = 0,
    batch: int = BATCH,
    fill_rule: FillRule | str = FillRule.TOUCH,
    instrument: Instrument | None = None,
    funding: FundingData | None = None,
    margin: MarginType | str = MarginType.ISOLATED,
    threads: int | None = None,
    client: Client | str | None = None,
    progress: bool | Callable[[float], None] = True,
) -> StudyResult:
    """What a search for the best settings found, with every trial on the way.

    The same seed, ranges, data and batch give the same trials, in one go or killed and resumed, on
    any number of threads or workers. `batch` is part of that: its trials are asked for before any
    of them is known, so a larger batch is quicker and learns in longer strides.

    Args:
        space_or_ranges: settings by name: `levels=(8, 100)` or `spacing="0.3%..2% log"` is a range,
            a list holds choices, anything else is fixed; or a space, whose axes are choices.
        data: bars, a DataFrame of candles (`symbol` then stands among the ranges), or the path of
            a Parquet or CSV file.
        objectives: figures; of `max_drawdown` and `out_of_range` less is sought, of others more.
        trials: how many the study holds in the end; those that its storage holds already count.
        storage: an address of SQL, such as `sqlite:///study.db`, or the path of a SQLite file; None
            keeps the study in memory. One process at a time.
        name: of the study in its storage. A study of this name goes on, if it is of the same
            ranges, data, rules, objectives, seed and batch, and is refused if not.
        fill_rule, instrument, funding, margin, threads, client, progress: as for `sweep`.

    Raises:
        InvalidInput: ranges, objectives or data that cannot be used.
        Conflict: the storage holds another study of this name.
        StorageError: the storage cannot be opened.
    """
    ranges = ranges_of(space_or_ranges, data.symbol if isinstance(data, Bars) else None)
    ground = Ground.of(ranges, data, instrument, fill_rule, funding, margin)
    _check_numbers(trials, batch, seed)
    if isinstance(objectives, str):
        objectives = (objectives,)
    directions = _directions(objectives, ranges.market)
    identity = ground.identity | {
        "ranges": ranges.to_json(),
        "objectives": list(objectives),
        "seed": seed,
        "batch": batch,
    }
    with _quiet_optuna():
        kept = _opened(storage, name, directions, identity)
        with (
            workers_of(client, threads) as workers,
            meter(progress, trials, f"study {ranges.symbol}", "trials") as step,
        ):
            search = _Search(kept, directions, ranges, ground, workers, objectives, seed, batch)
            step(min(trials, search.count))
            while search.count < trials:
                step(search.next(trials))
        return StudyResult(kept, ranges, ground, tuple(objectives))


def run_rows(
    ground: Ground, call: tuple[int, list[dict[str, object]]], threads: int | None
) -> pd.DataFrame:
    """The figures of some settings, numbered from `call[0]`."""
    return ground.run(call[1], call[0], threads)


class _Search:
    """The batches of one study, in memory; `kept` is where finished trials go."""

    def __init__(
        self,
        kept: optuna.Study,
        directions: list[Direction],
        ranges: Ranges,
        ground: Ground,
        workers: Workers,
        objectives: Sequence[str],
        seed: int,
        batch: int,
    ) -> None:
        import optuna

        self._kept = kept
        self._ranges = ranges
        self._ground = ground
        self._workers = workers
        self._objectives = objectives
        self._seed = seed
        self._batch = batch
        stored = kept.get_trials(deepcopy=False)
        self.count = len(stored)
        self._study = optuna.create_study(directions=directions)
        # A batch of which only a part was stored is asked for again, as a whole.
        self._study.add_trials(stored[: len(stored) // batch * batch])

    def next(self, wanted: int) -> int:
        """Run the next batch, at most to `wanted` trials; return how many are new."""
        first = len(self._study.get_trials(deepcopy=False))
        numbers = range(first, min(first + self._batch, wanted))
        asked, rows = zip(*(self._ask(number) for number in numbers), strict=True)
        calls = self._calls(first, list(rows))
        parts = dict(self._workers.each(run_rows, self._ground, calls))
        table = joined([parts[place] for place in range(len(calls))])
        for trial, figures in zip(asked, table.to_dict("records"), strict=True):
            self._tell(trial, figures)
        return self._keep(first)

    def _calls(
        self, first: int, rows: list[dict[str, object]]
    ) -> list[tuple[int, list[dict[str, object]]]]:
        size = -(-len(rows) // self._workers.count)
        return [(first + k, rows[k : k + size]) for k in range(0, len(rows), size)]

    def _ask(self, number: int) -> tuple[Trial, dict[str, object]]:
        """Trial `number` and its settings, which follow from the seed and the trials before it."""
        from optuna.samplers import TPESampler

        state = np.random.SeedSequence([self._seed, number]).generate_state(1)
        self._study.sampler = TPESampler(
            seed=int(state[0]),
            multivariate=True,
            constant_liar=True,
            n_startup_trials=max(STARTUP, self._batch),
        )
        trial = self._study.ask()
        return trial, self._ranges.ask(trial)

    def _tell(self, trial: Trial, figures: dict[str, Any]) -> None:
        from optuna.trial import TrialState

        reason = figures.pop("reason")
        if reason:
            trial.set_user_attr(REASON_KEY, reason)
            trial.set_constraint("cannot start", 1.0)
            self._study.tell(trial.number, state=TrialState.PRUNED)
        else:
            trial.set_user_attr(FIGURES_KEY, figures)
            self._study.tell(trial.number, [float(figures[name]) for name in self._objectives])

    def _keep(self, first: int) -> int:
        """Store what is new of the trials from `first` on; return how many that is.

        Raises:
            Conflict: the storage holds other trials than this search makes.
        """
        made = self._study.get_trials(deepcopy=False)[first:]
        stored = self._kept.get_trials(deepcopy=False)[first:]
        for mine, known in zip(made, stored, strict=False):
            if mine.params != known.params:
                raise Conflict(
                    f"trial {mine.number} would be {mine.params} and the storage holds "
                    f"{known.params}, perhaps of another version of Optuna; choose another name"
                )
        for trial in made[len(stored) :]:
            self._kept.add_trial(trial)
        self.count += len(made) - len(stored)
        return len(made) - len(stored)


# --- opening --------------------------------------------------------------------------------------


def _opened(
    storage: str | None, name: str, directions: list[Direction], identity: Mapping[str, Any]
) -> optuna.Study:
    """The study of this name, new or the same as before.

    Raises:
        Conflict: a study of this name is another one.
        StorageError: the storage cannot be opened.
    """
    import optuna

    address = storage if storage is None or "://" in storage else f"sqlite:///{storage}"
    try:
        found = optuna.create_study(
            storage=address, study_name=name, directions=directions, load_if_exists=True
        )
    except Exception as error:  # of whichever driver the address names
        raise StorageError(
            f"the storage {address} cannot be opened ({error}); an address is written such as "
            "sqlite:///study.db"
        ) from error
    here = json.loads(json.dumps(identity))
    there = found.user_attrs.get(IDENTITY_KEY)
    if there is None and not found.get_trials(deepcopy=False):
        found.set_user_attr(IDENTITY_KEY, here)
    elif there is None:
        raise Conflict(f"the study {name!r} in {address} is not gridlab's; choose another name")
    elif found_difference := difference(there, here):
        raise Conflict(
            f"the study {name!r} in {address} is another one: {found_difference}; choose another "
            "name, or search the same"
        )
    return found


def _directions(objectives: Sequence[str], market: Market) -> list[Direction]:
    """Whether more or less of each objective is sought.

    Raises:
        InvalidInput: none, one twice, or one that is no figure.
    """
    check_figures(objectives, market)
    if not objectives or len(set(objectives)) < len(objectives):
        raise InvalidInput(f"objectives are {list(objectives)!r}; give one or several, each once")
    return ["minimize" if name in LESS_IS_BETTER else "maximize" for name in objectives]


def _check_numbers(trials: int, batch: int, seed: int) -> None:
    for name, value, least in (("trials", trials, 1), ("batch", batch, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidInput(f"{name} is {value!r}; give a whole number from {least} on")


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without a line of log for each study that is opened; warnings are still shown."""
    try:
        import optuna
    except ImportError as error:
        raise InvalidInput(f"Optuna is missing ({error}); install gridlab[research]") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
