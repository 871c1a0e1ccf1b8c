"""The `gridlab sweep` command: options in, the best rows as a table or one JSON object out.

Figures go to stdout and progress to stderr, so that a pipe sees figures alone.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from gridlab.clock import SystemClock
from gridlab.data.catalog import funding
from gridlab.domain.market import Market
from gridlab.errors import InvalidInput, StorageError
from gridlab.research.ground import check_figures
from gridlab.research.report import command_bars, command_fees
from gridlab.research.settings import range_of
from gridlab.research.sheet_views import sheet_text
from gridlab.research.space import Space, space
from gridlab.research.sweep import SweepResult, sweep

DEFAULT_SPACING_PERC = "0.3:1.5:0.1"
#: As a shell reports a process that SIGINT ended.
INTERRUPTED = 130
SUFFIXES = (".parquet", ".csv")


def run_command(options: argparse.Namespace) -> int:
    """Run `gridlab sweep` and print what came of it; 0, or 130 if it was interrupted.

    Raises:
        NotFound: no such file, or no recording of the symbol.
        InvalidInput: candles or settings that cannot be used, in words.
        Conflict: the folder of `--resume` holds another sweep.
        StorageError: a file that cannot be written.
    """
    _check(options)
    clock = SystemClock()
    bars, data_source = command_bars(options.symbol, options.file, Market(options.market))
    settings = space_of(options)
    began_ms = clock.now_ms()
    try:
        found = sweep(
            settings,
            bars,
            fill_rule=options.fill_rule,
            funding=funding(options.symbol) if options.funding == "bundled" else options.funding,
            margin=options.margin,
            threads=options.threads,
            client=options.dask,
            resume=options.resume,
            progress=not options.quiet,
        )
    except KeyboardInterrupt:
        print(f"gridlab: interrupted; {_kept(options.resume)}", file=sys.stderr)
        return INTERRUPTED
    seconds = (clock.now_ms() - began_ms) / 1000
    if options.out is not None:
        _write(found, options.out)
    if options.json:
        timed = {"seconds": seconds, "data_source": data_source}
        print(json.dumps(_as_dict(found, options) | timed, indent=2))
    else:
        print(sheet_text(found, by=options.by, n=options.top))
        print(f"  Data: {data_source}. {len(found):,} settings in {seconds:.2f} s.")
    return 0


def space_of(options: argparse.Namespace) -> Space:
    """The space that the command's words describe; percentages become fractions here.

    Raises:
        InvalidInput: a value, a list or a range that cannot be read, or two ways to lay lines.
    """
    if options.spacing_perc is not None and options.width_perc is not None:
        raise InvalidInput("--spacing-perc and --width-perc are given; choose one of them")
    settings: dict[str, Any] = {"levels": _values("levels", options.levels)}
    if options.width_perc is not None:
        settings["width"] = _values("width", options.width_perc, percent=True)
    else:
        words = options.spacing_perc or DEFAULT_SPACING_PERC
        settings["spacing"] = _values("spacing", words, percent=True)
    settings["mode"] = _values("mode", options.mode)
    settings["investment"] = _values("investment", options.investment)
    settings["fees"] = command_fees(options)
    if options.market == Market.FUTURES or options.leverage != 1:
        settings |= {"market": options.market, "leverage": options.leverage}
    whole = space(options.symbol, **settings)
    return whole if options.sample is None else whole.sample(options.sample, options.seed)


def _values(name: str, words: str, percent: bool = False) -> Any:
    """One value, or a tuple of those that a list of values and ranges writes."""
    found: list[Any] = []
    for piece in (piece.strip() for piece in words.split(",")):
        marked = ":".join(f"{part}%" for part in piece.split(":")) if percent else piece
        if ":" in piece:
            found += range_of(name, marked)
        elif name == "levels":
            found += range_of(name, f"{piece}:{piece}")
        else:
            found.append(marked)
    return tuple(found) if len(found) > 1 else found[0]


def _check(options: argparse.Namespace) -> None:
    """Refuse before the work what could only fail after it."""
    if options.top < 1:
        raise InvalidInput(f"--top is {options.top}; print at least 1 row")
    check_figures([options.by], Market(options.market))
    out = options.out
    if out is None:
        return
    if out.suffix not in SUFFIXES:
        raise InvalidInput(f"--out is {out}; name a file that ends in {' or '.join(SUFFIXES)}")
    if not out.absolute().parent.is_dir():
        raise InvalidInput(f"--out is {out}; the folder {out.parent} does not exist, so make it")


def _kept(folder: Path | None) -> str:
    if folder is None:
        return "nothing was kept; with --resume FOLDER it would go on"
    return f"finished parts are in {folder}, and the same command goes on from them"


def _write(found: SweepResult, path: Path) -> None:
    frame = found.to_frame()
    try:
        if path.suffix == ".csv":
            frame.to_csv(path)
        else:
            frame.reset_index().to_parquet(path, index=False)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}; name another file") from error


def _as_dict(found: SweepResult, options: argparse.Namespace) -> dict[str, Any]:
    """The best rows and what they were chosen from, as plain JSON values; NaN is null."""
    best = found.best(by=options.by, n=options.top)
    rows = best.reset_index().to_dict("records")
    return {
        "symbol": found.symbol,
        "bars": len(found.ground.bars),
        "settings": len(found),
        "ran": int(found.ran.sum()),
        "fill_rule": str(found.ground.fill_rule),
        "terms": found.ground.terms,
        "by": options.by,
        "in_sample": True,
        "best": [{str(name): _plain(value) for name, value in row.items()} for row in rows],
    }


def _plain(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
