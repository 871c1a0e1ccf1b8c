"""Routes about technical indicators: one indicator over the latest candles of one symbol."""

from __future__ import annotations

from flask import Blueprint, Response

from gridlab.api.requests_tools import IndicatorQuery
from gridlab.api.schemas.indicators import Indicators, indicator_row, main_line
from gridlab.api.wire import answer, find_instrument, read_query, read_symbol, stamp_of
from gridlab.app.facade import GridLab


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the indicator route on `blueprint`."""

    @blueprint.get("/api/indicators/<symbol>")
    def indicators(symbol: str) -> Response:
        query = read_query(IndicatorQuery)
        name = find_instrument(lab, read_symbol(symbol), query.market_type).symbol
        return answer(_computed(lab, name, query))


def _computed(lab: GridLab, symbol: str, query: IndicatorQuery) -> Indicators:
    """The rows that have a value, oldest first; none when there are too few candles."""
    found = lab.dated_indicator(
        symbol,
        query.type,
        period=query.period,
        interval=query.interval,
        limit=query.limit,
        market=query.market_type,
    )
    made = found.value
    lines = list(made.lines)
    main = main_line(made.name, lines)
    return Indicators(
        indicator=made.name,
        period=made.period,
        values=[indicator_row(time_ms, row, main) for time_ms, row in made.rows()],
        symbol=symbol,
        interval=query.interval,
        market_type=query.market_type,
        lines=lines,
        main_line=main,
        parameters=dict(made.parameters),
        warmup=made.warmup,
        **stamp_of(lab.snapshot, found).parts,
    )
