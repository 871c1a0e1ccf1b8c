"""`sweep`: every row of a space over the same bars, on every core, and again where it was killed.

Rows are made, planned and measured part by part, so that memory holds the bars, one part's plans
and a line of figures for each row. Which parts there are, who runs them and in which order they
finish changes no figure: a row depends on its settings and the ground alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridlab.data.funding import FundingData
from gridlab.data.writer import WriterLock
from gridlab.domain.account import MarginType
from gridlab.domain.market import Instrument
from gridlab.errors import InvalidInput
from gridlab.exchange.paper import FillRule
from gridlab.research.ground import Ground
from gridlab.research.progress import meter
from gridlab.research.shown_sheet import ShownSheet
from gridlab.research.space import Space
from gridlab.research.sweep_parts import SweepParts, cut
from gridlab.research.workers import Workers, workers_of

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

#: Rows of a part: enough for the kernel to use a block of bars often, few enough to lose, and over
#: many bars so few that progress is seen; of very many rows more, lest there be too many files.
LEAST_ROWS, MOST_ROWS, LARGEST_ROWS = 128, 256, 1024
ROW_BARS = 20_000_000
#: A Dask worker gets this many parts of a sweep, if it can, so that none idles at the end.
PARTS_EACH = 4
FEWEST_ROWS = 16


class SweepResult(ShownSheet):
    """A space measured on one series of bars: a row of figures for each of its settings.

    In-sample throughout: the best of many rows is partly the luckiest. What it is worth on bars
    that it was not chosen on, a walk-forward tells.
    """

    kind = "sweep"

    def __init__(self, space: Space, ground: Ground, table: pd.DataFrame) -> None:
        super().__init__(ground, table)
        self.space = space

    def settings(self, i: int) -> dict[str, object]:
        """All settings of row `i`.

        Raises:
            InvalidInput: there is no such row.
        """
        return self.space.settings(i)

    def _columns(self) -> dict[str, list[object]]:
        space = self.space
        rows = np.arange(len(space)) if space.chosen is None else np.array(space.chosen, np.int64)
        if not space.axes:
            return {}
        places = np.unravel_index(rows, space.shape)
        return {
            name: [values[place] for place in along.tolist()]
            for (name, values), along in zip(space.axes.items(), places, strict=True)
        }


def sweep(
    space: Space,
    data: Any,
    *,
    fill_rule: FillRule | str = FillRule.TOUCH,
    instrument: Instrument | None = None,
    funding: FundingData | None = None,
    margin: MarginType | str = MarginType.ISOLATED,
    threads: int | None = None,
    client: Client | str | None = None,
    resume: PathLike[str] | str | None = None,
    progress: bool | Callable[[float], None] = True,
) -> SweepResult:
    """What every row of `space` would have done on `data`, started at the first open.

    Rows that cannot start are rows with their reason. The figures are those of `backtest`, row by
    row, whatever the number of threads or workers.

    Args:
        space: of `gridlab.space`.
        data: bars, a DataFrame of candles, or the path of a Parquet or CSV file.
        fill_rule: `touch`, or `through`: the price must go one tick beyond an order to fill it.
        instrument: the venue's rules; by default the bundled ones of the symbol, else rules read
            off the data.
        funding, margin: on futures, as for `backtest`; there each row is a backtest by itself.
        threads: by default one for each core.
        client: a Dask client, the address of a scheduler, or `local` for a process on each core (a
            script then needs its `if __name__ == "__main__"`); None keeps the work in this
            process. The rows and their order are the same.
        resume: a folder for finished parts. A killed sweep goes on there; a folder of another
            sweep, of other data or of another version of gridlab is refused.
        progress: whether a bar is shown when it takes over a second; or a function that is called
            with the fraction of the rows that is done.

    Raises:
        InvalidInput: bars of another symbol or market, none at all, or a setting out of range.
        Conflict: `resume` holds another sweep, or another process is writing there.
        StorageError: `resume` cannot be written, or a part in it is damaged.

    >>> from gridlab.data.catalog import load
    >>> from gridlab.research.space import space
    >>> day = load("BTCUSDT", end_ms=1_772_409_600_000)
    >>> found = sweep(space("BTCUSDT", levels=[10, 20], spacing=["0.5%", "1%"]), day)
    >>> len(found), int(found.ran.sum())
    (4, 4)
    """
    if not isinstance(space, Space):
        raise InvalidInput(
            f"space is of type {type(space).__name__}; make one with gridlab.space, such as "
            "space('BTCUSDT', levels=range(10, 61, 10), spacing='0.3%:1.5%:0.1%')"
        )
    ground = Ground.of(space, data, instrument, fill_rule, funding, margin)
    folder = None if resume is None else Path(resume)
    with workers_of(client, threads) as workers, WriterLock(folder) if folder else nullcontext():
        count = 0 if client is None else workers.count
        part_rows = _part_rows(len(space), len(ground.bars), count)
        parts = None
        if folder is not None:
            parts = SweepParts(folder, _identity(ground, space), len(space), part_rows)
        return SweepResult(
            space, ground, _measured(ground, space, workers, part_rows, parts, progress)
        )


def _identity(ground: Ground, space: Space) -> dict[str, Any]:
    """Everything that the rows depend on; a long list of chosen rows by its hash."""
    words = space.to_json()
    chosen = words.pop("chosen")
    drawn = None if chosen is None else f"{len(chosen)} rows, SHA-256 {space.fingerprint}"
    return ground.identity | {"space": words, "chosen rows": drawn}


def _measured(
    ground: Ground,
    space: Space,
    workers: Workers,
    part_rows: int,
    parts: SweepParts | None,
    progress: bool | Callable[[float], None],
) -> pd.DataFrame:
    """The figures of every row, in order; those that `parts` holds are not made again."""
    cuts = cut(len(space), part_rows if parts is None else parts.part_rows)
    done = {} if parts is None else dict(parts.finished())
    pending = [(first, end) for first, end in cuts if first not in done]
    with meter(progress, len(space), f"sweep {space.symbol}") as step:
        step(len(space) - sum(end - first for first, end in pending))
        for place, part in workers.each(run_part, (ground, space), pending):
            if parts is not None:
                parts.write(part)
            done[pending[place][0]] = part
            step(len(part))
    return joined([done[first] for first, _ in cuts])


def run_part(
    shared: tuple[Ground, Space], call: tuple[int, int], threads: int | None
) -> pd.DataFrame:
    """The figures of the rows from `call[0]` to before `call[1]`."""
    (ground, space), (first, end) = shared, call
    return ground.run([space.settings(i) for i in range(first, end)], first, threads)


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All parts as one frame, texts as plain objects."""
    import pandas as pd

    table = pd.concat(parts)
    for name in ("engine", "reason"):
        table[name] = table[name].astype(object)
    return table


def _part_rows(rows: int, bars: int, workers: int) -> int:
    """How many rows make a part: for `workers` of a cluster, or for this process when 0."""
    most = max(FEWEST_ROWS, min(MOST_ROWS, ROW_BARS // bars))
    if workers:
        return max(FEWEST_ROWS, min(most, -(-rows // (PARTS_EACH * workers))))
    return max(min(LEAST_ROWS, most), min(most, rows // 40), min(LARGEST_ROWS, rows // 1000))
