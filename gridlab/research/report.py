"""The `gridlab backtest` command: options in, a table or one JSON object out.

Its path stays light: plotly is not imported on it.
"""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from pathlib import Path

from gridlab.clock import SystemClock
from gridlab.data.bars import Bars, read_bars
from gridlab.data.catalog import catalog, funding, load
from gridlab.domain.market import FeeMode, FeeSchedule, Market
from gridlab.domain.spec import GridSpec, Spacing
from gridlab.errors import NotFound
from gridlab.money import parse, rounding
from gridlab.research.backtest import FillRule, backtest
from gridlab.research.texts import result_dict, result_text

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
    bars, data_source = command_bars(options.symbol, options.file, Market(options.market))
    spec = _spec_of(options)
    rates = funding(spec.symbol) if options.funding == "bundled" else options.funding
    began_ms = clock.now_ms()
    result = backtest(
        spec,
        bars,
        fill_rule=FillRule(options.fill_rule),
        funding=rates,
        margin=options.margin,
    )
    seconds = (clock.now_ms() - began_ms) / 1000
    if options.json:
        timed = {
            "seconds": seconds,
            # A clock of milliseconds cannot time less than one.
            "bars_per_second": round(len(bars) / max(seconds, 0.001)),
            "data_source": data_source,
        }
        print(json.dumps(result_dict(result) | timed, indent=2))
    else:
        print(result_text(result))
        print(f"  {'data':<18}{data_source}")
        print(f"  {'time':<18}{seconds:.2f} s for {len(bars):,} bars")
    return 0


def command_bars(symbol: str, file: Path | None, market: Market = Market.SPOT) -> tuple[Bars, str]:
    """The candles to run over, and in words where they come from."""
    if file is not None:
        return read_bars(file, symbol=symbol, market=market), f"the file {file}"
    for series in catalog():
        if (series.symbol, series.market) == (symbol, market):
            return load(symbol, market), f"bundled with gridlab: {series.source}"
    names = ", ".join(series.symbol for series in catalog() if series.market is market)
    raise NotFound(
        f"{symbol} is not among the bundled {market} recordings ({names}); name one of them, or "
        "give your own candles with --file"
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
