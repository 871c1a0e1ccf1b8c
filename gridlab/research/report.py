"""The `gridlab backtest` command: options in; a table, one JSON object or a report out.

Its path stays light: neither pandas nor plotly is imported on it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from gridlab.clock import SystemClock
from gridlab.data.bars import Bars, read_bars
from gridlab.data.catalog import catalog, funding, load
from gridlab.domain.market import FeeMode, FeeSchedule, Interval, Market
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import InvalidInput, NotFound, StorageError
from gridlab.money import parse, rounding
from gridlab.research.backtest import BacktestResult, FillRule, backtest
from gridlab.research.provenance import bars_sha256

DEFAULT_SPACING_PERC = "0.5"
#: (maker, taker, mode). Source: Binance's fees without any discount, spot and USD-M.
_USUAL_FEES = {
    Market.SPOT: ("0.001", "0.001", FeeMode.RECEIVED),
    Market.FUTURES: ("0.0002", "0.0005", FeeMode.QUOTE),
}


def run_command(options: argparse.Namespace) -> int:
    """Run `gridlab backtest` and print what came of it; 0, for every refusal raises.

    Raises:
        NotFound: no such file, or no recording of the symbol.
        InvalidInput: candles or settings that cannot be used, in words.
    """
    clock = SystemClock()
    bars, data_source = _candles(options)
    spec = _spec_of(options)
    rates = funding(spec.symbol) if options.funding == "bundled" else options.funding
    with progress_bar() as progress:
        began_ms = clock.now_ms()
        result = backtest(
            spec,
            bars,
            fill_rule=FillRule(options.fill_rule),
            funding=rates,
            margin=options.margin,
            progress=progress,
        )
    seconds = (clock.now_ms() - began_ms) / 1000
    if options.html is not None:
        _write(result, options.html)
    if options.json:
        timed = {
            "data_sha256": bars_sha256(bars),
            "seconds": seconds,
            # A clock of milliseconds cannot time less than one.
            "bars_per_second": round(len(bars) / max(seconds, 0.001)),
            "data_source": data_source,
        }
        print(json.dumps(result.to_dict() | timed, indent=2))
    else:
        print(result)
        print(f"  {'data':<18}{data_source}")
        print(f"  {'time':<18}{seconds:.2f} s for {len(bars):,} bars")
        print(result.metrics)
        if options.html is not None:
            print(f"  the report is in {options.html}")
    return 0


def _candles(options: argparse.Namespace) -> tuple[Bars, str]:
    """The candles that the options name, cut to their span, and where they come from."""
    market = Market(options.market)
    if options.data_dir is not None or (options.interval is not None and options.file is None):
        bars, source = _stored_bars(options.symbol, market, options.data_dir, options.interval)
    else:
        bars, source = command_bars(options.symbol, options.file, market)
    if options.start is None and options.end is None:
        return bars, source
    cut = bars.slice(options.start, options.end)
    if not len(cut):
        raise InvalidInput(f"no bar lies between --start and --end; there are {bars!r}")
    return cut, source


def _stored_bars(
    symbol: str, market: Market, data_dir: Path | None, interval: str | None
) -> tuple[Bars, str]:
    """The candles that `gridlab data fetch` stored."""
    from gridlab.data.command import default_folder
    from gridlab.data.history import History

    folder = default_folder() if data_dir is None else data_dir / "history"
    width = Interval(interval or "1m")
    bars = History(folder).load(symbol, width, market=market)
    return bars, f"the history in {folder}, {width}"


@contextmanager
def progress_bar(delay_s: float = 1.0) -> Iterator[Callable[[float], None] | None]:
    """What `backtest` tells its progress to: a bar on stderr, if that is a terminal.

    Args:
        delay_s: runs that are over sooner show none.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=100, unit="%", delay=delay_s, leave=False, file=sys.stderr) as bar:

        def tell(fraction: float) -> None:
            bar.update(round(100 * fraction) - bar.n)

        yield tell


def _write(result: BacktestResult, path: Path) -> None:
    try:
        result.to_html(path)
    except OSError as error:
        raise StorageError(
            f"the report cannot be written to {path}: {error.strerror}; name another file"
        ) from error


def command_bars(symbol: str, file: Path | None, market: Market = Market.SPOT) -> tuple[Bars, str]:
    """The candles to run over, and in words where they come from."""
    if file is not None:
        return read_bars(file, symbol=symbol, market=market), f"the file {file}"
    for series in catalog():
        if (series.symbol, series.market) == (symbol, market):
            return load(symbol, market), f"bundled with gridlab: {series.source}"
    names = ", ".join(series.symbol for series in catalog() if series.market is market)
    raise NotFound(
        f"{symbol} is not among the bundled {market} recordings ({names}); name one of them, give "
        "your own candles with --file, or fetch them with gridlab data fetch and name --interval"
    )


def _spec_of(options: argparse.Namespace) -> GridSpec:
    """The grid that the command's words describe; percentages become fractions here."""
    spacing: Decimal | None = None
    by_range = options.lower is not None or options.upper is not None
    if options.spacing_perc is not None or not by_range:
        percentage = parse(options.spacing_perc or DEFAULT_SPACING_PERC, "--spacing-perc")
        with rounding():
            spacing = percentage / 100
    return GridSpec(
        symbol=options.symbol,
        levels=options.levels,
        spacing=spacing,
        lower=None if options.lower is None else parse(options.lower, "--lower"),
        upper=None if options.upper is None else parse(options.upper, "--upper"),
        investment=parse(options.investment, "--investment"),
        mode=Spacing(options.mode),
        market=Market(options.market),
        leverage=options.leverage,
        fees=command_fees(options),
    )


def command_fees(options: argparse.Namespace) -> FeeSchedule:
    """The fees that were named, else those of the market's lowest tier."""
    maker, taker, mode = _USUAL_FEES[Market(options.market)]
    return FeeSchedule(
        maker=parse(options.maker_fee or maker, "--maker-fee"),
        taker=parse(options.taker_fee or taker, "--taker-fee"),
        mode=FeeMode(options.fee_mode or mode),
    )
